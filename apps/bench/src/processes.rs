//! Making processes, by each way that POSIX knows.

use std::ffi::{CStr, CString};

use crate::{
    measure::{Measure, Sample, repeat},
    sys::{self, check},
};

/// The argument that makes this program end at once.
pub const END_AT_ONCE: &str = "--end-at-once";

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "fork_exit",
        about: "fork, exit in the child, wait",
        limit: 60,
        run: fork_exit,
    },
    Measure {
        name: "fork_exec",
        about: "fork, exec of this program, exit, wait",
        limit: 60,
        run: fork_exec,
    },
    Measure {
        name: "posix_spawn",
        about: "posix_spawn of this program, exit, wait",
        limit: 60,
        run: || spawn(own_path()?, &[c"bench", c"--end-at-once"]),
    },
    Measure {
        name: "spawn_true",
        about: "posix_spawn of coreutils' true, exit, wait",
        limit: 60,
        run: || spawn(c"/bin/true".into(), &[c"true"]),
    },
    Measure {
        name: "spawn_sh",
        about: "posix_spawn of sh -c :, exit, wait",
        limit: 60,
        run: || spawn(c"/bin/sh".into(), &[c"sh", c"-c", c":"]),
    },
];

const REPETITIONS: u64 = 50;

fn fork_exit() -> Result<Sample, String> {
    repeat(REPETITIONS, || sys::wait_for_success(sys::fork(|| 0)?))
}

fn fork_exec() -> Result<Sample, String> {
    let path = own_path()?;
    let argv = [
        c"bench".as_ptr(),
        c"--end-at-once".as_ptr(),
        std::ptr::null(),
    ];
    let environment = [std::ptr::null()];
    repeat(REPETITIONS, || {
        let child = sys::fork(|| {
            // SAFETY: the path and both lists end as C wants it.
            unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
            127
        })?;
        sys::wait_for_success(child)
    })
}

pub fn own_path() -> Result<CString, String> {
    let usual = c"/bin/bench";
    // SAFETY: the path ends with a NUL.
    if unsafe { libc::access(usual.as_ptr(), libc::X_OK) } == 0 {
        return Ok(usual.into());
    }
    let path = std::env::current_exe().map_err(|e| format!("where this program is: {e}"))?;
    CString::new(path.into_os_string().into_encoded_bytes()).map_err(|e| e.to_string())
}

fn spawn(path: CString, words: &[&CStr]) -> Result<Sample, String> {
    let mut argv: Vec<*mut libc::c_char> = words.iter().map(|w| w.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    let environment = [std::ptr::null_mut()];
    repeat(REPETITIONS, || {
        let mut child = 0;
        // SAFETY: the path and both lists end as C wants it; no attributes or actions are given.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut child,
                path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr(),
                environment.as_ptr(),
            )
        };
        check("posix_spawn", -error).map_err(|_| {
            let error = std::io::Error::from_raw_os_error(error);
            format!("{}: {error}", path.to_string_lossy())
        })?;
        sys::wait_for_success(child)
    })
}
