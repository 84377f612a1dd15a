//! File descriptors that name a process (pidfd_open(2)): readable once it has ended.

use super::signal::{self, SigInfo};
use super::wait::PollTable;
use super::{Process, current, table};
use crate::base::{Errno, Result};
use crate::fs::{File, FileOps, OnExec, OpenFlags, PollEvents};
use crate::user::UserPtr;
use alloc::string::String;
use alloc::sync::Arc;

struct PidFd(Arc<Process>);

impl FileOps for PidFd {
    fn as_any(&self) -> &dyn core::any::Any {
        self
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(t) = table {
            t.register(&self.0.exit_event);
        }
        if self.0.is_zombie() {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:[pidfd]")
    }
}

/// The process behind descriptor `fd` of the caller, whose number may be another's by now; and whether nobody is to wait by it.
pub fn process_of(fd: i32) -> Result<(Arc<Process>, bool)> {
    let file = crate::fs::caller::file(fd)?;
    let process = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?.0.clone();
    Ok((process, file.nonblocking()))
}

/// Opens a descriptor for `process` in the caller's table, closed on exec.
pub fn open(process: Arc<Process>, flags: u32) -> Result<i32> {
    let flags = OpenFlags::RDWR | OpenFlags::from_bits_retain(flags);
    let file = File::anonymous(Arc::new(PidFd(process)), flags);
    let files = current().process().files.lock().clone();
    files.insert(file, OnExec::Close)
}

pub fn sys_pidfd_open(pid: i32, flags: u32) -> Result<usize> {
    if pid <= 0 || flags & !OpenFlags::NONBLOCK.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(open(table::find(pid).ok_or(Errno::ESRCH)?, flags)? as usize)
}

pub fn sys_pidfd_send_signal(
    fd: i32,
    signo: i32,
    info: UserPtr<SigInfo>,
    flags: u32,
) -> Result<usize> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    signal::sys::send_by_pidfd(&process_of(fd)?.0, signo, info)
}
