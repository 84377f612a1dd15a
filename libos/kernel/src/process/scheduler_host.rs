//! Stands in for the scheduler in host tests, which have no threads of the kernel's.

use super::Thread;
use alloc::sync::Arc;

pub fn park() {
    panic!("a host test put a kernel thread to sleep");
}
pub fn enqueue(_thread: Arc<Thread>) {}
pub fn give_way() -> bool {
    false
}
