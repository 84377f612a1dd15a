//! Built-in functions on numbers and strings.

use crate::array::Key;
use crate::ast::*;
use crate::interp::{Eval, Interp, fatal};
use crate::output::{shell, status_number};
use crate::str::{Str, char_len, char_offset, decode};
use crate::time;
use crate::value::{Value, new_array};

impl<'p> Interp<'p> {
    #[inline(never)]
    pub fn builtin(&mut self, b: Builtin, args: &'p [Expr]) -> Eval<Value> {
        let number = match b {
            Builtin::Length => self.length(args)?,
            Builtin::Substr => return self.substr(args),
            Builtin::Index => self.index(args)?,
            Builtin::Sprintf => {
                let mut buf = self.take_spare();
                self.format(args, &mut buf)?;
                let s = Str::new(&buf);
                self.give_spare(buf);
                return Ok(Value::Str(s));
            }
            Builtin::Tolower => return self.change_case(&args[0], char::to_ascii_lowercase, lower),
            Builtin::Toupper => return self.change_case(&args[0], char::to_ascii_uppercase, upper),
            Builtin::Int => self.num(&args[0])?.trunc(),
            Builtin::Sqrt => self.domain("sqrt", &args[0], f64::sqrt)?,
            Builtin::Log => self.domain("log", &args[0], f64::ln)?,
            Builtin::Exp => self.num(&args[0])?.exp(),
            Builtin::Sin => self.num(&args[0])?.sin(),
            Builtin::Cos => self.num(&args[0])?.cos(),
            Builtin::Atan2 => {
                let y = self.num(&args[0])?;
                let x = self.num(&args[1])?;
                y.atan2(x)
            }
            Builtin::Rand => self.rand(),
            Builtin::Srand => {
                let old = self.seed;
                self.seed = match args.first() {
                    Some(e) => self.num(e)?,
                    None => time::now() as f64,
                };
                self.random = self.seed.to_bits();
                old
            }
            Builtin::And => self.bits("and", args, |a, b| a & b)?,
            Builtin::Or => self.bits("or", args, |a, b| a | b)?,
            Builtin::Xor => self.bits("xor", args, |a, b| a ^ b)?,
            Builtin::Lshift => self.bits("lshift", args, |a, b| a.wrapping_shl(b as u32))?,
            Builtin::Rshift => self.bits("rshift", args, |a, b| a.wrapping_shr(b as u32))?,
            Builtin::Compl => {
                let n = self.num(&args[0])?;
                if n < 0.0 {
                    return fatal(format!("compl({n:.6}): negative value is not allowed"));
                }
                (!(n as u64) & ((1 << 53) - 1)) as f64
            }
            Builtin::Strtonum => self.strtonum(&args[0])?,
            Builtin::System => {
                let command = self.string(&args[0])?;
                self.flush_all();
                let status = shell(command.as_bytes()).status();
                status.map_or(-1.0, status_number)
            }
            Builtin::Close => {
                let name = self.string(&args[0])?;
                self.close(&name)
            }
            Builtin::Fflush => self.fflush(args)?,
            Builtin::Systime => time::now() as f64,
            Builtin::Mktime => {
                let text = self.string(&args[0])?;
                let utc = match args.get(1) {
                    Some(e) => self.truth(e)?,
                    None => false,
                };
                time::mktime(&text.lossy(), utc)
            }
            Builtin::Strftime => return self.strftime(args),
            Builtin::Typeof => {
                let name = self.type_name(&args[0])?;
                return Ok(Value::str(name.as_bytes()));
            }
            Builtin::IsArray => f64::from(u8::from(self.type_name(&args[0])? == "array")),
            _ => return fatal("internal: not a plain built-in"),
        };
        Ok(Value::Num(number))
    }

    #[inline(never)]
    fn length(&mut self, args: &'p [Expr]) -> Eval<f64> {
        let Some(e) = args.first().filter(|e| !matches!(e, Expr::FieldConst(0))) else {
            self.join();
            let text = self.rec.text();
            let n = if text.is_ascii() {
                text.len()
            } else {
                crate::str::char_count(text)
            };
            return Ok(n as f64);
        };
        if let Some(Value::Array(array)) = self.peek(e) {
            return Ok(array.borrow().len() as f64);
        }
        if let Expr::Index(_) = e {
            let value = self.eval(e)?;
            return Ok(match &value {
                Value::Array(array) => array.borrow().len(),
                v => v.to_str(self.convfmt.as_bytes()).chars(),
            } as f64);
        }
        if let Expr::Global(slot) = e {
            // No copy: a long string keeps what it knows about itself.
            if let Value::Str(s) | Value::Input(s) = &self.globals[*slot as usize] {
                return Ok(s.chars() as f64);
            }
        }
        Ok(self.string(e)?.chars() as f64)
    }

    /// The value an operand has already, without making or converting anything.
    fn peek(&self, e: &Expr) -> Option<Value> {
        match e {
            Expr::Global(slot) => Some(self.globals[*slot as usize].clone()),
            Expr::Local(slot) => Some(self.stack[self.base + *slot as usize].clone()),
            _ => None,
        }
    }

    #[inline(never)]
    fn substr(&mut self, args: &'p [Expr]) -> Eval<Value> {
        let s = self.string(&args[0])?;
        let start = self.num(&args[1])?;
        let length = match args.get(2) {
            Some(e) => self.num(e)?,
            None => f64::INFINITY,
        };
        // As gawk: both truncated, a start before the string taken as its start.
        let start = if start < 1.0 || start.is_nan() {
            0
        } else {
            start as usize - 1
        };
        let length = if length < 1.0 || length.is_nan() {
            0
        } else {
            length as usize
        };
        let bytes = s.as_bytes();
        let (from, to) = if s.is_ascii() {
            let from = start.min(bytes.len());
            (from, from.saturating_add(length).min(bytes.len()))
        } else {
            let from = char_offset(bytes, start);
            (from, from + char_offset(&bytes[from..], length))
        };
        if from == 0 && to == bytes.len() {
            return Ok(Value::Str(s));
        }
        Ok(Value::str(&bytes[from..to]))
    }

    #[inline(never)]
    fn index(&mut self, args: &'p [Expr]) -> Eval<f64> {
        let s = self.string(&args[0])?;
        let t = self.string(&args[1])?;
        Ok(match memchr::memmem::find(s.as_bytes(), t.as_bytes()) {
            None => 0.0,
            Some(at) if s.is_ascii() => (at + 1) as f64,
            Some(at) => (crate::str::char_count(&s.as_bytes()[..at]) + 1) as f64,
        })
    }

    #[inline(never)]
    fn change_case(
        &mut self,
        e: &'p Expr,
        ascii: fn(&char) -> char,
        other: fn(char) -> char,
    ) -> Eval<Value> {
        let s = self.string(e)?;
        let bytes = s.as_bytes();
        if s.is_ascii() {
            let out: Vec<u8> = bytes.iter().map(|&b| ascii(&char::from(b)) as u8).collect();
            return Ok(Value::Str(Str::from_vec(out)));
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let (c, n) = decode(rest);
            match c {
                Some(c) => out.extend_from_slice(other(c).encode_utf8(&mut [0; 4]).as_bytes()),
                None => out.extend_from_slice(&rest[..n]),
            }
            rest = &rest[n..];
        }
        Ok(Value::Str(Str::from_vec(out)))
    }

    #[inline(never)]
    fn domain(&mut self, name: &str, e: &'p Expr, f: fn(f64) -> f64) -> Eval<f64> {
        let n = self.num(e)?;
        if n < 0.0 {
            let shown = Value::Num(n).to_str(b"%.6g");
            self.warn(&format!(
                "{name}: received negative argument {}",
                shown.lossy()
            ));
            // The x86 hardware's NaN, which is what gawk prints there.
            return Ok(-f64::NAN);
        }
        Ok(f(n))
    }

    #[inline(never)]
    fn bits(&mut self, name: &str, args: &'p [Expr], f: fn(u64, u64) -> u64) -> Eval<f64> {
        let mut result = None;
        for (i, e) in args.iter().enumerate() {
            let n = self.num(e)?;
            if n < 0.0 {
                return fatal(format!(
                    "{name}: argument {} negative value {n} is not allowed",
                    i + 1
                ));
            }
            let n = n as u64;
            result = Some(result.map_or(n, |r| f(r, n)));
        }
        Ok(result.unwrap_or(0) as f64)
    }

    #[inline(never)]
    fn strtonum(&mut self, e: &'p Expr) -> Eval<f64> {
        let value = self.eval(e)?;
        if value.is_number() {
            return Ok(value.to_num());
        }
        let s = value.to_str(b"%.6g");
        let text = s.as_bytes().trim_ascii_start();
        let (radix, digits) = match text {
            [b'0', b'x' | b'X', rest @ ..] => (16, rest),
            [b'0', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => {
                if rest.iter().any(|b| matches!(b, b'8' | b'9' | b'.')) {
                    return Ok(value.to_num());
                }
                (8, rest)
            }
            _ => return Ok(value.to_num()),
        };
        let n = digits
            .iter()
            .map_while(|&b| char::from(b).to_digit(radix))
            .fold(0.0, |v, d| v * f64::from(radix) + f64::from(d));
        Ok(n)
    }

    /// A 64-bit generator (splitmix); awk promises no particular sequence, only that a seed
    /// repeats it.
    fn rand(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }

    #[inline(never)]
    fn fflush(&mut self, args: &'p [Expr]) -> Eval<f64> {
        let Some(e) = args.first() else {
            return Ok(if self.flush_all() { 0.0 } else { -1.0 });
        };
        let name = self.string(e)?;
        if name.is_empty() {
            return Ok(if self.flush_all() { 0.0 } else { -1.0 });
        }
        if name.as_bytes() == b"/dev/stdout" {
            return Ok(self.stdout.flush().map_or(-1.0, |()| 0.0));
        }
        Ok(match self.outputs.get_mut(&name) {
            Some(out) => out.flush().map_or(-1.0, |()| 0.0),
            None => -1.0,
        })
    }

    #[inline(never)]
    fn strftime(&mut self, args: &'p [Expr]) -> Eval<Value> {
        let fmt = match args.first() {
            Some(e) => self.string(e)?,
            None => Str::from("%a %b %e %H:%M:%S %Z %Y"),
        };
        let when = match args.get(1) {
            Some(e) => self.num(e)?.floor() as i64,
            None => time::now(),
        };
        let utc = match args.get(2) {
            Some(e) => self.truth(e)?,
            None => false,
        };
        Ok(Value::Str(Str::from_vec(time::strftime(
            fmt.as_bytes(),
            when,
            utc,
        ))))
    }

    #[inline(never)]
    fn type_name(&mut self, e: &'p Expr) -> Eval<&'static str> {
        let value = match e {
            Expr::Global(_) | Expr::Local(_) => self.peek(e).unwrap_or_default(),
            Expr::Index(b) => {
                let key = self.key(&b.1)?;
                let array = self.array(&b.0)?;
                let found = array.borrow().get(&key).cloned();
                match found {
                    Some(v) => v,
                    None => {
                        array.borrow_mut().insert(key, Value::Uninit);
                        Value::Uninit
                    }
                }
            }
            Expr::FieldConst(_) | Expr::Field(_) => match self.eval(e)? {
                Value::Uninit => return Ok("unassigned"),
                Value::Input(s) if s.is_empty() && self.nr == 0.0 => return Ok("unassigned"),
                v => v,
            },
            e => self.eval(e)?,
        };
        Ok(match value {
            Value::Uninit => "untyped",
            Value::Num(_) => "number",
            Value::Str(_) => "string",
            Value::Array(_) => "array",
            v @ Value::Input(_) if v.is_number() => "strnum",
            Value::Input(_) => "string",
        })
    }

    /// Fills ENVIRON, ARGV or PROCINFO.
    pub fn fill_array(&mut self, slot: u32, pairs: Vec<(Vec<u8>, Value)>) {
        let array = new_array();
        for (key, value) in pairs {
            array.borrow_mut().insert(Key::from_bytes(&key), value);
        }
        self.globals[slot as usize] = Value::Array(array);
    }
}

fn lower(c: char) -> char {
    let mut it = c.to_lowercase();
    match (it.next(), it.next()) {
        (Some(l), None) => l,
        _ => c,
    }
}

fn upper(c: char) -> char {
    let mut it = c.to_uppercase();
    match (it.next(), it.next()) {
        (Some(u), None) => u,
        _ => c,
    }
}

/// The next character boundary after `at`.
pub fn next_char(text: &[u8], at: usize) -> usize {
    at + char_len(&text[at..])
}
