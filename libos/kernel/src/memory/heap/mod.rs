//! The kernel heap: size classes up to 2 KiB, whole frames for what fits them well, `linked_list_allocator` for the rest.
//!
//! | bytes            | from                                                                                  |
//! |------------------|---------------------------------------------------------------------------------------|
//! | up to 2048       | slabs of one size class ([`slab`])                                                      |
//! | to 64 KiB, when a power-of-two block would waste more than a quarter | arenas of 256 KiB ([`arena`])     |
//! | to 4 MiB         | blocks of the frame allocator                                                         |
//! | before the frame allocator is there, and when it is empty | 64 KiB in the kernel's bss ([`arena::Early`]) |
//!
//! Out of memory is a null pointer. Nothing is kept back but one empty slab per class, and [`idle_frames`] counts those as free.

mod arena;
mod slab;
#[cfg(test)]
mod tests;

use super::frames;
use super::{phys_to_virt, virt_to_phys};
use crate::base::PAGE_SIZE;
use arena::{Arenas, Early};
use core::alloc::{GlobalAlloc, Layout};
use slab::Slabs;
pub use slab::Usage;

/// The allocator behind `alloc::` in the kernel.
pub struct KernelHeap {
    slabs: Slabs,
    arenas: Arenas,
    early: Early,
}

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: KernelHeap = KernelHeap::new();

/// Frames that the heap keeps but would give back.
pub fn idle_frames() -> usize {
    HEAP.slabs.idle_frames()
}

/// What the size classes hold, and after them the arenas, counted in bytes.
pub fn usage() -> [Usage; slab::CLASSES + 1] {
    core::array::from_fn(|class| {
        if class < slab::CLASSES {
            HEAP.slabs.usage(class)
        } else {
            HEAP.arenas.usage()
        }
    })
}

/// Where a request is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Slab(usize),
    Arena,
    /// 2^n frames.
    Frames(usize),
    Nowhere,
}

fn place_large(size: usize, align: usize) -> Place {
    let pages = size.max(align).div_ceil(PAGE_SIZE);
    let order = pages.next_power_of_two().ilog2() as usize;
    if order > frames::MAX_ORDER {
        return Place::Nowhere;
    }
    let block = PAGE_SIZE << order;
    if align <= PAGE_SIZE && size <= arena::LARGEST && block - size > block / 4 {
        Place::Arena
    } else {
        Place::Frames(order)
    }
}

#[inline(always)]
fn place(layout: &Layout) -> Place {
    match slab::class_for(layout.size(), layout.align()) {
        Some(class) => Place::Slab(class),
        None => place_large(layout.size(), layout.align()),
    }
}

impl KernelHeap {
    const fn new() -> Self {
        KernelHeap {
            slabs: Slabs::new(),
            arenas: Arenas::new(),
            early: Early::new(),
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_any(&self, layout: Layout) -> *mut u8 {
        let p = match place(&layout) {
            Place::Slab(class) => self.slabs.alloc(class),
            Place::Arena => self.arenas.alloc(layout),
            Place::Frames(order) => {
                frames::alloc_order(order).map_or(core::ptr::null_mut(), phys_to_virt)
            }
            Place::Nowhere => core::ptr::null_mut(),
        };
        if p.is_null() {
            self.early.alloc(layout)
        } else {
            p
        }
    }

    /// # Safety
    /// `p` was allocated here with this layout and is no longer used.
    #[cold]
    #[inline(never)]
    unsafe fn free_any(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; the address and the layout say where it came from.
        unsafe {
            if self.early.holds(p) {
                return self.early.free(p, layout);
            }
            match place(&layout) {
                Place::Slab(class) => self.slabs.free(class, p),
                Place::Arena => self.arenas.free(p, layout),
                Place::Frames(order) => frames::free_order(virt_to_phys(p), order),
                Place::Nowhere => unreachable!("freed what is never allocated"),
            }
        }
    }
}

// SAFETY: every path returns memory of at least the layout's size and alignment that nobody else has, or null, and
// frees it by the same rule that chose the path.
unsafe impl GlobalAlloc for KernelHeap {
    // Not in each of its callers: the kernel would be an eighth larger.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = slab::class_for(layout.size(), layout.align()) {
            let p = self.slabs.alloc_quick(class);
            if !p.is_null() {
                return p;
            }
        }
        self.alloc_any(layout)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise that `p` was allocated here with this layout, which decides where.
        unsafe {
            if !self.early.holds(p)
                && let Some(class) = slab::class_for(layout.size(), layout.align())
                && self.slabs.free_quick(class, p)
            {
                return;
            }
            self.free_any(p, layout);
        }
    }

    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise that `new_size` makes a valid layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let (from, to) = (place(&layout), place(&new));
        // Same slab slot or block: nothing moves. (An arena knows the exact size, so there it would lie.)
        if from == to && from != Place::Arena && !self.early.holds(p) {
            return p;
        }
        // SAFETY: the caller's promise about `p`; source and target do not overlap.
        unsafe {
            let q = self.alloc(new);
            if !q.is_null() {
                core::ptr::copy_nonoverlapping(p, q, layout.size().min(new_size));
                self.dealloc(p, layout);
            }
            q
        }
    }
}
