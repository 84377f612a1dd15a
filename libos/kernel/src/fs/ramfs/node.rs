//! What an inode in memory consists of: attributes, and a body for each kind of file.

use super::dir::Dir;
use super::file::Contents;
use super::xattrs::Xattrs;
use super::{INODE, RamFs, Shared};
use crate::base::sync::may_sleep;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::fifo::FifoSlot;
use crate::fs::inode::{Access, Inode, NewInode, NewKind};
use crate::fs::permission::{SETGID, SETUID};
use crate::fs::types::{Dev, FileType, Hashed, Name};
use crate::time::Timespec;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Hard links that one inode may have.
const LINK_MAX: u32 = 65000;

pub enum Body {
    File(Contents),
    Dir(SpinLock<Dir>),
    Symlink(Box<[u8]>),
    Fifo(FifoSlot),
    Socket,
    Char(Dev),
    Block(Dev),
    /// A linked program of that name.
    Program(Name),
    /// Contents made anew at each look: the kernel log.
    Generated(fn() -> Vec<u8>),
}

impl Body {
    pub fn directory() -> Body {
        Body::Dir(SpinLock::new(Dir::default()))
    }

    /// What an inode with this body takes of the file system's budget.
    fn cost(&self) -> usize {
        match self {
            Body::Symlink(target) => INODE + target.len(),
            _ => INODE,
        }
    }

    /// An empty file.
    pub fn file() -> Body {
        Body::packed(&[])
    }

    /// A file whose contents lie in the image.
    pub fn packed(bytes: &'static [u8]) -> Body {
        Body::File(Contents::new(bytes, super::file::seal::SEAL))
    }
}

pub(super) struct Attr {
    pub(super) perm: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    /// `O_TMPFILE`: a name may still be given although there is none.
    pub(super) linkable: bool,
    pub(super) atime: Timespec,
    pub(super) mtime: Timespec,
    pub(super) ctime: Timespec,
    pub(super) btime: Timespec,
}

impl Attr {
    pub(super) fn access(&self) -> Access {
        Access {
            perm: self.perm,
            uid: self.uid,
            gid: self.gid,
        }
    }
}

pub struct RamInode {
    pub(super) ino: u64,
    pub(super) fs: Arc<Shared>,
    /// Leaf lock.
    pub(super) attr: SpinLock<Attr>,
    /// Leaf lock.
    pub(super) xattrs: SpinLock<Option<Box<Xattrs>>>,
    pub(super) body: Body,
}

impl Drop for RamInode {
    /// It may be long until all of it is gone: nobody lets go of a file with a spinlock held.
    fn drop(&mut self) {
        may_sleep();
        let xattrs = self.xattrs.get_mut().as_ref().map_or(0, |x| x.cost());
        self.fs.give_back(self.body.cost() + xattrs);
        match &mut self.body {
            Body::File(contents) => {
                let pages = contents.clear();
                self.fs.refund(pages);
            }
            Body::Dir(dir) => core::mem::take(dir.get_mut()).take_apart(),
            _ => {}
        }
    }
}

impl RamInode {
    /// An inode that must be, whatever the limits.
    pub fn new(
        fs: &Arc<Shared>,
        body: Body,
        perm: u16,
        uid: u32,
        gid: u32,
        time: Timespec,
    ) -> Arc<RamInode> {
        fs.take_anyway(body.cost());
        Self::paid(fs, body, perm, uid, gid, time)
    }

    /// An inode for which its cost has been taken.
    fn paid(
        fs: &Arc<Shared>,
        body: Body,
        perm: u16,
        uid: u32,
        gid: u32,
        time: Timespec,
    ) -> Arc<RamInode> {
        let nlink = if matches!(body, Body::Dir(_)) { 2 } else { 1 };
        let attr = Attr {
            perm,
            uid,
            gid,
            nlink,
            linkable: false,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        };
        Arc::new(RamInode {
            ino: fs.new_ino(),
            fs: fs.clone(),
            attr: SpinLock::new(attr),
            xattrs: SpinLock::new(None),
            body,
        })
    }

    /// A file for `memfd_create`, in the file system of `home`, sealed as given.
    pub fn memfd(home: &RamFs, perm: u16, uid: u32, gid: u32, seals: u32) -> Arc<RamInode> {
        let body = Body::File(Contents::new(&[], seals));
        let inode = Self::new(&home.shared, body, perm, uid, gid, Timespec::now());
        inode.attr.lock().nlink = 0;
        inode
    }

    pub fn contents(&self) -> Option<&Contents> {
        match &self.body {
            Body::File(contents) => Some(contents),
            _ => None,
        }
    }

    /// The name of the linked program that this is.
    pub fn program(&self) -> Option<&Name> {
        match &self.body {
            Body::Program(name) => Some(name),
            _ => None,
        }
    }

    /// Adds an entry without any of the checks that the VFS makes: for filling a file system from inside the kernel.
    pub fn add(
        &self,
        name: &[u8],
        body: Body,
        perm: u16,
        uid: u32,
        gid: u32,
        time: Timespec,
    ) -> Result<Arc<RamInode>> {
        let inode = RamInode::new(&self.fs, body, perm, uid, gid, time);
        self.dir()?
            .lock()
            .insert(Hashed::new(name), inode.clone())?;
        if inode.kind() == FileType::Directory {
            self.attr.lock().nlink += 1;
        }
        Ok(inode)
    }

    /// The entry `name`, as what it is.
    pub fn entry(&self, name: &[u8]) -> Result<Arc<RamInode>> {
        self.entry_hashed(Hashed::new(name))
    }

    pub(super) fn entry_hashed(&self, name: Hashed<'_>) -> Result<Arc<RamInode>> {
        self.dir()?.lock().get(name).cloned().ok_or(Errno::ENOENT)
    }

    pub(super) fn dir(&self) -> Result<&SpinLock<Dir>> {
        match &self.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(contents) => contents.size(),
            Body::Dir(dir) => 40 + 20 * dir.lock().len() as u64,
            Body::Symlink(target) => target.len() as u64,
            Body::Program(name) => marker(name).len() as u64,
            Body::Generated(make) => make().len() as u64,
            _ => 0,
        }
    }

    /// The contents or the entries have changed.
    pub(super) fn touch(&self) {
        let now = Timespec::now();
        let mut attr = self.attr.lock();
        attr.mtime = now;
        attr.ctime = now;
    }

    /// As [`touch`](Self::touch), for contents: a program that anybody but root has changed does not run as its owner any more.
    pub(super) fn written(&self) {
        self.touch();
        let mut attr = self.attr.lock();
        if attr.perm & (SETUID | SETGID) == 0 {
            return;
        }
        let creds = crate::fs::caller::credentials();
        if creds.fsuid != 0 {
            let keep = attr.perm & 0o010 == 0 && creds.in_group(attr.gid);
            attr.perm &= !(SETUID | if keep { 0 } else { SETGID });
        }
    }

    /// Adds `change` to the link count, which is returned; the attributes have changed.
    pub(super) fn relink(&self, change: i32) -> u32 {
        let now = Timespec::now();
        let mut attr = self.attr.lock();
        attr.nlink = attr.nlink.saturating_add_signed(change);
        attr.ctime = now;
        attr.nlink
    }

    pub(super) fn make(&self, new: &NewInode<'_>) -> Result<Arc<RamInode>> {
        let body = match new.kind {
            NewKind::File => Body::file(),
            NewKind::Directory => Body::directory(),
            NewKind::Symlink(target) => Body::Symlink(target.into()),
            NewKind::Fifo => Body::Fifo(FifoSlot::new(None)),
            NewKind::Socket => Body::Socket,
            NewKind::Char(dev) => Body::Char(dev),
            NewKind::Block(dev) => Body::Block(dev),
        };
        self.fs.take(body.cost())?;
        Ok(RamInode::paid(
            &self.fs,
            body,
            new.perm,
            new.uid,
            new.gid,
            Timespec::now(),
        ))
    }

    /// Counts a name that is about to be given, and takes what it costs. In one step: others link and unlink it elsewhere meanwhile.
    pub(super) fn link_up(&self) -> Result<()> {
        let now = Timespec::now();
        let mut attr = self.attr.lock();
        match attr.nlink {
            LINK_MAX.. => return Err(Errno::EMLINK),
            0 if !attr.linkable => return Err(Errno::ENOENT),
            // The name that an inode has anyway.
            0 => {}
            _ => self.fs.take(INODE)?,
        }
        attr.nlink += 1;
        attr.ctime = now;
        Ok(())
    }

    /// A name is gone, or was not given after all.
    pub(super) fn link_down(&self) {
        if self.relink(-1) > 0 {
            self.fs.give_back(INODE);
        }
    }

    /// Takes the links of what has just left the directory: a directory also had its own `.` and its parent's `..`.
    pub(super) fn unlinked(&self, victim: &RamInode) {
        if victim.kind() == FileType::Directory {
            victim.relink(-2);
            self.attr.lock().nlink -= 1;
        } else {
            victim.link_down();
        }
    }
}

/// What a linked program's file reads as.
pub(super) fn marker(name: &Name) -> Vec<u8> {
    [PROGRAM_MARKER, name.as_bytes(), b"\n"].concat()
}

/// How a linked program's file begins, wherever it has been copied to.
pub const PROGRAM_MARKER: &[u8] = b"\x7fRUSTOS linked program ";
