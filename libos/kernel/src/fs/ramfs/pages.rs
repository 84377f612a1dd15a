//! The pages of a file in memory: a radix tree, 64 wide, as high as the file is long.

use crate::memory::frames::Frame;
use alloc::boxed::Box;

const BITS: u32 = 6;
const WIDTH: usize = 1 << BITS;

enum Slot {
    Empty,
    Page(Frame),
    Node(Box<[Slot; WIDTH]>),
}

/// Sparse: an index without a page is a hole.
pub struct PageTree {
    root: Slot,
    /// Levels of nodes: 0 means that the root slot is page 0 itself.
    height: u32,
    /// Pages held.
    count: usize,
}

fn slot_of(index: u64, level: u32) -> usize {
    (index >> (BITS * level)) as usize % WIDTH
}

fn empty_node() -> Box<[Slot; WIDTH]> {
    Box::new([const { Slot::Empty }; WIDTH])
}

impl PageTree {
    pub const fn new() -> Self {
        PageTree {
            root: Slot::Empty,
            height: 0,
            count: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    fn covers(&self, index: u64) -> bool {
        index >> (BITS * self.height) == 0
    }

    pub fn get(&self, index: u64) -> Option<&Frame> {
        if !self.covers(index) {
            return None;
        }
        let mut slot = &self.root;
        let mut level = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Page(frame) => return Some(frame),
                Slot::Node(node) => {
                    level -= 1;
                    slot = &node[slot_of(index, level)];
                }
            }
        }
    }

    /// Puts `frame` at `index`, which is a hole.
    pub fn insert(&mut self, index: u64, frame: Frame) {
        while !self.covers(index) {
            if !matches!(self.root, Slot::Empty) {
                let mut node = empty_node();
                node[0] = core::mem::replace(&mut self.root, Slot::Empty);
                self.root = Slot::Node(node);
            }
            self.height += 1;
        }
        let mut slot = &mut self.root;
        for level in (0..self.height).rev() {
            if matches!(slot, Slot::Empty) {
                *slot = Slot::Node(empty_node());
            }
            slot = match slot {
                Slot::Node(node) => &mut node[slot_of(index, level)],
                _ => unreachable!("a page lies at level 0 only"),
            };
        }
        debug_assert!(matches!(slot, Slot::Empty));
        *slot = Slot::Page(frame);
        self.count += 1;
    }

    /// Drops the pages of `from..to`; returns how many there were.
    pub fn remove(&mut self, from: u64, to: u64) -> usize {
        let removed = prune(&mut self.root, self.height, 0, from, to);
        self.count -= removed;
        if self.count == 0 {
            self.height = 0;
        }
        removed
    }

    /// The first index from `from` on that has a page.
    pub fn next_page(&self, from: u64) -> Option<u64> {
        find(&self.root, self.height, 0, from)
    }
}

/// Last index below a slot at `level` that starts at `base`.
fn last_index(base: u64, level: u32) -> u64 {
    base + ((1u64 << (BITS * level)) - 1)
}

fn prune(slot: &mut Slot, level: u32, base: u64, from: u64, to: u64) -> usize {
    if to <= base || last_index(base, level) < from {
        return 0;
    }
    let removed = match slot {
        Slot::Empty => return 0,
        Slot::Page(_) => 1,
        Slot::Node(node) => {
            let step = 1u64 << (BITS * (level - 1));
            let mut removed = 0;
            for (i, child) in node.iter_mut().enumerate() {
                removed += prune(child, level - 1, base + i as u64 * step, from, to);
            }
            if node.iter().any(|s| !matches!(s, Slot::Empty)) {
                return removed;
            }
            removed
        }
    };
    *slot = Slot::Empty;
    removed
}

fn find(slot: &Slot, level: u32, base: u64, from: u64) -> Option<u64> {
    if last_index(base, level) < from {
        return None;
    }
    match slot {
        Slot::Empty => None,
        Slot::Page(_) => Some(base),
        Slot::Node(node) => {
            let step = 1u64 << (BITS * (level - 1));
            node.iter()
                .enumerate()
                .find_map(|(i, child)| find(child, level - 1, base + i as u64 * step, from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::frames::alloc_zeroed;

    #[test]
    fn far_apart_pages_are_found_and_nothing_between() {
        let mut tree = PageTree::new();
        let places = [0u64, 1, 63, 64, 4095, 4096, 1 << 30, (1 << 51) + 5];
        for &i in &places {
            let mut frame = alloc_zeroed().unwrap();
            frame.as_mut_slice()[..8].copy_from_slice(&i.to_le_bytes());
            tree.insert(i, frame);
        }
        for &i in &places {
            assert_eq!(tree.get(i).unwrap().as_slice()[..8], i.to_le_bytes());
        }
        assert!(tree.get(2).is_none() && tree.get(1 << 29).is_none());
        assert_eq!(tree.next_page(65), Some(4095));
        assert_eq!(tree.next_page(4097), Some(1 << 30));
        assert_eq!(tree.remove(64, (1 << 30) + 1), 4);
        assert_eq!(tree.next_page(64), Some((1 << 51) + 5));
        assert_eq!(tree.remove(0, u64::MAX), 4);
        assert_eq!((tree.count(), tree.next_page(0)), (0, None));
    }
}
