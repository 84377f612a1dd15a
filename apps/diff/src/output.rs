//! The three ways of showing changes: normal, context and unified.

use crate::options::{Options, Style};
use crate::script::{Change, hunks};
use crate::text::{Text, expand};
use std::io::{self, Write};
use std::ops::Range;

/// Both sides, their changes and what to say of them.
pub struct Page<'a> {
    pub first: &'a Text<'a>,
    pub second: &'a Text<'a>,
    pub headers: [Vec<u8>; 2],
    pub options: &'a Options,
}

impl Page<'_> {
    pub fn print(&self, changes: &[Change], out: &mut dyn Write) -> io::Result<()> {
        match self.options.style {
            Style::Normal => self.normal(changes, out),
            Style::Unified(context) => {
                self.header(out, b"--- ", b"+++ ")?;
                for hunk in hunks(changes, context) {
                    self.unified(hunk, context, out)?;
                }
                Ok(())
            }
            Style::Context(context) => {
                self.header(out, b"*** ", b"--- ")?;
                for hunk in hunks(changes, context) {
                    self.context(hunk, context, out)?;
                }
                Ok(())
            }
        }
    }

    fn header(&self, out: &mut dyn Write, first: &[u8], second: &[u8]) -> io::Result<()> {
        for (mark, name) in [(first, &self.headers[0]), (second, &self.headers[1])] {
            out.write_all(mark)?;
            out.write_all(name)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn line(&self, mark: &[u8], text: &Text<'_>, n: usize, out: &mut dyn Write) -> io::Result<()> {
        let line = text.lines[n];
        if self.options.initial_tab {
            // The tab takes the place of the blank that ends the mark.
            out.write_all(mark.strip_suffix(b" ").unwrap_or(mark))?;
            out.write_all(b"\t")?;
        } else {
            out.write_all(mark)?;
        }
        if self.options.expand_tabs {
            out.write_all(&expand(line))?;
        } else {
            out.write_all(line)?;
        }
        out.write_all(b"\n")?;
        if text.incomplete && n + 1 == text.lines.len() {
            out.write_all(b"\\ No newline at end of file\n")?;
        }
        Ok(())
    }

    fn normal(&self, changes: &[Change], out: &mut dyn Write) -> io::Result<()> {
        for change in changes.iter().filter(|change| !change.ignored) {
            let letter = match (change.first.is_empty(), change.second.is_empty()) {
                (true, _) => 'a',
                (_, true) => 'd',
                _ => 'c',
            };
            let (first, second) = (pair(&change.first), pair(&change.second));
            writeln!(out, "{first}{letter}{second}")?;
            for n in change.first.clone() {
                self.line(b"< ", self.first, n, out)?;
            }
            if letter == 'c' {
                out.write_all(b"---\n")?;
            }
            for n in change.second.clone() {
                self.line(b"> ", self.second, n, out)?;
            }
        }
        Ok(())
    }

    /// The lines of both sides that a hunk covers, context included.
    fn extent(&self, hunk: &[Change], context: usize) -> (Range<usize>, Range<usize>) {
        let (head, tail) = (&hunk[0], &hunk[hunk.len() - 1]);
        let before = context.min(head.first.start).min(head.second.start);
        let rest = (self.first.lines.len() - tail.first.end)
            .min(self.second.lines.len() - tail.second.end);
        let after = context.min(rest);
        (
            head.first.start - before..tail.first.end + after,
            head.second.start - before..tail.second.end + after,
        )
    }

    fn unified(&self, hunk: &[Change], context: usize, out: &mut dyn Write) -> io::Result<()> {
        let (first, second) = self.extent(hunk, context);
        writeln!(out, "@@ -{} +{} @@", counted(&first), counted(&second))?;
        let mut at = first.start;
        for change in hunk {
            for n in at..change.first.start {
                self.unified_context(n, out)?;
            }
            for n in change.first.clone() {
                self.line(b"-", self.first, n, out)?;
            }
            for n in change.second.clone() {
                self.line(b"+", self.second, n, out)?;
            }
            at = change.first.end;
        }
        (at..first.end).try_for_each(|n| self.unified_context(n, out))
    }

    fn unified_context(&self, n: usize, out: &mut dyn Write) -> io::Result<()> {
        self.line(b" ", self.first, n, out)
    }

    fn context(&self, hunk: &[Change], context: usize, out: &mut dyn Write) -> io::Result<()> {
        let (first, second) = self.extent(hunk, context);
        out.write_all(b"***************\n")?;
        writeln!(out, "*** {} ****", bounds(&first))?;
        if hunk.iter().any(|change| !change.first.is_empty()) {
            self.half(hunk, first, self.first, b"- ", |change| &change.first, out)?;
        }
        writeln!(out, "--- {} ----", bounds(&second))?;
        if hunk.iter().any(|change| !change.second.is_empty()) {
            self.half(
                hunk,
                second,
                self.second,
                b"+ ",
                |change| &change.second,
                out,
            )?;
        }
        Ok(())
    }

    /// One side of a context hunk.
    fn half(
        &self,
        hunk: &[Change],
        extent: Range<usize>,
        text: &Text<'_>,
        alone: &[u8],
        side: impl Fn(&Change) -> &Range<usize>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut at = extent.start;
        for change in hunk {
            for n in at..side(change).start {
                self.line(b"  ", text, n, out)?;
            }
            let both = !change.first.is_empty() && !change.second.is_empty();
            let mark = if both { b"! " } else { alone };
            for n in side(change).clone() {
                self.line(mark, text, n, out)?;
            }
            at = side(change).end;
        }
        (at..extent.end).try_for_each(|n| self.line(b"  ", text, n, out))
    }
}

/// `5` or `5,7`; an empty range is the line before it.
fn pair(range: &Range<usize>) -> String {
    match range.len() {
        0 | 1 => range.end.to_string(),
        _ => format!("{},{}", range.start + 1, range.end),
    }
}

fn bounds(range: &Range<usize>) -> String {
    pair(range)
}

/// `5`, `5,3` (start and count), or `4,0` for nothing after line 4.
fn counted(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        count => format!("{},{count}", range.start + 1),
    }
}
