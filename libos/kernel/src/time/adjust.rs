//! What the clock says of itself (adjtimex(2)). It is never adjusted: nothing here knows a better time.

use super::realtime_ns;
use crate::base::{Errno, Result};
use crate::process::current;
use crate::user::UserPtr;

/// `struct timex`: the words that are filled in, by index.
type Timex = [u64; 26];
const MAX_ERROR: usize = 3;
const ESTIMATED_ERROR: usize = 4;
const STATUS: usize = 5;
const PRECISION: usize = 7;
const TOLERANCE: usize = 8;
const SECONDS: usize = 9;
const MICROSECONDS: usize = 10;
const TICK: usize = 11;

const STA_UNSYNC: u64 = 0x40;
/// The result that goes with it.
const TIME_ERROR: usize = 5;
/// µs: what Linux says of a clock that nobody has set.
const UNKNOWN_ERROR: u64 = 16_000_000;

pub fn sys_adjtimex(about: UserPtr<Timex>) -> Result<usize> {
    let modes = about.cast::<u32>().read()?;
    if modes != 0 {
        if !current().process().creds().is_privileged() {
            return Err(Errno::EPERM);
        }
        klog!(
            Warn,
            "adjtimex: adjusting the clock (modes {:#x}) is not built",
            modes
        );
        return Err(Errno::EOPNOTSUPP);
    }
    let now = realtime_ns();
    let mut t: Timex = [0; 26];
    (t[MAX_ERROR], t[ESTIMATED_ERROR]) = (UNKNOWN_ERROR, UNKNOWN_ERROR);
    t[STATUS] = STA_UNSYNC;
    t[PRECISION] = 1;
    t[TOLERANCE] = 500 << 16;
    (t[SECONDS], t[MICROSECONDS]) = (now / 1_000_000_000, now % 1_000_000_000 / 1000);
    t[TICK] = 10_000;
    about.write(t)?;
    Ok(TIME_ERROR)
}

pub fn sys_clock_adjtime(clock: i32, about: UserPtr<Timex>) -> Result<usize> {
    match clock {
        0 => sys_adjtimex(about),
        1..=11 => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}
