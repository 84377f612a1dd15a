//! The entries of a directory in memory.
//!
//! Entries lie in the order of their cookies, so that a reader finds its place again whatever was added or removed
//! meanwhile; a hash table over them finds names.

use super::RamInode;
use crate::base::{Errno, Result};
use crate::fs::dentry::hash_name;
use crate::fs::types::Name;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashTable;

struct Entry {
    cookie: u64,
    name: Name,
    /// `None`: removed, its slot not yet reclaimed.
    inode: Option<Arc<RamInode>>,
}

pub struct Dir {
    entries: Vec<Entry>,
    /// Indices into `entries`.
    index: HashTable<u32>,
    next_cookie: u64,
    /// Removed by `rmdir`: nothing can be created in it any more.
    dead: bool,
}

impl Dir {
    pub const fn new() -> Self {
        Dir {
            entries: Vec::new(),
            index: HashTable::new(),
            next_cookie: 1,
            dead: false,
        }
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        let entries = &self.entries;
        let same = |&i: &u32| entries[i as usize].name.as_bytes() == name;
        self.index.find(hash_name(name), same).map(|&i| i as usize)
    }

    pub fn get(&self, name: &[u8]) -> Option<&Arc<RamInode>> {
        self.position(name)
            .and_then(|i| self.entries[i].inode.as_ref())
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Closes an empty directory for good.
    pub fn bury(&mut self) -> Result<()> {
        if self.len() != 0 {
            return Err(Errno::ENOTEMPTY);
        }
        self.dead = true;
        Ok(())
    }

    /// Adds an entry; `ENOENT` in a removed directory, `EEXIST` if the name is taken.
    pub fn insert(&mut self, name: &[u8], inode: Arc<RamInode>) -> Result<()> {
        if self.dead {
            return Err(Errno::ENOENT);
        }
        if self.position(name).is_some() {
            return Err(Errno::EEXIST);
        }
        // Files outlive those who make them: nobody's end would give back what they took of the last memory.
        if crate::memory::frames::is_scarce() {
            return Err(Errno::ENOSPC);
        }
        self.entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let entries = &self.entries;
        let rehash = |&i: &u32| hash_name(entries[i as usize].name.as_bytes());
        self.index
            .try_reserve(1, rehash)
            .map_err(|_| Errno::ENOMEM)?;
        self.index
            .insert_unique(hash_name(name), entries.len() as u32, rehash);
        self.entries.push(Entry {
            cookie: self.next_cookie,
            name: Name::new(name),
            inode: Some(inode),
        });
        self.next_cookie += 1;
        Ok(())
    }

    /// Puts another inode behind an existing name; returns the old one.
    pub fn replace(&mut self, name: &[u8], inode: Arc<RamInode>) -> Result<Arc<RamInode>> {
        let at = self.position(name).ok_or(Errno::ENOENT)?;
        self.entries[at].inode.replace(inode).ok_or(Errno::ENOENT)
    }

    pub fn remove(&mut self, name: &[u8]) -> Result<Arc<RamInode>> {
        let entries = &self.entries;
        let same = |&i: &u32| entries[i as usize].name.as_bytes() == name;
        let found = self
            .index
            .find_entry(hash_name(name), same)
            .map_err(|_| Errno::ENOENT)?;
        let (at, _) = found.remove();
        let inode = self.entries[at as usize]
            .inode
            .take()
            .ok_or(Errno::ENOENT)?;
        if at as usize + 1 == self.entries.len() {
            self.entries.pop();
        } else if self.entries.len() > 32 && self.entries.len() > 2 * self.len() {
            self.compact();
        }
        Ok(inode)
    }

    /// Everything that is in it, as it goes itself.
    pub fn take_all(&mut self) -> Vec<Arc<RamInode>> {
        self.index.clear();
        let entries = core::mem::take(&mut self.entries);
        entries.into_iter().filter_map(|e| e.inode).collect()
    }

    /// Drops the slots of removed entries; cookies stay.
    fn compact(&mut self) {
        self.entries.retain(|e| e.inode.is_some());
        self.index.clear();
        let entries = &self.entries;
        let hash = |i: u32| hash_name(entries[i as usize].name.as_bytes());
        for i in 0..entries.len() as u32 {
            self.index.insert_unique(hash(i), i, |&i| hash(i));
        }
    }

    /// Entries whose cookie is greater than `cookie`, in order.
    pub fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &[u8], &Arc<RamInode>)> {
        let start = self.entries.partition_point(|e| e.cookie <= cookie);
        let live = |e: &'_ Entry| e.inode.is_some();
        self.entries[start..]
            .iter()
            .filter(move |e| live(e))
            .filter_map(|e| Some((e.cookie, e.name.as_bytes(), e.inode.as_ref()?)))
    }
}
