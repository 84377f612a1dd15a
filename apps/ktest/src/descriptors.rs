//! File descriptors: numbers, copies, flags, offsets, locks.

use crate::support::*;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::ptr;

crate::harness::tests![
    the_lowest_free_number_is_taken,
    dup_shares_offset_and_flags,
    dup2_replaces_and_leaves_itself,
    dup3_insists_on_two_numbers,
    duplicating_nonsense_is_ebadf,
    fcntl_dupfd_has_a_minimum,
    append_can_be_switched,
    getfl_tells_mode_and_flags,
    everything_on_a_closed_one_is_ebadf,
    the_open_mode_is_obeyed,
    o_path_only_points,
    too_many_open_files_is_emfile,
    two_opens_have_two_offsets,
    pread_and_pwrite_leave_the_offset,
    seeking_has_rules,
    data_and_holes_are_found,
    dev_fd_is_the_descriptor,
    closing_twice_is_ebadf,
    flock_excludes,
    record_locks_exclude,
    vectors_at_offsets,
    copy_file_range_copies,
    fcntl_rejects_nonsense: Native,
];

fn file(name: &str, content: &[u8]) -> fs::File {
    fs::write(name, content).expect("a new file");
    open(name, libc::O_RDWR, 0)
}

fn the_lowest_free_number_is_taken() {
    let a = ok(try_open("/dev/null", libc::O_RDONLY, 0));
    let b = ok(try_open("/dev/null", libc::O_RDONLY, 0));
    assert!(b > a);
    ok(sys!(close(a)));
    assert_eq!(ok(sys!(dup(b))), a);
    ok(sys!(close(0)));
    assert_eq!(ok(try_open("/dev/null", libc::O_RDONLY, 0)), 0);
}

fn dup_shares_offset_and_flags() {
    let mut first = file("f", b"0123456789");
    let fd = first.as_raw_fd();
    let second = ok(sys!(dup(fd)));
    first.seek(SeekFrom::Start(4)).expect("it seeks");
    assert_eq!(ok(sys!(lseek(second, 0, libc::SEEK_CUR))), 4);
    ok(sys!(fcntl(second, libc::F_SETFL, libc::O_APPEND)));
    assert_ne!(sys!(fcntl(fd, libc::F_GETFL)) & libc::O_APPEND, 0);
    ok(sys!(fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)));
    assert_eq!(
        sys!(fcntl(second, libc::F_GETFD)),
        0,
        "descriptor flags are its own"
    );
}

fn dup2_replaces_and_leaves_itself() {
    let (reader, writer) = pipe();
    let other = open("/dev/null", libc::O_RDWR, 0);
    let fd = writer.as_raw_fd();
    assert_eq!(ok(sys!(dup2(fd, fd))), fd);
    // The only writer goes: dup2 closes what was there.
    assert_eq!(ok(sys!(dup2(other.as_raw_fd(), fd))), fd);
    assert_eq!(poll_now(&reader, libc::POLLIN), libc::POLLHUP);
    assert_eq!(ok(sys!(dup2(fd, 150))), 150);
}

fn dup3_insists_on_two_numbers() {
    let file = file("f", b"");
    let fd = file.as_raw_fd();
    fails(sys!(dup3(fd, fd, 0)), libc::EINVAL);
    fails(sys!(dup3(fd, 50, libc::O_APPEND)), libc::EINVAL);
    ok(sys!(dup3(fd, 50, libc::O_CLOEXEC)));
    assert_eq!(sys!(fcntl(50, libc::F_GETFD)), libc::FD_CLOEXEC);
}

fn duplicating_nonsense_is_ebadf() {
    fails(sys!(dup(99)), libc::EBADF);
    fails(sys!(dup(-1)), libc::EBADF);
    fails(sys!(dup2(99, 99)), libc::EBADF);
    fails(sys!(dup2(99, 50)), libc::EBADF);
    fails(sys!(dup2(0, -1)), libc::EBADF);
    fails(sys!(dup2(0, 100_000_000)), libc::EBADF);
}

fn fcntl_dupfd_has_a_minimum() {
    let file = file("f", b"");
    let fd = file.as_raw_fd();
    assert_eq!(ok(sys!(fcntl(fd, libc::F_DUPFD, 100))), 100);
    assert_eq!(ok(sys!(fcntl(fd, libc::F_DUPFD, 100))), 101);
    assert_eq!(ok(sys!(fcntl(fd, libc::F_DUPFD_CLOEXEC, 90))), 90);
    assert_eq!(sys!(fcntl(90, libc::F_GETFD)), libc::FD_CLOEXEC);
    fails(sys!(fcntl(fd, libc::F_DUPFD, -1)), libc::EINVAL);
    fails(sys!(fcntl(fd, libc::F_DUPFD, 100_000_000)), libc::EINVAL);
}

fn append_can_be_switched() {
    let mut f = file("f", b"0123");
    ok(sys!(fcntl(f.as_raw_fd(), libc::F_SETFL, libc::O_APPEND)));
    f.write_all(b"45").expect("room");
    assert_eq!(f.stream_position().expect("a position"), 6);
    ok(sys!(fcntl(f.as_raw_fd(), libc::F_SETFL, 0)));
    f.rewind().expect("it seeks");
    f.write_all(b"x").expect("room");
    assert_eq!(fs::read("f").expect("it is there"), b"x12345");
}

fn getfl_tells_mode_and_flags() {
    let flags = libc::O_RDWR | libc::O_APPEND | libc::O_NONBLOCK;
    let f = open(
        "f",
        flags | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC,
        0o600,
    );
    let found = sys!(fcntl(f.as_raw_fd(), libc::F_GETFL));
    let known = libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK | libc::O_CREAT | libc::O_TRUNC;
    assert_eq!(
        found & known,
        flags,
        "what made the file is forgotten, what it is stays"
    );
}

fn everything_on_a_closed_one_is_ebadf() {
    let mut byte = [0u8; 8];
    let at = byte.as_mut_ptr();
    fails(sys!(read(77, at.cast(), 1)), libc::EBADF);
    fails(sys!(write(77, at.cast(), 1)), libc::EBADF);
    fails(sys!(lseek(77, 0, libc::SEEK_SET)), libc::EBADF);
    fails(sys!(close(77)), libc::EBADF);
    fails(sys!(fsync(77)), libc::EBADF);
    fails(sys!(ftruncate(77, 0)), libc::EBADF);
    fails(sys!(fchmod(77, 0o600)), libc::EBADF);
    fails(sys!(fchdir(77)), libc::EBADF);
    fails(sys!(fcntl(77, libc::F_GETFD)), libc::EBADF);
    fails(sys!(ioctl(77, libc::FIONREAD, at)), libc::EBADF);
    fails(sys!(flock(77, libc::LOCK_SH)), libc::EBADF);
    let (end, _other) = pipe();
    fails(sys!(flock(end.as_raw_fd(), 0x10)), libc::EINVAL);
    fails(sys!(openat(77, c"x".as_ptr(), 0)), libc::EBADF);
    fails(sys!(pread(77, at.cast(), 1, 0)), libc::EBADF);
    let mut about: libc::stat = zeroed();
    fails(sys!(fstat(77, &mut about)), libc::EBADF);
    let mut poll = libc::pollfd {
        fd: 77,
        events: libc::POLLIN,
        revents: 0,
    };
    assert_eq!(sys!(poll(&mut poll, 1, 0)), 1);
    assert_eq!(poll.revents, libc::POLLNVAL);
}

fn the_open_mode_is_obeyed() {
    fs::write("f", b"x").expect("a new file");
    let r = open("f", libc::O_RDONLY, 0);
    let w = open("f", libc::O_WRONLY, 0);
    let mut byte = [0u8];
    fails(
        sys!(write(r.as_raw_fd(), byte.as_ptr().cast(), 1)),
        libc::EBADF,
    );
    fails(
        sys!(read(w.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EBADF,
    );
    fails(sys!(ftruncate(r.as_raw_fd(), 0)), libc::EINVAL);
}

fn o_path_only_points() {
    fs::write("f", b"x").expect("a new file");
    let f = open("f", libc::O_PATH, 0);
    let mut byte = [0u8];
    fails(
        sys!(read(f.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EBADF,
    );
    let mut about: libc::stat = zeroed();
    ok(sys!(fstat(f.as_raw_fd(), &mut about)));
    assert_eq!(about.st_size, 1);
    let directory = open(".", libc::O_PATH | libc::O_DIRECTORY, 0);
    ok(sys!(faccessat(
        directory.as_raw_fd(),
        c"f".as_ptr(),
        libc::F_OK,
        0
    )));
}

fn too_many_open_files_is_emfile() {
    let limit = libc::rlimit {
        rlim_cur: 20,
        rlim_max: 20,
    };
    in_child(|| {
        ok(sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)));
        let mut last = 0;
        while let fd @ 0.. = try_open("/dev/null", libc::O_RDONLY, 0) {
            last = fd;
        }
        assert_eq!(errno(), libc::EMFILE);
        assert_eq!(last, 19);
        fails(sys!(dup(0)), libc::EMFILE);
        let mut ends = [0; 2];
        fails(sys!(pipe(ends.as_mut_ptr())), libc::EMFILE);
        fails(sys!(dup2(0, 20)), libc::EBADF);
        ok(sys!(dup2(0, 19)));
        // A pipe needs two: the first must not leak.
        ok(sys!(close(19)));
        fails(sys!(pipe(ends.as_mut_ptr())), libc::EMFILE);
        assert_eq!(ok(sys!(dup(0))), 19);
    });
}

fn two_opens_have_two_offsets() {
    let mut a = file("f", b"0123456789");
    let mut b = open("f", libc::O_RDONLY, 0);
    let mut three = [0; 3];
    a.read_exact(&mut three).expect("ten bytes");
    b.read_exact(&mut three).expect("ten bytes");
    assert_eq!(&three, b"012");
}

fn pread_and_pwrite_leave_the_offset() {
    let mut f = file("f", b"0123456789");
    f.seek(SeekFrom::Start(2)).expect("it seeks");
    let mut data = [0u8; 4];
    let fd = f.as_raw_fd();
    assert_eq!(ok(sys!(pread(fd, data.as_mut_ptr().cast(), 4, 5))), 4);
    assert_eq!(&data, b"5678");
    assert_eq!(ok(sys!(pwrite(fd, b"ab".as_ptr().cast(), 2, 12))), 2);
    assert_eq!(f.stream_position().expect("a position"), 2);
    assert_eq!(fs::read("f").expect("it is there"), b"0123456789\0\0ab");
    assert_eq!(ok(sys!(pread(fd, data.as_mut_ptr().cast(), 4, 100))), 0);
    fails(
        sys!(pread(fd, data.as_mut_ptr().cast(), 4, -1)),
        libc::EINVAL,
    );
    fails(sys!(pwrite(fd, data.as_ptr().cast(), 4, -1)), libc::EINVAL);
}

fn seeking_has_rules() {
    let f = file("f", b"0123456789");
    let seek = |offset, whence| sys!(lseek(f.as_raw_fd(), offset, whence));
    assert_eq!(ok(seek(-3, libc::SEEK_END)), 7);
    assert_eq!(ok(seek(2, libc::SEEK_CUR)), 9);
    assert_eq!(ok(seek(1000, libc::SEEK_SET)), 1000);
    fails(seek(-1, libc::SEEK_SET), libc::EINVAL);
    fails(seek(-2000, libc::SEEK_CUR), libc::EINVAL);
    fails(seek(0, 99), libc::EINVAL);
    assert_eq!(
        ok(seek(0, libc::SEEK_CUR)),
        1000,
        "a failed seek moves nothing"
    );
    assert_eq!((&f).read(&mut [0]).expect("beyond the end"), 0);
}

fn data_and_holes_are_found() {
    let f = file("f", b"0123456789");
    let seek = |offset, whence| sys!(lseek(f.as_raw_fd(), offset, whence));
    assert_eq!(ok(seek(3, libc::SEEK_DATA)), 3);
    assert_eq!(
        ok(seek(3, libc::SEEK_HOLE)),
        10,
        "there is a hole at every end"
    );
    fails(seek(10, libc::SEEK_DATA), libc::ENXIO);
    fails(seek(11, libc::SEEK_HOLE), libc::ENXIO);
}

fn dev_fd_is_the_descriptor() {
    let (mut reader, writer) = pipe();
    let mut again = open(
        &format!("/dev/fd/{}", writer.as_raw_fd()),
        libc::O_WRONLY,
        0,
    );
    again.write_all(b"via /dev/fd").expect("room");
    let mut data = [0; 11];
    reader.read_exact(&mut data).expect("what was written");
    assert_eq!(&data, b"via /dev/fd");
    fails(try_open("/dev/fd/77", libc::O_RDONLY, 0), libc::ENOENT);
    ok(sys!(dup2(reader.as_raw_fd(), 0)));
    drop((writer, again));
    let mut rest = String::new();
    open("/dev/stdin", libc::O_RDONLY, 0)
        .read_to_string(&mut rest)
        .expect("the end of file");
}

fn closing_twice_is_ebadf() {
    let fd = ok(sys!(dup(0)));
    ok(sys!(close(fd)));
    fails(sys!(close(fd)), libc::EBADF);
    fails(sys!(close(-1)), libc::EBADF);
}

fn flock_excludes() {
    let a = file("f", b"");
    let b = open("f", libc::O_RDONLY, 0);
    let lock = |f: &fs::File, how| sys!(flock(f.as_raw_fd(), how | libc::LOCK_NB));
    ok(lock(&a, libc::LOCK_SH));
    ok(lock(&b, libc::LOCK_SH));
    fails(lock(&b, libc::LOCK_EX), libc::EWOULDBLOCK);
    ok(lock(&a, libc::LOCK_UN));
    ok(lock(&b, libc::LOCK_EX));
    fails(lock(&a, libc::LOCK_SH), libc::EWOULDBLOCK);
    fails(lock(&a, 0), libc::EINVAL);
    // A lock belongs to the open file, which a child shares; it ends with the last close.
    assert_eq!(end_of(|| lock(&b, libc::LOCK_EX)), End::Exit(0));
    let waiter = spawn(|| {
        sys!(close(b.as_raw_fd()));
        sys!(flock(a.as_raw_fd(), libc::LOCK_EX))
    });
    sleep_ms(30);
    drop(b);
    assert_eq!(wait(waiter), End::Exit(0));
}

fn record_locks_exclude() {
    let f = file("f", b"0123456789");
    let lock = |kind: i32, start, length| {
        let mut lock: libc::flock = zeroed();
        lock.l_type = kind as _;
        lock.l_whence = libc::SEEK_SET as _;
        lock.l_start = start;
        lock.l_len = length;
        lock
    };
    let fd = f.as_raw_fd();
    ok(sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 2, 3))));
    let owner = sys!(getpid());
    in_child(|| {
        fails(
            sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_RDLCK, 4, 1))),
            libc::EAGAIN,
        );
        ok(sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 5, 0))));
        let mut question = lock(libc::F_RDLCK, 0, 0);
        ok(sys!(fcntl(fd, libc::F_GETLK, &mut question)));
        assert_eq!(
            (question.l_pid, question.l_start, question.l_len),
            (owner, 2, 3)
        );
    });
    // The child's lock has ended with it; one's own never hinders.
    ok(sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0))));
    ok(sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_UNLCK, 0, 0))));
    in_child(|| {
        ok(sys!(fcntl(fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0))));
    });
}

fn vectors_at_offsets() {
    let f = file("f", b"0123456789");
    let mut data = [0u8; 6];
    let (a, b) = data.split_at_mut(2);
    let parts = [a, b].map(|part| libc::iovec {
        iov_base: part.as_mut_ptr().cast(),
        iov_len: part.len(),
    });
    assert_eq!(ok(sys!(preadv(f.as_raw_fd(), parts.as_ptr(), 2, 3))), 6);
    assert_eq!(&data, b"345678");
    assert_eq!(ok(sys!(pwritev(f.as_raw_fd(), parts.as_ptr(), 2, 9))), 6);
    assert_eq!(fs::read("f").expect("it is there"), b"012345678345678");
}

fn copy_file_range_copies() {
    let (a, b) = (file("a", b"0123456789"), file("b", b"abc"));
    let mut from = 2;
    let count = sys!(copy_file_range(
        a.as_raw_fd(),
        &mut from,
        b.as_raw_fd(),
        ptr::null_mut(),
        5,
        0
    ));
    assert_eq!((ok(count), from), (5, 7));
    assert_eq!(fs::read("b").expect("it is there"), b"23456");
}

fn fcntl_rejects_nonsense() {
    fails(sys!(fcntl(0, 9999)), libc::EINVAL);
    let f = file("f", b"");
    fails(sys!(ioctl(f.as_raw_fd(), 0x1234_5678)), libc::ENOTTY);
}
