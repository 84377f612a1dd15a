//! Timers that send signals: alarm, setitimer, timer_create.

use crate::support::*;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

crate::harness::tests![
    alarm_kills_by_default,
    alarm_is_replaced_and_cancelled,
    real_timers_repeat,
    cpu_timers_count_work,
    setitimer_tells_and_checks,
    posix_timers_send_their_value,
    posix_timers_overrun,
    posix_timers_are_deleted,
    posix_timer_errors,
    timers_are_not_inherited,
    each_timer_sends_a_signal_of_its_own: Native,
    a_timer_without_a_signal_can_be_asked: Native,
    timers_whose_signals_wait_cost_nothing: Native,
    ignored_timers_cost_little: Native,
    what_is_ignored_for_a_while_comes_again: Native,
    a_crowd_of_ignored_timers_leaves_time: Native,
    timers_of_many_threads_cost_little: Native,
];

static COUNT: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn counter(_: i32) {
    COUNT.fetch_add(1, SeqCst);
}

fn count_on(signal: i32) {
    on_signal(signal, libc::SA_RESTART, counter as *const () as usize);
}

fn every(milliseconds: i64) -> libc::itimerval {
    let time = libc::timeval {
        tv_sec: milliseconds / 1000,
        tv_usec: milliseconds % 1000 * 1000,
    };
    libc::itimerval {
        it_interval: time,
        it_value: time,
    }
}

fn alarm_kills_by_default() {
    let start = Instant::now();
    let end = end_of(|| {
        on_signal(libc::SIGALRM, 0, libc::SIG_DFL);
        sys!(alarm(1));
        sleep_ms(20_000);
        0
    });
    assert_eq!(end, End::Signal(libc::SIGALRM));
    assert!(start.elapsed() >= Duration::from_millis(900));
}

fn alarm_is_replaced_and_cancelled() {
    assert_eq!(sys!(alarm(100)), 0);
    let left = sys!(alarm(50));
    assert!((95..=100).contains(&left));
    let left = sys!(alarm(0));
    assert!((45..=50).contains(&left));
    assert_eq!(sys!(alarm(0)), 0);
}

fn real_timers_repeat() {
    count_on(libc::SIGALRM);
    let start = Instant::now();
    ok(sys!(setitimer(
        libc::ITIMER_REAL,
        &every(5),
        ptr::null_mut()
    )));
    until("ten have come", || COUNT.load(SeqCst) >= 10);
    assert!(start.elapsed() >= Duration::from_millis(45));
    let mut old: libc::itimerval = zeroed();
    ok(sys!(setitimer(libc::ITIMER_REAL, &zeroed(), &mut old)));
    assert_eq!(old.it_interval.tv_usec, 5000);
    let stopped = COUNT.load(SeqCst);
    sleep_ms(30);
    assert_eq!(COUNT.load(SeqCst), stopped);
}

fn cpu_timers_count_work() {
    count_on(libc::SIGVTALRM);
    count_on(libc::SIGPROF);
    ok(sys!(setitimer(
        libc::ITIMER_PROF,
        &every(20),
        ptr::null_mut()
    )));
    sleep_ms(100);
    assert!(COUNT.load(SeqCst) <= 3, "sleeping is no work");
    COUNT.store(0, SeqCst);
    let give_up = Instant::now() + Duration::from_secs(20);
    while COUNT.load(SeqCst) < 2 {
        assert!(Instant::now() < give_up, "work is not counted");
    }
}

fn setitimer_tells_and_checks() {
    ok(sys!(setitimer(
        libc::ITIMER_REAL,
        &every(100_000),
        ptr::null_mut()
    )));
    let mut now: libc::itimerval = zeroed();
    ok(sys!(getitimer(libc::ITIMER_REAL, &mut now)));
    assert!((95..=100).contains(&now.it_value.tv_sec));
    assert_eq!(now.it_interval.tv_sec, 100);
    fails(
        sys!(setitimer(99, &every(5), ptr::null_mut())),
        libc::EINVAL,
    );
    let mut bad = every(5);
    bad.it_value.tv_usec = 1_000_000;
    fails(
        sys!(setitimer(libc::ITIMER_REAL, &bad, ptr::null_mut())),
        libc::EINVAL,
    );
}

extern "C" fn noting(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to an SA_SIGINFO handler.
    unsafe {
        assert_eq!((*info).si_code, libc::SI_TIMER);
        VALUE.store((*info).si_value().sival_ptr.addr(), SeqCst);
    }
    COUNT.fetch_add(1, SeqCst);
}

fn create(signal: i32, value: usize) -> libc::timer_t {
    create_of(libc::CLOCK_MONOTONIC, signal, value)
}

fn create_of(clock: libc::clockid_t, signal: i32, value: usize) -> libc::timer_t {
    let mut event: libc::sigevent = zeroed();
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    event.sigev_value.sival_ptr = ptr::without_provenance_mut(value);
    let mut timer: libc::timer_t = ptr::null_mut();
    ok(sys!(timer_create(clock, &mut event, &mut timer)));
    timer
}

fn set(timer: libc::timer_t, first_ms: i64, interval_ms: i64) {
    let spec = |ms: i64| libc::timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    let value = libc::itimerspec {
        it_interval: spec(interval_ms),
        it_value: spec(first_ms),
    };
    ok(sys!(timer_settime(timer, 0, &value, ptr::null_mut())));
}

fn posix_timers_send_their_value() {
    on_signal(
        libc::SIGUSR1,
        libc::SA_SIGINFO,
        noting as *const () as usize,
    );
    let timer = create(libc::SIGUSR1, 0xabcd);
    set(timer, 20, 0);
    let mut now: libc::itimerspec = zeroed();
    ok(sys!(timer_gettime(timer, &mut now)));
    assert!(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20_000_000);
    until("it has come", || COUNT.load(SeqCst) == 1);
    assert_eq!(VALUE.load(SeqCst), 0xabcd);
    sleep_ms(40);
    assert_eq!(COUNT.load(SeqCst), 1, "once only");
    set(timer, 1, 1);
    until("it has come often", || COUNT.load(SeqCst) >= 5);
    ok(sys!(timer_delete(timer)));
}

fn posix_timers_overrun() {
    count_on(libc::SIGUSR1);
    block(&[libc::SIGUSR1]);
    let timer = create(libc::SIGUSR1, 0);
    set(timer, 1, 1);
    sleep_ms(50);
    unblock(&[libc::SIGUSR1]);
    assert!(COUNT.load(SeqCst) >= 1);
    block(&[libc::SIGUSR1]);
    sleep_ms(50);
    let signals = set_of(&[libc::SIGUSR1]);
    ok(sys!(sigwaitinfo(&signals, ptr::null_mut())));
    let missed = ok(sys!(timer_getoverrun(timer)));
    assert!((5..10_000).contains(&missed), "{missed} in 50 ms");
}

fn posix_timers_are_deleted() {
    count_on(libc::SIGUSR1);
    let timer = create(libc::SIGUSR1, 0);
    set(timer, 30, 30);
    ok(sys!(timer_delete(timer)));
    sleep_ms(60);
    assert_eq!(COUNT.load(SeqCst), 0);
}

fn posix_timer_errors() {
    let mut timer: libc::timer_t = ptr::null_mut();
    fails(
        sys!(timer_create(99, ptr::null_mut(), &mut timer)),
        libc::EINVAL,
    );
    let number = libc::SYS_timer_delete;
    fails(sys!(syscall(number, 12345)), libc::EINVAL);
    let mut value: libc::itimerspec = zeroed();
    fails(
        sys!(syscall(libc::SYS_timer_gettime, 12345, &raw mut value)),
        libc::EINVAL,
    );
    let timer = create(libc::SIGUSR1, 0);
    value.it_value.tv_nsec = 2_000_000_000;
    fails(
        sys!(timer_settime(timer, 0, &value, ptr::null_mut())),
        libc::EINVAL,
    );
}

fn timers_are_not_inherited() {
    ok(sys!(setitimer(
        libc::ITIMER_REAL,
        &every(100_000),
        ptr::null_mut()
    )));
    in_child(|| {
        let mut now: libc::itimerval = zeroed();
        ok(sys!(getitimer(libc::ITIMER_REAL, &mut now)));
        assert_eq!((now.it_value.tv_sec, now.it_value.tv_usec), (0, 0));
    });
}

fn each_timer_sends_a_signal_of_its_own() {
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    for value in [3, 4, 5] {
        set(create(libc::SIGUSR1, value), value as i64, 0);
    }
    let mut values = Vec::new();
    while values.len() < 4 {
        let mut info: libc::siginfo_t = zeroed();
        ok(sys!(sigwaitinfo(&set_of(&[libc::SIGUSR1]), &mut info)));
        if info.si_code == libc::SI_TIMER {
            // SAFETY: a timer's signal carries its value.
            values.push(unsafe { info.si_value().sival_ptr.addr() });
        } else {
            values.push(0);
        }
    }
    values.sort_unstable();
    assert_eq!(values, [0, 3, 4, 5]);
}

/// A timer that signals nobody.
fn silent() -> libc::timer_t {
    let mut event: libc::sigevent = zeroed();
    event.sigev_notify = libc::SIGEV_NONE;
    let mut timer: libc::timer_t = ptr::null_mut();
    ok(sys!(timer_create(
        libc::CLOCK_MONOTONIC,
        &mut event,
        &mut timer
    )));
    timer
}

fn left(timer: libc::timer_t) -> Duration {
    let mut now: libc::itimerspec = zeroed();
    ok(sys!(timer_gettime(timer, &mut now)));
    Duration::new(now.it_value.tv_sec as u64, now.it_value.tv_nsec as u32)
}

fn a_timer_without_a_signal_can_be_asked() {
    let (once, again) = (silent(), silent());
    set(once, 30, 0);
    set(again, 30, 1000);
    assert!((1..=30).contains(&left(once).as_millis()));
    until("the one is over", || left(once).is_zero());
    until("the other has begun its period", || {
        left(again).as_millis() > 30
    });
    assert!(left(again).as_millis() <= 1000);
}

/// Makes many timers of one signal that run out as often as can be, and computes for a while.
fn compute_among_timers(signal: i32) {
    const MANY: usize = 3000;
    let shortest = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1,
    };
    let value = libc::itimerspec {
        it_interval: shortest,
        it_value: shortest,
    };
    for n in 0..MANY {
        let timer = if n % 2 == 0 {
            create(signal, n)
        } else {
            silent()
        };
        ok(sys!(timer_settime(timer, 0, &value, ptr::null_mut())));
    }
    compute();
}

/// Some work, which is to be done in time.
fn compute() {
    let start = Instant::now();
    let mut work = 0u64;
    for n in 0..20_000_000u64 {
        work = std::hint::black_box(work ^ n);
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?} for so little",
        start.elapsed()
    );
}

fn timers_whose_signals_wait_cost_nothing() {
    block(&[libc::SIGUSR1]);
    compute_among_timers(libc::SIGUSR1);
}

fn ignored_timers_cost_little() {
    on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
    compute_among_timers(libc::SIGUSR1);
}

fn what_is_ignored_for_a_while_comes_again() {
    block(&[libc::SIGUSR1]);
    let timer = create(libc::SIGUSR1, 0);
    set(timer, 1, 1);
    let pending = || {
        let mut set = set_of(&[]);
        ok(sys!(sigpending(&mut set)));
        sys!(sigismember(&set, libc::SIGUSR1)) == 1
    };
    until("it waits", pending);
    // Dropped, and ignored from now on.
    on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
    unblock(&[libc::SIGUSR1]);
    sleep_ms(10);
    count_on(libc::SIGUSR1);
    until("it comes again", || COUNT.load(SeqCst) > 2);
}

fn a_crowd_of_ignored_timers_leaves_time() {
    on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
    for n in 0..8000 {
        let timer = create(libc::SIGUSR1, n);
        let value = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 1,
            },
            // So that none rings before all are there.
            it_value: libc::timespec {
                tv_sec: 3,
                tv_nsec: 0,
            },
        };
        ok(sys!(timer_settime(timer, 0, &value, ptr::null_mut())));
    }
    sleep_ms(3000);
    compute();
}

fn timers_of_many_threads_cost_little() {
    for _ in 0..100 {
        std::thread::spawn(|| {
            loop {
                sys!(pause());
            }
        });
    }
    for n in 0..3000 {
        let timer = create_of(libc::CLOCK_PROCESS_CPUTIME_ID, libc::SIGUSR1, n);
        set(timer, 1_000_000, 1_000_000);
    }
    compute();
}
