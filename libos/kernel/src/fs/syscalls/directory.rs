//! Directories: reading them, standing in them.

use super::at::{AT_FDCWD, At, read_path};
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::context::FsContext;
use crate::fs::inode::DirEntry;
use crate::fs::notify::Event;
use crate::fs::path::{self, Path};
use crate::fs::permission::{self, EXEC};
use crate::fs::types::{FileType, PATH_MAX};
use crate::fs::walk::{Follow, lookup};
use crate::user::UserPtr;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// `struct linux_dirent64` up to the name.
const HEADER: usize = 19;

/// The most that one call gives: so long others wait for the directory.
const MOST: usize = 8192;

/// Appends one record; `false` if it does not fit into `max` bytes any more.
fn push(out: &mut Vec<u8>, max: usize, entry: &DirEntry<'_>) -> bool {
    let len = (HEADER + entry.name.len() + 1).next_multiple_of(8);
    if out.len() + len > max {
        return false;
    }
    let start = out.len();
    out.extend_from_slice(&entry.ino.to_le_bytes());
    out.extend_from_slice(&entry.next.to_le_bytes());
    out.extend_from_slice(&(len as u16).to_le_bytes());
    out.push(entry.kind.d_type());
    out.extend_from_slice(entry.name);
    out.resize(start + len, 0);
    true
}

/// Positions 0 and 1 are `.` and `..`; the inode's cookies follow.
const DOTS: u64 = 2;

pub fn sys_getdents64(fd: i32, buf: UserPtr<u8>, len: usize) -> Result<usize> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    let place = file
        .path()
        .filter(|p| p.kind() == FileType::Directory)
        .ok_or(Errno::ENOTDIR)?;
    // Program memory is written only after the file system has let go of its locks, and no memory is asked for while it has them.
    let max = len.min(MOST);
    let mut out = Vec::new();
    out.try_reserve_exact(max).map_err(|_| Errno::ENOMEM)?;
    let _position = file.pos_lock.lock();
    if place.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    let mut pos = file.offset();
    let mut full = false;
    while pos < DOTS && !full {
        let (name, ino): (&[u8], u64) = match pos {
            0 => (b".", place.inode().ino()),
            _ => (
                b"..",
                place
                    .dentry
                    .parent()
                    .map_or(place.inode().ino(), |p| p.inode.ino()),
            ),
        };
        let entry = DirEntry {
            name,
            ino,
            kind: FileType::Directory,
            next: pos + 1,
        };
        full = !push(&mut out, max, &entry);
        pos += !full as u64;
    }
    if !full {
        place.inode().readdir(pos - DOTS, &mut |entry| {
            let next = entry.next + DOTS;
            full = !push(&mut out, max, &DirEntry { next, ..entry });
            if !full {
                pos = next;
            }
            !full
        })?;
    }
    if out.is_empty() && full {
        return Err(Errno::EINVAL);
    }
    file.accessed();
    file.notify(Event::ACCESS);
    buf.write_slice(&out)?;
    file.pos.store(pos, Ordering::Relaxed);
    Ok(out.len())
}

/// Returns the length with the NUL, as the system call does.
pub fn sys_getcwd(buf: UserPtr<u8>, len: usize) -> Result<usize> {
    let context = caller::context();
    let cwd = context.cwd();
    if cwd.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    let described = path::describe(&cwd, &context.root())?;
    let mark: &[u8] = match described.reached {
        true => b"",
        false => b"(unreachable)",
    };
    let mut text = described.text;
    text.push(0);
    let total = mark.len() + text.len();
    if total > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if total > len {
        return Err(Errno::ERANGE);
    }
    buf.write_slice(mark)?;
    buf.offset(mark.len()).write_slice(&text)?;
    Ok(total)
}

/// `EACCES` or `ENOTDIR` if nobody can stand there.
fn check_enter(path: &Path) -> Result<()> {
    if path.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    permission::check(&**path.inode(), &caller::credentials(), EXEC)
}

/// `chdir` of `context`, which need not be the caller's own.
pub fn chdir_kernel(context: &FsContext, path: &[u8]) -> Result<()> {
    let place = lookup(&caller::scope(), context.cwd(), path, Follow::Yes)?;
    check_enter(&place)?;
    context.set_cwd(place);
    Ok(())
}

pub fn sys_chdir(path: UserPtr<u8>) -> Result<usize> {
    chdir_kernel(&caller::context(), &read_path(path)?)?;
    Ok(0)
}

pub fn sys_fchdir(fd: i32) -> Result<usize> {
    let path = caller::file(fd)?.path().cloned().ok_or(Errno::ENOTDIR)?;
    check_enter(&path)?;
    caller::context().set_cwd(path);
    Ok(0)
}

pub fn sys_chroot(path: UserPtr<u8>) -> Result<usize> {
    let path = At::new(AT_FDCWD, path)?.lookup(Follow::Yes)?;
    check_enter(&path)?;
    if !caller::credentials().is_privileged() {
        return Err(Errno::EPERM);
    }
    caller::context().set_root(path);
    Ok(0)
}

pub fn sys_umask(mask: u32) -> Result<usize> {
    Ok(caller::context().set_umask((mask & 0o777) as u16) as usize)
}
