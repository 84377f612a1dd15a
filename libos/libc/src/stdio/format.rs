//! The language of `printf`: `%[n$][flags][width][.precision][length]conversion`.

use super::args::{Args, Kind, VaList};
use super::number;
use crate::string::{bytes, strchr, strnlen};
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

/// Digits of the format; 0 without any.
unsafe fn digits(p: &mut *const u8) -> i64 {
    let mut n = 0i64;
    while (**p).is_ascii_digit() {
        n = (n * 10 + (**p - b'0') as i64).min(i32::MAX as i64);
        *p = p.add(1);
    }
    n
}

/// `n$`, if that is what comes next: the argument's number. Without one it is 0.
unsafe fn place(p: &mut *const u8) -> usize {
    let mut end = *p;
    let n = digits(&mut end);
    if **p == b'0' || n == 0 || *end != b'$' {
        return 0;
    }
    *p = end.add(1);
    n as usize
}

/// A number in the format, or for `*` an argument.
unsafe fn amount(p: &mut *const u8, args: &mut Args) -> i64 {
    if **p == b'*' {
        *p = p.add(1);
        let place = place(p);
        return args.get(place, Kind::Word) as i32 as i64;
    }
    digits(p)
}

unsafe fn spec(p: &mut *const u8, args: &mut Args) -> Spec {
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
    let width = amount(p, args);
    s.left |= width < 0;
    s.width = width.unsigned_abs() as usize;
    if **p == b'.' {
        *p = p.add(1);
        s.precision = usize::try_from(amount(p, args)).ok();
    }
    s
}

/// The size that stands for `L`.
const LONG: usize = 16;

/// Length modifiers, as the size of the integer in bytes.
unsafe fn length(p: &mut *const u8) -> usize {
    let mut size = 4;
    loop {
        size = match **p {
            b'h' if size == 2 => 1,
            b'h' => 2,
            b'l' | b'q' | b'j' | b'z' | b't' => 8,
            b'L' => LONG,
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
    let mut args = Args::new(ap);
    if !strchr(fmt, b'$' as c_int).is_null() {
        // Arguments by number have to be fetched in their order: the format is read for their types first.
        args.learning = true;
        if !run(&mut out, fmt, &mut args) || !args.fetch_all() {
            return crate::errno::fail(libc::EINVAL) as c_int;
        }
    }
    if !run(&mut out, fmt, &mut args) {
        return crate::errno::fail(libc::EINVAL) as c_int;
    }
    if out.failed {
        return -1;
    }
    c_int::try_from(out.count).unwrap_or_else(|_| crate::errno::fail(libc::EOVERFLOW) as c_int)
}

/// False if the format is not one.
unsafe fn run(out: &mut Out, fmt: *const c_char, args: &mut Args) -> bool {
    let mut p = fmt.cast::<u8>();
    loop {
        let start = p;
        while *p != 0 && *p != b'%' {
            p = p.add(1);
        }
        if !args.learning {
            let text = core::slice::from_raw_parts(start, p.offset_from_unsigned(start));
            out.put(text);
        }
        if *p == 0 {
            return true;
        }
        p = p.add(1);
        let place = place(&mut p);
        let s = spec(&mut p, args);
        let size = length(&mut p);
        let conversion = *p;
        p = p.add(1);
        let value = match conversion {
            b'%' | b'm' => 0,
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' | b'b' | b'B' | b'p' | b'c' | b's' | b'n' => {
                args.get(place, Kind::Word)
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' if size == LONG => {
                args.get(place, Kind::LongDouble)
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => args.get(place, Kind::Double),
            _ => return false,
        };
        if !args.learning {
            convert(out, s, size, conversion, value);
        }
    }
}

unsafe fn convert(out: &mut Out, s: Spec, size: usize, conversion: u8, value: u64) {
    let text = Spec { zero: false, ..s };
    match conversion {
        b'd' | b'i' => number::decimal(out, s, signed(value, size)),
        b'u' | b'o' | b'x' | b'X' | b'b' | b'B' => {
            number::unsigned(out, s, conversion, unsigned(value, size))
        }
        b'p' => number::unsigned(out, Spec { alt: true, ..s }, b'x', value),
        b'c' => out.field(&text, b"", 0, [&[value as u8], b""], 0),
        b's' => {
            let at = if value == 0 {
                c"(null)".as_ptr()
            } else {
                value as *const c_char
            };
            let n = strnlen(at, s.precision.unwrap_or(usize::MAX >> 1));
            let bytes = core::slice::from_raw_parts(at.cast::<u8>(), n);
            out.field(&text, b"", 0, [bytes, b""], 0);
        }
        b'm' => {
            let why = bytes(crate::strerror::strerror(crate::errno::get()));
            out.field(&text, b"", 0, [why, b""], 0);
        }
        b'n' => {
            let at = value as *mut u8;
            match size {
                1 => *at = out.count as u8,
                2 => *at.cast() = out.count as u16,
                4 => *at.cast() = out.count as u32,
                _ => *at.cast() = out.count as u64,
            }
        }
        b'%' => out.put(b"%"),
        _ => number::float(out, s, conversion, f64::from_bits(value)),
    }
}
