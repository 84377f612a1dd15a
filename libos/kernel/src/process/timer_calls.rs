//! The operations on timers: `setitimer(2)`, `timer_create(2)`.

use super::signal::{self, SigInfo};
use super::thread::current;
use super::timers::{self, Clock, Notify, Timer};
use super::{limits, table};
use crate::base::{Errno, Result};
use crate::time::sys::{nanoseconds, split};
use crate::user::{Plain, UserPtr};
use alloc::sync::Arc;

const TIMER_ABSTIME: i32 = 1;

fn from_timeval([sec, usec]: [i64; 2]) -> Result<u64> {
    nanoseconds([sec, usec.checked_mul(1000).ok_or(Errno::EINVAL)?])
}

fn interval_timer(which: i32) -> Result<Option<Arc<Timer>>> {
    let t = current().process().timers.lock();
    t.interval.get(which as usize).cloned().ok_or(Errno::EINVAL)
}

fn write_timeval(p: UserPtr<[[i64; 2]; 2]>, (left, interval): (u64, u64)) -> Result<()> {
    let [a, b] = [split(interval), split(left)].map(|[s, n]| [s, n / 1000]);
    // A timer that runs never reads as stopped.
    let b = if left > 0 && b == [0, 0] { [0, 1] } else { b };
    p.write([a, b])
}

pub fn sys_getitimer(which: i32, value: UserPtr<[[i64; 2]; 2]>) -> Result<usize> {
    let state = interval_timer(which)?.map_or((0, 0), |t| t.get(current().process()));
    write_timeval(value, state)?;
    Ok(0)
}

pub fn sys_setitimer(
    which: i32,
    new: UserPtr<[[i64; 2]; 2]>,
    old: UserPtr<[[i64; 2]; 2]>,
) -> Result<usize> {
    let [interval, value] = new.option().map_or(Ok([[0; 2]; 2]), |p| p.read())?;
    let (interval, value) = (from_timeval(interval)?, from_timeval(value)?);
    let process = current().process();
    let timer = match interval_timer(which)? {
        Some(t) => t,
        None => {
            let (clock, signo) = match which {
                0 => (Clock::Monotonic, signal::SIGALRM),
                1 => (Clock::User, signal::SIGVTALRM),
                _ => (Clock::Cpu, signal::SIGPROF),
            };
            let t = Timer::new(process, clock, Notify::Process(SigInfo::kernel(signo)));
            process.timers.lock().interval[which as usize] = Some(t.clone());
            t
        }
    };
    let before = timer.set(process, (value, false), interval);
    if let Some(old) = old.option() {
        write_timeval(old, before)?;
    }
    Ok(0)
}

/// `struct sigevent`, as far as timers use it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SigEvent {
    value: u64,
    signo: i32,
    notify: i32,
    tid: i32,
    pad: [i32; 11],
}
// SAFETY: integers without padding.
unsafe impl Plain for SigEvent {}

const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD_ID: i32 = 4;

/// The clock that `clock_getcpuclockid` or `pthread_getcpuclockid` named; timers measure only what is the caller's own.
fn processor_clock(clock: i32) -> Result<Clock> {
    let (id, me) = (!(clock >> 3), current());
    if clock & 4 == 0 {
        return match id {
            0 => Ok(Clock::Cpu),
            id if id == me.process().pid => Ok(Clock::Cpu),
            _ => Err(Errno::EINVAL),
        };
    }
    let tid = if id == 0 { me.tid() } else { id };
    let thread = table::find_thread(tid).ok_or(Errno::EINVAL)?;
    if !Arc::ptr_eq(thread.process(), me.process()) {
        return Err(Errno::EINVAL);
    }
    Ok(Clock::Thread(Arc::downgrade(&thread)))
}

pub fn sys_timer_create(
    clock: i32,
    event: UserPtr<SigEvent>,
    id_out: UserPtr<i32>,
) -> Result<usize> {
    let clock = match clock {
        0 | 8 => Clock::Real,
        1 | 4 | 7 | 9 => Clock::Monotonic,
        2 => Clock::Cpu,
        3 => Clock::Thread(Arc::downgrade(current())),
        c if c < 0 => processor_clock(c)?,
        _ => return Err(Errno::EINVAL),
    };
    let process = current().process();
    let most = process.rlimit(limits::SIGPENDING);
    let id = {
        let mut t = process.timers.lock();
        if t.posix.len() as u64 >= most {
            return Err(Errno::EAGAIN);
        }
        t.next = t.next.checked_add(1).ok_or(Errno::EAGAIN)?;
        t.next - 1
    };
    let notify = match event.option().map(|p| p.read()).transpose()? {
        None => {
            let info = SigInfo::timer(signal::SIGALRM, id, id as u64);
            Notify::Process(info)
        }
        Some(e) if e.notify == SIGEV_NONE => Notify::Nothing,
        Some(e) => {
            if !(1..=signal::SIGRTMAX).contains(&e.signo) {
                return Err(Errno::EINVAL);
            }
            let info = SigInfo::timer(e.signo, id, e.value);
            match e.notify {
                SIGEV_SIGNAL => Notify::Process(info),
                SIGEV_THREAD_ID => {
                    let thread = table::find_thread(e.tid).ok_or(Errno::EINVAL)?;
                    if !Arc::ptr_eq(thread.process(), process) {
                        return Err(Errno::EINVAL);
                    }
                    Notify::Thread(Arc::downgrade(&thread), info)
                }
                _ => return Err(Errno::EINVAL),
            }
        }
    };
    id_out.write(id)?;
    let timer = Timer::new(process, clock, notify);
    process.timers.lock().posix.insert(id, timer);
    Ok(0)
}

fn posix_timer(id: i32) -> Result<Arc<Timer>> {
    current()
        .process()
        .timers
        .lock()
        .posix
        .get(&id)
        .cloned()
        .ok_or(Errno::EINVAL)
}

pub fn sys_timer_settime(
    id: i32,
    flags: i32,
    new: UserPtr<[[i64; 2]; 2]>,
    old: UserPtr<[[i64; 2]; 2]>,
) -> Result<usize> {
    let [interval, value] = new.read()?;
    let (interval, value) = (nanoseconds(interval)?, nanoseconds(value)?);
    let timer = posix_timer(id)?;
    let absolute = flags & TIMER_ABSTIME != 0;
    let (left, every) = timer.set(current().process(), (value, absolute), interval);
    if let Some(old) = old.option() {
        old.write([split(every), split(left)])?;
    }
    Ok(0)
}

pub fn sys_timer_gettime(id: i32, value: UserPtr<[[i64; 2]; 2]>) -> Result<usize> {
    let (left, every) = posix_timer(id)?.get(current().process());
    value.write([split(every), split(left)])?;
    Ok(0)
}

pub fn sys_timer_getoverrun(id: i32) -> Result<usize> {
    Ok(posix_timer(id)?.overrun() as usize)
}

pub fn sys_timer_delete(id: i32) -> Result<usize> {
    match timers::delete(current().process(), id) {
        true => Ok(0),
        false => Err(Errno::EINVAL),
    }
}
