//! An interactive session: keys typed at the guest's console, and what then stands on the screen.
//!
//! The steps are in `session_steps`. A terminal emulator interprets what the guest sends, so that a
//! step sees what a person would see.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    report::Report,
    session_steps::{STEPS, See, Step},
};
use crate::{build::Image, cli::MachineOptions, qemu};

/// For one step; the first includes the boot.
const LIMIT: Duration = Duration::from_secs(30);
/// The emulator's size.
const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// How the prompt ends.
const PROMPT: &str = "#";
/// A session in which that many steps went wrong has nothing more to tell.
const FAILURES: usize = 4;
/// Ctrl-L: a screen on which only this step's doings stand.
const CLEAR: &str = "\x0c";

/// Boots once and types everything, then ends the session with Ctrl-D.
pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let mut session = Session::start(image, ROWS)?;
    let mut failures = 0;
    for (number, step) in STEPS.iter().enumerate() {
        let result = session.take(step);
        let failed = result.is_err();
        if !step.claim.is_empty() || failed {
            let name = if step.claim.is_empty() {
                step.keys
            } else {
                step.claim
            };
            report.record(suite, name, result);
        }
        failures += usize::from(failed);
        let is_lost = number == 0 || failures == FAILURES;
        if failed && (is_lost || session.recover().is_err()) {
            return Ok(());
        }
    }
    report.record(suite, "Ctrl-D powers the machine off", session.end());
    Ok(())
}

/// Types commands at the prompt, one after the other, and returns all that then stands on a screen of so many rows.
pub fn transcript(
    image: &Image,
    rows: NonZeroU16,
    commands: &[String],
) -> Result<Vec<String>, String> {
    let mut session = Session::start(image, rows).map_err(|error| format!("{error:#}"))?;
    for command in commands {
        session.wait(See::Prompt)?;
        session.type_keys(command)?;
        // What is typed is echoed before Enter: the prompt that comes next is a new one.
        let typed = command.clone();
        session.wait_until(&format!("`{command}` on the screen"), |session| {
            session.here().ends_with(&typed)
        })?;
        session.type_keys("\r")?;
        let row = session.row();
        session.wait_until("a prompt below", |session| {
            session.row() > row && session.sees(See::Prompt)
        })?;
    }
    let mut shown = session.rows();
    shown.truncate(usize::from(session.row()));
    session.end()?;
    Ok(shown)
}

struct Session {
    child: Child,
    keys: ChildStdin,
    line: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Session {
    fn start(image: &Image, rows: NonZeroU16) -> Result<Self> {
        let mut child = Command::new(qemu::PROGRAM)
            .args(qemu::arguments(
                &image.file,
                &MachineOptions::default(),
                &format!("console=tty winsize={rows}x{COLUMNS} TERM=xterm"),
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start QEMU")?;
        let keys = child.stdin.take().context("QEMU's stdin is a pipe")?;
        let mut output = child.stdout.take().context("QEMU's stdout is a pipe")?;
        let (send, line) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = output.read(&mut buffer) {
                if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            keys,
            line,
            screen: vt100::Parser::new(rows, COLUMNS, 0),
        })
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        if step.at_prompt {
            // A person types after the prompt has appeared.
            self.wait(See::Prompt)?;
            self.type_keys(CLEAR)?;
            self.wait(See::EmptyScreen)?;
        }
        self.type_keys(step.keys)?;
        for &sight in step.sees {
            self.wait(sight)?;
        }
        Ok(())
    }

    /// Gets back to a prompt after a step that failed.
    fn recover(&mut self) -> Result<(), String> {
        self.type_keys("\x03")?;
        self.wait(See::Prompt)
    }

    fn type_keys(&mut self, keys: &str) -> Result<(), String> {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .map_err(|error| format!("cannot type: {error}"))
    }

    fn wait(&mut self, sight: See) -> Result<(), String> {
        self.wait_until(&format!("{sight:?}"), |session| session.sees(sight))
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        while !is_so(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.line.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(reason) => {
                    let why = match reason {
                        RecvTimeoutError::Timeout => "did not appear",
                        RecvTimeoutError::Disconnected => "did not appear before the end",
                    };
                    let screen = self.rows().join("\n");
                    return Err(format!("{what} {why}:\n{}", screen.trim_end()));
                }
            }
        }
        Ok(())
    }

    fn sees(&self, sight: See) -> bool {
        let rows = self.rows();
        let (row, column) = self.screen.screen().cursor_position();
        let here = &rows[usize::from(row)];
        let prompt = here.ends_with(PROMPT) && usize::from(column) == here.chars().count() + 1;
        match sight {
            See::Prompt => prompt,
            See::EmptyScreen => prompt && row == 0 && rows[1..].iter().all(String::is_empty),
            See::Row(text) => rows.iter().any(|row| row == text),
            See::Text(text) => rows.iter().any(|row| row.contains(text)),
            See::Typed(text) => here.ends_with(text),
        }
    }

    /// The cursor's row.
    fn row(&self) -> u16 {
        self.screen.screen().cursor_position().0
    }

    /// What stands in it.
    fn here(&self) -> String {
        self.rows()[usize::from(self.row())].clone()
    }

    /// The screen's rows without the blanks at their ends.
    fn rows(&self) -> Vec<String> {
        self.screen
            .screen()
            .rows(0, COLUMNS.get())
            .map(|row| row.trim_end().to_owned())
            .collect()
    }

    fn end(&mut self) -> Result<(), String> {
        self.wait(See::Prompt)?;
        self.type_keys("\x04")?;
        let deadline = Instant::now() + LIMIT;
        // The line ends with QEMU.
        while let Ok(bytes) = self
            .line
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.screen.process(&bytes);
        }
        match self.child.try_wait() {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("QEMU ended with {status}")),
            _ if Instant::now() < deadline => match self.child.wait() {
                Ok(status) if status.success() => Ok(()),
                other => Err(format!("QEMU ended with {other:?}")),
            },
            _ => Err("the machine still runs".into()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Failing means that it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
