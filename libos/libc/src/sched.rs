//! `<sched.h>`.

use crate::errno::cvt;
use core::ffi::{c_int, c_uint};
use libc::{cpu_set_t, pid_t, sched_param};

passthrough! {
    fn sched_yield() -> c_int = sched_yield();
    fn sched_setaffinity(pid: pid_t, n: usize, set: *const cpu_set_t) -> c_int = sched_setaffinity(pid, n, set);
    fn sched_getscheduler(pid: pid_t) -> c_int = sched_getscheduler(pid);
    fn sched_setscheduler(pid: pid_t, policy: c_int, p: *const sched_param) -> c_int = sched_setscheduler(pid, policy, p);
    fn sched_getparam(pid: pid_t, p: *mut sched_param) -> c_int = sched_getparam(pid, p);
    fn sched_setparam(pid: pid_t, p: *const sched_param) -> c_int = sched_setparam(pid, p);
    fn sched_get_priority_max(policy: c_int) -> c_int = sched_get_priority_max(policy);
    fn sched_get_priority_min(policy: c_int) -> c_int = sched_get_priority_min(policy);
    fn sched_rr_get_interval(pid: pid_t, t: *mut libc::timespec) -> c_int = sched_rr_get_interval(pid, t);
    fn unshare(flags: c_int) -> c_int = unshare(flags);
    fn setns(fd: c_int, kind: c_int) -> c_int = setns(fd, kind);
    fn getcpu(cpu: *mut c_uint, node: *mut c_uint) -> c_int = getcpu(cpu, node, 0usize);
    fn membarrier(cmd: c_int, flags: c_int) -> c_int = membarrier(cmd, flags, 0);
}

/// The bytes that the kernel wrote are followed by zeroes up to the caller's size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_getaffinity(pid: pid_t, n: usize, set: *mut cpu_set_t) -> c_int {
    let r = cvt(door!(sched_getaffinity, pid, n, set));
    if r < 0 {
        return -1;
    }
    let r = r as usize;
    if r < n {
        crate::string::memset(set.cast::<u8>().add(r).cast(), 0, n - r);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_getcpu() -> c_int {
    let mut cpu: c_uint = 0;
    if cvt(door!(getcpu, &raw mut cpu, 0usize, 0usize)) < 0 {
        -1
    } else {
        cpu as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sched_cpucount(n: usize, set: *const cpu_set_t) -> c_int {
    core::slice::from_raw_parts(set.cast::<u8>(), n)
        .iter()
        .map(|b| b.count_ones() as c_int)
        .sum()
}

type Child = unsafe extern "C" fn(*mut core::ffi::c_void) -> c_int;

/// What the child of `clone` is to do, at the top of its stack.
#[repr(C, align(16))]
struct Job {
    f: Child,
    arg: *mut core::ffi::c_void,
}

unsafe extern "C" fn child(job: *mut core::ffi::c_void) -> ! {
    let job = &*job.cast::<Job>();
    let status = (job.f)(job.arg);
    loop {
        door!(exit, status);
    }
}

/// The last three are variadic in C, which AAPCS64 passes alike.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clone(
    f: Child,
    stack: *mut u8,
    flags: c_int,
    arg: *mut core::ffi::c_void,
    ptid: *mut c_int,
    tls: *mut u8,
    ctid: *mut c_int,
) -> c_int {
    let top = stack.map_addr(|a| a & !15).cast::<Job>().sub(1);
    top.write(Job { f, arg });
    let r = crate::door::__libc_clone(
        flags as usize,
        top.cast(),
        ptid,
        tls,
        ctid,
        child,
        top.cast(),
    );
    cvt(r) as c_int
}
