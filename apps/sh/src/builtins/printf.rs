//! `printf` as POSIX has it, with the additions that dash and GNU agree on.

use super::echo::{Escapes, octal, simple, unescape};
use super::{fail, values, write};
use crate::System;
use yash_env::Env;
use yash_env::builtin::Result as Outcome;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::system::concurrency::WriteAll as _;

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Outcome {
    let args = values(args);
    let args = match args.split_first() {
        Some((dashes, rest)) if dashes == "--" => rest,
        _ => &args[..],
    };
    let Some((format, args)) = args.split_first() else {
        return fail(env, "printf", "usage: printf format [arg ...]", 2).await;
    };
    let mut printer = Printer {
        args: args.iter(),
        output: Vec::new(),
        errors: Vec::new(),
    };
    printer.run(format.as_bytes());
    let Printer { output, errors, .. } = printer;
    let status = ExitStatus(i32::from(!errors.is_empty()));
    let arg0 = env.arg0.clone();
    for error in errors {
        env.system
            .print_error(format!("{arg0}: printf: {error}\n"))
            .await;
    }
    if output.is_empty() {
        return Outcome::new(status);
    }
    write(env, "printf", &output, status).await
}

struct Printer<'a> {
    args: std::slice::Iter<'a, String>,
    output: Vec<u8>,
    errors: Vec<String>,
}

/// What stands between `%` and the conversion letter.
#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Whether output goes on after a conversion.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Next {
    Go,
    Stop,
}

impl Printer<'_> {
    /// Uses the format again until every argument is used up.
    fn run(&mut self, format: &[u8]) {
        loop {
            let before = self.args.len();
            if self.once(format) == Next::Stop || self.args.len() == 0 || self.args.len() == before
            {
                return;
            }
        }
    }

    fn once(&mut self, format: &[u8]) -> Next {
        let mut rest = format;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'\\' => rest = self.escape(rest),
                b'%' if rest.first() == Some(&b'%') => {
                    self.output.push(b'%');
                    rest = &rest[1..];
                }
                b'%' => match self.conversion(rest) {
                    Some(after) => rest = after,
                    None => return Next::Stop,
                },
                byte => self.output.push(byte),
            }
        }
        Next::Go
    }

    /// An escape in the format itself: octal takes up to three digits with no leading zero.
    fn escape<'f>(&mut self, text: &'f [u8]) -> &'f [u8] {
        match text.first() {
            None => self.output.push(b'\\'),
            Some(b'0'..=b'7') => return octal(text, 3, &mut self.output),
            Some(b'"') => self.output.push(b'"'),
            Some(&escape) => match simple(escape) {
                Some(byte) => self.output.push(byte),
                None => self.output.extend([b'\\', escape]),
            },
        }
        text.get(1..).unwrap_or_default()
    }

    /// Does one conversion; `None` ends all output.
    fn conversion<'f>(&mut self, text: &'f [u8]) -> Option<&'f [u8]> {
        let (mut spec, mut rest) = flags(text);
        rest = match rest {
            [b'*', rest @ ..] => {
                let width = self.integer();
                spec.minus |= width < 0;
                spec.width = width.unsigned_abs() as usize;
                rest
            }
            _ => number(rest, &mut spec.width),
        };
        if let [b'.', after @ ..] = rest {
            rest = match after {
                [b'*', after @ ..] => {
                    spec.precision = usize::try_from(self.integer()).ok();
                    after
                }
                _ => {
                    let mut precision = 0;
                    let after = number(after, &mut precision);
                    spec.precision = Some(precision);
                    after
                }
            };
        }
        let Some((&letter, rest)) = rest.split_first() else {
            self.errors.push("missing format character".to_owned());
            return None;
        };
        match letter {
            b's' => {
                let text = self.args.next().map_or("", String::as_str);
                let text = limited(text, spec.precision);
                self.pad(text.as_bytes().to_vec(), &spec);
            }
            b'b' => {
                let text = self.args.next().map_or("", String::as_str);
                let mut bytes = Vec::new();
                let end = unescape(text.as_bytes(), &mut bytes);
                bytes.truncate(spec.precision.unwrap_or(usize::MAX));
                self.pad(bytes, &spec);
                if end == Escapes::Stop {
                    return None;
                }
            }
            b'c' => {
                let text = self.args.next().map_or("", String::as_str);
                let first = text.bytes().take(1).collect();
                self.pad(first, &spec);
            }
            b'd' | b'i' => {
                let value = self.integer();
                self.integral(value < 0, value.unsigned_abs(), "", 10, letter, &spec);
            }
            b'o' | b'u' | b'x' | b'X' => {
                let value = self.unsigned();
                let (radix, prefix) = match letter {
                    b'o' => (8, "0"),
                    b'u' => (10, ""),
                    b'x' => (16, "0x"),
                    _ => (16, "0X"),
                };
                let prefix = if spec.alternate && value != 0 {
                    prefix
                } else {
                    ""
                };
                self.integral(false, value, prefix, radix, letter, &spec);
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => {
                let value = self.float();
                self.floating(value, letter, &spec);
            }
            other => {
                self.errors
                    .push(format!("%{}: invalid directive", other as char));
                return None;
            }
        }
        Some(rest)
    }

    fn pad(&mut self, body: Vec<u8>, spec: &Spec) {
        // Width counts characters, as GNU's does in a UTF-8 locale.
        let length = std::str::from_utf8(&body).map_or(body.len(), |text| text.chars().count());
        let fill = spec.width.saturating_sub(length);
        if !spec.minus {
            self.output.resize(self.output.len() + fill, b' ');
        }
        self.output.extend(body);
        if spec.minus {
            self.output.resize(self.output.len() + fill, b' ');
        }
    }

    fn integral(
        &mut self,
        negative: bool,
        value: u64,
        prefix: &str,
        radix: u64,
        letter: u8,
        spec: &Spec,
    ) {
        let mut digits = match radix {
            8 => format!("{value:o}"),
            16 if letter == b'X' => format!("{value:X}"),
            16 => format!("{value:x}"),
            _ => value.to_string(),
        };
        if value == 0 && spec.precision == Some(0) {
            digits.clear();
        }
        let minimum = spec.precision.unwrap_or(1);
        let mut prefix = prefix;
        if radix == 8 && digits.len() < minimum {
            prefix = "";
        }
        digits.insert_str(0, &"0".repeat(minimum.saturating_sub(digits.len())));
        let signed = matches!(letter, b'd' | b'i');
        let zero = spec.zero && spec.precision.is_none();
        self.signed(sign(negative, signed, spec), prefix, digits, zero, spec);
    }

    /// Puts sign, prefix, zeros for the width, and digits together.
    fn signed(&mut self, sign: &str, prefix: &str, digits: String, zero: bool, spec: &Spec) {
        let mut text = format!("{sign}{prefix}");
        if zero && !spec.minus {
            let missing = spec.width.saturating_sub(text.len() + digits.len());
            text.push_str(&"0".repeat(missing));
        }
        text.push_str(&digits);
        self.pad(text.into_bytes(), spec);
    }

    fn floating(&mut self, value: f64, letter: u8, spec: &Spec) {
        let magnitude = value.abs();
        let mut digits = if value.is_nan() {
            "nan".to_owned()
        } else if value.is_infinite() {
            "inf".to_owned()
        } else {
            let precision = spec.precision.unwrap_or(6);
            match letter.to_ascii_lowercase() {
                b'f' => fixed(magnitude, precision, spec.alternate),
                b'e' => exponential(magnitude, precision, spec.alternate),
                _ => general(magnitude, precision, spec.alternate),
            }
        };
        if letter.is_ascii_uppercase() {
            digits.make_ascii_uppercase();
        }
        let zero = spec.zero && value.is_finite();
        self.signed(
            sign(value.is_sign_negative(), true, spec),
            "",
            digits,
            zero,
            spec,
        );
    }

    fn integer(&mut self) -> i64 {
        let Some(arg) = self.args.next() else {
            return 0;
        };
        if let Some(value) = character(arg) {
            return value;
        }
        let (negative, magnitude) = self.magnitude(arg);
        let limit = if negative { 1 << 63 } else { i64::MAX as u64 };
        if magnitude > limit {
            self.errors
                .push(format!("{arg}: Numerical result out of range"));
            return if negative { i64::MIN } else { i64::MAX };
        }
        if negative {
            (magnitude as i64).wrapping_neg()
        } else {
            magnitude as i64
        }
    }

    fn unsigned(&mut self) -> u64 {
        let Some(arg) = self.args.next() else {
            return 0;
        };
        if let Some(value) = character(arg) {
            return value as u64;
        }
        let (negative, magnitude) = self.magnitude(arg);
        if negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        }
    }

    /// Reads a number as C's `strtol` with base 0 does; complains about what it is not.
    fn magnitude(&mut self, arg: &str) -> (bool, u64) {
        let text = arg.trim_start();
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (radix, digits) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) => (16, digits),
            None if text.starts_with('0') => (8, text),
            None => (10, text),
        };
        let length = digits
            .bytes()
            .take_while(|&byte| (byte as char).is_digit(radix))
            .count();
        if length == 0 {
            self.errors.push(format!("{arg}: expected numeric value"));
            return (false, 0);
        }
        let value = u64::from_str_radix(&digits[..length], radix).unwrap_or_else(|_| {
            self.errors
                .push(format!("{arg}: Numerical result out of range"));
            u64::MAX
        });
        if length < digits.len() {
            self.errors.push(format!("{arg}: not completely converted"));
        }
        (negative, value)
    }

    fn float(&mut self) -> f64 {
        let Some(arg) = self.args.next() else {
            return 0.0;
        };
        if let Some(value) = character(arg) {
            return value as f64;
        }
        let text = arg.trim_start();
        let unsigned = text.trim_start_matches(['+', '-']);
        if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
            let (negative, value) = self.magnitude(arg);
            return if negative {
                -(value as f64)
            } else {
                value as f64
            };
        }
        // The longest prefix that is a number.
        let longest = (1..=text.len())
            .rev()
            .filter(|&length| text.is_char_boundary(length))
            .find_map(|length| Some((length, text[..length].parse::<f64>().ok()?)));
        match longest {
            Some((length, value)) => {
                if length < text.len() {
                    self.errors.push(format!("{arg}: not completely converted"));
                }
                value
            }
            None => {
                self.errors.push(format!("{arg}: expected numeric value"));
                0.0
            }
        }
    }
}

fn flags(mut text: &[u8]) -> (Spec, &[u8]) {
    let mut spec = Spec::default();
    while let Some((&flag, rest)) = text.split_first() {
        match flag {
            b'-' => spec.minus = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternate = true,
            b'0' => spec.zero = true,
            _ => break,
        }
        text = rest;
    }
    (spec, text)
}

fn number<'a>(mut text: &'a [u8], value: &mut usize) -> &'a [u8] {
    while let Some((digit @ b'0'..=b'9', rest)) = text.split_first() {
        *value = value
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'));
        text = rest;
    }
    text
}

/// `'x` and `"x` stand for the code of the character x.
fn character(arg: &str) -> Option<i64> {
    let rest = arg.strip_prefix(['\'', '"'])?;
    Some(rest.chars().next().map_or(0, |c| i64::from(u32::from(c))))
}

fn limited(text: &str, precision: Option<usize>) -> &str {
    match precision.and_then(|count| text.char_indices().nth(count)) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn sign(negative: bool, signed: bool, spec: &Spec) -> &'static str {
    match (negative, signed) {
        (true, _) => "-",
        (false, true) if spec.plus => "+",
        (false, true) if spec.space => " ",
        _ => "",
    }
}

fn fixed(value: f64, precision: usize, alternate: bool) -> String {
    let mut text = format!("{value:.precision$}");
    if alternate && precision == 0 {
        text.push('.');
    }
    text
}

/// C's form of an exponent: a sign and at least two digits.
fn exponential(value: f64, precision: usize, alternate: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if alternate && precision == 0 { "." } else { "" };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{point}e{sign}{:02}", exponent.abs())
}

fn general(value: f64, precision: usize, alternate: bool) -> String {
    let precision = precision.max(1);
    let rounded = format!("{value:.*e}", precision - 1);
    let exponent: i32 = rounded
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let mut text = if exponent < -4 || exponent >= precision as i32 {
        exponential(value, precision - 1, alternate)
    } else {
        fixed(value, (precision as i32 - 1 - exponent) as usize, alternate)
    };
    if !alternate && text.contains('.') {
        let (mantissa, exponent) = match text.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, format!("e{exponent}")),
            None => (text.as_str(), String::new()),
        };
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        text = format!("{mantissa}{exponent}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(format: &str, args: &[&str]) -> (String, usize) {
        let args: Vec<_> = args.iter().map(|arg| arg.to_string()).collect();
        let mut printer = Printer {
            args: args.iter(),
            output: Vec::new(),
            errors: Vec::new(),
        };
        printer.run(format.as_bytes());
        (
            String::from_utf8(printer.output).unwrap(),
            printer.errors.len(),
        )
    }

    #[test]
    fn the_format_is_used_until_no_argument_is_left() {
        assert_eq!(run("%s-%s;", &["a", "b", "c"]), ("a-b;c-;".into(), 0));
        assert_eq!(run("x\\n", &["a"]), ("x\n".into(), 0));
        assert_eq!(run("%d|%s|%c.", &[]), ("0||.".into(), 0));
    }

    #[test]
    fn integers_take_flags_width_and_precision() {
        assert_eq!(
            run("%5d|%-5d|%05d|%+d|%.3d", &["1", "2", "-3", "4", "5"]).0,
            "    1|2    |-0003|+4|005"
        );
        assert_eq!(
            run(
                "%x %#x %o %#o %X %u",
                &["255", "255", "8", "8", "255", "-1"]
            )
            .0,
            "ff 0xff 10 010 FF 18446744073709551615"
        );
        assert_eq!(run("%d %d %d", &["0x1f", "010", "'A"]).0, "31 8 65");
        assert_eq!(run("%*d|%-*s|", &["4", "7", "3", "a"]).0, "   7|a  |");
        assert_eq!(run("%d", &["3x"]), ("3".into(), 1));
        assert_eq!(run("%d", &["x"]), ("0".into(), 1));
    }

    #[test]
    fn floats_read_as_c_prints_them() {
        assert_eq!(
            run(
                "%f %.2f %e %g %g %g",
                &["1.5", "2.345", "12345", "0.0001", "1e10", "100000"]
            )
            .0,
            "1.500000 2.35 1.234500e+04 0.0001 1e+10 100000"
        );
        assert_eq!(
            run("%08.3f|%-8.1f|%+.0f", &["-3.14159", "2.5", "3"]).0,
            "-003.142|2.5     |+3"
        );
    }

    #[test]
    fn b_interprets_escapes_and_c_in_it_ends_all() {
        assert_eq!(run("%b|%s\\n", &["a\\tb", "c\\td"]).0, "a\tb|c\\td\n");
        assert_eq!(run("%b|%s", &["a\\cb", "c"]).0, "a");
        assert_eq!(run("\\101\\x%%", &[]).0, "A\\x%");
    }
}
