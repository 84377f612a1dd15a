//! All that this folder asks of the processor, in one place; host tests get plain equivalents.

use crate::base::PhysAddr;
use core::sync::atomic::AtomicU64;

pub use crate::arch::MAX_CPUS;

#[cfg(target_os = "none")]
mod imp {
    use super::*;
    use crate::arch;

    #[inline(always)]
    pub fn cpu_id() -> usize {
        arch::cpu_id()
    }
    /// Zeroes one frame.
    #[inline(always)]
    pub fn zero_page(page: *mut u8) {
        // SAFETY: callers pass a whole frame that they own.
        unsafe { arch::zero_page(page) }
    }
    /// Copies one frame.
    #[inline(always)]
    pub fn copy_page(to: *mut u8, from: *const u8) {
        // SAFETY: callers pass two different whole frames.
        unsafe { arch::copy_page(to, from) }
    }
    /// Makes table writes visible to every core's table walker; enough for entries that were invalid before.
    #[inline(always)]
    pub fn table_barrier() {
        arch::mmu::table_barrier()
    }
    /// Forgets one translation on every core and waits until that is done.
    #[inline(always)]
    pub fn flush_page(asid: &AtomicU64, va: usize) {
        arch::mmu::flush_page(asid, va)
    }
    /// Forgets every translation of the space on every core and waits until that is done.
    #[inline(always)]
    pub fn flush_space(asid: &AtomicU64) {
        arch::mmu::flush_asid(asid)
    }
    /// Makes this the translation of the program half on this core.
    #[inline(always)]
    pub fn activate(root: PhysAddr, asid: &AtomicU64) {
        arch::mmu::activate(root, asid)
    }
    /// The space is dead and active nowhere: forgets its translations and frees its hardware tag.
    #[inline(always)]
    pub fn retire(asid: &AtomicU64) {
        arch::mmu::release_asid(asid)
    }
    /// Makes a frame's new bytes visible to instruction fetch (Arm ARM B2.4.4, "Concurrent modification and execution").
    pub fn sync_instructions(page: *const u8, len: usize) {
        let mut at = page as usize;
        // Smallest lines that CTR_EL0 can report on the cores supported are 64 bytes.
        while at < page as usize + len {
            // SAFETY: cleans and invalidates cached copies of mapped memory only.
            unsafe {
                core::arch::asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", in(reg) at, options(nostack, preserves_flags))
            }
            at += 64;
        }
        // SAFETY: barriers only.
        unsafe { core::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags)) }
    }
}

#[cfg(not(target_os = "none"))]
mod imp {
    use super::*;

    std::thread_local! {
        static CPU: usize = {
            static NEXT: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);
            NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed) % MAX_CPUS
        };
    }
    pub fn cpu_id() -> usize {
        CPU.with(|c| *c)
    }
    pub fn zero_page(page: *mut u8) {
        // SAFETY: callers pass a whole frame that they own.
        unsafe { core::ptr::write_bytes(page, 0, crate::base::PAGE_SIZE) }
    }
    pub fn copy_page(to: *mut u8, from: *const u8) {
        // SAFETY: callers pass two different whole frames.
        unsafe { core::ptr::copy_nonoverlapping(from, to, crate::base::PAGE_SIZE) }
    }
    pub fn table_barrier() {}
    pub fn flush_page(_asid: &AtomicU64, _va: usize) {}
    pub fn flush_space(_asid: &AtomicU64) {}
    pub fn activate(_root: PhysAddr, _asid: &AtomicU64) {}
    pub fn retire(_asid: &AtomicU64) {}
    pub fn sync_instructions(_page: *const u8, _len: usize) {}
}

pub use imp::*;
