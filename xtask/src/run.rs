//! `run`: the image as a session on the terminal, or as one command.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anyhow::Result;

use crate::{
    build,
    cli::RunOptions,
    guest::{self, Boot, End, Input, Output},
    project::Project,
    qemu, setup, terminal,
};

const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
/// As `timeout` of coreutils.
const STATUS_TIMED_OUT: u8 = 124;
/// Has the kernel send all of its messages.
const EVERYTHING_LOGGED: &str = "loglevel=7";
/// The machine, not the command, failed.
const STATUS_MACHINE: u8 = 125;

/// `cargo xtask run`.
pub fn run(project: &Project, options: &RunOptions) -> Result<u8> {
    setup::ensure(project, setup::TO_RUN)?;
    let image = match &options.image {
        Some(file) => build::Image::existing(file)?,
        None => build::image(project, &options.build)?,
    };
    // Of two words that say the same, the kernel takes the first.
    let mut words: Vec<_> = options.append.iter().cloned().collect();
    if let Some(init) = &options.build.init {
        words.push(format!("init={init}"));
    }
    if options.verbose {
        words.push(EVERYTHING_LOGGED.into());
    }

    if options.command.is_none() && io::stdin().is_terminal() && io::stdout().is_terminal() {
        words.push(terminal::words());
        words.push(terminal::WITH_STATUS.into());
        let mut arguments = qemu::arguments(&image.file, &options.machine, &words.join(" "));
        arguments.extend(options.extra.iter().cloned());
        let boot = Boot {
            end: terminal::session(arguments, options.timeout)?,
            // It was on the terminal.
            log: String::new(),
        };
        return Ok(conclude(&boot, true));
    }

    words.push("console=framed".into());
    let (command, limit) = match &options.command {
        Some(command) => (
            command.as_str(),
            Some(options.timeout.unwrap_or(DEFAULT_LIMIT)),
        ),
        // A script on stdin is run as `sh` would run it.
        None => ("exec sh", options.timeout),
    };
    // An appliance has no shell to hand a command to.
    if options.command.is_some() || options.build.init.is_none() {
        words.push(qemu::command_word(command.as_bytes()));
    }
    let mut arguments = qemu::arguments(&image.file, &options.machine, &words.join(" "));
    arguments.extend(options.extra.iter().cloned());
    let output = HostOutput {
        verbose: options.verbose,
    };
    let boot = guest::boot(arguments, Input::Host, output, limit)?;
    Ok(conclude(&boot, options.verbose))
}

/// Says on stderr what went wrong with the machine, if anything did; returns the status.
pub fn conclude(boot: &Boot, log_shown: bool) -> u8 {
    let explain = |reason: &str| {
        if !log_shown && !boot.log.is_empty() {
            note!(
                "--- the guest's last words ---\n{}\n---",
                boot.log.trim_end()
            );
        }
        note!("xtask: {reason}");
    };
    match &boot.end {
        // The low byte, as every shell sees a status.
        End::Exit(status) => (status & 0xff) as u8,
        End::Panic(text) => {
            explain(&format!("the kernel panicked\n{}", text.trim_end()));
            STATUS_MACHINE
        }
        End::Died(how) => {
            explain(how);
            STATUS_MACHINE
        }
        End::TimedOut(limit) => {
            explain(&format!("stopped after {} s (--timeout)", limit.as_secs()));
            STATUS_TIMED_OUT
        }
    }
}

/// The host's own stdout and stderr, unbuffered.
struct HostOutput {
    verbose: bool,
}

impl Output for HostOutput {
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all(rustix::stdio::stdout(), bytes)
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Losing stderr is no reason to stop: commands go on without it too.
        io::stderr().write_all(bytes).or(Ok(()))
    }

    fn log(&mut self, bytes: &[u8]) {
        if self.verbose {
            // As above.
            io::stderr().write_all(bytes).ok();
        }
    }
}

/// Past std's line buffer, which would hold back a prompt or half a line.
fn write_all(to: rustix::fd::BorrowedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(end: End) -> u8 {
        conclude(
            &Boot {
                end,
                log: String::new(),
            },
            true,
        )
    }

    #[test]
    fn the_status_is_the_commands_own() {
        assert_eq!(status(End::Exit(0)), 0);
        assert_eq!(status(End::Exit(130)), 130);
        assert_eq!(status(End::Exit(256)), 0);
    }

    #[test]
    fn a_failed_machine_is_never_success() {
        assert_eq!(status(End::Panic("p".into())), 125);
        assert_eq!(status(End::Died("d".into())), 125);
        assert_eq!(status(End::TimedOut(Duration::from_secs(1))), 124);
    }
}
