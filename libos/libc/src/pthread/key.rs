//! Thread-specific data: a table of destructors, and the values in each thread's block.
//!
//! A number serves one key after the other. Each time it is given up it begins a new generation, and a value of an old one,
//! wherever a thread still has it, counts as null.

use crate::tcb::{self, KEYS_MAX, Pthread};
use core::ffi::{c_int, c_uint, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

type Destructor = unsafe extern "C" fn(*mut c_void);

const FREE: usize = 0;
const NO_DESTRUCTOR: usize = 1;
#[unsafe(link_section = ".bss.libos.keys")]
static KEYS: [AtomicUsize; KEYS_MAX] = [const { AtomicUsize::new(FREE) }; KEYS_MAX];
#[unsafe(link_section = ".bss.libos.keys")]
static GENERATIONS: [AtomicU32; KEYS_MAX] = [const { AtomicU32::new(0) }; KEYS_MAX];

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
    let i = key as usize;
    match KEYS.get(i) {
        Some(k) if k.load(Relaxed) != FREE => {
            GENERATIONS[i].fetch_add(1, Relaxed);
            k.store(FREE, Release);
            0
        }
        _ => libc::EINVAL,
    }
}

/// The thread's value, if it is of this key and not of one before.
#[inline(always)]
unsafe fn value(t: *const Pthread, i: usize) -> *mut c_void {
    if (*t).tsd_generations[i] == GENERATIONS[i].load(Relaxed) {
        (*t).tsd[i]
    } else {
        null_mut()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    let i = key as usize;
    if i < KEYS_MAX {
        value(tcb::this(), i)
    } else {
        null_mut()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int {
    let i = key as usize;
    if i >= KEYS_MAX {
        return libc::EINVAL;
    }
    let t = tcb::this();
    (*t).tsd[i] = value.cast_mut();
    (*t).tsd_generations[i] = GENERATIONS[i].load(Relaxed);
    (*t).tsd_end = (*t).tsd_end.max(i + 1);
    0
}

/// At a thread's end: destructors may set values again, four rounds of it. All values are null afterwards.
pub unsafe fn run_destructors(t: *mut Pthread) {
    for round in 0..=4 {
        let end = core::mem::take(&mut (*t).tsd_end);
        for (i, key) in KEYS.iter().enumerate().take(end) {
            // Before the value: if the key is another one by now, the value no longer counts.
            let d = key.load(Acquire);
            let value = value(t, i);
            (*t).tsd[i] = null_mut();
            if !value.is_null() && d > NO_DESTRUCTOR && round < 4 {
                // SAFETY: only `pthread_key_create` stores other values, and it stores functions.
                let d: Destructor = core::mem::transmute(d);
                d(value);
            }
        }
    }
}
