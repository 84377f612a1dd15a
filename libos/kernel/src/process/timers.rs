//! A process's timers: `setitimer`, `timer_create`, and the processor-time limit.
//!
//! Timers of wall time are in the core's timer queue. Those of processor time cannot be: ticks look at them while the process
//! runs ([`check_processor_time`]), so they go off up to one tick late, and cost nothing while it sleeps.

use super::signal::{self, SigInfo, send};
use super::thread::current;
use super::{Pid, Process, limits, table};
use crate::base::{Errno, Result, SpinLock};
use crate::time::timer::{self, TimerId, TimerTarget};
use crate::user::{Plain, UserPtr};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

const TIMER_ABSTIME: i32 = 1;

/// What a timer measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clock {
    Real,
    Monotonic,
    /// Processor time of the process.
    Cpu,
    /// As far as the kernel did not spend it.
    User,
    /// Processor time of a thread.
    Thread(Pid),
}

impl Clock {
    fn is_processor_time(self) -> bool {
        !matches!(self, Clock::Real | Clock::Monotonic)
    }
}

/// What happens when it runs out.
#[derive(Clone, Copy)]
enum Notify {
    Nothing,
    Process {
        signo: i32,
        value: u64,
        id: Option<i32>,
    },
    Thread {
        tid: i32,
        signo: i32,
        value: u64,
        id: i32,
    },
}

struct State {
    /// In the timer's own clock; 0 = disarmed.
    deadline: u64,
    interval: u64,
    armed: Option<TimerId>,
    /// Expirations beyond the first of the signal sent last, and of the one before it: while the last one is pending, the
    /// program has seen only the one before.
    overrun: u32,
    overrun_before: u32,
}

/// One timer of a process.
pub struct Timer {
    owner: Weak<Process>,
    clock: Clock,
    notify: Notify,
    /// Leaf but for the timer queue's lock.
    state: SpinLock<State>,
}

/// The timers of a process.
#[derive(Default)]
pub struct ProcessTimers {
    /// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
    interval: [Option<Arc<Timer>>; 3],
    posix: BTreeMap<i32, Arc<Timer>>,
    next: i32,
    /// Seconds of processor time past `RLIMIT_CPU` for which SIGXCPU was sent.
    overdrawn: u64,
}

impl Timer {
    fn new(process: &Arc<Process>, clock: Clock, notify: Notify) -> Arc<Timer> {
        let state = SpinLock::new(State {
            deadline: 0,
            interval: 0,
            armed: None,
            overrun: 0,
            overrun_before: 0,
        });
        Arc::new(Timer {
            owner: Arc::downgrade(process),
            clock,
            notify,
            state,
        })
    }

    fn now(&self, process: &Process) -> u64 {
        match self.clock {
            Clock::Monotonic => crate::time::monotonic_ns(),
            Clock::Real => crate::time::realtime_ns(),
            Clock::Cpu => process.cpu_time_ns(),
            Clock::User => process.times().user,
            Clock::Thread(tid) => table::find_thread(tid).map_or(0, |t| t.cpu_time_ns()),
        }
    }

    /// Sets it to go off at `deadline` (its clock; 0 stops it) and then every `interval` ns. Returns (time left, interval) before.
    fn set(self: &Arc<Self>, process: &Process, deadline: u64, interval: u64) -> (u64, u64) {
        let now = self.now(process);
        let mut s = self.state.lock();
        if let Some(id) = s.armed.take() {
            timer::cancel(id);
        }
        let before = (left(&s, now), s.interval);
        (s.deadline, s.interval, s.overrun, s.overrun_before) = (deadline, interval, 0, 0);
        self.arm(process, &mut s, now);
        before
    }

    fn get(&self, process: &Process) -> (u64, u64) {
        let now = self.now(process);
        let s = self.state.lock();
        (left(&s, now), s.interval)
    }

    /// Calls `f` on this timer's signal if that was sent and not yet taken.
    fn with_pending<T>(&self, process: &Process, f: impl FnOnce(&mut SigInfo) -> T) -> Option<T> {
        match self.notify {
            Notify::Process { id: Some(id), .. } => {
                process.signals.pending.lock().of_timer(id).map(f)
            }
            Notify::Thread { tid, id, .. } => {
                let thread = table::find_thread(tid)?;
                let mut signals = thread.signals.lock();
                signals.pending.of_timer(id).map(f)
            }
            _ => None,
        }
    }

    fn arm(self: &Arc<Self>, process: &Process, s: &mut State, now: u64) {
        if s.deadline == 0 {
            return;
        }
        if self.clock.is_processor_time() {
            process.watch_cpu.store(true, Ordering::Relaxed);
            return;
        }
        let mut wait = s.deadline.saturating_sub(now);
        if s.interval > 0 && s.interval < timer::SHORTEST_PERIOD {
            wait = wait.max(timer::SHORTEST_PERIOD);
        }
        let deadline = crate::time::monotonic_ns().saturating_add(wait);
        s.armed = Some(timer::add(deadline, self.clone()));
    }
}

fn left(s: &State, now: u64) -> u64 {
    if s.deadline == 0 {
        0
    } else {
        s.deadline.saturating_sub(now).max(1)
    }
}

/// The timer queue holds the timer itself; it needs the `Arc` back to arm it anew.
impl TimerTarget for Timer {
    fn expire(&self, _now: u64) {
        let Some(process) = self.owner.upgrade() else {
            return;
        };
        let now = self.now(&process);
        let Some(me) = find_self(&process, self) else {
            return;
        };
        let mut s = self.state.lock();
        s.armed = None;
        if s.deadline == 0 {
            return;
        }
        if now < s.deadline {
            me.arm(&process, &mut s, now);
            return;
        }
        let (missed, next) = timer::next_period(now, s.deadline, s.interval);
        s.deadline = next;
        me.arm(&process, &mut s, now);
        drop(s);
        // One signal at a time: further expirations are counted in the one that waits to be taken.
        let counted = self.with_pending(&process, |signal| signal.add_overrun(missed + 1));
        if let Some(overrun) = counted {
            self.state.lock().overrun = overrun;
            return;
        }
        let overrun = missed.min(i32::MAX as u64) as u32;
        {
            let mut s = self.state.lock();
            (s.overrun_before, s.overrun) = (s.overrun, overrun);
        }
        match self.notify {
            Notify::Nothing => {}
            Notify::Process { signo, value, id } => {
                let info = id.map_or(SigInfo::kernel(signo), |id| {
                    SigInfo::timer(signo, id, overrun, value)
                });
                send::send_to_process(&process, info);
            }
            Notify::Thread {
                tid,
                signo,
                value,
                id,
            } => {
                if let Some(t) = table::find_thread(tid) {
                    send::send_to_thread(&t, SigInfo::timer(signo, id, overrun, value));
                }
            }
        }
    }
}

fn find_self(process: &Process, timer: &Timer) -> Option<Arc<Timer>> {
    let t = process.timers.lock();
    let is = |x: &&Arc<Timer>| core::ptr::eq(Arc::as_ptr(x), timer);
    t.interval
        .iter()
        .flatten()
        .chain(t.posix.values())
        .find(is)
        .cloned()
}

fn stop(timer: Arc<Timer>) {
    let mut s = timer.state.lock();
    s.deadline = 0;
    if let Some(id) = s.armed.take() {
        timer::cancel(id);
    }
}

/// A process ends: none of its timers goes off any more.
pub fn delete_all(process: &Process) {
    let mut t = process.timers.lock();
    if t.posix.is_empty() && t.interval.iter().all(Option::is_none) {
        return;
    }
    let all = core::mem::take(&mut *t);
    drop(t);
    all.interval
        .into_iter()
        .flatten()
        .chain(all.posix.into_values())
        .for_each(stop);
}

/// `exec` keeps interval timers and deletes POSIX timers.
pub fn on_exec(process: &Process) {
    let posix = core::mem::take(&mut process.timers.lock().posix);
    posix.into_values().for_each(stop);
}

/// `RLIMIT_CPU` changed, or a process with one was born.
pub fn watch_cpu_limit(process: &Process) {
    if process.rlimit(limits::CPU) != limits::INFINITY {
        process.timers.lock().overdrawn = 0;
        process.watch_cpu.store(true, Ordering::Relaxed);
    }
}

/// A tick found the process running, and it has timers of processor time or a limit of it.
#[cfg(target_os = "none")]
pub fn check_processor_time(process: &Arc<Process>) {
    // Whoever arms a timer from now on sets it again.
    process.watch_cpu.store(false, Ordering::SeqCst);
    let mut armed = check_cpu_limit(process);
    let mut timers = alloc::vec::Vec::new();
    {
        let t = process.timers.lock();
        let all = || t.interval.iter().flatten().chain(t.posix.values());
        let measured = || all().filter(|t| t.clock.is_processor_time());
        if timers.try_reserve_exact(measured().count()).is_ok() {
            timers.extend(measured().cloned());
        } else {
            armed = true;
        }
    }
    for timer in timers {
        let deadline = timer.state.lock().deadline;
        if deadline != 0 && timer.now(process) >= deadline {
            timer.expire(0);
        }
        armed |= timer.state.lock().deadline != 0;
    }
    if armed {
        process.watch_cpu.store(true, Ordering::SeqCst);
    }
}

/// `RLIMIT_CPU`: SIGXCPU each second past the soft limit, SIGKILL at the hard one (setrlimit(2)). Whether there is a limit.
#[cfg(target_os = "none")]
fn check_cpu_limit(process: &Arc<Process>) -> bool {
    const SECOND: u64 = 1_000_000_000;
    let limit = process.limits.lock().get(limits::CPU);
    let Ok(limit) = limit else { return false };
    if limit.soft == limits::INFINITY {
        return false;
    }
    let used = process.cpu_time_ns();
    if limit.hard != limits::INFINITY && used >= limit.hard.saturating_mul(SECOND) {
        send::send_to_process(process, SigInfo::kernel(signal::SIGKILL));
        return true;
    }
    let over = {
        let mut t = process.timers.lock();
        // No time at all is taken to be one second.
        let next = limit.soft.max(1).saturating_add(t.overdrawn);
        let over = used >= next.saturating_mul(SECOND);
        t.overdrawn += u64::from(over);
        over
    };
    if over {
        send::send_to_process(process, SigInfo::kernel(signal::SIGXCPU));
    }
    true
}

fn split(ns: u64) -> [i64; 2] {
    [(ns / 1_000_000_000) as i64, (ns % 1_000_000_000) as i64]
}

fn from_timeval([sec, usec]: [i64; 2]) -> Result<u64> {
    if sec < 0 || !(0..1_000_000).contains(&usec) {
        return Err(Errno::EINVAL);
    }
    Ok((sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(usec as u64 * 1000))
}

fn from_timespec([sec, nsec]: [i64; 2]) -> Result<u64> {
    if sec < 0 || !(0..1_000_000_000).contains(&nsec) {
        return Err(Errno::EINVAL);
    }
    Ok((sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(nsec as u64))
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
            let (clock, signo) = [
                (Clock::Monotonic, signal::SIGALRM),
                (Clock::User, signal::SIGVTALRM),
                (Clock::Cpu, signal::SIGPROF),
            ][which as usize];
            let t = Timer::new(
                process,
                clock,
                Notify::Process {
                    signo,
                    value: 0,
                    id: None,
                },
            );
            process.timers.lock().interval[which as usize] = Some(t.clone());
            t
        }
    };
    let deadline = if value == 0 {
        0
    } else {
        timer.now(process).saturating_add(value)
    };
    let before = timer.set(process, deadline, interval);
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
    Ok(Clock::Thread(tid))
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
        3 => Clock::Thread(current().tid()),
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
    let notify = match event.option() {
        None => Notify::Process {
            signo: signal::SIGALRM,
            value: id as u64,
            id: Some(id),
        },
        Some(p) => {
            let e = p.read()?;
            if e.notify != 1 && !(1..=64).contains(&e.signo) {
                return Err(Errno::EINVAL);
            }
            match e.notify {
                0 => Notify::Process {
                    signo: e.signo,
                    value: e.value,
                    id: Some(id),
                },
                1 => Notify::Nothing,
                4 => {
                    let thread = table::find_thread(e.tid).ok_or(Errno::EINVAL)?;
                    if !Arc::ptr_eq(thread.process(), process) {
                        return Err(Errno::EINVAL);
                    }
                    Notify::Thread {
                        tid: e.tid,
                        signo: e.signo,
                        value: e.value,
                        id,
                    }
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
    let (interval, value) = (from_timespec(interval)?, from_timespec(value)?);
    let timer = posix_timer(id)?;
    let process = current().process();
    let deadline = match (value, flags & TIMER_ABSTIME) {
        (0, _) => 0,
        (v, 0) => timer.now(process).saturating_add(v),
        (v, _) => v,
    };
    let (left, every) = timer.set(process, deadline, interval);
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
    let timer = posix_timer(id)?;
    let pending = timer.with_pending(current().process(), |_| ()).is_some();
    let s = timer.state.lock();
    Ok(if pending { s.overrun_before } else { s.overrun } as usize)
}

pub fn sys_timer_delete(id: i32) -> Result<usize> {
    let timer = current()
        .process()
        .timers
        .lock()
        .posix
        .remove(&id)
        .ok_or(Errno::EINVAL)?;
    stop(timer);
    Ok(0)
}
