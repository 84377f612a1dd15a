//! Processes and threads: what they are, how they are scheduled, born, replaced, stopped and buried.

pub mod accounting;
pub mod capabilities;
pub mod core_times;
pub mod cpu_clock;
pub mod credentials;
#[cfg(target_os = "none")]
pub mod exec;
#[cfg(target_os = "none")]
pub mod exit;
pub mod family;
#[cfg(target_os = "none")]
pub mod first;
#[cfg(target_os = "none")]
pub mod fork;
#[cfg(target_os = "none")]
pub mod futex;
pub mod futex_queue;
pub mod held;
pub mod ids;
pub mod limits;
pub mod load;
#[cfg(target_os = "none")]
pub mod misc;
#[cfg(target_os = "none")]
pub mod oom;
pub mod pidfd;
mod proc;
mod revoke;
pub mod run_queue;
#[cfg(target_os = "none")]
pub mod sched_sys;
#[cfg(target_os = "none")]
pub mod scheduler;
#[cfg(not(target_os = "none"))]
#[path = "scheduler_host.rs"]
pub mod scheduler;
pub mod signal;
pub mod signal_set;
pub mod sleep;
#[cfg(target_os = "none")]
pub mod spawn;
pub mod stack;
pub mod table;
pub mod thread;
pub mod timer_calls;
pub mod timers;
pub mod wait;
pub mod wait_child;
mod wait_list;
#[cfg(all(target_os = "none", debug_assertions))]
pub mod watchdog;

pub use credentials::Credentials;
pub use proc::{Process, Session};
pub use revoke::{cuts, unmap_everywhere};
pub use thread::{Thread, current};

/// A process or thread identifier, as programs see it.
pub type Pid = i32;
