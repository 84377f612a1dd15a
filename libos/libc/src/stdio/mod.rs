//! `<stdio.h>`: buffered files, and the formatter behind `printf`.

mod args;
mod file;
mod format;
mod io;
mod lines;
mod number;
mod open;
mod popen;
mod stream;
mod variadic;

pub use file::{LIST, after_fork_child, flush_all};
pub use io::{tell, tell_of};
pub use lines::{Lines, Room};

use core::ffi::c_char;
use core::fmt;

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
