//! `<signal.h>`. Every handler returns through our own trampoline (`sa_restorer`).

use crate::errno::{cvt, cvt_int, fail};
use crate::tcb;
use core::ffi::{c_char, c_int};
use core::ptr::{null, null_mut};
use libc::{pid_t, sigaction as SigAction, siginfo_t, sigset_t, stack_t, timespec};

/// The size of a kernel's signal set.
pub const SIGSET: usize = 8;
const SA_RESTORER: u64 = 0x0400_0000;

/// The kernel's `struct sigaction`.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

unsafe extern "C" {
    fn __libc_restore();
}

passthrough! {
    fn kill(pid: pid_t, sig: c_int) -> c_int = kill(pid, sig);
    fn tgkill(pid: pid_t, tid: pid_t, sig: c_int) -> c_int = tgkill(pid, tid, sig);
    fn tkill(tid: pid_t, sig: c_int) -> c_int = tkill(tid, sig);
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int = sigaltstack(new, old);
    fn sigpending(set: *mut sigset_t) -> c_int = rt_sigpending(set, SIGSET);
    fn sigsuspend(mask: *const sigset_t) -> c_int = rt_sigsuspend(mask, SIGSET);
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, t: *const timespec) -> c_int = rt_sigtimedwait(set, info, t, SIGSET);
    fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int = rt_sigtimedwait(set, info, 0usize, SIGSET);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn killpg(group: pid_t, sig: c_int) -> c_int {
    if group < 0 {
        return fail(libc::EINVAL) as c_int;
    }
    kill(-group, sig)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn raise(sig: c_int) -> c_int {
    cvt_int(door!(tkill, tcb::tid(), sig))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaction(
    sig: c_int,
    new: *const SigAction,
    old: *mut SigAction,
) -> c_int {
    let mut k_new: KernelAction = core::mem::zeroed();
    let mut k_old: KernelAction = core::mem::zeroed();
    let mut p_new = null();
    if !new.is_null() {
        k_new.handler = (*new).sa_sigaction;
        k_new.flags = (*new).sa_flags as u32 as u64 | SA_RESTORER;
        k_new.restorer = __libc_restore as *const () as usize;
        k_new.mask = *(&raw const (*new).sa_mask).cast();
        p_new = &raw const k_new;
    }
    let p_old = if old.is_null() {
        null_mut()
    } else {
        &raw mut k_old
    };
    let r = cvt_int(door!(rt_sigaction, sig, p_new, p_old, SIGSET));
    if r == 0 && !old.is_null() {
        (*old).sa_sigaction = k_old.handler;
        (*old).sa_flags = (k_old.flags & !SA_RESTORER) as c_int;
        (*old).sa_restorer = None;
        sigemptyset(&raw mut (*old).sa_mask);
        *(&raw mut (*old).sa_mask).cast() = k_old.mask;
    }
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn signal(sig: c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    let mut new: SigAction = core::mem::zeroed();
    let mut old: SigAction = core::mem::zeroed();
    new.sa_sigaction = handler;
    new.sa_flags = libc::SA_RESTART;
    if sigaction(sig, &raw const new, &raw mut old) < 0 {
        return libc::SIG_ERR;
    }
    old.sa_sigaction
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn siginterrupt(sig: c_int, on: c_int) -> c_int {
    let mut a: SigAction = core::mem::zeroed();
    if sigaction(sig, null(), &raw mut a) < 0 {
        return -1;
    }
    if on != 0 {
        a.sa_flags &= !libc::SA_RESTART;
    } else {
        a.sa_flags |= libc::SA_RESTART;
    }
    sigaction(sig, &raw const a, null_mut())
}

/// Sets the thread's mask, giving the old one.
pub unsafe fn set_mask(how: c_int, mask: u64) -> u64 {
    let mut old = 0u64;
    door!(rt_sigprocmask, how, &raw const mask, &raw mut old, SIGSET);
    old
}

/// 0 or an error number, as `pthread_sigmask` wants it.
unsafe fn mask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    let mut k_old = 0u64;
    let p_old = if old.is_null() {
        null_mut()
    } else {
        &raw mut k_old
    };
    let r = door!(rt_sigprocmask, how, new, p_old, SIGSET);
    if r == 0 && !old.is_null() {
        sigemptyset(old);
        *old.cast::<u64>() = k_old;
    }
    -r as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_sigmask(
    how: c_int,
    new: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    mask(how, new, old)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigprocmask(
    how: c_int,
    new: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    match mask(how, new, old) {
        0 => 0,
        e => fail(e) as c_int,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigwait(set: *const sigset_t, sig: *mut c_int) -> c_int {
    loop {
        let r = door!(rt_sigtimedwait, set, 0usize, 0usize, SIGSET);
        if r > 0 {
            *sig = r as c_int;
            return 0;
        }
        if r != -(libc::EINTR as isize) {
            return -r as c_int;
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigqueue(pid: pid_t, sig: c_int, value: libc::sigval) -> c_int {
    let mut info: siginfo_t = core::mem::zeroed();
    info.si_signo = sig;
    info.si_code = libc::SI_QUEUE;
    // The kernel's layout: pid and uid after the three ints and their padding, then the value.
    let words = (&raw mut info).cast::<i32>();
    *words.add(4) = door!(getpid) as i32;
    *words.add(5) = door!(getuid) as i32;
    *words.add(6).cast() = value;
    cvt_int(door!(rt_sigqueueinfo, pid, sig, &raw const info))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigemptyset(set: *mut sigset_t) -> c_int {
    crate::string::memset(set.cast(), 0, size_of::<sigset_t>());
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigfillset(set: *mut sigset_t) -> c_int {
    sigemptyset(set);
    // 32 and 33 would be the C library's own, were it to use any.
    *set.cast::<u64>() = u64::MAX;
    0
}

unsafe fn bit(sig: c_int) -> Option<u64> {
    if (1..=64).contains(&sig) {
        return Some(1 << (sig - 1));
    }
    fail(libc::EINVAL);
    None
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaddset(set: *mut sigset_t, sig: c_int) -> c_int {
    let Some(bit) = bit(sig) else { return -1 };
    *set.cast::<u64>() |= bit;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigdelset(set: *mut sigset_t, sig: c_int) -> c_int {
    let Some(bit) = bit(sig) else { return -1 };
    *set.cast::<u64>() &= !bit;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigismember(set: *const sigset_t, sig: c_int) -> c_int {
    let Some(bit) = bit(sig) else { return -1 };
    (*set.cast::<u64>() & bit != 0) as c_int
}

#[unsafe(no_mangle)]
pub extern "C" fn __libc_current_sigrtmin() -> c_int {
    // As glibc has it: 32 and 33 are left to those who expect a threads library to use them.
    34
}

#[unsafe(no_mangle)]
pub extern "C" fn __libc_current_sigrtmax() -> c_int {
    64
}

static NAMES: [&core::ffi::CStr; 32] = [
    c"Unknown signal 0",
    c"Hangup",
    c"Interrupt",
    c"Quit",
    c"Illegal instruction",
    c"Trace/breakpoint trap",
    c"Aborted",
    c"Bus error",
    c"Floating point exception",
    c"Killed",
    c"User defined signal 1",
    c"Segmentation fault",
    c"User defined signal 2",
    c"Broken pipe",
    c"Alarm clock",
    c"Terminated",
    c"Stack fault",
    c"Child exited",
    c"Continued",
    c"Stopped (signal)",
    c"Stopped",
    c"Stopped (tty input)",
    c"Stopped (tty output)",
    c"Urgent I/O condition",
    c"CPU time limit exceeded",
    c"File size limit exceeded",
    c"Virtual timer expired",
    c"Profiling timer expired",
    c"Window changed",
    c"I/O possible",
    c"Power failure",
    c"Bad system call",
];

#[unsafe(no_mangle)]
pub extern "C" fn strsignal(sig: c_int) -> *mut c_char {
    let name = match sig {
        1..=31 => NAMES[sig as usize],
        34..=64 => c"Real-time signal",
        _ => c"Unknown signal",
    };
    name.as_ptr().cast_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn psignal(sig: c_int, what: *const c_char) {
    crate::stdio::tell_of(what, strsignal(sig));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_kill(thread: *mut tcb::Pthread, sig: c_int) -> c_int {
    match crate::pthread::kernel_id(thread) {
        // By process and thread: the number may be another process's thread by now.
        Some(tid) => -door!(tgkill, door!(getpid), tid, sig) as c_int,
        // Gone, as far as the kernel goes: success for a thread not yet joined, says POSIX 2024.
        None if (0..=64).contains(&sig) => 0,
        None => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alarm(seconds: u32) -> u32 {
    let new = [0i64, 0, seconds as i64, 0];
    let mut old = [0i64; 4];
    if cvt(door!(
        setitimer,
        libc::ITIMER_REAL,
        new.as_ptr(),
        old.as_mut_ptr()
    )) < 0
    {
        return 0;
    }
    old[2] as u32 + (old[3] != 0) as u32
}
