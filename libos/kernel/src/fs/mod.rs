//! Files.
//!
//! [`inode`] says what a file system provides, [`file`] what an open file is, [`walk`] how a path is followed;
//! [`ramfs`], [`devfs`] and [`procfs`] are file systems; [`sys`] has the operations that programs call.
#![forbid(unsafe_code)]

pub mod anonymous;
pub mod caller;
pub mod context;
pub mod dentry;
pub mod devfs;
mod devices;
pub mod exec;
pub mod fdtable;
pub mod fifo;
pub mod file;
pub mod inode;
pub mod inotify;
pub mod io;
mod kmsg;
pub mod locks;
pub mod mapping;
pub mod mount;
mod name_table;
pub mod namespace;
pub mod notify;
pub mod open;
pub mod path;
pub mod permission;
pub mod pieces;
pub mod procfs;
mod radix;
pub mod ramfs;
mod rootfs;
pub mod sleep_lock;
mod syscalls;
pub mod tar;
#[cfg(test)]
mod tests;
pub mod types;
pub mod walk;

/// Every file operation, under its Linux name.
pub mod sys {
    pub use super::syscalls::*;
}

pub use context::FsContext;
pub use devfs::{CharDevice, register_char};
pub use exec::{ExecTarget, lookup_exec, open_kernel};
pub use fdtable::{FdTable, OnExec};
pub use file::{File, FileOps};
pub use inode::{FileSystem, Inode};
pub use mapping::page_source;
pub use path::Path;
pub use syscalls::at::AT_FDCWD;
pub use syscalls::chdir_kernel;
pub use types::{Dev, FileType, Metadata, OpenFlags, PollEvents};

use crate::base::Result;
use crate::base::sync::Once;
use alloc::sync::Arc;
use mount::{Mount, MountFlags};
use ramfs::{Limits, RamFs};
pub use rootfs::first_program;

static ROOT: Once<Path> = Once::new();

/// The root of the tree; panics before [`init`].
pub fn root() -> Path {
    ROOT.get().expect("the root file system is mounted").clone()
}

/// Mounts the root file system, `/dev` and `/proc`. `archive` is the packed root file system, a ustar archive; its member
/// `.programs` lists the linked programs, and `programs` may name more.
pub fn init(archive: &'static [u8], programs: &[&[u8]]) -> Result<()> {
    devices::register()?;
    let root = ROOT.call_once(|| Mount::first(rootfs::build(archive, programs), "rootfs"));
    let dev = walk::child(root, b"dev")?;
    mount::mount(devfs::superblock(), &dev, "devtmpfs", MountFlags::NOSUID)?;
    let proc = walk::child(root, b"proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount::mount(procfs::superblock(), &proc, "proc", flags)?;
    Ok(())
}

/// Where files live that have no name: a mount outside of the tree.
pub fn nameless() -> (&'static Arc<Mount>, &'static RamFs) {
    static NAMELESS: Once<(Arc<Mount>, Arc<RamFs>)> = Once::new();
    let (mount, fs) = NAMELESS.call_once(|| {
        let fs = RamFs::new("tmpfs", Limits::default(), 0o700);
        (Mount::detached(fs.clone(), "none"), fs)
    });
    (mount, fs)
}

/// Lets go of one descriptor's reference to an open file.
pub fn close_file(file: Arc<File>) {
    locks::on_close(&file);
    drop(file);
}
