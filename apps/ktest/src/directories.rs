//! Directories: making, listing, removing, renaming, and the `*at` calls.

use crate::support::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

crate::harness::tests![
    mkdir_and_rmdir,
    only_empty_directories_are_removed,
    dot_and_dotdot_cannot_be_removed,
    listing_shows_everything_once,
    large_listings_are_whole,
    listing_survives_removal,
    entry_types_are_told,
    link_counts_follow_subdirectories,
    chdir_and_getcwd,
    fchdir_goes_where_the_descriptor_points,
    getcwd_has_rules,
    a_removed_working_directory_is_empty,
    paths_are_walked,
    rename_moves_between_directories,
    rename_replaces,
    rename_refuses,
    rename_of_a_directory_into_itself_is_einval,
    renameat2_has_flags,
    at_calls_start_at_their_directory,
    unlinkat_tells_kinds_apart,
    deep_trees_work,
    umask_limits_new_things,
    chroot_moves_the_root: Native,
];

fn names(path: &str) -> BTreeSet<String> {
    fs::read_dir(path)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn mkdir_and_rmdir() {
    ok(sys!(mkdir(c"d".as_ptr(), 0o755)));
    fails(sys!(mkdir(c"d".as_ptr(), 0o755)), libc::EEXIST);
    fails(sys!(mkdir(c"/".as_ptr(), 0o755)), libc::EEXIST);
    ok(sys!(mkdir(c"e/".as_ptr(), 0o755)));
    assert!(fs::metadata("d").expect("just made").is_dir());
    ok(sys!(rmdir(c"d".as_ptr())));
    fails(sys!(rmdir(c"d".as_ptr())), libc::ENOENT);
}

fn only_empty_directories_are_removed() {
    fs::create_dir("d").expect("a new directory");
    fs::write("d/f", "").expect("a new file");
    fails(sys!(rmdir(c"d".as_ptr())), libc::ENOTEMPTY);
    fs::remove_file("d/f").expect("just made");
    ok(sys!(rmdir(c"d".as_ptr())));
}

fn dot_and_dotdot_cannot_be_removed() {
    fs::create_dir_all("d/e").expect("new directories");
    fails(sys!(rmdir(c"d/.".as_ptr())), libc::EINVAL);
    fails(sys!(rmdir(c"d/e/..".as_ptr())), libc::ENOTEMPTY);
    fails(sys!(rmdir(c"/".as_ptr())), libc::EBUSY);
    fails(sys!(rename(c"d/.".as_ptr(), c"x".as_ptr())), libc::EBUSY);
}

fn listing_shows_everything_once() {
    for n in 0..50 {
        fs::write(format!("f{n}"), "").expect("a new file");
    }
    fs::create_dir("d").expect("a new directory");
    let found = names(".");
    assert_eq!(found.len(), 51);
    assert!(found.contains("f49") && found.contains("d"));
    // std hides these two; the kernel gives them.
    let here = sys!(opendir(c".".as_ptr()));
    assert!(!here.is_null());
    let mut dots = 0;
    loop {
        let entry = sys!(readdir(here));
        if entry.is_null() {
            break;
        }
        // SAFETY: readdir's result is valid until the next call.
        let name = unsafe { std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()) };
        dots += i32::from(name == c"." || name == c"..");
    }
    sys!(closedir(here));
    assert_eq!(dots, 2);
}

fn large_listings_are_whole() {
    fs::create_dir("d").expect("a new directory");
    let long = "n".repeat(100);
    for n in 0..3000 {
        fs::write(format!("d/{long}{n}"), "").expect("a new file");
    }
    assert_eq!(names("d").len(), 3000);
    fs::remove_dir_all("d").expect("all of it");
}

fn listing_survives_removal() {
    fs::create_dir("d").expect("a new directory");
    for n in 0..500 {
        fs::write(format!("d/{n}"), "").expect("a new file");
    }
    for entry in fs::read_dir("d").expect("a directory") {
        fs::remove_file(entry.expect("an entry").path()).expect("listed, so there");
    }
    fs::remove_dir("d").expect("every file was listed once");
}

fn entry_types_are_told() {
    fs::write("file", "").expect("a new file");
    fs::create_dir("dir").expect("a new directory");
    std::os::unix::fs::symlink("file", "link").expect("a new link");
    ok(sys!(mkfifo(c"fifo".as_ptr(), 0o600)));
    for entry in fs::read_dir(".").expect("here") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("its type");
        use std::os::unix::fs::FileTypeExt;
        let right = match entry.file_name().to_str() {
            Some("file") => kind.is_file(),
            Some("dir") => kind.is_dir(),
            Some("link") => kind.is_symlink(),
            Some("fifo") => kind.is_fifo(),
            _ => false,
        };
        assert!(right, "{:?} {kind:?}", entry.file_name());
        let about = fs::symlink_metadata(entry.path()).expect("there");
        assert_eq!(std::os::unix::fs::DirEntryExt::ino(&entry), about.ino());
    }
}

fn link_counts_follow_subdirectories() {
    let count = |path: &str| fs::metadata(path).expect("there").nlink();
    fs::create_dir("d").expect("a new directory");
    assert_eq!(count("d"), 2);
    fs::create_dir("d/a").expect("a new directory");
    fs::create_dir("d/b").expect("a new directory");
    fs::write("d/file", "").expect("a new file");
    assert_eq!(count("d"), 4);
    fs::remove_dir("d/a").expect("empty");
    assert_eq!(count("d"), 3);
    fs::rename("d/b", "b").expect("there");
    assert_eq!(count("d"), 2);
}

fn chdir_and_getcwd() {
    let start = std::env::current_dir().expect("here");
    fs::create_dir_all("a/b").expect("new directories");
    std::env::set_current_dir("a/b").expect("there");
    assert_eq!(std::env::current_dir().expect("here"), start.join("a/b"));
    std::env::set_current_dir("../..").expect("there");
    assert_eq!(std::env::current_dir().expect("here"), start);
    fs::rename("a", "renamed").expect("there");
    std::env::set_current_dir("renamed/b").expect("there");
    assert_eq!(
        std::env::current_dir().expect("here"),
        start.join("renamed/b")
    );
    std::env::set_current_dir("/..").expect("the root is its own parent");
    assert_eq!(std::env::current_dir().expect("here").to_str(), Some("/"));
    fails(sys!(chdir(c"/nowhere".as_ptr())), libc::ENOENT);
}

fn fchdir_goes_where_the_descriptor_points() {
    let start = std::env::current_dir().expect("here");
    let here = open(".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    std::env::set_current_dir("/").expect("there");
    ok(sys!(fchdir(here.as_raw_fd())));
    assert_eq!(std::env::current_dir().expect("here"), start);
    let file = open("f", libc::O_CREAT | libc::O_RDWR, 0o600);
    fails(sys!(fchdir(file.as_raw_fd())), libc::ENOTDIR);
}

fn getcwd_has_rules() {
    let mut buffer = [0; 4];
    let at = sys!(getcwd(buffer.as_mut_ptr(), 4));
    assert!(at.is_null());
    assert_eq!(errno(), libc::ERANGE);
}

fn a_removed_working_directory_is_empty() {
    fs::create_dir("gone").expect("a new directory");
    std::env::set_current_dir("gone").expect("there");
    fs::remove_dir("../gone").expect("empty, if in use");
    let error = std::env::current_dir().expect_err("it has no name");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    fails(
        try_open("f", libc::O_CREAT | libc::O_WRONLY, 0o600),
        libc::ENOENT,
    );
    std::env::set_current_dir("..").expect("the way up is known");
}

fn paths_are_walked() {
    fs::create_dir_all("a/b/c").expect("new directories");
    fs::write("a/b/f", "found").expect("a new file");
    for path in [
        "a/b/f",
        "./a/./b/./f",
        "a//b///f",
        "a/b/c/../f",
        "a/../a/b/c/../../b/f",
    ] {
        assert_eq!(fs::read(path).expect(path), b"found");
    }
    // `..` of something that is not there is not there either.
    fails(
        try_open("a/nowhere/../b/f", libc::O_RDONLY, 0),
        libc::ENOENT,
    );
    fails(try_open("a/b/f/../f", libc::O_RDONLY, 0), libc::ENOTDIR);
    drop(open("/../../..//dev/null", libc::O_RDONLY, 0));
}

fn rename_moves_between_directories() {
    fs::create_dir_all("a/sub").expect("new directories");
    fs::create_dir("b").expect("a new directory");
    fs::write("a/f", "x").expect("a new file");
    fs::rename("a/f", "b/g").expect("there");
    fs::rename("a/sub", "b/sub").expect("there");
    assert_eq!(names("b"), BTreeSet::from(["g".into(), "sub".into()]));
    assert!(names("a").is_empty());
    let parent = fs::metadata("b/sub/..").expect("there").ino();
    assert_eq!(parent, fs::metadata("b").expect("there").ino());
}

fn rename_replaces() {
    fs::write("f", "f").expect("a new file");
    fs::write("g", "g").expect("a new file");
    fs::rename("f", "g").expect("both there");
    assert_eq!(fs::read("g").expect("there"), b"f");
    fs::create_dir("d").expect("a new directory");
    fs::create_dir("e").expect("a new directory");
    fs::rename("d", "e").expect("an empty directory is replaced");
    assert_eq!(names("."), BTreeSet::from(["e".into(), "g".into()]));
    // Two names of one file: nothing happens, both stay.
    fs::hard_link("g", "h").expect("there");
    fs::rename("g", "h").expect("both there");
    assert!(names(".").contains("g") && names(".").contains("h"));
}

fn rename_refuses() {
    let rename = |from: &str, to: &str| sys!(rename(c(from).as_ptr(), c(to).as_ptr()));
    fs::write("f", "").expect("a new file");
    fs::create_dir("d").expect("a new directory");
    fs::create_dir_all("full/x").expect("new directories");
    fails(rename("f", "d"), libc::EISDIR);
    fails(rename("d", "f"), libc::ENOTDIR);
    fails(rename("d", "full"), libc::ENOTEMPTY);
    fails(rename("f", "nowhere/f"), libc::ENOENT);
    fails(rename("f", "f/g"), libc::ENOTDIR);
    fails(rename("f", "new/"), libc::ENOTDIR);
    fails(rename("f", "/dev/null/x"), libc::ENOTDIR);
    fails(rename("f", "/proc/renamed"), libc::EXDEV);
    ok(rename("d", "new/"));
}

fn rename_of_a_directory_into_itself_is_einval() {
    fs::create_dir_all("a/b/c").expect("new directories");
    fails(
        sys!(rename(c"a".as_ptr(), c"a/b/c/d".as_ptr())),
        libc::EINVAL,
    );
    fails(sys!(rename(c"a".as_ptr(), c"a/a".as_ptr())), libc::EINVAL);
    fails(
        sys!(rename(c"a/b/c".as_ptr(), c"a".as_ptr())),
        libc::ENOTEMPTY,
    );
    ok(sys!(rename(c"a".as_ptr(), c"a".as_ptr())));
}

fn renameat2_has_flags() {
    const NOREPLACE: u32 = 1;
    const EXCHANGE: u32 = 2;
    let rename = |from: &str, to: &str, flags: u32| {
        let (from, to, here) = (c(from), c(to), libc::AT_FDCWD);
        let number = libc::SYS_renameat2;
        sys!(syscall(
            number,
            here,
            from.as_ptr(),
            here,
            to.as_ptr(),
            flags
        ))
    };
    fs::write("f", "f").expect("a new file");
    fs::write("g", "g").expect("a new file");
    fails(rename("f", "g", NOREPLACE), libc::EEXIST);
    ok(rename("f", "g", EXCHANGE));
    assert_eq!(fs::read("f").expect("there"), b"g");
    assert_eq!(fs::read("g").expect("there"), b"f");
    fails(rename("f", "nowhere", EXCHANGE), libc::ENOENT);
    fails(rename("f", "g", NOREPLACE | EXCHANGE), libc::EINVAL);
    fs::create_dir("d").expect("a new directory");
    fails(rename("d", "f/", EXCHANGE), libc::ENOTDIR);
    fails(rename("f/", "d", EXCHANGE), libc::ENOTDIR);
    ok(rename("f", "d/", EXCHANGE));
    ok(rename("f/", "d", EXCHANGE));
    ok(rename("f", "h", NOREPLACE));
}

fn at_calls_start_at_their_directory() {
    fs::create_dir("d").expect("a new directory");
    let d = open("d", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let fd = d.as_raw_fd();
    std::env::set_current_dir("/").expect("there");
    ok(sys!(mkdirat(fd, c"sub".as_ptr(), 0o700)));
    let file = ok(sys!(openat(
        fd,
        c"sub/f".as_ptr(),
        libc::O_CREAT | libc::O_RDWR,
        0o600
    )));
    assert_eq!(ok(sys!(write(file, b"x".as_ptr().cast(), 1))), 1);
    let mut about: libc::stat = zeroed();
    ok(sys!(fstatat(fd, c"sub/f".as_ptr(), &mut about, 0)));
    assert_eq!(about.st_size, 1);
    ok(sys!(symlinkat(c"sub/f".as_ptr(), fd, c"link".as_ptr())));
    let mut target = [0; 10];
    let length = sys!(readlinkat(fd, c"link".as_ptr(), target.as_mut_ptr(), 10));
    assert_eq!(ok(length), 5);
    ok(sys!(linkat(fd, c"sub/f".as_ptr(), fd, c"hard".as_ptr(), 0)));
    ok(sys!(renameat(fd, c"hard".as_ptr(), fd, c"soft".as_ptr())));
    ok(sys!(fchmodat(fd, c"soft".as_ptr(), 0o400, 0)));
    ok(sys!(faccessat(fd, c"soft".as_ptr(), libc::R_OK, 0)));
    ok(sys!(unlinkat(fd, c"soft".as_ptr(), 0)));
    // The descriptor itself, by an empty path.
    ok(sys!(fstatat(
        fd,
        c"".as_ptr(),
        &mut about,
        libc::AT_EMPTY_PATH
    )));
    assert_eq!(about.st_mode & libc::S_IFMT, libc::S_IFDIR);
    fails(sys!(fstatat(fd, c"".as_ptr(), &mut about, 0)), libc::ENOENT);
}

fn unlinkat_tells_kinds_apart() {
    fs::create_dir("d").expect("a new directory");
    fs::write("f", "").expect("a new file");
    let here = libc::AT_FDCWD;
    fails(sys!(unlinkat(here, c"d".as_ptr(), 0)), libc::EISDIR);
    fails(
        sys!(unlinkat(here, c"f".as_ptr(), libc::AT_REMOVEDIR)),
        libc::ENOTDIR,
    );
    fails(sys!(unlinkat(here, c"f".as_ptr(), 0x4000)), libc::EINVAL);
    ok(sys!(unlinkat(here, c"d".as_ptr(), libc::AT_REMOVEDIR)));
    ok(sys!(unlinkat(here, c"f".as_ptr(), 0)));
}

fn deep_trees_work() {
    let start = std::env::current_dir().expect("here");
    for _ in 0..300 {
        ok(sys!(mkdir(c"deeper".as_ptr(), 0o700)));
        ok(sys!(chdir(c"deeper".as_ptr())));
    }
    let here = std::env::current_dir().expect("2,100 bytes of path");
    assert_eq!(here.components().count(), start.components().count() + 300);
    fs::write("f", "deep").expect("a new file");
    std::env::set_current_dir(&start).expect("there");
    fs::remove_dir_all("deeper").expect("all of it");
}

fn umask_limits_new_things() {
    in_child(|| {
        sys!(umask(0o027));
        drop(open("f", libc::O_CREAT | libc::O_WRONLY, 0o666));
        fs::create_dir("d").expect("a new directory");
        let mode = |path: &str| fs::metadata(path).expect("there").mode() & 0o7777;
        assert_eq!((mode("f"), mode("d")), (0o640, 0o750));
        ok(sys!(chmod(c"f".as_ptr(), 0o777)));
        assert_eq!(mode("f"), 0o777, "chmod asks no umask");
        assert_eq!(sys!(umask(0o7777)), 0o027);
        assert_eq!(sys!(umask(0)), 0o777, "only permissions are kept");
    });
}

fn chroot_moves_the_root() {
    fs::create_dir_all("root/sub").expect("new directories");
    fs::write("root/f", "inside").expect("a new file");
    in_child(|| {
        ok(sys!(chroot(c"root".as_ptr())));
        ok(sys!(chdir(c"/".as_ptr())));
        assert_eq!(fs::read("/f").expect("the new root's"), b"inside");
        assert_eq!(fs::read("/../../sub/../f").expect("no way out"), b"inside");
        assert_eq!(names("/").len(), 2);
    });
}
