//! What is shown of the line being typed, and how it is taken away again.

use super::ldisc::LineDiscipline;
use super::output::{is_continuation, is_control};
use super::shown::Shown;
use super::termios::*;

/// What to erase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Erase {
    Character,
    Word,
    Line,
}

impl LineDiscipline {
    /// Shows `c`, control characters as `^X`.
    pub(super) fn echo(&mut self, c: u8, echo: &mut Shown) {
        if self.termios.l(ECHOCTL) && is_control(c) && c != b'\t' {
            self.output.show_control(c, echo);
        } else {
            self.raw(c, echo);
        }
    }

    /// Shows `c` as it is.
    pub(super) fn raw(&mut self, c: u8, echo: &mut Shown) {
        self.output.process(&self.termios, &[c], echo);
    }

    pub(super) fn finish_erasing(&mut self, echo: &mut Shown) {
        if core::mem::take(&mut self.erasing) {
            self.raw(b'/', echo);
        }
    }

    pub(super) fn reprint(&mut self, c: u8, echo: &mut Shown) {
        self.finish_erasing(echo);
        self.echo(c, echo);
        self.raw(b'\n', echo);
        let line = core::mem::take(&mut self.line);
        for &c in &line {
            self.echo(c, echo);
        }
        self.line = line;
    }

    pub(super) fn erase(&mut self, what: Erase, echo: &mut Shown) {
        let t = self.termios;
        if self.line.is_empty() {
            return;
        }
        let shows = t.l(ECHO);
        if what == Erase::Line && !(shows && t.l(ECHOK) && t.l(ECHOKE) && t.l(ECHOE)) {
            self.line.clear();
            if shows {
                self.finish_erasing(echo);
                self.echo(t.cc[VKILL as usize], echo);
                if t.l(ECHOK) {
                    self.raw(b'\n', echo);
                }
            }
            return;
        }
        let mut in_word = false;
        loop {
            let first = self.line.iter().rposition(|&c| !is_continuation(&t, c));
            let Some(first) = first else { break };
            let c = self.line[first];
            if what == Erase::Word {
                let word = c.is_ascii_alphanumeric() || c == b'_' || c >= 0xc0;
                if in_word && !word {
                    break;
                }
                in_word |= word;
            }
            if shows && t.l(ECHOPRT) {
                self.show_erased(first, echo);
            }
            self.line.truncate(first);
            if shows && !t.l(ECHOPRT) {
                self.rub_out(c, what, echo);
            }
            if what == Erase::Character {
                break;
            }
        }
        if self.line.is_empty() && shows {
            self.finish_erasing(echo);
        }
    }

    /// Shows the last character of the line, which begins at `first`, among what is erased.
    fn show_erased(&mut self, first: usize, echo: &mut Shown) {
        if !core::mem::replace(&mut self.erasing, true) {
            self.raw(b'\\', echo);
        }
        self.echo(self.line[first], echo);
        for index in first + 1..self.line.len() {
            self.raw(self.line[index], echo);
            self.output.column = self.output.column.saturating_sub(1);
        }
    }

    /// Takes `c`, which followed the line, off the screen.
    fn rub_out(&mut self, c: u8, what: Erase, echo: &mut Shown) {
        let t = self.termios;
        if what == Erase::Character && !t.l(ECHOE) {
            self.echo(t.cc[VERASE as usize], echo);
        } else if c == b'\t' {
            self.output.back(8 - self.columns_before_tab() % 8, echo);
        } else {
            let columns = self.columns(c);
            for _ in 0..columns {
                self.output.process(&t, b"\x08 \x08", echo);
            }
        }
    }

    /// Columns that `c` takes, if it is no tab.
    fn columns(&self, c: u8) -> usize {
        match c {
            c if is_control(c) => 2 * self.termios.l(ECHOCTL) as usize,
            c => !is_continuation(&self.termios, c) as usize,
        }
    }

    /// The column at the end of the line, up to a multiple of that of tabs: the last tab in the line ends at one.
    fn columns_before_tab(&self) -> usize {
        let mut columns = 0;
        for &c in self.line.iter().rev() {
            if c == b'\t' {
                return columns;
            }
            columns += self.columns(c);
        }
        self.output.start + columns
    }
}
