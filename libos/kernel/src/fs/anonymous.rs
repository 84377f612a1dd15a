//! Open files that have no name, seen as inodes: what a magic link to a pipe leads to.

use super::dentry::Dentry;
use super::file::{File, FileOps};
use super::inode::{Access, Inode};
use super::path::Path;
use super::types::{FileType, Metadata, OpenFlags};
use crate::base::{Errno, Result};
use alloc::sync::Arc;
use core::any::Any;

/// What served the open file: that one's end must not wait for a name of it.
struct Served(Arc<dyn FileOps>);

impl Inode for Served {
    fn ino(&self) -> u64 {
        self.metadata().map_or(0, |m| m.ino)
    }

    fn kind(&self) -> FileType {
        self.metadata().map_or(FileType::Anonymous, |m| m.kind)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.0.metadata()
    }

    /// Whoever got here was allowed to follow the link, which is check enough: the file has no owner of its own.
    fn access(&self) -> Result<Access> {
        Ok(Access {
            perm: 0o666,
            uid: 0,
            gid: 0,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOps>>> {
        self.0.reopen(flags).map(Some)
    }
}

/// A place that stands for `file`: its own, or one made up for the occasion.
pub fn place_of(file: &File) -> Result<Path> {
    if let Some(path) = file.path() {
        return Ok(path.clone());
    }
    let ops = file.ops().ok_or(Errno::ENXIO)?;
    let dentry = Dentry::detached(Arc::new(Served(ops.clone())), ops.name().as_bytes());
    Ok(Path {
        mount: super::nameless().0.clone(),
        dentry,
    })
}
