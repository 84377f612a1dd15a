//! What a file is besides its bytes: modes, times, attributes.

use crate::support::*;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

crate::harness::tests![
    modes_are_set_and_told,
    file_kinds_are_told,
    sizes_and_blocks_are_told,
    times_move_with_what_is_done,
    times_can_be_set,
    utimensat_knows_now_and_omit,
    nanoseconds_are_kept,
    statx_tells_the_same,
    device_numbers_are_told,
    extended_attributes_are_kept,
    extended_attributes_have_errors,
    inode_numbers_are_unique,
    mknod_makes_nodes,
];

fn mode(path: &str) -> u32 {
    fs::metadata(path).expect("there").mode()
}

fn modes_are_set_and_told() {
    fs::write("f", "").expect("a new file");
    for bits in [0o000, 0o777, 0o4755, 0o2750, 0o1777, 0o600] {
        ok(sys!(chmod(c"f".as_ptr(), bits)));
        assert_eq!(mode("f") & 0o7777, bits);
    }
    let f = open("f", libc::O_RDONLY, 0);
    ok(sys!(fchmod(f.as_raw_fd(), 0o640)));
    assert_eq!(mode("f") & 0o7777, 0o640);
    fails(sys!(chmod(c"nowhere".as_ptr(), 0o600)), libc::ENOENT);
}

fn file_kinds_are_told() {
    fs::write("f", "").expect("a new file");
    let kind = |path| mode(path) & libc::S_IFMT;
    assert_eq!(kind("f"), libc::S_IFREG);
    assert_eq!(kind("."), libc::S_IFDIR);
    assert_eq!(kind("/dev/null"), libc::S_IFCHR);
    let (reader, _writer) = pipe();
    let mut about: libc::stat = zeroed();
    ok(sys!(fstat(reader.as_raw_fd(), &mut about)));
    assert_eq!(about.st_mode & libc::S_IFMT, libc::S_IFIFO);
}

fn sizes_and_blocks_are_told() {
    fs::write("f", vec![1; 10_000]).expect("a new file");
    let about = fs::metadata("f").expect("there");
    assert_eq!(about.len(), 10_000);
    assert!(about.blocks() * 512 >= 10_000 && about.blocks() < 100);
    assert!(about.blksize() >= 512);
}

fn times_move_with_what_is_done() {
    let times = |path: &str| {
        let about = fs::metadata(path).expect("there");
        let modified = about.modified().expect("a time");
        (modified, (about.ctime(), about.ctime_nsec()))
    };
    fs::write("f", "x").expect("a new file");
    let first = times("f");
    let age = SystemTime::now()
        .duration_since(first.0)
        .unwrap_or_default();
    assert!(age < Duration::from_secs(60), "made {age:?} ago");
    sleep_ms(30);
    fs::write("f", "y").expect("there");
    let second = times("f");
    assert!(
        second.0 > first.0 && second.1 > first.1,
        "writing changes both"
    );
    sleep_ms(30);
    ok(sys!(chmod(c"f".as_ptr(), 0o600)));
    let third = times("f");
    assert!(
        third.0 == second.0 && third.1 > second.1,
        "chmod changes one"
    );
    let directory = times(".");
    sleep_ms(30);
    fs::write("g", "").expect("a new file");
    assert!(
        times(".").0 > directory.0,
        "a new name changes the directory"
    );
}

fn set_times(path: &str, access: (i64, i64), modified: (i64, i64)) -> i32 {
    let spec = |(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec };
    let times = [spec(access), spec(modified)];
    sys!(utimensat(
        libc::AT_FDCWD,
        c(path).as_ptr(),
        times.as_ptr(),
        0
    ))
}

fn times_can_be_set() {
    fs::write("f", "").expect("a new file");
    ok(set_times("f", (1_000_000_000, 0), (1_234_567_890, 0)));
    let about = fs::metadata("f").expect("there");
    assert_eq!(
        (about.atime(), about.mtime()),
        (1_000_000_000, 1_234_567_890)
    );
    assert!(about.ctime() > 1_234_567_890, "the change itself is now");
    fails(set_times("nowhere", (0, 0), (0, 0)), libc::ENOENT);
    fails(set_times("f", (0, 1_000_000_000), (0, 0)), libc::EINVAL);
}

fn utimensat_knows_now_and_omit() {
    fs::write("f", "").expect("a new file");
    ok(set_times("f", (5, 0), (6, 0)));
    ok(set_times("f", (0, libc::UTIME_OMIT), (0, libc::UTIME_NOW)));
    let about = fs::metadata("f").expect("there");
    assert_eq!(about.atime(), 5);
    assert!(about.mtime() > 1_000_000);
    ok(sys!(utimensat(
        libc::AT_FDCWD,
        c"f".as_ptr(),
        std::ptr::null(),
        0
    )));
    assert!(fs::metadata("f").expect("there").atime() > 1_000_000);
}

fn nanoseconds_are_kept() {
    fs::write("f", "").expect("a new file");
    ok(set_times("f", (7, 123_456_789), (8, 987_654_321)));
    let about = fs::metadata("f").expect("there");
    assert_eq!(
        (about.atime_nsec(), about.mtime_nsec()),
        (123_456_789, 987_654_321)
    );
}

fn statx_tells_the_same() {
    fs::write("f", "12345").expect("a new file");
    let mut extended: libc::statx = zeroed();
    let number = libc::SYS_statx;
    let path = c("f");
    let here = libc::AT_FDCWD;
    ok(sys!(syscall(
        number,
        here,
        path.as_ptr(),
        0,
        0x7ff,
        &raw mut extended
    )));
    let about = fs::metadata("f").expect("there");
    assert_eq!(extended.stx_size, about.len());
    assert_eq!(extended.stx_ino, about.ino());
    assert_eq!(u32::from(extended.stx_mode), about.mode());
    assert_eq!(extended.stx_mtime.tv_sec, about.mtime());
    assert_eq!(extended.stx_nlink, 1);
    assert_eq!(extended.stx_mask & 0x7ff, 0x7ff);
}

fn device_numbers_are_told() {
    let numbers = |path: &str| {
        let device = fs::metadata(path).expect("there").rdev();
        (libc::major(device), libc::minor(device))
    };
    assert_eq!(numbers("/dev/null"), (1, 3));
    assert_eq!(numbers("/dev/zero"), (1, 5));
    assert_eq!(numbers("/dev/full"), (1, 7));
    assert_eq!(numbers("/dev/random"), (1, 8));
    assert_eq!(numbers("/dev/urandom"), (1, 9));
    assert_eq!(numbers("/dev/tty"), (5, 0));
}

fn set_attribute(path: &str, name: &str, value: &[u8], flags: i32) -> i32 {
    let (path, name) = (c(path), c(name));
    let (at, size) = (value.as_ptr().cast(), value.len());
    sys!(setxattr(path.as_ptr(), name.as_ptr(), at, size, flags))
}

fn get_attribute(path: &str, name: &str, buffer: &mut [u8]) -> isize {
    let (path, name) = (c(path), c(name));
    let (at, size) = (buffer.as_mut_ptr().cast(), buffer.len());
    sys!(getxattr(path.as_ptr(), name.as_ptr(), at, size))
}

fn extended_attributes_are_kept() {
    fs::write("f", "").expect("a new file");
    ok(set_attribute("f", "user.one", b"first", 0));
    ok(set_attribute("f", "user.two", b"", 0));
    ok(set_attribute("f", "user.one", b"again\0\xff", 0));
    let mut buffer = [0; 20];
    assert_eq!(ok(get_attribute("f", "user.one", &mut buffer)), 7);
    assert_eq!(&buffer[..7], b"again\0\xff");
    assert_eq!(ok(get_attribute("f", "user.two", &mut buffer)), 0);
    assert_eq!(ok(get_attribute("f", "user.one", &mut [])), 7, "its size");
    let mut names = [0u8; 100];
    let size = ok(sys!(listxattr(
        c"f".as_ptr(),
        names.as_mut_ptr().cast(),
        100
    ))) as usize;
    let mut names: Vec<&[u8]> = names[..size]
        .split(|b| *b == 0)
        .filter(|name| name.starts_with(b"user."))
        .collect();
    names.sort_unstable();
    assert_eq!(names, [b"user.one", b"user.two"]);
    ok(sys!(removexattr(c"f".as_ptr(), c"user.one".as_ptr())));
    fails(get_attribute("f", "user.one", &mut buffer), libc::ENODATA);
    let f = open("f", libc::O_RDONLY, 0);
    let two = c("user.two");
    assert_eq!(
        ok(sys!(fgetxattr(
            f.as_raw_fd(),
            two.as_ptr(),
            buffer.as_mut_ptr().cast(),
            20
        ))),
        0
    );
}

fn extended_attributes_have_errors() {
    fs::write("f", "").expect("a new file");
    fails(get_attribute("f", "user.none", &mut []), libc::ENODATA);
    fails(get_attribute("nowhere", "user.none", &mut []), libc::ENOENT);
    ok(set_attribute("f", "user.a", b"value", libc::XATTR_CREATE));
    fails(
        set_attribute("f", "user.a", b"value", libc::XATTR_CREATE),
        libc::EEXIST,
    );
    fails(
        set_attribute("f", "user.b", b"value", libc::XATTR_REPLACE),
        libc::ENODATA,
    );
    fails(get_attribute("f", "user.a", &mut [0; 2]), libc::ERANGE);
    fails(set_attribute("f", "nonsense", b"x", 0), libc::EOPNOTSUPP);
    let long = format!("user.{}", "n".repeat(251));
    fails(set_attribute("f", &long, b"x", 0), libc::ERANGE);
}

fn inode_numbers_are_unique() {
    let mut seen = std::collections::HashSet::new();
    for n in 0..200 {
        let name = n.to_string();
        fs::write(&name, "").expect("a new file");
        assert!(seen.insert(fs::metadata(&name).expect("there").ino()));
    }
    let device = fs::metadata("1").expect("there").dev();
    assert_eq!(fs::metadata("2").expect("there").dev(), device);
    assert_ne!(fs::metadata("/proc").expect("there").dev(), device);
}

fn mknod_makes_nodes() {
    ok(sys!(mknod(c"fifo".as_ptr(), libc::S_IFIFO | 0o600, 0)));
    assert_eq!(mode("fifo") & libc::S_IFMT, libc::S_IFIFO);
    ok(sys!(mknod(c"file".as_ptr(), libc::S_IFREG | 0o600, 0)));
    assert_eq!(mode("file"), libc::S_IFREG | 0o600);
    fails(
        sys!(mknod(c"file".as_ptr(), libc::S_IFREG | 0o600, 0)),
        libc::EEXIST,
    );
    fails(
        sys!(mknod(c"d".as_ptr(), libc::S_IFDIR | 0o600, 0)),
        libc::EPERM,
    );
}
