//! Who sleeps on which futex: wait queues by hash of the word's key.
//!
//! A waiter hangs in a bucket under a key: the address space and address for private words, what is mapped and the place in it for
//! words that processes share. The word is read under the bucket's lock, and wakers take it too, so no wake-up falls between look and sleep.
//! A waiter that is woken has been taken off its bucket, and knows it; one that leaves for another reason takes itself off.

use super::wait::{Ends, Removed, WaitQueue, Wake, sleep_until};
use super::{Thread, current};
use crate::base::Result;
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use alloc::sync::Arc;

/// What two threads must agree on to mean the same word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(pub usize, pub usize);

/// A thread on a bucket. Key and bucket change under the locks of all buckets concerned.
pub struct Waiter {
    key: [AtomicUsize; 2],
    bucket: AtomicUsize,
    bits: u32,
    thread: Arc<Thread>,
}

/// The bucket of a waiter that has been woken.
const NOWHERE: usize = usize::MAX;

impl Waiter {
    fn new(key: Key, bucket: usize, bits: u32) -> Waiter {
        let waiter = Waiter {
            key: [const { AtomicUsize::new(0) }; 2],
            bucket: AtomicUsize::new(NOWHERE),
            bits,
            thread: current().clone(),
        };
        waiter.put(key, bucket);
        waiter
    }

    fn put(&self, key: Key, bucket: usize) {
        self.key[0].store(key.0, Ordering::Relaxed);
        self.key[1].store(key.1, Ordering::Relaxed);
        self.bucket.store(bucket, Ordering::Release);
    }

    fn is_woken(&self) -> bool {
        self.bucket.load(Ordering::Acquire) == NOWHERE
    }

    fn waits_for(&self, key: Key) -> bool {
        self.key[0].load(Ordering::Relaxed) == key.0 && self.key[1].load(Ordering::Relaxed) == key.1
    }
}

impl Wake for Waiter {
    fn wake(&self) {
        self.bucket.store(NOWHERE, Ordering::Release);
        self.thread.wake_up();
    }
}

/// The waiters, in `N` buckets. A bucket's lock is taken with no other lock held but another bucket's at a lower address.
pub struct Futexes<const N: usize> {
    buckets: [WaitQueue<Waiter>; N],
}

impl<const N: usize> Default for Futexes<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Futexes<N> {
    pub const fn new() -> Self {
        Futexes {
            buckets: [const { WaitQueue::empty() }; N],
        }
    }

    fn bucket_of(&self, key: Key) -> usize {
        let h = (key.0 ^ key.1.rotate_left(20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (h >> 56) % N
    }

    /// Sleeps on `key` if `holds` agrees, which is called with the bucket locked, until it is woken for one of `bits`. A signal ends
    /// it with `ERESTARTSYS`, the monotonic `deadline` (ns) with `ETIMEDOUT`. Whoever changes the deadline wakes the thread.
    pub fn wait(
        &self,
        key: Key,
        bits: u32,
        deadline: impl Fn() -> Option<u64>,
        holds: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let index = self.bucket_of(key);
        let waiter = Arc::new(Waiter::new(key, index, bits));
        let id = Arc::as_ptr(&waiter) as usize;
        self.buckets[index].add_if(id, waiter.clone(), holds)?;
        let outcome = loop {
            let at = deadline();
            let woken = sleep_until(at, Ends::AtSignal, || match waiter.is_woken() {
                true => Some(true),
                false => (deadline() != at).then_some(false),
            });
            match woken {
                Ok(false) => {}
                woken => break woken.map(|_| ()),
            }
        };
        if outcome.is_err() {
            self.leave(id, &waiter);
            // A waker that was quicker has counted us: the wake-up must not be lost.
            if waiter.is_woken() {
                return Ok(());
            }
        }
        outcome
    }

    /// Takes a waiter that gives up off its bucket, unless a waker has done so.
    fn leave(&self, id: usize, waiter: &Waiter) {
        loop {
            let bucket = waiter.bucket.load(Ordering::Acquire);
            if bucket == NOWHERE || self.buckets[bucket].remove(id) != Removed::Absent {
                return;
            }
            // A waker or a requeue was quicker.
        }
    }

    /// Wakes up to `count` of those that wait on `key` for one of `bits`. Returns how many.
    pub fn wake(&self, key: Key, count: usize, bits: u32) -> usize {
        self.buckets[self.bucket_of(key)]
            .take_and_wake(count, |w: &Waiter| w.waits_for(key) && w.bits & bits != 0)
    }

    /// Wakes some of those on `from` and lets some more wait on `to`, if `check` agrees, which is called with the buckets locked.
    /// Returns how many in all.
    pub fn requeue(
        &self,
        from: Key,
        to: Key,
        counts: (usize, usize),
        check: impl FnOnce() -> Result<()>,
    ) -> Result<usize> {
        let target = self.bucket_of(to);
        self.buckets[self.bucket_of(from)].requeue(
            &self.buckets[target],
            counts,
            check,
            |w| w.waits_for(from),
            |w| w.put(to, target),
        )
    }
}
