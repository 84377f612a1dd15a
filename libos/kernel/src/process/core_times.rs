//! What each core has done, for `/proc/stat`.
//!
//! How long a core idled is measured. The rest of the time is divided in the ratio of what the ticks found that it takes while it is
//! busy; without ticks all of it is the programs'.

use crate::base::SpinLock;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of one core, which alone writes them.
pub struct CoreTimes {
    /// Up to the last wake-up, ns.
    idle: AtomicU64,
    /// Monotonic time, ns, since when it idles; 0 if it does not.
    idle_since: AtomicU64,
    /// Ticks that found a program, one with a positive nice level, and the kernel.
    user: AtomicU64,
    nice: AtomicU64,
    system: AtomicU64,
    /// What has been told of the three, ns: it is never taken back. Leaf.
    told: SpinLock<[u64; 3]>,
    switches: AtomicU64,
    interrupts: AtomicU64,
}

/// Times in ns.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Report {
    pub user: u64,
    pub nice: u64,
    pub system: u64,
    pub idle: u64,
    pub switches: u64,
    pub interrupts: u64,
}

impl Report {
    pub fn add(&mut self, other: Report) {
        self.user += other.user;
        self.nice += other.nice;
        self.system += other.system;
        self.idle += other.idle;
        self.switches += other.switches;
        self.interrupts += other.interrupts;
    }
}

/// One more, without a lock on the bus: there is only one writer.
#[inline(always)]
fn count(what: &AtomicU64) {
    what.store(what.load(Relaxed) + 1, Relaxed);
}

impl Default for CoreTimes {
    fn default() -> Self {
        Self::new()
    }
}

impl CoreTimes {
    pub const fn new() -> Self {
        CoreTimes {
            idle: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            user: AtomicU64::new(0),
            nice: AtomicU64::new(0),
            system: AtomicU64::new(0),
            told: SpinLock::new([0; 3]),
            switches: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
        }
    }

    pub fn idle_begins(&self, now: u64) {
        self.idle_since.store(now, Relaxed);
    }

    pub fn idle_ends(&self, now: u64) {
        let since = self.idle_since.load(Relaxed);
        self.idle
            .store(self.idle.load(Relaxed) + (now - since), Relaxed);
        self.idle_since.store(0, Relaxed);
    }

    pub fn tick(&self, in_kernel: bool, nice: i32) {
        count(match in_kernel {
            true => &self.system,
            false if nice > 0 => &self.nice,
            false => &self.user,
        });
    }

    #[inline(always)]
    pub fn switched(&self) {
        count(&self.switches);
    }

    pub fn interrupted(&self) {
        count(&self.interrupts);
    }

    pub fn report(&self, now: u64) -> Report {
        let mut idle = self.idle.load(Relaxed);
        match self.idle_since.load(Relaxed) {
            0 => {}
            since => idle += now.saturating_sub(since),
        }
        let ticks = [&self.user, &self.nice, &self.system].map(|ticks| ticks.load(Relaxed));
        let all = ticks.iter().sum::<u64>();
        let busy = now.saturating_sub(idle);
        let mut told = self.told.lock();
        let mut left = busy;
        for (told, ticks) in told.iter_mut().zip(ticks).rev() {
            let share = busy as u128 * ticks as u128 / all.max(1) as u128;
            *told = (*told).max((share as u64).min(left));
            left = left.saturating_sub(*told);
        }
        told[0] += left;
        let [user, nice, system] = *told;
        Report {
            user,
            nice,
            system,
            idle,
            switches: self.switches.load(Relaxed),
            interrupts: self.interrupts.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_measured_and_the_rest_divided_by_ticks() {
        let core = CoreTimes::new();
        core.idle_begins(3_000);
        assert_eq!(core.report(5_000).idle, 2_000);
        core.idle_ends(10_000);
        for _ in 0..3 {
            core.tick(false, 0);
            core.tick(false, 5);
            core.tick(true, 5);
        }
        core.switched();
        let told = core.report(16_000);
        let expected = Report {
            // It was told before that the first three were.
            user: 3_000,
            nice: 3_000,
            system: 3_000,
            idle: 7_000,
            switches: 1,
            interrupts: 0,
        };
        assert_eq!(told, expected);
        core.tick(false, 0);
        let later = core.report(17_000);
        assert_eq!((later.nice, later.system), (3_000, 3_000));
        assert_eq!(later.user + later.nice + later.system + later.idle, 17_000);
    }
}
