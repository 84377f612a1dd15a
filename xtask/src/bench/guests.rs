//! The two guests, on the same machine of QEMU, driven by the same frames.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

use super::{collect::Clock, linux::LinuxGuest};
use crate::{
    build::Image,
    cli::{BenchGuest, BenchOptions, MachineOptions},
    guest::{self, Boot, Input, Output},
    qemu,
};

/// Makes the benchmark PID 1 of RustOS; means nothing to Linux.
const INIT: &str = "init=bench";
/// A nanosecond an instruction; and the seeds that QEMU hands the guest, and the date, are no chance.
const SAME_EVERY_TIME: [&str; 6] = [
    "-icount",
    "shift=0,sleep=off",
    "-seed",
    "1",
    "-rtc",
    "base=2026-01-01T00:00:00,clock=vm",
];

pub struct Guest {
    pub kind: BenchGuest,
    kernel: PathBuf,
    initrd: Option<PathBuf>,
    words: &'static str,
    /// Whether it has the shell and the utilities.
    pub has_programs: bool,
}

impl Guest {
    pub fn direct(image: &Image) -> Self {
        Self {
            kind: BenchGuest::Direct,
            kernel: image.file.clone(),
            initrd: None,
            words: "console=framed",
            has_programs: true,
        }
    }

    pub fn linux(guest: LinuxGuest) -> Self {
        Self {
            kind: BenchGuest::Linux,
            kernel: guest.kernel,
            initrd: Some(guest.initramfs),
            // A panic must end the machine, and with it the wait.
            words: "console=ttyAMA0 quiet panic=-1",
            has_programs: guest.without_programs.is_none(),
        }
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            BenchGuest::Direct => "RustOS",
            BenchGuest::Svc => "RustOS (svc)",
            BenchGuest::Linux => "Linux",
        }
    }

    /// Boots and runs one command, or only the benchmark as PID 1.
    pub fn boot<O: Output>(
        &self,
        clock: Clock,
        options: &BenchOptions,
        cores: u8,
        command: Option<&str>,
        output: O,
        limit: Duration,
    ) -> Result<(Boot, O)> {
        let machine = MachineOptions {
            memory: options.memory,
            smp: match clock {
                Clock::Instructions => cores,
                Clock::Wall => options.cores.max(cores),
            },
            machine: "virt".into(),
        };
        let words = match command {
            Some(command) => {
                let command = qemu::command_word(command.as_bytes());
                format!("{} {command}", self.words)
            }
            // Linux starts the benchmark as PID 1 anyway.
            None => format!("{} {INIT}", self.words),
        };
        let mut arguments = qemu::arguments(&self.kernel, &machine, &words);
        if let Some(initrd) = &self.initrd {
            arguments.extend(["-initrd".into(), initrd.display().to_string()]);
        }
        if clock == Clock::Instructions {
            arguments.extend(SAME_EVERY_TIME.map(String::from));
        }
        guest::boot_into(arguments, Input::Silence, output, limit)
    }
}
