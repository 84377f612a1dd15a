//! wait(2) and its family, and the statuses that they report.

use crate::support::*;
use std::ptr;

crate::harness::tests![
    status_is_the_low_eight_bits,
    death_by_every_fatal_signal_is_reported,
    abort_is_sigabrt,
    a_panic_is_exit_101,
    no_children_is_echild,
    a_strangers_child_is_echild,
    wnohang_does_not_wait,
    any_child_is_waited_for,
    children_are_waited_for_by_group,
    stops_and_continues_are_reported,
    waitid_fills_siginfo,
    waitid_nowait_leaves_the_zombie,
    waitid_rejects_nonsense,
    a_zombie_is_there_until_waited_for,
    ignored_sigchld_leaves_no_zombies,
    sigchld_is_sent,
    waiting_is_interrupted,
    orphans_get_a_new_parent,
    a_subreaper_adopts: Native,
    usage_of_children_adds_up,
    exit_runs_atexit_and_underscore_exit_does_not,
    wait_by_pidfd: Native,
    a_zombie_is_no_reason_to_wait_for_stops,
    two_who_look_find_a_zombie_each: Native,
    a_pidfd_is_of_its_process: Native,
    adopted_children_end_as_usual: Native,
];

fn status_is_the_low_eight_bits() {
    for (status, seen) in [
        (0, 0),
        (1, 1),
        (255, 255),
        (256, 0),
        (0x1234, 0x34),
        (-1, 255),
    ] {
        assert_eq!(end_of(|| status), End::Exit(seen));
    }
}

fn death_by_every_fatal_signal_is_reported() {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGILL,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGKILL,
        libc::SIGUSR1,
        libc::SIGSEGV,
        libc::SIGUSR2,
        libc::SIGPIPE,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGXCPU,
        libc::SIGSYS,
    ] {
        let end = end_of(|| {
            // std has handlers and dispositions of its own for some; these are never settable.
            if signal != libc::SIGKILL {
                on_signal(signal, 0, libc::SIG_DFL);
            }
            sys!(kill(sys!(getpid()), signal));
            1
        });
        assert_eq!(end, End::Signal(signal));
    }
}

fn abort_is_sigabrt() {
    assert_eq!(end_of(|| std::process::abort()), End::Signal(libc::SIGABRT));
}

fn a_panic_is_exit_101() {
    crate::harness::expect_panics();
    let end = end_of(|| {
        std::panic::set_hook(Box::new(|_| {}));
        match std::panic::catch_unwind(|| panic!("on purpose")) {
            Ok(()) => 1,
            Err(payload) if payload.downcast_ref() == Some(&"on purpose") => 101,
            Err(_) => 2,
        }
    });
    assert_eq!(end, End::Exit(101));
}

fn no_children_is_echild() {
    let mut status = 0;
    fails(sys!(waitpid(-1, &mut status, 0)), libc::ECHILD);
    fails(sys!(waitpid(-1, &mut status, libc::WNOHANG)), libc::ECHILD);
    fails(sys!(waitpid(1, &mut status, libc::WNOHANG)), libc::ECHILD);
}

fn a_strangers_child_is_echild() {
    let brother = spawn(|| {
        sys!(pause());
        0
    });
    let end = end_of(|| {
        let mut status = 0;
        let result = sys!(waitpid(brother, &mut status, libc::WNOHANG));
        i32::from(!(result == -1 && errno() == libc::ECHILD))
    });
    assert_eq!(end, End::Exit(0));
    ok(sys!(kill(brother, libc::SIGKILL)));
    wait(brother);
}

fn wnohang_does_not_wait() {
    let pid = spawn(|| {
        sys!(pause());
        0
    });
    let mut status = 0;
    assert_eq!(ok(sys!(waitpid(pid, &mut status, libc::WNOHANG))), 0);
    ok(sys!(kill(pid, libc::SIGTERM)));
    until("the child has died", || {
        ok(sys!(waitpid(pid, &mut status, libc::WNOHANG))) == pid
    });
    assert_eq!(End::of(status), End::Signal(libc::SIGTERM));
}

fn any_child_is_waited_for() {
    let mut expected: Vec<i32> = (0..10).map(|n| spawn(|| n)).collect();
    let mut status = 0;
    for _ in 0..10 {
        let pid = ok(sys!(waitpid(-1, &mut status, 0)));
        let at = expected.iter().position(|p| *p == pid);
        expected.remove(at.expect("a child of ours, once"));
    }
    fails(sys!(waitpid(-1, &mut status, 0)), libc::ECHILD);
}

fn children_are_waited_for_by_group() {
    let ours = spawn(|| 1);
    let leader = spawn(|| {
        sys!(pause());
        0
    });
    ok(sys!(setpgid(leader, leader)));
    let member = spawn(|| {
        sys!(pause());
        0
    });
    ok(sys!(setpgid(member, leader)));
    ok(sys!(kill(-leader, libc::SIGTERM)));
    let mut status = 0;
    let mut found = [0; 2].map(|_| ok(sys!(waitpid(-leader, &mut status, 0))));
    found.sort_unstable();
    let mut group = [leader, member];
    group.sort_unstable();
    assert_eq!(found, group);
    fails(sys!(waitpid(-leader, &mut status, 0)), libc::ECHILD);
    // Zero is the caller's own group.
    assert_eq!(ok(sys!(waitpid(0, &mut status, 0))), ours);
}

fn stops_and_continues_are_reported() {
    let pid = spawn(|| {
        loop {
            sys!(pause());
        }
    });
    let mut status = 0;
    let flags = libc::WUNTRACED | libc::WCONTINUED;
    ok(sys!(kill(pid, libc::SIGSTOP)));
    assert_eq!(ok(sys!(waitpid(pid, &mut status, flags))), pid);
    assert_eq!(End::of(status), End::Stop(libc::SIGSTOP));
    assert_eq!(
        ok(sys!(waitpid(pid, &mut status, flags | libc::WNOHANG))),
        0,
        "told once"
    );
    ok(sys!(kill(pid, libc::SIGCONT)));
    assert_eq!(ok(sys!(waitpid(pid, &mut status, flags))), pid);
    assert_eq!(End::of(status), End::Continue);
    ok(sys!(kill(pid, libc::SIGKILL)));
    assert_eq!(wait(pid), End::Signal(libc::SIGKILL));
}

fn waitid_fills_siginfo() {
    let pid = spawn(|| 7);
    let mut info: libc::siginfo_t = zeroed();
    ok(sys!(waitid(
        libc::P_PID,
        pid as u32,
        &mut info,
        libc::WEXITED
    )));
    assert_eq!(info.si_signo, libc::SIGCHLD);
    assert_eq!(info.si_code, libc::CLD_EXITED);
    // SAFETY: waitid has filled in the fields of SIGCHLD.
    assert_eq!(unsafe { (info.si_pid(), info.si_status()) }, (pid, 7));

    let pid = spawn(|| {
        sys!(raise(libc::SIGKILL));
        0
    });
    ok(sys!(waitid(libc::P_ALL, 0, &mut info, libc::WEXITED)));
    assert_eq!(info.si_code, libc::CLD_KILLED);
    // SAFETY: as above.
    assert_eq!(
        unsafe { (info.si_pid(), info.si_status()) },
        (pid, libc::SIGKILL)
    );
}

fn waitid_nowait_leaves_the_zombie() {
    let pid = spawn(|| 3);
    let mut info: libc::siginfo_t = zeroed();
    for _ in 0..2 {
        ok(sys!(waitid(
            libc::P_PID,
            pid as u32,
            &mut info,
            libc::WEXITED | libc::WNOWAIT
        )));
    }
    assert_eq!(wait(pid), End::Exit(3));
}

fn waitid_rejects_nonsense() {
    let mut info: libc::siginfo_t = zeroed();
    fails(sys!(waitid(libc::P_ALL, 0, &mut info, 0)), libc::EINVAL);
    fails(
        sys!(waitid(libc::P_ALL, 0, &mut info, libc::WEXITED)),
        libc::ECHILD,
    );
    let mut status = 0;
    fails(
        sys!(waitpid(-1, &mut status, 0x4000_0000 - 1)),
        libc::EINVAL,
    );
}

fn a_zombie_is_there_until_waited_for() {
    let pid = spawn(|| 0);
    let mut info: libc::siginfo_t = zeroed();
    ok(sys!(waitid(
        libc::P_PID,
        pid as u32,
        &mut info,
        libc::WEXITED | libc::WNOWAIT
    )));
    ok(sys!(kill(pid, 0)));
    ok(sys!(kill(pid, libc::SIGKILL)));
    assert_eq!(wait(pid), End::Exit(0));
    fails(sys!(kill(pid, 0)), libc::ESRCH);
}

fn ignored_sigchld_leaves_no_zombies() {
    on_signal(libc::SIGCHLD, 0, libc::SIG_IGN);
    let pid = spawn(|| 5);
    let mut status = 0;
    // Waits for the end and then finds nothing to report.
    fails(sys!(waitpid(pid, &mut status, 0)), libc::ECHILD);
    fails(sys!(kill(pid, 0)), libc::ESRCH);
}

fn sigchld_is_sent() {
    block(&[libc::SIGCHLD]);
    let pid = spawn(|| 6);
    let set = set_of(&[libc::SIGCHLD]);
    let mut info: libc::siginfo_t = zeroed();
    assert_eq!(ok(sys!(sigwaitinfo(&set, &mut info))), libc::SIGCHLD);
    assert_eq!(info.si_code, libc::CLD_EXITED);
    // SAFETY: a SIGCHLD carries these fields.
    assert_eq!(unsafe { (info.si_pid(), info.si_status()) }, (pid, 6));
    assert_eq!(wait(pid), End::Exit(6));
}

extern "C" fn nothing(_: i32) {}

fn waiting_is_interrupted() {
    on_signal(libc::SIGALRM, 0, nothing as *const () as usize);
    let pid = spawn(|| {
        sys!(alarm(0));
        sys!(pause());
        0
    });
    let parent = sys!(getpid());
    let waker = spawn(|| {
        sleep_ms(50);
        sys!(kill(parent, libc::SIGALRM))
    });
    let mut status = 0;
    fails(sys!(waitpid(pid, &mut status, 0)), libc::EINTR);
    assert_eq!(wait(waker), End::Exit(0));
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn orphans_get_a_new_parent() {
    let seen = shared::<[std::sync::atomic::AtomicI32; 2]>();
    use std::sync::atomic::Ordering::SeqCst;
    let middle = spawn(|| {
        let own = sys!(getpid());
        spawn(|| {
            until("the parent has gone", || sys!(getppid()) != own);
            seen[1].store(sys!(getppid()), SeqCst);
            seen[0].store(1, SeqCst);
            0
        });
        0
    });
    assert_eq!(wait(middle), End::Exit(0));
    until("the orphan has looked", || seen[0].load(SeqCst) == 1);
    let parent = seen[1].load(SeqCst);
    assert!(parent > 0 && parent != middle, "adopted by {parent}");
}

fn a_subreaper_adopts() {
    ok(sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)));
    let middle = spawn(|| {
        spawn(|| {
            sleep_ms(20);
            9
        });
        0
    });
    assert_eq!(wait(middle), End::Exit(0));
    let mut status = 0;
    let orphan = ok(sys!(waitpid(-1, &mut status, 0)));
    assert_ne!(orphan, middle);
    assert_eq!(End::of(status), End::Exit(9));
}

fn usage_of_children_adds_up() {
    let mut before: libc::rusage = zeroed();
    ok(sys!(getrusage(libc::RUSAGE_CHILDREN, &mut before)));
    assert_eq!(end_of(burn), End::Exit(0));
    let mut after: libc::rusage = zeroed();
    ok(sys!(getrusage(libc::RUSAGE_CHILDREN, &mut after)));
    let micros = |usage: &libc::rusage| {
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000
            + usage.ru_utime.tv_usec
            + usage.ru_stime.tv_usec
    };
    assert!(
        micros(&after) - micros(&before) >= 10_000,
        "at least 10 ms of work were done"
    );
    assert_eq!(micros(&before), 0);

    let mut usage: libc::rusage = zeroed();
    let pid = spawn(burn);
    let mut status = 0;
    assert_eq!(ok(sys!(wait4(pid, &mut status, 0, &mut usage))), pid);
    assert!(micros(&usage) >= 10_000);
    let mut times: libc::tms = zeroed();
    ok(sys!(times(&mut times)));
    assert!(times.tms_cutime + times.tms_cstime > 0);
}

/// Computes for 50 ms.
fn burn() -> i32 {
    let start = std::time::Instant::now();
    while start.elapsed().as_millis() < 50 {
        std::hint::black_box((0..1000).sum::<u64>());
    }
    0
}

extern "C" fn write_a_file() {
    let fd = try_open("atexit", libc::O_CREAT | libc::O_WRONLY, 0o600);
    sys!(close(fd));
}

fn exit_runs_atexit_and_underscore_exit_does_not() {
    let end = end_of(|| {
        sys!(atexit(write_a_file));
        sys!(_exit(3));
    });
    assert_eq!(end, End::Exit(3));
    assert!(!std::path::Path::new("atexit").exists());
    let end = end_of(|| {
        sys!(atexit(write_a_file));
        std::process::exit(4);
    });
    assert_eq!(end, End::Exit(4));
    assert!(std::path::Path::new("atexit").exists());
}

fn wait_by_pidfd() {
    let pid = spawn(|| {
        sleep_ms(20);
        8
    });
    let fd = ok(sys!(syscall(libc::SYS_pidfd_open, pid, 0))) as i32;
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    assert_eq!(ok(sys!(poll(&mut poll, 1, 20_000))), 1);
    let mut info: libc::siginfo_t = zeroed();
    ok(sys!(waitid(
        libc::P_PIDFD,
        fd as u32,
        &mut info,
        libc::WEXITED
    )));
    // SAFETY: waitid has filled in the fields of SIGCHLD.
    assert_eq!(unsafe { (info.si_pid(), info.si_status()) }, (pid, 8));
    let mut status = 0;
    fails(
        sys!(wait4(pid, &mut status, 0, ptr::null_mut())),
        libc::ECHILD,
    );
}

fn a_zombie_is_no_reason_to_wait_for_stops() {
    let pid = spawn(|| 3);
    let mut info: libc::siginfo_t = zeroed();
    // Left there, so that it is a zombie for sure.
    ok(sys!(waitid(
        libc::P_PID,
        pid as u32,
        &mut info,
        libc::WEXITED | libc::WNOWAIT
    )));
    for options in [
        libc::WSTOPPED,
        libc::WCONTINUED,
        libc::WSTOPPED | libc::WNOHANG,
    ] {
        fails(
            sys!(waitid(libc::P_ALL, 0, &mut info, options)),
            libc::ECHILD,
        );
    }
    assert_eq!(wait(pid), End::Exit(3));
}

fn two_who_look_find_a_zombie_each() {
    for _ in 0..200 {
        let pids = [spawn(|| 1), spawn(|| 2)];
        for pid in pids {
            let mut info: libc::siginfo_t = zeroed();
            ok(sys!(waitid(
                libc::P_PID,
                pid as u32,
                &mut info,
                libc::WEXITED | libc::WNOWAIT
            )));
        }
        let barrier = std::sync::Barrier::new(2);
        let look = || {
            barrier.wait();
            ok(sys!(waitpid(-1, ptr::null_mut(), libc::WNOHANG)))
        };
        let mut found = std::thread::scope(|scope| {
            let other = scope.spawn(look);
            [look(), other.join().expect("no panic")]
        });
        found.sort_unstable();
        assert_eq!(found, pids);
    }
}

fn a_pidfd_is_of_its_process() {
    let nonblocking = libc::PIDFD_NONBLOCK as i32;
    let pid = spawn(|| {
        loop {
            sys!(pause());
        }
    });
    let fd = ok(sys!(syscall(libc::SYS_pidfd_open, pid, nonblocking))) as i32;
    assert_ne!(ok(sys!(fcntl(fd, libc::F_GETFL))) & libc::O_NONBLOCK, 0);
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("a link");
    assert_eq!(name.to_str(), Some("anon_inode:[pidfd]"));
    let null = ptr::null::<libc::siginfo_t>();
    let send = |signal: i32, flags: u32| {
        sys!(syscall(
            libc::SYS_pidfd_send_signal,
            fd,
            signal,
            null,
            flags
        ))
    };
    fails(send(0, 1 << 20), libc::EINVAL);
    fails(send(65, 0), libc::EINVAL);
    ok(send(0, 0));
    let all = libc::POLLIN | libc::POLLRDNORM;
    // SAFETY: the test's own descriptor.
    let file = unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    assert_eq!(poll_now(&file, all), 0);
    // Where waiting is not wanted, waiting by it is refused.
    let mut info: libc::siginfo_t = zeroed();
    fails(
        sys!(waitid(libc::P_PIDFD, fd as u32, &mut info, libc::WEXITED)),
        libc::EAGAIN,
    );
    ok(send(libc::SIGTERM, 0));
    assert_eq!(poll_for(&file, all, 20_000), all);
    // A zombie is there; who has been waited for is not.
    ok(send(0, 0));
    assert_eq!(wait(pid), End::Signal(libc::SIGTERM));
    fails(send(0, 0), libc::ESRCH);
    assert_eq!(poll_now(&file, all) & libc::POLLIN, libc::POLLIN);
}

fn adopted_children_end_as_usual() {
    ok(sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)));
    use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
    let orphan = shared::<AtomicI32>();
    let (reader, writer) = pipe();
    extern "C" fn linger(reader: *mut libc::c_void) -> i32 {
        let mut byte = 0u8;
        i32::from(sys!(read(reader.addr() as i32, (&raw mut byte).cast(), 1)) != 0)
    }
    let middle = spawn(|| {
        // Its maker would hear of its end by another signal.
        let stack = vec![0u8; 64 << 10].leak();
        let reader = std::os::fd::AsRawFd::as_raw_fd(&reader);
        sys!(close(std::os::fd::AsRawFd::as_raw_fd(&writer)));
        orphan.store(
            sys!(clone(
                linger,
                stack.as_mut_ptr_range().end.cast(),
                libc::SIGUSR1,
                ptr::without_provenance_mut(reader as usize)
            )),
            SeqCst,
        );
        0
    });
    assert_eq!(wait(middle), End::Exit(0));
    // As SIGUSR1 it would end us.
    drop(writer);
    let pid = orphan.load(SeqCst);
    assert!(pid > 0);
    assert_eq!(wait(pid), End::Exit(0));
}
