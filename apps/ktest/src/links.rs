//! Hard and symbolic links.

use crate::support::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

crate::harness::tests![
    hard_links_are_one_file,
    hard_links_are_refused_where_they_must_be,
    symbolic_links_are_followed,
    symbolic_links_keep_their_text,
    lstat_and_stat_differ,
    loops_are_eloop,
    forty_links_are_followed,
    dangling_links_point_nowhere,
    trailing_slashes_follow,
    removing_a_link_leaves_its_target,
    link_permissions_do_not_matter,
    links_in_the_middle_of_paths,
    linkat_may_follow,
    readlink_has_rules,
];

fn hard_links_are_one_file() {
    fs::write("a", "one").expect("a new file");
    fs::hard_link("a", "b").expect("there");
    let (a, b) = (
        fs::metadata("a").expect("there"),
        fs::metadata("b").expect("there"),
    );
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
    fs::write("b", "two").expect("there");
    assert_eq!(fs::read("a").expect("there"), b"two");
    fs::remove_file("a").expect("there");
    assert_eq!(fs::metadata("b").expect("there").nlink(), 1);
    assert_eq!(fs::read("b").expect("there"), b"two");
}

fn hard_links_are_refused_where_they_must_be() {
    let link = |from: &str, to: &str| sys!(link(c(from).as_ptr(), c(to).as_ptr()));
    fs::create_dir("d").expect("a new directory");
    fs::write("f", "").expect("a new file");
    fails(link("d", "e"), libc::EPERM);
    fails(link("f", "d"), libc::EEXIST);
    fails(link("f", "f"), libc::EEXIST);
    fails(link("nowhere", "g"), libc::ENOENT);
    fails(link("f", "nowhere/g"), libc::ENOENT);
    fails(link("f", "f/g"), libc::ENOTDIR);
    fails(link("/proc/version", "version"), libc::EXDEV);
}

fn symbolic_links_are_followed() {
    fs::create_dir("d").expect("a new directory");
    fs::write("d/f", "content").expect("a new file");
    symlink("d/f", "to-file").expect("a new link");
    symlink("d", "to-dir").expect("a new link");
    symlink("../d/f", "d/up").expect("a new link");
    symlink(std::env::current_dir().expect("here").join("d"), "absolute").expect("a new link");
    for path in ["to-file", "to-dir/f", "to-dir/up", "absolute/up"] {
        assert_eq!(fs::read(path).expect(path), b"content");
    }
}

fn symbolic_links_keep_their_text() {
    for text in ["x", "//odd/./text/..", " ", "a\nb", &"long/".repeat(800)] {
        symlink(text, "l").expect("a new link");
        assert_eq!(fs::read_link("l").expect("a link").to_str(), Some(text));
        let about = fs::symlink_metadata("l").expect("there");
        assert_eq!(about.len(), text.len() as u64);
        fs::remove_file("l").expect("there");
    }
    fails(sys!(symlink(c"".as_ptr(), c"l".as_ptr())), libc::ENOENT);
    fails(
        sys!(symlink(
            c("x".repeat(4096).as_str()).as_ptr(),
            c"l".as_ptr()
        )),
        libc::ENAMETOOLONG,
    );
    fs::write("f", "").expect("a new file");
    fails(sys!(symlink(c"x".as_ptr(), c"f".as_ptr())), libc::EEXIST);
}

fn lstat_and_stat_differ() {
    fs::write("f", "12345").expect("a new file");
    symlink("f", "l").expect("a new link");
    let (link, file) = (
        fs::symlink_metadata("l").expect("there"),
        fs::metadata("l").expect("there"),
    );
    assert!(link.is_symlink() && file.is_file());
    assert_eq!((link.len(), file.len()), (1, 5));
    assert_ne!(link.ino(), file.ino());
}

fn loops_are_eloop() {
    symlink("b", "a").expect("a new link");
    symlink("a", "b").expect("a new link");
    symlink("self", "self").expect("a new link");
    for path in ["a", "self", "a/x", "self/"] {
        fails(try_open(path, libc::O_RDONLY, 0), libc::ELOOP);
    }
    assert!(fs::symlink_metadata("a").is_ok());
    fails(
        try_open("a", libc::O_CREAT | libc::O_WRONLY, 0o600),
        libc::ELOOP,
    );
}

fn forty_links_are_followed() {
    fs::write("link0", "end").expect("a new file");
    for n in 1..=41 {
        symlink(format!("link{}", n - 1), format!("link{n}")).expect("a new link");
    }
    assert_eq!(fs::read("link40").expect("forty links"), b"end");
    fails(try_open("link41", libc::O_RDONLY, 0), libc::ELOOP);
}

fn dangling_links_point_nowhere() {
    symlink("nowhere", "l").expect("a new link");
    fails(try_open("l", libc::O_RDONLY, 0), libc::ENOENT);
    fails(sys!(access(c"l".as_ptr(), libc::F_OK)), libc::ENOENT);
    fails(sys!(mkdir(c"l".as_ptr(), 0o700)), libc::EEXIST);
    assert!(fs::symlink_metadata("l").is_ok());
}

fn trailing_slashes_follow() {
    fs::create_dir("d").expect("a new directory");
    fs::write("f", "").expect("a new file");
    symlink("d", "to-d").expect("a new link");
    symlink("f", "to-f").expect("a new link");
    assert!(fs::symlink_metadata("to-d").expect("there").is_symlink());
    assert!(fs::symlink_metadata("to-d/").expect("there").is_dir());
    let error = fs::symlink_metadata("to-f/").expect_err("not a directory");
    assert_eq!(error.raw_os_error(), Some(libc::ENOTDIR));
    fails(sys!(rmdir(c"to-d".as_ptr())), libc::ENOTDIR);
}

fn removing_a_link_leaves_its_target() {
    fs::write("f", "").expect("a new file");
    symlink("f", "l").expect("a new link");
    fs::remove_file("l").expect("there");
    assert!(fs::metadata("f").is_ok());
    symlink("f", "l").expect("a new link");
    fs::rename("l", "m").expect("there");
    assert!(fs::symlink_metadata("m").expect("there").is_symlink());
}

fn link_permissions_do_not_matter() {
    fs::write("f", "x").expect("a new file");
    symlink("f", "l").expect("a new link");
    assert_eq!(
        fs::symlink_metadata("l").expect("there").mode() & 0o777,
        0o777
    );
    ok(sys!(chmod(c"l".as_ptr(), 0o600)));
    assert_eq!(fs::metadata("f").expect("there").mode() & 0o777, 0o600);
    ok(sys!(lchown(c"l".as_ptr(), 12, 34)));
    let (link, file) = (
        fs::symlink_metadata("l").expect("there"),
        fs::metadata("f").expect("there"),
    );
    assert_eq!((link.uid(), link.gid()), (12, 34));
    assert_ne!(file.gid(), 34);
}

fn links_in_the_middle_of_paths() {
    fs::create_dir_all("a/b").expect("new directories");
    fs::create_dir("x").expect("a new directory");
    symlink("../a/b", "x/l").expect("a new link");
    fs::write("a/f", "sibling").expect("a new file");
    // `..` is taken where the link leads, not where it stands.
    assert_eq!(fs::read("x/l/../f").expect("a/f"), b"sibling");
}

fn linkat_may_follow() {
    fs::write("f", "").expect("a new file");
    symlink("f", "l").expect("a new link");
    let here = libc::AT_FDCWD;
    ok(sys!(linkat(
        here,
        c"l".as_ptr(),
        here,
        c"of-link".as_ptr(),
        0
    )));
    assert!(fs::symlink_metadata("of-link").expect("there").is_symlink());
    let follow = libc::AT_SYMLINK_FOLLOW;
    ok(sys!(linkat(
        here,
        c"l".as_ptr(),
        here,
        c"of-file".as_ptr(),
        follow
    )));
    assert!(fs::symlink_metadata("of-file").expect("there").is_file());
}

fn readlink_has_rules() {
    fs::write("f", "").expect("a new file");
    symlink("0123456789", "l").expect("a new link");
    let mut buffer = [b'?' as libc::c_char; 4];
    let at = buffer.as_mut_ptr();
    assert_eq!(
        sys!(readlink(c"l".as_ptr(), at, 4)),
        4,
        "cut, without a NUL"
    );
    fails(sys!(readlink(c"f".as_ptr(), at, 4)), libc::EINVAL);
    fails(sys!(readlink(c".".as_ptr(), at, 4)), libc::EINVAL);
    fails(sys!(readlink(c"nowhere".as_ptr(), at, 4)), libc::ENOENT);
    fails(
        sys!(syscall(
            libc::SYS_readlinkat,
            libc::AT_FDCWD,
            c"l".as_ptr(),
            at,
            0
        )),
        libc::EINVAL,
    );
}
