//! An interactive session: the host's terminal in raw mode, its bytes passed to the guest's console.

use std::{
    env,
    ffi::c_int,
    io::{self, ErrorKind, Read, Write},
    process::Stdio,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    stdio,
    termios::{self, OptionalActions, Termios},
};

use crate::{
    deadline::Deadline,
    emulator::{self, Emulator},
    failure::Failure,
    frames::Farewell,
    guest::End,
    signals,
};

/// How long QEMU may take to end once its serial line has.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Ctrl-]: telnet's escape, which no line editor uses.
const ESCAPE: u8 = 0x1d;

/// Has the kernel end a terminal's text with the status of the program in init's place.
pub const WITH_STATUS: &str = "status=framed";

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
    Signal(c_int),
    OutputLost(io::Error),
    /// With the status that stood at its end.
    LineEnded(Option<i32>),
}

/// Runs QEMU on the terminal until the guest powers off.
pub fn session(arguments: Vec<String>, limit: Option<Duration>) -> Result<End> {
    let (send, events) = mpsc::channel();
    // Before there is anything to end, or a terminal to put in order. In every thread: the receiver is gone when the
    // session is over anyway.
    let _listening = signals::listen({
        let send = send.clone();
        move |signal| {
            send.send(Event::Signal(signal)).ok();
        }
    })?;
    let (piped, shown) = (Stdio::piped, Stdio::inherit());
    let mut qemu = Emulator::start(arguments, piped(), piped(), shown)?;
    let raw = RawMode::enter()?;
    let outcome = talk(&mut qemu, send, &events, limit);
    // The line closes a moment before the process ends.
    let status = match outcome {
        Ok(Some(Event::LineEnded(_))) => qemu.end_within(END_LIMIT),
        _ => None,
    };
    qemu.kill();
    drop(raw);
    match outcome? {
        None => Ok(End::TimedOut(limit.unwrap_or_default())),
        Some(Event::Quit) => {
            note!("\nxtask: QEMU ended by Ctrl-] x");
            Ok(End::Exit(0))
        }
        Some(Event::Signal(signal)) => Err(Failure::Interrupted(signal).into()),
        Some(Event::OutputLost(error)) => Err(error).context("cannot write to the terminal"),
        Some(Event::LineEnded(reported)) => Ok(match status.map(emulator::complaint) {
            Some(None) => End::Exit(reported.unwrap_or(0)),
            Some(Some(why)) => End::Died(why),
            None => End::Died("QEMU closed the serial line and did not end".into()),
        }),
    }
}

/// What ended the session; `None` is the time limit.
fn talk(
    qemu: &mut Emulator,
    send: Sender<Event>,
    events: &Receiver<Event>,
    limit: Option<Duration>,
) -> Result<Option<Event>> {
    let deadline = Deadline::from(limit);
    let line = qemu.child.stdout.take().context("stdout is a pipe")?;
    let serial = qemu.child.stdin.take().context("stdin is a pipe")?;
    thread::spawn({
        let send = send.clone();
        move || send.send(show(line)).ok()
    });
    thread::spawn(move || type_in(serial, &send));
    match events.recv_timeout(deadline.left()) {
        Ok(event) => Ok(Some(event)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Ok(Some(Event::LineEnded(None))),
    }
}

/// Passes what the guest says to the terminal, to the end of either.
fn show(mut line: impl Read) -> Event {
    let mut stdout = io::stdout();
    let mut write = |bytes: &[u8]| stdout.write_all(bytes).and_then(|()| stdout.flush());
    let mut farewell = Farewell::default();
    let mut buffer = [0; 4096];
    loop {
        let count = match line.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if let Err(error) = write(&farewell.feed(&buffer[..count])) {
            return Event::OutputLost(error);
        }
    }
    match farewell.end() {
        Ok(status) => Event::LineEnded(Some(status)),
        Err(text) => match write(&text) {
            Ok(()) => Event::LineEnded(None),
            Err(error) => Event::OutputLost(error),
        },
    }
}

/// Passes keys to the guest; Ctrl-] x ends QEMU, Ctrl-] Ctrl-] is one Ctrl-].
fn type_in(mut serial: impl Write, send: &Sender<Event>) {
    let mut stdin = io::stdin().lock();
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
