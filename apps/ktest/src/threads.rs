//! Threads as std gives them: pthreads, TLS, locks, condition variables.

use crate::support::*;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

crate::harness::tests![
    threads_return_values,
    thousands_are_made_and_joined,
    hundreds_run_at_once,
    all_have_one_pid_and_different_tids: Native,
    thread_locals_are_apart,
    destructors_of_thread_locals_run,
    pthread_keys_have_destructors,
    mutexes_exclude,
    condition_variables_wake,
    condition_variables_time_out,
    rwlocks_let_readers_in_together,
    barriers_meet,
    channels_carry_everything,
    bounded_channels_push_back,
    once_runs_once,
    parking_and_unparking,
    panics_stay_in_their_thread,
    threads_have_names,
    threads_share_descriptors_and_directory,
    threads_run_on_several_cores,
    threads_preempt_each_other,
    the_end_of_main_is_the_end_of_all,
    exit_in_a_thread_ends_the_process,
    a_fatal_signal_ends_all_threads,
    the_heap_is_shared_safely,
    detached_threads_finish,
    affinity_can_be_asked_and_set: Native,
    processes_move_to_each_others_cores: Native,
    yielding_and_priorities: Native,
    blocked_threads_do_not_block_others,
    maps_in_threads_do_not_collide,
];

fn threads_return_values() {
    let threads: Vec<_> = (0..8u64).map(|n| thread::spawn(move || n * n)).collect();
    let sum: u64 = threads
        .into_iter()
        .map(|t| t.join().expect("no panic"))
        .sum();
    assert_eq!(sum, 140);
}

fn thousands_are_made_and_joined() {
    let count = Arc::new(AtomicU32::new(0));
    for _ in 0..3000 {
        let count = count.clone();
        thread::spawn(move || count.fetch_add(1, SeqCst))
            .join()
            .expect("no panic");
    }
    assert_eq!(count.load(SeqCst), 3000);
}

fn hundreds_run_at_once() {
    const COUNT: usize = 200;
    let barrier = Arc::new(Barrier::new(COUNT + 1));
    let threads: Vec<_> = (0..COUNT)
        .map(|n| {
            let barrier = barrier.clone();
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    barrier.wait();
                    n
                })
                .expect("room for a thread")
        })
        .collect();
    barrier.wait();
    let sum: usize = threads
        .into_iter()
        .map(|t| t.join().expect("no panic"))
        .sum();
    assert_eq!(sum, COUNT * (COUNT - 1) / 2);
}

fn tid() -> i32 {
    sys!(syscall(libc::SYS_gettid)) as i32
}

fn all_have_one_pid_and_different_tids() {
    let pid = sys!(getpid());
    assert_eq!(tid(), pid);
    let barrier = Arc::new(Barrier::new(5));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.wait();
                barrier.wait();
                (sys!(getpid()), tid())
            })
        })
        .collect();
    barrier.wait();
    let tasks = std::fs::read_dir("/proc/self/task")
        .expect("procfs")
        .count();
    barrier.wait();
    assert_eq!(tasks, 5);
    let mut tids = vec![pid];
    for thread in threads {
        let (its_pid, its_tid) = thread.join().expect("no panic");
        assert_eq!(its_pid, pid);
        assert!(!tids.contains(&its_tid));
        tids.push(its_tid);
    }
}

thread_local! {
    static LOCAL: Cell<u64> = const { Cell::new(17) };
    static DROPPING: Cell<Option<Dropper>> = const { Cell::new(None) };
}

struct Dropper(Arc<AtomicU32>);

impl Drop for Dropper {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn thread_locals_are_apart() {
    LOCAL.set(1);
    let threads: Vec<_> = (0..10)
        .map(|n| {
            thread::spawn(move || {
                assert_eq!(LOCAL.get(), 17, "each starts with the initial value");
                LOCAL.set(n);
                thread::yield_now();
                LOCAL.get()
            })
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().expect("no panic"), n as u64);
    }
    assert_eq!(LOCAL.get(), 1);
}

fn destructors_of_thread_locals_run() {
    let dropped = Arc::new(AtomicU32::new(0));
    for _ in 0..100 {
        let dropped = dropped.clone();
        thread::spawn(move || DROPPING.set(Some(Dropper(dropped))))
            .join()
            .expect("no panic");
    }
    assert_eq!(dropped.load(SeqCst), 100);
}

static KEYS_DROPPED: AtomicU64 = AtomicU64::new(0);

extern "C" fn drop_key(value: *mut libc::c_void) {
    KEYS_DROPPED.fetch_add(value.addr() as u64, SeqCst);
}

fn pthread_keys_have_destructors() {
    let mut key = 0;
    assert_eq!(sys!(pthread_key_create(&mut key, Some(drop_key))), 0);
    for n in 1..=10usize {
        thread::spawn(move || {
            let value = std::ptr::without_provenance::<libc::c_void>(n);
            assert_eq!(sys!(pthread_setspecific(key, value)), 0);
            assert_eq!(sys!(pthread_getspecific(key)).addr(), n);
        })
        .join()
        .expect("no panic");
    }
    assert!(sys!(pthread_getspecific(key)).is_null());
    assert_eq!(KEYS_DROPPED.load(SeqCst), 55);
    assert_eq!(sys!(pthread_key_delete(key)), 0);
}

fn mutexes_exclude() {
    let total = Arc::new(Mutex::new((0u64, 0u64)));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let total = total.clone();
            thread::spawn(move || {
                for _ in 0..20_000 {
                    let mut pair = total.lock().expect("no panic");
                    pair.0 += 1;
                    pair.1 += pair.0 % 3;
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|t| t.join().expect("no panic"));
    let pair = *total.lock().expect("no panic");
    assert_eq!(pair.0, 160_000);
    assert_eq!(pair.1, (1..=160_000u64).map(|n| n % 3).sum::<u64>());
}

fn condition_variables_wake() {
    let shared = Arc::new((Mutex::new(0u32), Condvar::new()));
    let other = shared.clone();
    // Two threads take turns.
    let thread = thread::spawn(move || {
        let (turn, changed) = &*other;
        for round in 0..1000 {
            let mut turn = changed
                .wait_while(turn.lock().expect("no panic"), |t| *t != round * 2 + 1)
                .expect("no panic");
            *turn += 1;
            changed.notify_one();
        }
    });
    let (turn, changed) = &*shared;
    for round in 0..1000 {
        let mut turn = changed
            .wait_while(turn.lock().expect("no panic"), |t| *t != round * 2)
            .expect("no panic");
        *turn += 1;
        changed.notify_one();
    }
    thread.join().expect("no panic");
    assert_eq!(*turn.lock().expect("no panic"), 2000);
}

fn condition_variables_time_out() {
    let (mutex, condition) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let guard = mutex.lock().expect("no panic");
    let (_guard, result) = condition
        .wait_timeout_while(guard, Duration::from_millis(40), |()| true)
        .expect("no panic");
    assert!(result.timed_out());
    assert!(start.elapsed() >= Duration::from_millis(40));
}

fn rwlocks_let_readers_in_together() {
    let lock = Arc::new(RwLock::new(0u64));
    let barrier = Arc::new(Barrier::new(4));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (lock, barrier) = (lock.clone(), barrier.clone());
            thread::spawn(move || {
                let guard = lock.read().expect("no panic");
                // Passes only if all four hold the lock.
                barrier.wait();
                *guard
            })
        })
        .collect();
    readers
        .into_iter()
        .for_each(|t| assert_eq!(t.join().expect("no panic"), 0));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let lock = lock.clone();
            thread::spawn(move || (0..5000).for_each(|_| *lock.write().expect("no panic") += 1))
        })
        .collect();
    writers
        .into_iter()
        .for_each(|t| t.join().expect("no panic"));
    assert_eq!(*lock.read().expect("no panic"), 20_000);
}

fn barriers_meet() {
    let barrier = Barrier::new(6);
    let leaders = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..100 {
                    leaders.fetch_add(u32::from(barrier.wait().is_leader()), SeqCst);
                }
            });
        }
    });
    assert_eq!(leaders.load(SeqCst), 100);
}

fn channels_carry_everything() {
    let (sender, receiver) = channel();
    for n in 0..8u64 {
        let sender = sender.clone();
        thread::spawn(move || (0..1000).for_each(|m| sender.send(n * 1000 + m).expect("open")));
    }
    drop(sender);
    let mut all: Vec<u64> = receiver.into_iter().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..8000));
}

fn bounded_channels_push_back() {
    let (sender, receiver) = sync_channel(2);
    let thread = thread::spawn(move || (0..1000u32).try_for_each(|n| sender.send(n)));
    sleep_ms(10);
    assert!(!thread.is_finished());
    assert!(receiver.iter().take(1000).eq(0..1000));
    thread.join().expect("no panic").expect("open to the end");
}

fn once_runs_once() {
    static ONCE: Once = Once::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static CELL: OnceLock<u32> = OnceLock::new();
    thread::scope(|scope| {
        for n in 0..16 {
            scope.spawn(move || {
                ONCE.call_once(|| {
                    sleep_ms(10);
                    COUNT.fetch_add(1, SeqCst);
                });
                assert_eq!(COUNT.load(SeqCst), 1, "all wait for the first");
                CELL.get_or_init(|| n);
            });
        }
    });
    assert!(CELL.get().is_some());
}

fn parking_and_unparking() {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    let thread = thread::spawn(move || {
        while !seen.load(SeqCst) {
            thread::park();
        }
    });
    sleep_ms(10);
    flag.store(true, SeqCst);
    thread.thread().unpark();
    thread.join().expect("no panic");
    thread::current().unpark();
    thread::park();
    let start = Instant::now();
    thread::park_timeout(Duration::from_millis(20));
    assert!(start.elapsed() < Duration::from_secs(10));
}

fn panics_stay_in_their_thread() {
    crate::harness::expect_panics();
    in_child(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let result = thread::spawn(|| panic!("on purpose")).join();
        assert!(result.is_err());
        let mutex = Arc::new(Mutex::new(1));
        let other = mutex.clone();
        let result = thread::spawn(move || {
            let _guard = other.lock();
            panic!("with a lock held");
        });
        assert!(result.join().is_err() && mutex.is_poisoned());
    });
}

fn threads_have_names() {
    let thread = thread::Builder::new()
        .name("a-name".into())
        .spawn(|| {
            let mut name = [0 as libc::c_char; 16];
            ok(sys!(prctl(libc::PR_GET_NAME, name.as_mut_ptr())));
            // SAFETY: the kernel has written a string of at most 16 bytes.
            unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) }.to_owned()
        })
        .expect("room for a thread");
    assert_eq!(thread.join().expect("no panic").as_c_str(), c"a-name");
}

fn threads_share_descriptors_and_directory() {
    let (reader, writer) = pipe();
    std::fs::create_dir("sub").expect("a new directory");
    thread::spawn(move || {
        drop(writer);
        std::env::set_current_dir("sub").expect("there");
        sys!(umask(0o55));
    })
    .join()
    .expect("no panic");
    assert_eq!(poll_now(&reader, libc::POLLIN), libc::POLLHUP);
    assert!(std::env::current_dir().expect("here").ends_with("sub"));
    assert_eq!(sys!(umask(0)), 0o55);
}

fn threads_run_on_several_cores() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return;
    }
    // Two that spin for each other make little progress on one core.
    let turn = AtomicU32::new(0);
    thread::scope(|scope| {
        for own in 0..2 {
            let turn = &turn;
            scope.spawn(move || {
                for round in 0..200 {
                    while turn.load(SeqCst) != round * 2 + own {
                        std::hint::spin_loop();
                    }
                    turn.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!(turn.load(SeqCst), 400);
}

fn threads_preempt_each_other() {
    // More spinners than cores: none may keep the others from running.
    let counts: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for count in &counts {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(SeqCst) {
                    count.fetch_add(1, SeqCst);
                }
            });
        }
        let all_run = || counts.iter().all(|count| count.load(SeqCst) > 1000);
        until("all have run", all_run);
        stop.store(true, SeqCst);
    });
}

fn the_end_of_main_is_the_end_of_all() {
    let end = end_of(|| {
        for _ in 0..4 {
            thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
        sleep_ms(5);
        std::process::exit(6);
    });
    assert_eq!(end, End::Exit(6));
}

fn exit_in_a_thread_ends_the_process() {
    let end = end_of(|| {
        thread::spawn(|| std::process::exit(9));
        loop {
            sys!(pause());
        }
    });
    assert_eq!(end, End::Exit(9));
}

fn a_fatal_signal_ends_all_threads() {
    let pid = spawn(|| {
        for _ in 0..3 {
            thread::spawn(|| {
                loop {
                    sys!(pause());
                }
            });
        }
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        thread::spawn(|| {
            sleep_ms(10);
            // SAFETY: none: the process is meant to die of it.
            unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() }
        });
        loop {
            sys!(pause());
        }
    });
    assert_eq!(wait(pid), End::Signal(libc::SIGSEGV));
}

fn the_heap_is_shared_safely() {
    let (sender, receiver) = channel::<Vec<u8>>();
    thread::scope(|scope| {
        for n in 0..6u8 {
            let sender = sender.clone();
            scope.spawn(move || {
                for size in 0..2000 {
                    let block = vec![n; size * 3 + 1];
                    if size % 5 == 0 {
                        sender.send(block).expect("open");
                    } else {
                        assert!(block.iter().all(|b| *b == n));
                    }
                }
            });
        }
        drop(sender);
        let mut count = 0;
        for block in receiver {
            assert!(block.iter().all(|b| *b == block[0]));
            count += 1;
        }
        assert_eq!(count, 6 * 400);
    });
}

fn detached_threads_finish() {
    let count = Arc::new(AtomicU32::new(0));
    for _ in 0..200 {
        let count = count.clone();
        drop(thread::spawn(move || count.fetch_add(1, SeqCst)));
    }
    until("all have run", || count.load(SeqCst) == 200);
}

fn affinity_can_be_asked_and_set() {
    let mut set: libc::cpu_set_t = zeroed();
    let size = size_of::<libc::cpu_set_t>();
    ok(sys!(sched_getaffinity(0, size, &mut set)));
    let cores: Vec<usize> = (0..64).filter(|n| sys!(CPU_ISSET(*n, &set))).collect();
    assert_eq!(
        cores.len(),
        thread::available_parallelism().expect("known").get()
    );
    for core in cores {
        let mut one: libc::cpu_set_t = zeroed();
        sys!(CPU_SET(core, &mut one));
        ok(sys!(sched_setaffinity(0, size, &one)));
        assert_eq!(sys!(sched_getcpu()), core as i32);
    }
    let none: libc::cpu_set_t = zeroed();
    fails(sys!(sched_setaffinity(0, size, &none)), libc::EINVAL);
}

fn yielding_and_priorities() {
    assert_eq!(sys!(sched_yield()), 0);
    assert_eq!(sys!(sched_getscheduler(0)), libc::SCHED_OTHER);
    let mut parameter: libc::sched_param = zeroed();
    ok(sys!(sched_getparam(0, &mut parameter)));
    assert_eq!(parameter.sched_priority, 0);
    assert_eq!(sys!(sched_get_priority_max(libc::SCHED_FIFO)), 99);
    assert_eq!(sys!(sched_get_priority_min(libc::SCHED_OTHER)), 0);
    fails(sys!(sched_get_priority_max(99)), libc::EINVAL);
}

fn blocked_threads_do_not_block_others() {
    let (reader, writer) = pipe();
    let thread = thread::spawn(move || {
        use std::io::Read;
        let mut byte = [0];
        (&reader).read(&mut byte).expect("a byte, some day")
    });
    sleep_ms(10);
    assert_eq!(
        end_of(|| 3),
        End::Exit(3),
        "fork while another thread waits"
    );
    drop(writer);
    assert_eq!(thread.join().expect("no panic"), 0);
}

fn maps_in_threads_do_not_collide() {
    // HashMap keys come from getrandom once a thread.
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let map: HashMap<u32, u32> = (0..10_000).map(|n| (n, n * 2)).collect();
                (0..10_000).all(|n| map[&n] == n * 2)
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|t| assert!(t.join().expect("no panic")));
}

/// Each goes where another comes from, all the time: no two may wait for each other to have left.
fn processes_move_to_each_others_cores() {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let children: Vec<i32> = (0..2 * cores)
        .map(|number| {
            spawn(|| {
                for round in 0..300 {
                    let core = (number + round) % cores;
                    let mut set: libc::cpu_set_t = zeroed();
                    // SAFETY: plain bit operations on a live set.
                    unsafe { libc::CPU_SET(core, &mut set) };
                    ok(sys!(sched_setaffinity(0, size_of_val(&set), &set)));
                    assert_eq!(sys!(sched_getcpu()), core as i32);
                }
                0
            })
        })
        .collect();
    for pid in children {
        assert_eq!(wait(pid), End::Exit(0));
    }
}
