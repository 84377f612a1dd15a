//! Signals that meet something: a stop, a birth, a mask that changes, another thread, a limit.

use crate::support::*;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

crate::harness::tests![
    sleeps_go_on_after_a_stop: Native,
    a_handler_ends_sleeps_whatever_its_flags: Native,
    another_thread_takes_what_the_first_blocks: Native,
    a_temporary_mask_goes_with_a_stop: Native,
    a_continuation_is_never_lost: Native,
    every_thread_stops_the_youngest_too: Native,
    a_group_signal_reaches_children_being_born: Native,
    pending_sigchld_goes_with_its_handler,
    signal_0_is_queued_to_nobody,
    kill_queued_to_a_thread_ends_the_process: Native,
    queued_signals_have_a_limit: Native,
    an_alternate_stack_can_disarm_itself: Native,
    returning_restores_the_alternate_stack: Native,
    process_1_takes_what_it_handles: Native,
];

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn counter(_: i32) {
    COUNT.fetch_add(1, SeqCst);
}

fn count_on(signal: i32, flags: i32) {
    on_signal(signal, flags, counter as *const () as usize);
}

fn own() -> i32 {
    sys!(getpid())
}

fn now(clock: i32) -> Duration {
    let mut time: libc::timespec = zeroed();
    ok(sys!(clock_gettime(clock, &mut time)));
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Waits on a futex that nobody wakes.
fn futex_wait(what: i32, time: Duration) -> i64 {
    let word = AtomicU32::new(0);
    let (time, all) = (spec(time), u32::MAX);
    sys!(syscall(
        libc::SYS_futex,
        word.as_ptr(),
        what,
        0,
        &raw const time,
        0,
        all
    ))
}

const FUTEX_WAIT: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;

fn stop(pid: i32) {
    ok(sys!(kill(pid, libc::SIGSTOP)));
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    assert_eq!(End::of(status), End::Stop(libc::SIGSTOP));
}

/// Stops a child in its sleep and has it go on, a few times.
fn stop_and_go(pid: i32) {
    for _ in 0..3 {
        until("it sleeps", || is_asleep(pid));
        stop(pid);
        ok(sys!(kill(pid, libc::SIGCONT)));
    }
}

fn sleeps_go_on_after_a_stop() {
    const LONG: Duration = Duration::from_millis(400);
    let nanosleep: fn() -> i32 = || sys!(nanosleep(&spec(LONG), ptr::null_mut()));
    let until_then: fn() -> i32 = || {
        let clock = libc::CLOCK_MONOTONIC;
        let end = spec(now(clock) + LONG);
        sys!(clock_nanosleep(
            clock,
            libc::TIMER_ABSTIME,
            &end,
            ptr::null_mut()
        ))
    };
    let futex: fn() -> i32 = || {
        let result = futex_wait(FUTEX_WAIT, LONG);
        i32::from(result != -1 || errno() != libc::ETIMEDOUT)
    };
    for (name, sleep) in [
        ("nanosleep", nanosleep),
        ("clock_nanosleep", until_then),
        ("a futex", futex),
    ] {
        let pid = spawn(|| {
            let start = Instant::now();
            match sleep() {
                0 if start.elapsed() >= LONG => 0,
                0 => 1,
                _ => 100 + errno(),
            }
        });
        stop_and_go(pid);
        assert_eq!(wait(pid), End::Exit(0), "{name}");
    }
    let pause: fn() = || {
        sys!(pause());
    };
    let suspend: fn() = || {
        sys!(sigsuspend(&set_of(&[])));
    };
    for (name, wait_for_one) in [("pause", pause), ("sigsuspend", suspend)] {
        let pid = spawn(|| {
            count_on(libc::SIGUSR1, libc::SA_RESTART);
            wait_for_one();
            COUNT.load(SeqCst)
        });
        stop_and_go(pid);
        until("it sleeps", || is_asleep(pid));
        ok(sys!(kill(pid, libc::SIGUSR1)));
        assert_eq!(wait(pid), End::Exit(1), "{name}");
    }
}

fn a_handler_ends_sleeps_whatever_its_flags() {
    const LONG: Duration = Duration::from_secs(30);
    let until_then: fn() -> i32 = || {
        let clock = libc::CLOCK_MONOTONIC;
        let end = spec(now(clock) + LONG);
        sys!(clock_nanosleep(
            clock,
            libc::TIMER_ABSTIME,
            &end,
            ptr::null_mut()
        ))
    };
    let failed = |result: i64| if result == -1 { errno() } else { 0 };
    let futex: fn() -> i32 = || futex_wait(FUTEX_WAIT, LONG) as i32;
    let bitset: fn() -> i32 = || {
        let what = libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG;
        futex_wait(what, now(libc::CLOCK_MONOTONIC) + LONG) as i32
    };
    for (name, sleep) in [
        ("clock_nanosleep", until_then),
        ("a futex", futex),
        ("a futex until then", bitset),
    ] {
        let pid = spawn(|| {
            count_on(libc::SIGUSR1, libc::SA_RESTART);
            // clock_nanosleep returns its error.
            match sleep() {
                -1 => failed(-1),
                other => other,
            }
        });
        until("it sleeps", || is_asleep(pid));
        ok(sys!(kill(pid, libc::SIGUSR1)));
        assert_eq!(wait(pid), End::Exit(libc::EINTR), "{name}");
    }
}

static TAKEN: AtomicBool = AtomicBool::new(false);

extern "C" fn take(_: i32) {
    TAKEN.store(true, SeqCst);
}

/// Returns once another thread has taken the other signal, which is blocked here meanwhile.
extern "C" fn wait_for_taker(_: i32) {
    while !TAKEN.load(SeqCst) {
        sys!(sched_yield());
    }
}

fn another_thread_takes_what_the_first_blocks() {
    let ready = shared::<AtomicBool>();
    let pid = spawn(|| {
        on_signal(libc::SIGUSR1, 0, take as *const () as usize);
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = wait_for_taker as *const () as usize;
        action.sa_mask = set_of(&[libc::SIGUSR1]);
        ok(sys!(sigaction(libc::SIGUSR2, &action, ptr::null_mut())));
        std::thread::spawn(|| {
            loop {
                sys!(pause());
            }
        });
        ready.store(true, SeqCst);
        while !TAKEN.load(SeqCst) {
            sys!(pause());
        }
        0
    });
    until("it is ready and sleeps", || {
        ready.load(SeqCst) && is_asleep(pid)
    });
    // Both are there when the main thread goes on: its own comes first and blocks the other.
    stop(pid);
    ok(sys!(kill(pid, libc::SIGUSR1)));
    ok(sys!(syscall(libc::SYS_tgkill, pid, pid, libc::SIGUSR2)));
    ok(sys!(kill(pid, libc::SIGCONT)));
    assert_eq!(wait(pid), End::Exit(0));
}

fn a_temporary_mask_goes_with_a_stop() {
    let waits = shared::<AtomicI32>();
    let pid = spawn(|| {
        let thread = std::thread::spawn(|| {
            block(&[libc::SIGUSR1]);
            let epoll = ok(sys!(epoll_create1(0)));
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            waits.store(sys!(syscall(libc::SYS_gettid)) as i32, SeqCst);
            let found = sys!(epoll_pwait(epoll, &mut event, 1, -1, &set_of(&[])));
            let mut mask = set_of(&[]);
            sys!(pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut mask));
            i32::from(found != -1) + 2 * (1 - sys!(sigismember(&mask, libc::SIGUSR1)))
        });
        thread.join().expect("no panic")
    });
    until("the thread waits", || {
        let tid = waits.load(SeqCst);
        tid != 0 && is_thread_asleep(pid, tid) && is_asleep(pid)
    });
    // The main thread takes the signal and stops the other one.
    stop(pid);
    ok(sys!(kill(pid, libc::SIGCONT)));
    assert_eq!(wait(pid), End::Exit(0));
}

fn count_for_ever(place: &AtomicU64) -> i32 {
    loop {
        place.fetch_add(1, SeqCst);
        sys!(sched_yield());
    }
}

/// A process whose threads count, each in its own place.
fn counting(counts: &'static [AtomicU64]) -> i32 {
    spawn(move || {
        for place in &counts[1..] {
            std::thread::spawn(move || count_for_ever(place));
        }
        count_for_ever(&counts[0])
    })
}

fn a_continuation_is_never_lost() {
    let counts = shared::<[AtomicU64; 4]>();
    let pid = counting(counts);
    let all = |from: &[u64]| {
        counts
            .iter()
            .zip(from)
            .all(|(now, &from)| now.load(SeqCst) > from)
    };
    until("they count", || all(&[0; 4]));
    for round in 0..300 {
        ok(sys!(kill(pid, libc::SIGSTOP)));
        for _ in 0..round % 40 {
            sys!(sched_yield());
        }
        ok(sys!(kill(pid, libc::SIGCONT)));
        let before: Vec<u64> = counts.iter().map(|c| c.load(SeqCst)).collect();
        until("they go on", || all(&before));
    }
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn every_thread_stops_the_youngest_too() {
    for round in 0..12 {
        let counts = shared::<[AtomicU64; 30]>();
        let pid = counting(counts);
        let count = || counts.iter().map(|c| c.load(SeqCst)).collect::<Vec<_>>();
        until("some are born", || counts[1 + round * 2].load(SeqCst) > 0);
        stop(pid);
        let mut before = count();
        until("all have stopped", || {
            sleep_ms(5);
            let now = count();
            core::mem::replace(&mut before, now.clone()) == now
        });
        ok(sys!(kill(pid, libc::SIGKILL)));
        wait(pid);
    }
}

fn a_group_signal_reaches_children_being_born() {
    ok(sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)));
    for _ in 0..30 {
        let born = shared::<AtomicI32>();
        let maker = spawn(|| {
            sys!(setpgid(0, 0));
            for _ in 0..300 {
                if sys!(fork()) == 0 {
                    loop {
                        sys!(pause());
                    }
                }
                born.fetch_add(1, SeqCst);
            }
            0
        });
        until("some are born", || born.load(SeqCst) >= 10);
        ok(sys!(kill(-maker, libc::SIGTERM)));
        // Whoever is left pauses for good.
        until("nobody is left", || {
            while sys!(waitpid(-1, ptr::null_mut(), libc::WNOHANG)) > 0 {}
            errno() == libc::ECHILD
        });
    }
}

fn pending_sigchld_goes_with_its_handler() {
    count_on(libc::SIGCHLD, 0);
    block(&[libc::SIGCHLD]);
    ok(sys!(raise(libc::SIGCHLD)));
    on_signal(libc::SIGCHLD, 0, libc::SIG_DFL);
    count_on(libc::SIGCHLD, 0);
    unblock(&[libc::SIGCHLD]);
    assert_eq!(COUNT.load(SeqCst), 0);
}

fn queue_info(code: i32) -> libc::siginfo_t {
    let mut info: libc::siginfo_t = zeroed();
    info.si_code = code;
    info
}

fn signal_0_is_queued_to_nobody() {
    let info = queue_info(libc::SI_QUEUE);
    let at = &raw const info;
    ok(sys!(syscall(libc::SYS_rt_sigqueueinfo, own(), 0, at)));
    ok(sys!(syscall(
        libc::SYS_rt_tgsigqueueinfo,
        own(),
        own(),
        0,
        at
    )));
    fails(
        sys!(syscall(libc::SYS_rt_sigqueueinfo, 999_999, 0, at)),
        libc::ESRCH,
    );
    fails(
        sys!(syscall(libc::SYS_rt_sigqueueinfo, own(), 65, at)),
        libc::EINVAL,
    );
}

fn kill_queued_to_a_thread_ends_the_process() {
    let end = end_of(|| {
        std::thread::spawn(|| {
            let tid = sys!(syscall(libc::SYS_gettid));
            let info = queue_info(libc::SI_QUEUE);
            sys!(syscall(
                libc::SYS_rt_tgsigqueueinfo,
                own(),
                tid,
                libc::SIGKILL,
                &raw const info
            ));
        });
        // In no call that a signal could end.
        loop {
            std::hint::spin_loop();
        }
    });
    assert_eq!(end, End::Signal(libc::SIGKILL));
}

fn queued_signals_have_a_limit() {
    let signal = libc::SIGRTMIN() + 1;
    in_child(|| {
        // A user who has nothing else queued.
        ok(sys!(setuid(54_321)));
        block(&[signal, libc::SIGUSR1]);
        let limit = libc::rlimit {
            rlim_cur: 5,
            rlim_max: 5,
        };
        ok(sys!(setrlimit(libc::RLIMIT_SIGPENDING, &limit)));
        let queue = |signal| {
            let value = libc::sigval {
                sival_ptr: ptr::null_mut(),
            };
            sys!(sigqueue(own(), signal, value))
        };
        for _ in 0..5 {
            ok(queue(signal));
        }
        fails(queue(signal), libc::EAGAIN);
        // Others lose what they carry at most.
        ok(queue(libc::SIGUSR1));
        ok(sys!(kill(own(), signal)));
        let set = set_of(&[signal]);
        for _ in 0..5 {
            assert_eq!(ok(sys!(sigwaitinfo(&set, ptr::null_mut()))), signal);
        }
        ok(queue(signal));
    });
}

static FLAGS: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_stack(_: i32) {
    let mut stack: libc::stack_t = zeroed();
    sys!(sigaltstack(ptr::null(), &mut stack));
    FLAGS.store(stack.ss_flags, SeqCst);
    // Not refused: the stack in use is not the alternate one any more.
    let other = libc::stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    COUNT.store(sys!(sigaltstack(&other, ptr::null_mut())), SeqCst);
}

const SS_AUTODISARM: i32 = i32::MIN;

fn alternate_stack(flags: i32) -> libc::stack_t {
    let memory = vec![0u8; 64 << 10].leak();
    libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: flags,
        ss_size: memory.len(),
    }
}

fn an_alternate_stack_can_disarm_itself() {
    let stack = alternate_stack(SS_AUTODISARM);
    ok(sys!(sigaltstack(&stack, ptr::null_mut())));
    let handler = note_stack as *const () as usize;
    on_signal(libc::SIGUSR1, libc::SA_ONSTACK, handler);
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!(
        (FLAGS.load(SeqCst), COUNT.load(SeqCst)),
        (libc::SS_DISABLE, 0)
    );
    // It is armed again when the handler has returned.
    let mut after: libc::stack_t = zeroed();
    ok(sys!(sigaltstack(ptr::null(), &mut after)));
    assert_eq!((after.ss_sp, after.ss_flags), (stack.ss_sp, SS_AUTODISARM));
}

/// Lets the frame restore another alternate stack.
extern "C" fn change_stack(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands a valid context to an SA_SIGINFO handler.
    unsafe { (*context).uc_stack.ss_size = 32 << 10 };
}

fn returning_restores_the_alternate_stack() {
    let stack = alternate_stack(0);
    ok(sys!(sigaltstack(&stack, ptr::null_mut())));
    let handler = change_stack as *const () as usize;
    on_signal(libc::SIGUSR1, libc::SA_SIGINFO, handler);
    ok(sys!(raise(libc::SIGUSR1)));
    let mut after: libc::stack_t = zeroed();
    ok(sys!(sigaltstack(ptr::null(), &mut after)));
    assert_eq!((after.ss_sp, after.ss_size), (stack.ss_sp, 32 << 10));
}

fn process_1_takes_what_it_handles() {
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    if !version.starts_with("RustOS") {
        // Elsewhere it has better things to do.
        return;
    }
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGABRT, 40] {
        ok(sys!(kill(1, signal)));
        ok(sys!(syscall(libc::SYS_tgkill, 1, 1, signal)));
        let info = queue_info(libc::SI_QUEUE);
        ok(sys!(syscall(
            libc::SYS_rt_sigqueueinfo,
            1,
            signal,
            &raw const info
        )));
    }
    // It still takes orphans in.
    let orphan = shared::<AtomicI32>();
    let middle = spawn(|| {
        orphan.store(spawn(|| 0), SeqCst);
        0
    });
    wait(middle);
    until("init has buried the orphan", || {
        sys!(kill(orphan.load(SeqCst), 0)) == -1
    });
}
