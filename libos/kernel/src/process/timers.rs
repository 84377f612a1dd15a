//! A process's timers: `setitimer`, `timer_create`, and the processor-time limit. The calls are in [`super::timer_calls`].
//!
//! Timers of wall time are in the core's timer queue. Those of processor time cannot be: ticks look at them while the process
//! runs ([`check_processor_time`]), so they go off up to one tick late, and cost nothing while it sleeps.
//!
//! A periodic timer that has sent its signal rests until that is taken; what it missed meanwhile is counted then. So timers whose
//! signals nobody takes cost nothing, however many and short they are.

use super::accounting::TICK;
use super::signal::{SIGALRM, SigInfo, send};
use super::wait::Wake;
use super::{Process, Thread, limits};
use crate::base::SpinLock;
use crate::time::timer::{self, SHORTEST_PERIOD, TimerId, TimerTarget};
use crate::time::{CLOCK_SET, Deadline, monotonic_ns, realtime_ns};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

/// What a timer measures.
pub enum Clock {
    Real,
    Monotonic,
    /// Processor time of the process.
    Cpu,
    /// As far as the kernel did not spend it.
    User,
    /// Processor time of a thread.
    Thread(Weak<Thread>),
}

impl Clock {
    fn is_processor_time(&self) -> bool {
        !matches!(self, Clock::Real | Clock::Monotonic)
    }
}

/// What happens when it runs out.
pub enum Notify {
    Nothing,
    Process(SigInfo),
    Thread(Weak<Thread>, SigInfo),
}

struct State {
    /// In the timer's own clock, real time only if it is a time of day; 0 = disarmed.
    deadline: u64,
    interval: u64,
    /// The deadline is a time of day: it moves when the clock is set.
    of_day: bool,
    armed: Option<TimerId>,
    /// It has run out, and its signal has not been taken.
    rests: bool,
    /// Expirations beyond the first that the signal taken last stood for.
    overrun: u32,
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
    pub interval: [Option<Arc<Timer>>; 3],
    pub posix: BTreeMap<i32, Arc<Timer>>,
    pub next: i32,
    /// Seconds of processor time past `RLIMIT_CPU` for which SIGXCPU was sent.
    overdrawn: u64,
}

impl Timer {
    pub fn new(process: &Arc<Process>, clock: Clock, notify: Notify) -> Arc<Timer> {
        let real = matches!(clock, Clock::Real);
        let timer = Arc::new(Timer {
            owner: Arc::downgrade(process),
            clock,
            notify,
            state: SpinLock::new(State {
                deadline: 0,
                interval: 0,
                of_day: false,
                armed: None,
                rests: false,
                overrun: 0,
            }),
        });
        if real {
            CLOCK_SET.add(timer.key(), timer.clone());
        }
        timer
    }

    /// Its name among those that the setting of the clock concerns.
    fn key(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// What the clock says that a deadline is in.
    fn now(&self, process: &Process, of_day: bool) -> u64 {
        match &self.clock {
            Clock::Real if of_day => realtime_ns(),
            Clock::Real | Clock::Monotonic => monotonic_ns(),
            Clock::Cpu => process.cpu_time_ns(),
            Clock::User => process.times().user,
            Clock::Thread(thread) => thread.upgrade().map_or(0, |t| t.cpu_time_ns()),
        }
    }

    /// Sets it to go off at or, unless `absolute`, after `value` ns (0 stops it) and then every `interval` ns. Returns (time left,
    /// interval) before.
    pub fn set(
        self: &Arc<Self>,
        process: &Process,
        (value, absolute): (u64, bool),
        interval: u64,
    ) -> (u64, u64) {
        let before = self.get(process);
        let of_day = absolute && matches!(self.clock, Clock::Real);
        let now = self.now(process, of_day);
        let mut s = self.state.lock();
        if let Some(id) = s.armed.take() {
            timer::cancel(id);
        }
        let deadline = match (value, absolute) {
            (0, _) => 0,
            (v, true) => v,
            (v, false) => now.saturating_add(v),
        };
        (s.deadline, s.interval, s.of_day) = (deadline, interval, of_day);
        (s.rests, s.overrun) = (false, 0);
        self.arm(process, &mut s, 0);
        before
    }

    /// Time left and interval.
    pub fn get(&self, process: &Process) -> (u64, u64) {
        let of_day = self.state.lock().of_day;
        let now = self.now(process, of_day);
        let s = self.state.lock();
        let left = match s.deadline {
            0 => 0,
            deadline if deadline > now => deadline - now,
            deadline if s.interval > 0 => s.interval - (now - deadline) % s.interval,
            // Over, but for the signal.
            _ if s.rests || matches!(self.notify, Notify::Nothing) => 0,
            _ => 1,
        };
        (left, s.interval)
    }

    /// Of the signal that was taken last.
    pub fn overrun(&self) -> u32 {
        self.state.lock().overrun
    }

    /// Lets it go off at its deadline, and in `least` ns at the earliest.
    fn arm(self: &Arc<Self>, process: &Process, s: &mut State, least: u64) {
        if s.deadline == 0 || s.rests || matches!(self.notify, Notify::Nothing) {
            return;
        }
        if self.clock.is_processor_time() {
            // The next tick looks.
            process.timers_due.store(0, Ordering::SeqCst);
            process.watch_cpu.store(true, Ordering::SeqCst);
            return;
        }
        let deadline = match s.of_day {
            true => Deadline::OfDay(s.deadline).monotonic(),
            false => s.deadline,
        };
        let deadline = deadline.max(monotonic_ns().saturating_add(least));
        s.armed = Some(timer::add(deadline, self.clone()));
    }

    /// It has run out, at `now` by its own clock: sends the signal.
    fn ring(self: &Arc<Self>, process: &Arc<Process>, now: u64) {
        let (sent, info) = match &self.notify {
            Notify::Nothing => return,
            Notify::Process(info) => (send::queue(process, None, *info), info),
            Notify::Thread(thread, info) => match thread.upgrade() {
                Some(thread) => (send::queue(process, Some(&thread), *info), info),
                None => (Ok(false), info),
            },
        };
        if sent != Ok(true) {
            // Ignored, or there is nobody to take it. Nobody looks for every single one.
            self.go_on(process, now, TICK);
        } else if info.timer_id().is_none() && info.signo != SIGALRM {
            self.go_on(process, now, 0);
        }
    }

    /// Its signal is taken, or never will be: the timer runs again, at `now` by its own clock. Returns how many expirations were missed.
    fn go_on(self: &Arc<Self>, process: &Process, now: u64, least: u64) -> Option<u32> {
        let mut s = self.state.lock();
        if !core::mem::take(&mut s.rests) {
            return None;
        }
        let (missed, next) = timer::next_period(now, s.deadline, s.interval);
        s.deadline = next;
        s.overrun = missed.min(i32::MAX as u64) as u32;
        self.arm(process, &mut s, least.max(SHORTEST_PERIOD));
        Some(s.overrun)
    }

    /// What its own clock says.
    fn own_now(&self, process: &Process) -> u64 {
        let of_day = self.state.lock().of_day;
        self.now(process, of_day)
    }

    /// Whether it is due at `now`, by its own clock. It rests from then on.
    fn falls_due(&self, now: u64) -> bool {
        let mut s = self.state.lock();
        let due = s.deadline != 0 && !s.rests && now >= s.deadline;
        s.rests |= due;
        due
    }

    fn stop(&self) {
        let mut s = self.state.lock();
        s.deadline = 0;
        if let Some(id) = s.armed.take() {
            timer::cancel(id);
        }
        drop(s);
        if matches!(self.clock, Clock::Real) {
            CLOCK_SET.remove(self.key());
        }
    }
}

impl TimerTarget for Timer {
    fn expire(self: Arc<Self>, now: u64) {
        let Some(process) = self.owner.upgrade() else {
            return;
        };
        {
            let mut s = self.state.lock();
            // It may have been set anew while this was on its way.
            let Some(id) = s.armed.take_if(|id| id.is_due(now)) else {
                return;
            };
            timer::cancel(id);
        }
        let now = self.own_now(&process);
        if self.falls_due(now) {
            self.ring(&process, now);
        } else {
            // The clock has been set back.
            self.arm(&process, &mut self.state.lock(), 0);
        }
    }
}

/// The clock has been set.
impl Wake for Timer {
    fn wake(&self) {
        let mut s = self.state.lock();
        if s.of_day
            && let Some(id) = s.armed.take()
        {
            let deadline = Deadline::OfDay(s.deadline).monotonic();
            // One that is gone from its queue is on its way, and looks for itself.
            s.armed = Some(timer::put_off(id, deadline).unwrap_or(id));
        }
    }
}

fn posix(process: &Process, id: i32) -> Option<Arc<Timer>> {
    process.timers.lock().posix.get(&id).cloned()
}

/// A thread takes a signal: a timer that sent it goes on.
pub fn signal_taken(process: &Process, info: &mut SigInfo) {
    let timer = match info.timer_id() {
        Some(id) => posix(process, id),
        None if info.signo == SIGALRM => process.timers.lock().interval[0].clone(),
        None => return,
    };
    let missed = timer.and_then(|timer| timer.go_on(process, timer.own_now(process), 0));
    if let Some(missed) = missed {
        info.set_overrun(missed);
    }
}

/// The signal of a timer will not be taken. The process's threads may be locked.
pub fn signal_dropped(process: &Process, info: &SigInfo) {
    if let Some(timer) = info.timer_id().and_then(|id| posix(process, id)) {
        if timer.clock.is_processor_time() {
            // A tick counts what was missed.
            timer.state.lock().rests = false;
            process.watch_cpu.store(true, Ordering::Relaxed);
        } else {
            timer.go_on(process, timer.own_now(process), TICK);
        }
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
    let interval = all.interval.iter().flatten();
    interval.chain(all.posix.values()).for_each(|t| t.stop());
}

/// `exec` keeps interval timers and deletes POSIX timers.
pub fn on_exec(process: &Process) {
    let posix = core::mem::take(&mut process.timers.lock().posix);
    posix.values().for_each(|t| t.stop());
}

/// `timer_delete`.
pub fn delete(process: &Process, id: i32) -> bool {
    let timer = process.timers.lock().posix.remove(&id);
    timer.is_some_and(|timer| {
        timer.stop();
        true
    })
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
    let used = process.cpu_time_ns();
    let limited = check_cpu_limit(process, used);
    let due = &process.timers_due;
    if used >= due.load(Ordering::SeqCst) {
        // One that is armed meanwhile stays the earliest.
        due.store(u64::MAX, Ordering::SeqCst);
        due.fetch_min(ring_due_timers(process, used), Ordering::SeqCst);
    }
    // Who sleeps until so much has been used looks for himself, and sets it again.
    process.cpu_event.wake_all();
    if limited || due.load(Ordering::SeqCst) != u64::MAX {
        process.watch_cpu.store(true, Ordering::SeqCst);
    }
}

/// Rings what has run out once the process has `used` so much. Returns how much it will have used when the next one may.
#[cfg(target_os = "none")]
fn ring_due_timers(process: &Arc<Process>, used: u64) -> u64 {
    let mut timers = alloc::vec::Vec::new();
    {
        let t = process.timers.lock();
        let all = || t.interval.iter().flatten().chain(t.posix.values());
        let rings =
            |t: &&Arc<Timer>| t.clock.is_processor_time() && !matches!(t.notify, Notify::Nothing);
        let measured = || all().filter(rings);
        if timers.try_reserve_exact(measured().count()).is_err() {
            return 0;
        }
        timers.extend(measured().cloned());
    }
    let mut next = u64::MAX;
    for timer in timers {
        // The sum over all threads is taken once, not for each timer.
        let now = match timer.clock {
            Clock::Cpu => used,
            _ => timer.now(process, false),
        };
        if timer.falls_due(now) {
            timer.ring(process, now);
        }
        let s = timer.state.lock();
        if s.deadline != 0 && !s.rests {
            // No clock of a thread, nor of user time, is faster than that of the process.
            next = next.min(used.saturating_add(s.deadline.saturating_sub(now)));
        }
    }
    next
}

/// `RLIMIT_CPU`: SIGXCPU each second past the soft limit, SIGKILL at the hard one (setrlimit(2)). Whether there is a limit.
#[cfg(target_os = "none")]
fn check_cpu_limit(process: &Arc<Process>, used: u64) -> bool {
    const SECOND: u64 = 1_000_000_000;
    let limit = process.limits.lock().get(limits::CPU);
    let Ok(limit) = limit else { return false };
    if limit.soft == limits::INFINITY {
        return false;
    }
    if limit.hard != limits::INFINITY && used >= limit.hard.saturating_mul(SECOND) {
        send::send_to_process(process, SigInfo::kernel(super::signal::SIGKILL));
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
        send::send_to_process(process, SigInfo::kernel(super::signal::SIGXCPU));
    }
    true
}
