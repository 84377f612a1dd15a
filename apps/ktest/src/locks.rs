//! C's locks: how they end, how they time out, and who may share them.

use crate::more;
use crate::support::*;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

crate::harness::tests![
    a_condition_may_go_right_after_its_broadcast,
    a_semaphore_may_go_right_after_its_wait,
    semaphores_count,
    a_barrier_may_go_right_after_its_last_round,
    a_barrier_serves_more_threads_than_it_holds,
    a_barrier_meets_across_processes,
    a_child_may_destroy_what_only_its_parent_waits_on,
    conditions_and_semaphores_work_across_processes,
    a_time_before_the_epoch_has_passed,
    a_nanosecond_too_many_is_refused,
    recursive_and_checking_mutexes_know_their_owner,
    a_wait_gives_up_a_recursive_mutex_and_takes_it_back,
    everything_at_once,
];

/// What threads share by address, and a page of its own to put it in, which can be taken away.
pub struct Page(*mut c_void);

// SAFETY: an address; what is there is for the C functions to synchronize.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

const PAGE: usize = 4096;

impl Page {
    pub fn new(flags: c_int) -> Self {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = flags | libc::MAP_ANONYMOUS;
        let at = sys!(mmap(null_mut(), PAGE, prot, flags, -1, 0));
        assert_ne!(at, libc::MAP_FAILED);
        Self(at)
    }

    pub fn at<T>(&self, index: usize) -> *mut T {
        assert!((index + 1) * 256 <= PAGE);
        // SAFETY: within the page.
        unsafe { self.0.byte_add(index * 256).cast() }
    }

    /// From now on every touch is a fault.
    fn vanish(&self) {
        ok(sys!(mprotect(self.0, PAGE, libc::PROT_NONE)));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        sys!(munmap(self.0, PAGE));
    }
}

struct Shared<T>(UnsafeCell<T>);
// SAFETY: only C's functions touch what is inside, and those are made for threads.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    const fn at(&self) -> *mut T {
        self.0.get()
    }
}

/// Calls what must succeed, again and again.
fn times(count: u32, call: impl Fn() -> c_int) {
    for _ in 0..count {
        ok(call());
    }
}

fn a_condition_may_go_right_after_its_broadcast() {
    static LOCK: Shared<libc::pthread_mutex_t> =
        Shared(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    for _ in 0..100 {
        let page = Page::new(libc::MAP_PRIVATE);
        let condition = page.at::<libc::pthread_cond_t>(0);
        assert_eq!(sys!(pthread_cond_init(condition, null())), 0);
        let waiting = AtomicU32::new(0);
        let go = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    sys!(pthread_mutex_lock(LOCK.at()));
                    waiting.fetch_add(1, SeqCst);
                    while go.load(SeqCst) == 0 {
                        sys!(pthread_cond_wait(page.at(0), LOCK.at()));
                    }
                    sys!(pthread_mutex_unlock(LOCK.at()));
                });
            }
            // Whoever has counted itself holds the mutex until it waits.
            until("all wait", || waiting.load(SeqCst) == 4);
            sys!(pthread_mutex_lock(LOCK.at()));
            go.store(1, SeqCst);
            sys!(pthread_cond_broadcast(condition));
            sys!(pthread_cond_destroy(condition));
            page.vanish();
            sys!(pthread_mutex_unlock(LOCK.at()));
        });
    }
}

fn a_semaphore_may_go_right_after_its_wait() {
    for _ in 0..300 {
        let page = Page::new(libc::MAP_PRIVATE);
        // musl's semaphores are aligned to four bytes, glibc's to eight.
        let odd = align_of::<libc::sem_t>() == 4;
        // SAFETY: well within the page.
        let semaphore = unsafe { page.at::<libc::sem_t>(0).byte_add(if odd { 4 } else { 0 }) };
        ok(sys!(sem_init(semaphore, 0, 0)));
        thread::scope(|scope| {
            let poster = semaphore.expose_provenance();
            scope.spawn(move || sys!(sem_post(std::ptr::with_exposed_provenance_mut(poster))));
            ok(sys!(sem_wait(semaphore)));
            page.vanish();
        });
    }
}

fn semaphores_count() {
    static SEMAPHORE: Shared<std::mem::MaybeUninit<libc::sem_t>> =
        Shared(UnsafeCell::new(std::mem::MaybeUninit::zeroed()));
    let semaphore = || SEMAPHORE.at().cast::<libc::sem_t>();
    let value = || {
        let mut value = 0;
        ok(sys!(sem_getvalue(semaphore(), &mut value)));
        value
    };
    fails(sys!(sem_init(semaphore(), 0, u32::MAX)), libc::EINVAL);
    ok(sys!(sem_init(semaphore(), 0, i32::MAX as u32)));
    fails(sys!(sem_post(semaphore())), libc::EOVERFLOW);
    ok(sys!(sem_trywait(semaphore())));
    assert_eq!(value(), i32::MAX - 1);
    ok(sys!(sem_init(semaphore(), 0, 0)));
    fails(sys!(sem_trywait(semaphore())), libc::EAGAIN);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || times(2000, || sys!(sem_wait(semaphore()))));
            scope.spawn(move || times(2000, || sys!(sem_post(semaphore()))));
        }
    });
    assert_eq!(value(), 0);
    ok(sys!(sem_destroy(semaphore())));
}

fn a_barrier_may_go_right_after_its_last_round() {
    for _ in 0..100 {
        let page = Page::new(libc::MAP_PRIVATE);
        assert_eq!(sys!(pthread_barrier_init(page.at(0), null(), 4)), 0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let r = sys!(pthread_barrier_wait(page.at(0)));
                    if r == libc::PTHREAD_BARRIER_SERIAL_THREAD {
                        assert_eq!(sys!(pthread_barrier_destroy(page.at(0))), 0);
                        page.vanish();
                    }
                });
            }
        });
    }
}

fn a_barrier_serves_more_threads_than_it_holds() {
    const THREADS: u32 = 6;
    const ROUNDS: u32 = 600;
    let page = Page::new(libc::MAP_PRIVATE);
    assert_eq!(sys!(pthread_barrier_init(page.at(0), null(), 2)), 0);
    // Each wait meets one other, and one of the two is told so.
    let serial = AtomicU32::new(0);
    let started = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while started.fetch_add(1, SeqCst) < THREADS * ROUNDS {
                    let r = sys!(pthread_barrier_wait(page.at(0)));
                    serial.fetch_add(u32::from(r != 0), SeqCst);
                }
            });
        }
    });
    assert_eq!(serial.load(SeqCst), THREADS * ROUNDS / 2);
    assert_eq!(sys!(pthread_barrier_destroy(page.at(0))), 0);
}

fn a_barrier_meets_across_processes() {
    let page = Page::new(libc::MAP_SHARED);
    let mut attributes = zeroed();
    assert_eq!(sys!(pthread_barrierattr_init(&mut attributes)), 0);
    let mut shared = -1;
    sys!(pthread_barrierattr_getpshared(&attributes, &mut shared));
    assert_eq!(shared, libc::PTHREAD_PROCESS_PRIVATE);
    let set = |how| {
        sys!(pthread_barrierattr_setpshared(
            (&raw const attributes).cast_mut(),
            how
        ))
    };
    assert_eq!(set(7), libc::EINVAL);
    assert_eq!(set(libc::PTHREAD_PROCESS_SHARED), 0);
    assert_eq!(sys!(pthread_barrier_init(page.at(0), &attributes, 3)), 0);
    let meet = || {
        (0..50)
            .filter(|_| sys!(pthread_barrier_wait(page.at(0))) != 0)
            .count()
    };
    let serial: &AtomicU32 = shared_counter();
    let child = || {
        spawn(|| {
            serial.fetch_add(meet() as u32, SeqCst);
            0
        })
    };
    let children = [child(), child()];
    serial.fetch_add(meet() as u32, SeqCst);
    for child in children {
        assert_eq!(wait(child), End::Exit(0));
    }
    assert_eq!(serial.load(SeqCst), 50);
}

fn a_child_may_destroy_what_only_its_parent_waits_on() {
    // glibc lets the child wait for threads that it does not have.
    if cfg!(target_env = "gnu") {
        return;
    }
    let page = Page::new(libc::MAP_PRIVATE);
    assert_eq!(sys!(pthread_mutex_init(page.at(0), null())), 0);
    assert_eq!(sys!(pthread_cond_init(page.at(1), null())), 0);
    assert_eq!(sys!(pthread_barrier_init(page.at(2), null(), 2)), 0);
    let waiters = [AtomicU32::new(0), AtomicU32::new(0)];
    let note = |i: usize| waiters[i].store(sys!(gettid()) as u32, SeqCst);
    let go = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            note(0);
            sys!(pthread_mutex_lock(page.at(0)));
            while go.load(SeqCst) == 0 {
                sys!(pthread_cond_wait(page.at(1), page.at(0)));
            }
            sys!(pthread_mutex_unlock(page.at(0)));
        });
        scope.spawn(|| {
            note(1);
            sys!(pthread_barrier_wait(page.at(2)));
        });
        for waiter in &waiters {
            until("it waits", || {
                let tid = waiter.load(SeqCst) as i32;
                tid != 0 && is_thread_asleep(std::process::id() as i32, tid)
            });
        }
        let end = end_of(|| {
            // Instead of for ever.
            sys!(alarm(20));
            let condition = sys!(pthread_cond_destroy(page.at(1)));
            let barrier = sys!(pthread_barrier_destroy(page.at(2)));
            i32::from((condition, barrier) != (0, 0))
        });
        assert_eq!(end, End::Exit(0));
        go.store(1, SeqCst);
        sys!(pthread_mutex_lock(page.at(0)));
        sys!(pthread_cond_signal(page.at(1)));
        sys!(pthread_mutex_unlock(page.at(0)));
        sys!(pthread_barrier_wait(page.at(2)));
    });
}

fn shared_counter() -> &'static AtomicU32 {
    crate::support::shared()
}

fn conditions_and_semaphores_work_across_processes() {
    let page = Page::new(libc::MAP_SHARED);
    let turn: &AtomicU32 = shared_counter();
    let mut mutex = zeroed();
    sys!(pthread_mutexattr_init(&mut mutex));
    let shared = libc::PTHREAD_PROCESS_SHARED;
    assert_eq!(sys!(pthread_mutexattr_setpshared(&mut mutex, shared)), 0);
    assert_eq!(sys!(pthread_mutex_init(page.at(0), &mutex)), 0);
    let mut condition = zeroed();
    sys!(pthread_condattr_init(&mut condition));
    assert_eq!(sys!(pthread_condattr_setpshared(&mut condition, shared)), 0);
    assert_eq!(sys!(pthread_cond_init(page.at(1), &condition)), 0);
    ok(sys!(sem_init(page.at(2), 1, 0)));
    let take_turns = |mine: u32| {
        for _ in 0..200 {
            sys!(pthread_mutex_lock(page.at(0)));
            while turn.load(SeqCst) != mine {
                sys!(pthread_cond_wait(page.at(1), page.at(0)));
            }
            turn.store(1 - mine, SeqCst);
            sys!(pthread_cond_signal(page.at(1)));
            sys!(pthread_mutex_unlock(page.at(0)));
        }
    };
    let child = spawn(|| {
        take_turns(1);
        times(200, || sys!(sem_post(page.at(2))));
        0
    });
    take_turns(0);
    times(200, || sys!(sem_wait(page.at(2))));
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(sys!(pthread_cond_destroy(page.at(1))), 0);
}

/// What every function that waits until a time says of it.
fn waits_until(at: &libc::timespec) -> Vec<(&'static str, c_int)> {
    let page = Page::new(libc::MAP_PRIVATE);
    assert_eq!(sys!(pthread_mutex_init(page.at(0), null())), 0);
    assert_eq!(sys!(pthread_cond_init(page.at(1), null())), 0);
    assert_eq!(sys!(pthread_rwlock_init(page.at(2), null())), 0);
    ok(sys!(sem_init(page.at(3), 0, 0)));
    sys!(pthread_mutex_lock(page.at(0)));
    let mut said = vec![(
        "cond",
        sys!(pthread_cond_timedwait(page.at(1), page.at(0), at)),
    )];
    // It holds the mutex again, and keeps it and the other lock from the thread.
    sys!(pthread_rwlock_wrlock(page.at(2)));
    let others = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            [
                ("mutex", sys!(pthread_mutex_timedlock(page.at(0), at))),
                ("reader", more::pthread_rwlock_timedrdlock(page.at(2), at)),
                ("writer", more::pthread_rwlock_timedwrlock(page.at(2), at)),
            ]
        });
        thread.join().expect("no panic")
    });
    said.extend(others);
    fails(sys!(sem_timedwait(page.at(3), at)), errno());
    said.push(("semaphore", errno()));
    said
}

fn a_time_before_the_epoch_has_passed() {
    for tv_sec in [-1, i64::MIN] {
        let mut at: libc::timespec = zeroed();
        at.tv_sec = tv_sec;
        for (what, said) in waits_until(&at) {
            assert_eq!(said, libc::ETIMEDOUT, "{what}");
        }
    }
}

fn a_nanosecond_too_many_is_refused() {
    let mut at: libc::timespec = zeroed();
    at.tv_nsec = 1_000_000_000;
    for (what, said) in waits_until(&at) {
        assert_eq!(said, libc::EINVAL, "{what}");
    }
}

fn mutex_of(page: &Page, kind: c_int) -> *mut libc::pthread_mutex_t {
    let mut attributes = zeroed();
    sys!(pthread_mutexattr_init(&mut attributes));
    assert_eq!(sys!(pthread_mutexattr_settype(&mut attributes, kind)), 0);
    assert_eq!(sys!(pthread_mutex_init(page.at(0), &attributes)), 0);
    page.at(0)
}

fn recursive_and_checking_mutexes_know_their_owner() {
    let page = Page::new(libc::MAP_PRIVATE);
    let mutex = mutex_of(&page, libc::PTHREAD_MUTEX_RECURSIVE);
    assert_eq!(sys!(pthread_mutex_lock(mutex)), 0);
    assert_eq!(sys!(pthread_mutex_trylock(mutex)), 0);
    let other = || {
        thread::scope(|scope| {
            let ask = || {
                let mutex = page.at(0);
                (
                    sys!(pthread_mutex_trylock(mutex)),
                    sys!(pthread_mutex_unlock(mutex)),
                )
            };
            scope.spawn(ask).join().expect("no panic")
        })
    };
    assert_eq!(other(), (libc::EBUSY, libc::EPERM));
    assert_eq!(sys!(pthread_mutex_unlock(mutex)), 0);
    assert_eq!(other(), (libc::EBUSY, libc::EPERM));
    assert_eq!(sys!(pthread_mutex_unlock(mutex)), 0);
    assert_eq!(other(), (0, 0));
    assert_eq!(sys!(pthread_mutex_unlock(mutex)), libc::EPERM);

    let mutex = mutex_of(&page, libc::PTHREAD_MUTEX_ERRORCHECK);
    assert_eq!(sys!(pthread_mutex_lock(mutex)), 0);
    assert_eq!(sys!(pthread_mutex_lock(mutex)), libc::EDEADLK);
    assert_eq!(sys!(pthread_mutex_trylock(mutex)), libc::EBUSY);
    assert_eq!(other(), (libc::EBUSY, libc::EPERM));
    assert_eq!(sys!(pthread_mutex_unlock(mutex)), 0);
    assert_eq!(sys!(pthread_mutex_unlock(mutex)), libc::EPERM);
}

fn a_wait_gives_up_a_recursive_mutex_and_takes_it_back() {
    let page = Page::new(libc::MAP_PRIVATE);
    let mutex = mutex_of(&page, libc::PTHREAD_MUTEX_RECURSIVE);
    assert_eq!(sys!(pthread_cond_init(page.at(1), null())), 0);
    let told = AtomicU32::new(0);
    thread::scope(|scope| {
        assert_eq!(sys!(pthread_mutex_lock(mutex)), 0);
        scope.spawn(|| {
            assert_eq!(sys!(pthread_mutex_lock(page.at(0))), 0);
            told.store(1, SeqCst);
            sys!(pthread_cond_signal(page.at(1)));
            assert_eq!(sys!(pthread_mutex_unlock(page.at(0))), 0);
        });
        while told.load(SeqCst) == 0 {
            assert_eq!(sys!(pthread_cond_wait(page.at(1), mutex)), 0);
        }
        assert_eq!(sys!(pthread_mutex_unlock(mutex)), 0);
        assert_eq!(sys!(pthread_mutex_unlock(mutex)), libc::EPERM);
    });
}

/// Four threads, a lock of each kind, and sums that only exclusion gets right.
fn everything_at_once() {
    let page = Arc::new(Page::new(libc::MAP_PRIVATE));
    assert_eq!(sys!(pthread_mutex_init(page.at(0), null())), 0);
    assert_eq!(sys!(pthread_cond_init(page.at(1), null())), 0);
    assert_eq!(sys!(pthread_rwlock_init(page.at(2), null())), 0);
    ok(sys!(sem_init(page.at(3), 0, 0)));
    assert_eq!(sys!(pthread_barrier_init(page.at(4), null(), 5)), 0);
    let work = |page: &Page| {
        let (sum, written) = (page.at::<u64>(5), page.at::<u64>(6));
        sys!(pthread_barrier_wait(page.at(4)));
        for n in 0..2000 {
            sys!(pthread_mutex_lock(page.at(0)));
            // SAFETY: under the mutex.
            unsafe { *sum += 1 };
            sys!(pthread_cond_signal(page.at(1)));
            sys!(pthread_mutex_unlock(page.at(0)));
            if n % 4 == 0 {
                sys!(pthread_rwlock_wrlock(page.at(2)));
                // SAFETY: nobody reads or writes meanwhile.
                unsafe { *written += 1 };
            } else {
                sys!(pthread_rwlock_rdlock(page.at(2)));
                // SAFETY: nobody writes meanwhile.
                let look = || unsafe { written.read_volatile() };
                assert_eq!(look(), look());
            }
            sys!(pthread_rwlock_unlock(page.at(2)));
        }
        ok(sys!(sem_post(page.at(3))));
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let page = page.clone();
            thread::spawn(move || work(&page))
        })
        .collect();
    sys!(pthread_barrier_wait(page.at(4)));
    sys!(pthread_mutex_lock(page.at(0)));
    // SAFETY: under the mutex.
    while unsafe { *page.at::<u64>(5) } < 8000 {
        sys!(pthread_cond_wait(page.at(1), page.at(0)));
    }
    sys!(pthread_mutex_unlock(page.at(0)));
    times(4, || sys!(sem_wait(page.at(3))));
    threads
        .into_iter()
        .for_each(|t| t.join().expect("no panic"));
    // SAFETY: all threads have ended.
    assert_eq!(unsafe { *page.at::<u64>(6) }, 2000);
}
