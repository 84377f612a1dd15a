//! Buffered input cut into records by RS.

use std::io::{self, Read};
use std::rc::Rc;

use memchr::{memchr, memmem};

use crate::regex::Regex;

/// What ends a record.
#[derive(Clone)]
pub enum Rs {
    Byte(u8),
    /// Blank lines.
    Paragraph,
    Regex(Rc<Regex>),
}

pub struct Reader {
    source: Box<dyn Read>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
}

const CHUNK: usize = 128 * 1024;

impl Reader {
    pub fn new(source: Box<dyn Read>) -> Reader {
        Reader {
            source,
            buf: Vec::new(),
            start: 0,
            end: 0,
            eof: false,
        }
    }

    /// Gets more input behind what is buffered; false at the end of it.
    fn fill(&mut self) -> io::Result<bool> {
        if self.eof {
            return Ok(false);
        }
        if self.start > 0 && (self.start == self.end || self.end == self.buf.len()) {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buf.len() {
            let size = (self.buf.len() * 2).max(CHUNK);
            self.buf.resize(size, 0);
        }
        loop {
            match self.source.read(&mut self.buf[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.end += n;
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads the next record into `record` and its terminator into `rt`; both are left alone at
    /// the end of input, when it returns false.
    #[inline]
    pub fn read(&mut self, rs: &Rs, record: &mut Vec<u8>, rt: &mut Vec<u8>) -> io::Result<bool> {
        match rs {
            Rs::Byte(b) => self.read_byte(*b, record, rt),
            Rs::Paragraph => self.read_paragraph(record, rt),
            Rs::Regex(re) => self.read_regex(re, record, rt),
        }
    }

    /// Takes `len` bytes as the record and `sep` more as its terminator.
    #[inline]
    fn take(&mut self, len: usize, sep: usize, record: &mut Vec<u8>, rt: &mut Vec<u8>) {
        let data = &self.buf[self.start..self.end];
        record.clear();
        record.extend_from_slice(&data[..len]);
        rt.clear();
        rt.extend_from_slice(&data[len..len + sep]);
        self.start += len + sep;
    }

    /// What is left at the end of input is a record if it is not empty.
    fn take_rest(&mut self, record: &mut Vec<u8>, rt: &mut Vec<u8>) -> bool {
        let left = self.end - self.start;
        if left == 0 {
            return false;
        }
        self.take(left, 0, record, rt);
        true
    }

    #[inline]
    fn read_byte(&mut self, b: u8, record: &mut Vec<u8>, rt: &mut Vec<u8>) -> io::Result<bool> {
        let mut scanned = 0;
        loop {
            if let Some(n) = memchr(b, &self.buf[self.start + scanned..self.end]) {
                self.take(scanned + n, 1, record, rt);
                return Ok(true);
            }
            scanned = self.end - self.start;
            if !self.fill()? {
                return Ok(self.take_rest(record, rt));
            }
        }
    }

    fn read_paragraph(&mut self, record: &mut Vec<u8>, rt: &mut Vec<u8>) -> io::Result<bool> {
        // Leading newlines belong to no record.
        loop {
            while self.start < self.end && self.buf[self.start] == b'\n' {
                self.start += 1;
            }
            if self.start < self.end || !self.fill()? {
                break;
            }
        }
        let mut scanned = 0;
        let len = loop {
            let data = &self.buf[self.start..self.end];
            if let Some(n) = memmem::find(&data[scanned..], b"\n\n") {
                break scanned + n;
            }
            scanned = data.len().saturating_sub(1);
            if !self.fill()? {
                let data = &self.buf[self.start..self.end];
                let trailing = usize::from(data.last() == Some(&b'\n'));
                if data.is_empty() {
                    return Ok(false);
                }
                self.take(data.len() - trailing, trailing, record, rt);
                return Ok(true);
            }
        };
        let mut sep = 2;
        loop {
            if self.start + len + sep == self.end && !self.fill()? {
                break;
            }
            if self.buf[self.start + len + sep] != b'\n' {
                break;
            }
            sep += 1;
        }
        self.take(len, sep, record, rt);
        Ok(true)
    }

    fn read_regex(
        &mut self,
        re: &Regex,
        record: &mut Vec<u8>,
        rt: &mut Vec<u8>,
    ) -> io::Result<bool> {
        loop {
            let data = &self.buf[self.start..self.end];
            let mut at = 0;
            let found = loop {
                match re.find_at(data, at) {
                    Some((s, e)) if s == e => {
                        if s >= data.len() {
                            break None;
                        }
                        at = s + 1;
                    }
                    other => break other,
                }
            };
            match found {
                // A match that reaches the end of the buffer might go on.
                Some((s, e)) if e < data.len() || self.eof => {
                    self.take(s, e - s, record, rt);
                    return Ok(true);
                }
                _ if self.eof => return Ok(self.take_rest(record, rt)),
                _ => {
                    self.fill()?;
                }
            }
        }
    }
}
