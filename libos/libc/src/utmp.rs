//! `<utmpx.h>`: no login records are kept, so there are none to read, and saying so is the truth.

use crate::errno::fail;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

#[unsafe(no_mangle)]
pub extern "C" fn setutxent() {}
#[unsafe(no_mangle)]
pub extern "C" fn endutxent() {}
#[unsafe(no_mangle)]
pub extern "C" fn getutxent() -> *mut c_void {
    null_mut()
}
#[unsafe(no_mangle)]
pub extern "C" fn getutxid(_key: *const c_void) -> *mut c_void {
    null_mut()
}
#[unsafe(no_mangle)]
pub extern "C" fn getutxline(_key: *const c_void) -> *mut c_void {
    null_mut()
}
#[unsafe(no_mangle)]
pub extern "C" fn pututxline(_entry: *const c_void) -> *mut c_void {
    null_mut()
}
#[unsafe(no_mangle)]
pub extern "C" fn utmpxname(_path: *const c_char) -> c_int {
    fail(libc::ENOTSUP) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getlogin() -> *mut c_char {
    crate::env::getenv(c"LOGNAME".as_ptr())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getlogin_r(buf: *mut c_char, len: usize) -> c_int {
    let name = getlogin();
    if name.is_null() {
        return libc::ENXIO;
    }
    if crate::string::put(crate::string::bytes(name), buf, len) {
        0
    } else {
        libc::ERANGE
    }
}
