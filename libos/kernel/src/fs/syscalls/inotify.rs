//! Watching the tree (inotify(7)).

use super::at::{AT_FDCWD, At};
use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::fdtable::OnExec;
use crate::fs::file::File;
use crate::fs::inotify::{Again, Inotify};
use crate::fs::notify::{self, Event};
use crate::fs::permission::{self, READ};
use crate::fs::types::{FileType, OpenFlags};
use crate::fs::walk::Follow;
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::any::Any;

const IN_ONLYDIR: u32 = 0x0100_0000;
const IN_DONT_FOLLOW: u32 = 0x0200_0000;
const IN_MASK_CREATE: u32 = 0x1000_0000;
const IN_MASK_ADD: u32 = 0x2000_0000;

pub fn sys_inotify_init1(flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let instance = Inotify::new(caller::credentials().euid)?;
    let file = File::anonymous(instance, flags & OpenFlags::NONBLOCK);
    let on_exec = OnExec::from_flag(flags.contains(OpenFlags::CLOEXEC));
    Ok(caller::files().insert(file, on_exec)? as usize)
}

/// The instance, and the open file whose end is the end of its watches: it is kept for as long as watches may be added.
fn instance(fd: i32) -> Result<(Arc<File>, Arc<Inotify>)> {
    let file = caller::file(fd)?;
    let any: Arc<dyn Any + Send + Sync> = file.ops().ok_or(Errno::EINVAL)?.clone();
    let instance = any.downcast().map_err(|_| Errno::EINVAL)?;
    Ok((file, instance))
}

pub fn sys_inotify_add_watch(fd: i32, path: UserPtr<u8>, mask: u32) -> Result<usize> {
    let (_file, instance) = instance(fd)?;
    let events = Event::from_bits_truncate(mask) & Event::ASKABLE;
    if !events.intersects(Event::WATCHABLE) || mask & IN_MASK_ADD != 0 && mask & IN_MASK_CREATE != 0
    {
        return Err(Errno::EINVAL);
    }
    let again = match mask {
        m if m & IN_MASK_ADD != 0 => Again::Add,
        m if m & IN_MASK_CREATE != 0 => Again::Refuse,
        _ => Again::Replace,
    };
    let follow = if mask & IN_DONT_FOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    };
    let path = At::new(AT_FDCWD, path)?.lookup(follow)?;
    let inode = path.inode();
    if mask & IN_ONLYDIR != 0 && inode.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    permission::check(&**inode, &caller::credentials(), READ)?;
    Ok(notify::watch(inode, &instance, events, again)? as usize)
}

pub fn sys_inotify_rm_watch(fd: i32, wd: i32) -> Result<usize> {
    let (_file, instance) = instance(fd)?;
    instance.remove(wd)?;
    Ok(0)
}
