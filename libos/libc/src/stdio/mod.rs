//! `<stdio.h>`: buffered files, and the formatter behind `printf`.

mod file;
mod format;
mod io;
mod lines;
mod number;
mod popen;
mod variadic;

pub use file::{LIST, after_fork_child, flush_all};
pub use lines::Lines;

use core::ffi::c_char;
use core::fmt;

/// The descriptor 2, for the library's own last words.
pub struct Stderr;

impl fmt::Write for Stderr {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        // SAFETY: a slice's own bytes.
        let r = unsafe { door!(write, 2, s.as_ptr(), s.len()) };
        if r < 0 { Err(fmt::Error) } else { Ok(()) }
    }
}

/// A short text on the stack.
pub struct Fixed<const N: usize> {
    buf: [u8; N],
    len: usize,
}

impl<const N: usize> Fixed<N> {
    pub const fn new() -> Self {
        Fixed {
            buf: [0; N],
            len: 0,
        }
    }
    pub fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
    pub fn as_ptr(&self) -> *const c_char {
        self.buf.as_ptr().cast()
    }
}

impl<const N: usize> fmt::Write for Fixed<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.len + s.len();
        self.buf
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}
