//! A file system in memory (tmpfs semantics): the root, `/tmp`, `/dev`, `memfd`s.
//!
//! Pages are frames; a file of the packed root file system is read where it lies in the image until it is written to.

mod dir;
mod file;
mod inode;
mod node;
#[cfg(test)]
mod tests;

pub use file::{Contents, SIZE_MAX, seal};
pub use node::{Body, PROGRAM_MARKER, RamInode};

use super::inode::{FileSystem, FsStat, Inode};
use super::types::Dev;
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::memory::{commit, frames};
use crate::time::Timespec;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

const TMPFS_MAGIC: u64 = 0x0102_1994;

/// What all inodes of one file system share.
pub struct Shared {
    pub dev: Dev,
    next_ino: AtomicU64,
    used: AtomicUsize,
    /// Pages that may be in use at once.
    limit: AtomicUsize,
    inodes: AtomicUsize,
}

impl Shared {
    /// Takes one page from the budget; `ENOSPC` when it is spent.
    fn charge(&self) -> Result<()> {
        if self.used.fetch_add(1, Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) {
            self.used.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        if commit::check(1).is_err() {
            self.used.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        commit::charge(1);
        Ok(())
    }

    /// `mount -o remount,size=`: `EINVAL` if more is in use.
    fn set_limit(&self, pages: usize) -> Result<()> {
        if self.used.load(Ordering::Relaxed) > pages {
            return Err(Errno::EINVAL);
        }
        self.limit.store(pages, Ordering::Relaxed);
        Ok(())
    }

    fn refund(&self, pages: usize) {
        self.used.fetch_sub(pages, Ordering::Relaxed);
        commit::uncharge(pages);
    }

    fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }
}

pub struct RamFs {
    name: &'static str,
    root: Arc<RamInode>,
    shared: Arc<Shared>,
}

/// A device number of its own for each file system without a device.
pub fn anonymous_dev() -> Dev {
    static NEXT: AtomicU32 = AtomicU32::new(20);
    Dev::new(0, NEXT.fetch_add(1, Ordering::Relaxed))
}

impl RamFs {
    /// An empty file system of at most `pages` pages; `name` is its type.
    pub fn new(name: &'static str, pages: usize, perm: u16) -> Arc<RamFs> {
        let shared = Arc::new(Shared {
            dev: anonymous_dev(),
            next_ino: AtomicU64::new(1),
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(pages),
            inodes: AtomicUsize::new(0),
        });
        let root = RamInode::new(&shared, Body::directory(), perm, 0, 0, Timespec::now());
        Arc::new(RamFs { name, root, shared })
    }

    /// Half of RAM, as tmpfs has it.
    pub fn default_pages() -> usize {
        frames::total_count() / 2
    }

    /// The root as what it is, for who fills the file system from inside the kernel.
    pub fn root_dir(&self) -> &Arc<RamInode> {
        &self.root
    }
}

impl FileSystem for RamFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> Result<FsStat> {
        let limit = self.shared.limit.load(Ordering::Relaxed);
        let used = self.shared.used.load(Ordering::Relaxed);
        // Memory that is not there cannot be used, whatever the limit says.
        let free = limit.saturating_sub(used).min(frames::free_count());
        let files = limit.max(self.shared.inodes.load(Ordering::Relaxed));
        Ok(FsStat {
            magic: TMPFS_MAGIC,
            block_size: PAGE_SIZE as u64,
            blocks: limit as u64,
            free: free as u64,
            files: files as u64,
            files_free: (files - self.shared.inodes.load(Ordering::Relaxed)) as u64,
        })
    }

    fn used_bytes(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed) * PAGE_SIZE
    }

    fn options(&self) -> String {
        alloc::format!(
            "size={}k",
            self.shared.limit.load(Ordering::Relaxed) * (PAGE_SIZE / 1024)
        )
    }
}
