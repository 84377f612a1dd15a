//! The C calls that measures make, with errors as texts.

use std::io;

/// The result of a C call, or what errno says about it.
pub fn check<T: PartialOrd + Default>(what: &str, result: T) -> Result<T, String> {
    if result < T::default() {
        return Err(format!("{what}: {}", io::Error::last_os_error()));
    }
    Ok(result)
}

pub fn pipe() -> Result<[i32; 2], String> {
    let mut ends = [0; 2];
    // SAFETY: `ends` is room for two descriptors.
    check("pipe", unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    Ok(ends)
}

pub fn close(fd: i32) {
    // SAFETY: the callers own the descriptor and use it no more.
    unsafe { libc::close(fd) };
}

pub fn read_byte(fd: i32) -> Result<(), String> {
    let mut byte = 0u8;
    // SAFETY: `byte` is room for one byte.
    let count = unsafe { libc::read(fd, (&raw mut byte).cast(), 1) };
    match check("read", count)? {
        0 => Err("read: end of file".into()),
        _ => Ok(()),
    }
}

pub fn write_byte(fd: i32) -> Result<(), String> {
    // SAFETY: the static is one byte long.
    check("write", unsafe { libc::write(fd, b"x".as_ptr().cast(), 1) }).map(drop)
}

/// Runs `body` in a forked child, which ends with its value; gives the child's pid.
pub fn fork(body: impl FnOnce() -> i32) -> Result<i32, String> {
    // SAFETY: this program has one thread wherever it forks, so the child may do anything.
    match check("fork", unsafe { libc::fork() })? {
        0 => {
            let status = body();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        child => Ok(child),
    }
}

/// Waits for a child and gives its raw wait status.
pub fn wait(child: i32) -> Result<i32, String> {
    let mut status = 0;
    // SAFETY: `status` is room for the result.
    check("waitpid", unsafe {
        libc::waitpid(child, &raw mut status, 0)
    })?;
    Ok(status)
}

/// Waits for a child that must end with 0.
pub fn wait_for_success(child: i32) -> Result<(), String> {
    match wait(child)? {
        0 => Ok(()),
        status => Err(format!("a child ended with wait status {status:#x}")),
    }
}

/// Private zeroed pages.
pub fn map(len: usize, flags: i32) -> Result<*mut u8, String> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the system chooses touches nothing.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(format!("mmap: {}", io::Error::last_os_error()));
    }
    Ok(at.cast())
}

/// # Safety
/// `at` came from `map` with the same length, and nothing uses it any more.
pub unsafe fn unmap(at: *mut u8, len: usize) -> Result<(), String> {
    // SAFETY: as above.
    check("munmap", unsafe { libc::munmap(at.cast(), len) }).map(drop)
}

/// Writes one byte in each page of a mapping.
///
/// # Safety
/// `at` is writable for `len` bytes.
pub unsafe fn touch(at: *mut u8, len: usize) {
    for offset in (0..len).step_by(PAGE) {
        // SAFETY: inside the mapping, by the caller's word. Volatile, or it would be left out.
        unsafe { at.add(offset).write_volatile(1) };
    }
}

pub const PAGE: usize = 4096;

/// The generic timer's virtual count, which starts at 0 when QEMU's machine does (Arm ARM D12).
#[cfg(target_arch = "aarch64")]
pub fn since_power_on() -> Option<u64> {
    let (count, frequency): (u64, u64);
    // SAFETY: reads two registers that are readable at every level.
    unsafe {
        std::arch::asm!("isb", "mrs {}, cntvct_el0", "mrs {}, cntfrq_el0",
            out(reg) count, out(reg) frequency, options(nomem, nostack));
    }
    Some((u128::from(count) * 1_000_000_000 / u128::from(frequency.max(1))) as u64)
}

#[cfg(not(target_arch = "aarch64"))]
pub fn since_power_on() -> Option<u64> {
    None
}
