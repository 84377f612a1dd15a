//! `pthread_once`.

use crate::lock::{futex_wait, futex_wake};
use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering::*};

// PTHREAD_ONCE_INIT is 0.
const FRESH: u32 = 0;
const RUNNING: u32 = 1;
const WAITED_FOR: u32 = 2;
const DONE: u32 = 3;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_once(word: *mut AtomicU32, f: unsafe extern "C" fn()) -> c_int {
    let word = &*word;
    loop {
        match word.compare_exchange(FRESH, RUNNING, Acquire, Acquire) {
            Ok(_) => {
                f();
                if word.swap(DONE, Release) == WAITED_FOR {
                    futex_wake(word, i32::MAX);
                }
                return 0;
            }
            Err(DONE) => return 0,
            Err(RUNNING)
                if word
                    .compare_exchange(RUNNING, WAITED_FOR, Relaxed, Relaxed)
                    .is_err() => {}
            Err(_) => {
                futex_wait(word, WAITED_FOR);
            }
        }
    }
}
