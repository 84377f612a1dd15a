//! The inodes of `/proc`.

use super::out::Out;
use super::source::{self, Subject};
use super::text::OpenText;
use super::tree::{self, Entry, ProcessEntry, ProcessNode, Static};
use super::who::{Who, pid_ino, thread_ino};
use crate::base::{Errno, Result};
use crate::fs::anonymous::place_of;
use crate::fs::file::FileOps;
use crate::fs::inode::{Access, DirEntry, Inode, Link, NewInode};
use crate::fs::types::{FileType, Hashed, Metadata, OpenFlags};
use crate::time::{self, Timespec};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

#[derive(Clone, Copy)]
pub enum What {
    Static(&'static Static),
    /// A table of entries, the root's with processes behind them.
    Table(&'static [Entry]),
    Root,
    /// `/proc/PID` or `/proc/PID/task/TID`.
    Process(Who),
    ProcessFile(Who, &'static ProcessNode),
    Tasks(Who),
    FdDir(Who),
    Fd(Who, i32),
    FdInfoDir(Who),
    FdInfo(Who, i32),
}

pub struct Node {
    what: What,
    perm: u16,
    ino: u64,
}

pub fn root() -> Arc<dyn Inode> {
    node(What::Root, 0o555, 1)
}

fn node(what: What, perm: u16, ino: u64) -> Arc<dyn Inode> {
    Arc::new(Node { what, perm, ino })
}

/// Offset of descriptors' numbers among a process's inodes.
const FD_INO: u64 = 1 << 10;
const FDINFO_INO: u64 = 1 << 17;

/// Where the cookies of processes start, behind those of the table.
const PID_COOKIE: u64 = 1 << 10;

fn parse<T: core::str::FromStr>(name: &[u8]) -> Option<T> {
    let digits =
        name.iter().all(u8::is_ascii_digit) && (name.len() == 1 || name.first() != Some(&b'0'));
    core::str::from_utf8(name)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

impl Node {
    /// Whose process it is about, if any.
    fn who(&self) -> Option<Who> {
        match self.what {
            What::Process(who)
            | What::ProcessFile(who, _)
            | What::FdDir(who)
            | What::Fd(who, _)
            | What::FdInfoDir(who)
            | What::FdInfo(who, _)
            | What::Tasks(who) => Some(who),
            _ => None,
        }
    }

    /// Only the process's own user may follow its links and see its descriptors.
    fn check_private(&self, subject: &Subject) -> Result<()> {
        let (mine, theirs) = (source::credentials(), subject.creds());
        // A program that runs, or ran, with another's rights is not its user's to look into (ptrace(2), access mode checking).
        let same = [theirs.uid, theirs.euid, theirs.suid] == [mine.fsuid; 3]
            && [theirs.gid, theirs.egid, theirs.sgid] == [mine.fsgid; 3];
        let own = subject.pid() == source::current_ids().0;
        if mine.is_privileged() || same || own {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// A snapshot of the file's text.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut out = Out::default();
        match self.what {
            What::Static(Static::Text(make) | Static::Control { show: make, .. }) => {
                make(&mut out)?
            }
            What::ProcessFile(who, ProcessNode::Text(make)) => {
                make(&who.find()?, &mut out)?;
            }
            What::ProcessFile(who, ProcessNode::Private(make)) => {
                let subject = who.find()?;
                self.check_private(&subject)?;
                make(&subject, &mut out)?;
            }
            What::ProcessFile(who, ProcessNode::Control { show, .. }) => {
                show(&who.find()?, &mut out)?;
            }
            What::FdInfo(who, fd) => {
                super::process::fdinfo(&who.find()?, fd, &mut out)?;
            }
            _ => return Err(Errno::EINVAL),
        }
        out.finish()
    }

    pub fn store(&self, text: &str) -> Result<()> {
        match self.what {
            What::Static(Static::Control { store, .. }) => store(text),
            What::ProcessFile(who, ProcessNode::Control { store, .. }) => {
                let subject = who.find()?;
                self.check_private(&subject)?;
                store(&subject, text)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Lists `entries` from `cookie` on; whether the sink wants more.
fn list<'a>(
    entries: impl Iterator<Item = (&'a str, u64, FileType)>,
    cookie: u64,
    sink: &mut dyn FnMut(DirEntry<'_>) -> bool,
) -> bool {
    for (i, (name, ino, kind)) in entries.enumerate().skip(cookie as usize) {
        if !sink(DirEntry {
            name: name.as_bytes(),
            ino,
            kind,
            next: i as u64 + 1,
        }) {
            return false;
        }
    }
    true
}

/// Lists numbers, which are their own cookies, `base` added.
fn list_numbers(
    numbers: impl Iterator<Item = i32>,
    (base, cookie): (u64, u64),
    (ino, kind): (impl Fn(i32) -> u64, FileType),
    sink: &mut dyn FnMut(DirEntry<'_>) -> bool,
) {
    for n in numbers {
        let next = base + n as u64 + 1;
        let name = alloc::format!("{n}");
        if next > cookie
            && !sink(DirEntry {
                name: name.as_bytes(),
                ino: ino(n),
                kind,
                next,
            })
        {
            return;
        }
    }
}

impl Inode for Node {
    fn ino(&self) -> u64 {
        self.ino
    }

    fn kind(&self) -> FileType {
        match self.what {
            What::Static(Static::Link(_)) | What::Fd(..) => FileType::Symlink,
            What::Static(Static::Text(_) | Static::Control { .. }) | What::FdInfo(..) => {
                FileType::Regular
            }
            What::ProcessFile(_, node) => node.kind(),
            _ => FileType::Directory,
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        let mut m = Metadata::anonymous(self.kind(), self.ino);
        m.dev = super::dev();
        m.perm = self.perm;
        m.block_size = 1024;
        // A process's files are as old as it, the system's as old as the boot.
        let boot = time::realtime_ns().saturating_sub(time::monotonic_ns());
        let subject = self.who().and_then(|w| w.find().ok());
        let born = Timespec::from_ns(boot + subject.as_ref().map_or(0, Subject::start_ns));
        (m.atime, m.mtime, m.ctime) = (born, born, born);
        if m.kind == FileType::Directory {
            m.nlink = 2;
        }
        if let Some(subject) = subject {
            let creds = subject.creds();
            (m.uid, m.gid) = (creds.euid, creds.egid);
        }
        Ok(m)
    }

    fn access(&self) -> Result<Access> {
        let m = self.metadata()?;
        Ok(Access {
            perm: m.perm,
            uid: m.uid,
            gid: m.gid,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    /// Of a process that is gone Linux says in some of its directories `ESRCH`, in others `ENOENT`.
    fn lookup(&self, name: Hashed<'_>) -> Result<Arc<dyn Inode>> {
        let name = name.bytes;
        match self.what {
            What::Root => {
                if let Some(pid) = parse(name) {
                    let who = Who::process(pid)?;
                    return Ok(node(What::Process(who), 0o555, who.ino(0)));
                }
                find_static(tree::ROOT, name)
            }
            What::Table(entries) => find_static(entries, name),
            What::Process(who) => {
                match who.tid {
                    None => who.find()?,
                    Some(_) => who.find_listed()?,
                };
                let (i, entry) = tree::process_entries(who)
                    .enumerate()
                    .find(|(_, e)| e.name.as_bytes() == name)
                    .ok_or(Errno::ENOENT)?;
                let ino = who.ino(i as u64 + 1);
                let what = match entry.node {
                    ProcessNode::Tasks => What::Tasks(who),
                    ProcessNode::FdDir => What::FdDir(who),
                    ProcessNode::FdInfoDir => What::FdInfoDir(who),
                    _ => What::ProcessFile(who, &entry.node),
                };
                Ok(node(what, entry.perm, ino))
            }
            What::Tasks(who) => {
                who.find()?;
                let tid = parse(name).ok_or(Errno::ENOENT)?;
                let who = who.thread(tid)?;
                Ok(node(What::Process(who), 0o555, who.ino(0)))
            }
            What::FdDir(who) | What::FdInfoDir(who) => {
                let subject = match self.what {
                    What::FdDir(_) => who.find_listed()?,
                    _ => who.find()?,
                };
                self.check_private(&subject)?;
                let fd: i32 = parse(name).ok_or(Errno::ENOENT)?;
                let file = subject.files().get(fd).map_err(|_| Errno::ENOENT)?;
                if matches!(self.what, What::FdInfoDir(_)) {
                    return Ok(node(
                        What::FdInfo(who, fd),
                        0o400,
                        who.ino(FDINFO_INO + fd as u64),
                    ));
                }
                let flags = file.flags();
                let perm = 0o100 | (flags.readable() as u16) << 8 | (flags.writable() as u16) << 7;
                Ok(node(What::Fd(who, fd), perm, who.ino(FD_INO + fd as u64)))
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// There is no such process, and naming one does not make it.
    fn create(&self, _name: Hashed<'_>, _new: &NewInode<'_>) -> Result<Arc<dyn Inode>> {
        Err(Errno::ENOENT)
    }

    fn readdir(&self, cookie: u64, sink: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        match self.what {
            What::Root => {
                let more = cookie >= PID_COOKIE || list(static_entries(tree::ROOT), cookie, sink);
                if more {
                    let from = (PID_COOKIE, cookie);
                    list_numbers(source::pids(), from, (pid_ino, FileType::Directory), sink);
                }
            }
            What::Table(entries) => {
                list(static_entries(entries), cookie, sink);
            }
            What::Process(who) => {
                who.find_listed()?;
                let entry = |(i, e): (usize, &'static ProcessEntry)| {
                    (e.name, who.ino(i as u64 + 1), e.node.kind())
                };
                list(
                    tree::process_entries(who).enumerate().map(entry),
                    cookie,
                    sink,
                );
            }
            What::Tasks(who) => {
                let tids = who.find_listed()?.tids();
                list_numbers(
                    tids.into_iter(),
                    (0, cookie),
                    (thread_ino, FileType::Directory),
                    sink,
                );
            }
            What::FdDir(who) | What::FdInfoDir(who) => {
                let subject = who.find_listed()?;
                self.check_private(&subject)?;
                let (base, kind) = match self.what {
                    What::FdDir(_) => (FD_INO, FileType::Symlink),
                    _ => (FDINFO_INO, FileType::Regular),
                };
                let ino = |fd| who.ino(base + fd as u64);
                list_numbers(
                    subject.files().list().into_iter(),
                    (0, cookie),
                    (ino, kind),
                    sink,
                );
            }
            _ => return Err(Errno::ENOTDIR),
        }
        Ok(())
    }

    fn read_link(&self) -> Result<Link> {
        match self.what {
            What::Static(Static::Link(to)) => Ok(Link::Text(to().into_bytes())),
            What::ProcessFile(who, ProcessNode::Link(to)) => {
                let subject = who.find()?;
                self.check_private(&subject)?;
                to(&subject).map(Link::Jump)
            }
            What::Fd(who, fd) => {
                let subject = who.find()?;
                self.check_private(&subject)?;
                let file = subject.files().get(fd).map_err(|_| Errno::ENOENT)?;
                Ok(Link::Jump(place_of(&file)?))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn FileOps>>> {
        if self.kind() != FileType::Regular {
            return Ok(None);
        }
        if let What::ProcessFile(who, ProcessNode::Private(_)) = self.what {
            self.check_private(&who.find()?)?;
        }
        let node = Node {
            what: self.what,
            perm: self.perm,
            ino: self.ino,
        };
        Ok(Some(Arc::new(OpenText::new(node))))
    }

    fn truncate(&self, _size: u64) -> Result<()> {
        // `echo value > /proc/…` opens with O_TRUNC.
        Ok(())
    }
}

fn static_entries(
    entries: &'static [Entry],
) -> impl Iterator<Item = (&'static str, u64, FileType)> {
    entries.iter().map(|e| (e.name, e.ino(), e.kind()))
}

fn find_static(entries: &'static [Entry], name: &[u8]) -> Result<Arc<dyn Inode>> {
    let entry = entries
        .iter()
        .find(|e| e.name.as_bytes() == name)
        .ok_or(Errno::ENOENT)?;
    let what = match &entry.node {
        Static::Directory(entries) => What::Table(entries),
        node => What::Static(node),
    };
    Ok(node(what, entry.perm(), entry.ino()))
}
