//! Where changes of the tree are told to those who watch it (inotify(7)).

use super::file::File;
use super::inode::Inode;
use super::inotify::{Again, Inotify};
use super::path::Path;
use super::types::{FileType, OpenFlags};
use crate::base::{Errno, Result, SpinLock};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

bitflags! {
    /// `IN_*`: what happens to files, and what is said about a watch.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Event: u32 {
        const ACCESS = 0x1;
        const MODIFY = 0x2;
        const ATTRIB = 0x4;
        const CLOSE_WRITE = 0x8;
        const CLOSE_NOWRITE = 0x10;
        const OPEN = 0x20;
        const MOVED_FROM = 0x40;
        const MOVED_TO = 0x80;
        const CREATE = 0x100;
        const DELETE = 0x200;
        const DELETE_SELF = 0x400;
        const MOVE_SELF = 0x800;
        const UNMOUNT = 0x2000;
        const OVERFLOW = 0x4000;
        const IGNORED = 0x8000;
        /// Asked for: nothing is to be told of entries whose name is gone.
        const EXCL_UNLINK = 0x0400_0000;
        const ISDIR = 0x4000_0000;
        /// Asked for: one event, and the watch ends.
        const ONESHOT = 0x8000_0000;
    }
}

impl Event {
    /// What can happen to a file.
    pub const WATCHABLE: Event = Event::from_bits_retain(0xfff);
    /// What can be asked for.
    pub const ASKABLE: Event = Self::WATCHABLE
        .union(Self::EXCL_UNLINK)
        .union(Self::ONESHOT);
}

struct Watch {
    instance: Weak<Inotify>,
    wd: i32,
    /// With [`Event::EXCL_UNLINK`] and [`Event::ONESHOT`].
    mask: Event,
}

/// Watches by inode address; the instance keeps the inode alive. Taken before an instance's own lock.
static TABLE: SpinLock<BTreeMap<usize, Vec<Watch>>> = SpinLock::new(BTreeMap::new());
/// Watches that exist; most of the time none does, and telling is one load.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

#[inline(always)]
pub fn active() -> bool {
    WATCHES.load(Ordering::Relaxed) != 0
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode) as *const () as usize
}

/// Sets what `instance` wants to hear about `inode`; returns the watch's number.
pub fn watch(
    inode: &Arc<dyn Inode>,
    instance: &Arc<Inotify>,
    mask: Event,
    again: Again,
) -> Result<i32> {
    let mut table = TABLE.lock();
    let watches = table.get_mut(&key(inode));
    let known = watches.and_then(|all| {
        // One that is just ending is of no use any more.
        all.iter_mut()
            .find(|w| w.instance.as_ptr() == Arc::as_ptr(instance) && instance.has(w.wd))
    });
    if let Some(known) = known {
        match again {
            Again::Replace => known.mask = mask,
            Again::Add => known.mask |= mask,
            Again::Refuse => return Err(Errno::EEXIST),
        }
        return Ok(known.wd);
    }
    let wd = instance.begin(inode)?;
    table.entry(key(inode)).or_default().push(Watch {
        instance: Arc::downgrade(instance),
        wd,
        mask,
    });
    WATCHES.fetch_add(1, Ordering::Relaxed);
    Ok(wd)
}

/// Forgets a watch.
pub fn unwatch(inode: &Arc<dyn Inode>, instance: &Inotify, wd: i32) {
    let mut table = TABLE.lock();
    let Some(watches) = table.get_mut(&key(inode)) else {
        return;
    };
    let before = watches.len();
    watches.retain(|w| w.wd != wd || !core::ptr::eq(w.instance.as_ptr(), instance));
    WATCHES.fetch_sub(before - watches.len(), Ordering::Relaxed);
    if watches.is_empty() {
        table.remove(&key(inode));
    }
}

/// Tells who watches `inode` and does not want to be spared; `name` is that of an entry, for a directory.
fn tell(inode: &Arc<dyn Inode>, name: &[u8], event: Event, cookie: u32, spared: Event) {
    let listeners: Vec<(Arc<Inotify>, i32, Event)> = {
        let table = TABLE.lock();
        let Some(watches) = table.get(&key(inode)) else {
            return;
        };
        let wants =
            |w: &&Watch| w.mask.intersects(event - Event::ISDIR) && !w.mask.intersects(spared);
        watches
            .iter()
            .filter(wants)
            .filter_map(|w| Some((w.instance.upgrade()?, w.wd, w.mask & Event::ONESHOT)))
            .collect()
    };
    for (instance, wd, once) in listeners {
        instance.push(wd, event | once, cookie, name);
    }
}

/// What happened, with the mark of directories if it happened to one.
fn marked(inode: &Arc<dyn Inode>, event: Event) -> Event {
    match inode.kind() {
        FileType::Directory => event | Event::ISDIR,
        _ => event,
    }
}

/// Something happened to the file at `path`: told to the watchers of its directory and to its own.
pub fn on_path(path: &Path, event: Event) {
    if !active() {
        return;
    }
    let event = marked(path.inode(), event);
    if let (name, Some(parent)) = path.dentry.place() {
        let spared = match path.dentry.is_unlinked() {
            true => Event::EXCL_UNLINK,
            false => Event::empty(),
        };
        tell(&parent.inode, name.as_bytes(), event, 0, spared);
    }
    tell(path.inode(), b"", event, 0, Event::empty());
}

/// Something happened to the inode, by whatever name.
pub fn on_inode(inode: &Arc<dyn Inode>, event: Event) {
    if active() {
        tell(inode, b"", event, 0, Event::empty());
    }
}

/// Something happened to the entry `name` of `dir`, which is `child`.
pub fn on_entry(dir: &Path, name: &[u8], child: &Arc<dyn Inode>, event: Event) {
    if active() {
        tell(dir.inode(), name, marked(child, event), 0, Event::empty());
    }
}

/// The inode is gone, for the reason `last`: so is what there was to watch.
pub fn gone(inode: &Arc<dyn Inode>, last: Event) {
    if !active() {
        return;
    }
    let watches = TABLE.lock().remove(&key(inode)).unwrap_or_default();
    WATCHES.fetch_sub(watches.len(), Ordering::Relaxed);
    for watch in watches {
        if let Some(instance) = watch.instance.upgrade() {
            // An unmount is told to everyone.
            if (watch.mask | Event::UNMOUNT).intersects(last) {
                instance.push(watch.wd, last, 0, b"");
            }
            if instance.remove(watch.wd).is_err() {
                // It has been ended by its owner meanwhile.
            }
        }
    }
}

/// Its file system is mounted nowhere any more.
pub fn unmounted(inode: &Arc<dyn Inode>) {
    gone(inode, marked(inode, Event::UNMOUNT));
}

/// `moved` was called `old` in `from` and is called `new` in `to`, where `victim` was before.
pub fn moved(
    from: &Path,
    old: &[u8],
    to: &Path,
    new: &[u8],
    moved: &Arc<dyn Inode>,
    victim: Option<&Arc<dyn Inode>>,
) {
    static COOKIE: AtomicU32 = AtomicU32::new(1);
    if !active() {
        return;
    }
    let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
    let all = Event::empty();
    let (left, arrived) = (Event::MOVED_FROM, Event::MOVED_TO);
    tell(from.inode(), old, marked(moved, left), cookie, all);
    tell(to.inode(), new, marked(moved, arrived), cookie, all);
    if let Some(victim) = victim {
        on_inode(victim, Event::ATTRIB);
    }
    on_inode(moved, Event::MOVE_SELF);
}

/// The last reference to an open file is gone.
pub fn closed(file: &File) {
    if let Some(path) = file.path()
        && !file.flags().contains(OpenFlags::PATH)
    {
        let event = if file.flags().writable() {
            Event::CLOSE_WRITE
        } else {
            Event::CLOSE_NOWRITE
        };
        on_path(path, event);
    }
}
