//! Host tests: one `cargo test` over every package that builds on the host.

use std::{
    io::{BufRead, BufReader, pipe},
    process::Stdio,
};

use anyhow::{Context, Result};

use super::report::{Report, Verdict, parse_line};
use crate::project::{BUILDS_ANYWAY, Project};

/// The image itself, and the C library: both are for the guest's processor only.
const NOT_FOR_THE_HOST: &[&str] = &["rustos", "libos-libc"];

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
        .stderr(writer);
    let mut child = cargo.spawn().context("cannot start cargo")?;
    // The command holds the pipe's other end.
    drop(cargo);

    let mut suite = "host".to_owned();
    let mut failed_before = 0;
    let mut output = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if let Some(binary) = running(&line) {
            suite = format!("host/{binary}");
            output.clear();
        }
        match parse_line(&line) {
            Some((name, Verdict::Passed)) => report.passed(&suite, name),
            Some((name, Verdict::Failed)) => {
                failed_before += 1;
                report.failed(&suite, name, "");
            }
            Some((_, Verdict::Ignored)) => {}
            None => output.push(line),
        }
        // Panics of failed tests, compiler errors, and what a crash leaves.
        if output
            .last()
            .is_some_and(|l| l.starts_with("error") || l.starts_with("test result: F"))
        {
            for line in output.drain(..) {
                say!("{line}");
            }
        }
    }
    let status = child.wait()?;
    if !status.success() && failed_before == 0 {
        let tail = output
            .iter()
            .rev()
            .take(60)
            .rev()
            .cloned()
            .collect::<Vec<_>>();
        report.failed(
            &suite,
            "cargo test",
            &format!("{status}\n{}", tail.join("\n")),
        );
    }
    Ok(())
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
}
