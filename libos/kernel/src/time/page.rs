//! The page by which programs read the clocks without entering the kernel. `libos/libc/src/timepage.rs` says how they do it.
//!
//! One page of the kernel's data, which every process has mapped read-only among its constants at an address that the auxiliary
//! vector gives. A sequence count tells readers that they looked in the middle of a change. The kernel's own idea of the time of day
//! is the same word.

use crate::base::{PhysAddr, SpinLock};
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

/// Binary places of the multiplier.
pub const SHIFT: u32 = 32;

/// As libc has it.
#[repr(C, align(4096))]
struct ClockPage {
    /// Odd while the rest changes.
    sequence: AtomicU32,
    reserved: AtomicU32,
    multiplier: AtomicU64,
    counter_base: AtomicU64,
    monotonic_base_ns: AtomicU64,
    real_offset_ns: AtomicI64,
}

static PAGE: ClockPage = ClockPage {
    sequence: AtomicU32::new(0),
    reserved: AtomicU32::new(0),
    multiplier: AtomicU64::new(0),
    counter_base: AtomicU64::new(0),
    monotonic_base_ns: AtomicU64::new(0),
    real_offset_ns: AtomicI64::new(0),
};

/// One writer at a time. Leaf lock.
static WRITER: SpinLock<()> = SpinLock::new(());

fn change(store: impl FnOnce(&ClockPage)) {
    let _one = WRITER.lock();
    let sequence = PAGE.sequence.load(Ordering::Relaxed);
    PAGE.sequence.store(sequence + 1, Ordering::Relaxed);
    // Who sees one of the new values sees the odd number; who sees the even one sees them all.
    fence(Ordering::Release);
    store(&PAGE);
    PAGE.sequence
        .store(sequence.wrapping_add(2), Ordering::Release);
}

/// How the counter becomes nanoseconds since boot: `(counter - base) * multiplier >> SHIFT`.
pub fn set_rate(multiplier: u64, counter_base: u64) {
    change(|page| {
        page.counter_base.store(counter_base, Ordering::Relaxed);
        page.multiplier.store(multiplier, Ordering::Relaxed);
    });
}

/// Nanoseconds between the Unix epoch and boot.
pub fn set_real_offset(ns: i64) {
    change(|page| page.real_offset_ns.store(ns, Ordering::Relaxed));
}

pub fn real_offset() -> i64 {
    PAGE.real_offset_ns.load(Ordering::Relaxed)
}

/// Where the page lies in memory.
#[cfg(target_os = "none")]
pub fn frame() -> PhysAddr {
    crate::memory::image_base().add(&raw const PAGE as usize - crate::arch::mmu::KERNEL_BASE)
}
#[cfg(not(target_os = "none"))]
pub fn frame() -> PhysAddr {
    PhysAddr(&raw const PAGE as usize)
}
