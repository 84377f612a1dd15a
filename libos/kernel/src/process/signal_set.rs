//! Sets of signals, bit n-1 for signal n, as the kernel's `sigset_t`.

use crate::user::Plain;

/// A set of signals.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(transparent)]
pub struct SigSet(pub u64);

// SAFETY: an integer.
unsafe impl Plain for SigSet {}

impl SigSet {
    pub const EMPTY: SigSet = SigSet(0);

    pub const fn of(signals: &[i32]) -> SigSet {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << (signals[i] - 1);
            i += 1;
        }
        SigSet(bits)
    }
    pub fn contains(self, signo: i32) -> bool {
        self.0 & (1 << (signo - 1)) != 0
    }
    pub fn insert(&mut self, signo: i32) {
        self.0 |= 1 << (signo - 1);
    }
    pub fn remove(&mut self, signo: i32) {
        self.0 &= !(1 << (signo - 1));
    }
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }
    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The member with the lowest number.
    pub fn first(self) -> Option<i32> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as i32 + 1)
    }
}
