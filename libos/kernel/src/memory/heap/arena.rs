//! Odd sizes: first-fit lists (`linked_list_allocator`) in arenas of 256 KiB, and in the kernel's bss while boot is young.

use super::slab::Usage;
use crate::base::{PAGE_SIZE, SpinLock};
use crate::memory::frames;
use crate::memory::{phys_to_virt, virt_to_phys};
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap;

/// 64 frames.
const ORDER: usize = 6;
const SIZE: usize = PAGE_SIZE << ORDER;
/// Largest request that an arena serves.
pub const LARGEST: usize = 64 << 10;

/// At the start of each arena; arenas are aligned to their size, so masking an address finds it.
struct Arena {
    next: *mut Arena,
    heap: Heap,
}

const HEADER: usize = 64;
const _: () = assert!(size_of::<Arena>() <= HEADER);

struct List(*mut Arena);
// SAFETY: arenas are reached under the list's lock only.
unsafe impl Send for List {}

/// All arenas. Leaf lock but for the frame allocator's. An arena that becomes empty goes back at once.
pub struct Arenas {
    list: SpinLock<List>,
}

impl Arenas {
    pub const fn new() -> Self {
        Arenas {
            list: SpinLock::new(List(null_mut())),
        }
    }

    pub fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut list = self.list.lock();
        let mut at = list.0;
        while !at.is_null() {
            // SAFETY: the list holds live arenas and is locked.
            let arena = unsafe { &mut *at };
            if let Ok(p) = arena.heap.allocate_first_fit(layout) {
                return p.as_ptr();
            }
            at = arena.next;
        }
        let Ok(phys) = frames::alloc_order(ORDER) else {
            return null_mut();
        };
        let base = phys_to_virt(phys);
        // SAFETY: the block is ours; the header takes its first bytes, the heap the rest, for as long as the block lives.
        unsafe {
            let arena = base.cast::<Arena>();
            arena.write(Arena {
                next: list.0,
                heap: Heap::new(base.add(HEADER), SIZE - HEADER),
            });
            list.0 = arena;
            (*arena)
                .heap
                .allocate_first_fit(layout)
                .map_or(null_mut(), NonNull::as_ptr)
        }
    }

    /// All arenas as if they were one class of single bytes.
    pub fn usage(&self) -> Usage {
        let list = self.list.lock();
        let (mut arenas, mut used) = (0, 0);
        let mut at = list.0;
        while !at.is_null() {
            // SAFETY: the list holds live arenas and is locked.
            let arena = unsafe { &*at };
            arenas += 1;
            used += arena.heap.used();
            at = arena.next;
        }
        Usage {
            size: 1,
            live: used,
            per_slab: SIZE - HEADER,
            frames: 1 << ORDER,
            slabs: arenas,
            empty: 0,
        }
    }

    /// # Safety
    /// `p` came from `alloc` with this layout and is no longer used.
    pub unsafe fn free(&self, p: *mut u8, layout: Layout) {
        let arena = (p as usize & !(SIZE - 1)) as *mut Arena;
        let mut list = self.list.lock();
        // SAFETY: the header is at the masked address; the list is locked; `p` is not null.
        unsafe {
            (*arena).heap.deallocate(NonNull::new_unchecked(p), layout);
            if (*arena).heap.used() > 0 {
                return;
            }
            let mut link = &raw mut list.0;
            while *link != arena {
                link = &raw mut (**link).next;
            }
            *link = (*arena).next;
        }
        drop(list);
        // SAFETY: nothing in the arena is in use and the list has forgotten it.
        unsafe { frames::free_order(virt_to_phys(arena.cast()), ORDER) }
    }
}

const EARLY_SIZE: usize = if cfg!(target_os = "none") {
    64 << 10
} else {
    4096
};

#[repr(align(64))]
struct Memory(UnsafeCell<[u8; EARLY_SIZE]>);
// SAFETY: the bytes are reached through the early heap, under its lock.
unsafe impl Sync for Memory {}

/// In the kernel's bss: serves until the frame allocator does, then is the last reserve.
static MEMORY: Memory = Memory(UnsafeCell::new([0; EARLY_SIZE]));

pub struct Early {
    heap: SpinLock<Option<Heap>>,
}

impl Early {
    pub const fn new() -> Self {
        Early {
            heap: SpinLock::new(None),
        }
    }

    /// Whether `p` is early memory.
    #[inline(always)]
    pub fn holds(&self, p: *mut u8) -> bool {
        (p as usize).wrapping_sub(MEMORY.0.get() as usize) < EARLY_SIZE
    }

    #[cold]
    pub fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.heap.lock();
        let heap = heap.get_or_insert_with(|| {
            // SAFETY: the static is used by this heap alone, which is made once.
            unsafe { Heap::new(MEMORY.0.get().cast(), EARLY_SIZE) }
        });
        heap.allocate_first_fit(layout)
            .map_or(null_mut(), NonNull::as_ptr)
    }

    /// # Safety
    /// `p` came from `alloc` with this layout and is no longer used.
    #[cold]
    pub unsafe fn free(&self, p: *mut u8, layout: Layout) {
        if let Some(heap) = self.heap.lock().as_mut() {
            // SAFETY: the caller's promise; `p` is not null.
            unsafe { heap.deallocate(NonNull::new_unchecked(p), layout) }
        }
    }
}
