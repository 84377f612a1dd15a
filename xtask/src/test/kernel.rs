//! The kernel's tests of itself (`libos/kernel/src/self_test`): RAM, allocators and translation tables, from inside.
//! They are part of a kernel with assertions only.

use std::time::Duration;

use anyhow::Result;

use super::{guest_suites, report::Report};
use crate::{
    build::Image,
    cli::MachineOptions,
    guest::{self, Captured, End, Input},
    qemu,
};

/// Memory patterns go over all RAM, so there is not more of it than makes sense.
const MEMORY: &str = "128M";
const LIMIT: Duration = Duration::from_secs(180);
/// What a kernel without assertions ends with, which knows no test and does as it is told.
const STATUS_NO_TESTS: i32 = 64;

/// Boots once.
pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let machine = MachineOptions {
        memory: MEMORY.parse().map_err(anyhow::Error::msg)?,
        ..MachineOptions::default()
    };
    let command = format!("exit {STATUS_NO_TESTS}");
    let words = format!(
        "console=framed rustos.test=kernel {}",
        qemu::command_word(command.as_bytes())
    );
    let arguments = qemu::arguments(&image.file, &machine, &words);
    let mut output = Captured::default();
    let boot = guest::boot(
        &arguments,
        Input::Bytes(Vec::new()),
        &mut output,
        Some(LIMIT),
    )?;
    if boot.end == End::Exit(STATUS_NO_TESTS) {
        say!("{suite}: skipped: this kernel has no assertions and no tests of itself");
        return Ok(());
    }
    guest_suites::take_results(&boot, &output, "", suite, report);
    Ok(())
}
