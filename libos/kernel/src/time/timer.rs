//! Timers: per core, ordered by deadline, driven by the generic timer. Nothing ticks when nothing is due.

use crate::arch::{self, MAX_CPUS};
use crate::base::SpinLock;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// What happens when a timer runs out.
pub trait TimerTarget: Send + Sync {
    /// Called with interrupts masked and no timer lock held; `now` is monotonic ns. May wake threads, must not sleep.
    fn expire(self: Arc<Self>, now: u64);
}

/// Names a timer, for [`cancel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId {
    cpu: usize,
    deadline: u64,
    sequence: u64,
}

impl TimerId {
    /// Whether its time has come by `now`.
    pub fn is_due(self, now: u64) -> bool {
        self.deadline <= now
    }
}

/// A timer that repeats rings no oftener than this, ns: one that rang after each instruction would leave its core no time for
/// programs. Expirations in between are counted when it rings.
pub const SHORTEST_PERIOD: u64 = 50_000;

/// Time, ns, that timers take from their core before programs have their turn.
#[cfg(target_os = "none")]
const MOST_AT_ONCE: u64 = 500_000;

/// For a periodic timer that rings at `now`: how many expirations beyond the one at `deadline` have passed, and the next
/// deadline after them (0 without an interval).
pub fn next_period(now: u64, deadline: u64, interval: u64) -> (u64, u64) {
    let missed = now.saturating_sub(deadline);
    let missed = missed.checked_div(interval).unwrap_or(0);
    let next = match interval {
        0 => 0,
        i => deadline.saturating_add((missed + 1).saturating_mul(i)),
    };
    (missed, next)
}

struct Timers {
    queue: BTreeMap<(u64, u64), Arc<dyn TimerTarget>>,
    /// The next tick of a busy core ([`crate::process::accounting`]).
    tick: Option<u64>,
    /// What the hardware is set to; 0 while the interrupt is handled.
    programmed: Option<u64>,
    /// After a crowd of timers, programs run for as long before the next one rings.
    not_before: u64,
}

/// Each core's timers. Innermost lock.
static TIMERS: [SpinLock<Timers>; MAX_CPUS] = [const {
    SpinLock::new(Timers {
        queue: BTreeMap::new(),
        tick: None,
        programmed: None,
        not_before: 0,
    })
}; MAX_CPUS];
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

impl Timers {
    /// Sets the hardware to the earliest deadline. A deadline that moved away is left to ring early: that is rarer than
    /// timers being set and cancelled, and costs one look at the queue.
    fn program(&mut self) {
        let first = self.queue.first_key_value().map(|((d, _), _)| *d);
        let earliest = [first, self.tick].into_iter().flatten().min();
        let Some(earliest) = earliest else { return };
        let earliest = earliest.max(self.not_before);
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

fn remove(id: TimerId) -> Option<Arc<dyn TimerTarget>> {
    let key = (id.deadline, id.sequence);
    TIMERS[id.cpu].lock().queue.remove(&key)
}

/// Forgets a timer; false if it has run out already (its target may be running on another core).
pub fn cancel(id: TimerId) -> bool {
    remove(id).is_some()
}

/// Gives a timer another deadline, unless it has run out.
pub fn put_off(id: TimerId, deadline: u64) -> Option<TimerId> {
    remove(id).map(|target| add(deadline, target))
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
    let tick = {
        let mut timers = TIMERS[cpu].lock();
        // Whatever is set in here is programmed at the end, where it is known how long this took: a deadline that has passed by
        // then would ring again at once, and for ever.
        timers.programmed = Some(0);
        arch::time::set_deadline(None);
        timers.tick.take_if(|t| *t <= now).is_some()
    };
    let mut crowd = 0;
    let mut crowded = false;
    loop {
        let due = {
            let mut timers = TIMERS[cpu].lock();
            match timers.queue.first_entry() {
                Some(e) if e.key().0 <= now && !crowded => Some(e.remove()),
                _ => None,
            }
        };
        match due {
            Some(target) => target.expire(now),
            None => break,
        }
        crowd += 1;
        crowded = crowd % 16 == 0 && super::monotonic_ns() - now > MOST_AT_ONCE;
    }
    if tick {
        crate::process::scheduler::tick(found);
    }
    let mut timers = TIMERS[cpu].lock();
    if crowded {
        let end = super::monotonic_ns();
        timers.not_before = end + (end - now);
    }
    timers.programmed = None;
    timers.program();
}
