//! The linear map: all RAM at a constant distance, in the kernel's half.

use crate::base::PhysAddr;

/// Virtual address of physical address 0.
#[cfg(target_os = "none")]
pub const LINEAR_BASE: usize = 0xffff_ff80_0000_0000;
/// In host tests a physical address is the host's pointer.
#[cfg(not(target_os = "none"))]
pub const LINEAR_BASE: usize = 0;

/// Where the kernel sees physical memory. Only RAM is mapped there.
#[inline(always)]
pub const fn phys_to_virt(phys: PhysAddr) -> *mut u8 {
    phys.0.wrapping_add(LINEAR_BASE) as *mut u8
}

/// The reverse, for pointers into the linear map (frames, heap objects; not kernel statics).
#[inline(always)]
pub fn virt_to_phys(virt: *const u8) -> PhysAddr {
    PhysAddr((virt as usize).wrapping_sub(LINEAR_BASE))
}
