//! Rights that must hold while others change them, and whose they are. All of it needs root to begin with.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use crate::support::*;

crate::harness::tests![
    no_race_makes_a_program_of_roots,
    setgid_is_for_members,
    access_walks_as_the_real_user,
    pipes_have_modes_and_times,
    maps_are_for_the_owner: Native,
    a_held_directory_of_proc_ends_with_its_process: Native,
    odd_names_of_processes_are_escaped: Native,
    the_log_is_read_as_records: Native,
];

const USER: u32 = 4321;
const GROUP: u32 = 8765;
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

fn become_user() {
    ok(sys!(setgroups(0, std::ptr::null())));
    ok(sys!(setgid(GROUP)));
    ok(sys!(setuid(USER)));
}

fn as_user(checks: impl FnOnce()) {
    in_child(|| {
        become_user();
        checks();
    });
}

fn no_race_makes_a_program_of_roots() {
    fs::write("f", "").expect("a new file");
    ok(sys!(chmod(c".".as_ptr(), 0o755)));
    let f = File::open("f").expect("it is there");
    let fd = f.as_raw_fd();
    ok(sys!(fchown(fd, USER, GROUP)));
    let child = spawn(|| {
        become_user();
        loop {
            sys!(fchmod(fd, 0o4755));
            sys!(fchmod(fd, 0o755));
        }
    });
    for _ in 0..30_000 {
        ok(sys!(fchown(fd, 0, 0)));
        let about = f.metadata().expect("it is open");
        assert_eq!((about.uid(), about.mode() & SETUID), (0, 0));
        ok(sys!(fchown(fd, USER, GROUP)));
    }
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn setgid_is_for_members() {
    const OTHERS: u32 = 555;
    fs::create_dir("d").expect("a new directory");
    ok(sys!(chown(c"d".as_ptr(), 0, OTHERS)));
    ok(sys!(chmod(c"d".as_ptr(), 0o2777)));
    ok(sys!(chmod(c".".as_ptr(), 0o755)));
    let made = |name: &str, mode: u32| {
        let flags = libc::O_CREAT | libc::O_WRONLY;
        let about = open(name, flags, mode).metadata().expect("it is open");
        assert_eq!(about.gid(), OTHERS);
        about.mode() & 0o7777
    };
    sys!(umask(0));
    as_user(|| {
        // What may be executed by the group would run as it.
        assert_eq!(made("d/a", 0o2770), 0o770);
        assert_eq!(made("d/b", 0o2760), 0o2760);
        let nameless = open("d", libc::O_TMPFILE | libc::O_RDWR, 0o2770);
        let about = nameless.metadata().expect("it is open");
        assert_eq!((about.gid(), about.mode() & 0o7777), (OTHERS, 0o770));
        ok(sys!(mknod(c"d/c".as_ptr(), libc::S_IFREG | 0o2770, 0)));
        assert_eq!(fs::metadata("d/c").expect("there").mode() & SETGID, 0);
        // A directory hands its group down.
        fs::create_dir("d/d").expect("a new directory");
        assert_eq!(fs::metadata("d/d").expect("there").mode() & SETGID, SETGID);
    });
    assert_eq!(made("d/e", 0o2770), 0o2770);
    in_child(|| {
        ok(sys!(setgroups(1, [OTHERS].as_ptr())));
        ok(sys!(setgid(GROUP)));
        ok(sys!(setuid(USER)));
        assert_eq!(made("d/f", 0o2770), 0o2770);
    });
}

fn access_walks_as_the_real_user() {
    fs::create_dir("d").expect("a new directory");
    fs::write("d/f", "").expect("a new file");
    ok(sys!(chmod(c".".as_ptr(), 0o755)));
    ok(sys!(chmod(c"d".as_ptr(), 0o700)));
    in_child(|| {
        ok(sys!(setresuid(USER, 0, 0)));
        fails(sys!(access(c"d/f".as_ptr(), libc::F_OK)), libc::EACCES);
        let eaccess = |how| {
            sys!(faccessat(
                libc::AT_FDCWD,
                c"d/f".as_ptr(),
                how,
                libc::AT_EACCESS
            ))
        };
        ok(eaccess(libc::R_OK));
    });
}

fn pipes_have_modes_and_times() {
    let (reader, _writer) = pipe();
    let fd = reader.as_raw_fd();
    ok(sys!(fchmod(fd, 0o600)));
    ok(sys!(futimens(fd, std::ptr::null())));
    ok(sys!(fchown(fd, u32::MAX, u32::MAX)));
    let mut ends = [0; 2];
    ok(sys!(socketpair(
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        ends.as_mut_ptr()
    )));
    ok(sys!(fchmod(ends[0], 0o600)));
    ok(sys!(futimens(ends[0], std::ptr::null())));
}

fn maps_are_for_the_owner() {
    let parent = sys!(getpid());
    let maps = format!("/proc/{parent}/maps");
    let mode = fs::metadata(&maps).expect("procfs").mode();
    assert_eq!(mode & 0o777, 0o444);
    assert!(fs::read(&maps).is_ok_and(|text| !text.is_empty()));
    as_user(|| {
        fails(try_open(&maps, libc::O_RDONLY, 0), libc::EACCES);
        assert!(fs::read(format!("/proc/{parent}/stat")).is_ok());
    });
}

fn a_held_directory_of_proc_ends_with_its_process() {
    let ended = spawn(|| 0);
    let held = open(&format!("/proc/{ended}"), libc::O_RDONLY, 0);
    let stat = File::open(format!("/proc/{ended}/stat")).expect("procfs");
    assert_eq!(wait(ended), End::Exit(0));
    let mut byte = [0u8];
    let read = sys!(read(stat.as_raw_fd(), byte.as_mut_ptr().cast(), 1));
    fails(read, libc::ESRCH);
    for name in [c"stat", c"fd", c"exe", c"task"] {
        let open = sys!(openat(held.as_raw_fd(), name.as_ptr(), libc::O_RDONLY));
        fails(open, libc::ESRCH);
    }
    let mut entries = [0u8; 1000];
    let listed = sys!(syscall(
        libc::SYS_getdents64,
        held.as_raw_fd(),
        entries.as_mut_ptr(),
        entries.len()
    ));
    fails(listed, libc::ENOENT);
}

fn odd_names_of_processes_are_escaped() {
    fs::write("/proc/self/comm", "a\nb\\c d").expect("one's own name");
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    assert_eq!(status.lines().next(), Some("Name:\ta\\nb\\\\c d"));
    let comm = fs::read_to_string("/proc/self/comm").expect("procfs");
    assert_eq!(comm, "a\nb\\c d\n");
}

fn the_log_is_read_as_records() {
    let log = open("/dev/kmsg", libc::O_RDWR | libc::O_NONBLOCK, 0);
    // Whatever earlier runs have said.
    let me = format!("ktest {} says", sys!(getpid()));
    ok(sys!(lseek(log.as_raw_fd(), 0, libc::SEEK_END)));
    let write = |text: &str| sys!(write(log.as_raw_fd(), text.as_ptr().cast(), text.len()));
    let read = || {
        let mut bytes = [0u8; 4096];
        let n = sys!(read(log.as_raw_fd(), bytes.as_mut_ptr().cast(), 4096));
        if n == -1 {
            return Err(errno());
        }
        Ok(String::from_utf8_lossy(&bytes[..n as usize]).into_owned())
    };
    let own = |text: &str| loop {
        let record = read()?;
        if record.contains(text) {
            return Ok::<_, i32>(record);
        }
    };
    assert_eq!(own("nothing of the kind"), Err(libc::EAGAIN));
    assert!(write(&format!("<5>{me} one\n")) > 0);
    let record = own(&me).expect("a record");
    let (head, text) = record.split_once(';').expect("a head");
    assert_eq!(text, format!("{me} one\n"));
    let fields: Vec<&str> = head.split(',').collect();
    let number: u64 = fields[1].parse().expect("a number");
    assert!(fields[2].parse::<u64>().is_ok());
    // Lines within stay within.
    let forged = format!("{me} two\n<0>[99999999999999999999.0] forged\n");
    assert!(write(&forged) > 0);
    let record = own(&me).expect("a record");
    let whole = format!(";{me} two\\x0a<0>[99999999999999999999.0] forged\n");
    assert!(record.ends_with(&whole), "{record}");
    let next: u64 = record
        .split(',')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(next > number);
    assert_eq!(own(&me), Err(libc::EAGAIN));
    fails(write(&"x".repeat(2000)) as i32, libc::EINVAL);
    // Who may wait is woken.
    let child = spawn(|| {
        let log = open("/dev/kmsg", libc::O_RDONLY, 0);
        ok(sys!(lseek(log.as_raw_fd(), 0, libc::SEEK_END)));
        let mut bytes = [0u8; 4096];
        loop {
            let n = ok(sys!(read(log.as_raw_fd(), bytes.as_mut_ptr().cast(), 4096)));
            if String::from_utf8_lossy(&bytes[..n as usize]).contains(&format!("{me} wake")) {
                return 0;
            }
        }
    });
    let asleep = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.contains(") S ")
    };
    until("the reader waits", asleep);
    assert!(write(&format!("{me} wake\n")) > 0);
    assert_eq!(wait(child), End::Exit(0));
}
