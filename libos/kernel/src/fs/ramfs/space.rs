//! The size of a regular file in memory and the pages it takes: cutting, reserving, punching holes, finding them.

use super::Shared;
use super::file::{BATCH, Contents, PageTree, SIZE_MAX, empty, seal, split};
use crate::base::{Errno, PAGE_SHIFT, PAGE_SIZE, Result};
use crate::fs::inode::{Allocate, SeekFor};
use crate::memory::frames;
use crate::process::scheduler;
use core::sync::atomic::Ordering;

impl Contents {
    /// Sets the size. `gone` is called if anything may be cut off, before anything can be added again.
    pub fn truncate(&self, fs: &Shared, size: u64, gone: impl FnOnce()) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let _changing = self.changing.lock();
        let old = self.size();
        let seals = self.seals();
        if size < old && seals & seal::SHRINK != 0 || size > old && seals & seal::GROW != 0 {
            return Err(Errno::EPERM);
        }
        self.size.store(size, Ordering::Release);
        // What has been allocated past the end goes too, even if the end stays.
        if size <= old {
            let (index, within) = split(size);
            {
                let mut data = self.data.lock();
                data.packed = &data.packed[..data.packed.len().min(size as usize)];
                if within > 0 {
                    // What is cut off must read as zeros if the file grows again.
                    if let Some(frame) = data.tree.get(index) {
                        frame.zero_range(within, PAGE_SIZE);
                    }
                }
            }
            self.drop_pages(fs, index + (within > 0) as u64, u64::MAX);
            gone();
        }
        Ok(())
    }

    /// `gone` is called if anything is taken away, before anything can be added again.
    pub fn allocate(
        &self,
        fs: &Shared,
        how: Allocate,
        offset: u64,
        len: u64,
        gone: impl FnOnce(),
    ) -> Result<()> {
        let end = offset
            .checked_add(len)
            .filter(|&e| e <= SIZE_MAX)
            .ok_or(Errno::EFBIG)?;
        let _changing = self.changing.lock();
        let seals = self.seals();
        let past_the_end = how != Allocate::PunchHole && end > self.size();
        if past_the_end && seals & seal::GROW != 0 {
            return Err(Errno::EPERM);
        }
        if !matches!(how, Allocate::Extend | Allocate::KeepSize) {
            if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
            self.zero(fs, offset, end)?;
            gone();
        }
        if how != Allocate::PunchHole {
            self.populate(fs, offset >> PAGE_SHIFT, end.div_ceil(PAGE_SIZE as u64))?;
        }
        if past_the_end && matches!(how, Allocate::Extend | Allocate::ZeroRange) {
            self.size.store(end, Ordering::Release);
        }
        Ok(())
    }

    /// Gives every hole of the pages `from..to` a page, or, if there are not so many to be had, none of them.
    fn populate(&self, fs: &Shared, from: u64, to: u64) -> Result<()> {
        let holes = to - from - self.pages_in(from, to);
        let holes = usize::try_from(holes).map_err(|_| Errno::ENOSPC)?;
        if holes > frames::free_count() {
            return Err(Errno::ENOSPC);
        }
        fs.charge(holes)?;
        // All pages are there before the first is put in its place: what has been mapped and written to meanwhile is not taken back.
        let mut spare = PageTree::new();
        if let Err(e) = fill(&mut spare, holes) {
            empty(&mut spare);
            fs.refund(holes);
            return Err(e);
        }
        let mut left = holes;
        for index in from..to {
            // The dying finish this: it is not for them alone, and the longer half is done.
            if (index - from) % BATCH as u64 == BATCH as u64 - 1 {
                scheduler::give_way();
            }
            let mut data = self.data.lock();
            if data.tree.get(index).is_none()
                && data.packed_page(index).is_none()
                && let Some(frame) = spare.take(left.wrapping_sub(1) as u64)
            {
                data.tree.insert(index, frame);
                left -= 1;
            }
        }
        // A page fault on a mapping of the file was faster.
        empty(&mut spare);
        fs.refund(left);
        Ok(())
    }

    /// How many of the pages `from..to` there are, in memory or in the image.
    fn pages_in(&self, from: u64, to: u64) -> u64 {
        let packed = self.data.lock().packed.len().div_ceil(PAGE_SIZE) as u64;
        let mut count = to.min(packed).saturating_sub(from);
        let mut at = from.max(packed);
        while at < to {
            // Others are let in after so many.
            let mut batch = BATCH;
            let next = self.data.lock().tree.find_from(at, &mut |i, _| {
                if i >= to || batch == 0 {
                    return Some(i);
                }
                batch -= 1;
                count += 1;
                None
            });
            at = next.unwrap_or(to);
            scheduler::give_way();
        }
        count
    }

    /// Drops the pages `from..to`, some at a time.
    fn drop_pages(&self, fs: &Shared, from: u64, to: u64) {
        let mut next = Some(from);
        while let Some(at) = next {
            let mut count = 0;
            next = self.data.lock().tree.remove(at, to, BATCH, &mut |page| {
                drop(page);
                count += 1;
            });
            fs.refund(count);
            if next.is_some() {
                scheduler::give_way();
            }
        }
    }

    /// Makes bytes `from..to` read as zeros, giving back whole pages.
    fn zero(&self, fs: &Shared, from: u64, to: u64) -> Result<()> {
        self.unpack(fs, from, to)?;
        let (first, head) = split(from);
        let (last, tail) = split(to);
        {
            let data = self.data.lock();
            let zero = |index: u64, a: usize, b: usize| {
                if let Some(frame) = data.tree.get(index) {
                    frame.zero_range(a, b);
                }
            };
            if first == last {
                zero(first, head, tail);
                return Ok(());
            }
            if head > 0 {
                zero(first, head, PAGE_SIZE);
            }
            if tail > 0 {
                zero(last, 0, tail);
            }
        }
        self.drop_pages(fs, first + (head > 0) as u64, last);
        Ok(())
    }

    /// Moves packed contents into pages of the file's own, so that some of them may go: all that survives of them.
    fn unpack(&self, fs: &Shared, from: u64, to: u64) -> Result<()> {
        let packed = self.data.lock().packed.len() as u64;
        if from >= packed {
            return Ok(());
        }
        let hole = from.div_ceil(PAGE_SIZE as u64)..to >> PAGE_SHIFT;
        for index in 0..packed.div_ceil(PAGE_SIZE as u64) {
            if !hole.contains(&index) {
                self.page(fs, index)?;
            }
        }
        self.data.lock().packed = &[];
        Ok(())
    }

    pub fn seek(&self, what: SeekFor, offset: u64) -> Result<u64> {
        let size = self.size();
        if offset >= size {
            return Err(Errno::ENXIO);
        }
        let (index, _) = split(offset);
        let start = |index: u64| (index << PAGE_SHIFT).max(offset);
        let packed = {
            let data = self.data.lock();
            let packed = data.packed.len() as u64;
            if what == SeekFor::Data {
                if offset < packed {
                    return Ok(offset);
                }
                let found = data.tree.find_from(index, &mut |i, _| Some(i));
                let at = found.map(start).filter(|&at| at < size);
                return at.ok_or(Errno::ENXIO);
            }
            packed.div_ceil(PAGE_SIZE as u64)
        };
        let mut index = index.max(packed);
        loop {
            // Others are let in after so many.
            let end = index + BATCH as u64;
            self.data.lock().tree.find_from(index, &mut |i, _| {
                if i != index || index == end {
                    return Some(());
                }
                index += 1;
                None
            });
            if index < end {
                return Ok(start(index).min(size));
            }
        }
    }
}

/// Puts `count` new pages into `spare`. `EINTR` for the dying, who are told nothing any more.
fn fill(spare: &mut PageTree, count: usize) -> Result<()> {
    for n in 0..count {
        spare.insert(n as u64, frames::alloc_zeroed()?);
        if n % BATCH == BATCH - 1 && scheduler::give_way() {
            return Err(Errno::EINTR);
        }
    }
    Ok(())
}
