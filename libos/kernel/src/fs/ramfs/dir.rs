//! The entries of a directory in memory.
//!
//! Entries lie by their cookies, the numbers in the order of which they were made, so that a reader finds its place again whatever
//! was added or removed meanwhile; a hash table over them finds names. Nothing in it is in one piece, nor moves when there are many.

use super::RamInode;
use super::file::BATCH;
use crate::base::{Errno, Result, bytes};
use crate::fs::name_table::NameTable;
use crate::fs::radix::Radix;
use crate::fs::types::{Hashed, Name};
use crate::process::scheduler;
use alloc::sync::Arc;

struct Entry {
    name: Name,
    inode: Arc<RamInode>,
}

type Entries = Radix<Entry, 16>;

#[derive(Default)]
pub struct Dir {
    /// By cookie, less one: 0 is where a reader starts.
    entries: Entries,
    /// Places in `entries`.
    index: NameTable<u64>,
    /// The next place. It never comes back.
    next: u64,
    /// Removed by `rmdir`: nothing can be created in it any more.
    dead: bool,
    /// While a tree is taken apart: the directory that this one was in, with what is left of that.
    up: Option<Arc<RamInode>>,
}

fn hash_in(entries: &Entries, place: &u64) -> u64 {
    entries
        .get(*place)
        .map_or(0, |e| bytes::hash(e.name.as_bytes()))
}

fn is_named(entries: &Entries, place: &u64, name: Hashed<'_>) -> bool {
    entries.get(*place).is_some_and(|e| name.is(&e.name))
}

impl Dir {
    fn place(&self, name: Hashed<'_>) -> Option<u64> {
        let same = |place: &u64| is_named(&self.entries, place, name);
        self.index.find(name.hash, same).copied()
    }

    pub fn get(&self, name: Hashed<'_>) -> Option<&Arc<RamInode>> {
        Some(&self.entries.get(self.place(name)?)?.inode)
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Closes an empty directory for good.
    pub fn bury(&mut self) -> Result<()> {
        if self.len() != 0 {
            return Err(Errno::ENOTEMPTY);
        }
        self.dead = true;
        Ok(())
    }

    /// Whether an entry can be made: `ENOENT` in a removed directory, `EEXIST` if the name is taken.
    fn check_new(&self, name: Hashed<'_>) -> Result<()> {
        if self.dead {
            return Err(Errno::ENOENT);
        }
        if self.place(name).is_some() {
            return Err(Errno::EEXIST);
        }
        // Files outlive those who make them: nobody's end would give back what they took of the last memory.
        if crate::memory::frames::is_scarce() {
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    /// Adds an entry.
    pub fn insert(&mut self, name: Hashed<'_>, inode: Arc<RamInode>) -> Result<()> {
        self.check_new(name)?;
        let entries = &self.entries;
        self.index
            .insert(name.hash, self.next, |place| hash_in(entries, place))?;
        let name = Name::new(name.bytes);
        self.entries.insert(self.next, Entry { name, inode });
        self.next += 1;
        Ok(())
    }

    /// Gives an entry another name, one that is free. It stays where it is: a reader does not meet it again.
    pub fn rename(&mut self, old: Hashed<'_>, new: Hashed<'_>) -> Result<()> {
        let place = self.place(old).ok_or(Errno::ENOENT)?;
        self.check_new(new)?;
        let entries = &self.entries;
        self.index
            .reserve(new.hash, |place| hash_in(entries, place))?;
        self.index.take(old.hash, |&found| found == place);
        if let Some(entry) = self.entries.get_mut(place) {
            entry.name = Name::new(new.bytes);
        }
        let entries = &self.entries;
        self.index
            .put(new.hash, place, |place| hash_in(entries, place));
        Ok(())
    }

    /// Puts another inode behind an existing name; returns the old one.
    pub fn replace(&mut self, name: Hashed<'_>, inode: Arc<RamInode>) -> Result<Arc<RamInode>> {
        let place = self.place(name).ok_or(Errno::ENOENT)?;
        let entry = self.entries.get_mut(place).ok_or(Errno::ENOENT)?;
        Ok(core::mem::replace(&mut entry.inode, inode))
    }

    pub fn remove(&mut self, name: Hashed<'_>) -> Result<Arc<RamInode>> {
        let entries = &self.entries;
        let place = self
            .index
            .remove(name.hash, |place| is_named(entries, place, name))
            .ok_or(Errno::ENOENT)?;
        let entry = self.entries.take(place).ok_or(Errno::ENOENT)?;
        Ok(entry.inode)
    }

    /// Reports entries whose cookie is greater than `cookie`, in order, until `sink` says `false`.
    pub fn after(&self, cookie: u64, mut sink: impl FnMut(u64, &[u8], &Arc<RamInode>) -> bool) {
        self.entries
            .find_from(cookie, &mut |place: u64, e: &Entry| {
                (!sink(place + 1, e.name.as_bytes(), &e.inode)).then_some(())
            });
    }

    fn pop(&mut self) -> Option<Arc<RamInode>> {
        let place = self
            .entries
            .find_from(0, &mut |place, _: &Entry| Some(place))?;
        Some(self.entries.take(place)?.inode)
    }

    /// Lets go of everything in it, as it goes itself: a tree that nobody else holds is taken apart step by step, not by a recursion
    /// as deep as it is. The way back up lies in the directories themselves.
    pub fn take_apart(self) {
        let mut dir = self;
        for step in 1u64.. {
            if step.is_multiple_of(BATCH as u64) {
                scheduler::give_way();
            }
            if let Some(mut inode) = dir.pop() {
                if let Some(below) = own_dir(&mut inode) {
                    let rest = core::mem::replace(&mut dir, core::mem::take(below));
                    *below = rest;
                    dir.up = Some(inode);
                }
            } else if let Some(mut inode) = dir.up.take() {
                if let Some(rest) = own_dir(&mut inode) {
                    dir = core::mem::take(rest);
                }
            } else {
                return;
            }
        }
    }
}

/// What is in the directory `inode`, if nobody else holds it.
fn own_dir(inode: &mut Arc<RamInode>) -> Option<&mut Dir> {
    match &mut Arc::get_mut(inode)?.body {
        super::Body::Dir(dir) => Some(dir.get_mut()),
        _ => None,
    }
}
