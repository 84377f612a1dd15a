//! Opening: flags, what is made on the way, and what others do meanwhile.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::*;

crate::harness::tests![
    tmpfile_flags_have_rules,
    an_exclusive_tmpfile_stays_nameless,
    the_root_is_a_directory,
    what_is_to_be_made_is_never_missing,
    openat2_takes_what_it_knows: Native,
    close_on_exec_is_set_while_others_close: Native,
    descriptors_go_up_to_the_limit_of_the_system: Native,
    links_to_descriptors_have_rules,
    an_empty_path_reads_links_only,
    file_systems_are_told_by_descriptor,
];

fn tmpfile(flags: i32) -> i32 {
    try_open(".", libc::O_TMPFILE | flags, 0o600)
}

fn tmpfile_flags_have_rules() {
    let bit = libc::O_TMPFILE & !libc::O_DIRECTORY;
    fails(try_open(".", bit | libc::O_RDWR, 0o600), libc::EINVAL);
    fails(tmpfile(libc::O_RDWR | libc::O_CREAT), libc::EINVAL);
    fails(tmpfile(libc::O_RDONLY), libc::EINVAL);
    fails(
        try_open("nowhere", libc::O_TMPFILE | libc::O_RDWR, 0o600),
        libc::ENOENT,
    );
    fs::write("f", "").expect("a new file");
    fails(
        try_open("f", libc::O_TMPFILE | libc::O_RDWR, 0o600),
        libc::ENOTDIR,
    );
    // A place is no file to write to.
    let place = ok(tmpfile(libc::O_PATH));
    assert_eq!(sys!(fchdir(place)), 0);
}

fn link_to(fd: i32, name: &str) -> i32 {
    let from = c(&format!("/proc/self/fd/{fd}"));
    let here = libc::AT_FDCWD;
    sys!(linkat(
        here,
        from.as_ptr(),
        here,
        c(name).as_ptr(),
        libc::AT_SYMLINK_FOLLOW
    ))
}

fn an_exclusive_tmpfile_stays_nameless() {
    let fd = ok(tmpfile(libc::O_RDWR | libc::O_EXCL));
    fails(link_to(fd, "named"), libc::ENOENT);
    let fd = ok(tmpfile(libc::O_RDWR));
    ok(link_to(fd, "named"));
    ok(link_to(fd, "again"));
    assert_eq!(fs::metadata("named").expect("it is there").nlink(), 2);
    // What has lost its names gets none any more.
    fs::remove_file("named").expect("it is there");
    fs::remove_file("again").expect("it is there");
    fails(link_to(fd, "named"), libc::ENOENT);
}

fn the_root_is_a_directory() {
    let make = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    for path in ["/", ".", "..", "/.", "//"] {
        fails(try_open(path, make, 0o600), libc::EISDIR);
        fails(try_open(path, libc::O_WRONLY, 0), libc::EISDIR);
        fails(try_open(path, make | libc::O_EXCL, 0o600), libc::EEXIST);
    }
}

fn what_is_to_be_made_is_never_missing() {
    let child = spawn(|| {
        loop {
            sys!(unlink(c"f".as_ptr()));
        }
    });
    let mut open_flags = [0, libc::O_TRUNC, libc::O_APPEND].into_iter().cycle();
    for _ in 0..20_000 {
        let flags = open_flags.next().unwrap_or_default();
        let fd = try_open("f", libc::O_WRONLY | libc::O_CREAT | flags, 0o600);
        ok(sys!(close(ok(fd))));
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn openat2_takes_what_it_knows() {
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
        more: [u64; 600],
    }
    let open = |flags: i32, mode: u64, more: u64, size: usize| {
        let mut how = How {
            flags: flags as u64,
            mode,
            resolve: 0,
            more: [0; 600],
        };
        how.more[0] = more;
        let how = &raw const how;
        sys!(syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            c"f".as_ptr(),
            how,
            size
        ))
    };
    let make = libc::O_RDWR | libc::O_CREAT;
    ok(open(make, 0o600, 0, 24));
    ok(open(make, 0o600, 0, 32));
    ok(open(make, 0o600, 0, 4096));
    fails(open(make, 0o600, 1, 32), libc::E2BIG);
    ok(open(make, 0o600, 1, 24));
    fails(open(make, 0o600, 0, 4097), libc::E2BIG);
    fails(open(make, 0o600, 0, 23), libc::EINVAL);
    fails(open(libc::O_RDWR, 0o600, 0, 24), libc::EINVAL);
    ok(open(libc::O_RDWR, 0, 0, 24));
    fails(open(make, 0o1_0000, 0, 24), libc::EINVAL);
    fails(open(libc::O_PATH | libc::O_RDWR, 0, 0, 24), libc::EINVAL);
    ok(open(libc::O_PATH | libc::O_CLOEXEC, 0, 0, 24));
}

fn close_on_exec_is_set_while_others_close() {
    const CLOEXEC: u32 = 4;
    static STOP: AtomicBool = AtomicBool::new(false);
    let busy = thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            let fd = sys!(dup(0));
            sys!(close(fd));
        }
    });
    for _ in 0..5000 {
        ok(sys!(syscall(
            libc::SYS_close_range,
            3u32,
            u32::MAX,
            CLOEXEC
        )));
    }
    STOP.store(true, Ordering::Relaxed);
    busy.join().expect("it stops");
    let file = File::open(".").expect("a place");
    ok(sys!(fcntl(file.as_raw_fd(), libc::F_SETFD, 0)));
    ok(sys!(syscall(
        libc::SYS_close_range,
        file.as_raw_fd() as u32,
        u32::MAX,
        CLOEXEC
    )));
    assert_eq!(sys!(fcntl(file.as_raw_fd(), libc::F_GETFD)), 1);
}

fn descriptors_go_up_to_the_limit_of_the_system() {
    let text = fs::read_to_string("/proc/sys/fs/nr_open").expect("procfs");
    let most: u64 = text.trim().parse().expect("a number");
    let mut limit: libc::rlimit = zeroed();
    (limit.rlim_cur, limit.rlim_max) = (most as _, most as _);
    if most > 1 << 20 || sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)) == -1 {
        // Not a machine of its own, with the usual limit.
        return;
    }
    let last = most as i32 - 1;
    assert_eq!(sys!(dup2(0, last)), last);
    fails(sys!(dup2(0, last + 1)), libc::EBADF);
    assert_eq!(sys!(fcntl(0, libc::F_DUPFD, 300_000)), 300_000);
    let mut about: libc::stat = zeroed();
    ok(sys!(fstat(last, &mut about)));
    in_child(|| {
        let mut about: libc::stat = zeroed();
        ok(sys!(fstat(last, &mut about)));
        fails(sys!(fstat(last - 1, &mut about)), libc::EBADF);
        assert!(fs::exists(format!("/proc/self/fd/{last}")).expect("a look"));
        ok(sys!(close(300_000)));
    });
    ok(sys!(close(300_000)));
    ok(sys!(syscall(
        libc::SYS_close_range,
        400_000u32,
        u32::MAX,
        0
    )));
    fails(sys!(fstat(last, &mut about)), libc::EBADF);
}

fn links_to_descriptors_have_rules() {
    fs::write("f", "").expect("a new file");
    let link = |fd: i32, to: &str| {
        let (here, empty) = (libc::AT_FDCWD, libc::AT_EMPTY_PATH);
        sys!(linkat(fd, c"".as_ptr(), here, c(to).as_ptr(), empty))
    };
    let f = File::open("f").expect("it is there");
    ok(link(f.as_raw_fd(), "g"));
    fails(link(libc::AT_FDCWD, "h"), libc::EPERM);
    let (reader, _writer) = pipe();
    fails(link(reader.as_raw_fd(), "h"), libc::EXDEV);
    ok(sys!(chmod(c".".as_ptr(), 0o777)));
    in_child(|| {
        ok(sys!(setuid(4321)));
        // Somebody else has opened it.
        fails(link(f.as_raw_fd(), "h"), libc::ENOENT);
    });
}

fn an_empty_path_reads_links_only() {
    fs::write("f", "").expect("a new file");
    std::os::unix::fs::symlink("target", "l").expect("a new link");
    let read = |fd: i32| {
        let mut text = [0 as libc::c_char; 32];
        sys!(readlinkat(fd, c"".as_ptr(), text.as_mut_ptr(), 32))
    };
    let link = open("l", libc::O_PATH | libc::O_NOFOLLOW, 0);
    assert_eq!(read(link.as_raw_fd()), 6);
    let file = open("f", libc::O_RDONLY, 0);
    fails(read(file.as_raw_fd()), libc::ENOENT);
    fails(read(libc::AT_FDCWD), libc::ENOENT);
    fails(read(99), libc::EBADF);
}

fn file_systems_are_told_by_descriptor() {
    let (reader, _writer) = pipe();
    let mut about: libc::statfs = zeroed();
    ok(sys!(fstatfs(reader.as_raw_fd(), &mut about)));
    let place = open(".", libc::O_PATH, 0);
    ok(sys!(fstatfs(place.as_raw_fd(), &mut about)));
}
