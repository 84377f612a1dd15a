//! What processes have used: time in programs and in the kernel, memory, page faults, switches; and timers that measure it.

use crate::support::*;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

crate::harness::tests![
    a_programs_own_work_is_user_time: Native,
    work_of_the_kernel_is_system_time: Native,
    all_who_tell_of_times_agree,
    times_never_go_back,
    waiting_tells_what_the_child_and_its_children_used,
    children_count_once_they_are_waited_for,
    the_peak_of_memory_stays,
    the_largest_child_counts: Native,
    page_faults_are_counted,
    sleeping_is_a_voluntary_switch,
    two_on_one_core_are_switched_involuntarily: Native,
    a_threads_clock_is_its_own,
    other_processes_clocks_can_be_read,
    other_processes_clocks_count_no_sleep: Native,
    virtual_timers_leave_the_kernels_time_out: Native,
    timers_measure_a_threads_time,
    timers_of_processor_time_wait_for_work,
];

const BURN: Duration = Duration::from_millis(300);

fn clock(which: i32) -> Duration {
    let mut time: libc::timespec = zeroed();
    ok(sys!(clock_gettime(which, &mut time)));
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Computes for some processor time.
fn burn(time: Duration) {
    let end = clock(libc::CLOCK_THREAD_CPUTIME_ID) + time;
    while clock(libc::CLOCK_THREAD_CPUTIME_ID) < end {
        std::hint::black_box((0..20_000).fold(0u64, |a, n| std::hint::black_box(a ^ n)));
    }
}

/// Lets the kernel work for some processor time.
fn burn_in_the_kernel(time: Duration) {
    let mut zeros = File::open("/dev/zero").expect("/dev/zero");
    let mut buffer = vec![1; 1 << 18];
    let end = clock(libc::CLOCK_THREAD_CPUTIME_ID) + time;
    while clock(libc::CLOCK_THREAD_CPUTIME_ID) < end {
        zeros.read_exact(&mut buffer).expect("zeros");
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

fn usage(who: i32) -> libc::rusage {
    let mut usage: libc::rusage = zeroed();
    ok(sys!(getrusage(who, &mut usage)));
    usage
}

fn user_and_system(who: i32) -> (Duration, Duration) {
    let usage = usage(who);
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

fn a_programs_own_work_is_user_time() {
    burn(BURN);
    let (user, system) = user_and_system(libc::RUSAGE_SELF);
    assert!(user > BURN / 2 && system < user, "{user:?} {system:?}");
}

fn work_of_the_kernel_is_system_time() {
    burn_in_the_kernel(BURN);
    let (user, system) = user_and_system(libc::RUSAGE_SELF);
    assert!(system > BURN / 2 && user < system, "{user:?} {system:?}");
}

/// utime, stime, cutime and cstime of `/proc/self/stat`.
fn stat_times() -> Vec<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let (_, rest) = text.rsplit_once(") ").expect("a name");
    let fields = rest.split(' ').skip(11).take(4);
    let ticks = fields.map(|field| field.parse::<u64>().expect("a number"));
    ticks.map(|n| Duration::from_millis(n * 10)).collect()
}

fn all_who_tell_of_times_agree() {
    burn(BURN);
    burn_in_the_kernel(BURN);
    // Time that passes between two questions, because a host has other work for its core, counts here.
    unless_disturbed(|| {
        let first = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
        let (user, system) = user_and_system(libc::RUSAGE_SELF);
        let mut tms: libc::tms = zeroed();
        assert_ne!(sys!(times(&mut tms)), -1);
        let stat = stat_times();
        let last = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
        assert!(first >= BURN * 2 && last >= first);
        let near = |a: Duration, b: Duration| a.abs_diff(b) < Duration::from_millis(100);
        let ticks = |n: libc::clock_t| Duration::from_millis(n as u64 * 10);
        let agree = near(user + system, first)
            && near(ticks(tms.tms_utime + tms.tms_stime), first)
            && near(stat[0] + stat[1], last)
            && near(stat[0], user)
            && near(stat[1], system);
        match agree {
            true => Ok(()),
            false => Err(format!("{first:?} {user:?} {system:?} {stat:?} {last:?}")),
        }
    });
}

fn times_never_go_back() {
    let mut before = user_and_system(libc::RUSAGE_SELF);
    for round in 0..100 {
        let work = if round % 2 == 0 {
            burn
        } else {
            burn_in_the_kernel
        };
        work(Duration::from_millis(3));
        let now = user_and_system(libc::RUSAGE_SELF);
        assert!(now.0 >= before.0 && now.1 >= before.1, "{before:?} {now:?}");
        before = now;
    }
}

/// Waits with wait4(2) for a child that runs `body`.
fn usage_of(body: impl FnOnce()) -> libc::rusage {
    let pid = spawn(|| {
        body();
        0
    });
    let mut usage: libc::rusage = zeroed();
    let mut status = 0;
    assert_eq!(ok(sys!(wait4(pid, &mut status, 0, &mut usage))), pid);
    assert_eq!(End::of(status), End::Exit(0));
    usage
}

fn waiting_tells_what_the_child_and_its_children_used() {
    let usage = usage_of(|| {
        touch(1);
        burn(BURN);
        assert_eq!(
            end_of(|| {
                burn(BURN);
                0
            }),
            End::Exit(0)
        );
    });
    let time = duration(usage.ru_utime) + duration(usage.ru_stime);
    assert!(time >= BURN * 2, "{time:?}");
    assert!(usage.ru_maxrss > 0 && usage.ru_minflt > 0);
}

fn children_count_once_they_are_waited_for() {
    let (user, system) = user_and_system(libc::RUSAGE_CHILDREN);
    assert_eq!(user + system, Duration::ZERO);
    let pid = spawn(|| {
        burn(BURN);
        0
    });
    let zombie = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|text| text.contains(") Z "))
    };
    until("it has ended", zombie);
    let (user, system) = user_and_system(libc::RUSAGE_CHILDREN);
    assert_eq!(user + system, Duration::ZERO);
    assert_eq!(wait(pid), End::Exit(0));
    let (user, system) = user_and_system(libc::RUSAGE_CHILDREN);
    assert!(user + system >= BURN, "{user:?} {system:?}");
    let stat = stat_times();
    assert!(stat[2] + stat[3] + Duration::from_millis(20) >= BURN);
    // Of those that nobody waits for, nothing is told.
    let before = user + system;
    on_signal(libc::SIGCHLD, 0, libc::SIG_IGN);
    let pid = spawn(|| {
        burn(BURN);
        0
    });
    fails(sys!(waitpid(pid, std::ptr::null_mut(), 0)), libc::ECHILD);
    let (user, system) = user_and_system(libc::RUSAGE_CHILDREN);
    assert_eq!(user + system, before);
}

/// Writes to fresh memory and gives it back.
fn touch(megabytes: usize) {
    let size = megabytes << 20;
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    let at = sys!(mmap(std::ptr::null_mut(), size, prot, flags, -1, 0));
    assert_ne!(at, libc::MAP_FAILED);
    for page in (0..size).step_by(4096) {
        // SAFETY: inside the mapping.
        unsafe { at.cast::<u8>().add(page).write_volatile(1) };
    }
    ok(sys!(munmap(at, size)));
}

fn the_peak_of_memory_stays() {
    let before = usage(libc::RUSAGE_SELF).ru_maxrss;
    touch(32);
    let after = usage(libc::RUSAGE_SELF).ru_maxrss;
    assert!(after >= before + (30 << 10), "{before} {after}");
    touch(4);
    assert_eq!(usage(libc::RUSAGE_SELF).ru_maxrss, after);
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let kilobytes = |name: &str| -> i64 {
        let line = status.lines().find(|l| l.starts_with(name));
        let number = line.and_then(|l| l.split_whitespace().nth(1));
        number.and_then(|n| n.parse().ok()).expect(name)
    };
    assert!(kilobytes("VmHWM") >= 30 << 10);
    assert!(kilobytes("VmRSS") < kilobytes("VmHWM"));
}

fn the_largest_child_counts() {
    for megabytes in [8, 32, 16] {
        usage_of(|| touch(megabytes));
    }
    let peak = usage(libc::RUSAGE_CHILDREN).ru_maxrss;
    assert!((32 << 10..48 << 10).contains(&peak), "{peak}");
}

fn page_faults_are_counted() {
    let before = usage(libc::RUSAGE_SELF).ru_minflt;
    touch(8);
    let after = usage(libc::RUSAGE_SELF).ru_minflt;
    // Several pages may come with one fault.
    assert!(after > before + 10, "{before} {after}");
}

fn sleeping_is_a_voluntary_switch() {
    let before = usage(libc::RUSAGE_SELF).ru_nvcsw;
    (0..20).for_each(|_| sleep_ms(1));
    assert!(usage(libc::RUSAGE_SELF).ru_nvcsw >= before + 20);
}

fn on_core(core: usize) {
    let mut one: libc::cpu_set_t = zeroed();
    sys!(CPU_SET(core, &mut one));
    ok(sys!(sched_setaffinity(
        0,
        size_of::<libc::cpu_set_t>(),
        &one
    )));
}

fn two_on_one_core_are_switched_involuntarily() {
    let spin = || {
        on_core(0);
        burn(BURN);
    };
    let other = spawn(|| {
        spin();
        0
    });
    let usage = usage_of(spin);
    assert_eq!(wait(other), End::Exit(0));
    assert!(usage.ru_nivcsw >= 5, "{}", usage.ru_nivcsw);
}

fn a_threads_clock_is_its_own() {
    let own = clock(libc::CLOCK_THREAD_CPUTIME_ID);
    let process = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    let thread = std::thread::spawn(|| {
        burn(BURN);
        clock(libc::CLOCK_THREAD_CPUTIME_ID)
    });
    let theirs = thread.join().expect("no panic");
    assert!(theirs >= BURN && theirs < BURN * 3);
    assert!(clock(libc::CLOCK_THREAD_CPUTIME_ID) - own < BURN);
    assert!(clock(libc::CLOCK_PROCESS_CPUTIME_ID) - process >= BURN);
    let (user, system) = user_and_system(libc::RUSAGE_THREAD);
    assert!(user + system < BURN);
}

fn other_processes_clocks_can_be_read() {
    let done = shared::<AtomicBool>();
    let pid = spawn(|| {
        burn(BURN);
        done.store(true, SeqCst);
        loop {
            sys!(pause());
        }
    });
    until("it has worked", || done.load(SeqCst));
    let mut id = 0;
    assert_eq!(sys!(clock_getcpuclockid(pid, &mut id)), 0);
    assert!(clock(id) >= BURN);
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

static COUNT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32) {
    COUNT.fetch_add(1, SeqCst);
}

fn every(milliseconds: i64) -> libc::itimerval {
    let time = libc::timeval {
        tv_sec: 0,
        tv_usec: milliseconds * 1000,
    };
    libc::itimerval {
        it_interval: time,
        it_value: time,
    }
}

fn other_processes_clocks_count_no_sleep() {
    let pid = spawn(|| {
        loop {
            let nap = libc::timespec {
                tv_sec: 0,
                tv_nsec: 3_000_000,
            };
            sys!(nanosleep(&nap, std::ptr::null_mut()));
        }
    });
    let mut its = 0;
    assert_eq!(sys!(clock_getcpuclockid(pid, &mut its)), 0);
    let start = clock(libc::CLOCK_MONOTONIC);
    let (mut last, mut rounds) = (clock(its), 0);
    while clock(libc::CLOCK_MONOTONIC) - start < Duration::from_secs(2) {
        let before = clock(libc::CLOCK_MONOTONIC);
        let (first, second) = (clock(its), clock(its));
        let passed = clock(libc::CLOCK_MONOTONIC) - before;
        assert!(
            first >= last && second >= first,
            "{last:?}, {first:?}, {second:?}"
        );
        // Much less than a nap; Linux looks at the clock of another core, which may lag.
        let most = passed + Duration::from_millis(1);
        assert!(
            second - first <= most,
            "{first:?}, {second:?} in {passed:?}"
        );
        (last, rounds) = (second, rounds + 1);
    }
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
    assert!(rounds > 100);
}

fn virtual_timers_leave_the_kernels_time_out() {
    on_signal(
        libc::SIGVTALRM,
        libc::SA_RESTART,
        count as *const () as usize,
    );
    let timer = every(10);
    ok(sys!(setitimer(
        libc::ITIMER_VIRTUAL as _,
        &timer,
        std::ptr::null_mut()
    )));
    unless_disturbed(|| {
        COUNT.store(0, SeqCst);
        burn_in_the_kernel(BURN);
        let in_the_kernel = COUNT.swap(0, SeqCst);
        burn(BURN);
        let in_the_program = COUNT.load(SeqCst);
        match in_the_program >= 10 && in_the_kernel < in_the_program / 2 {
            true => Ok(()),
            false => Err(format!("{in_the_kernel} {in_the_program}")),
        }
    });
}

fn timers_measure_a_threads_time() {
    on_signal(libc::SIGUSR1, libc::SA_RESTART, count as *const () as usize);
    let mut event: libc::sigevent = zeroed();
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGUSR1;
    let mut timer: libc::timer_t = zeroed();
    ok(sys!(timer_create(
        libc::CLOCK_THREAD_CPUTIME_ID,
        &mut event,
        &mut timer
    )));
    let mut value: libc::itimerspec = zeroed();
    value.it_value.tv_nsec = 100_000_000;
    ok(sys!(timer_settime(timer, 0, &value, std::ptr::null_mut())));
    // Another thread's work does not count.
    std::thread::spawn(|| burn(BURN)).join().expect("no panic");
    assert_eq!(COUNT.load(SeqCst), 0);
    burn(BURN);
    assert_eq!(COUNT.load(SeqCst), 1);
    ok(sys!(timer_gettime(timer, &mut value)));
    assert_eq!((value.it_value.tv_sec, value.it_value.tv_nsec), (0, 0));
}

fn timers_of_processor_time_wait_for_work() {
    on_signal(libc::SIGPROF, libc::SA_RESTART, count as *const () as usize);
    let timer = every(20);
    ok(sys!(setitimer(
        libc::ITIMER_PROF as _,
        &timer,
        std::ptr::null_mut()
    )));
    sleep_ms(200);
    assert!(COUNT.load(SeqCst) <= 1);
    burn(BURN);
    assert!(COUNT.load(SeqCst) >= 5);
}
