//! The kernel's heap on the machine's own frames: sizes of every class, filled, moved and given back in any order.

use super::{Test, Verdict, ensure, tests};
use alloc::alloc::{alloc, dealloc, realloc};
use alloc::vec::Vec;
use core::alloc::Layout;

pub const TESTS: &[Test] = tests!["heap":
    every_size_keeps_its_bytes,
    growing_keeps_the_bytes,
    random_traffic_keeps_every_byte,
    more_than_the_largest_is_refused,
];

/// The most that one request gets.
const LARGEST: usize = 4 << 20;

/// Memory from the heap, filled with its number.
struct Piece {
    at: *mut u8,
    layout: Layout,
    number: usize,
}

impl Piece {
    fn new(size: usize, align: usize, number: usize) -> Option<Self> {
        let layout = Layout::from_size_align(size, align).ok()?;
        // SAFETY: no request here has size 0.
        let at = unsafe { alloc(layout) };
        if at.is_null() {
            return None;
        }
        let piece = Piece { at, layout, number };
        piece.fill(0);
        Some(piece)
    }

    fn byte(&self, i: usize) -> u8 {
        (self.number.wrapping_mul(31) + i / 64 + i) as u8
    }

    fn fill(&self, from: usize) {
        for i in from..self.layout.size() {
            // SAFETY: inside the allocation.
            unsafe { self.at.add(i).write_volatile(self.byte(i)) };
        }
    }

    fn check(&self) -> Verdict {
        let (size, align) = (self.layout.size(), self.layout.align());
        ensure!(
            self.at.addr().is_multiple_of(align),
            "{size} bytes at {:p}, not aligned to {align}",
            self.at
        );
        for i in 0..size {
            // SAFETY: inside the allocation.
            let found = unsafe { self.at.add(i).read_volatile() };
            ensure!(
                found == self.byte(i),
                "byte {i} of {size} at {:p} is {found:#x}, not {:#x}",
                self.at,
                self.byte(i)
            );
        }
        Ok(())
    }

    fn resize(&mut self, size: usize) -> Verdict {
        let kept = size.min(self.layout.size());
        // SAFETY: it came from `alloc` with this layout, and `size` is not 0.
        let at = unsafe { realloc(self.at, self.layout, size) };
        ensure!(!at.is_null(), "no memory to resize to {size}");
        self.at = at;
        self.layout = Layout::from_size_align(size, self.layout.align())
            .map_err(|e| alloc::format!("{e}"))?;
        self.fill(kept);
        self.check()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: it came from `alloc` with this layout.
        unsafe { dealloc(self.at, self.layout) };
    }
}

/// Sizes at and beside each power of two, and some between.
fn sizes() -> impl Iterator<Item = usize> {
    let powers = (0..=22).map(|n| 1usize << n);
    let beside = powers
        .clone()
        .flat_map(|p| [p.saturating_sub(1), p + 1, p + p / 3]);
    powers
        .chain(beside)
        .filter(|size| (1..=LARGEST).contains(size))
}

fn every_size_keeps_its_bytes() -> Verdict {
    let mut pieces = Vec::new();
    for (number, size) in sizes().enumerate() {
        let align = 1 << (number % 13);
        let piece = Piece::new(size, align, number);
        ensure!(piece.is_some(), "no memory for {size} bytes");
        pieces.extend(piece);
    }
    pieces.iter().try_for_each(Piece::check)?;
    // Every other one goes; the rest must not notice.
    let mut number = 0;
    pieces.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    pieces.iter().try_for_each(Piece::check)
}

fn growing_keeps_the_bytes() -> Verdict {
    let mut piece = Piece::new(1, 8, 7).ok_or("no memory for one byte")?;
    let mut steps: Vec<_> = sizes().collect();
    steps.sort_unstable();
    for &size in steps.iter().chain(steps.iter().rev()) {
        piece.resize(size)?;
    }
    Ok(())
}

fn random_traffic_keeps_every_byte() -> Verdict {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut pieces: Vec<Option<Piece>> = (0..64).map(|_| None).collect();
    for number in 0..4_000 {
        let slot = &mut pieces[next(64)];
        if let Some(piece) = slot {
            piece.check()?;
        }
        *slot = match (slot.take(), next(3)) {
            (Some(mut piece), 0) => {
                piece.resize(1 + next(8192))?;
                Some(piece)
            }
            (Some(_), _) => None,
            (None, _) => {
                let bits = 1 + next(14);
                Piece::new(1 + next(1 << bits), 1 << next(8), number)
            }
        };
    }
    pieces.iter().flatten().try_for_each(Piece::check)
}

fn more_than_the_largest_is_refused() -> Verdict {
    let piece = Piece::new(LARGEST + 1, 8, 1);
    ensure!(piece.is_none(), "{} bytes at once", LARGEST + 1);
    let mut list: Vec<u8> = Vec::new();
    ensure!(
        list.try_reserve_exact(usize::MAX / 4).is_err(),
        "room for more bytes than there are addresses"
    );
    Ok(())
}
