//! Who runs: niceness, fairness towards those that sleep, affinity, work that moves to idle cores.

use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

crate::harness::tests![
    nice_levels_divide_the_core: Native,
    equals_get_equal_shares: Native,
    niceness_is_checked_and_told: Native,
    sleepers_are_not_starved: Native,
    a_shell_among_spinners_answers: Native,
    a_long_read_shares_its_core: Native,
    affinity_holds: Native,
    affinity_of_another_process_moves_it: Native,
    affinity_is_inherited: Native,
    queued_work_moves_to_idle_cores: Native,
    interrupts_from_other_cores_cost_nobody_his_turn: Native,
    who_works_through_children_gets_no_more: Native,
    niceness_is_a_threads_own: Native,
    policies_are_checked_and_may_end_with_a_fork: Native,
    busy_cores_share_the_work: Native,
    a_groups_niceness_is_set_as_far_as_is_allowed: Native,
    a_limit_of_niceness_allows_as_much: Native,
];

fn cores() -> Vec<usize> {
    let mut set: libc::cpu_set_t = zeroed();
    ok(sys!(sched_getaffinity(
        0,
        size_of::<libc::cpu_set_t>(),
        &mut set
    )));
    (0..64).filter(|n| sys!(CPU_ISSET(*n, &set))).collect()
}

fn only(pid: i32, core: usize) {
    let mut one: libc::cpu_set_t = zeroed();
    sys!(CPU_SET(core, &mut one));
    ok(sys!(sched_setaffinity(
        pid,
        size_of::<libc::cpu_set_t>(),
        &one
    )));
}

/// The time that processes have had which share a core, in ns.
#[derive(Default)]
struct Race {
    go: AtomicBool,
    had: [AtomicU64; 8],
}

/// Lets one process for each nice level compute on one core until one has had much of its time; returns what each has had. It
/// is the time that the kernel divides: how far a process comes in it is the host's affair where that has others to serve.
fn race(levels: &[i32]) -> Vec<u64> {
    const MUCH: u64 = 1_500_000_000;
    let race = shared::<Race>();
    let runners: Vec<i32> = levels
        .iter()
        .zip(&race.had)
        .map(|(&level, had)| {
            spawn(move || {
                only(0, cores()[0]);
                ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, level)));
                while !race.go.load(SeqCst) {
                    sleep_ms(1);
                }
                loop {
                    let work = (0..20_000).fold(0u64, |a, n| std::hint::black_box(a ^ n));
                    std::hint::black_box(work);
                    let mut now: libc::timespec = zeroed();
                    ok(sys!(clock_gettime(
                        libc::CLOCK_PROCESS_CPUTIME_ID,
                        &mut now
                    )));
                    let time = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
                    had.store(time, SeqCst);
                    if time >= MUCH {
                        race.go.store(false, SeqCst);
                        return 0;
                    }
                }
            })
        })
        .collect();
    race.go.store(true, SeqCst);
    until("one has had much", || !race.go.load(SeqCst));
    let done = race.had.iter().map(|p| p.load(SeqCst));
    let done = done.take(levels.len()).collect();
    for pid in runners {
        ok(sys!(kill(pid, libc::SIGKILL)));
        wait(pid);
    }
    done
}

fn nice_levels_divide_the_core() {
    // Each level is worth a factor of 1.25: ten are worth nine.
    let done = race(&[0, 10]);
    let ratio = done[0] as f64 / done[1].max(1) as f64;
    assert!((4.0..20.0).contains(&ratio), "{done:?}");
    let done = race(&[-5, 0, 5]);
    assert!(done[0] > done[1] * 2 && done[1] > done[2] * 2, "{done:?}");
    assert!(done[2] > 0, "nobody starves");
}

fn equals_get_equal_shares() {
    let done = race(&[0; 4]);
    let (least, most) = (done.iter().min(), done.iter().max());
    assert!(
        most < least.map(|least| least * 3).as_ref(),
        "{done:?}, within a few slices"
    );
}

fn niceness_is_checked_and_told() {
    in_child(|| {
        assert_eq!(sys!(nice(7)), 7);
        assert_eq!(sys!(getpriority(libc::PRIO_PROCESS as _, 0)), 7);
        assert_eq!(sys!(nice(100)), 19);
        ok(sys!(setuid(4321)));
        fails(
            sys!(setpriority(libc::PRIO_PROCESS as _, 0, 5)),
            libc::EACCES,
        );
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, 19)));
        fails(
            sys!(setpriority(libc::PRIO_PROCESS as _, 1, 19)),
            libc::EPERM,
        );
        fails(
            sys!(setpriority(libc::PRIO_PROCESS as _, 999_999, 0)),
            libc::ESRCH,
        );
        fails(sys!(setpriority(99, 0, 0)), libc::EINVAL);
    });
}

fn spin_for_ever() -> i32 {
    loop {
        std::hint::spin_loop();
    }
}

/// Spinners, more than there are cores; killed when this is dropped.
struct Spinners(Vec<i32>);

impl Spinners {
    fn start() -> Self {
        Self(
            (0..cores().len() * 2 + 1)
                .map(|_| spawn(spin_for_ever))
                .collect(),
        )
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for &pid in &self.0 {
            sys!(kill(pid, libc::SIGKILL));
            wait(pid);
        }
    }
}

fn sleepers_are_not_starved() {
    let _spinners = Spinners::start();
    // While one sleeper naps a hundred times, the spinners get their slices, but none gets two in a row at its cost.
    let start = Instant::now();
    (0..100).for_each(|_| sleep_ms(1));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

fn a_shell_among_spinners_answers() {
    let _spinners = Spinners::start();
    let start = Instant::now();
    for n in 0..20 {
        assert_eq!(end_of(|| n), End::Exit(n));
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

fn a_long_read_shares_its_core() {
    const PIECE: usize = 1 << 20;
    const NAPS: u32 = 20;
    let f = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    f.set_len(1 << 30).expect("it is all hole");
    let mut piece = vec![0u8; PIECE];
    // The same memory again and again.
    let to = libc::iovec {
        iov_base: piece.as_mut_ptr().cast(),
        iov_len: PIECE,
    };
    let pieces = vec![to; 1 << 10];
    let read_all = || {
        let fd = f.as_raw_fd();
        ok(sys!(preadv(fd, pieces.as_ptr(), pieces.len() as i32, 0)))
    };
    only(0, cores()[0]);
    read_all();
    let start = Instant::now();
    assert_eq!(read_all(), 1 << 30);
    let call = start.elapsed();
    let reader = spawn(|| {
        loop {
            read_all();
        }
    });
    let start = Instant::now();
    for _ in 0..NAPS {
        sleep_ms(1);
    }
    let naps = start.elapsed();
    ok(sys!(kill(reader, libc::SIGKILL)));
    wait(reader);
    assert!(naps < call * NAPS / 2, "{naps:?}, a call {call:?}");
}

fn affinity_holds() {
    let all = cores();
    let _spinners = Spinners::start();
    for &core in &all {
        only(0, core);
        for _ in 0..20 {
            assert_eq!(sys!(sched_getcpu()), core as i32);
            sys!(sched_yield());
            sleep_ms(1);
            assert_eq!(sys!(sched_getcpu()), core as i32);
        }
        assert_eq!(cores(), [core]);
    }
}

fn affinity_of_another_process_moves_it() {
    let seen = shared::<AtomicU64>();
    let pid = spawn(|| {
        loop {
            seen.store(sys!(sched_getcpu()) as u64, SeqCst);
        }
    });
    for &core in cores().iter().chain(cores().iter().rev()) {
        only(pid, core);
        until("it runs there", || seen.load(SeqCst) == core as u64);
    }
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn affinity_is_inherited() {
    let last = *cores().last().expect("a core");
    only(0, last);
    let end = end_of(|| i32::from(cores() != [last] || sys!(sched_getcpu()) != last as i32));
    assert_eq!(end, End::Exit(0));
    let thread = std::thread::spawn(cores);
    assert_eq!(thread.join().expect("no panic"), [last]);
}

/// Children that begin on the first core, may then run on all of these, and count where they do.
fn spread(all: &[usize], children: usize, seen: &'static [AtomicU64; 64]) -> Vec<i32> {
    (0..children)
        .map(|_| {
            let all = all.to_vec();
            spawn(move || {
                only(0, all[0]);
                let mut set: libc::cpu_set_t = zeroed();
                all.iter().for_each(|&core| sys!(CPU_SET(core, &mut set)));
                ok(sys!(sched_setaffinity(
                    0,
                    size_of::<libc::cpu_set_t>(),
                    &set
                )));
                loop {
                    seen[sys!(sched_getcpu()) as usize].fetch_add(1, SeqCst);
                }
            })
        })
        .collect()
}

fn queued_work_moves_to_idle_cores() {
    let all = cores();
    // All start on one core and may then run anywhere; nobody wakes or moves them.
    let seen = shared::<[AtomicU64; 64]>();
    let pids = spread(&all, all.len(), seen);
    until("every core has some", || {
        all.iter().all(|&core| seen[core].load(SeqCst) > 0)
    });
    for pid in pids {
        ok(sys!(kill(pid, libc::SIGKILL)));
        wait(pid);
    }
}

fn processor_time(pid: i32) -> Duration {
    let mut clock = 0;
    assert_eq!(sys!(clock_getcpuclockid(pid, &mut clock)), 0);
    let mut now: libc::timespec = zeroed();
    ok(sys!(clock_gettime(clock, &mut now)));
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn interrupts_from_other_cores_cost_nobody_his_turn() {
    let all = cores();
    let (&first, &last) = (all.first().expect("a core"), all.last().expect("a core"));
    let pids: Vec<i32> = (0..2).map(|_| spawn(spin_for_ever)).collect();
    pids.iter().for_each(|&pid| only(pid, first));
    only(0, last);
    let had = || [0, 1].map(|n: usize| processor_time(pids[n]).as_millis());
    let much = || had().iter().max().is_some_and(|&most| most > 800);
    // Each change of where they may run interrupts the core of the one that runs.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !much() && Instant::now() < deadline {
        for _ in 0..50 {
            pids.iter().for_each(|&pid| only(pid, first));
        }
    }
    let had = had();
    for &pid in &pids {
        ok(sys!(kill(pid, libc::SIGKILL)));
        wait(pid);
    }
    assert!(had.iter().all(|&ms| ms > 200), "{had:?} ms");
}

fn who_works_through_children_gets_no_more() {
    only(0, cores()[0]);
    let spinner = spawn(spin_for_ever);
    let before = processor_time(spinner);
    // What a shell does: short work, each in a child of its own.
    let used = || {
        let mut usage: libc::rusage = zeroed();
        ok(sys!(getrusage(libc::RUSAGE_CHILDREN, &mut usage)));
        let time = usage.ru_utime;
        Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while used() < Duration::from_millis(1000) && Instant::now() < deadline {
        let work = || {
            let end = Duration::from_millis(2);
            while processor_time(0) < end {
                std::hint::black_box((0..1000).fold(0u64, |a, n| std::hint::black_box(a ^ n)));
            }
            0
        };
        assert_eq!(end_of(work), End::Exit(0));
    }
    let (children, spun) = (used(), processor_time(spinner) - before);
    ok(sys!(kill(spinner, libc::SIGKILL)));
    wait(spinner);
    assert!(
        spun * 3 > children,
        "{children:?} in children, {spun:?} for the other"
    );
    assert!(
        children * 20 > spun,
        "{children:?} in children, {spun:?} for the other"
    );
}

fn niceness_is_a_threads_own() {
    let process = libc::PRIO_PROCESS as _;
    let own = sys!(getpid());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let tid = sys!(syscall(libc::SYS_gettid)) as u32;
            ok(sys!(setpriority(process, tid, 9)));
            (
                sys!(getpriority(process, tid)),
                sys!(getpriority(process, 0)),
            )
        });
        assert_eq!(thread.join().expect("no panic"), (9, 9));
    });
    assert_eq!(sys!(getpriority(process, own as u32)), 0);
    fails(sys!(setpriority(process, u32::MAX, 5)), libc::ESRCH);
    fails(sys!(getpriority(process, u32::MAX)), libc::ESRCH);
}

fn policies_are_checked_and_may_end_with_a_fork() {
    const RESET_ON_FORK: i32 = 0x4000_0000;
    let parameter = 0i32;
    let set = |policy: i32| {
        sys!(syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy,
            &raw const parameter
        ))
    };
    let get = || sys!(syscall(libc::SYS_sched_getscheduler, 0)) as i32;
    for policy in [4, 0x1_0000, 0x2000_0000, -1] {
        fails(set(policy), libc::EINVAL);
    }
    in_child(|| {
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, -3)));
        ok(set(libc::SCHED_BATCH | RESET_ON_FORK));
        assert_eq!(get(), libc::SCHED_BATCH | RESET_ON_FORK);
        let end = end_of(|| {
            let nice = sys!(getpriority(libc::PRIO_PROCESS as _, 0));
            i32::from(get() != libc::SCHED_BATCH || nice != 0)
        });
        assert_eq!(end, End::Exit(0));
        assert_eq!(get(), libc::SCHED_BATCH | RESET_ON_FORK);
    });
}

fn busy_cores_share_the_work() {
    let all = cores();
    let busy: Vec<i32> = all[1..]
        .iter()
        .map(|&core| {
            spawn(move || {
                only(0, core);
                spin_for_ever()
            })
        })
        .collect();
    // No core idles when these begin, on the first of them.
    let seen = shared::<[AtomicU64; 64]>();
    let pids = spread(&all, all.len() * 2, seen);
    until("every core has some", || {
        all.iter().all(|&core| seen[core].load(SeqCst) > 0)
    });
    for pid in pids.into_iter().chain(busy) {
        ok(sys!(kill(pid, libc::SIGKILL)));
        wait(pid);
    }
}

fn a_groups_niceness_is_set_as_far_as_is_allowed() {
    in_child(|| {
        ok(sys!(setpgid(0, 0)));
        let group = sys!(getpid());
        let members: Vec<i32> = [4321, 1234, 4321]
            .into_iter()
            .map(|user| {
                let (mut ready, told) = pipe();
                let pid = spawn(move || {
                    ok(sys!(setresuid(user, user, user)));
                    drop(told);
                    loop {
                        sys!(pause());
                    }
                });
                assert_eq!(std::io::Read::read(&mut ready, &mut [0]).ok(), Some(0));
                pid
            })
            .collect();
        ok(sys!(setresuid(1234, 1234, 0)));
        fails(
            sys!(setpriority(libc::PRIO_PGRP as _, group as _, 5)),
            libc::EPERM,
        );
        let nice = |pid: i32| sys!(getpriority(libc::PRIO_PROCESS as _, pid as _));
        assert_eq!([0, 1, 2].map(|n| nice(members[n])), [0, 5, 0]);
        assert_eq!(nice(0), 5);
        ok(sys!(setresuid(0, 0, 0)));
        for pid in members {
            ok(sys!(kill(pid, libc::SIGKILL)));
            wait(pid);
        }
    });
}

fn a_limit_of_niceness_allows_as_much() {
    in_child(|| {
        let limit = libc::rlimit {
            rlim_cur: 25,
            rlim_max: 25,
        };
        ok(sys!(setrlimit(libc::RLIMIT_NICE, &limit)));
        ok(sys!(setuid(1234)));
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, -5)));
        fails(
            sys!(setpriority(libc::PRIO_PROCESS as _, 0, -6)),
            libc::EACCES,
        );
    });
}
