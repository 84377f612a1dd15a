//! The kernel's tests of itself (`libos/kernel/src/self_test`): RAM, allocators and translation tables, from inside.
//! They are part of a kernel with assertions only.

use std::time::Duration;

use anyhow::Result;

use super::{guest_suites, report::Report};
use crate::{build::Image, cli::MachineOptions, guest, qemu};

/// Memory patterns go over all RAM, so there is not more of it than makes sense.
const MEMORY: &str = "128M";
const LIMIT: Duration = Duration::from_secs(180);

/// Boots once.
pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let machine = MachineOptions {
        memory: MEMORY.parse().map_err(anyhow::Error::msg)?,
        ..MachineOptions::default()
    };
    // A kernel that knows no test does this, and names none.
    let command = qemu::command_word(b"exit 64");
    let words = format!("console=framed rustos.test=kernel {command}");
    let arguments = qemu::arguments(&image.file, &machine, &words);
    let (boot, output) = guest::capture(arguments, LIMIT)?;
    guest_suites::take_results(&boot, &output, "", suite, report);
    Ok(())
}
