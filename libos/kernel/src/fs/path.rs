//! Places in the tree: a dentry together with the mount it is seen through.

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Mount;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A place in the tree. Holding one keeps the inode alive, whatever becomes of its name.
#[derive(Clone)]
pub struct Path {
    pub(super) mount: Arc<Mount>,
    pub(super) dentry: Arc<Dentry>,
}

impl Path {
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.dentry.inode
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

/// The name of `path` as seen from `root`; a file whose name is gone is marked as Linux marks it.
pub fn describe(path: &Path, root: &Path) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = path.clone();
    while at != *root {
        if Arc::ptr_eq(&at.dentry, &at.mount.root) {
            match at.mount.covers() {
                Some(place) => at = place,
                None => break,
            }
            continue;
        }
        names.push(at.dentry.name());
        match at.dentry.parent() {
            Some(parent) => at.dentry = parent,
            // A file that never was in a directory (a memfd, a pipe) is called what its dentry is called.
            None => return deleted(path, names[0].as_bytes().to_vec()),
        }
    }
    let mut text = Vec::new();
    for name in names.iter().rev() {
        text.push(b'/');
        text.extend_from_slice(name.as_bytes());
    }
    if text.is_empty() {
        text.push(b'/');
    }
    deleted(path, text)
}

fn deleted(path: &Path, mut text: Vec<u8>) -> Vec<u8> {
    if path.dentry.is_unlinked() {
        text.extend_from_slice(b" (deleted)");
    }
    text
}
