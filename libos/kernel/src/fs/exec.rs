//! What `exec` asks of the file system.

use super::caller;
use super::file::File;
use super::inode::Inode;
use super::mount::MountFlags;
use super::open::open;
use super::path::Path;
use super::permission::{self, EXEC, SETGID, SETUID};
use super::ramfs::{PROGRAM_MARKER, RamInode};
use super::syscalls::at::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW};
use super::types::{FileType, OpenFlags};
use super::walk::{Scope, Walk, lookup};
use crate::base::{Errno, Result};
use crate::user::Buffer;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of a file that decide how it is run: Linux's `BINPRM_BUF_SIZE`.
pub const HEAD: usize = 256;

/// A file that may be executed.
pub struct ExecTarget {
    path: Path,
    /// The linked program that the file stands for.
    program: Option<Vec<u8>>,
    set_ids: (Option<u32>, Option<u32>),
}

impl ExecTarget {
    /// Whether the file stands for a program that is linked into the image.
    pub fn linked_program(&self) -> bool {
        self.program.is_some()
    }

    /// Which linked program that is.
    pub fn program_name(&self) -> Option<&[u8]> {
        self.program.as_deref()
    }

    /// How the file begins, at most [`HEAD`] bytes: `#!`, an ELF header.
    pub fn head(&self) -> Result<Vec<u8>> {
        read_head(&**self.path.inode())
    }

    pub fn path(&self) -> Path {
        self.path.clone()
    }

    /// User and group that the program runs as, if its file says so and the mount lets it.
    pub fn set_ids(&self) -> (Option<u32>, Option<u32>) {
        self.set_ids
    }
}

/// Finds the program that `execveat(dir, path, …, flags)` of the current process means. Errors are those of execve(2).
pub fn lookup_exec(dir: i32, path: &[u8], flags: i32) -> Result<ExecTarget> {
    let flags = flags as u32;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let scope = caller::scope();
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        let place = caller::file(dir)?.path().cloned().ok_or(Errno::EACCES)?;
        return examine(&scope, place);
    }
    let base = at::base_of(dir, path, &scope)?;
    let place = lookup(&scope, base, path, at::follow(flags))?;
    examine(&scope, place)
}

/// Checks that `path` may be executed, and says what it is.
pub fn examine(scope: &Scope, path: Path) -> Result<ExecTarget> {
    let inode = path.inode();
    match inode.kind() {
        FileType::Regular => {}
        FileType::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    permission::check(&**inode, &scope.creds, EXEC)?;
    if path.mount.flags().contains(MountFlags::NOEXEC) {
        return Err(Errno::EACCES);
    }
    let own = inode
        .as_any()
        .downcast_ref::<RamInode>()
        .and_then(RamInode::program);
    let program = match own {
        Some(name) => Some(name.as_bytes().to_vec()),
        None => marked_program(&read_head(&**inode)?),
    };
    let access = inode.access()?;
    let honoured = !path.mount.flags().contains(MountFlags::NOSUID);
    let uid = (honoured && access.perm & SETUID != 0).then_some(access.uid);
    // Without group execution the bit once meant mandatory locking.
    let group_run = SETGID | 0o010;
    let gid = (honoured && access.perm & group_run == group_run).then_some(access.gid);
    Ok(ExecTarget {
        program,
        set_ids: (uid, gid),
        path,
    })
}

fn read_head(inode: &dyn Inode) -> Result<Vec<u8>> {
    let mut head = alloc::vec![0; HEAD];
    let n = inode.read_at(&mut Buffer::kernel_mut(&mut head), 0)?;
    head.truncate(n);
    Ok(head)
}

/// `open` on behalf of the kernel (`posix_spawn`'s file actions), for the current process, path already copied in.
pub fn open_kernel(path: &[u8], flags: i32, mode: u32) -> Result<Arc<File>> {
    let scope = caller::scope();
    let flags = OpenFlags::from_bits_truncate(flags as u32);
    let walk = Walk::new(&scope, caller::cwd(), path)?;
    open(&scope, walk, flags, (mode & 0o7777) as u16)
}

/// The program named in a copy of a linked program's file, so that `cp /bin/ls here` gives something that runs.
fn marked_program(head: &[u8]) -> Option<Vec<u8>> {
    let name = head
        .strip_prefix(PROGRAM_MARKER)?
        .split(|&b| b == b'\n')
        .next()?;
    (!name.is_empty()).then(|| name.to_vec())
}
