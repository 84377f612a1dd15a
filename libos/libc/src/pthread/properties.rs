//! What a thread is called, where it may run, and how it is scheduled.

use crate::stdio::Fixed;
use crate::tcb::{self, Pthread};
use core::ffi::{c_char, c_int};
use core::sync::atomic::Ordering::Relaxed;

/// The kernel's number of a thread; nothing if the kernel has let go of it.
pub unsafe fn kernel_id(t: *mut Pthread) -> Option<c_int> {
    let tid = if t == tcb::this() {
        tcb::tid()
    } else {
        (*t).tid.load(Relaxed)
    };
    (tid != 0).then_some(tid)
}

/// As [`kernel_id`], or ESRCH from the function that asks.
macro_rules! known {
    ($t:expr) => {
        match kernel_id($t) {
            Some(tid) => tid,
            None => return libc::ESRCH,
        }
    };
}

/// The file of another thread's name.
unsafe fn open_name(t: *mut Pthread, flags: c_int) -> Result<c_int, c_int> {
    use core::fmt::Write;
    let tid = kernel_id(t).ok_or(libc::ESRCH)?;
    let mut path = Fixed::<40>::new();
    write!(path, "/proc/self/task/{tid}/comm\0").map_err(|_| libc::ESRCH)?;
    let flags = flags | libc::O_CLOEXEC;
    match door!(openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) {
        fd @ 0.. => Ok(fd as c_int),
        e => Err(-e as c_int),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setname_np(t: *mut Pthread, name: *const c_char) -> c_int {
    let text = crate::string::bytes(name);
    if text.len() > 15 {
        return libc::ERANGE;
    }
    if t == tcb::this() {
        return -door!(prctl, libc::PR_SET_NAME, name) as c_int;
    }
    match open_name(t, libc::O_WRONLY) {
        Ok(fd) => {
            let r = door!(write, fd, name, text.len());
            door!(close, fd);
            -r.min(0) as c_int
        }
        Err(e) => e,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getname_np(
    t: *mut Pthread,
    buf: *mut c_char,
    len: usize,
) -> c_int {
    if len < 16 {
        return libc::ERANGE;
    }
    if t == tcb::this() {
        return -door!(prctl, libc::PR_GET_NAME, buf) as c_int;
    }
    match open_name(t, libc::O_RDONLY) {
        Ok(fd) => {
            let r = door!(read, fd, buf, 16);
            door!(close, fd);
            if r > 0 {
                // In the place of the newline.
                *buf.add(r as usize - 1) = 0;
            }
            -r.min(0) as c_int
        }
        Err(e) => e,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setaffinity_np(
    t: *mut Pthread,
    n: usize,
    set: *const libc::cpu_set_t,
) -> c_int {
    -door!(sched_setaffinity, known!(t), n, set) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getaffinity_np(
    t: *mut Pthread,
    n: usize,
    set: *mut libc::cpu_set_t,
) -> c_int {
    let saved = crate::errno::get();
    let r = crate::sched::sched_getaffinity(known!(t), n, set);
    let e = crate::errno::get();
    crate::errno::set(saved);
    if r < 0 { e } else { 0 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setschedparam(
    t: *mut Pthread,
    policy: c_int,
    p: *const libc::sched_param,
) -> c_int {
    -door!(sched_setscheduler, known!(t), policy, p) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getschedparam(
    t: *mut Pthread,
    policy: *mut c_int,
    p: *mut libc::sched_param,
) -> c_int {
    let r = door!(sched_getscheduler, known!(t));
    if r < 0 {
        return -r as c_int;
    }
    *policy = r as c_int;
    -door!(sched_getparam, known!(t), p) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getcpuclockid(
    t: *mut Pthread,
    clock: *mut libc::clockid_t,
) -> c_int {
    *clock = (-known!(t) - 1).wrapping_mul(8) + 6;
    0
}
