//! The language of `printf`: `%[flags][width][.precision][length]conversion`, with `%n$` and `*m$`
//! left out.

use super::number;
use super::variadic::VaList;
use crate::string::{bytes, strnlen};
use core::ffi::{c_char, c_int};

/// Where formatted bytes go; false when they cannot.
pub trait Sink {
    unsafe fn put(&mut self, s: &[u8]) -> bool;
}

/// One conversion's flags and numbers.
#[derive(Clone, Copy, Default)]
pub struct Spec {
    pub left: bool,
    pub plus: bool,
    pub space: bool,
    pub alt: bool,
    pub zero: bool,
    pub width: usize,
    pub precision: Option<usize>,
}

/// Counts what goes out and remembers a failure.
pub struct Out<'a> {
    sink: &'a mut dyn Sink,
    pub count: usize,
    failed: bool,
}

impl Out<'_> {
    pub unsafe fn put(&mut self, s: &[u8]) {
        self.failed = self.failed || (!s.is_empty() && !self.sink.put(s));
        self.count += s.len();
    }

    pub unsafe fn fill(&mut self, c: u8, mut n: usize) {
        let run = [c; 64];
        while n > 0 {
            let k = n.min(64);
            self.put(&run[..k]);
            n -= k;
        }
    }

    /// `prefix`, then `zeros` zeroes, then the parts, in a field of the specified width.
    pub unsafe fn field(
        &mut self,
        spec: &Spec,
        prefix: &[u8],
        zeros: usize,
        parts: [&[u8]; 2],
        inner: usize,
    ) {
        let len = prefix.len() + zeros + parts[0].len() + inner + parts[1].len();
        let pad = spec.width.saturating_sub(len);
        if !spec.left && !spec.zero {
            self.fill(b' ', pad);
        }
        self.put(prefix);
        if !spec.left && spec.zero {
            self.fill(b'0', pad);
        }
        self.fill(b'0', zeros);
        self.put(parts[0]);
        self.fill(b'0', inner);
        self.put(parts[1]);
        if spec.left {
            self.fill(b' ', pad);
        }
    }
}

/// A number in the format, or the next `int` for `*`.
unsafe fn amount(p: &mut *const u8, ap: &mut VaList) -> i64 {
    if **p == b'*' {
        *p = p.add(1);
        return ap.word() as i32 as i64;
    }
    let mut n = 0i64;
    while (**p).is_ascii_digit() {
        n = (n * 10 + (**p - b'0') as i64).min(i32::MAX as i64);
        *p = p.add(1);
    }
    n
}

unsafe fn spec(p: &mut *const u8, ap: &mut VaList) -> Spec {
    let mut s = Spec::default();
    loop {
        match **p {
            b'-' => s.left = true,
            b'+' => s.plus = true,
            b' ' => s.space = true,
            b'#' => s.alt = true,
            b'0' => s.zero = true,
            b'\'' => {}
            _ => break,
        }
        *p = p.add(1);
    }
    let width = amount(p, ap);
    s.left |= width < 0;
    s.width = width.unsigned_abs() as usize;
    if **p == b'.' {
        *p = p.add(1);
        s.precision = usize::try_from(amount(p, ap)).ok();
    }
    s
}

/// Length modifiers, as the size of the integer in bytes; 16 stands for `L`.
unsafe fn length(p: &mut *const u8) -> usize {
    let mut size = 4;
    loop {
        size = match **p {
            b'h' if size == 2 => 1,
            b'h' => 2,
            b'l' | b'q' | b'j' | b'z' | b't' => 8,
            b'L' => 16,
            _ => return size,
        };
        *p = p.add(1);
    }
}

fn signed(v: u64, size: usize) -> i64 {
    match size {
        1 => v as i8 as i64,
        2 => v as i16 as i64,
        4 => v as i32 as i64,
        _ => v as i64,
    }
}

fn unsigned(v: u64, size: usize) -> u64 {
    match size {
        1 => v as u8 as u64,
        2 => v as u16 as u64,
        4 => v as u32 as u64,
        _ => v,
    }
}

pub unsafe fn format(sink: &mut dyn Sink, fmt: *const c_char, ap: &mut VaList) -> c_int {
    let mut out = Out {
        sink,
        count: 0,
        failed: false,
    };
    let mut p = fmt.cast::<u8>();
    loop {
        let start = p;
        while *p != 0 && *p != b'%' {
            p = p.add(1);
        }
        out.put(core::slice::from_raw_parts(
            start,
            p.offset_from_unsigned(start),
        ));
        if *p == 0 {
            break;
        }
        p = p.add(1);
        let s = spec(&mut p, ap);
        let size = length(&mut p);
        let conversion = *p;
        p = p.add(1);
        match conversion {
            b'd' | b'i' => number::decimal(&mut out, s, signed(ap.word(), size)),
            b'u' | b'o' | b'x' | b'X' | b'b' | b'B' => {
                number::unsigned(&mut out, s, conversion, unsigned(ap.word(), size))
            }
            b'p' => {
                let s = Spec { alt: true, ..s };
                number::unsigned(&mut out, s, b'x', ap.word());
            }
            b'c' => out.field(
                &Spec { zero: false, ..s },
                b"",
                0,
                [&[ap.word() as u8], b""],
                0,
            ),
            b's' => {
                let text = ap.word() as *const c_char;
                let text = if text.is_null() {
                    c"(null)".as_ptr()
                } else {
                    text
                };
                let n = strnlen(text, s.precision.unwrap_or(usize::MAX >> 1));
                let text = core::slice::from_raw_parts(text.cast::<u8>(), n);
                out.field(&Spec { zero: false, ..s }, b"", 0, [text, b""], 0);
            }
            b'm' => {
                let text = bytes(crate::strerror::strerror(crate::errno::get()));
                out.field(&Spec { zero: false, ..s }, b"", 0, [text, b""], 0);
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                let v = if size == 16 {
                    ap.long_double()
                } else {
                    ap.double()
                };
                number::float(&mut out, s, conversion, v);
            }
            b'n' => {
                let at = ap.word() as *mut u8;
                match size {
                    1 => *at = out.count as u8,
                    2 => *at.cast() = out.count as u16,
                    4 => *at.cast() = out.count as u32,
                    _ => *at.cast() = out.count as u64,
                }
            }
            b'%' => out.put(b"%"),
            _ => return crate::errno::fail(libc::EINVAL) as c_int,
        }
    }
    if out.failed {
        return -1;
    }
    c_int::try_from(out.count).unwrap_or_else(|_| crate::errno::fail(libc::EOVERFLOW) as c_int)
}
