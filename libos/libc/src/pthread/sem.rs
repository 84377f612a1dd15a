//! `<semaphore.h>`, unnamed ones: a count, and how many sleep on it.

use crate::errno::fail;
use core::ffi::{c_int, c_uint};
use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::timespec;

#[repr(C)]
pub struct Sem {
    value: AtomicU32,
    waiters: AtomicU32,
    /// FUTEX_PRIVATE_FLAG, or 0 if processes share it.
    private: c_int,
    pad: [u32; 5],
}

const _: () = assert!(size_of::<Sem>() == size_of::<libc::sem_t>());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_init(s: *mut Sem, shared: c_int, value: c_uint) -> c_int {
    if value > c_int::MAX as c_uint {
        return fail(libc::EINVAL) as c_int;
    }
    s.write_bytes(0, 1);
    (*s).value = AtomicU32::new(value);
    (*s).private = if shared != 0 {
        0
    } else {
        libc::FUTEX_PRIVATE_FLAG
    };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_destroy(_s: *mut Sem) -> c_int {
    0
}

/// Async-signal-safe, as POSIX wants it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_post(s: *mut Sem) -> c_int {
    let s = &*s;
    let add = |v| (v < c_int::MAX as u32).then_some(v + 1);
    if s.value.fetch_update(SeqCst, Relaxed, add).is_err() {
        return fail(libc::EOVERFLOW) as c_int;
    }
    if s.waiters.load(SeqCst) != 0 {
        door!(futex, s.value.as_ptr(), libc::FUTEX_WAKE | s.private, 1);
    }
    0
}

unsafe fn try_take(s: &Sem) -> bool {
    s.value
        .fetch_update(SeqCst, Relaxed, |v| v.checked_sub(1))
        .is_ok()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_trywait(s: *mut Sem) -> c_int {
    if try_take(&*s) {
        0
    } else {
        fail(libc::EAGAIN) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_wait(s: *mut Sem) -> c_int {
    sem_timedwait(s, null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_timedwait(s: *mut Sem, until: *const timespec) -> c_int {
    let s = &*s;
    if try_take(s) {
        return 0;
    }
    s.waiters.fetch_add(1, SeqCst);
    let mut result = 0;
    while !try_take(s) {
        let op = libc::FUTEX_WAIT_BITSET | s.private | libc::FUTEX_CLOCK_REALTIME;
        let r = door!(futex, s.value.as_ptr(), op, 0, until, 0usize, u32::MAX);
        if r < 0 && r != -(libc::EAGAIN as isize) {
            result = -r as c_int;
            break;
        }
    }
    s.waiters.fetch_sub(1, SeqCst);
    if result == 0 {
        0
    } else {
        fail(result) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sem_getvalue(s: *mut Sem, out: *mut c_int) -> c_int {
    *out = (*s).value.load(Relaxed) as c_int;
    0
}
