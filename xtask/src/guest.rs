//! One boot of the image, seen from the host: what goes in, what comes out, how it ended.
//!
//! Threads do the blocking reads and send events; one loop decides, with a deadline on every wait.
//! Whatever happens, QEMU is dead and reaped when this returns.

use std::{
    ffi::c_int,
    io::{ErrorKind, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    frames::{self, Decoder, Message},
    process, qemu,
};

/// How much of the guest's log is kept to explain a bad end.
const LOG_KEPT: usize = 64 << 10;
/// How long a guest may take to power off once it has reported its status.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for the guest's first frame before sending stdin regardless.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of stdin in one frame. Small enough that the guest's ring takes a few.
const CHUNK: usize = 16 << 10;

/// Where the guest's stdin comes from.
pub enum Input {
    /// The host's own.
    Host,
    Bytes(Vec<u8>),
    /// Nothing, not even its end: no interrupt that a measure would count.
    Silence,
}

/// Where the guest's output goes while it runs.
pub trait Output {
    /// Errors end the guest: a reader that went away wants no more.
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    fn stderr(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    fn log(&mut self, bytes: &[u8]);
}

/// Keeps everything in memory.
#[derive(Default)]
pub struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output for Captured {
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stdout.extend(bytes);
        Ok(())
    }
    fn stderr(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stderr.extend(bytes);
        Ok(())
    }
    fn log(&mut self, _: &[u8]) {}
}

/// How a boot ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The command's status as a shell reports it.
    Exit(i32),
    /// The kernel panicked; its own words.
    Panic(String),
    /// QEMU ended before the guest had reported a status.
    Died(String),
    TimedOut(Duration),
    /// xtask was told to stop.
    Signal(c_int),
    /// Whoever reads the output went away.
    OutputClosed,
}

pub struct Boot {
    pub end: End,
    /// The last of what the kernel and QEMU had to say.
    pub log: String,
}

/// The end that two reports come to: a panic, told line by line, says more than a status before it.
fn conclude(before: Option<End>, next: End) -> End {
    match (before, next) {
        (Some(End::Panic(text)), End::Panic(more)) => End::Panic(text + &more),
        (None, next) | (Some(_), next @ End::Panic(_)) => next,
        (Some(before), _) => before,
    }
}

enum Event {
    Line(Vec<u8>),
    LineEnded,
    Signal(c_int),
}

/// Boots QEMU with `arguments` and runs it to its end.
pub fn boot(
    arguments: &[String],
    input: Input,
    output: &mut dyn Output,
    limit: Option<Duration>,
) -> Result<Boot> {
    let start = Instant::now();
    let mut guest = Guest::start(arguments)?;
    let (send, events) = mpsc::channel();
    let line = guest
        .child
        .stdout
        .take()
        .context("QEMU's stdout is a pipe")?;
    let complaints = guest
        .child
        .stderr
        .take()
        .context("QEMU's stderr is a pipe")?;
    let serial = guest.child.stdin.take().context("QEMU's stdin is a pipe")?;
    thread::spawn({
        let send = send.clone();
        move || forward_line(line, &send)
    });
    let (complain, complained) = mpsc::channel();
    thread::spawn(move || forward_complaints(complaints, &complain));
    let (ready, wait_ready) = mpsc::channel();
    thread::spawn(move || feed(input, serial, &wait_ready));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let signals_handle = signals.handle();
    thread::spawn(move || {
        for signal in signals.forever() {
            if send.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });

    let mut session = Session {
        decoder: Decoder::default(),
        output,
        log: Tail::default(),
        ready,
    };
    let end = session.follow(&events, start, limit);
    signals_handle.close();
    let status = guest.stop(matches!(end, Some(End::Exit(_) | End::Panic(_)) | None));
    while let Ok(text) = complained.recv_timeout(Duration::from_millis(200)) {
        session.log.add(&text);
    }
    Ok(Boot {
        end: end.unwrap_or_else(|| End::Died(died(status))),
        log: session.log.text(),
    })
}

fn died(status: Option<ExitStatus>) -> String {
    match status {
        Some(status) => match (status.code(), status.signal()) {
            (Some(0), _) => "the guest powered off without reporting a status".into(),
            (Some(code), _) => format!("QEMU ended with status {code}"),
            (None, Some(signal)) => format!("QEMU was killed by signal {signal}"),
            (None, None) => format!("QEMU ended: {status}"),
        },
        None => "QEMU closed the serial line and did not end".into(),
    }
}

/// What has been understood of the guest so far.
struct Session<'a> {
    decoder: Decoder,
    output: &'a mut dyn Output,
    log: Tail,
    ready: Sender<()>,
}

impl Session<'_> {
    /// Handles events until the guest's fate is known; `None` means that its line just ended.
    fn follow(
        &mut self,
        events: &Receiver<Event>,
        start: Instant,
        limit: Option<Duration>,
    ) -> Option<End> {
        let mut deadline = limit.map(|limit| start + limit);
        let mut end = None;
        loop {
            let wait = deadline.map_or(Duration::MAX, |d| {
                d.saturating_duration_since(Instant::now())
            });
            match events.recv_timeout(wait) {
                Ok(Event::Line(bytes)) => {
                    for message in self.decoder.feed(&bytes) {
                        if let Some(reached) = self.take(message) {
                            end = Some(conclude(end, reached));
                            deadline = Some(Instant::now() + POWER_OFF_LIMIT);
                        }
                    }
                    if end == Some(End::OutputClosed) {
                        return end;
                    }
                }
                Ok(Event::Signal(signal)) => return Some(End::Signal(signal)),
                Err(RecvTimeoutError::Timeout) if end.is_some() => return end,
                Err(RecvTimeoutError::Timeout) => return limit.map(End::TimedOut),
                Ok(Event::LineEnded) | Err(RecvTimeoutError::Disconnected) => {
                    self.log.add(self.decoder.rest());
                    return end;
                }
            }
        }
    }

    fn take(&mut self, message: Message) -> Option<End> {
        if !matches!(message, Message::Raw(_)) {
            // A failed send means that stdin is on its way already.
            self.ready.send(()).ok();
        }
        match message {
            Message::Stdout(bytes) => self.output.stdout(&bytes).err().map(|_| End::OutputClosed),
            Message::Stderr(bytes) => self.output.stderr(&bytes).err().map(|_| End::OutputClosed),
            Message::Log(bytes) | Message::Raw(bytes) => {
                self.log.add(&bytes);
                self.output.log(&bytes);
                None
            }
            Message::Exit(status) => Some(End::Exit(status)),
            Message::Panic(text) => Some(End::Panic(String::from_utf8_lossy(&text).into_owned())),
            Message::Unknown(kind, bytes) => {
                let text = format!("[frame of unknown kind {kind}, {} bytes]\n", bytes.len());
                self.log.add(text.as_bytes());
                None
            }
        }
    }
}

/// QEMU itself. Dropping it kills it.
struct Guest {
    child: Child,
}

impl Guest {
    fn start(arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(qemu::PROGRAM);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for xtask, which then ends QEMU in order.
            .process_group(0);
        // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // If xtask is killed outright, the kernel ends QEMU.
                let kill = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(kill)?;
                Ok(())
            });
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", process::describe(&command)))?;
        Ok(Self { child })
    }

    /// Ends QEMU; `in_order` gives it a moment to end by itself.
    fn stop(&mut self, in_order: bool) -> Option<ExitStatus> {
        let deadline = Instant::now()
            + if in_order {
                POWER_OFF_LIMIT
            } else {
                Duration::ZERO
            };
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
                _ => break,
            }
        }
        // Failing means that it has ended just now.
        self.child.kill().ok();
        self.child.wait().ok();
        None
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop(false);
    }
}

/// The last bytes of a text.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        if self.bytes.len() > 2 * LOG_KEPT {
            self.bytes.drain(..self.bytes.len() - LOG_KEPT);
        }
    }

    fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(LOG_KEPT);
        String::from_utf8_lossy(&self.bytes[from..]).replace('\r', "")
    }
}

fn forward_line(mut line: impl Read, send: &Sender<Event>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match line.read(&mut buffer) {
            Ok(count) if count > 0 => {
                if send.send(Event::Line(buffer[..count].into())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The receiver may have stopped listening: then nobody needs to know.
            _ => return send.send(Event::LineEnded).unwrap_or(()),
        }
    }
}

fn forward_complaints(mut from: impl Read, to: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.send(buffer[..count].into()).is_err() {
            return;
        }
    }
}

/// Sends stdin to the guest in frames, with its end of file. Ends when the line does.
fn feed(input: Input, mut serial: ChildStdin, ready: &Receiver<()>) {
    // Bytes that arrive before the guest has set up its UART would be lost.
    if ready.recv_timeout(READY_LIMIT) == Err(RecvTimeoutError::Disconnected) {
        return;
    }
    let fed = match input {
        Input::Host => feed_from(std::io::stdin().lock(), &mut serial),
        Input::Bytes(bytes) => feed_from(&bytes[..], &mut serial),
        Input::Silence => Ok(()),
    };
    // Kept open until the guest is gone: QEMU would see the line hang up.
    if fed.is_ok() {
        while ready.recv().is_ok() {}
    }
}

fn feed_from(mut input: impl Read, serial: &mut ChildStdin) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                serial.write_all(&frames::encode(frames::TO_GUEST_STDIN, &buffer[..count]))?;
                serial.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A closed or unreadable stdin is an empty one.
            Err(_) => break,
        }
    }
    serial.write_all(&frames::encode(frames::TO_GUEST_EOF, &[]))?;
    serial.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_line_by_line() {
        let panic = |text: &str| End::Panic(text.into());
        let end = conclude(Some(End::Exit(0)), panic("kernel panic: x\n"));
        let end = conclude(Some(end), panic("backtrace:\n"));
        let end = conclude(Some(end), End::Exit(1));
        assert_eq!(end, panic("kernel panic: x\nbacktrace:\n"));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.add(format!("{number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.ends_with("99999\n") && text.len() <= LOG_KEPT);
    }

    #[test]
    fn the_status_is_explained() {
        assert!(died(Some(ExitStatus::from_raw(101 << 8))).contains("101"));
        assert!(died(Some(ExitStatus::from_raw(9))).contains("signal 9"));
        assert!(died(Some(ExitStatus::from_raw(0))).contains("without reporting"));
    }
}
