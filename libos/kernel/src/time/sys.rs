//! Clock operations (clock_gettime(2), clock_nanosleep(2)).

use super::{monotonic_ns, real_to_monotonic, realtime_ns, set_realtime_ns};
use crate::base::{Errno, Result};
use crate::process::wait::WaitQueue;
use crate::process::{current, table};
use crate::user::UserPtr;

const TIMER_ABSTIME: i32 = 1;

fn split(ns: u64) -> [i64; 2] {
    [(ns / 1_000_000_000) as i64, (ns % 1_000_000_000) as i64]
}

/// Nanoseconds of a `timespec`; negative or unnormalised ones are `EINVAL`.
pub fn nanoseconds([sec, nsec]: [i64; 2]) -> Result<u64> {
    if sec < 0 || !(0..1_000_000_000).contains(&nsec) {
        return Err(Errno::EINVAL);
    }
    Ok((sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(nsec as u64))
}

fn read(clock: i32) -> Result<u64> {
    Ok(match clock {
        0 | 5 | 8 | 11 => realtime_ns(),
        1 | 4 | 6 | 7 | 9 => monotonic_ns(),
        2 => current().process().cpu_time_ns(),
        3 => current().cpu_time_ns(),
        // clock_getcpuclockid: ~pid << 3 | kind, kind 2 (process) or 6 (thread).
        c if c < 0 => {
            let id = !(c >> 3);
            if c & 4 != 0 {
                let t = if id == 0 {
                    current().clone()
                } else {
                    table::find_thread(id).ok_or(Errno::EINVAL)?
                };
                t.cpu_time_ns()
            } else {
                let p = if id == 0 {
                    current().process().clone()
                } else {
                    table::find(id).ok_or(Errno::EINVAL)?
                };
                p.cpu_time_ns()
            }
        }
        _ => return Err(Errno::EINVAL),
    })
}

pub fn sys_clock_gettime(clock: i32, out: UserPtr<[i64; 2]>) -> Result<usize> {
    out.write(split(read(clock)?))?;
    Ok(0)
}

pub fn sys_clock_getres(clock: i32, out: UserPtr<[i64; 2]>) -> Result<usize> {
    read(clock)?;
    if let Some(p) = out.option() {
        p.write([
            0,
            if clock == 5 || clock == 6 {
                4_000_000
            } else {
                1
            },
        ])?;
    }
    Ok(0)
}

pub fn sys_clock_settime(clock: i32, time: UserPtr<[i64; 2]>) -> Result<usize> {
    let ns = nanoseconds(time.read()?)?;
    if clock != 0 {
        return Err(Errno::EINVAL);
    }
    if !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    set_realtime_ns(ns);
    Ok(0)
}

pub fn sys_gettimeofday(time: UserPtr<[i64; 2]>, zone: UserPtr<[i32; 2]>) -> Result<usize> {
    if let Some(p) = time.option() {
        let [s, n] = split(realtime_ns());
        p.write([s, n / 1000])?;
    }
    if let Some(p) = zone.option() {
        p.write([0, 0])?;
    }
    Ok(0)
}

pub fn sys_settimeofday(time: UserPtr<[i64; 2]>, _zone: usize) -> Result<usize> {
    if !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    if let Some(p) = time.option() {
        let [sec, usec] = p.read()?;
        set_realtime_ns(nanoseconds([
            sec,
            usec.checked_mul(1000).ok_or(Errno::EINVAL)?,
        ])?);
    }
    Ok(0)
}

fn sleep_until(deadline: u64) -> Result<()> {
    let nobody = WaitQueue::new();
    match nobody.wait::<()>(Some(deadline), || None) {
        Err(Errno::ETIMEDOUT) | Ok(()) => Ok(()),
        Err(e) => Err(e),
    }
}

pub fn sys_nanosleep(request: UserPtr<[i64; 2]>, left: UserPtr<[i64; 2]>) -> Result<usize> {
    sys_clock_nanosleep(1, 0, request, left)
}

pub fn sys_clock_nanosleep(
    clock: i32,
    flags: i32,
    request: UserPtr<[i64; 2]>,
    left: UserPtr<[i64; 2]>,
) -> Result<usize> {
    let ns = nanoseconds(request.read()?)?;
    read(clock)?;
    let absolute = flags & TIMER_ABSTIME != 0;
    let deadline = match (absolute, clock) {
        (false, _) => monotonic_ns().saturating_add(ns),
        (true, 0 | 8 | 11) => real_to_monotonic(ns),
        (true, _) => ns,
    };
    match sleep_until(deadline) {
        Ok(()) => Ok(0),
        // An absolute sleep starts again by itself; a relative one tells what is left (nanosleep(2)).
        Err(Errno::ERESTARTSYS) if absolute => Err(Errno::ERESTARTSYS),
        Err(_) => {
            if let Some(p) = left.option() {
                p.write(split(deadline.saturating_sub(monotonic_ns())))?;
            }
            Err(Errno::EINTR)
        }
    }
}
