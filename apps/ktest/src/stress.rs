//! Many of everything, over and over, and nothing left behind.

use std::ffi::CStr;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::helper;
use crate::support::*;

crate::harness::tests![
    ten_thousand_spawns_leave_nothing: Native,
    a_thousand_forks_leave_nothing: Native,
    a_thousand_forks_and_execs_leave_nothing: Native,
    ten_thousand_threads_in_turn_leave_nothing: Native,
    two_thousand_processes_live_at_once: Native,
    ten_thousand_threads_live_at_once: Native,
    processes_and_threads_live_at_once_in_a_gibibyte: Native,
    everything_at_once: Native,
    groups_are_killed_at_any_moment: Native,
    writers_and_readers_die_in_turn: Native,
    memory_is_taken_and_given_back,
];

/// Free memory, where nobody else uses the machine: elsewhere it says nothing about us.
pub fn free_pages() -> Option<i64> {
    let mut name: libc::utsname = zeroed();
    ok(sys!(uname(&mut name)));
    // SAFETY: the kernel has put a NUL-terminated name there.
    if unsafe { CStr::from_ptr(name.sysname.as_ptr()) } != c"RustOS" {
        return None;
    }
    let mut about: libc::sysinfo = zeroed();
    ok(sys!(sysinfo(&mut about)));
    Some((about.freeram as i64) * i64::from(about.mem_unit) / 4096)
}

/// Pages of our own. What a live process keeps for its next threads and allocations is in use, not lost.
fn own_pages() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let resident = text.split_whitespace().nth(1);
    resident.and_then(|n| n.parse().ok()).expect("a number")
}

/// Runs `round` to warm everything up, then again `times` times: as much memory is free, or ours, as before.
#[track_caller]
pub fn leaves_nothing(times: usize, warm_up: usize, round: impl FnMut()) {
    leaves_at_most(0, times, warm_up, round);
}

/// As [`leaves_nothing`], where the rounds may leave something in so many pages.
#[track_caller]
pub fn leaves_at_most(pages: i64, times: usize, warm_up: usize, mut round: impl FnMut()) {
    (0..warm_up).for_each(|_| round());
    // What has ended a moment ago is taken apart by other cores: let them finish before the count.
    sleep_ms(200);
    let free_or_ours = || free_pages().map(|free| free + own_pages());
    let before = free_or_ours();
    (0..times).for_each(|_| round());
    // Each core may have opened one more page of small objects.
    let cores = thread::available_parallelism().map_or(1, |n| n.get()) as i64;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (Some(before), Some(after)) = (before, free_or_ours()) else {
            return;
        };
        let lost = before - after;
        if lost <= cores + pages {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{lost} pages are gone after {times} rounds"
        );
        sleep_ms(10);
    }
}

fn spawn_and_wait(path: &str, words: &[&str]) -> End {
    let (args, env) = (helper::Strings::new(words), helper::Strings::new(&[]));
    let mut pid = 0;
    let error = sys!(posix_spawn(
        &mut pid,
        c(path).as_ptr(),
        ptr::null(),
        ptr::null(),
        args.as_ptr().cast(),
        env.as_ptr().cast(),
    ));
    assert_eq!(
        error,
        0,
        "posix_spawn: {}",
        std::io::Error::from_raw_os_error(error)
    );
    wait(pid)
}

fn ten_thousand_spawns_leave_nothing() {
    let path = helper::path();
    let words = ["ktest", helper::SWITCH, "exit", "7"];
    leaves_nothing(10_000, 200, || {
        assert_eq!(spawn_and_wait(&path, &words), End::Exit(7));
    });
}

fn a_thousand_forks_leave_nothing() {
    leaves_nothing(1_000, 100, || assert_eq!(end_of(|| 5), End::Exit(5)));
}

fn a_thousand_forks_and_execs_leave_nothing() {
    leaves_nothing(1_000, 100, || {
        let end = end_of(|| helper::become_helper(&["exit", "3"]));
        assert_eq!(end, End::Exit(3));
    });
}

fn ten_thousand_threads_in_turn_leave_nothing() {
    leaves_nothing(100, 5, || {
        let threads: Vec<_> = (0..100).map(|n| thread::spawn(move || n)).collect();
        let sum: usize = threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum();
        assert_eq!(sum, 4950);
    });
}

/// Processes that have started and wait for the end of a pipe; each then ends with a number of its own.
struct Crowd {
    pids: Vec<i32>,
    gate: File,
}

const PROCESSES: usize = 2_000;
const THREADS: usize = 10_000;

fn crowd_of_processes() -> Crowd {
    let (mut started, start) = pipe();
    let (wait_here, gate) = pipe();
    let pids: Vec<i32> = (0..PROCESSES)
        .map(|n| {
            spawn(|| {
                let mut byte = [1u8];
                // The children hold no end that a later one would inherit open.
                sys!(close(gate.as_raw_fd()));
                ok(sys!(write(start.as_raw_fd(), byte.as_ptr().cast(), 1)));
                ok(sys!(read(
                    wait_here.as_raw_fd(),
                    byte.as_mut_ptr().cast(),
                    1
                )));
                (n % 100) as i32
            })
        })
        .collect();
    let mut seen = [0; PROCESSES];
    started.read_exact(&mut seen).expect("all are alive");
    Crowd { pids, gate }
}

impl Crowd {
    fn ends(self) {
        drop(self.gate);
        for (n, pid) in self.pids.into_iter().enumerate() {
            assert_eq!(wait(pid), End::Exit((n % 100) as i32));
        }
    }
}

/// Threads that all run at once while `meanwhile` does.
fn with_ten_thousand_threads(meanwhile: impl FnOnce()) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let alive = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let (gate, alive) = (gate.clone(), alive.clone());
        let made = thread::Builder::new().stack_size(16 << 10).spawn(move || {
            alive.fetch_add(1, SeqCst);
            let (open, opened) = &*gate;
            let open = opened.wait_while(open.lock().expect("no panic"), |open| !*open);
            drop(open.expect("no panic"));
        });
        match made {
            Ok(thread) => threads.push(thread),
            // Another system may have been told to allow fewer.
            Err(error) if free_pages().is_none() && error.raw_os_error() == Some(libc::EAGAIN) => {
                break;
            }
            Err(error) => panic!("thread {}: {error}", threads.len()),
        }
    }
    until("all run", || alive.load(SeqCst) == threads.len());
    meanwhile();
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
    threads
        .into_iter()
        .for_each(|t| t.join().expect("no panic"));
}

fn two_thousand_processes_live_at_once() {
    leaves_nothing(1, 1, || crowd_of_processes().ends());
}

fn ten_thousand_threads_live_at_once() {
    with_ten_thousand_threads(|| {});
}

fn processes_and_threads_live_at_once_in_a_gibibyte() {
    if free_pages().is_some() {
        let mut about: libc::sysinfo = zeroed();
        ok(sys!(sysinfo(&mut about)));
        let all = about.totalram as u64 * u64::from(about.mem_unit);
        assert!(all <= 1 << 30, "this machine has {all} bytes");
    }
    // The threads are another process's, so that none of the two thousand inherits their stacks.
    let crowd = crowd_of_processes();
    let threads = end_of(|| {
        with_ten_thousand_threads(|| {
            let alive = crowd.pids.iter().filter(|&&pid| sys!(kill(pid, 0)) == 0);
            assert_eq!(alive.count(), PROCESSES);
        });
        0
    });
    assert_eq!(threads, End::Exit(0));
    crowd.ends();
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, SeqCst);
}

/// One of the workers of `everything_at_once`: a process that forks, spawns, starts threads and is signalled all the time.
fn worker(until: Instant) -> i32 {
    on_signal(libc::SIGUSR1, libc::SA_RESTART, count as *const () as usize);
    let path = helper::path();
    let mut round = 0;
    while Instant::now() < until {
        round += 1;
        assert_eq!(end_of(|| 1), End::Exit(1));
        assert_eq!(
            spawn_and_wait(&path, &["ktest", helper::SWITCH, "exit", "2"]),
            End::Exit(2)
        );
        assert_eq!(
            end_of(|| helper::become_helper(&["exit", "3"])),
            End::Exit(3)
        );
        let threads: Vec<_> = (0..4)
            .map(|n| thread::spawn(move || black_box(vec![n; 5000]).iter().sum::<usize>()))
            .collect();
        for (n, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().expect("no panic"), n * 5000);
        }
        let victim = spawn(|| {
            loop {
                black_box(vec![1u8; 10_000]);
            }
        });
        ok(sys!(kill(victim, libc::SIGTERM)));
        assert_eq!(wait(victim), End::Signal(libc::SIGTERM));
        let mut data = vec![round as u8; 100_000];
        let child = spawn(|| {
            data.fill(0);
            i32::from(data.iter().any(|&b| b != 0))
        });
        assert_eq!(wait(child), End::Exit(0));
        assert!(
            data.iter().all(|&b| b == round as u8),
            "a child wrote into its parent"
        );
    }
    i32::from(round < 2)
}

fn everything_at_once() {
    let until = Instant::now() + Duration::from_secs(6);
    let workers: Vec<i32> = (0..6).map(|_| spawn(|| worker(until))).collect();
    // Not before they have their handlers.
    sleep_ms(300);
    while Instant::now() < until - Duration::from_millis(200) {
        for &pid in &workers {
            ok(sys!(kill(pid, libc::SIGUSR1)));
        }
        sleep_ms(1);
    }
    for pid in workers {
        assert_eq!(wait(pid), End::Exit(0));
    }
}

/// Forks, execs and starts threads for ever, in the process group of whoever starts it. What fails is tried again: the end
/// may come in the middle of anything.
fn restless() -> i32 {
    for _ in 0..3 {
        let _ = thread::Builder::new().spawn(|| {
            loop {
                if let Ok(thread) = thread::Builder::new().spawn(|| black_box(vec![3; 3000])) {
                    let _ = thread.join();
                }
                let pid = sys!(fork());
                if pid == 0 {
                    helper::become_helper(&["sleep"]);
                    sys!(_exit(9));
                }
                if pid > 0 {
                    sys!(kill(pid, libc::SIGKILL));
                    sys!(waitpid(pid, ptr::null_mut(), 0));
                }
            }
        });
    }
    helper::become_helper(&["sleep"]);
    loop {
        sys!(pause());
    }
}

fn groups_are_killed_at_any_moment() {
    let mut wait_us = 0;
    leaves_nothing(150, 30, || {
        wait_us = (wait_us + 137) % 9_000;
        let leader = spawn(|| {
            sys!(setpgid(0, 0));
            restless()
        });
        // The child may not have come to it yet.
        sys!(setpgid(leader, leader));
        thread::sleep(Duration::from_micros(wait_us));
        ok(sys!(kill(-leader, libc::SIGKILL)));
        assert_eq!(wait(leader), End::Signal(libc::SIGKILL));
        until("the group is empty", || sys!(kill(-leader, 0)) == -1);
    });
}

fn writers_and_readers_die_in_turn() {
    leaves_nothing(150, 20, || {
        let (mut reader, writer) = pipe();
        let child = spawn(|| {
            let data = [7u8; 8192];
            loop {
                sys!(write(writer.as_raw_fd(), data.as_ptr().cast(), data.len()));
            }
        });
        drop(writer);
        let mut data = vec![0; 100_000];
        reader.read_exact(&mut data).expect("as much as we like");
        ok(sys!(kill(child, libc::SIGKILL)));
        assert_eq!(wait(child), End::Signal(libc::SIGKILL));
        reader.read_to_end(&mut data).expect("what was left");
    });
}

fn memory_is_taken_and_given_back() {
    leaves_nothing(30, 3, || {
        let end = end_of(|| {
            let blocks: Vec<Vec<u8>> = (0..50).map(|n| black_box(vec![n as u8; 200_000])).collect();
            i32::from(
                blocks
                    .iter()
                    .enumerate()
                    .any(|(n, b)| b[n * 100] != n as u8),
            )
        });
        assert_eq!(end, End::Exit(0));
    });
}
