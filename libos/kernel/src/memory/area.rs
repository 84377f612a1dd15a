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

    /// What of it lies in `start..end`: from, to, pages.
    pub fn part(&self, start: usize, end: usize) -> (usize, usize, usize) {
        let (from, to) = (self.start.max(start), self.end.min(end));
        (from, to, to.saturating_sub(from) >> PAGE_SHIFT)
    }

    pub fn is_image(&self) -> bool {
        matches!(self.backing, Backing::Image)
    }

    /// Whether it would have to be counted as committed memory, which it is not yet, with such rights.
    pub fn would_commit(&self, protection: Protection) -> bool {
        let settled = AreaFlags::COMMITTED | AreaFlags::NO_RESERVE;
        protection.contains(Protection::WRITE) && !self.shared && !self.flags.intersects(settled)
    }

    /// Whether it is data with such rights: private and writable, stacks excluded.
    pub fn would_be_data(&self, protection: Protection) -> bool {
        !self.shared
            && protection.contains(Protection::WRITE)
            && !self.flags.contains(AreaFlags::GROWS_DOWN)
    }

    /// The part from `at` on becomes an area of its own.
    pub fn split_off(&mut self, at: usize) -> Area {
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
        let within = |a: &&Area| a.start < end && start < end;
        let count = self.list.range(first..).take_while(within).count();
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

    /// Makes room for `more` areas where `fewer` go first: what is then done to the list cannot fail.
    pub fn reserve(&mut self, more: usize, fewer: usize) -> Result<()> {
        if self.list.len() + more > MAX_AREAS + fewer {
            return Err(Errno::ENOMEM);
        }
        let more = more.saturating_sub(fewer);
        self.list.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    /// As [`reserve`](Self::reserve), for `more` areas in the place of whatever lies in `start..end`, which `touched` are the
    /// areas of. Returns the pages that are there.
    pub fn reserve_instead(
        &mut self,
        touched: &Range<usize>,
        (start, end): (usize, usize),
        more: usize,
    ) -> Result<usize> {
        let (mut halves, mut whole, mut pages) = (0, 0, 0);
        for a in self.list.range(touched.clone()) {
            // Out of the middle of an area: it becomes two.
            halves += usize::from(a.start < start && end < a.end);
            whole += usize::from(start <= a.start && a.end <= end);
            pages += a.part(start, end).2;
        }
        self.reserve(halves + more, whole)?;
        Ok(pages)
    }

    /// Adds an area where there is none and room was reserved, joined with its neighbours if they are alike.
    pub fn insert(&mut self, area: Area) {
        let i = self.first_after(area.start);
        debug_assert!(self.list.get(i).is_none_or(|next| next.start >= area.end));
        if i > 0 && self.list[i - 1].continues(&area) {
            self.list[i - 1].end = area.end;
            self.join(i - 1);
            return;
        }
        if let Some(next) = self.list.get_mut(i)
            && area.continues(next)
        {
            next.start = area.start;
            next.backing = area.backing;
            return;
        }
        self.list.insert(i, area);
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

    /// The area that begins before `at` and ends after it.
    fn across(&self, at: usize) -> Option<usize> {
        let i = self.first_after(at);
        self.list.get(i).filter(|a| a.start < at).map(|_| i)
    }

    /// Cuts areas so that `start..end` is made of whole ones; returns their indices. All or nothing.
    pub fn isolate(&mut self, start: usize, end: usize) -> Result<Range<usize>> {
        let cuts = [start, end].into_iter().filter_map(|at| self.across(at));
        self.reserve(cuts.count(), 0)?;
        for at in [start, end] {
            if let Some(i) = self.across(at) {
                let upper = self.list[i].split_off(at);
                self.list.insert(i + 1, upper);
            }
        }
        Ok(self.overlapping(start, end))
    }

    /// Takes `start..end` out of the areas, for which room was reserved. Returns those that are gone altogether.
    pub fn carve(&mut self, start: usize, end: usize) -> vec_deque::Drain<'_, Area> {
        let Range {
            start: mut first,
            end: mut last,
        } = self.overlapping(start, end);
        if first < last && self.list[first].start < start {
            let mut upper = self.list[first].split_off(start);
            first += 1;
            if end < upper.end {
                self.list.insert(first, upper.split_off(end));
                last = first;
            }
        }
        if first < last && end < self.list[last - 1].end {
            last -= 1;
            self.list[last] = self.list[last].split_off(end);
        }
        self.list.drain(first..last)
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
