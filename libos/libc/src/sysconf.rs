//! `sysconf`, `pathconf`, `confstr`.

use crate::errno::fail;
use core::ffi::{c_char, c_int, c_long};
use core::ptr::null_mut;
use libc::*;

unsafe fn limit(which: c_int) -> c_long {
    let mut l: rlimit = core::mem::zeroed();
    if door!(prlimit64, 0, which, null_mut::<u8>(), &raw mut l) < 0 || l.rlim_cur == RLIM_INFINITY {
        return -1;
    }
    l.rlim_cur as c_long
}

/// The processors that this process may run on.
unsafe fn processors() -> c_long {
    let mut set = [0u8; 128];
    let r = door!(sched_getaffinity, 0, set.len(), set.as_mut_ptr());
    if r <= 0 {
        return 1;
    }
    set[..r as usize]
        .iter()
        .map(|b| b.count_ones() as c_long)
        .sum()
}

unsafe fn pages(which: fn(&sysinfo) -> u64) -> c_long {
    let mut s: sysinfo = core::mem::zeroed();
    if door!(sysinfo, &raw mut s) < 0 {
        return -1;
    }
    (which(&s) * (s.mem_unit.max(1) as u64) / 4096) as c_long
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        _SC_ARG_MAX => 131_072,
        _SC_CHILD_MAX => limit(RLIMIT_NPROC as c_int),
        _SC_CLK_TCK => 100,
        _SC_NGROUPS_MAX => 65536,
        _SC_OPEN_MAX => limit(RLIMIT_NOFILE as c_int),
        _SC_PAGESIZE => 4096,
        _SC_NPROCESSORS_CONF | _SC_NPROCESSORS_ONLN => processors(),
        _SC_PHYS_PAGES => pages(|s| s.totalram as u64),
        _SC_AVPHYS_PAGES => pages(|s| (s.freeram + s.bufferram) as u64),
        _SC_IOV_MAX => 1024,
        _SC_HOST_NAME_MAX => 64,
        _SC_LOGIN_NAME_MAX => 256,
        _SC_TTY_NAME_MAX => 32,
        _SC_SYMLOOP_MAX => 40,
        _SC_GETPW_R_SIZE_MAX | _SC_GETGR_R_SIZE_MAX => 1024,
        _SC_THREAD_KEYS_MAX => crate::tcb::KEYS_MAX as c_long,
        _SC_THREAD_DESTRUCTOR_ITERATIONS => 4,
        _SC_THREAD_STACK_MIN | _SC_MINSIGSTKSZ_ => 8192,
        _SC_THREAD_THREADS_MAX => -1,
        _SC_LINE_MAX | _SC_BC_STRING_MAX => 4096,
        _SC_RE_DUP_MAX => 255,
        _SC_ATEXIT_MAX => c_int::MAX as c_long,
        _SC_SEM_VALUE_MAX => c_int::MAX as c_long,
        _SC_RTSIG_MAX => 30,
        _SC_NZERO => 20,
        _SC_TIMER_MAX | _SC_STREAM_MAX | _SC_TZNAME_MAX | _SC_SIGQUEUE_MAX | _SC_DELAYTIMER_MAX => {
            -1
        }
        _SC_MONOTONIC_CLOCK
        | _SC_THREADS
        | _SC_TIMERS
        | _SC_MAPPED_FILES
        | _SC_FSYNC
        | _SC_REALTIME_SIGNALS
        | _SC_SPAWN
        | _SC_BARRIERS
        | _SC_CLOCK_SELECTION
        | _SC_READER_WRITER_LOCKS
        | _SC_SEMAPHORES
        | _SC_SPIN_LOCKS
        | _SC_TIMEOUTS
        | _SC_VERSION
        | _SC_2_VERSION => 200_809,
        _SC_JOB_CONTROL | _SC_SAVED_IDS | _SC_REGEXP | _SC_SHELL => 1,
        _SC_XOPEN_VERSION => 700,
        _ => fail(EINVAL) as c_long,
    }
}

#[allow(non_upper_case_globals)]
const _SC_MINSIGSTKSZ_: c_int = 249;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pathconf(_path: *const c_char, name: c_int) -> c_long {
    fpathconf(-1, name)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fpathconf(_fd: c_int, name: c_int) -> c_long {
    match name {
        _PC_LINK_MAX => 127,
        _PC_MAX_CANON | _PC_MAX_INPUT | _PC_NAME_MAX => 255,
        _PC_PATH_MAX | _PC_PIPE_BUF => 4096,
        _PC_CHOWN_RESTRICTED | _PC_NO_TRUNC => 1,
        _PC_VDISABLE => 0,
        _PC_FILESIZEBITS => 64,
        _PC_2_SYMLINKS => 1,
        _ => fail(EINVAL) as c_long,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn confstr(name: c_int, buf: *mut c_char, len: usize) -> usize {
    // _CS_PATH is 0; the compilation environments that follow are empty.
    let value: &[u8] = match name {
        0 => b"/bin:/usr/bin",
        1..=33 | 1100..=1200 => b"",
        _ => {
            fail(EINVAL);
            return 0;
        }
    };
    if !buf.is_null() && len > 0 {
        let n = value.len().min(len - 1);
        crate::string::put(&value[..n], buf, len);
    }
    value.len() + 1
}
