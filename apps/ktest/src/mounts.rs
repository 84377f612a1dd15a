//! Mounting: what a mount shows, what it forbids, and what is left of it. All of it needs root.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use crate::support::*;

crate::harness::tests![
    a_mount_covers_and_uncovers,
    a_mount_in_use_is_busy,
    what_is_detached_lives_until_its_last_user_leaves,
    detaching_takes_what_is_mounted_below_along,
    unmounted_files_give_their_memory_back: Native,
    one_file_system_mounted_twice_is_one,
    a_file_system_is_not_mounted_on_its_own_root,
    looking_at_mounts_does_not_keep_them_busy,
    a_long_path_hides_no_other_mounts,
    a_remount_that_fails_changes_nothing,
    a_mount_on_proc_shows_or_is_refused,
    nothing_is_mounted_on_what_is_removed,
    a_read_only_mount_has_no_writers,
    a_read_only_mount_keeps_access_times,
    noatime_and_o_noatime_keep_access_times,
    noexec_is_told_by_access,
    nothing_leads_out_of_a_bind_mount,
    what_is_out_of_reach_says_so,
    mountinfo_names_the_root_of_a_bind_mount,
    flags_of_a_mount_are_told,
    space_is_limited_and_refused_at_once,
    a_size_of_zero_is_no_limit,
    names_are_limited,
    attributes_count_as_what_they_take,
];

fn try_mount(kind: &str, at: &str, flags: u64, data: &str) -> i32 {
    sys!(mount(
        c"none".as_ptr(),
        c(at).as_ptr(),
        c(kind).as_ptr(),
        flags as _,
        c(data).as_ptr().cast()
    ))
}

fn bind(what: &str, at: &str) {
    ok(sys!(mount(
        c(what).as_ptr(),
        c(at).as_ptr(),
        std::ptr::null(),
        libc::MS_BIND,
        std::ptr::null()
    )));
}

fn try_unmount(at: &str, flags: i32) -> i32 {
    sys!(umount2(c(at).as_ptr(), flags))
}

/// A mount that goes whatever becomes of the test.
struct Mounted(&'static str);

impl Drop for Mounted {
    fn drop(&mut self) {
        try_unmount(self.0, libc::MNT_DETACH);
    }
}

fn tmpfs(at: &'static str, data: &str) -> Mounted {
    fs::create_dir_all(at).expect("a place for the mount");
    ok(try_mount("tmpfs", at, 0, data));
    Mounted(at)
}

fn remount(at: &str, flags: u64) -> i32 {
    try_mount("tmpfs", at, libc::MS_REMOUNT as u64 | flags, "")
}

fn statfs(at: &str) -> libc::statfs {
    let mut about = zeroed();
    ok(sys!(statfs(c(at).as_ptr(), &mut about)));
    about
}

fn a_mount_covers_and_uncovers() {
    fs::create_dir("m").expect("a new directory");
    fs::write("m/under", "").expect("a new file");
    let mounted = tmpfs("m", "");
    assert!(!fs::exists("m/under").expect("a look"));
    fs::write("m/over", "").expect("a new file");
    fails(try_unmount("m/over", 0), libc::EINVAL);
    fails(sys!(rmdir(c"m".as_ptr())), libc::EBUSY);
    ok(try_unmount("m", 0));
    assert!(fs::exists("m/under").expect("a look") && !fs::exists("m/over").expect("a look"));
    fails(try_unmount("m", 0), libc::EINVAL);
    std::mem::forget(mounted);
}

fn a_mount_in_use_is_busy() {
    let _m = tmpfs("m", "");
    let file = File::create("m/f").expect("a new file");
    fails(try_unmount("m", 0), libc::EBUSY);
    drop(file);
    let below = tmpfs("m/below", "");
    fails(try_unmount("m", 0), libc::EBUSY);
    drop(below);
    ok(try_unmount("m", 0));
}

fn what_is_detached_lives_until_its_last_user_leaves() {
    let m = tmpfs("m", "");
    fs::create_dir("m/d").expect("a new directory");
    fs::write("m/d/f", "content").expect("a new file");
    let mut entered = File::open("m/d").expect("it is there");
    drop(m);
    assert!(!fs::exists("m/d").expect("a look"));
    let inside = format!("/proc/self/fd/{}", entered.as_raw_fd());
    assert_eq!(
        fs::read(format!("{inside}/f")).expect("it lives"),
        b"content"
    );
    fs::write(format!("{inside}/g"), "new").expect("as before");
    // What hangs in no tree can bear no mount.
    assert_eq!(try_mount("tmpfs", &inside, 0, ""), -1);
    assert!(matches!(errno(), libc::EINVAL | libc::ENOENT));
    entered = File::open(format!("{inside}/..")).expect("its parent");
    let listed = fs::read_dir(format!("/proc/self/fd/{}", entered.as_raw_fd()));
    assert_eq!(listed.expect("a directory").count(), 1);
}

fn detaching_takes_what_is_mounted_below_along() {
    let here = std::env::current_dir().expect("a place");
    let above = here.to_string_lossy().into_owned();
    let m = tmpfs("m", "");
    std::mem::forget(tmpfs("m/a", ""));
    std::mem::forget(tmpfs("m/a/b", ""));
    let mounts = || {
        let text = fs::read_to_string("/proc/self/mounts").expect("procfs");
        text.lines().filter(|line| line.contains(&above)).count()
    };
    assert_eq!(mounts(), 3);
    fs::write("m/a/f", "").expect("a new file");
    let kept = File::open("m").expect("it is there");
    drop(m);
    assert_eq!(mounts(), 0);
    let inside = format!("/proc/self/fd/{}/a/f", kept.as_raw_fd());
    assert!(!fs::exists(inside).expect("a look"));
}

fn unmounted_files_give_their_memory_back() {
    const PIECE: usize = 8 << 20;
    let free = || {
        let text = fs::read_to_string("/proc/meminfo").expect("procfs");
        let line = text.lines().find(|line| line.starts_with("MemFree"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|n| n.parse::<usize>().ok()).expect("MemFree") << 10
    };
    let content = vec![1; PIECE];
    let fill = |at: &str| {
        fs::create_dir_all(format!("{at}/a/b")).expect("new directories");
        symlink("a", format!("{at}/link")).expect("a new link");
        fs::write(format!("{at}/a/b/f"), &content).expect("room");
    };
    fs::create_dir("second").expect("a new directory");
    let before = free();
    for _ in 0..20 {
        // Detached while in use.
        let m = tmpfs("m", "");
        fill("m");
        let kept = File::open("m/a/b/f").expect("it is there");
        drop(m);
        drop(kept);
        // Shown twice; the first goes before the second.
        let m = tmpfs("m", "");
        fill("m");
        bind("m/a", "second");
        drop(m);
        assert!(fs::exists("second/b/f").expect("a look"));
        ok(try_unmount("second", 0));
    }
    // The host's kernel may take its time, and others use memory too.
    until("memory comes back", || free() + 20 * PIECE > before);
}

fn one_file_system_mounted_twice_is_one() {
    for at in ["m", "n"] {
        fs::create_dir_all(at).expect("a place for the mount");
        ok(try_mount("devtmpfs", at, 0, ""));
    }
    let (_m, _n) = (Mounted("m"), Mounted("n"));
    let dev = |at: &str| fs::metadata(at).expect("it is there").dev();
    assert_eq!(dev("m"), dev("n"));
    let _ = fs::remove_dir_all("m/ktest-twice");
    fs::create_dir("m/ktest-twice").expect("a new directory");
    fs::write("n/ktest-twice/f", "").expect("seen by both");
    let entered = File::open("m/ktest-twice").expect("seen by both");
    fs::rename("n/ktest-twice", "n/ktest-again").expect("seen by both");
    let seen = fs::read_link(format!("/proc/self/fd/{}", entered.as_raw_fd()));
    assert!(seen.expect("a link").ends_with("m/ktest-again"));
    assert!(!fs::exists("m/ktest-twice").expect("a look"));
    fs::remove_file("m/ktest-again/f").expect("seen by both");
    fs::remove_dir("n/ktest-again").expect("it is empty");
    assert!(!fs::exists("m/ktest-again").expect("a look"));
}

fn a_file_system_is_not_mounted_on_its_own_root() {
    fs::create_dir("m").expect("a new directory");
    ok(try_mount("devtmpfs", "m", 0, ""));
    let _m = Mounted("m");
    fails(try_mount("devtmpfs", "m", 0, ""), libc::EBUSY);
    bind("m", "m");
    ok(try_unmount("m", 0));
}

fn looking_at_mounts_does_not_keep_them_busy() {
    fs::create_dir("m").expect("a new directory");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for path in ["/proc/meminfo", "/proc/self/mounts"] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    fs::read(path).expect("procfs");
                    sys!(sync());
                }
            });
        }
        let busy = (0..1000)
            .filter(|_| {
                ok(try_mount("tmpfs", "m", 0, ""));
                let busy = try_unmount("m", 0) == -1;
                if busy {
                    ok(try_unmount("m", libc::MNT_DETACH));
                }
                busy
            })
            .count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(busy, 0);
    });
}

fn a_long_path_hides_no_other_mounts() {
    let back = File::open(".").expect("a place");
    let name = "n".repeat(250);
    for _ in 0..20 {
        fs::create_dir(&name).expect("a new directory");
        std::env::set_current_dir(&name).expect("it is there");
    }
    fs::create_dir("m").expect("a new directory");
    ok(try_mount("tmpfs", "m", 0, ""));
    let tables = ["/proc/self/mounts", "/proc/self/mountinfo"].map(fs::read);
    ok(try_unmount("m", 0));
    ok(sys!(fchdir(back.as_raw_fd())));
    for table in tables {
        let table = table.expect("procfs");
        assert!(table.windows(7).any(|w| w == b" /proc "));
    }
}

fn a_remount_that_fails_changes_nothing() {
    let read_only = libc::MS_RDONLY as u64;
    let change = |flags, data| try_mount("tmpfs", "m", libc::MS_REMOUNT as u64 | flags, data);
    let _m = tmpfs("m", "size=1m");
    let writer = File::create("m/f").expect("a new file");
    fails(change(read_only, "size=2m"), libc::EBUSY);
    assert_eq!(statfs("m").f_blocks, 256);
    writer.write_all_at(&[1; 8192], 0).expect("room");
    drop(writer);
    fails(change(read_only, "size=4k"), libc::EINVAL);
    File::create("m/g").expect("it can be written to");
    ok(change(read_only, "size=2m"));
    assert_eq!(statfs("m").f_blocks, 512);
}

fn a_mount_on_proc_shows_or_is_refused() {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let at = "/proc/sys/kernel/random";
    if try_mount("tmpfs", at, 0, "") == -1 {
        assert_eq!(errno(), libc::ENOENT);
        return;
    }
    let shown = statfs(at).f_type as i64;
    ok(try_unmount(at, 0));
    assert_eq!(shown, TMPFS_MAGIC);
}

fn nothing_is_mounted_on_what_is_removed() {
    fs::create_dir("d").expect("a new directory");
    let kept = File::open("d").expect("it is there");
    fs::remove_dir("d").expect("it is empty");
    let at = format!("/proc/self/fd/{}", kept.as_raw_fd());
    fails(try_mount("tmpfs", &at, 0, ""), libc::ENOENT);
}

fn a_read_only_mount_has_no_writers() {
    let _m = tmpfs("m", "");
    let writer = File::create("m/f").expect("a new file");
    fails(remount("m", libc::MS_RDONLY as u64), libc::EBUSY);
    ok(sys!(ftruncate(writer.as_raw_fd(), 10)));
    let page = sys!(mmap(
        std::ptr::null_mut(),
        10,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        File::open("m/f").expect("it is there").as_raw_fd(),
        0
    ));
    assert_ne!(page, libc::MAP_FAILED);
    drop(writer);
    let reader = File::open("m/f").expect("it is there");
    ok(remount("m", libc::MS_RDONLY as u64));
    fails(try_open("m/f", libc::O_WRONLY, 0), libc::EROFS);
    fails(sys!(unlink(c"m/f".as_ptr())), libc::EROFS);
    fails(sys!(fchmod(reader.as_raw_fd(), 0o600)), libc::EROFS);
    ok(remount("m", 0));
    drop(open("m/f", libc::O_WRONLY, 0));
    // A shared mapping that may be written to is a writer, whatever has become of the descriptor.
    let file = open("m/f", libc::O_RDWR, 0);
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let page = sys!(mmap(
        std::ptr::null_mut(),
        10,
        prot,
        flags,
        file.as_raw_fd(),
        0
    ));
    assert_ne!(page, libc::MAP_FAILED);
    drop(file);
    fails(remount("m", libc::MS_RDONLY as u64), libc::EBUSY);
    ok(sys!(munmap(page, 10)));
    ok(remount("m", libc::MS_RDONLY as u64));
}

fn long_ago(path: &str) {
    let times = [libc::timespec {
        tv_sec: 1000,
        tv_nsec: 0,
    }; 2];
    ok(sys!(utimensat(
        libc::AT_FDCWD,
        c(path).as_ptr(),
        times.as_ptr(),
        libc::AT_SYMLINK_NOFOLLOW
    )));
}

fn accessed_now(path: &str) -> bool {
    let accessed = fs::symlink_metadata(path).expect("it is there").accessed();
    let age = SystemTime::now().duration_since(accessed.expect("a time"));
    age.is_ok_and(|age| age.as_secs() < 100_000)
}

fn read_all(at: &str) {
    fs::read(format!("{at}/f")).expect("it is there");
    assert_eq!(fs::read_dir(at).expect("it is there").count(), 2);
    fs::read(format!("{at}/l")).expect("it is there");
}

/// A file, a link to it and their directory, all of them not read for long.
fn unread(at: &str) {
    fs::write(format!("{at}/f"), "x").expect("a new file");
    let _ = symlink("f", format!("{at}/l"));
    for path in ["f", "l", ""] {
        long_ago(&format!("{at}/{path}"));
    }
}

fn a_read_only_mount_keeps_access_times() {
    let _m = tmpfs("m", "");
    unread("m");
    ok(remount("m", libc::MS_RDONLY as u64));
    read_all("m");
    assert!(!accessed_now("m/f") && !accessed_now("m/l") && !accessed_now("m"));
    ok(remount("m", 0));
    read_all("m");
    assert!(accessed_now("m/f") && accessed_now("m/l") && accessed_now("m"));
}

fn noatime_and_o_noatime_keep_access_times() {
    let _m = tmpfs("m", "");
    unread("m");
    ok(remount("m", libc::MS_NOATIME as u64));
    read_all("m");
    assert!(!accessed_now("m/f") && !accessed_now("m/l") && !accessed_now("m"));
    ok(remount("m", libc::MS_NODIRATIME as u64));
    read_all("m");
    assert!(accessed_now("m/f") && accessed_now("m/l") && !accessed_now("m"));
    ok(remount("m", 0));
    unread("m");
    let file = open("m/f", libc::O_RDONLY | libc::O_NOATIME, 0);
    let read = || file.read_at(&mut [0], 0).expect("a byte");
    assert_eq!(read(), 1);
    assert!(!accessed_now("m/f"));
    ok(sys!(fcntl(file.as_raw_fd(), libc::F_SETFL, 0)));
    assert_eq!(read(), 1);
    assert!(accessed_now("m/f"));
}

fn noexec_is_told_by_access() {
    let _m = tmpfs("m", "");
    fs::write("m/f", "").expect("a new file");
    ok(sys!(chmod(c"m/f".as_ptr(), 0o755)));
    ok(sys!(access(c"m/f".as_ptr(), libc::X_OK)));
    ok(remount("m", libc::MS_NOEXEC as u64));
    fails(sys!(access(c"m/f".as_ptr(), libc::X_OK)), libc::EACCES);
    ok(sys!(access(c"m".as_ptr(), libc::X_OK)));
    ok(sys!(access(c"m/f".as_ptr(), libc::R_OK)));
}

fn nothing_leads_out_of_a_bind_mount() {
    fs::create_dir_all("tree/shown/inner").expect("new directories");
    fs::create_dir_all("tree/secret").expect("new directories");
    fs::create_dir("window").expect("a new directory");
    bind("tree/shown", "window");
    let _window = Mounted("window");
    let inner = File::open("window/inner").expect("it is shown");
    let up = format!("/proc/self/fd/{}/..", inner.as_raw_fd());
    assert!(fs::exists(format!("{up}/inner")).expect("a look"));
    fs::rename("tree/shown/inner", "tree/secret/inner").expect("it is there");
    fails(try_open(&up, libc::O_RDONLY, 0), libc::ENOENT);
}

fn what_is_out_of_reach_says_so() {
    let m = tmpfs("m", "");
    let back = File::open(".").expect("a place");
    let here = std::env::current_dir().expect("a place");
    std::env::set_current_dir("m").expect("it is there");
    ok(try_unmount(
        &here.join("m").to_string_lossy(),
        libc::MNT_DETACH,
    ));
    std::mem::forget(m);
    let mut text = [0u8; 64];
    // The library may not take such a name; the kernel gives it.
    let n = ok(sys!(syscall(
        libc::SYS_getcwd,
        text.as_mut_ptr(),
        text.len()
    )));
    ok(sys!(fchdir(back.as_raw_fd())));
    assert_eq!(&text[..n as usize], b"(unreachable)/\0");
}

fn mountinfo_names_the_root_of_a_bind_mount() {
    let _m = tmpfs("m", "");
    fs::create_dir_all("m/a/b c").expect("new directories");
    fs::create_dir("window").expect("a new directory");
    bind("m/a/b c", "window");
    let _window = Mounted("window");
    let text = fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    let here = std::env::current_dir().expect("a place");
    let root_at = |at: &str| {
        let place = here.join(at).to_string_lossy().into_owned();
        let fields = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let line = text.lines().map(fields).find(|f| f[4] == place);
        line.map(|f| f[3].clone()).expect("a line of its own")
    };
    assert_eq!(root_at("m"), "/");
    assert_eq!(root_at("window"), "/a/b\\040c");
}

fn flags_of_a_mount_are_told() {
    const RELATIME: u64 = 4096;
    const NOATIME: u64 = 1024;
    let _m = tmpfs("m", "");
    let flags = || {
        let mut about: libc::statvfs = zeroed();
        ok(sys!(statvfs(c"m".as_ptr(), &mut about)));
        about.f_flag as u64 & 0x1fdf
    };
    assert_eq!(flags(), RELATIME);
    ok(remount(
        "m",
        (libc::MS_RDONLY | libc::MS_NOATIME | libc::MS_NOSUID) as u64,
    ));
    assert_eq!(flags(), NOATIME | 3);
}

fn space_is_limited_and_refused_at_once() {
    let _m = tmpfs("m", "size=1m");
    let file = File::create("m/f").expect("a new file");
    fs::write("m/other", [1; 8192]).expect("room");
    let free = statfs("m").f_bfree;
    fails(
        sys!(fallocate(file.as_raw_fd(), 0, 0, 1 << 20)),
        libc::ENOSPC,
    );
    assert_eq!((statfs("m").f_bfree, free), (free, 254));
    ok(sys!(fallocate(file.as_raw_fd(), 0, 0, 1 << 19)));
    assert_eq!(statfs("m").f_bfree, 126);
    // What is there already is not counted again.
    ok(sys!(fallocate(file.as_raw_fd(), 0, 0, (1 << 20) - 8192)));
    assert_eq!(statfs("m").f_bfree, 0);
    fails(
        try_mount("tmpfs", "m", libc::MS_REMOUNT as u64, "size=64k"),
        libc::EINVAL,
    );
    ok(try_mount("tmpfs", "m", libc::MS_REMOUNT as u64, "size=2m"));
    assert_eq!(statfs("m").f_blocks, 512);
}

fn a_size_of_zero_is_no_limit() {
    let m = tmpfs("m", "size=0");
    fs::write("m/f", [1; 100_000]).expect("room");
    assert_eq!(statfs("m").f_blocks, 0);
    drop(m);
    let m = tmpfs("m", "nr_blocks=3");
    fs::write("m/f", [1; 3 * 4096]).expect("room");
    assert!(fs::write("m/g", [1; 1]).is_err());
    drop(m);
    // As many as can be named.
    let m = tmpfs("m", "nr_blocks=9223372036854775807");
    fs::write("m/f", [1; 100_000]).expect("room");
    statfs("m");
    fs::read_to_string("/proc/self/mounts").expect("procfs");
    drop(m);
}

fn names_are_limited() {
    let _m = tmpfs("m", "nr_inodes=20");
    assert_eq!(statfs("m").f_files, 20);
    let name = |n: usize| format!("m/{n}");
    let made = (0..30)
        .take_while(|&n| fs::write(name(n), "").is_ok())
        .count();
    assert_eq!(made, 19, "the root is one too");
    assert_eq!(statfs("m").f_ffree, 0);
    fails(sys!(mkdir(c"m/d".as_ptr(), 0o700)), libc::ENOSPC);
    fails(sys!(symlink(c"x".as_ptr(), c"m/s".as_ptr())), libc::ENOSPC);
    // A name more is as much as a file more.
    fails(sys!(link(c"m/0".as_ptr(), c"m/l".as_ptr())), libc::ENOSPC);
    fs::remove_file(name(1)).expect("it is there");
    fs::hard_link(name(0), "m/l").expect("room for one");
    assert_eq!(statfs("m").f_ffree, 0);
    fs::remove_file(name(0)).expect("it is there");
    assert_eq!(statfs("m").f_ffree, 1);
    fs::rename("m/l", name(2)).expect("it is there");
    assert_eq!(statfs("m").f_ffree, 2);
    for n in 2..made {
        fs::remove_file(name(n)).expect("it is there");
    }
    assert_eq!(statfs("m").f_ffree, 19);
    ok(try_mount(
        "tmpfs",
        "m",
        libc::MS_REMOUNT as u64,
        "nr_inodes=30",
    ));
    assert_eq!(statfs("m").f_ffree, 29);
}

fn attributes_count_as_what_they_take() {
    let _m = tmpfs("m", "nr_inodes=100");
    fs::write("m/f", "").expect("a new file");
    let value = [7u8; 4000];
    let set = |n: usize| {
        sys!(setxattr(
            c"m/f".as_ptr(),
            c(&format!("user.{n}")).as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0
        ))
    };
    if set(0) == -1 && errno() == libc::EOPNOTSUPP {
        // A kernel without.
        return;
    }
    let mut count = 1;
    while set(count) == 0 {
        count += 1;
        assert!(count < 100, "100 inodes' worth holds no 400 KB");
    }
    assert_eq!(errno(), libc::ENOSPC);
    ok(sys!(removexattr(c"m/f".as_ptr(), c"user.0".as_ptr())));
    ok(set(0));
    fs::remove_file("m/f").expect("it is there");
    assert_eq!(statfs("m").f_ffree, 99);
}
