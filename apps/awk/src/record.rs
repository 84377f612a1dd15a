//! The current record and its fields: split only as far as asked, joined again only when needed.

use std::rc::Rc;

use memchr::{memchr, memchr2};

use crate::regex::Regex;
use crate::str::{Str, char_len, char_offset};
use crate::value::Value;

/// How a record becomes fields.
#[derive(Clone)]
pub enum Splitter {
    /// Runs of blanks and newlines; blanks at either end do not count.
    Blank,
    Byte(u8),
    /// In paragraph mode a newline separates too.
    ByteOrNewline(u8),
    Regex(Rc<Regex>),
    /// Every character a field.
    Chars,
    /// FIELDWIDTHS: (characters to skip, width); `None` takes the rest.
    Widths(Rc<Vec<(usize, Option<usize>)>>),
    /// FPAT: what a field looks like.
    Contents(Rc<Regex>),
}

/// One step of splitting: the next field's span and the separator's after it.
pub struct Step {
    pub field: (usize, usize),
    pub separator: (usize, usize),
    pub last: bool,
}

#[inline]
pub fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t' || b == b'\n'
}

impl Splitter {
    /// The field that starts at `from` (just after a separator), or `None` when there are no more.
    /// `index` counts the fields before it.
    #[inline]
    pub fn step(&self, text: &[u8], from: usize, index: usize) -> Option<Step> {
        let len = text.len();
        match self {
            Splitter::Blank => {
                let rest = &text[from..];
                let start = from + rest.iter().position(|&b| !is_blank(b))?;
                let end = text[start..]
                    .iter()
                    .position(|&b| is_blank(b))
                    .map_or(len, |n| start + n);
                // The separator's extent matters to split() only.
                Some(Step {
                    field: (start, end),
                    separator: (end, end),
                    last: end == len,
                })
            }
            Splitter::Byte(b) => {
                if len == 0 {
                    return None;
                }
                Some(Self::at(
                    text,
                    from,
                    memchr(*b, &text[from..]).map(|n| (from + n, from + n + 1)),
                ))
            }
            Splitter::ByteOrNewline(b) => {
                if len == 0 {
                    return None;
                }
                let found = memchr2(*b, b'\n', &text[from..]);
                Some(Self::at(
                    text,
                    from,
                    found.map(|n| (from + n, from + n + 1)),
                ))
            }
            Splitter::Regex(re) => {
                if len == 0 {
                    return None;
                }
                // A separator is never empty.
                let mut at = from;
                let found = loop {
                    match re.find_at(text, at) {
                        Some((s, e)) if s == e => {
                            if s >= len {
                                break None;
                            }
                            at = s + char_len(&text[s..]);
                        }
                        other => break other,
                    }
                };
                Some(Self::at(text, from, found))
            }
            Splitter::Chars => {
                if from >= len {
                    return None;
                }
                let end = from + char_len(&text[from..]);
                Some(Step {
                    field: (from, end),
                    separator: (end, end),
                    last: end == len,
                })
            }
            Splitter::Widths(widths) => {
                let (skip, width) = *widths.get(index)?;
                let start = from + char_offset(&text[from..], skip);
                if start >= len {
                    return None;
                }
                let end = match width {
                    Some(w) => start + char_offset(&text[start..], w),
                    None => len,
                };
                Some(Step {
                    field: (start, end),
                    separator: (end, end),
                    last: end >= len,
                })
            }
            Splitter::Contents(re) => {
                // An empty match is a field only where a separator precedes it.
                let mut at = from;
                loop {
                    let (s, e) = re.find_at(text, at)?;
                    if s == e && index > 0 && s == from {
                        if s >= len {
                            return None;
                        }
                        at = s + char_len(&text[s..]);
                        if at >= len && s + 1 >= len {
                            // A trailing separator leaves one empty field.
                            let (s, e) = re.find_at(text, len)?;
                            return Some(Step {
                                field: (s, e),
                                separator: (from, s),
                                last: true,
                            });
                        }
                        continue;
                    }
                    return Some(Step {
                        field: (s, e),
                        separator: (from, s),
                        last: e == len,
                    });
                }
            }
        }
    }

    fn at(text: &[u8], from: usize, found: Option<(usize, usize)>) -> Step {
        match found {
            Some((s, e)) => Step {
                field: (from, s),
                separator: (s, e),
                last: false,
            },
            None => Step {
                field: (from, text.len()),
                separator: (text.len(), text.len()),
                last: true,
            },
        }
    }

    /// Where the next step starts.
    #[inline]
    pub fn resume(&self, step: &Step) -> usize {
        match self {
            Splitter::Contents(_) => step.field.1,
            _ => step.separator.1,
        }
    }
}

pub struct Record {
    text: Vec<u8>,
    spans: Vec<(usize, usize)>,
    /// Values assigned to fields; empty while none is.
    assigned: Vec<Option<Value>>,
    /// Where splitting goes on.
    scan: usize,
    split: bool,
    /// The fields changed and `text` is not yet joined from them.
    stale: bool,
    pub splitter: Splitter,
    spare: Vec<u8>,
}

impl Record {
    pub fn new() -> Record {
        Record {
            text: Vec::new(),
            spans: Vec::new(),
            assigned: Vec::new(),
            scan: 0,
            split: true,
            stale: false,
            splitter: Splitter::Blank,
            spare: Vec::new(),
        }
    }

    /// Hands out the text buffer to be filled with a new record; call `fresh` after.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    #[inline]
    pub fn fresh(&mut self) {
        self.spans.clear();
        self.assigned.clear();
        self.scan = 0;
        self.split = false;
        self.stale = false;
    }

    pub fn set_text(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.fresh();
    }

    /// `$0`; only after `join`.
    #[inline]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    #[inline]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Splits until field `n` is known.
    #[inline]
    pub fn split_to(&mut self, n: usize) {
        if !self.split && self.spans.len() < n {
            self.split_more(n);
        }
    }

    fn split_more(&mut self, n: usize) {
        if let Splitter::Blank = self.splitter {
            return self.split_blank(n);
        }
        while self.spans.len() < n {
            match self.splitter.step(&self.text, self.scan, self.spans.len()) {
                Some(step) => {
                    self.spans.push(step.field);
                    self.scan = self.splitter.resume(&step);
                    if step.last {
                        self.split = true;
                        return;
                    }
                }
                None => {
                    self.split = true;
                    return;
                }
            }
        }
    }

    fn split_blank(&mut self, n: usize) {
        let text = &self.text[..];
        let mut i = self.scan;
        while self.spans.len() < n {
            while i < text.len() && is_blank(text[i]) {
                i += 1;
            }
            if i >= text.len() {
                self.split = true;
                break;
            }
            let start = i;
            while i < text.len() && !is_blank(text[i]) {
                i += 1;
            }
            self.spans.push((start, i));
        }
        self.scan = i;
    }

    #[inline]
    pub fn nf(&mut self) -> usize {
        self.split_to(usize::MAX);
        self.spans.len()
    }

    /// Field `n` (from 1) after `split_to(n)`: its text, unless a value was assigned.
    #[inline]
    pub fn span_text(&self, n: usize) -> Option<&[u8]> {
        let &(s, e) = self.spans.get(n - 1)?;
        Some(&self.text[s..e])
    }

    #[inline]
    pub fn assigned(&self, n: usize) -> Option<&Value> {
        if self.assigned.is_empty() {
            return None;
        }
        self.assigned.get(n - 1)?.as_ref()
    }

    #[inline]
    pub fn value(&mut self, n: usize) -> Value {
        self.split_to(n);
        if let Some(v) = self.assigned(n) {
            return v.clone();
        }
        match self.span_text(n) {
            Some(text) => Value::Input(Str::new(text)),
            None => Value::Uninit,
        }
    }

    pub fn set_field(&mut self, n: usize, value: Value) {
        self.split_to(usize::MAX);
        if n > self.spans.len() {
            self.resize(n);
        }
        if self.assigned.len() < n {
            self.assigned.resize(self.spans.len(), None);
        }
        self.assigned[n - 1] = Some(value);
        self.stale = true;
    }

    pub fn set_nf(&mut self, n: usize) {
        self.split_to(usize::MAX);
        self.resize(n);
        self.stale = true;
    }

    fn resize(&mut self, n: usize) {
        self.spans.resize(n, (0, 0));
        if !self.assigned.is_empty() {
            self.assigned.resize(n, None);
        }
    }

    /// Joins changed fields into `$0`.
    pub fn join(&mut self, ofs: &[u8], convfmt: &[u8]) {
        let mut out = std::mem::take(&mut self.spare);
        out.clear();
        for i in 0..self.spans.len() {
            if i > 0 {
                out.extend_from_slice(ofs);
            }
            let start = out.len();
            match self.assigned.get(i).and_then(Option::as_ref) {
                Some(v) => v.append_to(convfmt, &mut out),
                None => {
                    let (s, e) = self.spans[i];
                    out.extend_from_slice(&self.text[s..e]);
                }
            }
            self.spans[i] = (start, out.len());
        }
        self.spare = std::mem::replace(&mut self.text, out);
        self.stale = false;
    }
}
