//! What a thread does at its end besides the destructors of its keys: cleanup handlers, and the hooks of C++ and Rust.

use crate::malloc::{free, malloc};
use crate::tcb::{self, Pthread};
use core::ffi::{c_int, c_void};

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

/// Cleanup handlers; they may push more.
pub unsafe fn run_handlers(t: *mut Pthread) {
    while !(*t).cleanup.is_null() {
        let c = (*t).cleanup.cast::<Cleanup>();
        (*t).cleanup = (*c).next.cast();
        ((*c).f)((*c).arg);
    }
}

/// Hooks; they may add more.
pub unsafe fn run_hooks(t: *mut Pthread) {
    while !(*t).dtors.is_null() {
        let h = (*t).dtors.cast::<Hook>();
        (*t).dtors = (*h).next.cast();
        let (f, arg) = ((*h).f, (*h).arg);
        free(h.cast());
        f(arg);
    }
}
