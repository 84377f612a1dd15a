//! Random calls with random arguments, from several processes and threads at once: the kernel refuses or obeys, never falls.
//!
//! What a call answers is not looked at. The machine must still be there at the end, and what the callers held must be free
//! again. `KTEST_SEED` repeats a run (its seed is printed), `KTEST_SECONDS` makes it longer. Only for RustOS: nobody wants this
//! done to the machine that he works on.

use std::ffi::{CString, c_long};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use crate::stress::leaves_at_most;
use crate::support::*;

crate::harness::tests![
    random_calls_of_root_are_survived: Native,
    random_calls_of_nobody_are_survived: Native,
];

/// Pages that arguments point into.
const ARENA: usize = 64 * 4096;
/// How long one generation of processes lives.
const GENERATION: Duration = Duration::from_millis(400);
/// Calls that a thread makes before its process starts afresh.
const CALLS: usize = 400;

/// xorshift64*
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// What an argument usually is; now and then it is anything at all.
#[derive(Clone, Copy)]
enum Kind {
    Fd,
    Path,
    /// Memory to be filled or read, and its contents as they are.
    Memory,
    /// `struct iovec` list, `struct msghdr`: pointers and lengths in pairs.
    Vectors,
    /// Page-aligned memory of the arena.
    Page,
    Length,
    Offset,
    Flags,
    Small,
    /// Myself or my child: these calls may do harm elsewhere.
    Mine,
    Signal,
    /// `struct timespec`, short.
    Time,
    /// A number of milliseconds, short.
    Short,
    /// A System V key of ours.
    Key,
    Zero,
    Any,
}
use Kind::*;

macro_rules! calls {
    ($($name:ident $($kind:ident)*;)*) => { &[$((libc::$name, &[$($kind),*])),*] };
}

/// Left out: what ends the process at once (`exit`), what ends the machine (`reboot`), and what changes it for all
/// (`mount`, the clocks).
#[rustfmt::skip]
const LIST: &[(c_long, &[Kind])] = calls! {
    SYS_read Fd Memory Length; SYS_write Fd Memory Length; SYS_readv Fd Vectors Small; SYS_writev Fd Vectors Small;
    SYS_pread64 Fd Memory Length Offset; SYS_pwrite64 Fd Memory Length Offset;
    SYS_preadv Fd Vectors Small Offset Zero; SYS_pwritev Fd Vectors Small Offset Zero;
    SYS_preadv2 Fd Vectors Small Offset Zero Flags; SYS_pwritev2 Fd Vectors Small Offset Zero Flags;
    SYS_openat Fd Path Flags Flags; SYS_openat Fd Path Flags Flags; SYS_openat Fd Path Flags Flags; SYS_openat2 Fd Path Memory Small;
    SYS_close Fd; SYS_close_range Fd Fd Flags; SYS_lseek Fd Offset Small; SYS_fstat Fd Memory; SYS_newfstatat Fd Path Memory Flags;
    SYS_statx Fd Path Flags Flags Memory; SYS_statfs Path Memory; SYS_fstatfs Fd Memory;
    SYS_faccessat Fd Path Small; SYS_faccessat2 Fd Path Small Flags; SYS_fchmod Fd Flags; SYS_fchmodat Fd Path Flags;
    SYS_fchown Fd Small Small; SYS_fchownat Fd Path Small Small Flags; SYS_truncate Path Offset; SYS_ftruncate Fd Offset;
    SYS_fallocate Fd Flags Offset Length; SYS_mkdirat Fd Path Flags; SYS_mknodat Fd Path Flags Small; SYS_unlinkat Fd Path Flags;
    SYS_symlinkat Path Fd Path; SYS_linkat Fd Path Fd Path Flags; SYS_renameat2 Fd Path Fd Path Flags; SYS_renameat2 Fd Path Fd Path Small;
    SYS_readlinkat Fd Path Memory Length; SYS_getdents64 Fd Memory Length; SYS_getcwd Memory Length; SYS_chdir Path; SYS_fchdir Fd;
    SYS_umask Flags; SYS_utimensat Fd Path Time Flags; SYS_dup Fd; SYS_dup3 Fd Fd Flags; SYS_fcntl Fd Small Fd; SYS_fcntl Fd Small Memory;
    SYS_fcntl Fd Flags Small; SYS_ioctl Fd Any Memory; SYS_flock Fd Small; SYS_pipe2 Memory Flags; SYS_pipe2 Memory Zero;
    SYS_ppoll Memory Small Time Memory Small; SYS_pselect6 Small Memory Memory Memory Time Vectors;
    SYS_sendfile Fd Fd Memory Length; SYS_splice Fd Memory Fd Memory Length Flags; SYS_splice Fd Zero Fd Zero Length Flags;
    SYS_tee Fd Fd Length Flags; SYS_vmsplice Fd Vectors Small Flags; SYS_copy_file_range Fd Memory Fd Memory Length Zero;
    SYS_fsync Fd; SYS_fdatasync Fd; SYS_syncfs Fd; SYS_sync_file_range Fd Offset Length Flags; SYS_fadvise64 Fd Offset Length Small;
    SYS_readahead Fd Offset Length; SYS_memfd_create Path Flags;
    SYS_setxattr Path Path Memory Length Small; SYS_lsetxattr Path Path Memory Length Small; SYS_fsetxattr Fd Path Memory Length Small;
    SYS_getxattr Path Path Memory Length; SYS_fgetxattr Fd Path Memory Length; SYS_listxattr Path Memory Length;
    SYS_flistxattr Fd Memory Length; SYS_removexattr Path Path; SYS_fremovexattr Fd Path;
    SYS_epoll_create1 Flags; SYS_epoll_create1 Zero; SYS_epoll_ctl Fd Small Fd Memory; SYS_epoll_ctl Fd Small Fd Memory;
    SYS_epoll_pwait Fd Memory Small Short Memory Small; SYS_epoll_pwait2 Fd Memory Small Time Zero Zero;
    SYS_eventfd2 Small Flags; SYS_eventfd2 Small Zero; SYS_timerfd_create Small Flags; SYS_timerfd_create Small Zero;
    SYS_timerfd_settime Fd Small Memory Memory; SYS_timerfd_gettime Fd Memory; SYS_signalfd4 Fd Memory Small Flags;
    SYS_inotify_init1 Flags; SYS_inotify_init1 Zero; SYS_inotify_add_watch Fd Path Flags; SYS_inotify_rm_watch Fd Small;
    SYS_mmap Page Length Small Flags Fd Offset; SYS_mmap Zero Length Small Small Fd Zero; SYS_munmap Page Length;
    SYS_mprotect Page Length Small; SYS_mremap Page Length Length Small Page; SYS_madvise Page Length Small; SYS_msync Page Length Small;
    SYS_brk Any; SYS_mlock Page Length; SYS_mlock2 Page Length Small; SYS_munlock Page Length; SYS_mlockall Small; SYS_munlockall;
    SYS_mincore Page Length Memory; SYS_execve Path Vectors Vectors; SYS_execveat Fd Path Vectors Vectors Flags;
    SYS_wait4 Mine Memory Flags Memory; SYS_waitid Small Mine Memory Flags Memory;
    SYS_getpgid Mine; SYS_setpgid Mine Mine; SYS_getsid Mine; SYS_setsid; SYS_getgroups Small Memory; SYS_setgroups Small Memory;
    SYS_setreuid Small Small; SYS_setregid Small Small; SYS_getresuid Memory Memory Memory; SYS_getresgid Memory Memory Memory;
    SYS_setresgid Small Small Small; SYS_setfsuid Small; SYS_setfsgid Small; SYS_setresuid Small Small Small;
    SYS_kill Mine Signal; SYS_tkill Mine Signal; SYS_tgkill Mine Mine Signal; SYS_rt_sigaction Signal Memory Memory Small;
    SYS_rt_sigprocmask Small Memory Memory Small; SYS_rt_sigpending Memory Small; SYS_rt_sigtimedwait Memory Memory Time Small;
    SYS_rt_sigqueueinfo Mine Signal Memory; SYS_rt_tgsigqueueinfo Mine Mine Signal Memory; SYS_sigaltstack Memory Memory;
    SYS_futex Memory Small Small Time Memory Small; SYS_futex Memory Flags Small Time Memory Any; SYS_set_robust_list Memory Small;
    SYS_get_robust_list Mine Memory Memory; SYS_set_tid_address Memory; SYS_sched_yield; SYS_sched_getaffinity Mine Length Memory;
    SYS_sched_setaffinity Mine Length Memory; SYS_sched_getscheduler Mine; SYS_sched_setscheduler Mine Small Memory;
    SYS_sched_getparam Mine Memory; SYS_sched_setparam Mine Memory; SYS_sched_get_priority_max Small; SYS_sched_get_priority_min Small;
    SYS_sched_rr_get_interval Mine Memory; SYS_getpriority Zero Mine; SYS_setpriority Zero Mine Small; SYS_getcpu Memory Memory;
    SYS_nanosleep Time Memory; SYS_clock_gettime Small Memory; SYS_clock_getres Small Memory; SYS_clock_nanosleep Small Zero Time Memory;
    SYS_gettimeofday Memory Memory; SYS_times Memory; SYS_getitimer Small Memory; SYS_setitimer Small Memory Memory;
    SYS_timer_create Small Memory Memory; SYS_timer_create Small Zero Memory; SYS_timer_settime Small Small Memory Memory;
    SYS_timer_gettime Small Memory; SYS_timer_delete Small; SYS_timer_getoverrun Small; SYS_getrandom Memory Length Small;
    SYS_getrlimit Small Memory; SYS_setrlimit Small Memory; SYS_prlimit64 Mine Small Memory Memory; SYS_getrusage Small Memory;
    SYS_sysinfo Memory; SYS_uname Memory; SYS_prctl Small Memory Small Small Small; SYS_personality Any; SYS_syslog Small Memory Length;
    SYS_shmget Key Length Flags; SYS_shmat Small Page Flags; SYS_shmdt Page; SYS_shmctl Small Small Memory;
    SYS_socket Small Small Small; SYS_socket Small Small Zero; SYS_socketpair Small Small Zero Memory; SYS_socketpair Small Small Zero Memory;
    SYS_bind Fd Memory Small; SYS_connect Fd Memory Small; SYS_listen Fd Small; SYS_accept Fd Memory Memory; SYS_accept4 Fd Memory Memory Flags;
    SYS_getsockname Fd Memory Memory; SYS_getpeername Fd Memory Memory; SYS_sendto Fd Memory Length Flags Memory Small;
    SYS_recvfrom Fd Memory Length Flags Memory Memory; SYS_sendmsg Fd Vectors Flags; SYS_recvmsg Fd Vectors Flags;
    SYS_sendmmsg Fd Vectors Small Flags; SYS_recvmmsg Fd Vectors Small Flags Time; SYS_setsockopt Fd Small Small Memory Small;
    SYS_getsockopt Fd Small Small Memory Memory; SYS_shutdown Fd Small; SYS_pidfd_open Mine Flags;
    SYS_pidfd_send_signal Fd Signal Memory Zero; SYS_membarrier Small Zero; SYS_capget Memory Memory; SYS_capset Memory Memory;
    SYS_name_to_handle_at Fd Path Memory Memory Small; SYS_msgget Key Flags; SYS_semget Key Small Flags;
};

const PATHS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "d/a",
    "d/b",
    "d/d",
    "d/../a",
    "e/",
    "./a",
    "..",
    ".",
    "",
    "link/x",
    "user.name",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/ptmx",
    "/dev/tty",
    "/dev/fd/3",
    "/dev/pts/0",
    "/dev/shm/x",
    "/proc/self",
    "/proc/self/fd/3",
    "/proc/self/fd",
    "/proc/self/maps",
    "/proc/self/stat",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/self/task",
    "/proc/self/fdinfo/4",
    "/proc/self/environ",
    "/proc/self/oom_score_adj",
    "/proc/meminfo",
    "/proc/1/fd",
    "/proc/1/environ",
    "/proc",
    "/dev",
];

/// The longest name that a file may have.
const LONG: &str = match std::str::from_utf8(&[b'n'; 255]) {
    Ok(name) => name,
    Err(_) => "",
};

/// Keys of shared memory that are cleared away afterwards.
const KEYS: std::ops::Range<i32> = 0x4b54_0000..0x4b54_0008;

struct Caller {
    random: Random,
    arena: usize,
    paths: Vec<CString>,
    child: i32,
}

impl Caller {
    fn new(seed: u64) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let arena = sys!(mmap(std::ptr::null_mut(), ARENA, prot, flags, -1, 0)) as usize;
        let mut paths: Vec<CString> = PATHS.iter().map(|p| c(p)).collect();
        paths.push(c(LONG));
        paths.push(c(&"n".repeat(256)));
        paths.push(c(&"d/".repeat(2047)));
        paths.push(c(&"d/".repeat(3000)));
        let mut random = Random(seed | 1);
        for _ in 0..4 {
            random.next();
        }
        Caller {
            random,
            arena,
            paths,
            child: 0,
        }
    }

    fn edge(&mut self) -> usize {
        let r = self.random.next() as usize;
        let list = [
            0,
            1,
            2,
            7,
            63,
            64,
            511,
            4095,
            4096,
            4097,
            65535,
            65536,
            1 << 20,
            1 << 31,
            (1 << 31) - 1,
            1 << 32,
            1 << 39,
            (1 << 39) - 1,
            (1 << 39) - 4096,
            1 << 62,
            1 << 63,
            (1 << 63) - 1,
            (1 << 63) - 4096,
            usize::MAX,
            usize::MAX - 1,
            usize::MAX - 4095,
            0xffff_ff80_4000_0000,
            0xffff_ffff_8000_0000,
            r,
            r & 0xffff,
            r >> 32,
        ];
        self.random.of(&list)
    }

    /// Somewhere in the arena, often where its page ends.
    fn inside(&mut self) -> usize {
        let page = self.arena + self.random.below(ARENA / 4096) * 4096;
        match self.random.below(4) {
            0 => page + 4096 - self.random.below(64),
            1 => page + self.random.below(4096),
            _ => page + self.random.below(512) * 8,
        }
    }

    /// Words that mean something as numbers of all sizes, descriptors, times, lengths.
    fn scribble(&mut self, at: usize, bytes: usize) {
        for word in (at & !7..at + bytes).step_by(8) {
            if word < self.arena || word + 8 > self.arena + ARENA {
                return;
            }
            let value = match self.random.below(6) {
                0 => self.edge() as u64,
                1 => 0,
                2 => self.random.below(16) as u64,
                3 => (self.random.below(24) as u64) | (self.random.below(64) as u64) << 32,
                4 => self.random.below(5_000_000) as u64,
                _ => self.inside() as u64,
            };
            // SAFETY: the word lies in the arena. If a call has unmapped it, this process dies, and another takes its place.
            unsafe { std::ptr::write_volatile(word as *mut u64, value) };
        }
    }

    fn argument(&mut self, kind: Kind) -> usize {
        if self.random.one_in(24) {
            return self.edge();
        }
        match kind {
            Fd => match self.random.below(16) {
                0 => libc::AT_FDCWD as usize,
                1 => usize::MAX,
                2 => self.edge(),
                _ => self.random.below(24),
            },
            Path => {
                let i = self.random.below(self.paths.len());
                self.paths[i].as_ptr() as usize
            }
            Memory => {
                if self.random.one_in(8) {
                    return 0;
                }
                let at = self.inside();
                let n = self.random.below(160);
                self.scribble(at, n);
                at
            }
            Vectors => {
                let at = self.inside() & !7;
                for i in 0..8 {
                    let (base, len) = (self.inside(), self.argument(Length));
                    let word = at + i * 16;
                    if word + 16 > self.arena + ARENA {
                        break;
                    }
                    // SAFETY: as in `scribble`.
                    unsafe {
                        std::ptr::write_volatile(word as *mut usize, base);
                        std::ptr::write_volatile((word + 8) as *mut usize, len);
                    }
                }
                at
            }
            Page => self.arena + self.random.below(ARENA / 4096) * 4096,
            Length => match self.random.below(6) {
                0 => self.edge(),
                1 => self.random.below(65536),
                2 => self.random.below(16) * 4096,
                _ => self.random.below(256),
            },
            Offset => match self.random.below(4) {
                0 => self.edge(),
                1 => self.random.below(16) * 4096,
                _ => self.random.below(20000),
            },
            Flags => match self.random.below(6) {
                0 => self.random.next() as usize,
                1 => 1 << self.random.below(32) | 1 << self.random.below(32),
                2 => self
                    .random
                    .of(&[0o100, 0o102, 0o302, 0o1102, 0o4002, 0o200_000, 0o2_000_000]),
                3 => self.random.below(0o10000),
                _ => 1 << self.random.below(24),
            },
            Small => match self.random.below(8) {
                0 => self.edge(),
                1 => usize::MAX,
                _ => self.random.below(40),
            },
            Mine => match self.random.below(4) {
                0 => 0,
                1 if self.child > 0 => self.child as usize,
                _ => std::process::id() as usize,
            },
            // Stopped processes make no calls.
            Signal => match self.random.below(80) {
                n @ (9 | 19..=22) => n + 14,
                n => n,
            },
            Time => {
                let at = self.inside() & !7;
                if at + 16 <= self.arena + ARENA {
                    let ns = self.random.below(2_000_000);
                    // SAFETY: as in `scribble`.
                    unsafe {
                        std::ptr::write_volatile(at as *mut u64, 0);
                        std::ptr::write_volatile((at + 8) as *mut u64, ns as u64);
                    }
                }
                at
            }
            Short => self.random.below(3),
            Key => KEYS.start as usize + self.random.below(KEYS.len()),
            Zero => 0,
            Any => self.random.next() as usize,
        }
    }

    fn call(&mut self) {
        let (number, kinds) = LIST[self.random.below(LIST.len())];
        let mut args = [0usize; 6];
        for (i, &kind) in kinds.iter().enumerate() {
            args[i] = self.argument(kind);
            // `Mine` and `Key` keep their promise even where an edge was drawn.
            match kind {
                Mine if args[i] != self.child as usize => {
                    args[i] = self.random.of(&[0, std::process::id() as usize]);
                }
                Key => args[i] = KEYS.start as usize + args[i] % KEYS.len(),
                _ => {}
            }
        }
        let [a, b, c, d, e, f] = args;
        sys!(syscall(number, a, b, c, d, e, f));
        if self.random.one_in(64) {
            self.family();
        }
    }

    /// Forks a child that makes some calls itself, or ends the one there is.
    fn family(&mut self) {
        if self.child > 0 {
            sys!(kill(self.child, libc::SIGKILL));
            sys!(waitpid(self.child, std::ptr::null_mut(), 0));
            self.child = 0;
            return;
        }
        let pid = sys!(fork());
        if pid == 0 {
            self.random.next();
            for _ in 0..20 {
                let (number, kinds) = LIST[self.random.below(LIST.len())];
                let mut args = [0usize; 6];
                for (i, &kind) in kinds.iter().enumerate() {
                    args[i] = match kind {
                        Mine => 0,
                        Key => KEYS.start as usize,
                        _ => self.argument(kind),
                    };
                }
                let [a, b, c, d, e, f] = args;
                sys!(syscall(number, a, b, c, d, e, f));
            }
            sys!(_exit(0));
        }
        self.child = pid.max(0);
    }
}

/// The whole life of a process that makes calls; it may well end earlier.
fn make_calls(seed: u64, nobody: bool) -> ! {
    sys!(setpgid(0, 0));
    let null = sys!(open(c"/dev/null".as_ptr(), libc::O_RDWR));
    for fd in 0..3 {
        sys!(dup2(null, fd));
    }
    // The harness's own way to report is none of the caller's business.
    sys!(syscall(libc::SYS_close_range, 3, usize::MAX >> 33, 0));
    std::panic::set_hook(Box::new(|_| sys!(_exit(0))));
    if nobody {
        sys!(setresgid(65534, 65534, 65534));
        sys!(setresuid(65534, 65534, 65534));
    }
    let limit = libc::rlimit {
        rlim_cur: 64 << 20,
        rlim_max: 64 << 20,
    };
    sys!(setrlimit(libc::RLIMIT_FSIZE, &limit));
    // Calls that wait are interrupted.
    on_signal(libc::SIGALRM, 0, ignore as *const () as usize);
    let tick = libc::timeval {
        tv_sec: 0,
        tv_usec: 3000,
    };
    let timer = libc::itimerval {
        it_interval: tick,
        it_value: tick,
    };
    sys!(setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()));
    let other = thread::Builder::new().spawn(move || {
        let mut caller = Caller::new(seed.rotate_left(32));
        (0..CALLS).for_each(|_| caller.call());
    });
    let mut caller = Caller::new(seed);
    (0..CALLS).for_each(|_| caller.call());
    drop(other.map(|t| t.join()));
    sys!(_exit(0))
}

extern "C" fn ignore(_: i32) {}

fn remove_segments() {
    for key in KEYS {
        let id = sys!(shmget(key, 0, 0));
        if id >= 0 {
            sys!(shmctl(id, libc::IPC_RMID, std::ptr::null_mut()));
        }
    }
}

/// One generation: three processes at a time, followed by others as they end.
fn generation(random: &mut Random, nobody: bool, number: &mut usize) {
    let folder = format!("g{number}");
    *number += 1;
    std::fs::create_dir(&folder).expect("a folder for the calls");
    sys!(chmod(c(&folder).as_ptr(), 0o777));
    let end = Instant::now() + GENERATION;
    let mut live = Vec::new();
    while Instant::now() < end {
        if live.len() < 3 {
            let seed = random.next();
            live.push(spawn(|| {
                // What random calls write is not for the report.
                let null = open("/dev/null", libc::O_RDWR, 0);
                for fd in 0..3 {
                    ok(sys!(dup2(null.as_raw_fd(), fd)));
                }
                sys!(chdir(c(&folder).as_ptr()));
                make_calls(seed, nobody)
            }));
        }
        sleep_ms(2);
        live.retain(|&pid| sys!(waitpid(pid, std::ptr::null_mut(), libc::WNOHANG)) == 0);
    }
    for pid in live {
        sys!(kill(-pid, libc::SIGKILL));
        sys!(kill(pid, libc::SIGKILL));
    }
    bury_all();
    remove_segments();
    open_up(std::path::Path::new(&folder));
    std::fs::remove_dir_all(&folder).expect("the folder of the calls goes");
    // Some have gone up before they made something.
    let here = std::env::current_dir().expect("a directory");
    for folder in here
        .ancestors()
        .chain(["/dev", "/dev/shm"].map(std::path::Path::new))
    {
        for name in ["a", "b", "c", "d", "e", "x", "user.name", LONG] {
            let path = folder.join(name);
            open_up(&path);
            // Most are not there.
            drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
        }
    }
}

/// Ends and reaps all children; those of the dead have come to us, from whatever groups and sessions they made.
fn bury_all() {
    let me = std::process::id();
    let is_mine = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|s| s.split_whitespace().nth(1));
        parent.and_then(|p| p.parse().ok()) == Some(me)
    };
    until("the callers are gone", || {
        while sys!(waitpid(-1, std::ptr::null_mut(), libc::WNOHANG)) > 0 {}
        let names = std::fs::read_dir("/proc").expect("processes");
        let pids = names
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok());
        for pid in pids.filter(|&pid| is_mine(pid)) {
            sys!(kill(pid, libc::SIGKILL));
        }
        sys!(waitpid(-1, std::ptr::null_mut(), libc::WNOHANG)) == -1
    });
}

/// Callers may have closed folders to everybody, even to root's remove_dir_all under other ids.
fn open_up(folder: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let path = entry.path();
            sys!(chmod(c(&path.to_string_lossy()).as_ptr(), 0o777));
            open_up(&path);
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn survive(nobody: bool) {
    if std::fs::read_to_string("/proc/version").is_ok_and(|v| !v.starts_with("RustOS")) {
        return;
    }
    let seed = number_from("KTEST_SEED").unwrap_or_else(|| {
        let mut bytes = [0; 8];
        sys!(getrandom(bytes.as_mut_ptr().cast(), 8, 0));
        u64::from_ne_bytes(bytes) >> 1
    });
    eprintln!("(seed {seed})");
    let seconds = number_from("KTEST_SECONDS").unwrap_or(8);
    // The children of killed children come to us.
    sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1));
    sys!(prctl(libc::PR_SET_NAME, c"fuzz".as_ptr()));
    let mut random = Random(seed | 1);
    let mut number = 0;
    let rounds = (seconds * 1000 / GENERATION.as_millis() as u64).max(2) as usize;
    let mut round = || {
        generation(&mut random, nobody, &mut number);
    };
    // Root's calls may make files and folders anywhere, in the place of devices, too: those are there, not lost.
    let pages = if nobody { 0 } else { 16 };
    leaves_at_most(pages, rounds / 2, rounds / 2, &mut round);
}

fn random_calls_of_root_are_survived() {
    survive(false);
}

fn random_calls_of_nobody_are_survived() {
    survive(true);
}
