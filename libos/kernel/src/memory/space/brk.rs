//! The program break.

use super::{AddressSpace, GUARD_GAP};
use crate::base::{PAGE_SHIFT, page_up};
use crate::memory::area::{Area, AreaFlags, Backing};
use crate::memory::{Protection, commit};
use crate::user::USER_END;

impl AddressSpace {
    /// Moves the break to `to` if that is possible; returns where it is. As Linux's system call: 0 asks, failure moves nothing.
    pub fn set_break(&self, to: usize) -> usize {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let (old, start) = (inner.brk, inner.brk_start);
        if to < start || to > USER_END - GUARD_GAP {
            return old;
        }
        let (old_end, new_end) = (page_up(old), page_up(to));
        if new_end < old_end {
            if self.unmap_locked(inner, new_end, old_end).is_err() {
                return old;
            }
        } else if new_end > old_end {
            let pages = (new_end - old_end) >> PAGE_SHIFT;
            let blocked = inner
                .areas
                .gap(old_end, USER_END, new_end - old_end, GUARD_GAP)
                != Some(old_end);
            let area = Area {
                start: old_end,
                end: new_end,
                backing: Backing::Anonymous,
                protection: Protection::READ | Protection::WRITE,
                flags: AreaFlags::HEAP | AreaFlags::COMMITTED,
                shared: false,
            };
            if blocked
                || commit::check(pages).is_err()
                || inner.check_limits(pages, true).is_err()
                || inner.areas.reserve(1, 0).is_err()
            {
                return old;
            }
            inner.add(area);
        }
        inner.brk = to;
        to
    }
}
