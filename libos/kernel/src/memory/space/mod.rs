//! Address spaces: what a process sees as memory.
//!
//! A space is a list of areas and a translation tree that is filled by faults. One lock per space guards both; a page that
//! a file system must find is asked for with the lock released. The map of a linked process:
//!
//! ```text
//!   0x1000_0000  text, constants   tables shared by all linked processes
//!                data              pristine frames of the image, copied when written
//!                bss, then the program break
//!   0x2810_0000  lowest end of the main stack
//!   0x3010_0000  top of the main stack; mmap areas from here upwards
//! ```
//!
//! All of it lies in one gigabyte, and the busy ends of stack and mmap share two megabytes, so that a small process needs
//! four tables: its root, one of level 2, one for data and bss, one for stack and mmap.

mod access;
mod brk;
mod fault;
mod fork;
mod heat;
mod image;
mod map;
mod remap;
mod report;
mod revoke;
#[cfg(test)]
mod tests;

pub use fault::{Access, Fault, zero_frame};
pub use fork::Writers;
pub use map::{MapFlags, MapRequest};
pub use remap::{Advice, RemapFlags};
pub use report::{AreaInfo, Counters};
pub use revoke::Copies;

pub use super::paging::ProgramKind;

use super::area::{Area, AreaFlags, Areas, Backing};
use super::frames::Frame;
use super::paging::{Entry, FrameTables, PageTable, Slot};
use super::source::PageSource;
use super::{Protection, commit, hw};
use crate::base::sync::SpinLockGuard;
use crate::base::{PAGE_SIZE, PhysAddr, Result, SpinLock};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Top of the main stack. In the middle of a level-3 table, so that stack and mmap share one.
pub const STACK_TOP: usize = 0x3010_0000;
/// The stack never reaches below this, whatever `RLIMIT_STACK` says.
pub const STACK_FLOOR: usize = 0x2810_0000;
/// Where `mmap` starts to look for room.
pub const MMAP_BASE: usize = STACK_TOP;
/// Lowest address that may be mapped (`vm.mmap_min_addr`).
pub const MMAP_MIN: usize = 0x1_0000;
/// Kept free between a growing stack and whatever lies below it (Linux: `stack_guard_gap`).
pub const GUARD_GAP: usize = 256 * PAGE_SIZE;
/// Size of the stack area before it grows.
const STACK_START: usize = 32 * PAGE_SIZE;

/// Resource limits that concern memory, in bytes; `u64::MAX` is none.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `RLIMIT_STACK`
    pub stack: u64,
    /// `RLIMIT_AS`
    pub address_space: u64,
    /// `RLIMIT_DATA`
    pub data: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stack: 8 << 20,
            address_space: u64::MAX,
            data: u64::MAX,
        }
    }
}

/// What the lock of a space guards. Order: taken with no other memory lock held but, for a child that nobody else knows, the
/// parent's. Takes inside: the frame allocator's, the heap's, those of the pages of files and of shared memory, that of identifiers
/// (`mmu`). Interrupt handlers do not take it; the fault handler does, so nobody who holds it touches program memory.
struct Inner {
    table: PageTable<FrameTables>,
    areas: Areas,
    limits: Limits,
    brk_start: usize,
    brk: usize,
    /// Below this there is no gap worth looking at.
    mmap_hint: usize,
    /// Changes whenever areas do; tells a fault that slept whether what it found still holds.
    generation: u64,
    /// Pages of all areas.
    size: usize,
    /// Pages of areas that are counted as committed.
    committed: usize,
    /// Where exec put the arguments and the environment.
    args: (usize, usize),
    env: (usize, usize),
    /// How often the space was forked.
    forks: u32,
    /// First writes to data and bss are counted for [`heat`].
    lesson: bool,
    /// Files that are not mapped any more; let go of once the lock is released.
    unmapped_files: Vec<Arc<dyn PageSource>>,
}

/// The lock of a space, for operations that may unmap files: the last reference to a file may have to take locks of its
/// file system or sleep, so it is dropped only after the lock.
struct Locked<'a>(ManuallyDrop<SpinLockGuard<'a, Inner>>);

impl Deref for Locked<'_> {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let files = core::mem::take(&mut self.0.unmapped_files);
        // SAFETY: the guard is not used again; this is the end of its owner.
        unsafe { ManuallyDrop::drop(&mut self.0) };
        drop(files);
    }
}

/// A program's memory. Shared by its threads in an `Arc`; dropping the last one returns every frame.
pub struct AddressSpace {
    inner: SpinLock<Inner>,
    kind: ProgramKind,
    root: PhysAddr,
    /// Belongs to `arch`: which hardware tag the space has.
    asid: AtomicU64,
    /// Frames mapped. Written under the lock, read without.
    resident: AtomicUsize,
    /// The most that `resident` was before it last fell. As `resident`.
    peak: AtomicUsize,
    /// Translation tables. As `resident`.
    tables: AtomicUsize,
    /// The program may use `MEMBARRIER_CMD_PRIVATE_EXPEDITED`.
    pub membarrier: AtomicBool,
}

impl AddressSpace {
    /// A space with nothing in it.
    pub fn new_empty(kind: ProgramKind) -> Result<Self> {
        let table = PageTable::new(FrameTables)?;
        Ok(AddressSpace {
            kind,
            root: table.root(),
            asid: AtomicU64::new(0),
            resident: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            tables: AtomicUsize::new(table.table_count()),
            membarrier: AtomicBool::new(false),
            inner: SpinLock::new(Inner {
                table,
                areas: Areas::with_capacity(12)?,
                limits: Limits::default(),
                brk_start: 0,
                brk: 0,
                mmap_hint: MMAP_BASE,
                generation: 0,
                size: 0,
                committed: 0,
                args: (0, 0),
                env: (0, 0),
                forks: 0,
                lesson: false,
                unmapped_files: Vec::new(),
            }),
        })
    }

    /// Makes this the running core's program half.
    #[inline]
    pub fn activate(&self) {
        hw::activate(self.root, &self.asid)
    }

    pub fn kind(&self) -> ProgramKind {
        self.kind
    }
    /// First address above the main stack.
    pub fn stack_top(&self) -> usize {
        STACK_TOP
    }
    /// To be called at exec and when a limit changes; fork copies them.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.lock().limits = limits;
    }
    /// Adds the main stack's area (exec of a loaded program; a linked one has it).
    pub fn add_stack(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.areas.reserve(1, 0)?;
        inner.add(Area {
            start: STACK_TOP - STACK_START,
            end: STACK_TOP,
            backing: Backing::Anonymous,
            protection: Protection::READ | Protection::WRITE,
            flags: AreaFlags::GROWS_DOWN | AreaFlags::STACK | AreaFlags::COMMITTED,
            shared: false,
        });
        Ok(())
    }
    /// Sets where the program break starts (exec of a loaded program).
    pub fn set_brk_start(&self, addr: usize) {
        let mut inner = self.inner.lock();
        (inner.brk_start, inner.brk) = (addr, addr);
    }
    /// Where exec put the arguments (`/proc/PID/cmdline`) and the environment.
    pub fn set_args(&self, args: (usize, usize), env: (usize, usize)) {
        let mut inner = self.inner.lock();
        (inner.args, inner.env) = (args, env);
    }
    pub fn args(&self) -> (usize, usize) {
        self.inner.lock().args
    }
    pub fn env(&self) -> (usize, usize) {
        self.inner.lock().env
    }
    /// Frames mapped now, without taking the lock.
    pub fn resident_pages(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// The most frames that were ever mapped at once.
    pub fn peak_pages(&self) -> usize {
        self.peak.load(Ordering::Relaxed).max(self.resident_pages())
    }

    /// Frames that go when the space goes: those mapped, if nobody else has them, and the tables. Without taking the lock.
    pub fn held_pages(&self) -> usize {
        self.resident_pages() + self.tables.load(Ordering::Relaxed)
    }

    fn lock(&self) -> Locked<'_> {
        Locked(ManuallyDrop::new(self.inner.lock()))
    }

    /// Counts mapped frames; the caller holds the lock, so no read-modify-write is needed.
    #[inline(always)]
    fn count_resident(&self, change: isize) {
        let before = self.resident.load(Ordering::Relaxed);
        if change < 0 && before > self.peak.load(Ordering::Relaxed) {
            self.peak.store(before, Ordering::Relaxed);
        }
        let n = before.wrapping_add_signed(change);
        self.resident.store(n, Ordering::Relaxed);
    }

    /// To be called when tables may have been made; the caller holds the lock.
    #[inline(always)]
    fn count_tables(&self, inner: &Inner) {
        self.tables
            .store(inner.table.table_count(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn flush_page(&self, va: usize) {
        hw::flush_page(&self.asid, va)
    }

    /// Unmaps every page in `start..end`, all of it in areas, and gives the frames back. The lock is held.
    fn unmap_pages(&self, inner: &Inner, start: usize, end: usize) {
        // First make the pages unreachable but keep the frames' addresses, then flush once, then free.
        let (mut count, mut lowest) = (0usize, 0);
        inner.table.for_each_leaf(start, end, |base, slots| {
            for (i, slot) in slots.iter().enumerate() {
                let e = slot.get();
                if e.is_valid() {
                    slot.set(e.invalid());
                    if count == 0 {
                        lowest = base + i * PAGE_SIZE;
                    }
                    count += 1;
                }
            }
        });
        match count {
            0 => {}
            1 => self.flush_page(lowest),
            _ => hw::flush_space(&self.asid),
        }
        let freed = free_pages(&inner.table, start, end);
        self.count_resident(-(freed as isize));
    }
}

/// Empties the slots of `start..end` and drops the frames that they own; returns how many. No core can reach the pages.
fn free_pages(table: &PageTable<FrameTables>, start: usize, end: usize) -> usize {
    let mut freed = 0;
    table.for_each_leaf(start, end, |_, slots| {
        for slot in slots {
            let e = slot.get();
            if e.is_none() {
                continue;
            }
            slot.set(Entry::NONE);
            if e.is_owned() {
                freed += 1;
                // SAFETY: the slot owned this reference and has just forgotten it.
                drop(unsafe { Frame::from_raw(e.phys()) });
            }
        }
    });
    freed
}

impl Inner {
    /// Adds an area, for which room was reserved, and counts it.
    fn add(&mut self, area: Area) {
        self.grow(area.pages(), area.flags);
        self.areas.insert(area);
    }

    /// Counts pages that an area has gained.
    fn grow(&mut self, pages: usize, flags: AreaFlags) {
        self.size += pages;
        self.generation += 1;
        if flags.contains(AreaFlags::COMMITTED) {
            self.committed += pages;
            commit::charge(pages);
        }
    }

    /// Takes the pages of an area that goes away, or part of it, out of the counts.
    fn forget(&mut self, pages: usize, flags: AreaFlags) {
        self.size -= pages;
        self.generation += 1;
        if flags.contains(AreaFlags::COMMITTED) {
            self.committed -= pages;
            commit::uncharge(pages);
        }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        hw::retire(&self.asid);
        let inner = self.inner.get_mut();
        for area in inner.areas.iter() {
            if !area.is_image() {
                inner
                    .table
                    .for_each_leaf(area.start, area.end, |_, slots| drop_frames(slots));
            }
        }
        commit::uncharge(inner.committed);
    }
}

/// Drops the frames that slots own; the table goes next, so they may go on naming them. Most slots are empty.
fn drop_frames(slots: &[Slot]) {
    let (fours, rest) = slots.as_chunks::<4>();
    for four in fours {
        let any = four.iter().fold(0, |bits, slot| bits | slot.get().0);
        if Entry(any).is_owned() {
            four.iter().for_each(drop_frame);
        }
    }
    rest.iter().for_each(drop_frame);
}

#[inline(always)]
fn drop_frame(slot: &Slot) {
    let e = slot.get();
    if e.is_owned() {
        // SAFETY: the slot owned this reference, and nobody looks at it again.
        drop(unsafe { Frame::from_raw(e.phys()) });
    }
}
