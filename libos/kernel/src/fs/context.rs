//! What a process brings to a path walk: where it stands, where its root is, its umask.

use super::path::Path;
use crate::base::SpinLock;
use core::sync::atomic::{AtomicU32, Ordering};

/// Shared by threads, copied by fork.
pub struct FsContext {
    /// Leaf locks.
    cwd: SpinLock<Path>,
    root: SpinLock<Path>,
    umask: AtomicU32,
}

impl FsContext {
    /// Standing at the root of the tree, umask 022. `fs::init` must have run.
    pub fn initial() -> Self {
        let root = super::root();
        FsContext {
            cwd: SpinLock::new(root.clone()),
            root: SpinLock::new(root),
            umask: AtomicU32::new(0o022),
        }
    }

    pub fn fork(&self) -> Self {
        FsContext {
            cwd: SpinLock::new(self.cwd()),
            root: SpinLock::new(self.root()),
            umask: AtomicU32::new(self.umask.load(Ordering::Relaxed)),
        }
    }

    pub fn cwd(&self) -> Path {
        self.cwd.lock().clone()
    }

    pub fn root(&self) -> Path {
        self.root.lock().clone()
    }

    pub fn set_cwd(&self, path: Path) {
        let old = core::mem::replace(&mut *self.cwd.lock(), path);
        drop(old);
    }

    pub fn set_root(&self, path: Path) {
        let old = core::mem::replace(&mut *self.root.lock(), path);
        drop(old);
    }

    pub fn umask(&self) -> u16 {
        self.umask.load(Ordering::Relaxed) as u16
    }

    /// Sets the umask; returns the old one.
    pub fn set_umask(&self, mask: u16) -> u16 {
        self.umask.swap((mask & 0o777) as u32, Ordering::Relaxed) as u16
    }
}
