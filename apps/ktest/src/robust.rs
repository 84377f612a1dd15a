//! Robust mutexes: what the next owner is told when one dies, and what it may do about it.

use crate::locks::Page;
use crate::more;
use crate::support::*;
use libc::{EBUSY, EINVAL, ENOTRECOVERABLE, EOWNERDEAD, EPERM, pthread_mutex_t};
use std::ffi::c_int;
use std::ptr::null;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

crate::harness::tests![
    attributes_are_kept,
    without_a_death_they_are_mutexes,
    every_kind_keeps_its_rules,
    a_thread_that_ends_leaves_its_mutex_to_the_next,
    who_waits_is_woken_by_the_death,
    all_that_a_thread_holds_is_released,
    a_detached_thread_leaves_its_mutexes_however_many_have_ended,
    a_killed_process_leaves_its_mutex_to_the_next,
    an_exec_leaves_the_mutex_to_the_next,
    a_mended_mutex_is_as_new,
    what_nobody_mends_is_lost_to_all,
    a_second_death_is_told_again,
    a_wait_on_a_condition_tells_of_a_death,
    a_child_of_a_fork_holds_nothing,
    owners_are_killed_at_any_moment: Native,
];

const ROBUST: c_int = 1;
const STALLED: c_int = 0;

/// A robust mutex at a place of the page.
fn robust(page: &Page, index: usize, kind: c_int, shared: bool) -> *mut pthread_mutex_t {
    let mut attributes = zeroed();
    assert_eq!(sys!(pthread_mutexattr_init(&mut attributes)), 0);
    assert_eq!(
        sys!(pthread_mutexattr_setrobust(&mut attributes, ROBUST)),
        0
    );
    assert_eq!(sys!(pthread_mutexattr_settype(&mut attributes, kind)), 0);
    if shared {
        let how = libc::PTHREAD_PROCESS_SHARED;
        assert_eq!(sys!(pthread_mutexattr_setpshared(&mut attributes, how)), 0);
    }
    assert_eq!(sys!(pthread_mutex_init(page.at(index), &attributes)), 0);
    page.at(index)
}

fn normal(page: &Page, shared: bool) -> *mut pthread_mutex_t {
    robust(page, 0, libc::PTHREAD_MUTEX_NORMAL, shared)
}

fn lock(m: *mut pthread_mutex_t) -> c_int {
    sys!(pthread_mutex_lock(m))
}

fn try_lock(m: *mut pthread_mutex_t) -> c_int {
    sys!(pthread_mutex_trylock(m))
}

fn unlock(m: *mut pthread_mutex_t) -> c_int {
    sys!(pthread_mutex_unlock(m))
}

fn mend(m: *mut pthread_mutex_t) -> c_int {
    sys!(pthread_mutex_consistent(m))
}

/// Runs `body` in a thread to its end.
fn in_thread(body: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(body).join().expect("no panic"));
}

fn die_with(page: &Page) {
    in_thread(|| assert_eq!(lock(page.at(0)), 0));
}

fn attributes_are_kept() {
    let mut attributes = zeroed();
    let mut found = -1;
    sys!(pthread_mutexattr_init(&mut attributes));
    assert_eq!(
        sys!(pthread_mutexattr_getrobust(&attributes, &mut found)),
        0
    );
    assert_eq!(found, STALLED);
    assert_eq!(
        sys!(pthread_mutexattr_setrobust(&mut attributes, 7)),
        EINVAL
    );
    assert_eq!(
        sys!(pthread_mutexattr_setrobust(&mut attributes, ROBUST)),
        0
    );
    let kind = libc::PTHREAD_MUTEX_RECURSIVE;
    assert_eq!(sys!(pthread_mutexattr_settype(&mut attributes, kind)), 0);
    assert_eq!(
        sys!(pthread_mutexattr_getrobust(&attributes, &mut found)),
        0
    );
    assert_eq!(found, ROBUST);
    assert_eq!(more::pthread_mutexattr_gettype(&attributes, &mut found), 0);
    assert_eq!(found, kind);
    assert_eq!(
        sys!(pthread_mutexattr_setrobust(&mut attributes, STALLED)),
        0
    );
    assert_eq!(
        sys!(pthread_mutexattr_getrobust(&attributes, &mut found)),
        0
    );
    assert_eq!(found, STALLED);
}

fn without_a_death_they_are_mutexes() {
    for shared in [false, true] {
        let page = Page::new(libc::MAP_SHARED);
        let mutex = normal(&page, shared);
        assert_eq!(mend(mutex), EINVAL, "nobody holds it");
        let sum = page.at::<u64>(1);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3000 {
                        assert_eq!(lock(page.at(0)), 0);
                        // SAFETY: under the mutex.
                        unsafe { *page.at::<u64>(1) += 1 };
                        assert_eq!(unlock(page.at(0)), 0);
                    }
                });
            }
        });
        // SAFETY: all threads have ended.
        assert_eq!(unsafe { *sum }, 12_000);
        assert_eq!(lock(mutex), 0);
        assert_eq!(mend(mutex), EINVAL, "there is nothing to mend");
        in_thread(|| {
            assert_eq!(try_lock(page.at(0)), EBUSY);
            assert_eq!(unlock(page.at(0)), EPERM);
            let past: libc::timespec = zeroed();
            let timed = sys!(pthread_mutex_timedlock(page.at(0), &past));
            assert_eq!(timed, libc::ETIMEDOUT);
        });
        assert_eq!(unlock(mutex), 0);
        assert_eq!(sys!(pthread_mutex_destroy(mutex)), 0);
    }
}

fn every_kind_keeps_its_rules() {
    let page = Page::new(libc::MAP_PRIVATE);
    let mutex = robust(&page, 0, libc::PTHREAD_MUTEX_RECURSIVE, false);
    assert_eq!(lock(mutex), 0);
    assert_eq!(lock(mutex), 0);
    assert_eq!(try_lock(mutex), 0);
    for _ in 0..3 {
        in_thread(|| assert_eq!(try_lock(page.at(0)), EBUSY));
        assert_eq!(unlock(mutex), 0);
    }
    assert_eq!(unlock(mutex), EPERM);
    in_thread(|| {
        assert_eq!(lock(page.at(0)), 0);
        assert_eq!(lock(page.at(0)), 0);
    });
    assert_eq!(lock(mutex), EOWNERDEAD);
    assert_eq!(mend(mutex), 0);
    assert_eq!(unlock(mutex), 0);
    assert_eq!(unlock(mutex), EPERM, "the dead one's depth is gone");

    let mutex = robust(&page, 0, libc::PTHREAD_MUTEX_ERRORCHECK, false);
    assert_eq!(lock(mutex), 0);
    assert_eq!(lock(mutex), libc::EDEADLK);
    assert_eq!(unlock(mutex), 0);
    assert_eq!(unlock(mutex), EPERM);

    let page = Page::new(libc::MAP_PRIVATE);
    assert_eq!(sys!(pthread_mutex_init(page.at(0), null())), 0);
    lock(page.at(0));
    assert_eq!(mend(page.at(0)), EINVAL, "not a robust one");
}

fn a_thread_that_ends_leaves_its_mutex_to_the_next() {
    for shared in [false, true] {
        let page = Page::new(libc::MAP_SHARED);
        let mutex = normal(&page, shared);
        die_with(&page);
        assert_eq!(lock(mutex), EOWNERDEAD);
        assert_eq!(mend(mutex), 0);
        assert_eq!(mend(mutex), EINVAL, "once is enough");
        assert_eq!(unlock(mutex), 0);
        die_with(&page);
        assert_eq!(try_lock(mutex), EOWNERDEAD);
        assert_eq!(unlock(mutex), 0);
    }
}

/// Waits until the thread of that number sleeps.
fn until_asleep(pid: i32, tid: i32) {
    until("it sleeps", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat"));
        stat.is_ok_and(|s| s.rsplit(") ").next().is_some_and(|s| s.starts_with('S')))
    });
}

fn tid() -> i32 {
    sys!(syscall(libc::SYS_gettid)) as i32
}

fn who_waits_is_woken_by_the_death() {
    let page = Page::new(libc::MAP_PRIVATE);
    normal(&page, false);
    let (holds, waiter) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lock(page.at(0)), 0);
            holds.store(1, SeqCst);
            until("somebody waits", || waiter.load(SeqCst) != 0);
            until_asleep(std::process::id() as i32, waiter.load(SeqCst) as i32);
        });
        until("it is held", || holds.load(SeqCst) == 1);
        let waits = scope.spawn(|| {
            waiter.store(tid() as u32, SeqCst);
            assert_eq!(lock(page.at(0)), EOWNERDEAD);
            assert_eq!(mend(page.at(0)), 0);
            assert_eq!(unlock(page.at(0)), 0);
        });
        waits.join().expect("no panic");
    });
    assert_eq!(lock(page.at(0)), 0);
}

fn all_that_a_thread_holds_is_released() {
    let page = Page::new(libc::MAP_PRIVATE);
    for i in 0..8 {
        robust(&page, i, libc::PTHREAD_MUTEX_NORMAL, false);
    }
    in_thread(|| {
        for i in [0, 1, 2, 3, 4, 5, 6, 7] {
            assert_eq!(lock(page.at(i)), 0);
        }
        // First, last and in between.
        for i in [0, 4, 7] {
            assert_eq!(unlock(page.at(i)), 0);
        }
        assert_eq!(lock(page.at(4)), 0);
    });
    for (i, expected) in [0, 1, 1, 1, 1, 1, 1, 0].into_iter().enumerate() {
        let expected = [0, EOWNERDEAD][expected];
        assert_eq!(lock(page.at(i)), expected, "mutex {i}");
    }
}

/// A library may keep the stacks of some ended threads; any other goes with its thread, and the list of its mutexes on it.
fn a_detached_thread_leaves_its_mutexes_however_many_have_ended() {
    let page: &Page = Box::leak(Box::new(Page::new(libc::MAP_PRIVATE)));
    for i in 0..3 {
        robust(page, i, libc::PTHREAD_MUTEX_NORMAL, i == 2);
    }
    let (holder, waiter, go): (&AtomicU32, &AtomicU32, &AtomicU32) = (shared(), shared(), shared());
    let others: Vec<_> = (0..40)
        .map(|_| thread::spawn(|| until("they may end", || holder.load(SeqCst) != 0)))
        .collect();
    // Nobody joins it.
    thread::spawn(|| {
        (0..3).for_each(|i| assert_eq!(lock(page.at(i)), 0));
        holder.store(1, SeqCst);
        until("it may end", || go.load(SeqCst) == 1);
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            until("they are held", || holder.load(SeqCst) == 1);
            waiter.store(tid() as u32, SeqCst);
            assert_eq!(lock(page.at(0)), EOWNERDEAD);
            waiter.store(0, SeqCst);
        });
        for other in others {
            other.join().expect("no panic");
        }
        until("it is there", || waiter.load(SeqCst) != 0);
        until_asleep(std::process::id() as i32, waiter.load(SeqCst) as i32);
        go.store(1, SeqCst);
        until("it is woken", || waiter.load(SeqCst) == 0);
    });
    assert_eq!(lock(page.at(1)), EOWNERDEAD);
    assert_eq!(lock(page.at(2)), EOWNERDEAD);
}

fn a_killed_process_leaves_its_mutex_to_the_next() {
    let page = Page::new(libc::MAP_SHARED);
    let mutex = normal(&page, true);
    let held: &AtomicU32 = shared();
    let holder = || {
        spawn(|| {
            if lock(page.at(0)) == 0 {
                held.fetch_add(1, SeqCst);
            }
            loop {
                sys!(pause());
            }
        })
    };
    let child = holder();
    until("it is held", || held.load(SeqCst) == 1);
    assert_eq!(try_lock(mutex), EBUSY);
    sys!(kill(child, libc::SIGKILL));
    assert_eq!(lock(mutex), EOWNERDEAD, "waiting or not");
    wait(child);
    assert_eq!(mend(mutex), 0);
    assert_eq!(unlock(mutex), 0);
    // One process waits for it, another one dies with it.
    let child = holder();
    until("it is held", || held.load(SeqCst) == 2);
    let waiter = spawn(|| i32::from(lock(page.at(0)) != EOWNERDEAD));
    until_asleep(waiter, waiter);
    sys!(kill(child, libc::SIGKILL));
    assert_eq!(wait(waiter), End::Exit(0));
    wait(child);
    assert_eq!(lock(mutex), EOWNERDEAD, "the second one died with it, too");
}

fn an_exec_leaves_the_mutex_to_the_next() {
    let page = Page::new(libc::MAP_SHARED);
    let mutex = normal(&page, true);
    let child = spawn(|| {
        assert_eq!(lock(page.at(0)), 0);
        crate::helper::become_helper(&["exit", "0"])
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(lock(mutex), EOWNERDEAD);
}

fn a_mended_mutex_is_as_new() {
    let page = Page::new(libc::MAP_PRIVATE);
    let mutex = normal(&page, false);
    for _ in 0..3 {
        die_with(&page);
        assert_eq!(lock(mutex), EOWNERDEAD);
        in_thread(|| assert_eq!(try_lock(page.at(0)), EBUSY));
        assert_eq!(mend(mutex), 0);
        assert_eq!(unlock(mutex), 0);
        assert_eq!(lock(mutex), 0);
        assert_eq!(unlock(mutex), 0);
    }
}

/// glibc 2.36 wakes only one of those whom it should tell that the mutex is lost.
const WAITERS: usize = if cfg!(target_env = "gnu") { 1 } else { 3 };

fn what_nobody_mends_is_lost_to_all() {
    for shared in [false, true] {
        let page = Page::new(libc::MAP_SHARED);
        let mutex = normal(&page, shared);
        die_with(&page);
        assert_eq!(lock(mutex), EOWNERDEAD);
        let waiters = [const { AtomicU32::new(0) }; WAITERS];
        thread::scope(|scope| {
            let page = &page;
            let threads = waiters.each_ref().map(|waiter| {
                scope.spawn(move || {
                    waiter.store(tid() as u32, SeqCst);
                    lock(page.at(0))
                })
            });
            for waiter in &waiters {
                until("it is there", || waiter.load(SeqCst) != 0);
                until_asleep(std::process::id() as i32, waiter.load(SeqCst) as i32);
            }
            assert_eq!(unlock(mutex), 0);
            for thread in threads {
                assert_eq!(thread.join().expect("no panic"), ENOTRECOVERABLE);
            }
        });
        assert_eq!(lock(mutex), ENOTRECOVERABLE);
        assert_eq!(try_lock(mutex), ENOTRECOVERABLE);
        assert_eq!(mend(mutex), EINVAL);
        assert_eq!(sys!(pthread_mutex_destroy(mutex)), 0);
        // What remains is to begin anew.
        let mutex = normal(&page, shared);
        assert_eq!(lock(mutex), 0);
        assert_eq!(unlock(mutex), 0);
    }
}

fn a_second_death_is_told_again() {
    let page = Page::new(libc::MAP_PRIVATE);
    normal(&page, false);
    die_with(&page);
    in_thread(|| assert_eq!(lock(page.at(0)), EOWNERDEAD));
    in_thread(|| {
        assert_eq!(lock(page.at(0)), EOWNERDEAD);
        assert_eq!(mend(page.at(0)), 0);
    });
    assert_eq!(lock(page.at(0)), EOWNERDEAD);
}

fn a_wait_on_a_condition_tells_of_a_death() {
    let page = Page::new(libc::MAP_PRIVATE);
    normal(&page, false);
    assert_eq!(sys!(pthread_cond_init(page.at(1), null())), 0);
    let waiter = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lock(page.at(0)), 0);
            waiter.store(1, SeqCst);
            let told = sys!(pthread_cond_wait(page.at(1), page.at(0)));
            assert_eq!(told, EOWNERDEAD);
            assert_eq!(mend(page.at(0)), 0);
            assert_eq!(unlock(page.at(0)), 0);
        });
        until("it waits", || waiter.load(SeqCst) == 1);
        scope.spawn(|| {
            assert_eq!(lock(page.at(0)), 0);
            sys!(pthread_cond_signal(page.at(1)));
        });
    });
    assert_eq!(lock(page.at(0)), 0);
}

fn a_child_of_a_fork_holds_nothing() {
    let page = Page::new(libc::MAP_SHARED);
    let mutex = normal(&page, true);
    assert_eq!(lock(mutex), 0);
    let child = spawn(|| {
        let seen = (try_lock(page.at(0)), unlock(page.at(0)));
        // A mutex of its own makes a list of its own.
        let own = robust(&page, 1, libc::PTHREAD_MUTEX_NORMAL, true);
        i32::from(seen != (EBUSY, EPERM) || lock(own) != 0)
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(lock(page.at(1)), EOWNERDEAD);
    assert_eq!(unlock(mutex), 0);
    in_thread(|| assert_eq!(lock(page.at(0)), 0, "no death has been told"));
}

/// Processes lock and unlock and are killed anywhere in between; nobody ever waits in vain.
fn owners_are_killed_at_any_moment() {
    let page = Page::new(libc::MAP_SHARED);
    normal(&page, true);
    let rounds: &AtomicU32 = shared();
    let worker = || {
        spawn(|| {
            loop {
                match lock(page.at(0)) {
                    0 => {}
                    EOWNERDEAD => assert_eq!(mend(page.at(0)), 0),
                    other => return other,
                }
                rounds.fetch_add(1, SeqCst);
                assert_eq!(unlock(page.at(0)), 0);
            }
        })
    };
    let mut workers = [worker(), worker(), worker()];
    for round in 0..300u32 {
        let seen = rounds.load(SeqCst);
        until("somebody gets on", || {
            rounds.load(SeqCst).wrapping_sub(seen) >= round % 7
        });
        let victim = &mut workers[round as usize % 3];
        sys!(kill(*victim, libc::SIGKILL));
        assert_eq!(wait(*victim), End::Signal(libc::SIGKILL));
        *victim = worker();
    }
    for worker in workers {
        sys!(kill(worker, libc::SIGKILL));
        wait(worker);
    }
}
