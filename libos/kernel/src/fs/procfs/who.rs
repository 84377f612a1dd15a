//! Which process or thread a file of `/proc` is about.

use super::source::{self, Subject};
use crate::base::{Errno, Result};
use crate::process::Pid;

/// What a process's directories and files need to find it again: it may be gone by the time they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who {
    pub pid: Pid,
    /// When the process was made: its number may be another's by now.
    born: u64,
    /// `None`: the process as a whole.
    pub tid: Option<Pid>,
}

impl Who {
    pub fn process(pid: Pid) -> Result<Who> {
        let born = source::find(pid)?.start_ns();
        Ok(Who {
            pid,
            born,
            tid: None,
        })
    }

    /// One of its threads.
    pub fn thread(self, tid: Pid) -> Result<Who> {
        self.find()?.thread(tid)?;
        Ok(Who {
            tid: Some(tid),
            ..self
        })
    }

    /// `ESRCH` if it is gone.
    pub fn find(self) -> Result<Subject> {
        let process = source::find(self.pid).ok();
        let process = process.filter(|p| p.start_ns() == self.born);
        let subject = match self.tid {
            None => process,
            Some(tid) => process.and_then(|p| p.thread(tid).ok()),
        };
        subject.ok_or(Errno::ESRCH)
    }

    /// As [`find`](Self::find), for who looks into a directory: one of a process that is gone is one that has been removed.
    pub fn find_listed(self) -> Result<Subject> {
        self.find().map_err(|_| Errno::ENOENT)
    }

    /// Inode numbers: the system's files below 2^20, then 2^16 for each process or thread.
    pub fn ino(self, index: u64) -> u64 {
        match self.tid {
            Some(tid) => thread_ino(tid) | index,
            None => pid_ino(self.pid) | index,
        }
    }
}

pub fn pid_ino(pid: Pid) -> u64 {
    (pid as u64 + 16) << 20
}

pub fn thread_ino(tid: Pid) -> u64 {
    pid_ino(tid) | 1 << 19
}
