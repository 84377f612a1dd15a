//! Regular files: opening, writing, sparse content, truncation, and what is refused.

use crate::support::*;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

crate::harness::tests![
    what_is_written_is_read,
    o_creat_makes_and_o_excl_insists,
    o_trunc_empties,
    o_append_goes_to_the_end,
    appending_processes_do_not_overwrite,
    o_tmpfile_has_no_name_until_linked,
    o_directory_and_o_nofollow,
    holes_read_as_zeros_and_cost_nothing,
    truncation_shortens_and_lengthens,
    shortened_and_lengthened_again_is_zero,
    truncation_rejects_nonsense,
    fallocate_reserves,
    unlinked_files_live_while_open,
    a_file_replaced_by_rename_lives_while_open,
    a_large_file_keeps_its_bytes,
    a_terabyte_offset_works,
    too_large_is_efbig,
    directories_are_not_files,
    files_are_not_directories,
    names_have_limits,
    missing_parts_are_enoent,
    open_rejects_nonsense,
    standard_devices_behave,
    many_small_files,
    sync_calls_succeed,
    reading_a_directory_descriptor_is_eisdir,
    statfs_describes_the_file_system,
];

fn what_is_written_is_read() {
    fs::write("f", "hello\0\u{1f980}").expect("a new file");
    assert_eq!(
        fs::read_to_string("f").expect("it is there"),
        "hello\0\u{1f980}"
    );
    let mut f = File::open("f").expect("it is there");
    let mut data = [0; 5];
    f.read_exact(&mut data).expect("five bytes");
    assert_eq!(&data, b"hello");
    let mut rest = Vec::new();
    assert_eq!(f.read_to_end(&mut rest).expect("the rest"), 5);
    assert_eq!(f.read(&mut data).expect("the end"), 0);
}

fn o_creat_makes_and_o_excl_insists() {
    fails(try_open("f", libc::O_RDWR, 0), libc::ENOENT);
    drop(open("f", libc::O_RDWR | libc::O_CREAT, 0o640));
    assert_eq!(fs::metadata("f").expect("just made").len(), 0);
    let exclusive = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    fails(try_open("f", exclusive, 0o640), libc::EEXIST);
    std::os::unix::fs::symlink("nowhere", "dangling").expect("a new link");
    fails(try_open("dangling", exclusive, 0o640), libc::EEXIST);
    // Without O_EXCL the link is followed and its target made.
    drop(open("dangling", libc::O_WRONLY | libc::O_CREAT, 0o640));
    assert!(fs::metadata("nowhere").is_ok());
}

fn o_trunc_empties() {
    fs::write("f", "content").expect("a new file");
    drop(open("f", libc::O_WRONLY, 0));
    assert_eq!(fs::metadata("f").expect("there").len(), 7);
    drop(open("f", libc::O_WRONLY | libc::O_TRUNC, 0));
    assert_eq!(fs::metadata("f").expect("there").len(), 0);
}

fn o_append_goes_to_the_end() {
    fs::write("f", "one").expect("a new file");
    let mut f = open("f", libc::O_RDWR | libc::O_APPEND, 0);
    f.rewind().expect("it seeks");
    f.write_all(b"two").expect("room");
    assert_eq!(fs::read("f").expect("there"), b"onetwo");
    let mut other = open("f", libc::O_WRONLY | libc::O_APPEND, 0);
    other.write_all(b"three").expect("room");
    f.write_all(b"four").expect("room");
    assert_eq!(fs::read("f").expect("there"), b"onetwothreefour");
}

fn appending_processes_do_not_overwrite() {
    let children: Vec<i32> = (0..4)
        .map(|n| {
            spawn(|| {
                let mut f = open(
                    "log",
                    libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT,
                    0o600,
                );
                (0..100).for_each(|_| f.write_all(&[b'0' + n; 16]).expect("room"));
                0
            })
        })
        .collect();
    for child in children {
        assert_eq!(wait(child), End::Exit(0));
    }
    let data = fs::read("log").expect("four wrote it");
    assert_eq!(data.len(), 4 * 100 * 16);
    assert!(
        data.chunks(16)
            .all(|line| line.iter().all(|b| *b == line[0]))
    );
}

fn o_tmpfile_has_no_name_until_linked() {
    let mut f = open(".", libc::O_TMPFILE | libc::O_RDWR, 0o600);
    f.write_all(b"temporary").expect("room");
    assert_eq!(fs::read_dir(".").expect("here").count(), 0);
    assert_eq!(f.metadata().expect("open").nlink(), 0);
    let own = format!("/proc/self/fd/{}", f.as_raw_fd());
    let at = libc::AT_FDCWD;
    let (from, to) = (c(&own), c("named"));
    ok(sys!(linkat(
        at,
        from.as_ptr(),
        at,
        to.as_ptr(),
        libc::AT_SYMLINK_FOLLOW
    )));
    assert_eq!(fs::read("named").expect("linked now"), b"temporary");
    fails(
        try_open(".", libc::O_TMPFILE | libc::O_RDONLY, 0o600),
        libc::EINVAL,
    );
}

fn o_directory_and_o_nofollow() {
    fs::write("f", "").expect("a new file");
    std::os::unix::fs::symlink("f", "link").expect("a new link");
    fails(
        try_open("f", libc::O_RDONLY | libc::O_DIRECTORY, 0),
        libc::ENOTDIR,
    );
    drop(open(".", libc::O_RDONLY | libc::O_DIRECTORY, 0));
    fails(
        try_open("link", libc::O_RDONLY | libc::O_NOFOLLOW, 0),
        libc::ELOOP,
    );
    drop(open("f", libc::O_RDONLY | libc::O_NOFOLLOW, 0));
}

fn holes_read_as_zeros_and_cost_nothing() {
    let mut f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.seek(SeekFrom::Start(1 << 30)).expect("it seeks");
    f.write_all(b"end").expect("room for three bytes");
    let about = f.metadata().expect("open");
    assert_eq!(about.len(), (1 << 30) + 3);
    assert!(
        about.blocks() < 1000,
        "{} blocks for three bytes",
        about.blocks()
    );
    let mut data = [1; 4096];
    f.read_exact_at(&mut data, 12345).expect("a hole");
    assert!(data.iter().all(|b| *b == 0));
    f.read_exact_at(&mut data[..8], (1 << 30) - 5)
        .expect("the seam");
    assert_eq!(&data[..8], b"\0\0\0\0\0end");
}

fn truncation_shortens_and_lengthens() {
    fs::write("f", "0123456789").expect("a new file");
    ok(sys!(truncate(c"f".as_ptr(), 4)));
    assert_eq!(fs::read("f").expect("there"), b"0123");
    let f = open("f", libc::O_RDWR, 0);
    f.set_len(8).expect("it grows");
    assert_eq!(fs::read("f").expect("there"), b"0123\0\0\0\0");
}

fn shortened_and_lengthened_again_is_zero() {
    let f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.write_all_at(&[0xff; 10_000], 0).expect("room");
    f.set_len(100).expect("it shrinks");
    f.set_len(10_000).expect("it grows");
    let data = fs::read("f").expect("there");
    assert!(data[..100].iter().all(|b| *b == 0xff));
    assert!(
        data[100..].iter().all(|b| *b == 0),
        "old content shines through"
    );
}

fn truncation_rejects_nonsense() {
    fs::create_dir("d").expect("a new directory");
    fails(sys!(truncate(c"nowhere".as_ptr(), 0)), libc::ENOENT);
    fails(sys!(truncate(c"d".as_ptr(), 0)), libc::EISDIR);
    fs::write("f", "x").expect("a new file");
    fails(sys!(truncate(c"f".as_ptr(), -1)), libc::EINVAL);
    fails(sys!(truncate(c"f/x".as_ptr(), 0)), libc::ENOTDIR);
}

fn fallocate_reserves() {
    let f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.write_all_at(b"data", 0).expect("room");
    ok(sys!(fallocate(f.as_raw_fd(), 0, 0, 20_000)));
    assert_eq!(f.metadata().expect("open").len(), 20_000);
    ok(sys!(fallocate(
        f.as_raw_fd(),
        libc::FALLOC_FL_KEEP_SIZE,
        0,
        50_000
    )));
    assert_eq!(f.metadata().expect("open").len(), 20_000);
    assert_eq!(&fs::read("f").expect("there")[..5], b"data\0");
    fails(sys!(fallocate(f.as_raw_fd(), 0, 0, 0)), libc::EINVAL);
    fails(sys!(fallocate(f.as_raw_fd(), 0, -1, 5)), libc::EINVAL);
}

fn unlinked_files_live_while_open() {
    let mut f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.write_all(b"still ").expect("room");
    fs::remove_file("f").expect("there");
    assert_eq!(f.metadata().expect("open").nlink(), 0);
    f.write_all(b"here").expect("room");
    f.rewind().expect("it seeks");
    let mut text = String::new();
    f.read_to_string(&mut text).expect("text");
    assert_eq!(text, "still here");
    // A new file of that name is another one.
    fs::write("f", "new").expect("a new file");
    assert_ne!(
        fs::metadata("f").expect("there").ino(),
        f.metadata().expect("open").ino()
    );
}

fn a_file_replaced_by_rename_lives_while_open() {
    fs::write("old", "old").expect("a new file");
    fs::write("new", "new").expect("a new file");
    let mut f = File::open("old").expect("there");
    fs::rename("new", "old").expect("both are there");
    let mut text = String::new();
    f.read_to_string(&mut text).expect("text");
    assert_eq!(text, "old");
    assert_eq!(fs::read("old").expect("there"), b"new");
    assert!(fs::metadata("new").is_err());
}

fn a_large_file_keeps_its_bytes() {
    const SIZE: usize = 6 << 20;
    let byte_at = |n: usize| (n.wrapping_mul(40_503) >> 7) as u8;
    let data: Vec<u8> = (0..SIZE).map(byte_at).collect();
    let mut f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    for piece in data.chunks(77_777) {
        f.write_all(piece).expect("room");
    }
    f.rewind().expect("it seeks");
    let mut back = Vec::new();
    f.read_to_end(&mut back).expect("all of it");
    assert!(back == data);
}

fn a_terabyte_offset_works() {
    let f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.write_all_at(b"far", 1 << 40)
        .expect("three bytes far out");
    let mut data = [0; 3];
    f.read_exact_at(&mut data, 1 << 40)
        .expect("what was written");
    assert_eq!(&data, b"far");
    f.set_len(0).expect("it shrinks");
}

fn too_large_is_efbig() {
    let f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    fails(sys!(ftruncate(f.as_raw_fd(), i64::MAX)), libc::EFBIG);
}

fn directories_are_not_files() {
    fs::create_dir("d").expect("a new directory");
    fails(try_open("d", libc::O_WRONLY, 0), libc::EISDIR);
    fails(try_open("d", libc::O_RDWR, 0), libc::EISDIR);
    fails(
        try_open("d", libc::O_RDONLY | libc::O_CREAT, 0o600),
        libc::EISDIR,
    );
    fails(sys!(unlink(c"d".as_ptr())), libc::EISDIR);
    fails(
        try_open("new/", libc::O_WRONLY | libc::O_CREAT, 0o600),
        libc::EISDIR,
    );
}

fn files_are_not_directories() {
    fs::write("f", "").expect("a new file");
    fails(try_open("f/x", libc::O_RDONLY, 0), libc::ENOTDIR);
    fails(try_open("f/", libc::O_RDONLY, 0), libc::ENOTDIR);
    fails(try_open("f/.", libc::O_RDONLY, 0), libc::ENOTDIR);
    fails(sys!(rmdir(c"f".as_ptr())), libc::ENOTDIR);
    fails(sys!(chdir(c"f".as_ptr())), libc::ENOTDIR);
    fails(sys!(mkdir(c"f/d".as_ptr(), 0o700)), libc::ENOTDIR);
}

fn names_have_limits() {
    let longest = "n".repeat(255);
    drop(open(&longest, libc::O_CREAT | libc::O_WRONLY, 0o600));
    assert_eq!(fs::read_dir(".").expect("here").count(), 1);
    fails(
        try_open(&"n".repeat(256), libc::O_CREAT, 0o600),
        libc::ENAMETOOLONG,
    );
    fails(
        try_open(&"x/".repeat(2100), libc::O_RDONLY, 0),
        libc::ENAMETOOLONG,
    );
    let just_right = format!("{}{longest}", "./".repeat(1900));
    drop(open(&just_right, libc::O_RDONLY, 0));
    for odd in ["-", " ", "new\nline", "\u{e4}", "\x01", "...", "a*b?"] {
        drop(open(odd, libc::O_CREAT | libc::O_WRONLY, 0o600));
        assert!(fs::symlink_metadata(odd).is_ok());
    }
}

fn missing_parts_are_enoent() {
    fails(try_open("", libc::O_RDONLY, 0), libc::ENOENT);
    fails(try_open("no/such/file", libc::O_RDONLY, 0), libc::ENOENT);
    fails(
        try_open("no/file", libc::O_CREAT | libc::O_WRONLY, 0o600),
        libc::ENOENT,
    );
    fails(sys!(mkdir(c"no/dir".as_ptr(), 0o700)), libc::ENOENT);
    fails(sys!(unlink(c"no".as_ptr())), libc::ENOENT);
    fails(
        sys!(rename(c"no".as_ptr(), c"other".as_ptr())),
        libc::ENOENT,
    );
}

fn open_rejects_nonsense() {
    let f = open("f", libc::O_CREAT | libc::O_RDWR, 0o600);
    // Relative to a descriptor that is no directory.
    fails(sys!(openat(f.as_raw_fd(), c"x".as_ptr(), 0)), libc::ENOTDIR);
    // An absolute path does not care.
    ok(sys!(openat(f.as_raw_fd(), c"/dev/null".as_ptr(), 0)));
    ok(sys!(openat(99, c"/dev/null".as_ptr(), 0)));
}

fn standard_devices_behave() {
    let mut null = open("/dev/null", libc::O_RDWR, 0);
    assert_eq!(null.write(&[1; 1000]).expect("it swallows"), 1000);
    assert_eq!(null.read(&mut [0; 10]).expect("it is empty"), 0);
    let mut zero = open("/dev/zero", libc::O_RDWR, 0);
    let mut data = [1; 5000];
    zero.read_exact(&mut data).expect("zeros without end");
    assert!(data.iter().all(|b| *b == 0));
    assert_eq!(zero.write(&[1; 10]).expect("it swallows"), 10);
    let mut full = open("/dev/full", libc::O_RDWR, 0);
    let error = full.write(&[1]).expect_err("it is full");
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    for name in ["/dev/random", "/dev/urandom"] {
        let mut f = File::open(name).expect("a device");
        let (mut a, mut b) = ([0; 64], [0; 64]);
        f.read_exact(&mut a).expect("randomness");
        f.read_exact(&mut b).expect("randomness");
        assert_ne!(a, b);
    }
}

fn many_small_files() {
    for n in 0..2000 {
        fs::write(format!("file-{n}"), n.to_string()).expect("a new file");
    }
    assert_eq!(fs::read_dir(".").expect("here").count(), 2000);
    for n in (0..2000).step_by(7) {
        let content = fs::read_to_string(format!("file-{n}")).expect("just made");
        assert_eq!(content, n.to_string());
    }
    for n in 0..2000 {
        fs::remove_file(format!("file-{n}")).expect("just made");
    }
    assert_eq!(fs::read_dir(".").expect("here").count(), 0);
}

fn sync_calls_succeed() {
    let f = OpenOptions::new()
        .create(true)
        .append(true)
        .open("f")
        .expect("a new file");
    ok(sys!(fsync(f.as_raw_fd())));
    ok(sys!(fdatasync(f.as_raw_fd())));
    ok(sys!(syncfs(f.as_raw_fd())));
    let (reader, _writer) = pipe();
    fails(sys!(fsync(reader.as_raw_fd())), libc::EINVAL);
}

fn reading_a_directory_descriptor_is_eisdir() {
    let here = open(".", libc::O_RDONLY, 0);
    let mut byte = [0u8];
    fails(
        sys!(read(here.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EISDIR,
    );
    fails(
        sys!(write(here.as_raw_fd(), byte.as_ptr().cast(), 1)),
        libc::EBADF,
    );
}

fn statfs_describes_the_file_system() {
    let mut about: libc::statfs = zeroed();
    ok(sys!(statfs(c".".as_ptr(), &mut about)));
    assert!(about.f_bsize > 0 && about.f_blocks > 0);
    assert!(about.f_bfree <= about.f_blocks && about.f_bavail <= about.f_bfree);
    let mut other: libc::statfs = zeroed();
    ok(sys!(fstatfs(
        open(".", libc::O_RDONLY, 0).as_raw_fd(),
        &mut other
    )));
    assert_eq!(other.f_type, about.f_type);
    ok(sys!(statfs(c"/proc".as_ptr(), &mut other)));
    assert_eq!(other.f_type as u64, 0x9fa0);
    fails(sys!(statfs(c"nowhere".as_ptr(), &mut other)), libc::ENOENT);
}
