//! Extended attributes of inodes in memory. Who sets them pays for them out of the file system's budget.

use super::node::RamInode;
use crate::base::{Errno, Result};
use crate::fs::inode::XattrSet;
use crate::memory::frames;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of names that one call can list, and so of names that an inode may have.
const LIST_MAX: usize = 65536;

/// The attributes of one inode.
#[derive(Default)]
pub struct Xattrs {
    values: BTreeMap<Box<[u8]>, Arc<Vec<u8>>>,
    /// What their names take in a list.
    list_len: usize,
}

/// What an attribute costs, its place in the tree included.
fn cost(name: &[u8], value: &[u8]) -> usize {
    64 + name.len() + value.len()
}

impl Xattrs {
    pub fn cost(&self) -> usize {
        self.values.iter().map(|(n, v)| cost(n, v)).sum()
    }

    fn put(&mut self, name: &[u8], value: Vec<u8>, how: XattrSet) -> Result<Option<Arc<Vec<u8>>>> {
        match (how, self.values.contains_key(name)) {
            (XattrSet::Create, true) => return Err(Errno::EEXIST),
            (XattrSet::Replace, false) => return Err(Errno::ENODATA),
            (_, false) if self.list_len + name.len() >= LIST_MAX => return Err(Errno::ENOSPC),
            (_, false) => self.list_len += name.len() + 1,
            (_, true) => {}
        }
        Ok(self.values.insert(name.into(), Arc::new(value)))
    }
}

impl RamInode {
    pub fn xattr(&self, name: &[u8]) -> Result<Arc<Vec<u8>>> {
        let xattrs = self.xattrs.lock();
        let found = xattrs.as_ref().and_then(|x| x.values.get(name));
        found.cloned().ok_or(Errno::ENODATA)
    }

    pub fn put_xattr(&self, name: &[u8], value: Vec<u8>, how: XattrSet) -> Result<()> {
        if frames::is_scarce() {
            return Err(Errno::ENOSPC);
        }
        let new = cost(name, &value);
        self.fs.take(new)?;
        let put = self
            .xattrs
            .lock()
            .get_or_insert_default()
            .put(name, value, how);
        match put {
            Ok(old) => self.fs.give_back(old.map_or(0, |old| cost(name, &old))),
            Err(e) => {
                self.fs.give_back(new);
                return Err(e);
            }
        }
        self.relink(0);
        Ok(())
    }

    pub fn take_xattr(&self, name: &[u8]) -> Result<()> {
        let old = self.xattrs.lock().as_mut().and_then(|x| {
            let old = x.values.remove(name)?;
            x.list_len -= name.len() + 1;
            Some(old)
        });
        self.fs.give_back(cost(name, &old.ok_or(Errno::ENODATA)?));
        self.relink(0);
        Ok(())
    }

    /// The names, each ended by a NUL.
    pub fn xattr_names(&self) -> Result<Vec<u8>> {
        let mut names: Vec<u8> = Vec::new();
        loop {
            let xattrs = self.xattrs.lock();
            let len = xattrs.as_ref().map_or(0, |x| x.list_len);
            if len <= names.capacity() {
                for name in xattrs.iter().flat_map(|x| x.values.keys()) {
                    names.extend_from_slice(name);
                    names.push(0);
                }
                return Ok(names);
            }
            drop(xattrs);
            names.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        }
    }
}
