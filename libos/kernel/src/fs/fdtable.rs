//! Descriptors: small numbers that a process calls its open files by.

use super::file::File;
use crate::base::{Errno, Result, SpinLock};
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

#[derive(Clone, Default)]
pub(crate) struct Slots {
    slots: Vec<Option<Slot>>,
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
                slots: Vec::new(),
                first_free: 0,
            }),
        }
    }

    /// The table of a forked child: the same open files under the same numbers. A table can be megabytes long: `ENOMEM`.
    pub fn fork(&self) -> Result<FdTable> {
        let inner = self.inner.lock();
        let used = inner.slots.iter().rposition(Option::is_some);
        let used = &inner.slots[..used.map_or(0, |last| last + 1)];
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(used.len())
            .map_err(|_| Errno::ENOMEM)?;
        slots.extend_from_slice(used);
        let first_free = inner.first_free.min(used.len());
        Ok(FdTable {
            inner: SpinLock::new(Slots { slots, first_free }),
        })
    }

    /// One more than the highest descriptor, or more.
    pub fn size(&self) -> usize {
        self.inner.lock().slots.len()
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
        let start = min.max(inner.first_free);
        let len = inner.slots.len();
        let fd = (start..len)
            .find(|&i| inner.slots[i].is_none())
            .unwrap_or(start.max(len));
        if fd as u64 >= limit.min(i32::MAX as u64) {
            return Err(Errno::EMFILE);
        }
        inner.put(fd, Slot { file, on_exec })?;
        if fd == inner.first_free {
            inner.first_free = fd + 1;
        }
        Ok(fd as i32)
    }

    /// `EMFILE` if one more descriptor would not be below `limit`.
    pub fn check_room(&self, limit: u64) -> Result<()> {
        let inner = self.inner.lock();
        let used = |i: &usize| inner.slots.get(*i).is_some_and(Option::is_some);
        let free = (inner.first_free..).find(|i| !used(i));
        if free.is_some_and(|i| (i as u64) < limit) {
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
        if fd < 0 || fd as u64 >= limit {
            return Err(Errno::EBADF);
        }
        let mut inner = self.inner.lock();
        let fd = fd as usize;
        let old = inner.slots.get_mut(fd).and_then(Option::take);
        inner.put(fd, Slot { file, on_exec })?;
        Ok(old.map(|slot| slot.file))
    }

    /// Takes `fd` out of the table. The caller lets go of the file with [`super::close_file`].
    pub fn remove(&self, fd: i32) -> Result<Arc<File>> {
        let mut inner = self.inner.lock();
        let slot = inner
            .slots
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)?;
        inner.first_free = inner.first_free.min(fd as usize);
        Ok(slot.file)
    }

    pub fn on_exec(&self, fd: i32) -> Result<OnExec> {
        match self.inner.lock().slots.get(fd as usize) {
            Some(Some(slot)) => Ok(slot.on_exec),
            _ => Err(Errno::EBADF),
        }
    }

    pub fn set_on_exec(&self, fd: i32, on_exec: OnExec) -> Result<()> {
        match self.inner.lock().slots.get_mut(fd as usize) {
            Some(Some(slot)) => {
                slot.on_exec = on_exec;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Descriptors in use, in ascending order.
    pub fn list(&self) -> Vec<i32> {
        let inner = self.inner.lock();
        inner
            .slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.is_some())
            .map(|(i, _)| i as i32)
            .collect()
    }

    /// Takes out every descriptor of `first..=last` that `which` accepts, for the caller to close.
    pub fn take_range(
        &self,
        first: usize,
        last: usize,
        which: impl Fn(OnExec) -> bool,
    ) -> Vec<Arc<File>> {
        let mut inner = self.inner.lock();
        let mut taken = Vec::new();
        let end = last.saturating_add(1).min(inner.slots.len());
        for fd in first..end {
            if inner.slots[fd].as_ref().is_some_and(|s| which(s.on_exec)) {
                taken.extend(inner.slots[fd].take().map(|s| s.file));
                inner.first_free = inner.first_free.min(fd);
            }
        }
        taken
    }

    /// `exec`: closes what is marked so. The table must not be shared by then.
    pub fn close_on_exec(&self) {
        for file in self.take_range(0, usize::MAX - 1, |on_exec| on_exec == OnExec::Close) {
            super::close_file(file);
        }
    }

    /// The process is gone: closes everything.
    pub fn close_all(&self) {
        for file in self.take_range(0, usize::MAX - 1, |_| true) {
            super::close_file(file);
        }
    }
}

impl Slots {
    #[inline(always)]
    pub(crate) fn get(&self, fd: i32) -> Option<&Arc<File>> {
        Some(&self.slots.get(fd as usize)?.as_ref()?.file)
    }

    fn put(&mut self, fd: usize, slot: Slot) -> Result<()> {
        if fd >= self.slots.len() {
            let grow = fd + 1 - self.slots.len();
            self.slots.try_reserve(grow).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(fd + 1, None);
        }
        self.slots[fd] = Some(slot);
        Ok(())
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
        table.take_range(0, 100, |o| o == OnExec::Close);
        assert_eq!(table.get(3).err(), Some(Errno::EBADF));
        assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
    }
}
