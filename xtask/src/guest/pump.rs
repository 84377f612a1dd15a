//! Takes what QEMU says where it belongs. When an output blocks, so does this, then QEMU, then the guest:
//! nothing piles up on the way.

use std::{
    io::{self, ErrorKind, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
};

use super::{Output, tail::Tail};
use crate::frames::{Decoder, Message};

/// What decides a boot. Each is told at most once.
#[derive(Debug)]
pub enum Report {
    Status(i32),
    /// The kernel's words are in what was [`Said`].
    Panic,
    /// Nobody gets the rest.
    OutputLost(io::Error),
    LineEnded,
}

/// What is kept to explain a bad end.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<Texts>>);

#[derive(Default)]
struct Texts {
    log: Tail,
    panic: Option<Tail>,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Texts> {
        // Text is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log, and the words of a panic if there was one.
    pub fn texts(&self) -> (String, Option<String>) {
        let texts = self.lock();
        (texts.log.text(), texts.panic.as_ref().map(Tail::text))
    }
}

/// Reads the serial line to its end. `ready` is told, once, that the guest listens.
pub fn line(
    from: impl Read,
    output: &mut dyn Output,
    said: &Said,
    ready: &Sender<()>,
    report: impl Fn(Report),
) {
    let mut decoder = Decoder::default();
    let mut pump = Pump {
        output,
        said,
        status_told: false,
        output_lost: false,
        report: &report,
    };
    let mut listens = false;
    each_read(from, |bytes| {
        for message in decoder.feed(bytes) {
            if !listens && !matches!(message, Message::Raw(_)) {
                listens = true;
                // Whoever feeds stdin may be gone: then nobody needs to know.
                ready.send(()).ok();
            }
            pump.take(message);
        }
    });
    said.lock().log.add(decoder.rest());
    report(Report::LineEnded);
}

/// Reads QEMU's own complaints to their end.
pub fn complaints(from: impl Read, said: &Said) {
    each_read(from, |bytes| said.lock().log.add(bytes));
}

fn each_read(mut from: impl Read, mut take: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => take(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

struct Pump<'a> {
    output: &'a mut dyn Output,
    said: &'a Said,
    status_told: bool,
    output_lost: bool,
    report: &'a dyn Fn(Report),
}

impl Pump<'_> {
    fn take(&mut self, message: Message) {
        match message {
            Message::Stdout(bytes) => self.write(|output| output.stdout(&bytes)),
            Message::Stderr(bytes) => self.write(|output| output.stderr(&bytes)),
            Message::Log(bytes) | Message::Raw(bytes) => {
                self.said.lock().log.add(&bytes);
                self.output.log(&bytes);
            }
            Message::Exit(status) => {
                if !self.status_told {
                    self.status_told = true;
                    (self.report)(Report::Status(status));
                }
            }
            Message::Panic(text) => {
                let first = {
                    let mut texts = self.said.lock();
                    let first = texts.panic.is_none();
                    texts.panic.get_or_insert_default().add(&text);
                    first
                };
                if first {
                    (self.report)(Report::Panic);
                }
            }
            Message::Unknown(kind, bytes) => {
                let text = format!("[frame of unknown kind {kind}, {} bytes]\n", bytes.len());
                self.said.lock().log.add(text.as_bytes());
            }
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut dyn Output) -> io::Result<()>) {
        // What follows a loss is read on all the same: the guest may have a status to report.
        if self.output_lost {
            return;
        }
        if let Err(error) = write(self.output) {
            self.output_lost = true;
            (self.report)(Report::OutputLost(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frames::encode, guest::Captured};
    use std::{cell::RefCell, sync::mpsc};

    fn pump(bytes: &[u8]) -> (Captured, Said, Vec<String>, usize) {
        let (mut output, said) = (Captured::default(), Said::default());
        let (ready, readies) = mpsc::channel();
        let reports = RefCell::new(Vec::new());
        line(bytes, &mut output, &said, &ready, |report| {
            reports.borrow_mut().push(format!("{report:?}"));
        });
        drop(ready);
        (output, said, reports.into_inner(), readies.iter().count())
    }

    #[test]
    fn a_panic_is_told_line_by_line_and_reported_once() {
        let bytes = [
            encode(4, &0i32.to_le_bytes()),
            encode(5, b"kernel panic: x\n"),
            encode(5, b"backtrace:\n"),
            encode(4, &1i32.to_le_bytes()),
        ];
        let (_, said, reports, _) = pump(&bytes.concat());
        let panic = said.texts().1.unwrap();
        assert_eq!(panic, "kernel panic: x\nbacktrace:\n");
        assert_eq!(reports, ["Status(0)", "Panic", "LineEnded"]);
    }

    #[test]
    fn the_guest_listens_from_its_first_frame_on() {
        let bytes = [b"early\n".to_vec(), encode(3, b""), encode(1, b"out")].concat();
        let (output, said, _, readies) = pump(&bytes);
        assert_eq!((output.stdout.as_slice(), readies), (&b"out"[..], 1));
        assert_eq!(said.texts(), ("early\n".into(), None));
        assert_eq!(pump(b"text only").3, 0);
    }

    #[test]
    fn a_frame_that_is_cut_is_in_the_log() {
        let (_, said, ..) = pump(&encode(1, b"text")[..6]);
        assert!(said.texts().0.ends_with("te"));
    }
}
