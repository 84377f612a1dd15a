//! Shared memory without a file: `MAP_SHARED|MAP_ANONYMOUS`, System V segments. (A memfd is a file in memory.)

use super::commit;
use super::frames::{Frame, alloc_zeroed};
use super::source::PageSource;
use crate::base::{Errno, PAGE_SIZE, Result, SpinLock};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

/// Whether its size counts as committed memory (`MAP_NORESERVE`, `SHM_NORESERVE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserve {
    Now,
    Never,
}

/// An object whose pages are zero until written and are seen by everybody who maps it.
pub struct SharedPages {
    size: u64,
    name: &'static str,
    /// Pages that count as committed.
    committed: usize,
    /// Taken with no other lock held but the space's; takes the frame allocator's and the heap's.
    pages: SpinLock<BTreeMap<u64, Frame>>,
}

impl SharedPages {
    /// An object of `size` bytes; `name` is for `/proc/PID/maps`.
    pub fn new(size: u64, name: &'static str, reserve: Reserve) -> Result<Arc<Self>> {
        let committed = match reserve {
            Reserve::Never if commit::may_skip() => 0,
            _ => size.div_ceil(PAGE_SIZE as u64) as usize,
        };
        commit::check(committed)?;
        commit::charge(committed);
        Ok(Arc::new(SharedPages {
            size,
            name,
            committed,
            pages: SpinLock::new(BTreeMap::new()),
        }))
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        commit::uncharge(self.committed);
    }
}

impl PageSource for SharedPages {
    fn page(&self, index: u64, _for_write: bool) -> Result<Frame> {
        let mut pages = self.pages.lock();
        if let Some(f) = pages.get(&index) {
            return Ok(f.clone());
        }
        if index >= self.size().div_ceil(PAGE_SIZE as u64) {
            return Err(Errno::ENXIO);
        }
        let frame = alloc_zeroed()?;
        pages.insert(index, frame.clone());
        Ok(frame)
    }

    fn has_page(&self, index: u64) -> bool {
        self.pages.lock().contains_key(&index)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
