//! The dentry tree: names that have been looked up, each tied to its inode and its parent.
//!
//! It is what gives a file a path, what mounts hang on, and the cache that makes a path walk a few hash probes.

use super::inode::Inode;
use super::name_table::NameTable;
use super::notify::{self, Event};
use super::sleep_lock::SleepLock;
use super::types::{FileType, Hashed, Name};
use crate::base::{Result, SpinLock, bytes};
use crate::process::scheduler;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

struct Place {
    name: Name,
    parent: Option<Arc<Dentry>>,
}

impl Drop for Dentry {
    /// With the last user of its last name a file is gone, for those who watch it.
    ///
    /// Each holds its parent: a chain that nobody else holds is let go of link by link, not by a recursion as deep as the tree.
    fn drop(&mut self) {
        if *self.unlinked.get_mut()
            && notify::active()
            && self.inode.metadata().is_ok_and(|m| m.nlink == 0)
        {
            notify::gone(&self.inode, Event::DELETE_SELF);
        }
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut dentry) = parent.and_then(Arc::into_inner) {
            parent = dentry.place.get_mut().parent.take();
        }
    }
}

struct Child {
    name: Name,
    dentry: Arc<Dentry>,
}

impl Child {
    fn hash(&self) -> u64 {
        bytes::hash(self.name.as_bytes())
    }
}

pub struct Dentry {
    pub(super) inode: Arc<dyn Inode>,
    /// The inode's, which walks ask for at every step.
    pub(super) kind: FileType,
    /// Name and parent; `rename` changes both. Leaf lock.
    place: SpinLock<Place>,
    /// Children that have been looked up. Taken alone, or inside nothing but [`dir_lock`](Self::dir_lock).
    children: SpinLock<NameTable<Child>>,
    /// For directories: held while entries change and while a lookup that missed the cache fills it. Only its holder adds children.
    pub(super) dir_lock: SleepLock,
    /// How many mounts hang here, so that a walk need not ask the mount table.
    pub(super) mounts: AtomicU32,
    /// The name is gone (`/proc/self/fd/N` says "(deleted)").
    unlinked: AtomicBool,
}

impl Dentry {
    /// The root of a tree, or a dentry outside of any (`O_TMPFILE`, magic links).
    pub fn detached(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Dentry> {
        Self::new(inode, name, None)
    }

    /// A child of `parent` that the cache does not know of.
    pub fn uncached(parent: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        Self::new(inode, name, Some(parent.clone()))
    }

    fn new(inode: Arc<dyn Inode>, name: &[u8], parent: Option<Arc<Dentry>>) -> Arc<Dentry> {
        Arc::new(Dentry {
            kind: inode.kind(),
            inode,
            place: SpinLock::new(Place {
                name: Name::new(name),
                parent,
            }),
            children: SpinLock::new(NameTable::new()),
            dir_lock: SleepLock::new(),
            mounts: AtomicU32::new(0),
            unlinked: AtomicBool::new(false),
        })
    }

    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// Name and directory, which belong together: a rename changes both.
    pub fn place(&self) -> (Name, Option<Arc<Dentry>>) {
        let place = self.place.lock();
        (place.name.clone(), place.parent.clone())
    }

    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Relaxed)
    }

    pub fn mark_unlinked(&self) {
        self.unlinked.store(true, Ordering::Relaxed);
    }

    /// Calls `f` while the name of `self` is neither removed nor changed.
    pub fn with_name_kept<T>(&self, f: impl FnOnce() -> T) -> T {
        loop {
            let parent = self.parent();
            let _changing = parent.as_ref().map(|p| p.dir_lock.lock());
            // It may have been moved meanwhile.
            if parent.as_ref().map(Arc::as_ptr) == self.parent().as_ref().map(Arc::as_ptr) {
                return f();
            }
        }
    }

    /// Whether a mount hangs here.
    pub fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// The child of that name, if the cache has it.
    pub fn cached(&self, name: Hashed<'_>) -> Option<Arc<Dentry>> {
        let children = self.children.lock();
        children
            .find(name.hash, |c| name.is(&c.name))
            .map(|c| c.dentry.clone())
    }

    /// Makes sure that there is room for one more child. What is to be done on the disk is done between this and [`add`](Self::add)
    /// or [`adopt`](Self::adopt): with two dentries a directory would be two. The caller holds `dir_lock`.
    pub fn reserve(&self, name: Hashed<'_>) -> Result<()> {
        self.children.lock().reserve(name.hash, Child::hash)
    }

    /// Makes a child and remembers it; there is room. The caller holds `dir_lock` of `self` and knows that there is none of that
    /// name.
    pub fn add(self: &Arc<Self>, name: Hashed<'_>, inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let child = Self::uncached(self, name.bytes, inode);
        self.insert(name, child.clone());
        child
    }

    fn insert(&self, name: Hashed<'_>, dentry: Arc<Dentry>) {
        let child = Child {
            name: Name::new(name.bytes),
            dentry,
        };
        self.children.lock().put(name.hash, child, Child::hash);
    }

    /// Forgets a child; returns it if the cache had it. The caller holds `dir_lock` of `self`.
    pub fn forget(&self, name: Hashed<'_>) -> Option<Arc<Dentry>> {
        let same = |c: &Child| name.is(&c.name);
        let child = self.children.lock().remove(name.hash, same);
        Some(child?.dentry)
    }

    /// As [`forget`](Self::forget), of a child that is to be [adopted](Self::adopt): what has been reserved for that stays.
    pub fn give_away(&self, name: Hashed<'_>) {
        let same = |c: &Child| name.is(&c.name);
        let child = self.children.lock().take(name.hash, same);
        drop(child);
    }

    /// Moves `child` from wherever it was to `name` in `self`, where there is room. The caller holds both directories' `dir_lock`
    /// and has made both names free in the cache.
    pub fn adopt(self: &Arc<Self>, name: Hashed<'_>, child: Arc<Dentry>) {
        let old = {
            let mut place = child.place.lock();
            place.name = Name::new(name.bytes);
            place.parent.replace(self.clone())
        };
        drop(old);
        self.insert(name, child);
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_within(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, other) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Empties the cache below `self`, of which nobody has anything: parent and child refer to each other, so an unmounted tree
    /// must be taken apart.
    pub fn dissolve(self: &Arc<Self>) {
        /// Names that go before others may have the core.
        const BATCH: u64 = 256;
        let mut at = self.clone();
        for step in 1u64.. {
            if step.is_multiple_of(BATCH) {
                scheduler::give_way();
            }
            let child = at.children.lock().pop();
            at = match (child, at.parent()) {
                (Some(child), _) => {
                    notify::unmounted(&child.dentry.inode);
                    child.dentry
                }
                (None, Some(parent)) => parent,
                (None, None) => return,
            };
        }
    }
}
