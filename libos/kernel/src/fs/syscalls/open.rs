//! `openat` and its kin.

use super::at::{AT_FDCWD, At};
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::fs::fdtable::OnExec;
use crate::fs::open::open;
use crate::fs::types::OpenFlags;
use crate::fs::walk::Walk;
use crate::fs::{caller, close_file};
use crate::user::UserPtr;

fn open_at(dirfd: i32, path: UserPtr<u8>, flags: OpenFlags, mode: u16) -> Result<usize> {
    let At { scope, start, path } = At::new(dirfd, path)?;
    let files = caller::files();
    let limit = caller::open_file_limit();
    // Before anything is created or truncated.
    files.check_room(limit)?;
    let file = open(
        &scope,
        Walk::starting_at(&scope, start, &path)?,
        flags,
        mode,
    )?;
    let on_exec = OnExec::from_flag(flags.contains(OpenFlags::CLOEXEC));
    let fd = files.insert_from(0, file.clone(), on_exec, limit);
    match fd {
        Ok(fd) => Ok(fd as usize),
        Err(e) => {
            close_file(file);
            Err(e)
        }
    }
}

pub fn sys_openat(dirfd: i32, path: UserPtr<u8>, flags: u32, mode: u32) -> Result<usize> {
    open_at(
        dirfd,
        path,
        OpenFlags::from_bits_truncate(flags),
        (mode & 0o7777) as u16,
    )
}

pub fn sys_creat(path: UserPtr<u8>, mode: u32) -> Result<usize> {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    open_at(AT_FDCWD, path, flags, (mode & 0o7777) as u16)
}

/// `how` is `struct open_how { u64 flags, mode, resolve }`, and whatever later versions of it add, which must be 0.
pub fn sys_openat2(
    dirfd: i32,
    path: UserPtr<u8>,
    how: UserPtr<[u64; 3]>,
    size: usize,
) -> Result<usize> {
    const KNOWN: usize = 24;
    if size < KNOWN {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve] = how.read()?;
    let rest = how.field::<u8>(KNOWN).read_vec(size - KNOWN)?;
    if rest.iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    if resolve != 0 {
        crate::klog!(Info, "openat2: resolve flags {resolve:#x} are not there");
        return Err(Errno::ENOSYS);
    }
    let flags = u32::try_from(flags)
        .ok()
        .and_then(OpenFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    let makes = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE_BIT);
    let places = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if mode & !0o7777 != 0
        || !makes && mode != 0
        || flags.contains(OpenFlags::PATH) && !places.contains(flags)
    {
        return Err(Errno::EINVAL);
    }
    open_at(dirfd, path, flags, mode as u16)
}

pub fn sys_close(fd: i32) -> Result<usize> {
    let file = caller::files().remove(fd)?;
    close_file(file);
    Ok(0)
}
