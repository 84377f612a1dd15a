//! One boot of the image, seen from the host: what goes in, what comes out, how it ended.
//!
//! Threads do the reads and writes that may block and tell one loop what is decisive; it has a deadline on
//! every wait and never blocks otherwise. Whatever happens, QEMU is dead and reaped when this returns.

mod pump;
mod stdin;
mod tail;

use std::{
    ffi::c_int,
    io,
    process::Stdio,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    deadline::Deadline,
    emulator::{self, Call, Emulator},
    failure::Failure,
    signals,
};
use pump::Report;
pub use pump::{Said, complaints};

/// How long a guest may take to power off once it has reported its status.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(30);
/// How long threads may take to notice that QEMU is gone.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How a boot died that ended in order.
pub const WITHOUT_STATUS: &str = "the guest powered off without reporting a status";

/// Where the guest's stdin comes from.
pub enum Input {
    /// The host's own.
    Host,
    Bytes(Vec<u8>),
    /// Nothing, not even its end: no interrupt that a measure would count.
    Silence,
}

/// Where the guest's output goes while it runs.
pub trait Output: Send + 'static {
    /// Errors end the guest: nobody would see the rest.
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn log(&mut self, bytes: &[u8]);
}

/// Keeps everything in memory.
#[derive(Default)]
pub struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output for Captured {
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.extend(bytes);
        Ok(())
    }
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stderr.extend(bytes);
        Ok(())
    }
    fn log(&mut self, _: &[u8]) {}
}

/// How a boot ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The command's status as a shell reports it; the machine was switched off after it.
    Exit(i32),
    /// The kernel panicked; its own words.
    Panic(String),
    /// QEMU did not end in order.
    Died(String),
    TimedOut(Duration),
}

#[derive(Debug)]
pub struct Boot {
    pub end: End,
    /// The last of what the kernel and QEMU had to say.
    pub log: String,
}

/// Boots QEMU and runs it to its end; the output may block for as long as it likes. That xtask was told to stop, or that
/// nobody reads, is an error.
pub fn boot(
    call: impl Into<Call>,
    input: Input,
    output: impl Output,
    limit: Option<Duration>,
) -> Result<Boot> {
    Ok(run(call.into(), input, output, limit)?.0)
}

/// The same for an output that never blocks, which comes back.
pub fn boot_into<O: Output>(
    call: impl Into<Call>,
    input: Input,
    output: O,
    limit: Duration,
) -> Result<(Boot, O)> {
    let (boot, finished) = run(call.into(), input, output, Some(limit))?;
    let output = finished
        .recv_timeout(DRAIN_LIMIT)
        .context("QEMU is gone and its serial line is not")?;
    Ok((boot, output))
}

/// The same into memory, with nothing on stdin.
pub fn capture(call: impl Into<Call>, limit: Duration) -> Result<(Boot, Captured)> {
    let nothing = Input::Bytes(Vec::new());
    boot_into(call, nothing, Captured::default(), limit)
}

enum Event {
    Guest(Report),
    Signal(c_int),
}

fn run<O: Output>(
    call: Call,
    input: Input,
    mut output: O,
    limit: Option<Duration>,
) -> Result<(Boot, Receiver<O>)> {
    let deadline = Deadline::from(limit);
    let (send, events) = mpsc::channel();
    // Before there is anything to end.
    let _listening = signals::listen({
        let send = send.clone();
        move |signal| {
            // The loop has ended: too late to matter.
            send.send(Event::Signal(signal)).ok();
        }
    })?;
    let mut qemu = Emulator::start(call, Stdio::piped(), Stdio::piped(), Stdio::piped())?;
    let line = qemu.child.stdout.take().context("stdout is a pipe")?;
    let complaints = qemu.child.stderr.take().context("stderr is a pipe")?;
    let serial = qemu.child.stdin.take().context("stdin is a pipe")?;

    let said = pump::Said::default();
    let (ready, wait_ready) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    thread::spawn({
        let said = said.clone();
        move || {
            // As above, for all that is sent here.
            pump::line(line, &mut output, &said, &ready, |report| {
                send.send(Event::Guest(report)).ok();
            });
            finish.send(output).ok();
        }
    });
    let (complained, complaints_end) = mpsc::channel::<()>();
    thread::spawn({
        let said = said.clone();
        move || {
            pump::complaints(complaints, &said);
            drop(complained);
        }
    });
    thread::spawn(move || stdin::feed(input, serial, &wait_ready));

    let fate = follow(&events, deadline, POWER_OFF_LIMIT)?;
    let status = match fate {
        Fate::LineEnded { .. } => qemu.end_within(POWER_OFF_LIMIT),
        Fate::TimedOut | Fate::StillOn { .. } => None,
    };
    qemu.kill();
    // It ends by disconnecting.
    complaints_end.recv_timeout(DRAIN_LIMIT).ok();
    let (log, panic) = said.texts();
    let end = match (panic, fate) {
        (Some(text), _) => End::Panic(text),
        (None, Fate::TimedOut) => End::TimedOut(limit.unwrap_or_default()),
        (None, Fate::StillOn { status }) => End::Died(still_on(status)),
        (None, Fate::LineEnded { reported }) => ended(reported, status.map(emulator::complaint)),
    };
    Ok((Boot { end, log }, finished))
}

/// Why there is nothing more to wait for.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The serial line did, and with it the machine.
    LineEnded {
        reported: Option<i32>,
    },
    /// Everything was said, and the machine was not switched off.
    StillOn {
        status: Option<i32>,
    },
    TimedOut,
}

/// `grace` is for the guest to power off in.
fn follow(events: &Receiver<Event>, mut deadline: Deadline, grace: Duration) -> Result<Fate> {
    let mut reported = None;
    let mut last_words = false;
    loop {
        match events.recv_timeout(deadline.left()) {
            Ok(Event::Guest(Report::Status(status))) => {
                reported = Some(status);
                last_words = true;
                deadline = Deadline::after(grace);
            }
            Ok(Event::Guest(Report::Panic)) => {
                last_words = true;
                deadline = Deadline::after(grace);
            }
            // What nobody wants after the end is no loss.
            Ok(Event::Guest(Report::OutputLost(_))) if last_words => {}
            Ok(Event::Guest(Report::OutputLost(error))) => return Err(lost(error)),
            Ok(Event::Signal(signal)) => return Err(Failure::Interrupted(signal).into()),
            Ok(Event::Guest(Report::LineEnded)) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(Fate::LineEnded { reported });
            }
            Err(RecvTimeoutError::Timeout) if last_words => {
                return Ok(Fate::StillOn { status: reported });
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Fate::TimedOut),
        }
    }
}

fn lost(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write the guest's output"),
    }
}

fn still_on(status: Option<i32>) -> String {
    let said = status.map_or("panicked".into(), |status| {
        format!("reported status {status}")
    });
    let seconds = POWER_OFF_LIMIT.as_secs();
    format!("the guest {said} and was still on {seconds} s later")
}

/// `complaint` is QEMU's end: `None` where it did not end, `Some(None)` where it ended in order.
fn ended(reported: Option<i32>, complaint: Option<Option<String>>) -> End {
    match (reported, complaint) {
        (Some(status), Some(None)) => End::Exit(status),
        (None, Some(None)) => End::Died(WITHOUT_STATUS.into()),
        (None, Some(Some(why))) => End::Died(why),
        (Some(status), Some(Some(why))) => {
            End::Died(format!("the guest reported status {status}, but {why}"))
        }
        (_, None) => End::Died("QEMU closed the serial line and did not end".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate_of(events: impl IntoIterator<Item = Event>, limit: Duration) -> Result<Fate> {
        let (send, receive) = mpsc::channel();
        for event in events {
            send.send(event).unwrap();
        }
        // The sender lives: silence is no end.
        follow(&receive, Deadline::after(limit), Duration::ZERO)
    }

    #[test]
    fn a_guest_that_says_nothing_more_has_no_status() {
        assert_eq!(fate_of([], Duration::ZERO).unwrap(), Fate::TimedOut);
        let ended = [
            Event::Guest(Report::Status(3)),
            Event::Guest(Report::LineEnded),
        ];
        let fate = Fate::LineEnded { reported: Some(3) };
        assert_eq!(fate_of(ended, Duration::MAX).unwrap(), fate);
    }

    #[test]
    fn a_guest_that_does_not_power_off_is_no_success() {
        let reported = fate_of([Event::Guest(Report::Status(0))], Duration::MAX).unwrap();
        assert_eq!(reported, Fate::StillOn { status: Some(0) });
        assert!(still_on(Some(0)).contains("status 0 and was still on"));
    }

    #[test]
    fn a_status_counts_only_when_the_machine_ended_in_order() {
        assert_eq!(ended(Some(0), Some(None)), End::Exit(0));
        let died = |end| matches!(end, End::Died(_));
        assert!(died(ended(Some(0), None)));
        assert!(died(ended(Some(0), Some(Some("killed".into())))));
        assert!(died(ended(None, Some(None))));
    }

    #[test]
    fn a_lost_reader_is_told_from_a_full_disk() {
        let lose = |error: io::Error| {
            let event = Event::Guest(Report::OutputLost(error));
            fate_of([event], Duration::MAX).unwrap_err()
        };
        let closed = lose(io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.downcast_ref(), Some(&Failure::OutputClosed));
        let full = lose(io::ErrorKind::StorageFull.into());
        assert_eq!(full.downcast_ref::<Failure>(), None);
        let late = [
            Event::Guest(Report::Status(0)),
            Event::Guest(Report::OutputLost(io::ErrorKind::BrokenPipe.into())),
            Event::Guest(Report::LineEnded),
        ];
        assert!(fate_of(late, Duration::MAX).is_ok());
    }

    #[test]
    fn a_signal_is_an_interruption() {
        let error = fate_of([Event::Signal(15)], Duration::MAX).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Failure::Interrupted(15)));
    }
}
