//! The host's side of a command: its standard streams and its exit status, in frames on the serial line.

use super::frame::{self, FromHost, MAX_PAYLOAD, Parser, ToHost};
use super::uart::{self, Unfinished};
use crate::base::{Errno, Result, SpinLock};
use crate::process::wait::WaitQueue;
use crate::process::{current, scheduler};
use crate::user::Buffer;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of standard input held for readers; when full, the host waits.
const RING: usize = 64 * 1024;
/// Most payload taken from a writer at a time.
const FRAME_MAX: usize = 16 * 1024;

struct Stdin {
    parser: Parser,
    ring: VecDeque<u8>,
    end: bool,
}

struct Link {
    /// Order: taken inside the UART's receive lock; takes nothing inside.
    stdin: SpinLock<Stdin>,
    readable: spin::LazyLock<Arc<WaitQueue>>,
}

static LINK: Link = Link {
    stdin: SpinLock::new(Stdin {
        parser: Parser::new(),
        ring: VecDeque::new(),
        end: false,
    }),
    readable: spin::LazyLock::new(|| Arc::new(WaitQueue::new())),
};

impl uart::Receiver for Link {
    fn room(&self) -> usize {
        // Each byte of the line is at most one byte of payload.
        RING - self.stdin.lock().ring.len()
    }

    fn receive(&self, bytes: &[u8]) {
        let mut news = false;
        {
            let mut stdin = self.stdin.lock();
            let Stdin { parser, ring, end } = &mut *stdin;
            parser.feed(bytes, |kind, payload| {
                news = true;
                match kind {
                    FromHost::Stdin => ring.extend(payload),
                    FromHost::StdinEnd => *end = true,
                }
            });
        }
        if news {
            self.readable.wake_all();
        }
    }
}

/// Starts taking frames from the host.
pub(super) fn listen() {
    LINK.stdin.lock().ring.reserve_exact(RING);
    uart::set_receiver(&LINK);
}

/// Sends one frame; `payload` is at most [`MAX_PAYLOAD`] long.
pub fn send(kind: ToHost, payload: &[u8]) {
    uart::send(&[&frame::header(kind, payload.len()), payload]);
}

/// As [`send`], from a kernel that is going down.
pub(super) fn send_broken(kind: ToHost, payload: &[u8]) {
    uart::send_broken(
        &[&frame::header(kind, payload.len()), payload],
        Unfinished::Pad,
    );
}

/// What a reader of `/dev/hostin` does when there is nothing yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WhenEmpty {
    Wait,
    Refuse,
}

/// Reads standard input of the host's command. 0 at its end.
pub fn read(buf: &mut Buffer<'_>, when_empty: WhenEmpty) -> Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let mut attempt = || {
        let mut stdin = LINK.stdin.lock();
        if stdin.ring.is_empty() {
            return stdin.end.then_some(Ok(0));
        }
        Some(buf.put_front(&mut stdin.ring))
    };
    let outcome = match when_empty {
        WhenEmpty::Wait => LINK.readable.wait(None, attempt)?,
        WhenEmpty::Refuse => attempt().ok_or(Errno::EAGAIN)?,
    };
    uart::resume();
    outcome
}

/// Whether a read would return at once.
pub fn is_readable() -> bool {
    let stdin = LINK.stdin.lock();
    stdin.end || !stdin.ring.is_empty()
}

/// Bytes that a read would give now.
pub fn readable_bytes() -> usize {
    LINK.stdin.lock().ring.len()
}

/// The queue that is woken when standard input becomes readable.
pub fn read_queue() -> &'static Arc<WaitQueue> {
    &LINK.readable
}

/// Sends what `buf` holds as frames of `kind`.
pub fn write(kind: ToHost, buf: &mut Buffer<'_>) -> Result<usize> {
    const { assert!(FRAME_MAX <= MAX_PAYLOAD) };
    let mut small = [0u8; 256];
    let mut large = Vec::new();
    let piece: &mut [u8] = if buf.len() <= small.len() {
        &mut small
    } else {
        let n = buf.len().min(FRAME_MAX);
        large.try_reserve_exact(n).map_err(|_| Errno::ENOMEM)?;
        large.resize(n, 0);
        &mut large
    };
    let mut done = 0;
    while !buf.is_empty() {
        // Not under the transmitter's lock: a page fault on the program's memory may want to log.
        match buf.take(piece) {
            Ok(n) => {
                send(kind, &piece[..n]);
                done += n;
                if !buf.is_empty() {
                    // The line is slow: whoever writes much is not to hold up all others, nor its own end.
                    scheduler::give_way();
                    if current().signal_pending() {
                        break;
                    }
                }
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Tells the host which status its command ends with.
pub fn report_exit(status: i32) {
    send(ToHost::Exit, &status.to_le_bytes());
}
