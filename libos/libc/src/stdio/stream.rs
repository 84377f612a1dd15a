//! What is behind a `FILE`: a descriptor, and a buffer for one direction at a time.

use crate::errno::{cvt, get, set};
use crate::malloc::{free, malloc};
use crate::string::memcpy;
use core::ffi::c_int;
use core::ptr::null_mut;

/// What a buffer of the library's own holds.
const ROOM: usize = 4096;
/// Room in front of the buffer for what `ungetc` puts back.
pub const UNGET: usize = 8;
/// What an unbuffered stream writes at once.
const ONE_WRITE: usize = 512;

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Idle,
    Reading,
    Writing,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Buffering {
    Full,
    Line,
    None,
    /// Line if a terminal, full otherwise: found out at the first write.
    Undecided,
}

#[repr(C)]
pub struct Stream {
    pub fd: c_int,
    pub mode: Mode,
    pub buffering: Buffering,
    pub eof: bool,
    pub error: bool,
    pub append: bool,
    /// Open for the one, open for the other.
    reads: bool,
    writes: bool,
    own_buf: bool,
    /// `UNGET + room` bytes; what is read or to be written lies in `at..end`.
    pub buf: *mut u8,
    room: usize,
    /// The stream's own buffer and its room while `at_once` lends it another one.
    aside: Option<(*mut u8, usize)>,
    pub at: usize,
    pub end: usize,
    /// The process behind it, of `popen`.
    pub pid: c_int,
}

impl Stream {
    pub const fn new(fd: c_int, buffering: Buffering) -> Stream {
        Stream {
            fd,
            mode: Mode::Idle,
            buffering,
            eof: false,
            error: false,
            append: false,
            reads: true,
            writes: true,
            own_buf: false,
            buf: null_mut(),
            room: 0,
            aside: None,
            at: 0,
            end: 0,
            pid: 0,
        }
    }

    /// Opened with these flags.
    pub fn set_mode(&mut self, flags: c_int) {
        self.reads = flags & libc::O_ACCMODE != libc::O_WRONLY;
        self.writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        self.append = flags & libc::O_APPEND != 0;
    }

    /// Without the permission: an error, as the descriptor would have it.
    fn may(&mut self, permission: bool) -> bool {
        if !permission {
            set(libc::EBADF);
            self.error = true;
        }
        permission
    }

    /// A buffer of the caller's in the place of what is there; null for one of our own when it is needed.
    pub unsafe fn set_buffer(&mut self, buf: *mut u8, len: usize) {
        if self.own_buf {
            free(self.buf.cast());
        }
        self.own_buf = false;
        self.buf = buf;
        self.room = len.saturating_sub(UNGET);
        self.clear();
    }

    unsafe fn ensure_buffer(&mut self) {
        if self.buf.is_null() {
            self.buf = malloc(UNGET + ROOM).cast();
            self.own_buf = !self.buf.is_null();
            self.room = if self.own_buf { ROOM } else { 0 };
            // Without memory for one: `error` ends the operation that wanted it.
            self.error |= !self.own_buf;
        }
        if self.buffering == Buffering::Undecided {
            let saved = get();
            self.buffering = if crate::termios::isatty(self.fd) != 0 {
                Buffering::Line
            } else {
                Buffering::Full
            };
            set(saved);
        }
    }

    /// Forgets what the buffer holds.
    pub fn clear(&mut self) {
        self.at = UNGET;
        self.end = UNGET;
        self.mode = Mode::Idle;
    }

    /// Writes; returns how much went out, all of it or up to an error.
    unsafe fn write_out(&mut self, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let r = cvt(door!(
                write,
                self.fd,
                data.as_ptr().add(done),
                data.len() - done
            ));
            if r <= 0 {
                self.error = true;
                break;
            }
            done += r as usize;
        }
        done
    }

    /// Writes what waits to be written. After an error it is lost, but for one that says "later".
    unsafe fn write_waiting(&mut self) -> bool {
        if self.mode == Mode::Writing {
            let waiting = self.end - self.at;
            if waiting > 0 {
                let waiting = core::slice::from_raw_parts(self.buf.add(self.at), waiting);
                self.at += self.write_out(waiting);
            }
            if self.at < self.end && matches!(get(), libc::EINTR | libc::EAGAIN) {
                return false;
            }
            let ok = self.at == self.end;
            self.clear();
            return ok;
        }
        true
    }

    /// Gives what was read ahead back to the file. What has no way back (a pipe, a terminal) stays: `Err`.
    unsafe fn give_back(&mut self) -> Result<(), c_int> {
        if self.mode == Mode::Reading {
            if self.at < self.end {
                let ahead = self.at as i64 - self.end as i64;
                let mut r = door!(lseek, self.fd, ahead, libc::SEEK_CUR);
                if r == -(libc::EINVAL as isize) {
                    // More was put back than there is before this place.
                    r = door!(lseek, self.fd, 0usize, libc::SEEK_SET);
                }
                if r < 0 {
                    return Err(-r as c_int);
                }
            }
            self.clear();
        }
        Ok(())
    }

    /// Makes the file as if it had no buffer, as far as that goes.
    pub unsafe fn flush(&mut self) -> bool {
        match self.give_back() {
            Ok(()) => self.write_waiting(),
            Err(libc::ESPIPE) => true,
            Err(e) => {
                set(e);
                false
            }
        }
    }

    /// Moves to another place; what was read ahead stays when that fails.
    pub unsafe fn seek(&mut self, at: i64, whence: c_int) -> bool {
        let ahead = if self.mode == Mode::Reading && whence == libc::SEEK_CUR {
            self.end as i64 - self.at as i64
        } else {
            0
        };
        if !self.write_waiting() || cvt(door!(lseek, self.fd, at.wrapping_sub(ahead), whence)) < 0 {
            return false;
        }
        self.clear();
        self.eof = false;
        true
    }

    /// Takes data; returns how much of it has been written or waits in the buffer.
    pub unsafe fn write(&mut self, data: &[u8]) -> usize {
        if self.mode != Mode::Writing {
            if !self.may(self.writes) {
                return 0;
            }
            if self.give_back().is_err() {
                // What was read ahead has to stay in the buffer.
                return self.write_out(data);
            }
            if self.buffering != Buffering::None {
                self.ensure_buffer();
            }
            self.clear();
            self.mode = Mode::Writing;
        }
        if self.buffering == Buffering::None || self.room == 0 {
            return self.write_out(data);
        }
        if data.len() > UNGET + self.room - self.end {
            if !self.write_waiting() {
                return 0;
            }
            self.mode = Mode::Writing;
            if data.len() >= self.room {
                return self.write_out(data);
            }
        }
        memcpy(
            self.buf.add(self.end).cast(),
            data.as_ptr().cast(),
            data.len(),
        );
        self.end += data.len();
        if self.buffering == Buffering::Line && data.contains(&b'\n') {
            if !self.write_waiting() {
                return 0;
            }
            self.mode = Mode::Writing;
        }
        data.len()
    }

    /// Runs `body`, and if the stream is unbuffered, writes at once what that has written. False if it did not go out.
    pub unsafe fn at_once<R>(&mut self, body: impl FnOnce(&mut Stream) -> R) -> (R, bool) {
        let plain = self.buffering != Buffering::None || !self.writes;
        if plain || self.give_back().is_err() {
            return (body(self), true);
        }
        let mut buffer = [0u8; UNGET + ONE_WRITE];
        self.aside = Some((self.buf, self.room));
        self.clear();
        self.mode = Mode::Writing;
        self.buffering = Buffering::Full;
        (self.buf, self.room) = (buffer.as_mut_ptr(), ONE_WRITE);
        let result = body(self);
        let ok = self.write_waiting();
        self.end_at_once();
        (result, ok)
    }

    /// Takes the lent buffer away; also in the child of a fork, from a stream that another thread was writing to at once.
    pub fn end_at_once(&mut self) {
        if let Some((buf, room)) = self.aside {
            self.clear();
            self.buffering = Buffering::None;
            (self.buf, self.room) = (buf, room);
            self.aside = None;
        }
    }

    /// Makes the buffer one to read from.
    pub unsafe fn start_reading(&mut self) -> bool {
        if self.mode != Mode::Reading {
            if !self.may(self.reads) || !self.write_waiting() {
                return false;
            }
            self.ensure_buffer();
            self.clear();
            self.mode = Mode::Reading;
        }
        self.room > 0
    }

    /// Makes `at..end` hold something to read; false at the end or on an error.
    pub unsafe fn fill(&mut self) -> bool {
        if !self.start_reading() {
            return false;
        }
        if self.at < self.end {
            return true;
        }
        if self.eof {
            return false;
        }
        if self.fd == 0 {
            super::file::flush_prompt();
        }
        let n = if self.buffering == Buffering::None {
            1
        } else {
            self.room
        };
        let r = cvt(door!(read, self.fd, self.buf.add(UNGET), n));
        self.at = UNGET;
        self.end = UNGET + r.max(0) as usize;
        self.eof = r == 0;
        self.error |= r < 0;
        r > 0
    }
}
