//! Interval timers and POSIX timers.

use crate::errno::{cvt, cvt_int, fail};
use core::ffi::{c_int, c_uint, c_void};
use libc::{clockid_t, itimerspec, itimerval, sigevent};

passthrough! {
    fn getitimer(which: c_int, now: *mut itimerval) -> c_int = getitimer(which, now);
    fn setitimer(which: c_int, new: *const itimerval, old: *mut itimerval) -> c_int = setitimer(which, new, old);
    fn timer_settime(t: *mut c_void, flags: c_int, new: *const itimerspec, old: *mut itimerspec) -> c_int = timer_settime(t, flags, new, old);
    fn timer_gettime(t: *mut c_void, now: *mut itimerspec) -> c_int = timer_gettime(t, now);
    fn timer_getoverrun(t: *mut c_void) -> c_int = timer_getoverrun(t);
    fn timer_delete(t: *mut c_void) -> c_int = timer_delete(t);
}

/// The kernel's timer number travels as the `timer_t`. `SIGEV_THREAD` needs a helper thread that
/// nobody here asks for, and is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_create(
    clock: clockid_t,
    ev: *mut sigevent,
    out: *mut *mut c_void,
) -> c_int {
    if !ev.is_null() && (*ev).sigev_notify == libc::SIGEV_THREAD {
        return fail(libc::ENOTSUP) as c_int;
    }
    let mut id: c_int = 0;
    if cvt(door!(timer_create, clock, ev, &raw mut id)) < 0 {
        return -1;
    }
    *out = id as usize as *mut c_void;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ualarm(us: c_uint, every: c_uint) -> c_uint {
    let new = [
        every as i64 / 1_000_000,
        every as i64 % 1_000_000,
        us as i64 / 1_000_000,
        us as i64 % 1_000_000,
    ];
    let mut old = [0i64; 4];
    if cvt_int(door!(
        setitimer,
        libc::ITIMER_REAL,
        new.as_ptr(),
        old.as_mut_ptr()
    )) < 0
    {
        return 0;
    }
    (old[2] * 1_000_000 + old[3]) as c_uint
}
