//! What depends on the machine, tested on those that the other suites do not boot: as many cores as there may be, and the
//! other interrupt controller.

use anyhow::Result;

use super::{
    guest_suites::{self, LIMIT, PROGRAM},
    report::Report,
};
use crate::{build::Image, cli::MachineOptions};

/// Interrupts between cores, wake-ups, stealing, affinity.
const GROUP: &str = "scheduling";

pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let usual = MachineOptions::default();
    let machines = [
        (
            "smp8",
            MachineOptions {
                smp: 8,
                ..usual.clone()
            },
        ),
        (
            "gicv3",
            MachineOptions {
                machine: "virt,gic-version=3".into(),
                ..usual
            },
        ),
    ];
    for (name, machine) in machines {
        let command = format!("exec {PROGRAM} {GROUP}::");
        let prefix = format!("{GROUP}::");
        let suite = format!("{suite}/{name}");
        guest_suites::program(image, &machine, &command, &prefix, LIMIT, &suite, report)?;
    }
    Ok(())
}
