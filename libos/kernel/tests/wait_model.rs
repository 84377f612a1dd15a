//! The sleep protocol, run through every interleaving of small cases.
//!
//! The kernel's own files (`process/sleep.rs`, `process/wait.rs`, `process/wait_list.rs`, `process/futex_queue.rs`,
//! `process/cpu_clock.rs`, `fs/sleep_lock.rs`) are compiled once more here,
//! against loom's locks and atomics in the place of the kernel's. loom runs each case through all schedules and all values
//! that the C11 memory model lets a load return (up to a number of preemptions, below). A lost wake-up leaves a thread asleep
//! for good, which loom reports as a deadlock.
//!
//! `broken` in a case's name: the same code with one fence or step taken out, which must be caught.

extern crate alloc;

#[path = "wait_model/cases.rs"]
mod cases;
#[path = "wait_model/machine.rs"]
mod machine;

#[path = "../src/process/cpu_clock.rs"]
mod cpu_clock;
#[allow(dead_code, reason = "the kernel uses what no case needs")]
#[path = "../src/process/futex_queue.rs"]
mod futex_queue;
#[allow(dead_code, reason = "as above")]
#[path = "../src/process/sleep.rs"]
mod sleep;
#[allow(dead_code, reason = "as above")]
#[path = "../src/fs/sleep_lock.rs"]
mod sleep_lock;
#[allow(dead_code, reason = "as above")]
#[path = "../src/process/wait.rs"]
mod wait;
#[path = "../src/process/wait_list.rs"]
mod wait_list;

use machine::{Thread, current};

mod base {
    pub use libos_kernel::base::{Errno, Result};
    pub use sync::SpinLock;
    pub mod sync {
        pub use crate::machine::{SpinLock, atomic};
        pub use loom::thread::yield_now as relax;
        /// The rule is checked by the kernel itself; here nothing holds a lock.
        pub fn may_sleep() {}
    }
}

mod process {
    pub(crate) use crate::wait;
}

mod time {
    pub use crate::machine::monotonic_ns;
}
