//! Things by number, with gaps: a radix tree as high as its highest number is long.

use alloc::boxed::Box;

enum Slot<T, const WIDTH: usize> {
    Empty,
    Item(T),
    /// Never empty between calls: with the last item below it a node goes.
    Node(Box<[Slot<T, WIDTH>; WIDTH]>),
}

/// What a removal has still before it.
struct Left {
    to_take: usize,
    in_tree: usize,
}

/// `WIDTH` is a power of two.
pub struct Radix<T, const WIDTH: usize> {
    root: Slot<T, WIDTH>,
    /// Levels of nodes: 0 means that the root slot is item 0 itself.
    height: u32,
    count: usize,
}

impl<T, const WIDTH: usize> Default for Radix<T, WIDTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const WIDTH: usize> Radix<T, WIDTH> {
    const BITS: u32 = WIDTH.trailing_zeros();

    pub const fn new() -> Self {
        Radix {
            root: Slot::Empty,
            height: 0,
            count: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    fn covers(&self, index: u64) -> bool {
        index.checked_shr(Self::BITS * self.height).unwrap_or(0) == 0
    }

    fn slot_of(index: u64, level: u32) -> usize {
        (index >> (Self::BITS * level)) as usize % WIDTH
    }

    fn empty_node() -> Box<[Slot<T, WIDTH>; WIDTH]> {
        Box::new([const { Slot::Empty }; WIDTH])
    }

    pub fn get(&self, index: u64) -> Option<&T> {
        if !self.covers(index) {
            return None;
        }
        let mut slot = &self.root;
        let mut level = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Item(item) => return Some(item),
                Slot::Node(node) => {
                    level -= 1;
                    slot = &node[Self::slot_of(index, level)];
                }
            }
        }
    }

    pub fn get_mut(&mut self, index: u64) -> Option<&mut T> {
        if !self.covers(index) {
            return None;
        }
        let mut slot = &mut self.root;
        let mut level = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Item(item) => return Some(item),
                Slot::Node(node) => {
                    level -= 1;
                    slot = &mut node[Self::slot_of(index, level)];
                }
            }
        }
    }

    /// Puts `item` at `index`, where there is none.
    pub fn insert(&mut self, index: u64, item: T) {
        while !self.covers(index) {
            if !matches!(self.root, Slot::Empty) {
                let mut node = Self::empty_node();
                node[0] = core::mem::replace(&mut self.root, Slot::Empty);
                self.root = Slot::Node(node);
            }
            self.height += 1;
        }
        let mut slot = &mut self.root;
        for level in (0..self.height).rev() {
            if matches!(slot, Slot::Empty) {
                *slot = Slot::Node(Self::empty_node());
            }
            slot = match slot {
                Slot::Node(node) => &mut node[Self::slot_of(index, level)],
                _ => unreachable!("an item lies at level 0 only"),
            };
        }
        debug_assert!(matches!(slot, Slot::Empty));
        *slot = Slot::Item(item);
        self.count += 1;
    }

    /// Takes out up to `most` of the items `from..to`, in order, and hands them to `taken`. If there are more, returns the first that
    /// was left.
    pub fn remove(
        &mut self,
        from: u64,
        to: u64,
        most: usize,
        taken: &mut impl FnMut(T),
    ) -> Option<u64> {
        let mut left = Left {
            to_take: most,
            in_tree: self.count,
        };
        let rest = Self::prune(&mut self.root, self.height, 0, from..to, &mut left, taken);
        self.count = left.in_tree;
        if self.count == 0 {
            self.height = 0;
        }
        rest
    }

    /// Takes out the item at `index`.
    pub fn take(&mut self, index: u64) -> Option<T> {
        if !self.covers(index) {
            return None;
        }
        let item = Self::take_below(&mut self.root, self.height, index)?;
        self.count -= 1;
        if self.count == 0 {
            self.height = 0;
        }
        Some(item)
    }

    fn take_below(slot: &mut Slot<T, WIDTH>, level: u32, index: u64) -> Option<T> {
        let Slot::Node(node) = slot else {
            return Self::take_slot(slot);
        };
        let at = Self::slot_of(index, level - 1);
        let item = Self::take_below(&mut node[at], level - 1, index)?;
        let used = |s: &Slot<T, WIDTH>| !matches!(s, Slot::Empty);
        // Items mostly go in some order: a neighbour is where one is left, if any is.
        let neighbour = |at: usize| node.get(at).is_some_and(used);
        if !used(&node[at])
            && !neighbour(at + 1)
            && !neighbour(at.wrapping_sub(1))
            && !node.iter().any(used)
        {
            Self::take_slot(slot);
        }
        Some(item)
    }

    /// Empties a slot of its item, or of a node with nothing in it.
    fn take_slot(slot: &mut Slot<T, WIDTH>) -> Option<T> {
        match core::mem::replace(slot, Slot::Empty) {
            Slot::Empty => None,
            Slot::Item(item) => Some(item),
            Slot::Node(node) => {
                debug_assert!(node.iter().all(|s| matches!(s, Slot::Empty)));
                // The box goes, without a look at each of the slots, of which none has anything to be dropped.
                core::mem::forget(*node);
                None
            }
        }
    }

    /// Last index below a slot at `level` that starts at `base`.
    fn last_index(base: u64, level: u32) -> u64 {
        let items = 1u64.checked_shl(Self::BITS * level).unwrap_or(0);
        base + items.wrapping_sub(1)
    }

    fn prune(
        slot: &mut Slot<T, WIDTH>,
        level: u32,
        base: u64,
        range: core::ops::Range<u64>,
        left: &mut Left,
        taken: &mut impl FnMut(T),
    ) -> Option<u64> {
        if range.end <= base || Self::last_index(base, level) < range.start {
            return None;
        }
        match slot {
            Slot::Empty => return None,
            Slot::Item(_) if left.to_take == 0 => return Some(base),
            Slot::Item(_) => {
                left.to_take -= 1;
                left.in_tree -= 1;
            }
            Slot::Node(node) => {
                let step = 1u64 << (Self::BITS * (level - 1));
                let skip = range.start.saturating_sub(base) / step;
                for (i, child) in node.iter_mut().enumerate().skip(skip as usize) {
                    // Most are, of a small tree.
                    if matches!(child, Slot::Empty) {
                        continue;
                    }
                    let base = base + i as u64 * step;
                    if base >= range.end {
                        break;
                    }
                    let rest = Self::prune(child, level - 1, base, range.clone(), left, taken);
                    if rest.is_some() {
                        return rest;
                    }
                    // A node is wide, and most trees are small.
                    if left.in_tree == 0 {
                        break;
                    }
                }
                if left.in_tree > 0 && node.iter().any(|s| !matches!(s, Slot::Empty)) {
                    return None;
                }
            }
        }
        if let Some(item) = Self::take_slot(slot) {
            taken(item);
        }
        None
    }

    /// Calls `f` for the items from `from` on, in order, until it gives something.
    pub fn find_from<R>(&self, from: u64, f: &mut impl FnMut(u64, &T) -> Option<R>) -> Option<R> {
        Self::find(&self.root, self.height, 0, from, f)
    }

    fn find<R>(
        slot: &Slot<T, WIDTH>,
        level: u32,
        base: u64,
        from: u64,
        f: &mut impl FnMut(u64, &T) -> Option<R>,
    ) -> Option<R> {
        if Self::last_index(base, level) < from {
            return None;
        }
        match slot {
            Slot::Empty => None,
            Slot::Item(item) => f(base, item),
            Slot::Node(node) => {
                let step = 1u64 << (Self::BITS * (level - 1));
                let skip = from.saturating_sub(base) / step;
                node.iter()
                    .enumerate()
                    .skip(skip as usize)
                    .find_map(|(i, child)| {
                        Self::find(child, level - 1, base + i as u64 * step, from, f)
                    })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tree: &Radix<u64, 16>, from: u64) -> Vec<u64> {
        let mut all = Vec::new();
        tree.find_from(from, &mut |i, &item| {
            assert_eq!(i, item);
            all.push(i);
            None::<()>
        });
        all
    }

    #[test]
    fn far_apart_items_are_found_and_nothing_between() {
        let mut tree = Radix::<u64, 16>::new();
        let places = [0u64, 1, 15, 16, 255, 256, 1 << 30, u64::MAX - 1];
        for &i in &places {
            tree.insert(i, i);
        }
        for &i in &places {
            assert_eq!(tree.get(i), Some(&i));
        }
        assert!(tree.get(2).is_none() && tree.get(1 << 29).is_none());
        assert_eq!(numbers(&tree, 0), places);
        assert_eq!(numbers(&tree, 17), places[4..]);
        let mut taken = Vec::new();
        let mut take = |most| tree.remove(16, (1 << 30) + 1, most, &mut |i| taken.push(i));
        assert_eq!((take(2), take(9)), (Some(256), None));
        assert_eq!(taken, places[3..7]);
        assert_eq!(tree.take(15), Some(15));
        assert_eq!(tree.take(15), None);
        assert_eq!(numbers(&tree, 0), [0, 1, u64::MAX - 1]);
        assert_eq!(tree.remove(0, u64::MAX, usize::MAX, &mut drop), None);
        assert_eq!((tree.count(), numbers(&tree, 0)), (0, Vec::new()));
    }

    #[test]
    fn it_does_what_an_ordered_map_does() {
        use std::collections::BTreeMap;
        let (mut tree, mut map) = (Radix::<u64, 16>::new(), BTreeMap::new());
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) % below
        };
        for round in 0..20_000 {
            let spread = [20, 300, 5000, 1 << 20][round % 4];
            let at = random(spread);
            match random(8) {
                0..4 if !map.contains_key(&at) => {
                    tree.insert(at, at);
                    map.insert(at, at);
                }
                4..6 => assert_eq!(tree.take(at), map.remove(&at)),
                6 => {
                    let (to, most) = (at + random(spread), random(40) as usize);
                    let mut taken = Vec::new();
                    let rest = tree.remove(at, to, most, &mut |i| taken.push(i));
                    let all: Vec<u64> = map.range(at..to).map(|(&i, _)| i).collect();
                    assert_eq!(taken, all[..most.min(all.len())]);
                    assert_eq!(rest, all.get(most).copied());
                    map.retain(|i, _| !taken.contains(i));
                }
                _ => assert_eq!(tree.get(at), map.get(&at)),
            }
            assert_eq!(tree.count(), map.len());
        }
        assert!(numbers(&tree, 0).iter().eq(map.keys()));
    }
}
