//! Barriers: a count of arrivals and the number of the round.

use crate::lock::{futex_wait, futex_wake};
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicU32, Ordering::*};

#[repr(C)]
pub struct Barrier {
    limit: u32,
    arrived: AtomicU32,
    round: AtomicU32,
    pad: [u32; 5],
}

const _: () = assert!(size_of::<Barrier>() == size_of::<libc::pthread_barrier_t>());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_init(
    b: *mut Barrier,
    _attr: *const c_void,
    count: c_uint,
) -> c_int {
    if count == 0 {
        return libc::EINVAL;
    }
    b.write_bytes(0, 1);
    (*b).limit = count;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_destroy(_b: *mut Barrier) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_barrier_wait(b: *mut Barrier) -> c_int {
    let b = &*b;
    let round = b.round.load(Acquire);
    if b.arrived.fetch_add(1, AcqRel) + 1 == b.limit {
        // The last: nobody can arrive for the next round before the round's number moves.
        b.arrived.store(0, Relaxed);
        b.round.fetch_add(1, Release);
        futex_wake(&b.round, i32::MAX);
        return libc::PTHREAD_BARRIER_SERIAL_THREAD;
    }
    while b.round.load(Acquire) == round {
        futex_wait(&b.round, round);
    }
    0
}
