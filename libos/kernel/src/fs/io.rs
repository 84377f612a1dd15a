//! Reading, writing and positioning open files.

use super::caller;
use super::file::{File, Offsets};
use super::inode::{Inode, SeekFor, WriteAt};
use super::notify::{self, Event};
use super::types::{FileType, Metadata, OpenFlags};
use crate::base::{Errno, Result};
use crate::memory::frames::Piece;
use crate::user::Buffer;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// `whence` of `lseek`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    Set,
    Current,
    End,
    Data,
    Hole,
}

impl File {
    /// The inode, for files that have a name or had one.
    pub fn inode(&self) -> Option<&Arc<dyn Inode>> {
        self.path.as_ref().map(|p| p.inode())
    }

    /// What serves the file: itself (`Err` never), or its inode.
    fn backing(&self) -> Result<&Arc<dyn Inode>> {
        self.inode().ok_or(Errno::EINVAL)
    }

    fn check_readable(&self) -> Result<()> {
        if self.flags().readable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.flags().writable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    /// `EBADF` for a file that only names a place (`O_PATH`).
    pub fn check_not_path(&self) -> Result<()> {
        if self.flags().contains(OpenFlags::PATH) {
            Err(Errno::EBADF)
        } else {
            Ok(())
        }
    }

    /// Whether reads and writes have an offset.
    pub fn seekable(&self) -> bool {
        self.offsets != Offsets::None
    }

    /// Reads at the file's offset and moves it.
    pub fn read(&self, buf: &mut Buffer<'_>) -> Result<usize> {
        self.check_readable()?;
        match (&self.ops, self.offsets) {
            (Some(ops), Offsets::None) => ops.read(self, buf, None),
            (Some(ops), Offsets::Loose) => {
                let at = self.pos.load(Ordering::Relaxed);
                let n = ops.read(self, buf, Some(at))?;
                self.pos.store(at + n as u64, Ordering::Relaxed);
                Ok(n)
            }
            _ => self.read_in_turn(buf),
        }
    }

    #[inline(never)]
    fn read_in_turn(&self, buf: &mut Buffer<'_>) -> Result<usize> {
        let _position = self.pos_lock.lock();
        let at = self.pos.load(Ordering::Relaxed);
        let n = self.read_from(buf, at)?;
        self.pos.store(at + n as u64, Ordering::Relaxed);
        Ok(n)
    }

    /// Reads at `offset`; the file's own stays. `ESPIPE` for streams.
    pub fn read_at(&self, buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
        self.check_readable()?;
        if !self.seekable() {
            return Err(Errno::ESPIPE);
        }
        self.read_from(buf, offset)
    }

    /// A page of what reading at `offset` would give, without copying it; `None` if there is none to lend.
    pub fn lend(&self, offset: u64) -> Option<Piece> {
        match (&self.ops, self.inode()) {
            (Some(ops), _) => ops.lend(),
            (None, Some(inode)) => {
                let piece = inode.lend(offset)?;
                self.accessed();
                self.notify(Event::ACCESS);
                Some(piece)
            }
            (None, None) => None,
        }
    }

    fn read_from(&self, buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
        if let Some(ops) = &self.ops {
            return ops.read(self, buf, Some(offset));
        }
        let inode = self.backing()?;
        match inode.read_at(buf, offset) {
            Err(Errno::EINVAL) if inode.kind() == FileType::Directory => Err(Errno::EISDIR),
            Ok(n) => {
                self.accessed();
                if n > 0 {
                    self.notify(Event::ACCESS);
                }
                Ok(n)
            }
            other => other,
        }
    }

    /// It has been read: so has the file, unless who opened it wanted that not to count.
    pub(super) fn accessed(&self) {
        if !self.flags().contains(OpenFlags::NOATIME)
            && let Some(path) = &self.path
        {
            path.accessed();
        }
    }

    /// Writes at the file's offset, or its end with `O_APPEND`, and moves the offset.
    pub fn write(&self, buf: &mut Buffer<'_>) -> Result<usize> {
        self.check_writable()?;
        match (&self.ops, self.offsets) {
            (Some(ops), Offsets::None) => ops.write(self, buf, None),
            (Some(ops), Offsets::Loose) => {
                let at = self.pos.load(Ordering::Relaxed);
                let n = ops.write(self, buf, Some(at))?;
                self.pos.store(at + n as u64, Ordering::Relaxed);
                Ok(n)
            }
            _ => self.write_in_turn(buf),
        }
    }

    #[inline(never)]
    fn write_in_turn(&self, buf: &mut Buffer<'_>) -> Result<usize> {
        let _position = self.pos_lock.lock();
        let at =
            (!self.flags().contains(OpenFlags::APPEND)).then(|| self.pos.load(Ordering::Relaxed));
        let (at, n) = self.write_to(buf, at)?;
        self.pos.store(at + n as u64, Ordering::Relaxed);
        Ok(n)
    }

    /// Writes at `offset` (with `O_APPEND`, as on Linux, at the end); the file's own offset stays.
    pub fn write_at(&self, buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
        self.check_writable()?;
        if !self.seekable() {
            return Err(Errno::ESPIPE);
        }
        let at = (!self.flags().contains(OpenFlags::APPEND)).then_some(offset);
        Ok(self.write_to(buf, at)?.1)
    }

    fn write_to(&self, buf: &mut Buffer<'_>, at: Option<u64>) -> Result<(u64, usize)> {
        if let Some(ops) = &self.ops {
            let at = at.unwrap_or(0);
            return Ok((at, ops.write(self, buf, Some(at))?));
        }
        let limit = caller::file_size_limit();
        let done = self.backing()?.write_at(buf, WriteAt { offset: at, limit });
        match &done {
            Err(Errno::EFBIG) => caller::over_file_size_limit(limit),
            Ok((_, n)) if *n > 0 => self.notify(Event::MODIFY),
            _ => {}
        }
        done
    }

    pub fn offset(&self) -> u64 {
        self.pos.load(Ordering::Relaxed)
    }

    /// Moves the offset; returns the new one.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        self.check_not_path()?;
        if let Some(ops) = self.ops.as_ref().filter(|_| !self.seekable()) {
            return ops.seek(offset, whence);
        }
        let _position = self.pos_lock.lock();
        let base = match whence {
            Whence::Set => 0,
            Whence::Current => self.offset(),
            Whence::End => self.size()?,
            Whence::Data | Whence::Hole => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                let what = if whence == Whence::Data {
                    SeekFor::Data
                } else {
                    SeekFor::Hole
                };
                let inode = self
                    .inode()
                    .filter(|_| self.ops.is_none())
                    .ok_or(Errno::EINVAL)?;
                let found = inode.seek(what, from)?;
                self.pos.store(found, Ordering::Relaxed);
                return Ok(found);
            }
        };
        let to = base
            .checked_add_signed(offset)
            .filter(|&to| to <= i64::MAX as u64)
            .ok_or(Errno::EINVAL)?;
        self.pos.store(to, Ordering::Relaxed);
        Ok(to)
    }

    /// Where `SEEK_END` counts from; devices have no end.
    pub fn size(&self) -> Result<u64> {
        match &self.ops {
            Some(_) => Ok(0),
            None => Ok(self.backing()?.metadata()?.size),
        }
    }

    /// What `fstat` reports.
    pub fn metadata(&self) -> Result<Metadata> {
        match (&self.path, &self.ops) {
            (Some(path), _) => path.inode().metadata(),
            (None, Some(ops)) => ops.metadata(),
            (None, None) => Err(Errno::EBADF),
        }
    }

    /// `ftruncate`.
    pub fn truncate(&self, size: u64) -> Result<()> {
        if !self.flags().writable() {
            return Err(Errno::EINVAL);
        }
        let inode = self
            .inode()
            .filter(|i| i.kind() == FileType::Regular)
            .ok_or(Errno::EINVAL)?;
        truncate_inode(inode, size)?;
        self.notify(Event::MODIFY);
        Ok(())
    }

    pub(super) fn notify(&self, event: Event) {
        if notify::active()
            && let Some(path) = &self.path
        {
            notify::on_path(path, event);
        }
    }
}

/// Sets the size; the process's limit is one to growth.
pub fn truncate_inode(inode: &Arc<dyn Inode>, size: u64) -> Result<()> {
    let limit = caller::file_size_limit();
    if size > limit && size > inode.metadata()?.size {
        caller::over_file_size_limit(limit);
        return Err(Errno::EFBIG);
    }
    inode.truncate(size)
}
