//! `<sys/resource.h>`.

use crate::errno::{cvt, fail};
use core::ffi::{c_int, c_uint};
use core::ptr::null_mut;
use libc::{id_t, pid_t, rlimit, rusage};

passthrough! {
    fn getrusage(who: c_int, u: *mut rusage) -> c_int = getrusage(who, u);
    fn getrlimit(which: c_int, l: *mut rlimit) -> c_int = prlimit64(0, which, 0usize, l);
    fn setrlimit(which: c_int, l: *const rlimit) -> c_int = prlimit64(0, which, l, 0usize);
    fn prlimit(pid: pid_t, which: c_uint, new: *const rlimit, old: *mut rlimit) -> c_int = prlimit64(pid, which, new, old);
    fn setpriority(which: c_int, who: id_t, nice: c_int) -> c_int = setpriority(which, who, nice);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpriority(which: c_int, who: id_t) -> c_int {
    let r = cvt(door!(getpriority, which, who));
    // The kernel says 20 - nice, so that it never looks like an error.
    if r < 0 { -1 } else { 20 - r as c_int }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getdtablesize() -> c_int {
    let mut l: rlimit = core::mem::zeroed();
    if getrlimit(libc::RLIMIT_NOFILE as c_int, &raw mut l) < 0 {
        return 1024;
    }
    l.rlim_cur.min(c_int::MAX as u64) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ulimit(op: c_int, _arg: usize) -> i64 {
    if op != 1 {
        return fail(libc::EINVAL) as i64;
    }
    let mut l: rlimit = core::mem::zeroed();
    if cvt(door!(
        prlimit64,
        0,
        libc::RLIMIT_FSIZE,
        null_mut::<u8>(),
        &raw mut l
    )) < 0
    {
        return -1;
    }
    (l.rlim_cur / 512) as i64
}
