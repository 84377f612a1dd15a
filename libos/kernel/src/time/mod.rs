//! Clocks and timers. Times are nanoseconds in `u64`.

pub mod adjust;
mod clock_set;
pub mod page;
pub mod sys;
pub mod timer;

use clock_set::ClockSet;

/// Nanoseconds since boot (`CLOCK_MONOTONIC`).
pub fn monotonic_ns() -> u64 {
    crate::arch::time::monotonic_ns()
}

/// Nanoseconds since the Unix epoch (`CLOCK_REALTIME`).
pub fn realtime_ns() -> u64 {
    monotonic_ns().saturating_add_signed(page::real_offset())
}

/// Sets the real-time clock to `ns` nanoseconds since the epoch, and tells whoever waits for a time of day.
pub fn set_realtime_ns(ns: u64) {
    page::set_real_offset(ns.saturating_sub(monotonic_ns()) as i64);
    CLOCK_SET.wake_all();
}

/// Sleepers and timers that wait for a time of day.
pub static CLOCK_SET: ClockSet = ClockSet::new();

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// ns since boot.
    Monotonic(u64),
    /// ns since the epoch, by a clock that may be set meanwhile.
    OfDay(u64),
}

impl Deadline {
    /// The monotonic time of it, as the clocks are set now.
    pub fn monotonic(self) -> u64 {
        match self {
            Deadline::Monotonic(ns) => ns,
            Deadline::OfDay(ns) => ns.saturating_sub_signed(page::real_offset()),
        }
    }
}

/// A point in time as inodes and `stat` carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Timespec {
    pub sec: i64,
    pub nsec: u32,
}

impl Timespec {
    pub fn from_ns(ns: u64) -> Self {
        Timespec {
            sec: (ns / 1_000_000_000) as i64,
            nsec: (ns % 1_000_000_000) as u32,
        }
    }

    /// The wall clock, for inode times.
    pub fn now() -> Self {
        Self::from_ns(realtime_ns())
    }
}
