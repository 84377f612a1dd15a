//! The process on whose behalf a call runs, as far as files are concerned.

use super::context::FsContext;
use super::fdtable::FdTable;
use super::file::File;
use super::path::Path;
use super::walk::Scope;
use crate::base::Result;
use crate::process::held::with_context;
use crate::process::{Credentials, Pid, current, limits, signal};
use alloc::sync::Arc;

pub fn credentials() -> Arc<Credentials> {
    current().process().creds()
}

pub fn context() -> Arc<FsContext> {
    current().process().fs.lock().clone()
}

pub fn files() -> Arc<FdTable> {
    current().process().files.lock().clone()
}

/// The open file behind a descriptor of the current process.
pub fn file(fd: i32) -> Result<Arc<File>> {
    current().process().files.lock().get(fd)
}

/// `RLIMIT_NOFILE`: no descriptor at or above this.
pub fn open_file_limit() -> u64 {
    current().process().rlimit(limits::NOFILE)
}

/// `RLIMIT_FSIZE`: no byte of a file at or past this.
pub fn file_size_limit() -> u64 {
    current().process().rlimit(limits::FSIZE)
}

/// A write past `limit` was refused: `SIGXFSZ`, unless it was the file system's own limit.
pub fn over_file_size_limit(limit: u64) {
    if limit < super::ramfs::SIZE_MAX {
        signal::send_to_process(
            current().process(),
            signal::SigInfo::kernel(signal::SIGXFSZ),
        );
    }
}

/// What a path walk needs to know of the caller.
pub fn scope() -> Scope {
    let creds = credentials();
    with_context(|fs| Scope {
        creds,
        root: fs.root(),
        umask: fs.umask(),
    })
}

/// The working directory.
pub fn cwd() -> Path {
    with_context(FsContext::cwd)
}

pub fn pid() -> Pid {
    current().process().pid
}

/// Gives the process a descriptor table of its own.
pub fn unshare_files() -> Result<()> {
    let mut files = current().process().files.lock();
    if Arc::strong_count(&files) > 1 {
        let own = Arc::new(files.fork()?);
        let shared = core::mem::replace(&mut *files, own);
        drop(files);
        // Nobody else may have it by now: its files go with no lock held.
        drop(shared);
    }
    Ok(())
}
