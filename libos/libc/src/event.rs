//! Waiting on descriptors: `poll`, `select`, epoll, eventfd, timerfd, signalfd, inotify, pidfd.

use crate::errno::{cvt, cvt_int};
use core::ffi::{c_char, c_int, c_uint};
use core::ptr::{null, null_mut};
use libc::{epoll_event, fd_set, itimerspec, pollfd, sigset_t, timespec, timeval};

const SIGSET: usize = 8;

passthrough! {
    fn epoll_create1(flags: c_int) -> c_int = epoll_create1(flags);
    fn epoll_create(_size: c_int) -> c_int = epoll_create1(0);
    fn epoll_ctl(ep: c_int, op: c_int, fd: c_int, ev: *mut epoll_event) -> c_int = epoll_ctl(ep, op, fd, ev);
    fn epoll_wait(ep: c_int, ev: *mut epoll_event, n: c_int, ms: c_int) -> c_int = epoll_pwait(ep, ev, n, ms, 0usize, SIGSET);
    fn epoll_pwait(ep: c_int, ev: *mut epoll_event, n: c_int, ms: c_int, mask: *const sigset_t) -> c_int = epoll_pwait(ep, ev, n, ms, mask, SIGSET);
    fn eventfd(init: c_uint, flags: c_int) -> c_int = eventfd2(init, flags);
    fn timerfd_create(clock: c_int, flags: c_int) -> c_int = timerfd_create(clock, flags);
    fn timerfd_settime(fd: c_int, flags: c_int, new: *const itimerspec, old: *mut itimerspec) -> c_int = timerfd_settime(fd, flags, new, old);
    fn timerfd_gettime(fd: c_int, now: *mut itimerspec) -> c_int = timerfd_gettime(fd, now);
    fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int = signalfd4(fd, mask, SIGSET, flags);
    fn inotify_init1(flags: c_int) -> c_int = inotify_init1(flags);
    fn inotify_init() -> c_int = inotify_init1(0);
    fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int = inotify_add_watch(fd, path, mask);
    fn inotify_rm_watch(fd: c_int, wd: c_int) -> c_int = inotify_rm_watch(fd, wd);
    fn pidfd_open(pid: c_int, flags: c_uint) -> c_int = pidfd_open(pid, flags);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventfd_read(fd: c_int, value: *mut u64) -> c_int {
    if cvt(door!(read, fd, value, 8usize)) == 8 {
        0
    } else {
        -1
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventfd_write(fd: c_int, value: u64) -> c_int {
    if cvt(door!(write, fd, &raw const value, 8usize)) == 8 {
        0
    } else {
        -1
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll(fds: *mut pollfd, n: libc::nfds_t, ms: c_int) -> c_int {
    let mut ts = timespec {
        tv_sec: (ms / 1000) as _,
        tv_nsec: (ms % 1000) as i64 * 1_000_000,
    };
    let t = if ms < 0 { null_mut() } else { &raw mut ts };
    cvt_int(door!(ppoll, fds, n, t, 0usize, SIGSET))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    n: libc::nfds_t,
    t: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // Linux writes the rest of the time back; the C function does not.
    let mut copy = if t.is_null() { core::mem::zeroed() } else { *t };
    let t = if t.is_null() {
        null_mut()
    } else {
        &raw mut copy
    };
    cvt_int(door!(ppoll, fds, n, t, mask, SIGSET))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pselect(
    n: c_int,
    r: *mut fd_set,
    w: *mut fd_set,
    e: *mut fd_set,
    t: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    let mut copy = if t.is_null() { core::mem::zeroed() } else { *t };
    let t = if t.is_null() {
        null_mut()
    } else {
        &raw mut copy
    };
    let data = [mask as usize, SIGSET];
    cvt_int(door!(pselect6, n, r, w, e, t, data.as_ptr()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn select(
    n: c_int,
    r: *mut fd_set,
    w: *mut fd_set,
    e: *mut fd_set,
    tv: *mut timeval,
) -> c_int {
    if tv.is_null() {
        return pselect(n, r, w, e, null(), null());
    }
    let v = *tv;
    let mut ts = timespec {
        tv_sec: v.tv_sec + v.tv_usec / 1_000_000,
        tv_nsec: v.tv_usec % 1_000_000 * 1000,
    };
    let data = [0usize, SIGSET];
    let k = cvt_int(door!(pselect6, n, r, w, e, &raw mut ts, data.as_ptr()));
    // As Linux: what was left of the time.
    *tv = timeval {
        tv_sec: ts.tv_sec,
        tv_usec: ts.tv_nsec / 1000,
    };
    k
}
