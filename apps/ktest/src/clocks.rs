//! Clocks and sleeping, and randomness, which is no more reproducible than they are.

use crate::support::*;
use std::io::{Read, Write};
use std::ptr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

crate::harness::tests![
    the_monotonic_clock_never_goes_back,
    the_wall_clock_is_in_this_century,
    clocks_agree_about_durations,
    clocks_have_fine_resolution,
    cpu_time_counts_work_only,
    nanosleep_sleeps_long_enough,
    sleeping_until_an_instant,
    sleep_rejects_nonsense,
    processes_sleep_at_once,
    unknown_clocks_are_einval,
    gettimeofday_is_the_wall_clock,
    a_clock_that_is_set_is_read_so_by_everybody,
    times_counts_ticks,
    random_bytes_differ,
    random_calls_have_rules,
    random_differs_between_processes,
    a_signal_ends_a_long_random_call: Native,
    clocks_are_not_set_to_nonsense: Native,
    setting_the_clock_moves_times_of_day: Native,
    setting_the_clock_moves_nothing_else: Native,
    timers_can_be_cancelled_by_setting_the_clock: Native,
    sleeping_for_work: Native,
];

fn now(clock: i32) -> Duration {
    let mut time: libc::timespec = zeroed();
    ok(sys!(clock_gettime(clock, &mut time)));
    assert!((0..1_000_000_000).contains(&time.tv_nsec));
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn the_monotonic_clock_never_goes_back() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let mut last = now(libc::CLOCK_MONOTONIC);
                for _ in 0..20_000 {
                    let next = now(libc::CLOCK_MONOTONIC);
                    assert!(next >= last);
                    last = next;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("time goes forward");
    }
}

fn the_wall_clock_is_in_this_century() {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    assert!(since > Duration::from_secs(1_700_000_000), "{since:?}");
    assert!(since < Duration::from_secs(4_102_444_800), "{since:?}");
}

fn clocks_agree_about_durations() {
    let clocks = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_MONOTONIC_RAW,
    ];
    // What one clock measures around the others is no less than what they measure; a per mille is for their rates.
    let start = now(libc::CLOCK_MONOTONIC);
    let before = clocks.map(now);
    sleep_ms(60);
    let after = clocks.map(now);
    let around = now(libc::CLOCK_MONOTONIC) - start;
    let most = around + around / 1000 + Duration::from_millis(1);
    for (before, after) in before.iter().zip(after) {
        let passed = after.saturating_sub(*before);
        assert!(passed >= Duration::from_millis(59), "{passed:?} in 60 ms");
        assert!(passed <= most, "{passed:?} within {around:?}");
    }
}

fn clocks_have_fine_resolution() {
    for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
        let mut resolution: libc::timespec = zeroed();
        ok(sys!(clock_getres(clock, &mut resolution)));
        assert_eq!(resolution.tv_sec, 0);
        assert!((1..=1000).contains(&resolution.tv_nsec));
        // A clock that ticks has no step shorter than its tick, however often one looks; a host that is busy makes some longer.
        let step = || {
            let first = now(clock);
            std::iter::repeat_with(|| now(clock))
                .find(|next| *next != first)
                .map_or(Duration::MAX, |next| next.saturating_sub(first))
        };
        let shortest = (0..200).map(|_| step()).min();
        assert!(shortest < Some(Duration::from_millis(1)), "{shortest:?}");
    }
}

fn cpu_time_counts_work_only() {
    let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
    let before = now(clock);
    sleep_ms(100);
    let asleep = now(clock) - before;
    assert!(
        asleep < Duration::from_millis(80),
        "{asleep:?} of work while asleep"
    );
    let start = now(clock);
    let give_up = Instant::now() + Duration::from_secs(20);
    while now(clock) - start < Duration::from_millis(30) {
        assert!(Instant::now() < give_up, "work is not counted");
    }
    assert!(now(libc::CLOCK_THREAD_CPUTIME_ID) >= Duration::from_millis(20));
}

fn nanosleep_sleeps_long_enough() {
    for milliseconds in [0, 1, 5, 30] {
        let start = Instant::now();
        ok(sys!(nanosleep(
            &spec(Duration::from_millis(milliseconds)),
            ptr::null_mut()
        )));
        assert!(start.elapsed() >= Duration::from_millis(milliseconds));
    }
}

fn sleeping_until_an_instant() {
    for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME] {
        let target = now(clock) + Duration::from_millis(30);
        let flags = libc::TIMER_ABSTIME;
        assert_eq!(
            sys!(clock_nanosleep(
                clock,
                flags,
                &spec(target),
                ptr::null_mut()
            )),
            0
        );
        assert!(now(clock) >= target);
        // What has passed needs no waiting.
        assert_eq!(
            sys!(clock_nanosleep(
                clock,
                flags,
                &spec(target),
                ptr::null_mut()
            )),
            0
        );
    }
}

fn sleep_rejects_nonsense() {
    for bad in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
        let time = libc::timespec {
            tv_sec: bad.0,
            tv_nsec: bad.1,
        };
        fails(sys!(nanosleep(&time, ptr::null_mut())), libc::EINVAL);
        let result = sys!(clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            0,
            &time,
            ptr::null_mut()
        ));
        assert_eq!(result, libc::EINVAL);
    }
}

fn processes_sleep_at_once() {
    let children: Vec<i32> = (0..20)
        .map(|_| {
            spawn(|| {
                sleep_ms(3_600_000);
                0
            })
        })
        .collect();
    // None of them gets on while this one looks at the others: they sleep at the same time.
    let sleeps = |child: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
        stat.is_ok_and(|text| text.contains(") S "))
    };
    until("all of them sleep", || children.iter().all(sleeps));
    for &child in &children {
        ok(sys!(kill(child, libc::SIGKILL)));
        assert_eq!(wait(child), End::Signal(libc::SIGKILL));
    }
}

fn unknown_clocks_are_einval() {
    let mut time: libc::timespec = zeroed();
    fails(sys!(clock_gettime(99, &mut time)), libc::EINVAL);
    fails(sys!(clock_getres(99, &mut time)), libc::EINVAL);
}

fn set_clock(time: Duration) {
    ok(sys!(clock_settime(libc::CLOCK_REALTIME, &spec(time))));
}

/// By a process that was there before the change, by one that starts after it, and by every way to ask.
fn a_clock_that_is_set_is_read_so_by_everybody() {
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    if !version.starts_with("RustOS") {
        // Elsewhere somebody may need the clock.
        return;
    }
    let (before, started) = (now(libc::CLOCK_REALTIME), now(libc::CLOCK_MONOTONIC));
    let away = Duration::from_secs(1_000_000);
    let hour = Duration::from_secs(3600);
    let ((mut told, mut tell), (mut asked, mut ask)) = (pipe(), pipe());
    let earlier = spawn(|| {
        now(libc::CLOCK_REALTIME);
        if tell.write_all(b"x").is_err() || asked.read_exact(&mut [0]).is_err() {
            return 2;
        }
        let later = now(libc::CLOCK_REALTIME);
        i32::from(later < before + away || later > before + away + hour)
    });
    told.read_exact(&mut [0]).expect("the child has read it");
    set_clock(before + away);
    ask.write_all(b"x").expect("room");
    let here = now(libc::CLOCK_REALTIME);
    let coarse = now(libc::CLOCK_REALTIME_COARSE);
    let std = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    // The file system asks the kernel and nobody else.
    std::fs::write("f", b"").expect("a new file");
    let kernel = std::fs::metadata("f").and_then(|meta| meta.modified());
    let kernel = kernel.expect("the file's time").duration_since(UNIX_EPOCH);
    let kernel = kernel.expect("after 1970");
    let child = end_of(|| i32::from(now(libc::CLOCK_REALTIME) < before + away));
    let earlier = wait(earlier);
    let monotonic = now(libc::CLOCK_MONOTONIC);
    set_clock(now(libc::CLOCK_REALTIME) - away);
    for (what, time) in [
        ("clock_gettime", here),
        ("the coarse clock", coarse),
        ("std", std),
        ("the kernel", kernel),
    ] {
        let range = before + away - Duration::from_secs(1)..before + away + hour;
        assert!(range.contains(&time), "{what} says {time:?}");
    }
    assert_eq!((child, earlier), (End::Exit(0), End::Exit(0)));
    assert!(monotonic >= started && monotonic < started + hour);
    assert!(now(libc::CLOCK_REALTIME) < before + hour);
}

fn gettimeofday_is_the_wall_clock() {
    let mut time: libc::timeval = zeroed();
    ok(sys!(gettimeofday(&mut time, ptr::null_mut())));
    let seconds = now(libc::CLOCK_REALTIME).as_secs() as i64;
    assert!((seconds - time.tv_sec).abs() <= 1);
    assert!((seconds - sys!(time(ptr::null_mut()))).abs() <= 1);
}

fn times_counts_ticks() {
    assert_eq!(sys!(sysconf(libc::_SC_CLK_TCK)), 100);
    let mut times: libc::tms = zeroed();
    let before = sys!(times(&mut times));
    sleep_ms(50);
    let passed = sys!(times(&mut times)) - before;
    assert!((4..2000).contains(&passed), "{passed} ticks in 50 ms");
}

fn random(size: usize) -> Vec<u8> {
    let mut data = vec![0u8; size];
    let count = ok(sys!(getrandom(data.as_mut_ptr().cast(), size, 0)));
    assert_eq!(count as usize, size);
    data
}

fn random_bytes_differ() {
    assert_ne!(random(32), random(32));
    let data = random(100_000);
    let mut counts = [0; 256];
    data.iter().for_each(|b| counts[usize::from(*b)] += 1);
    // Each byte comes 390 times, give or take 20; six times that would be a wonder.
    assert!(
        counts.iter().all(|count| (270..510).contains(count)),
        "{counts:?}"
    );
}

fn random_calls_have_rules() {
    let mut data = [0u8; 8];
    fails(
        sys!(getrandom(data.as_mut_ptr().cast(), 8, 0x80)),
        libc::EINVAL,
    );
    assert_eq!(ok(sys!(getrandom(data.as_mut_ptr().cast(), 0, 0))), 0);
    assert_eq!(
        ok(sys!(getrandom(
            data.as_mut_ptr().cast(),
            8,
            libc::GRND_NONBLOCK
        ))),
        8
    );
}

fn random_differs_between_processes() {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    let numbers = shared::<[AtomicU64; 16]>();
    for number in numbers {
        let end = end_of(|| {
            let data = random(8);
            number.store(u64::from_ne_bytes(data.try_into().expect("eight")), SeqCst);
            0
        });
        assert_eq!(end, End::Exit(0));
    }
    let all: std::collections::HashSet<u64> = numbers.iter().map(|n| n.load(SeqCst)).collect();
    assert_eq!(all.len(), 16);
}

fn a_signal_ends_a_long_random_call() {
    const HUGE: usize = 256 << 20;
    extern "C" fn nothing(_: i32) {}
    on_signal(
        libc::SIGALRM,
        libc::SA_RESTART,
        nothing as *const () as usize,
    );
    let soon = libc::itimerval {
        it_interval: zeroed(),
        it_value: libc::timeval {
            tv_sec: 0,
            tv_usec: 20_000,
        },
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let buffer = sys!(mmap(ptr::null_mut(), HUGE, prot, flags, -1, 0));
    assert_ne!(buffer, libc::MAP_FAILED);
    ok(sys!(setitimer(libc::ITIMER_REAL, &soon, ptr::null_mut())));
    let got = ok(sys!(getrandom(buffer, HUGE, 0))) as usize;
    assert!(got > 0 && got < HUGE, "{got} bytes");
    // What is short is never cut.
    let mut page = [0u8; 256];
    let often = libc::itimerval {
        it_interval: soon.it_value,
        it_value: soon.it_value,
    };
    ok(sys!(setitimer(libc::ITIMER_REAL, &often, ptr::null_mut())));
    for _ in 0..2000 {
        let got = sys!(getrandom(page.as_mut_ptr().cast(), page.len(), 0));
        assert_eq!(ok(got), 256);
    }
}

fn clocks_are_not_set_to_nonsense() {
    let set = |tv_sec: i64, tv_nsec: i64| {
        let time = libc::timespec { tv_sec, tv_nsec };
        sys!(clock_settime(libc::CLOCK_REALTIME, &time))
    };
    // Before the start of the machine, and so late that nanoseconds overflow in a lifetime.
    for (sec, nsec) in [
        (0, 1),
        (-1, 0),
        (0, 1_000_000_000),
        (9_000_000_000, 0),
        (i64::MAX, 0),
    ] {
        fails(set(sec, nsec), libc::EINVAL);
    }
}

/// Elsewhere somebody may need the clock.
fn is_ours() -> bool {
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    version.starts_with("RustOS")
}

/// A kind of wait by its name.
type Wait = (&'static str, Box<dyn Fn() -> bool>);

/// Waits of every kind, on the wall clock or for some time; each gives true if it ended as it should.
fn waits(absolute: bool, time: Duration) -> Vec<Wait> {
    let end = move || match absolute {
        true => spec(now(libc::CLOCK_REALTIME) + time),
        false => spec(time),
    };
    let sleep = move || {
        let flags = if absolute { libc::TIMER_ABSTIME } else { 0 };
        let clock = libc::CLOCK_REALTIME;
        sys!(clock_nanosleep(clock, flags, &end(), ptr::null_mut())) == 0
    };
    let futex = move || {
        let word = std::sync::atomic::AtomicU32::new(0);
        let (what, time, all) = match absolute {
            true => (
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME,
                end(),
                u32::MAX,
            ),
            false => (libc::FUTEX_WAIT, end(), 0),
        };
        let what = what | libc::FUTEX_PRIVATE_FLAG;
        let at = &raw const time;
        sys!(syscall(libc::SYS_futex, word.as_ptr(), what, 0, at, 0, all)) == -1
            && errno() == libc::ETIMEDOUT
    };
    let value = move || libc::itimerspec {
        it_interval: zeroed(),
        it_value: end(),
    };
    let timer = move || {
        block(&[libc::SIGUSR1]);
        let mut event: libc::sigevent = zeroed();
        event.sigev_signo = libc::SIGUSR1;
        let mut timer: libc::timer_t = ptr::null_mut();
        let clock = libc::CLOCK_REALTIME;
        ok(sys!(timer_create(clock, &mut event, &mut timer)));
        let flags = if absolute { libc::TIMER_ABSTIME } else { 0 };
        ok(sys!(timer_settime(timer, flags, &value(), ptr::null_mut())));
        sys!(sigwaitinfo(&set_of(&[libc::SIGUSR1]), ptr::null_mut())) == libc::SIGUSR1
    };
    let timerfd = move || {
        let fd = ok(sys!(timerfd_create(libc::CLOCK_REALTIME, 0)));
        let flags = if absolute { libc::TFD_TIMER_ABSTIME } else { 0 };
        ok(sys!(timerfd_settime(fd, flags, &value(), ptr::null_mut())));
        let mut count = 0u64;
        sys!(read(fd, (&raw mut count).cast(), 8)) == 8 && count == 1
    };
    vec![
        ("clock_nanosleep", Box::new(sleep)),
        ("a futex", Box::new(futex)),
        ("a timer", Box::new(timer)),
        ("a timerfd", Box::new(timerfd)),
    ]
}

/// Sets the clock forward or back while children wait, and returns how they end.
fn set_while_they_wait(absolute: bool, time: Duration, forward: bool) -> Vec<(&'static str, End)> {
    let by = Duration::from_secs(100_000);
    let children: Vec<_> = waits(absolute, time)
        .into_iter()
        .map(|(name, wait)| (name, spawn(|| i32::from(!wait()))))
        .collect();
    for &(_, pid) in &children {
        until("it waits", || is_asleep(pid));
    }
    let at = now(libc::CLOCK_REALTIME);
    set_clock(if forward { at + by } else { at - by });
    let ends = children.into_iter().map(|(name, pid)| (name, wait(pid)));
    let ends = ends.collect();
    let at = now(libc::CLOCK_REALTIME);
    set_clock(if forward { at - by } else { at + by });
    ends
}

fn setting_the_clock_moves_times_of_day() {
    if is_ours() {
        let start = Instant::now();
        for (name, end) in set_while_they_wait(true, Duration::from_secs(50_000), true) {
            assert_eq!(end, End::Exit(0), "{name}");
        }
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

fn setting_the_clock_moves_nothing_else() {
    if is_ours() {
        let start = Instant::now();
        for (name, end) in set_while_they_wait(false, Duration::from_secs(2), false) {
            assert_eq!(end, End::Exit(0), "{name}");
        }
        assert!((2..60).contains(&start.elapsed().as_secs()));
    }
}

fn timers_can_be_cancelled_by_setting_the_clock() {
    if !is_ours() {
        return;
    }
    let fd = ok(sys!(timerfd_create(
        libc::CLOCK_REALTIME,
        libc::TFD_NONBLOCK
    )));
    let at = now(libc::CLOCK_REALTIME);
    let value = libc::itimerspec {
        it_interval: zeroed(),
        it_value: spec(at + Duration::from_secs(50_000)),
    };
    let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
    ok(sys!(timerfd_settime(fd, flags, &value, ptr::null_mut())));
    let mut count = 0u64;
    let mut read = || sys!(read(fd, (&raw mut count).cast(), 8));
    fails(read(), libc::EAGAIN);
    set_clock(now(libc::CLOCK_REALTIME) + Duration::from_secs(1));
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    assert_eq!(ok(sys!(poll(&mut poll, 1, 20_000))), 1);
    fails(read(), libc::ECANCELED);
    // Told once; the timer runs on.
    fails(read(), libc::EAGAIN);
    set_clock(now(libc::CLOCK_REALTIME) - Duration::from_secs(1));
}

fn sleeping_for_work() {
    let work = Duration::from_millis(60);
    let sleep = |clock: i32, flags: i32, time: Duration| {
        sys!(clock_nanosleep(clock, flags, &spec(time), ptr::null_mut()))
    };
    let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
    let done = std::sync::atomic::AtomicBool::new(false);
    let load = || done.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !load() {
                std::hint::spin_loop();
            }
        });
        for _ in 0..3 {
            let before = now(clock);
            assert_eq!(sleep(clock, 0, work), 0);
            assert!(now(clock) - before >= work);
            let end = now(clock) + work;
            assert_eq!(sleep(clock, libc::TIMER_ABSTIME, end), 0);
            assert!(now(clock) >= end);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    // What has been done needs no waiting.
    assert_eq!(sleep(clock, libc::TIMER_ABSTIME, Duration::ZERO), 0);
    // Nobody works but the one that waits.
    assert_eq!(sleep(libc::CLOCK_THREAD_CPUTIME_ID, 0, work), libc::EINVAL);
    for clock in [
        libc::CLOCK_MONOTONIC_RAW,
        libc::CLOCK_REALTIME_COARSE,
        libc::CLOCK_MONOTONIC_COARSE,
    ] {
        assert_eq!(sleep(clock, 0, work), libc::EOPNOTSUPP);
    }
}
