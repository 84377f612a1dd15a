//! Physical frames: who may have which page of RAM, and how many hold it.
//!
//! A buddy allocator (blocks of 2^0 to 2^10 frames) with a cache of single frames per core in front. Boot touches no per-frame
//! state: memory that was never used lies above a watermark, and its metadata is zeroed four megabytes at a time when needed.
//! A [`Frame`] is an owned reference; the last one to be dropped gives the frame back.

mod buddy;
mod cache;
mod frame;
mod piece;
mod spans;
#[cfg(test)]
pub(super) mod tests;

pub use buddy::MAX_ORDER;
pub use frame::Frame;
pub use piece::Piece;

use crate::base::{Errno, PhysAddr, Result};
use buddy::{Buddy, WHOLE_ORDER};
use cache::Caches;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The frames of one machine (or, in tests, of one arena).
pub(super) struct FrameAllocator {
    buddy: Buddy,
    caches: Caches,
    /// So many frames are left to the kernel's heap: programs and files find memory exhausted before. So many also stay in
    /// blocks of [`WHOLE_ORDER`] and more until the heap itself breaks them up.
    reserve: AtomicUsize,
}

/// The heap's reserve: a 64th of memory, within bounds. When half of it is used, at least one whole block is left.
const RESERVE: Range<usize> = 192..4096;

#[cfg_attr(not(target_os = "none"), allow(dead_code))]
static FRAMES: FrameAllocator = FrameAllocator::new();

/// The machine's allocator. In host tests it makes itself an arena on first use.
#[inline(always)]
fn global() -> &'static FrameAllocator {
    #[cfg(not(target_os = "none"))]
    host::ensure();
    &FRAMES
}

impl FrameAllocator {
    pub const fn new() -> Self {
        FrameAllocator {
            buddy: Buddy::new(),
            caches: Caches::new(),
            reserve: AtomicUsize::new(0),
        }
    }

    /// One frame, contents undefined, reference count 1.
    #[inline]
    pub fn alloc(&self) -> Option<PhysAddr> {
        let phys = match self.caches.pop() {
            Some(p) => p,
            None => self.alloc_slow()?,
        };
        self.buddy
            .refs(phys)
            .store(1, core::sync::atomic::Ordering::Relaxed);
        Some(phys)
    }

    #[cold]
    fn alloc_slow(&self) -> Option<PhysAddr> {
        let mut batch = [PhysAddr(0); cache::BATCH];
        let reserve = self.reserve.load(Ordering::Relaxed);
        match self.buddy.alloc_batch(&mut batch, reserve) {
            // Memory is short: what other cores keep at hand is still memory.
            0 => self.caches.steal(),
            n => {
                for &p in &batch[1..n] {
                    if let Err(p) = self.caches.push(p) {
                        self.buddy.free(p, 0);
                    }
                }
                Some(batch[0])
            }
        }
    }

    /// Gives back a frame whose last reference is gone.
    #[inline]
    pub fn free(&self, phys: PhysAddr) {
        if let Err(phys) = self.caches.push(phys) {
            self.free_slow(phys);
        }
    }

    #[cold]
    fn free_slow(&self, phys: PhysAddr) {
        let mut batch = [PhysAddr(0); cache::BATCH];
        let n = self.caches.take(&mut batch);
        self.buddy.free_batch(&batch[..n]);
        if let Err(phys) = self.caches.push(phys) {
            self.buddy.free(phys, 0);
        }
    }

    /// 2^order adjacent frames, aligned to their size, contents undefined. Each has reference count 1.
    pub fn alloc_order(&self, order: usize) -> Option<PhysAddr> {
        let phys = match self.buddy.alloc(order) {
            Some(p) => p,
            None => {
                // Frames in the caches may be the missing buddies.
                self.drain();
                self.buddy.alloc(order)?
            }
        };
        for i in 0..1usize << order {
            let frame = phys.add(i << crate::base::PAGE_SHIFT);
            self.buddy
                .refs(frame)
                .store(1, core::sync::atomic::Ordering::Relaxed);
        }
        Some(phys)
    }

    /// Moves every cached frame back to the buddy lists.
    pub fn drain(&self) {
        let mut batch = [PhysAddr(0); cache::BATCH];
        for cpu in 0..super::hw::MAX_CPUS {
            loop {
                let n = self.caches.take_from(cpu, &mut batch);
                if n == 0 {
                    break;
                }
                self.buddy.free_batch(&batch[..n]);
            }
        }
    }

    pub fn free_count(&self) -> usize {
        self.buddy.free_count() + self.caches.count()
    }

    /// As [`is_scarce`].
    fn is_scarce(&self) -> bool {
        let reserve = self.reserve.load(Ordering::Relaxed);
        let (free, whole) = self.buddy.free_and_whole();
        free <= reserve || whole < reserve / 4 * 3
    }

    /// As [`is_short`].
    fn is_short(&self) -> bool {
        let least = self.reserve.load(Ordering::Relaxed) / 2;
        if self.buddy.free_and_whole().1 >= least {
            return false;
        }
        // Frames in the caches may be all that is missing.
        self.drain();
        self.buddy.free_and_whole().1 < least
    }
}

/// Hands RAM to the allocator. `ranges` is all RAM that the machine reports, `reserved` what of it is taken (image, device
/// tree, initrd); they may overlap, be unsorted and not page-aligned. The allocator puts its own tables into free RAM.
///
/// # Safety
/// Called once, before any other function here, with RAM that is in the linear map and that nobody else uses.
pub unsafe fn init(ranges: &[Range<PhysAddr>], reserved: &[Range<PhysAddr>]) {
    // SAFETY: passed on to the caller.
    unsafe { FRAMES.buddy.init(ranges, reserved) }
    // Not by way of `global`, which in host tests is waiting for this very call.
    let reserve = (FRAMES.buddy.total_count() / 64).clamp(RESERVE.start, RESERVE.end);
    let reserve = reserve.next_multiple_of(1 << WHOLE_ORDER);
    FRAMES.reserve.store(reserve, Ordering::Relaxed);
}

/// A frame with undefined contents. `ENOMEM` when none is left.
#[inline]
pub fn alloc_frame() -> Result<Frame> {
    match global().alloc() {
        Some(phys) => {
            #[cfg(test)]
            live::change(1);
            // SAFETY: the allocator has just made this reference.
            Ok(unsafe { Frame::from_raw(phys) })
        }
        None => Err(Errno::ENOMEM),
    }
}

/// A frame full of zeros. `ENOMEM` when none is left.
#[inline]
pub fn alloc_zeroed() -> Result<Frame> {
    let frame = alloc_frame()?;
    super::hw::zero_page(frame.as_ptr());
    Ok(frame)
}

/// Whether only the heap's reserve is left, or the heap has begun to break that up.
pub fn is_scarce() -> bool {
    global().is_scarce()
}

/// Whether the heap has used half of its reserve: memory is to be got back at the next chance.
pub fn is_short() -> bool {
    global().is_short()
}

/// 2^order physically adjacent frames (order ≤ [`MAX_ORDER`]), contents undefined, aligned to their size, until [`free_order`]. For the
/// heap: takes from its reserve.
pub fn alloc_order(order: usize) -> Result<PhysAddr> {
    if order > MAX_ORDER {
        return Err(Errno::ENOMEM);
    }
    let phys = global().alloc_order(order).ok_or(Errno::ENOMEM)?;
    #[cfg(target_os = "none")]
    if is_short() {
        crate::process::oom::note_shortage();
    }
    #[cfg(test)]
    live::change(1 << order);
    Ok(phys)
}

/// Gives back what [`alloc_order`] gave.
///
/// # Safety
/// `phys` and `order` are those of an allocation that nobody uses any more.
pub unsafe fn free_order(phys: PhysAddr, order: usize) {
    #[cfg(test)]
    live::change(-(1 << order));
    if order == 0 {
        global().free(phys);
    } else {
        global().buddy.free(phys, order);
    }
}

/// Frames that are free, wherever they lie (never used, in buddy lists, in a core's cache, in empty slabs of the heap).
pub fn free_count() -> usize {
    global().free_count() + super::heap::idle_frames()
}

/// Frames that the allocator manages: all RAM less the image, firmware's reservations and its own tables.
pub fn total_count() -> usize {
    global().buddy.total_count()
}

/// Whether `phys` lies in RAM that the allocator has a counter for.
#[cfg(debug_assertions)]
pub fn is_managed(phys: PhysAddr) -> bool {
    global().buddy.contains(phys)
}

/// How many frames the running test holds: tests share the arena, so its own counters say nothing about one of them.
#[cfg(test)]
pub(super) mod live {
    use std::cell::Cell;

    std::thread_local! {
        static LIVE: Cell<isize> = const { Cell::new(0) };
    }
    pub fn change(by: isize) {
        // A frame may be dropped while the thread's own variables go.
        let _ = LIVE.try_with(|n| n.set(n.get() + by));
    }
    /// Frames allocated less frames freed by this thread.
    pub fn count() -> isize {
        LIVE.with(Cell::get)
    }
}

#[cfg(not(target_os = "none"))]
mod host {
    //! An arena of the host's memory, so that tests of every subsystem can use frames.

    use crate::base::PhysAddr;

    const ARENA: usize = 512 << 20;

    pub fn ensure() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            let layout = std::alloc::Layout::from_size_align(ARENA, 4 << 20).expect("constant");
            // SAFETY: the size is not zero. The arena is never freed, and untouched pages cost nothing.
            let base = unsafe { std::alloc::alloc(layout) } as usize;
            assert_ne!(base, 0, "no memory for the frame arena");
            let range = PhysAddr(base)..PhysAddr(base + ARENA);
            // SAFETY: first and only call; the arena is ours.
            unsafe { super::init(&[range], &[]) }
        });
    }
}
