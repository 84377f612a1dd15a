//! Descriptors: duplicating them, closing many.

use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::close_file;
use crate::fs::fdtable::OnExec;
use crate::fs::types::OpenFlags;

pub fn sys_dup(fd: i32) -> Result<usize> {
    let files = caller::files();
    let file = files.get(fd)?;
    Ok(files.insert(file, OnExec::Keep)? as usize)
}

fn duplicate_to(old: i32, new: i32, on_exec: OnExec) -> Result<usize> {
    let files = caller::files();
    let file = files.get(old)?;
    if let Some(closed) = files.replace(new, file, on_exec)? {
        close_file(closed);
    }
    Ok(new as usize)
}

pub fn sys_dup2(old: i32, new: i32) -> Result<usize> {
    if old == new {
        return caller::file(old).map(|_| new as usize);
    }
    duplicate_to(old, new, OnExec::Keep)
}

pub fn sys_dup3(old: i32, new: i32, flags: u32) -> Result<usize> {
    if old == new || flags & !OpenFlags::CLOEXEC.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    duplicate_to(old, new, OnExec::from_flag(flags != 0))
}

const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

pub fn sys_close_range(first: u32, last: u32, flags: u32) -> Result<usize> {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        caller::unshare_files()?;
    }
    let files = caller::files();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        let end = files.size().min(last as usize + 1);
        for fd in first as usize..end {
            // What is not open cannot be marked.
            let _ = files.set_on_exec(fd as i32, OnExec::Close);
        }
    } else {
        files.close_where(first as usize, last as usize, |_| true);
    }
    Ok(0)
}
