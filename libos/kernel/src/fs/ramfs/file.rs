//! The contents of a regular file in memory.
//!
//! Program memory is copied with a reference to the page held and no spinlock: the copy may fault, and the fault may
//! be on a mapping of this very file.

use super::Shared;
use crate::base::{Errno, PAGE_SHIFT, PAGE_SIZE, Result, SpinLock};
use crate::fs::inode::{MappedFor, WriteAt};
use crate::fs::radix::Radix;
use crate::fs::sleep_lock::SleepLock;
use crate::memory::frames::{self, Frame, Piece};
use crate::process::scheduler;
use crate::user::Buffer;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Largest file, the limit of a signed offset in whole pages.
pub const SIZE_MAX: u64 = i64::MAX as u64 & !(PAGE_SIZE as u64 - 1);

/// `F_SEAL_*` of fcntl(2).
pub mod seal {
    pub const SEAL: u32 = 1;
    pub const SHRINK: u32 = 2;
    pub const GROW: u32 = 4;
    pub const WRITE: u32 = 8;
    pub const FUTURE_WRITE: u32 = 16;
    pub const ALL: u32 = 31;
}

pub(super) type PageTree = Radix<Frame, 64>;

pub(super) struct Data {
    pub(super) tree: PageTree,
    /// Bytes of the image that stand for pages the tree does not have.
    pub(super) packed: &'static [u8],
}

pub struct Contents {
    /// Innermost: the page-fault path takes it.
    pub(super) data: SpinLock<Data>,
    pub(super) size: AtomicU64,
    /// Writes, truncations and appends come one after another. Held while program memory is copied.
    pub(super) changing: SleepLock,
    seals: AtomicU32,
    /// Mappings, and those among them by which the file may be written. Both rise only while `changing` is held.
    mappings: AtomicUsize,
    writers: AtomicUsize,
}

/// What lies at a page's place.
enum Page {
    Frame(Frame),
    Packed(&'static [u8]),
    Hole,
}

/// Pages that are copied, looked at, made or dropped before others may have the locks and the core.
pub(super) const BATCH: usize = 256;

/// In a copy that began at `offset` and has got to `at`, which is not its end: after each batch of pages, lets others have the core.
/// Whether the caller is dying, and nobody will look at the rest.
#[inline]
fn gives_up(offset: u64, at: u64) -> bool {
    let (last, _) = split(at - 1);
    let pages = last - (offset >> PAGE_SHIFT) + 1;
    pages.is_multiple_of(BATCH as u64) && split(at).1 == 0 && scheduler::give_way()
}

pub(super) fn split(offset: u64) -> (u64, usize) {
    (offset >> PAGE_SHIFT, offset as usize % PAGE_SIZE)
}

impl Contents {
    pub const fn new(packed: &'static [u8], seals: u32) -> Self {
        Contents {
            data: SpinLock::new(Data {
                tree: PageTree::new(),
                packed,
            }),
            size: AtomicU64::new(packed.len() as u64),
            changing: SleepLock::new(),
            seals: AtomicU32::new(seals),
            mappings: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
        }
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Pages in memory, of its own or in the image.
    pub fn pages(&self) -> usize {
        let data = self.data.lock();
        let packed = data.packed.len().div_ceil(PAGE_SIZE);
        if packed == 0 || data.tree.count() == 0 {
            return data.tree.count() + packed;
        }
        let mut own = 0;
        data.tree.find_from(0, &mut |i, _| {
            own += usize::from(i < packed as u64);
            (i >= packed as u64).then_some(())
        });
        data.tree.count() + packed - own
    }

    fn page_at(&self, index: u64) -> Page {
        let data = self.data.lock();
        match data.tree.get(index) {
            Some(frame) => Page::Frame(frame.clone()),
            None => data.packed_page(index).map_or(Page::Hole, Page::Packed),
        }
    }

    /// Whether the page is in memory, be it in the image.
    pub fn has_page(&self, index: u64) -> bool {
        !matches!(self.page_at(index), Page::Hole)
    }

    pub fn read_at(&self, buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
        let mut at = offset;
        let to = offset.saturating_add(buf.len() as u64);
        while at < to {
            let (index, within) = split(at);
            let page = self.page_at(index);
            // Asked after the page was taken: where the file has been cut meanwhile there is an end, not zeros.
            let end = to.min(self.size());
            if at >= end {
                break;
            }
            let want = ((end - at) as usize).min(PAGE_SIZE - within);
            let done = as_far_as_there_is_memory(buf, want, |buf, want| match &page {
                Page::Frame(frame) => buf.put(&frame.as_slice()[within..within + want]),
                Page::Packed(bytes) if within < bytes.len() => {
                    buf.put(&bytes[within..bytes.len().min(within + want)])
                }
                _ => buf.put_zeros(want),
            });
            match done {
                Ok(0) => break,
                Ok(n) => at += n as u64,
                Err(e) if at == offset => return Err(e),
                Err(_) => break,
            }
            if at < end && gives_up(offset, at) {
                break;
            }
        }
        Ok(at.saturating_sub(offset) as usize)
    }

    pub fn lend(&self, offset: u64) -> Option<Piece> {
        let size = self.size();
        let (index, within) = split(offset);
        match self.page_at(index) {
            Page::Frame(frame) if offset < size => {
                let len = ((size - offset) as usize).min(PAGE_SIZE - within);
                Some(Piece::new(frame, within, len))
            }
            _ => None,
        }
    }

    pub fn write_at(&self, fs: &Shared, buf: &mut Buffer<'_>, to: WriteAt) -> Result<(u64, usize)> {
        let _changing = self.changing.lock();
        let seals = self.seals.load(Ordering::Relaxed);
        let size = self.size();
        let offset = to.offset.unwrap_or(size);
        if buf.is_empty() {
            return Ok((offset, 0));
        }
        if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let limit = to.limit.min(SIZE_MAX);
        if offset >= limit {
            return Err(Errno::EFBIG);
        }
        let mut end = limit.min(offset.saturating_add(buf.len() as u64));
        if end > size && seals & seal::GROW != 0 {
            if offset >= size {
                return Err(Errno::EPERM);
            }
            end = size;
        }
        let mut at = offset;
        while at < end {
            let (index, within) = split(at);
            let want = ((end - at) as usize).min(PAGE_SIZE - within);
            match self.write_page(fs, buf, index, within, want) {
                Ok(0) => break,
                Ok(n) => at += n as u64,
                Err(e) if at == offset => return Err(e),
                Err(_) => break,
            }
            if at < end && gives_up(offset, at) {
                break;
            }
        }
        self.size.fetch_max(at, Ordering::Release);
        Ok((offset, (at - offset) as usize))
    }

    fn write_page(
        &self,
        fs: &Shared,
        buf: &mut Buffer<'_>,
        index: u64,
        within: usize,
        want: usize,
    ) -> Result<usize> {
        let packed = match self.page_at(index) {
            Page::Frame(mut frame) => {
                return as_far_as_there_is_memory(buf, want, |buf, want| {
                    buf.take(&mut frame.as_mut_slice()[within..within + want])
                });
            }
            Page::Packed(bytes) => bytes,
            Page::Hole => &[],
        };
        fs.charge(1)?;
        let filled = fill_new_page(packed, buf, within, want);
        let (frame, n) = match filled {
            Ok((frame, n)) if n > 0 => (frame, n),
            other => {
                fs.refund(1);
                return other.map(|_| 0);
            }
        };
        let mut data = self.data.lock();
        if let Some(existing) = data.tree.get(index) {
            // A page fault on a mapping of the file was faster.
            existing.copy_from(within, &frame.as_slice()[within..within + n]);
            fs.refund(1);
        } else {
            data.tree.insert(index, frame);
        }
        Ok(n)
    }

    /// The page itself, made if there is none yet.
    pub fn page(&self, fs: &Shared, index: u64) -> Result<Frame> {
        if index >= self.size().div_ceil(PAGE_SIZE as u64) {
            return Err(Errno::ENXIO);
        }
        let packed: &[u8] = match self.page_at(index) {
            Page::Frame(frame) => return Ok(frame),
            Page::Packed(bytes) => bytes,
            Page::Hole => &[],
        };
        fs.charge(1)?;
        let made = self.put_new_page(index, packed);
        if !matches!(made, Ok((_, true))) {
            fs.refund(1);
        }
        made.map(|(frame, _)| frame)
    }

    /// Puts a page with `packed` in the place of a hole. Returns the one that is there then, and whether it is that. Where the
    /// file has been cut meanwhile, `packed` may be gone: `ENXIO` behind the end, zeros before it.
    fn put_new_page(&self, index: u64, packed: &[u8]) -> Result<(Frame, bool)> {
        let frame = frames::alloc_zeroed()?;
        frame.copy_from(0, packed);
        let mut data = self.data.lock();
        if let Some(existing) = data.tree.get(index) {
            return Ok((existing.clone(), false));
        }
        if index >= self.size().div_ceil(PAGE_SIZE as u64) {
            return Err(Errno::ENXIO);
        }
        let left = data.packed_page(index).map_or(0, <[u8]>::len);
        if left < packed.len() {
            frame.zero_range(left, packed.len());
        }
        data.tree.insert(index, frame.clone());
        Ok((frame, true))
    }

    /// See [`Inode::mapped`](crate::fs::inode::Inode::mapped).
    pub fn mapped(&self, how: MappedFor) -> Result<bool> {
        let _changing = self.changing.lock();
        let sealed = self.seals() & (seal::WRITE | seal::FUTURE_WRITE) != 0;
        if sealed && how == MappedFor::Writing {
            return Err(Errno::EPERM);
        }
        let may_write = !sealed && how != MappedFor::Copies;
        self.mappings.fetch_add(1, Ordering::SeqCst);
        self.writers
            .fetch_add(may_write as usize, Ordering::Relaxed);
        Ok(may_write)
    }

    pub fn unmapped(&self, may_write: bool) {
        self.mappings.fetch_sub(1, Ordering::Relaxed);
        self.writers
            .fetch_sub(may_write as usize, Ordering::Relaxed);
    }

    /// Whether pages that are gone from the file may still be seen in some space.
    pub fn is_mapped(&self) -> bool {
        self.mappings.load(Ordering::SeqCst) > 0
    }

    pub fn seals(&self) -> u32 {
        self.seals.load(Ordering::Relaxed)
    }

    /// `EPERM` once sealed against it, `EBUSY` while a mapping may break the new seal.
    pub fn add_seals(&self, seals: u32) -> Result<()> {
        let _changing = self.changing.lock();
        if self.seals() & seal::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        let new = seals & !self.seals();
        if new & seal::WRITE != 0 && self.writers.load(Ordering::Relaxed) > 0 {
            return Err(Errno::EBUSY);
        }
        self.seals.fetch_or(seals, Ordering::Relaxed);
        Ok(())
    }

    /// Gives every page back; returns how many.
    pub fn clear(&mut self) -> usize {
        let tree = &mut self.data.get_mut().tree;
        let count = tree.count();
        empty(tree);
        count
    }
}

/// Drops all pages, some at a time.
pub(super) fn empty(tree: &mut PageTree) {
    let mut next = Some(0);
    while let Some(at) = next {
        next = tree.remove(at, u64::MAX, BATCH, &mut drop);
        if next.is_some() {
            scheduler::give_way();
        }
    }
}

impl Data {
    /// What the image has for page `index`.
    pub(super) fn packed_page(&self, index: u64) -> Option<&'static [u8]> {
        let start = usize::try_from(index << PAGE_SHIFT).ok()?;
        let packed = self.packed;
        (start < packed.len()).then(|| &packed[start..packed.len().min(start + PAGE_SIZE)])
    }
}

/// A page with `packed` and then zeros, bytes of `buf` laid over it. Nothing of what the frame held before shows.
fn fill_new_page(
    packed: &[u8],
    buf: &mut Buffer<'_>,
    within: usize,
    want: usize,
) -> Result<(Frame, usize)> {
    // Zeroing a whole page is quicker than zeroing the pieces around a small write.
    let mut frame = match want {
        PAGE_SIZE => frames::alloc_frame()?,
        _ => frames::alloc_zeroed()?,
    };
    if want < PAGE_SIZE {
        frame.copy_from(0, packed);
    }
    let n = as_far_as_there_is_memory(buf, want, |buf, want| {
        buf.take(&mut frame.as_mut_slice()[within..within + want])
    })?;
    if want == PAGE_SIZE && n < PAGE_SIZE {
        // Program memory ended early: what was there before stays, zeros behind it.
        frame.copy_from(n.min(packed.len()), &packed[n.min(packed.len())..]);
        frame.zero_range(n.max(packed.len()), PAGE_SIZE);
    }
    Ok((frame, n))
}

/// Moves `want` bytes, at most a page, to or from a program by `f`; if that cannot be done, those up to the end of its first page.
fn as_far_as_there_is_memory(
    buf: &mut Buffer<'_>,
    want: usize,
    mut f: impl FnMut(&mut Buffer<'_>, usize) -> Result<usize>,
) -> Result<usize> {
    f(buf, want).or_else(|e| match buf.in_one_page(want) {
        part if part < want => f(buf, part),
        _ => Err(e),
    })
}
