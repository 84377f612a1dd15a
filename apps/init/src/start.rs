//! Starting the shell and waiting for it, while burying whatever else ends.
//!
//! `posix_spawn` directly and not std's `Command`: that makes pipes and reads directories of the
//! PATH, and every operation counts between boot and the first line of a command's output.

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
}

impl End {
    /// `None` for a state change that is no end, such as a stop.
    pub fn from_wait_status(status: c_int) -> Option<Self> {
        if libc::WIFEXITED(status) {
            Some(Self::Exit(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::Signal(libc::WTERMSIG(status)))
        } else {
            None
        }
    }

    /// As shells report it: 128 plus the signal's number for a death by signal.
    pub fn status(self) -> i32 {
        match self {
            Self::Exit(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Starts `path` with no signal blocked and `SIGPIPE` back at its default, which std's start-up
/// code has set to "ignore" in this process.
pub fn spawn(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Result<i32> {
    let arguments = pointers(arguments);
    let environment = pointers(environment);
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pid = 0;
    // SAFETY: each object is initialised by its init call before any other use; the pointer lists
    // end in NULL and outlive the call, as do the strings that they point to.
    let error = unsafe {
        check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
        libc::sigemptyset(signals.as_mut_ptr());
        check(libc::posix_spawnattr_setsigmask(
            attributes.as_mut_ptr(),
            signals.as_ptr(),
        ))?;
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGPIPE);
        check(libc::posix_spawnattr_setsigdefault(
            attributes.as_mut_ptr(),
            signals.as_ptr(),
        ))?;
        check(libc::posix_spawnattr_setflags(
            attributes.as_mut_ptr(),
            (libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK) as c_short,
        ))?;
        libc::posix_spawn(
            &mut pid,
            path.as_ptr(),
            ptr::null(),
            attributes.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    check(error).map(|()| pid)
}

/// The NULL-terminated list that C wants.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

/// The spawn family returns the error instead of setting errno.
fn check(error: c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Waits until `child` has ended, reaping every adopted orphan that ends meanwhile.
pub fn wait_for(child: i32) -> End {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        if pid == child
            && let Some(end) = End::from_wait_status(status)
        {
            return end;
        }
        if pid == -1 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            // ECHILD: someone else collected the shell, so its status is not to be had any more.
            return End::Exit(255);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(script: &CStr) -> i32 {
        let arguments = [c"sh".to_owned(), c"-c".to_owned(), script.to_owned()];
        let pid = spawn(c"/bin/sh", &arguments, &[c"A=b".to_owned()]).unwrap();
        let mut status = 0;
        // SAFETY: `status` is a valid place; tests run beside each other, so wait for one child only.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        End::from_wait_status(status).unwrap().status()
    }

    #[test]
    fn exit_status_is_the_shells() {
        assert_eq!(status_of(c"exit 7"), 7);
        assert_eq!(status_of(c"test \"$A\" = b"), 0);
    }

    #[test]
    fn death_by_signal_is_128_plus_it() {
        assert_eq!(status_of(c"kill -9 $$"), 137);
        // std ignores SIGPIPE in this process; the child must not inherit that.
        assert_eq!(status_of(c"kill -13 $$; exit 3"), 141);
    }

    #[test]
    fn a_missing_program_is_an_error_here() {
        let error = spawn(c"/nonexistent", &[c"x".to_owned()], &[]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn a_stop_is_no_end() {
        assert_eq!(End::from_wait_status(0x137f), None);
    }
}
