//! The entry points of `printf`.
//!
//! Stable Rust cannot define a variadic function. These are a few instructions that store the
//! argument registers, build the `va_list` of AAPCS64 and call the `v…` function.

use super::args::VaList;
use super::file::{File, locked, stdout};
use super::format::{Sink, format};
use super::stream::{Buffering, Stream};
use crate::errno::fail;
use crate::malloc::realloc;
use crate::string::memcpy;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

core::arch::global_asm!(
    // \named registers are parameters of the function itself; the list goes into the next one.
    ".macro VARIADIC name, to, named",
    ".pushsection .text.\\name,\"ax\",@progbits",
    ".p2align 2",
    ".global \\name",
    ".type \\name, %function",
    "\\name:",
    ".cfi_startproc",
    "mov x9, sp",
    "stp x29, x30, [sp, #-240]!",
    ".cfi_def_cfa_offset 240",
    ".cfi_offset x29, -240",
    ".cfi_offset x30, -232",
    "mov x29, sp",
    "stp x0, x1, [sp, #48]",
    "stp x2, x3, [sp, #64]",
    "stp x4, x5, [sp, #80]",
    "stp x6, x7, [sp, #96]",
    "stp q0, q1, [sp, #112]",
    "stp q2, q3, [sp, #144]",
    "stp q4, q5, [sp, #176]",
    "stp q6, q7, [sp, #208]",
    "add x10, sp, #112",
    "stp x9, x10, [sp, #16]",
    "add x10, sp, #240",
    "mov w11, #-(8 - \\named) * 8",
    "mov w12, #-128",
    "str x10, [sp, #32]",
    "stp w11, w12, [sp, #40]",
    "add x\\named, sp, #16",
    "bl \\to",
    "ldp x29, x30, [sp], #240",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size \\name, . - \\name",
    ".popsection",
    ".endm",
    "VARIADIC printf, vprintf, 1",
    "VARIADIC fprintf, vfprintf, 2",
    "VARIADIC dprintf, vdprintf, 2",
    "VARIADIC sprintf, vsprintf, 2",
    "VARIADIC snprintf, vsnprintf, 3",
    "VARIADIC asprintf, vasprintf, 2",
    "VARIADIC syslog, vsyslog, 2",
);

struct ToStream<'a>(&'a mut Stream);
impl Sink for ToStream<'_> {
    unsafe fn put(&mut self, s: &[u8]) -> bool {
        self.0.write(s) == s.len()
    }
}

struct ToBuffer {
    buf: *mut u8,
    room: usize,
}
impl Sink for ToBuffer {
    unsafe fn put(&mut self, s: &[u8]) -> bool {
        let n = s.len().min(self.room);
        memcpy(self.buf.cast(), s.as_ptr().cast(), n);
        self.buf = self.buf.wrapping_add(n);
        self.room -= n;
        true
    }
}

struct Growing {
    buf: *mut u8,
    len: usize,
}
impl Sink for Growing {
    unsafe fn put(&mut self, s: &[u8]) -> bool {
        let p = realloc(self.buf.cast(), self.len + s.len() + 1).cast::<u8>();
        if p.is_null() {
            return false;
        }
        self.buf = p;
        memcpy(p.add(self.len).cast(), s.as_ptr().cast(), s.len());
        self.len += s.len();
        *p.add(self.len) = 0;
        true
    }
}

/// By one write if the stream is unbuffered and the text is not long.
unsafe fn to_stream(f: &mut Stream, fmt: *const c_char, ap: *mut VaList) -> c_int {
    match f.at_once(|f| format(&mut ToStream(f), fmt, &mut *ap)) {
        (n, true) => n,
        _ => -1,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfprintf(f: *mut File, fmt: *const c_char, ap: *mut VaList) -> c_int {
    locked(f, |f| to_stream(f, fmt, ap))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vprintf(fmt: *const c_char, ap: *mut VaList) -> c_int {
    vfprintf(stdout, fmt, ap)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vdprintf(fd: c_int, fmt: *const c_char, ap: *mut VaList) -> c_int {
    to_stream(&mut Stream::new(fd, Buffering::None), fmt, ap)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsnprintf(
    buf: *mut c_char,
    len: usize,
    fmt: *const c_char,
    ap: *mut VaList,
) -> c_int {
    let mut out = ToBuffer {
        buf: buf.cast(),
        room: len.saturating_sub(1),
    };
    let n = format(&mut out, fmt, &mut *ap);
    if len > 0 {
        *out.buf = 0;
    }
    n
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsprintf(buf: *mut c_char, fmt: *const c_char, ap: *mut VaList) -> c_int {
    vsnprintf(buf, c_int::MAX as usize, fmt, ap)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vasprintf(
    out: *mut *mut c_char,
    fmt: *const c_char,
    ap: *mut VaList,
) -> c_int {
    let mut g = Growing {
        buf: null_mut(),
        len: 0,
    };
    if !g.put(b"") {
        return fail(libc::ENOMEM) as c_int;
    }
    let n = format(&mut g, fmt, &mut *ap);
    if n < 0 {
        crate::malloc::free(g.buf.cast());
        return -1;
    }
    *out = g.buf.cast();
    n
}

/// There is no log daemon: a message goes where its reader would look, to standard error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsyslog(_priority: c_int, fmt: *const c_char, ap: *mut VaList) {
    Stream::new(2, Buffering::None).at_once(|f| {
        if format(&mut ToStream(f), fmt, &mut *ap) >= 0 {
            f.write(b"\n");
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn openlog(_ident: *const c_char, _option: c_int, _facility: c_int) {}
#[unsafe(no_mangle)]
pub extern "C" fn closelog() {}
#[unsafe(no_mangle)]
pub extern "C" fn setlogmask(_mask: c_int) -> c_int {
    0xff
}
