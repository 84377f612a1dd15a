//! Fork: a second space with the same contents, by sharing frames until one side writes.
//!
//! A page that had to be copied or taken back after the last fork is *hot*: it is copied at once instead of shared. A shell
//! touches the same stack, libc and allocator pages after every fork, on both sides, and a copy is cheaper than two faults.
//! A page copied at once does not fault, so nobody knows whether it is still hot: now and then a fork forgets and learns anew.
//! Sharing shows the child one moment, that of the flush at the end. Copies are of earlier moments, each of its own: where other
//! threads write meanwhile, a child would see a later write without an earlier one. So there nothing is copied ahead.

use super::{AddressSpace, Inner, image};
use crate::base::{PAGE_SHIFT, Result};
use crate::memory::area::{AreaFlags, Areas};
use crate::memory::frames::{Frame, alloc_frame};
use crate::memory::paging::{Entry, LEAF_SPAN, Slot};
use crate::memory::{commit, hw, phys_to_virt};
use core::sync::atomic::Ordering;

/// Pages copied at once by one fork.
const COPY_LIMIT: usize = 32;
/// Every so many forks, heat is measured afresh.
const FORGET_EVERY: u32 = 16;

/// Who may write to a space while it is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writers {
    /// Nobody: the thread that forks is the only one there.
    None,
    OtherThreads,
}

impl AddressSpace {
    /// A copy of this space: private memory is shared until written, shared memory stays shared.
    pub fn fork(&self, writers: Writers) -> Result<AddressSpace> {
        let mut child = AddressSpace::new_empty(self.kind)?;
        *child.membarrier.get_mut() = self.membarrier.load(Ordering::Relaxed);
        {
            let mut parent = self.inner.lock();
            // Nobody else knows the child yet.
            let mut inner = child.inner.lock_nested();
            let result = self.fork_locked(&mut parent, &child, &mut inner, writers);
            child.count_tables(&inner);
            // The parent's own pages have become read-only.
            hw::flush_space(&self.asid);
            result?;
        }
        Ok(child)
    }

    fn fork_locked(
        &self,
        parent: &mut Inner,
        child: &AddressSpace,
        inner: &mut Inner,
        writers: Writers,
    ) -> Result<()> {
        inner.limits = parent.limits;
        (inner.brk_start, inner.brk) = (parent.brk_start, parent.brk);
        (inner.mmap_hint, inner.args, inner.env) = (parent.mmap_hint, parent.args, parent.env);
        // Areas first: should memory run out on the way, dropping the child frees the pages that lie in them.
        let mut areas = Areas::with_capacity(parent.areas.count() + 2)?;
        let mut has_image = false;
        for area in parent.areas.iter() {
            if !area.flags.contains(AreaFlags::DONT_FORK) {
                has_image |= area.is_image();
                areas.push(area.clone());
                inner.size += area.pages();
                if area.flags.contains(AreaFlags::COMMITTED) {
                    // Each for itself, as it was when it was mapped.
                    commit::check(area.pages())?;
                    commit::charge(area.pages());
                    inner.committed += area.pages();
                }
            }
        }
        inner.areas = areas;
        if has_image {
            image::map_shared(&mut inner.table)?;
        }

        parent.forks += 1;
        let mut copies_left = match writers {
            Writers::None if !parent.forks.is_multiple_of(FORGET_EVERY) => COPY_LIMIT,
            _ => 0,
        };
        let mut resident = 0;
        let Inner { table, areas, .. } = inner;
        for area in areas.iter() {
            if area.is_image() || area.flags.contains(AreaFlags::WIPE_ON_FORK) {
                continue;
            }
            let private = !area.shared;
            let mut result = Ok(());
            parent
                .table
                .for_each_leaf(area.start, area.end, |base, slots| {
                    let empty = leading_empty(slots);
                    let slots = &slots[empty..];
                    if slots.is_empty() || result.is_err() {
                        return;
                    }
                    let first = ((base % LEAF_SPAN) >> PAGE_SHIFT) + empty;
                    let targets = match table.leaf_or_make(base) {
                        Ok(t) => &t[first..first + slots.len()],
                        Err(e) => {
                            result = Err(e);
                            return;
                        }
                    };
                    for (slot, target) in slots.iter().zip(targets) {
                        let mut e = slot.get();
                        if e.is_none() {
                            continue;
                        }
                        if e.is_owned() {
                            resident += 1;
                            if private && e.is_writable() {
                                if e.is_hot()
                                    && copies_left > 0
                                    && let Ok(copy) = alloc_frame()
                                {
                                    copies_left -= 1;
                                    hw::copy_page(copy.as_ptr(), phys_to_virt(e.phys()));
                                    target.set(e.replaced(copy.into_raw()));
                                    continue;
                                }
                                e = e.read_only();
                                slot.set(e);
                            }
                            // SAFETY: the parent's slot holds a reference, and its lock is held.
                            unsafe { Frame::add_ref(e.phys()) };
                        }
                        target.set(e);
                    }
                });
            result?;
        }
        child.resident.store(resident, Ordering::Relaxed);
        Ok(())
    }
}

/// How many slots at the start hold nothing, give or take three: stacks and the bss are mostly empty.
fn leading_empty(slots: &[Slot]) -> usize {
    let (fours, rest) = slots.as_chunks::<4>();
    let is_empty =
        |some: &[Slot]| some.iter().fold(0, |bits, slot| bits | slot.get().0) == Entry::NONE.0;
    match fours.iter().position(|four| !is_empty(four)) {
        Some(n) => n * 4,
        None if is_empty(rest) => slots.len(),
        None => slots.len() - rest.len(),
    }
}
