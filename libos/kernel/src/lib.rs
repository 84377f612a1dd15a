//! The RustOS kernel: a library that a whole image of programs is linked with.
//!
//! 1. The kernel runs with interrupts masked, on the thread's own kernel stack; only the idle loop takes interrupts, and
//!    long calls between two pieces of their work.
//! 2. An operation is written once and listed once, in [`surface`]; both doors call it from there.
//! 3. A pointer from a program is an allegation: only [`user`] turns it into memory.
//! 4. Sleep and wake go through one type, [`process::wait::WaitQueue`].
#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;

#[macro_use]
pub mod log;
pub mod arch;
pub mod base;
pub mod drivers;
pub mod fs;
pub mod ipc;
pub mod memory;
#[cfg(target_os = "none")]
pub mod panic;
pub mod platform;
pub mod process;
pub mod random;
#[cfg(all(target_os = "none", debug_assertions))]
mod self_test;
#[cfg(target_os = "none")]
pub mod surface;
pub mod symbols;
pub mod time;
pub mod user;
