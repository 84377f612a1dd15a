//! Timers: per core, ordered by deadline, driven by the generic timer. Nothing ticks when nothing is due.

use crate::arch::{self, MAX_CPUS};
use crate::base::SpinLock;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// What happens when a timer runs out.
pub trait TimerTarget: Send + Sync {
    /// Called with interrupts masked and no timer lock held; `now` is monotonic ns. May wake threads, must not sleep.
    fn expire(&self, now: u64);
}

/// Names a timer, for [`cancel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId {
    cpu: usize,
    deadline: u64,
    sequence: u64,
}

/// A timer that repeats rings no oftener than this, ns: one that rang after each instruction would leave its core no time for
/// programs. Expirations in between are counted when it rings.
pub const SHORTEST_PERIOD: u64 = 50_000;

/// For a periodic timer that rings at `now`: how many expirations beyond the one at `deadline` have passed, and the next
/// deadline after them (0 without an interval).
pub fn next_period(now: u64, deadline: u64, interval: u64) -> (u64, u64) {
    let missed = (now - deadline).checked_div(interval).unwrap_or(0);
    let next = match interval {
        0 => 0,
        i => deadline.saturating_add((missed + 1).saturating_mul(i)),
    };
    (missed, next)
}

struct Timers {
    queue: BTreeMap<(u64, u64), Arc<dyn TimerTarget>>,
    /// End of the running thread's slice.
    slice: Option<u64>,
    /// The next tick of a busy core ([`crate::process::accounting`]).
    tick: Option<u64>,
    /// What the hardware is set to.
    programmed: Option<u64>,
}

/// Each core's timers. Innermost lock.
static TIMERS: [SpinLock<Timers>; MAX_CPUS] = [const {
    SpinLock::new(Timers {
        queue: BTreeMap::new(),
        slice: None,
        tick: None,
        programmed: None,
    })
}; MAX_CPUS];
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

impl Timers {
    /// Sets the hardware to the earliest deadline. A deadline that moved away is left to ring early: that is rarer than
    /// timers being set and cancelled, and costs one look at the queue.
    fn program(&mut self) {
        let first = self.queue.first_key_value().map(|((d, _), _)| *d);
        let earliest = [first, self.slice, self.tick].into_iter().flatten().min();
        let Some(earliest) = earliest else { return };
        if self.programmed.is_none_or(|p| earliest < p) {
            self.programmed = Some(earliest);
            arch::time::set_deadline(Some(earliest));
        }
    }
}

/// Calls `target` once the monotonic clock has reached `deadline` (ns).
pub fn add(deadline: u64, target: Arc<dyn TimerTarget>) -> TimerId {
    let id = TimerId {
        cpu: arch::cpu_id(),
        deadline,
        sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
    };
    let mut timers = TIMERS[id.cpu].lock();
    timers.queue.insert((deadline, id.sequence), target);
    timers.program();
    id
}

/// Forgets a timer; false if it has run out already (its target may be running on another core).
pub fn cancel(id: TimerId) -> bool {
    let target = TIMERS[id.cpu]
        .lock()
        .queue
        .remove(&(id.deadline, id.sequence));
    target.is_some()
}

/// Sets or clears the end of the running thread's slice on this core (monotonic ns).
pub fn set_slice(deadline: Option<u64>) {
    let mut timers = TIMERS[arch::cpu_id()].lock();
    timers.slice = deadline;
    timers.program();
}

/// Asks for a tick of this core at `deadline` (monotonic ns).
pub fn set_tick(deadline: u64) {
    let mut timers = TIMERS[arch::cpu_id()].lock();
    timers.tick = Some(deadline);
    timers.program();
}

/// The timer interrupt: calls everything that is due. `found` is what it interrupted.
#[cfg(target_os = "none")]
pub fn on_interrupt(found: crate::arch::Interrupted) {
    let cpu = arch::cpu_id();
    let now = super::monotonic_ns();
    let (slice_over, tick) = {
        let mut timers = TIMERS[cpu].lock();
        timers.programmed = None;
        arch::time::set_deadline(None);
        (
            timers.slice.take_if(|s| *s <= now).is_some(),
            timers.tick.take_if(|t| *t <= now).is_some(),
        )
    };
    loop {
        let due = {
            let mut timers = TIMERS[cpu].lock();
            match timers.queue.first_entry() {
                Some(e) if e.key().0 <= now => Some(e.remove()),
                _ => None,
            }
        };
        match due {
            Some(target) => target.expire(now),
            None => break,
        }
    }
    if slice_over {
        crate::process::scheduler::slice_over();
    }
    if tick {
        crate::process::scheduler::tick(found, now);
    }
    TIMERS[cpu].lock().program();
}
