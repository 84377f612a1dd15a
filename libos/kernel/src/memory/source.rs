//! Where the pages of a mapped file come from.

use super::Frame;
use crate::base::Result;
use alloc::string::String;

/// Something mappable: an inode's page cache, a shared-memory object. The VFS implements it, per open mapping or per inode.
pub trait PageSource: Send + Sync {
    /// The frame that holds page `index`, from the cache itself, so that shared mappings, `read` and `write` see the same
    /// bytes (holes are filled, not answered with a zero page). `for_write`: a shared mapping is about to dirty it.
    /// May sleep: it is called with no lock held. Errors reach the program as SIGBUS, `ENOMEM` as out of memory.
    fn page(&self, index: u64, for_write: bool) -> Result<Frame>;

    /// Whether page `index` is in memory, for `mincore`. Called with the space locked.
    fn has_page(&self, index: u64) -> bool;

    /// Size in bytes now. A page that begins at or past it is SIGBUS.
    fn size(&self) -> u64;

    /// What `/proc/PID/maps` shows.
    fn name(&self) -> String {
        String::new()
    }

    /// Which file's pages they are: the same for all mappings of one file whose pages can be taken away by truncating it.
    fn file(&self) -> Option<FileKey> {
        None
    }

    /// Device and inode number, for `/proc/PID/maps`.
    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }

    /// `msync(MS_SYNC)` of bytes `start..end`.
    fn sync(&self, _start: u64, _end: u64) -> Result<()> {
        Ok(())
    }
}

/// A mapped file, as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileKey(pub usize);

/// What an open file offers to `mmap`: the VFS's answer for a descriptor.
pub struct Mapping {
    /// `None` maps anonymous memory (`/dev/zero`).
    pub source: Option<alloc::sync::Arc<dyn PageSource>>,
    /// A shared mapping may be writable, now or later: the descriptor is open for writing, and the file not sealed against it.
    pub may_become_writable: bool,
}
