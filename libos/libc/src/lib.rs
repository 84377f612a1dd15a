//! The C library that every linked program shares: what std, and C code, call by C names.
//!
//! All its state belongs to the process (`.data`, `.bss`, thread blocks); what touches the kernel
//! goes through [`door`]. Structs and constants are those of the `libc` crate for
//! `aarch64-unknown-linux-musl`, because that is what the prebuilt std was compiled against.
//!
//! # Safety
//! Every `extern "C"` function here is the C function of that name, and its safety contract is the
//! C standard's, POSIX's or the Linux man page's: pointers are valid for what the page says, strings
//! end in NUL. The bodies rest on that alone, so it is said here once and not at each of them; a
//! `SAFETY` comment marks the places that rest on anything else.
#![no_std]
#![no_builtins]
#![allow(unsafe_op_in_unsafe_fn)]
#![allow(clippy::missing_safety_doc)]
// C's names for types say what a cast means, even where two of them are one type here.
#![allow(clippy::unnecessary_cast)]
// `*(&raw mut X)` is how a place in a mutable static is borrowed without a reference to the static.
#![allow(clippy::deref_addrof)]

#[macro_use]
mod door;
#[cfg(not(feature = "svc"))]
mod door_direct;
#[cfg(feature = "svc")]
mod door_svc;
#[macro_use]
mod errno;

mod ctype;
mod dirent;
mod env;
mod event;
mod exec;
mod exit;
mod fcntl;
mod fork;
mod grp;
mod heap;
mod link;
mod locale;
mod lock;
mod malloc;
mod math;
mod mman;
mod netdb;
mod number;
mod pthread;
mod pwd;
mod resource;
mod sched;
mod signal;
mod socket;
mod spawn;
#[cfg(feature = "svc")]
mod spawn_svc;
mod startup;
mod stat;
mod stdio;
mod stdlib;
mod strerror;
mod string;
mod syscall;
mod sysconf;
mod tcb;
mod termios;
mod time;
pub mod timepage;
mod unistd;
mod utmp;
mod xattr;
