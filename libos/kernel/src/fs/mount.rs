//! Mounts: which file system hangs where.

use super::dentry::Dentry;
use super::inode::FileSystem;
use super::path::Path;
use crate::base::{Errno, Result, SpinLock};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, Ordering};

bitflags! {
    /// Flags of a mount, with the values of `MS_*` in mount(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MountFlags: u32 {
        const RDONLY = 1;
        const NOSUID = 2;
        const NODEV = 4;
        const NOEXEC = 8;
        const NOATIME = 1024;
        const NODIRATIME = 2048;
        const RELATIME = 1 << 21;
    }
}

pub struct Mount {
    pub id: u32,
    pub fs: Arc<dyn FileSystem>,
    pub root: Arc<Dentry>,
    pub source: String,
    flags: AtomicU32,
    /// The place it covers; `None` for the first mount and once unmounted. Leaf lock.
    at: SpinLock<Option<Path>>,
}

/// Every mount, in the order in which they were made. Taken before [`Mount::at`].
static MOUNTS: SpinLock<Vec<Arc<Mount>>> = SpinLock::new(Vec::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl Mount {
    fn build(
        fs: Arc<dyn FileSystem>,
        root: Arc<Dentry>,
        source: &str,
        flags: MountFlags,
    ) -> Arc<Mount> {
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fs,
            root,
            source: source.into(),
            flags: AtomicU32::new(flags.bits()),
            at: SpinLock::new(None),
        })
    }

    /// A mount that hangs nowhere: the first one, or the home of files without a name.
    pub fn detached(fs: Arc<dyn FileSystem>, source: &str) -> Arc<Mount> {
        let root = Dentry::detached(fs.root(), b"/");
        Self::build(fs, root, source, MountFlags::empty())
    }

    /// The root of the whole tree.
    pub fn first(fs: Arc<dyn FileSystem>, source: &str) -> Path {
        let mount = Self::detached(fs, source);
        MOUNTS.lock().push(mount.clone());
        Path {
            dentry: mount.root.clone(),
            mount,
        }
    }

    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// The place that the mount covers.
    pub fn covers(&self) -> Option<Path> {
        self.at.lock().clone()
    }

    /// `EROFS` on a read-only mount.
    pub fn check_writable(&self) -> Result<()> {
        if self.flags().contains(MountFlags::RDONLY) {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }
}

/// Hangs `fs` over the directory (or, for a file root, the file) `at`.
pub fn mount(
    fs: Arc<dyn FileSystem>,
    at: &Path,
    source: &str,
    flags: MountFlags,
) -> Result<Arc<Mount>> {
    let root = Dentry::detached(fs.root(), b"/");
    attach(Mount::build(fs, root, source, flags), at)
}

/// `MS_BIND`: shows the tree at `what` a second time, at `at`.
pub fn bind(what: &Path, at: &Path) -> Result<Arc<Mount>> {
    let m = &what.mount;
    attach(
        Mount::build(m.fs.clone(), what.dentry.clone(), &m.source, m.flags()),
        at,
    )
}

fn attach(mount: Arc<Mount>, at: &Path) -> Result<Arc<Mount>> {
    use super::types::FileType::Directory;
    if (mount.root.inode.kind() == Directory) != (at.inode().kind() == Directory) {
        return Err(Errno::ENOTDIR);
    }
    let mut mounts = MOUNTS.lock();
    *mount.at.lock() = Some(at.clone());
    at.dentry.mounts.fetch_add(1, Ordering::Release);
    mounts.push(mount.clone());
    Ok(mount)
}

/// Steps from a mount point to the root of what is mounted there, as often as that applies.
pub fn cross(path: &mut Path) {
    while path.dentry.is_mountpoint() {
        let found = MOUNTS
            .lock()
            .iter()
            .rev()
            .find(|m| m.at.lock().as_ref() == Some(path))
            .cloned();
        match found {
            Some(mount) => {
                *path = Path {
                    dentry: mount.root.clone(),
                    mount,
                }
            }
            None => return,
        }
    }
}

/// Whether an unmount minds that the mount is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmount {
    IfIdle,
    /// `MNT_DETACH`: out of the tree now, gone when the last user is.
    Detach,
}

/// Takes the mount whose root is `path` out of the tree.
pub fn unmount(path: Path, how: Unmount) -> Result<()> {
    let Path { mount, dentry } = path;
    if !Arc::ptr_eq(&mount.root, &dentry) {
        return Err(Errno::EINVAL);
    }
    drop(dentry);
    let covered = {
        let mut mounts = MOUNTS.lock();
        let index = mounts
            .iter()
            .position(|m| Arc::ptr_eq(m, &mount))
            .ok_or(Errno::EINVAL)?;
        // The first mount covers nothing and stays.
        if mount.at.lock().is_none() {
            return Err(Errno::EBUSY);
        }
        let below = mounts.iter().any(|m| {
            m.at.lock()
                .as_ref()
                .is_some_and(|p| Arc::ptr_eq(&p.mount, &mount))
        });
        // The table and this function hold it; anyone else is a user.
        if how == Unmount::IfIdle && (below || Arc::strong_count(&mount) > 2) {
            return Err(Errno::EBUSY);
        }
        mounts.remove(index);
        mount.at.lock().take()
    };
    if let Some(at) = covered {
        at.dentry.mounts.fetch_sub(1, Ordering::Release);
    }
    mount.fs.sync()?;
    // A bind mount shares its dentries with the tree it shows.
    if how == Unmount::IfIdle && mount.root.parent().is_none() && !is_shared(&mount) {
        mount.root.dissolve();
    }
    Ok(())
}

fn is_shared(mount: &Arc<Mount>) -> bool {
    MOUNTS.lock().iter().any(|m| Arc::ptr_eq(&m.fs, &mount.fs))
}

/// Every mount, in order.
pub fn list() -> Vec<Arc<Mount>> {
    MOUNTS.lock().clone()
}
