//! `<semaphore.h>`, unnamed ones: a count, and how many sleep on it, in one word.
//!
//! A semaphore may be destroyed as soon as a wait on it has returned, while the post that let it return is still on its way
//! out: the step that changes the word is everybody's last touch.

use crate::errno::fail;
use crate::lock::{Shared, futex_wait_until, futex_wake_in};
use core::ffi::{c_int, c_uint};
use core::ptr::null;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use libc::timespec;

#[repr(C)]
pub struct Sem {
    /// The eight of these bytes that are aligned to eight are the word: musl's `sem_t` is aligned to four.
    room: [u32; 3],
    shared: Shared,
    pad: [u32; 4],
}

const _: () = assert!(size_of::<Sem>() == size_of::<libc::sem_t>());

/// The value is in the low half.
const WAITER: u64 = 1 << 32;
const MAX: u32 = c_int::MAX as u32;

/// The word, and the half of it that sleepers wait on.
unsafe fn word(s: *const Sem) -> *const AtomicU64 {
    s.map_addr(|a| (a + 7) & !7).cast()
}

fn taken(n: u64) -> Option<u64> {
    (n as u32 > 0).then(|| n - 1)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_init(s: *mut Sem, shared: c_int, value: c_uint) -> c_int {
    if value > MAX {
        return fail(libc::EINVAL) as c_int;
    }
    s.write_bytes(0, 1);
    (*word(s)).store(u64::from(value), Relaxed);
    if shared != 0 {
        (*s).shared = Shared::YES;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_destroy(_s: *mut Sem) -> c_int {
    0
}

/// Async-signal-safe, as POSIX wants it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_post(s: *mut Sem) -> c_int {
    let (word, shared) = (word(s), (*s).shared);
    let add = |n| (n as u32 != MAX).then_some(n + 1);
    match (*word).fetch_update(Release, Relaxed, add) {
        Ok(before) => {
            if before >= WAITER {
                futex_wake_in(word.cast(), 1, shared);
            }
            0
        }
        Err(_) => fail(libc::EOVERFLOW) as c_int,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_trywait(s: *mut Sem) -> c_int {
    match (*word(s)).fetch_update(Acquire, Relaxed, taken) {
        Ok(_) => 0,
        Err(_) => fail(libc::EAGAIN) as c_int,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_wait(s: *mut Sem) -> c_int {
    sem_timedwait(s, null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_timedwait(s: *mut Sem, until: *const timespec) -> c_int {
    let (word, shared) = (&*word(s), (*s).shared);
    let take_or_stay = |n| taken(n).or(Some(n + WAITER));
    if let Ok(before) = word.fetch_update(Acquire, Relaxed, take_or_stay)
        && before as u32 > 0
    {
        return 0;
    }
    // SAFETY: the low half of the word.
    let value = &*(&raw const *word).cast::<AtomicU32>();
    loop {
        let r = futex_wait_until(value, 0, libc::CLOCK_REALTIME, until, shared);
        let take_and_go = |n| taken(n).map(|n| n - WAITER);
        if word.fetch_update(Acquire, Relaxed, take_and_go).is_ok() {
            return 0;
        }
        if r < 0 && r != -(libc::EAGAIN as isize) {
            word.fetch_sub(WAITER, Relaxed);
            return fail(-r as c_int) as c_int;
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_getvalue(s: *mut Sem, out: *mut c_int) -> c_int {
    *out = (*word(s)).load(Relaxed) as c_int;
    0
}
