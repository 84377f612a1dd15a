//! What the VFS asks of an inode in memory.

use super::file::Contents;
use super::node::{Body, RamInode, marker};
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::fs::devfs;
use crate::fs::fifo;
use crate::fs::file::FileOps;
use crate::fs::inode::*;
use crate::fs::types::{Dev, FileType, Hashed, Metadata, OpenFlags, SetAttr};
use crate::memory::frames::{Frame, Piece};
use crate::memory::source::FileKey;
use crate::memory::space::Copies;
use crate::process::unmap_everywhere;
use crate::time::Timespec;
use crate::user::Buffer;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

const DAY: i64 = 24 * 60 * 60;

fn as_ram(inode: &Arc<dyn Inode>) -> Result<Arc<RamInode>> {
    let any: Arc<dyn Any + Send + Sync> = inode.clone();
    any.downcast().map_err(|_| Errno::EXDEV)
}

fn read_slice(bytes: &[u8], buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    buf.put(&bytes[start..])
}

impl RamInode {
    /// Bytes `from..to` are gone from the file: so they are from all memory that shows it. Whole pages only; what is left of a page at
    /// the ends has been zeroed where it lies.
    fn take_away(&self, contents: &Contents, from: u64, to: u64, copies: Copies) {
        if contents.is_mapped() {
            let file = FileKey(core::ptr::from_ref(self).addr());
            let page = PAGE_SIZE as u64;
            unmap_everywhere(file, from.div_ceil(page)..to / page, copies);
        }
    }
}

impl Inode for RamInode {
    fn ino(&self) -> u64 {
        self.ino
    }

    fn kind(&self) -> FileType {
        match self.body {
            Body::File(_) | Body::Program(_) | Body::Generated(_) => FileType::Regular,
            Body::Dir(_) => FileType::Directory,
            Body::Symlink(_) => FileType::Symlink,
            Body::Fifo(_) => FileType::Fifo,
            Body::Socket => FileType::Socket,
            Body::Char(_) => FileType::Char,
            Body::Block(_) => FileType::Block,
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        let size = self.size();
        let blocks = match &self.body {
            Body::File(contents) => (contents.pages() * (PAGE_SIZE / 512)) as u64,
            _ => 0,
        };
        let rdev = match self.body {
            Body::Char(dev) | Body::Block(dev) => dev,
            _ => Dev::default(),
        };
        let attr = self.attr.lock();
        Ok(Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            kind: self.kind(),
            perm: attr.perm,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev,
            size,
            blocks,
            block_size: PAGE_SIZE as u32,
            atime: attr.atime,
            mtime: attr.mtime,
            ctime: attr.ctime,
            btime: attr.btime,
        })
    }

    fn access(&self) -> Result<Access> {
        Ok(self.attr.lock().access())
    }

    fn set_attr(&self, decide: &mut dyn FnMut(Access) -> Result<SetAttr>) -> Result<()> {
        let now = Timespec::now();
        let mut attr = self.attr.lock();
        let change = decide(attr.access())?;
        attr.perm = change.perm.unwrap_or(attr.perm);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = change.atime.unwrap_or(attr.atime);
        attr.mtime = change.mtime.unwrap_or(attr.mtime);
        attr.ctime = now;
        Ok(())
    }

    /// `relatime`: the time of access is kept newer than the others, and no more than a day old.
    fn accessed(&self) {
        let mut attr = self.attr.lock();
        let now = Timespec::now();
        if attr.atime <= attr.mtime || attr.atime <= attr.ctime || now.sec - attr.atime.sec >= DAY {
            attr.atime = now;
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn lookup(&self, name: Hashed<'_>) -> Result<Arc<dyn Inode>> {
        Ok(self.entry_hashed(name)?)
    }

    fn create(&self, name: Hashed<'_>, new: &NewInode<'_>) -> Result<Arc<dyn Inode>> {
        let dir = self.dir()?;
        let inode = self.make(new)?;
        dir.lock().insert(name, inode.clone())?;
        self.touch();
        if matches!(new.kind, NewKind::Directory) {
            self.attr.lock().nlink += 1;
        }
        Ok(inode)
    }

    fn tmpfile(&self, new: &NewInode<'_>, linkable: bool) -> Result<Arc<dyn Inode>> {
        self.dir()?;
        let inode = self.make(new)?;
        let mut attr = inode.attr.lock();
        attr.nlink = 0;
        attr.linkable = linkable;
        drop(attr);
        Ok(inode)
    }

    fn link(&self, name: Hashed<'_>, target: &Arc<dyn Inode>) -> Result<()> {
        let target = as_ram(target)?;
        target.link_up()?;
        let inserted = self.dir()?.lock().insert(name, target.clone());
        if inserted.is_err() {
            target.link_down();
            return inserted;
        }
        target.attr.lock().linkable = false;
        self.touch();
        Ok(())
    }

    fn unlink(&self, name: Hashed<'_>) -> Result<()> {
        let victim = self.dir()?.lock().remove(name)?;
        self.unlinked(&victim);
        self.touch();
        Ok(())
    }

    fn rmdir(&self, name: Hashed<'_>) -> Result<()> {
        self.entry_hashed(name)?.dir()?.lock().bury()?;
        self.unlink(name)
    }

    fn rename(
        &self,
        old: Hashed<'_>,
        new_dir: &Arc<dyn Inode>,
        new: Hashed<'_>,
        how: RenameHow,
    ) -> Result<()> {
        let to = as_ram(new_dir)?;
        let moved = self.entry_hashed(old)?;
        let target = to.entry_hashed(new).ok();
        let is_dir = |inode: &RamInode| inode.kind() == FileType::Directory;
        match (how, target) {
            (RenameHow::Exchange, None) => return Err(Errno::ENOENT),
            (RenameHow::Exchange, Some(other)) => {
                to.dir()?.lock().replace(new, moved.clone())?;
                self.dir()?.lock().replace(old, other.clone())?;
                let shift = is_dir(&moved) as i32 - is_dir(&other) as i32;
                self.relink(-shift);
                to.relink(shift);
                other.relink(0);
            }
            (RenameHow::Replace, Some(victim)) => {
                if is_dir(&victim) {
                    victim.dir()?.lock().bury()?;
                }
                to.dir()?.lock().replace(new, moved.clone())?;
                self.dir()?.lock().remove(old)?;
                to.unlinked(&victim);
                let shift = is_dir(&moved) as i32;
                self.relink(-shift);
                to.relink(shift);
            }
            (RenameHow::Replace, None) if core::ptr::eq(self, &*to) => {
                self.dir()?.lock().rename(old, new)?;
            }
            (RenameHow::Replace, None) => {
                to.dir()?.lock().insert(new, moved.clone())?;
                self.dir()?.lock().remove(old)?;
                let shift = is_dir(&moved) as i32;
                self.relink(-shift);
                to.relink(shift);
            }
        }
        moved.relink(0);
        self.touch();
        to.touch();
        Ok(())
    }

    fn readdir(&self, cookie: u64, sink: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.dir()?.lock().after(cookie, |next, name, inode| {
            sink(DirEntry {
                name,
                ino: inode.ino,
                kind: inode.kind(),
                next,
            })
        });
        Ok(())
    }

    fn read_link(&self) -> Result<Link> {
        match &self.body {
            Body::Symlink(target) => Ok(Link::Text(target.to_vec())),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOps>>> {
        match &self.body {
            Body::Char(dev) => devfs::open_char(*dev, flags).map(Some),
            Body::Fifo(slot) => fifo::open(slot, flags).map(Some),
            Body::Block(_) | Body::Socket => Err(Errno::ENXIO),
            Body::Program(_) if flags.writable() => Err(Errno::ETXTBSY),
            _ => Ok(None),
        }
    }

    fn read_at(&self, buf: &mut Buffer<'_>, offset: u64) -> Result<usize> {
        match &self.body {
            Body::File(contents) => contents.read_at(buf, offset),
            Body::Dir(_) => Err(Errno::EISDIR),
            Body::Program(name) => read_slice(&marker(name), buf, offset),
            Body::Generated(make) => read_slice(&make(), buf, offset),
            _ => Err(Errno::EINVAL),
        }
    }

    fn write_at(&self, buf: &mut Buffer<'_>, at: WriteAt) -> Result<(u64, usize)> {
        let done = self
            .contents()
            .ok_or(Errno::EINVAL)?
            .write_at(&self.fs, buf, at)?;
        if done.1 > 0 {
            self.written();
        }
        Ok(done)
    }

    fn truncate(&self, size: u64) -> Result<()> {
        match &self.body {
            Body::File(contents) => {
                contents.truncate(&self.fs, size, || {
                    self.take_away(contents, size, u64::MAX, Copies::Too);
                })?;
            }
            Body::Dir(_) => return Err(Errno::EISDIR),
            Body::Program(_) => return Err(Errno::ETXTBSY),
            _ => return Err(Errno::EINVAL),
        }
        self.written();
        Ok(())
    }

    fn allocate(&self, how: Allocate, offset: u64, len: u64) -> Result<()> {
        let contents = self.contents().ok_or(Errno::ENODEV)?;
        contents.allocate(&self.fs, how, offset, len, || {
            self.take_away(contents, offset, offset + len, Copies::Stay);
        })?;
        self.written();
        Ok(())
    }

    fn page(&self, index: u64, purpose: PageFor) -> Result<Frame> {
        let page = self
            .contents()
            .ok_or(Errno::ENODEV)?
            .page(&self.fs, index)?;
        if purpose == PageFor::Write {
            self.touch();
        }
        Ok(page)
    }

    fn has_page(&self, index: u64) -> bool {
        self.contents().is_some_and(|c| c.has_page(index))
    }

    fn size(&self) -> u64 {
        RamInode::size(self)
    }

    fn mapped(&self, how: MappedFor) -> Result<bool> {
        match self.contents() {
            Some(contents) => contents.mapped(how),
            None => Ok(how != MappedFor::Copies),
        }
    }

    fn unmapped(&self, may_write: bool) {
        if let Some(contents) = self.contents() {
            contents.unmapped(may_write);
        }
    }

    fn lend(&self, offset: u64) -> Option<Piece> {
        self.contents()?.lend(offset)
    }

    fn seek(&self, what: SeekFor, offset: u64) -> Result<u64> {
        match self.contents() {
            Some(contents) => contents.seek(what, offset),
            None if offset >= self.size() => Err(Errno::ENXIO),
            None if what == SeekFor::Data => Ok(offset),
            None => Ok(self.size()),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Arc<Vec<u8>>> {
        self.xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: Vec<u8>, how: XattrSet) -> Result<()> {
        self.put_xattr(name, value, how)
    }

    fn list_xattr(&self) -> Result<Vec<u8>> {
        self.xattr_names()
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.take_xattr(name)
    }

    fn linked_program(&self) -> bool {
        matches!(self.body, Body::Program(_))
    }
}
