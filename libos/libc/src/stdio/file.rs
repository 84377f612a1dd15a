//! `FILE`: a buffer for one direction at a time, under a lock that its owner may take again.

use crate::errno::{cvt, fail, get, set};
use crate::lock::{Lock, futex_wait, futex_wake};
use crate::malloc::{free, malloc};
use crate::string::memcpy;
use crate::tcb;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::*};

pub const BUFSIZ: usize = 4096;
/// Room in front of the buffer for what `ungetc` puts back.
pub const UNGET: usize = 8;

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
pub struct File {
    pub fd: c_int,
    pub mode: Mode,
    pub buffering: Buffering,
    pub eof: bool,
    pub error: bool,
    pub append: bool,
    pub own_buf: bool,
    is_static: bool,
    /// `UNGET + room` bytes; what is read or to be written lies in `at..end`.
    pub buf: *mut u8,
    pub room: usize,
    pub at: usize,
    pub end: usize,
    pub pid: c_int,
    owner: AtomicU32,
    depth: u32,
    prev: *mut File,
    next: *mut File,
}

const fn standard(fd: c_int, buffering: Buffering) -> File {
    File {
        fd,
        mode: Mode::Idle,
        buffering,
        eof: false,
        error: false,
        append: false,
        own_buf: false,
        is_static: true,
        buf: null_mut(),
        room: 0,
        at: 0,
        end: 0,
        pid: 0,
        owner: AtomicU32::new(0),
        depth: 0,
        prev: null_mut(),
        next: null_mut(),
    }
}

static mut STDIN: File = standard(0, Buffering::Full);
static mut STDOUT: File = standard(1, Buffering::Undecided);
static mut STDERR: File = standard(2, Buffering::None);

#[unsafe(no_mangle)]
pub static mut stdin: *mut File = &raw mut STDIN;
#[unsafe(no_mangle)]
pub static mut stdout: *mut File = &raw mut STDOUT;
#[unsafe(no_mangle)]
pub static mut stderr: *mut File = &raw mut STDERR;

/// The files that `fopen` made.
#[unsafe(link_section = ".bss.libos.stdio")]
static mut OPEN: *mut File = null_mut();
#[unsafe(link_section = ".bss.libos.stdio")]
pub static LIST: Lock = Lock::new();

const CONTENDED: u32 = 1 << 31;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn flockfile(f: *mut File) {
    let me = tcb::tid() as u32;
    if (*f).owner.load(Relaxed) & !CONTENDED == me {
        (*f).depth += 1;
        return;
    }
    if (*f).owner.compare_exchange(0, me, Acquire, Relaxed).is_ok() {
        return;
    }
    loop {
        let now = (*f).owner.load(Relaxed);
        if now == 0 {
            if (*f)
                .owner
                .compare_exchange(0, me | CONTENDED, Acquire, Relaxed)
                .is_ok()
            {
                return;
            }
            continue;
        }
        let marked = now | CONTENDED;
        if now == marked
            || (*f)
                .owner
                .compare_exchange(now, marked, Relaxed, Relaxed)
                .is_ok()
        {
            futex_wait(&(*f).owner, marked);
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftrylockfile(f: *mut File) -> c_int {
    let me = tcb::tid() as u32;
    if (*f).owner.load(Relaxed) & !CONTENDED == me {
        (*f).depth += 1;
        return 0;
    }
    (*f).owner
        .compare_exchange(0, me, Acquire, Relaxed)
        .is_err() as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn funlockfile(f: *mut File) {
    if (*f).depth > 0 {
        (*f).depth -= 1;
    } else if (*f).owner.swap(0, Release) & CONTENDED != 0 {
        futex_wake(&(*f).owner, 1);
    }
}

/// Runs `body` with the file locked.
pub unsafe fn locked<R>(f: *mut File, body: impl FnOnce(&mut File) -> R) -> R {
    flockfile(f);
    let r = body(&mut *f);
    funlockfile(f);
    r
}

pub unsafe fn new(fd: c_int) -> *mut File {
    let f = malloc(size_of::<File>()).cast::<File>();
    if f.is_null() {
        return f;
    }
    f.write(standard(fd, Buffering::Undecided));
    (*f).is_static = false;
    LIST.lock();
    (*f).next = OPEN;
    if !OPEN.is_null() {
        (*OPEN).prev = f;
    }
    OPEN = f;
    LIST.unlock();
    f
}

/// Takes a file off the list and frees what is ours.
pub unsafe fn dispose(f: *mut File) {
    if (*f).own_buf {
        free((*f).buf.cast());
        (*f).buf = null_mut();
        (*f).own_buf = false;
    }
    if (*f).is_static {
        return;
    }
    LIST.lock();
    if (*f).prev.is_null() {
        OPEN = (*f).next;
    } else {
        (*(*f).prev).next = (*f).next;
    }
    if !(*f).next.is_null() {
        (*(*f).next).prev = (*f).prev;
    }
    LIST.unlock();
    free(f.cast());
}

impl File {
    /// Makes sure of a buffer. Without memory for one, a few bytes of our own serve.
    unsafe fn ensure_buffer(&mut self) {
        if self.buf.is_null() {
            self.buf = malloc(UNGET + BUFSIZ).cast();
            self.own_buf = true;
            self.room = BUFSIZ;
            self.at = UNGET;
            self.end = UNGET;
            if self.buf.is_null() {
                // `error` ends the operation that wanted it.
                self.own_buf = false;
                self.room = 0;
                self.error = true;
            }
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

    unsafe fn write_out(&mut self, mut p: *const u8, mut n: usize) -> bool {
        while n > 0 {
            let r = door!(write, self.fd, p, n);
            if r == -(libc::EINTR as isize) {
                continue;
            }
            if cvt(r) < 0 {
                self.error = true;
                return false;
            }
            p = p.add(r as usize);
            n -= r as usize;
        }
        true
    }

    /// Writes what waits to be written; drops what was read ahead, seeking back over it.
    pub unsafe fn flush(&mut self) -> bool {
        let mut ok = true;
        match self.mode {
            Mode::Writing => ok = self.write_out(self.buf.add(self.at), self.end - self.at),
            Mode::Reading if self.end > self.at => {
                // Fails on a pipe, which has no way back; then it is merely dropped.
                door!(
                    lseek,
                    self.fd,
                    self.at as i64 - self.end as i64,
                    libc::SEEK_CUR
                );
            }
            _ => {}
        }
        self.at = UNGET;
        self.end = UNGET;
        self.mode = Mode::Idle;
        ok
    }

    pub unsafe fn write(&mut self, data: &[u8]) -> bool {
        if self.mode != Mode::Writing {
            self.flush();
            self.ensure_buffer();
            self.mode = Mode::Writing;
        }
        if self.buffering == Buffering::None || self.room == 0 {
            return self.write_out(data.as_ptr(), data.len());
        }
        let room = UNGET + self.room - self.end;
        if data.len() > room {
            if !self.flush() {
                return false;
            }
            self.mode = Mode::Writing;
            if data.len() >= self.room {
                return self.write_out(data.as_ptr(), data.len());
            }
        }
        memcpy(
            self.buf.add(self.end).cast(),
            data.as_ptr().cast(),
            data.len(),
        );
        self.end += data.len();
        if self.buffering == Buffering::Line && data.contains(&b'\n') {
            let ok = self.flush();
            self.mode = Mode::Writing;
            return ok;
        }
        true
    }

    /// Makes `at..end` hold something to read; false at the end or on an error.
    pub unsafe fn fill(&mut self) -> bool {
        if self.mode != Mode::Reading {
            self.flush();
            self.ensure_buffer();
            self.mode = Mode::Reading;
        }
        if self.at < self.end {
            return true;
        }
        if self.eof || self.room == 0 {
            return false;
        }
        if self.fd == 0 && STDOUT.buffering == Buffering::Line {
            // A prompt without a newline must be seen before the answer is waited for.
            fflush(&raw mut STDOUT);
        }
        let n = if self.buffering == Buffering::None {
            1
        } else {
            self.room
        };
        loop {
            let r = door!(read, self.fd, self.buf.add(UNGET), n);
            if r == -(libc::EINTR as isize) {
                continue;
            }
            self.at = UNGET;
            self.end = UNGET + r.max(0) as usize;
            self.eof = r == 0;
            self.error |= cvt(r) < 0;
            return r > 0;
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fflush(f: *mut File) -> c_int {
    if f.is_null() {
        return if flush_all() { 0 } else { -1 };
    }
    if locked(f, |f| f.flush()) { 0 } else { -1 }
}

/// All files' waiting output. True if it all went out.
pub fn flush_all() -> bool {
    // SAFETY: the list's files live until `dispose`, which takes the same lock.
    unsafe {
        let mut ok = true;
        for f in [&raw mut STDOUT, &raw mut STDERR] {
            if (*f).mode == Mode::Writing {
                ok &= locked(f, |f| f.flush());
            }
        }
        if (*(&raw const STDIN)).mode == Mode::Reading {
            ok &= locked(&raw mut STDIN, |f| f.flush());
        }
        LIST.lock();
        let mut f = OPEN;
        while !f.is_null() {
            if (*f).mode == Mode::Writing {
                ok &= locked(f, |f| f.flush());
            }
            f = (*f).next;
        }
        LIST.unlock();
        ok
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setvbuf(f: *mut File, buf: *mut c_char, mode: c_int, len: usize) -> c_int {
    if !(0..=2).contains(&mode) {
        return fail(libc::EINVAL) as c_int;
    }
    locked(f, |f| {
        f.buffering = [Buffering::Full, Buffering::Line, Buffering::None][mode as usize];
        if !buf.is_null() && len > UNGET && f.mode == Mode::Idle && !f.own_buf {
            f.buf = buf.cast();
            f.room = len - UNGET;
            f.at = UNGET;
            f.end = UNGET;
        }
    });
    0
}

/// The child's only thread is the caller, of which the files know by the number that it had in the parent.
pub unsafe fn after_fork_child(parent: c_int) {
    let adopt = |f: *mut File| {
        let held = (*f).owner.load(Relaxed) & !CONTENDED;
        if held != 0 && held == parent as u32 {
            (*f).owner.store(tcb::tid() as u32, Relaxed);
        } else {
            (*f).owner.store(0, Relaxed);
            (*f).depth = 0;
        }
    };
    for f in [&raw mut STDIN, &raw mut STDOUT, &raw mut STDERR] {
        adopt(f);
    }
    let mut f = OPEN;
    while !f.is_null() {
        adopt(f);
        f = (*f).next;
    }
}
