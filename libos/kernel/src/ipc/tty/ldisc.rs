//! The line discipline: what a terminal makes of the bytes that are typed (POSIX 11.1 "Interface Characteristics",
//! termios(3); where they leave room, as Linux's N_TTY behaves). Pure: bytes in, echo and outcome out.

use super::edit::Erase;
use super::output::Output;
use super::shown::Shown;
use super::termios::*;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes of input kept; a line being edited holds one less than this before its end.
pub const INPUT_MAX: usize = 4096;
/// No more is received at a time once there is this much echo, so that it can be sent in between.
const ECHO_ENOUGH: usize = 1024;

/// A signal that a typed character asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TtySignal {
    Interrupt,
    Quit,
    Suspend,
}

/// What the terminal has to do after bytes were received.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// To be sent to the foreground process group, in order.
    pub signals: Vec<TtySignal>,
    /// What was typed and not read is gone, and output that is still queued is to be thrown away.
    pub flushed: bool,
}

/// A line that has its end.
struct Line {
    /// Bytes of it that are not read, its end included.
    len: usize,
    /// The end is an end of file, which nobody reads.
    eof: bool,
}

impl Line {
    /// Bytes that can be read.
    fn text(&self) -> usize {
        self.len - self.eof as usize
    }
}

/// What holds output back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Runs,
    /// `VSTOP` was typed.
    Stopped,
    /// A program wants it (`TCOOFF`), and nobody else starts it again.
    Held,
}

/// The state of one terminal's input.
pub struct LineDiscipline {
    pub(super) termios: Termios,
    pub(super) output: Output,
    /// What readers may have. The end of a file lies here as a zero.
    ready: VecDeque<u8>,
    /// Canonical mode: the lines in `ready`.
    lines: VecDeque<Line>,
    /// Canonical mode: the line being edited.
    pub(super) line: Vec<u8>,
    /// The next character is taken as it is (`VLNEXT`).
    literal: bool,
    /// Erased characters are being shown (`ECHOPRT`).
    pub(super) erasing: bool,
    flow: Flow,
    /// The last change of `flow`, if nobody has asked yet: whether output stopped.
    flow_change: Option<bool>,
}

impl LineDiscipline {
    pub fn new(termios: Termios) -> Self {
        LineDiscipline {
            termios,
            output: Output::default(),
            ready: VecDeque::new(),
            lines: VecDeque::new(),
            line: Vec::new(),
            literal: false,
            erasing: false,
            flow: Flow::Runs,
            flow_change: None,
        }
    }

    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. Input that is there stays: leaving canonical mode makes the unfinished line readable,
    /// entering it makes what is there one line.
    pub fn set_termios(&mut self, new: Termios) {
        let (was_canonical, had_flow) = (self.is_canonical(), self.termios.i(IXON));
        self.termios = new;
        if was_canonical != self.is_canonical() {
            (self.literal, self.erasing) = (false, false);
            self.lines.clear();
            if self.ready.try_reserve(self.line.len()).is_ok() {
                self.ready.extend(self.line.drain(..));
            }
            self.line.clear();
            if !was_canonical && !self.ready.is_empty() {
                self.lines.push_back(Line {
                    len: self.ready.len(),
                    eof: false,
                });
            }
        }
        if had_flow && !new.i(IXON) {
            self.start();
        }
    }

    pub fn is_canonical(&self) -> bool {
        self.termios.l(ICANON)
    }

    /// Whether output is held back.
    pub fn is_stopped(&self) -> bool {
        self.flow != Flow::Runs
    }

    /// What a program wants (`TCOOFF`, `TCOON`). The latter does not undo what was typed.
    pub fn hold(&mut self, hold: bool) {
        if hold {
            self.stop();
            self.flow = Flow::Held;
        } else if self.flow == Flow::Held {
            self.flow = Flow::Stopped;
            self.start();
        }
    }

    /// Whether output has stopped or started again since the last call, and which came last.
    pub fn take_flow_change(&mut self) -> Option<bool> {
        self.flow_change.take()
    }

    fn stop(&mut self) {
        if self.flow == Flow::Runs {
            self.flow = Flow::Stopped;
            self.flow_change = Some(true);
        }
    }

    fn start(&mut self) {
        if self.flow == Flow::Stopped {
            self.flow = Flow::Runs;
            self.flow_change = Some(false);
        }
    }

    /// Appends a program's output to `out`, processed.
    pub fn process_output(&mut self, bytes: &[u8], out: &mut Shown) {
        self.output.process(&self.termios, bytes, out);
    }

    /// Bytes that may be received before some would be lost. A line that is too long loses its own tail instead, so
    /// that its end can still be typed.
    pub fn room(&self) -> usize {
        if self.is_canonical() && self.lines.is_empty() {
            INPUT_MAX
        } else {
            (INPUT_MAX - 1).saturating_sub(self.ready.len() + self.line.len())
        }
    }

    /// Throws all input away.
    pub fn flush_input(&mut self) {
        self.ready.clear();
        self.lines.clear();
        self.line.clear();
        self.erasing = false;
    }

    /// Whether a read finds something. In raw mode, poll(2) waits for `VMIN` bytes when no timer runs: `at_least`.
    pub fn has_input(&self, at_least: usize) -> bool {
        if self.is_canonical() {
            !self.lines.is_empty()
        } else {
            self.ready.len() >= at_least.max(1)
        }
    }

    /// Bytes that reads would give (FIONREAD).
    pub fn input_len(&self) -> usize {
        if self.is_canonical() {
            self.lines.iter().map(Line::text).sum()
        } else {
            self.ready.len()
        }
    }

    /// The bytes that one read gives, in two pieces: at most one line in canonical mode. Both empty there means end of file,
    /// if [`has_input`](Self::has_input).
    pub fn readable(&self) -> (&[u8], &[u8]) {
        let (front, back) = self.ready.as_slices();
        let n = if self.is_canonical() {
            self.lines.front().map_or(0, Line::text)
        } else {
            self.ready.len()
        };
        let first = n.min(front.len());
        (&front[..first], &back[..n - first])
    }

    /// Takes the first `n` bytes of [`readable`](Self::readable) off, and with the last of them the line.
    pub fn consume(&mut self, mut n: usize) {
        if let Some(line) = self.lines.front_mut() {
            if n == line.text() {
                n = line.len;
                self.lines.pop_front();
            } else {
                line.len -= n;
            }
        }
        self.ready.drain(..n);
    }

    /// Takes typed bytes, and says how many: all, unless there is much to show of them. That is appended to `echo`, ready
    /// to be sent.
    pub fn receive(&mut self, bytes: &[u8], echo: &mut Shown) -> (Outcome, usize) {
        let mut outcome = Outcome::default();
        for (index, &c) in bytes.iter().enumerate() {
            if echo.len() >= ECHO_ENOUGH {
                return (outcome, index);
            }
            self.receive_one(c, echo, &mut outcome);
        }
        (outcome, bytes.len())
    }

    fn receive_one(&mut self, mut c: u8, echo: &mut Shown, outcome: &mut Outcome) {
        let t = self.termios;
        if t.i(ISTRIP) {
            c &= 0x7f;
        }
        if t.i(IUCLC) && t.l(IEXTEN) {
            c = c.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            self.start_by_any();
            return self.ordinary(c, echo);
        }
        if t.i(IXON) {
            if t.is(VSTART, c) {
                return self.start();
            }
            if t.is(VSTOP, c) {
                return self.stop();
            }
        }
        if t.l(ISIG) {
            let signals = [
                (VINTR, TtySignal::Interrupt),
                (VQUIT, TtySignal::Quit),
                (VSUSP, TtySignal::Suspend),
            ];
            if let Some((_, signal)) = signals.into_iter().find(|(index, _)| t.is(*index, c)) {
                return self.signal(signal, c, echo, outcome);
            }
        }
        self.start_by_any();
        match c {
            b'\r' if t.i(IGNCR) => return,
            b'\r' if t.i(ICRNL) => c = b'\n',
            b'\n' if t.i(INLCR) => c = b'\r',
            // Only one that has been looked at stands for itself on the screen too.
            b'\n' if !t.l(ICANON) => return self.ordinary(c, echo),
            _ => {}
        }
        if t.l(ICANON) && self.canonical(c, echo) {
            return;
        }
        if c == b'\n' {
            if t.l(ECHO) {
                self.finish_erasing(echo);
                self.raw(c, echo);
            }
            self.take(c);
        } else {
            self.ordinary(c, echo);
        }
    }

    fn start_by_any(&mut self) {
        if self.termios.i(IXON) && self.termios.i(IXANY) {
            self.start();
        }
    }

    fn signal(&mut self, signal: TtySignal, c: u8, echo: &mut Shown, outcome: &mut Outcome) {
        if !self.termios.l(NOFLSH) {
            self.flush_input();
            echo.clear();
            outcome.flushed = true;
        }
        if self.termios.i(IXON) {
            self.start();
        }
        if self.termios.l(ECHO) {
            self.echo(c, echo);
        }
        outcome.signals.push(signal);
    }

    /// What canonical mode makes of `c`; false if it means only itself.
    fn canonical(&mut self, c: u8, echo: &mut Shown) -> bool {
        let t = self.termios;
        if t.is(VERASE, c) {
            self.erase(Erase::Character, echo);
        } else if t.is(VKILL, c) {
            self.erase(Erase::Line, echo);
        } else if t.is_extended(VWERASE, c) {
            self.erase(Erase::Word, echo);
        } else if t.is_extended(VLNEXT, c) {
            self.literal = true;
            if t.l(ECHO) {
                self.finish_erasing(echo);
                if t.l(ECHOCTL) {
                    self.output.process(&t, b"^\x08", echo);
                }
            }
        } else if t.is_extended(VREPRINT, c) && t.l(ECHO) {
            self.reprint(c, echo);
        } else if c == b'\n' {
            if t.l(ECHO) || t.l(ECHONL) {
                self.raw(b'\n', echo);
            }
            self.end_line(c, false);
        } else if t.is(VEOF, c) {
            self.end_line(0, true);
        } else if t.is(VEOL, c) || t.is_extended(VEOL2, c) {
            if t.l(ECHO) {
                self.begin_line();
                self.echo(c, echo);
            }
            self.end_line(c, false);
        } else {
            return false;
        }
        true
    }

    /// A character that means only itself.
    fn ordinary(&mut self, c: u8, echo: &mut Shown) {
        if self.termios.l(ECHO) {
            self.finish_erasing(echo);
            self.begin_line();
            self.echo(c, echo);
        }
        self.take(c);
    }

    fn begin_line(&mut self) {
        if self.line.is_empty() {
            self.output.start = self.output.column;
        }
    }

    fn take(&mut self, c: u8) {
        if c == 0xff && self.termios.i(PARMRK) {
            self.store(c);
        }
        self.store(c);
    }

    fn store(&mut self, c: u8) {
        if self.is_canonical() {
            // The last place is for the end of the line: what does not fit overwrites it.
            if self.line.len() == INPUT_MAX {
                self.line.pop();
            }
            self.line.push(c);
        } else if self.ready.len() < INPUT_MAX && self.ready.try_reserve(1).is_ok() {
            self.ready.push_back(c);
        }
    }

    fn end_line(&mut self, c: u8, eof: bool) {
        self.store(c);
        if self.lines.try_reserve(1).is_err() || self.ready.try_reserve(self.line.len()).is_err() {
            // Without memory for it the line has not ended.
            return;
        }
        self.lines.push_back(Line {
            len: self.line.len(),
            eof,
        });
        self.ready.extend(self.line.drain(..));
    }
}

#[cfg(test)]
#[path = "ldisc_tests.rs"]
mod tests;
