//! `spawn` for the feature `svc`, where there is no such operation: a child that shares our memory
//! until it runs the program, and tells of a failure through a pipe that exec closes.

use crate::door::__libc_clone;
use crate::signal::SIGSET;
use crate::spawn::{Args, CHDIR, CLOSE, DUP2, OPEN};
use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

/// POSIX_SPAWN_SETSID
const SETSID: c_int = 0x80;

struct Job<'a> {
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    args: &'a Args,
    old_mask: u64,
    /// Closed by a successful exec; an error is written to it.
    report: c_int,
}

pub unsafe fn spawn(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    args: &Args,
) -> isize {
    const STACK: usize = 64 << 10;
    let stack = crate::mman::anonymous(STACK);
    if stack < 0 {
        return stack;
    }
    let mut fds = [0 as c_int; 2];
    let r = door!(pipe2, fds.as_mut_ptr(), libc::O_CLOEXEC);
    if r < 0 {
        door!(munmap, stack, STACK);
        return r;
    }
    // Out of the way of the descriptors that the child's actions name.
    let report = door!(fcntl, fds[1], libc::F_DUPFD_CLOEXEC, 128) as c_int;
    door!(close, fds[1]);
    let old_mask = crate::signal::set_mask(libc::SIG_BLOCK, u64::MAX);
    let mut job = Job {
        path,
        argv,
        envp,
        args,
        old_mask,
        report,
    };
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as usize;
    let top = (stack as *mut u8).add(STACK);
    let mut r = __libc_clone(
        flags,
        top,
        null_mut(),
        null_mut(),
        null_mut(),
        child,
        (&raw mut job).cast(),
    );
    door!(close, report);
    let mut error = 0isize;
    let got = door!(read, fds[0], &raw mut error, 8usize);
    door!(close, fds[0]);
    if r > 0 && got == 8 {
        door!(wait4, r, 0usize, 0, 0usize);
        r = error;
    }
    door!(munmap, stack, STACK);
    crate::signal::set_mask(libc::SIG_SETMASK, old_mask);
    r
}

unsafe extern "C" fn child(job: *mut c_void) -> ! {
    let job = &mut *job.cast::<Job>();
    let error = run(job);
    door!(write, job.report, &raw const error, 8usize);
    loop {
        door!(exit, 127);
    }
}

/// Only raw operations here: `errno` and everything else belong to the parent.
unsafe fn run(job: &Job) -> isize {
    let args = job.args;
    let has = |flag: c_int| args.flags & flag as u32 != 0;
    let (mut action, dfl) = ([0u64; 4], [0u64; 4]);
    for sig in 1..=64 {
        let reset = has(libc::POSIX_SPAWN_SETSIGDEF) && args.sigdefault >> (sig - 1) & 1 != 0;
        door!(rt_sigaction, sig, 0usize, action.as_mut_ptr(), SIGSET);
        if reset || action[0] > 1 {
            door!(rt_sigaction, sig, dfl.as_ptr(), 0usize, SIGSET);
        }
    }
    if has(libc::POSIX_SPAWN_SETPGROUP) {
        let r = door!(setpgid, 0, args.pgroup);
        if r < 0 {
            return r;
        }
    }
    if has(SETSID) {
        door!(setsid);
    }
    let priority = &raw const args.priority;
    let r = if has(libc::POSIX_SPAWN_SETSCHEDULER) {
        door!(sched_setscheduler, 0, args.policy, priority)
    } else if has(libc::POSIX_SPAWN_SETSCHEDPARAM) {
        door!(sched_setparam, 0, priority)
    } else {
        0
    };
    if r < 0 {
        return r;
    }
    for i in 0..args.nactions as usize {
        let a = *args.actions.add(i);
        let r = match a.kind {
            DUP2 if a.fd == a.newfd => door!(fcntl, a.fd, libc::F_SETFD, 0),
            DUP2 => door!(dup3, a.fd, a.newfd, 0),
            CLOSE => {
                door!(close, a.fd);
                0
            }
            OPEN => {
                let fd = door!(openat, libc::AT_FDCWD, a.path, a.oflag, a.mode);
                if fd >= 0 && fd != a.fd as isize {
                    let r = door!(dup3, fd, a.fd, 0);
                    door!(close, fd);
                    r
                } else {
                    fd
                }
            }
            CHDIR => door!(chdir, a.path),
            _ => door!(fchdir, a.fd),
        };
        if r < 0 {
            return r;
        }
    }
    let mask = if has(libc::POSIX_SPAWN_SETSIGMASK) {
        args.sigmask
    } else {
        job.old_mask
    };
    door!(
        rt_sigprocmask,
        libc::SIG_SETMASK,
        &raw const mask,
        0usize,
        SIGSET
    );
    door!(execve, job.path, job.argv, job.envp)
}
