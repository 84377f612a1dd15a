//! The README's examples: commands at the guest's prompt in its `console` blocks, and what they print; and the session that it
//! shows, which is typed at a terminal again.
//!
//! In a fenced block marked `console`, a line that starts with [`PROMPT`] is a command for the guest;
//! the lines after it, up to the next prompt, are its output. A line `...` stands for any lines. The
//! status must be 0, and the machine has no more memory than [`MEMORY`].
//!
//! The session is the block that begins with [`SESSION`]. Process numbers may differ. `test --record --suite readme` writes it anew.

use std::{num::NonZeroU16, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    guest_suites::{command_in_machine, explain},
    report::Report,
    session,
};

use crate::{build::Image, cli::MachineOptions, guest::End, project::Project};
use fs_err as fs;

const FILE: &str = "README.md";
const PROMPT: &str = "/ # ";
const ANY_LINES: &str = "...";
/// What the README promises to be enough.
const MEMORY: &str = "48M";
/// The recorded session: its first line, the line before its end, and how a prompt ends.
const SESSION: &str = "```text\n$ cargo xtask run\n";
const SESSION_END: &str = "exit\n$\n```";
const SESSION_PROMPT: &str = " # ";
/// A screen that holds all of it.
const SESSION_ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    pub command: String,
    pub output: Vec<String>,
}

/// The examples of this repository's README.
pub fn examples(project: &Project) -> Result<Vec<Example>> {
    Ok(parse(
        &fs::read_to_string(project.root.join(FILE)).unwrap_or_default(),
    ))
}

/// Boots once for each example and compares.
pub fn run(project: &Project, image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let examples = examples(project).context("README.md")?;
    if examples.is_empty() {
        report.failed(
            suite,
            "has examples",
            "README.md has no example at the guest's prompt",
        );
    }
    for example in examples {
        let machine = MachineOptions {
            memory: MEMORY.parse().map_err(anyhow::Error::msg)?,
            ..MachineOptions::default()
        };
        let (boot, output) =
            command_in_machine(image, &machine, &example.command, Vec::new(), LIMIT)?;
        let printed = [&output.stdout[..], &output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let lines: Vec<_> = printed.lines().collect();
        let result = if boot.end != End::Exit(0) {
            Err(explain(&boot, &printed))
        } else if matches(&example.output, &lines) {
            Ok(())
        } else {
            Err(format!(
                "README shows:\n{}\nit prints:\n{printed}",
                example.output.join("\n")
            ))
        };
        report.record(suite, &example.command, result);
    }
    let text = fs::read_to_string(project.root.join(FILE))?;
    report.settle(
        suite,
        "the session is as shown",
        session_is_as_shown(&text, image),
    )
}

/// Writes the session anew from what the image does.
pub fn record(project: &Project, image: &Image) -> Result<()> {
    let path = project.root.join(FILE);
    let text = fs::read_to_string(&path)?;
    let (before, session, after) = split_session(&text).context("README.md shows no session")?;
    let lines = play(session, image)?;
    fs::write(path, format!("{before}{lines}{after}"))?;
    Ok(())
}

fn session_is_as_shown(text: &str, image: &Image) -> Result<()> {
    let (_, shown, _) = split_session(text).context("README.md shows no session")?;
    let played = play(shown, image)?;
    let without_numbers = |text: &str| text.lines().map(without_number).collect::<Vec<_>>();
    if without_numbers(shown) == without_numbers(&played) {
        return Ok(());
    }
    bail!("README shows:\n{shown}\nit is:\n{played}");
}

/// What stands before the session, the session without its first and last lines, and what stands after it.
fn split_session(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(SESSION)? + SESSION.len();
    let end = start + text[start..].find(SESSION_END)?;
    // The prompt of the last command stays outside.
    let end = text[..end].rfind('\n')? + 1;
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Types the commands that a session shows, and returns what it looks like now.
fn play(shown: &str, image: &Image) -> Result<String> {
    let commands: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with('/'))
        .filter_map(|line| line.split_once(SESSION_PROMPT))
        .map(|(_, command)| command.to_owned())
        .collect();
    let rows = session::transcript(image, SESSION_ROWS, &commands)?;
    Ok(rows.iter().map(|row| format!("{row}\n")).collect())
}

/// A line without the number of a process: of a job that was started, of a line of `ps`.
fn without_number(line: &str) -> String {
    let job = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    if let Some((number, pid)) = job
        && pid.chars().all(|c| c.is_ascii_digit())
    {
        return format!("[{number}] PID");
    }
    match line.trim_start().split_once(' ') {
        Some((pid, rest)) if rest.starts_with('?') && pid.chars().all(|c| c.is_ascii_digit()) => {
            format!("PID {rest}")
        }
        _ => line.into(),
    }
}

fn parse(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    let mut open = false;
    for line in text.lines() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            inside = !inside && info.trim() == "console";
            open = false;
        } else if !inside {
            continue;
        } else if let Some(command) = line.strip_prefix(PROMPT) {
            examples.push(Example {
                command: command.into(),
                output: Vec::new(),
            });
            open = true;
        } else if open && let Some(example) = examples.last_mut() {
            example.output.push(line.into());
        }
    }
    examples
}

/// Whether lines are as shown, where `...` stands for any number of lines.
fn matches(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == ANY_LINES => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, more)| line == first && matches(rest, more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_outputs_are_found_in_console_blocks() {
        let text = "```console\n/ # echo hi\nhi\n/ # true\n```\n```sh\n/ # not this\n```\n";
        let examples = parse(text);
        assert_eq!(examples.len(), 2);
        assert_eq!(examples[0].command, "echo hi");
        assert_eq!(examples[0].output, ["hi"]);
        assert!(examples[1].output.is_empty());
    }

    #[test]
    fn a_session_is_found_and_told_apart_from_its_end() {
        let text = "a\n```text\n$ cargo xtask run\n/ # ls\nx\n/ # exit\n$\n```\nb\n";
        let (before, session, after) = split_session(text).unwrap();
        assert_eq!(session, "/ # ls\nx\n");
        assert_eq!(format!("{before}{session}{after}"), text);
        assert!(split_session("```text\n").is_none());
    }

    #[test]
    fn process_numbers_do_not_count() {
        assert_eq!(without_number("[1] 29"), "[1] PID");
        assert_eq!(without_number("[1] + Done"), "[1] + Done");
        assert_eq!(
            without_number(" 31 ?   00:00:00 ps"),
            without_number("  7 ?   00:00:00 ps")
        );
        assert_eq!(without_number("6 the"), "6 the");
    }

    #[test]
    fn dots_stand_for_any_lines() {
        let shown: Vec<String> = ["a", "...", "z"].map(Into::into).into();
        assert!(matches(&shown, &["a", "b", "c", "z"]));
        assert!(matches(&shown, &["a", "z"]));
        assert!(!matches(&shown, &["a", "b"]));
        assert!(!matches(&[], &["a"]));
    }
}
