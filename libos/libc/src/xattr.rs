//! `<sys/xattr.h>`.

use core::ffi::{c_char, c_int, c_void};
use libc::{size_t, ssize_t};

passthrough! {
    fn setxattr(p: *const c_char, k: *const c_char, v: *const c_void, n: size_t, flags: c_int) -> c_int = setxattr(p, k, v, n, flags);
    fn lsetxattr(p: *const c_char, k: *const c_char, v: *const c_void, n: size_t, flags: c_int) -> c_int = lsetxattr(p, k, v, n, flags);
    fn fsetxattr(fd: c_int, k: *const c_char, v: *const c_void, n: size_t, flags: c_int) -> c_int = fsetxattr(fd, k, v, n, flags);
    fn getxattr(p: *const c_char, k: *const c_char, v: *mut c_void, n: size_t) -> ssize_t = getxattr(p, k, v, n);
    fn lgetxattr(p: *const c_char, k: *const c_char, v: *mut c_void, n: size_t) -> ssize_t = lgetxattr(p, k, v, n);
    fn fgetxattr(fd: c_int, k: *const c_char, v: *mut c_void, n: size_t) -> ssize_t = fgetxattr(fd, k, v, n);
    fn listxattr(p: *const c_char, l: *mut c_char, n: size_t) -> ssize_t = listxattr(p, l, n);
    fn llistxattr(p: *const c_char, l: *mut c_char, n: size_t) -> ssize_t = llistxattr(p, l, n);
    fn flistxattr(fd: c_int, l: *mut c_char, n: size_t) -> ssize_t = flistxattr(fd, l, n);
    fn removexattr(p: *const c_char, k: *const c_char) -> c_int = removexattr(p, k);
    fn lremovexattr(p: *const c_char, k: *const c_char) -> c_int = lremovexattr(p, k);
    fn fremovexattr(fd: c_int, k: *const c_char) -> c_int = fremovexattr(fd, k);
}
