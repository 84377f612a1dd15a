//! `errno`, and the turn from the kernel's `-errno` results to C's `-1`.

use crate::tcb;
use core::ffi::c_int;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __errno_location() -> *mut c_int {
    &raw mut (*tcb::this()).errno
}

#[inline(always)]
pub fn set(e: c_int) {
    // SAFETY: the thread block exists before any C code runs.
    unsafe { (*tcb::this()).errno = e }
}

#[inline(always)]
pub fn get() -> c_int {
    // SAFETY: as in `set`.
    unsafe { (*tcb::this()).errno }
}

/// The kernel's result as C sees it: -1 with `errno` set, or the value.
#[inline(always)]
pub fn cvt(r: isize) -> isize {
    if r as usize > -4096isize as usize {
        fail(-r as c_int)
    } else {
        r
    }
}

#[cold]
pub fn fail(e: c_int) -> isize {
    set(e);
    -1
}

/// As `cvt`, for the many functions whose result is an `int`.
#[inline(always)]
pub fn cvt_int(r: isize) -> c_int {
    cvt(r) as c_int
}

/// C functions that are one operation with the same arguments.
macro_rules! passthrough {
    ($($(#[$m:meta])* fn $name:ident($($a:ident: $t:ty),* $(,)?) -> $r:ty = $op:ident($($e:expr),*);)*) => { $(
        $(#[$m])*
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe extern "C" fn $name($($a: $t),*) -> $r {
            $crate::errno::cvt(door!($op $(, $e)*)) as $r
        }
    )* };
}
