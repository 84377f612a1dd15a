//! Users and groups: who may do what once a process is no longer root. All of it needs root to begin
//! with.

use crate::support::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::ptr;

crate::harness::tests![
    identities_are_told,
    root_can_become_anyone_and_not_come_back,
    effective_and_saved_ids_swap,
    setreuid_and_setresuid_have_rules,
    groups_are_set_by_root_only,
    permission_bits_are_enforced,
    directories_need_search_and_write,
    group_members_use_the_group_bits,
    the_sticky_bit_protects,
    only_owners_change_modes_and_times,
    chown_is_for_root,
    chown_drops_setuid,
    root_reads_everything,
    new_files_belong_to_their_maker,
    setgid_directories_pass_their_group_on,
    access_asks_for_the_real_user,
    privileged_calls_are_eperm,
    devices_need_root,
    setuid_programs_are_not_run_by_scripts_of_others,
    capabilities_follow_the_superuser: Native,
    exec_saves_the_effective_user,
    a_setuid_program_is_told_so,
    the_death_signal_outlives_exec,
    writing_takes_the_setuid_bit,
    moved_directories_must_be_writable,
    who_runs_with_other_rights_is_left_alone: Native,
    the_dumpable_flag_has_two_values,
    the_death_signal_goes_with_other_rights: Native,
];

const USER: u32 = 4321;
const GROUP: u32 = 8765;

/// Runs checks as a user without rights.
fn as_user(checks: impl FnOnce()) {
    in_child(|| {
        become_user();
        checks();
    });
}

fn become_user() {
    ok(sys!(setgroups(0, ptr::null())));
    ok(sys!(setgid(GROUP)));
    ok(sys!(setuid(USER)));
}

/// A file of root's, reachable through a directory that everyone may search.
fn make(path: &str, mode: u32) {
    fs::write(path, "content").expect("a new file");
    ok(sys!(chmod(c(path).as_ptr(), mode)));
}

fn identities_are_told() {
    let (mut r, mut e, mut s) = (9, 9, 9);
    ok(sys!(getresuid(&mut r, &mut e, &mut s)));
    assert_eq!((r, e, s), (0, 0, 0), "these tests are for root");
    ok(sys!(getresgid(&mut r, &mut e, &mut s)));
    assert_eq!((r, e), (sys!(getgid()), sys!(getegid())));
    as_user(|| {
        ok(sys!(getresuid(&mut r, &mut e, &mut s)));
        assert_eq!((r, e, s), (USER, USER, USER));
        ok(sys!(getresgid(&mut r, &mut e, &mut s)));
        assert_eq!((r, e, s), (GROUP, GROUP, GROUP));
        assert_eq!(sys!(getgroups(0, ptr::null_mut())), 0);
    });
}

fn root_can_become_anyone_and_not_come_back() {
    as_user(|| {
        fails(sys!(setuid(0)), libc::EPERM);
        fails(sys!(seteuid(0)), libc::EPERM);
        fails(sys!(setgid(0)), libc::EPERM);
        fails(sys!(setreuid(0, 0)), libc::EPERM);
        ok(sys!(setuid(USER)));
    });
}

fn effective_and_saved_ids_swap() {
    in_child(|| {
        ok(sys!(seteuid(USER)));
        assert_eq!((sys!(getuid()), sys!(geteuid())), (0, USER));
        fails(sys!(seteuid(5)), libc::EPERM);
        ok(sys!(seteuid(0)));
        assert_eq!(sys!(geteuid()), 0);
    });
}

fn setreuid_and_setresuid_have_rules() {
    in_child(|| {
        ok(sys!(setresuid(1, 2, 3)));
        fails(sys!(setresuid(4, u32::MAX, u32::MAX)), libc::EPERM);
        ok(sys!(setresuid(u32::MAX, 3, u32::MAX)));
        ok(sys!(setresuid(3, 1, 1)));
        let (mut r, mut e, mut s) = (9, 9, 9);
        ok(sys!(getresuid(&mut r, &mut e, &mut s)));
        assert_eq!((r, e, s), (3, 1, 1));
    });
    in_child(|| {
        ok(sys!(setreuid(USER, 7)));
        let (mut r, mut e, mut s) = (9, 9, 9);
        ok(sys!(getresuid(&mut r, &mut e, &mut s)));
        assert_eq!((r, e, s), (USER, 7, 7), "the saved id follows");
    });
}

fn groups_are_set_by_root_only() {
    in_child(|| {
        let groups = [10, 20, 30];
        ok(sys!(setgroups(3, groups.as_ptr())));
        let mut found = [0; 5];
        assert_eq!(ok(sys!(getgroups(5, found.as_mut_ptr()))), 3);
        assert_eq!(found[..3], groups);
        fails(sys!(getgroups(2, found.as_mut_ptr())), libc::EINVAL);
        ok(sys!(setuid(USER)));
        fails(sys!(setgroups(3, groups.as_ptr())), libc::EPERM);
    });
}

fn permission_bits_are_enforced() {
    make("r", 0o604);
    make("w", 0o602);
    make("none", 0o770);
    as_user(|| {
        drop(open("r", libc::O_RDONLY, 0));
        fails(try_open("r", libc::O_WRONLY, 0), libc::EACCES);
        drop(open("w", libc::O_WRONLY, 0));
        fails(try_open("w", libc::O_RDONLY, 0), libc::EACCES);
        fails(try_open("w", libc::O_RDWR, 0), libc::EACCES);
        fails(try_open("none", libc::O_RDONLY, 0), libc::EACCES);
        fails(sys!(truncate(c"r".as_ptr(), 0)), libc::EACCES);
    });
}

fn directories_need_search_and_write() {
    fs::create_dir("closed").expect("a new directory");
    make("closed/f", 0o666);
    ok(sys!(chmod(c"closed".as_ptr(), 0o704)));
    fs::create_dir("search").expect("a new directory");
    make("search/f", 0o666);
    ok(sys!(chmod(c"search".as_ptr(), 0o711)));
    as_user(|| {
        fails(try_open("closed/f", libc::O_RDONLY, 0), libc::EACCES);
        fails(sys!(chdir(c"closed".as_ptr())), libc::EACCES);
        assert_eq!(fs::read_dir("closed").expect("readable").count(), 1);
        drop(open("search/f", libc::O_RDWR, 0));
        fails(try_open("search", libc::O_RDONLY, 0), libc::EACCES);
        fails(
            try_open("search/new", libc::O_CREAT | libc::O_WRONLY, 0o600),
            libc::EACCES,
        );
        fails(sys!(unlink(c"search/f".as_ptr())), libc::EACCES);
        fails(sys!(mkdir(c"search/d".as_ptr(), 0o700)), libc::EACCES);
        fails(
            sys!(rename(c"search/f".as_ptr(), c"search/g".as_ptr())),
            libc::EACCES,
        );
    });
}

fn group_members_use_the_group_bits() {
    make("f", 0o640);
    make("shut", 0o604);
    ok(sys!(chown(c"f".as_ptr(), 0, 555)));
    ok(sys!(chown(c"shut".as_ptr(), 0, 555)));
    in_child(|| {
        ok(sys!(setgroups(1, &555)));
        ok(sys!(setgid(GROUP)));
        ok(sys!(setuid(USER)));
        drop(open("f", libc::O_RDONLY, 0));
        fails(try_open("f", libc::O_WRONLY, 0), libc::EACCES);
        // The first class that fits decides, even to refuse.
        fails(try_open("shut", libc::O_RDONLY, 0), libc::EACCES);
    });
}

fn the_sticky_bit_protects() {
    fs::create_dir("tmp").expect("a new directory");
    ok(sys!(chmod(c"tmp".as_ptr(), 0o1777)));
    make("tmp/roots", 0o666);
    as_user(|| {
        fs::write("tmp/mine", "").expect("everyone may");
        fails(sys!(unlink(c"tmp/roots".as_ptr())), libc::EPERM);
        fails(
            sys!(rename(c"tmp/roots".as_ptr(), c"tmp/other".as_ptr())),
            libc::EPERM,
        );
        fails(
            sys!(rename(c"tmp/mine".as_ptr(), c"tmp/roots".as_ptr())),
            libc::EPERM,
        );
        ok(sys!(unlink(c"tmp/mine".as_ptr())));
    });
}

fn only_owners_change_modes_and_times() {
    make("f", 0o666);
    as_user(|| {
        fails(sys!(chmod(c"f".as_ptr(), 0o777)), libc::EPERM);
        let times = [libc::timespec {
            tv_sec: 1,
            tv_nsec: 0,
        }; 2];
        let here = libc::AT_FDCWD;
        fails(
            sys!(utimensat(here, c"f".as_ptr(), times.as_ptr(), 0)),
            libc::EPERM,
        );
        // Whoever may write may set the time to now.
        ok(sys!(utimensat(here, c"f".as_ptr(), ptr::null(), 0)));
    });
}

fn chown_is_for_root() {
    make("f", 0o666);
    ok(sys!(chown(c"f".as_ptr(), USER, 77)));
    let about = fs::metadata("f").expect("there");
    assert_eq!((about.uid(), about.gid()), (USER, 77));
    ok(sys!(chown(c"f".as_ptr(), u32::MAX, 78)));
    assert_eq!(
        fs::metadata("f").expect("there").uid(),
        USER,
        "-1 changes nothing"
    );
    as_user(|| {
        fails(sys!(chown(c"f".as_ptr(), 0, u32::MAX)), libc::EPERM);
        fails(sys!(chown(c"f".as_ptr(), u32::MAX, 99)), libc::EPERM);
        // To a group of one's own it may go.
        ok(sys!(chown(c"f".as_ptr(), u32::MAX, GROUP)));
    });
}

fn chown_drops_setuid() {
    make("f", 0o6755);
    ok(sys!(chown(c"f".as_ptr(), USER, GROUP)));
    assert_eq!(fs::metadata("f").expect("there").mode() & 0o7777, 0o755);
}

fn root_reads_everything() {
    make("f", 0o000);
    drop(open("f", libc::O_RDWR, 0));
    ok(sys!(access(c"f".as_ptr(), libc::R_OK | libc::W_OK)));
    fails(sys!(access(c"f".as_ptr(), libc::X_OK)), libc::EACCES);
}

fn new_files_belong_to_their_maker() {
    ok(sys!(chmod(c".".as_ptr(), 0o777)));
    as_user(|| {
        fs::write("f", "").expect("everyone may");
        fs::create_dir("d").expect("everyone may");
        for path in ["f", "d"] {
            let about = fs::metadata(path).expect("there");
            assert_eq!((about.uid(), about.gid()), (USER, GROUP));
        }
    });
}

fn setgid_directories_pass_their_group_on() {
    fs::create_dir("d").expect("a new directory");
    ok(sys!(chown(c"d".as_ptr(), 0, 555)));
    ok(sys!(chmod(c"d".as_ptr(), 0o2777)));
    as_user(|| {
        fs::write("d/f", "").expect("everyone may");
        fs::create_dir("d/sub").expect("everyone may");
        assert_eq!(fs::metadata("d/f").expect("there").gid(), 555);
        let sub = fs::metadata("d/sub").expect("there");
        assert_eq!((sub.gid(), sub.mode() & 0o2000), (555, 0o2000));
    });
}

fn access_asks_for_the_real_user() {
    make("f", 0o600);
    in_child(|| {
        ok(sys!(setreuid(USER, 0)));
        fails(sys!(access(c"f".as_ptr(), libc::R_OK)), libc::EACCES);
        let (here, flags) = (libc::AT_FDCWD, libc::AT_EACCESS);
        ok(sys!(faccessat(here, c"f".as_ptr(), libc::R_OK, flags)));
        drop(open("f", libc::O_RDONLY, 0));
    });
    fails(sys!(access(c"f".as_ptr(), 99)), libc::EINVAL);
}

fn privileged_calls_are_eperm() {
    as_user(|| {
        fails(sys!(chroot(c"/".as_ptr())), libc::EPERM);
        fails(sys!(sethostname(c"x".as_ptr(), 1)), libc::EPERM);
        fails(
            sys!(setpriority(libc::PRIO_PROCESS as _, 1, -5)),
            libc::EPERM,
        );
        let none = ptr::null();
        fails(sys!(umount2(c"/proc".as_ptr(), 0)), libc::EPERM);
        fails(
            sys!(mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REMOUNT,
                ptr::null()
            )),
            libc::EPERM,
        );
        let now = libc::timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        fails(sys!(clock_settime(libc::CLOCK_REALTIME, &now)), libc::EPERM);
        let more = libc::rlimit {
            rlim_cur: 1 << 40,
            rlim_max: 1 << 40,
        };
        fails(sys!(setrlimit(libc::RLIMIT_NOFILE, &more)), libc::EPERM);
    });
}

fn devices_need_root() {
    ok(sys!(chmod(c".".as_ptr(), 0o777)));
    as_user(|| {
        let number = libc::makedev(1, 3);
        fails(
            sys!(mknod(c"null".as_ptr(), libc::S_IFCHR | 0o666, number)),
            libc::EPERM,
        );
        ok(sys!(mkfifo(c"fifo".as_ptr(), 0o600)));
    });
}

fn setuid_programs_are_not_run_by_scripts_of_others() {
    fs::write("script", "#!/bin/sh\nexit $(id -u | wc -c)\n").expect("a new file");
    ok(sys!(chmod(c"script".as_ptr(), 0o4755)));
    // The bit is void on scripts: the user stays who he is.
    let end = end_of(|| {
        become_user();
        crate::helper::exec("./script", &["script"], &["PATH=/bin:/usr/bin"])
    });
    assert_eq!(end, End::Exit("4321\n".len() as i32));
}

fn capabilities_follow_the_superuser() {
    // Version 3, the caller; effective, permitted and inheritable sets in two halves.
    let mut header = [0x2008_0522u32, 0];
    let mut sets = [[0u32; 3]; 2];
    ok(sys!(syscall(
        libc::SYS_capget,
        header.as_mut_ptr(),
        sets.as_mut_ptr()
    )));
    assert!(sets[0][0] & 1 != 0, "root may change owners");
    ok(sys!(syscall(
        libc::SYS_capset,
        header.as_mut_ptr(),
        sets.as_mut_ptr()
    )));
    in_child(|| {
        let mut header = header;
        let mut sets = sets;
        ok(sys!(setuid(54_321)));
        let (h, s) = (header.as_mut_ptr(), sets.as_mut_ptr());
        fails(sys!(syscall(libc::SYS_capset, h, s)), libc::EPERM);
        ok(sys!(syscall(libc::SYS_capget, h, s)));
        assert_eq!(
            (sets[0][..2].to_vec(), sets[1][..2].to_vec()),
            (vec![0; 2], vec![0; 2])
        );
    });
    header[0] = 1;
    fails(
        sys!(syscall(
            libc::SYS_capget,
            header.as_mut_ptr(),
            sets.as_mut_ptr()
        )),
        libc::EINVAL,
    );
    assert_eq!(header[0], 0x2008_0522);
}

/// What the helper says of itself under `name` when `prepare` has been called before it is executed.
fn after_exec(path: &str, name: &str, prepare: impl FnOnce()) -> String {
    let text = crate::helper::output_of(|| {
        prepare();
        crate::helper::exec(path, &["ktest", crate::helper::SWITCH, "state"], &["A=1"])
    });
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text:?}"))
        .trim()
        .to_string()
}

fn exec_saves_the_effective_user() {
    let drop_for_a_while = || {
        ok(sys!(setresuid(USER, USER, 0)));
    };
    let users = after_exec(&crate::helper::path(), "users", drop_for_a_while);
    assert_eq!(users, format!("{USER},{USER},{USER}"));
}

/// A copy of this program that runs as its owner.
fn setuid_copy() -> String {
    let copy = std::env::current_dir().expect("a directory").join("copy");
    fs::copy(crate::helper::path(), &copy).expect("a copy of this program");
    let copy = copy.to_string_lossy().into_owned();
    ok(sys!(chown(c(&copy).as_ptr(), 77, 88)));
    ok(sys!(chmod(c(&copy).as_ptr(), 0o4755)));
    copy
}

fn a_setuid_program_is_told_so() {
    let copy = setuid_copy();
    assert_eq!(after_exec(&copy, "users", || ()), "0,77,77");
    assert_eq!(after_exec(&copy, "secure", || ()), "1");
    assert_eq!(after_exec(&copy, "auxv-euid", || ()), "77");
    assert_eq!(after_exec(&crate::helper::path(), "secure", || ()), "0");
}

fn the_death_signal_outlives_exec() {
    let ask = || {
        ok(sys!(prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1)));
    };
    let signal = after_exec(&crate::helper::path(), "death-signal", ask);
    assert_eq!(signal, libc::SIGUSR1.to_string());
    assert_eq!(after_exec(&setuid_copy(), "death-signal", ask), "0");
}

fn writing_takes_the_setuid_bit() {
    make("f", 0o666);
    let mode = || fs::metadata("f").expect("the file").mode() & 0o7777;
    let bits = |mode| ok(sys!(chmod(c"f".as_ptr(), mode)));
    let write = || {
        let file = open("f", libc::O_WRONLY, 0);
        std::io::Write::write_all(&mut &file, b"x").expect("a writable file");
    };
    bits(0o6777);
    write();
    assert_eq!(mode(), 0o6777, "root may");
    bits(0o6777);
    as_user(write);
    assert_eq!(mode(), 0o777);
    bits(0o6767);
    as_user(write);
    // The group is not the writer's own.
    assert_eq!(mode(), 0o767);
    bits(0o6777);
    as_user(|| {
        ok(sys!(truncate(c"f".as_ptr(), 1)));
    });
    assert_eq!(mode(), 0o777);
}

fn moved_directories_must_be_writable() {
    for name in ["from", "to"] {
        fs::create_dir(name).expect("a directory");
        ok(sys!(chmod(c(name).as_ptr(), 0o777)));
    }
    fs::create_dir("from/d").expect("a directory");
    as_user(|| {
        let to = |name: &str| sys!(rename(c"from/d".as_ptr(), c(name).as_ptr()));
        fails(to("to/d"), libc::EACCES);
        ok(to("from/e"));
    });
}

fn who_runs_with_other_rights_is_left_alone() {
    let (mut ready, mut tell) = pipe();
    let target = spawn(move || {
        ok(sys!(setgroups(0, ptr::null())));
        ok(sys!(setresgid(GROUP, GROUP, GROUP)));
        ok(sys!(setresuid(USER, USER, 0)));
        std::io::Write::write_all(&mut tell, b"x").expect("a pipe");
        loop {
            sys!(pause());
        }
    });
    std::io::Read::read_exact(&mut ready, &mut [0]).expect("a pipe");
    as_user(|| {
        let mut limit: libc::rlimit = zeroed();
        let null = ptr::null();
        fails(
            sys!(prlimit(target, libc::RLIMIT_NOFILE, null, &mut limit)),
            libc::EPERM,
        );
        let fds = fs::read_dir(format!("/proc/{target}/fd"));
        let seen = fds.is_ok_and(|mut fds| fds.next().is_some_and(|entry| entry.is_ok()));
        assert!(!seen, "another's descriptors");
    });
    ok(sys!(kill(target, libc::SIGKILL)));
    wait(target);
}

fn the_dumpable_flag_has_two_values() {
    let set = |value: i32| sys!(prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0));
    let get = || sys!(prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0));
    for value in [0, 1] {
        ok(set(value));
        assert_eq!(get(), value);
    }
    // Only the kernel may say more.
    for value in [2, 3, -1] {
        fails(set(value), libc::EINVAL);
    }
    assert_eq!(get(), 1);
}

fn the_death_signal_goes_with_other_rights() {
    let told = |change: fn()| {
        in_child(move || {
            let ask = || {
                let mut signal = 0;
                ok(sys!(prctl(libc::PR_GET_PDEATHSIG, &raw mut signal)));
                signal
            };
            ok(sys!(prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1)));
            ok(sys!(setresuid(1234, KEEP, KEEP)));
            assert_eq!(ask(), libc::SIGUSR1, "the real one gives no rights");
            change();
            assert_eq!(ask(), 0);
        });
    };
    const KEEP: u32 = u32::MAX;
    told(|| _ = ok(sys!(setresuid(KEEP, 77, KEEP))));
    told(|| _ = ok(sys!(setresgid(KEEP, 77, KEEP))));
    told(|| _ = sys!(setfsuid(77)));
    told(|| _ = sys!(setfsgid(77)));
}
