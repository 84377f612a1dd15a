//! Descriptors: small numbers that a process calls its open files by.

use super::file::File;
use crate::base::{Errno, Result, SpinLock};
use crate::process::scheduler;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

/// What one descriptor holds besides the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExec {
    Keep,
    /// `FD_CLOEXEC`.
    Close,
}

impl OnExec {
    pub fn from_flag(close: bool) -> Self {
        if close { OnExec::Close } else { OnExec::Keep }
    }
}

#[derive(Clone)]
struct Slot {
    file: Arc<File>,
    on_exec: OnExec,
}

/// Descriptors of one piece of a table: a megabyte, so that no table needs more memory than that in one piece.
const PIECE: usize = 1 << 16;
/// A program may not have more descriptors than this, whatever its limit (`fs.nr_open`).
pub const MOST: usize = 1 << 20;

/// Descriptors that are looked at before others may have the table.
const LOOKED_AT: usize = 4096;

#[derive(Default)]
pub(crate) struct Slots {
    /// The descriptors below [`PIECE`], which are all that most programs have.
    near: Vec<Option<Slot>>,
    /// The others, a piece each, as far as it is used.
    far: Vec<Vec<Option<Slot>>>,
    /// Every descriptor below this is in use.
    first_free: usize,
}

/// The descriptors of a process; threads share one table.
pub struct FdTable {
    /// Leaf lock: nothing is called with it held; files are dropped after it is released.
    pub(crate) inner: SpinLock<Slots>,
}

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl FdTable {
    pub const fn new() -> Self {
        FdTable {
            inner: SpinLock::new(Slots {
                near: Vec::new(),
                far: Vec::new(),
                first_free: 0,
            }),
        }
    }

    /// The table of a forked child: the same open files under the same numbers. A table can be megabytes long: `ENOMEM`.
    pub fn fork(&self) -> Result<FdTable> {
        let inner = self.inner.lock();
        let copy = |piece: &Vec<Option<Slot>>| {
            let used = piece.iter().rposition(Option::is_some);
            let used = &piece[..used.map_or(0, |last| last + 1)];
            let mut copy = Vec::new();
            copy.try_reserve_exact(used.len())
                .map_err(|_| Errno::ENOMEM)?;
            copy.extend_from_slice(used);
            Ok(copy)
        };
        Ok(FdTable {
            inner: SpinLock::new(Slots {
                near: copy(&inner.near)?,
                far: inner.far.iter().map(copy).collect::<Result<_>>()?,
                first_free: inner.first_free,
            }),
        })
    }

    /// One more than the highest descriptor, or more.
    pub fn size(&self) -> usize {
        self.inner.lock().len()
    }

    /// The open file; `EBADF` if there is none.
    pub fn get(&self, fd: i32) -> Result<Arc<File>> {
        self.inner.lock().get(fd).cloned().ok_or(Errno::EBADF)
    }

    /// The open files of many descriptors, `None` for those that are not open, in place of as many single questions. `files` has
    /// room for them all.
    pub(crate) fn get_each(
        &self,
        fds: impl ExactSizeIterator<Item = i32>,
        files: &mut Vec<ManuallyDrop<Option<Arc<File>>>>,
    ) {
        debug_assert!(files.capacity() - files.len() >= fds.len());
        let inner = self.inner.lock();
        files.extend(fds.map(|fd| ManuallyDrop::new(inner.get(fd).cloned())));
    }

    /// Gives `file` the lowest free number from `min` on; `EMFILE` if that is not below `limit` (`RLIMIT_NOFILE`).
    pub fn insert_from(
        &self,
        min: usize,
        file: Arc<File>,
        on_exec: OnExec,
        limit: u64,
    ) -> Result<i32> {
        let mut inner = self.inner.lock();
        let fd = inner.free_from(min);
        if fd as u64 >= limit.min(MOST as u64) {
            return Err(Errno::EMFILE);
        }
        // Where there is no room, the file goes with no lock held.
        let place = inner.place(fd)?;
        *place = Some(Slot { file, on_exec });
        if min <= inner.first_free {
            inner.first_free = fd + 1;
        }
        Ok(fd as i32)
    }

    /// `EMFILE` if one more descriptor would not be below `limit`.
    pub fn check_room(&self, limit: u64) -> Result<()> {
        if (self.inner.lock().free_from(0) as u64) < limit {
            Ok(())
        } else {
            Err(Errno::EMFILE)
        }
    }

    /// As [`insert_from`](Self::insert_from) 0, with the limit of the current process.
    pub fn insert(&self, file: Arc<File>, on_exec: OnExec) -> Result<i32> {
        self.insert_from(0, file, on_exec, super::caller::open_file_limit())
    }

    /// Puts `file` at `fd`; returns what was there, for the caller to close. `EBADF` at or above the process's limit.
    pub fn replace(&self, fd: i32, file: Arc<File>, on_exec: OnExec) -> Result<Option<Arc<File>>> {
        self.replace_within(fd, file, on_exec, super::caller::open_file_limit())
    }

    fn replace_within(
        &self,
        fd: i32,
        file: Arc<File>,
        on_exec: OnExec,
        limit: u64,
    ) -> Result<Option<Arc<File>>> {
        if fd < 0 || fd as u64 >= limit.min(MOST as u64) {
            return Err(Errno::EBADF);
        }
        let mut inner = self.inner.lock();
        let old = inner.place(fd as usize)?.replace(Slot { file, on_exec });
        Ok(old.map(|slot| slot.file))
    }

    /// Takes `fd` out of the table. The caller lets go of the file with [`super::close_file`].
    pub fn remove(&self, fd: i32) -> Result<Arc<File>> {
        let mut inner = self.inner.lock();
        let slot = inner
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)?;
        inner.first_free = inner.first_free.min(fd as usize);
        Ok(slot.file)
    }

    /// The same, if it is `file` that is there.
    pub fn remove_file(&self, fd: i32, file: &Arc<File>) -> Option<Arc<File>> {
        let mut inner = self.inner.lock();
        let slot = inner.get_mut(fd as usize)?;
        let slot = slot.take_if(|slot| Arc::ptr_eq(&slot.file, file))?;
        inner.first_free = inner.first_free.min(fd as usize);
        Some(slot.file)
    }

    pub fn on_exec(&self, fd: i32) -> Result<OnExec> {
        let inner = self.inner.lock();
        Ok(inner.slot(fd).ok_or(Errno::EBADF)?.on_exec)
    }

    pub fn set_on_exec(&self, fd: i32, on_exec: OnExec) -> Result<()> {
        match self.inner.lock().get_mut(fd as usize) {
            Some(Some(slot)) => {
                slot.on_exec = on_exec;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Descriptors in use, in ascending order. None if memory is short.
    pub fn list(&self) -> Vec<i32> {
        let inner = self.inner.lock();
        let used = || (0..inner.len() as i32).filter(|fd| inner.slot(*fd).is_some());
        let mut list = Vec::new();
        if list.try_reserve_exact(used().count()).is_ok() {
            list.extend(used());
        }
        list
    }

    /// Closes every descriptor of `first..=last` that `which` accepts, some at a time: that wants no memory, and files go with no
    /// lock held.
    pub fn close_where(&self, first: usize, last: usize, which: impl Fn(OnExec) -> bool) {
        let mut next = first;
        loop {
            let mut batch = [const { None }; 16];
            let mut taken = 0;
            let more = {
                let mut inner = self.inner.lock();
                let end = last.saturating_add(1).min(inner.len());
                let pause = end.min(next.saturating_add(LOOKED_AT));
                while next < pause && taken < batch.len() {
                    let slot = inner.get_mut(next);
                    if let Some(slot) = slot.and_then(|s| s.take_if(|s| which(s.on_exec))) {
                        batch[taken] = Some(slot);
                        taken += 1;
                        inner.first_free = inner.first_free.min(next);
                    }
                    next += 1;
                }
                next < end
            };
            for slot in batch[..taken].iter_mut().filter_map(Option::take) {
                super::close_file(slot.file);
            }
            if !more {
                return;
            }
            scheduler::give_way();
        }
    }

    /// `exec`: closes what is marked so. The table must not be shared by then.
    pub fn close_on_exec(&self) {
        self.close_where(0, usize::MAX, |on_exec| on_exec == OnExec::Close);
    }

    /// The process is gone: closes everything.
    pub fn close_all(&self) {
        self.close_where(0, usize::MAX, |_| true);
    }
}

impl Slots {
    #[inline(always)]
    pub(crate) fn get(&self, fd: i32) -> Option<&Arc<File>> {
        Some(&self.slot(fd)?.file)
    }

    #[inline(always)]
    fn slot(&self, fd: i32) -> Option<&Slot> {
        match self.near.get(fd as usize) {
            Some(slot) => slot.as_ref(),
            None => self.far_slot(fd as usize),
        }
    }

    #[cold]
    fn far_slot(&self, fd: usize) -> Option<&Slot> {
        let piece = self.far.get((fd / PIECE).checked_sub(1)?)?;
        piece.get(fd % PIECE)?.as_ref()
    }

    fn get_mut(&mut self, fd: usize) -> Option<&mut Option<Slot>> {
        match fd / PIECE {
            0 => self.near.get_mut(fd),
            piece => self.far.get_mut(piece - 1)?.get_mut(fd % PIECE),
        }
    }

    /// One more than the highest descriptor, or more.
    fn len(&self) -> usize {
        match self.far.last() {
            Some(last) => self.far.len() * PIECE + last.len(),
            None => self.near.len(),
        }
    }

    /// The lowest free descriptor from `min` on.
    fn free_from(&self, min: usize) -> usize {
        let start = min.max(self.first_free);
        let rest = self.near.get(start..).unwrap_or_default();
        match rest.iter().position(Option::is_none) {
            Some(n) => start + n,
            None => (start.max(self.near.len())..)
                .find(|&fd| self.far_slot(fd).is_none())
                .unwrap_or(usize::MAX),
        }
    }

    /// Where `fd` goes, which is below [`MOST`].
    fn place(&mut self, fd: usize) -> Result<&mut Option<Slot>> {
        let piece = match fd / PIECE {
            0 => &mut self.near,
            n => {
                if n > self.far.len() {
                    self.far.resize_with(n, Vec::new);
                }
                &mut self.far[n - 1]
            }
        };
        let at = fd % PIECE;
        if at >= piece.len() {
            let grow = at + 1 - piece.len();
            piece.try_reserve(grow).map_err(|_| Errno::ENOMEM)?;
            piece.resize(at + 1, None);
        }
        Ok(&mut piece[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::World;
    use crate::fs::types::OpenFlags;

    #[test]
    fn descriptors_are_the_lowest_free_numbers() {
        let w = World::new();
        let table = FdTable::new();
        let file = || w.open("/", OpenFlags::DIRECTORY).unwrap();
        let insert = |min| table.insert_from(min, file(), OnExec::Keep, 8);
        assert_eq!(
            (insert(0), insert(0), insert(5), insert(0)),
            (Ok(0), Ok(1), Ok(5), Ok(2))
        );
        table.remove(1).unwrap();
        assert_eq!(table.remove(1).err(), Some(Errno::EBADF));
        let child = table.fork().unwrap();
        assert_eq!(
            (insert(0), insert(0), insert(0), insert(0), insert(0)),
            (Ok(1), Ok(3), Ok(4), Ok(6), Ok(7))
        );
        assert_eq!(insert(0), Err(Errno::EMFILE));
        assert_eq!(table.check_room(8), Err(Errno::EMFILE));
        assert_eq!(child.list(), [0, 2, 5]);
        table.set_on_exec(3, OnExec::Close).unwrap();
        table.close_where(0, 100, |o| o == OnExec::Close);
        assert_eq!(table.get(3).err(), Some(Errno::EBADF));
        assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
    }

    #[test]
    fn far_descriptors_take_no_room_for_those_between() {
        let w = World::new();
        let table = FdTable::new();
        let file = || w.open("/", OpenFlags::DIRECTORY).unwrap();
        let insert = |min| table.insert_from(min, file(), OnExec::Keep, u64::MAX);
        let last = MOST as i32 - 1;
        assert_eq!(insert(0), Ok(0));
        assert!(
            table
                .replace_within(last, file(), OnExec::Keep, u64::MAX)
                .is_ok()
        );
        assert_eq!(insert(MOST - 1), Err(Errno::EMFILE));
        assert_eq!(
            (insert(PIECE), insert(PIECE - 1)),
            (Ok(1 << 16), Ok((1 << 16) - 1))
        );
        assert_eq!((insert(PIECE - 1), insert(0)), (Ok((1 << 16) + 1), Ok(1)));
        let child = table.fork().unwrap();
        let all = [0, 1, 65535, 65536, 65537, last];
        assert_eq!((table.list(), child.list()), (all.to_vec(), all.to_vec()));
        table.close_where(65536, MOST, |_| true);
        assert_eq!(table.list(), [0, 1, 65535]);
        assert!(table.get(last).is_err() && child.get(last).is_ok());
    }

    #[test]
    fn more_than_a_batch_is_closed_and_nothing_else() {
        let w = World::new();
        let table = FdTable::new();
        for n in 0..100 {
            let file = w.open("/", OpenFlags::DIRECTORY).unwrap();
            let on_exec = OnExec::from_flag(n % 4 != 0);
            table.insert_from(0, file, on_exec, 100).unwrap();
        }
        table.close_where(10, 89, |o| o == OnExec::Close);
        let kept = |fd: &i32| !(10..90).contains(fd) || fd % 4 == 0;
        assert_eq!(table.list(), (0..100).filter(kept).collect::<Vec<_>>());
        table.close_on_exec();
        assert_eq!(table.list().len(), 25);
        table.close_all();
        assert_eq!(table.list(), []);
    }
}
