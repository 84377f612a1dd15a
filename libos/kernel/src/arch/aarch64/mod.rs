//! AArch64: boot, exceptions, translation, context switch, timer, interrupt controllers, cores.

pub mod barrier;
pub mod boot;
pub mod cpu;
pub mod exceptions;
pub mod frame;
pub mod gic;
pub mod mmu;
pub mod psci;
pub mod smp;
pub mod time;

pub use cpu::cpu_id;
pub use exceptions::Interrupted;
pub use frame::return_addresses;

core::arch::global_asm!(include_str!("boot.S"), options(raw));
core::arch::global_asm!(include_str!("vectors.S"), options(raw));
core::arch::global_asm!(include_str!("copy.S"), options(raw));
core::arch::global_asm!(include_str!("string.S"), options(raw));

unsafe extern "C" {
    /// Copies `len` bytes where one side is program memory: 0, or 1 if a fault could not be mended.
    pub fn copy_user(dst: *mut u8, src: *const u8, len: usize) -> usize;
    /// Copies `count` half-words that lie `stride` bytes apart on both sides: 0, or 1 if a fault could not be mended.
    pub fn copy_user_halves(dst: *mut u16, src: *const u16, stride: usize, count: usize) -> usize;
    /// Makes an aligned word of program memory `new` if it is `expected`; what it was goes to `found`. 0, or 1 if a fault could
    /// not be mended.
    pub fn cas_user(word: *mut u32, expected: u32, new: u32, found: *mut u32) -> usize;
    /// Zeroes program memory: 0, or 1 if a fault could not be mended.
    pub fn zero_user(dst: *mut u8, len: usize) -> usize;
    /// Zeroes the page at a page-aligned kernel address.
    pub fn zero_page(page: *mut u8);
    /// Copies a page between page-aligned kernel addresses.
    pub fn copy_page(dst: *mut u8, src: *const u8);
}

/// The bytes as a little-endian number, with one load, aligned or not: `SCTLR_EL1.A` is clear.
#[inline(always)]
pub fn load_u64(bytes: &[u8; 8]) -> u64 {
    let number;
    // SAFETY: reads the bytes, for which the reference vouches.
    unsafe {
        core::arch::asm!("ldr {}, [{}]", out(reg) number, in(reg) bytes, options(pure, readonly, nostack, preserves_flags));
    }
    number
}

/// As [`load_u64`].
#[inline(always)]
pub fn load_u32(bytes: &[u8; 4]) -> u32 {
    let number;
    // SAFETY: reads the bytes, for which the reference vouches.
    unsafe {
        core::arch::asm!("ldr {:w}, [{}]", out(reg) number, in(reg) bytes, options(pure, readonly, nostack, preserves_flags));
    }
    number
}
