//! Thread attributes, in the 56 bytes that musl gives them.

use crate::startup::{AUXV, aux};
use crate::tcb::Pthread;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use libc::size_t;

#[repr(C)]
pub struct Attr {
    pub stack_size: usize,
    pub guard_size: usize,
    /// The end of a stack that the program supplies; 0 for one of ours.
    pub stack_end: usize,
    pub detached: c_int,
    pub policy: c_int,
    pub priority: c_int,
    pub inherit: c_int,
    pub scope: c_int,
    pad: [c_int; 3],
}

const _: () = assert!(size_of::<Attr>() <= 56);

/// What std asks for too; touched pages are all that it costs.
pub const DEFAULT_STACK: usize = 2 << 20;
pub const DEFAULT_GUARD: usize = 4096;
/// PTHREAD_EXPLICIT_SCHED
pub const EXPLICIT_SCHED: c_int = 1;
/// What the kernel lets the main thread's stack grow to, whatever the limit.
const MAIN_STACK_MAX: u64 = 128 << 20;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_init(a: *mut Attr) -> c_int {
    a.write_bytes(0, 1);
    (*a).stack_size = DEFAULT_STACK;
    (*a).guard_size = DEFAULT_GUARD;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_destroy(_a: *mut Attr) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_setstacksize(a: *mut Attr, n: size_t) -> c_int {
    if !(libc::PTHREAD_STACK_MIN..=isize::MAX as usize / 4).contains(&n) {
        return libc::EINVAL;
    }
    (*a).stack_end = 0;
    (*a).stack_size = n;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_getstacksize(a: *const Attr, n: *mut size_t) -> c_int {
    *n = (*a).stack_size;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_setguardsize(a: *mut Attr, n: size_t) -> c_int {
    if n > isize::MAX as usize / 8 {
        return libc::EINVAL;
    }
    (*a).guard_size = n;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_getguardsize(a: *const Attr, n: *mut size_t) -> c_int {
    *n = (*a).guard_size;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_setstack(
    a: *mut Attr,
    start: *mut c_void,
    n: size_t,
) -> c_int {
    if n < libc::PTHREAD_STACK_MIN {
        return libc::EINVAL;
    }
    (*a).stack_end = start as usize + n;
    (*a).stack_size = n;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_getstack(
    a: *const Attr,
    start: *mut *mut c_void,
    n: *mut size_t,
) -> c_int {
    if (*a).stack_end == 0 {
        return libc::EINVAL;
    }
    *start = ((*a).stack_end - (*a).stack_size) as *mut c_void;
    *n = (*a).stack_size;
    0
}

macro_rules! plain {
    ($($set:ident $get:ident $field:ident $max:literal;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(a: *mut Attr, v: c_int) -> c_int {
            if !(0..=$max).contains(&v) {
                return libc::EINVAL;
            }
            (*a).$field = v;
            0
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(a: *const Attr, v: *mut c_int) -> c_int {
            *v = (*a).$field;
            0
        }
    )* };
}
plain! {
    pthread_attr_setdetachstate pthread_attr_getdetachstate detached 1;
    pthread_attr_setschedpolicy pthread_attr_getschedpolicy policy 6;
    pthread_attr_setinheritsched pthread_attr_getinheritsched inherit 1;
    pthread_attr_setscope pthread_attr_getscope scope 0;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_setschedparam(
    a: *mut Attr,
    p: *const libc::sched_param,
) -> c_int {
    (*a).priority = (*p).sched_priority;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_attr_getschedparam(
    a: *const Attr,
    p: *mut libc::sched_param,
) -> c_int {
    (*p).sched_priority = (*a).priority;
    0
}

/// The main thread's stack ends where the auxiliary vector is and may grow to the limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_getattr_np(t: *mut Pthread, a: *mut Attr) -> c_int {
    pthread_attr_init(a);
    (*a).guard_size = (*t).guard;
    if (*t).main {
        let mut l: libc::rlimit = core::mem::zeroed();
        let r = door!(
            prlimit64,
            0,
            libc::RLIMIT_STACK,
            null_mut::<u8>(),
            &raw mut l
        );
        // Above the vector lie the strings, the program's path and the random bytes last.
        let last = [libc::AT_EXECFN, libc::AT_RANDOM].map(|key| aux(key).unwrap_or(0) as usize);
        let end = (last[0].max(last[1]).max(AUXV as usize) + 16 + 4095) & !4095;
        let size = if r < 0 {
            0
        } else {
            l.rlim_cur.min(MAIN_STACK_MAX)
        };
        (*a).stack_end = end;
        (*a).stack_size = size as usize & !4095;
        (*a).guard_size = 0;
    } else {
        (*a).stack_end = (*t).stack as usize + (*t).stack_len;
        (*a).stack_size = (*t).stack_len;
    }
    let state = (*t).state.load(core::sync::atomic::Ordering::Relaxed);
    (*a).detached = (state == super::thread::DETACHED) as c_int;
    0
}
