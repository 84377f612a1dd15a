//! The text of a file while it is being made.

use crate::base::{Errno, Result};
use alloc::vec::Vec;
use core::fmt;

/// The text so far, and whether some of it found no memory: a program can make `maps` as long as it likes.
#[derive(Default)]
pub struct Out(pub Vec<u8>, bool);

impl fmt::Write for Out {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.bytes(s.as_bytes());
        Ok(())
    }
}

impl Out {
    /// For `write!`-like use without a result: [`finish`](Self::finish) tells.
    pub fn put(&mut self, text: fmt::Arguments<'_>) {
        fmt::write(self, text).expect("the formatter of a kernel type does not fail");
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.0.try_reserve(bytes.len()).is_ok() {
            self.0.extend_from_slice(bytes);
        } else {
            self.1 = true;
        }
    }

    /// Blanks up to `column` of the line that started at `line`.
    pub fn fill(&mut self, line: usize, column: usize) {
        while self.0.len() < line + column && !self.1 {
            self.bytes(b" ");
        }
    }

    /// All of the text, or `ENOMEM`.
    pub fn finish(self) -> Result<Vec<u8>> {
        if self.1 {
            Err(Errno::ENOMEM)
        } else {
            Ok(self.0)
        }
    }

    /// Bytes with blanks and backslashes as octal, as the tables of mounts have them.
    pub fn escaped(&mut self, bytes: &[u8]) {
        for &b in bytes {
            match b {
                b' ' | b'\t' | b'\n' | b'\\' => self.put(format_args!("\\{b:03o}")),
                _ => self.bytes(&[b]),
            }
        }
    }
}

/// `put!(out, "…", …)`
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { $out.put(format_args!($($arg)*)) };
}
pub(super) use put;
