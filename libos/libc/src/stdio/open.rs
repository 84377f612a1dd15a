//! Files are opened, given their buffers, and closed.

use super::Fixed;
use super::file::{File, dispose, flush_all, locked, new};
use super::io::EOF;
use super::stream::{Buffering, UNGET};
use crate::errno::{cvt_int, fail};
use crate::string::bytes;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

/// `r w a` with `+ x e`, as open flags.
unsafe fn flags(mode: *const c_char) -> Option<c_int> {
    let mode = bytes(mode);
    let plus = mode.contains(&b'+');
    let mut flags = match mode.first()? {
        b'r' => 0,
        b'w' => libc::O_CREAT | libc::O_TRUNC,
        b'a' => libc::O_CREAT | libc::O_APPEND,
        _ => {
            fail(libc::EINVAL);
            return None;
        }
    };
    flags |= match (plus, mode[0]) {
        (true, _) => libc::O_RDWR,
        (_, b'r') => libc::O_RDONLY,
        _ => libc::O_WRONLY,
    };
    if mode.contains(&b'x') {
        flags |= libc::O_EXCL;
    }
    if mode.contains(&b'e') {
        flags |= libc::O_CLOEXEC;
    }
    Some(flags)
}

unsafe fn open(path: *const c_char, flags: c_int) -> c_int {
    cvt_int(door!(openat, libc::AT_FDCWD, path, flags, 0o666))
}

unsafe fn made(fd: c_int, flags: c_int) -> *mut File {
    let f = new(fd);
    if !f.is_null() {
        (*f).stream.set_mode(flags);
    }
    f
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut File {
    let Some(flags) = flags(mode) else {
        return null_mut();
    };
    let fd = open(path, flags);
    if fd < 0 {
        return null_mut();
    }
    let f = made(fd, flags);
    if f.is_null() {
        door!(close, fd);
    }
    f
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdopen(fd: c_int, mode: *const c_char) -> *mut File {
    let Some(want) = flags(mode) else {
        return null_mut();
    };
    let have = cvt_int(door!(fcntl, fd, libc::F_GETFL, 0));
    if have < 0 {
        return null_mut();
    }
    if want & libc::O_APPEND != 0 && have & libc::O_APPEND == 0 {
        door!(fcntl, fd, libc::F_SETFL, have | libc::O_APPEND);
    }
    if want & libc::O_CLOEXEC != 0 {
        door!(fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    made(fd, want)
}

/// Without a path the same file in another mode.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freopen(
    path: *const c_char,
    mode: *const c_char,
    f: *mut File,
) -> *mut File {
    use core::fmt::Write;
    let Some(flags) = flags(mode) else {
        fclose(f);
        return null_mut();
    };
    let ok = locked(f, |f| {
        f.flush();
        let mut same = Fixed::<32>::new();
        let path = if path.is_null() && write!(same, "/proc/self/fd/{}\0", f.fd).is_ok() {
            same.as_ptr()
        } else {
            path
        };
        let fd = open(path, flags);
        if fd < 0 {
            return false;
        }
        if fd != f.fd {
            door!(dup3, fd, f.fd, flags & libc::O_CLOEXEC);
            door!(close, fd);
        }
        f.clear();
        f.eof = false;
        f.error = false;
        f.set_mode(flags);
        true
    });
    if ok {
        f
    } else {
        let why = crate::errno::get();
        fclose(f);
        crate::errno::set(why);
        null_mut()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fclose(f: *mut File) -> c_int {
    let (ok, fd) = locked(f, |f| {
        let ok = f.flush();
        f.set_buffer(null_mut(), 0);
        (ok, f.fd)
    });
    dispose(f);
    let r = cvt_int(door!(close, fd));
    if ok { r } else { EOF }
}

/// As glibc has it: everything is written out; the descriptors stay open, the process being about to end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcloseall() -> c_int {
    if flush_all() { 0 } else { EOF }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setvbuf(f: *mut File, buf: *mut c_char, mode: c_int, len: usize) -> c_int {
    // _IOFBF, _IOLBF, _IONBF
    let modes = [Buffering::Full, Buffering::Line, Buffering::None];
    let Some(&mode) = usize::try_from(mode).ok().and_then(|m| modes.get(m)) else {
        return fail(libc::EINVAL) as c_int;
    };
    locked(f, |f| {
        // What waits goes the old way; what was read ahead and cannot go back keeps its buffer.
        f.flush();
        f.buffering = mode;
        if !buf.is_null() && len > UNGET && f.at == f.end {
            f.set_buffer(buf.cast(), len);
        }
    });
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setbuf(f: *mut File, buf: *mut c_char) {
    // `BUFSIZ` is the program's: what its header says that the buffer holds.
    let (mode, len) = if buf.is_null() {
        (libc::_IONBF, 0)
    } else {
        (libc::_IOFBF, libc::BUFSIZ as usize)
    };
    setvbuf(f, buf, mode, len);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setlinebuf(f: *mut File) {
    setvbuf(f, null_mut(), libc::_IOLBF, 0);
}
