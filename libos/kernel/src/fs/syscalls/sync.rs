//! Getting data to stable storage, and advice about access.

use crate::base::{Errno, Result};
use crate::fs::{caller, mount};

pub fn sys_sync() -> Result<usize> {
    mount::for_each(|mount| {
        if let Err(e) = mount.fs().sync() {
            // sync(2) cannot fail; the log is where the error can be seen.
            crate::klog!(
                Err,
                "sync: {} of type {}: {e:?}",
                mount.source,
                mount.fs().name()
            );
        }
        Ok(())
    })?;
    Ok(0)
}

pub fn sys_fsync(fd: i32) -> Result<usize> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    match file.inode() {
        Some(inode) if file.seekable() => inode.sync()?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub fn sys_fdatasync(fd: i32) -> Result<usize> {
    sys_fsync(fd)
}

pub fn sys_syncfs(fd: i32) -> Result<usize> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    if let Some(path) = file.path() {
        path.mount.fs().sync()?;
    }
    Ok(0)
}

pub fn sys_sync_file_range(fd: i32, _offset: i64, _len: i64, flags: u32) -> Result<usize> {
    if flags & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    if !caller::file(fd)?.seekable() {
        return Err(Errno::ESPIPE);
    }
    sys_fsync(fd)
}

/// Advice is checked and, files being in memory, not needed.
pub fn sys_fadvise64(fd: i32, _offset: i64, len: i64, advice: i32) -> Result<usize> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    if !file.seekable() {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || !(0..=5).contains(&advice) {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

pub fn sys_readahead(fd: i32, _offset: i64, _count: usize) -> Result<usize> {
    let file = caller::file(fd)?;
    if !file.flags().readable() {
        return Err(Errno::EBADF);
    }
    if file.ops().is_some() {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}
