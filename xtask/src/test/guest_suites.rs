//! Tests that run inside the image: groups of the program `ktest`, one boot each.

use std::time::Duration;

use anyhow::Result;

use super::report::{Report, Verdict, parse_line};
use crate::{
    build::Image,
    cli::{MachineOptions, TestKind},
    guest::{self, Captured, End, Input},
    qemu,
};

/// The groups of `ktest`, and what kind of test each is.
pub const GROUPS: &[(&str, TestKind)] = &[
    ("fork", TestKind::Kernel),
    ("atfork", TestKind::Kernel),
    ("waits", TestKind::Kernel),
    ("jobs", TestKind::Kernel),
    ("exec", TestKind::Kernel),
    ("spawn", TestKind::Kernel),
    ("signals", TestKind::Kernel),
    ("delivery", TestKind::Kernel),
    ("threads", TestKind::Kernel),
    ("pthreads", TestKind::Kernel),
    ("ends", TestKind::Kernel),
    ("futexes", TestKind::Kernel),
    ("locks", TestKind::Kernel),
    ("robust", TestKind::Kernel),
    ("mappings", TestKind::Memory),
    ("protection", TestKind::Memory),
    ("sharing", TestKind::Memory),
    ("stacks", TestKind::Memory),
    ("limits", TestKind::Memory),
    ("accounting", TestKind::Kernel),
    ("scheduling", TestKind::Kernel),
    ("pipes", TestKind::Syscalls),
    ("splices", TestKind::Syscalls),
    ("sockets", TestKind::Syscalls),
    ("connections", TestKind::Syscalls),
    ("descriptors", TestKind::Syscalls),
    ("record_locks", TestKind::Syscalls),
    ("files", TestKind::Syscalls),
    ("contents", TestKind::Syscalls),
    ("opening", TestKind::Syscalls),
    ("directories", TestKind::Syscalls),
    ("links", TestKind::Syscalls),
    ("metadata", TestKind::Syscalls),
    ("owners", TestKind::Syscalls),
    ("rights", TestKind::Syscalls),
    ("mounts", TestKind::Syscalls),
    ("faults", TestKind::Syscalls),
    ("terminals", TestKind::Syscalls),
    ("ptys", TestKind::Syscalls),
    ("events", TestKind::Syscalls),
    ("stdio", TestKind::Syscalls),
    ("formats", TestKind::Syscalls),
    ("dates", TestKind::Syscalls),
    ("names", TestKind::Syscalls),
    ("stdlib", TestKind::Syscalls),
    ("blocks", TestKind::Memory),
    ("epolls", TestKind::Syscalls),
    ("watches", TestKind::Syscalls),
    ("clocks", TestKind::Syscalls),
    ("timers", TestKind::Syscalls),
    ("procfs", TestKind::Syscalls),
    ("hostile", TestKind::Syscalls),
    ("excess", TestKind::Syscalls),
    ("shortage", TestKind::Memory),
    ("stress", TestKind::Stress),
    ("fuzz", TestKind::Stress),
];

/// The test program.
pub const PROGRAM: &str = "ktest";
/// Far more than a group takes: a safety net under the limit that each test has.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Boots once and runs one group, on so many cores.
pub fn run(image: &Image, group: &str, cores: u8, suite: &str, report: &mut Report) -> Result<()> {
    let command = format!("exec {PROGRAM} {group}::");
    let mut machine = MachineOptions {
        smp: cores,
        ..MachineOptions::default()
    };
    if group == "shortage" {
        machine.memory = "96M".parse().map_err(anyhow::Error::msg)?;
    }
    let prefix = format!("{group}::");
    program(image, &machine, &command, &prefix, LIMIT, suite, report)
}

/// Boots once and runs a program that prints a line for each of its tests; `prefix` is left off their names.
pub fn program(
    image: &Image,
    machine: &MachineOptions,
    command: &str,
    prefix: &str,
    limit: Duration,
    suite: &str,
    report: &mut Report,
) -> Result<()> {
    let (boot, output) = command_in_machine(image, machine, command, Vec::new(), limit)?;
    take_results(&boot, &output, prefix, suite, report);
    Ok(())
}

/// Reports each test that the guest named, without the prefix that all have in common. The guest's own count and status must
/// say the same as its lines.
pub fn take_results(
    boot: &guest::Boot,
    output: &Captured,
    prefix: &str,
    suite: &str,
    report: &mut Report,
) {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut detail = Vec::new();
    let mut seen = Count::default();
    let mut told = None;
    for line in text.lines() {
        match parse_line(line) {
            Some((name, verdict)) => {
                let name = name.strip_prefix(prefix).unwrap_or(name);
                match verdict {
                    Verdict::Passed => {
                        seen.passed += 1;
                        report.passed(suite, name);
                    }
                    Verdict::Failed => {
                        seen.failed += 1;
                        detail.extend(reason(line));
                        report.failed(suite, name, &detail.join("\n"));
                    }
                    Verdict::Ignored => {}
                }
                detail.clear();
            }
            None => match Count::parse(line) {
                Some(count) => told = Some(count),
                None => detail.push(line.to_owned()),
            },
        }
    }
    if let Err(why) = ended_well(&boot.end, seen, told) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = detail.join("\n");
        let why = format!("{why}\n{said}\n{}", explain(boot, &stderr));
        report.failed(suite, "ran to its end", &why);
    }
}

/// `3 passed, 1 failed`, perhaps with more behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Count {
    fn parse(line: &str) -> Option<Self> {
        let (passed, rest) = line.trim_end().split_once(" passed, ")?;
        let (failed, rest) = rest.split_once(" failed")?;
        let ends = rest.is_empty() || rest.starts_with(", ");
        ends.then_some(Self {
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }
}

fn ended_well(end: &End, seen: Count, told: Option<Count>) -> Result<(), String> {
    let status = i32::from(seen.failed > 0);
    if *end != End::Exit(status) {
        return Err(format!("it should have ended with status {status}"));
    }
    match told {
        Some(told) if told == seen && seen != Count::default() => Ok(()),
        Some(told) => Err(format!("it counts {told:?}, its lines say {seen:?}")),
        None => Err("it ended without its count".into()),
    }
}

/// What stands behind the verdict: `test NAME ... FAILED (why)`.
fn reason(line: &str) -> Option<String> {
    line.split_once("FAILED ").map(|(_, why)| why.to_owned())
}

/// Boots the image, runs one command in it with the given stdin, and keeps what it wrote.
pub fn command_in_guest(
    image: &Image,
    command: &str,
    stdin: Vec<u8>,
    limit: Duration,
) -> Result<(guest::Boot, Captured)> {
    command_in_machine(image, &MachineOptions::default(), command, stdin, limit)
}

/// The same in a machine that is not the usual one.
pub fn command_in_machine(
    image: &Image,
    machine: &MachineOptions,
    command: &str,
    stdin: Vec<u8>,
    limit: Duration,
) -> Result<(guest::Boot, Captured)> {
    let words = format!("console=framed {}", qemu::command_word(command.as_bytes()));
    let arguments = qemu::arguments(&image.file, machine, &words);
    guest::boot_into(arguments, Input::Bytes(stdin), Captured::default(), limit)
}

/// What is known about a boot that did not end as it should.
pub fn explain(boot: &guest::Boot, stderr: &str) -> String {
    const SHOWN: usize = 4000;
    let tail = |text: &str| {
        let from = text.len().saturating_sub(SHOWN);
        let from = (from..=text.len())
            .find(|&i| text.is_char_boundary(i))
            .unwrap_or(text.len());
        text[from..].trim_end().to_owned()
    };
    let mut text = format!("ended with: {:?}", boot.end);
    for (title, part) in [("stderr", stderr), ("the guest's log", &boot.log)] {
        if !part.trim().is_empty() {
            text.push_str(&format!("\n--- {title} ---\n{}", tail(part)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn failed_of(stdout: &str, end: End) -> String {
        let boot = guest::Boot {
            end,
            log: String::new(),
        };
        let output = Captured {
            stdout: stdout.into(),
            stderr: Vec::new(),
        };
        let mut report = Report::default();
        take_results(&boot, &output, "g::", "s", &mut report);
        report.failed_tests().join(" ")
    }

    #[test]
    fn status_count_and_lines_must_agree() {
        const OK: &str = "test g::a ... ok\n";
        const BAD: &str = "test g::b ... FAILED (why)\n";
        assert_eq!(
            failed_of(&format!("{OK}1 passed, 0 failed\n"), End::Exit(0)),
            ""
        );
        let both = format!("{OK}{BAD}1 passed, 1 failed\n");
        assert_eq!(failed_of(&both, End::Exit(1)), "s::b");
        let cut = "s::ran to its end";
        for (stdout, status) in [
            // Killed after the first line, by something whose status is 1.
            (OK.to_owned(), 1),
            (OK.to_owned(), 0),
            (format!("{OK}1 passed, 0 failed\n"), 1),
            (format!("{OK}2 passed, 0 failed\n"), 0),
            ("0 passed, 0 failed\n".to_owned(), 0),
        ] {
            assert_eq!(failed_of(&stdout, End::Exit(status)), cut, "{stdout}");
        }
        assert_eq!(failed_of(&both, End::Exit(0)), format!("s::b {cut}"));
        assert_eq!(
            failed_of(&both, End::Died("so".into())),
            format!("s::b {cut}")
        );
    }

    #[test]
    fn a_failure_has_its_reason() {
        let line = "test a::b ... FAILED (1 != 2; more)";
        assert_eq!(reason(line).unwrap(), "(1 != 2; more)");
        assert_eq!(reason("test a::b ... FAILED"), None);
    }

    #[test]
    fn every_group_of_ktest_is_run() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/ktest/src/main.rs");
        let source = fs::read_to_string(source).unwrap();
        let there: BTreeSet<&str> = source
            .lines()
            .filter(|line| line.trim_end().ends_with("::TESTS),"))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        let run: BTreeSet<&str> = GROUPS.iter().map(|&(group, _)| group).collect();
        assert_eq!(there, run);
    }
}
