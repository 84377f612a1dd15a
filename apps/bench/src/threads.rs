//! Threads, locks and wake-ups.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Instant,
};

use crate::measure::{Measure, Sample, nanoseconds, repeat, repeat_timed};

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "thread",
        about: "a thread created and joined",
        limit: 20,
        run: create_join,
    },
    Measure {
        name: "mutex",
        about: "pthread mutex locked and unlocked, alone",
        limit: 10,
        run: pthread_mutex,
    },
    Measure {
        name: "mutex_std",
        about: "std's Mutex locked and unlocked, alone",
        limit: 10,
        run: std_mutex,
    },
    Measure {
        name: "futex_wake",
        about: "futex wake with nobody waiting",
        limit: 10,
        run: futex_wake,
    },
    Measure {
        name: "futex_to_run",
        about: "a waiting thread woken until it runs",
        limit: 20,
        run: futex_to_run,
    },
    Measure {
        name: "sched_yield",
        about: "sched_yield with nobody else to run",
        limit: 10,
        run: sched_yield,
    },
];

fn create_join() -> Result<Sample, String> {
    repeat(200, || {
        let thread = thread::Builder::new()
            .spawn(|| ())
            .map_err(|e| format!("thread: {e}"))?;
        thread.join().map_err(|_| "the thread panicked".to_owned())
    })
}

fn pthread_mutex() -> Result<Sample, String> {
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    let mutex = &raw mut mutex;
    repeat(10_000, || {
        // SAFETY: initialised above, and locked by this thread when it is unlocked.
        let errors = unsafe { libc::pthread_mutex_lock(mutex) | libc::pthread_mutex_unlock(mutex) };
        if errors == 0 {
            Ok(())
        } else {
            Err("pthread_mutex_lock failed".into())
        }
    })
}

fn std_mutex() -> Result<Sample, String> {
    let mutex = Mutex::new(0u32);
    repeat(10_000, || {
        *mutex.lock().map_err(|e| e.to_string())? += 1;
        Ok(())
    })
}

fn futex(word: &AtomicU32, operation: i32, value: u32) -> i64 {
    // SAFETY: the word outlives the call; no time limit is given.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation | libc::FUTEX_PRIVATE_FLAG,
            value,
            std::ptr::null::<libc::timespec>(),
        )
    }
}

fn futex_wake() -> Result<Sample, String> {
    let word = AtomicU32::new(0);
    repeat(5_000, || match futex(&word, libc::FUTEX_WAKE, 1) {
        0 => Ok(()),
        other => Err(format!("futex wake answered {other}")),
    })
}

/// Waits until the word has a value, by futex.
fn await_value(word: &AtomicU32, value: u32) {
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen == value {
            return;
        }
        futex(word, libc::FUTEX_WAIT, seen);
    }
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    futex(word, libc::FUTEX_WAKE, 1);
}

/// Two threads hand a value to and fro; half a round is one wake-up.
fn futex_to_run() -> Result<Sample, String> {
    const ROUNDS: u32 = 1_000;
    const STOP: u32 = u32::MAX;
    let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let other = Arc::clone(&words);
    let partner = thread::spawn(move || {
        let mut expected = 1;
        loop {
            let seen = other[0].load(Ordering::Acquire);
            if seen == STOP {
                return;
            }
            if seen < expected {
                futex(&other[0], libc::FUTEX_WAIT, seen);
                continue;
            }
            set(&other[1], expected);
            expected += 1;
        }
    });
    let mut turn = 0;
    let sample = repeat_timed(u64::from(ROUNDS) * 2, || {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            turn += 1;
            set(&words[0], turn);
            await_value(&words[1], turn);
        }
        Ok(nanoseconds(start))
    });
    set(&words[0], STOP);
    partner
        .join()
        .map_err(|_| "the partner panicked".to_owned())?;
    sample
}

fn sched_yield() -> Result<Sample, String> {
    repeat(5_000, || {
        // SAFETY: takes nothing.
        unsafe { libc::sched_yield() };
        Ok(())
    })
}
