//! The one list of operations: Linux/arm64 number, name, function.
//!
//! From each line comes the symbol `os_<name>` that the libc calls (the direct door); the numbers are for a trap door, which is not
//! built. A door contains no behaviour: it turns registers into typed arguments and a `Result` into Linux's negative errno.

use crate::base::{Errno, Result};
use crate::user::UserPtr;
use crate::{fs, ipc, memory, process, time};
use core::sync::atomic::{AtomicBool, Ordering};

/// An argument register as the type that an operation takes.
pub trait Argument {
    fn from_register(value: usize) -> Self;
}

impl Argument for usize {
    fn from_register(value: usize) -> Self {
        value
    }
}
impl Argument for isize {
    fn from_register(value: usize) -> Self {
        value as isize
    }
}
impl Argument for u64 {
    fn from_register(value: usize) -> Self {
        value as u64
    }
}
impl Argument for i64 {
    fn from_register(value: usize) -> Self {
        value as i64
    }
}
impl Argument for u32 {
    fn from_register(value: usize) -> Self {
        value as u32
    }
}
impl Argument for i32 {
    fn from_register(value: usize) -> Self {
        value as i32
    }
}
impl<T> Argument for UserPtr<T> {
    fn from_register(value: usize) -> Self {
        UserPtr::new(value)
    }
}

/// What a call gives back in x0.
#[inline]
pub fn encode(result: Result<usize>) -> isize {
    match result {
        Ok(v) => v as isize,
        Err(e) => -(e.0 as isize),
    }
}

macro_rules! door_symbol {
    ($name:ident) => {
        core::arch::global_asm!(
            concat!(
                ".section .text.door.os_",
                stringify!($name),
                ",\"ax\",@progbits"
            ),
            concat!(".global os_", stringify!($name)),
            concat!(".type os_", stringify!($name), ", %function"),
            concat!("os_", stringify!($name), ":"),
            "stp x29, x30, [sp, #-16]!",
            "mov x29, sp",
            concat!("bl ", "surface_", stringify!($name)),
            "ldp x29, x30, [sp], #16",
            "mrs x9, tpidr_el1",
            "ldr x9, [x9]",
            "ldr w9, [x9]",
            "cbnz w9, 1f",
            "ret",
            "1: b door_exit_slow",
            concat!(
                ".size os_",
                stringify!($name),
                ", . - os_",
                stringify!($name)
            ),
        );
    };
}

macro_rules! surface {
    ($($number:literal $name:ident $function:path [$($n:literal)*])*) => {
        $(door_symbol!($name);)*

        mod entries {
            use super::*;
            $(
                #[unsafe(export_name = concat!("surface_", stringify!($name)))]
                #[allow(unused_variables)] // not every operation has six arguments
                pub extern "C" fn $name(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
                    let registers = [a, b, c, d, e, f];
                    encode($function($(Argument::from_register(registers[$n])),*))
                }
            )*
        }
    };
}

/// Says once of each operation that it is missing, and who asked first.
fn missing(name: &str, said: &AtomicBool) -> Result<usize> {
    if !said.swap(true, Ordering::Relaxed) {
        klog!(
            Err,
            "{}[{}]: {} is not built",
            process::current().process().comm().escape_ascii(),
            process::current().tid(),
            name
        );
    }
    Err(Errno::ENOSYS)
}

macro_rules! not_built {
    ($($name:ident)*) => {
        mod absent {
            use super::*;
            $(pub fn $name() -> Result<usize> {
                static SAID: AtomicBool = AtomicBool::new(false);
                missing(stringify!($name), &SAID)
            })*
        }
    };
}

include!("surface_list.rs");
