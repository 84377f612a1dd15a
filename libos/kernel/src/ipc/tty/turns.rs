//! Who writes, where what one call writes stays together.

use crate::base::{Errno, Result};
use crate::process::wait::{Ends, WaitQueue};
use core::sync::atomic::{AtomicBool, Ordering};

pub struct Turns {
    /// Somebody writes.
    taken: AtomicBool,
    /// Who waits for that to end.
    next: WaitQueue,
}

/// The right to write until it is dropped.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn new() -> Self {
        Turns {
            taken: AtomicBool::new(false),
            next: WaitQueue::new(),
        }
    }

    /// `EAGAIN` where that would mean to wait and the caller does not want to.
    pub fn take(&self, nonblocking: bool) -> Result<Turn<'_>> {
        let take = || (!self.taken.swap(true, Ordering::Acquire)).then_some(());
        match take() {
            Some(()) => {}
            None if nonblocking => return Err(Errno::EAGAIN),
            None => self.next.wait_turn(None, Ends::AtSignal, take)?,
        }
        Ok(Turn(self))
    }

    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.next.wake_one();
    }
}
