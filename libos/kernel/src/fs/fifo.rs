//! Named pipes: where an inode keeps its pipe, and who opens it.

use super::file::FileOps;
use super::types::OpenFlags;
use crate::base::sync::Once;
use crate::base::{Errno, Result, SpinLock};
use alloc::sync::Arc;
use core::any::Any;

/// Where a FIFO's inode keeps the pipe that all who have it open share. Owned by whoever implements pipes.
pub type FifoSlot = SpinLock<Option<Arc<dyn Any + Send + Sync>>>;

/// Opens one end (or, with `O_RDWR`, both); waits for the other end as fifo(7) has it.
pub type FifoOpener = fn(&FifoSlot, OpenFlags) -> Result<Arc<dyn FileOps>>;

static OPENER: Once<FifoOpener> = Once::new();

/// Called once by the pipe implementation.
pub fn register_opener(opener: FifoOpener) {
    OPENER.call_once(|| opener);
}

pub(super) fn open(slot: &FifoSlot, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
    OPENER.get().ok_or(Errno::ENXIO)?(slot, flags)
}
