//! The buddy lists, the zones of RAM and the per-frame metadata.
//!
//! RAM is cut into zones of whole 4 MiB blocks; ranges that lie close together share a zone, and what is missing between them
//! or is reserved is a *hole*. A zone's metadata (8 bytes a frame) is one array. Blocks above the zone's watermark have
//! never been used and their metadata is garbage; raising the watermark zeroes one block's and puts its frames on the lists.

use super::spans::{Spans, find_room};
use crate::base::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, SpinLock};
use crate::memory::linear::phys_to_virt;
use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Largest block: 2^10 frames, 4 MiB.
pub const MAX_ORDER: usize = 10;
const BLOCK: usize = PAGE_SIZE << MAX_ORDER;
const BLOCK_FRAMES: usize = 1 << MAX_ORDER;
/// Blocks from here on are kept whole for the heap when memory is short: it takes no larger ones for what has no way to fail.
pub const WHOLE_ORDER: usize = 6;

const MAX_ZONES: usize = 8;
const MAX_HOLES: usize = 96;
/// Ranges closer than this share a zone: the metadata of the gap (1/512 of it) is cheaper than another zone to search.
const MERGE_GAP: usize = 128 << 20;

/// What is known of one frame.
#[repr(C)]
struct Meta {
    /// References; 0 when free.
    refs: AtomicU32,
    /// [`FREE`] + order in the first frame of a free block, else 0. Changed under the lists' lock only.
    state: AtomicU32,
}

const FREE: u32 = 0x100;

#[derive(Clone, Copy)]
struct Zone {
    start: usize,
    size: usize,
    meta: *mut Meta,
}

const NO_ZONE: Zone = Zone {
    start: 0,
    size: 0,
    meta: core::ptr::null_mut(),
};

pub struct Buddy {
    /// Written by `init` only, read without a lock ever after.
    zones: UnsafeCell<[Zone; MAX_ZONES]>,
    total: AtomicUsize,
    /// Leaf lock; interrupt handlers do not take it.
    lists: SpinLock<Lists>,
}

// SAFETY: `zones` is written once, before anybody reads it (contract of `init`); the metadata is atomics.
unsafe impl Sync for Buddy {}
// SAFETY: as above; the pointers are to memory that lives for ever.
unsafe impl Send for Buddy {}

struct Lists {
    /// First free block by order; 0 is none. The links are kept in the free frames themselves.
    heads: [usize; MAX_ORDER + 1],
    /// Bit n: `heads[n]` is not empty.
    orders: u32,
    /// Next block of each zone that was never used.
    fresh: [usize; MAX_ZONES],
    /// Free frames, on the lists or never used.
    free: usize,
    /// Those of them that were never used.
    unused: usize,
    /// Those on the lists from [`WHOLE_ORDER`] on.
    whole: usize,
    /// Page ranges inside zones that are not ours, sorted.
    holes: [(usize, usize); MAX_HOLES],
    hole_count: usize,
}

/// Kept at the start of a free block.
#[repr(C)]
struct Links {
    next: usize,
    prev: usize,
}

fn links(block: usize) -> *mut Links {
    phys_to_virt(PhysAddr(block)).cast()
}

impl Buddy {
    pub const fn new() -> Self {
        Buddy {
            zones: UnsafeCell::new([NO_ZONE; MAX_ZONES]),
            total: AtomicUsize::new(0),
            lists: SpinLock::new(Lists {
                heads: [0; MAX_ORDER + 1],
                orders: 0,
                fresh: [0; MAX_ZONES],
                free: 0,
                unused: 0,
                whole: 0,
                holes: [(0, 0); MAX_HOLES],
                hole_count: 0,
            }),
        }
    }

    #[inline(always)]
    fn zones(&self) -> &[Zone; MAX_ZONES] {
        // SAFETY: not written after `init`.
        unsafe { &*self.zones.get() }
    }

    /// # Safety
    /// As [`super::init`].
    pub unsafe fn init(&self, ranges: &[Range<PhysAddr>], reserved: &[Range<PhysAddr>]) {
        let mut lists = self.lists.lock();
        let mut ram = Spans::<32>::new();
        for r in ranges {
            ram.add(
                r.start.0.next_multiple_of(PAGE_SIZE),
                r.end.0 & !(PAGE_SIZE - 1),
            );
        }
        let mut taken = Spans::<MAX_HOLES>::new();
        // A frame's address is never zero.
        taken.add(0, PAGE_SIZE);
        for r in reserved {
            taken.add(
                r.start.0 & !(PAGE_SIZE - 1),
                r.end.0.next_multiple_of(PAGE_SIZE),
            );
        }

        // Zones: runs of ranges with small gaps.
        let mut zones = [NO_ZONE; MAX_ZONES];
        let mut count = 0;
        for &(start, end) in ram.iter() {
            let (start, end) = (start & !(BLOCK - 1), end.next_multiple_of(BLOCK));
            if count > 0 {
                let last = &mut zones[count - 1];
                let last_end = last.start + last.size;
                if start < last_end + MERGE_GAP {
                    last.size = end.max(last_end) - last.start;
                    continue;
                }
            }
            if count < MAX_ZONES {
                zones[count] = Zone {
                    start,
                    size: end - start,
                    meta: core::ptr::null_mut(),
                };
                count += 1;
            }
        }

        // Metadata: at the highest place in RAM that is free. A zone without room for its own is given up.
        let mut kept = 0;
        for i in 0..count {
            let mut zone = zones[i];
            let bytes = (zone.size / PAGE_SIZE * size_of::<Meta>()).next_multiple_of(PAGE_SIZE);
            let Some(at) = find_room(&ram, &taken, bytes) else {
                continue;
            };
            taken.add(at, at + bytes);
            zone.meta = phys_to_virt(PhysAddr(at)).cast();
            zones[kept] = zone;
            kept += 1;
        }
        zones[kept..].fill(NO_ZONE);

        // Holes: what in a zone is no RAM, or taken.
        let mut holes = taken;
        for zone in &zones[..kept] {
            let mut at = zone.start;
            for &(start, end) in ram.iter() {
                if end <= zone.start || start >= zone.start + zone.size {
                    continue;
                }
                holes.add(at, start);
                at = end;
            }
            holes.add(at, zone.start + zone.size);
        }
        let mut total = 0;
        for (i, zone) in zones[..kept].iter().enumerate() {
            lists.fresh[i] = zone.start;
            let zone_end = zone.start + zone.size;
            let lost: usize = holes
                .iter()
                .map(|&(s, e)| e.min(zone_end).saturating_sub(s.max(zone.start)))
                .sum();
            total += (zone.size - lost) / PAGE_SIZE;
        }
        lists.holes[..holes.as_slice().len()].copy_from_slice(holes.as_slice());
        lists.hole_count = holes.as_slice().len();
        lists.free = total;
        lists.unused = total;
        self.total.store(total, Ordering::Relaxed);
        // SAFETY: nobody reads the zones before `init` has returned (its contract).
        unsafe { *self.zones.get() = zones };
    }

    #[inline(always)]
    fn meta(&self, phys: usize) -> &Meta {
        // Most machines have one zone.
        let zone = &self.zones()[0];
        let offset = phys.wrapping_sub(zone.start);
        if offset >= zone.size {
            return self.meta_elsewhere(phys);
        }
        // SAFETY: the array has one entry per frame of the zone and is never freed.
        unsafe { &*zone.meta.add(offset >> PAGE_SHIFT) }
    }

    #[cold]
    #[inline(never)]
    fn meta_elsewhere(&self, phys: usize) -> &Meta {
        for zone in &self.zones()[1..] {
            let offset = phys.wrapping_sub(zone.start);
            if offset < zone.size {
                // SAFETY: as in `meta`.
                return unsafe { &*zone.meta.add(offset >> PAGE_SHIFT) };
            }
        }
        panic!("{phys:#x} is no frame of the allocator")
    }

    /// The reference counter of a frame that has been handed out.
    #[inline(always)]
    pub fn refs(&self, phys: PhysAddr) -> &AtomicU32 {
        &self.meta(phys.0).refs
    }

    #[cfg(debug_assertions)]
    pub fn contains(&self, phys: PhysAddr) -> bool {
        self.zones()
            .iter()
            .any(|z| phys.0.wrapping_sub(z.start) < z.size)
    }

    pub fn total_count(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    pub fn free_count(&self) -> usize {
        self.lists.lock().free
    }

    /// Free frames, and those of them that lie in blocks of at least [`WHOLE_ORDER`].
    pub fn free_and_whole(&self) -> (usize, usize) {
        let lists = self.lists.lock();
        (lists.free, lists.whole + lists.unused)
    }

    pub fn alloc(&self, order: usize) -> Option<PhysAddr> {
        let mut lists = self.lists.lock();
        self.alloc_locked(&mut lists, order).map(PhysAddr)
    }

    /// Fills `out` with single frames as far as memory goes but for a `reserve`; returns how many. The smallest pieces go first: what
    /// stays, of the reserve too, is in the largest blocks there are.
    pub fn alloc_batch(&self, out: &mut [PhysAddr], reserve: usize) -> usize {
        let mut lists = self.lists.lock();
        let len = out.len().min(lists.free.saturating_sub(reserve));
        let mut n = 0;
        while n < len {
            let Some(have) = self.dispensable(&mut lists, reserve) else {
                break;
            };
            let order = have.min((len - n).ilog2() as usize);
            let Some(block) = self.alloc_locked(&mut lists, order) else {
                break;
            };
            // Highest first: the stack hands them out in rising order.
            for i in (0..1 << order).rev() {
                out[n] = PhysAddr(block + (i << PAGE_SHIFT));
                n += 1;
            }
        }
        n
    }

    /// The order of the smallest free block, if it may be broken up: who takes single frames can see to it that those between them come
    /// back without ever making a large block again.
    fn dispensable(&self, lists: &mut Lists, reserve: usize) -> Option<usize> {
        loop {
            match lists.smallest(0) {
                Some(order) if order < WHOLE_ORDER || lists.whole > reserve => return Some(order),
                _ if self.raise(lists) => {}
                _ => return None,
            }
        }
    }

    pub fn free(&self, phys: PhysAddr, order: usize) {
        let mut lists = self.lists.lock();
        lists.free += 1 << order;
        self.insert(&mut lists, phys.0, order);
    }

    pub fn free_batch(&self, frames: &[PhysAddr]) {
        let mut lists = self.lists.lock();
        lists.free += frames.len();
        for f in frames {
            self.insert(&mut lists, f.0, 0);
        }
    }

    fn alloc_locked(&self, lists: &mut Lists, order: usize) -> Option<usize> {
        let mut have = match lists.smallest(order) {
            Some(o) => o,
            None => {
                // Raise the watermark. Blocks with holes may not hold a large enough piece: go on.
                loop {
                    if !self.raise(lists) {
                        return None;
                    }
                    if let Some(o) = lists.smallest(order) {
                        break o;
                    }
                }
            }
        };
        let block = lists.heads[have];
        self.unlink(lists, block, have);
        while have > order {
            have -= 1;
            self.link(lists, block + (PAGE_SIZE << have), have);
        }
        lists.free -= 1 << order;
        Some(block)
    }

    /// Frees a block and joins it with its buddies.
    fn insert(&self, lists: &mut Lists, mut block: usize, mut order: usize) {
        debug_assert_eq!(
            self.meta(block).state.load(Ordering::Relaxed),
            0,
            "free of a free block {block:#x}"
        );
        while order < MAX_ORDER {
            let buddy = block ^ (PAGE_SIZE << order);
            if self.meta(buddy).state.load(Ordering::Relaxed) != FREE | order as u32 {
                break;
            }
            self.unlink(lists, buddy, order);
            block &= buddy;
            order += 1;
        }
        self.link(lists, block, order);
    }

    fn link(&self, lists: &mut Lists, block: usize, order: usize) {
        let head = lists.heads[order];
        // SAFETY: free blocks are RAM that only the lists use.
        unsafe {
            links(block).write(Links {
                next: head,
                prev: 0,
            });
            if head != 0 {
                (*links(head)).prev = block;
            }
        }
        lists.heads[order] = block;
        lists.orders |= 1 << order;
        if order >= WHOLE_ORDER {
            lists.whole += 1 << order;
        }
        self.meta(block)
            .state
            .store(FREE | order as u32, Ordering::Relaxed);
    }

    fn unlink(&self, lists: &mut Lists, block: usize, order: usize) {
        self.meta(block).state.store(0, Ordering::Relaxed);
        if order >= WHOLE_ORDER {
            lists.whole -= 1 << order;
        }
        // SAFETY: `block` is on the list, so its links are ours to read and its neighbours are free blocks.
        let Links { next, prev } = unsafe { links(block).read() };
        if prev == 0 {
            lists.heads[order] = next;
            if next == 0 {
                lists.orders &= !(1 << order);
            }
        } else {
            // SAFETY: as above.
            unsafe { (*links(prev)).next = next };
        }
        if next != 0 {
            // SAFETY: as above.
            unsafe { (*links(next)).prev = prev };
        }
    }

    /// Puts one block that was never used on the lists; false when there is none left.
    fn raise(&self, lists: &mut Lists) -> bool {
        for (i, zone) in self.zones().iter().enumerate() {
            let block = lists.fresh[i];
            if zone.size == 0 || block - zone.start >= zone.size {
                continue;
            }
            lists.fresh[i] = block + BLOCK;
            // SAFETY: the block lies in the zone, whose metadata has an entry per frame; nobody uses these yet.
            unsafe {
                let first = zone.meta.add((block - zone.start) >> PAGE_SHIFT);
                core::ptr::write_bytes(first, 0, BLOCK_FRAMES);
            }
            let (mut at, end) = (block, block + BLOCK);
            for h in 0..lists.hole_count {
                let (hole_start, hole_end) = lists.holes[h];
                if hole_end <= at || hole_start >= end {
                    continue;
                }
                self.insert_run(lists, at, hole_start);
                at = hole_end;
            }
            self.insert_run(lists, at, end);
            return true;
        }
        false
    }

    /// Puts `at..end` (within one block) on the lists in the largest aligned pieces.
    fn insert_run(&self, lists: &mut Lists, mut at: usize, end: usize) {
        while at < end {
            let by_align = (at >> PAGE_SHIFT).trailing_zeros() as usize;
            let by_size = ((end - at) >> PAGE_SHIFT).ilog2() as usize;
            let order = by_align.min(by_size).min(MAX_ORDER);
            self.link(lists, at, order);
            lists.unused -= 1 << order;
            at += PAGE_SIZE << order;
        }
    }
}

impl Lists {
    /// The smallest order of at least `order` that has a block.
    #[inline]
    fn smallest(&self, order: usize) -> Option<usize> {
        let fit = self.orders >> order << order;
        (fit != 0).then(|| fit.trailing_zeros() as usize)
    }
}
