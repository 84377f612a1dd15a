//! Futex storms: locks, conditions, barriers and semaphores between threads, and between processes through shared memory.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Barrier, Condvar, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::support::{End, expect_end, map_shared, spawn, spawn_status, unmap, zeroed};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => queue(rng),
        1 => locks(rng),
        2 => barriers(rng),
        3 => between_processes(rng),
        _ => killed_waiters(rng),
    }
}

/// A bounded queue under one lock and two conditions, some waits with a time limit.
fn queue(rng: &mut Rng) -> Result<()> {
    let (producers, consumers) = (rng.u64(1..5), rng.usize(1..5));
    let (each, room) = (rng.u64(10..400), rng.usize(1..8));
    let queue = Mutex::new((VecDeque::new(), producers));
    let (filled, emptied) = (Condvar::new(), Condvar::new());
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                for n in 1..=each {
                    let full = |state: &mut (VecDeque<u64>, u64)| state.0.len() >= room;
                    let mut state = emptied
                        .wait_while(queue.lock().expect("whole"), full)
                        .expect("whole");
                    state.0.push_back(n);
                    filled.notify_one();
                }
                queue.lock().expect("whole").1 -= 1;
                filled.notify_all();
            });
        }
        for _ in 0..consumers {
            scope.spawn(|| {
                loop {
                    let mut state = queue.lock().expect("whole");
                    while state.0.is_empty() && state.1 > 0 {
                        state = filled
                            .wait_timeout(state, Duration::from_millis(2))
                            .expect("whole")
                            .0;
                    }
                    let Some(n) = state.0.pop_front() else { return };
                    emptied.notify_one();
                    sum.fetch_add(n, SeqCst);
                }
            });
        }
    });
    let expected = producers * each * (each + 1) / 2;
    ensure!(
        sum.load(SeqCst) == expected,
        "the queue gave {} of {expected}",
        sum.load(SeqCst)
    );
    Ok(())
}

/// Counters that no two threads may change at once; readers see both or neither.
fn locks(rng: &mut Rng) -> Result<()> {
    let (threads, rounds) = (rng.u64(2..8), rng.u64(10..500));
    let (mutex, rwlock) = (Mutex::new(0u64), RwLock::new((0u64, 0u64)));
    let wrong = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 0..rounds {
                    *mutex.lock().expect("whole") += 1;
                    if round % 4 == 0 {
                        let mut pair = rwlock.write().expect("whole");
                        pair.0 += 1;
                        std::hint::spin_loop();
                        pair.1 += 1;
                    } else {
                        let pair = rwlock.read().expect("whole");
                        wrong.fetch_add(u32::from(pair.0 != pair.1), SeqCst);
                    }
                }
            });
        }
    });
    let (count, pair) = (
        *mutex.lock().expect("whole"),
        *rwlock.read().expect("whole"),
    );
    ensure!(
        count == threads * rounds,
        "the mutex let {} of {} pass",
        count,
        threads * rounds
    );
    ensure!(
        pair.0 == threads * rounds.div_ceil(4) && wrong.load(SeqCst) == 0,
        "the rwlock let two in: {pair:?}"
    );
    Ok(())
}

fn barriers(rng: &mut Rng) -> Result<()> {
    let (threads, rounds) = (rng.usize(2..8), rng.usize(1..40));
    let (barrier, leaders, wrong) = (Barrier::new(threads), AtomicU64::new(0), AtomicU32::new(0));
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (barrier, leaders, wrong) = (&barrier, &leaders, &wrong);
            scope.spawn(move || {
                for round in 1..=rounds as u64 {
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, SeqCst);
                    }
                    barrier.wait();
                    wrong.fetch_add(u32::from(leaders.load(SeqCst) != round), SeqCst);
                    barrier.wait();
                    _ = sender.send(round);
                }
            });
        }
        drop(sender);
        let sent: u64 = receiver.iter().sum();
        let rounds = rounds as u64;
        wrong.fetch_add(
            u32::from(sent != threads as u64 * rounds * (rounds + 1) / 2),
            SeqCst,
        );
    });
    ensure!(wrong.load(SeqCst) == 0, "a barrier or a channel was wrong");
    Ok(())
}

/// What processes share: a mutex, a condition, a semaphore, and what they guard.
#[repr(C)]
struct Shared {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: UnsafeCell<libc::pthread_cond_t>,
    room: UnsafeCell<libc::sem_t>,
    turn: UnsafeCell<u64>,
    inside: AtomicU32,
    word: AtomicU32,
}

/// Processes take turns in order, by a condition in shared memory; a semaphore lets two in at a time.
fn between_processes(rng: &mut Rng) -> Result<()> {
    let at = map_shared(size_of::<Shared>())?;
    // SAFETY: large enough, aligned to a page, zeroed, and mapped until the end of this function.
    let shared = unsafe { &*at.cast::<Shared>() };
    let mut mutex: libc::pthread_mutexattr_t = zeroed();
    let mut cond: libc::pthread_condattr_t = zeroed();
    sys!(pthread_mutexattr_init(&mut mutex));
    let error = sys!(pthread_mutexattr_setpshared(
        &mut mutex,
        libc::PTHREAD_PROCESS_SHARED
    ));
    ensure!(error == 0, "pthread_mutexattr_setpshared: error {error}");
    sys!(pthread_mutex_init(shared.mutex.get(), &mutex));
    sys!(pthread_condattr_init(&mut cond));
    let error = sys!(pthread_condattr_setpshared(
        &mut cond,
        libc::PTHREAD_PROCESS_SHARED
    ));
    ensure!(error == 0, "pthread_condattr_setpshared: error {error}");
    sys!(pthread_cond_init(shared.changed.get(), &cond));
    sys!(sem_init(shared.room.get(), 1, 2));
    let (processes, rounds) = (rng.u64(2..6), rng.u64(1..40));
    let mut children = Vec::new();
    for number in 0..processes {
        children.push(spawn(|| {
            for round in 0..rounds {
                let mine = round * processes + number;
                ensure!(sys!(pthread_mutex_lock(shared.mutex.get())) == 0, "lock");
                // SAFETY: only touched with the mutex held.
                while unsafe { *shared.turn.get() } != mine {
                    ensure!(
                        sys!(pthread_cond_wait(shared.changed.get(), shared.mutex.get())) == 0,
                        "wait"
                    );
                }
                // SAFETY: as above.
                unsafe { *shared.turn.get() += 1 };
                sys!(pthread_cond_broadcast(shared.changed.get()));
                ensure!(
                    sys!(pthread_mutex_unlock(shared.mutex.get())) == 0,
                    "unlock"
                );

                call!(sem_wait(shared.room.get()))?;
                let inside = shared.inside.fetch_add(1, SeqCst);
                ensure!(inside < 2, "{inside} were let in before");
                shared.inside.fetch_sub(1, SeqCst);
                call!(sem_post(shared.room.get()))?;
            }
            Ok(())
        })?);
    }
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))?;
    // SAFETY: the children are gone.
    let turns = unsafe { *shared.turn.get() };
    ensure!(
        turns == processes * rounds,
        "{turns} turns of {}",
        processes * rounds
    );
    sys!(pthread_cond_destroy(shared.changed.get()));
    sys!(pthread_mutex_destroy(shared.mutex.get()));
    sys!(sem_destroy(shared.room.get()));
    unmap(at, size_of::<Shared>())
}

fn futex(word: &AtomicU32, operation: i32, value: u32) -> i64 {
    let none = std::ptr::null::<libc::timespec>();
    sys!(syscall(
        libc::SYS_futex,
        word.as_ptr(),
        operation,
        value,
        none,
        0usize,
        0u32
    )) as i64
}

/// Waiters on one word of shared memory: some are killed, all others wake.
fn killed_waiters(rng: &mut Rng) -> Result<()> {
    let at = map_shared(size_of::<Shared>())?;
    // SAFETY: large enough, aligned to a page, zeroed, and mapped until the end of this function.
    let shared = unsafe { &*at.cast::<Shared>() };
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..10) {
        let pid = spawn_status(|| {
            shared.inside.fetch_add(1, SeqCst);
            while shared.word.load(SeqCst) == 0 {
                futex(&shared.word, libc::FUTEX_WAIT, 0);
            }
            6
        })?;
        children.push((pid, rng.bool()));
    }
    if rng.bool() {
        while (shared.inside.load(SeqCst) as usize) < children.len() {
            thread::yield_now();
        }
    }
    for (pid, _) in children.iter().filter(|(_, dies)| *dies) {
        call!(kill(*pid, libc::SIGKILL))?;
    }
    let dying: Vec<i32> = children
        .iter()
        .filter(|(_, dies)| *dies)
        .map(|(pid, _)| *pid)
        .collect();
    dying
        .into_iter()
        .try_for_each(|pid| expect_end(pid, End::Signal(libc::SIGKILL)))?;
    shared.word.store(1, SeqCst);
    let woken = futex(&shared.word, libc::FUTEX_WAKE, i32::MAX as u32);
    ensure!(woken >= 0, "FUTEX_WAKE failed");
    for (pid, _) in children.iter().filter(|(_, dies)| !*dies) {
        expect_end(*pid, End::Exit(6)).context("a waiter")?;
    }
    unmap(at, size_of::<Shared>())
}
