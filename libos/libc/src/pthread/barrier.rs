//! Barriers: the number of the round and of those who have arrived for it, in one word, so that an arrival belongs to
//! exactly one round however many threads there are.
//!
//! Who was last may destroy the barrier while the others are still waking up: `destroy` waits until they have left.

use crate::lock::{Guests, Shared, futex_wait_in, futex_wake_in};
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

#[repr(C)]
pub struct Barrier {
    /// The round in the high half, arrivals in the low one.
    state: AtomicU64,
    inside: Guests,
    limit: u32,
    shared: Shared,
    pad: [u32; 3],
}

const _: () = assert!(size_of::<Barrier>() == size_of::<libc::pthread_barrier_t>());
const _: () = assert!(align_of::<Barrier>() == align_of::<libc::pthread_barrier_t>());
// Sleepers wait on the half that is the round.
const _: () = assert!(cfg!(target_endian = "little"));

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_init(
    b: *mut Barrier,
    attr: *const c_int,
    count: c_uint,
) -> c_int {
    if count == 0 {
        return libc::EINVAL;
    }
    b.write_bytes(0, 1);
    (*b).limit = count;
    if !attr.is_null() && *attr != libc::PTHREAD_PROCESS_PRIVATE {
        (*b).shared = Shared::YES;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_destroy(b: *mut Barrier) -> c_int {
    (*b).inside.await_last((*b).shared);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_wait(b: *mut Barrier) -> c_int {
    let (limit, shared) = ((*b).limit, (*b).shared);
    let round = |state: u64| (state >> 32) as u32;
    let completes = |state: u64| state as u32 + 1 == limit;
    (*b).inside.enter();
    let mut now = (*b).state.load(Relaxed);
    loop {
        let next = if completes(now) {
            u64::from(round(now).wrapping_add(1)) << 32
        } else {
            now + 1
        };
        match (*b).state.compare_exchange(now, next, AcqRel, Relaxed) {
            Ok(_) => break,
            Err(found) => now = found,
        }
    }
    // SAFETY: the high half of our own word, which lives until `leave`.
    let word = &*(&raw const (*b).state).cast::<AtomicU32>().add(1);
    let result = if completes(now) {
        futex_wake_in(word, i32::MAX, shared);
        libc::PTHREAD_BARRIER_SERIAL_THREAD
    } else {
        while round((*b).state.load(Acquire)) == round(now) {
            futex_wait_in(word, round(now), shared);
        }
        0
    };
    Guests::leave(&raw const (*b).inside, shared);
    result
}

// A barrierattr is an int: whose the barrier is.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrierattr_init(a: *mut c_int) -> c_int {
    *a = libc::PTHREAD_PROCESS_PRIVATE;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrierattr_destroy(_a: *mut c_int) -> c_int {
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrierattr_setpshared(a: *mut c_int, shared: c_int) -> c_int {
    if shared != libc::PTHREAD_PROCESS_PRIVATE && shared != libc::PTHREAD_PROCESS_SHARED {
        return libc::EINVAL;
    }
    *a = shared;
    0
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrierattr_getpshared(a: *const c_int, out: *mut c_int) -> c_int {
    *out = *a;
    0
}
