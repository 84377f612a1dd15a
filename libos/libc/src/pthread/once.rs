//! `pthread_once`, spin locks, cleanup handlers, cancellation, C++ and Rust thread-exit hooks.
//!
//! Cancellation is deferred, and `pthread_testcancel` is its only point: no blocking call of this
//! library is one, and a thread that never asks is never cancelled.

use crate::lock::{futex_wait, futex_wake};
use crate::malloc::{free, malloc};
use crate::tcb::{self, Pthread};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// 0 not yet, 1 running, 2 running and waited for, 3 done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_once(word: *mut AtomicU32, f: unsafe extern "C" fn()) -> c_int {
    let word = &*word;
    loop {
        match word.compare_exchange(0, 1, Acquire, Acquire) {
            Ok(_) => {
                f();
                if word.swap(3, Release) == 2 {
                    futex_wake(word, i32::MAX);
                }
                return 0;
            }
            Err(3) => return 0,
            Err(1) if word.compare_exchange(1, 2, Relaxed, Relaxed).is_err() => {}
            Err(_) => {
                futex_wait(word, 2);
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_spin_init(l: *mut AtomicU32, _shared: c_int) -> c_int {
    (*l).store(0, Relaxed);
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_spin_destroy(_l: *mut AtomicU32) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_spin_trylock(l: *mut AtomicU32) -> c_int {
    if (*l).compare_exchange(0, 1, Acquire, Relaxed).is_ok() {
        0
    } else {
        libc::EBUSY
    }
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_spin_lock(l: *mut AtomicU32) -> c_int {
    while pthread_spin_trylock(l) != 0 {
        for _ in 0..200 {
            if (*l).load(Relaxed) == 0 {
                break;
            }
            core::hint::spin_loop();
        }
        // On one core the holder needs the processor.
        if (*l).load(Relaxed) != 0 {
            door!(sched_yield);
        }
    }
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_spin_unlock(l: *mut AtomicU32) -> c_int {
    (*l).store(0, Release);
    0
}

/// musl's `struct __ptcb`, on the stack of who pushes it.
#[repr(C)]
pub struct Cleanup {
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
    next: *mut Cleanup,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _pthread_cleanup_push(
    c: *mut Cleanup,
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
) {
    let t = tcb::this();
    c.write(Cleanup {
        f,
        arg,
        next: (*t).cleanup.cast(),
    });
    (*t).cleanup = c.cast();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _pthread_cleanup_pop(c: *mut Cleanup, run: c_int) {
    (*tcb::this()).cleanup = (*c).next.cast();
    if run != 0 {
        ((*c).f)((*c).arg);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cancel(t: *mut Pthread) -> c_int {
    (*t).cancel.store(1, Release);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_testcancel() {
    let t = tcb::this();
    if (*t).cancel.load(Acquire) != 0 && (*t).cancel_off.load(Relaxed) == 0 {
        super::thread::pthread_exit(usize::MAX as *mut c_void);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int {
    if !(0..=1).contains(&state) {
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
        *old = 0;
    }
    // 0 is PTHREAD_CANCEL_DEFERRED, and all there is.
    if kind == 0 { 0 } else { libc::ENOTSUP }
}

/// A hook that runs at the thread's end, newest first.
struct Hook {
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
    next: *mut Hook,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cxa_thread_atexit_impl(
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
    _dso: *mut c_void,
) -> c_int {
    let t = tcb::this();
    let h = malloc(size_of::<Hook>()).cast::<Hook>();
    if h.is_null() {
        return -1;
    }
    h.write(Hook {
        f,
        arg,
        next: (*t).dtors.cast(),
    });
    (*t).dtors = h.cast();
    0
}

/// Cleanup handlers, then hooks; either may add more.
pub unsafe fn run_cleanup(t: *mut Pthread) {
    while !(*t).cleanup.is_null() {
        let c = (*t).cleanup.cast::<Cleanup>();
        (*t).cleanup = (*c).next.cast();
        ((*c).f)((*c).arg);
    }
    while !(*t).dtors.is_null() {
        let h = (*t).dtors.cast::<Hook>();
        (*t).dtors = (*h).next.cast();
        let (f, arg) = ((*h).f, (*h).arg);
        free(h.cast());
        f(arg);
    }
    (*t).dtors = null_mut();
}
