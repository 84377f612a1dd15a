//! The line discipline: what a terminal makes of the bytes that are typed (POSIX 11.1 "Interface Characteristics",
//! termios(3); where they leave room, as Linux's N_TTY behaves). Pure: bytes in, echo and outcome out.

use super::output::{Output, is_continuation, is_control};
use super::termios::*;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes of input kept; a line being edited holds one less than this before its end.
pub const INPUT_MAX: usize = 4096;

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
    /// Output that is still queued is to be thrown away.
    pub flush_output: bool,
}

/// What to erase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

/// The state of one terminal's input.
pub struct LineDiscipline {
    termios: Termios,
    output: Output,
    /// What readers may have.
    ready: VecDeque<u8>,
    /// Canonical mode: the lengths of the lines in `ready`; 0 is an end of file.
    lines: VecDeque<usize>,
    /// Canonical mode: the line being edited.
    line: Vec<u8>,
    /// The column in which that line's echo began.
    line_column: usize,
    /// The next character is taken as it is (`VLNEXT`).
    literal: bool,
    /// Output is stopped (`VSTOP`).
    stopped: bool,
}

impl LineDiscipline {
    pub fn new(termios: Termios) -> Self {
        LineDiscipline {
            termios,
            output: Output::default(),
            ready: VecDeque::new(),
            lines: VecDeque::new(),
            line: Vec::new(),
            line_column: 0,
            literal: false,
            stopped: false,
        }
    }

    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. Input that is there stays: leaving canonical mode makes the unfinished line readable,
    /// entering it makes what is there one line.
    pub fn set_termios(&mut self, new: Termios) {
        let was_canonical = self.is_canonical();
        self.termios = new;
        if was_canonical && !self.is_canonical() {
            self.lines.clear();
            self.ready.extend(self.line.drain(..));
        } else if !was_canonical && self.is_canonical() && !self.ready.is_empty() {
            self.lines.push_back(self.ready.len());
        }
        if !new.i(IXON) {
            self.stopped = false;
        }
    }

    pub fn is_canonical(&self) -> bool {
        self.termios.l(ICANON)
    }

    /// Whether output is held back by `VSTOP` (or `TCOOFF`).
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Appends a program's output to `out`, processed.
    pub fn process_output(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
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
    }

    /// Whether a read finds something. In raw mode, poll(2) waits for `VMIN` bytes when no timer runs: `at_least`.
    pub fn has_input(&self, at_least: usize) -> bool {
        if self.is_canonical() {
            !self.lines.is_empty()
        } else {
            self.ready.len() >= at_least.max(1)
        }
    }

    /// Bytes that a read would give (FIONREAD).
    pub fn input_len(&self) -> usize {
        if self.is_canonical() {
            self.lines.iter().sum()
        } else {
            self.ready.len()
        }
    }

    /// The bytes that one read gives, in two pieces: at most one line in canonical mode. Both empty there means end of file,
    /// if [`has_input`](Self::has_input).
    pub fn readable(&self) -> (&[u8], &[u8]) {
        let (front, back) = self.ready.as_slices();
        let n = if self.is_canonical() {
            self.lines.front().copied().unwrap_or(0)
        } else {
            self.ready.len()
        };
        let first = n.min(front.len());
        (&front[..first], &back[..n - first])
    }

    /// Takes the first `n` bytes of [`readable`](Self::readable) off, and with the last of them the line.
    pub fn consume(&mut self, n: usize) {
        self.ready.drain(..n);
        if let Some(line) = self.lines.front_mut() {
            *line -= n;
            if *line == 0 {
                self.lines.pop_front();
            }
        }
    }

    /// Takes typed bytes; what the terminal shows of them is appended to `echo`, ready to be sent.
    pub fn receive(&mut self, bytes: &[u8], echo: &mut Vec<u8>) -> Outcome {
        let mut outcome = Outcome::default();
        for &c in bytes {
            self.receive_one(c, echo, &mut outcome);
        }
        outcome
    }

    fn receive_one(&mut self, mut c: u8, echo: &mut Vec<u8>, outcome: &mut Outcome) {
        let t = self.termios;
        if t.i(ISTRIP) {
            c &= 0x7f;
        }
        if t.i(IUCLC) && t.l(IEXTEN) {
            c = c.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            return self.ordinary(c, echo);
        }
        if t.i(IXON) {
            // The same character for both toggles.
            if t.is(VSTART, c) && (self.stopped || !t.is(VSTOP, c)) {
                self.stopped = false;
                return;
            }
            if t.is(VSTOP, c) {
                self.stopped = true;
                return;
            }
            if t.i(IXANY) {
                self.stopped = false;
            }
        }
        if t.l(ISIG)
            && let Some(signal) = [
                (VINTR, TtySignal::Interrupt),
                (VQUIT, TtySignal::Quit),
                (VSUSP, TtySignal::Suspend),
            ]
            .into_iter()
            .find_map(|(index, signal)| t.is(index, c).then_some(signal))
        {
            return self.signal(signal, c, echo, outcome);
        }
        match c {
            b'\r' if t.i(IGNCR) => return,
            b'\r' if t.i(ICRNL) => c = b'\n',
            b'\n' if t.i(INLCR) => c = b'\r',
            _ => {}
        }
        if t.l(ICANON) {
            self.canonical(c, echo)
        } else {
            self.ordinary(c, echo)
        }
    }

    fn signal(&mut self, signal: TtySignal, c: u8, echo: &mut Vec<u8>, outcome: &mut Outcome) {
        if !self.termios.l(NOFLSH) {
            self.flush_input();
            outcome.flush_output = true;
        }
        self.stopped = false;
        if self.termios.l(ECHO) {
            self.echo(c, echo);
        }
        outcome.signals.push(signal);
    }

    fn canonical(&mut self, c: u8, echo: &mut Vec<u8>) {
        let t = self.termios;
        if t.is(VERASE, c) {
            self.erase(Erase::Character, echo);
        } else if t.is(VKILL, c) {
            self.erase(Erase::Line, echo);
        } else if t.is_extended(VWERASE, c) {
            self.erase(Erase::Word, echo);
        } else if t.is_extended(VLNEXT, c) {
            self.literal = true;
            if t.l(ECHO) && t.l(ECHOCTL) {
                self.output.process(&t, b"^\x08", echo);
            }
        } else if t.is_extended(VREPRINT, c) && t.l(ECHO) {
            self.reprint(c, echo);
        } else if c == b'\n' {
            if t.l(ECHO) || t.l(ECHONL) {
                self.output.process(&t, b"\n", echo);
            }
            self.end_line(Some(c));
        } else if t.is(VEOF, c) {
            self.end_line(None);
        } else if t.is(VEOL, c) || t.is_extended(VEOL2, c) {
            if t.l(ECHO) {
                self.echo(c, echo);
            }
            self.end_line(Some(c));
        } else {
            self.ordinary(c, echo);
        }
    }

    /// A character that means only itself.
    fn ordinary(&mut self, c: u8, echo: &mut Vec<u8>) {
        if self.termios.l(ECHO) {
            if self.line.is_empty() {
                self.line_column = self.output.column;
            }
            if c == b'\n' {
                self.output.process(&self.termios, b"\n", echo);
            } else {
                self.echo(c, echo);
            }
        }
        let copies = if c == 0xff && self.termios.i(PARMRK) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            self.store(c);
        }
    }

    fn store(&mut self, c: u8) {
        if self.is_canonical() {
            // The last place is for the end of the line: what does not fit overwrites it.
            if self.line.len() == INPUT_MAX {
                self.line.pop();
            }
            self.line.push(c);
        } else if self.ready.len() < INPUT_MAX {
            self.ready.push_back(c);
        }
    }

    fn end_line(&mut self, end: Option<u8>) {
        if let Some(c) = end {
            self.store(c);
        }
        self.lines.push_back(self.line.len());
        self.ready.extend(self.line.drain(..));
    }

    /// Shows `c`, control characters as `^X`.
    fn echo(&mut self, c: u8, echo: &mut Vec<u8>) {
        if self.termios.l(ECHOCTL) && is_control(c) && c != b'\t' {
            self.output.process(&self.termios, &[b'^', c ^ 0x40], echo);
        } else {
            self.output.process(&self.termios, &[c], echo);
        }
    }

    fn reprint(&mut self, c: u8, echo: &mut Vec<u8>) {
        self.echo(c, echo);
        self.output.process(&self.termios, b"\n", echo);
        self.line_column = self.output.column;
        let line = core::mem::take(&mut self.line);
        for &c in &line {
            self.echo(c, echo);
        }
        self.line = line;
    }

    fn erase(&mut self, what: Erase, echo: &mut Vec<u8>) {
        let t = self.termios;
        if self.line.is_empty() {
            return;
        }
        let shows = t.l(ECHO);
        if what == Erase::Line && !(shows && t.l(ECHOK) && t.l(ECHOKE) && t.l(ECHOE)) {
            self.line.clear();
            if shows {
                self.echo(t.cc[VKILL as usize], echo);
                if t.l(ECHOK) {
                    self.output.process(&t, b"\n", echo);
                }
            }
            return;
        }
        let mut in_word = false;
        while let Some(&c) = self.line.iter().rev().find(|&&c| !is_continuation(&t, c)) {
            if what == Erase::Word {
                let word = c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80;
                if in_word && !word {
                    break;
                }
                in_word |= word;
            }
            let before = self.end_column();
            while self
                .line
                .pop()
                .is_some_and(|last| is_continuation(&t, last))
            {}
            if shows && what == Erase::Character && !t.l(ECHOE) {
                self.echo(t.cc[VERASE as usize], echo);
            } else if shows {
                let step: &[u8] = if c == b'\t' { b"\x08" } else { b"\x08 \x08" };
                for _ in self.end_column()..before {
                    self.output.process(&t, step, echo);
                }
            }
            if what == Erase::Character {
                break;
            }
        }
    }

    /// The column in which the echo of the line being edited ends.
    fn end_column(&self) -> usize {
        self.line
            .iter()
            .fold(self.line_column, |column, &c| match c {
                b'\t' => column + 8 - column % 8,
                c if is_control(c) => column + if self.termios.l(ECHOCTL) { 2 } else { 0 },
                c if is_continuation(&self.termios, c) => column,
                _ => column + 1,
            })
    }
}

#[cfg(test)]
#[path = "ldisc_tests.rs"]
mod tests;
