//! Physical addresses as a type, and page arithmetic.

/// log2 of the page size.
pub const PAGE_SHIFT: usize = 12;
/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

/// `n` rounded down to a page boundary.
pub const fn page_down(n: usize) -> usize {
    n & !(PAGE_SIZE - 1)
}

/// `n` rounded up to a page boundary (wraps at the top of the address space; callers check lengths first).
pub const fn page_up(n: usize) -> usize {
    n.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(pub usize);

impl PhysAddr {
    pub const fn add(self, bytes: usize) -> Self {
        PhysAddr(self.0 + bytes)
    }
}

impl core::fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "p:{:#x}", self.0)
    }
}
