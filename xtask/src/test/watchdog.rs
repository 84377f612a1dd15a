//! The kernel's watchdog: a core is made to hang, and the panic that follows has to show what each core was doing.
//!
//! Only a kernel with assertions has it, and the boot argument that makes a core hang.

use std::time::Duration;

use anyhow::Result;

use super::{guest_suites::explain, report::Report};
use crate::{
    build::Image,
    cli::MachineOptions,
    guest::{self, End},
    qemu,
};

const LIMIT: Duration = Duration::from_secs(90);
const CORES: u8 = 4;
/// Keeps a program running on some core; the hang strikes when one runs on the first.
const COMMAND: &str = "for i in 1 2 3 4; do while :; do :; done & done; wait";

pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    for version in [2, 3] {
        let machine = MachineOptions {
            machine: format!("virt,gic-version={version}"),
            smp: CORES,
            ..MachineOptions::default()
        };
        let command = qemu::command_word(COMMAND.as_bytes());
        let words = format!("console=framed rustos.test=hang watchdog=3 {command}");
        let arguments = qemu::arguments(&image.file, &machine, &words);
        let (boot, output) = guest::capture(arguments, LIMIT)?;
        let verdict = match &boot.end {
            End::Panic(text) => missing(&format!("{}{text}", boot.log)),
            _ => Err(explain(&boot, &String::from_utf8_lossy(&output.stderr))),
        };
        let name = format!("a hanging core is reported with every core's trace, GICv{version}");
        report.record(suite, &name, verdict);
    }
    Ok(())
}

/// What the report has to hold.
fn missing(text: &str) -> Result<(), String> {
    let traces = text.matches("backtrace:").count();
    let wanted = [
        (
            "the alarm",
            text.contains("watchdog: core 0 has not got on"),
        ),
        (
            "the lock that the core holds",
            text.contains("  holds the lock made at"),
        ),
        ("where it hangs", text.contains("hang_soon")),
        ("a trace of every core", traces == usize::from(CORES)),
    ];
    match wanted.iter().find(|(_, there)| !there) {
        None => Ok(()),
        Some((what, _)) => Err(format!("{what} is missing in:\n{text}")),
    }
}
