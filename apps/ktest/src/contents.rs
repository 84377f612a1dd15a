//! What changes contents and what does not: sizes, holes, times, limits, and readers meanwhile.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::support::*;

crate::harness::tests![
    emptying_the_empty_changes_its_time,
    writing_nothing_changes_nothing,
    the_size_limit_forbids_growth_only,
    what_is_reserved_past_the_end_can_be_given_back,
    holes_and_data_are_found_in_long_files,
    a_reader_sees_no_zeros_while_a_file_is_cut,
    a_mapped_page_outlives_no_cut,
    sealed_files_do_not_grow: Native,
    a_failed_reservation_destroys_nothing,
];

fn file() -> File {
    open("f", libc::O_RDWR | libc::O_CREAT, 0o600)
}

/// A file in a file system of one mebibyte in memory, mounted at `m`.
fn small_file() -> File {
    fs::create_dir("m").expect("a new directory");
    ok(sys!(mount(
        c"none".as_ptr(),
        c"m".as_ptr(),
        c"tmpfs".as_ptr(),
        0,
        c"size=1m".as_ptr().cast()
    )));
    open("m/f", libc::O_RDWR | libc::O_CREAT, 0o600)
}

fn unmount() {
    ok(sys!(umount2(c"m".as_ptr(), libc::MNT_DETACH)));
}

fn modified(file: &File) -> i64 {
    file.metadata().expect("it is open").mtime()
}

fn long_ago(file: &File) {
    let times = [libc::timespec {
        tv_sec: 1000,
        tv_nsec: 0,
    }; 2];
    ok(sys!(futimens(file.as_raw_fd(), times.as_ptr())));
    assert_eq!(modified(file), 1000);
}

fn emptying_the_empty_changes_its_time() {
    let f = file();
    long_ago(&f);
    drop(open("f", libc::O_WRONLY, 0));
    assert_eq!(modified(&f), 1000);
    drop(open("f", libc::O_WRONLY | libc::O_TRUNC, 0));
    assert!(modified(&f) > 1000);
    long_ago(&f);
    f.set_len(0).expect("as it is");
    assert!(modified(&f) > 1000);
}

fn writing_nothing_changes_nothing() {
    let f = file();
    long_ago(&f);
    assert_eq!(sys!(write(f.as_raw_fd(), c"".as_ptr().cast(), 0)), 0);
    assert_eq!(sys!(pwrite(f.as_raw_fd(), c"".as_ptr().cast(), 0, 99)), 0);
    assert_eq!(modified(&f), 1000);
    assert_eq!(f.metadata().expect("it is open").len(), 0);
    assert_eq!(sys!(write(f.as_raw_fd(), c"x".as_ptr().cast(), 1)), 1);
    assert!(modified(&f) > 1000);
}

fn the_size_limit_forbids_growth_only() {
    let f = file();
    f.set_len(10_000).expect("room");
    in_child(|| {
        sys!(signal(libc::SIGXFSZ, libc::SIG_IGN));
        let limit = libc::rlimit {
            rlim_cur: 1000,
            rlim_max: 1000,
        };
        ok(sys!(setrlimit(libc::RLIMIT_FSIZE, &limit)));
        let fd = f.as_raw_fd();
        ok(sys!(ftruncate(fd, 5000)));
        fails(sys!(ftruncate(fd, 5001)), libc::EFBIG);
        ok(sys!(truncate(c"f".as_ptr(), 3000)));
        fails(sys!(truncate(c"f".as_ptr(), 3001)), libc::EFBIG);
        ok(sys!(fallocate(fd, 0, 0, 3000)));
        fails(sys!(fallocate(fd, 0, 0, 3001)), libc::EFBIG);
        // In a file system in memory also where the size stays.
        let fd = ok(sys!(memfd_create(c"f".as_ptr(), 0)));
        ok(sys!(fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, 0, 1000)));
        fails(
            sys!(fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, 0, 1001)),
            libc::EFBIG,
        );
        let fd = f.as_raw_fd();
        fails(
            sys!(pwrite(fd, c"x".as_ptr().cast(), 1, 1000)) as i32,
            libc::EFBIG,
        );
    });
}

fn what_is_reserved_past_the_end_can_be_given_back() {
    const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
    let f = small_file();
    let fd = f.as_raw_fd();
    let kept = || f.metadata().expect("it is open").blocks() * 512 >= 100_000;
    f.set_len(10).expect("room");
    ok(sys!(fallocate(fd, KEEP, 0, 200_000)));
    assert!(kept());
    f.set_len(10).expect("as it is");
    assert!(!kept(), "the end is the end");
    ok(sys!(fallocate(fd, KEEP, 0, 200_000)));
    assert!(kept());
    ok(sys!(fallocate(
        fd,
        KEEP | libc::FALLOC_FL_PUNCH_HOLE,
        4096,
        200_000
    )));
    assert!(!kept());
    assert_eq!(f.metadata().expect("it is open").len(), 10);
    unmount();
}

fn holes_and_data_are_found_in_long_files() {
    const SIZE: u64 = 40 << 20;
    let f = file();
    let piece = vec![1; 1 << 20];
    for n in 0..SIZE >> 20 {
        f.write_all_at(&piece, n << 20).expect("room");
    }
    let seek = |from: u64, what| ok(sys!(lseek(f.as_raw_fd(), from as i64, what))) as u64;
    assert_eq!(seek(0, libc::SEEK_HOLE), SIZE);
    assert_eq!(seek(5, libc::SEEK_DATA), 5);
    let punch = libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE;
    let middle = SIZE / 2;
    ok(sys!(fallocate(f.as_raw_fd(), punch, middle as i64, 65536)));
    assert_eq!(seek(1, libc::SEEK_HOLE), middle);
    assert_eq!(seek(middle, libc::SEEK_HOLE), middle);
    assert_eq!(seek(middle, libc::SEEK_DATA), middle + 65536);
    assert_eq!(seek(middle + 65536, libc::SEEK_HOLE), SIZE);
    f.set_len(SIZE + 1_000_000).expect("room");
    assert_eq!(seek(middle + 65536, libc::SEEK_HOLE), SIZE);
    fails(
        sys!(lseek(f.as_raw_fd(), SIZE as i64, libc::SEEK_DATA)),
        libc::ENXIO,
    );
    f.set_len(1).expect("it shrinks");
    assert!(f.metadata().expect("it is open").blocks() <= 16);
}

fn a_reader_sees_no_zeros_while_a_file_is_cut() {
    const SIZE: usize = 256 << 10;
    let f = file();
    let child = spawn(|| {
        let content = vec![b'x'; SIZE];
        loop {
            f.write_all_at(&content, 0).expect("room");
            f.set_len(0).expect("it shrinks");
        }
    });
    let mut bytes = vec![0; SIZE];
    let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while std::time::Instant::now() < end {
        let n = f.read_at(&mut bytes, 0).expect("it reads");
        let zero = bytes[..n].iter().position(|&b| b != b'x');
        assert_eq!(zero, None, "of {n} bytes");
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn a_mapped_page_outlives_no_cut() {
    const ROUNDS: u8 = 200;
    let f = file();
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    f.set_len(4096).expect("room");
    let page = sys!(mmap(
        std::ptr::null_mut(),
        4096,
        prot,
        flags,
        f.as_raw_fd(),
        0
    ));
    assert_ne!(page, libc::MAP_FAILED);
    // Another cuts and lengthens a file of its own meanwhile, so that two cuts are under way.
    let child = spawn(|| {
        let other = open("other", libc::O_RDWR | libc::O_CREAT, 0o600);
        loop {
            ok(sys!(ftruncate(other.as_raw_fd(), 0)));
            ok(sys!(ftruncate(other.as_raw_fd(), 4096)));
        }
    });
    for round in 1..=ROUNDS {
        // SAFETY: the page is mapped, and the file covers it now.
        unsafe { page.cast::<u8>().write_volatile(round) };
        f.set_len(0).expect("it shrinks");
        f.set_len(4096).expect("it grows");
        // SAFETY: as above.
        assert_eq!(unsafe { page.cast::<u8>().read_volatile() }, 0);
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn sealed_files_do_not_grow() {
    let fd = ok(sys!(memfd_create(c"f".as_ptr(), libc::MFD_ALLOW_SEALING)));
    // SAFETY: it has just been made.
    let mut f = unsafe { File::from_raw_fd(fd) };
    f.write_all_at(b"content", 0).expect("room");
    ok(sys!(fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_GROW)));
    fails(sys!(fallocate(fd, 0, 0, 100)), libc::EPERM);
    let keep = libc::FALLOC_FL_KEEP_SIZE;
    fails(sys!(fallocate(fd, keep, 0, 100)), libc::EPERM);
    ok(sys!(fallocate(fd, keep, 0, 7)));
    // Nothing of what was refused has been done; not everywhere is there such a call.
    assert_eq!(sys!(fallocate(fd, libc::FALLOC_FL_ZERO_RANGE, 0, 100)), -1);
    let mut text = String::new();
    f.read_to_string(&mut text).expect("it reads");
    assert_eq!(text, "content");
}

fn a_failed_reservation_destroys_nothing() {
    let f = small_file();
    f.set_len(1 << 21).expect("it is all hole");
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let pages = sys!(mmap(
        std::ptr::null_mut(),
        1 << 21,
        prot,
        flags,
        f.as_raw_fd(),
        0
    ));
    assert_ne!(pages, libc::MAP_FAILED);
    let at = |n: usize| pages.cast::<u8>().wrapping_add(n * 8192);
    let child = spawn(|| {
        loop {
            sys!(fallocate(f.as_raw_fd(), 0, 0, 1 << 21));
        }
    });
    for n in 0..64 {
        // SAFETY: within the mapping, which the file covers; there is room for so many pages.
        unsafe { at(n).write_volatile(n as u8 + 1) };
        sleep_ms(1);
    }
    for n in 0..64 {
        // SAFETY: as above.
        assert_eq!(unsafe { at(n).read_volatile() }, n as u8 + 1);
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
    ok(sys!(munmap(pages, 1 << 21)));
    unmount();
}
