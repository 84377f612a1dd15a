//! Read-write locks: the number of readers in one word, [`WRITER`] for the one writer; who finds it
//! taken marks it with [`WAITED`] and sleeps. Whoever gives it up last takes the mark off and wakes all.
//!
//! What is needed of the lock is read before it is given up: whoever takes it next may end its life.

use crate::lock::{Shared, futex_wait_until, futex_wake_in};
use core::ffi::c_int;
use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::timespec;

#[repr(C)]
pub struct RwLock {
    word: AtomicU32,
    shared: Shared,
    pad: [u32; 12],
}

const _: () = assert!(size_of::<RwLock>() == size_of::<libc::pthread_rwlock_t>());

const WRITER: u32 = 0x7fff_ffff;
const WAITED: u32 = 0x8000_0000;

impl RwLock {
    fn try_read(&self) -> bool {
        let take = |n: u32| (n & !WAITED < WRITER - 1).then_some(n + 1);
        self.word.fetch_update(Acquire, Relaxed, take).is_ok()
    }

    fn try_write(&self) -> bool {
        let take = |n: u32| (n & !WAITED == 0).then_some(n | WRITER);
        self.word.fetch_update(Acquire, Relaxed, take).is_ok()
    }

    unsafe fn take(&self, attempt: fn(&Self) -> bool, until: *const timespec) -> c_int {
        while !attempt(self) {
            let mark = |n: u32| (n & !WAITED != 0).then_some(n | WAITED);
            let Ok(taken) = self.word.fetch_update(Relaxed, Relaxed, mark) else {
                continue;
            };
            let (clock, marked) = (libc::CLOCK_REALTIME, taken | WAITED);
            let r = futex_wait_until(&self.word, marked, clock, until, self.shared);
            if r == -(libc::ETIMEDOUT as isize) || r == -(libc::EINVAL as isize) {
                return -r as c_int;
            }
        }
        0
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_init(l: *mut RwLock, attr: *const [c_int; 2]) -> c_int {
    l.write_bytes(0, 1);
    if !attr.is_null() && (*attr)[0] != 0 {
        (*l).shared = Shared::YES;
    }
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_destroy(_l: *mut RwLock) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_rdlock(l: *mut RwLock) -> c_int {
    (*l).take(RwLock::try_read, null())
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_timedrdlock(l: *mut RwLock, t: *const timespec) -> c_int {
    (*l).take(RwLock::try_read, t)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_tryrdlock(l: *mut RwLock) -> c_int {
    if (*l).try_read() { 0 } else { libc::EBUSY }
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_wrlock(l: *mut RwLock) -> c_int {
    (*l).take(RwLock::try_write, null())
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_timedwrlock(l: *mut RwLock, t: *const timespec) -> c_int {
    (*l).take(RwLock::try_write, t)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_trywrlock(l: *mut RwLock) -> c_int {
    if (*l).try_write() { 0 } else { libc::EBUSY }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlock_unlock(l: *mut RwLock) -> c_int {
    let (word, shared) = (&raw const (*l).word, (*l).shared);
    let give = |n: u32| match n & !WAITED {
        0 => None,
        WRITER | 1 => Some(0),
        _ => Some(n - 1),
    };
    match (*word).fetch_update(Release, Relaxed, give) {
        Err(_) => libc::EPERM,
        Ok(old) => {
            if matches!(old & !WAITED, WRITER | 1) && old & WAITED != 0 {
                futex_wake_in(word, i32::MAX, shared);
            }
            0
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlockattr_init(a: *mut [c_int; 2]) -> c_int {
    *a = [0; 2];
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlockattr_destroy(_a: *mut [c_int; 2]) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlockattr_setpshared(a: *mut [c_int; 2], shared: c_int) -> c_int {
    if shared != libc::PTHREAD_PROCESS_PRIVATE && shared != libc::PTHREAD_PROCESS_SHARED {
        return libc::EINVAL;
    }
    (*a)[0] = shared;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_rwlockattr_getpshared(
    a: *const [c_int; 2],
    out: *mut c_int,
) -> c_int {
    *out = (*a)[0];
    0
}
