//! `<pthread.h>` and `<semaphore.h>`, over the futex.

mod attr;
mod barrier;
mod cancel;
mod cleanup;
mod cond;
mod key;
mod mutex;
mod once;
mod properties;
mod robust;
mod rwlock;
mod sem;
mod spare;
mod spin;
mod thread;

pub use cleanup::run_hooks;
pub use properties::kernel_id;
pub use robust::Held;
pub use spare::LOCK as SPARE_LOCK;
pub use thread::{after_fork_child, alone};
