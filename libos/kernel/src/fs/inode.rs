//! What a file system provides: inodes, and the file system they belong to.
//!
//! Every method may block, fail, or run out of space; none is called with a spinlock held. Permissions, mounts,
//! name lengths and the dentry cache are the VFS's business: an inode sees checked, single-component names.
//! The VFS serialises changes of one directory (and its lookups that miss the cache) with a sleeping lock.

use super::file::FileOps;
use super::path::Path;
use super::types::{Dev, FileType, Hashed, Metadata, OpenFlags, SetAttr};
use crate::base::{Errno, Result};
use crate::memory::frames::{Frame, Piece};
use crate::user::Buffer;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// What a permission check needs to know; kept cheap to obtain.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
}

/// What to create, and for whom.
pub struct NewInode<'a> {
    pub kind: NewKind<'a>,
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
}

pub enum NewKind<'a> {
    File,
    Directory,
    Symlink(&'a [u8]),
    Fifo,
    Socket,
    Char(Dev),
    Block(Dev),
}

/// One entry that `readdir` reports. `next` is the cookie that continues after it.
pub struct DirEntry<'a> {
    pub name: &'a [u8],
    pub ino: u64,
    pub kind: FileType,
    pub next: u64,
}

/// Where a symbolic link leads.
pub enum Link {
    Text(Vec<u8>),
    /// A magic link, `/proc/self/fd/N`: straight to a file, whatever its name is by now.
    Jump(Path),
}

/// Where a write goes.
#[derive(Clone, Copy, Debug)]
pub struct WriteAt {
    /// `None` appends: the end is found and extended in one step.
    pub offset: Option<u64>,
    /// No byte is written at or past this offset (`RLIMIT_FSIZE`); a write that starts there is `EFBIG`.
    pub limit: u64,
}

/// Why a page is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageFor {
    Read,
    /// A shared mapping is about to write to it.
    Write,
}

/// What a mapping of a file may become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MappedFor {
    /// What is written to it never reaches the file.
    Copies,
    /// Shared by way of a descriptor that may write, but not asked to be writable now.
    Looking,
    /// Shared and writable.
    Writing,
}

/// What `fallocate` is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allocate {
    Extend,
    KeepSize,
    PunchHole,
    ZeroRange,
    ZeroRangeKeepSize,
}

/// What `rename` is to do with an existing target. The VFS has already refused `NOREPLACE` onto one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameHow {
    Replace,
    Exchange,
}

/// What `lseek` looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekFor {
    Data,
    Hole,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XattrSet {
    Any,
    Create,
    Replace,
}

pub trait Inode: Send + Sync + Any {
    fn ino(&self) -> u64;
    fn kind(&self) -> FileType;
    fn metadata(&self) -> Result<Metadata>;
    fn access(&self) -> Result<Access> {
        let m = self.metadata()?;
        Ok(Access {
            perm: m.perm,
            uid: m.uid,
            gid: m.gid,
        })
    }
    /// Changes attributes as `decide` says, who sees what they are and may refuse; in between nobody else changes them. It is
    /// called with the inode's lock held.
    fn set_attr(&self, _decide: &mut dyn FnMut(Access) -> Result<SetAttr>) -> Result<()> {
        Err(Errno::EPERM)
    }
    /// It has been read, in a way that counts: the time of access may want to be changed.
    fn accessed(&self) {}
    fn as_any(&self) -> &dyn Any;

    // Directories.
    fn lookup(&self, _name: Hashed<'_>) -> Result<Arc<dyn Inode>> {
        Err(Errno::ENOTDIR)
    }
    /// `EEXIST` if the name is taken.
    fn create(&self, _name: Hashed<'_>, _new: &NewInode<'_>) -> Result<Arc<dyn Inode>> {
        Err(Errno::EPERM)
    }
    /// A file without a name (`O_TMPFILE`), which `link` may give one if it is to be `linkable`.
    fn tmpfile(&self, _new: &NewInode<'_>, _linkable: bool) -> Result<Arc<dyn Inode>> {
        Err(Errno::EOPNOTSUPP)
    }
    fn link(&self, _name: Hashed<'_>, _target: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }
    fn unlink(&self, _name: Hashed<'_>) -> Result<()> {
        Err(Errno::EPERM)
    }
    fn rmdir(&self, _name: Hashed<'_>) -> Result<()> {
        Err(Errno::EPERM)
    }
    fn rename(
        &self,
        _old: Hashed<'_>,
        _new_dir: &Arc<dyn Inode>,
        _new: Hashed<'_>,
        _how: RenameHow,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }
    /// Reports entries from `cookie` (0: the start) until `sink` says `false`; `.` and `..` are the VFS's.
    fn readdir(&self, _cookie: u64, _sink: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        Err(Errno::ENOTDIR)
    }

    // Symbolic links.
    fn read_link(&self) -> Result<Link> {
        Err(Errno::EINVAL)
    }

    // Opening. `None`: reads and writes go to `read_at` and `write_at`.
    fn open(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn FileOps>>> {
        Ok(None)
    }

    // Contents of regular files.
    fn read_at(&self, _buf: &mut Buffer<'_>, _offset: u64) -> Result<usize> {
        Err(Errno::EINVAL)
    }
    /// Returns where the data went and how much of it.
    fn write_at(&self, _buf: &mut Buffer<'_>, _at: WriteAt) -> Result<(u64, usize)> {
        Err(Errno::EINVAL)
    }
    fn truncate(&self, _size: u64) -> Result<()> {
        Err(Errno::EINVAL)
    }
    fn allocate(&self, _how: Allocate, _offset: u64, _len: u64) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }
    /// The file's own page `index`, for mapping; `ENXIO` past the end.
    fn page(&self, _index: u64, _purpose: PageFor) -> Result<Frame> {
        Err(Errno::ENODEV)
    }
    /// Whether page `index` is in memory. Takes no lock but those that [`page`](Self::page) takes, as the fault path does.
    fn has_page(&self, _index: u64) -> bool {
        false
    }
    /// Size in bytes now.
    fn size(&self) -> u64 {
        self.metadata().map_or(0, |m| m.size)
    }
    /// The file is about to be mapped. Returns whether the mapping may be writable, now or later; `EPERM` if it should be and the
    /// file is sealed. Each success is taken back by [`unmapped`](Self::unmapped), with what it returned.
    fn mapped(&self, how: MappedFor) -> Result<bool> {
        Ok(how != MappedFor::Copies)
    }
    fn unmapped(&self, _may_write: bool) {}
    /// The page at byte `offset` if there is one in memory that readers may hold on to, from there to its end or the file's.
    fn lend(&self, _offset: u64) -> Option<Piece> {
        None
    }
    fn seek(&self, what: SeekFor, offset: u64) -> Result<u64> {
        // A file system without holes: all data, and one hole at the end.
        let size = self.metadata()?.size;
        match what {
            _ if offset >= size => Err(Errno::ENXIO),
            SeekFor::Data => Ok(offset),
            SeekFor::Hole => Ok(size),
        }
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    // Extended attributes. `EOPNOTSUPP`: the file system has none.
    fn get_xattr(&self, _name: &[u8]) -> Result<Arc<Vec<u8>>> {
        Err(Errno::EOPNOTSUPP)
    }
    fn set_xattr(&self, _name: &[u8], _value: Vec<u8>, _how: XattrSet) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Names, each ended by a NUL.
    fn list_xattr(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn remove_xattr(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// A program that is linked into the image: `exec` maps it instead of reading the file.
    fn linked_program(&self) -> bool {
        false
    }
}

/// What `statfs` reports, in units of `block_size`.
#[derive(Clone, Debug, Default)]
pub struct FsStat {
    pub magic: u64,
    pub block_size: u64,
    pub blocks: u64,
    pub free: u64,
    pub files: u64,
    pub files_free: u64,
}

pub trait FileSystem: Send + Sync + Any {
    fn as_any(&self) -> &dyn Any;
    /// As `/proc/mounts` names it.
    fn name(&self) -> &'static str;
    fn root(&self) -> Arc<dyn Inode>;
    fn stat(&self) -> Result<FsStat>;
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    /// Bytes of memory that the files take and that cannot be had back without losing them.
    fn used_bytes(&self) -> usize {
        0
    }
    /// Whether names stay what they are unless the VFS changes them. procfs says no: its entries come and go.
    fn caches_names(&self) -> bool {
        true
    }
    /// Options beyond the mount flags, as `/proc/mounts` shows them: `size=64k`.
    fn options(&self) -> alloc::string::String {
        alloc::string::String::new()
    }
}
