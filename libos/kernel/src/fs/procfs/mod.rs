//! `/proc`: the kernel's state as files (proc(5)), in Linux's formats.
//!
//! Nothing is stored: a directory lists what there is when it is asked, a file's text is made when it is read from the
//! start. What is known of processes comes through [`source`], and nothing else here knows how processes are kept.

mod limits;
mod mounts;
mod node;
mod out;
mod process;
mod source;
mod status;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod who;

use super::inode::{FileSystem, FsStat, Inode};
use super::mount::Super;
use super::ramfs::anonymous_dev;
use super::types::Dev;
use crate::base::sync::Once;
use crate::base::{PAGE_SIZE, Result};
use alloc::sync::Arc;
use core::any::Any;

const PROC_MAGIC: u64 = 0x9fa0;

struct ProcFs;

/// There is one `/proc`, however often it is mounted.
pub fn superblock() -> Arc<Super> {
    static SUPER: Once<Arc<Super>> = Once::new();
    SUPER.call_once(|| Super::new(Arc::new(ProcFs))).clone()
}

fn dev() -> Dev {
    static DEV: Once<Dev> = Once::new();
    *DEV.call_once(anonymous_dev)
}

impl FileSystem for ProcFs {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> Arc<dyn Inode> {
        node::root()
    }

    fn stat(&self) -> Result<FsStat> {
        Ok(FsStat {
            magic: PROC_MAGIC,
            block_size: PAGE_SIZE as u64,
            ..FsStat::default()
        })
    }

    fn caches_names(&self) -> bool {
        false
    }
}
