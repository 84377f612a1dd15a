//! `printf`: C's conversions as gawk has them, over awk values; widths count characters.

use crate::number;
use crate::str::{char_count, char_offset, decode};
use crate::value::Value;

#[derive(Clone, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    alt: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// The text of a NaN or an infinity.
pub fn special(n: f64) -> &'static str {
    match (n.is_nan(), n.is_sign_negative()) {
        (true, true) => "-nan",
        (true, false) => "+nan",
        (false, true) => "-inf",
        (false, false) => "+inf",
    }
}

/// Formats one number by CONVFMT or OFMT.
pub fn number_by(fmt: &[u8], n: f64, out: &mut Vec<u8>) {
    // A format that is wrong leaves the number out, as it leaves the text around it.
    if sprintf(fmt, &[Value::Num(n)], b"%.6g", out).is_err() {
        general(n, 6, false, false, out);
    }
}

struct Args<'a> {
    values: &'a [Value],
    next: usize,
}

impl<'a> Args<'a> {
    fn take(&mut self, fmt: &[u8], at: usize) -> Result<&'a Value, String> {
        let value = self.values.get(self.next).ok_or_else(|| {
            let shown = String::from_utf8_lossy(fmt);
            let pad = " ".repeat(at);
            format!(
                "not enough arguments to satisfy format string\n\t`{shown}'\n\t{pad}^ ran out for this one"
            )
        })?;
        self.next += 1;
        Ok(value)
    }
}

/// Reads a decimal number at `i`.
fn digits(fmt: &[u8], i: &mut usize) -> usize {
    let mut n = 0usize;
    while let Some(d) = fmt.get(*i).filter(|b| b.is_ascii_digit()) {
        n = n.saturating_mul(10).saturating_add(usize::from(d - b'0'));
        *i += 1;
    }
    n.min(1 << 28)
}

pub fn sprintf(
    fmt: &[u8],
    values: &[Value],
    convfmt: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut args = Args { values, next: 0 };
    let mut i = 0;
    while i < fmt.len() {
        match memchr::memchr(b'%', &fmt[i..]) {
            None => {
                out.extend_from_slice(&fmt[i..]);
                break;
            }
            Some(at) => {
                out.extend_from_slice(&fmt[i..i + at]);
                i += at;
            }
        }
        let start = i;
        i += 1;
        let mut spec = Spec::default();
        // `%2$s`: the argument by number.
        let mut j = i;
        let number = digits(fmt, &mut j);
        if j > i && fmt.get(j) == Some(&b'$') {
            if number == 0 || number > values.len() {
                return Err(format!(
                    "argument index {number} greater than total number of supplied arguments"
                ));
            }
            args.next = number - 1;
            i = j + 1;
        }
        loop {
            match fmt.get(i) {
                Some(b'-') => spec.minus = true,
                Some(b'+') => spec.plus = true,
                Some(b' ') => spec.space = true,
                Some(b'#') => spec.alt = true,
                Some(b'0') => spec.zero = true,
                Some(b'\'') => {}
                _ => break,
            }
            i += 1;
        }
        if fmt.get(i) == Some(&b'*') {
            i += 1;
            let w = args.take(fmt, i)?.to_num() as i64;
            spec.minus |= w < 0;
            spec.width = w.unsigned_abs().min(1 << 28) as usize;
        } else {
            spec.width = digits(fmt, &mut i);
        }
        if fmt.get(i) == Some(&b'.') {
            i += 1;
            if fmt.get(i) == Some(&b'*') {
                i += 1;
                let p = args.take(fmt, i)?.to_num() as i64;
                spec.precision = usize::try_from(p).ok().map(|p| p.min(1 << 28));
            } else {
                spec.precision = Some(digits(fmt, &mut i));
            }
        }
        // One length modifier is ignored; a second spoils the conversion.
        if matches!(fmt.get(i), Some(b'h' | b'l' | b'L')) {
            i += 1;
        }
        let Some(&conv) = fmt.get(i) else {
            out.extend_from_slice(&fmt[start..]);
            break;
        };
        i += 1;
        match conv {
            b'%' => out.push(b'%'),
            b'c' => character(args.take(fmt, i - 1)?, &spec, out),
            b's' => string(args.take(fmt, i - 1)?, &spec, convfmt, out),
            b'd' | b'i' | b'o' | b'x' | b'X' | b'u' => {
                integer(args.take(fmt, i - 1)?.to_num(), conv, &spec, out);
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                float(args.take(fmt, i - 1)?.to_num(), conv, &spec, out);
            }
            _ => out.extend_from_slice(&fmt[start..i]),
        }
    }
    Ok(())
}

fn pad(text: &[u8], width_of_text: usize, spec: &Spec, out: &mut Vec<u8>) {
    let fill = spec.width.saturating_sub(width_of_text);
    if !spec.minus {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(text);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn character(value: &Value, spec: &Spec, out: &mut Vec<u8>) {
    if value.is_number() {
        let n = value.to_num();
        let code = if (0.0..4_294_967_296.0).contains(&n) {
            n as u32
        } else {
            0xff
        };
        match char::from_u32(code).filter(|_| n.is_finite()) {
            Some(c) => pad(c.encode_utf8(&mut [0; 4]).as_bytes(), 1, spec, out),
            None => pad(&[code as u8], 1, spec, out),
        }
        return;
    }
    let s = value.to_str(b"%.6g");
    let bytes = s.as_bytes();
    if bytes.is_empty() {
        pad(b"\0", 1, spec, out);
    } else {
        let (_, n) = decode(bytes);
        pad(&bytes[..n], 1, spec, out);
    }
}

fn string(value: &Value, spec: &Spec, convfmt: &[u8], out: &mut Vec<u8>) {
    let s = value.to_str(convfmt);
    let mut bytes = s.as_bytes();
    if spec.width == 0 && spec.precision.is_none() {
        out.extend_from_slice(bytes);
        return;
    }
    let ascii = bytes.is_ascii();
    if let Some(p) = spec.precision {
        let end = if ascii {
            p.min(bytes.len())
        } else {
            char_offset(bytes, p)
        };
        bytes = &bytes[..end];
    }
    let width = if ascii {
        bytes.len()
    } else {
        char_count(bytes)
    };
    pad(bytes, width, spec, out);
}

/// Puts sign or base prefix, zeros and digits together.
fn assemble(prefix: &str, digits: &str, zero_pad: bool, spec: &Spec, out: &mut Vec<u8>) {
    let len = prefix.len() + digits.len();
    let fill = spec.width.saturating_sub(len);
    if spec.minus {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(digits.as_bytes());
        out.resize(out.len() + fill, b' ');
    } else if zero_pad {
        out.extend_from_slice(prefix.as_bytes());
        out.resize(out.len() + fill, b'0');
        out.extend_from_slice(digits.as_bytes());
    } else {
        out.resize(out.len() + fill, b' ');
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(digits.as_bytes());
    }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn integer(n: f64, conv: u8, spec: &Spec, out: &mut Vec<u8>) {
    if !n.is_finite() {
        pad(special(n).as_bytes(), 4, spec, out);
        return;
    }
    let n = n.trunc();
    if matches!(conv, b'd' | b'i') {
        // Fast: no flags, a machine integer.
        let small = n.abs() < 9e18;
        if small && spec.width == 0 && spec.precision.is_none() && !spec.plus && !spec.space {
            let mut buf = [0; 20];
            let at = number::itoa(n as i64, &mut buf);
            out.extend_from_slice(&buf[at..]);
            return;
        }
        let digits = format!("{:.0}", n.abs());
        decimal(sign(n < 0.0, spec), digits, n, spec, out);
        return;
    }
    let value = if n < 0.0 {
        if n < -9_223_372_036_854_775_808.0 {
            return out_of_range(n, spec, out);
        }
        (n as i64) as u64
    } else if n >= 18_446_744_073_709_551_616.0 {
        return out_of_range(n, spec, out);
    } else {
        n as u64
    };
    match conv {
        b'o' => {
            let mut digits = format!("{value:o}");
            if spec.alt && !digits.starts_with('0') {
                digits.insert(0, '0');
            }
            decimal("", digits, n, spec, out);
        }
        b'x' => {
            let prefix = if spec.alt && value != 0 { "0x" } else { "" };
            decimal(prefix, format!("{value:x}"), n, spec, out);
        }
        b'X' => {
            let prefix = if spec.alt && value != 0 { "0X" } else { "" };
            decimal(prefix, format!("{value:X}"), n, spec, out);
        }
        _ => decimal("", format!("{value}"), n, spec, out),
    }
}

fn decimal(prefix: &str, mut digits: String, n: f64, spec: &Spec, out: &mut Vec<u8>) {
    if let Some(p) = spec.precision {
        if p == 0 && n == 0.0 {
            digits.clear();
        } else if digits.len() < p {
            digits.insert_str(0, &"0".repeat(p - digits.len()));
        }
    }
    assemble(
        prefix,
        &digits,
        spec.zero && spec.precision.is_none(),
        spec,
        out,
    );
}

/// Unsigned conversions of what 64 bits cannot hold are done as `%g`.
fn out_of_range(n: f64, spec: &Spec, out: &mut Vec<u8>) {
    float(n, b'g', spec, out);
}

fn float(n: f64, conv: u8, spec: &Spec, out: &mut Vec<u8>) {
    if !n.is_finite() {
        pad(special(n).as_bytes(), 4, spec, out);
        return;
    }
    let abs = n.abs();
    let upper = conv.is_ascii_uppercase();
    let precision = spec.precision.unwrap_or(6);
    let mut digits = match conv | 0x20 {
        b'f' => {
            let mut s = format!("{abs:.precision$}");
            if spec.alt && precision == 0 {
                s.push('.');
            }
            s
        }
        b'e' => exponential(abs, precision, spec.alt),
        b'a' => hexadecimal(abs, spec.precision),
        _ => {
            let mut v = Vec::new();
            general(abs, precision, spec.alt, false, &mut v);
            String::from_utf8(v).unwrap_or_default()
        }
    };
    if upper {
        digits.make_ascii_uppercase();
    }
    assemble(
        sign(n.is_sign_negative(), spec),
        &digits,
        spec.zero,
        spec,
        out,
    );
}

fn exponential(abs: f64, precision: usize, alt: bool) -> String {
    let s = format!("{abs:.precision$e}");
    let (mantissa, exp) = s.split_once('e').unwrap_or((&s, "0"));
    let exp: i32 = exp.parse().unwrap_or(0);
    let dot = if alt && precision == 0 { "." } else { "" };
    let sign = if exp < 0 { '-' } else { '+' };
    format!("{mantissa}{dot}e{sign}{:02}", exp.abs())
}

/// `%g`: `precision` significant digits, in whichever notation C picks.
pub fn general(n: f64, precision: usize, alt: bool, upper: bool, out: &mut Vec<u8>) {
    let p = precision.max(1);
    let s = format!("{n:.*e}", p - 1);
    let (mantissa, exp) = s.split_once('e').unwrap_or((&s, "0"));
    let exp: i32 = exp.parse().unwrap_or(0);
    let strip = |s: &str| -> String {
        if alt || !s.contains('.') {
            s.to_string()
        } else {
            s.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    };
    if exp < -4 || exp >= p as i32 {
        let sign = if exp < 0 { '-' } else { '+' };
        let e = if upper { 'E' } else { 'e' };
        let text = format!("{}{e}{sign}{:02}", strip(mantissa), exp.abs());
        out.extend_from_slice(text.as_bytes());
    } else {
        let decimals = (p as i32 - 1 - exp) as usize;
        let mut text = strip(&format!("{n:.decimals$}"));
        if alt && !text.contains('.') {
            text.push('.');
        }
        out.extend_from_slice(text.as_bytes());
    }
}

fn hexadecimal(abs: f64, precision: Option<usize>) -> String {
    if abs == 0.0 {
        return "0x0p+0".into();
    }
    let bits = abs.to_bits();
    let mut exp = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mut mantissa = bits & ((1 << 52) - 1);
    let mut lead = 1;
    if exp == -1023 {
        exp = -1022;
        lead = 0;
    }
    if let Some(p) = precision.filter(|&p| p < 13) {
        let drop = 4 * (13 - p) as u32;
        let half = 1u64 << (drop - 1);
        let full = (lead << 52) | mantissa;
        let mut kept = full >> drop;
        let rest = full & ((1 << drop) - 1);
        if rest > half || (rest == half && kept & 1 == 1) {
            kept += 1;
        }
        lead = kept >> (4 * p);
        mantissa = (kept << drop) & ((1 << 52) - 1);
    }
    let mut hex = format!("{mantissa:013x}");
    match precision {
        Some(p) if p <= 13 => hex.truncate(p),
        Some(p) => hex.push_str(&"0".repeat(p - 13)),
        None => hex.truncate(hex.trim_end_matches('0').len()),
    }
    let dot = if hex.is_empty() { "" } else { "." };
    let sign = if exp < 0 { '-' } else { '+' };
    format!("0x{lead}{dot}{hex}p{sign}{}", exp.abs())
}
