//! An interactive session: the host's terminal in raw mode, its bytes passed to the guest's console.

use std::{
    env,
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    stdio,
    termios::{self, OptionalActions, Termios},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::qemu;

/// Ctrl-]: telnet's escape, which no line editor uses.
const ESCAPE: u8 = 0x1d;

/// The terminal's size and type as words of the kernel's command line.
pub fn words() -> String {
    let mut words = vec!["console=tty".to_owned()];
    if let Ok(size) = termios::tcgetwinsize(stdio::stdin())
        && size.ws_row > 0
        && size.ws_col > 0
    {
        words.push(format!("winsize={}x{}", size.ws_row, size.ws_col));
    }
    let term = env::var("TERM").unwrap_or_default();
    if !term.is_empty()
        && term
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c))
    {
        words.push(format!("TERM={term}"));
    }
    words.join(" ")
}

enum Event {
    /// The escape sequence that ends QEMU by force.
    Quit,
    Signal(i32),
    LineEnded,
}

/// Runs QEMU on the terminal until the guest powers off.
pub fn session(arguments: &[String], limit: Option<Duration>) -> Result<u8> {
    let mut command = Command::new(qemu::PROGRAM);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            let kill = Some(rustix::process::Signal::KILL);
            rustix::process::set_parent_process_death_signal(kill)?;
            Ok(())
        });
    }
    let mut child = command.spawn().context("cannot start QEMU")?;
    let raw = RawMode::enter()?;
    let outcome = talk(&mut child, limit);
    // Failing means that it has ended already.
    child.kill().ok();
    let status = child.wait();
    drop(raw);
    match outcome? {
        Event::LineEnded => match status?.code() {
            Some(0) => Ok(0),
            Some(code) => bail!("QEMU ended with status {code}"),
            None => Ok(0),
        },
        Event::Quit => {
            note!("\nxtask: QEMU ended by Ctrl-] x");
            Ok(0)
        }
        Event::Signal(signal) => Ok((128 + signal) as u8),
    }
}

fn talk(child: &mut Child, limit: Option<Duration>) -> Result<Event> {
    let (send, events) = mpsc::channel();
    let mut line = child.stdout.take().context("QEMU's stdout is a pipe")?;
    let serial = child.stdin.take().context("QEMU's stdin is a pipe")?;
    thread::spawn({
        let send = send.clone();
        move || {
            let mut stdout = std::io::stdout();
            let mut buffer = [0; 4096];
            while let Ok(count) = line.read(&mut buffer) {
                let shown = count > 0
                    && stdout
                        .write_all(&buffer[..count])
                        .and_then(|()| stdout.flush())
                        .is_ok();
                if !shown {
                    break;
                }
            }
            // The receiver is gone when the session is over anyway.
            send.send(Event::LineEnded).ok();
        }
    });
    thread::spawn({
        let send = send.clone();
        move || type_in(serial, &send)
    });
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if send.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    let deadline = limit.map(|limit| Instant::now() + limit);
    let wait = deadline.map_or(Duration::MAX, |d| {
        d.saturating_duration_since(Instant::now())
    });
    let event = match events.recv_timeout(wait) {
        Ok(event) => event,
        Err(RecvTimeoutError::Timeout) => bail!("stopped after the time limit (--timeout)"),
        Err(RecvTimeoutError::Disconnected) => Event::LineEnded,
    };
    if matches!(event, Event::LineEnded) {
        // The line closes a moment before the process ends.
        for _ in 0..500 {
            if child.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(event)
}

/// Passes keys to the guest; Ctrl-] x ends QEMU, Ctrl-] Ctrl-] is one Ctrl-].
fn type_in(mut serial: impl Write, send: &Sender<Event>) {
    let mut stdin = std::io::stdin().lock();
    let mut escape = Escape::default();
    let mut buffer = [0; 1024];
    while let Ok(count) = stdin.read(&mut buffer) {
        if count == 0 {
            return;
        }
        let (bytes, quit) = escape.filter(&buffer[..count]);
        if serial
            .write_all(&bytes)
            .and_then(|()| serial.flush())
            .is_err()
        {
            return;
        }
        if quit {
            // As above: nobody left to tell.
            send.send(Event::Quit).ok();
        }
    }
}

/// Finds the escape sequence in what is typed.
#[derive(Default)]
struct Escape {
    pending: bool,
}

impl Escape {
    /// Returns what goes to the guest, and whether QEMU is to end.
    fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (self.pending, byte) {
                (true, b'x' | b'X') => return (bytes, true),
                (true, ESCAPE) => bytes.push(ESCAPE),
                (true, other) => bytes.extend([ESCAPE, other]),
                (false, ESCAPE) => {
                    self.pending = true;
                    continue;
                }
                (false, other) => bytes.push(other),
            }
            self.pending = false;
        }
        (bytes, false)
    }
}

/// The terminal in raw mode for as long as this lives.
struct RawMode {
    before: Termios,
}

impl RawMode {
    fn enter() -> Result<Self> {
        let before = termios::tcgetattr(stdio::stdin()).context("stdin is not a terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that went away.
        termios::tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_is_found_across_reads() {
        let mut escape = Escape::default();
        assert_eq!(escape.filter(b"ls\x1d"), (b"ls".to_vec(), false));
        assert_eq!(escape.filter(b"x"), (vec![], true));
    }

    #[test]
    fn other_keys_pass_unchanged() {
        let mut escape = Escape::default();
        assert_eq!(
            escape.filter(b"\x03a\x1db"),
            (b"\x03a\x1db".to_vec(), false)
        );
        assert_eq!(escape.filter(b"\x1d\x1d"), (b"\x1d".to_vec(), false));
    }
}
