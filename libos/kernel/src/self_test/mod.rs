//! Tests that only the kernel itself can make, on the machine that it boots on: its RAM, its allocators, its translation tables.
//!
//! Part of a kernel with assertions; the boot argument `rustos.test=kernel` runs them in the place of the first process, reports
//! each by name as a line `test NAME ... ok` or `test NAME ... FAILED`, counts them, and switches the machine off with the status.
//! Every test must leave as many frames free as it found.

mod frames;
mod heap;
mod tables;

use crate::arch::psci;
use crate::drivers::frame::ToHost;
use crate::drivers::{ConsoleMode, console_mode, hostlink, uart};
use crate::memory::{self, AddressSpace};
use crate::process::stack::{self, KernelStack};
use alloc::format;
use alloc::string::String;

/// Why a claim is false.
type Verdict = Result<(), String>;

/// A claim, and how it is tested.
#[derive(Clone, Copy)]
struct Test {
    name: &'static str,
    run: fn() -> Verdict,
}

/// Lists functions by their names, below the name of their module.
macro_rules! tests {
    ($module:literal: $($name:ident),* $(,)?) => {
        &[$(crate::self_test::Test { name: concat!($module, "::", stringify!($name)), run: $name }),*]
    };
}
use tests;

/// Leaves the test with a reason unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)*) => {
        if !$condition {
            return Err(alloc::format!($($reason)*));
        }
    };
}
use ensure;

/// Runs every test, reports to the host and ends the machine.
pub fn run() -> ! {
    warm_up();
    let (mut passed, mut failed) = (0, 0);
    for test in [frames::TESTS, heap::TESTS, tables::TESTS].concat() {
        let verdict = without_loss(test.run);
        let word = match &verdict {
            Ok(()) => {
                passed += 1;
                "ok"
            }
            Err(reason) => {
                failed += 1;
                say(&format!("{reason}\n"));
                "FAILED"
            }
        };
        say(&format!("test {} ... {word}\n", test.name));
    }
    say(&format!("{passed} passed, {failed} failed\n"));
    if console_mode() == ConsoleMode::Framed {
        hostlink::report_exit(i32::from(failed > 0));
    }
    psci::system_off();
    crate::panic::stop_here()
}

fn say(line: &str) {
    match console_mode() {
        ConsoleMode::Framed => hostlink::send(ToHost::Stdout, line.as_bytes()),
        _ => uart::send(&[line.as_bytes()]),
    }
}

/// Frames that the machine keeps for good once they are needed are no test's loss: the page of zeros, the tables that linked
/// programs share, those of the kernel stacks.
fn warm_up() {
    let kept = (
        memory::zero_frame(),
        AddressSpace::new_linked(memory::layout()),
        KernelStack::new(),
    );
    assert!(kept.0.is_ok() && kept.1.is_ok() && kept.2.is_ok());
}

fn free_count() -> usize {
    memory::frames::free_count() + stack::cached_frames()
}

/// Runs one test, which must give back all memory that it took.
fn without_loss(run: fn() -> Verdict) -> Verdict {
    let before = free_count();
    run()?;
    let after = free_count();
    ensure!(
        before == after,
        "{before} frames were free before, {after} are after"
    );
    Ok(())
}
