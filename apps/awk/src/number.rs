//! Numbers to text and back: the leading number of a string, whether a whole string looks like a
//! number (POSIX "numeric string"), and the shortest work for integers, which are the common case.

use crate::format;
use crate::str::Str;

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The value of the longest numeric prefix; 0 without one.
#[inline]
pub fn prefix(s: &[u8]) -> f64 {
    scan(s).0
}

/// The value if all of `s`, blanks around it aside, is one number.
#[inline]
pub fn whole(s: &[u8]) -> Option<f64> {
    // Most fields that are not numbers start with a letter.
    match s.first() {
        None => return None,
        Some(&b) if b.is_ascii_alphabetic() || b >= 0x80 => return None,
        _ => {}
    }
    let (value, end) = scan(s);
    if end == 0 || !s[end..].iter().all(|&b| is_space(b)) {
        return None;
    }
    Some(value)
}

const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The number at the start of `s` after blanks and where it ends (0 if there is none).
pub fn scan(s: &[u8]) -> (f64, usize) {
    let mut i = 0;
    while i < s.len() && is_space(s[i]) {
        i += 1;
    }
    let start = i;
    let mut negative = false;
    if i < s.len() && (s[i] == b'-' || s[i] == b'+') {
        negative = s[i] == b'-';
        i += 1;
    }
    let signed = i > start;
    let digits_at = i;
    let mut mantissa: u64 = 0;
    while i < s.len() && s[i].is_ascii_digit() {
        mantissa = mantissa
            .wrapping_mul(10)
            .wrapping_add(u64::from(s[i] - b'0'));
        i += 1;
    }
    let mut digits = i - digits_at;
    let mut fraction = 0;
    if i < s.len() && s[i] == b'.' {
        let point = i;
        i += 1;
        while i < s.len() && s[i].is_ascii_digit() {
            mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(s[i] - b'0'));
            i += 1;
        }
        fraction = i - point - 1;
        digits += fraction;
    }
    if digits == 0 {
        return special(s, start, signed);
    }
    let mut exponent = false;
    if i < s.len() && (s[i] | 0x20) == b'e' {
        let mut j = i + 1;
        if j < s.len() && (s[j] == b'-' || s[j] == b'+') {
            j += 1;
        }
        if j < s.len() && s[j].is_ascii_digit() {
            while j < s.len() && s[j].is_ascii_digit() {
                j += 1;
            }
            i = j;
            exponent = true;
        }
    }
    // Exact: a mantissa below 2^53 divided by an exactly representable power of ten.
    if !exponent && digits <= 18 && mantissa < (1 << 53) && fraction <= 22 {
        let value = mantissa as f64 / POW10[fraction];
        return (if negative { -value } else { value }, i);
    }
    let text = std::str::from_utf8(&s[start..i]).unwrap_or("0");
    (text.parse().unwrap_or(0.0), i)
}

/// `+nan`, `-inf` and so on: only with a sign, as gawk has it, so that words stay words.
fn special(s: &[u8], start: usize, signed: bool) -> (f64, usize) {
    if !signed {
        return (0.0, 0);
    }
    let rest = &s[start + 1..];
    let is = |word: &[u8]| rest.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let ends = |n: usize| rest.get(n).is_none_or(|b| !b.is_ascii_alphanumeric());
    let value = if is(b"nan") && ends(3) {
        f64::NAN
    } else if is(b"inf") && ends(3) {
        f64::INFINITY
    } else {
        return (0.0, 0);
    };
    (if s[start] == b'-' { -value } else { value }, start + 4)
}

/// Decimal digits of an integer into a fixed buffer; returns where they start.
#[inline]
pub fn itoa(n: i64, buf: &mut [u8; 20]) -> usize {
    let mut at = 20;
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        buf[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        buf[at] = b'-';
    }
    at
}

#[inline]
fn as_integer(n: f64) -> Option<i64> {
    let i = n as i64;
    (i as f64 == n && i.unsigned_abs() < 1 << 62).then_some(i)
}

/// The string of a number that is a machine integer.
#[inline]
pub fn integer_str(n: f64) -> Option<Str> {
    let i = as_integer(n)?;
    let mut buf = [0; 20];
    let at = itoa(i, &mut buf);
    Some(Str::new(&buf[at..]))
}

/// Appends a number as awk converts it: integers in full, the rest by `fmt`.
#[inline]
pub fn append(n: f64, fmt: &[u8], out: &mut Vec<u8>) {
    if let Some(i) = as_integer(n) {
        let mut buf = [0; 20];
        let at = itoa(i, &mut buf);
        out.extend_from_slice(&buf[at..]);
    } else {
        append_slow(n, fmt, out);
    }
}

#[cold]
fn append_slow(n: f64, fmt: &[u8], out: &mut Vec<u8>) {
    if n.is_nan() || n.is_infinite() {
        out.extend_from_slice(format::special(n).as_bytes());
    } else if n.fract() == 0.0 {
        out.extend_from_slice(std::format!("{n:.0}").as_bytes());
    } else if fmt == b"%.6g" {
        format::general(n, 6, false, false, out);
    } else {
        format::number_by(fmt, n, out);
    }
}
