//! Takes pages of a file that has been cut away from everybody who maps it.
//!
//! Nothing says which spaces map a file, so all are looked at: files are cut while they are mapped so rarely that a list would cost
//! more than it saves. A child that is being forked is in no list yet; its maker compares [`cuts`] before and after.

use super::table;
use crate::memory::source::FileKey;
use crate::memory::space::Copies;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

static CUTS: AtomicUsize = AtomicUsize::new(0);

/// Changes whenever pages are taken away.
pub fn cuts() -> usize {
    CUTS.load(Ordering::SeqCst)
}

/// Unmaps what shows `pages` of `file`, which has got its new size before. Called with no spinlock held.
pub fn unmap_everywhere(file: FileKey, pages: Range<u64>, copies: Copies) {
    CUTS.fetch_add(1, Ordering::SeqCst);
    let mut pid = 0;
    while let Some(process) = table::next(pid) {
        pid = process.pid;
        let space = process.space();
        space.revoke(file, pages.clone(), copies);
    }
}
