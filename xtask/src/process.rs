//! Child processes whose failure is an error with a reason.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// Has a command told to end when xtask is killed outright. The thread that starts it must live as long as it.
pub fn tied(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            let told = Some(rustix::process::Signal::TERM);
            Ok(rustix::process::set_parent_process_death_signal(told)?)
        })
    }
}

/// Runs a command whose words are for whoever watches, on stderr: stdout is for what xtask was asked for. Anything but
/// success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    show(command.stdout(std::io::stderr()))
}

/// Runs a command whose words are what xtask was asked for; anything but success is an error.
pub fn show(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", describe(command));
    }
    Ok(())
}

/// Runs a command and returns its stdout; anything but success is an error that carries stderr.
pub fn capture(command: &mut Command) -> Result<Vec<u8>> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    if !status.success() {
        bail!(
            "{} ended with {status}\n{}",
            describe(command),
            String::from_utf8_lossy(&stderr).trim_end()
        );
    }
    Ok(stdout)
}

/// The command as a person would type it; long ones are cut.
pub fn describe(command: &Command) -> String {
    const LIMIT: usize = 300;
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect();
    let mut text = words.join(" ");
    if text.len() > LIMIT {
        let end = (0..=LIMIT)
            .rev()
            .find(|&i| text.is_char_boundary(i))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Quotes a word for a POSIX shell where it needs it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_needed() {
        assert_eq!(quote("-M"), "-M");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn what_a_command_says_is_no_output_of_xtask() {
        // The two of the tests may be one file, but seldom are.
        let stderr = rustix::fs::fstat(rustix::stdio::stderr()).unwrap();
        let mut command = Command::new("sh");
        let same = format!("[ $(stat -Lc %i /proc/$$/fd/1) = {} ]", stderr.st_ino);
        run(command.args(["-c", &same])).unwrap();
    }

    #[test]
    fn a_failing_command_is_an_error_with_its_stderr() {
        let mut command = Command::new("sh");
        let error = capture(command.args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
