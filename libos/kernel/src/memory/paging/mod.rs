//! Translation tables of the program half: 4 KiB granule, 39 bits, levels 1 to 3 (Arm ARM D8.3, "VMSAv8-64 descriptors").
//!
//! Pure logic: where tables come from and how they are reached is the trait [`Tables`], so that it runs on the host.
//! Only level 3 maps memory. An entry that is not zero but not valid either (`PROT_NONE`) still owns its frame.

mod entry;
#[cfg(test)]
mod tests;

pub use entry::{CONTIGUOUS, Entry, ProgramKind, attributes};

use crate::base::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Result};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// Entries of a table.
pub const ENTRIES: usize = 512;
/// Bytes that one level-3 table maps.
pub const LEAF_SPAN: usize = PAGE_SIZE * ENTRIES;

/// A place in a table. Plain loads, as writers hold the space's lock. The other reader is the table walker, of any core and at any
/// moment: whoever finds an entry finds what was put before into the page or table that it leads to.
#[repr(transparent)]
pub struct Slot(AtomicU64);

impl Slot {
    #[inline(always)]
    pub fn get(&self) -> Entry {
        Entry(self.0.load(Ordering::Relaxed))
    }
    #[inline(always)]
    pub fn set(&self, e: Entry) {
        self.0.store(e.0, Ordering::Release)
    }
}

/// Memory for tables.
pub trait Tables {
    /// A table full of zeros.
    fn alloc(&self) -> Result<PhysAddr>;
    /// A table with the entries of another.
    fn alloc_copy(&self, of: PhysAddr) -> Result<PhysAddr> {
        let table = self.alloc()?;
        // SAFETY: both tables are alive: `of` is the caller's, `table` is new.
        let (from, to) = unsafe { (&*self.view(of), &*self.view(table)) };
        for (slot, target) in from.iter().zip(to) {
            target.set(slot.get());
        }
        Ok(table)
    }
    /// Gives a table back.
    ///
    /// # Safety
    /// It came from `alloc` and no walker uses it any more.
    unsafe fn free(&self, table: PhysAddr);
    /// Where the kernel sees a table.
    fn view(&self, table: PhysAddr) -> *const [Slot; ENTRIES];
}

/// One translation tree.
pub struct PageTable<T: Tables> {
    memory: T,
    root: PhysAddr,
    /// Every table to be freed with the tree, root included. (Walking the tree to find them would cost more than all else.)
    owned: Vec<PhysAddr>,
}

const fn index(va: usize, level: usize) -> usize {
    va >> (PAGE_SHIFT + 9 * (3 - level)) & (ENTRIES - 1)
}

impl<T: Tables> PageTable<T> {
    pub fn new(memory: T) -> Result<Self> {
        let mut owned = Vec::new();
        owned
            .try_reserve_exact(8)
            .map_err(|_| crate::base::Errno::ENOMEM)?;
        let root = memory.alloc()?;
        owned.push(root);
        Ok(PageTable {
            memory,
            root,
            owned,
        })
    }

    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// Frames used for tables.
    pub fn table_count(&self) -> usize {
        self.owned.len()
    }

    #[inline(always)]
    fn view(&self, table: PhysAddr) -> &[Slot; ENTRIES] {
        // SAFETY: tables of the tree live as long as it does, borrowed ones for ever; slots are atomics.
        unsafe { &*self.memory.view(table) }
    }

    /// The level-2 entry for `va`, if there is a level-2 table.
    #[inline(always)]
    fn level2(&self, va: usize) -> Option<&Slot> {
        let e = self.view(self.root)[index(va, 1)].get();
        e.is_valid().then(|| &self.view(e.phys())[index(va, 2)])
    }

    fn new_table(&mut self, from: impl FnOnce(&T) -> Result<PhysAddr>) -> Result<PhysAddr> {
        self.owned
            .try_reserve(1)
            .map_err(|_| crate::base::Errno::ENOMEM)?;
        let t = from(&self.memory)?;
        self.owned.push(t);
        Ok(t)
    }

    #[cold]
    fn make_level2(&mut self, va: usize) -> Result<()> {
        let table = self.new_table(T::alloc)?;
        self.view(self.root)[index(va, 1)].set(Entry::table(table));
        Ok(())
    }

    /// The level-3 table that maps `va`, shared ones included.
    #[inline(always)]
    fn leaf_table(&self, va: usize) -> Option<(&[Slot; ENTRIES], bool)> {
        let e = self.level2(va)?.get();
        e.is_valid().then(|| (self.view(e.phys()), e.is_borrowed()))
    }

    /// What `va` is mapped to.
    pub fn lookup(&self, va: usize) -> Entry {
        self.leaf_table(va)
            .map_or(Entry::NONE, |(t, _)| t[index(va, 3)].get())
    }

    /// The place for `va`, if its table is there and ours.
    #[inline(always)]
    pub fn slot(&self, va: usize) -> Option<&Slot> {
        self.leaf_table(va)
            .filter(|(_, borrowed)| !borrowed)
            .map(|(t, _)| &t[index(va, 3)])
    }

    /// The place for `va`; makes the tables on the way. `va` must not lie in a borrowed table.
    #[inline]
    pub fn slot_or_make(&mut self, va: usize) -> Result<&Slot> {
        Ok(&self.leaf_or_make(va)?[index(va, 3)])
    }

    /// The whole table that maps `va`.
    pub fn leaf_or_make(&mut self, va: usize) -> Result<&[Slot; ENTRIES]> {
        let table = match self.level2(va).map(Slot::get) {
            Some(e) if e.is_valid() => {
                debug_assert!(!e.is_borrowed(), "{va:#x} lies in a shared table");
                e.phys()
            }
            other => {
                if other.is_none() {
                    self.make_level2(va)?;
                }
                let table = self.new_table(T::alloc)?;
                if let Some(slot) = self.level2(va) {
                    slot.set(Entry::table(table));
                }
                table
            }
        };
        Ok(self.view(table))
    }

    /// Hangs level-3 tables that everybody shares under the 2 MiB at each address.
    pub fn borrow_leaves(&mut self, mut leaves: &[(usize, PhysAddr)]) -> Result<()> {
        while let Some(&(va, _)) = leaves.first() {
            if self.level2(va).is_none() {
                self.make_level2(va)?;
            }
            let together = leaves
                .iter()
                .take_while(|(at, _)| index(*at, 1) == index(va, 1))
                .count();
            let (here, rest) = leaves.split_at(together);
            let level2 = self.view(self.view(self.root)[index(va, 1)].get().phys());
            for &(at, table) in here {
                level2[index(at, 2)].set(Entry::borrowed_table(table));
            }
            leaves = rest;
        }
        Ok(())
    }

    /// Makes the level-3 table for `va`, where there is none yet, with the entries of `template`.
    pub fn copy_leaf(&mut self, va: usize, template: PhysAddr) -> Result<()> {
        if self.level2(va).is_none() {
            self.make_level2(va)?;
        }
        let table = self.new_table(|memory| memory.alloc_copy(template))?;
        if let Some(slot) = self.level2(va) {
            debug_assert!(slot.get().is_none());
            slot.set(Entry::table(table));
        }
        Ok(())
    }

    /// The first page from `va` on, and below `end`, whose slot in a table of our own holds something.
    pub fn next_used(&self, mut va: usize, end: usize) -> Option<usize> {
        while va < end {
            let span = match self.level2(va) {
                // Nothing in this gigabyte.
                None => LEAF_SPAN * ENTRIES,
                Some(_) => LEAF_SPAN,
            };
            let next = end.min((va | (span - 1)) + 1);
            if let Some((table, false)) = self.leaf_table(va) {
                let first = index(va, 3);
                let slots = &table[first..first + ((next - va) >> PAGE_SHIFT)];
                if let Some(n) = slots.iter().position(|slot| !slot.get().is_none()) {
                    return Some(va + n * PAGE_SIZE);
                }
            }
            va = next;
        }
        None
    }

    /// Calls `f(address of the first slot, slots)` for the part of each own level-3 table inside `start..end`.
    #[inline]
    pub fn for_each_leaf(&self, start: usize, end: usize, mut f: impl FnMut(usize, &[Slot])) {
        let mut va = start;
        while va < end {
            let Some(level2) = self.level2(va) else {
                // Nothing in this gigabyte.
                va = (va | (LEAF_SPAN * ENTRIES - 1)) + 1;
                continue;
            };
            let next = end.min((va | (LEAF_SPAN - 1)) + 1);
            let e = level2.get();
            if e.is_valid() && !e.is_borrowed() {
                let first = index(va, 3);
                let count = (next - va) >> PAGE_SHIFT;
                f(va, &self.view(e.phys())[first..first + count]);
            }
            va = next;
        }
    }
}

impl<T: Tables> Drop for PageTable<T> {
    fn drop(&mut self) {
        for &t in &self.owned {
            // SAFETY: the tree is not active on any core when its owner drops it.
            unsafe { self.memory.free(t) }
        }
    }
}

/// Tables in frames of the machine's allocator.
pub struct FrameTables;

impl Tables for FrameTables {
    #[inline]
    fn alloc(&self) -> Result<PhysAddr> {
        Ok(super::frames::alloc_zeroed()?.into_raw())
    }
    #[inline]
    fn alloc_copy(&self, of: PhysAddr) -> Result<PhysAddr> {
        let table = super::frames::alloc_frame()?;
        super::hw::copy_page(table.as_ptr(), super::phys_to_virt(of));
        Ok(table.into_raw())
    }
    #[inline]
    unsafe fn free(&self, table: PhysAddr) {
        // SAFETY: `alloc` gave up its reference to us.
        drop(unsafe { super::Frame::from_raw(table) });
    }
    #[inline(always)]
    fn view(&self, table: PhysAddr) -> *const [Slot; ENTRIES] {
        super::phys_to_virt(table).cast()
    }
}
