//! A lock that may be held while sleeping, for what takes as long as a disk or a page fault does.

use crate::base::sync::atomic::{AtomicU32, Ordering};
use crate::process::wait::{Ends, WaitQueue};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// Uncontended: one compare-and-swap to take, one swap to give back.
pub struct SleepLock {
    state: AtomicU32,
    queue: WaitQueue,
}

/// Gives the lock back when dropped.
pub struct SleepGuard<'a>(&'a SleepLock);

impl Default for SleepLock {
    fn default() -> Self {
        Self::new()
    }
}

impl SleepLock {
    pub const fn new() -> Self {
        SleepLock {
            state: AtomicU32::new(FREE),
            queue: WaitQueue::new(),
        }
    }

    pub fn lock(&self) -> SleepGuard<'_> {
        if self
            .state
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.lock_slow();
        }
        SleepGuard(self)
    }

    /// Gives the lock back without a guard.
    pub(crate) fn release(&self) {
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            self.queue.wake_one();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        // Whoever got here leaves the state contended, so that its own release wakes the next. Not even death ends the wait:
        // the holder is on its way out, and its data must be left consistent.
        let taken = self.queue.wait_turn(None, Ends::Never, || {
            (self.state.swap(CONTENDED, Ordering::Acquire) == FREE).then_some(())
        });
        debug_assert!(taken.is_ok(), "a wait that nothing ends");
    }
}

impl Drop for SleepGuard<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
