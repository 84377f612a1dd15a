//! Watches (inotify): what is told, in which order, and to whom.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::thread;

use crate::support::*;

crate::harness::tests![
    a_new_link_is_an_attribute,
    removal_is_told_in_order,
    a_removed_file_is_gone_when_nobody_has_it,
    a_replaced_file_is_told,
    an_exchange_is_two_moves,
    moves_carry_a_cookie,
    an_unmount_ends_watches,
    a_watch_for_once_tells_once,
    watches_come_and_go_while_others_write,
    unlinked_children_are_told_unless_excluded,
    masks_are_added_and_replaced,
    an_opened_and_emptied_file_is_modified,
    a_watch_added_while_its_instance_is_closed_ends_with_it,
    instances_are_limited,
    events_are_read_whole,
    a_full_queue_says_so_and_is_read: Native,
];

struct Instance(File);

/// Watch, event, name.
type Told = (i32, u32, String);

fn parse(bytes: &[u8]) -> Vec<(Told, u32)> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let word = |n: usize| {
            let from = at + 4 * n;
            u32::from_ne_bytes(bytes[from..from + 4].try_into().expect("four bytes"))
        };
        let end = at + 16 + word(3) as usize;
        let name = bytes[at + 16..end].split(|&b| b == 0).next();
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        all.push(((word(0) as i32, word(1), name), word(2)));
        at = end;
    }
    all
}

impl Instance {
    fn new() -> Self {
        let fd = ok(sys!(inotify_init1(libc::IN_NONBLOCK)));
        // SAFETY: it has just been made.
        Instance(unsafe { File::from_raw_fd(fd) })
    }

    fn try_watch(&self, path: &str, mask: u32) -> i32 {
        sys!(inotify_add_watch(
            self.0.as_raw_fd(),
            c(path).as_ptr(),
            mask
        ))
    }

    #[track_caller]
    fn watch(&self, path: &str, mask: u32) -> i32 {
        ok(self.try_watch(path, mask))
    }

    fn unwatch(&self, watch: i32) -> i32 {
        sys!(inotify_rm_watch(self.0.as_raw_fd(), watch))
    }

    /// Everything that has been told, with cookies.
    fn with_cookies(&mut self) -> Vec<(Told, u32)> {
        let mut bytes = vec![0; 4096];
        let mut all = Vec::new();
        while let Ok(n) = self.0.read(&mut bytes) {
            all.extend(parse(&bytes[..n]));
        }
        all
    }

    fn told(&mut self) -> Vec<Told> {
        let all = self.with_cookies().into_iter();
        all.map(|(told, _)| told).collect()
    }
}

fn told(watch: i32, event: u32, name: &str) -> Told {
    (watch, event, name.to_owned())
}

const ALL: u32 = libc::IN_ALL_EVENTS;
/// Without the looks that the tests themselves take.
const CHANGES: u32 = ALL & !(libc::IN_OPEN | libc::IN_ACCESS | libc::IN_CLOSE);

fn a_new_link_is_an_attribute() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    let (dir, f) = (i.watch(".", CHANGES), i.watch("f", CHANGES));
    fs::hard_link("f", "g").expect("a new link");
    assert_eq!(
        i.told(),
        [
            told(f, libc::IN_ATTRIB, ""),
            told(dir, libc::IN_CREATE, "g")
        ]
    );
    fs::remove_file("g").expect("it is there");
    assert_eq!(
        i.told(),
        [
            told(f, libc::IN_ATTRIB, ""),
            told(dir, libc::IN_DELETE, "g")
        ]
    );
}

fn removal_is_told_in_order() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    fs::create_dir("d").expect("a new directory");
    let (dir, f) = (i.watch(".", CHANGES), i.watch("f", CHANGES));
    let d = i.watch("d", CHANGES);
    fs::remove_file("f").expect("it is there");
    assert_eq!(
        i.told(),
        [
            told(f, libc::IN_ATTRIB, ""),
            told(f, libc::IN_DELETE_SELF, ""),
            told(f, libc::IN_IGNORED, ""),
            told(dir, libc::IN_DELETE, "f")
        ]
    );
    fs::remove_dir("d").expect("it is empty");
    assert_eq!(
        i.told(),
        [
            told(d, libc::IN_DELETE_SELF, ""),
            told(d, libc::IN_IGNORED, ""),
            told(dir, libc::IN_DELETE | libc::IN_ISDIR, "d")
        ]
    );
    fails(i.unwatch(f), libc::EINVAL);
}

fn a_removed_file_is_gone_when_nobody_has_it() {
    let mut i = Instance::new();
    let file = File::create("f").expect("a new file");
    let f = i.watch("f", CHANGES | libc::IN_CLOSE);
    fs::remove_file("f").expect("it is there");
    assert_eq!(i.told(), [told(f, libc::IN_ATTRIB, "")]);
    ok(sys!(fchmod(file.as_raw_fd(), 0o600)));
    assert_eq!(i.told(), [told(f, libc::IN_ATTRIB, "")]);
    drop(file);
    assert_eq!(
        i.told(),
        [
            told(f, libc::IN_CLOSE_WRITE, ""),
            told(f, libc::IN_DELETE_SELF, ""),
            told(f, libc::IN_IGNORED, "")
        ]
    );
}

fn a_replaced_file_is_told() {
    let mut i = Instance::new();
    fs::write("old", "").expect("a new file");
    fs::write("new", "").expect("a new file");
    let dir = i.watch(".", CHANGES);
    let (old, new) = (i.watch("old", CHANGES), i.watch("new", CHANGES));
    fs::rename("new", "old").expect("both are there");
    assert_eq!(
        i.told(),
        [
            told(dir, libc::IN_MOVED_FROM, "new"),
            told(dir, libc::IN_MOVED_TO, "old"),
            told(old, libc::IN_ATTRIB, ""),
            told(new, libc::IN_MOVE_SELF, ""),
            told(old, libc::IN_DELETE_SELF, ""),
            told(old, libc::IN_IGNORED, "")
        ]
    );
}

fn an_exchange_is_two_moves() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    fs::create_dir("d").expect("a new directory");
    let dir = i.watch(".", CHANGES);
    let (f, d) = (i.watch("f", CHANGES), i.watch("d", CHANGES));
    let here = libc::AT_FDCWD;
    ok(sys!(syscall(
        libc::SYS_renameat2,
        here,
        c"f".as_ptr(),
        here,
        c"d".as_ptr(),
        2
    )));
    let is_dir = libc::IN_ISDIR;
    assert_eq!(
        i.told(),
        [
            told(dir, libc::IN_MOVED_FROM, "f"),
            told(dir, libc::IN_MOVED_TO, "d"),
            told(f, libc::IN_MOVE_SELF, ""),
            told(dir, libc::IN_MOVED_FROM | is_dir, "d"),
            told(dir, libc::IN_MOVED_TO | is_dir, "f"),
            told(d, libc::IN_MOVE_SELF, "")
        ]
    );
}

fn moves_carry_a_cookie() {
    let mut i = Instance::new();
    fs::create_dir_all("a").expect("a new directory");
    fs::create_dir_all("b").expect("a new directory");
    fs::write("a/f", "").expect("a new file");
    let (a, b) = (i.watch("a", CHANGES), i.watch("b", CHANGES));
    fs::rename("a/f", "b/g").expect("it is there");
    fs::rename("b/g", "a/f").expect("it is there");
    let told = i.with_cookies();
    let watches: Vec<i32> = told.iter().map(|((watch, ..), _)| *watch).collect();
    assert_eq!(watches, [a, b, b, a]);
    let cookies: Vec<u32> = told.iter().map(|(_, cookie)| *cookie).collect();
    assert!(cookies[0] != 0 && cookies[0] == cookies[1]);
    assert!(cookies[2] == cookies[3] && cookies[1] != cookies[2]);
}

fn an_unmount_ends_watches() {
    let mut i = Instance::new();
    fs::create_dir("m").expect("a new directory");
    ok(sys!(mount(
        c"none".as_ptr(),
        c"m".as_ptr(),
        c"tmpfs".as_ptr(),
        0,
        std::ptr::null()
    )));
    fs::create_dir_all("m/a/b").expect("new directories");
    let watch = i.watch("m/a/b", CHANGES);
    ok(sys!(umount2(c"m".as_ptr(), 0)));
    assert_eq!(
        i.told(),
        [
            told(watch, libc::IN_UNMOUNT | libc::IN_ISDIR, ""),
            told(watch, libc::IN_IGNORED, "")
        ]
    );
    fails(i.unwatch(watch), libc::EINVAL);
}

fn a_watch_for_once_tells_once() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    let f = i.watch("f", CHANGES | libc::IN_ONESHOT);
    for bits in [0o600, 0o640] {
        ok(sys!(chmod(c"f".as_ptr(), bits)));
    }
    assert_eq!(
        i.told(),
        [told(f, libc::IN_ATTRIB, ""), told(f, libc::IN_IGNORED, "")]
    );
    fails(i.unwatch(f), libc::EINVAL);
    let again = i.watch("f", CHANGES);
    assert_ne!(again, f, "numbers do not come back");
    ok(sys!(chmod(c"f".as_ptr(), 0o600)));
    assert_eq!(i.told(), [told(again, libc::IN_ATTRIB, "")]);
}

fn watches_come_and_go_while_others_write() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    let child = spawn(|| {
        loop {
            ok(sys!(chmod(c"f".as_ptr(), 0o600)));
            fs::write("f", "x").expect("it is there");
        }
    });
    for _ in 0..2000 {
        let watch = i.watch("f", CHANGES);
        ok(i.unwatch(watch));
        let ends = |(w, event, _): &&Told| (*w, *event) == (watch, libc::IN_IGNORED);
        assert_eq!(i.told().iter().filter(ends).count(), 1);
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn unlinked_children_are_told_unless_excluded() {
    for (exclude, times) in [(0, 1), (libc::IN_EXCL_UNLINK, 0)] {
        let mut i = Instance::new();
        let file = File::create("f").expect("a new file");
        let dir = i.watch(".", libc::IN_MODIFY | exclude);
        fs::write("f", "x").expect("it is there");
        assert!(i.told().contains(&told(dir, libc::IN_MODIFY, "f")));
        fs::remove_file("f").expect("it is there");
        assert_eq!(sys!(write(file.as_raw_fd(), c"x".as_ptr().cast(), 1)), 1);
        assert_eq!(i.told().len(), times);
    }
}

fn masks_are_added_and_replaced() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    let f = i.watch("f", libc::IN_ATTRIB);
    assert_eq!(i.watch("f", libc::IN_MODIFY | libc::IN_MASK_ADD), f);
    fails(
        i.try_watch("f", libc::IN_MODIFY | libc::IN_MASK_CREATE),
        libc::EEXIST,
    );
    ok(sys!(chmod(c"f".as_ptr(), 0o600)));
    fs::write("f", "x").expect("it is there");
    let events: Vec<u32> = i.told().into_iter().map(|(_, event, _)| event).collect();
    assert!(events.contains(&libc::IN_ATTRIB) && events.contains(&libc::IN_MODIFY));
    assert_eq!(i.watch("f", libc::IN_MODIFY), f);
    ok(sys!(chmod(c"f".as_ptr(), 0o640)));
    assert_eq!(i.told(), []);
    fails(i.try_watch("f", 0), libc::EINVAL);
    fails(i.try_watch("f", libc::IN_ONLYDIR | ALL), libc::ENOTDIR);
    fails(i.try_watch("nowhere", ALL), libc::ENOENT);
}

fn an_opened_and_emptied_file_is_modified() {
    let mut i = Instance::new();
    fs::write("f", "").expect("a new file");
    let f = i.watch("f", libc::IN_MODIFY);
    drop(open("f", libc::O_WRONLY | libc::O_TRUNC, 0));
    assert_eq!(i.told(), [told(f, libc::IN_MODIFY, "")]);
}

fn a_watch_added_while_its_instance_is_closed_ends_with_it() {
    const ROUNDS: usize = 200;
    const SPARE: usize = 50;
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").expect("procfs");
    let most: usize = text.trim().parse().expect("a number");
    if most > 10_000 {
        // So many files would take long.
        return;
    }
    ok(sys!(chmod(c".".as_ptr(), 0o777)));
    in_child(|| {
        // A user that nobody else is.
        ok(sys!(setuid(54322)));
        let kept = Instance::new();
        let watch = |n: usize| {
            let name = n.to_string();
            fs::write(&name, "").expect("room");
            kept.watch(&name, libc::IN_OPEN);
        };
        (SPARE..most).for_each(watch);
        // It takes a while to follow.
        fs::write("f", "").expect("room");
        let path = c(&format!("{}f", "./".repeat(2000)));
        let next = AtomicI32::new(-1);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut fd = -1;
                    while fd == -1 {
                        std::hint::spin_loop();
                        fd = next.swap(-1, SeqCst);
                    }
                    ok(sys!(close(fd)));
                }
            });
            for _ in 0..ROUNDS {
                let fd = Instance::new().0.into_raw_fd();
                next.store(fd, SeqCst);
                sys!(inotify_add_watch(fd, path.as_ptr(), libc::IN_OPEN));
                until("it is closed", || sys!(fcntl(fd, libc::F_GETFD)) == -1);
            }
        });
        // They count no more.
        (0..SPARE).for_each(watch);
    });
}

fn instances_are_limited() {
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").expect("procfs");
    let most: usize = text.trim().parse().expect("a number");
    if most > 1000 {
        // Somebody has set it.
        return;
    }
    for name in ["max_queued_events", "max_user_watches"] {
        let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).expect("procfs");
        assert!(text.trim().parse::<usize>().expect("a number") > 0);
    }
    in_child(|| {
        // A user that nobody else is.
        ok(sys!(setuid(54321)));
        let mut made = Vec::new();
        let fd = loop {
            let fd = sys!(inotify_init1(0));
            if fd == -1 || made.len() > most {
                break fd;
            }
            made.push(fd);
        };
        fails(fd, libc::EMFILE);
        assert_eq!(made.len(), most);
        ok(sys!(close(made[0])));
        ok(sys!(inotify_init1(0)));
    });
    drop(Instance::new());
}

fn events_are_read_whole() {
    let i = Instance::new();
    i.watch(".", libc::IN_CREATE);
    fs::write("name", "").expect("a new file");
    fs::write("other", "").expect("a new file");
    let read = |room: usize| {
        let mut bytes = [0u8; 100];
        let n = sys!(read(i.0.as_raw_fd(), bytes.as_mut_ptr().cast(), room));
        if n == -1 { Err(errno()) } else { Ok(n) }
    };
    assert_eq!(read(31), Err(libc::EINVAL));
    assert_eq!(read(63), Ok(32));
    let mut left = 0;
    ok(sys!(ioctl(i.0.as_raw_fd(), libc::FIONREAD as _, &mut left)));
    assert_eq!(left, 32);
    assert_eq!(read(100), Ok(32));
    assert_eq!(read(100), Err(libc::EAGAIN));
}

fn a_full_queue_says_so_and_is_read() {
    let mut i = Instance::new();
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("procfs");
    let most: usize = text.trim().parse().expect("a number");
    if most > 20_000 {
        return;
    }
    let dir = i.watch(".", libc::IN_CREATE | libc::IN_DELETE);
    let name = "n".repeat(255);
    for _ in 0..=most / 2 {
        fs::write(&name, "").expect("a new file");
        fs::remove_file(&name).expect("it is there");
    }
    // All of it at once: the kernel keeps no second copy for that.
    let mut bytes = vec![0; 32 << 20];
    let mut all = Vec::new();
    while let Ok(n) = i.0.read(&mut bytes) {
        all.extend(parse(&bytes[..n]));
    }
    assert_eq!(all.len(), most + 1);
    assert_eq!(all[0].0, told(dir, libc::IN_CREATE, &name));
    assert_eq!(all[most].0, told(-1, libc::IN_Q_OVERFLOW, ""));
}
