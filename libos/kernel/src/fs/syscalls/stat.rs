//! What files are: `stat`, `statx`, `statfs`, `access`.
//!
//! The structures are Linux's for arm64, written as words: their layout does not depend on the compiler's target.

use super::at::*;
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::mount::{Mount, MountFlags};
use crate::fs::permission;
use crate::fs::types::{FileType, Metadata};
use crate::fs::walk::Follow;
use crate::process::held::hold;
use crate::user::UserPtr;
use alloc::sync::Arc;

/// `struct stat`.
pub type StatWords = [u64; 16];
/// `struct statx`.
pub type StatxWords = [u64; 32];
/// `struct statfs`.
pub type StatfsWords = [u64; 15];

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

fn stat_words(m: &Metadata) -> StatWords {
    [
        m.dev.encode(),
        m.ino,
        pair(m.mode(), m.nlink),
        pair(m.uid, m.gid),
        m.rdev.encode(),
        0,
        m.size,
        m.block_size as u64,
        m.blocks,
        m.atime.sec as u64,
        m.atime.nsec as u64,
        m.mtime.sec as u64,
        m.mtime.nsec as u64,
        m.ctime.sec as u64,
        m.ctime.nsec as u64,
        0,
    ]
}

pub fn sys_fstat(fd: i32, out: UserPtr<StatWords>) -> Result<usize> {
    out.write(stat_words(&hold(fd)?.metadata()?))?;
    Ok(0)
}

pub fn sys_newfstatat(
    dirfd: i32,
    path: UserPtr<u8>,
    out: UserPtr<StatWords>,
    flags: u32,
) -> Result<usize> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    out.write(stat_words(&target(dirfd, path, flags)?.metadata()?))?;
    Ok(0)
}

/// `STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID`.
const STATX_ANSWERED: u32 = 0x7ff | 0x800 | 0x1000;
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
const STATX_RESERVED: u32 = 0x8000_0000;
const AT_STATX_SYNC_TYPE: u32 = 0x6000;

pub fn sys_statx(
    dirfd: i32,
    path: UserPtr<u8>,
    flags: u32,
    mask: u32,
    out: UserPtr<StatxWords>,
) -> Result<usize> {
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    if flags & !known != 0 || mask & STATX_RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    let target = target(dirfd, path, flags)?;
    let m = target.metadata()?;
    let (mount, attributes) = match &target {
        Target::Path(p) => {
            let is_root = Arc::ptr_eq(&p.dentry, &p.mount.root);
            (
                p.mount.id as u64,
                if is_root { STATX_ATTR_MOUNT_ROOT } else { 0 },
            )
        }
        Target::File(_) => (0, 0),
    };
    let mut w = [0u64; 32];
    w[0] = pair(STATX_ANSWERED, m.block_size);
    w[1] = attributes;
    w[2] = pair(m.nlink, m.uid);
    w[3] = pair(m.gid, m.mode());
    w[4] = m.ino;
    w[5] = m.size;
    w[6] = m.blocks;
    w[7] = STATX_ATTR_MOUNT_ROOT;
    for (i, t) in [m.atime, m.btime, m.ctime, m.mtime].into_iter().enumerate() {
        w[8 + 2 * i] = t.sec as u64;
        w[9 + 2 * i] = t.nsec as u64;
    }
    w[16] = pair(m.rdev.major, m.rdev.minor);
    w[17] = pair(m.dev.major, m.dev.minor);
    w[18] = mount;
    out.write(w)?;
    Ok(0)
}

fn statfs_words(mount: &Mount) -> Result<StatfsWords> {
    const ST_VALID: u64 = 0x20;
    const ST_RELATIME: u64 = 0x1000;
    let s = mount.fs().stat()?;
    let mut w = [0u64; 15];
    w[0] = s.magic;
    w[1] = s.block_size;
    w[2] = s.blocks;
    w[3] = s.free;
    w[4] = s.free;
    w[5] = s.files;
    w[6] = s.files_free;
    w[7] = mount.sb.root.inode.metadata()?.dev.encode();
    w[8] = crate::fs::types::NAME_MAX as u64;
    w[9] = s.block_size;
    let flags = mount.flags() - MountFlags::RELATIME;
    let relatime = match flags.contains(MountFlags::NOATIME) {
        true => 0,
        false => ST_RELATIME,
    };
    w[10] = flags.bits() as u64 | relatime | ST_VALID;
    Ok(w)
}

pub fn sys_statfs(path: UserPtr<u8>, out: UserPtr<StatfsWords>) -> Result<usize> {
    let path = At::new(AT_FDCWD, path)?.lookup(Follow::Yes)?;
    out.write(statfs_words(&path.mount)?)?;
    Ok(0)
}

pub fn sys_fstatfs(fd: i32, out: UserPtr<StatfsWords>) -> Result<usize> {
    const PIPEFS_MAGIC: u64 = 0x5049_5045;
    let file = caller::file(fd)?;
    let words = match file.path() {
        Some(path) => statfs_words(&path.mount)?,
        None => {
            let mut w = [0u64; 15];
            (w[0], w[1], w[8], w[9]) = (PIPEFS_MAGIC, 4096, 255, 4096);
            w
        }
    };
    out.write(words)?;
    Ok(0)
}

pub fn sys_faccessat2(dirfd: i32, path: UserPtr<u8>, mode: u32, flags: u32) -> Result<usize> {
    if mode & !7 != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut creds = caller::credentials();
    if flags & AT_EACCESS == 0 && (creds.uid != creds.fsuid || creds.gid != creds.fsgid) {
        // access(2) answers for the real user, for the sake of set-user-id programs.
        let mut real = (*creds).clone();
        (real.fsuid, real.fsgid) = (real.uid, real.gid);
        creds = Arc::new(real);
    }
    let place = match target_as(Some(creds.clone()), dirfd, path, flags)? {
        Target::Path(path) => path,
        Target::File(_) => return Ok(0),
    };
    let (kind, mode) = (place.kind(), mode as u16);
    let runs = mode & permission::EXEC != 0 && kind == FileType::Regular;
    if runs && place.mount.flags().contains(MountFlags::NOEXEC) {
        return Err(Errno::EACCES);
    }
    permission::check(&**place.inode(), &creds, mode)?;
    if mode & permission::WRITE != 0 && matches!(kind, FileType::Directory | FileType::Regular) {
        place.mount.check_writable()?;
    }
    Ok(0)
}

pub fn sys_faccessat(dirfd: i32, path: UserPtr<u8>, mode: u32) -> Result<usize> {
    sys_faccessat2(dirfd, path, mode, 0)
}
