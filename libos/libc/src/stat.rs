//! `<sys/stat.h>`, `<sys/statfs.h>`, `<sys/statvfs.h>` and file times.

use crate::errno::{cvt_int, fail};
use core::ffi::{c_char, c_int, c_uint};
use core::ptr;
use libc::{AT_FDCWD, dev_t, mode_t, stat as Stat, timespec, timeval};

passthrough! {
    fn stat(path: *const c_char, s: *mut Stat) -> c_int = newfstatat(AT_FDCWD, path, s, 0);
    fn lstat(path: *const c_char, s: *mut Stat) -> c_int = newfstatat(AT_FDCWD, path, s, libc::AT_SYMLINK_NOFOLLOW);
    fn fstat(fd: c_int, s: *mut Stat) -> c_int = fstat(fd, s);
    fn fstatat(dir: c_int, path: *const c_char, s: *mut Stat, flags: c_int) -> c_int = newfstatat(dir, path, s, flags);
    fn statx(dir: c_int, path: *const c_char, flags: c_int, mask: c_uint, s: *mut libc::statx) -> c_int = statx(dir, path, flags, mask, s);
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int = mkdirat(AT_FDCWD, path, mode);
    fn mkdirat(dir: c_int, path: *const c_char, mode: mode_t) -> c_int = mkdirat(dir, path, mode);
    fn mknod(path: *const c_char, mode: mode_t, dev: dev_t) -> c_int = mknodat(AT_FDCWD, path, mode, dev);
    fn mknodat(dir: c_int, path: *const c_char, mode: mode_t, dev: dev_t) -> c_int = mknodat(dir, path, mode, dev);
    fn mkfifo(path: *const c_char, mode: mode_t) -> c_int = mknodat(AT_FDCWD, path, mode | libc::S_IFIFO, 0);
    fn mkfifoat(dir: c_int, path: *const c_char, mode: mode_t) -> c_int = mknodat(dir, path, mode | libc::S_IFIFO, 0);
    fn chmod(path: *const c_char, mode: mode_t) -> c_int = fchmodat(AT_FDCWD, path, mode);
    fn fchmod(fd: c_int, mode: mode_t) -> c_int = fchmod(fd, mode);
    fn statfs(path: *const c_char, s: *mut libc::statfs) -> c_int = statfs(path, s);
    fn fstatfs(fd: c_int, s: *mut libc::statfs) -> c_int = fstatfs(fd, s);
    fn utimensat(dir: c_int, path: *const c_char, t: *const timespec, flags: c_int) -> c_int = utimensat(dir, path, t, flags);
    fn futimens(fd: c_int, t: *const timespec) -> c_int = utimensat(fd, 0usize, t, 0);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fchmodat(
    dir: c_int,
    path: *const c_char,
    mode: mode_t,
    flags: c_int,
) -> c_int {
    if flags == 0 {
        return cvt_int(door!(fchmodat, dir, path, mode));
    }
    if flags != libc::AT_SYMLINK_NOFOLLOW {
        return fail(libc::EINVAL) as c_int;
    }
    cvt_int(door!(fchmodat2, dir, path, mode, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lchmod(path: *const c_char, mode: mode_t) -> c_int {
    fchmodat(AT_FDCWD, path, mode, libc::AT_SYMLINK_NOFOLLOW)
}

unsafe fn set_times(dir: c_int, path: *const c_char, tv: *const timeval, flags: c_int) -> c_int {
    if tv.is_null() {
        return cvt_int(door!(utimensat, dir, path, 0usize, flags));
    }
    let mut ts: [timespec; 2] = core::mem::zeroed();
    for (i, t) in ts.iter_mut().enumerate() {
        let v = *tv.add(i);
        if !(0..1_000_000).contains(&v.tv_usec) {
            return fail(libc::EINVAL) as c_int;
        }
        *t = timespec {
            tv_sec: v.tv_sec,
            tv_nsec: v.tv_usec * 1000,
        };
    }
    cvt_int(door!(utimensat, dir, path, ts.as_ptr(), flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn utimes(path: *const c_char, tv: *const timeval) -> c_int {
    set_times(AT_FDCWD, path, tv, 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lutimes(path: *const c_char, tv: *const timeval) -> c_int {
    set_times(AT_FDCWD, path, tv, libc::AT_SYMLINK_NOFOLLOW)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn futimes(fd: c_int, tv: *const timeval) -> c_int {
    set_times(fd, ptr::null(), tv, 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn futimesat(dir: c_int, path: *const c_char, tv: *const timeval) -> c_int {
    set_times(dir, path, tv, 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn utime(path: *const c_char, t: *const libc::utimbuf) -> c_int {
    if t.is_null() {
        return set_times(AT_FDCWD, path, ptr::null(), 0);
    }
    let tv = [
        timeval {
            tv_sec: (*t).actime,
            tv_usec: 0,
        },
        timeval {
            tv_sec: (*t).modtime,
            tv_usec: 0,
        },
    ];
    set_times(AT_FDCWD, path, tv.as_ptr(), 0)
}

unsafe fn to_vfs(s: &libc::statfs, v: *mut libc::statvfs) {
    ptr::write_bytes(v, 0, 1);
    (*v).f_bsize = s.f_bsize as _;
    (*v).f_frsize = if s.f_frsize != 0 {
        s.f_frsize as _
    } else {
        s.f_bsize as _
    };
    (*v).f_blocks = s.f_blocks;
    (*v).f_bfree = s.f_bfree;
    (*v).f_bavail = s.f_bavail;
    (*v).f_files = s.f_files;
    (*v).f_ffree = s.f_ffree;
    (*v).f_favail = s.f_ffree;
    // SAFETY: fsid_t is two ints; the first is what statvfs shows.
    (*v).f_fsid = *(&raw const s.f_fsid).cast::<u32>() as _;
    (*v).f_flag = s.f_flags as _;
    (*v).f_namemax = s.f_namelen as _;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn statvfs(path: *const c_char, v: *mut libc::statvfs) -> c_int {
    let mut s: libc::statfs = core::mem::zeroed();
    let r = cvt_int(door!(statfs, path, &raw mut s));
    if r == 0 {
        to_vfs(&s, v);
    }
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstatvfs(fd: c_int, v: *mut libc::statvfs) -> c_int {
    let mut s: libc::statfs = core::mem::zeroed();
    let r = cvt_int(door!(fstatfs, fd, &raw mut s));
    if r == 0 {
        to_vfs(&s, v);
    }
    r
}
