//! Bytes on their way to the screen.

use alloc::vec::Vec;
use core::ops::Deref;

/// What one step has to show. One typed character can show the whole line again, and programs decide how often that happens: what
/// there is no memory for is not shown.
pub struct Shown(Vec<u8>);

impl Shown {
    /// Nothing yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Shown(Vec::with_capacity(bytes))
    }

    pub fn push(&mut self, byte: u8) {
        self.fill(byte, 1);
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.try_reserve(bytes.len()).is_ok() {
            self.0.extend_from_slice(bytes);
        }
    }

    /// The same byte `count` times.
    pub fn fill(&mut self, byte: u8, count: usize) {
        if self.0.try_reserve(count).is_ok() {
            self.0.resize(self.0.len() + count, byte);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for Shown {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
