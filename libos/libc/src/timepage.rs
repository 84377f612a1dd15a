//! The page by which the kernel lets programs read the clocks without entering it.
//!
//! The kernel maps it read-only in every process and gives its address in the auxiliary vector under
//! [`AT_TIMEPAGE`]. Reading: take `seq` (retry while odd), read the fields and CNTVCT_EL0, take `seq`
//! again and retry if it changed. Writing (kernel): make `seq` odd, a store barrier, the fields, a
//! store barrier, make `seq` even. CNTVCT_EL0 must be readable by programs (CNTKCTL_EL1.EL0VCTEN
//! for those at EL0).
//!
//! `monotonic = mono_base_ns + ((CNTVCT - cnt_base) * mult >> SHIFT)`, the product in 128 bits;
//! `realtime = monotonic + real_offset_ns`. An absent page (no such entry, or `mult` 0) is no error:
//! the clocks are asked of the kernel then.

/// The auxiliary vector's key for the page's address; private to this system.
pub const AT_TIMEPAGE: u64 = 0x1001;

/// Binary places of `mult`.
pub const SHIFT: u32 = 32;

#[repr(C)]
pub struct TimePage {
    /// Odd while the kernel writes.
    pub seq: u32,
    pub reserved: u32,
    pub mult: u64,
    /// The counter's value at `mono_base_ns`.
    pub cnt_base: u64,
    pub mono_base_ns: u64,
    pub real_offset_ns: i64,
}
