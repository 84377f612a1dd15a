//! Calls that do little: what is left is the way into the kernel and back.

use std::{
    ffi::CStr,
    fs::{File, OpenOptions},
    hint::black_box,
    os::fd::AsRawFd,
};

use crate::{
    measure::{Measure, Sample, repeat},
    sys::check,
};

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "null_call",
        about: "getppid()",
        limit: 10,
        run: null_call,
    },
    Measure {
        name: "getpid",
        about: "getpid()",
        limit: 10,
        run: getpid,
    },
    Measure {
        name: "clock_gettime",
        about: "clock_gettime(CLOCK_MONOTONIC)",
        limit: 10,
        run: clock_gettime,
    },
    Measure {
        name: "read_1",
        about: "read of 1 byte from /dev/zero",
        limit: 10,
        run: || read(1),
    },
    Measure {
        name: "read_64k",
        about: "read of 64 KiB from /dev/zero",
        limit: 20,
        run: || read(64 << 10),
    },
    Measure {
        name: "write_1",
        about: "write of 1 byte to /dev/null",
        limit: 10,
        run: || write(1),
    },
    Measure {
        name: "write_64k",
        about: "write of 64 KiB to /dev/null",
        limit: 10,
        run: || write(64 << 10),
    },
    Measure {
        name: "open_close",
        about: "open and close of /etc/passwd",
        limit: 10,
        run: open_close,
    },
    Measure {
        name: "stat",
        about: "stat of /etc/passwd",
        limit: 10,
        run: stat,
    },
    Measure {
        name: "fstat",
        about: "fstat of an open file",
        limit: 10,
        run: fstat,
    },
];

/// Repetitions of a call that is over in some hundred instructions.
const MANY: u64 = 10_000;
const PATH: &CStr = c"/etc/passwd";

fn null_call() -> Result<Sample, String> {
    repeat(MANY, || {
        // SAFETY: takes nothing and cannot fail.
        black_box(unsafe { libc::getppid() });
        Ok(())
    })
}

fn getpid() -> Result<Sample, String> {
    repeat(MANY, || {
        // SAFETY: takes nothing and cannot fail.
        black_box(unsafe { libc::getpid() });
        Ok(())
    })
}

fn clock_gettime() -> Result<Sample, String> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    repeat(MANY, || {
        // SAFETY: `time` is room for the result.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        check("clock_gettime", black_box(result)).map(drop)
    })
}

fn read(len: usize) -> Result<Sample, String> {
    let file = File::open("/dev/zero").map_err(|e| format!("/dev/zero: {e}"))?;
    let mut buffer = vec![0u8; len];
    repeat(if len > 1 { 200 } else { MANY }, || {
        // SAFETY: the buffer has that room.
        let count = unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), len) };
        check("read", count).map(drop)
    })
}

fn write(len: usize) -> Result<Sample, String> {
    let file = OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .map_err(|e| format!("/dev/null: {e}"))?;
    let buffer = vec![0u8; len];
    repeat(MANY, || {
        // SAFETY: the buffer is that long.
        let count = unsafe { libc::write(file.as_raw_fd(), buffer.as_ptr().cast(), len) };
        check("write", count).map(drop)
    })
}

fn open_close() -> Result<Sample, String> {
    repeat(2_000, || {
        // SAFETY: the path ends with a NUL.
        let fd = unsafe { libc::open(PATH.as_ptr(), libc::O_RDONLY) };
        crate::sys::close(check("open", fd)?);
        Ok(())
    })
}

fn stat() -> Result<Sample, String> {
    let mut about = std::mem::MaybeUninit::<libc::stat>::uninit();
    repeat(2_000, || {
        // SAFETY: the path ends with a NUL, and `about` is room for the result.
        let result = unsafe { libc::stat(PATH.as_ptr(), about.as_mut_ptr()) };
        check("stat", result).map(drop)
    })
}

fn fstat() -> Result<Sample, String> {
    let file = File::open("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let mut about = std::mem::MaybeUninit::<libc::stat>::uninit();
    repeat(MANY, || {
        // SAFETY: `about` is room for the result.
        let result = unsafe { libc::fstat(file.as_raw_fd(), about.as_mut_ptr()) };
        check("fstat", result).map(drop)
    })
}
