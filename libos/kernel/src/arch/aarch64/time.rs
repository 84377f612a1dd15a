//! The generic timer: CNTVCT counts at CNTFRQ Hz, the virtual timer interrupts when it passes a compare value.

use crate::time::page::SHIFT;
use aarch64_cpu::asm::barrier::{self, SY};
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};
use core::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds per tick, as `(ticks * MULT) >> SHIFT`.
static MULT: AtomicU64 = AtomicU64::new(0);
/// The counter at boot: the monotonic clock's zero.
static BASE: AtomicU64 = AtomicU64::new(0);

fn counter() -> u64 {
    // Not before what comes before.
    barrier::isb(SY);
    CNTVCT_EL0.get()
}

/// Starts the clock.
pub fn init() {
    let hz = CNTFRQ_EL0.get();
    MULT.store((1_000_000_000u64 << SHIFT) / hz.max(1), Ordering::Relaxed);
    BASE.store(counter(), Ordering::Relaxed);
    let (mult, base) = (MULT.load(Ordering::Relaxed), BASE.load(Ordering::Relaxed));
    crate::time::page::set_rate(mult, base);
}

/// What the counter said when the clock started.
pub fn counter_at_boot() -> u64 {
    BASE.load(Ordering::Relaxed)
}

/// Nanoseconds since boot.
pub fn monotonic_ns() -> u64 {
    let ticks = counter().wrapping_sub(BASE.load(Ordering::Relaxed));
    ((ticks as u128 * MULT.load(Ordering::Relaxed) as u128) >> SHIFT) as u64
}

/// Asks for an interrupt on this core at `deadline` ns since boot; `None` switches the timer off.
pub fn set_deadline(deadline: Option<u64>) {
    match deadline {
        Some(ns) => {
            let mult = MULT.load(Ordering::Relaxed).max(1);
            // Rounded up, so that the clock has passed the deadline when the interrupt comes.
            let ticks =
                (((ns as u128) << SHIFT).div_ceil(mult as u128)).min(u64::MAX as u128 / 2) as u64;
            let at = BASE.load(Ordering::Relaxed).wrapping_add(ticks);
            CNTV_CVAL_EL0.set(at);
            CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
        }
        None => CNTV_CTL_EL0.set(0),
    }
    barrier::isb(SY);
}
