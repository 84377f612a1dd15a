//! Owned references to frames.

use super::global;
use crate::base::{PAGE_SIZE, PhysAddr};
use crate::memory::linear::phys_to_virt;
use core::mem::ManuallyDrop;
use core::num::NonZeroUsize;
use core::sync::atomic::{Ordering, fence};

/// A counted reference to one frame; dropping the last one frees it. (The frame at physical address 0 is never handed out.)
pub struct Frame {
    phys: NonZeroUsize,
}

impl Frame {
    /// Takes over a reference made by [`into_raw`](Self::into_raw).
    ///
    /// # Safety
    /// `phys` is a frame of the allocator and the caller owns one reference to it, which it gives up.
    #[inline(always)]
    pub unsafe fn from_raw(phys: PhysAddr) -> Self {
        debug_assert!(phys.0 != 0 && phys.0.is_multiple_of(PAGE_SIZE));
        // SAFETY: frame 0 is never handed out, so no frame's address is zero.
        Frame {
            phys: unsafe { NonZeroUsize::new_unchecked(phys.0) },
        }
    }

    /// Gives the reference to somebody who remembers the address (a page table).
    #[inline(always)]
    pub fn into_raw(self) -> PhysAddr {
        ManuallyDrop::new(self).phys()
    }

    #[inline(always)]
    pub fn phys(&self) -> PhysAddr {
        PhysAddr(self.phys.get())
    }

    /// The frame's bytes in the linear map.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut u8 {
        phys_to_virt(self.phys())
    }

    /// The frame's bytes. A program that has the frame mapped writable may change them at any time.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the frame is RAM in the linear map and lives as long as this reference.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), PAGE_SIZE) }
    }

    /// The frame's bytes. Other holders of the frame see the change; only one kernel thread may write at a time.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as for `as_slice`; exclusion between holders is the owner's business (the inode's page lock).
        unsafe { core::slice::from_raw_parts_mut(self.as_ptr(), PAGE_SIZE) }
    }

    /// Copies `src` into the frame at `offset`, through a shared reference (page-cache frames have several holders).
    pub fn copy_from(&self, offset: usize, src: &[u8]) {
        assert!(offset <= PAGE_SIZE && src.len() <= PAGE_SIZE - offset);
        // SAFETY: in bounds by the line above; a kernel buffer never overlaps a frame.
        unsafe {
            core::ptr::copy_nonoverlapping(src.as_ptr(), self.as_ptr().add(offset), src.len())
        }
    }

    /// Zeroes bytes `from..to` of the frame.
    pub fn zero_range(&self, from: usize, to: usize) {
        assert!(from <= to && to <= PAGE_SIZE);
        // SAFETY: in bounds by the line above.
        unsafe { core::ptr::write_bytes(self.as_ptr().add(from), 0, to - from) }
    }

    /// A new frame with the same bytes.
    pub fn duplicate(&self) -> crate::base::Result<Frame> {
        let copy = super::alloc_frame()?;
        crate::memory::hw::copy_page(copy.as_ptr(), self.as_ptr());
        Ok(copy)
    }

    /// How many references there are. 1 means that the caller's is the only one, and it stays so until the caller clones it.
    #[inline]
    pub fn refcount(&self) -> u32 {
        global().buddy.refs(self.phys()).load(Ordering::Acquire)
    }

    /// Adds a reference on behalf of a page table that already holds one.
    ///
    /// # Safety
    /// The caller knows of a live reference to `phys`.
    #[inline(always)]
    pub unsafe fn add_ref(phys: PhysAddr) {
        global().buddy.refs(phys).fetch_add(1, Ordering::Relaxed);
    }
}

impl Clone for Frame {
    #[inline]
    fn clone(&self) -> Self {
        global()
            .buddy
            .refs(self.phys())
            .fetch_add(1, Ordering::Relaxed);
        Frame { phys: self.phys }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        let refs = global().buddy.refs(self.phys());
        // The only holder needs no read-modify-write: nobody else can add a reference.
        if refs.load(Ordering::Acquire) == 1 {
            refs.store(0, Ordering::Relaxed);
        } else {
            let before = refs.fetch_sub(1, Ordering::Release);
            debug_assert!(before != 0, "frame {:?} freed twice", self.phys());
            if before != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        #[cfg(test)]
        super::live::change(-1);
        global().free(self.phys());
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({:#x})", self.phys)
    }
}
