//! Spin locks.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering::*};

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
