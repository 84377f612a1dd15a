//! Devices: the registry that device numbers are opened through, and `/dev` itself.
//!
//! `/dev` is a file system in memory whose nodes the kernel makes; a node made elsewhere with `mknod` opens the same device.

use super::file::{File, FileOps};
use super::mount::{Mount, Super};
use super::open;
use super::path::Path;
use super::ramfs::{Body, Limits, RamFs, RamInode};
use super::types::{Dev, Hashed, OpenFlags};
use super::walk::child;
use crate::base::sync::Once;
use crate::base::{Errno, Result, SpinLock};
use crate::time::Timespec;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A character device: what opening its number gives.
pub trait CharDevice: Send + Sync {
    fn open(&self, dev: Dev, flags: OpenFlags) -> Result<Arc<dyn FileOps>>;
}

/// Any `Fn(Dev, OpenFlags)` is a device.
impl<F: Fn(Dev, OpenFlags) -> Result<Arc<dyn FileOps>> + Send + Sync> CharDevice for F {
    fn open(&self, dev: Dev, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
        self(dev, flags)
    }
}

struct Registered {
    driver: String,
    device: Arc<dyn CharDevice>,
}

static CHAR_DEVICES: SpinLock<BTreeMap<Dev, Registered>> = SpinLock::new(BTreeMap::new());
static DEV: Once<Arc<RamFs>> = Once::new();

/// The file system at `/dev`, made on first use.
pub fn file_system() -> &'static Arc<RamFs> {
    DEV.call_once(|| {
        let fs = RamFs::new("devtmpfs", Limits::default(), 0o755);
        let link = |name: &str, to: &str| {
            let body = Body::Symlink(to.as_bytes().into());
            fs.root_dir()
                .add(name.as_bytes(), body, 0o777, 0, 0, Timespec::now())
        };
        let dir = |name: &str, perm| {
            fs.root_dir().add(
                name.as_bytes(),
                Body::directory(),
                perm,
                0,
                0,
                Timespec::now(),
            )
        };
        let made = [
            link("fd", "/proc/self/fd"),
            link("stdin", "/proc/self/fd/0"),
            link("stdout", "/proc/self/fd/1"),
            link("stderr", "/proc/self/fd/2"),
            dir("shm", 0o1777),
            dir("pts", 0o755),
        ];
        for error in made.into_iter().filter_map(Result::err) {
            crate::klog!(Err, "devfs: {error:?}");
        }
        fs
    })
}

/// The same with the tree of its names, wherever it is mounted.
pub fn superblock() -> Arc<Super> {
    static SUPER: Once<Arc<Super>> = Once::new();
    SUPER
        .call_once(|| Super::new(file_system().clone()))
        .clone()
}

/// Registers a character device and gives it a name in `/dev` (`tty`, `pts/0`). May be called before `fs::init`.
pub fn register_char(name: &str, dev: Dev, perm: u16, device: Arc<dyn CharDevice>) -> Result<()> {
    register_driver(name, dev, device);
    add_node(name, dev, perm, 0, 0)
}

/// Registers a character device without giving it a name: one of many of a driver, or a replacement.
pub fn register_driver(name: &str, dev: Dev, device: Arc<dyn CharDevice>) {
    // `pts/3` is of the driver `pts`, `tty1` of `tty`.
    let driver = name
        .split(|c: char| c == '/' || c.is_ascii_digit())
        .next()
        .unwrap_or(name)
        .into();
    CHAR_DEVICES
        .lock()
        .insert(dev, Registered { driver, device });
}

/// Forgets a device and its name.
pub fn unregister_char(name: &str, dev: Dev) {
    let gone = CHAR_DEVICES.lock().remove(&dev);
    drop(gone);
    remove_node(name);
}

/// Makes a node in `/dev`, with the directories on the way; one that is there already stays.
pub fn add_node(name: &str, dev: Dev, perm: u16, uid: u32, gid: u32) -> Result<()> {
    let (dir, last) = directory_of(name)?;
    match dir.add(
        last.as_bytes(),
        Body::Char(dev),
        perm,
        uid,
        gid,
        Timespec::now(),
    ) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

fn directory_of(name: &str) -> Result<(Arc<RamInode>, &str)> {
    let mut dir = file_system().root_dir().clone();
    let mut rest = name;
    while let Some((part, tail)) = rest.split_once('/') {
        dir = match dir.entry(part.as_bytes()) {
            Err(Errno::ENOENT) => dir.add(
                part.as_bytes(),
                Body::directory(),
                0o755,
                0,
                0,
                Timespec::now(),
            )?,
            other => other?,
        };
        rest = tail;
    }
    Ok((dir, rest))
}

/// Removes a node from `/dev`, if it is there.
pub fn remove_node(name: &str) {
    use super::inode::Inode;
    let Ok((dir, last)) = directory_of(name) else {
        return;
    };
    // The name may be in the dentry cache, if anybody can have looked.
    let parts = name.split('/').count() - 1;
    let dentry = name
        .split('/')
        .take(parts)
        .try_fold(superblock().root.clone(), |at, part| {
            at.cached(Hashed::new(part.as_bytes()))
        });
    let _changing = dentry.as_ref().map(|d| d.dir_lock.lock());
    let last = Hashed::new(last.as_bytes());
    if dir.unlink(last).is_ok()
        && let Some(gone) = dentry.as_ref().and_then(|d| d.forget(last))
    {
        gone.mark_unlinked();
    }
}

/// Opens a character device by number; `ENXIO` if no driver answers to it.
pub fn open_char(dev: Dev, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
    let device = CHAR_DEVICES
        .lock()
        .get(&dev)
        .map(|r| r.device.clone())
        .ok_or(Errno::ENXIO)?;
    device.open(dev, flags)
}

/// Opens the node `name`, whose driver asks to: without looking at who may.
pub fn open_node(name: &str, flags: OpenFlags) -> Result<Arc<File>> {
    let mount = Mount::of(superblock(), "devtmpfs");
    let root = Path {
        dentry: mount.root.clone(),
        mount,
    };
    let parts = name.split('/');
    let node = parts
        .into_iter()
        .try_fold(root, |at, part| child(&at, part.as_bytes()))?;
    open::finish(node, flags)
}

/// Major numbers and names of the drivers, as `/proc/devices` lists them.
pub fn drivers() -> Vec<(u32, String)> {
    let mut list: Vec<(u32, String)> = Vec::new();
    // There may be thousands of terminals, and few drivers.
    for (dev, registered) in CHAR_DEVICES.lock().iter() {
        if list.last().is_none_or(|(major, _)| *major != dev.major) {
            list.push((dev.major, registered.driver.clone()));
        }
    }
    list
}
