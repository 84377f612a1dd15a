//! Files as sources of pages, for `mmap`.

use super::caller;
use super::inode::{Inode, MappedFor, PageFor};
use super::path::{self, Path};
use super::types::FileType;
use crate::base::{Errno, Result};
use crate::memory::frames::Frame;
use crate::memory::source::{FileKey, Mapping, PageSource};
use alloc::string::String;
use alloc::sync::Arc;

/// A regular file's own pages. Holds the place, so that `/proc/PID/maps` can name it.
struct FilePages {
    path: Path,
    /// What the inode has counted it as.
    may_write: bool,
}

impl FilePages {
    fn new(path: Path, how: MappedFor) -> Result<FilePages> {
        let may_write = path.inode().mapped(how)?;
        if may_write {
            path.mount.add_writer();
        }
        Ok(FilePages { path, may_write })
    }
}

impl Drop for FilePages {
    fn drop(&mut self) {
        self.path.inode().unmapped(self.may_write);
        if self.may_write {
            self.path.mount.drop_writer();
        }
    }
}

fn identity(inode: &dyn Inode) -> (u64, u64) {
    inode.metadata().map_or((0, 0), |m| (m.dev.encode(), m.ino))
}

fn name(path: &Path) -> String {
    match path::describe(path, &super::root()) {
        Ok(name) => String::from_utf8_lossy(&name.text).into_owned(),
        Err(_) => path::TOO_LONG.into(),
    }
}

impl PageSource for FilePages {
    fn page(&self, index: u64, for_write: bool) -> Result<Frame> {
        let purpose = match for_write {
            true => PageFor::Write,
            false => PageFor::Read,
        };
        self.path.inode().page(index, purpose)
    }

    fn has_page(&self, index: u64) -> bool {
        self.path.inode().has_page(index)
    }

    fn size(&self) -> u64 {
        self.path.inode().size()
    }

    fn name(&self) -> String {
        name(&self.path)
    }

    fn file(&self) -> Option<FileKey> {
        Some(FileKey(Arc::as_ptr(self.path.inode()).addr()))
    }

    fn identity(&self) -> (u64, u64) {
        identity(&**self.path.inode())
    }

    fn sync(&self, _start: u64, _end: u64) -> Result<()> {
        self.path.inode().sync()
    }
}

/// What a shared or private mapping of the descriptor maps. `EBADF`, `ENODEV` for a file that cannot be mapped, `EPERM` for one that
/// is sealed.
pub fn page_source(fd: i32, shared: bool, write: bool) -> Result<Mapping> {
    let file = caller::file(fd)?;
    file.check_not_path()?;
    let flags = file.flags();
    let (readable, writable) = (flags.readable(), flags.writable());
    let mut may_become_writable = writable;
    if !readable || (shared && write && !writable) {
        return Err(Errno::EACCES);
    }
    let source: Option<Arc<dyn PageSource>> = match (file.ops(), file.path()) {
        (Some(ops), _) if ops.maps_anonymous() => None,
        (None, Some(path)) if path.kind() == FileType::Regular => {
            let how = match (shared && writable, write) {
                (false, _) => MappedFor::Copies,
                (true, false) => MappedFor::Looking,
                (true, true) => MappedFor::Writing,
            };
            let pages = FilePages::new(path.clone(), how)?;
            may_become_writable = pages.may_write;
            Some(Arc::new(pages))
        }
        _ => return Err(Errno::ENODEV),
    };
    Ok(Mapping {
        source,
        may_become_writable,
    })
}
