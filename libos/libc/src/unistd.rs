//! `<unistd.h>`: files, directories, ids: calls that are one operation, and near relatives.

use crate::errno::{cvt, cvt_int, fail};
use core::ffi::{c_char, c_int, c_long, c_uint, c_void};
use core::ptr::null_mut;
use libc::{AT_FDCWD, gid_t, iovec, off_t, pid_t, size_t, ssize_t, uid_t};

passthrough! {
    fn read(fd: c_int, buf: *mut c_void, n: size_t) -> ssize_t = read(fd, buf, n);
    fn write(fd: c_int, buf: *const c_void, n: size_t) -> ssize_t = write(fd, buf, n);
    fn readv(fd: c_int, iov: *const iovec, n: c_int) -> ssize_t = readv(fd, iov, n);
    fn writev(fd: c_int, iov: *const iovec, n: c_int) -> ssize_t = writev(fd, iov, n);
    fn pread(fd: c_int, buf: *mut c_void, n: size_t, at: off_t) -> ssize_t = pread64(fd, buf, n, at);
    fn pwrite(fd: c_int, buf: *const c_void, n: size_t, at: off_t) -> ssize_t = pwrite64(fd, buf, n, at);
    fn preadv(fd: c_int, iov: *const iovec, n: c_int, at: off_t) -> ssize_t = preadv(fd, iov, n, at, 0usize);
    fn pwritev(fd: c_int, iov: *const iovec, n: c_int, at: off_t) -> ssize_t = pwritev(fd, iov, n, at, 0usize);
    fn preadv2(fd: c_int, iov: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t = preadv2(fd, iov, n, at, 0usize, flags);
    fn pwritev2(fd: c_int, iov: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t = pwritev2(fd, iov, n, at, 0usize, flags);
    fn close_range(first: c_uint, last: c_uint, flags: c_uint) -> c_int = close_range(first, last, flags);
    fn close(fd: c_int) -> c_int = close(fd);
    fn lseek(fd: c_int, at: off_t, whence: c_int) -> off_t = lseek(fd, at, whence);
    fn dup(fd: c_int) -> c_int = dup(fd);
    fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int = dup3(old, new, flags);
    fn pipe2(fds: *mut c_int, flags: c_int) -> c_int = pipe2(fds, flags);
    fn pipe(fds: *mut c_int) -> c_int = pipe2(fds, 0);
    fn fsync(fd: c_int) -> c_int = fsync(fd);
    fn fdatasync(fd: c_int) -> c_int = fdatasync(fd);
    fn syncfs(fd: c_int) -> c_int = syncfs(fd);
    fn truncate(path: *const c_char, len: off_t) -> c_int = truncate(path, len);
    fn ftruncate(fd: c_int, len: off_t) -> c_int = ftruncate(fd, len);
    fn chdir(path: *const c_char) -> c_int = chdir(path);
    fn fchdir(fd: c_int) -> c_int = fchdir(fd);
    fn chroot(path: *const c_char) -> c_int = chroot(path);
    fn chown(path: *const c_char, u: uid_t, g: gid_t) -> c_int = fchownat(AT_FDCWD, path, u, g, 0);
    fn lchown(path: *const c_char, u: uid_t, g: gid_t) -> c_int = fchownat(AT_FDCWD, path, u, g, libc::AT_SYMLINK_NOFOLLOW);
    fn fchown(fd: c_int, u: uid_t, g: gid_t) -> c_int = fchown(fd, u, g);
    fn fchownat(dir: c_int, path: *const c_char, u: uid_t, g: gid_t, flags: c_int) -> c_int = fchownat(dir, path, u, g, flags);
    fn access(path: *const c_char, mode: c_int) -> c_int = faccessat(AT_FDCWD, path, mode);
    fn link(old: *const c_char, new: *const c_char) -> c_int = linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
    fn linkat(od: c_int, old: *const c_char, nd: c_int, new: *const c_char, flags: c_int) -> c_int = linkat(od, old, nd, new, flags);
    fn symlink(to: *const c_char, path: *const c_char) -> c_int = symlinkat(to, AT_FDCWD, path);
    fn symlinkat(to: *const c_char, dir: c_int, path: *const c_char) -> c_int = symlinkat(to, dir, path);
    fn readlink(path: *const c_char, buf: *mut c_char, n: size_t) -> ssize_t = readlinkat(AT_FDCWD, path, buf, n);
    fn readlinkat(dir: c_int, path: *const c_char, buf: *mut c_char, n: size_t) -> ssize_t = readlinkat(dir, path, buf, n);
    fn unlink(path: *const c_char) -> c_int = unlinkat(AT_FDCWD, path, 0);
    fn unlinkat(dir: c_int, path: *const c_char, flags: c_int) -> c_int = unlinkat(dir, path, flags);
    fn rmdir(path: *const c_char) -> c_int = unlinkat(AT_FDCWD, path, libc::AT_REMOVEDIR);
    fn rename(old: *const c_char, new: *const c_char) -> c_int = renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
    fn renameat(od: c_int, old: *const c_char, nd: c_int, new: *const c_char) -> c_int = renameat2(od, old, nd, new, 0);
    fn renameat2(od: c_int, old: *const c_char, nd: c_int, new: *const c_char, flags: c_uint) -> c_int = renameat2(od, old, nd, new, flags);
    fn getpid() -> pid_t = getpid();
    fn getppid() -> pid_t = getppid();
    fn getuid() -> uid_t = getuid();
    fn geteuid() -> uid_t = geteuid();
    fn getgid() -> gid_t = getgid();
    fn getegid() -> gid_t = getegid();
    fn setuid(u: uid_t) -> c_int = setuid(u);
    fn setgid(g: gid_t) -> c_int = setgid(g);
    fn seteuid(u: uid_t) -> c_int = setresuid(-1, u, -1);
    fn setegid(g: gid_t) -> c_int = setresgid(-1, g, -1);
    fn setreuid(r: uid_t, e: uid_t) -> c_int = setreuid(r, e);
    fn setregid(r: gid_t, e: gid_t) -> c_int = setregid(r, e);
    fn setresuid(r: uid_t, e: uid_t, s: uid_t) -> c_int = setresuid(r, e, s);
    fn setresgid(r: gid_t, e: gid_t, s: gid_t) -> c_int = setresgid(r, e, s);
    fn getresuid(r: *mut uid_t, e: *mut uid_t, s: *mut uid_t) -> c_int = getresuid(r, e, s);
    fn getresgid(r: *mut gid_t, e: *mut gid_t, s: *mut gid_t) -> c_int = getresgid(r, e, s);
    fn setfsuid(u: uid_t) -> c_int = setfsuid(u);
    fn setfsgid(g: gid_t) -> c_int = setfsgid(g);
    fn getgroups(n: c_int, list: *mut gid_t) -> c_int = getgroups(n, list);
    fn setgroups(n: size_t, list: *const gid_t) -> c_int = setgroups(n, list);
    fn getpgid(pid: pid_t) -> pid_t = getpgid(pid);
    fn getpgrp() -> pid_t = getpgid(0);
    fn setpgid(pid: pid_t, group: pid_t) -> c_int = setpgid(pid, group);
    fn setpgrp() -> c_int = setpgid(0, 0);
    fn getsid(pid: pid_t) -> pid_t = getsid(pid);
    fn setsid() -> pid_t = setsid();
    fn sethostname(name: *const c_char, n: size_t) -> c_int = sethostname(name, n);
    fn setdomainname(name: *const c_char, n: size_t) -> c_int = setdomainname(name, n);
    fn splice(a: c_int, ao: *mut off_t, b: c_int, bo: *mut off_t, n: size_t, flags: c_uint) -> ssize_t = splice(a, ao, b, bo, n, flags);
    fn tee(a: c_int, b: c_int, n: size_t, flags: c_uint) -> ssize_t = tee(a, b, n, flags);
    fn vmsplice(fd: c_int, iov: *const iovec, n: size_t, flags: c_uint) -> ssize_t = vmsplice(fd, iov, n, flags);
    fn sendfile(out: c_int, from: c_int, at: *mut off_t, n: size_t) -> ssize_t = sendfile(out, from, at, n);
    fn copy_file_range(a: c_int, ao: *mut off_t, b: c_int, bo: *mut off_t, n: size_t, flags: c_uint) -> ssize_t = copy_file_range(a, ao, b, bo, n, flags);
    fn prctl(op: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int = prctl(op, a, b, c, d);
    fn mount(source: *const c_char, target: *const c_char, kind: *const c_char, flags: usize, data: *const c_void) -> c_int = mount(source, target, kind, flags, data);
    fn umount(target: *const c_char) -> c_int = umount2(target, 0);
    fn umount2(target: *const c_char, flags: c_int) -> c_int = umount2(target, flags);
    fn reboot(how: c_int) -> c_int = reboot(0xfee1_deadu32, 672_274_793, how, 0usize);
    fn klogctl(op: c_int, buf: *mut c_char, n: c_int) -> c_int = syslog(op, buf, n);
    fn personality(p: usize) -> c_int = personality(p);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    if old == new {
        // dup3 refuses this; dup2 asks only that the descriptor be open.
        return if cvt(door!(fcntl, old, libc::F_GETFD)) < 0 {
            -1
        } else {
            new
        };
    }
    cvt_int(door!(dup3, old, new, 0))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn faccessat(
    dir: c_int,
    path: *const c_char,
    mode: c_int,
    flags: c_int,
) -> c_int {
    if flags == 0 {
        cvt_int(door!(faccessat, dir, path, mode))
    } else {
        cvt_int(door!(faccessat2, dir, path, mode, flags))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn euidaccess(path: *const c_char, mode: c_int) -> c_int {
    faccessat(AT_FDCWD, path, mode, libc::AT_EACCESS)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn eaccess(path: *const c_char, mode: c_int) -> c_int {
    euidaccess(path, mode)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn remove(path: *const c_char) -> c_int {
    let r = door!(unlinkat, AT_FDCWD, path, 0);
    if r == -(libc::EISDIR as isize) {
        return rmdir(path);
    }
    cvt_int(r)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync() {
    door!(sync);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettid() -> pid_t {
    crate::tcb::tid()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getcwd(buf: *mut c_char, n: size_t) -> *mut c_char {
    let mut local = [0 as c_char; libc::PATH_MAX as usize];
    let (at, room) = if buf.is_null() {
        (local.as_mut_ptr(), local.len())
    } else if n == 0 {
        fail(libc::EINVAL);
        return null_mut();
    } else {
        (buf, n)
    };
    let r = cvt(door!(getcwd, at, room));
    if r < 0 {
        return null_mut();
    }
    if *at != b'/' as c_char {
        // Outside the root: the kernel says "(unreachable)".
        fail(libc::ENOENT);
        return null_mut();
    }
    if buf.is_null() {
        crate::string::strdup(at)
    } else {
        buf
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_current_dir_name() -> *mut c_char {
    getcwd(null_mut(), 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostname(name: *mut c_char, n: size_t) -> c_int {
    let mut u: libc::utsname = core::mem::zeroed();
    if cvt(door!(uname, &raw mut u)) < 0 {
        return -1;
    }
    if crate::string::put(crate::string::bytes(u.nodename.as_ptr()), name, n) {
        0
    } else {
        fail(libc::ENAMETOOLONG) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getdomainname(name: *mut c_char, n: size_t) -> c_int {
    let mut u: libc::utsname = core::mem::zeroed();
    if cvt(door!(uname, &raw mut u)) < 0 {
        return -1;
    }
    if crate::string::put(crate::string::bytes(u.domainname.as_ptr()), name, n) {
        0
    } else {
        fail(libc::EINVAL) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uname(u: *mut libc::utsname) -> c_int {
    cvt_int(door!(uname, u))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pause() -> c_int {
    cvt_int(door!(
        ppoll,
        0usize,
        0usize,
        0usize,
        0usize,
        crate::signal::SIGSET
    ))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nice(by: c_int) -> c_int {
    let old = 20 - door!(getpriority, libc::PRIO_PROCESS, 0) as c_int;
    let new = old.saturating_add(by).clamp(-20, 19);
    match -door!(setpriority, libc::PRIO_PROCESS, 0, new) as c_int {
        0 => new,
        // POSIX wants EPERM where Linux says EACCES.
        libc::EACCES => fail(libc::EPERM) as c_int,
        e => fail(e) as c_int,
    }
}

/// The kernel says where the end is now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn brk(end: *mut c_void) -> c_int {
    if door!(brk, end) as usize >= end as usize {
        0
    } else {
        fail(libc::ENOMEM) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbrk(by: isize) -> *mut c_void {
    let now = door!(brk, 0usize);
    if by != 0 && door!(brk, now + by) != now + by {
        fail(libc::ENOMEM);
        return usize::MAX as *mut c_void;
    }
    now as *mut c_void
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockf(fd: c_int, op: c_int, len: off_t) -> c_int {
    let mut l: libc::flock = core::mem::zeroed();
    l.l_whence = libc::SEEK_CUR as i16;
    l.l_len = len;
    l.l_type = if op == libc::F_ULOCK {
        libc::F_UNLCK as i16
    } else {
        libc::F_WRLCK as i16
    };
    match op {
        libc::F_TEST => {
            if cvt(door!(fcntl, fd, libc::F_GETLK, &raw mut l)) < 0 {
                return -1;
            }
            if l.l_type == libc::F_UNLCK as i16 || l.l_pid == getpid() {
                0
            } else {
                fail(libc::EACCES) as c_int
            }
        }
        libc::F_LOCK => cvt_int(door!(fcntl, fd, libc::F_SETLKW, &raw mut l)),
        libc::F_TLOCK | libc::F_ULOCK => cvt_int(door!(fcntl, fd, libc::F_SETLK, &raw mut l)),
        _ => fail(libc::EINVAL) as c_int,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpagesize() -> c_int {
    4096
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gethostid() -> c_long {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getloadavg(out: *mut f64, n: c_int) -> c_int {
    if n <= 0 {
        return if n < 0 { -1 } else { 0 };
    }
    let mut s: libc::sysinfo = core::mem::zeroed();
    if cvt(door!(sysinfo, &raw mut s)) < 0 {
        return -1;
    }
    let n = n.min(3);
    for i in 0..n as usize {
        *out.add(i) = s.loads[i] as f64 / 65536.0;
    }
    n
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysinfo(s: *mut libc::sysinfo) -> c_int {
    cvt_int(door!(sysinfo, s))
}
