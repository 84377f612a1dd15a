//! timerfd_create(2): a timer that can be waited for.
//!
//! A periodic timer is set again only when its expirations are read, so one that nobody reads costs nothing however
//! short its period is.

use super::caller;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, PollEvents};
use crate::process::wait::{PollTable, WaitQueue, Wake};
use crate::time::sys::nanoseconds;
use crate::time::timer::{self, TimerId, TimerTarget};
use crate::time::{CLOCK_SET, Deadline, monotonic_ns, realtime_ns};
use crate::user::{Buffer, UserPtr};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{__kernel_itimerspec, __kernel_timespec};

const TFD_TIMER_ABSTIME: u32 = 1;
const TFD_TIMER_CANCEL_ON_SET: u32 = 2;
const NS: u64 = 1_000_000_000;

#[derive(Default)]
struct State {
    /// The next expiration, or the first one not yet read, ns; `None`: disarmed.
    deadline: Option<u64>,
    /// The deadline is a time of day and moves when the clock is set; else it is monotonic time.
    of_day: bool,
    /// Period, ns; 0: none.
    interval: u64,
    /// At least one expiration has not been read.
    expired: bool,
    set: Option<TimerId>,
    /// Readers want to know of a clock that is set (`TFD_TIMER_CANCEL_ON_SET`), and that it was.
    cancels: bool,
    cancelled: bool,
}

struct TimerFd {
    this: Weak<TimerFd>,
    /// The clock counts from the epoch, not from boot.
    real: bool,
    /// Taken by the timer interrupt; the timer queue's lock nests inside.
    state: SpinLock<State>,
    readable: Arc<WaitQueue>,
}

impl State {
    /// What the clock says that the deadline is in.
    fn now(&self) -> u64 {
        if self.of_day {
            realtime_ns()
        } else {
            monotonic_ns()
        }
    }

    /// How often the timer has run out by `now`, and moves the deadline past it.
    fn take(&mut self, now: u64) -> u64 {
        let Some(deadline) = self.deadline else {
            return 0;
        };
        self.expired = false;
        if self.interval == 0 {
            self.deadline = None;
            return 1;
        }
        let n = 1 + now.saturating_sub(deadline) / self.interval;
        self.deadline = Some(deadline.saturating_add(n.saturating_mul(self.interval)));
        n
    }

    /// Time to the next expiration; 0 when disarmed.
    fn remaining(&self, now: u64) -> u64 {
        match self.deadline {
            None => 0,
            Some(deadline) if deadline > now => deadline - now,
            Some(_) if self.interval == 0 => 0,
            Some(deadline) => self.interval - (now - deadline) % self.interval,
        }
    }
}

impl TimerFd {
    /// Asks for the interrupt; the caller holds the state.
    fn arm(&self, state: &mut State) {
        if let Some(old) = state.set.take() {
            timer::cancel(old);
        }
        if let (Some(deadline), Some(this)) = (state.deadline, self.this.upgrade()) {
            let deadline = match state.of_day {
                true => Deadline::OfDay(deadline),
                false => Deadline::Monotonic(deadline),
            };
            state.set = Some(timer::add(deadline.monotonic(), this));
        }
    }

    /// What there is to read.
    fn take(&self) -> Option<Result<u64>> {
        let mut state = self.state.lock();
        if core::mem::take(&mut state.cancelled) {
            state.expired = false;
            return Some(Err(Errno::ECANCELED));
        }
        if !state.expired {
            return None;
        }
        let now = state.now();
        let n = state.take(now);
        self.arm(&mut state);
        Some(Ok(n))
    }

    fn get(&self) -> __kernel_itimerspec {
        let state = self.state.lock();
        let value = state.remaining(state.now());
        __kernel_itimerspec {
            it_interval: timespec(state.interval),
            it_value: timespec(value),
        }
    }

    /// Its name among those that the setting of the clock concerns.
    fn key(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

impl TimerTarget for TimerFd {
    fn expire(self: Arc<Self>, now: u64) {
        let mut state = self.state.lock();
        // The timer may have been set anew while its old interrupt was on the way.
        if state.set.take_if(|id| id.is_due(now)).is_none() {
            return;
        }
        if state.deadline.is_none_or(|deadline| deadline > state.now()) {
            // The clock was set back.
            self.arm(&mut state);
            return;
        }
        state.expired = true;
        drop(state);
        self.readable.wake_all();
    }
}

/// The clock has been set.
impl Wake for TimerFd {
    fn wake(&self) {
        let mut state = self.state.lock();
        if state.of_day && !state.expired {
            self.arm(&mut state);
        }
        state.cancelled |= state.cancels;
        let cancelled = state.cancelled;
        drop(state);
        if cancelled {
            self.readable.wake_all();
        }
    }
}

impl FileOps for TimerFd {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.len() < 8 {
            return Err(Errno::EINVAL);
        }
        let n = match file.nonblocking() {
            true => self.take().ok_or(Errno::EAGAIN)?,
            false => self.readable.wait(None, || self.take())?,
        }?;
        buf.put(&n.to_ne_bytes())
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.readable);
        }
        let state = self.state.lock();
        if state.expired || state.cancelled {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn release(&self, _file: &File) {
        let mut state = self.state.lock();
        state.deadline = None;
        self.arm(&mut state);
        drop(state);
        if self.real {
            CLOCK_SET.remove(self.key());
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:[timerfd]")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn timespec(ns: u64) -> __kernel_timespec {
    __kernel_timespec {
        tv_sec: (ns / NS) as i64,
        tv_nsec: (ns % NS) as i64,
    }
}

/// timerfd_create(2).
pub fn sys_timerfd_create(clock: i32, flags: u32) -> Result<usize> {
    let real = match clock as u32 {
        linux::CLOCK_REALTIME | linux::CLOCK_REALTIME_ALARM => true,
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME | linux::CLOCK_BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    let open = OpenFlags::from_bits_retain(flags);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(open) {
        return Err(Errno::EINVAL);
    }
    let timer = Arc::new_cyclic(|this| TimerFd {
        this: this.clone(),
        real,
        state: SpinLock::new(State::default()),
        readable: Arc::new(WaitQueue::new()),
    });
    if real {
        CLOCK_SET.add(timer.key(), timer.clone());
    }
    let file = File::anonymous(timer, OpenFlags::RDWR | open & OpenFlags::NONBLOCK);
    Ok(caller::install(file, open.contains(OpenFlags::CLOEXEC))? as usize)
}

/// timerfd_settime(2).
pub fn sys_timerfd_settime(
    fd: i32,
    flags: u32,
    new: UserPtr<__kernel_itimerspec>,
    old: UserPtr<__kernel_itimerspec>,
) -> Result<usize> {
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let new = new.read()?;
    let ns = |t: __kernel_timespec| nanoseconds([t.tv_sec, t.tv_nsec]);
    let (value, interval) = (ns(new.it_value)?, ns(new.it_interval)?);
    let file = caller::file(fd)?;
    let timer = file.ops_as::<TimerFd>().ok_or(Errno::EINVAL)?;
    let before = timer.get();
    let absolute = flags & TFD_TIMER_ABSTIME != 0;
    {
        let mut state = timer.state.lock();
        state.of_day = absolute && timer.real;
        state.deadline = match (value, absolute) {
            (0, _) => None,
            (value, true) => Some(value),
            (value, false) => Some(monotonic_ns().saturating_add(value)),
        };
        (state.interval, state.expired) = (interval, false);
        state.cancels = state.of_day && flags & TFD_TIMER_CANCEL_ON_SET != 0;
        state.cancelled = false;
        timer.arm(&mut state);
    }
    if let Some(old) = old.option() {
        old.write(before)?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
pub fn sys_timerfd_gettime(fd: i32, current: UserPtr<__kernel_itimerspec>) -> Result<usize> {
    let file = caller::file(fd)?;
    let timer = file.ops_as::<TimerFd>().ok_or(Errno::EINVAL)?;
    current.write(timer.get())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_periods_are_counted_and_the_phase_is_kept() {
        let mut s = State {
            deadline: Some(100),
            interval: 10,
            expired: true,
            ..State::default()
        };
        assert_eq!(s.take(135), 4);
        assert_eq!(s.deadline, Some(140));
        assert_eq!(s.remaining(135), 5);
        assert_eq!(s.remaining(141), 9);
    }

    #[test]
    fn a_single_shot_disarms_itself() {
        let mut s = State {
            deadline: Some(100),
            interval: 0,
            expired: true,
            ..State::default()
        };
        assert_eq!(s.take(500), 1);
        assert_eq!((s.deadline, s.remaining(500)), (None, 0));
    }
}
