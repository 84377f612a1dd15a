//! `mremap`, `madvise`, `msync`, `mincore`.

use super::map::page_range;
use super::{Access, AddressSpace, Fault, Inner, MMAP_MIN};
use crate::base::{Errno, PAGE_SHIFT, PAGE_SIZE, Result, page_up};
use crate::memory::area::{AreaFlags, Backing};
use crate::memory::paging::Entry;
use crate::memory::{commit, hw};
use crate::user::USER_END;
use alloc::sync::Arc;
use alloc::vec::Vec;

bitflags::bitflags! {
    /// Flags of mremap(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct RemapFlags: u32 {
        const MAYMOVE = 1;
        const FIXED = 2;
    }
}

/// What `madvise` can be asked that has an effect here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// The contents are not needed any more.
    Discard,
    /// As `Discard`, for private anonymous memory only.
    Free,
    DontFork,
    DoFork,
    WipeOnFork,
    KeepOnFork,
    /// To be faulted in now.
    Populate(Access),
    /// About speed only.
    Speed,
}

impl AddressSpace {
    /// Resizes or moves a mapping; returns its address. Errors as mremap(2).
    pub fn remap(
        &self,
        old: usize,
        old_len: usize,
        new_len: usize,
        flags: RemapFlags,
        to: usize,
    ) -> Result<usize> {
        if new_len == 0 || new_len > USER_END {
            return Err(Errno::EINVAL);
        }
        let (old, old_end) = page_range(old, old_len, Errno::EINVAL)?;
        let (old_len, new_len) = (old_end - old, page_up(new_len));
        let fixed = flags.contains(RemapFlags::FIXED);
        if fixed {
            if !flags.contains(RemapFlags::MAYMOVE) || to < MMAP_MIN {
                return Err(Errno::EINVAL);
            }
            let (_, to_end) = page_range(to, new_len, Errno::EINVAL)?;
            if to < old_end && old < to_end {
                return Err(Errno::EINVAL);
            }
        }
        let mut guard = self.lock();
        let inner = &mut *guard;
        let i = inner.areas.find(old).ok_or(Errno::EFAULT)?;
        let area = inner.areas.get(i);
        if area.is_image() {
            return Err(Errno::EFAULT);
        }
        if old_len == 0 && !area.shared {
            return Err(Errno::EINVAL);
        }
        let stays = old_len.min(new_len);
        if !fixed && new_len <= old_len {
            // What is cut off may be of other areas.
            self.unmap_locked(inner, old + stays, old_end)?;
            return Ok(old);
        }
        let (area_end, area_flags) = (area.end, area.flags);
        if area_end < old + stays {
            return Err(Errno::EFAULT);
        }
        if new_len > old_len {
            // Behind a program's data lies memory that is not its own.
            if matches!(area.backing, Backing::Pristine(_)) {
                return Err(Errno::EFAULT);
            }
            let more = (new_len - old_len) >> PAGE_SHIFT;
            let data = area.would_be_data(area.protection);
            inner.check_limits(more, data)?;
            if area_flags.contains(AreaFlags::COMMITTED) {
                commit::check(more)?;
            }
        }

        if !fixed {
            let more = new_len - old_len;
            if area_end == old_end && inner.areas.gap(old_end, USER_END, more, 0) == Some(old_end) {
                inner.areas.get_mut(i).end += more;
                inner.grow(more >> PAGE_SHIFT, area_flags);
                inner.areas.join_around(i..i + 1);
                return Ok(old);
            }
            if !flags.contains(RemapFlags::MAYMOVE) {
                return Err(Errno::ENOMEM);
            }
        }
        // Make room, then move the part that stays.
        let target = if fixed {
            self.unmap_locked(inner, to, to + new_len)?;
            // To map something a second time right where it lies unmaps it.
            inner.areas.find(old).ok_or(Errno::EFAULT)?;
            to
        } else {
            inner.find_gap(0, new_len)?
        };
        self.unmap_locked(inner, old + stays, old_end)?;
        self.move_area(inner, old, old + stays, target, new_len)?;
        Ok(target)
    }

    /// Makes `start..end` of an area one of `new_len` bytes at `target`, pages included. An empty part stays where it is: what is
    /// mapped there is mapped twice.
    fn move_area(
        &self,
        inner: &mut Inner,
        start: usize,
        end: usize,
        target: usize,
        new_len: usize,
    ) -> Result<()> {
        // Everything that can fail comes first: room in the list, the tables at the target.
        let touched = inner.areas.overlapping(start, end.max(start + 1));
        inner.areas.reserve_instead(&touched, (start, end), 1)?;
        let mut at = start;
        while let Some(page) = inner.table.next_used(at, end) {
            inner.table.slot_or_make(target + (page - start))?;
            at = page + PAGE_SIZE;
        }
        self.count_tables(inner);
        let mut area = inner.areas.get(touched.start).clone().split_off(start);
        drop(inner.areas.carve(start, end));
        (area.start, area.end) = (target, target + new_len);
        let grown = (new_len - (end - start)) >> PAGE_SHIFT;
        inner.grow(grown, area.flags);
        inner.areas.insert(area);
        let mut at = start;
        while let Some(page) = inner.table.next_used(at, end) {
            let places = (
                inner.table.slot(page),
                inner.table.slot(target + (page - start)),
            );
            if let (Some(from), Some(to)) = places {
                let e = from.get();
                from.set(Entry::NONE);
                to.set(e);
            }
            at = page + PAGE_SIZE;
        }
        hw::flush_space(&self.asid);
        inner.mmap_hint = inner.mmap_hint.min(start.max(super::MMAP_BASE));
        Ok(())
    }

    /// madvise(2). `ENOMEM` when part of the range is not mapped.
    pub fn advise(&self, addr: usize, len: usize, advice: Advice) -> Result<()> {
        let pages = len.checked_next_multiple_of(PAGE_SIZE);
        let end = pages.and_then(|len| addr.checked_add(len));
        let end = end.filter(|_| addr.is_multiple_of(PAGE_SIZE));
        let whole = end.ok_or(Errno::EINVAL)?;
        let (start, end) = (addr.min(USER_END), whole.min(USER_END));
        if let Advice::Populate(access) = advice {
            self.populate(start, end, access).map_err(|why| match why {
                Some(Fault::AccErr) => Errno::EINVAL,
                Some(Fault::Bus) => Errno::EFAULT,
                Some(Fault::MapErr | Fault::OutOfMemory) => Errno::ENOMEM,
                None => Errno::EINTR,
            })?;
        }
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let covered = end == whole && inner.areas.cover(start, end);
        let set = match advice {
            Advice::Speed | Advice::Populate(_) => None,
            Advice::Discard | Advice::Free => {
                for i in inner.areas.overlapping(start, end) {
                    let area = inner.areas.get(i);
                    let anonymous = matches!(area.backing, Backing::Anonymous);
                    if area.is_image() || (advice == Advice::Free && !anonymous) {
                        return Err(Errno::EINVAL);
                    }
                    let (from, to, _) = area.part(start, end);
                    self.unmap_pages(inner, from, to);
                }
                None
            }
            Advice::DontFork => Some((AreaFlags::DONT_FORK, true)),
            Advice::DoFork => Some((AreaFlags::DONT_FORK, false)),
            Advice::WipeOnFork => Some((AreaFlags::WIPE_ON_FORK, true)),
            Advice::KeepOnFork => Some((AreaFlags::WIPE_ON_FORK, false)),
        };
        if let Some((flag, value)) = set {
            let range = inner.areas.isolate(start, end)?;
            for i in range.clone() {
                let area = inner.areas.get_mut(i);
                let private_zeros = matches!(area.backing, Backing::Anonymous) && !area.shared;
                if area.is_image() || (flag == AreaFlags::WIPE_ON_FORK && value && !private_zeros) {
                    return Err(Errno::EINVAL);
                }
                area.flags.set(flag, value);
            }
            inner.areas.join_around(range);
        }
        if covered { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Writes shared file pages back. `ENOMEM` when part of the range is not mapped.
    pub fn sync(&self, addr: usize, len: usize) -> Result<()> {
        let (start, end) = page_range(addr, len, Errno::ENOMEM)?;
        let mut files = Vec::new();
        let covered = {
            let inner = self.inner.lock();
            for i in inner.areas.overlapping(start, end) {
                let area = inner.areas.get(i);
                if let Backing::File { source, offset } = &area.backing
                    && area.shared
                {
                    let (from, to, _) = area.part(start, end);
                    let [from, to] = [from, to].map(|at| offset + (at - area.start) as u64);
                    files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    files.push((Arc::clone(source), from, to));
                }
            }
            inner.areas.cover(start, end)
        };
        for (source, from, to) in files {
            source.sync(from, to)?;
        }
        if covered { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// One byte per page: 1 if it is mapped to a frame, or its file has it in memory. `ENOMEM` when part of the range is not mapped.
    pub fn resident_map(&self, addr: usize, len: usize) -> Result<Vec<u8>> {
        let (start, end) = page_range(addr, len, Errno::ENOMEM)?;
        let inner = self.inner.lock();
        if !inner.areas.cover(start, end) {
            return Err(Errno::ENOMEM);
        }
        let mut map = Vec::new();
        map.try_reserve_exact((end - start) >> PAGE_SHIFT)
            .map_err(|_| Errno::ENOMEM)?;
        for i in inner.areas.overlapping(start, end) {
            let area = inner.areas.get(i);
            let (from, to, _) = area.part(start, end);
            map.extend((from..to).step_by(PAGE_SIZE).map(|page| {
                let there = match &area.backing {
                    _ if !inner.table.lookup(page).is_none() => true,
                    Backing::File { source, offset } => {
                        source.has_page((offset + (page - area.start) as u64) >> PAGE_SHIFT)
                    }
                    _ => false,
                };
                u8::from(there)
            }));
        }
        Ok(map)
    }

    /// Whether every page of the range is mapped by some area (`mlock` and its kin need that).
    pub fn is_mapped(&self, addr: usize, len: usize) -> bool {
        addr.checked_add(len).is_some_and(|end| {
            let start = addr & !(PAGE_SIZE - 1);
            end <= USER_END && self.inner.lock().areas.cover(start, page_up(end))
        })
    }
}
