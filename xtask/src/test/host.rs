//! Host tests: one `cargo test` over every package that builds on the host.

use std::{
    ffi::c_int,
    io::{BufRead, BufReader, pipe},
    os::unix::process::CommandExt,
    process::{Child, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use super::report::{Report, Verdict, parse_line};
use crate::{
    failure::Failure,
    project::{BUILDS_ANYWAY, Project},
    signals,
};

/// The image itself, and the C library: both are for the guest's processor only.
const NOT_FOR_THE_HOST: &[&str] = &["rustos", "libos-libc"];
/// Longer than the longest test and the longest crate take on a slow host, and every other is a line of output.
const SILENCE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Of what a binary said besides its tests.
const LINES_SHOWN: usize = 60;

pub fn run(project: &Project, report: &mut Report) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["test", BUILDS_ANYWAY, "--workspace", "--no-fail-fast"]);
    for package in NOT_FOR_THE_HOST {
        cargo.args(["--exclude", package]);
    }
    // Cargo names the binary on stderr and the binary its tests on stdout: one pipe keeps the order.
    let (reader, writer) = pipe()?;
    cargo
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        // So that what it has started can be ended with it.
        .process_group(0);
    let mut group = Group(cargo.spawn().context("cannot start cargo")?);
    // The command holds the pipe's other end.
    drop(cargo);

    enum Event {
        Line(String),
        Signal(c_int),
        End,
    }
    let (send, events) = mpsc::channel();
    // In both: nobody listens any more when this suite is over.
    let _listening = signals::listen({
        let send = send.clone();
        move |signal| {
            send.send(Event::Signal(signal)).ok();
        }
    })?;
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if send.send(Event::Line(line)).is_err() {
                return;
            }
        }
        send.send(Event::End).ok();
    });

    let mut binaries = Binaries::new(report);
    loop {
        match events.recv_timeout(SILENCE_LIMIT) {
            Ok(Event::Line(line)) => binaries.line(line),
            Ok(Event::Signal(signal)) => return Err(Failure::Interrupted(signal).into()),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let minutes = SILENCE_LIMIT.as_secs() / 60;
                binaries.cut(&format!("it said nothing for {minutes} minutes"));
                return Ok(());
            }
        }
    }
    let status = group.0.wait()?;
    let why = (!status.success()).then(|| status.to_string());
    binaries.conclude(why.as_deref());
    Ok(())
}

/// `cargo test` and the tests it has started. Dropping it ends them all.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Failing means that they have ended already.
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            kill_process_group(Pid::from_child(&self.0), Signal::KILL).ok();
        }
        self.0.wait().ok();
    }
}

/// What the test binaries say, one after the other.
struct Binaries<'a> {
    report: &'a mut Report,
    suite: String,
    /// The binary's tests have begun and their sum has not been told.
    runs: bool,
    failed: usize,
    /// Lines that name no test.
    output: Vec<String>,
}

impl<'a> Binaries<'a> {
    fn new(report: &'a mut Report) -> Self {
        Self {
            report,
            suite: "host".into(),
            runs: false,
            failed: 0,
            output: Vec::new(),
        }
    }

    fn line(&mut self, line: String) {
        if let Some(binary) = running(&line) {
            self.ended();
            self.suite = format!("host/{binary}");
            self.output.clear();
        }
        match parse_line(&line) {
            Some((name, Verdict::Passed)) => self.report.passed(&self.suite, name),
            Some((name, Verdict::Failed)) => {
                self.failed += 1;
                self.report.failed(&self.suite, name, "");
            }
            Some((_, Verdict::Ignored)) => {}
            None => {
                if is_count(&line) {
                    self.runs = true;
                }
                if line.starts_with("test result: ") {
                    self.runs = false;
                }
                self.output.push(line);
            }
        }
        // Panics of failed tests, compiler errors, and what a crash leaves.
        if self
            .output
            .last()
            .is_some_and(|l| l.starts_with("error") || l.starts_with("test result: F"))
        {
            for line in self.output.drain(..) {
                say!("{line}");
            }
        }
    }

    /// Another binary's turn, or nobody's.
    fn ended(&mut self) {
        if self.runs {
            self.cut("it crashed");
        }
        self.runs = false;
    }

    fn cut(&mut self, why: &str) {
        self.failed += 1;
        let from = self.output.len().saturating_sub(LINES_SHOWN);
        let said = self.output[from..].join("\n");
        self.report
            .failed(&self.suite, "ran to its end", &format!("{why}\n{said}"));
    }

    /// `why` is how cargo ended, if not well: that must have a failure to show for it.
    fn conclude(&mut self, why: Option<&str>) {
        self.ended();
        if let Some(why) = why
            && self.failed == 0
        {
            self.cut(why);
        }
    }
}

/// `running 3 tests`: what a binary begins with.
fn is_count(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.split_once(" test"))
        .is_some_and(|(count, _)| count.parse::<usize>().is_ok())
}

/// The name of the test binary that cargo says it starts, without its hash.
fn running(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(doc) = line.strip_prefix("Doc-tests ") {
        return Some(doc);
    }
    let path = line
        .strip_prefix("Running ")?
        .rsplit_once('(')?
        .1
        .trim_end_matches(')');
    let file = path.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_named_without_its_hash() {
        let line = "     Running unittests src/main.rs (target/debug/deps/xtask-bafe0149cf268e53)";
        assert_eq!(running(line), Some("xtask"));
        assert_eq!(running("   Doc-tests libos_kernel"), Some("libos_kernel"));
        assert_eq!(running("running 3 tests"), None);
    }

    /// The status that a run comes to which says this.
    fn failures(lines: &str, cargo: Option<&str>) -> String {
        let mut report = Report::default();
        let mut binaries = Binaries::new(&mut report);
        for line in lines.lines() {
            binaries.line(line.into());
        }
        binaries.conclude(cargo);
        report.failed_tests().join(" ")
    }

    #[test]
    fn a_binary_that_crashes_is_counted_beside_one_whose_tests_fail() {
        const CRASHES: &str = "     Running a (target/crashes-1)\nrunning 2 tests\ntest a ... ok\n";
        const FAILS: &str = "     Running b (target/fails-2)\nrunning 1 test\ntest b ... FAILED\n\
                             test result: FAILED. 0 passed; 1 failed\n";
        let status = Some("exit status: 101");
        assert_eq!(failures(CRASHES, status), "host/crashes::ran to its end");
        let both = "host/fails::b host/crashes::ran to its end";
        assert_eq!(failures(&format!("{FAILS}{CRASHES}"), status), both);
        assert_eq!(
            failures("error: no such package\n", status),
            "host::ran to its end"
        );
        let well = "     Running c (target/c-1)\nrunning 0 tests\n\ntest result: ok. 0 passed\n";
        assert_eq!(failures(well, None), "");
    }
}
