//! The lines of a small file of `/etc`.

use core::ffi::{c_char, c_int};

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
    pub unsafe fn next(&mut self, out: *mut c_char, len: usize) -> Result<bool, c_int> {
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
            if n >= len {
                return Err(libc::ERANGE);
            }
            if c == b'\n' {
                *out.add(n) = 0;
                return Ok(true);
            }
            *out.add(n) = c as c_char;
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
