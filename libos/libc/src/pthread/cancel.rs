//! Cancellation: it is deferred, and `pthread_testcancel` is its only point. No blocking call of this library is one, and a
//! thread that never asks is never cancelled.

use crate::tcb::{self, Pthread};
use core::ffi::{c_int, c_void};
use core::ptr::without_provenance_mut;
use core::sync::atomic::Ordering::*;

/// PTHREAD_CANCELED
const RESULT: *mut c_void = without_provenance_mut(usize::MAX);
const PTHREAD_CANCEL_DISABLE: c_int = 1;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cancel(t: *mut Pthread) -> c_int {
    (*t).cancel.store(1, Release);
    0
}

pub unsafe fn disable(t: *const Pthread) {
    (*t).cancel_off.store(PTHREAD_CANCEL_DISABLE, Relaxed);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_testcancel() {
    let t = tcb::this();
    if (*t).cancel.load(Acquire) != 0 && (*t).cancel_off.load(Relaxed) != PTHREAD_CANCEL_DISABLE {
        super::thread::pthread_exit(RESULT);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int {
    if !(0..=PTHREAD_CANCEL_DISABLE).contains(&state) {
        return libc::EINVAL;
    }
    let was = (*tcb::this()).cancel_off.swap(state, Relaxed);
    if !old.is_null() {
        *old = was;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> c_int {
    if !old.is_null() {
        *old = PTHREAD_CANCEL_DEFERRED;
    }
    if kind == PTHREAD_CANCEL_DEFERRED {
        0
    } else {
        libc::ENOTSUP
    }
}
