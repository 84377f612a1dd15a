//! `mmap`, `munmap`, `mprotect`.

use super::{AddressSpace, Fault, GUARD_GAP, Inner, MMAP_BASE, MMAP_MIN, ProgramKind};
use crate::base::{Errno, PAGE_SHIFT, PAGE_SIZE, Result, page_up};
use crate::memory::area::{Area, AreaFlags, Backing};
use crate::memory::paging::attributes;
use crate::memory::source::PageSource;
use crate::memory::{Access, Protection, commit, hw};
use crate::process::scheduler;
use crate::user::USER_END;
use alloc::sync::Arc;

bitflags::bitflags! {
    /// `MAP_*` of mmap(2), less the sharing type.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MapFlags: u32 {
        const FIXED = 0x10;
        const ANONYMOUS = 0x20;
        const GROWSDOWN = 0x100;
        const NORESERVE = 0x4000;
        const POPULATE = 0x8000;
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

/// What to map.
pub struct MapRequest {
    pub addr: usize,
    pub len: usize,
    pub protection: Protection,
    pub flags: MapFlags,
    /// `None` is anonymous and private; shared anonymous memory is a [`SharedPages`](crate::memory::SharedPages).
    pub source: Option<Arc<dyn PageSource>>,
    /// Byte offset in the source, whole pages.
    pub offset: u64,
    pub shared: bool,
    /// Refuse later `mprotect(PROT_WRITE)`: a shared mapping of a file that is open for reading only.
    pub never_write: bool,
}

/// `start..end` of whole pages inside the program half.
pub(super) fn page_range(addr: usize, len: usize, outside: Errno) -> Result<(usize, usize)> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if len > USER_END {
        return Err(outside);
    }
    match addr.checked_add(page_up(len)) {
        Some(end) if end <= USER_END => Ok((addr, end)),
        _ => Err(outside),
    }
}

impl AddressSpace {
    /// Maps memory; returns its address. Errors as mmap(2).
    pub fn map(&self, request: MapRequest) -> Result<usize> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        if request.len > USER_END {
            return Err(Errno::ENOMEM);
        }
        self.check_exec(request.protection)?;
        let len = page_up(request.len);
        let pages = len >> PAGE_SHIFT;
        let populate = request.flags.contains(MapFlags::POPULATE);
        let mut flags = AreaFlags::empty();
        if request.flags.contains(MapFlags::GROWSDOWN) {
            flags |= AreaFlags::GROWS_DOWN;
        }
        if request.never_write {
            flags |= AreaFlags::NEVER_WRITE;
        }
        // Memory that somebody will write to and that is nowhere else.
        let private_write = !request.shared && request.protection.contains(Protection::WRITE);
        let unreserved = request.flags.contains(MapFlags::NORESERVE) && commit::may_skip();
        if unreserved && !request.shared {
            flags |= AreaFlags::NO_RESERVE;
        } else if private_write {
            commit::check(pages)?;
            flags |= AreaFlags::COMMITTED;
        }

        let mut inner = self.lock();
        let fixed = request
            .flags
            .intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        let start = if fixed {
            let (start, end) = page_range(request.addr, len, Errno::ENOMEM)?;
            if start < MMAP_MIN {
                return Err(Errno::EPERM);
            }
            let touched = inner.areas.overlapping(start, end);
            if request.flags.contains(MapFlags::FIXED_NOREPLACE) && !touched.is_empty() {
                return Err(Errno::EEXIST);
            }
            // What is to be replaced stays if that cannot be done, and counts no more if it can.
            let replaced = inner.areas.reserve_instead(&touched, (start, end), 1)?;
            inner.check_limits(pages - replaced, private_write)?;
            self.unmap_locked(&mut inner, start, end)?;
            start
        } else {
            inner.check_limits(pages, private_write)?;
            inner.areas.reserve(1, 0)?;
            inner.find_gap(request.addr, len)?
        };
        let backing = match request.source {
            Some(source) => Backing::File {
                source,
                offset: request.offset,
            },
            None => Backing::Anonymous,
        };
        inner.add(Area {
            start,
            end: start + len,
            backing,
            protection: request.protection,
            flags,
            shared: request.shared,
        });
        drop(inner);
        if populate {
            let access = match request.protection.contains(Protection::WRITE) {
                true => Access::Write,
                false => Access::Read,
            };
            // What does not work will fault again when it is used.
            let _ = self.populate(start, start + len, access);
        }
        Ok(start)
    }

    /// Faults pages in ahead of use. `None` in the error: the caller is dying.
    pub(super) fn populate(
        &self,
        start: usize,
        end: usize,
        access: Access,
    ) -> core::result::Result<(), Option<Fault>> {
        for (n, page) in (start..end).step_by(PAGE_SIZE).enumerate() {
            self.handle_fault(page, access).map_err(Some)?;
            if n % 64 == 63 && scheduler::give_way() {
                return Err(None);
            }
        }
        Ok(())
    }

    /// Linked programs run at the kernel's exception level: nothing that they can write may ever be executed there.
    fn check_exec(&self, protection: Protection) -> Result<()> {
        if self.kind == ProgramKind::Linked && protection.contains(Protection::EXEC) {
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    /// Unmaps whole pages. Errors as munmap(2); the program image stays (`EINVAL`).
    pub fn unmap(&self, addr: usize, len: usize) -> Result<()> {
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let (start, end) = page_range(addr, len, Errno::EINVAL)?;
        self.unmap_locked(&mut self.lock(), start, end)
    }

    /// The mapped file whose first page is at `addr`.
    pub fn source_at(&self, addr: usize) -> Option<Arc<dyn PageSource>> {
        let mut inner = self.lock();
        let i = inner.areas.find(addr)?;
        match &inner.areas.get(i).backing {
            Backing::File { source, offset }
                if *offset == 0 && inner.areas.get(i).start == addr =>
            {
                Some(source.clone())
            }
            _ => None,
        }
    }

    /// Unmaps what lies in the `len` bytes at `addr` of a mapping of `source` that began there (`shmdt`).
    pub fn unmap_source(
        &self,
        addr: usize,
        len: usize,
        source: &Arc<dyn PageSource>,
    ) -> Result<()> {
        let mut inner = self.lock();
        let mut at = addr;
        while let Some(i) = inner.areas.next_above(at) {
            let area = inner.areas.get(i);
            let (start, end) = (area.start, area.end.min(addr + len));
            if start >= addr + len {
                break;
            }
            let same = match &area.backing {
                Backing::File { source: s, offset } => {
                    Arc::ptr_eq(s, source) && start.checked_sub(addr) == Some(*offset as usize)
                }
                _ => false,
            };
            if same {
                self.unmap_locked(&mut inner, start, end)?;
            }
            at = end;
        }
        Ok(())
    }

    /// Either all of it is unmapped or, on an error, nothing.
    pub(super) fn unmap_locked(&self, inner: &mut Inner, start: usize, end: usize) -> Result<()> {
        let touched = inner.areas.overlapping(start, end);
        if touched.is_empty() {
            return Ok(());
        }
        let mut files = 0;
        for i in touched.clone() {
            let area = inner.areas.get(i);
            if area.is_image() {
                return Err(Errno::EINVAL);
            }
            files += usize::from(matches!(area.backing, Backing::File { .. }));
        }
        inner.areas.reserve_instead(&touched, (start, end), 0)?;
        let room = inner.unmapped_files.try_reserve(files);
        room.map_err(|_| Errno::ENOMEM)?;
        for i in touched {
            let area = inner.areas.get(i);
            let ((from, to, pages), flags) = (area.part(start, end), area.flags);
            self.unmap_pages(inner, from, to);
            inner.forget(pages, flags);
        }
        let Inner {
            areas,
            unmapped_files,
            ..
        } = inner;
        for area in areas.carve(start, end) {
            if let Backing::File { source, .. } = area.backing {
                unmapped_files.push(source);
            }
        }
        if start >= MMAP_BASE {
            inner.mmap_hint = inner.mmap_hint.min(start);
        }
        Ok(())
    }

    /// Changes the rights of whole pages. Errors as mprotect(2), up to where there is one: a hole, a file that may not be written,
    /// the program image, whose rights are fixed.
    pub fn protect(&self, addr: usize, len: usize, protection: Protection) -> Result<()> {
        let (start, end) = page_range(addr, len, Errno::ENOMEM)?;
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let (mut new_commit, mut new_data) = (0, 0);
        let (mut stop, mut outcome) = (start, Ok(()));
        for i in inner.areas.overlapping(start, end) {
            let area = inner.areas.get(i);
            if area.start > stop {
                break;
            }
            if !self.may_protect(area, protection) {
                outcome = Err(Errno::EACCES);
                break;
            }
            let (_, to, pages) = area.part(start, end);
            if area.would_commit(protection) {
                new_commit += pages;
            }
            if area.would_be_data(protection) && !area.would_be_data(area.protection) {
                new_data += pages;
            }
            stop = to;
        }
        if stop < end && outcome.is_ok() {
            outcome = Err(Errno::ENOMEM);
        }
        if stop == start {
            return outcome;
        }
        commit::check(new_commit)?;
        if new_data > 0 {
            inner.check_data(new_data)?;
        }
        let range = inner.areas.isolate(start, stop)?;
        let mut changed = false;
        for i in range.clone() {
            let area = inner.areas.get_mut(i);
            if area.protection == protection {
                continue;
            }
            area.protection = protection;
            if area.would_commit(protection) {
                area.flags |= AreaFlags::COMMITTED;
                inner.committed += area.pages();
                commit::charge(area.pages());
            }
            // Pages that were not writable stay so until the next write: they may be shared with another process.
            let rights = attributes(self.kind, protection);
            let area = inner.areas.get(i);
            let executable =
                self.kind == ProgramKind::Loaded && protection.contains(Protection::EXEC);
            inner.table.for_each_leaf(area.start, area.end, |_, slots| {
                for slot in slots {
                    let e = slot.get();
                    if e.is_none() {
                        continue;
                    }
                    let mut new = e.with_attributes(rights);
                    if !e.is_writable() {
                        new = new.read_only();
                    }
                    if executable {
                        hw::sync_instructions(crate::memory::phys_to_virt(e.phys()), PAGE_SIZE);
                    }
                    slot.set(new);
                    changed = true;
                }
            });
        }
        inner.areas.join_around(range);
        inner.generation += 1;
        if changed {
            hw::flush_space(&self.asid);
        }
        outcome
    }

    fn may_protect(&self, area: &Area, protection: Protection) -> bool {
        let writes = protection.contains(Protection::WRITE);
        let fixed = area.is_image() || writes && area.flags.contains(AreaFlags::NEVER_WRITE);
        !fixed && self.check_exec(protection).is_ok()
    }
}

impl Inner {
    /// `ENOMEM` if `RLIMIT_AS` forbids that many more pages.
    pub(super) fn check_address_space(&self, pages: usize) -> Result<()> {
        if ((self.size + pages) as u64) << PAGE_SHIFT > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    pub(super) fn check_limits(&self, pages: usize, data: bool) -> Result<()> {
        self.check_address_space(pages)?;
        if data { self.check_data(pages) } else { Ok(()) }
    }

    /// `ENOMEM` if `RLIMIT_DATA` forbids that many more pages.
    fn check_data(&self, pages: usize) -> Result<()> {
        if self.limits.data != u64::MAX
            && ((self.data_pages() + pages) as u64) << PAGE_SHIFT > self.limits.data
        {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// What `RLIMIT_DATA` limits.
    pub(super) fn data_pages(&self) -> usize {
        self.areas
            .iter()
            .filter(|a| a.would_be_data(a.protection))
            .map(Area::pages)
            .sum()
    }

    /// A free stretch of `len` bytes: at `wish` if that is free, else the lowest one above the mmap base.
    pub(super) fn find_gap(&mut self, wish: usize, len: usize) -> Result<usize> {
        let wish = wish & !(PAGE_SIZE - 1);
        if wish >= MMAP_MIN && self.areas.gap(wish, USER_END, len, GUARD_GAP) == Some(wish) {
            return Ok(wish);
        }
        let at = self
            .areas
            .gap(self.mmap_hint, USER_END, len, GUARD_GAP)
            .ok_or(Errno::ENOMEM)?;
        // Only a single page proves that there is no room below; a larger request may have skipped small gaps.
        if len == PAGE_SIZE || at == self.mmap_hint {
            self.mmap_hint = at + len;
        }
        Ok(at)
    }
}
