//! What each core holds. Only its own core writes to a list; the watchdog reads them all.

use core::panic::Location;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicUsize, Ordering};

/// Locks that one core can hold at a time.
const MAX_HELD: usize = 24;

struct Slot {
    class: AtomicU16,
    address: AtomicUsize,
    taken: AtomicPtr<Location<'static>>,
    /// The core has it; before that it waits for it.
    owned: AtomicBool,
}

/// The locks of one core, outermost first.
pub struct List {
    slots: [Slot; MAX_HELD],
    len: AtomicUsize,
    /// Locks ever taken: that a core gets on can be seen by it.
    count: AtomicUsize,
}

/// One lock that is held or waited for.
#[derive(Clone, Copy)]
pub struct Entry {
    pub class: u16,
    pub address: usize,
    pub taken: &'static Location<'static>,
    pub owned: bool,
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    pub const fn new() -> Self {
        List {
            slots: [const {
                Slot {
                    class: AtomicU16::new(0),
                    address: AtomicUsize::new(0),
                    taken: AtomicPtr::new(null_mut()),
                    owned: AtomicBool::new(false),
                }
            }; MAX_HELD],
            len: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed).min(MAX_HELD)
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub fn get(&self, i: usize) -> Option<Entry> {
        let slot = self.slots.get(i)?;
        // SAFETY: null, or a `&'static Location` that `push` stored.
        let taken = unsafe { slot.taken.load(Ordering::Relaxed).as_ref() }?;
        Some(Entry {
            class: slot.class.load(Ordering::Relaxed),
            address: slot.address.load(Ordering::Relaxed),
            taken,
            owned: slot.owned.load(Ordering::Relaxed),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    fn set(&self, i: usize, e: Entry) {
        let slot = &self.slots[i];
        slot.class.store(e.class, Ordering::Relaxed);
        slot.address.store(e.address, Ordering::Relaxed);
        let taken = core::ptr::from_ref(e.taken).cast_mut();
        slot.taken.store(taken, Ordering::Relaxed);
        slot.owned.store(e.owned, Ordering::Relaxed);
    }

    /// False if the list is full; the lock is then not watched.
    pub fn push(&self, e: Entry) -> bool {
        let at = self.len.load(Ordering::Relaxed);
        if at >= MAX_HELD {
            return false;
        }
        self.set(at, e);
        self.len.store(at + 1, Ordering::Relaxed);
        self.count
            .store(self.count().wrapping_add(1), Ordering::Relaxed);
        true
    }

    /// The last lock that was pushed has been gained.
    pub fn own(&self, address: usize) {
        let last = self.len().wrapping_sub(1);
        if let Some(slot) = self.slots.get(last)
            && slot.address.load(Ordering::Relaxed) == address
        {
            slot.owned.store(true, Ordering::Relaxed);
        }
    }

    /// Locks are mostly let go of in reverse, but need not be.
    pub fn remove(&self, address: usize) {
        let len = self.len();
        let mut order = (0..len).rev();
        let Some(at) = order.find(|&i| self.slots[i].address.load(Ordering::Relaxed) == address)
        else {
            return;
        };
        for i in at + 1..len {
            if let Some(e) = self.get(i) {
                self.set(i - 1, e);
            }
        }
        self.len.store(len - 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: usize) -> Entry {
        Entry {
            class: 7,
            address,
            taken: Location::caller(),
            owned: false,
        }
    }

    #[test]
    fn locks_go_in_any_order() {
        let list = List::new();
        for address in [16, 32, 48] {
            assert!(list.push(entry(address)));
        }
        list.own(48);
        list.remove(16);
        let left: Vec<_> = list.iter().map(|e| (e.address, e.owned)).collect();
        assert_eq!(left, [(32, false), (48, true)]);
        list.remove(99);
        list.remove(48);
        list.remove(32);
        assert_eq!((list.len(), list.count()), (0, 3));
    }

    #[test]
    fn too_many_are_refused() {
        let list = List::new();
        let accepted = (1..100).filter(|&a| list.push(entry(a))).count();
        assert_eq!(accepted, MAX_HELD);
    }
}
