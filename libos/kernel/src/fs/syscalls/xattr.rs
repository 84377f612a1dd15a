//! Extended attributes (xattr(7)): the checks on names and rights; file systems store.

use super::at::{AT_FDCWD, At};
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::inode::XattrSet;
use crate::fs::notify::{self, Event};
use crate::fs::path::Path;
use crate::fs::permission::{self, READ, STICKY, WRITE};
use crate::fs::types::FileType;
use crate::fs::walk::Follow;
use crate::user::UserPtr;
use alloc::vec::Vec;

const XATTR_NAME_MAX: usize = 255;
const XATTR_SIZE_MAX: usize = 65536;
const XATTR_CREATE: u32 = 1;
const XATTR_REPLACE: u32 = 2;

fn by_path(path: UserPtr<u8>, follow: Follow) -> Result<Path> {
    At::new(AT_FDCWD, path)?.lookup(follow)
}

fn by_fd(fd: i32) -> Result<Path> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    file.path().cloned().ok_or(Errno::EOPNOTSUPP)
}

fn read_name(name: UserPtr<u8>) -> Result<Vec<u8>> {
    let name = name.read_cstr(XATTR_NAME_MAX, Errno::ERANGE)?;
    if name.is_empty() {
        Err(Errno::ERANGE)
    } else {
        Ok(name)
    }
}

/// Who may touch which namespace.
fn check(path: &Path, name: &[u8], want: u16) -> Result<()> {
    let creds = caller::credentials();
    let inode = path.inode();
    let writes = want == WRITE;
    if writes {
        path.mount.check_writable()?;
    }
    let suffix = |prefix: &[u8]| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty())
    };
    if suffix(b"user.") {
        let refusal = if writes { Errno::EPERM } else { Errno::ENODATA };
        if !matches!(inode.kind(), FileType::Regular | FileType::Directory) {
            return Err(refusal);
        }
        // A sticky directory is everybody's: only its owner may describe it.
        let access = inode.access()?;
        if writes && inode.kind() == FileType::Directory && access.perm & STICKY != 0 {
            permission::check_owner(access.uid, &creds)?;
        }
        return permission::check(&**inode, &creds, want);
    }
    if suffix(b"trusted.") {
        let refusal = if writes { Errno::EPERM } else { Errno::ENODATA };
        return if creds.is_privileged() {
            Ok(())
        } else {
            Err(refusal)
        };
    }
    if suffix(b"security.") {
        return if !writes || creds.is_privileged() {
            Ok(())
        } else {
            Err(Errno::EPERM)
        };
    }
    // `system.` holds ACLs, which are not there.
    Err(Errno::EOPNOTSUPP)
}

fn set(
    path: Path,
    name: UserPtr<u8>,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<usize> {
    let how = match flags {
        0 => XattrSet::Any,
        XATTR_CREATE => XattrSet::Create,
        XATTR_REPLACE => XattrSet::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let name = read_name(name)?;
    if size > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let value = value.read_vec(size)?;
    check(&path, &name, WRITE)?;
    path.inode().set_xattr(&name, value, how)?;
    notify::on_path(&path, Event::ATTRIB);
    Ok(0)
}

/// Copies out what a call with a size of 0 only measures.
fn give(bytes: &[u8], out: UserPtr<u8>, size: usize) -> Result<usize> {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        out.write_slice(bytes)?;
    }
    Ok(bytes.len())
}

fn get(path: Path, name: UserPtr<u8>, out: UserPtr<u8>, size: usize) -> Result<usize> {
    let name = read_name(name)?;
    check(&path, &name, READ)?;
    give(&path.inode().get_xattr(&name)?, out, size)
}

fn list(path: Path, out: UserPtr<u8>, size: usize) -> Result<usize> {
    let mut names = path.inode().list_xattr()?;
    if !caller::credentials().is_privileged() {
        let (mut at, mut kept) = (0, 0);
        while let Some(name) = names[at..].split_inclusive(|&b| b == 0).next() {
            let end = at + name.len();
            if !name.starts_with(b"trusted.") {
                names.copy_within(at..end, kept);
                kept += end - at;
            }
            at = end;
        }
        names.truncate(kept);
    }
    give(&names, out, size)
}

fn remove(path: Path, name: UserPtr<u8>) -> Result<usize> {
    let name = read_name(name)?;
    check(&path, &name, WRITE)?;
    path.inode().remove_xattr(&name)?;
    notify::on_path(&path, Event::ATTRIB);
    Ok(0)
}

type Bytes = UserPtr<u8>;

pub fn sys_setxattr(
    path: Bytes,
    name: Bytes,
    value: Bytes,
    size: usize,
    flags: u32,
) -> Result<usize> {
    set(by_path(path, Follow::Yes)?, name, value, size, flags)
}
pub fn sys_lsetxattr(
    path: Bytes,
    name: Bytes,
    value: Bytes,
    size: usize,
    flags: u32,
) -> Result<usize> {
    set(by_path(path, Follow::No)?, name, value, size, flags)
}
pub fn sys_fsetxattr(fd: i32, name: Bytes, value: Bytes, size: usize, flags: u32) -> Result<usize> {
    set(by_fd(fd)?, name, value, size, flags)
}
pub fn sys_getxattr(path: Bytes, name: Bytes, out: Bytes, size: usize) -> Result<usize> {
    get(by_path(path, Follow::Yes)?, name, out, size)
}
pub fn sys_lgetxattr(path: Bytes, name: Bytes, out: Bytes, size: usize) -> Result<usize> {
    get(by_path(path, Follow::No)?, name, out, size)
}
pub fn sys_fgetxattr(fd: i32, name: Bytes, out: Bytes, size: usize) -> Result<usize> {
    get(by_fd(fd)?, name, out, size)
}
pub fn sys_listxattr(path: Bytes, out: Bytes, size: usize) -> Result<usize> {
    list(by_path(path, Follow::Yes)?, out, size)
}
pub fn sys_llistxattr(path: Bytes, out: Bytes, size: usize) -> Result<usize> {
    list(by_path(path, Follow::No)?, out, size)
}
pub fn sys_flistxattr(fd: i32, out: Bytes, size: usize) -> Result<usize> {
    list(by_fd(fd)?, out, size)
}
pub fn sys_removexattr(path: Bytes, name: Bytes) -> Result<usize> {
    remove(by_path(path, Follow::Yes)?, name)
}
pub fn sys_lremovexattr(path: Bytes, name: Bytes) -> Result<usize> {
    remove(by_path(path, Follow::No)?, name)
}
pub fn sys_fremovexattr(fd: i32, name: Bytes) -> Result<usize> {
    remove(by_fd(fd)?, name)
}
