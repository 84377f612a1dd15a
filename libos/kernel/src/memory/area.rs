//! Areas: the stretches of an address space that mean something, and the sorted list of them.

use super::source::PageSource;
use crate::base::{Errno, PAGE_SHIFT, PhysAddr, Result};
use alloc::collections::{VecDeque, vec_deque};
use alloc::sync::Arc;
use core::ops::Range;

bitflags::bitflags! {
    /// What a program may do with its memory. The bits are those of mmap(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Protection: u8 {
        const READ = 1;
        const WRITE = 2;
        const EXEC = 4;
    }

    /// What else there is to say about an area.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct AreaFlags: u8 {
        /// Grows down into the gap below it.
        const GROWS_DOWN = 1;
        /// The program break's area.
        const HEAP = 2;
        /// Counted as committed memory.
        const COMMITTED = 4;
        /// Not in the child after fork (`MADV_DONTFORK`).
        const DONT_FORK = 8;
        /// Zero in the child after fork (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 16;
        /// A shared mapping of a file that is not open for writing.
        const NEVER_WRITE = 32;
        /// The main thread's stack.
        const STACK = 64;
        /// Never to be counted as committed memory (`MAP_NORESERVE`).
        const NO_RESERVE = 128;
    }
}

/// Where an area's pages come from.
#[derive(Clone)]
pub enum Backing {
    /// Zeros; private.
    Anonymous,
    /// Frames of the image, copied when written; private. The address is that of the area's first page.
    Pristine(PhysAddr),
    /// Program text and constants: tables shared by all linked processes. Never changed, unmapped or faulted in.
    Image,
    /// A file or shared memory object; the offset (bytes) is that of the area's first page.
    File {
        source: Arc<dyn PageSource>,
        offset: u64,
    },
}

/// One stretch of address space, whole pages.
#[derive(Clone)]
pub struct Area {
    pub start: usize,
    pub end: usize,
    pub backing: Backing,
    pub protection: Protection,
    pub flags: AreaFlags,
    /// Writes are seen by everybody who maps the same thing.
    pub shared: bool,
}

impl Area {
    pub fn pages(&self) -> usize {
        (self.end - self.start) >> PAGE_SHIFT
    }

    pub fn is_image(&self) -> bool {
        matches!(self.backing, Backing::Image)
    }

    /// Whether it would have to be counted as committed memory, which it is not yet, with such rights.
    pub fn would_commit(&self, protection: Protection) -> bool {
        let settled = AreaFlags::COMMITTED | AreaFlags::NO_RESERVE;
        protection.contains(Protection::WRITE) && !self.shared && !self.flags.intersects(settled)
    }

    /// The part from `at` on becomes an area of its own.
    fn split_off(&mut self, at: usize) -> Area {
        let mut upper = self.clone();
        let skipped = at - self.start;
        match &mut upper.backing {
            Backing::Pristine(phys) => *phys = phys.add(skipped),
            Backing::File { offset, .. } => *offset += skipped as u64,
            Backing::Anonymous | Backing::Image => {}
        }
        upper.start = at;
        self.end = at;
        upper
    }

    /// Whether `next` continues this area in every respect.
    fn continues(&self, next: &Area) -> bool {
        if self.end != next.start
            || self.protection != next.protection
            || self.flags != next.flags
            || self.shared != next.shared
            || self.flags.contains(AreaFlags::GROWS_DOWN)
        {
            return false;
        }
        match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (
                Backing::File {
                    source: a,
                    offset: x,
                },
                Backing::File {
                    source: b,
                    offset: y,
                },
            ) => Arc::ptr_eq(a, b) && x + (self.end - self.start) as u64 == *y,
            _ => false,
        }
    }
}

/// Areas a space may have (Linux's default `vm.max_map_count`).
const MAX_AREAS: usize = 65530;

/// The areas of a space: sorted, disjoint. A ring, as threads come at the high end and often go from the low one: what is put in or
/// taken out moves the shorter side.
#[derive(Default)]
pub struct Areas {
    list: VecDeque<Area>,
    /// Where the last lookup ended; faults come in clusters.
    last: usize,
}

impl Areas {
    pub fn with_capacity(n: usize) -> Result<Self> {
        let mut list = VecDeque::new();
        list.try_reserve_exact(n).map_err(|_| Errno::ENOMEM)?;
        Ok(Areas { list, last: 0 })
    }

    pub fn iter(&self) -> vec_deque::Iter<'_, Area> {
        self.list.iter()
    }
    pub fn count(&self) -> usize {
        self.list.len()
    }
    #[inline(always)]
    pub fn get(&self, i: usize) -> &Area {
        &self.list[i]
    }
    pub fn get_mut(&mut self, i: usize) -> &mut Area {
        &mut self.list[i]
    }

    /// Index of the first area that ends after `addr`.
    fn first_after(&self, addr: usize) -> usize {
        self.list.partition_point(|a| a.end <= addr)
    }

    /// The area that holds `addr`.
    #[inline]
    pub fn find(&mut self, addr: usize) -> Option<usize> {
        if let Some(a) = self.list.get(self.last)
            && a.start <= addr
            && addr < a.end
        {
            return Some(self.last);
        }
        let i = self.first_after(addr);
        self.list.get(i).filter(|a| a.start <= addr)?;
        self.last = i;
        Some(i)
    }

    /// The first area that begins above `addr`, when `addr` is in none.
    pub fn next_above(&self, addr: usize) -> Option<usize> {
        let i = self.first_after(addr);
        (i < self.list.len()).then_some(i)
    }

    /// Indices of the areas that overlap `start..end`.
    pub fn overlapping(&self, start: usize, end: usize) -> Range<usize> {
        let first = self.first_after(start);
        let count = self
            .list
            .range(first..)
            .take_while(|a| a.start < end)
            .count();
        first..first + count
    }

    /// Whether every page of `start..end` is in some area.
    pub fn cover(&self, start: usize, end: usize) -> bool {
        let mut at = start;
        for a in self.list.range(self.overlapping(start, end)) {
            if a.start > at {
                return false;
            }
            at = a.end;
        }
        at >= end
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        if self.list.len() + more > MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        self.list.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    /// Adds an area where there is none, joined with its neighbours if they are alike.
    pub fn insert(&mut self, area: Area) -> Result<()> {
        let i = self.first_after(area.start);
        debug_assert!(self.list.get(i).is_none_or(|next| next.start >= area.end));
        if i > 0 && self.list[i - 1].continues(&area) {
            self.list[i - 1].end = area.end;
            self.join(i - 1);
            return Ok(());
        }
        if let Some(next) = self.list.get_mut(i)
            && area.continues(next)
        {
            next.start = area.start;
            next.backing = area.backing;
            return Ok(());
        }
        self.reserve(1)?;
        self.list.insert(i, area);
        Ok(())
    }

    /// Adds an area above all others.
    pub fn push(&mut self, area: Area) {
        debug_assert!(self.list.back().is_none_or(|last| last.end <= area.start));
        self.list.push_back(area);
    }

    /// Joins area `i` with its successor if they are alike.
    fn join(&mut self, i: usize) {
        if i + 1 < self.list.len() && self.list[i].continues(&self.list[i + 1]) {
            self.list[i].end = self.list[i + 1].end;
            self.list.remove(i + 1);
        }
    }

    /// Joins what is alike in and around `range`.
    pub fn join_around(&mut self, range: Range<usize>) {
        for i in (range.start.saturating_sub(1)..range.end.min(self.list.len())).rev() {
            self.join(i);
        }
    }

    /// Cuts areas so that `start..end` is made of whole ones; returns their indices. All or nothing.
    pub fn isolate(&mut self, start: usize, end: usize) -> Result<Range<usize>> {
        self.reserve(2)?;
        for at in [start, end] {
            let i = self.first_after(at);
            if let Some(a) = self.list.get_mut(i)
                && a.start < at
            {
                let upper = a.split_off(at);
                self.list.insert(i + 1, upper);
            }
        }
        Ok(self.overlapping(start, end))
    }

    /// Takes areas out of the list.
    pub fn remove(&mut self, range: Range<usize>) -> vec_deque::Drain<'_, Area> {
        self.list.drain(range)
    }

    /// The lowest gap of `len` bytes at or above `from` and below `limit`, with `guard` bytes kept free below areas that
    /// grow down.
    pub fn gap(&self, from: usize, limit: usize, len: usize, guard: usize) -> Option<usize> {
        let mut at = from;
        for a in self.list.range(self.first_after(from)..) {
            let keep = if a.flags.contains(AreaFlags::GROWS_DOWN) {
                guard
            } else {
                0
            };
            if at.checked_add(len)?.checked_add(keep)? <= a.start {
                break;
            }
            at = at.max(a.end);
        }
        (at.checked_add(len)? <= limit).then_some(at)
    }
}
