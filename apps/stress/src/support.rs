//! System calls with their errors as errors, children and their ends, patterns to check data by.

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use anyhow::{Context, Result, anyhow};

/// Calls a C function whose arguments the caller answers for.
macro_rules! sys {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: pointers among the arguments come from live references or mappings of the calling step.
        #[allow(unused_unsafe, clippy::macro_metavars_in_unsafe)]
        unsafe { libc::$name($($arg),*) }
    }};
}

/// As `sys!`, again as long as a signal cuts it short; -1 is an error with the function's name.
macro_rules! call {
    ($name:ident($($arg:expr),* $(,)?)) => {
        $crate::support::outcome(stringify!($name), || i64::from(sys!($name($($arg),*)) as i64))
    };
}

pub fn outcome(name: &str, mut call: impl FnMut() -> i64) -> Result<i64> {
    loop {
        let result = call();
        if result != -1 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error).with_context(|| name.to_owned());
        }
    }
}

pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a name of ours")
}

/// A C structure of integers and of pointers that may be null.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: only used with such structures, whose all-zero bits are a value.
    unsafe { std::mem::zeroed() }
}

pub fn map(length: usize, protection: c_int, flags: c_int, fd: c_int) -> Result<*mut u8> {
    let at = sys!(mmap(ptr::null_mut(), length, protection, flags, fd, 0));
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error()).with_context(|| format!("mmap of {length} bytes"));
    }
    Ok(at.cast())
}

pub fn map_private(length: usize) -> Result<*mut u8> {
    map(
        length,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
    )
}

pub fn map_shared(length: usize) -> Result<*mut u8> {
    map(
        length,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        -1,
    )
}

pub fn unmap(at: *mut u8, length: usize) -> Result<()> {
    call!(munmap(at.cast::<c_void>(), length)).map(drop)
}

/// A pipe's ends, closed on exec: reading, writing.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    call!(pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
    // SAFETY: pipe2 has just made them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Takes what a call has just made.
pub fn owned(fd: i64) -> OwnedFd {
    // SAFETY: the caller passes a descriptor that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd as c_int) }
}

/// Reads into all of `data` or to the end of file; the length.
pub fn read_full(fd: &impl AsRawFd, data: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < data.len() {
        let rest = &mut data[done..];
        match call!(read(fd.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()))? {
            0 => break,
            count => done += count as usize,
        }
    }
    Ok(done)
}

pub fn write_full(fd: &impl AsRawFd, data: &[u8]) -> Result<()> {
    let mut done = 0;
    while done < data.len() {
        let rest = &data[done..];
        done += call!(write(fd.as_raw_fd(), rest.as_ptr().cast(), rest.len()))? as usize;
    }
    Ok(())
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
}

impl End {
    pub fn of(status: c_int) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Exit(libc::WEXITSTATUS(status))
        }
    }
}

/// Forks a child that runs `body` and exits with 0, or with 77 after it has said on stdout why not.
pub fn spawn(body: impl FnOnce() -> Result<()>) -> Result<i32> {
    spawn_status(|| match body() {
        Ok(()) => 0,
        Err(error) => {
            println!("stress: child {}: {error:#}", std::process::id());
            77
        }
    })
}

/// Forks a child that exits with `body`'s result.
pub fn spawn_status(body: impl FnOnce() -> i32) -> Result<i32> {
    let pid = call!(fork())? as i32;
    if pid == 0 {
        let status = body();
        sys!(_exit(status));
    }
    Ok(pid)
}

pub fn wait(pid: i32) -> Result<End> {
    let mut status = 0;
    call!(waitpid(pid, &mut status, 0)).with_context(|| format!("waiting for {pid}"))?;
    Ok(End::of(status))
}

/// Waits for a child that must end in a certain way.
pub fn expect_end(pid: i32, expected: End) -> Result<()> {
    let found = wait(pid)?;
    if found == expected {
        return Ok(());
    }
    Err(anyhow!(
        "child {pid} ended with {found:?}, not {expected:?}"
    ))
}

/// The byte at an offset of stream `tag`: any mix-up of streams or offsets shows.
pub fn pattern(tag: u64, offset: usize) -> u8 {
    let x = (offset as u64 ^ tag.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    (x >> 56) as u8
}

pub fn fill(tag: u64, start: usize, data: &mut [u8]) {
    for (index, byte) in data.iter_mut().enumerate() {
        *byte = pattern(tag, start + index);
    }
}

pub fn check(tag: u64, start: usize, data: &[u8]) -> Result<()> {
    for (index, &byte) in data.iter().enumerate() {
        let expected = pattern(tag, start + index);
        if byte != expected {
            let at = start + index;
            return Err(anyhow!(
                "byte {at} of stream {tag:x} is {byte:#x}, not {expected:#x}"
            ));
        }
    }
    Ok(())
}
