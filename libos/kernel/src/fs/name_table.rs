//! Hash tables of names, for directories of any size.
//!
//! One table that doubles would in a large directory need more memory in one piece than there is, and keep others waiting while
//! everything moves. Here a leaf that is full becomes sixteen, so that no step is longer, and no allocation larger, than one leaf.

use crate::base::{Errno, Result};
use alloc::boxed::Box;
use hashbrown::HashTable;

const BITS: u32 = 4;
const WIDTH: usize = 1 << BITS;
/// Entries of a leaf when it is divided.
const LEAF: usize = 512;
/// The bits of the hash that choose among leaves: not those by which the leaf's own table places its entries.
const FIRST_BIT: u32 = 32;
/// From here on leaves just grow: whoever gets that far has chosen the names for it.
const LAST_BIT: u32 = 56;

enum Node<T> {
    Leaf(HashTable<T>),
    Fork(Box<[Node<T>; WIDTH]>),
}

pub struct NameTable<T> {
    root: Node<T>,
    len: usize,
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn branch(hash: u64, bit: u32) -> usize {
    (hash >> bit) as usize % WIDTH
}

impl<T> NameTable<T> {
    pub const fn new() -> Self {
        NameTable {
            root: Node::Leaf(HashTable::new()),
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn find(&self, hash: u64, same: impl FnMut(&T) -> bool) -> Option<&T> {
        let mut node = &self.root;
        let mut bit = FIRST_BIT;
        while let Node::Fork(below) = node {
            node = &below[branch(hash, bit)];
            bit += BITS;
        }
        match node {
            Node::Leaf(leaf) => leaf.find(hash, same),
            Node::Fork(_) => None,
        }
    }

    /// Where `hash` belongs.
    fn leaf(&mut self, hash: u64) -> (&mut Node<T>, u32) {
        let mut node = &mut self.root;
        let mut bit = FIRST_BIT;
        while let Node::Fork(below) = node {
            node = &mut below[branch(hash, bit)];
            bit += BITS;
        }
        (node, bit)
    }

    /// Sees to it that an entry with `hash` finds room, for [`put`](Self::put). It stays, whatever is [taken](Self::take) out before.
    pub fn reserve(&mut self, hash: u64, hash_of: impl Fn(&T) -> u64) -> Result<()> {
        loop {
            let (node, bit) = self.leaf(hash);
            if let Node::Leaf(leaf) = node {
                if leaf.len() < LEAF || bit >= LAST_BIT {
                    return leaf.try_reserve(1, hash_of).map_err(|_| Errno::ENOMEM);
                }
                *node = divide(leaf, bit, &hash_of)?;
            }
        }
    }

    /// Adds an entry, of a name that is not there.
    pub fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) -> Result<()> {
        self.reserve(hash, &hash_of)?;
        self.put(hash, entry, hash_of);
        Ok(())
    }

    /// As [`insert`](Self::insert), where room has been [reserved](Self::reserve).
    pub fn put(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        if let (Node::Leaf(leaf), _) = self.leaf(hash) {
            leaf.insert_unique(hash, entry, hash_of);
            self.len += 1;
        }
    }

    pub fn remove(&mut self, hash: u64, same: impl FnMut(&T) -> bool) -> Option<T> {
        let entry = self.take(hash, same)?;
        let (node, bit) = self.leaf(hash);
        // What a small directory has it keeps: it may be filled again.
        if bit > FIRST_BIT {
            if let Node::Leaf(leaf) = node
                && leaf.is_empty()
            {
                *leaf = HashTable::new();
            }
            if self.len == 0 {
                self.root = Node::Leaf(HashTable::new());
            }
        }
        Some(entry)
    }

    /// As [`remove`](Self::remove); what room there is stays.
    pub fn take(&mut self, hash: u64, same: impl FnMut(&T) -> bool) -> Option<T> {
        let (Node::Leaf(leaf), _) = self.leaf(hash) else {
            return None;
        };
        let (entry, _) = leaf.find_entry(hash, same).ok()?.remove();
        self.len -= 1;
        Some(entry)
    }

    /// Takes out some entry.
    pub fn pop(&mut self) -> Option<T> {
        fn pop<T>(node: &mut Node<T>) -> Option<T> {
            match node {
                Node::Leaf(leaf) => leaf.extract_if(|_| true).next(),
                // As deep as the table, which has six levels.
                Node::Fork(below) => below.iter_mut().find_map(pop),
            }
        }
        let entry = pop(&mut self.root)?;
        self.len -= 1;
        Some(entry)
    }
}

fn divide<T>(full: &mut HashTable<T>, bit: u32, hash_of: &impl Fn(&T) -> u64) -> Result<Node<T>> {
    let mut counts = [0; WIDTH];
    for entry in full.iter() {
        counts[branch(hash_of(entry), bit)] += 1;
    }
    let mut leaves: [HashTable<T>; WIDTH] = [const { HashTable::new() }; WIDTH];
    for (leaf, count) in leaves.iter_mut().zip(counts) {
        leaf.try_reserve(count, hash_of)
            .map_err(|_| Errno::ENOMEM)?;
    }
    for entry in full.drain() {
        let hash = hash_of(&entry);
        leaves[branch(hash, bit)].insert_unique(hash, entry, hash_of);
    }
    Ok(Node::Fork(Box::new(leaves.map(Node::Leaf))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes;

    fn hash(n: &u32) -> u64 {
        bytes::hash(n.to_string().as_bytes())
    }

    #[test]
    fn what_is_put_in_is_found_and_comes_out_once() {
        let mut table = NameTable::new();
        for n in 0..100_000u32 {
            table.insert(hash(&n), n, hash).unwrap();
        }
        for n in 0..100_000 {
            assert_eq!(table.find(hash(&n), |&m| m == n), Some(&n));
        }
        assert!(table.find(hash(&100_000), |&m| m == 100_000).is_none());
        for n in (0..100_000).step_by(2) {
            assert_eq!(table.remove(hash(&n), |&m| m == n), Some(n));
            assert_eq!(table.remove(hash(&n), |&m| m == n), None);
        }
        assert_eq!(table.len(), 50_000);
        let mut left: Vec<u32> = core::iter::from_fn(|| table.pop()).collect();
        left.sort_unstable();
        assert!(left.into_iter().eq((1..100_000).step_by(2)));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn entries_of_one_hash_are_kept_apart_by_name() {
        let mut table = NameTable::new();
        for n in 0..5000u32 {
            table.insert(7, n, |_| 7).unwrap();
        }
        assert!((0..5000).all(|n| table.find(7, |&m| m == n) == Some(&n)));
        assert!((0..5000).all(|n| table.remove(7, |&m| m == n) == Some(n)));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn reserved_room_is_there() {
        let mut table = NameTable::new();
        for n in 0..3 * LEAF as u32 {
            table.reserve(hash(&n), hash).unwrap();
            if let (Node::Leaf(leaf), _) = table.leaf(hash(&n)) {
                assert!(leaf.capacity() > leaf.len());
            }
            table.insert(hash(&n), n, hash).unwrap();
        }
    }
}
