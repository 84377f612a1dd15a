//! The size of files and the space they take.

use super::at::{AT_FDCWD, At};
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::inode::Allocate;
use crate::fs::io::truncate_inode;
use crate::fs::notify::{self, Event};
use crate::fs::permission::{self, WRITE};
use crate::fs::types::FileType;
use crate::fs::walk::Follow;
use crate::user::UserPtr;

pub fn sys_truncate(path: UserPtr<u8>, size: i64) -> Result<usize> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let path = At::new(AT_FDCWD, path)?.lookup(Follow::Yes)?;
    match path.kind() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    permission::check(&**path.inode(), &caller::credentials(), WRITE)?;
    let _writing = path.mount.writing()?;
    truncate_inode(path.inode(), size)?;
    notify::on_path(&path, Event::MODIFY);
    Ok(0)
}

pub fn sys_ftruncate(fd: i32, size: i64) -> Result<usize> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = caller::file(fd)?;
    file.check_not_path()?;
    file.truncate(size)?;
    Ok(0)
}

const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const ZERO_RANGE: u32 = 0x10;

pub fn sys_fallocate(fd: i32, mode: u32, offset: i64, len: i64) -> Result<usize> {
    let how = match mode {
        0 => Allocate::Extend,
        KEEP_SIZE => Allocate::KeepSize,
        _ if mode == PUNCH_HOLE | KEEP_SIZE => Allocate::PunchHole,
        ZERO_RANGE => Allocate::ZeroRange,
        _ if mode == ZERO_RANGE | KEEP_SIZE => Allocate::ZeroRangeKeepSize,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    let file = caller::file(fd)?;
    if !file.flags().writable() {
        return Err(Errno::EBADF);
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)? as u64;
    let inode = match file.inode() {
        Some(inode) if inode.kind() == FileType::Regular => inode,
        Some(inode) if inode.kind() == FileType::Directory => return Err(Errno::EISDIR),
        _ if !file.seekable() => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    };
    let limit = caller::file_size_limit();
    // As on Linux, also where the size stays.
    if how != Allocate::PunchHole && end > limit && end > inode.metadata()?.size {
        caller::over_file_size_limit(limit);
        return Err(Errno::EFBIG);
    }
    inode.allocate(how, offset as u64, len as u64)?;
    file.notify(Event::MODIFY);
    Ok(0)
}
