//! Memory that the supervisor and all workers see: how far each has come, and what went wrong.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use anyhow::Result;

use crate::support::map_shared;

/// The most workers there can be.
pub const SLOTS: usize = 128;
const MESSAGE: usize = 1000;

#[repr(C)]
pub struct Board {
    /// Workers end after the step they are in.
    pub stop: AtomicBool,
    pub slots: [Slot; SLOTS],
}

#[repr(C)]
pub struct Slot {
    /// The step under way. A worker that takes the place of a killed one begins with the next.
    pub step: AtomicU64,
    /// Steps finished.
    pub done: AtomicU64,
    length: AtomicUsize,
    message: UnsafeCell<[u8; MESSAGE]>,
}

// SAFETY: `message` is written before `length` is set, once, by whoever moves `length` from 0 to `CLAIMED`; read after.
unsafe impl Sync for Slot {}

const CLAIMED: usize = usize::MAX;

impl Board {
    /// Fresh and zeroed; it stays for the life of the process and of all its children.
    pub fn new() -> Result<&'static Self> {
        let at = map_shared(size_of::<Self>())?;
        // SAFETY: large enough, aligned to a page, never unmapped, and zeros are a valid board.
        Ok(unsafe { &*at.cast::<Self>() })
    }
}

impl Slot {
    /// Says why the worker fails; the first reason stays.
    pub fn fail(&self, why: &str) {
        if self
            .length
            .compare_exchange(0, CLAIMED, SeqCst, SeqCst)
            .is_err()
        {
            return;
        }
        let length = why.len().min(MESSAGE);
        // SAFETY: the exchange has made this the only writer, and nobody reads before `length` is set.
        unsafe { (&mut *self.message.get())[..length].copy_from_slice(&why.as_bytes()[..length]) };
        self.length.store(length.max(1), SeqCst);
    }

    pub fn failure(&self) -> Option<String> {
        match self.length.load(SeqCst) {
            0 => None,
            CLAIMED => Some("(died while it said why)".into()),
            // SAFETY: written before `length` was, and never again.
            length => {
                Some(String::from_utf8_lossy(unsafe { &(&*self.message.get())[..length] }).into())
            }
        }
    }
}
