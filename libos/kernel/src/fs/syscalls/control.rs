//! `fcntl`, `ioctl`, `flock`.

use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::fdtable::OnExec;
use crate::fs::file::File;
use crate::fs::locks::{self, Kind, Lock, Owner, Patience};
use crate::fs::permission;
use crate::fs::ramfs::{RamInode, seal};
use crate::fs::types::{FileType, OpenFlags};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

mod cmd {
    pub const DUPFD: u32 = 0;
    pub const GETFD: u32 = 1;
    pub const SETFD: u32 = 2;
    pub const GETFL: u32 = 3;
    pub const SETFL: u32 = 4;
    pub const GETLK: u32 = 5;
    pub const SETLK: u32 = 6;
    pub const SETLKW: u32 = 7;
    pub const SETOWN: u32 = 8;
    pub const GETOWN: u32 = 9;
    pub const OFD_GETLK: u32 = 36;
    pub const OFD_SETLK: u32 = 37;
    pub const OFD_SETLKW: u32 = 38;
    pub const DUPFD_QUERY: u32 = 1027;
    pub const DUPFD_CLOEXEC: u32 = 1030;
    pub const SETPIPE_SZ: u32 = 1031;
    pub const GETPIPE_SZ: u32 = 1032;
    pub const ADD_SEALS: u32 = 1033;
    pub const GET_SEALS: u32 = 1034;
}

pub fn sys_fcntl(fd: i32, cmd: u32, arg: usize) -> Result<usize> {
    let files = caller::files();
    let file = files.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        let allowed = [
            cmd::DUPFD,
            cmd::DUPFD_CLOEXEC,
            cmd::GETFD,
            cmd::SETFD,
            cmd::GETFL,
        ];
        if !allowed.contains(&cmd) {
            return Err(Errno::EBADF);
        }
    }
    match cmd {
        cmd::DUPFD | cmd::DUPFD_CLOEXEC => {
            let limit = caller::open_file_limit();
            if arg as u64 >= limit {
                return Err(Errno::EINVAL);
            }
            let on_exec = OnExec::from_flag(cmd == cmd::DUPFD_CLOEXEC);
            Ok(files.insert_from(arg, file, on_exec, limit)? as usize)
        }
        cmd::GETFD => Ok((files.on_exec(fd)? == OnExec::Close) as usize),
        cmd::SETFD => files
            .set_on_exec(fd, OnExec::from_flag(arg & 1 != 0))
            .map(|()| 0),
        cmd::GETFL => Ok(file.flags().bits() as usize),
        cmd::SETFL => {
            let flags = OpenFlags::from_bits_truncate(arg as u32);
            if (flags - file.flags()).contains(OpenFlags::NOATIME)
                && let Some(inode) = file.inode()
            {
                permission::check_owner(inode.access()?.uid, &caller::credentials())?;
            }
            file.set_flags(flags);
            Ok(0)
        }
        cmd::GETLK..=cmd::SETLKW | cmd::OFD_GETLK..=cmd::OFD_SETLKW => {
            let owner = match cmd {
                cmd::GETLK..=cmd::SETLKW => Owner::Process(caller::pid()),
                _ => Owner::File(locks::file_key(&file)),
            };
            let act = match cmd {
                cmd::GETLK | cmd::OFD_GETLK => Act::Query,
                cmd::SETLK | cmd::OFD_SETLK => Act::Set(Patience::Try),
                _ => Act::Set(Patience::Wait),
            };
            record_lock(&file, UserPtr::new(arg), act, owner)?;
            // Another thread may have closed the descriptor, and with it given back what had not been set yet.
            if matches!(owner, Owner::Process(_))
                && let Some(inode) = file.inode()
                && !files.get(fd).is_ok_and(|now| Arc::ptr_eq(&now, &file))
            {
                locks::unset(inode, owner, 0, locks::END);
                return Err(Errno::EBADF);
            }
            Ok(0)
        }
        cmd::SETOWN => {
            file.owner.store(arg as u32, Ordering::Relaxed);
            Ok(0)
        }
        cmd::GETOWN => Ok(file.owner.load(Ordering::Relaxed) as i32 as isize as usize),
        cmd::DUPFD_QUERY => Ok(Arc::ptr_eq(&file, &files.get(arg as i32)?) as usize),
        cmd::GETPIPE_SZ => file.ops().ok_or(Errno::EBADF)?.pipe_size(),
        cmd::SETPIPE_SZ => file.ops().ok_or(Errno::EBADF)?.set_pipe_size(arg),
        cmd::ADD_SEALS => {
            if !file.flags().writable() {
                return Err(Errno::EPERM);
            }
            let seals = u32::try_from(arg)
                .ok()
                .filter(|s| s & !seal::ALL == 0)
                .ok_or(Errno::EINVAL)?;
            with_contents(&file, |c| c.add_seals(seals))?;
            Ok(0)
        }
        cmd::GET_SEALS => with_contents(&file, |c| Ok(c.seals() as usize)),
        _ => {
            crate::klog!(Debug, "fcntl: command {cmd} is not there");
            Err(Errno::EINVAL)
        }
    }
}

fn with_contents<T>(
    file: &File,
    f: impl FnOnce(&crate::fs::ramfs::Contents) -> Result<T>,
) -> Result<T> {
    let inode = file.inode().ok_or(Errno::EINVAL)?;
    let ram = inode
        .as_any()
        .downcast_ref::<RamInode>()
        .ok_or(Errno::EINVAL)?;
    f(ram.contents().ok_or(Errno::EINVAL)?)
}

enum Act {
    Query,
    Set(Patience),
}

const F_RDLCK: u16 = 0;
const F_WRLCK: u16 = 1;
const F_UNLCK: u16 = 2;

/// `arg` is `struct flock`: u16 type, u16 whence, pad, i64 start, i64 len, i32 pid, pad.
fn record_lock(file: &File, arg: UserPtr<[u64; 4]>, act: Act, owner: Owner) -> Result<()> {
    let inode = file.inode().ok_or(Errno::EBADF)?;
    let [head, start, len, pid] = arg.read()?;
    let (kind, whence) = (head as u16, (head >> 16) as u16);
    if matches!(owner, Owner::File(_)) && pid as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let base = match whence {
        0 => 0,
        1 => file.offset(),
        2 => file.size()?,
        _ => return Err(Errno::EINVAL),
    };
    let (start, end) = range(base, start as i64, len as i64)?;
    let lock_kind = match kind {
        F_RDLCK => Kind::Shared,
        F_WRLCK => Kind::Exclusive,
        F_UNLCK => match act {
            Act::Set(_) => {
                return locks::unset_part(inode, owner, start, end);
            }
            Act::Query => return Err(Errno::EINVAL),
        },
        _ => return Err(Errno::EINVAL),
    };
    let wanted = Lock {
        owner,
        kind: lock_kind,
        start,
        end,
    };
    match act {
        Act::Set(patience) => {
            let allowed = if kind == F_RDLCK {
                file.flags().readable()
            } else {
                file.flags().writable()
            };
            if !allowed {
                return Err(Errno::EBADF);
            }
            locks::set(inode, wanted, patience)?;
        }
        Act::Query => match locks::conflict(inode, &wanted) {
            None => arg.write([head & !0xffff | F_UNLCK as u64, start, len, pid])?,
            Some(held) => {
                let kind = if held.kind == Kind::Shared {
                    F_RDLCK
                } else {
                    F_WRLCK
                };
                let len = if held.end == locks::END {
                    0
                } else {
                    held.end - held.start + 1
                };
                let pid = match held.owner {
                    Owner::Process(pid) => pid as u32 as u64,
                    _ => u32::MAX as u64,
                };
                arg.write([kind as u64, held.start, len, pid])?;
            }
        },
    }
    Ok(())
}

/// First and last byte of `start` and `len` relative to `base`; a length of 0 reaches to the end, a negative one back.
fn range(base: u64, start: i64, len: i64) -> Result<(u64, u64)> {
    let start = base.checked_add_signed(start).ok_or(Errno::EINVAL)?;
    let within = |at: u64| match at {
        0..=locks::END => Ok(at),
        _ => Err(Errno::EOVERFLOW),
    };
    let start = within(start)?;
    match len {
        0 => Ok((start, locks::END)),
        1.. => Ok((start, within(start + (len as u64 - 1))?)),
        _ => Ok((
            start.checked_add_signed(len).ok_or(Errno::EINVAL)?,
            start.checked_sub(1).ok_or(Errno::EINVAL)?,
        )),
    }
}

const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;

pub fn sys_flock(fd: i32, operation: u32) -> Result<usize> {
    let kind = match operation & !LOCK_NB {
        LOCK_SH => Some(Kind::Shared),
        LOCK_EX => Some(Kind::Exclusive),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = caller::file(fd)?;
    file.check_not_path()?;
    let Some(inode) = file.inode() else {
        // Nobody else can reach the lock of a file without a name but through the same description.
        return Ok(0);
    };
    let owner = Owner::Flock(locks::file_key(&file));
    let Some(kind) = kind else {
        locks::unset(inode, owner, 0, locks::END);
        return Ok(0);
    };
    let patience = if operation & LOCK_NB != 0 {
        Patience::Try
    } else {
        Patience::Wait
    };
    locks::set(
        inode,
        Lock {
            owner,
            kind,
            start: 0,
            end: locks::END,
        },
        patience,
    )?;
    Ok(0)
}

mod request {
    pub const FIOCLEX: u32 = 0x5451;
    pub const FIONCLEX: u32 = 0x5450;
    pub const FIONBIO: u32 = 0x5421;
    pub const FIONREAD: u32 = 0x541b;
    pub const FIGETBSZ: u32 = 2;
    pub const FICLONE: u32 = 0x4004_9409;
    pub const FICLONERANGE: u32 = 0x4020_940d;
}

pub fn sys_ioctl(fd: i32, cmd: u32, arg: usize) -> Result<usize> {
    let files = caller::files();
    let file = files.get(fd)?;
    file.check_not_path()?;
    match cmd {
        request::FIOCLEX => files.set_on_exec(fd, OnExec::Close).map(|()| 0),
        request::FIONCLEX => files.set_on_exec(fd, OnExec::Keep).map(|()| 0),
        request::FIONBIO => {
            let on = UserPtr::<i32>::new(arg).read()? != 0;
            let mut flags = file.flags();
            flags.set(OpenFlags::NONBLOCK, on);
            file.set_flags(flags);
            Ok(0)
        }
        _ => match file.ops() {
            Some(ops) => ops.ioctl(&file, cmd, arg),
            None => inode_ioctl(&file, cmd, arg),
        },
    }
}

/// What files that their inode serves answer.
fn inode_ioctl(file: &File, cmd: u32, arg: usize) -> Result<usize> {
    let metadata = file.metadata()?;
    match cmd {
        request::FIONREAD if metadata.kind == FileType::Regular => {
            let left = metadata
                .size
                .saturating_sub(file.offset())
                .min(i32::MAX as u64);
            UserPtr::<i32>::new(arg).write(left as i32)?;
            Ok(0)
        }
        request::FIGETBSZ => {
            UserPtr::<i32>::new(arg).write(metadata.block_size as i32)?;
            Ok(0)
        }
        request::FICLONE | request::FICLONERANGE => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::ENOTTY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_ranges_reach_forward_back_and_to_the_end() {
        assert_eq!(range(100, -10, 0), Ok((90, locks::END)));
        assert_eq!(range(0, 5, 10), Ok((5, 14)));
        assert_eq!(range(0, 20, -5), Ok((15, 19)));
        assert_eq!(range(0, -1, 1), Err(Errno::EINVAL));
        assert_eq!(range(0, 2, -5), Err(Errno::EINVAL));
        assert_eq!(range(1, i64::MAX, 1), Err(Errno::EOVERFLOW));
        assert_eq!(range(2, 0, i64::MAX), Err(Errno::EOVERFLOW));
        assert_eq!(range(1, 0, i64::MAX), Ok((1, locks::END)));
    }
}
