//! Which class of locks was ever taken while which was held, and whether a new such pair closes a circle.
//!
//! A bit matrix that is read without a lock: the common case, a pair that has been seen before, is one load. What goes with a pair
//! (where both were taken, and the calls that led there) is kept for the report that names it later.

use core::panic::Location;
use core::sync::atomic::{AtomicU64, Ordering};

/// Classes of locks there can be.
pub const MAX_CLASSES: usize = 256;
/// Pairs whose origin is kept.
const MAX_PAIRS: usize = 1024;
/// Return addresses kept of each origin.
pub const MAX_CALLS: usize = 10;

const WORDS: usize = MAX_CLASSES / 64;

/// Where a pair was first seen.
#[derive(Clone, Copy)]
pub struct Origin {
    pub outer: u16,
    pub inner: u16,
    pub outer_taken: &'static Location<'static>,
    pub inner_taken: &'static Location<'static>,
    /// Return addresses, innermost first; 0 where there are no more.
    pub calls: [usize; MAX_CALLS],
}

/// The pairs, by outer class and inner class.
pub struct Graph {
    matrix: [[AtomicU64; WORDS]; MAX_CLASSES],
    origins: spin::mutex::SpinMutex<Origins>,
}

struct Origins {
    list: [Option<Origin>; MAX_PAIRS],
    len: usize,
}

/// A way from one class to another: each was taken while the one before it was held.
#[derive(Debug)]
pub struct Path {
    pub classes: [u16; MAX_CLASSES],
    pub len: usize,
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl Graph {
    pub const fn new() -> Self {
        Graph {
            matrix: [const { [const { AtomicU64::new(0) }; WORDS] }; MAX_CLASSES],
            origins: spin::mutex::SpinMutex::new(Origins {
                list: [None; MAX_PAIRS],
                len: 0,
            }),
        }
    }

    /// Whether `inner` was ever taken while `outer` was held.
    #[inline]
    pub fn contains(&self, outer: u16, inner: u16) -> bool {
        let (row, bit) = (outer as usize, inner as usize);
        self.matrix[row][bit / 64].load(Ordering::Relaxed) & 1 << (bit % 64) != 0
    }

    /// Adds a pair, unless it closes a circle: then the known way from the inner to the outer class comes back.
    #[expect(
        clippy::result_large_err,
        reason = "the error ends the kernel; its size does not matter"
    )]
    pub fn add(&self, origin: Origin) -> Result<(), Path> {
        // One at a time, so that two pairs that close a circle together cannot both pass.
        let mut origins = self.origins.lock();
        if self.contains(origin.outer, origin.inner) {
            return Ok(());
        }
        if let Some(path) = self.path(origin.inner, origin.outer) {
            return Err(path);
        }
        let (row, bit) = (origin.outer as usize, origin.inner as usize);
        self.matrix[row][bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
        let at = origins.len;
        if at < MAX_PAIRS {
            origins.list[at] = Some(origin);
            origins.len += 1;
        }
        Ok(())
    }

    /// Where a pair was first seen, if that was kept.
    pub fn origin(&self, outer: u16, inner: u16) -> Option<Origin> {
        let origins = self.origins.lock();
        let mut known = origins.list[..origins.len].iter().flatten();
        known
            .find(|o| (o.outer, o.inner) == (outer, inner))
            .copied()
    }

    /// How many pairs there are.
    pub fn pairs(&self) -> usize {
        let words = self.matrix.iter().flatten();
        words
            .map(|w| w.load(Ordering::Relaxed).count_ones() as usize)
            .sum()
    }

    /// A shortest way from `from` to `to`.
    fn path(&self, from: u16, to: u16) -> Option<Path> {
        let mut came_from = [u16::MAX; MAX_CLASSES];
        let mut queue = [0u16; MAX_CLASSES];
        (queue[0], came_from[from as usize]) = (from, from);
        let (mut head, mut tail) = (0, 1);
        while head < tail {
            let class = queue[head];
            head += 1;
            if class == to {
                return Some(Path::traced(&came_from, from, to));
            }
            for next in 0..MAX_CLASSES as u16 {
                if came_from[next as usize] == u16::MAX && self.contains(class, next) {
                    came_from[next as usize] = class;
                    queue[tail] = next;
                    tail += 1;
                }
            }
        }
        None
    }
}

impl Path {
    fn traced(came_from: &[u16; MAX_CLASSES], from: u16, to: u16) -> Path {
        let mut path = Path {
            classes: [0; MAX_CLASSES],
            len: 1,
        };
        path.classes[0] = to;
        let mut at = to;
        while at != from {
            at = came_from[at as usize];
            path.classes[path.len] = at;
            path.len += 1;
        }
        path.classes[..path.len].reverse();
        path
    }

    /// The classes, from the first to the last.
    pub fn classes(&self) -> &[u16] {
        &self.classes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(outer: u16, inner: u16) -> Origin {
        Origin {
            outer,
            inner,
            outer_taken: Location::caller(),
            inner_taken: Location::caller(),
            calls: [0; MAX_CALLS],
        }
    }

    #[test]
    fn one_order_is_accepted_again_and_again() {
        let graph = Graph::new();
        for _ in 0..3 {
            for (a, b) in [(1, 2), (2, 3), (1, 3), (200, 3)] {
                assert!(graph.add(pair(a, b)).is_ok());
            }
        }
        assert_eq!(graph.pairs(), 4);
    }

    #[test]
    fn the_other_order_is_refused_and_the_first_one_named() {
        let graph = Graph::new();
        assert!(graph.add(pair(1, 2)).is_ok());
        let path = graph.add(pair(2, 1)).expect_err("a circle of two");
        assert_eq!(path.classes(), [1, 2]);
        assert!(graph.origin(1, 2).is_some());
        assert!(!graph.contains(2, 1), "a refused pair is not remembered");
    }

    #[test]
    fn a_long_circle_is_found_by_its_shortest_way() {
        let graph = Graph::new();
        for (a, b) in [(1, 2), (2, 3), (3, 4), (4, 5), (2, 4), (9, 1)] {
            assert!(graph.add(pair(a, b)).is_ok());
        }
        let path = graph.add(pair(5, 1)).expect_err("a circle");
        assert_eq!(path.classes(), [1, 2, 4, 5]);
        assert!(graph.add(pair(1, 5)).is_ok());
        assert!(graph.add(pair(9, 5)).is_ok());
    }

    #[test]
    fn the_last_class_has_its_place() {
        let graph = Graph::new();
        let last = MAX_CLASSES as u16 - 1;
        assert!(graph.add(pair(last, 0)).is_ok());
        assert!(graph.add(pair(0, last)).is_err());
    }
}
