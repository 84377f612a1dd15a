//! Clock operations (clock_gettime(2), clock_nanosleep(2)).

use super::{CLOCK_SET, Deadline, monotonic_ns, page, realtime_ns, set_realtime_ns};
use crate::base::{Errno, Result};
use crate::process::wait::WaitQueue;
use crate::process::{Process, Thread, current, table};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

const TIMER_ABSTIME: i32 = 1;

/// A `timespec`.
pub fn split(ns: u64) -> [i64; 2] {
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

/// Whose processor time a clock measures.
enum Worker {
    Process(Arc<Process>),
    Thread(Arc<Thread>),
}

impl Worker {
    /// `CLOCK_PROCESS_CPUTIME_ID`, `CLOCK_THREAD_CPUTIME_ID`, and what `clock_getcpuclockid` makes: ~id << 3 | kind, kind 2 (process)
    /// or 6 (thread). `None` for other clocks.
    fn of_clock(clock: i32) -> Result<Option<Worker>> {
        let id = !(clock >> 3);
        Ok(Some(match clock {
            2 => Worker::Process(current().process().clone()),
            3 => Worker::Thread(current().clone()),
            0.. => return Ok(None),
            c if c & 4 == 0 => Worker::Process(match id {
                0 => current().process().clone(),
                id => table::find(id).ok_or(Errno::EINVAL)?,
            }),
            _ => Worker::Thread(match id {
                0 => current().clone(),
                id => table::find_thread(id).ok_or(Errno::EINVAL)?,
            }),
        }))
    }

    fn time(&self) -> u64 {
        match self {
            Worker::Process(process) => process.cpu_time_ns(),
            Worker::Thread(thread) => thread.cpu_time_ns(),
        }
    }
}

fn read(clock: i32) -> Result<u64> {
    Ok(match clock {
        0 | 5 | 8 | 11 => realtime_ns(),
        1 | 4 | 6 | 7 | 9 => monotonic_ns(),
        c => Worker::of_clock(c)?.ok_or(Errno::EINVAL)?.time(),
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
    set(ns)
}

/// Sets the clock of day. It cannot be set to before the machine's start, nor so far ahead that in a lifetime its nanoseconds, with
/// a sign, would be too many.
fn set(ns: u64) -> Result<usize> {
    const LIFETIME: u64 = 30 * 365 * 24 * 3600 * 1_000_000_000;
    if !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    if ns < monotonic_ns() || ns >= i64::MAX as u64 - LIFETIME {
        return Err(Errno::EINVAL);
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
    match time.option() {
        Some(p) => {
            let [sec, usec] = p.read()?;
            let nsec = usec.checked_mul(1000).ok_or(Errno::EINVAL)?;
            set(nanoseconds([sec, nsec])?)
        }
        None if current().process().creds().is_privileged() => Ok(0),
        None => Err(Errno::EPERM),
    }
}

/// Sleeps until then, wherever a clock that is set meanwhile moves that to.
fn sleep_until(deadline: Deadline) -> Result<()> {
    loop {
        let offset = page::real_offset();
        let woken = match deadline {
            Deadline::Monotonic(at) => WaitQueue::new().wait::<()>(Some(at), || None),
            Deadline::OfDay(_) => {
                let set = || (page::real_offset() != offset).then_some(());
                CLOCK_SET.wait(deadline, set)
            }
        };
        match woken {
            Ok(()) => {}
            Err(Errno::ETIMEDOUT) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}

/// Sleeps until so much processor time has been used. Ticks wake whoever may have been waiting for them.
fn sleep_for_work(worker: &Worker, end: u64) -> Result<()> {
    let process = match worker {
        Worker::Process(process) => process,
        Worker::Thread(thread) => thread.process(),
    };
    process.cpu_event.wait(None, || {
        process.watch_cpu.store(true, Ordering::SeqCst);
        (worker.time() >= end).then_some(())
    })
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
    let me = current();
    let worker = match clock {
        0 | 1 | 7 | 8 | 9 | 11 => None,
        3 => return Err(Errno::EINVAL),
        4..=6 => return Err(Errno::EOPNOTSUPP),
        clock => Some(Worker::of_clock(clock)?.ok_or(Errno::EINVAL)?),
    };
    if let Some(Worker::Thread(thread)) = &worker
        && (Arc::ptr_eq(thread, me) || !Arc::ptr_eq(thread.process(), me.process()))
    {
        // Nobody would wake up from waiting for his own work, and another's threads are not to be had.
        return Err(Errno::EINVAL);
    }
    let ns = nanoseconds(request.read()?)?;
    let resumed = me.resumed();
    let absolute = flags & TIMER_ABSTIME != 0;
    let now = || worker.as_ref().map_or_else(monotonic_ns, Worker::time);
    let end = match (absolute, resumed) {
        (true, _) => ns,
        (false, Some(end)) => end,
        (false, None) => now().saturating_add(ns),
    };
    let slept = match &worker {
        Some(worker) => sleep_for_work(worker, end),
        None if absolute && matches!(clock, 0 | 8 | 11) => sleep_until(Deadline::OfDay(end)),
        None => sleep_until(Deadline::Monotonic(end)),
    };
    if slept == Err(Errno::ERESTARTSYS) {
        // A handler ends it; else it goes on. How much is left is told of a relative one only (nanosleep(2)).
        if !absolute && let Some(p) = left.option() {
            p.write(split(end.saturating_sub(now())))?;
        }
        return Err(me.goes_on(end));
    }
    slept.map(|()| 0)
}
