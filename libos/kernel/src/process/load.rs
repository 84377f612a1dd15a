//! The load averages: how many threads run or wait for a core, over the last 1, 5 and 15 minutes.
//!
//! They are sampled every five seconds, by whatever busy core ticks first then. Nothing wakes an idle machine for their sake: where no
//! core ticked at the time of a sample, none was busy.

use super::accounting::TICK;
use crate::base::SpinLock;
use core::sync::atomic::{AtomicU64, Ordering};

/// Fixed-point 1 of the averages.
pub const ONE: u64 = 1 << 11;
/// Time between two samples, ns.
const STEP: u64 = 5_000_000_000;
/// e^(-5s/1min), e^(-5s/5min), e^(-5s/15min).
const DECAY: [u64; 3] = [1884, 2014, 2037];

/// In units of 1/[`ONE`]. Leaf.
static AVERAGES: SpinLock<[u64; 3]> = SpinLock::new([0; 3]);
/// Monotonic time of the next sample, ns.
static NEXT: AtomicU64 = AtomicU64::new(STEP);

/// A tick: takes the samples that are due, if any. `runnable` says how many run or wait for a core now.
pub fn sample(now: u64, runnable: impl FnOnce() -> usize) {
    if now < NEXT.load(Ordering::Relaxed) {
        return;
    }
    let mut averages = AVERAGES.lock();
    let next = NEXT.load(Ordering::Relaxed);
    if now >= next {
        NEXT.store(
            advance(&mut averages, next, now, runnable),
            Ordering::Relaxed,
        );
    }
}

/// The averages, in units of 1/[`ONE`].
pub fn averages(now: u64, runnable: impl FnOnce() -> usize) -> [u64; 3] {
    sample(now, runnable);
    *AVERAGES.lock()
}

/// Takes the samples of `next` and every [`STEP`] after it, up to `now`; returns when the one after is due.
fn advance(averages: &mut [u64; 3], next: u64, now: u64, runnable: impl FnOnce() -> usize) -> u64 {
    let due = (now - next) / STEP + 1;
    let last = next + (due - 1) * STEP;
    let mut take = |load: u64| {
        for (average, decay) in averages.iter_mut().zip(DECAY) {
            *average = (*average * decay + load * ONE * (ONE - decay)) / ONE;
        }
    };
    // Past an hour nothing of the old values is left.
    (1..due.min(720)).for_each(|_| take(0));
    let was_busy = now - last <= 2 * TICK;
    take(if was_busy { runnable() as u64 } else { 0 });
    last + STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_load_counts_and_idle_time_takes_it_away() {
        let (mut averages, mut next) = ([0; 3], STEP);
        for _ in 0..12 {
            next = advance(&mut averages, next, next + TICK, || 4);
        }
        // 4 (1 - 1/e)
        let percent = averages[0] * 100 / ONE;
        assert!((250..=256).contains(&percent), "{percent}");
        assert!(averages[0] > averages[1] && averages[1] > averages[2]);
        // Somebody looks a minute later: nobody was there to tick.
        let before = averages[0];
        let due = advance(&mut averages, next, next + 11 * STEP + STEP / 2, || 1);
        assert_eq!(due, next + 12 * STEP);
        let left = averages[0] * 100 / before;
        assert!((36..=37).contains(&left), "{left}");
    }
}
