//! Mounts: which file system hangs where.

use super::dentry::Dentry;
use super::inode::FileSystem;
use super::notify;
use super::path::Path;
use super::sleep_lock::SleepLock;
use crate::base::{Errno, Result, SpinLock};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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

/// A file system and the tree of its names: one, however often it is mounted. It goes with the last mount of it, which goes with
/// the last place that somebody has in it.
pub struct Super {
    pub fs: Arc<dyn FileSystem>,
    pub root: Arc<Dentry>,
    /// See [`FileSystem::caches_names`].
    pub caches_names: bool,
}

impl Super {
    pub fn new(fs: Arc<dyn FileSystem>) -> Arc<Super> {
        Arc::new(Super {
            root: Dentry::detached(fs.root(), b"/"),
            caches_names: fs.caches_names(),
            fs,
        })
    }
}

impl Drop for Super {
    fn drop(&mut self) {
        self.root.dissolve();
        notify::unmounted(&self.root.inode);
    }
}

pub struct Mount {
    pub id: u32,
    pub sb: Arc<Super>,
    /// What it shows: the root of its file system, or, of a bind mount, any place in it.
    pub root: Arc<Dentry>,
    pub source: String,
    flags: AtomicU32,
    /// Open files and mappings through which files may be written to.
    writers: AtomicU32,
    /// Whether it is part of the tree. Changed with [`MOUNTS`] locked.
    attached: AtomicBool,
    /// The place it covers; `None` for the first mount and once unmounted. Leaf lock.
    at: SpinLock<Option<Path>>,
}

/// Every mount, in the order in which they were made. Taken before [`Mount::at`].
static MOUNTS: SpinLock<Vec<Arc<Mount>>> = SpinLock::new(Vec::new());
/// Held by who looks at one mount after the other, and by who takes one out of the tree: to be looked at is not to be in use. Taken
/// before [`MOUNTS`].
static LOOKING: SleepLock = SleepLock::new();
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl Mount {
    fn build(sb: Arc<Super>, root: Arc<Dentry>, source: &str, flags: MountFlags) -> Arc<Mount> {
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            sb,
            root,
            source: source.into(),
            flags: AtomicU32::new(flags.bits()),
            writers: AtomicU32::new(0),
            attached: AtomicBool::new(false),
            at: SpinLock::new(None),
        })
    }

    /// A mount that hangs nowhere: the home of files without a name.
    pub fn detached(fs: Arc<dyn FileSystem>, source: &str) -> Arc<Mount> {
        let sb = Super::new(fs);
        let root = sb.root.clone();
        Self::build(sb, root, source, MountFlags::empty())
    }

    /// A mount of all of `sb`: one in the tree, or else one that hangs nowhere.
    pub fn of(sb: Arc<Super>, source: &str) -> Arc<Mount> {
        let whole = |m: &&Arc<Mount>| Arc::ptr_eq(&m.sb, &sb) && Arc::ptr_eq(&m.root, &sb.root);
        if let Some(mount) = MOUNTS.lock().iter().find(whole) {
            return mount.clone();
        }
        let root = sb.root.clone();
        Self::build(sb, root, source, MountFlags::empty())
    }

    /// The root of the whole tree.
    pub fn first(fs: Arc<dyn FileSystem>, source: &str) -> Path {
        let mount = Self::detached(fs, source);
        mount.attached.store(true, Ordering::Relaxed);
        MOUNTS.lock().push(mount.clone());
        Path {
            dentry: mount.root.clone(),
            mount,
        }
    }

    pub fn fs(&self) -> &dyn FileSystem {
        &*self.sb.fs
    }

    fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces the flags. `EBUSY` if it is to be read-only and somebody can write.
    pub fn set_flags(&self, flags: MountFlags) -> Result<()> {
        let old = self.flags.swap(flags.bits(), Ordering::SeqCst);
        // Who opens a file to write is counted first and looks at the flags then: one of the two sees the other.
        if flags.contains(MountFlags::RDONLY) && self.writers.load(Ordering::SeqCst) > 0 {
            self.flags.store(old, Ordering::SeqCst);
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    pub fn add_writer(&self) {
        self.writers.fetch_add(1, Ordering::SeqCst);
    }

    pub fn drop_writer(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// The place that the mount covers.
    pub fn covers(&self) -> Option<Path> {
        self.at.lock().clone()
    }

    /// `EROFS` on a read-only mount.
    pub fn check_writable(&self) -> Result<()> {
        // Who counts as a writer before must not read flags older than that.
        let flags = MountFlags::from_bits_retain(self.flags.load(Ordering::SeqCst));
        if flags.contains(MountFlags::RDONLY) {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }

    /// Keeps the mount from becoming read-only; `EROFS` if it is.
    pub fn writing(&self) -> Result<Writing<'_>> {
        self.add_writer();
        let writing = Writing(self);
        self.check_writable()?;
        Ok(writing)
    }
}

/// A writer of a mount for as long as it lives.
pub struct Writing<'a>(&'a Mount);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.drop_writer();
    }
}

/// Hangs a file system over the directory (or, for a file root, the file) `at`. `EBUSY` where it hangs there already.
pub fn mount(sb: Arc<Super>, at: &Path, source: &str, flags: MountFlags) -> Result<Arc<Mount>> {
    if Arc::ptr_eq(&at.mount.sb, &sb) && Arc::ptr_eq(&at.mount.root, &at.dentry) {
        return Err(Errno::EBUSY);
    }
    let root = sb.root.clone();
    attach(Mount::build(sb, root, source, flags), at)
}

/// `MS_BIND`: shows the tree at `what` a second time, at `at`.
pub fn bind(what: &Path, at: &Path) -> Result<Arc<Mount>> {
    let m = &what.mount;
    if !m.is_attached() {
        return Err(Errno::EINVAL);
    }
    attach(
        Mount::build(m.sb.clone(), what.dentry.clone(), &m.source, m.flags()),
        at,
    )
}

fn attach(mount: Arc<Mount>, at: &Path) -> Result<Arc<Mount>> {
    use super::types::FileType::Directory;
    if (mount.root.kind == Directory) != (at.kind() == Directory) {
        return Err(Errno::ENOTDIR);
    }
    // Where names come and go by themselves, the next walk would not find the place again.
    if !at.mount.sb.caches_names && at.dentry.parent().is_some() {
        return Err(Errno::ENOENT);
    }
    at.dentry.with_name_kept(|| {
        if at.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let mut mounts = MOUNTS.lock();
        if !at.mount.is_attached() {
            return Err(Errno::EINVAL);
        }
        *mount.at.lock() = Some(at.clone());
        mount.attached.store(true, Ordering::Relaxed);
        at.dentry.mounts.fetch_add(1, Ordering::Release);
        mounts.push(mount.clone());
        Ok(())
    })?;
    Ok(mount)
}

/// Steps from a mount point to the root of what is mounted there, as often as that applies.
#[inline]
pub fn cross(path: &mut Path) {
    if path.dentry.is_mountpoint() {
        cross_mounts(path);
    }
}

#[inline(never)]
fn cross_mounts(path: &mut Path) {
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

/// Takes a mount out of the tree: that which `which` finds, if any.
fn detach(mut which: impl FnMut(&Arc<Mount>) -> Result<bool>) -> Result<Option<Arc<Mount>>> {
    let looking = LOOKING.lock();
    let mut mounts = MOUNTS.lock();
    for (i, mount) in mounts.iter().enumerate() {
        if which(mount)? {
            let mount = mounts.remove(i);
            mount.attached.store(false, Ordering::Relaxed);
            let place = mount.at.lock().take();
            drop(mounts);
            drop(looking);
            if let Some(place) = place {
                place.dentry.mounts.fetch_sub(1, Ordering::Release);
            }
            return Ok(Some(mount));
        }
    }
    Ok(None)
}

/// Takes the mount whose root is `path` out of the tree, and with it those that hang below.
pub fn unmount(path: Path, how: Unmount) -> Result<()> {
    let Path { mount, dentry } = path;
    if !Arc::ptr_eq(&mount.root, &dentry) {
        return Err(Errno::EINVAL);
    }
    drop(dentry);
    let found = detach(|m| {
        if !Arc::ptr_eq(m, &mount) {
            return Ok(false);
        }
        // The first mount covers nothing and stays. The table and this function hold a mount; anyone else, a mount on it included,
        // is a user.
        if m.at.lock().is_none() || how == Unmount::IfIdle && Arc::strong_count(m) > 2 {
            return Err(Errno::EBUSY);
        }
        Ok(true)
    })?;
    drop(found.ok_or(Errno::EINVAL)?);
    let hangs_nowhere = |m: &Arc<Mount>| {
        let place = m.at.lock();
        Ok(place.as_ref().is_some_and(|p| !p.mount.is_attached()))
    };
    while detach(hangs_nowhere)?.is_some() {}
    mount.fs().sync()
}

/// Calls `look` for every mount, in order. An unmount waits until that is over.
pub fn for_each(mut look: impl FnMut(&Arc<Mount>) -> Result<()>) -> Result<()> {
    let _looking = LOOKING.lock();
    for place in 0.. {
        let Some(mount) = MOUNTS.lock().get(place).cloned() else {
            break;
        };
        look(&mount)?;
    }
    Ok(())
}
