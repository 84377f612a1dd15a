//! The lock inside libc: a futex word, one compare-and-swap when nobody competes.

use core::sync::atomic::{AtomicU32, Ordering::*};

/// Whose a futex is: the process's own, or any that maps the memory. Zeroed objects are private.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shared(pub u32);

impl Shared {
    pub const NO: Self = Shared(0);
    pub const YES: Self = Shared(1);

    fn flag(self) -> i32 {
        if self == Self::NO {
            libc::FUTEX_PRIVATE_FLAG
        } else {
            0
        }
    }
}

/// 0 free, 1 taken, 2 taken and waited for.
#[repr(transparent)]
pub struct Lock(AtomicU32);

impl Lock {
    pub const fn new() -> Self {
        Lock(AtomicU32::new(0))
    }

    #[inline]
    pub fn lock(&self) {
        if self.0.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            self.wait();
        }
    }

    pub fn try_lock(&self) -> bool {
        self.0.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..100 {
            if self.0.load(Relaxed) == 0 && self.try_lock() {
                return;
            }
            core::hint::spin_loop();
        }
        while self.0.swap(2, Acquire) != 0 {
            futex_wait(&self.0, 2);
        }
    }

    #[inline]
    pub fn unlock(&self) {
        if self.0.swap(0, Release) == 2 {
            futex_wake(&self.0, 1);
        }
    }

    /// In the child of a fork, where the other takers are gone.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Threads that are inside an object which may be destroyed as soon as they have been told to go: who destroys it waits for
/// the last of them to leave, and leaving is a thread's last touch of it.
#[repr(transparent)]
pub struct Guests(AtomicU32);

impl Guests {
    const LAST_CALL: u32 = 1 << 31;

    pub fn enter(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub fn any(&self) -> bool {
        self.0.load(SeqCst) != 0
    }

    /// # Safety
    /// The caller has entered; the object may be gone when this returns.
    pub unsafe fn leave(this: *const Self, shared: Shared) {
        let word = &raw const (*this).0;
        if (*word).fetch_sub(1, SeqCst) == Self::LAST_CALL | 1 {
            futex_wake_in(word, i32::MAX, shared);
        }
    }

    pub fn await_last(&self, shared: Shared) {
        // In the child of a fork, others may have entered who are not there to leave.
        if shared == Shared::NO && crate::pthread::alone() {
            return;
        }
        let mut now = self.0.fetch_or(Self::LAST_CALL, SeqCst) | Self::LAST_CALL;
        while now != Self::LAST_CALL {
            futex_wait_in(&self.0, now, shared);
            now = self.0.load(SeqCst);
        }
    }
}

pub fn futex_wait(word: &AtomicU32, expected: u32) -> isize {
    futex_wait_in(word, expected, Shared::NO)
}

pub fn futex_wait_in(word: &AtomicU32, expected: u32, shared: Shared) -> isize {
    let op = libc::FUTEX_WAIT | shared.flag();
    // SAFETY: the word is live for the call; a null timeout waits for ever.
    unsafe { door!(futex, word.as_ptr(), op, expected, 0usize) }
}

/// Waits until `at` on `clock`; null waits for ever. Gives the kernel's result, to whom a time before the epoch is none:
/// for us it is long past.
pub unsafe fn futex_wait_until(
    word: &AtomicU32,
    expected: u32,
    clock: libc::clockid_t,
    at: *const libc::timespec,
    shared: Shared,
) -> isize {
    if at.is_null() {
        return futex_wait_in(word, expected, shared);
    }
    if (*at).tv_sec < 0 && (0..1_000_000_000).contains(&(*at).tv_nsec) {
        return -(libc::ETIMEDOUT as isize);
    }
    let mut op = libc::FUTEX_WAIT_BITSET | shared.flag();
    if clock == libc::CLOCK_REALTIME {
        op |= libc::FUTEX_CLOCK_REALTIME;
    }
    door!(futex, word.as_ptr(), op, expected, at, 0usize, u32::MAX)
}

/// To a wake-up the word is an address: what is there may be gone by now.
pub fn futex_wake(word: *const AtomicU32, n: i32) -> isize {
    futex_wake_in(word, n, Shared::NO)
}

pub fn futex_wake_in(word: *const AtomicU32, n: i32, shared: Shared) -> isize {
    // SAFETY: waking touches nothing behind the address.
    unsafe { door!(futex, word, libc::FUTEX_WAKE | shared.flag(), n) }
}
