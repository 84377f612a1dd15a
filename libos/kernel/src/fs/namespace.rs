//! Changing the tree: creating, linking, removing and renaming entries, with the checks that all file systems share.

use super::inode::{Inode, NewInode, NewKind, RenameHow};
use super::notify::{self, Event};
use super::path::Path;
use super::permission::{self, EXEC, SETGID, WRITE};
use super::sleep_lock::SleepLock;
use super::types::{FileType, Hashed};
use super::walk::{Last, Scope, Walk, locked_child};
use crate::base::{Errno, Result};
use alloc::sync::Arc;

/// Serialises renames, the only operation that locks two directories and moves subtrees. Taken before any `dir_lock`.
static RENAMING: SleepLock = SleepLock::new();

/// Permission to add entries to `dir`.
pub fn check_create(dir: &Path, scope: &Scope) -> Result<()> {
    dir.mount.check_writable()?;
    permission::check(&**dir.inode(), &scope.creds, WRITE | EXEC)
}

/// Who owns what is created in `dir`, and with which permission bits.
pub fn new_inode<'a>(
    dir: &dyn Inode,
    scope: &Scope,
    kind: NewKind<'a>,
    perm: u16,
) -> Result<NewInode<'a>> {
    let mut new = NewInode {
        perm: perm & !scope.umask,
        uid: scope.creds.fsuid,
        gid: scope.creds.fsgid,
        kind,
    };
    if matches!(new.kind, NewKind::Symlink(_)) {
        new.perm = 0o777;
    }
    let access = dir.access()?;
    if access.perm & SETGID != 0 {
        const RUNS_AS_GROUP: u16 = SETGID | 0o010;
        new.gid = access.gid;
        if matches!(new.kind, NewKind::Directory) {
            new.perm |= SETGID;
        } else if perm & RUNS_AS_GROUP == RUNS_AS_GROUP
            && scope.creds.fsuid != 0
            && !scope.creds.in_group(access.gid)
        {
            // What a program would run as is not for others to make.
            new.perm &= !SETGID;
        }
    }
    Ok(new)
}

/// Creates what is in nobody's way; the caller holds `dir_lock` of `dir` and knows that the name is free.
pub fn create_locked(
    dir: &Path,
    scope: &Scope,
    name: Hashed<'_>,
    kind: NewKind<'_>,
    perm: u16,
) -> Result<Path> {
    check_create(dir, scope)?;
    let new = new_inode(&**dir.inode(), scope, kind, perm)?;
    dir.dentry.reserve(name)?;
    let inode = dir.inode().create(name, &new)?;
    let path = Path {
        mount: dir.mount.clone(),
        dentry: dir.dentry.add(name, inode),
    };
    notify::on_entry(dir, name.bytes, path.inode(), Event::CREATE);
    Ok(path)
}

/// `mkdir`, `mknod`, `symlink`.
pub fn create(mut walk: Walk<'_>, scope: &Scope, kind: NewKind<'_>, perm: u16) -> Result<Path> {
    let Last::Name { start, end, slash } = walk.to_last()? else {
        return Err(Errno::EEXIST);
    };
    walk.check_search()?;
    let dir = walk.at.clone();
    let name = Hashed::new(walk.name(start, end));
    let _changing = dir.dentry.dir_lock.lock();
    match locked_child(&dir, name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) => {}
        Err(e) => return Err(e),
    }
    if slash && !matches!(kind, NewKind::Directory) {
        return Err(Errno::ENOENT);
    }
    create_locked(&dir, scope, name, kind, perm)
}

/// What may be removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remove {
    /// `unlink`
    File,
    /// `rmdir`
    Directory,
}

pub fn remove(mut walk: Walk<'_>, scope: &Scope, what: Remove) -> Result<()> {
    let (start, end, slash) = match (walk.to_last()?, what) {
        (Last::Name { start, end, slash }, _) => (start, end, slash),
        (_, Remove::File) => return Err(Errno::EISDIR),
        (Last::Dot, _) => return Err(Errno::EINVAL),
        (Last::DotDot, _) => return Err(Errno::ENOTEMPTY),
        (Last::Nothing, _) => return Err(Errno::EBUSY),
    };
    walk.check_search()?;
    let dir = walk.at.clone();
    let name = Hashed::new(walk.name(start, end));
    let _changing = dir.dentry.dir_lock.lock();
    let victim = locked_child(&dir, name)?;
    let is_dir = victim.kind() == FileType::Directory;
    dir.mount.check_writable()?;
    permission::check_delete(&**dir.inode(), &**victim.inode(), &scope.creds)?;
    match (what, is_dir) {
        (Remove::File, true) => return Err(Errno::EISDIR),
        (Remove::File, false) if slash => return Err(Errno::ENOTDIR),
        (Remove::Directory, false) => return Err(Errno::ENOTDIR),
        _ => {}
    }
    if victim.dentry.is_mountpoint() {
        return Err(Errno::EBUSY);
    }
    match what {
        Remove::File => dir.inode().unlink(name)?,
        Remove::Directory => dir.inode().rmdir(name)?,
    }
    drop(dir.dentry.forget(name));
    victim.dentry.mark_unlinked();
    if notify::active() {
        tell_removal(&dir, name.bytes, victim, is_dir);
    }
    Ok(())
}

fn tell_removal(dir: &Path, name: &[u8], victim: Path, is_dir: bool) {
    if !is_dir {
        notify::on_inode(victim.inode(), Event::ATTRIB);
    }
    // With its name the file may be gone, of which its own watchers hear first.
    let inode = victim.inode().clone();
    drop(victim);
    notify::on_entry(dir, name, &inode, Event::DELETE);
}

/// Gives the file `target` another name.
pub fn link(target: &Path, mut walk: Walk<'_>, scope: &Scope) -> Result<()> {
    let Last::Name { start, end, slash } = walk.to_last()? else {
        return Err(Errno::EEXIST);
    };
    walk.check_search()?;
    let dir = walk.at.clone();
    let name = Hashed::new(walk.name(start, end));
    let _changing = dir.dentry.dir_lock.lock();
    match locked_child(&dir, name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) => {}
        Err(e) => return Err(e),
    }
    if slash {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(&target.mount, &dir.mount) && !same_file_system(target, &dir) {
        return Err(Errno::EXDEV);
    }
    check_create(&dir, scope)?;
    if target.kind() == FileType::Directory {
        return Err(Errno::EPERM);
    }
    dir.dentry.reserve(name)?;
    dir.inode().link(name, target.inode())?;
    dir.dentry.add(name, target.inode().clone());
    notify::on_inode(target.inode(), Event::ATTRIB);
    notify::on_entry(&dir, name.bytes, target.inode(), Event::CREATE);
    Ok(())
}

/// A file without a name hangs on a mount of its own kind: what counts is the device.
fn same_file_system(a: &Path, b: &Path) -> bool {
    let nameless = a.dentry.parent().is_none();
    let dev = |p: &Path| p.inode().metadata().map(|m| m.dev);
    nameless && matches!((dev(a), dev(b)), (Ok(x), Ok(y)) if x == y)
}

/// What `renameat2` was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rename {
    Replace,
    NoReplace,
    Exchange,
}

/// One side of a rename: a directory and a name in it.
struct Side<'w> {
    dir: Path,
    name: Hashed<'w>,
    slash: bool,
}

/// Where `walk` leads to; `nameless` is what is said of a place that has no name to change.
fn side<'w>(walk: &'w mut Walk<'_>, nameless: Errno) -> Result<Side<'w>> {
    let Last::Name { start, end, slash } = walk.to_last()? else {
        return Err(nameless);
    };
    walk.check_search()?;
    Ok(Side {
        dir: walk.at.clone(),
        name: Hashed::new(walk.name(start, end)),
        slash,
    })
}

pub fn rename(mut from: Walk<'_>, mut to: Walk<'_>, scope: &Scope, how: Rename) -> Result<()> {
    let from = side(&mut from, Errno::EBUSY)?;
    let to = match how {
        Rename::NoReplace => side(&mut to, Errno::EEXIST)?,
        _ => side(&mut to, Errno::EBUSY)?,
    };
    if !Arc::ptr_eq(&from.dir.mount, &to.dir.mount) {
        return Err(Errno::EXDEV);
    }
    let _renaming = RENAMING.lock();
    let (a, b) = (&from.dir.dentry, &to.dir.dentry);
    let same_dir = Arc::ptr_eq(a, b);
    // Nobody else locks two directories while RENAMING is held, so any order will do.
    let _from_changing = a.dir_lock.lock();
    let _to_changing = (!same_dir).then(|| b.dir_lock.lock());

    let moved = locked_child(&from.dir, from.name)?;
    let target = match locked_child(&to.dir, to.name) {
        Ok(target) => Some(target),
        Err(Errno::ENOENT) => None,
        Err(e) => return Err(e),
    };
    let is_dir = |p: &Path| p.kind() == FileType::Directory;
    let moved_dir = is_dir(&moved);
    match (&target, how) {
        (Some(_), Rename::NoReplace) => return Err(Errno::EEXIST),
        (None, Rename::Exchange) => return Err(Errno::ENOENT),
        _ => {}
    }
    // A slash is for what will be a directory by that name.
    let target_dir = target.as_ref().is_some_and(is_dir);
    let to_dir = if how == Rename::Exchange {
        target_dir
    } else {
        moved_dir
    };
    if from.slash && !moved_dir || to.slash && !to_dir {
        return Err(Errno::ENOTDIR);
    }
    if to.dir.dentry.is_within(&moved.dentry) {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = &target
        && from.dir.dentry.is_within(&target.dentry)
    {
        return Err(if how == Rename::Exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    from.dir.mount.check_writable()?;
    permission::check_delete(&**from.dir.inode(), &**moved.inode(), &scope.creds)?;
    match &target {
        Some(target) => {
            permission::check_delete(&**to.dir.inode(), &**target.inode(), &scope.creds)?
        }
        None => permission::check(&**to.dir.inode(), &scope.creds, WRITE | EXEC)?,
    }
    // A directory that gets another parent is written to: its `..` changes.
    if !same_dir {
        let exchanged = target.as_ref().filter(|_| how == Rename::Exchange);
        for path in [Some(&moved), exchanged].into_iter().flatten() {
            if is_dir(path) {
                permission::check(&**path.inode(), &scope.creds, WRITE)?;
            }
        }
    }
    if let Some(target) = &target {
        if Arc::ptr_eq(target.inode(), moved.inode()) {
            return Ok(());
        }
        match (moved_dir, target_dir) {
            _ if how == Rename::Exchange => {}
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
    }
    let mounted_on = |p: &Path| p.dentry.is_mountpoint();
    if mounted_on(&moved) || target.as_ref().is_some_and(mounted_on) {
        return Err(Errno::EBUSY);
    }
    let action = if how == Rename::Exchange {
        RenameHow::Exchange
    } else {
        RenameHow::Replace
    };
    b.reserve(to.name)?;
    if how == Rename::Exchange {
        a.reserve(from.name)?;
    }
    from.dir
        .inode()
        .rename(from.name, to.dir.inode(), to.name, action)?;

    a.give_away(from.name);
    b.give_away(to.name);
    b.adopt(to.name, moved.dentry.clone());
    let exchanged = target.as_ref().filter(|_| how == Rename::Exchange);
    let victim = target.as_ref().filter(|_| how != Rename::Exchange);
    if let Some(other) = exchanged {
        a.adopt(from.name, other.dentry.clone());
    }
    if let Some(victim) = victim {
        victim.dentry.mark_unlinked();
    }
    let victim = victim.map(Path::inode);
    let (here, there) = (&from.dir, &to.dir);
    let (old, new) = (from.name.bytes, to.name.bytes);
    notify::moved(here, old, there, new, moved.inode(), victim);
    if let Some(other) = exchanged {
        notify::moved(there, new, here, old, other.inode(), None);
    }
    Ok(())
}
