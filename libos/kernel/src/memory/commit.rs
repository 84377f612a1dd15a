//! Committed memory: what programs may still write to without asking again, and how much of it there may be.
//!
//! Counted are private writable areas, stacks, shared memory when it is made, and pages of files in memory when they are filled.
//! What is refused depends on `vm.overcommit_memory`, as in Linux's overcommit accounting: 0 (as after boot) only a single request that
//! all RAM could not hold, 1 nothing, 2 whatever would exceed the limit. In the first two, who touches more than there is meets the
//! out-of-memory killer. Two requests at the same moment may together exceed the limit by the smaller one.

use super::frames;
use crate::base::{Errno, PAGE_SIZE, Result};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const HEURISTIC: usize = 0;
const ALWAYS: usize = 1;
const NEVER: usize = 2;

static COMMITTED: AtomicUsize = AtomicUsize::new(0);
static MODE: AtomicUsize = AtomicUsize::new(HEURISTIC);
/// Percent of RAM that may be committed in mode 2.
static RATIO: AtomicUsize = AtomicUsize::new(50);
/// That in KiB, in the place of the ratio, if not 0.
static KBYTES: AtomicUsize = AtomicUsize::new(0);
/// In mode 2, so many bytes are left for root.
const ADMIN_RESERVE: usize = 8 << 20;

/// Pages committed by all (`Committed_AS` of `/proc/meminfo`).
pub fn committed() -> usize {
    COMMITTED.load(Relaxed)
}

/// Pages that may be committed in mode 2 (`CommitLimit`).
pub fn limit() -> usize {
    match KBYTES.load(Relaxed) {
        0 => frames::total_count() * RATIO.load(Relaxed) / 100,
        kbytes => kbytes / (PAGE_SIZE / 1024),
    }
}

/// `ENOMEM` for a request that goes too far.
pub fn check(pages: usize) -> Result<()> {
    let allowed = match MODE.load(Relaxed) {
        ALWAYS => return Ok(()),
        NEVER => {
            let privileged = crate::process::current().process().creds().is_privileged();
            let reserve = match privileged {
                true => 0,
                false => (ADMIN_RESERVE / PAGE_SIZE).min(frames::total_count() / 32),
            };
            limit().saturating_sub(committed() + reserve)
        }
        _ => frames::total_count(),
    };
    if pages > allowed {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

/// Whether who says that its memory need not be reserved is believed.
pub fn may_skip() -> bool {
    MODE.load(Relaxed) != NEVER
}

pub fn charge(pages: usize) {
    COMMITTED.fetch_add(pages, Relaxed);
}

pub fn uncharge(pages: usize) {
    COMMITTED.fetch_sub(pages, Relaxed);
}

/// A setting of `/proc/sys/vm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    Mode,
    Ratio,
    Kbytes,
}

impl Setting {
    fn place(self) -> &'static AtomicUsize {
        match self {
            Setting::Mode => &MODE,
            Setting::Ratio => &RATIO,
            Setting::Kbytes => &KBYTES,
        }
    }

    pub fn get(self) -> usize {
        self.place().load(Relaxed)
    }

    /// `EINVAL` for a mode that there is not. Ratio and KiB exclude each other: setting one takes the other back.
    pub fn set(self, value: usize) -> Result<()> {
        if self == Setting::Mode && value > NEVER {
            return Err(Errno::EINVAL);
        }
        match self {
            Setting::Mode => {}
            Setting::Ratio => KBYTES.store(0, Relaxed),
            Setting::Kbytes => RATIO.store(0, Relaxed),
        }
        self.place().store(value, Relaxed);
        Ok(())
    }
}
