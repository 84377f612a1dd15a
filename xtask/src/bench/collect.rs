//! Runs the benchmark program in a guest and gathers its lines; a guest that dies costs one measure.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;

use super::{
    guests::Guest,
    measures::{BOOT, BOOT_TO_INIT, BOOT_TO_PROMPT, Measure, RAM},
    results::Results,
};
use crate::{
    cli::BenchOptions,
    guest::{Boot, End, Output},
};

/// What the guest's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Instructions,
    Wall,
}

/// Measures of one boot: enough to make booting cheap, few enough to lose little with a dead guest.
const MICRO_BATCH: usize = 16;
const JOB_BATCH: usize = 4;
/// Host seconds for booting, for a small measure and for a whole job, on a slow and busy host.
const BOOT_LIMIT: u64 = 60;
const MICRO_LIMIT: u64 = 15;
const JOB_LIMIT: u64 = 90;
/// How much of a dead guest's log goes into the results, at least.
const LOG_LINES: usize = 80;

/// One line of the benchmark program.
#[derive(Deserialize)]
struct Line {
    name: String,
    ns: Option<f64>,
    bytes: Option<f64>,
    failed: Option<String>,
}

/// Measures to be taken once in one guest by one clock.
struct Turn<'a> {
    guest: &'a Guest,
    clock: Clock,
    options: &'a BenchOptions,
    chosen: &'a [Measure],
}

/// Takes `chosen` once in one guest.
pub fn take(
    guest: &Guest,
    clock: Clock,
    options: &BenchOptions,
    chosen: &[Measure],
    results: &mut Results,
) -> Result<()> {
    let able = |m: &&Measure| {
        (guest.has_programs || !m.needs_programs())
            && (clock == Clock::Instructions || !m.in_bytes())
    };
    let chosen: Vec<_> = chosen.iter().filter(able).cloned().collect();
    let turn = Turn {
        guest,
        clock,
        options,
        chosen: &chosen,
    };
    turn.boots(results)?;
    for mut batch in batches(&chosen) {
        // Each boot settles at least the measure that the guest died of.
        loop {
            batch = turn.boot(&batch, results)?;
            if batch.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// What one boot takes: measures of a kind, on the same number of cores.
fn batches(chosen: &[Measure]) -> Vec<Vec<&Measure>> {
    let inside = || chosen.iter().filter(|measure| measure.in_program());
    let is_job = |m: &&Measure| m.name.starts_with("job_");
    let mut batches: Vec<Vec<&Measure>> = Vec::new();
    for cores in [1, 4] {
        let of = |m: &&Measure| m.cores() == cores;
        let micro: Vec<_> = inside().filter(of).filter(|m| !is_job(m)).collect();
        let jobs: Vec<_> = inside().filter(of).filter(is_job).collect();
        batches.extend(micro.chunks(MICRO_BATCH).map(<[_]>::to_vec));
        batches.extend(jobs.chunks(JOB_BATCH).map(<[_]>::to_vec));
    }
    batches
}

impl Turn<'_> {
    /// The measures that are a boot of their own, whose script says nothing of the others: its length counts.
    fn boots(&self, results: &mut Results) -> Result<()> {
        // The shell expands its prompt after each line: the first is the one that asks for the count.
        const PROMPT: &str = r#"echo "PS1='\$(bench --counter) '" | sh -i"#;
        const FIRST_LINE: &str = "bench --counter";
        const FIRST_LINE_AND_RAM: &str = "bench --counter; cat /proc/meminfo";
        let by_count = self.clock == Clock::Instructions;
        if by_count && self.wants(BOOT_TO_INIT) {
            let (boot, output) = self.own_boot(BOOT_TO_INIT, None)?;
            let figure = [boot.log.as_bytes(), &output.stdout, &output.stderr]
                .into_iter()
                .find_map(started_at);
            self.settle(BOOT_TO_INIT, figure, &boot, &output, results);
        }
        let first_line: Vec<_> = [BOOT, RAM]
            .into_iter()
            .filter(|name| self.wants(name))
            .collect();
        if !first_line.is_empty() {
            let script = if self.guest.has_programs {
                FIRST_LINE_AND_RAM
            } else {
                FIRST_LINE
            };
            let (boot, output) = self.own_boot(&first_line.join(" "), Some(script))?;
            let text = String::from_utf8_lossy(&output.stdout);
            if self.wants(BOOT) {
                let figure = match self.clock {
                    Clock::Instructions => text.lines().next().and_then(|line| line.parse().ok()),
                    // The host's own clock: loading the image counts for a person who waits.
                    Clock::Wall => output.first.map(|first| first.as_nanos() as f64),
                };
                self.settle(BOOT, figure, &boot, &output, results);
            }
            if self.wants(RAM)
                && let Some(available) = meminfo(&text, "MemAvailable:")
            {
                let used = self.options.memory.bytes().saturating_sub(available);
                results.add_bytes(RAM, self.guest.kind, used as f64);
            }
        }
        if by_count && self.wants(BOOT_TO_PROMPT) {
            let (boot, output) = self.own_boot(BOOT_TO_PROMPT, Some(PROMPT))?;
            let figure = last_number(&output.stderr);
            self.settle(BOOT_TO_PROMPT, figure, &boot, &output, results);
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.chosen.iter().any(|measure| measure.name == name)
    }

    fn own_boot(&self, names: &str, command: Option<&str>) -> Result<(Boot, Timed)> {
        self.say(names);
        let limit = Duration::from_secs(BOOT_LIMIT);
        self.guest
            .boot(self.clock, self.options, 1, command, Timed::new(), limit)
    }

    /// Writes down what a boot of its own has shown, if it has.
    fn settle(
        &self,
        name: &str,
        figure: Option<f64>,
        boot: &Boot,
        output: &Timed,
        results: &mut Results,
    ) {
        match figure {
            Some(figure) => results.add(name, self.guest.kind, self.clock, figure),
            None => {
                let said = String::from_utf8_lossy(&output.stderr);
                let log = format!("{}\n{said}", tail(&boot.log));
                results.fail(name, self.guest.kind, "nothing was printed", &log);
            }
        }
    }

    fn say(&self, names: &str) {
        let clock = match self.clock {
            Clock::Instructions => "instructions",
            Clock::Wall => "wall time",
        };
        note!("xtask: {} ({clock}): {names}", self.guest.name());
    }

    /// Boots once for `batch`; gives the measures that are still to be taken.
    fn boot<'m>(&self, batch: &[&'m Measure], results: &mut Results) -> Result<Vec<&'m Measure>> {
        let names: Vec<_> = batch.iter().map(|m| m.name.as_str()).collect();
        self.say(&names.join(" "));
        // The first shows that the guest got as far as this.
        let command = format!("bench --counter; bench --json {}", names.join(" "));
        let seconds: u64 = batch
            .iter()
            .map(|m| {
                if m.name.starts_with("job_") {
                    JOB_LIMIT
                } else {
                    MICRO_LIMIT
                }
            })
            .sum();
        let limit = Duration::from_secs(BOOT_LIMIT + seconds);
        let cores = batch.first().map_or(1, |measure| measure.cores());
        let (boot, output) = self.guest.boot(
            self.clock,
            self.options,
            cores,
            Some(&command),
            Timed::new(),
            limit,
        )?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut left = batch.to_vec();
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let Ok(line) = serde_json::from_str::<Line>(line) else {
                continue;
            };
            left.retain(|measure| measure.name != line.name);
            match (line.ns, line.bytes, line.failed) {
                (Some(ns), ..) => results.add(&line.name, self.guest.kind, self.clock, ns),
                (None, Some(bytes), _) => results.add_bytes(&line.name, self.guest.kind, bytes),
                (None, None, why) => {
                    let why = why.unwrap_or_else(|| "no figure".into());
                    note!("xtask: {}: {} failed: {why}", self.guest.name(), line.name);
                    results.fail(&line.name, self.guest.kind, &why, &boot.log);
                }
            }
        }
        if !left.is_empty() {
            let why = match &boot.end {
                End::Exit(status) => format!("the benchmark ended with {status} before its result"),
                End::Panic(text) => format!("the kernel panicked: {text}"),
                End::Died(how) => how.clone(),
                End::TimedOut(limit) => format!("no result within {} s", limit.as_secs()),
            };
            let said = String::from_utf8_lossy(&output.stderr);
            let log = format!("{}\n{said}", tail(&boot.log));
            // A guest that never got to the benchmark would not do so for the others either.
            let settled = if output.stdout.is_empty() {
                left.len()
            } else {
                1
            };
            for measure in left.drain(..settled) {
                note!(
                    "xtask: {}: {} failed: {why}",
                    self.guest.name(),
                    measure.name
                );
                results.fail(&measure.name, self.guest.kind, &why, &log);
            }
        }
        Ok(left)
    }
}

/// What the benchmark says as PID 1: on Linux on the bare serial line, on RustOS to the host's streams.
fn started_at(text: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("init started at ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn last_number(text: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .next_back()
}

fn meminfo(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The last lines, and all from the first of a panic on: its reason comes first.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    // `panic=-1` is a word of the kernel's command line.
    let panic = lines
        .iter()
        .position(|line| line.contains("panic") && !line.contains("panic="));
    let last = lines.len().saturating_sub(LOG_LINES);
    lines[panic.map_or(last, |panic| panic.min(last))..].join("\n")
}

/// Keeps what the guest printed, and when it first did.
struct Timed {
    start: Instant,
    first: Option<Duration>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Timed {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            first: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

impl Output for Timed {
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.first.get_or_insert_with(|| self.start.elapsed());
        self.stdout.extend(bytes);
        Ok(())
    }

    fn stderr(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stderr.extend(bytes);
        Ok(())
    }

    fn log(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_meminfo_is_in_bytes() {
        let text = "MemTotal:  10 kB\nMemAvailable:     3 kB\n";
        assert_eq!(meminfo(text, "MemAvailable:"), Some(3072));
        assert_eq!(meminfo(text, "Other:"), None);
    }

    #[test]
    fn a_boot_has_its_own_number_of_cores() {
        let list = ["getpid", "job_sh", "job_sort_3m_4c", BOOT].map(|name| Measure {
            name: name.into(),
            about: String::new(),
        });
        let names: Vec<Vec<_>> = batches(&list)
            .iter()
            .map(|batch| batch.iter().map(|m| &*m.name).collect())
            .collect();
        assert_eq!(names, [["getpid"], ["job_sh"], ["job_sort_3m_4c"]]);
        assert!(batches(&list[3..]).is_empty());
    }

    #[test]
    fn the_last_number_is_the_prompts() {
        assert_eq!(
            last_number(b"sh: 3 x\nroot@host:/# 2233840 \n"),
            Some(2_233_840.0)
        );
        assert_eq!(last_number(b"$ "), None);
    }

    #[test]
    fn a_long_log_keeps_its_end_and_the_whole_of_a_panic() {
        let log: String = (0..200).map(|n| format!("{n}\n")).collect();
        assert!(tail(&log).starts_with("120\n") && tail(&log).ends_with("199"));
        let died = format!("Kernel command line: panic=-1\nKernel panic - not syncing: x\n{log}");
        assert!(tail(&died).starts_with("Kernel panic") && tail(&died).ends_with("199"));
        assert!(tail(&format!("{log}Kernel panic\n")).starts_with("121\n"));
    }
}
