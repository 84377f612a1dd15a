//! Arguments of the `*at` calls: a descriptor to start from, a path, flags.

use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::file::File;
use crate::fs::path::Path;
use crate::fs::types::{Metadata, PATH_MAX};
use crate::fs::walk::{Follow, Scope, Walk};
use crate::process::Credentials;
use crate::process::held::hold;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub const AT_FDCWD: i32 = -100;
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
pub const AT_REMOVEDIR: u32 = 0x200;
pub const AT_EACCESS: u32 = 0x200;
pub const AT_SYMLINK_FOLLOW: u32 = 0x400;
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
pub const AT_EMPTY_PATH: u32 = 0x1000;

/// A path, and all that it takes to follow it.
pub struct At {
    pub scope: Scope,
    /// The root if `path` is absolute.
    pub start: Path,
    pub path: Vec<u8>,
}

/// Copies a path out of the program.
pub fn read_path(path: UserPtr<u8>) -> Result<Vec<u8>> {
    path.read_cstr(PATH_MAX - 1, Errno::ENAMETOOLONG)
}

/// Where `path` of `dirfd` starts. An absolute path needs no descriptor, and a bad one does not matter then.
pub fn base_of(dirfd: i32, path: &[u8], scope: &Scope) -> Result<Path> {
    if path.first() == Some(&b'/') {
        return Ok(scope.root.clone());
    }
    if dirfd == AT_FDCWD {
        return Ok(caller::cwd());
    }
    hold(dirfd)?.path().cloned().ok_or(Errno::ENOTDIR)
}

impl At {
    pub fn new(dirfd: i32, path: UserPtr<u8>) -> Result<At> {
        Self::with_path(dirfd, read_path(path)?)
    }

    pub fn with_path(dirfd: i32, path: Vec<u8>) -> Result<At> {
        let scope = caller::scope();
        let start = base_of(dirfd, &path, &scope)?;
        Ok(At { scope, start, path })
    }

    pub fn lookup(self, follow: Follow) -> Result<Path> {
        Walk::starting_at(&self.scope, self.start, &self.path)?.to_end(follow)
    }
}

/// What an `*at` call with `AT_EMPTY_PATH` may refer to.
pub enum Target {
    Path(Path),
    /// A file without a name, by its descriptor.
    File(Arc<File>),
}

impl Target {
    pub fn metadata(&self) -> Result<Metadata> {
        match self {
            Target::Path(path) => path.inode().metadata(),
            Target::File(file) => file.metadata(),
        }
    }

    /// The place, for calls that make no sense on a file without a name.
    pub fn path(self) -> Result<Path> {
        match self {
            Target::Path(path) => Ok(path),
            Target::File(_) => Err(Errno::EINVAL),
        }
    }
}

/// The file that an open file is, as a target.
pub fn of_file(file: Arc<File>) -> Target {
    match file.path() {
        Some(path) => Target::Path(path.clone()),
        None => Target::File(file),
    }
}

/// `AT_SYMLINK_NOFOLLOW` as a [`Follow`].
pub fn follow(flags: u32) -> Follow {
    if flags & AT_SYMLINK_NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    }
}

/// Resolves the arguments of `fstatat` and its kin; the caller has refused flags it does not know.
pub fn target(dirfd: i32, path: UserPtr<u8>, flags: u32) -> Result<Target> {
    target_as(None, dirfd, path, flags)
}

/// As [`target`], on somebody else's behalf.
pub fn target_as(
    who: Option<Arc<Credentials>>,
    dirfd: i32,
    path: UserPtr<u8>,
    flags: u32,
) -> Result<Target> {
    // A null path with AT_EMPTY_PATH means the descriptor, since Linux 6.11.
    let path = if path.is_null() && flags & AT_EMPTY_PATH != 0 {
        Vec::new()
    } else {
        read_path(path)?
    };
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if dirfd == AT_FDCWD {
            return Ok(Target::Path(caller::cwd()));
        }
        return Ok(of_file(caller::file(dirfd)?));
    }
    let mut at = At::with_path(dirfd, path)?;
    if let Some(who) = who {
        at.scope.creds = who;
    }
    at.lookup(follow(flags)).map(Target::Path)
}
