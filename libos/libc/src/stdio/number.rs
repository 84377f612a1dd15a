//! Numbers for `printf`. Digits of floating-point numbers are core's, which are exact.

use super::Fixed;
use super::format::{Out, Spec};
use core::fmt::Write;

fn sign(s: &Spec, negative: bool) -> &'static [u8] {
    match (negative, s.plus, s.space) {
        (true, ..) => b"-",
        (_, true, _) => b"+",
        (_, _, true) => b" ",
        _ => b"",
    }
}

unsafe fn digits(out: &mut Out, mut s: Spec, prefix: &[u8], text: &[u8]) {
    let mut zeros = 0;
    if let Some(p) = s.precision {
        // A precision is a number of digits, and switches the flag 0 off.
        s.zero = false;
        zeros = p.saturating_sub(text.len());
    }
    out.field(&s, prefix, zeros, [text, b""], 0);
}

pub unsafe fn decimal(out: &mut Out, s: Spec, v: i64) {
    let mut text = Fixed::<24>::new();
    let nothing = s.precision == Some(0) && v == 0;
    if !nothing && write!(text, "{}", v.unsigned_abs()).is_err() {
        return;
    }
    digits(out, s, sign(&s, v < 0), text.bytes());
}

pub unsafe fn unsigned(out: &mut Out, mut s: Spec, conversion: u8, v: u64) {
    let mut text = Fixed::<72>::new();
    let written = match conversion {
        _ if s.precision == Some(0) && v == 0 => Ok(()),
        b'u' => write!(text, "{v}"),
        b'o' => write!(text, "{v:o}"),
        b'x' => write!(text, "{v:x}"),
        b'X' => write!(text, "{v:X}"),
        _ => write!(text, "{v:b}"),
    };
    if written.is_err() {
        return;
    }
    let prefix: &[u8] = match conversion {
        // The leading zero, which nought has already, counts among the digits that a precision asks for.
        b'o' if s.alt && s.precision.is_some() => {
            let digits = text.bytes().len() + usize::from(text.bytes() != b"0");
            s.precision = s.precision.map(|p| p.max(digits));
            b""
        }
        b'o' if s.alt && v != 0 => b"0",
        b'x' if s.alt && v != 0 => b"0x",
        b'X' if s.alt && v != 0 => b"0X",
        b'b' if s.alt && v != 0 => b"0b",
        b'B' if s.alt && v != 0 => b"0B",
        _ => b"",
    };
    digits(out, s, prefix, text.bytes());
}

/// More digits than this are zeroes: a double ends after 1074 places.
const EXACT: usize = 1074;

pub unsafe fn float(out: &mut Out, mut s: Spec, conversion: u8, v: f64) {
    let upper = conversion.is_ascii_uppercase();
    let prefix = sign(&s, v.is_sign_negative());
    if !v.is_finite() {
        let text: &[u8] = match (v.is_nan(), upper) {
            (true, false) => b"nan",
            (true, true) => b"NAN",
            (false, false) => b"inf",
            (false, true) => b"INF",
        };
        s.zero = false;
        return out.field(&s, prefix, 0, [text, b""], 0);
    }
    let v = v.abs();
    let precision = s.precision.unwrap_or(6);
    match conversion | 32 {
        b'f' => fixed(out, s, prefix, v, precision, false),
        b'e' => exponent(out, s, prefix, v, precision, upper, false),
        b'a' => hex(out, s, prefix, v, upper),
        _ => {
            let p = precision.max(1);
            // The exponent that rounding to `p` digits leaves.
            let mut probe = Fixed::<1500>::new();
            if write!(probe, "{v:.*e}", (p - 1).min(EXACT)).is_err() {
                return;
            }
            let x = split(probe.bytes()).1;
            if x >= -4 && x < p as i64 {
                fixed(out, s, prefix, v, (p as i64 - 1 - x) as usize, !s.alt);
            } else {
                exponent(out, s, prefix, v, p - 1, upper, !s.alt);
            }
        }
    }
}

/// Mantissa and exponent of core's `1.5e-7`.
fn split(text: &[u8]) -> (&[u8], i64) {
    let at = text.iter().position(|&c| c == b'e').unwrap_or(text.len());
    let exp = text.get(at + 1..).unwrap_or(b"0");
    let (negative, exp) = exp.strip_prefix(b"-").map_or((false, exp), |e| (true, e));
    let n = exp.iter().fold(0, |n, c| n * 10 + (c - b'0') as i64);
    (&text[..at], if negative { -n } else { n })
}

/// Without trailing zeroes, as `%g` has it.
fn strip(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let end = text.iter().rposition(|&c| c != b'0').map_or(0, |i| i + 1);
    text[..end].strip_suffix(b".").unwrap_or(&text[..end])
}

unsafe fn fixed(out: &mut Out, s: Spec, prefix: &[u8], v: f64, precision: usize, short: bool) {
    let mut text = Fixed::<1500>::new();
    let exact = precision.min(EXACT);
    if write!(text, "{v:.exact$}").is_err() {
        return;
    }
    if short {
        return out.field(&s, prefix, 0, [strip(text.bytes()), b""], 0);
    }
    if s.alt && precision == 0 && text.write_str(".").is_err() {
        return;
    }
    out.field(&s, prefix, 0, [text.bytes(), b""], precision - exact);
}

unsafe fn exponent(
    out: &mut Out,
    s: Spec,
    prefix: &[u8],
    v: f64,
    precision: usize,
    upper: bool,
    short: bool,
) {
    let mut text = Fixed::<1500>::new();
    let exact = precision.min(EXACT);
    if write!(text, "{v:.exact$e}").is_err() {
        return;
    }
    let (mantissa, exp) = split(text.bytes());
    let mut mant = Fixed::<1500>::new();
    let mut tail = Fixed::<16>::new();
    let e = if upper { 'E' } else { 'e' };
    let sign = if exp < 0 { '-' } else { '+' };
    let body = if short { strip(mantissa) } else { mantissa };
    let point = if s.alt && precision == 0 { "." } else { "" };
    let body = core::str::from_utf8(body).unwrap_or("");
    if write!(mant, "{body}{point}").is_err() || write!(tail, "{e}{sign}{:02}", exp.abs()).is_err()
    {
        return;
    }
    let inner = if short { 0 } else { precision - exact };
    out.field(&s, prefix, 0, [mant.bytes(), tail.bytes()], inner);
}

unsafe fn hex(out: &mut Out, s: Spec, sign: &[u8], v: f64, upper: bool) {
    let bits = v.to_bits();
    let mut exp = (bits >> 52) as i64 - 1023;
    let mut mant = bits & ((1 << 52) - 1);
    if exp == -1023 {
        if mant == 0 {
            exp = 0;
        } else {
            exp = -1022;
        }
    } else {
        mant |= 1 << 52;
    }
    let mut places = 13;
    if let Some(p) = s.precision.filter(|&p| p < 13) {
        // Round half to even at the place kept.
        let drop = 4 * (13 - p as u32);
        let (kept, rest, half) = (mant >> drop, mant & ((1 << drop) - 1), 1u64 << (drop - 1));
        mant = (kept + (rest > half || (rest == half && kept & 1 == 1)) as u64) << drop;
        places = p;
    } else if s.precision.is_none() {
        while places > 0 && mant >> (4 * (13 - places)) & 15 == 0 {
            places -= 1;
        }
    }
    let mut text = Fixed::<32>::new();
    let mut tail = Fixed::<16>::new();
    let frac = (mant & ((1 << 52) - 1)) >> (4 * (13 - places));
    let lead = mant >> 52;
    let written = match (places > 0, upper) {
        (true, false) => write!(text, "{lead}.{frac:0places$x}"),
        (true, true) => write!(text, "{lead}.{frac:0places$X}"),
        _ if s.alt => write!(text, "{lead}."),
        _ => write!(text, "{lead}"),
    };
    let e = if upper { 'P' } else { 'p' };
    if written.is_err() || write!(tail, "{e}{exp:+}").is_err() {
        return;
    }
    let mut prefix = Fixed::<4>::new();
    let sign = core::str::from_utf8(sign).unwrap_or("");
    if write!(prefix, "{sign}{}", if upper { "0X" } else { "0x" }).is_err() {
        return;
    }
    let extra = s.precision.unwrap_or(0).saturating_sub(13);
    out.field(&s, prefix.bytes(), 0, [text.bytes(), tail.bytes()], extra);
}
