//! The cases. Conditions are as weak as memory can be (relaxed, no lock): the protocol itself has to order them.

use crate::base::Errno;
use crate::cpu_clock::CpuClock;
use crate::futex_queue::{Futexes, Key};
use crate::machine::{BROKEN, Broken, Thread, current, rehearse, tick};
use crate::sleep_lock::SleepLock;
use crate::wait::{Ends, WaitQueue, Wake, wait_many};
use alloc::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;

/// Runs `case` through all interleavings with at most `preemptions` preemptions.
fn check(preemptions: usize, case: impl Fn() + Sync + Send + 'static) {
    check_broken(Broken::Nothing, preemptions, case);
}

fn check_broken(broken: Broken, preemptions: usize, case: impl Fn() + Sync + Send + 'static) {
    BROKEN.set(broken);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(case);
}

/// A queue whose loom parts exist.
fn queue() -> Arc<WaitQueue> {
    let queue = Arc::new(WaitQueue::new());
    assert!(queue.is_empty());
    queue.wake_all();
    queue
}

/// A condition and the queue to wait for it on.
struct Event {
    happened: AtomicBool,
    queue: Arc<WaitQueue>,
}

impl Event {
    fn new() -> Arc<Event> {
        Arc::new(Event {
            happened: AtomicBool::new(false),
            queue: queue(),
        })
    }

    fn now(&self) -> Option<()> {
        self.happened.load(Relaxed).then_some(())
    }

    fn happen(&self) {
        self.happened.store(true, Relaxed);
        self.queue.wake_all();
    }
}

fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> thread::JoinHandle<T> {
    thread::spawn(f)
}

fn one_waiter_one_waker() {
    let event = Event::new();
    let other = event.clone();
    let waiter = spawn(move || other.queue.wait(None, || other.now()));
    event.happen();
    assert_eq!(waiter.join().expect("no panic"), Ok(()));
}

#[test]
fn a_wake_up_is_not_lost() {
    check(4, one_waiter_one_waker);
}

#[test]
#[should_panic = "deadlock"]
fn broken_without_fences_a_wake_up_is_lost() {
    check_broken(Broken::Fences, 4, one_waiter_one_waker);
}

#[test]
#[should_panic = "deadlock"]
fn broken_marked_after_the_look_a_wake_up_is_lost() {
    check_broken(Broken::Order, 4, one_waiter_one_waker);
}

#[test]
fn a_wake_up_too_many_does_no_harm() {
    check(3, || {
        let event = Event::new();
        let other = event.clone();
        let waiter = spawn(move || {
            let first = other.queue.wait(None, || other.now());
            other.happened.store(false, Relaxed);
            first
        });
        event.queue.wake_all();
        event.happen();
        event.queue.wake_all();
        assert_eq!(waiter.join().expect("no panic"), Ok(()));
    });
}

#[test]
fn wake_all_reaches_two() {
    check(2, || {
        let event = Event::new();
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            spawn(move || event.queue.wait(None, || event.now()))
        });
        event.happen();
        for waiter in waiters {
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
        }
    });
}

#[test]
fn a_signal_ends_a_wait() {
    check(4, || {
        let event = Event::new();
        let (send, other) = (Arc::new(loom::sync::Mutex::new(None)), event.clone());
        let sleeper = send.clone();
        let waiter = spawn(move || {
            *sleeper.lock().unwrap() = Some(current().clone());
            other.queue.wait(None, || other.now())
        });
        let found: Option<Arc<Thread>> = send.lock().unwrap().clone();
        match found {
            Some(thread) => {
                thread.interrupt();
                assert_eq!(waiter.join().expect("no panic"), Err(Errno::ERESTARTSYS));
            }
            None => {
                event.happen();
                assert_eq!(waiter.join().expect("no panic"), Ok(()));
            }
        }
        assert!(event.queue.is_empty());
    });
}

/// Things that one waiter each can take.
struct Supply {
    left: AtomicUsize,
    queue: Arc<WaitQueue>,
}

impl Supply {
    fn take(&self, deadline: Option<u64>) -> Result<(), Errno> {
        self.queue.wait_turn(deadline, Ends::AtSignal, || {
            let took = self
                .left
                .fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
            took.is_ok().then_some(())
        })
    }

    fn give(&self) {
        self.left.fetch_add(1, Relaxed);
        self.queue.wake_one();
    }
}

fn supply() -> Arc<Supply> {
    Arc::new(Supply {
        left: AtomicUsize::new(0),
        queue: queue(),
    })
}

#[test]
fn wake_one_twice_serves_two() {
    check(2, || {
        let supply = supply();
        let takers = [(); 2].map(|()| {
            let supply = supply.clone();
            spawn(move || supply.take(None))
        });
        supply.give();
        supply.give();
        for taker in takers {
            assert_eq!(taker.join().expect("no panic"), Ok(()));
        }
    });
}

#[test]
fn who_gives_up_passes_its_wake_up_on() {
    check(2, || {
        let supply = supply();
        let (a, b) = (supply.clone(), supply.clone());
        let hasty = spawn(move || a.take(Some(10)));
        let patient = spawn(move || b.take(None));
        let clock = spawn(|| tick(10));
        supply.give();
        match hasty.join().expect("no panic") {
            // It got the only one: the patient one needs another.
            Ok(()) => supply.give(),
            Err(e) => assert_eq!(e, Errno::ETIMEDOUT),
        }
        assert_eq!(patient.join().expect("no panic"), Ok(()));
        clock.join().expect("no panic");
    });
}

#[test]
fn waiting_for_many_hears_each() {
    check(3, || {
        let events = [Event::new(), Event::new()];
        let [a, b] = events.clone();
        let waiter = spawn(move || {
            wait_many(None, |mut table| {
                for event in [&a, &b] {
                    if let Some(table) = &mut table {
                        table.register(&event.queue);
                    }
                }
                // The last one is what is waited for; the first one only wakes.
                b.now()
            })
        });
        let noise = events[0].clone();
        let noise = spawn(move || noise.happen());
        events[1].happen();
        assert_eq!(waiter.join().expect("no panic"), Ok(()));
        noise.join().expect("no panic");
        assert!(events.iter().all(|e| e.queue.is_empty()));
    });
}

/// Passes a wake-up on to another queue, as an `epoll` item does.
struct Relay {
    ready: AtomicBool,
    queue: Arc<WaitQueue>,
}

impl Wake for Relay {
    fn wake(&self) {
        self.ready.store(true, Relaxed);
        self.queue.wake_all_nested();
    }
}

#[test]
fn a_wake_up_passes_through_a_relay() {
    check(3, || {
        let event = Event::new();
        let relay = Arc::new(Relay {
            ready: AtomicBool::new(false),
            queue: queue(),
        });
        event.queue.add(1, relay.clone());
        let (file, watch) = (event.clone(), relay.clone());
        let waiter = spawn(move || {
            let seen = watch
                .queue
                .wait(None, || watch.ready.load(Relaxed).then_some(()));
            (seen, file.now())
        });
        event.happen();
        assert_eq!(waiter.join().expect("no panic").0, Ok(()));
        event.queue.remove(1);
    });
}

/// A futex word in the model's memory.
struct Word {
    value: AtomicUsize,
    futexes: Futexes<2>,
}

/// Keys that fall into the two buckets.
fn keys() -> [Key; 2] {
    let bucket = |n: usize| (n.rotate_left(20).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) % 2;
    let find = |b| (1..).find(|&n| bucket(n) == b).expect("half of them");
    [Key(0, find(0)), Key(0, find(1))]
}

fn word() -> Arc<Word> {
    let word = Word {
        value: AtomicUsize::new(0),
        futexes: Futexes::new(),
    };
    for key in keys() {
        let rehearsal = word.futexes.requeue(key, key, (1, 1), || Ok(()));
        assert_eq!((word.futexes.wake(key, 1, 1), rehearsal), (0, Ok(0)));
    }
    Arc::new(word)
}

impl Word {
    fn wait(&self, key: Key, deadline: Option<u64>) -> Result<(), Errno> {
        self.futexes.wait(
            key,
            1,
            || deadline,
            || match self.value.load(Relaxed) {
                0 => Ok(()),
                _ => Err(Errno::EAGAIN),
            },
        )
    }
}

fn futex_wake() {
    let word = word();
    let other = word.clone();
    let [key, _] = keys();
    let waiter = spawn(move || other.wait(key, None));
    word.value.store(1, Relaxed);
    let woken = word.futexes.wake(key, 1, 1);
    match waiter.join().expect("no panic") {
        Ok(()) => assert_eq!(woken, 1),
        Err(e) => assert_eq!((e, woken), (Errno::EAGAIN, 0)),
    }
}

#[test]
fn a_futex_wake_is_not_lost() {
    check(4, futex_wake);
}

#[test]
#[should_panic = "deadlock"]
fn broken_without_fences_a_futex_wake_is_lost() {
    check_broken(Broken::Fences, 4, futex_wake);
}

#[test]
fn a_futex_waiter_is_counted_once_whatever_ends_it() {
    check(3, || {
        let word = word();
        let other = word.clone();
        let [from, to] = keys();
        let waiter = spawn(move || other.wait(from, Some(10)));
        let clock = spawn(|| tick(10));
        // Woken on the first word, moved to the second and woken there, or late.
        let moved = word
            .futexes
            .requeue(from, to, (0, 1), || Ok(()))
            .expect("no check");
        let woken = word.futexes.wake(to, 1, 1);
        assert!(woken <= moved);
        let outcome = waiter.join().expect("no panic");
        clock.join().expect("no panic");
        let expected = if woken == 1 {
            Ok(())
        } else {
            Err(Errno::ETIMEDOUT)
        };
        assert_eq!(outcome, expected);
        assert_eq!(
            word.futexes.wake(from, 9, 1) + word.futexes.wake(to, 9, 1),
            0
        );
    });
}

#[test]
fn requeues_both_ways_lose_nobody() {
    check(2, || {
        let word = word();
        let [a, b] = keys();
        let (first, second) = (word.clone(), word.clone());
        let waiter = spawn(move || first.wait(a, Some(10)));
        let back = spawn(move || second.futexes.requeue(b, a, (0, 1), || Ok(())));
        word.futexes
            .requeue(a, b, (0, 1), || Ok(()))
            .expect("no check");
        tick(10);
        assert_eq!(waiter.join().expect("no panic"), Err(Errno::ETIMEDOUT));
        back.join().expect("no panic").expect("no check");
        assert_eq!(word.futexes.wake(a, 9, 1) + word.futexes.wake(b, 9, 1), 0);
    });
}

#[test]
fn a_sleeping_lock_excludes_and_is_passed_on() {
    check(2, || {
        let lock = Arc::new(SleepLock::new());
        let held = lock.clone();
        // All of it once, alone: the second `lock` finds it held, and its sleep is the end of the first.
        core::mem::forget(held.lock());
        rehearse(move || held.release(), || drop(lock.lock()));
        let inside = Arc::new(AtomicUsize::new(0));
        let work = |lock: Arc<SleepLock>, inside: Arc<AtomicUsize>| {
            let _guard = lock.lock();
            assert_eq!(inside.load(Relaxed), 0);
            inside.store(1, Relaxed);
            inside.store(0, Relaxed);
        };
        let others = [(); 2].map(|()| {
            let (lock, inside) = (lock.clone(), inside.clone());
            spawn(move || work(lock, inside))
        });
        work(lock.clone(), inside);
        for other in others {
            other.join().expect("no panic");
        }
    });
}

#[test]
fn processor_time_told_meanwhile_is_of_one_moment() {
    check(3, || {
        let clock = Arc::new(CpuClock::new());
        tick(10);
        clock.start(10);
        assert_eq!(clock.read(), 0);
        let told = clock.clone();
        let reader = spawn(move || [told.read(), told.read()]);
        tick(12);
        clock.advance();
        tick(17);
        clock.stop();
        // Asleep.
        tick(1000);
        let [first, second] = reader.join().expect("no panic");
        assert!(first <= second && second <= 7, "{first}, then {second}");
        assert_eq!(clock.read(), 7);
    });
}
