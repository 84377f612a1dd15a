//! One word per thread that settles the race between going to sleep and being woken.
//!
//! The owner moves it from *awake* to *drowsy* before it looks at what it waits for, and from *drowsy* to *parked* when it gives up
//! its core. A waker moves it back to *awake*, and puts the thread on a run queue only if it found it *parked*. Of the fences, one
//! stands between the owner's mark and its look, one between the waker's deed and its look at the mark: at least one of the two
//! sees the other's write, whatever kind of memory the condition lies in. See docs/waiting.md; `tests/wait_model.rs` checks this
//! very file.

use crate::base::sync::atomic::{AtomicU32, Ordering, fence};

/// On a core or on a run queue.
const AWAKE: u32 = 0;
/// On a core, about to sleep unless woken first.
const DROWSY: u32 = 1;
/// Off the core until woken.
const PARKED: u32 = 2;
/// Never to run again.
const DEAD: u32 = 3;

/// Where a thread is in the sleep protocol.
pub struct SleepWord(AtomicU32);

impl Default for SleepWord {
    fn default() -> Self {
        Self::new()
    }
}

impl SleepWord {
    pub fn new() -> Self {
        SleepWord(AtomicU32::new(AWAKE))
    }

    /// The owner is about to look at its condition, and sleeps if that does not hold.
    pub fn prepare(&self) {
        self.0.store(DROWSY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The owner does not want to sleep after all.
    pub fn cancel(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the owner, not having been woken since [`prepare`](Self::prepare), is to give up its core. Whoever wakes it
    /// from here on puts it on a run queue.
    pub fn park(&self) -> bool {
        self.0
            .compare_exchange(DROWSY, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Ends the owner's sleep, or its attempt to. True if it was parked: the caller, and nobody else, makes it run.
    #[must_use = "a parked thread runs only if it is put on a run queue"]
    pub fn wake(&self) -> bool {
        fence(Ordering::SeqCst);
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen == DROWSY || seen == PARKED {
            match self
                .0
                .compare_exchange(seen, AWAKE, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return seen == PARKED,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// The owner has run for the last time.
    pub fn bury(&self) {
        self.0.store(DEAD, Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        self.0.load(Ordering::SeqCst) == DEAD
    }

    /// Whether the owner is off its core, waiting for something.
    pub fn is_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PARKED
    }
}
