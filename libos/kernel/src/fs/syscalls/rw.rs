//! Reading and writing.

use crate::base::{Errno, Result};
use crate::fs::io::Whence;
use crate::process::held::hold;
use crate::user::{Buffer, UserPtr};

/// An `iovec`: address and length.
pub type IoVec = [usize; 2];

pub fn sys_read(fd: i32, buf: usize, len: usize) -> Result<usize> {
    hold(fd)?.read(&mut Buffer::user(buf, len)?)
}

pub fn sys_write(fd: i32, buf: usize, len: usize) -> Result<usize> {
    hold(fd)?.write(&mut Buffer::user(buf, len)?)
}

pub fn sys_readv(fd: i32, iov: UserPtr<IoVec>, count: usize) -> Result<usize> {
    hold(fd)?.read(&mut Buffer::user_vec(iov, count)?)
}

pub fn sys_writev(fd: i32, iov: UserPtr<IoVec>, count: usize) -> Result<usize> {
    hold(fd)?.write(&mut Buffer::user_vec(iov, count)?)
}

fn offset(offset: i64) -> Result<u64> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL)
}

pub fn sys_pread64(fd: i32, buf: usize, len: usize, at: i64) -> Result<usize> {
    hold(fd)?.read_at(&mut Buffer::user(buf, len)?, offset(at)?)
}

pub fn sys_pwrite64(fd: i32, buf: usize, len: usize, at: i64) -> Result<usize> {
    hold(fd)?.write_at(&mut Buffer::user(buf, len)?, offset(at)?)
}

pub fn sys_preadv(fd: i32, iov: UserPtr<IoVec>, count: usize, at: i64) -> Result<usize> {
    hold(fd)?.read_at(&mut Buffer::user_vec(iov, count)?, offset(at)?)
}

pub fn sys_pwritev(fd: i32, iov: UserPtr<IoVec>, count: usize, at: i64) -> Result<usize> {
    hold(fd)?.write_at(&mut Buffer::user_vec(iov, count)?, offset(at)?)
}

/// `RWF_*`: priority, sync and append-behaviour hints. Those that ask for no more than is done anyway are taken.
const RWF_HIPRI: u32 = 1;
const RWF_DSYNC: u32 = 2;
const RWF_SYNC: u32 = 4;

/// A high half of the offset, as 32-bit systems pass it, and flags; offset -1 is the file's own.
fn check_rw_flags(flags: u32) -> Result<()> {
    if flags & !(RWF_HIPRI | RWF_DSYNC | RWF_SYNC) != 0 {
        Err(Errno::EOPNOTSUPP)
    } else {
        Ok(())
    }
}

pub fn sys_preadv2(
    fd: i32,
    iov: UserPtr<IoVec>,
    count: usize,
    at: i64,
    _high: usize,
    flags: u32,
) -> Result<usize> {
    check_rw_flags(flags)?;
    if at == -1 {
        sys_readv(fd, iov, count)
    } else {
        sys_preadv(fd, iov, count, at)
    }
}

pub fn sys_pwritev2(
    fd: i32,
    iov: UserPtr<IoVec>,
    count: usize,
    at: i64,
    _high: usize,
    flags: u32,
) -> Result<usize> {
    check_rw_flags(flags)?;
    if at == -1 {
        sys_writev(fd, iov, count)
    } else {
        sys_pwritev(fd, iov, count, at)
    }
}

pub fn sys_lseek(fd: i32, offset: i64, whence: i32) -> Result<usize> {
    let whence = match whence {
        0 => Whence::Set,
        1 => Whence::Current,
        2 => Whence::End,
        3 => Whence::Data,
        4 => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    Ok(hold(fd)?.seek(offset, whence)? as usize)
}
