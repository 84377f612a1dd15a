//! `<fcntl.h>`, `<sys/file.h>`, `ioctl`. The variadic ones take one word: AAPCS64 passes it alike.

use crate::errno::cvt_int;
use core::ffi::{c_char, c_int, c_uint};
use libc::{AT_FDCWD, mode_t, off_t};

passthrough! {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = openat(AT_FDCWD, path, flags | libc::O_LARGEFILE, mode);
    fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int = openat(dir, path, flags | libc::O_LARGEFILE, mode);
    fn creat(path: *const c_char, mode: mode_t) -> c_int = openat(AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode);
    fn fcntl(fd: c_int, op: c_int, arg: usize) -> c_int = fcntl(fd, op, arg);
    fn ioctl(fd: c_int, op: c_int, arg: usize) -> c_int = ioctl(fd, op as c_uint, arg);
    fn flock(fd: c_int, op: c_int) -> c_int = flock(fd, op);
    fn readahead(fd: c_int, at: off_t, n: usize) -> isize = readahead(fd, at, n);
    fn sync_file_range(fd: c_int, at: off_t, n: off_t, flags: c_uint) -> c_int = sync_file_range(fd, at, n, flags);
    fn fallocate(fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int = fallocate(fd, mode, at, len);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fadvise(fd: c_int, at: off_t, len: off_t, advice: c_int) -> c_int {
    -door!(fadvise64, fd, at, len, advice) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate(fd: c_int, at: off_t, len: off_t) -> c_int {
    -door!(fallocate, fd, 0, at, len) as c_int
}

/// For callers that were compiled against a `umask` of `<sys/stat.h>`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umask(mask: mode_t) -> mode_t {
    cvt_int(door!(umask, mask)) as mode_t
}
