//! Page faults: demand-zero pages, copy-on-write, pages of files, stack growth.

use super::{AddressSpace, GUARD_GAP, Inner, STACK_FLOOR, image};
use crate::base::{Errno, PAGE_SHIFT, PAGE_SIZE, PhysAddr, Result, page_down};
use crate::memory::area::{Area, AreaFlags, Backing};
use crate::memory::frames::{Frame, alloc_frame, alloc_zeroed};
use crate::memory::paging::{Entry, LEAF_SPAN, ProgramKind, Slot, attributes};
use crate::memory::{Protection, hw};
use crate::user::USER_END;
use core::sync::atomic::{AtomicUsize, Ordering};

/// In writable areas up to this many pages the first read gets a frame at once: stacks, heaps and bss are written next.
const SMALL_AREA: usize = 512;

/// What a program tried to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Exec,
}

/// Why it cannot be allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing is mapped there: SIGSEGV, `SEGV_MAPERR`.
    MapErr,
    /// The area forbids it: SIGSEGV, `SEGV_ACCERR`.
    AccErr,
    /// Past the end of the file, or the file could not be read: SIGBUS, `BUS_ADRERR`.
    Bus,
    /// No frame is left.
    OutOfMemory,
}

impl From<Errno> for Fault {
    fn from(e: Errno) -> Self {
        if e == Errno::ENOMEM {
            Fault::OutOfMemory
        } else {
            Fault::Bus
        }
    }
}

/// The page of zeros that reads of untouched memory see. Allocated on first use, never freed.
static ZERO_PAGE: AtomicUsize = AtomicUsize::new(0);

fn zero_page() -> Result<PhysAddr> {
    let have = ZERO_PAGE.load(Ordering::Acquire);
    if have != 0 {
        return Ok(PhysAddr(have));
    }
    let frame = alloc_zeroed()?;
    match ZERO_PAGE.compare_exchange(0, frame.phys().0, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(frame.into_raw()),
        // Another core was faster; ours goes back.
        Err(theirs) => Ok(PhysAddr(theirs)),
    }
}

/// The page of zeros, to be lent to readers.
pub fn zero_frame() -> Result<Frame> {
    let phys = zero_page()?;
    // SAFETY: the page has a reference that is never given up; this is one more.
    unsafe {
        Frame::add_ref(phys);
        Ok(Frame::from_raw(phys))
    }
}

/// For tests that count frames.
#[cfg(test)]
pub(super) fn warm_zero_page() {
    zero_page().expect("a frame for zeros");
}

/// What to do once the lock is released.
struct FilePage {
    source: alloc::sync::Arc<dyn crate::memory::PageSource>,
    index: u64,
    /// The mapping is shared and writes.
    dirty: bool,
    generation: u64,
}

enum Outcome {
    Done,
    NeedsFile(FilePage),
}

impl AddressSpace {
    /// Mends the translation of `addr` so that `access` succeeds, or says why it may not.
    ///
    /// Called with no lock held that this path takes (space, inode pages, frames, heap), by the fault handlers and by all who
    /// reach into a space. Any number of threads may fault on the same page at once.
    pub fn handle_fault(&self, addr: usize, access: Access) -> core::result::Result<(), Fault> {
        if addr >= USER_END {
            return Err(Fault::MapErr);
        }
        let page = page_down(addr);
        let request = {
            let mut inner = self.inner.lock();
            let outcome = self.fault_locked(&mut inner, page, access, None);
            self.count_tables(&inner);
            match outcome? {
                Outcome::Done => return Ok(()),
                Outcome::NeedsFile(request) => request,
            }
        };
        self.fault_file(page, access, request)
    }

    /// Gets pages from a file until one arrives before the areas have changed again.
    fn fault_file(
        &self,
        page: usize,
        access: Access,
        mut request: FilePage,
    ) -> core::result::Result<(), Fault> {
        loop {
            let found = match request.index << PAGE_SHIFT >= request.source.size() {
                true => Err(Fault::Bus),
                false => request
                    .source
                    .page(request.index, request.dirty)
                    .map_err(Fault::from),
            };
            let mut inner = self.inner.lock();
            let frame = match inner.generation == request.generation {
                true => Some(found?),
                false => None,
            };
            match self.fault_locked(&mut inner, page, access, frame)? {
                Outcome::Done => return Ok(()),
                Outcome::NeedsFile(again) => {
                    // The file of the old request may go for good here.
                    drop(inner);
                    request = again;
                }
            }
        }
    }

    fn fault_locked(
        &self,
        inner: &mut Inner,
        page: usize,
        access: Access,
        frame: Option<Frame>,
    ) -> core::result::Result<Outcome, Fault> {
        let i = match inner.areas.find(page) {
            Some(i) => i,
            None => inner.grow_stack(page).ok_or(Fault::MapErr)?,
        };
        let Inner {
            table,
            areas,
            generation,
            lesson,
            ..
        } = inner;
        let area = areas.get(i);
        let wanted = match access {
            // A page that may be written or executed may be read, as on all Arm Linux.
            Access::Read => Protection::all(),
            Access::Write => Protection::WRITE,
            Access::Exec => Protection::EXEC,
        };
        if !area.protection.intersects(wanted) {
            return Err(Fault::AccErr);
        }
        if area.is_image() {
            // The tables are complete: whoever comes here saw an old translation.
            self.flush_page(page);
            return Ok(Outcome::Done);
        }
        let slots = table.leaf_or_make(page)?;
        let at = (page % LEAF_SPAN) >> PAGE_SHIFT;
        let slot = &slots[at];
        let old = slot.get();
        if !old.is_none() && (access != Access::Write || old.is_writable()) {
            // Another thread mended it while we waited for the lock, or this core still holds an old translation.
            debug_assert!(old.is_valid());
            self.flush_page(page);
            return Ok(Outcome::Done);
        }

        if let Backing::File { source, offset } = &area.backing {
            let private_copy = !area.shared && !old.is_none();
            if !private_copy {
                let Some(frame) = frame else {
                    return Ok(Outcome::NeedsFile(FilePage {
                        source: source.clone(),
                        index: (offset + (page - area.start) as u64) >> PAGE_SHIFT,
                        dirty: area.shared && access == Access::Write,
                        generation: *generation,
                    }));
                };
                self.map_file_page(area, slot, page, access, frame)?;
                return Ok(Outcome::Done);
            }
        }

        if !old.is_none() {
            self.copy_on_write(slot, old, page)?;
            if *lesson && !old.is_owned() {
                image::note_first_write(page);
            }
            return Ok(Outcome::Done);
        }
        let rights = attributes(self.kind, area.protection);
        let writable = area.protection.contains(Protection::WRITE);
        match area.backing {
            Backing::Pristine(first) => {
                let phys = first.add(page - area.start);
                if access == Access::Write {
                    slot.set(Entry::owned(copy_of(phys)?.into_raw(), rights));
                    self.count_resident(1);
                } else {
                    slot.set(Entry::fixed(phys, rights).read_only());
                }
            }
            _ if access == Access::Write || (area.pages() <= SMALL_AREA && writable) => {
                slot.set(Entry::owned(alloc_zeroed()?.into_raw(), rights));
                let ahead = zero_ahead(area, slots, at, page, rights);
                self.count_resident(1 + ahead as isize);
            }
            _ => slot.set(Entry::fixed(zero_page()?, rights).read_only()),
        }
        if *lesson {
            image::note_first_write(page);
        }
        hw::table_barrier();
        Ok(Outcome::Done)
    }

    /// A private page that is mapped read-only is written: take it over, or a copy of it.
    fn copy_on_write(&self, slot: &Slot, old: Entry, page: usize) -> Result<()> {
        if old.is_owned() {
            // SAFETY: the slot keeps its reference; this one is only looked at.
            let frame = core::mem::ManuallyDrop::new(unsafe { Frame::from_raw(old.phys()) });
            if frame.refcount() == 1 {
                slot.set(old.written());
                self.flush_page(page);
                return Ok(());
            }
        }
        let copy = copy_of(old.phys())?;
        // Break before make (Arm ARM D8.16.1): no core may see two frames for one address.
        slot.set(Entry::NONE);
        self.flush_page(page);
        let new = old.replaced(copy.into_raw()).written();
        // A first write to data or to the page of zeros says nothing about what comes after the next fork.
        slot.set(if old.is_owned() { new } else { new.cold() });
        hw::table_barrier();
        if old.is_owned() {
            // SAFETY: the slot held this reference until just now.
            drop(unsafe { Frame::from_raw(old.phys()) });
        } else {
            self.count_resident(1);
        }
        Ok(())
    }

    /// Maps a frame of a file. The slot is empty, or holds a shared page that is to become writable.
    fn map_file_page(
        &self,
        area: &Area,
        slot: &Slot,
        page: usize,
        access: Access,
        frame: Frame,
    ) -> Result<()> {
        let rights = attributes(self.kind, area.protection);
        let old = slot.get();
        let new = match (area.shared, access) {
            (true, Access::Write) => Entry::owned(frame.into_raw(), rights),
            (false, Access::Write) => Entry::owned(frame.duplicate()?.into_raw(), rights),
            (true, _) => Entry::owned(frame.into_raw(), rights).read_only(),
            (false, _) => Entry::owned(frame.into_raw(), rights).of_file(),
        };
        if !old.is_none() {
            slot.set(Entry::NONE);
            self.flush_page(page);
        }
        if self.kind == ProgramKind::Loaded && area.protection.contains(Protection::EXEC) {
            hw::sync_instructions(crate::memory::phys_to_virt(new.phys()), PAGE_SIZE);
        }
        slot.set(new);
        hw::table_barrier();
        if old.is_owned() {
            // SAFETY: the slot held this reference until just now.
            drop(unsafe { Frame::from_raw(old.phys()) });
        } else {
            self.count_resident(1);
        }
        Ok(())
    }
}

fn copy_of(phys: PhysAddr) -> Result<Frame> {
    let copy = alloc_frame()?;
    hw::copy_page(copy.as_ptr(), crate::memory::phys_to_virt(phys));
    Ok(copy)
}

/// A program that has just filled the pages before this one will fill the next ones: maps zeroed frames ahead of it, as far as
/// the area and the table go and the slots are empty. Returns how many. Failing to get frames is no error here.
fn zero_ahead(area: &Area, slots: &[Slot], at: usize, page: usize, rights: u64) -> usize {
    let before = slots[..at]
        .iter()
        .rev()
        .take(32)
        .take_while(|s| s.get().is_owned())
        .count();
    let want = match before {
        32.. => 16,
        16.. => 8,
        4.. => 2,
        _ => return 0,
    };
    let room = ((area.end - page) >> PAGE_SHIFT) - 1;
    let mut n = 0;
    for slot in slots[at + 1..].iter().take(want.min(room)) {
        if !slot.get().is_none() {
            break;
        }
        let Ok(frame) = alloc_zeroed() else { break };
        slot.set(Entry::owned(frame.into_raw(), rights));
        n += 1;
    }
    n
}

impl Inner {
    /// If `page` is where a stack may grow to, lets it; returns the stack's area.
    #[cold]
    fn grow_stack(&mut self, page: usize) -> Option<usize> {
        let i = self.areas.next_above(page)?;
        let area = self.areas.get(i);
        if !area.flags.contains(AreaFlags::GROWS_DOWN) {
            return None;
        }
        let limit = usize::try_from(self.limits.stack).unwrap_or(usize::MAX);
        if area.end - page > limit || (area.flags.contains(AreaFlags::STACK) && page < STACK_FLOOR)
        {
            return None;
        }
        let below = if i == 0 { 0 } else { self.areas.get(i - 1).end };
        if page < below + GUARD_GAP {
            return None;
        }
        let (more, flags) = ((area.start - page) >> PAGE_SHIFT, area.flags);
        self.check_address_space(more).ok()?;
        if flags.contains(AreaFlags::COMMITTED) {
            crate::memory::commit::check(more).ok()?;
        }
        self.areas.get_mut(i).start = page;
        self.size += more;
        if flags.contains(AreaFlags::COMMITTED) {
            self.committed += more;
            crate::memory::commit::charge(more);
        }
        Some(i)
    }
}
