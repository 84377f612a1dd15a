//! Files that are not opened by name: a command's output or input, and a temporary one.

use super::file::{File, new};
use super::open::fclose;
use crate::errno::{cvt, cvt_int, fail};
use crate::string::bytes;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmpfile() -> *mut File {
    let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
    let fd = cvt_int(door!(
        openat,
        libc::AT_FDCWD,
        c"/tmp".as_ptr(),
        flags,
        0o600
    ));
    if fd < 0 { null_mut() } else { new(fd) }
}

/// A command's output, or its input, as a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn popen(command: *const c_char, mode: *const c_char) -> *mut File {
    use crate::spawn::{FileActions, posix_spawn, posix_spawn_file_actions_adddup2};
    let theirs = match bytes(mode).first() {
        Some(b'r') => 1,
        Some(b'w') => 0,
        _ => {
            fail(libc::EINVAL);
            return null_mut();
        }
    };
    let mut fds = [0 as c_int; 2];
    if cvt(door!(pipe2, fds.as_mut_ptr(), libc::O_CLOEXEC)) < 0 {
        return null_mut();
    }
    let (ours, given) = (fds[1 - theirs], fds[theirs]);
    let mut actions: FileActions = core::mem::zeroed();
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
    let mut pid = 0;
    let mut e = posix_spawn_file_actions_adddup2(&raw mut actions, given, theirs as c_int);
    if e == 0 {
        let env = crate::startup::environ.cast_const().cast();
        let path = c"/bin/sh".as_ptr();
        e = posix_spawn(
            &raw mut pid,
            path,
            &raw const actions,
            core::ptr::null(),
            argv.as_ptr(),
            env,
        );
    }
    crate::spawn::posix_spawn_file_actions_destroy(&raw mut actions);
    door!(close, given);
    let f = if e == 0 { new(ours) } else { null_mut() };
    if f.is_null() {
        door!(close, ours);
        if e != 0 {
            fail(e);
        }
    } else {
        (*f).stream.pid = pid;
    }
    f
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pclose(f: *mut File) -> c_int {
    let pid = (*f).stream.pid;
    fclose(f);
    let mut status = 0;
    loop {
        let r = door!(wait4, pid, &raw mut status, 0, 0usize);
        if r != -(libc::EINTR as isize) {
            return if cvt(r) < 0 { -1 } else { status };
        }
    }
}
