//! Places in the tree: a dentry together with the mount it is seen through.

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::{Mount, MountFlags};
use super::types::{FileType, PATH_MAX};
use crate::base::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A place in the tree. Holding one keeps the inode alive, whatever becomes of its name.
#[derive(Clone)]
pub struct Path {
    // Let go of before the mount, with which the file system may go.
    pub(super) dentry: Arc<Dentry>,
    pub(super) mount: Arc<Mount>,
}

impl Path {
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.dentry.inode
    }

    pub fn kind(&self) -> FileType {
        self.dentry.kind
    }

    /// The file has been read through this mount.
    pub fn accessed(&self) {
        let flags = self.mount.flags();
        let never = MountFlags::NOATIME | MountFlags::RDONLY;
        if flags.intersects(never)
            || flags.contains(MountFlags::NODIRATIME) && self.kind() == FileType::Directory
        {
            return;
        }
        self.inode().accessed();
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

/// Stands for a name that is too long: the path of no file that can be opened by it.
pub const TOO_LONG: &str = "//toolong";

/// The name of a place.
pub struct Described {
    pub text: Vec<u8>,
    /// Whether it lies below the root that it was described from; else the name starts where the way up ended.
    pub reached: bool,
}

/// A path that is put together from its end.
struct Backwards {
    bytes: Vec<u8>,
    start: usize,
}

impl Backwards {
    fn new() -> Result<Self> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(PATH_MAX)
            .map_err(|_| Errno::ENOMEM)?;
        bytes.resize(PATH_MAX, 0);
        Ok(Backwards {
            bytes,
            start: PATH_MAX,
        })
    }

    fn push(&mut self, name: &[u8]) -> Result<()> {
        let start = self
            .start
            .checked_sub(name.len())
            .ok_or(Errno::ENAMETOOLONG)?;
        self.bytes[start..self.start].copy_from_slice(name);
        self.start = start;
        Ok(())
    }

    /// The name of `dentry` in its directory, which is returned; of what is in none, its name alone, which is all there is.
    fn step(&mut self, dentry: &Dentry) -> Result<Option<Arc<Dentry>>> {
        let (name, parent) = dentry.place();
        self.push(name.as_bytes())?;
        if parent.is_some() {
            self.push(b"/")?;
        }
        Ok(parent)
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        if self.start == PATH_MAX {
            self.push(b"/")?;
        }
        self.bytes.drain(..self.start);
        Ok(self.bytes)
    }
}

/// The name of `path` as seen from `root`; a file whose name is gone is marked as Linux marks it. `ENAMETOOLONG` if no call would
/// take it.
pub fn describe(path: &Path, root: &Path) -> Result<Described> {
    let mut text = Backwards::new()?;
    let mut at = path.clone();
    let mut reached = true;
    while at != *root {
        let mount = at.mount.clone();
        if Arc::ptr_eq(&at.dentry, &mount.root) {
            match mount.covers() {
                Some(place) => at = place,
                None => {
                    reached = false;
                    break;
                }
            }
        } else if Arc::ptr_eq(&at.dentry, &mount.sb.root) {
            // Moved out of what a bind mount shows.
            reached = false;
            break;
        } else {
            match text.step(&at.dentry)? {
                Some(parent) => at.dentry = parent,
                // It never was in a directory: a memfd, a pipe.
                None => break,
            }
        }
    }
    let mut text = text.finish()?;
    if path.dentry.is_unlinked() {
        text.extend_from_slice(b" (deleted)");
    }
    Ok(Described { text, reached })
}

/// Where in its file system the root of `mount` is.
pub fn root_of(mount: &Mount) -> Result<Vec<u8>> {
    let mut text = Backwards::new()?;
    let mut at = mount.root.clone();
    while !Arc::ptr_eq(&at, &mount.sb.root) {
        match text.step(&at)? {
            Some(parent) => at = parent,
            None => break,
        }
    }
    text.finish()
}
