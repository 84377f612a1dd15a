//! Vocabulary shared by every subsystem: addresses, error numbers, locks.

pub mod addr;
pub mod bytes;
pub mod errno;
#[cfg(debug_assertions)]
pub mod lockdep;
pub mod sync;

pub use addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, page_down, page_up};
pub use errno::{Errno, Result};
pub use sync::SpinLock;
