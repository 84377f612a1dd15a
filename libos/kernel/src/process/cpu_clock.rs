//! How long a thread has been on a core, for others to read while it runs.
//!
//! Only the core that runs the thread changes its clock. The count is odd meanwhile, so that a reader on another core sees both
//! words of one moment, and no core time is told that the next reading takes back. `tests/wait_model.rs` checks this very file.

use crate::base::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::base::sync::relax;
use crate::time::monotonic_ns;

/// A thread's processor time.
pub struct CpuClock {
    sequence: AtomicU32,
    /// Monotonic ns up to which it is booked; 0 off a core.
    since: AtomicU64,
    /// What is booked, ns.
    booked: AtomicU64,
}

impl Default for CpuClock {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuClock {
    pub const fn new() -> Self {
        CpuClock {
            sequence: AtomicU32::new(0),
            since: AtomicU64::new(0),
            booked: AtomicU64::new(0),
        }
    }

    /// Books the time since the last booking, and goes on or stops. Returns that time, and the end of it.
    fn book(&self, goes_on: bool) -> (u64, u64) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Whoever sees one of the new words sees the odd number; and the clock is read after that is written.
        fence(Ordering::SeqCst);
        let (now, since) = (monotonic_ns(), self.since.load(Ordering::Relaxed));
        let ran = if since == 0 { 0 } else { now - since };
        let booked = self.booked.load(Ordering::Relaxed);
        self.booked.store(booked + ran, Ordering::Relaxed);
        let since = if goes_on { now } else { 0 };
        self.since.store(since, Ordering::Relaxed);
        let sequence = sequence.wrapping_add(2);
        self.sequence.store(sequence, Ordering::Release);
        (ran, now)
    }

    /// Books what the running thread has had since the last time; returns it, ns.
    pub fn advance(&self) -> u64 {
        self.book(true).0
    }

    /// The thread leaves its core; returns the time.
    pub fn stop(&self) -> u64 {
        self.book(false).1
    }

    /// The thread is on a core from `now` on.
    pub fn start(&self, now: u64) {
        // One word: there is nothing to tear.
        self.since.store(now, Ordering::Relaxed);
    }

    /// The time on a core so far, ns, the current stretch included.
    pub fn read(&self) -> u64 {
        loop {
            let sequence = self.sequence.load(Ordering::Acquire);
            let since = self.since.load(Ordering::Relaxed);
            let booked = self.booked.load(Ordering::Relaxed);
            let stretch = match since {
                0 => 0,
                since => monotonic_ns().saturating_sub(since),
            };
            fence(Ordering::SeqCst);
            if sequence.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == sequence {
                return booked + stretch;
            }
            relax();
        }
    }
}
