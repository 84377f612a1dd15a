//! What waits on a queue, in the order in which it came.
//!
//! One has its place in the list itself, and most queues never have more. Each further one is a block of its own: however large a
//! crowd, it never wants a large one, and the kernel's small requests for memory do not fail.

use alloc::boxed::Box;
use core::ops::ControlFlow;
use core::ptr::null_mut;

/// See above.
pub struct List<E> {
    first: Option<E>,
    /// Those after the first; null if there are none.
    rest: *mut Node<E>,
    last: *mut Node<E>,
    len: usize,
}

struct Node<E> {
    entry: E,
    next: *mut Node<E>,
}

// SAFETY: the list owns what it points to.
unsafe impl<E: Send> Send for List<E> {}

impl<E> List<E> {
    pub const fn new() -> Self {
        List {
            first: None,
            rest: null_mut(),
            last: null_mut(),
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, entry: E) {
        self.len += 1;
        if self.first.is_none() {
            self.first = Some(entry);
            return;
        }
        let next = null_mut();
        let node = Box::into_raw(Box::new(Node { entry, next }));
        if self.rest.is_null() {
            self.rest = node;
        } else {
            // SAFETY: the list has nodes, of which `last` is one.
            unsafe { (*self.last).next = node };
        }
        self.last = node;
    }

    /// Takes the node out that comes after `before`, which is null for the first.
    ///
    /// # Safety
    /// There is one, and `before` is a node of this list or null.
    unsafe fn unlink(&mut self, before: *mut Node<E>) -> E {
        // SAFETY: as the caller says; nodes are boxes that the list owns.
        unsafe {
            let link = match before.as_mut() {
                Some(before) => &mut before.next,
                None => &mut self.rest,
            };
            let node = Box::from_raw(*link);
            *link = node.next;
            if node.next.is_null() {
                self.last = before;
            }
            node.entry
        }
    }

    pub fn pop(&mut self) -> Option<E> {
        let first = self.first.take()?;
        self.len -= 1;
        if !self.rest.is_null() {
            // SAFETY: there is a first node.
            self.first = Some(unsafe { self.unlink(null_mut()) });
        }
        Some(first)
    }

    /// Takes everything out that `keep` does not want, from the first on.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut E) -> bool) {
        self.retain_until(|e| ControlFlow::Continue(keep(e)));
    }

    /// As `retain`; keeps the rest, without a look at it, from where `keep` breaks off.
    #[inline(always)]
    pub fn retain_until(&mut self, mut keep: impl FnMut(&mut E) -> ControlFlow<(), bool>) {
        let goes = match self.first.as_mut().map(&mut keep) {
            None | Some(ControlFlow::Break(())) => return,
            Some(ControlFlow::Continue(stays)) => !stays,
        };
        let (mut before, mut node) = (null_mut::<Node<E>>(), self.rest);
        while !node.is_null() {
            // SAFETY: a node of the list, and the one before it.
            unsafe {
                let next = (*node).next;
                match keep(&mut (*node).entry) {
                    ControlFlow::Continue(true) => before = node,
                    ControlFlow::Continue(false) => {
                        drop(self.unlink(before));
                        self.len -= 1;
                    }
                    ControlFlow::Break(()) => break,
                }
                node = next;
            }
        }
        if goes {
            drop(self.pop());
        }
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut E> {
        let mut node = self.rest;
        let rest = core::iter::from_fn(move || {
            // SAFETY: a node of the list, which is borrowed as long as what this gives; each is given once.
            let found = unsafe { node.as_mut() }?;
            node = found.next;
            Some(&mut found.entry)
        });
        self.first.iter_mut().chain(rest)
    }
}

impl<E> Drop for List<E> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn all(list: &mut List<Box<u32>>) -> Vec<u32> {
        let all: Vec<u32> = list.iter_mut().map(|e| **e).collect();
        assert_eq!((all.len(), all.is_empty()), (list.len(), list.is_empty()));
        all
    }

    #[test]
    fn what_stays_keeps_its_order() {
        // Every choice among five, and the list goes on as before.
        for kept in 0u32..32 {
            let mut list = List::new();
            (0..5).for_each(|n| list.push(Box::new(n)));
            let mut asked = Vec::new();
            list.retain(|e| {
                asked.push(**e);
                kept >> **e & 1 != 0
            });
            assert_eq!(asked, [0, 1, 2, 3, 4]);
            let mut expected: Vec<u32> = (0..5).filter(|n| kept >> n & 1 != 0).collect();
            assert_eq!(all(&mut list), expected);
            list.push(Box::new(9));
            expected.push(9);
            assert_eq!(all(&mut list), expected);
            let mut popped = Vec::new();
            while let Some(e) = list.pop() {
                popped.push(*e);
            }
            assert_eq!(popped, expected);
            assert_eq!(all(&mut list), []);
            list.push(Box::new(7));
            list.push(Box::new(8));
            assert_eq!(all(&mut list), [7, 8]);
        }
    }

    #[test]
    fn nothing_is_looked_at_behind_a_break() {
        for (enough, expected) in [
            (0, &[0, 1, 2, 3, 4][..]),
            (1, &[0, 2, 3, 4]),
            (2, &[0, 2, 4]),
        ] {
            let mut list = List::new();
            (0..5).for_each(|n| list.push(Box::new(n)));
            let (mut taken, mut asked) = (0, 0);
            list.retain_until(|e| {
                if taken == enough {
                    return ControlFlow::Break(());
                }
                asked += 1;
                let take = **e % 2 == 1;
                taken += usize::from(take);
                ControlFlow::Continue(!take)
            });
            assert_eq!(all(&mut list), expected);
            assert_eq!(asked, 2 * enough);
        }
    }
}
