//! Mutexes: all zeroes is an unlocked normal one.

use crate::lock::{Shared, futex_wait_in, futex_wait_until, futex_wake_in};
use crate::tcb;
use core::ffi::c_int;
use core::ptr::null;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use libc::{PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, timespec};

#[repr(C)]
pub struct Mutex {
    kind: c_int,
    /// 0 free, 1 taken, 2 taken and waited for.
    word: AtomicU32,
    owner: AtomicI32,
    depth: u32,
    shared: Shared,
    pad: [u32; 5],
}

const _: () = assert!(size_of::<Mutex>() == size_of::<libc::pthread_mutex_t>());

impl Mutex {
    fn try_take(&self) -> bool {
        self.word.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
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

    /// Takes it as one that others wait for, which after a condition they may.
    pub fn retake_contended(&self) {
        while self.word.swap(2, Acquire) != 0 {
            futex_wait_in(&self.word, 2, self.shared);
        }
    }

    fn release(&self) {
        // Read before it is given up: whoever takes it next may end its life.
        let shared = self.shared;
        if self.word.swap(0, Release) == 2 {
            futex_wake_in(&self.word, 1, shared);
        }
    }

    /// The recursion depth, given up for the time of a wait.
    pub fn save(&mut self) -> u32 {
        let depth = self.depth;
        self.depth = 0;
        self.owner.store(0, Relaxed);
        self.release();
        depth
    }

    pub fn restore(&mut self, depth: u32) {
        self.retake_contended();
        if self.kind != PTHREAD_MUTEX_NORMAL {
            self.owner.store(tcb::tid(), Relaxed);
            self.depth = depth;
        }
    }

    pub fn is_mine(&self) -> bool {
        self.kind == PTHREAD_MUTEX_NORMAL || self.owner.load(Relaxed) == tcb::tid()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_init(m: *mut Mutex, attr: *const c_int) -> c_int {
    m.write_bytes(0, 1);
    if !attr.is_null() {
        (*m).kind = *attr & 3;
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
    let m = &mut *m;
    if m.kind != PTHREAD_MUTEX_NORMAL && m.owner.load(Relaxed) == tcb::tid() {
        if m.kind == PTHREAD_MUTEX_ERRORCHECK {
            return libc::EDEADLK;
        }
        if m.depth == u32::MAX {
            return libc::EAGAIN;
        }
        m.depth += 1;
        return 0;
    }
    if !m.try_take() {
        let e = m.wait(until);
        if e != 0 {
            return e;
        }
    }
    if m.kind != PTHREAD_MUTEX_NORMAL {
        m.owner.store(tcb::tid(), Relaxed);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_trylock(m: *mut Mutex) -> c_int {
    let m = &mut *m;
    if m.kind == PTHREAD_MUTEX_RECURSIVE && m.owner.load(Relaxed) == tcb::tid() {
        m.depth += 1;
        return 0;
    }
    if !m.try_take() {
        return libc::EBUSY;
    }
    if m.kind != PTHREAD_MUTEX_NORMAL {
        m.owner.store(tcb::tid(), Relaxed);
    }
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
    // SAFETY: to the wake-up the word is an address; if the mutex is gone by now, nobody is found.
    futex_wake_in(unsafe { &*word }, 1, shared);
    0
}

/// Unlocks one that knows its owner.
#[inline(never)]
unsafe fn unlock_owned(m: *mut Mutex) -> c_int {
    let m = &mut *m;
    if !m.is_mine() {
        return libc::EPERM;
    }
    if m.depth > 0 {
        m.depth -= 1;
        return 0;
    }
    m.owner.store(0, Relaxed);
    m.release();
    0
}

// A mutexattr is an int: the kind in its low bits, "shared between processes" in bit 7.
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
pub unsafe extern "C" fn pthread_mutexattr_setrobust(_a: *mut c_int, robust: c_int) -> c_int {
    if robust == 0 { 0 } else { libc::ENOTSUP }
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutexattr_setprotocol(_a: *mut c_int, p: c_int) -> c_int {
    if p == 0 { 0 } else { libc::ENOTSUP }
}
