//! A file system in memory (tmpfs semantics): the root, `/tmp`, `/dev`, `memfd`s.
//!
//! Pages are frames; a file of the packed root file system is read where it lies in the image until it is written to.

mod dir;
mod file;
mod inode;
mod node;
mod space;
#[cfg(test)]
mod tests;
mod xattrs;

pub use file::{Contents, SIZE_MAX, seal};
pub use node::{Body, PROGRAM_MARKER, RamInode};

use super::inode::{FileSystem, FsStat, Inode};
use super::types::Dev;
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::memory::{commit, frames};
use crate::time::Timespec;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

const TMPFS_MAGIC: u64 = 0x0102_1994;

/// What all inodes of one file system share.
pub struct Shared {
    pub dev: Dev,
    next_ino: AtomicU64,
    used: AtomicUsize,
    /// Pages that may be in use at once; [`UNLIMITED`].
    limit: AtomicUsize,
    /// Bytes that stand for what inodes, their names and attributes take of the kernel's heap, which nobody's end gives back.
    heap: AtomicUsize,
    heap_limit: AtomicUsize,
}

/// What an inode counts as, with a name and their places in tables; each further name counts as much.
const INODE: usize = 1024;
/// More than can be, of pages and of inodes, and little enough to be multiplied by their sizes.
pub const UNLIMITED: usize = usize::MAX / PAGE_SIZE;

/// How much a file system may hold.
#[derive(Clone, Copy)]
pub struct Limits {
    pub pages: usize,
    pub inodes: usize,
}

impl Default for Limits {
    /// As tmpfs has it: half of RAM, and an inode for each page of that.
    fn default() -> Self {
        Limits {
            pages: frames::total_count() / 2,
            inodes: frames::total_count() / 2,
        }
    }
}

/// Adds `n` to `used`, or nothing where that would be too much: who asks for too much is in nobody's way meanwhile.
fn add_within(used: &AtomicUsize, n: usize, limit: &AtomicUsize) -> Result<()> {
    let limit = limit.load(Ordering::Relaxed);
    let add = |used: usize| used.checked_add(n).filter(|&sum| sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
        .map_or(Err(Errno::ENOSPC), |_| Ok(()))
}

impl Shared {
    /// Takes pages from the budget; `ENOSPC` when it is spent.
    fn charge(&self, pages: usize) -> Result<()> {
        commit::check(pages).map_err(|_| Errno::ENOSPC)?;
        add_within(&self.used, pages, &self.limit)?;
        commit::charge(pages);
        Ok(())
    }

    /// Takes bytes from the budget of the heap.
    fn take(&self, bytes: usize) -> Result<()> {
        add_within(&self.heap, bytes, &self.heap_limit)
    }

    /// As [`take`](Self::take), of what is made from inside the kernel and must be.
    fn take_anyway(&self, bytes: usize) {
        self.heap.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.heap.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// `mount -o remount,size=`: `EINVAL` if more is in use.
    fn set_limits(&self, limits: Limits) -> Result<()> {
        let heap = limits.inodes * INODE;
        if self.used.load(Ordering::Relaxed) > limits.pages
            || self.heap.load(Ordering::Relaxed) > heap
        {
            return Err(Errno::EINVAL);
        }
        self.limit.store(limits.pages, Ordering::Relaxed);
        self.heap_limit.store(heap, Ordering::Relaxed);
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            pages: self.limit.load(Ordering::Relaxed),
            inodes: self.heap_limit.load(Ordering::Relaxed) / INODE,
        }
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
    /// An empty file system; `name` is its type.
    pub fn new(name: &'static str, limits: Limits, perm: u16) -> Arc<RamFs> {
        let shared = Arc::new(Shared {
            dev: anonymous_dev(),
            next_ino: AtomicU64::new(1),
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limits.pages),
            heap: AtomicUsize::new(0),
            heap_limit: AtomicUsize::new(limits.inodes * INODE),
        });
        let root = RamInode::new(&shared, Body::directory(), perm, 0, 0, Timespec::now());
        Arc::new(RamFs { name, root, shared })
    }

    pub fn limits(&self) -> Limits {
        self.shared.limits()
    }

    /// `EINVAL` if there is more already.
    pub fn set_limits(&self, limits: Limits) -> Result<()> {
        self.shared.set_limits(limits)
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
        let Limits { pages, inodes } = self.limits();
        let used = self.shared.used.load(Ordering::Relaxed);
        let heap = self.shared.heap.load(Ordering::Relaxed);
        let mut stat = FsStat {
            magic: TMPFS_MAGIC,
            block_size: PAGE_SIZE as u64,
            ..FsStat::default()
        };
        if pages != UNLIMITED {
            // Memory that is not there cannot be used, whatever the limit says.
            let free = pages.saturating_sub(used).min(frames::free_count());
            (stat.blocks, stat.free) = (pages as u64, free as u64);
        }
        if inodes != UNLIMITED {
            let free = (inodes * INODE).saturating_sub(heap) / INODE;
            (stat.files, stat.files_free) = (inodes as u64, free as u64);
        }
        Ok(stat)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn used_bytes(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed) * PAGE_SIZE
    }

    fn options(&self) -> String {
        let Limits { pages, inodes } = self.limits();
        let size = |pages| alloc::format!("size={}k", pages * (PAGE_SIZE / 1024));
        let mut options = match pages {
            UNLIMITED => String::new(),
            pages => size(pages),
        };
        if inodes != Limits::default().inodes {
            let comma = if options.is_empty() { "" } else { "," };
            // 0 says that there is no limit.
            options += &alloc::format!("{comma}nr_inodes={}", inodes % UNLIMITED);
        }
        options
    }
}
