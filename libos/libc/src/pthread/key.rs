//! Thread-specific data: a table of destructors, and the values in each thread's block.

use crate::tcb::{self, KEYS_MAX, Pthread};
use core::ffi::{c_int, c_uint, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering::*};

type Destructor = unsafe extern "C" fn(*mut c_void);

const FREE: usize = 0;
const NO_DESTRUCTOR: usize = 1;
#[unsafe(link_section = ".bss.libos.keys")]
static KEYS: [AtomicUsize; KEYS_MAX] = [const { AtomicUsize::new(FREE) }; KEYS_MAX];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_key_create(key: *mut c_uint, d: Option<Destructor>) -> c_int {
    let value = d.map_or(NO_DESTRUCTOR, |f| f as usize);
    // Key 0 is left for last: some programs take 0 for "none".
    for i in (1..KEYS_MAX).chain([0]) {
        if KEYS[i]
            .compare_exchange(FREE, value, AcqRel, Relaxed)
            .is_ok()
        {
            *key = i as c_uint;
            return 0;
        }
    }
    libc::EAGAIN
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    match KEYS.get(key as usize) {
        Some(k) if k.load(Relaxed) != FREE => {
            // A later key of this number must start out null; other threads' values stay theirs to
            // clear, as POSIX says.
            (*tcb::this()).tsd[key as usize] = null_mut();
            k.store(FREE, Release);
            0
        }
        _ => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    (*tcb::this())
        .tsd
        .get(key as usize)
        .copied()
        .unwrap_or(null_mut())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int {
    let t = tcb::this();
    match (*t).tsd.get_mut(key as usize) {
        Some(slot) => {
            *slot = value.cast_mut();
            (*t).tsd_used = true;
            0
        }
        None => libc::EINVAL,
    }
}

/// At a thread's end: destructors may set values again, four rounds of it.
pub unsafe fn run_destructors(t: *mut Pthread) {
    for _ in 0..4 {
        if !(*t).tsd_used {
            return;
        }
        (*t).tsd_used = false;
        for (i, key) in KEYS.iter().enumerate() {
            let value = (*t).tsd[i];
            let d = key.load(Acquire);
            if value.is_null() {
                continue;
            }
            (*t).tsd[i] = null_mut();
            if d > NO_DESTRUCTOR {
                // SAFETY: only `pthread_key_create` stores other values, and it stores functions.
                let d: Destructor = core::mem::transmute(d);
                d(value);
            }
        }
    }
}
