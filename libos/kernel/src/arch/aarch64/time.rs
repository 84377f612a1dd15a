//! The generic timer: CNTVCT counts at CNTFRQ Hz, the virtual timer interrupts when it passes a compare value.

use crate::time::page::SHIFT;
use core::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds per tick, as `(ticks * MULT) >> SHIFT`.
static MULT: AtomicU64 = AtomicU64::new(0);
/// The counter at boot: the monotonic clock's zero.
static BASE: AtomicU64 = AtomicU64::new(0);

fn counter() -> u64 {
    let n: u64;
    // SAFETY: reading a counter.
    unsafe { core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) n, options(nomem, nostack)) };
    n
}

/// Starts the clock.
pub fn init() {
    let hz: u64;
    // SAFETY: reading an identification register.
    unsafe { core::arch::asm!("mrs {}, cntfrq_el0", out(reg) hz) };
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
            // SAFETY: the virtual timer is the kernel's.
            unsafe {
                core::arch::asm!("msr cntv_cval_el0, {}", "msr cntv_ctl_el0, {}", "isb", in(reg) at, in(reg) 1u64)
            };
        }
        // SAFETY: as above.
        None => unsafe { core::arch::asm!("msr cntv_ctl_el0, {}", "isb", in(reg) 0u64) },
    }
}
