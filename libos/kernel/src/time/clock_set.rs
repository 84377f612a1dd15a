//! Who waits for a time of day: sleepers and timers, to be told when the clock is set.

use super::Deadline;
use crate::base::{Result, SpinLock};
use crate::process::current;
use crate::process::wait::{Ends, Wake, sleep_until};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound::{Excluded, Unbounded};

/// Those that wait, by a number that each has for itself. Anybody may have any number of timers, so none is searched for.
pub struct ClockSet {
    /// Leaf but for the kernel heap, whose small requests do not fail.
    waiting: SpinLock<BTreeMap<usize, Arc<dyn Wake>>>,
}

impl ClockSet {
    pub(super) const fn new() -> ClockSet {
        ClockSet {
            waiting: SpinLock::new(BTreeMap::new()),
        }
    }

    /// `target` is told from now on. Step 1 of the sleep protocol ([`crate::process::wait`]): whoever sets the clock sets it first and
    /// then takes the lock, so either `target` is found or it finds the clock set.
    pub fn add(&self, key: usize, target: Arc<dyn Wake>) {
        self.waiting.lock().insert(key, target);
    }

    pub fn remove(&self, key: usize) {
        let gone = self.waiting.lock().remove(&key);
        drop(gone);
    }

    /// Sleeps until `condition`, which looks at the clock, gives a value. Ends as [`crate::process::wait::WaitQueue::wait`] does.
    pub fn wait<T>(&self, deadline: Deadline, condition: impl FnMut() -> Option<T>) -> Result<T> {
        let (me, at) = (current(), deadline.monotonic());
        let key = Arc::as_ptr(me).addr();
        self.add(key, me.clone());
        let outcome = sleep_until(Some(at), Ends::AtSignal, condition);
        self.remove(key);
        outcome
    }

    /// The clock has been set. Each is told with the lock released: a timer has one of its own.
    pub(super) fn wake_all(&self) {
        let mut after = Unbounded;
        loop {
            let waiting = self.waiting.lock();
            let next = waiting.range((after, Unbounded)).next();
            let Some((key, target)) = next.map(|(key, target)| (*key, target.clone())) else {
                return;
            };
            drop(waiting);
            target.wake();
            after = Excluded(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// Leaves, and lets another leave, when it is told.
    struct Leaver {
        set: Arc<ClockSet>,
        keys: [usize; 2],
        told: AtomicUsize,
    }

    impl Wake for Leaver {
        fn wake(&self) {
            self.keys.iter().for_each(|key| self.set.remove(*key));
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_are_there_are_told_once() {
        let set = Arc::new(ClockSet::new());
        let leavers = [[1, 2], [2, 3], [3, 0], [4, 0], [5, 0]].map(|keys| {
            let (set, told) = (set.clone(), AtomicUsize::new(0));
            Arc::new(Leaver { set, keys, told })
        });
        for leaver in &leavers {
            set.add(leaver.keys[0], leaver.clone());
        }
        set.remove(4);
        set.wake_all();
        set.wake_all();
        let told = leavers.map(|l| l.told.load(Ordering::Relaxed));
        assert_eq!(told, [1, 0, 1, 0, 1]);
    }
}
