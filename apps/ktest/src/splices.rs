//! Moving data through pipes without a program in between: `splice`, `tee`, `sendfile`.

use crate::support::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;

crate::harness::tests![
    splice_takes_what_is_there_up_to_the_count,
    parts_of_pages_keep_their_order_among_writes,
    tee_leaves_the_original_and_splice_takes_it,
    tee_alone_fills_a_pipe_slot_by_slot,
    a_page_of_a_file_is_not_written_to_through_the_pipe,
    the_end_of_a_file_is_the_end_of_a_splice,
    holes_are_zeros_in_the_pipe,
    a_file_gets_bytes_of_many_pieces,
    what_the_file_does_not_take_stays_in_the_pipe,
    what_a_full_socket_does_not_take_stays_in_the_pipe,
    an_impatient_splice_is_eagain_and_loses_nothing,
    who_is_impatient_waits_for_no_more_than_the_end_of_a_splice,
    a_patient_splice_waits_for_either_side,
    a_splice_nobody_reads_is_epipe_and_loses_nothing,
    an_ended_pipe_is_0,
    splice_refuses_what_linux_refuses,
    a_stream_goes_through_three_splicers,
    a_pipe_that_was_spliced_from_takes_writes_again,
    sendfile_fills_a_pipe_as_far_as_it_goes,
    sendfile_copies_between_files,
    vmsplice_writes_a_vector,
    a_signal_ends_a_long_copy,
];

const NONBLOCK: u32 = libc::SPLICE_F_NONBLOCK;
const PAGE: usize = 4096;

fn splice(from: &File, to: &File, count: usize, flags: u32) -> isize {
    let none = ptr::null_mut();
    sys!(splice(
        from.as_raw_fd(),
        none,
        to.as_raw_fd(),
        none,
        count,
        flags
    )) as isize
}

fn tee(from: &File, to: &File, count: usize, flags: u32) -> isize {
    sys!(tee(from.as_raw_fd(), to.as_raw_fd(), count, flags)) as isize
}

fn read_some(from: &mut File, count: usize) -> Vec<u8> {
    let mut data = vec![0; count];
    let n = from.read(&mut data).expect("something to read");
    data.truncate(n);
    data
}

/// Bytes that tell where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn splice_takes_what_is_there_up_to_the_count() {
    let ((mut r1, mut w1), (mut r2, w2)) = (pipe(), pipe());
    w1.write_all(b"abcdef").expect("room");
    assert_eq!(splice(&r1, &w2, 4, 0), 4);
    assert_eq!(read_some(&mut r2, 100), b"abcd");
    assert_eq!(read_some(&mut r1, 100), b"ef");
    w1.write_all(&pattern(10_000)).expect("room");
    assert_eq!(splice(&r1, &w2, 1 << 20, 0), 10_000);
    assert_eq!(read_some(&mut r2, 20_000), pattern(10_000));
}

fn parts_of_pages_keep_their_order_among_writes() {
    let ((mut r1, mut w1), (mut r2, mut w2)) = (pipe(), pipe());
    w2.write_all(b"0").expect("room");
    w1.write_all(b"abcdef").expect("room");
    assert_eq!(splice(&r1, &w2, 2, 0), 2);
    w2.write_all(b"1").expect("room");
    w1.write_all(b"gh").expect("room");
    assert_eq!(splice(&r1, &w2, 3, 0), 3);
    w2.write_all(b"2").expect("room");
    assert_eq!(splice(&r1, &w2, 100, 0), 3);
    w2.write_all(b"3").expect("room");
    w1.write_all(b"rest").expect("room");
    assert_eq!(read_some(&mut r2, 100), b"0ab1cde2fgh3");
    assert_eq!(read_some(&mut r1, 100), b"rest");
}

fn tee_leaves_the_original_and_splice_takes_it() {
    let ((mut r1, mut w1), (mut r2, mut w2), (mut r3, w3)) = (pipe(), pipe(), pipe());
    let data = pattern(3 * PAGE + 17);
    w1.write_all(&data).expect("room");
    assert_eq!(tee(&r1, &w2, data.len(), 0), data.len() as isize);
    w2.write_all(b"after").expect("room");
    w1.write_all(b"more").expect("room");
    assert_eq!(splice(&r1, &w3, data.len(), 0), data.len() as isize);
    assert_eq!(read_some(&mut r1, 100), b"more");
    w1.write_all(b"reused").expect("room");
    assert_eq!(read_some(&mut r3, data.len()), data);
    assert_eq!(read_some(&mut r2, data.len()), data);
    assert_eq!(read_some(&mut r2, 100), b"after");
    assert_eq!(read_some(&mut r1, 100), b"reused");
}

fn tee_alone_fills_a_pipe_slot_by_slot() {
    let ((r1, mut w1), (mut r2, w2)) = (pipe(), pipe());
    w1.write_all(b"x").expect("room");
    for _ in 0..16 {
        assert_eq!(tee(&r1, &w2, 1, NONBLOCK), 1);
    }
    fails(tee(&r1, &w2, 1, NONBLOCK), libc::EAGAIN);
    assert_eq!(poll_now(&w2, libc::POLLOUT), 0);
    assert_eq!(read_some(&mut r2, 100), [b'x'; 16]);
}

fn a_page_of_a_file_is_not_written_to_through_the_pipe() {
    std::fs::write("f", b"0123456789").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (mut reader, mut writer) = pipe();
    assert_eq!(splice(&file, &writer, 4, 0), 4);
    writer.write_all(b"abcdef").expect("room");
    assert_eq!(read_some(&mut reader, 100), b"0123abcdef");
    writer.write_all(b"once more").expect("room");
    assert_eq!(read_some(&mut reader, 100), b"once more");
    assert_eq!(std::fs::read("f").expect("the file"), b"0123456789");
}

fn the_end_of_a_file_is_the_end_of_a_splice() {
    let data = pattern(2 * PAGE + 100);
    std::fs::write("f", &data).expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (mut reader, writer) = pipe();
    let none = ptr::null_mut();
    let mut at = 50;
    let (from, to) = (file.as_raw_fd(), writer.as_raw_fd());
    assert_eq!(sys!(splice(from, &mut at, to, none, 1 << 20, 0)), 8242);
    assert_eq!(at, 8292);
    assert_eq!(sys!(splice(from, &mut at, to, none, 1 << 20, 0)), 0);
    assert_eq!(read_some(&mut reader, 1 << 20), data[50..]);
    // The file's own offset has not moved; now it does.
    assert_eq!(splice(&file, &writer, PAGE + 10, 0), PAGE as isize + 10);
    assert_eq!(sys!(lseek(from, 0, libc::SEEK_CUR)), PAGE as i64 + 10);
    assert_eq!(read_some(&mut reader, 1 << 20), data[..PAGE + 10]);
}

fn holes_are_zeros_in_the_pipe() {
    let mut file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    ok(sys!(ftruncate(file.as_raw_fd(), 3 * PAGE as i64)));
    let (mut reader, writer) = pipe();
    assert_eq!(splice(&file, &writer, 1 << 20, 0), 3 * PAGE as isize);
    assert_eq!(read_some(&mut reader, 1 << 20), vec![0; 3 * PAGE]);
    file.write_all(b"x").expect("the file grows");
}

fn a_file_gets_bytes_of_many_pieces() {
    let ((r1, mut w1), (r2, w2)) = (pipe(), pipe());
    let data = pattern(30_000);
    w1.write_all(&data).expect("room");
    let mut left = data.len();
    for n in [1, 10, 5000, 4096, 3, 20_890] {
        assert_eq!(splice(&r1, &w2, n, 0), n as isize);
        left -= n;
    }
    assert_eq!(left, 0);
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let mut at = 7;
    let none = ptr::null_mut();
    let (from, to) = (r2.as_raw_fd(), file.as_raw_fd());
    assert_eq!(sys!(splice(from, none, to, &mut at, 1 << 20, 0)), 30_000);
    assert_eq!(at, 30_007);
    let contents = std::fs::read("f").expect("the file");
    assert_eq!((&contents[..7], &contents[7..]), (&[0; 7][..], &data[..]));
}

fn what_the_file_does_not_take_stays_in_the_pipe() {
    in_child(|| {
        on_signal(libc::SIGXFSZ, 0, libc::SIG_IGN);
        let limit = libc::rlimit {
            rlim_cur: 6000,
            rlim_max: libc::RLIM_INFINITY,
        };
        ok(sys!(setrlimit(libc::RLIMIT_FSIZE as _, &limit)));
        let (mut reader, mut writer) = pipe();
        let data = pattern(2 * PAGE);
        writer.write_all(&data).expect("room");
        let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
        assert_eq!(splice(&reader, &file, 1 << 20, 0), 6000);
        fails(splice(&reader, &file, 1 << 20, 0), libc::EFBIG);
        writer.write_all(b"end").expect("room");
        let mut rest = data[6000..].to_vec();
        rest.extend_from_slice(b"end");
        assert_eq!(read_some(&mut reader, 1 << 20), rest);
        assert_eq!(std::fs::read("f").expect("the file"), data[..6000]);
    });
}

fn what_a_full_socket_does_not_take_stays_in_the_pipe() {
    use std::os::unix::net::UnixStream;
    let (a, mut b) = UnixStream::pair().expect("two sockets");
    a.set_nonblocking(true).expect("a flag");
    let mut sent = 0;
    while let Ok(n) = (&a).write(&[1; 4096]) {
        sent += n;
    }
    let (mut reader, mut writer) = pipe();
    writer.write_all(b"later").expect("room");
    let none = ptr::null_mut();
    let (from, to) = (reader.as_raw_fd(), a.as_raw_fd());
    fails(sys!(splice(from, none, to, none, 100, 0)), libc::EAGAIN);
    let mut all = vec![0; sent];
    b.read_exact(&mut all).expect("what was sent");
    assert_eq!(sys!(splice(from, none, to, none, 3, 0)), 3);
    let mut three = [0; 3];
    b.read_exact(&mut three).expect("three bytes");
    assert_eq!(&three, b"lat");
    assert_eq!(read_some(&mut reader, 100), b"er");
}

fn an_impatient_splice_is_eagain_and_loses_nothing() {
    let ((mut r1, mut w1), (mut r2, mut w2)) = (pipe(), pipe());
    fails(splice(&r1, &w2, 100, NONBLOCK), libc::EAGAIN);
    w1.write_all(b"kept").expect("room");
    w2.write_all(&[0; 65536]).expect("room");
    fails(splice(&r1, &w2, 100, NONBLOCK), libc::EAGAIN);
    std::fs::write("f", b"0123456789").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    fails(splice(&file, &w2, 4, NONBLOCK), libc::EAGAIN);
    // A page is free: one slot.
    assert_eq!(read_some(&mut r2, PAGE).len(), PAGE);
    assert_eq!(splice(&r1, &w2, 2, NONBLOCK), 2);
    fails(splice(&r1, &w2, 2, NONBLOCK), libc::EAGAIN);
    assert_eq!(read_some(&mut r1, 100), b"pt");
    assert_eq!(read_some(&mut r2, 65536)[15 * PAGE..], b"ke"[..]);
    assert_eq!(splice(&file, &w2, 4, NONBLOCK), 4);
    assert_eq!(read_some(&mut r2, 100), b"0123");
    let (r3, _w3) = pipe_with(libc::O_NONBLOCK);
    fails(splice(&r3, &w2, 1, 0), libc::EAGAIN);
}

fn who_is_impatient_waits_for_no_more_than_the_end_of_a_splice() {
    use std::os::unix::net::UnixStream;
    let (a, mut b) = UnixStream::pair().expect("two sockets");
    a.set_nonblocking(true).expect("a flag");
    let mut sent = 0;
    while let Ok(n) = (&a).write(&[1; 4096]) {
        sent += n;
    }
    a.set_nonblocking(false).expect("a flag");
    let (reader, mut writer) = pipe();
    writer.write_all(&[2; 100]).expect("room");
    // It has the bytes out of the pipe and no place for them.
    let mover = spawn(|| {
        let (from, to) = (reader.as_raw_fd(), a.as_raw_fd());
        let moved = sys!(splice(from, ptr::null_mut(), to, ptr::null_mut(), 100, 0));
        i32::from(moved != 100)
    });
    until("the splice waits", || is_asleep(mover));
    let impatient = spawn(|| {
        let (_end, sink) = pipe();
        let moved = splice(&reader, &sink, 100, NONBLOCK);
        i32::from(moved != -1 || errno() != libc::EAGAIN)
    });
    sleep_ms(50);
    let mut all = vec![0; sent + 100];
    b.read_exact(&mut all).expect("all that was sent");
    assert_eq!(wait(mover), End::Exit(0));
    // There is somebody who could still write.
    assert_eq!(wait(impatient), End::Exit(0));
    drop(writer);
}

fn a_patient_splice_waits_for_either_side() {
    let ((r1, mut w1), (mut r2, mut w2)) = (pipe(), pipe());
    let pid = spawn(|| {
        // Nothing to take at first, then no room.
        let first = splice(&r1, &w2, 100, 0);
        if w2.write_all(&[0; 65536 - PAGE]).is_err() {
            return 9;
        }
        let second = splice(&r1, &w2, 100, 0);
        i32::from((first, second) != (1, 2))
    });
    sleep_ms(20);
    w1.write_all(b"a").expect("room");
    until("the child has filled its pipe", || {
        poll_now(&w2, libc::POLLOUT) == 0
    });
    w1.write_all(b"bc").expect("room");
    sleep_ms(20);
    let mut data = vec![0; 65536 - PAGE + 3];
    r2.read_exact(&mut data).expect("all of it");
    assert_eq!((data[0], &data[data.len() - 2..]), (b'a', &b"bc"[..]));
    assert_eq!(wait(pid), End::Exit(0));
}

fn a_splice_nobody_reads_is_epipe_and_loses_nothing() {
    on_signal(libc::SIGPIPE, 0, libc::SIG_IGN);
    let ((mut r1, mut w1), (r2, w2)) = (pipe(), pipe());
    drop(r2);
    w1.write_all(b"kept").expect("room");
    fails(splice(&r1, &w2, 100, 0), libc::EPIPE);
    fails(tee(&r1, &w2, 100, 0), libc::EPIPE);
    std::fs::write("f", b"0123456789").expect("a new file");
    fails(
        splice(&open("f", libc::O_RDONLY, 0), &w2, 4, 0),
        libc::EPIPE,
    );
    assert_eq!(read_some(&mut r1, 100), b"kept");
    let end = end_of(|| {
        on_signal(libc::SIGPIPE, 0, libc::SIG_DFL);
        if w1.write_all(b"x").is_err() {
            return 1;
        }
        splice(&r1, &w2, 1, 0) as i32
    });
    assert_eq!(end, End::Signal(libc::SIGPIPE));
}

fn an_ended_pipe_is_0() {
    let ((r1, mut w1), (_r2, w2)) = (pipe(), pipe());
    w1.write_all(b"last").expect("room");
    drop(w1);
    assert_eq!(splice(&r1, &w2, 100, 0), 4);
    assert_eq!(splice(&r1, &w2, 100, 0), 0);
    assert_eq!(tee(&r1, &w2, 100, NONBLOCK), 0);
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    assert_eq!(splice(&r1, &file, 100, 0), 0);
}

fn splice_refuses_what_linux_refuses() {
    let (reader, mut writer) = pipe();
    writer.write_all(b"kept").expect("room");
    fails(splice(&reader, &writer, 100, 0), libc::EINVAL);
    fails(tee(&reader, &writer, 100, 0), libc::EINVAL);
    fails(splice(&writer, &reader, 100, 0), libc::EBADF);
    let (_other, sink) = pipe();
    let mut at = 0;
    let none = ptr::null_mut();
    let (from, to) = (reader.as_raw_fd(), sink.as_raw_fd());
    fails(sys!(splice(from, &mut at, to, none, 1, 0)), libc::ESPIPE);
    fails(sys!(splice(from, none, to, &mut at, 1, 0)), libc::ESPIPE);
    fails(splice(&reader, &sink, 1, 16), libc::EINVAL);
    let log = open("f", libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND, 0o600);
    fails(splice(&reader, &log, 1, 0), libc::EINVAL);
    assert_eq!(splice(&reader, &sink, 0, 0), 0);
    assert_eq!(splice(&reader, &sink, 100, 0), 4);
}

/// Splices until the end.
fn relay(from: &File, to: &File, count: usize) -> i32 {
    loop {
        match splice(from, to, count, 0) {
            0 => return 0,
            n if n < 0 => return 1,
            _ => {}
        }
    }
}

fn a_stream_goes_through_three_splicers() {
    let data = pattern(4 << 20);
    let (mut last, mut writer) = pipe();
    let mut children = vec![spawn(|| {
        i32::from(!write_in_pieces(&mut writer, &data, 50_021))
    })];
    drop(writer);
    for count in [1 << 20, 777, 70_000] {
        let (next, writer) = pipe();
        children.push(spawn(|| relay(&last, &writer, count)));
        drop(writer);
        last = next;
    }
    let mut all = Vec::new();
    last.read_to_end(&mut all).expect("all of it");
    assert!(all == data, "{} bytes came", all.len());
    for pid in children {
        assert_eq!(wait(pid), End::Exit(0));
    }
}

fn a_pipe_that_was_spliced_from_takes_writes_again() {
    let ((r1, mut w1), (mut r2, w2)) = (pipe(), pipe());
    for round in 0..100u8 {
        w1.write_all(&[round; 5000]).expect("room");
        assert_eq!(splice(&r1, &w2, 1 << 20, 0), 5000);
        assert_eq!(read_some(&mut r2, 1 << 20), [round; 5000]);
    }
}

fn sendfile_fills_a_pipe_as_far_as_it_goes() {
    let data = pattern(100_000);
    std::fs::write("f", &data).expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (mut reader, writer) = pipe_with(libc::O_NONBLOCK);
    let send = || {
        let none = ptr::null_mut();
        sys!(sendfile(
            writer.as_raw_fd(),
            file.as_raw_fd(),
            none,
            200_000
        )) as isize
    };
    assert_eq!(send(), 65536);
    fails(send(), libc::EAGAIN);
    let mut all = vec![0; 65536];
    reader.read_exact(&mut all).expect("a pipe full");
    assert_eq!(send(), 100_000 - 65536);
    all.extend(read_some(&mut reader, 65536));
    assert_eq!(all, data);
    assert_eq!(send(), 0);
}

fn sendfile_copies_between_files() {
    let data = pattern(20_000);
    std::fs::write("f", &data).expect("a new file");
    let (from, to) = (
        open("f", libc::O_RDONLY, 0),
        open("g", libc::O_RDWR | libc::O_CREAT, 0o600),
    );
    let mut at = 3;
    let send =
        |at: &mut i64| sys!(sendfile(to.as_raw_fd(), from.as_raw_fd(), at, 1 << 20)) as isize;
    assert_eq!((send(&mut at), at), (19_997, 20_000));
    assert_eq!(std::fs::read("g").expect("the copy"), data[3..]);
}

fn vmsplice_writes_a_vector() {
    let (mut reader, writer) = pipe();
    let parts = [&b"one "[..], b"two"].map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    assert_eq!(sys!(vmsplice(writer.as_raw_fd(), parts.as_ptr(), 2, 0)), 7);
    assert_eq!(read_some(&mut reader, 100), b"one two");
}

extern "C" fn nothing(_: i32) {}

fn a_signal_ends_a_long_copy() {
    const ALL: usize = 0x7fff_f000;
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    ok(sys!(ftruncate(file.as_raw_fd(), 1 << 36)));
    let null = open("/dev/null", libc::O_WRONLY, 0);
    on_signal(libc::SIGALRM, 0, nothing as *const () as usize);
    let mut timer: libc::itimerval = zeroed();
    timer.it_value.tv_usec = 2000;
    ok(sys!(setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut())));
    let mut at = 5;
    let sent = sys!(sendfile(null.as_raw_fd(), file.as_raw_fd(), &mut at, ALL));
    let sent = ok(sent as isize) as usize;
    assert!(sent > 0 && sent < ALL, "{sent}");
    assert_eq!(at as usize, 5 + sent);
}
