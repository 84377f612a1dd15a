//! Pipes and FIFOs: 64 KiB rings with two ends that know of each other.

use crate::support::*;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;

crate::harness::tests![
    bytes_arrive_in_order,
    a_pipe_holds_64_kib,
    an_empty_pipe_is_eagain_or_end_of_file,
    end_of_file_needs_every_writer_closed,
    writing_without_readers_is_sigpipe,
    ignored_sigpipe_is_epipe,
    a_blocked_writer_gets_epipe_when_the_reader_goes,
    a_blocked_reader_gets_what_comes,
    a_full_pipe_blocks_until_drained,
    small_writes_are_atomic,
    small_writes_fit_wholly_or_not_at_all,
    large_nonblocking_writes_are_partial,
    eight_megabytes_go_through,
    three_stages_run_at_once,
    poll_knows_both_ends,
    the_wrong_end_is_ebadf,
    pipes_do_not_seek,
    fionread_counts,
    capacity_can_be_changed,
    vectors_are_written_as_one,
    pipe2_sets_flags,
    an_interrupted_read_is_eintr,
    an_interrupted_write_tells_what_it_wrote,
    splice_and_tee_move_bytes,
    sendfile_feeds_a_pipe,
    fifos_wait_for_each_other,
    fifo_nonblocking_open,
    fifo_is_a_pipe_by_name,
    zero_byte_transfers_are_nothing,
    a_fifo_hangs_up_on_who_has_seen_a_writer,
    a_name_for_an_end_does_not_keep_it_open,
];

fn bytes_arrive_in_order() {
    let (mut reader, mut writer) = pipe();
    for n in 0..200u8 {
        writer.write_all(&[n, n]).expect("room");
    }
    let mut data = [0; 400];
    reader.read_exact(&mut data).expect("all of it");
    assert!(
        data.chunks(2)
            .enumerate()
            .all(|(n, two)| two == [n as u8; 2])
    );
}

/// Writes until there is no room, in pieces of `size`.
fn fill(mut writer: &std::fs::File, size: usize) -> usize {
    let piece = vec![b'x'; size];
    let mut total = 0;
    while let Ok(count) = writer.write(&piece) {
        total += count;
    }
    assert_eq!(errno(), libc::EAGAIN);
    total
}

fn a_pipe_holds_64_kib() {
    for size in [1 << 20, 4096, 1024] {
        let (_reader, writer) = pipe_with(libc::O_NONBLOCK);
        assert_eq!(fill(&writer, size), 65536, "in pieces of {size}");
    }
}

fn an_empty_pipe_is_eagain_or_end_of_file() {
    let (mut reader, writer) = pipe_with(libc::O_NONBLOCK);
    let mut byte = [0];
    let error = reader.read(&mut byte).expect_err("nothing there");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    drop(writer);
    assert_eq!(reader.read(&mut byte).expect("end of file"), 0);
}

fn end_of_file_needs_every_writer_closed() {
    let (mut reader, mut writer) = pipe_with(libc::O_NONBLOCK);
    let second = writer.try_clone().expect("a descriptor more");
    writer.write_all(b"last").expect("room");
    drop(writer);
    let mut data = [0; 10];
    assert_eq!(reader.read(&mut data).expect("what was written"), 4);
    assert!(reader.read(&mut data).is_err(), "one writer is left");
    drop(second);
    assert_eq!(reader.read(&mut data).expect("end of file"), 0);
}

fn writing_without_readers_is_sigpipe() {
    let (reader, mut writer) = pipe();
    drop(reader);
    let end = end_of(|| {
        on_signal(libc::SIGPIPE, 0, libc::SIG_DFL);
        i32::from(writer.write(b"x").is_err())
    });
    assert_eq!(end, End::Signal(libc::SIGPIPE));
}

fn ignored_sigpipe_is_epipe() {
    on_signal(libc::SIGPIPE, 0, libc::SIG_IGN);
    let (reader, writer) = pipe();
    drop(reader);
    fails(
        sys!(write(writer.as_raw_fd(), b"x".as_ptr().cast(), 1)),
        libc::EPIPE,
    );
}

fn a_blocked_writer_gets_epipe_when_the_reader_goes() {
    on_signal(libc::SIGPIPE, 0, libc::SIG_IGN);
    let (reader, mut writer) = pipe();
    let pid = spawn(|| {
        sys!(close(reader.as_raw_fd()));
        let error = writer
            .write_all(&vec![0; 200_000])
            .expect_err("the reader goes");
        error.raw_os_error().unwrap_or(0)
    });
    drop(writer);
    until("the pipe is full", || poll_now(&reader, libc::POLLIN) != 0);
    sleep_ms(20);
    drop(reader);
    assert_eq!(wait(pid), End::Exit(libc::EPIPE));
}

fn a_blocked_reader_gets_what_comes() {
    let (mut reader, mut writer) = pipe();
    let pid = spawn(|| {
        sleep_ms(20);
        i32::from(writer.write(b"abc").ok() != Some(3))
    });
    let mut data = [0; 100];
    assert_eq!(reader.read(&mut data).expect("three bytes"), 3);
    assert_eq!(wait(pid), End::Exit(0));
}

fn a_full_pipe_blocks_until_drained() {
    let (mut reader, mut writer) = pipe();
    let done = shared::<std::sync::atomic::AtomicU32>();
    use std::sync::atomic::Ordering::SeqCst;
    let pid = spawn(|| {
        let result = writer.write_all(&[1; 70_000]);
        done.store(1, SeqCst);
        i32::from(result.is_err())
    });
    sleep_ms(50);
    assert_eq!(done.load(SeqCst), 0, "70,000 bytes do not fit");
    let mut data = vec![0; 70_000];
    reader.read_exact(&mut data).expect("all of it");
    assert_eq!(wait(pid), End::Exit(0));
}

fn small_writes_are_atomic() {
    const SIZE: usize = 512;
    let (mut reader, mut writer) = pipe();
    let writers: Vec<i32> = (1..=4u8)
        .map(|n| {
            spawn(|| {
                for _ in 0..200 {
                    if writer.write(&[n; SIZE]).ok() != Some(SIZE) {
                        return 1;
                    }
                }
                0
            })
        })
        .collect();
    drop(writer);
    let mut counts = [0; 5];
    let mut piece = [0; SIZE];
    for _ in 0..800 {
        reader.read_exact(&mut piece).expect("800 pieces");
        assert!(
            piece.iter().all(|b| *b == piece[0]),
            "two writers are mixed up"
        );
        counts[usize::from(piece[0])] += 1;
    }
    assert_eq!(counts, [0, 200, 200, 200, 200]);
    for pid in writers {
        assert_eq!(wait(pid), End::Exit(0));
    }
}

fn small_writes_fit_wholly_or_not_at_all() {
    let (mut reader, mut writer) = pipe_with(libc::O_NONBLOCK);
    fill(&writer, 65536);
    let mut hundred = [0; 100];
    reader.read_exact(&mut hundred).expect("it is full");
    let error = writer
        .write(&[0; 4096])
        .expect_err("only 100 bytes are free");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
}

fn large_nonblocking_writes_are_partial() {
    let (_reader, mut writer) = pipe_with(libc::O_NONBLOCK);
    assert_eq!(writer.write(&vec![0; 100_000]).expect("some room"), 65536);
}

fn eight_megabytes_go_through() {
    const SIZE: usize = 8 << 20;
    let (mut reader, mut writer) = pipe();
    let byte_at = |n: usize| (n.wrapping_mul(2_654_435_761) >> 13) as u8;
    let pid = spawn(|| {
        let data: Vec<u8> = (0..SIZE).map(byte_at).collect();
        i32::from(!write_in_pieces(&mut writer, &data, 100_003))
    });
    drop(writer);
    let mut data = Vec::new();
    reader.read_to_end(&mut data).expect("all of it");
    assert_eq!(wait(pid), End::Exit(0));
    assert_eq!(data.len(), SIZE);
    assert!(data.iter().enumerate().all(|(n, b)| *b == byte_at(n)));
}

fn three_stages_run_at_once() {
    let (mut r1, mut w1) = pipe();
    let (mut r2, mut w2) = pipe();
    let source = spawn(|| {
        sys!(close(r1.as_raw_fd()));
        sys!(close(w2.as_raw_fd()));
        let result = (0..500_000u32).try_for_each(|n| match n % 1000 {
            0 => w1.write_all(&vec![b'a'; 2000]),
            _ => Ok(()),
        });
        i32::from(result.is_err())
    });
    drop(w1);
    let filter = spawn(|| {
        sys!(close(r2.as_raw_fd()));
        let mut buffer = [0; 3000];
        while let Ok(count @ 1..) = r1.read(&mut buffer) {
            buffer.make_ascii_uppercase();
            if w2.write_all(&buffer[..count]).is_err() {
                return 1;
            }
        }
        0
    });
    drop((r1, w2));
    let mut data = Vec::new();
    r2.read_to_end(&mut data).expect("all of it");
    assert_eq!(data.len(), 1_000_000);
    assert!(data.iter().all(|b| *b == b'A'));
    assert_eq!((wait(source), wait(filter)), (End::Exit(0), End::Exit(0)));
}

fn poll_knows_both_ends() {
    let all = libc::POLLIN | libc::POLLOUT;
    let (mut reader, mut writer) = pipe_with(libc::O_NONBLOCK);
    assert_eq!(poll_now(&reader, all), 0);
    assert_eq!(poll_now(&writer, all), libc::POLLOUT);
    writer.write_all(b"x").expect("room");
    assert_eq!(poll_now(&reader, all), libc::POLLIN);
    fill(&writer, 1000);
    fill(&writer, 1);
    assert_eq!(poll_now(&writer, all), 0);
    let mut data = [0; 65536];
    while reader.read(&mut data).is_ok() {}
    assert_eq!(poll_now(&writer, all), libc::POLLOUT);
    writer.write_all(b"x").expect("room");
    drop(writer);
    assert_eq!(poll_now(&reader, all), libc::POLLIN | libc::POLLHUP);
    reader.read_exact(&mut data[..1]).expect("one byte");
    assert_eq!(poll_now(&reader, all), libc::POLLHUP);
    let (reader, writer) = pipe();
    drop(reader);
    assert_eq!(poll_now(&writer, all), libc::POLLOUT | libc::POLLERR);
}

fn the_wrong_end_is_ebadf() {
    let (reader, writer) = pipe();
    let mut byte = [0u8];
    fails(
        sys!(read(writer.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EBADF,
    );
    fails(
        sys!(write(reader.as_raw_fd(), byte.as_ptr().cast(), 1)),
        libc::EBADF,
    );
}

fn pipes_do_not_seek() {
    let (reader, _writer) = pipe();
    let mut byte = [0u8];
    let fd = reader.as_raw_fd();
    fails(sys!(lseek(fd, 0, libc::SEEK_CUR)), libc::ESPIPE);
    fails(
        sys!(pread(fd, byte.as_mut_ptr().cast(), 1, 0)),
        libc::ESPIPE,
    );
    fails(sys!(ftruncate(fd, 0)), libc::EINVAL);
}

fn fionread_counts() {
    let (reader, mut writer) = pipe();
    writer.write_all(&[0; 1234]).expect("room");
    let mut count = 0;
    ok(sys!(ioctl(reader.as_raw_fd(), libc::FIONREAD, &mut count)));
    assert_eq!(count, 1234);
}

fn capacity_can_be_changed() {
    let (_reader, writer) = pipe_with(libc::O_NONBLOCK);
    let fd = writer.as_raw_fd();
    assert_eq!(ok(sys!(fcntl(fd, libc::F_GETPIPE_SZ))), 65536);
    assert_eq!(ok(sys!(fcntl(fd, libc::F_SETPIPE_SZ, 10_000))), 16384);
    assert_eq!(fill(&writer, 4096), 16384);
    fails(sys!(fcntl(fd, libc::F_SETPIPE_SZ, 4096)), libc::EBUSY);
    assert_eq!(ok(sys!(fcntl(fd, libc::F_SETPIPE_SZ, 1 << 18))), 1 << 18);
}

fn vectors_are_written_as_one() {
    let (reader, writer) = pipe();
    let part = |text: &'static [u8]| libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    };
    let parts = [part(b"one "), part(b""), part(b"two "), part(b"three")];
    assert_eq!(sys!(writev(writer.as_raw_fd(), parts.as_ptr(), 4)), 13);
    let (mut a, mut b) = ([0u8; 5], [0u8; 20]);
    let into = [
        libc::iovec {
            iov_base: a.as_mut_ptr().cast(),
            iov_len: 5,
        },
        libc::iovec {
            iov_base: b.as_mut_ptr().cast(),
            iov_len: 20,
        },
    ];
    assert_eq!(sys!(readv(reader.as_raw_fd(), into.as_ptr(), 2)), 13);
    assert_eq!((&a[..], &b[..8]), (&b"one t"[..], &b"wo three"[..]));
    fails(
        sys!(writev(writer.as_raw_fd(), parts.as_ptr(), -1)),
        libc::EINVAL,
    );
    fails(
        sys!(writev(writer.as_raw_fd(), parts.as_ptr(), 1025)),
        libc::EINVAL,
    );
}

fn pipe2_sets_flags() {
    let (reader, _writer) = pipe_with(libc::O_CLOEXEC | libc::O_NONBLOCK);
    let fd = reader.as_raw_fd();
    assert_eq!(sys!(fcntl(fd, libc::F_GETFD)), libc::FD_CLOEXEC);
    assert_eq!(
        sys!(fcntl(fd, libc::F_GETFL)),
        libc::O_RDONLY | libc::O_NONBLOCK
    );
    let mut ends = [0; 2];
    fails(sys!(pipe2(ends.as_mut_ptr(), libc::O_APPEND)), libc::EINVAL);
}

extern "C" fn nothing(_: i32) {}

fn an_interrupted_read_is_eintr() {
    on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
    let (reader, _writer) = pipe();
    let parent = sys!(getpid());
    let pid = spawn(|| {
        sleep_ms(50);
        sys!(kill(parent, libc::SIGUSR1))
    });
    let mut byte = [0u8];
    fails(
        sys!(read(reader.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EINTR,
    );
    wait(pid);
}

fn an_interrupted_write_tells_what_it_wrote() {
    on_signal(
        libc::SIGUSR1,
        libc::SA_RESTART,
        nothing as *const () as usize,
    );
    let (_reader, writer) = pipe();
    let parent = sys!(getpid());
    let pid = spawn(|| {
        sleep_ms(50);
        sys!(kill(parent, libc::SIGUSR1))
    });
    let data = vec![0u8; 100_000];
    let count = sys!(write(writer.as_raw_fd(), data.as_ptr().cast(), data.len()));
    assert_eq!(
        count, 65536,
        "what is written is not forgotten, not even for a restart"
    );
    wait(pid);
}

fn splice_and_tee_move_bytes() {
    std::fs::write("f", b"0123456789").expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let (mut r1, w1) = pipe();
    let (mut r2, w2) = pipe();
    let none = ptr::null_mut();
    let moved = sys!(splice(file.as_raw_fd(), none, w1.as_raw_fd(), none, 6, 0));
    assert_eq!(ok(moved), 6);
    assert_eq!(ok(sys!(tee(r1.as_raw_fd(), w2.as_raw_fd(), 100, 0))), 6);
    let mut data = [0; 6];
    r1.read_exact(&mut data).expect("the original");
    assert_eq!(&data, b"012345");
    r2.read_exact(&mut data).expect("the copy");
    assert_eq!(&data, b"012345");
    let result = sys!(splice(file.as_raw_fd(), none, file.as_raw_fd(), none, 1, 0));
    fails(result, libc::EINVAL);
}

fn sendfile_feeds_a_pipe() {
    std::fs::write("f", b"0123456789").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (mut reader, writer) = pipe();
    let mut offset = 4;
    let sent = sys!(sendfile(
        writer.as_raw_fd(),
        file.as_raw_fd(),
        &mut offset,
        3
    ));
    assert_eq!((ok(sent), offset), (3, 7));
    let sent = sys!(sendfile(
        writer.as_raw_fd(),
        file.as_raw_fd(),
        ptr::null_mut(),
        100
    ));
    assert_eq!(ok(sent), 10);
    let mut data = [0; 13];
    reader.read_exact(&mut data).expect("both parts");
    assert_eq!(&data, b"4560123456789");
}

fn mkfifo(path: &str) {
    ok(sys!(mkfifo(c(path).as_ptr(), 0o600)));
}

fn fifos_wait_for_each_other() {
    mkfifo("fifo");
    let pid = spawn(|| {
        sleep_ms(30);
        let mut writer = open("fifo", libc::O_WRONLY, 0);
        i32::from(writer.write_all(b"through").is_err())
    });
    let mut text = String::new();
    // Opening waits for the writer, reading for its end.
    let mut reader = open("fifo", libc::O_RDONLY, 0);
    reader.read_to_string(&mut text).expect("text");
    assert_eq!(text, "through");
    assert_eq!(wait(pid), End::Exit(0));
}

fn fifo_nonblocking_open() {
    mkfifo("fifo");
    fails(
        try_open("fifo", libc::O_WRONLY | libc::O_NONBLOCK, 0),
        libc::ENXIO,
    );
    let mut reader = open("fifo", libc::O_RDONLY | libc::O_NONBLOCK, 0);
    let mut byte = [0];
    assert_eq!(reader.read(&mut byte).expect("no writer: end of file"), 0);
    let mut writer = open("fifo", libc::O_WRONLY | libc::O_NONBLOCK, 0);
    let error = reader.read(&mut byte).expect_err("a writer, but no data");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    writer.write_all(b"y").expect("room");
    assert_eq!(reader.read(&mut byte).expect("a byte"), 1);
}

fn fifo_is_a_pipe_by_name() {
    use std::os::unix::fs::FileTypeExt;
    mkfifo("fifo");
    fails(sys!(mkfifo(c"fifo".as_ptr(), 0o600)), libc::EEXIST);
    assert!(
        std::fs::metadata("fifo")
            .expect("it is there")
            .file_type()
            .is_fifo()
    );
    // Open for both, it never blocks and never ends; data stay while it is open.
    let mut both = open("fifo", libc::O_RDWR, 0);
    both.write_all(b"abc").expect("room");
    std::fs::remove_file("fifo").expect("it is there");
    let mut data = [0; 3];
    both.read_exact(&mut data).expect("what was written");
    assert_eq!(&data, b"abc");
}

fn zero_byte_transfers_are_nothing() {
    let (reader, writer) = pipe();
    let mut byte = [0u8];
    assert_eq!(sys!(write(writer.as_raw_fd(), byte.as_ptr().cast(), 0)), 0);
    assert_eq!(poll_now(&reader, libc::POLLIN), 0);
    assert_eq!(
        sys!(read(reader.as_raw_fd(), byte.as_mut_ptr().cast(), 0)),
        0
    );
}

fn a_fifo_hangs_up_on_who_has_seen_a_writer() {
    mkfifo("fifo");
    let early = || open("fifo", libc::O_RDONLY | libc::O_NONBLOCK, 0);
    let first = early();
    assert_eq!(poll_now(&first, libc::POLLIN), 0);
    drop(open("fifo", libc::O_WRONLY, 0));
    let second = early();
    let by_name = format!("/proc/self/fd/{}", first.as_raw_fd());
    let third = open(&by_name, libc::O_RDONLY | libc::O_NONBLOCK, 0);
    assert_eq!(poll_now(&first, libc::POLLIN), libc::POLLHUP);
    assert_eq!(poll_now(&second, libc::POLLIN), 0);
    assert_eq!(poll_now(&third, libc::POLLIN), 0);
    let mut writer = open("fifo", libc::O_WRONLY, 0);
    let readers = [&first, &second, &third];
    for reader in readers {
        assert_eq!(poll_now(reader, libc::POLLIN), 0);
    }
    writer.write_all(b"x").expect("room");
    for reader in readers {
        assert_eq!(poll_now(reader, libc::POLLIN), libc::POLLIN);
    }
    drop(writer);
    let both = libc::POLLIN | libc::POLLHUP;
    for reader in readers {
        assert_eq!(poll_now(reader, libc::POLLIN), both);
    }
    assert_eq!((&second).read(&mut [0; 9]).expect("a byte"), 1);
    // It is a pipe like any other besides.
    assert_eq!(sys!(fcntl(second.as_raw_fd(), libc::F_GETPIPE_SZ)), 65536);
    let mut count = -1;
    ok(sys!(ioctl(second.as_raw_fd(), libc::FIONREAD, &mut count)));
    assert_eq!(count, 0);
}

fn a_name_for_an_end_does_not_keep_it_open() {
    for flags in [libc::O_RDONLY, libc::O_PATH] {
        let (mut reader, writer) = pipe_with(libc::O_NONBLOCK);
        let by_name = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let _other = open(&by_name, flags, 0);
        drop(writer);
        assert_eq!(
            reader.read(&mut [0]).expect("the end"),
            0,
            "flags {flags:o}"
        );
    }
    // A name of one's own is an end of one's own.
    let (mut reader, writer) = pipe_with(libc::O_NONBLOCK);
    let by_name = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let mut other = open(&by_name, libc::O_WRONLY, 0);
    drop(writer);
    let error = reader.read(&mut [0]).expect_err("there is a writer");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    other.write_all(b"x").expect("room");
    assert_eq!(reader.read(&mut [0]).expect("a byte"), 1);
}
