//! Mutexes: all zeroes is an unlocked normal one. Robust ones are in [`super::robust`].
//!
//! Contending threads share a mutex, so nothing here makes a unique reference to one: what only its owner changes is in cells.

use super::robust::{self, Links};
use crate::lock::{Shared, futex_wait_in, futex_wait_until, futex_wake_in};
use crate::tcb;
use core::cell::Cell;
use core::ffi::c_int;
use core::ptr::null;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use libc::{PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, timespec};

#[repr(C)]
pub struct Mutex {
    /// `PTHREAD_MUTEX_…`, and [`ROBUST`].
    kind: c_int,
    /// 0 free, 1 taken, 2 taken and waited for; of a robust one what the kernel wants there.
    pub word: AtomicU32,
    owner: AtomicI32,
    pub depth: Cell<u32>,
    pub shared: Shared,
    pad: u32,
    pub links: Links,
}

const _: () = assert!(size_of::<Mutex>() == size_of::<libc::pthread_mutex_t>());

/// In `kind` and in a mutexattr.
const ROBUST: c_int = 4;

impl Mutex {
    fn try_take(&self) -> bool {
        self.word.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
    }

    /// `PTHREAD_MUTEX_…` alone.
    pub fn kind(&self) -> c_int {
        self.kind & 3
    }

    /// By its owner, where the kind tells owners.
    pub fn lock_again(&self) -> c_int {
        if self.kind() == PTHREAD_MUTEX_ERRORCHECK {
            return libc::EDEADLK;
        }
        match self.depth.get().checked_add(1) {
            Some(depth) => {
                self.depth.set(depth);
                0
            }
            None => libc::EAGAIN,
        }
    }

    fn is_robust(&self) -> bool {
        self.kind & ROBUST != 0
    }

    /// As [`try_take`](Self::try_take), in the few instructions that most locking is.
    #[inline(always)]
    fn take_at_once(&self) -> bool {
        let (before, failed): (u32, u32);
        // SAFETY: a compare-and-swap of our own word by exclusive load and store; it may fail, and the slow way tries again.
        unsafe {
            core::arch::asm!(
                "ldaxr {before:w}, [{word}]",
                "mov {failed:w}, #1",
                "cbnz {before:w}, 2f",
                "stxr {failed:w}, {one:w}, [{word}]",
                "2:",
                before = out(reg) before, failed = out(reg) failed,
                word = in(reg) self.word.as_ptr(), one = in(reg) 1u32,
                options(nostack, preserves_flags),
            );
        }
        let _ = before;
        failed == 0
    }

    /// Sets it free; returns what it was.
    #[inline(always)]
    fn let_go(&self) -> u32 {
        let before: u32;
        // SAFETY: a swap of our own word by exclusive load and store.
        unsafe {
            core::arch::asm!(
                "2: ldxr {before:w}, [{word}]",
                "stlxr {failed:w}, wzr, [{word}]",
                "cbnz {failed:w}, 2b",
                before = out(reg) before, failed = out(reg) _,
                word = in(reg) self.word.as_ptr(),
                options(nostack, preserves_flags),
            );
        }
        before
    }

    /// 0, or ETIMEDOUT (or what else the kernel makes of `until`).
    #[cold]
    #[inline(never)]
    unsafe fn wait(&self, until: *const timespec) -> c_int {
        for _ in 0..100 {
            if self.word.load(Relaxed) == 0 && self.try_take() {
                return 0;
            }
            core::hint::spin_loop();
        }
        while self.word.swap(2, Acquire) != 0 {
            let r = futex_wait_until(&self.word, 2, libc::CLOCK_REALTIME, until, self.shared);
            if r == -(libc::ETIMEDOUT as isize) || r == -(libc::EINVAL as isize) {
                return -r as c_int;
            }
        }
        0
    }

    fn release(&self) {
        // Read before it is given up: whoever takes it next may end its life.
        let (word, shared) = (&raw const self.word, self.shared);
        if self.word.swap(0, Release) == 2 {
            futex_wake_in(word, 1, shared);
        }
    }

    fn belongs_to_caller(&self) -> bool {
        if self.is_robust() {
            robust::is_mine(self)
        } else {
            self.kind == PTHREAD_MUTEX_NORMAL || self.owner.load(Relaxed) == tcb::tid()
        }
    }

    fn note_owner(&self) {
        if self.kind != PTHREAD_MUTEX_NORMAL {
            self.owner.store(tcb::tid(), Relaxed);
        }
    }
}

pub unsafe fn is_mine(m: *const Mutex) -> bool {
    (*m).belongs_to_caller()
}

/// Gives it up for the time of a wait; returns the recursion depth.
pub unsafe fn give_up(m: *const Mutex) -> u32 {
    let depth = (*m).depth.replace(0);
    if (*m).is_robust() {
        robust::unlock(m);
    } else {
        (*m).owner.store(0, Relaxed);
        (*m).release();
    }
    depth
}

/// Takes it after a wait, as one that others wait for, which they may.
pub unsafe fn take_back(m: *const Mutex, depth: u32) -> c_int {
    let m = &*m;
    let e = if m.is_robust() {
        robust::lock(m, Some(null()))
    } else {
        while m.word.swap(2, Acquire) != 0 {
            futex_wait_in(&m.word, 2, m.shared);
        }
        m.note_owner();
        0
    };
    if e != libc::ENOTRECOVERABLE {
        m.depth.set(depth);
    }
    e
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_init(m: *mut Mutex, attr: *const c_int) -> c_int {
    m.write_bytes(0, 1);
    if !attr.is_null() {
        (*m).kind = *attr & (3 | ROBUST);
        (*m).shared = if *attr & SHARED != 0 {
            Shared::YES
        } else {
            Shared::NO
        };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_destroy(_m: *mut Mutex) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_lock(m: *mut Mutex) -> c_int {
    if (*m).kind == PTHREAD_MUTEX_NORMAL && (*m).take_at_once() {
        return 0;
    }
    pthread_mutex_timedlock(m, null())
}

#[cold]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_timedlock(m: *mut Mutex, until: *const timespec) -> c_int {
    let m = &*m;
    if m.is_robust() {
        return robust::lock(m, Some(until));
    }
    if m.kind != PTHREAD_MUTEX_NORMAL && m.owner.load(Relaxed) == tcb::tid() {
        return m.lock_again();
    }
    if !m.try_take() {
        let e = m.wait(until);
        if e != 0 {
            return e;
        }
    }
    m.note_owner();
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_trylock(m: *mut Mutex) -> c_int {
    let m = &*m;
    if m.is_robust() {
        return robust::lock(m, None);
    }
    if m.kind == PTHREAD_MUTEX_RECURSIVE && m.owner.load(Relaxed) == tcb::tid() {
        return m.lock_again();
    }
    if !m.try_take() {
        return libc::EBUSY;
    }
    m.note_owner();
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_unlock(m: *mut Mutex) -> c_int {
    if (*m).kind != PTHREAD_MUTEX_NORMAL {
        return unlock_owned(m);
    }
    // Read before it is given up: whoever takes it next may end its life.
    let shared = (*m).shared;
    if (*m).let_go() == 2 {
        return wake_next(&raw const (*m).word, shared);
    }
    0
}

#[cold]
#[inline(never)]
fn wake_next(word: *const AtomicU32, shared: Shared) -> c_int {
    futex_wake_in(word, 1, shared);
    0
}

/// Unlocks one that knows its owner.
#[inline(never)]
unsafe fn unlock_owned(m: *const Mutex) -> c_int {
    if !is_mine(m) {
        return libc::EPERM;
    }
    let depth = (*m).depth.get();
    if depth > 0 {
        (*m).depth.set(depth - 1);
    } else {
        give_up(m);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_consistent(m: *mut Mutex) -> c_int {
    if (*m).is_robust() && robust::mend(&*m) {
        0
    } else {
        libc::EINVAL
    }
}

// A mutexattr is an int: the kind in its low bits, ROBUST, and this for "shared between processes".
const SHARED: c_int = 0x80;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_init(a: *mut c_int) -> c_int {
    *a = 0;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_destroy(_a: *mut c_int) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_settype(a: *mut c_int, kind: c_int) -> c_int {
    if !(0..=2).contains(&kind) {
        return libc::EINVAL;
    }
    *a = *a & !3 | kind;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_gettype(a: *const c_int, kind: *mut c_int) -> c_int {
    *kind = *a & 3;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_setpshared(a: *mut c_int, shared: c_int) -> c_int {
    match shared {
        libc::PTHREAD_PROCESS_PRIVATE => *a &= !SHARED,
        libc::PTHREAD_PROCESS_SHARED => *a |= SHARED,
        _ => return libc::EINVAL,
    }
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_getpshared(a: *const c_int, out: *mut c_int) -> c_int {
    *out = c_int::from(*a & SHARED != 0);
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_setrobust(a: *mut c_int, robust: c_int) -> c_int {
    match robust {
        // PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_ROBUST
        0 => *a &= !ROBUST,
        1 => *a |= ROBUST,
        _ => return libc::EINVAL,
    }
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_getrobust(a: *const c_int, out: *mut c_int) -> c_int {
    *out = c_int::from(*a & ROBUST != 0);
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_setprotocol(_a: *mut c_int, p: c_int) -> c_int {
    if p == 0 { 0 } else { libc::ENOTSUP }
}
