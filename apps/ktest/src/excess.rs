//! Files in excess: very many, very long, very deep, and whoever asks for it has no rights over others.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use crate::support::*;

crate::harness::tests![
    a_directory_holds_as_many_names_as_it_is_given,
    a_reader_does_not_meet_what_is_renamed_for_ever,
    a_path_of_any_depth_is_described_or_refused,
    attributes_of_a_file_can_be_listed,
];

fn names(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(path).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    };
    entries.map(name).collect()
}

fn a_directory_holds_as_many_names_as_it_is_given() {
    const NAMES: usize = 67_000;
    fs::create_dir("d").expect("a new directory");
    let name = |n: usize| format!("d/{n}");
    for n in 0..NAMES {
        ok(sys!(mknod(c(&name(n)).as_ptr(), libc::S_IFREG | 0o600, 0)));
    }
    // The last one is as much one directory as the first: who is in it moves with it.
    fs::create_dir("d/last").expect("room for one more");
    std::env::set_current_dir("d/last").expect("it is there");
    fs::rename("../last", "../renamed").expect("it is there");
    let here = std::env::current_dir().expect("a place");
    assert!(here.ends_with("d/renamed"), "{here:?}");
    std::env::set_current_dir("../..").expect("it is there");
    assert_eq!(fs::read_dir("d").expect("it is there").count(), NAMES + 1);
    for n in (0..NAMES).step_by(2) {
        fs::remove_file(name(n)).expect("it was made");
    }
    let mut left = names("d");
    assert!(left.remove("renamed"));
    let odd = |name: &String| name.parse::<usize>().is_ok_and(|n| n % 2 == 1);
    assert!(left.iter().all(odd));
    assert_eq!(left.len(), NAMES / 2);
    for n in (1..NAMES).step_by(2) {
        fs::remove_file(name(n)).expect("it was made");
    }
    fs::remove_dir("d/renamed").expect("it is empty");
    fs::remove_dir("d").expect("it is empty");
}

fn a_reader_does_not_meet_what_is_renamed_for_ever() {
    const NAMES: usize = 100;
    fs::create_dir("d").expect("a new directory");
    for n in 0..NAMES {
        fs::write(format!("d/{n}"), "").expect("a new file");
    }
    let directory = File::open("d").expect("it is there");
    let mut met = 0;
    loop {
        // A few at a time, so that the reader comes back after the renames.
        let mut buffer = [0u8; 160];
        let n = ok(sys!(syscall(
            libc::SYS_getdents64,
            directory.as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len()
        )));
        let mut rest = &buffer[..n as usize];
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let (entry, behind) = rest.split_at(usize::from(rest[16]));
            rest = behind;
            let name = entry[19..].split(|&b| b == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            if !name.starts_with('.') {
                fs::rename(format!("d/{name}"), format!("d/{name}x")).expect("it was listed");
                met += 1;
                assert!(met <= 20 * NAMES, "a reader that never comes to the end");
            }
        }
    }
    assert!(met >= NAMES);
    assert_eq!(names("d").len(), NAMES);
}

fn a_path_of_any_depth_is_described_or_refused() {
    const DEPTH: usize = 17_000;
    let name = c(&"d".repeat(250));
    let start = File::open(".").expect("a place");
    for _ in 0..DEPTH {
        ok(sys!(mkdir(name.as_ptr(), 0o700)));
        ok(sys!(chdir(name.as_ptr())));
    }
    let mut text = vec![0u8; 8 << 20];
    let cwd = sys!(syscall(libc::SYS_getcwd, text.as_mut_ptr(), text.len()));
    fails(cwd, libc::ENAMETOOLONG);
    let link = c"/proc/self/cwd".as_ptr();
    let read = sys!(readlink(link, text.as_mut_ptr().cast(), text.len()));
    fails(read, libc::ENAMETOOLONG);
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let (prot, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    let page = sys!(mmap(
        std::ptr::null_mut(),
        1,
        prot,
        flags,
        file.as_raw_fd(),
        0
    ));
    assert_ne!(page, libc::MAP_FAILED);
    assert!(fs::read("/proc/self/maps").is_ok_and(|text| !text.is_empty()));
    fs::remove_file("f").expect("it is there");
    for _ in 0..DEPTH {
        ok(sys!(chdir(c"..".as_ptr())));
        ok(sys!(rmdir(name.as_ptr())));
    }
    assert_eq!(fs::read_dir(".").expect("a place").count(), 0);
    ok(sys!(fchdir(start.as_raw_fd())));
}

fn attributes_of_a_file_can_be_listed() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let fd = file.as_raw_fd();
    let mut set = 0;
    let mut length = 0;
    while set < 20_000 {
        let name = format!("user.{set:0>248}");
        if sys!(fsetxattr(
            fd,
            c(&name).as_ptr(),
            name.as_ptr().cast(),
            10,
            0
        )) == -1
        {
            assert_eq!(errno(), libc::ENOSPC);
            break;
        }
        set += 1;
        length += name.len() + 1;
    }
    let mut names = vec![0u8; 8 << 20];
    let listed = sys!(flistxattr(fd, names.as_mut_ptr().cast(), names.len()));
    if listed == -1 {
        // Where more can be set than the call can tell.
        assert_eq!(errno(), libc::E2BIG);
        return;
    }
    let names = &names[..listed as usize];
    let own = names.split_inclusive(|&b| b == 0);
    let own = own.filter(|name| name.starts_with(b"user."));
    let (count, bytes) = own.fold((0, 0), |(n, b), name| (n + 1, b + name.len()));
    assert_eq!((count, bytes), (set, length));
}
