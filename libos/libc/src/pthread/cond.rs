//! Condition variables: a sequence number that a signal advances and a waiter sleeps on.
//!
//! A waiter reads the number before it gives up the mutex, so a signal after that finds the number
//! changed or the waiter asleep: none is lost. A wait may return early, as POSIX allows.
//!
//! A condition may be destroyed right after a broadcast, by who still holds the mutex: `destroy` waits until the last
//! waiter has left.

use super::mutex::{self, Mutex};
use crate::lock::{Guests, Shared, futex_wait_until, futex_wake_in};
use core::ffi::c_int;
use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{clockid_t, timespec};

#[repr(C)]
pub struct Cond {
    seq: AtomicU32,
    waiters: Guests,
    clock: clockid_t,
    shared: Shared,
    pad: [u32; 8],
}

const _: () = assert!(size_of::<Cond>() == size_of::<libc::pthread_cond_t>());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_init(c: *mut Cond, attr: *const clockid_t) -> c_int {
    c.write_bytes(0, 1);
    if !attr.is_null() {
        (*c).clock = *attr & !SHARED;
        (*c).shared = if *attr & SHARED != 0 {
            Shared::YES
        } else {
            Shared::NO
        };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_destroy(c: *mut Cond) -> c_int {
    (*c).waiters.await_last((*c).shared);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_wait(c: *mut Cond, m: *mut Mutex) -> c_int {
    pthread_cond_timedwait(c, m, null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_timedwait(
    c: *mut Cond,
    m: *mut Mutex,
    until: *const timespec,
) -> c_int {
    pthread_cond_clockwait(c, m, (*c).clock, until)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_clockwait(
    c: *mut Cond,
    m: *mut Mutex,
    clock: clockid_t,
    until: *const timespec,
) -> c_int {
    if !mutex::is_mine(m) {
        return libc::EPERM;
    }
    if clock != libc::CLOCK_REALTIME && clock != libc::CLOCK_MONOTONIC {
        return libc::EINVAL;
    }
    if !until.is_null() && !(0..1_000_000_000).contains(&(*until).tv_nsec) {
        return libc::EINVAL;
    }
    let shared = (*c).shared;
    (*c).waiters.enter();
    let seq = (*c).seq.load(SeqCst);
    let depth = mutex::give_up(m);
    let r = futex_wait_until(&(*c).seq, seq, clock, until, shared);
    Guests::leave(&raw const (*c).waiters, shared);
    match mutex::take_back(m, depth) {
        0 if r == -(libc::ETIMEDOUT as isize) => libc::ETIMEDOUT,
        e => e,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_signal(c: *mut Cond) -> c_int {
    wake(c, 1)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_broadcast(c: *mut Cond) -> c_int {
    wake(c, i32::MAX)
}

unsafe fn wake(c: *const Cond, n: i32) -> c_int {
    if (*c).waiters.any() {
        // Read first: the step lets a waiter go, who may be the last user.
        let shared = (*c).shared;
        let seq = &raw const (*c).seq;
        (*seq).fetch_add(1, SeqCst);
        futex_wake_in(seq, n, shared);
    }
    0
}

// A condattr is an int: the clock, and "shared between processes" in the highest bit but the sign.
const SHARED: clockid_t = 1 << 30;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_init(a: *mut clockid_t) -> c_int {
    *a = libc::CLOCK_REALTIME;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_destroy(_a: *mut clockid_t) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_setclock(a: *mut clockid_t, clock: clockid_t) -> c_int {
    if clock != libc::CLOCK_REALTIME && clock != libc::CLOCK_MONOTONIC {
        return libc::EINVAL;
    }
    *a = *a & SHARED | clock;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_getclock(
    a: *const clockid_t,
    clock: *mut clockid_t,
) -> c_int {
    *clock = *a & !SHARED;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_setpshared(a: *mut clockid_t, shared: c_int) -> c_int {
    match shared {
        libc::PTHREAD_PROCESS_PRIVATE => *a &= !SHARED,
        libc::PTHREAD_PROCESS_SHARED => *a |= SHARED,
        _ => return libc::EINVAL,
    }
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_condattr_getpshared(
    a: *const clockid_t,
    out: *mut c_int,
) -> c_int {
    *out = c_int::from(*a & SHARED != 0);
    0
}
