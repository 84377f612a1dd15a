//! Changing attributes: permissions, owners, times.

use super::at::*;
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::inode::Access;
use crate::fs::notify::{self, Event};
use crate::fs::permission::{self, SETGID, SETUID, WRITE};
use crate::fs::types::{FileType, SetAttr};
use crate::time::Timespec;
use crate::user::UserPtr;

/// Changes the file as `decide` says, who is shown what it is now. What has no name keeps its attributes: pipes and sockets take a
/// change all the same, as programs expect.
fn set_attr(
    target: &Target,
    mut decide: impl FnMut(Access, FileType) -> Result<SetAttr>,
) -> Result<usize> {
    let path = match target {
        Target::Path(path) => path,
        Target::File(file) => {
            return match file.metadata()?.kind {
                FileType::Fifo | FileType::Socket => Ok(0),
                _ => Err(Errno::EOPNOTSUPP),
            };
        }
    };
    path.mount.check_writable()?;
    let kind = path.kind();
    path.inode().set_attr(&mut |access| decide(access, kind))?;
    notify::on_path(path, Event::ATTRIB);
    Ok(0)
}

/// The file behind a descriptor, for the `f*` calls.
fn opened(fd: i32) -> Result<Target> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    Ok(of_file(file))
}

fn chmod(target: &Target, mode: u32) -> Result<usize> {
    let creds = caller::credentials();
    set_attr(target, |access, kind| {
        permission::check_owner(access.uid, &creds)?;
        if kind == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut perm = (mode & 0o7777) as u16;
        // Only a member of the group may make a file run as the group.
        if creds.fsuid != 0 && !creds.in_group(access.gid) {
            perm &= !SETGID;
        }
        Ok(SetAttr {
            perm: Some(perm),
            ..SetAttr::default()
        })
    })
}

pub fn sys_fchmod(fd: i32, mode: u32) -> Result<usize> {
    chmod(&opened(fd)?, mode)
}

pub fn sys_fchmodat2(dirfd: i32, path: UserPtr<u8>, mode: u32, flags: u32) -> Result<usize> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    chmod(&target(dirfd, path, flags)?, mode)
}

pub fn sys_fchmodat(dirfd: i32, path: UserPtr<u8>, mode: u32) -> Result<usize> {
    sys_fchmodat2(dirfd, path, mode, 0)
}

fn chown(target: &Target, uid: u32, gid: u32) -> Result<usize> {
    let keep = |id: u32| (id != u32::MAX).then_some(id);
    let (uid, gid) = (keep(uid), keep(gid));
    let creds = caller::credentials();
    set_attr(target, |access, kind| {
        if creds.fsuid != 0 {
            let same_owner = creds.fsuid == access.uid && uid.is_none_or(|u| u == access.uid);
            let known_group = gid.is_none_or(|g| g == access.gid || creds.in_group(g));
            if !same_owner || !known_group {
                return Err(Errno::EPERM);
            }
        }
        let mut change = SetAttr {
            uid,
            gid,
            ..SetAttr::default()
        };
        // A program that runs as its owner must not do so for a new one.
        if kind == FileType::Regular {
            let drop_gid = if access.perm & 0o010 != 0 { SETGID } else { 0 };
            let perm = access.perm & !(SETUID | drop_gid);
            change.perm = (perm != access.perm).then_some(perm);
        }
        Ok(change)
    })
}

pub fn sys_fchown(fd: i32, uid: u32, gid: u32) -> Result<usize> {
    chown(&opened(fd)?, uid, gid)
}

pub fn sys_fchownat(
    dirfd: i32,
    path: UserPtr<u8>,
    uid: u32,
    gid: u32,
    flags: u32,
) -> Result<usize> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    chown(&target(dirfd, path, flags)?, uid, gid)
}

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// `times` is `struct timespec[2]`; null means now, for both.
pub fn sys_utimensat(
    dirfd: i32,
    path: UserPtr<u8>,
    times: UserPtr<[i64; 4]>,
    flags: u32,
) -> Result<usize> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let [atime_sec, atime_nsec, mtime_sec, mtime_nsec] = match times.option() {
        Some(times) => times.read()?,
        None => [0, UTIME_NOW, 0, UTIME_NOW],
    };
    let both_now = atime_nsec == UTIME_NOW && mtime_nsec == UTIME_NOW;
    let now = Timespec::now();
    let time = |sec: i64, nsec: i64| match nsec {
        UTIME_NOW => Ok(Some(now)),
        UTIME_OMIT => Ok(None),
        0..=999_999_999 => Ok(Some(Timespec {
            sec,
            nsec: nsec as u32,
        })),
        _ => Err(Errno::EINVAL),
    };
    let change = SetAttr {
        atime: time(atime_sec, atime_nsec)?,
        mtime: time(mtime_sec, mtime_nsec)?,
        ..SetAttr::default()
    };
    // A null path means the descriptor itself.
    let target = if path.is_null() && dirfd != AT_FDCWD {
        opened(dirfd)?
    } else {
        target(dirfd, path, flags)?
    };
    if change.atime.is_none() && change.mtime.is_none() {
        return Ok(0);
    }
    let creds = caller::credentials();
    set_attr(&target, |access, _| {
        match permission::check_owner(access.uid, &creds) {
            // Whoever may write may also say "now".
            Err(_) if both_now => permission::check_bits(access, &creds, WRITE)?,
            owner => owner?,
        }
        Ok(change.clone())
    })
}
