//! Sees that no core stops getting on.
//!
//! A core gets on as long as it takes locks: every system call, fault, interrupt and thread switch does. A watching core has a timer, and at
//! each ring looks whether the others have taken a lock since the last; whoever has not, and is not waiting for an interrupt either, is
//! suspect. After [`LOOKS`] such looks in a row the kernel panics with what every core is doing.
//!
//! Looks are counted, not time: each is an interrupt of its own, a second after the one before. However long the host lets the whole
//! machine stand, that is one look; and among twenty a core that can run, runs. No timer rings while all cores are idle: a
//! core that starts to work makes another one watch, and watching ends when nobody works. One core alone is not watched.

use crate::arch::{self, MAX_CPUS, cpu, gic};
use crate::base::{lockdep, sync::Once};
use crate::time::timer::{self, TimerTarget};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Looks without progress until the alarm.
const LOOKS: usize = 20;
/// Between two looks, ns.
const INTERVAL: u64 = 1_000_000_000;

/// What a core knows of the one it watches.
struct View {
    count: AtomicUsize,
    stale: AtomicUsize,
}

struct Watcher {
    armed: AtomicBool,
    /// Waits for an interrupt.
    waiting: AtomicBool,
    views: [View; MAX_CPUS],
}

static WATCHERS: [Watcher; MAX_CPUS] = [const {
    Watcher {
        armed: AtomicBool::new(false),
        waiting: AtomicBool::new(false),
        views: [const {
            View {
                count: AtomicUsize::new(0),
                stale: AtomicUsize::new(0),
            }
        }; MAX_CPUS],
    }
}; MAX_CPUS];
static LIMIT: AtomicUsize = AtomicUsize::new(LOOKS);
static LOOK: Once<Arc<Look>> = Once::new();

/// Takes the boot argument `watchdog=LOOKS` in; 0 switches it off.
pub fn init(looks: Option<&str>) {
    if let Some(looks) = looks.and_then(|l| l.parse().ok()) {
        LIMIT.store(looks, Ordering::Relaxed);
    }
    LOOK.call_once(|| Arc::new(Look));
}

struct Look;

impl TimerTarget for Look {
    fn expire(self: Arc<Self>, now: u64) {
        look(now);
    }
}

fn busy(core: usize) -> bool {
    !WATCHERS[core].waiting.load(Ordering::SeqCst)
}

fn others(here: usize) -> impl Iterator<Item = usize> {
    cpu::online().filter(move |&c| c != here)
}

/// The core goes to wait for an interrupt, or has got one.
pub fn set_waiting(waiting: bool) {
    let here = &WATCHERS[arch::cpu_id()];
    here.waiting.store(waiting, Ordering::SeqCst);
}

/// The core starts to run a thread after it was idle: somebody has to watch it.
pub fn work_begins() {
    let here = arch::cpu_id();
    let watched = others(here).any(|c| WATCHERS[c].armed.load(Ordering::SeqCst));
    if !watched && let Some(c) = others(here).next() {
        gic::send_sgi(c, gic::SGI_WATCH);
    }
}

/// The calling core watches from now on, if it does not yet.
pub fn watch() {
    let here = &WATCHERS[arch::cpu_id()];
    if LIMIT.load(Ordering::Relaxed) > 0 && !here.armed.swap(true, Ordering::SeqCst) {
        for view in &here.views {
            view.stale.store(0, Ordering::Relaxed);
        }
        ring_after(crate::time::monotonic_ns());
    }
}

fn ring_after(now: u64) {
    if let Some(look) = LOOK.get() {
        timer::add(now + INTERVAL, look.clone());
    }
}

fn look(now: u64) {
    let here = arch::cpu_id();
    for core in others(here) {
        let view = &WATCHERS[here].views[core];
        let count = lockdep::of_core(core).count();
        let gets_on = view.count.swap(count, Ordering::Relaxed) != count;
        if gets_on || !busy(core) {
            view.stale.store(0, Ordering::Relaxed);
        } else if view.stale.fetch_add(1, Ordering::Relaxed) + 1 >= LIMIT.load(Ordering::Relaxed) {
            crate::panic::stalled(core, LIMIT.load(Ordering::Relaxed));
        }
    }
    let armed = &WATCHERS[here].armed;
    armed.store(false, Ordering::SeqCst);
    // Whoever begins to work after this looks for a watcher itself.
    if others(here).any(busy) {
        armed.store(true, Ordering::SeqCst);
        ring_after(now);
    }
}

/// Boot argument `rustos.test=hang`: some seconds from now, this core stops for good in the middle of a program, with a lock held
/// and interrupts masked. What the watchdog makes of it is tested from outside.
pub fn hang_soon() {
    struct Hang;
    impl TimerTarget for Hang {
        fn expire(self: Arc<Self>, now: u64) {
            static HELD: crate::base::SpinLock<()> = crate::base::SpinLock::new(());
            if super::current().has_process() {
                let _held = HELD.lock();
                loop {
                    core::hint::spin_loop();
                }
            }
            timer::add(now + INTERVAL / 100, Arc::new(Hang));
        }
    }
    timer::add(crate::time::monotonic_ns() + INTERVAL, Arc::new(Hang));
}
