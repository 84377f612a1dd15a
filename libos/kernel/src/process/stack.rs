//! Kernel stacks: 16 KiB in the upper half of a 32 KiB slot, so that an overflow hits the unmapped lower half.

use crate::base::{Errno, PAGE_SIZE, PhysAddr, Result, SpinLock};
use alloc::vec::Vec;

/// Bytes of a kernel stack.
pub const STACK_SIZE: usize = 16 * 1024;
const SLOT_SIZE: usize = 2 * STACK_SIZE;
/// Mapped stacks kept for the next thread.
const KEPT: usize = 16;

struct Slots {
    /// Slots that have their frames.
    ready: Vec<usize>,
    /// Slots without frames.
    empty: Vec<usize>,
    next: usize,
}

impl Slots {
    /// A slot that never had a stack, with room in the lists for its return: a thread's end never wants memory.
    fn add(&mut self) -> Result<usize> {
        let all = self.next + 1;
        let room = |list: &mut Vec<usize>, most: usize| list.try_reserve(most - list.len());
        room(&mut self.ready, KEPT)
            .and_then(|()| room(&mut self.empty, all))
            .map_err(|_| Errno::ENOMEM)?;
        self.next = all;
        Ok(all - 1)
    }
}

/// Protects the slot lists. Taken by the thread switch; takes the frame allocator and the kernel tables inside.
static SLOTS: SpinLock<Slots> = SpinLock::new(Slots {
    ready: Vec::new(),
    empty: Vec::new(),
    next: 0,
});

/// A mapped kernel stack; given back when dropped (by a thread that runs on another one).
pub struct KernelStack {
    slot: usize,
}

fn bottom(slot: usize) -> usize {
    base() + slot * SLOT_SIZE + STACK_SIZE
}

#[cfg(target_os = "none")]
fn base() -> usize {
    crate::arch::mmu::STACKS_BASE
}
#[cfg(not(target_os = "none"))]
fn base() -> usize {
    0
}

#[cfg(target_os = "none")]
fn map(va: usize, frame: PhysAddr) -> Result<()> {
    crate::arch::mmu::map_kernel_page(va, frame)
}
#[cfg(target_os = "none")]
fn unmap(va: usize, frames: &mut [PhysAddr]) -> Result<()> {
    crate::arch::mmu::unmap_kernel_pages(va, frames)
}
#[cfg(not(target_os = "none"))]
fn map(_va: usize, _frame: PhysAddr) -> Result<()> {
    Ok(())
}
#[cfg(not(target_os = "none"))]
fn unmap(_va: usize, _frames: &mut [PhysAddr]) -> Result<()> {
    Err(Errno::EINVAL)
}

impl KernelStack {
    /// A stack; `ENOMEM` when there are no frames for it.
    pub fn new() -> Result<KernelStack> {
        let slot = {
            let mut slots = SLOTS.lock();
            if let Some(slot) = slots.ready.pop() {
                return Ok(KernelStack { slot });
            }
            match slots.empty.pop() {
                Some(slot) => slot,
                None => slots.add()?,
            }
        };
        for page in 0..STACK_SIZE / PAGE_SIZE {
            let va = bottom(slot) + page * PAGE_SIZE;
            let mapped = crate::memory::frames::alloc_frame().and_then(|frame| {
                map(va, frame.phys())?;
                frame.into_raw();
                Ok(())
            });
            if let Err(e) = mapped {
                release(slot, page);
                return Err(e);
            }
        }
        Ok(KernelStack { slot })
    }

    /// The address past its highest byte.
    pub fn top(&self) -> usize {
        bottom(self.slot) + STACK_SIZE
    }
}

/// Unmaps the first `pages` pages of a slot and gives it back.
fn release(slot: usize, pages: usize) {
    let mut frames = [PhysAddr(0); STACK_SIZE / PAGE_SIZE];
    let frames = &mut frames[..pages];
    if unmap(bottom(slot), frames).is_ok() {
        for &mut phys in frames {
            // SAFETY: the frame went into the mapping as a raw reference and comes out of it once.
            drop(unsafe { crate::memory::frames::Frame::from_raw(phys) });
        }
    }
    SLOTS.lock().empty.push(slot);
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let mut slots = SLOTS.lock();
        if slots.ready.len() < KEPT {
            slots.ready.push(self.slot);
            return;
        }
        drop(slots);
        release(self.slot, STACK_SIZE / PAGE_SIZE);
    }
}

/// Frames held by stacks that wait for a thread: memory as good as free.
pub fn cached_frames() -> usize {
    SLOTS.lock().ready.len() * (STACK_SIZE / PAGE_SIZE)
}
