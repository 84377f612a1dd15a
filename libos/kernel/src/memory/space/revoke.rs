//! Taking pages of a file away from a space: the file has been cut.

use super::{AddressSpace, Inner};
use crate::base::{PAGE_SHIFT, PAGE_SIZE};
use crate::memory::area::{Area, Backing};
use crate::memory::source::FileKey;
use core::ops::Range;

/// What happens to private pages that were copied from the part of a file that is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copies {
    /// They go as well: the file ends before them.
    Too,
    /// They stay.
    Stay,
}

/// Page of the file at the start of an area that maps it, and the area's pages.
fn window(area: &Area, file: FileKey) -> Option<Range<u64>> {
    match &area.backing {
        Backing::File { source, offset } if source.file() == Some(file) => {
            let first = offset >> PAGE_SHIFT;
            Some(first..first + area.pages() as u64)
        }
        _ => None,
    }
}

impl AddressSpace {
    /// Unmaps what shows `pages` of `file`. The next access asks the file again, also where a fault is at work now.
    pub fn revoke(&self, file: FileKey, pages: Range<u64>, copies: Copies) {
        let mut inner = self.inner.lock();
        let mut found = false;
        for area in inner.areas.iter() {
            let Some(window) = window(area, file) else {
                continue;
            };
            found = true;
            let (first, end) = (window.start.max(pages.start), window.end.min(pages.end));
            if first < end {
                let at = |page: u64| area.start + (page - window.start) as usize * PAGE_SIZE;
                self.unmap_from_file(&inner, area, at(first), at(end), copies);
            }
        }
        inner.generation += u64::from(found);
    }

    /// Unmaps the pages of a file in a part of an area.
    fn unmap_from_file(
        &self,
        inner: &Inner,
        area: &Area,
        start: usize,
        end: usize,
        copies: Copies,
    ) {
        if area.shared || copies == Copies::Too {
            return self.unmap_pages(inner, start, end);
        }
        inner.table.for_each_leaf(start, end, |base, slots| {
            for (i, slot) in slots.iter().enumerate() {
                if slot.get().is_of_file() {
                    let page = base + i * PAGE_SIZE;
                    self.unmap_pages(inner, page, page + PAGE_SIZE);
                }
            }
        });
    }

    /// For a copy of a space that was made while files were cut: unmaps all pages of files, as any of them may be in a hole now, and
    /// private copies of what lies behind the end.
    pub fn revoke_copied(&self) {
        let mut inner = self.inner.lock();
        for area in inner.areas.iter() {
            let Backing::File { source, offset } = &area.backing else {
                continue;
            };
            if source.file().is_none() {
                continue;
            }
            let there = source.size().saturating_sub(*offset);
            let there = there.div_ceil(PAGE_SIZE as u64).min(area.pages() as u64) as usize;
            let file_end = area.start + there * PAGE_SIZE;
            self.unmap_from_file(&inner, area, area.start, file_end, Copies::Stay);
            self.unmap_from_file(&inner, area, file_end, area.end, Copies::Too);
        }
        inner.generation += 1;
    }
}
