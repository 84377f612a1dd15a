//! `<sys/mman.h>` and System V shared memory.

use crate::errno::{cvt, cvt_int, fail};
use core::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
use libc::{mode_t, off_t, size_t};

passthrough! {
    fn mmap(at: *mut c_void, n: size_t, prot: c_int, flags: c_int, fd: c_int, off: off_t) -> *mut c_void = mmap(at, n, prot, flags, fd, off);
    fn munmap(at: *mut c_void, n: size_t) -> c_int = munmap(at, n);
    fn mprotect(at: *mut c_void, n: size_t, prot: c_int) -> c_int = mprotect(at, n, prot);
    fn mremap(at: *mut c_void, old: size_t, new: size_t, flags: c_int, to: *mut c_void) -> *mut c_void = mremap(at, old, new, flags, to);
    fn madvise(at: *mut c_void, n: size_t, advice: c_int) -> c_int = madvise(at, n, advice);
    fn msync(at: *mut c_void, n: size_t, flags: c_int) -> c_int = msync(at, n, flags);
    fn mlock(at: *const c_void, n: size_t) -> c_int = mlock(at, n);
    fn munlock(at: *const c_void, n: size_t) -> c_int = munlock(at, n);
    fn mlock2(at: *const c_void, n: size_t, flags: c_uint) -> c_int = mlock2(at, n, flags);
    fn mlockall(flags: c_int) -> c_int = mlockall(flags);
    fn munlockall() -> c_int = munlockall();
    fn mincore(at: *mut c_void, n: size_t, v: *mut c_uchar) -> c_int = mincore(at, n, v);
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int = memfd_create(name, flags);
    fn shmget(key: libc::key_t, n: size_t, flags: c_int) -> c_int = shmget(key, n, flags);
    fn shmat(id: c_int, at: *const c_void, flags: c_int) -> *mut c_void = shmat(id, at, flags);
    fn shmdt(at: *const c_void) -> c_int = shmdt(at);
    fn shmctl(id: c_int, op: c_int, buf: *mut libc::shmid_ds) -> c_int = shmctl(id, op, buf);
}

/// Fresh memory of the process's own, or `-errno`.
pub unsafe fn anonymous(len: usize) -> isize {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    door!(mmap, 0usize, len, prot, flags, -1, 0usize)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_madvise(at: *mut c_void, n: size_t, advice: c_int) -> c_int {
    if advice == libc::POSIX_MADV_DONTNEED {
        // POSIX's may not lose data, Linux's does.
        return 0;
    }
    -door!(madvise, at, n, advice) as c_int
}

/// `/dev/shm/NAME` for a name of one component.
unsafe fn shm_path(name: *const c_char, path: &mut [c_char; 280]) -> bool {
    let mut name = crate::string::bytes(name);
    while let [b'/', rest @ ..] = name {
        name = rest;
    }
    if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." {
        fail(libc::EINVAL);
        return false;
    }
    if name.len() > libc::NAME_MAX as usize {
        fail(libc::ENAMETOOLONG);
        return false;
    }
    crate::string::put(b"/dev/shm/", path.as_mut_ptr(), path.len())
        && crate::string::put(name, path.as_mut_ptr().add(9), path.len() - 9)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn shm_open(name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let mut path = [0; 280];
    if !shm_path(name, &mut path) {
        return -1;
    }
    let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    cvt_int(door!(openat, libc::AT_FDCWD, path.as_ptr(), flags, mode))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn shm_unlink(name: *const c_char) -> c_int {
    let mut path = [0; 280];
    if !shm_path(name, &mut path) {
        return -1;
    }
    cvt(door!(unlinkat, libc::AT_FDCWD, path.as_ptr(), 0)) as c_int
}
