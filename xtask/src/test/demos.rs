//! Programs built on crates that nobody here wrote (rayon, tokio, crossbeam), as users build them: each checks its own
//! results, on one, two and four cores.

use std::time::Duration;

use anyhow::Result;

use super::{
    guest_suites::{command_in_machine, explain},
    report::Report,
};
use crate::{build::Image, cli::MachineOptions, guest::End};

pub const PROGRAMS: &[&str] = &["demo-rayon", "demo-tokio", "demo-crossbeam"];
const CORES: &[u8] = &[1, 2, 4];
const LIMIT: Duration = Duration::from_secs(120);

/// A program on a number of cores.
fn name(program: &str, cores: u8) -> String {
    format!("{program} on {cores} core(s)")
}

pub fn names() -> impl Iterator<Item = String> {
    let on_each = |program| CORES.iter().map(move |&cores| name(program, cores));
    PROGRAMS.iter().flat_map(move |program| on_each(program))
}

pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    for program in PROGRAMS {
        for &cores in CORES {
            let machine = MachineOptions {
                smp: cores,
                ..MachineOptions::default()
            };
            let (boot, output) = command_in_machine(image, &machine, program, Vec::new(), LIMIT)?;
            let text = String::from_utf8_lossy(&output.stdout);
            let right = boot.end == End::Exit(0) && text.ends_with(": 0 wrong\n");
            let result = if right {
                Ok(())
            } else {
                let stderr = String::from_utf8_lossy(&output.stderr);
                Err(format!("{text}{}", explain(&boot, &stderr)))
            };
            report.record(suite, &name(program, cores), result);
        }
    }
    Ok(())
}
