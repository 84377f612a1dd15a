//! Signals: handlers, masks, queues, alternate stacks, interrupted calls.

use crate::support::*;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

crate::harness::tests![
    handlers_run,
    handlers_see_who_sent,
    masks_hold_signals_back,
    standard_signals_do_not_queue,
    realtime_signals_queue_in_order,
    a_handler_is_not_interrupted_by_itself,
    sa_nodefer_nests,
    sa_mask_holds_others_back,
    sa_resethand_works_once,
    sa_restart_restarts,
    without_sa_restart_calls_are_interrupted,
    sleep_is_never_restarted,
    sigsuspend_swaps_the_mask,
    sigtimedwait_takes_and_times_out,
    sigpending_tells,
    ignored_signals_vanish,
    kill_and_stop_cannot_be_caught,
    setting_ignore_drops_pending,
    sigaction_tells_what_was,
    the_alternate_stack_is_used,
    registers_survive_a_handler,
    floating_point_survives_a_handler,
    errno_survives_if_the_handler_saves_it,
    siglongjmp_like_unwinding_by_mask,
    handlers_may_change_the_context: Native,
    a_storm_of_signals_arrives,
    children_signal_their_parent: Native,
    signals_go_to_a_thread_that_takes_them,
    pthread_kill_hits_its_thread,
    synchronous_signals_stay_with_their_thread,
    sigqueue_carries_a_value,
    number_limits_are_checked,
    a_full_queue_refuses_pthread_kill: Native,
    forged_timer_signals_are_counted: Native,
    a_continuation_interrupts_nobody_who_runs: Native,
];

static COUNT: AtomicI32 = AtomicI32::new(0);
static DEPTH: AtomicI32 = AtomicI32::new(0);
static DEEPEST: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);

fn count() -> i32 {
    COUNT.load(SeqCst)
}

extern "C" fn counter(_: i32) {
    COUNT.fetch_add(1, SeqCst);
}

fn counting() -> usize {
    counter as *const () as usize
}

/// Sends itself another one the first three times.
extern "C" fn nester(signal: i32) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    if COUNT.fetch_add(1, SeqCst) < 3 {
        sys!(raise(signal));
    }
    DEPTH.fetch_sub(1, SeqCst);
}

extern "C" fn noting(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to an SA_SIGINFO handler.
    unsafe {
        CODE.store((*info).si_code, SeqCst);
        SENDER.store((*info).si_pid(), SeqCst);
        VALUE.store((*info).si_value().sival_ptr.addr(), SeqCst);
        assert_eq!((*info).si_signo, signal);
    }
    COUNT.fetch_add(1, SeqCst);
}

fn note_on(signal: i32) {
    on_signal(signal, libc::SA_SIGINFO, noting as *const () as usize);
}

fn own() -> i32 {
    sys!(getpid())
}

/// A child that sends us `signal` after a while.
fn later(signal: i32) -> i32 {
    let parent = own();
    spawn(|| {
        sleep_ms(40);
        sys!(kill(parent, signal))
    })
}

fn handlers_run() {
    for signal in [
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGTERM,
        libc::SIGCHLD,
        40,
    ] {
        COUNT.store(0, SeqCst);
        on_signal(signal, 0, counting());
        ok(sys!(raise(signal)));
        ok(sys!(kill(own(), signal)));
        assert_eq!(count(), 2, "signal {signal}");
    }
}

fn handlers_see_who_sent() {
    note_on(libc::SIGUSR1);
    ok(sys!(kill(own(), libc::SIGUSR1)));
    assert_eq!(
        (CODE.load(SeqCst), SENDER.load(SeqCst)),
        (libc::SI_USER, own())
    );
    let child = later(libc::SIGUSR1);
    until("the child has signalled", || count() == 2);
    assert_eq!(SENDER.load(SeqCst), child);
    wait(child);
    const SI_TKILL: i32 = -6;
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!(CODE.load(SeqCst), SI_TKILL);
}

fn masks_hold_signals_back() {
    on_signal(libc::SIGUSR1, 0, counting());
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    sleep_ms(10);
    assert_eq!(count(), 0);
    unblock(&[libc::SIGUSR1]);
    assert_eq!(count(), 1, "delivered before the call returns");
}

fn standard_signals_do_not_queue() {
    on_signal(libc::SIGUSR1, 0, counting());
    block(&[libc::SIGUSR1]);
    for _ in 0..5 {
        ok(sys!(raise(libc::SIGUSR1)));
    }
    unblock(&[libc::SIGUSR1]);
    assert_eq!(count(), 1);
}

static ORDER: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

extern "C" fn ordering(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: as in `noting`.
    let value = unsafe { (*info).si_value().sival_ptr.addr() };
    let at = COUNT.fetch_add(1, SeqCst) as usize;
    ORDER[at].store(signal as usize * 100 + value, SeqCst);
}

fn queue(signal: i32, value: usize) {
    let value = libc::sigval {
        sival_ptr: ptr::without_provenance_mut(value),
    };
    ok(sys!(sigqueue(own(), signal, value)));
}

fn realtime_signals_queue_in_order() {
    let (a, b) = (libc::SIGRTMIN() + 1, libc::SIGRTMIN() + 2);
    for signal in [a, b] {
        on_signal(signal, libc::SA_SIGINFO, ordering as *const () as usize);
    }
    block(&[a, b]);
    queue(b, 1);
    queue(a, 2);
    queue(b, 3);
    queue(a, 4);
    queue(a, 5);
    // Taken one by one, so that none interrupts another: the lowest number first, then by age.
    let mut found = Vec::new();
    for _ in 0..5 {
        let mut info: libc::siginfo_t = zeroed();
        let signal = ok(sys!(sigwaitinfo(&set_of(&[a, b]), &mut info)));
        // SAFETY: a queued signal carries a value.
        found.push((signal, unsafe { info.si_value().sival_ptr.addr() }));
    }
    assert_eq!(found, [(a, 2), (a, 4), (a, 5), (b, 1), (b, 3)]);
    (0..3).for_each(|n| queue(a, n));
    unblock(&[a, b]);
    assert_eq!(count(), 3, "each of them is delivered");
}

fn a_handler_is_not_interrupted_by_itself() {
    on_signal(libc::SIGUSR1, 0, nester as *const () as usize);
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!((count(), DEEPEST.load(SeqCst)), (4, 1));
}

fn sa_nodefer_nests() {
    on_signal(
        libc::SIGUSR1,
        libc::SA_NODEFER,
        nester as *const () as usize,
    );
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!((count(), DEEPEST.load(SeqCst)), (4, 4));
}

extern "C" fn raising_usr2(_: i32) {
    sys!(raise(libc::SIGUSR2));
    // Held back until we are done.
    VALUE.store(count() as usize, SeqCst);
}

fn sa_mask_holds_others_back() {
    on_signal(libc::SIGUSR2, 0, counting());
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = raising_usr2 as *const () as usize;
    action.sa_mask = set_of(&[libc::SIGUSR2]);
    ok(sys!(sigaction(libc::SIGUSR1, &action, ptr::null_mut())));
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!((VALUE.load(SeqCst), count()), (0, 1));
}

fn sa_resethand_works_once() {
    let end = end_of(|| {
        on_signal(libc::SIGUSR1, libc::SA_RESETHAND, counting());
        sys!(raise(libc::SIGUSR1));
        if count() == 1 {
            sys!(raise(libc::SIGUSR1));
        }
        0
    });
    assert_eq!(end, End::Signal(libc::SIGUSR1));
}

fn sa_restart_restarts() {
    on_signal(libc::SIGUSR1, libc::SA_RESTART, counting());
    let (reader, writer) = pipe();
    let parent = own();
    let child = spawn(|| {
        sleep_ms(40);
        sys!(kill(parent, libc::SIGUSR1));
        sleep_ms(40);
        i32::from(sys!(write(writer.as_raw_fd(), b"x".as_ptr().cast(), 1)) != 1)
    });
    let mut byte = [0u8];
    assert_eq!(
        ok(sys!(read(reader.as_raw_fd(), byte.as_mut_ptr().cast(), 1))),
        1
    );
    assert_eq!(count(), 1);
    assert_eq!(wait(child), End::Exit(0));
    let child = spawn(|| {
        sys!(kill(parent, libc::SIGUSR1));
        sleep_ms(40);
        7
    });
    let mut status = 0;
    assert_eq!(ok(sys!(waitpid(child, &mut status, 0))), child);
}

fn without_sa_restart_calls_are_interrupted() {
    on_signal(libc::SIGUSR1, 0, counting());
    let (reader, _writer) = pipe();
    let mut byte = [0u8];
    let child = later(libc::SIGUSR1);
    fails(
        sys!(read(reader.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EINTR,
    );
    wait(child);
    let child = later(libc::SIGUSR1);
    let mut poll = libc::pollfd {
        fd: reader.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    fails(sys!(poll(&mut poll, 1, 20_000)), libc::EINTR);
    wait(child);
    let child = later(libc::SIGUSR1);
    fails(sys!(pause()), libc::EINTR);
    wait(child);
    assert_eq!(count(), 3);
}

fn sleep_is_never_restarted() {
    on_signal(libc::SIGUSR1, libc::SA_RESTART, counting());
    let child = later(libc::SIGUSR1);
    let long = libc::timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let mut left: libc::timespec = zeroed();
    fails(sys!(nanosleep(&long, &mut left)), libc::EINTR);
    assert!(
        left.tv_sec >= 25 && left.tv_sec < 30,
        "{} s are left",
        left.tv_sec
    );
    wait(child);
}

fn sigsuspend_swaps_the_mask() {
    on_signal(libc::SIGUSR1, 0, counting());
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!(count(), 0);
    fails(sys!(sigsuspend(&set_of(&[]))), libc::EINTR);
    assert_eq!(count(), 1);
    ok(sys!(raise(libc::SIGUSR1)));
    assert_eq!(count(), 1, "the old mask is back");
}

fn sigtimedwait_takes_and_times_out() {
    let set = set_of(&[libc::SIGUSR1]);
    block(&[libc::SIGUSR1]);
    on_signal(libc::SIGUSR1, 0, counting());
    let soon = libc::timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    fails(
        sys!(sigtimedwait(&set, ptr::null_mut(), &soon)),
        libc::EAGAIN,
    );
    let child = later(libc::SIGUSR1);
    let long = libc::timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let mut info: libc::siginfo_t = zeroed();
    assert_eq!(
        ok(sys!(sigtimedwait(&set, &mut info, &long))),
        libc::SIGUSR1
    );
    // SAFETY: a signal sent by kill carries its sender.
    assert_eq!(unsafe { info.si_pid() }, child);
    wait(child);
    assert_eq!(count(), 0, "taken, not handled");
}

fn sigpending_tells() {
    block(&[libc::SIGUSR1, libc::SIGUSR2]);
    ok(sys!(raise(libc::SIGUSR2)));
    let mut pending = set_of(&[]);
    ok(sys!(sigpending(&mut pending)));
    assert_eq!(sys!(sigismember(&pending, libc::SIGUSR1)), 0);
    assert_eq!(sys!(sigismember(&pending, libc::SIGUSR2)), 1);
}

fn ignored_signals_vanish() {
    on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
    ok(sys!(raise(libc::SIGUSR1)));
    // These are ignored by default.
    for signal in [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT] {
        on_signal(signal, 0, libc::SIG_DFL);
        ok(sys!(raise(signal)));
    }
    on_signal(libc::SIGUSR1, 0, counting());
    sleep_ms(5);
    assert_eq!(count(), 0);
}

fn kill_and_stop_cannot_be_caught() {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = libc::SIG_IGN;
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        fails(
            sys!(sigaction(signal, &action, ptr::null_mut())),
            libc::EINVAL,
        );
    }
    let end = end_of(|| {
        let mut all: libc::sigset_t = zeroed();
        sys!(sigfillset(&mut all));
        sys!(sigprocmask(libc::SIG_BLOCK, &all, ptr::null_mut()));
        sys!(raise(libc::SIGKILL));
        0
    });
    assert_eq!(end, End::Signal(libc::SIGKILL));
}

fn setting_ignore_drops_pending() {
    on_signal(libc::SIGUSR1, 0, counting());
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
    on_signal(libc::SIGUSR1, 0, counting());
    unblock(&[libc::SIGUSR1]);
    assert_eq!(count(), 0);
}

fn sigaction_tells_what_was() {
    let flags = libc::SA_RESTART | libc::SA_NODEFER;
    on_signal(libc::SIGUSR1, flags, counting());
    let mut old: libc::sigaction = zeroed();
    ok(sys!(sigaction(libc::SIGUSR1, ptr::null(), &mut old)));
    assert_eq!(old.sa_sigaction, counting());
    assert_eq!(old.sa_flags & flags, flags);
}

extern "C" fn where_is_the_stack(_: i32) {
    let local = 0u8;
    VALUE.store((&raw const local).addr(), SeqCst);
    let mut stack: libc::stack_t = zeroed();
    sys!(sigaltstack(ptr::null(), &mut stack));
    CODE.store(stack.ss_flags, SeqCst);
}

fn the_alternate_stack_is_used() {
    let memory = vec![0u8; 64 << 10].leak();
    let range = memory.as_ptr_range();
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: memory.len(),
    };
    ok(sys!(sigaltstack(&stack, ptr::null_mut())));
    on_signal(
        libc::SIGUSR1,
        libc::SA_ONSTACK,
        where_is_the_stack as *const () as usize,
    );
    ok(sys!(raise(libc::SIGUSR1)));
    let at = VALUE.load(SeqCst);
    assert!(range.start.addr() < at && at < range.end.addr());
    assert_eq!(CODE.load(SeqCst), libc::SS_ONSTACK);
    on_signal(libc::SIGUSR1, 0, where_is_the_stack as *const () as usize);
    ok(sys!(raise(libc::SIGUSR1)));
    let at = VALUE.load(SeqCst);
    assert!(at < range.start.addr() || at >= range.end.addr());
    let tiny = libc::stack_t {
        ss_size: 100,
        ..stack
    };
    fails(sys!(sigaltstack(&tiny, ptr::null_mut())), libc::ENOMEM);
}

/// A timer that interrupts every 200 µs.
fn tick(signal_handler: usize) {
    on_signal(libc::SIGALRM, libc::SA_RESTART, signal_handler);
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: 200,
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    ok(sys!(setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut())));
}

fn registers_survive_a_handler() {
    tick(counting());
    // A sum that any register changed behind its back would spoil.
    let mut rounds = 0;
    while count() < 100 {
        let mut x = [1u64, 2, 3, 4, 5, 6, 7, 8];
        for n in 0..1000u64 {
            for (at, value) in x.iter_mut().enumerate() {
                *value = value.wrapping_mul(6_364_136_223_846_793_005) ^ (n + at as u64);
            }
        }
        let sum = x.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
        let expected = *VALUE_OF_SUM.get_or_init(|| sum);
        assert_eq!(sum, expected);
        rounds += 1;
    }
    assert!(rounds > 1);
}

static VALUE_OF_SUM: std::sync::OnceLock<u64> = std::sync::OnceLock::new();

extern "C" fn computing(_: i32) {
    let x = std::hint::black_box(1.5f64);
    VALUE.store((x.sqrt() * 1e6) as usize, SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

fn floating_point_survives_a_handler() {
    tick(computing as *const () as usize);
    let series = || {
        (1..2000)
            .map(|n| (f64::from(n)).sqrt().recip())
            .sum::<f64>()
    };
    let expected = series();
    while count() < 100 {
        assert_eq!(std::hint::black_box(series()).to_bits(), expected.to_bits());
    }
}

extern "C" fn spoiling_errno(_: i32) {
    let saved = errno();
    sys!(close(-1));
    // SAFETY: this thread's errno.
    unsafe { libc::__errno_location().write(saved) };
    COUNT.fetch_add(1, SeqCst);
}

fn errno_survives_if_the_handler_saves_it() {
    tick(spoiling_errno as *const () as usize);
    while count() < 50 {
        fails(sys!(access(c"nowhere".as_ptr(), libc::F_OK)), libc::ENOENT);
    }
}

fn siglongjmp_like_unwinding_by_mask() {
    // Inside a handler the signal is blocked; what is set there is undone on return.
    extern "C" fn handler(_: i32) {
        block(&[libc::SIGUSR2]);
    }
    on_signal(libc::SIGUSR1, 0, handler as *const () as usize);
    ok(sys!(raise(libc::SIGUSR1)));
    let mut mask = set_of(&[]);
    ok(sys!(sigprocmask(libc::SIG_BLOCK, ptr::null(), &mut mask)));
    assert_eq!(sys!(sigismember(&mask, libc::SIGUSR1)), 0);
    assert_eq!(sys!(sigismember(&mask, libc::SIGUSR2)), 0);
}

/// Steps over the undefined instruction that has brought us here.
extern "C" fn stepping(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: an SA_SIGINFO handler gets the interrupted context, which it may change.
    unsafe {
        let context = context.cast::<libc::ucontext_t>();
        #[cfg(target_arch = "aarch64")]
        {
            (*context).uc_mcontext.pc += 4;
        }
        #[cfg(target_arch = "x86_64")]
        {
            (*context).uc_mcontext.gregs[libc::REG_RIP as usize] += 2;
        }
    }
    COUNT.fetch_add(1, SeqCst);
}

fn handlers_may_change_the_context() {
    on_signal(
        libc::SIGILL,
        libc::SA_SIGINFO,
        stepping as *const () as usize,
    );
    for _ in 0..10 {
        // SAFETY: the handler steps over it.
        unsafe {
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("udf #0");
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("ud2");
        }
    }
    assert_eq!(count(), 10);
}

fn a_storm_of_signals_arrives() {
    on_signal(40, libc::SA_RESTART, counting());
    let parent = own();
    let children: Vec<i32> = (0..4)
        .map(|_| {
            spawn(|| {
                let mut sent = 0;
                while sent < 500 {
                    // The queue has a limit, which is no failure.
                    if sys!(kill(parent, 40)) == 0 {
                        sent += 1;
                    }
                }
                0
            })
        })
        .collect();
    for child in children {
        assert_eq!(wait(child), End::Exit(0));
    }
    until("all have come", || count() > 0);
}

fn children_signal_their_parent() {
    on_signal(libc::SIGCHLD, libc::SA_RESTART, counting());
    let pid = spawn(|| 0);
    until("SIGCHLD has come", || count() == 1);
    wait(pid);
    on_signal(
        libc::SIGCHLD,
        libc::SA_RESTART | libc::SA_NOCLDSTOP,
        counting(),
    );
    let pid = spawn(|| {
        sys!(raise(libc::SIGSTOP));
        0
    });
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    assert_eq!(count(), 1, "a stop is not told");
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn signals_go_to_a_thread_that_takes_them() {
    note_on(libc::SIGUSR1);
    block(&[libc::SIGUSR1]);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unblock(&[libc::SIGUSR1]);
            until("the signal has come", || count() == 1);
        });
        ok(sys!(kill(own(), libc::SIGUSR1)));
        thread.join().expect("it takes the signal");
    });
}

static WHO: AtomicI32 = AtomicI32::new(0);

extern "C" fn who(_: i32) {
    WHO.store(sys!(syscall(libc::SYS_gettid)) as i32, SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

fn pthread_kill_hits_its_thread() {
    use std::os::unix::thread::JoinHandleExt;
    on_signal(libc::SIGUSR1, 0, who as *const () as usize);
    let tid = std::sync::Arc::new(AtomicI32::new(0));
    let told = tid.clone();
    let thread = std::thread::spawn(move || {
        told.store(sys!(syscall(libc::SYS_gettid)) as i32, SeqCst);
        until("the signal has come", || count() == 1);
    });
    until("the thread runs", || tid.load(SeqCst) != 0);
    assert_eq!(
        sys!(pthread_kill(thread.as_pthread_t() as _, libc::SIGUSR1)),
        0
    );
    thread.join().expect("it gets the signal");
    assert_eq!(WHO.load(SeqCst), tid.load(SeqCst));
    assert_ne!(tid.load(SeqCst), own());
}

extern "C" fn who_and_step(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    who(signal);
    stepping(signal, info, context);
}

fn synchronous_signals_stay_with_their_thread() {
    on_signal(
        libc::SIGILL,
        libc::SA_SIGINFO,
        who_and_step as *const () as usize,
    );
    let end = end_of(|| {
        let tid = std::thread::spawn(|| {
            // SAFETY: the handler steps over it.
            unsafe {
                #[cfg(target_arch = "aarch64")]
                std::arch::asm!("udf #0");
                #[cfg(target_arch = "x86_64")]
                std::arch::asm!("ud2");
            }
            sys!(syscall(libc::SYS_gettid)) as i32
        });
        i32::from(tid.join().ok() != Some(WHO.load(SeqCst)))
    });
    assert_eq!(end, End::Exit(0));
}

fn sigqueue_carries_a_value() {
    note_on(libc::SIGUSR1);
    queue(libc::SIGUSR1, 0x1234_5678);
    assert_eq!(
        (VALUE.load(SeqCst), CODE.load(SeqCst)),
        (0x1234_5678, libc::SI_QUEUE)
    );
}

fn number_limits_are_checked() {
    let mut action: libc::sigaction = zeroed();
    fails(
        sys!(syscall(libc::SYS_rt_sigaction, 0, 0, &raw mut action, 8)),
        libc::EINVAL,
    );
    fails(
        sys!(syscall(libc::SYS_rt_sigaction, 65, 0, &raw mut action, 8)),
        libc::EINVAL,
    );
    fails(
        sys!(syscall(libc::SYS_rt_sigaction, 1, 0, &raw mut action, 4)),
        libc::EINVAL,
    );
    fails(
        sys!(syscall(libc::SYS_rt_sigprocmask, 9, &raw mut action, 0, 8)),
        libc::EINVAL,
    );
    fails(
        sys!(syscall(libc::SYS_tgkill, own(), own(), 99)),
        libc::EINVAL,
    );
    fails(
        sys!(syscall(libc::SYS_tgkill, own(), 999_999, 0)),
        libc::ESRCH,
    );
}

/// Lets few signals be queued, and takes them again: how many `send` could send, and how many came.
fn sent_and_taken(signal: i32, send: impl Fn(i32) -> i64) -> (usize, usize) {
    block(&[signal]);
    let few = libc::rlimit {
        rlim_cur: 8,
        rlim_max: 8,
    };
    ok(sys!(setrlimit(libc::RLIMIT_SIGPENDING, &few)));
    let sent = (0..20).filter(|&n| {
        let sent = send(n);
        if sent != 0 {
            fails(sent, libc::EAGAIN);
        }
        sent == 0
    });
    let sent = sent.count();
    let (set, no_time) = (set_of(&[signal]), zeroed());
    let take = || sys!(sigtimedwait(&set, ptr::null_mut(), &no_time)) == signal;
    (sent, (0..).take_while(|_| take()).count())
}

fn a_full_queue_refuses_pthread_kill() {
    let signal = libc::SIGRTMIN() + 1;
    let (sent, taken) = sent_and_taken(signal, |_| {
        let me = sys!(syscall(libc::SYS_gettid));
        sys!(syscall(libc::SYS_tgkill, own(), me, signal))
    });
    assert!((1..=8).contains(&sent), "{sent} sent");
    assert_eq!(sent, taken);
}

fn forged_timer_signals_are_counted() {
    let signal = libc::SIGRTMIN() + 1;
    let (sent, taken) = sent_and_taken(signal, |n| {
        // si_code, and the number of the timer.
        let mut info = [0i32; 32];
        (info[0], info[2], info[3], info[4]) = (signal, libc::SI_TIMER, 1, n);
        sys!(syscall(
            libc::SYS_rt_sigqueueinfo,
            own(),
            signal,
            info.as_ptr()
        ))
    });
    assert!((1..=8).contains(&sent), "{sent} sent");
    assert_eq!(sent, taken);
}

fn a_continuation_interrupts_nobody_who_runs() {
    let child = spawn(|| {
        let poll = ok(sys!(epoll_create1(0)));
        let mut event: libc::epoll_event = zeroed();
        sys!(epoll_wait(poll, &mut event, 1, 500))
    });
    for _ in 0..10 {
        sleep_ms(20);
        ok(sys!(kill(child, libc::SIGCONT)));
    }
    assert_eq!(wait(child), End::Exit(0), "not EINTR");
}
