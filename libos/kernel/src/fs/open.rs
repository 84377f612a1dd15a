//! Opening and creating files.

use super::dentry::Dentry;
use super::file::File;
use super::inode::NewKind;
use super::mount::{self, MountFlags};
use super::namespace::{check_create, create_locked, new_inode};
use super::notify::Event;
use super::path::Path;
use super::permission::{self, READ, WRITE};
use super::types::{FileType, Hashed, OpenFlags};
use super::walk::{Follow, Last, Scope, Walk, locked_child};
use crate::base::{Errno, Result};
use alloc::sync::Arc;

/// Opens what `walk` leads to, creating it with `perm` if the flags say so.
pub fn open(scope: &Scope, walk: Walk<'_>, flags: OpenFlags, perm: u16) -> Result<Arc<File>> {
    if !flags.contains(OpenFlags::PATH) {
        if flags.contains(OpenFlags::TMPFILE_BIT) {
            return open_tmpfile(scope, walk, flags, perm);
        }
        if flags.contains(OpenFlags::CREAT) {
            return open_or_create(scope, walk, flags, perm);
        }
    }
    let follow = if flags.contains(OpenFlags::NOFOLLOW) {
        Follow::No
    } else {
        Follow::Yes
    };
    let path = walk.to_end(follow)?;
    if path.kind() == FileType::Symlink && !flags.contains(OpenFlags::PATH) {
        return Err(if flags.contains(OpenFlags::DIRECTORY) {
            Errno::ENOTDIR
        } else {
            Errno::ELOOP
        });
    }
    open_path(scope, path, flags)
}

fn open_or_create(
    scope: &Scope,
    mut walk: Walk<'_>,
    flags: OpenFlags,
    perm: u16,
) -> Result<Arc<File>> {
    if flags.contains(OpenFlags::DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    let exclusive = flags.contains(OpenFlags::EXCL);
    loop {
        let (start, end) = match walk.to_last()? {
            // A magic link's target, or a directory by a name that needs no lookup.
            Last::Nothing if walk.at.kind() != FileType::Directory && !exclusive => {
                return open_path(scope, walk.at, flags);
            }
            Last::Nothing | Last::Dot | Last::DotDot => {
                return Err(if exclusive {
                    Errno::EEXIST
                } else {
                    Errno::EISDIR
                });
            }
            Last::Name { slash: true, .. } => return Err(Errno::EISDIR),
            Last::Name { start, end, .. } => (start, end),
        };
        walk.check_search()?;
        let name = Hashed::new(walk.name(start, end));
        let mut found = match walk.at.dentry.cached(name) {
            Some(dentry) => Path {
                dentry,
                mount: walk.at.mount.clone(),
            },
            None => {
                let _changing = walk.at.dentry.dir_lock.lock();
                match locked_child(&walk.at, name) {
                    Ok(found) => found,
                    Err(Errno::ENOENT) => {
                        let path = create_locked(&walk.at, scope, name, NewKind::File, perm)?;
                        return finish(path, flags);
                    }
                    Err(e) => return Err(e),
                }
            }
        };
        mount::cross(&mut found);
        if exclusive {
            return Err(Errno::EEXIST);
        }
        if found.kind() != FileType::Symlink {
            return open_path(scope, found, flags);
        }
        if flags.contains(OpenFlags::NOFOLLOW) {
            return Err(Errno::ELOOP);
        }
        walk.follow(&found, end)?;
    }
}

fn open_tmpfile(scope: &Scope, walk: Walk<'_>, flags: OpenFlags, perm: u16) -> Result<Arc<File>> {
    // Without the other flag, older kernels would have opened the directory.
    let sound = flags.contains(OpenFlags::DIRECTORY) && !flags.contains(OpenFlags::CREAT);
    if !flags.writable() || !sound {
        return Err(Errno::EINVAL);
    }
    let dir = walk.to_end(Follow::Yes)?;
    if dir.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    check_create(&dir, scope)?;
    let new = new_inode(&**dir.inode(), scope, NewKind::File, perm)?;
    let inode = dir
        .inode()
        .tmpfile(&new, !flags.contains(OpenFlags::EXCL))?;
    let name = alloc::format!("/#{}", inode.ino());
    let dentry = Dentry::detached(inode, name.as_bytes());
    dentry.mark_unlinked();
    finish(
        Path {
            mount: dir.mount,
            dentry,
        },
        flags.difference(OpenFlags::TMPFILE_BIT | OpenFlags::DIRECTORY),
    )
}

/// Opens what is already there.
pub fn open_path(scope: &Scope, path: Path, flags: OpenFlags) -> Result<Arc<File>> {
    let inode = path.inode();
    let kind = path.kind();
    if flags.contains(OpenFlags::DIRECTORY) && kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if flags.contains(OpenFlags::PATH) {
        let keep = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
        return Ok(File::build(None, Some(path), flags & keep));
    }
    if kind == FileType::Directory && (flags.writable() || flags.contains(OpenFlags::CREAT)) {
        return Err(Errno::EISDIR);
    }
    let truncate = flags.contains(OpenFlags::TRUNC) && kind == FileType::Regular;
    let writes = flags.writable() || truncate;
    permission::check(&**inode, &scope.creds, wanted(flags, writes))?;
    match kind {
        FileType::Char | FileType::Block if path.mount.flags().contains(MountFlags::NODEV) => {
            return Err(Errno::EACCES);
        }
        FileType::Regular | FileType::Directory if writes => path.mount.check_writable()?,
        _ => {}
    }
    if flags.contains(OpenFlags::NOATIME) {
        permission::check_owner(inode.access()?.uid, &scope.creds)?;
    }
    let file = finish(path, flags)?;
    // What is cut off is lost: by now nothing else can fail.
    if truncate && let Some(path) = file.path() {
        let _writing = path.mount.writing()?;
        path.inode().truncate(0)?;
        file.notify(Event::MODIFY);
    }
    Ok(file)
}

fn wanted(flags: OpenFlags, writes: bool) -> u16 {
    let mut want = 0;
    if flags.readable() {
        want |= READ;
    }
    if writes {
        want |= WRITE;
    }
    want
}

/// The checks are made: builds the open file.
pub(super) fn finish(path: Path, flags: OpenFlags) -> Result<Arc<File>> {
    let ops = path.inode().open(flags)?;
    let file = File::build(ops, Some(path), flags);
    if let Some(mount) = file.written_mount() {
        // It is a writer now; the mount may have become read-only just before.
        mount.check_writable()?;
    }
    file.notify(Event::OPEN);
    Ok(file)
}
