//! Creating, linking, removing and renaming.

use super::at::*;
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::inode::{Link, NewKind};
use crate::fs::namespace::{self, Remove, Rename};
use crate::fs::types::{Dev, FileType};
use crate::fs::walk::{Follow, Walk};
use crate::user::UserPtr;

pub fn sys_mkdirat(dirfd: i32, path: UserPtr<u8>, mode: u32) -> Result<usize> {
    let At { scope, start, path } = At::new(dirfd, path)?;
    namespace::create(
        Walk::starting_at(&scope, start, &path)?,
        &scope,
        NewKind::Directory,
        (mode & 0o1777) as u16,
    )?;
    Ok(0)
}

pub fn sys_mknodat(dirfd: i32, path: UserPtr<u8>, mode: u32, dev: u64) -> Result<usize> {
    let dev = Dev::decode(dev);
    let kind = match mode >> 12 & 0o17 {
        0 | 8 => NewKind::File,
        1 => NewKind::Fifo,
        2 => NewKind::Char(dev),
        6 => NewKind::Block(dev),
        12 => NewKind::Socket,
        4 => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let At { scope, start, path } = At::new(dirfd, path)?;
    if matches!(kind, NewKind::Char(_) | NewKind::Block(_)) && !scope.creds.is_privileged() {
        return Err(Errno::EPERM);
    }
    namespace::create(
        Walk::starting_at(&scope, start, &path)?,
        &scope,
        kind,
        (mode & 0o7777) as u16,
    )?;
    Ok(0)
}

pub fn sys_symlinkat(to: UserPtr<u8>, dirfd: i32, path: UserPtr<u8>) -> Result<usize> {
    let to = read_path(to)?;
    if to.is_empty() {
        return Err(Errno::ENOENT);
    }
    let At { scope, start, path } = At::new(dirfd, path)?;
    namespace::create(
        Walk::starting_at(&scope, start, &path)?,
        &scope,
        NewKind::Symlink(&to),
        0o777,
    )?;
    Ok(0)
}

pub fn sys_linkat(
    from_fd: i32,
    from: UserPtr<u8>,
    to_fd: i32,
    to: UserPtr<u8>,
    flags: u32,
) -> Result<usize> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags & AT_SYMLINK_FOLLOW != 0 {
        0
    } else {
        AT_SYMLINK_NOFOLLOW
    };
    // Who was handed a descriptor was not given the file for good.
    let empty = match caller::credentials().is_privileged() {
        true => flags & AT_EMPTY_PATH,
        false => 0,
    };
    let source = target(from_fd, from, empty | follow)?
        .path()
        .map_err(|_| Errno::EXDEV)?;
    let At { scope, start, path } = At::new(to_fd, to)?;
    namespace::link(&source, Walk::starting_at(&scope, start, &path)?, &scope)?;
    Ok(0)
}

pub fn sys_unlinkat(dirfd: i32, path: UserPtr<u8>, flags: u32) -> Result<usize> {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let what = if flags & AT_REMOVEDIR != 0 {
        Remove::Directory
    } else {
        Remove::File
    };
    let At { scope, start, path } = At::new(dirfd, path)?;
    namespace::remove(Walk::starting_at(&scope, start, &path)?, &scope, what)?;
    Ok(0)
}

pub fn sys_renameat2(
    from_fd: i32,
    from: UserPtr<u8>,
    to_fd: i32,
    to: UserPtr<u8>,
    flags: u32,
) -> Result<usize> {
    let how = match flags {
        0 => Rename::Replace,
        1 => Rename::NoReplace,
        2 => Rename::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let from = At::new(from_fd, from)?;
    let to = At::new(to_fd, to)?;
    let from_walk = Walk::starting_at(&from.scope, from.start, &from.path)?;
    let to_walk = Walk::starting_at(&to.scope, to.start, &to.path)?;
    namespace::rename(from_walk, to_walk, &to.scope, how)?;
    Ok(0)
}

pub fn sys_renameat(from_fd: i32, from: UserPtr<u8>, to_fd: i32, to: UserPtr<u8>) -> Result<usize> {
    sys_renameat2(from_fd, from, to_fd, to, 0)
}

pub fn sys_readlinkat(
    dirfd: i32,
    path: UserPtr<u8>,
    buf: UserPtr<u8>,
    len: usize,
) -> Result<usize> {
    if len as isize <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path)?;
    let link = if path.is_empty() {
        // The descriptor of a link itself, opened with O_PATH | O_NOFOLLOW.
        let link = match dirfd {
            AT_FDCWD => None,
            _ => caller::file(dirfd)?.path().cloned(),
        };
        link.filter(|l| l.kind() == FileType::Symlink)
            .ok_or(Errno::ENOENT)?
    } else {
        At::with_path(dirfd, path)?.lookup(Follow::No)?
    };
    let target = link.inode().read_link()?;
    link.accessed();
    let text = match target {
        Link::Text(text) => text,
        Link::Jump(path) => crate::fs::path::describe(&path, &caller::context().root())?.text,
    };
    let n = text.len().min(len);
    buf.write_slice(&text[..n])?;
    Ok(n)
}
