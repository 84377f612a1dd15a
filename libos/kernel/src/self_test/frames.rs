//! RAM and the frame allocator: every frame that programs can get is taken, written and read.
//!
//! The patterns are the usual ones of memory tests: each word its own address (two frames at one place, a dead address line),
//! a single one and a single zero walking through the word (two data lines as one), alternating bits.

use super::{Test, Verdict, ensure, tests};
use crate::base::{Errno, PAGE_SIZE, PhysAddr};
use crate::memory::frames::{
    self, Frame, MAX_ORDER, alloc_frame, alloc_order, alloc_zeroed, free_count, free_order,
    is_managed,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub const TESTS: &[Test] = tests!["frames":
    each_frame_is_ram_of_its_own,
    walking_ones,
    walking_zeros,
    alternating_bits,
    no_frame_left_is_an_error,
    blocks_are_aligned_and_apart,
    a_zeroed_frame_is_zero,
    the_last_reference_frees,
];

const WORDS: usize = PAGE_SIZE / 8;

/// Every frame that can be had.
fn take_all() -> Result<Vec<Frame>, String> {
    let mut all = Vec::new();
    all.try_reserve_exact(free_count())
        .map_err(|_| format!("no memory for a list of {} frames", free_count()))?;
    while let Ok(frame) = alloc_frame() {
        all.push(frame);
    }
    // What stays is the heap's reserve and what the list itself is in.
    ensure!(
        all.len() > frames::total_count() / 2,
        "only {} of {} frames could be had",
        all.len(),
        frames::total_count()
    );
    Ok(all)
}

/// Writes `pattern(frame, word)` into all of memory, then reads all of it back.
fn holds(all: &[Frame], pattern: impl Fn(usize, usize) -> u64) -> Verdict {
    let word = |frame: &Frame, i: usize| frame.as_ptr().cast::<u64>().wrapping_add(i);
    for (n, frame) in all.iter().enumerate() {
        for i in 0..WORDS {
            // SAFETY: the frame is ours and `i` inside it. Volatile: what counts is what RAM holds.
            unsafe { word(frame, i).write_volatile(pattern(n, i)) };
        }
    }
    for (n, frame) in all.iter().enumerate() {
        for i in 0..WORDS {
            // SAFETY: as above.
            let found = unsafe { word(frame, i).read_volatile() };
            let expected = pattern(n, i);
            ensure!(
                found == expected,
                "{:#x}: wrote {expected:#018x}, read {found:#018x}",
                frame.phys().0 + 8 * i
            );
        }
    }
    Ok(())
}

fn each_frame_is_ram_of_its_own() -> Verdict {
    let all = take_all()?;
    for frame in &all {
        ensure!(
            is_managed(frame.phys()) && frame.phys().0.is_multiple_of(PAGE_SIZE),
            "{:#x} is no frame of this machine",
            frame.phys().0
        );
        ensure!(frame.refcount() == 1, "{:#x} is held twice", frame.phys().0);
    }
    holds(&all, |n, i| (all[n].phys().0 + 8 * i) as u64)
}

fn walking_ones() -> Verdict {
    let all = take_all()?;
    // Each frame begins at another bit, so that no two neighbours hold the same.
    holds(&all, |n, i| 1 << ((n + i) % 64))?;
    // Each bit of each word of some frames.
    let some = &all[..all.len().min(64)];
    (1..64).try_for_each(|step| holds(some, |n, i| 1 << ((n + i + step) % 64)))
}

fn walking_zeros() -> Verdict {
    let all = take_all()?;
    holds(&all, |n, i| !(1 << ((n + i) % 64)))
}

fn alternating_bits() -> Verdict {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let all = take_all()?;
    holds(&all, |n, i| if (n + i) % 2 == 0 { EVEN } else { !EVEN })?;
    holds(&all, |n, i| if (n + i) % 2 == 0 { !EVEN } else { EVEN })
}

fn no_frame_left_is_an_error() -> Verdict {
    let all = take_all()?;
    ensure!(
        alloc_frame().err() == Some(Errno::ENOMEM),
        "a frame more than there are"
    );
    ensure!(
        alloc_zeroed().err() == Some(Errno::ENOMEM),
        "a zeroed frame more than there are"
    );
    ensure!(
        alloc_order(MAX_ORDER).err() == Some(Errno::ENOMEM),
        "a block of 4 MiB where single frames are short"
    );
    drop(all);
    ensure!(
        alloc_order(MAX_ORDER + 1).err() == Some(Errno::ENOMEM),
        "a block larger than the largest"
    );
    ensure!(alloc_frame().is_ok(), "no frame although all are free");
    Ok(())
}

/// Adjacent frames, given back at its end.
struct Block {
    phys: PhysAddr,
    order: usize,
}

impl Block {
    fn new(order: usize) -> Result<Block, String> {
        let phys = alloc_order(order).map_err(|e| format!("order {order}: {e:?}"))?;
        Ok(Block { phys, order })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block is ours and this is its end.
        unsafe { free_order(self.phys, self.order) }
    }
}

fn blocks_are_aligned_and_apart() -> Verdict {
    let mut blocks = Vec::new();
    for order in (0..=MAX_ORDER).chain((0..=MAX_ORDER).rev()) {
        let block = Block::new(order)?;
        let (start, len) = (block.phys.0, PAGE_SIZE << order);
        ensure!(
            start.is_multiple_of(len),
            "order {order}: {start:#x} is not aligned"
        );
        for &(_, other, other_len) in &blocks {
            ensure!(
                start + len <= other || other + other_len <= start,
                "{start:#x} lies in {other:#x}"
            );
        }
        blocks.push((block, start, len));
    }
    Ok(())
}

fn a_zeroed_frame_is_zero() -> Verdict {
    let used: Vec<_> = (0..64).map_while(|_| alloc_frame().ok()).collect();
    holds(&used, |_, _| u64::MAX)?;
    drop(used);
    for _ in 0..64 {
        let frame = alloc_zeroed().map_err(|e| format!("{e:?}"))?;
        ensure!(
            frame.as_slice().iter().all(|&byte| byte == 0),
            "{:#x} is not zero",
            frame.phys().0
        );
    }
    Ok(())
}

fn the_last_reference_frees() -> Verdict {
    let before = free_count();
    let frame = alloc_frame().map_err(|e| format!("{e:?}"))?;
    let second = frame.clone();
    ensure!(
        frame.refcount() == 2,
        "{} references to two",
        frame.refcount()
    );
    drop(frame);
    ensure!(free_count() == before - 1, "freed while it was held");
    ensure!(
        second.refcount() == 1,
        "{} references to one",
        second.refcount()
    );
    drop(second);
    ensure!(free_count() == before, "not freed by the last one");
    Ok(())
}
