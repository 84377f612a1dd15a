//! Limits: what a process may take, and what it gets when it wants more.

use crate::support::*;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, Instant};

crate::harness::tests![
    committed_memory_is_counted: Native,
    overcommitting_follows_its_mode: Native,
    limits_are_kept_and_inherited,
    limits_have_rules,
    ten_gigabytes_of_malloc_are_refused_or_fatal_alone: Native,
    eating_all_memory_kills_the_eater: Native,
    address_space_is_limited: Native,
    file_size_is_limited,
    cpu_time_is_limited,
    a_fork_bomb_ends_at_the_process_limit: Native,
    threads_count_as_processes: Native,
    too_many_descriptors_do_not_hurt_others,
    core_and_data_limits_exist,
    the_limit_of_cpu_time_is_inherited,
    each_second_over_the_limit_is_told,
    sleeping_costs_no_cpu_time,
    the_stack_is_limited: Native,
    descriptors_are_limited,
    no_core_is_dumped: Native,
    private_writable_memory_is_limited: Native,
    a_limit_of_a_vfork_child_is_its_own: Native,
];

fn limit(what: i32, soft: u64, hard: u64) -> i32 {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    sys!(setrlimit(what as _, &limit))
}

fn limit_of(what: i32) -> (u64, u64) {
    let mut limit: libc::rlimit = zeroed();
    ok(sys!(getrlimit(what as _, &mut limit)));
    (limit.rlim_cur, limit.rlim_max)
}

const NOFILE: i32 = libc::RLIMIT_NOFILE as i32;
const AS: i32 = libc::RLIMIT_AS as i32;
const FSIZE: i32 = libc::RLIMIT_FSIZE as i32;
const CPU: i32 = libc::RLIMIT_CPU as i32;
const NPROC: i32 = libc::RLIMIT_NPROC as i32;

fn limits_are_kept_and_inherited() {
    in_child(|| {
        ok(limit(NOFILE, 50, 60));
        assert_eq!(limit_of(NOFILE), (50, 60));
        let end = end_of(|| {
            let script = "test $(ulimit -n) = 50";
            crate::helper::exec("/bin/sh", &["sh", "-c", script], &["PATH=/bin:/usr/bin"])
        });
        assert_eq!(end, End::Exit(0));
    });
}

fn limits_have_rules() {
    fails(limit(NOFILE, 61, 60), libc::EINVAL);
    fails(limit(99, 1, 1), libc::EINVAL);
    in_child(|| {
        ok(limit(NOFILE, 50, 60));
        ok(sys!(setuid(1234)));
        ok(limit(NOFILE, 60, 60));
        fails(limit(NOFILE, 61, 61), libc::EPERM);
        ok(limit(NOFILE, 10, 10));
        fails(limit(NOFILE, 10, 20), libc::EPERM);
    });
}

fn ten_gigabytes_of_malloc_are_refused_or_fatal_alone() {
    let end = end_of(|| {
        let at = sys!(malloc(10 << 30));
        if at.is_null() {
            return 1;
        }
        0
    });
    // Either the promise is refused or it is not redeemed here.
    assert!(matches!(end, End::Exit(0 | 1)), "{end:?}");
    assert_eq!(end_of(|| 5), End::Exit(5));
}

fn eating_all_memory_kills_the_eater() {
    // Only where that is quick and harms nobody else.
    if memory() > 4 << 30 {
        return;
    }
    let end = end_of(|| {
        let size = 64 << 20;
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        loop {
            let at = sys!(mmap(ptr::null_mut(), size, prot, flags, -1, 0));
            if at == libc::MAP_FAILED {
                return if errno() == libc::ENOMEM { 1 } else { 2 };
            }
            for page in (0..size).step_by(4096) {
                // SAFETY: the mapping above; dying of it is allowed.
                unsafe { at.cast::<u8>().add(page).write_volatile(1) };
            }
        }
    });
    assert!(
        matches!(end, End::Exit(1) | End::Signal(libc::SIGKILL)),
        "{end:?}"
    );
    // All of it is back.
    let end = end_of(|| {
        let data = vec![1u8; (memory() / 8) as usize];
        i32::from(data.iter().any(|b| *b != 1))
    });
    assert_eq!(end, End::Exit(0));
}

fn address_space_is_limited() {
    in_child(|| {
        ok(limit(AS, 1 << 30, 1 << 30));
        let (prot, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let at = sys!(mmap(ptr::null_mut(), 2 << 30, prot, flags, -1, 0));
        assert_eq!(at, libc::MAP_FAILED);
        assert_eq!(errno(), libc::ENOMEM);
        // Unless somebody looks at the pointer, the compiler leaves the call out and lets it succeed.
        assert!(std::hint::black_box(sys!(malloc(2 << 30))).is_null());
        let small = sys!(mmap(ptr::null_mut(), 1 << 20, prot, flags, -1, 0));
        assert_ne!(small, libc::MAP_FAILED);
    });
}

fn file_size_is_limited() {
    in_child(|| {
        ok(limit(FSIZE, 1000, 1000));
        on_signal(libc::SIGXFSZ, 0, libc::SIG_IGN);
        let mut file = open("f", libc::O_CREAT | libc::O_RDWR, 0o600);
        file.write_all(&[1; 900]).expect("below the limit");
        assert_eq!(file.write(&[1; 200]).expect("what fits"), 100);
        let error = file.write(&[1]).expect_err("nothing fits");
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
        fails(sys!(ftruncate(file.as_raw_fd(), 2000)), libc::EFBIG);
        // Pipes are no files.
        let (_reader, mut writer) = pipe();
        writer.write_all(&[1; 5000]).expect("room");
    });
    let end = end_of(|| {
        ok(limit(FSIZE, 10, 10));
        on_signal(libc::SIGXFSZ, 0, libc::SIG_DFL);
        let mut file = open("g", libc::O_CREAT | libc::O_RDWR, 0o600);
        file.write_all(&[1; 20]).map_or(1, |()| 0)
    });
    assert_eq!(end, End::Signal(libc::SIGXFSZ));
}

fn spin() -> i32 {
    let give_up = Instant::now() + Duration::from_secs(30);
    while Instant::now() < give_up {
        std::hint::black_box((0..1000).sum::<u64>());
    }
    0
}

fn cpu_time_is_limited() {
    let end = end_of(|| {
        ok(limit(CPU, 1, 2));
        on_signal(libc::SIGXCPU, 0, libc::SIG_DFL);
        spin()
    });
    assert_eq!(end, End::Signal(libc::SIGXCPU));
    let end = end_of(|| {
        ok(limit(CPU, 1, 2));
        on_signal(libc::SIGXCPU, 0, libc::SIG_IGN);
        spin()
    });
    assert_eq!(
        end,
        End::Signal(libc::SIGKILL),
        "the hard limit does not ask"
    );
}

fn a_fork_bomb_ends_at_the_process_limit() {
    in_child(|| {
        ok(limit(NPROC, 20, 20));
        // Limits count for users other than root.
        ok(sys!(setuid(54_321)));
        let mut children = Vec::new();
        loop {
            match sys!(fork()) {
                0 => loop {
                    sys!(pause());
                },
                -1 => break,
                pid => children.push(pid),
            }
            assert!(children.len() < 1000);
        }
        assert_eq!(errno(), libc::EAGAIN);
        assert_eq!(children.len(), 19);
        for pid in &children {
            ok(sys!(kill(*pid, libc::SIGKILL)));
            wait(*pid);
        }
        assert_eq!(end_of(|| 3), End::Exit(3), "there is room again");
    });
}

fn threads_count_as_processes() {
    in_child(|| {
        ok(limit(NPROC, 5, 5));
        ok(sys!(setuid(54_322)));
        let mut threads = 0;
        let error = loop {
            let made = std::thread::Builder::new().spawn(|| {
                loop {
                    sys!(pause());
                }
            });
            match made {
                Ok(_) => threads += 1,
                Err(error) => break error,
            }
            assert!(threads < 1000);
        };
        assert_eq!((error.raw_os_error(), threads), (Some(libc::EAGAIN), 4));
    });
}

fn too_many_descriptors_do_not_hurt_others() {
    in_child(|| {
        ok(limit(NOFILE, 500, 500));
        while try_open("/dev/null", libc::O_RDONLY, 0) >= 0 {}
        assert_eq!(errno(), libc::EMFILE);
        assert_eq!(end_of(|| i32::from(sys!(close(10)) != 0)), End::Exit(0));
    });
    drop(open("/dev/null", libc::O_RDONLY, 0));
}

fn core_and_data_limits_exist() {
    for what in [
        libc::RLIMIT_CORE,
        libc::RLIMIT_DATA,
        libc::RLIMIT_STACK,
        libc::RLIMIT_MEMLOCK,
    ] {
        let (soft, hard) = limit_of(what as i32);
        assert!(soft <= hard);
    }
    let (stack, _) = limit_of(libc::RLIMIT_STACK as i32);
    assert_eq!(stack, 8 << 20);
    let mut old: libc::rlimit = zeroed();
    ok(sys!(prlimit(0, libc::RLIMIT_NOFILE, ptr::null(), &mut old)));
    assert!(old.rlim_cur >= 256);
    fails(
        sys!(prlimit(999_999, libc::RLIMIT_NOFILE, ptr::null(), &mut old)),
        libc::ESRCH,
    );
}

fn the_limit_of_cpu_time_is_inherited() {
    let end = end_of(|| {
        ok(limit(CPU, 1, 3));
        on_signal(libc::SIGXCPU, 0, libc::SIG_DFL);
        match end_of(spin) {
            End::Signal(libc::SIGXCPU) => 0,
            _ => 1,
        }
    });
    assert_eq!(end, End::Exit(0));
}

static TOLD: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

extern "C" fn tell(_: i32) {
    TOLD.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}

fn each_second_over_the_limit_is_told() {
    use std::sync::atomic::Ordering::SeqCst;
    in_child(|| {
        on_signal(libc::SIGXCPU, libc::SA_RESTART, tell as *const () as usize);
        ok(limit(CPU, 1, 10));
        let give_up = Instant::now() + Duration::from_secs(30);
        while TOLD.load(SeqCst) < 2 && Instant::now() < give_up {
            std::hint::black_box((0..1000).sum::<u64>());
        }
        let mut time: libc::timespec = zeroed();
        ok(sys!(clock_gettime(
            libc::CLOCK_PROCESS_CPUTIME_ID,
            &mut time
        )));
        let used = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        assert!(
            TOLD.load(SeqCst) == 2 && used > Duration::from_millis(1900),
            "{used:?}"
        );
    });
}

fn sleeping_costs_no_cpu_time() {
    in_child(|| {
        ok(limit(CPU, 1, 1));
        sleep_ms(1500);
    });
}

/// Uses `depth` times four kilobytes of stack.
#[inline(never)]
fn deep(depth: usize) -> usize {
    let page = std::hint::black_box([depth as u8; 4096]);
    match depth {
        0 => page[17] as usize,
        _ => deep(depth - 1) + std::hint::black_box(page[17]) as usize,
    }
}

fn the_stack_is_limited() {
    let run = |megabytes: u64, depth: usize| {
        end_of(|| {
            on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
            ok(limit(
                libc::RLIMIT_STACK as i32,
                megabytes << 20,
                megabytes << 20,
            ));
            std::hint::black_box(deep(depth));
            0
        })
    };
    assert_eq!(run(8, 1000), End::Exit(0));
    assert_eq!(run(2, 1000), End::Signal(libc::SIGSEGV));
}

fn descriptors_are_limited() {
    in_child(|| {
        let file = open("/dev/null", libc::O_RDONLY, 0);
        let fd = file.as_raw_fd();
        ok(sys!(dup2(fd, 60)));
        ok(limit(NOFILE, 50, 50));
        let mut ends = [0; 2];
        let mut made = 0;
        while sys!(dup(fd)) != -1 {
            made += 1;
        }
        assert!(errno() == libc::EMFILE && (1..50).contains(&made));
        fails(sys!(pipe(ends.as_mut_ptr())), libc::EMFILE);
        fails(
            sys!(socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
            libc::EMFILE,
        );
        fails(sys!(epoll_create1(0)), libc::EMFILE);
        fails(sys!(eventfd(0, 0)), libc::EMFILE);
        fails(try_open("/dev/null", libc::O_RDONLY, 0), libc::EMFILE);
        fails(sys!(dup2(fd, 50)), libc::EBADF);
        fails(sys!(fcntl(fd, libc::F_DUPFD, 50)), libc::EINVAL);
        fails(sys!(fcntl(fd, libc::F_DUPFD, 0)), libc::EMFILE);
        // What is open above the limit stays.
        ok(sys!(fcntl(60, libc::F_GETFD)));
    });
}

fn no_core_is_dumped() {
    for (soft, hard) in [(0, 0), (libc::RLIM_INFINITY, libc::RLIM_INFINITY)] {
        let pid = spawn(|| {
            ok(limit(libc::RLIMIT_CORE as i32, soft, hard));
            on_signal(libc::SIGABRT, 0, libc::SIG_DFL);
            sys!(abort())
        });
        let mut status = 0;
        ok(sys!(waitpid(pid, &mut status, 0)));
        assert_eq!(End::of(status), End::Signal(libc::SIGABRT));
        let files = std::fs::read_dir(".").expect("our directory").count();
        // The status tells whether there is one.
        assert_eq!(libc::WCOREDUMP(status), files > 0);
    }
}

fn private_writable_memory_is_limited() {
    in_child(|| {
        ok(limit(libc::RLIMIT_DATA as i32, 64 << 20, 64 << 20));
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let map = |prot| sys!(mmap(ptr::null_mut(), 128 << 20, prot, flags, -1, 0));
        assert_eq!(map(libc::PROT_READ | libc::PROT_WRITE), libc::MAP_FAILED);
        assert_eq!(errno(), libc::ENOMEM);
        assert_ne!(map(libc::PROT_READ), libc::MAP_FAILED);
    });
}

/// A figure of `/proc/meminfo`, in bytes.
fn meminfo(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").expect("proc is mounted");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("a known name");
    let kib: usize = line
        .trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

fn reserve(size: usize, prot: i32, flags: i32) -> *mut libc::c_void {
    sys!(mmap(
        ptr::null_mut(),
        size,
        prot,
        flags | libc::MAP_ANONYMOUS,
        -1,
        0
    ))
}

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn committed_memory_is_counted() {
    const SIZE: usize = 64 << 20;
    // Only where nobody else commits memory at the same time.
    if crate::stress::free_pages().is_none() {
        return;
    }
    let grown = |prot: i32, flags: i32| {
        let before = meminfo("Committed_AS");
        let at = reserve(SIZE, prot, flags);
        assert_ne!(at, libc::MAP_FAILED);
        let by = meminfo("Committed_AS").saturating_sub(before);
        ok(sys!(munmap(at, SIZE)));
        assert!(
            meminfo("Committed_AS") < before + SIZE / 2,
            "it is given back"
        );
        by
    };
    let slack = SIZE / 16;
    assert!(grown(READ_WRITE, libc::MAP_PRIVATE).abs_diff(SIZE) < slack);
    assert!(grown(READ_WRITE, libc::MAP_SHARED).abs_diff(SIZE) < slack);
    assert!(grown(libc::PROT_READ, libc::MAP_PRIVATE) < slack);
    assert!(grown(READ_WRITE, libc::MAP_PRIVATE | libc::MAP_NORESERVE) < slack);
    assert!(grown(READ_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE) < slack);
    let before = meminfo("Committed_AS");
    std::fs::write("/tmp/committed", vec![1; 8 << 20]).expect("room");
    let by = meminfo("Committed_AS").saturating_sub(before);
    std::fs::remove_file("/tmp/committed").expect("it is there");
    assert!(
        by.abs_diff(8 << 20) < 4 << 20,
        "a file of 8 MiB counts as {by}"
    );
}

fn set_overcommit(name: &str, value: &str) -> std::io::Result<()> {
    std::fs::write(format!("/proc/sys/vm/overcommit_{name}"), value)
}

fn overcommitting_follows_its_mode() {
    // A setting of the whole machine.
    if crate::stress::free_pages().is_none() {
        return;
    }
    assert!(set_overcommit("memory", "3").is_err());
    assert!(set_overcommit("memory", "x").is_err());
    let nobody = end_of(|| {
        ok(sys!(setuid(1000)));
        i32::from(set_overcommit("memory", "1").is_ok())
    });
    assert_eq!(nobody, End::Exit(0), "for root only");
    let all = meminfo("MemTotal");
    let in_mode = |mode: &str, body: &dyn Fn()| {
        set_overcommit("memory", mode).expect("we are root");
        let end = end_of(|| {
            body();
            0
        });
        set_overcommit("memory", "0").expect("we are root");
        assert_eq!(end, End::Exit(0), "in mode {mode}");
    };
    let works = |size: usize, flags: i32| {
        let at = reserve(size, READ_WRITE, flags);
        if at == libc::MAP_FAILED {
            assert_eq!(errno(), libc::ENOMEM);
            return false;
        }
        ok(sys!(munmap(at, size)));
        true
    };
    in_mode("0", &|| {
        assert!(works(all / 2, libc::MAP_PRIVATE));
        assert!(!works(2 * all, libc::MAP_PRIVATE));
        assert!(!works(2 * all, libc::MAP_SHARED));
        assert!(works(2 * all, libc::MAP_PRIVATE | libc::MAP_NORESERVE));
        // Each request is looked at alone: by fork, and when a mapping grows.
        let part = (all / 5 * 3).next_multiple_of(4096);
        let parts = [(); 2].map(|()| reserve(part, READ_WRITE, libc::MAP_PRIVATE));
        assert!(!parts.contains(&libc::MAP_FAILED));
        // They lie side by side, and must not be one.
        let seams = [parts[0], parts[0].wrapping_byte_add(part - 4096)];
        for seam in seams {
            ok(sys!(mprotect(seam, 4096, libc::PROT_READ)));
        }
        assert_eq!(end_of(|| 4), End::Exit(4));
        for seam in seams {
            ok(sys!(mprotect(seam, 4096, READ_WRITE)));
        }
        let moving = libc::MREMAP_MAYMOVE;
        let grown = sys!(mremap(parts[0], part, 2 * part, moving));
        assert_ne!(grown, libc::MAP_FAILED);
        // Who said once that it need not be reserved is asked no more.
        let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        let later = reserve(2 * all, libc::PROT_NONE, flags);
        let before = meminfo("Committed_AS");
        ok(sys!(mprotect(later, 2 * all, READ_WRITE)));
        assert!(meminfo("Committed_AS") < before + all / 2);
    });
    in_mode("1", &|| {
        assert!(works(2 * all, libc::MAP_PRIVATE));
        assert!(works(2 * all, libc::MAP_SHARED));
    });
    in_mode("2", &|| {
        let limit = meminfo("CommitLimit");
        assert!(limit.abs_diff(all / 2) < 1 << 20, "50% of RAM");
        let room = limit - meminfo("Committed_AS");
        assert!(works(room / 2, libc::MAP_PRIVATE));
        assert!(!works(room + (1 << 20), libc::MAP_PRIVATE));
        assert!(!works(room + (1 << 20), libc::MAP_SHARED));
        assert!(!works(
            room + (1 << 20),
            libc::MAP_PRIVATE | libc::MAP_NORESERVE
        ));
        // A child may write to a copy of all that its parent may.
        let most = reserve(room / 3 * 2, READ_WRITE, libc::MAP_PRIVATE);
        assert_ne!(most, libc::MAP_FAILED);
        fails(sys!(fork()), libc::ENOMEM);
        // What counts once does not count again.
        ok(sys!(mprotect(most, room / 3 * 2, libc::PROT_READ)));
        ok(sys!(mprotect(most, room / 3 * 2, READ_WRITE)));
        let more = room / 3 * 2 + (1 << 20);
        let most = sys!(mremap(most, room / 3 * 2, more, libc::MREMAP_MAYMOVE));
        assert_ne!(most, libc::MAP_FAILED);
        ok(sys!(munmap(most, more)));
        assert_eq!(end_of(|| 4), End::Exit(4));
    });
    set_overcommit("ratio", "80").expect("we are root");
    assert!(meminfo("CommitLimit").abs_diff(all / 5 * 4) < 1 << 20);
    set_overcommit("kbytes", "10240").expect("we are root");
    assert_eq!(meminfo("CommitLimit"), 10 << 20);
    assert_eq!(
        std::fs::read_to_string("/proc/sys/vm/overcommit_ratio").expect("there"),
        "0\n"
    );
    set_overcommit("ratio", "50").expect("we are root");
}

extern "C" fn limits_itself(_: *mut libc::c_void) -> i32 {
    limit(AS, 1 << 20, 1 << 20)
}

fn a_limit_of_a_vfork_child_is_its_own() {
    let mut stack = vec![0u128; 4096];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let child = ok(sys!(clone(
        limits_itself,
        top.cast(),
        flags,
        ptr::null_mut()
    )));
    assert_eq!(wait(child), End::Exit(0));
    let (prot, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let at = sys!(mmap(ptr::null_mut(), 64 << 20, prot, flags, -1, 0));
    assert_ne!(at, libc::MAP_FAILED, "the parent has no such limit");
}
