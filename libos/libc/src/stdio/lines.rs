//! The lines of a small file of `/etc`, and the room that one is read into.

use crate::malloc::{free, realloc};
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

/// The caller's buffer, or one of ours that grows with what it is to hold.
pub struct Room {
    pub at: *mut c_char,
    pub len: usize,
    grows: bool,
}

impl Room {
    pub const fn growing() -> Room {
        Room {
            at: null_mut(),
            len: 0,
            grows: true,
        }
    }

    pub fn fixed(at: *mut c_char, len: usize) -> Room {
        Room {
            at,
            len,
            grows: false,
        }
    }

    /// Makes sure of so many bytes.
    pub unsafe fn ensure(&mut self, n: usize) -> Result<(), c_int> {
        if n <= self.len {
            return Ok(());
        }
        if !self.grows {
            return Err(libc::ERANGE);
        }
        let len = n.max(2 * self.len).max(256);
        let at = realloc(self.at.cast(), len);
        if at.is_null() {
            return Err(libc::ENOMEM);
        }
        (self.at, self.len) = (at.cast(), len);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.grows {
            // SAFETY: this value's own block, or null.
            unsafe { free(self.at.cast()) };
        }
    }
}

pub struct Lines {
    fd: c_int,
    buf: [u8; 1024],
    at: usize,
    end: usize,
}

impl Lines {
    pub unsafe fn open(path: *const c_char) -> Result<Lines, c_int> {
        let fd = door!(
            openat,
            libc::AT_FDCWD,
            path,
            libc::O_RDONLY | libc::O_CLOEXEC,
            0
        );
        if fd < 0 {
            return Err(-fd as c_int);
        }
        Ok(Lines {
            fd: fd as c_int,
            buf: [0; 1024],
            at: 0,
            end: 0,
        })
    }

    /// The next line, NUL-ended, without its newline. `Err(ERANGE)` when it does not fit.
    pub unsafe fn next(&mut self, room: &mut Room) -> Result<bool, c_int> {
        let mut n = 0;
        loop {
            if self.at == self.end {
                let r = door!(read, self.fd, self.buf.as_mut_ptr(), self.buf.len());
                if r == -(libc::EINTR as isize) {
                    continue;
                }
                if r < 0 {
                    return Err(-r as c_int);
                }
                self.at = 0;
                self.end = r as usize;
                if r == 0 && n == 0 {
                    return Ok(false);
                }
            }
            // Past the end of a last line without a newline: as if it had one.
            let c = if self.end == 0 {
                b'\n'
            } else {
                self.buf[self.at]
            };
            self.at = (self.at + 1).min(self.end);
            room.ensure(n + 1)?;
            if c == b'\n' {
                *room.at.add(n) = 0;
                return Ok(true);
            }
            *room.at.add(n) = c as c_char;
            n += 1;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { door!(close, self.fd) };
    }
}
