//! A file as lines, and lines as numbers: equal lines, by the options' idea of equal, get equal ones.

use crate::options::{Blanks, Options};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// One side of a comparison.
pub struct Text<'a> {
    /// The lines without their newlines.
    pub lines: Vec<&'a [u8]>,
    /// The last line has no newline.
    pub incomplete: bool,
}

impl<'a> Text<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        let mut lines = Vec::with_capacity(data.len() / 32);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', data) {
            lines.push(&data[start..end]);
            start = end + 1;
        }
        let incomplete = start < data.len();
        if incomplete {
            lines.push(&data[start..]);
        }
        Self { lines, incomplete }
    }

    fn is_incomplete(&self, line: usize) -> bool {
        self.incomplete && line + 1 == self.lines.len()
    }
}

/// True for what is not shown as text: a NUL byte early in the file.
pub fn is_binary(data: &[u8]) -> bool {
    memchr::memchr(0, &data[..data.len().min(64 << 10)]).is_some()
}

/// Numbers for the lines of both sides between a common start and a common end.
pub struct Numbers {
    pub first: Vec<u32>,
    pub second: Vec<u32>,
    /// How many lines the sides have in common before those numbered.
    pub prefix: usize,
}

pub fn number<'a>(first: &Text<'a>, second: &Text<'a>, options: &Options) -> Numbers {
    let same = |a: usize, b: usize| {
        first.lines[a] == second.lines[b] && first.is_incomplete(a) == second.is_incomplete(b)
    };
    let shorter = first.lines.len().min(second.lines.len());
    let prefix = (0..shorter).take_while(|&n| same(n, n)).count();
    let (ends, left) = ((first.lines.len(), second.lines.len()), shorter - prefix);
    let suffix = (1..=left)
        .take_while(|&n| same(ends.0 - n, ends.1 - n))
        .count();
    let mut known: HashMap<(Cow<'a, [u8]>, bool), u32> = HashMap::new();
    let mut side = |text: &Text<'a>, range: Range<usize>| -> Vec<u32> {
        range
            .map(|n| {
                let line = canonical(text.lines[n], options);
                // A missing newline is a difference unless trailing white space is none.
                let incomplete = text.is_incomplete(n) && options.blanks == Blanks::Count;
                let next = known.len() as u32;
                *known.entry((line, incomplete)).or_insert(next)
            })
            .collect()
    };
    Numbers {
        first: side(first, prefix..ends.0 - suffix),
        second: side(second, prefix..ends.1 - suffix),
        prefix,
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || (9..=13).contains(&byte)
}

/// The line as it is compared.
fn canonical<'a>(line: &'a [u8], options: &Options) -> Cow<'a, [u8]> {
    if !options.lenient() {
        return Cow::Borrowed(line);
    }
    let mut line = match options.strip_cr {
        true => line.strip_suffix(b"\r").unwrap_or(line),
        false => line,
    };
    let expanded;
    if options.tab_expansion && options.blanks < Blanks::AmountIgnored {
        expanded = expand(line);
        line = &expanded;
    }
    let end = line
        .iter()
        .rposition(|b| !is_blank(*b))
        .map_or(0, |at| at + 1);
    let mut bytes = match options.blanks {
        Blanks::Count => line.to_vec(),
        Blanks::TrailingIgnored => line[..end].to_vec(),
        Blanks::AllIgnored => line.iter().copied().filter(|b| !is_blank(*b)).collect(),
        Blanks::AmountIgnored => {
            let mut bytes = Vec::with_capacity(end);
            for &byte in &line[..end] {
                if !is_blank(byte) {
                    bytes.push(byte);
                } else if bytes.last() != Some(&b' ') {
                    bytes.push(b' ');
                }
            }
            bytes
        }
    };
    if options.case {
        bytes.make_ascii_lowercase();
    }
    Cow::Owned(bytes)
}

/// Tabs as the spaces up to the next multiple of eight.
pub fn expand(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len() + 16);
    let mut column = 0usize;
    for &byte in line {
        match byte {
            b'\t' => {
                let width = 8 - column % 8;
                bytes.resize(bytes.len() + width, b' ');
                column += width;
            }
            b'\x08' => {
                bytes.push(byte);
                column = column.saturating_sub(1);
            }
            b'\r' => {
                bytes.push(byte);
                column = 0;
            }
            _ => {
                bytes.push(byte);
                column += 1;
            }
        }
    }
    bytes
}

/// True for a line that `-B` takes for blank: empty, or white space where that does not count.
pub fn is_blank_line(line: &[u8], options: &Options) -> bool {
    match options.blanks {
        Blanks::Count => line.is_empty(),
        _ => line.iter().all(|b| is_blank(*b)),
    }
}
