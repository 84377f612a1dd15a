//! File descriptors that name a process (pidfd_open(2)): readable once it has ended.

use super::wait::PollTable;
use super::{Pid, Process, current, signal, table};
use crate::base::{Errno, Result};
use crate::fs::{File, FileOps, OnExec, OpenFlags, PollEvents};
use crate::user::UserPtr;
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
            PollEvents::IN
        } else {
            PollEvents::empty()
        }
    }
}

/// The process behind descriptor `fd` of the caller.
fn process_of(fd: i32) -> Result<Arc<Process>> {
    let file = crate::fs::caller::file(fd)?;
    Ok(file.ops_as::<PidFd>().ok_or(Errno::EBADF)?.0.clone())
}

pub fn pid_of(fd: i32) -> Result<Pid> {
    Ok(process_of(fd)?.pid)
}

/// Opens a descriptor for `process` in the caller's table, closed on exec.
pub fn open(process: Arc<Process>) -> Result<i32> {
    let file = File::anonymous(Arc::new(PidFd(process)), OpenFlags::RDWR);
    current()
        .process()
        .files
        .lock()
        .clone()
        .insert(file, OnExec::Close)
}

pub fn sys_pidfd_open(pid: i32, flags: u32) -> Result<usize> {
    const NONBLOCK: u32 = 0o4000;
    if pid <= 0 || flags & !NONBLOCK != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(open(table::find(pid).ok_or(Errno::ESRCH)?)? as usize)
}

pub fn sys_pidfd_send_signal(fd: i32, signo: i32, info: usize, _flags: u32) -> Result<usize> {
    let pid = pid_of(fd)?;
    match UserPtr::<signal::SigInfo>::new(info).option() {
        None => signal::sys::sys_kill(pid, signo),
        Some(p) => signal::sys::sys_rt_sigqueueinfo(pid, signo, p),
    }
}
