//! Where changes of the tree are told to those who watch it (inotify(7)).

use super::file::File;
use super::inode::Inode;
use super::inotify::Inotify;
use super::path::Path;
use super::types::FileType;
use crate::base::SpinLock;
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
        const ISDIR = 0x4000_0000;
    }
}

impl Event {
    /// What can be asked for.
    pub const WATCHABLE: Event = Event::from_bits_retain(0xfff);
}

struct Watch {
    instance: Weak<Inotify>,
    wd: i32,
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

/// Sets what `instance` wants to hear about `inode` under number `wd`.
pub fn watch(inode: &Arc<dyn Inode>, instance: &Arc<Inotify>, wd: i32, mask: Event) {
    let mut table = TABLE.lock();
    let watches = table.entry(key(inode)).or_default();
    let mine = |w: &&mut Watch| w.wd == wd && w.instance.as_ptr() == Arc::as_ptr(instance);
    match watches.iter_mut().find(mine) {
        Some(watch) => watch.mask = mask,
        None => {
            watches.push(Watch {
                instance: Arc::downgrade(instance),
                wd,
                mask,
            });
            WATCHES.fetch_add(1, Ordering::Relaxed);
        }
    }
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

/// Tells who watches `inode`; `name` is that of an entry, for a directory.
fn tell(inode: &Arc<dyn Inode>, name: &[u8], event: Event, is_dir: bool, cookie: u32) {
    let listeners: Vec<(Arc<Inotify>, i32)> = {
        let table = TABLE.lock();
        let Some(watches) = table.get(&key(inode)) else {
            return;
        };
        let wants = |w: &&Watch| w.mask.intersects(event);
        watches
            .iter()
            .filter(wants)
            .filter_map(|w| Some((w.instance.upgrade()?, w.wd)))
            .collect()
    };
    let event = if is_dir { event | Event::ISDIR } else { event };
    for (instance, wd) in listeners {
        instance.push(wd, event, cookie, name);
    }
}

fn is_dir(path: &Path) -> bool {
    path.inode().kind() == FileType::Directory
}

/// Something happened to the file at `path`: told to its watchers and to those of its directory.
pub fn on_path(path: &Path, event: Event) {
    if !active() {
        return;
    }
    tell(path.inode(), b"", event, is_dir(path), 0);
    if let Some(parent) = path.dentry.parent().filter(|_| !path.dentry.is_unlinked()) {
        tell(
            &parent.inode,
            path.dentry.name().as_bytes(),
            event,
            is_dir(path),
            0,
        );
    }
}

/// Something happened to the entry `name` of `dir`.
pub fn child(dir: &Path, name: &[u8], event: Event, is_dir: bool) {
    if active() {
        tell(dir.inode(), name, event, is_dir, 0);
    }
}

/// A name of the file is gone; with the last one, so is what there was to watch.
pub fn removed(victim: &Path) {
    if !active() {
        return;
    }
    let links = victim.inode().metadata().map_or(0, |m| m.nlink);
    if links > 0 && !is_dir(victim) {
        tell(victim.inode(), b"", Event::ATTRIB, false, 0);
        return;
    }
    tell(victim.inode(), b"", Event::DELETE_SELF, false, 0);
    let gone = TABLE
        .lock()
        .remove(&key(victim.inode()))
        .unwrap_or_default();
    WATCHES.fetch_sub(gone.len(), Ordering::Relaxed);
    for watch in gone {
        if let Some(instance) = watch.instance.upgrade() {
            instance.forget(watch.wd);
        }
    }
}

/// `moved` was called `old` in `from` and is called `new` in `to`.
pub fn moved(from: &Path, old: &[u8], to: &Path, new: &[u8], moved: &Path) {
    static COOKIE: AtomicU32 = AtomicU32::new(1);
    if !active() {
        return;
    }
    let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
    tell(from.inode(), old, Event::MOVED_FROM, is_dir(moved), cookie);
    tell(to.inode(), new, Event::MOVED_TO, is_dir(moved), cookie);
    tell(moved.inode(), b"", Event::MOVE_SELF, is_dir(moved), 0);
}

/// The last reference to an open file is gone.
pub fn closed(file: &File) {
    if let Some(path) = file.path() {
        let event = if file.flags().writable() {
            Event::CLOSE_WRITE
        } else {
            Event::CLOSE_NOWRITE
        };
        on_path(path, event);
    }
}
