//! The functions that take a regular expression: sub, gsub, gensub, match, split, patsplit; and
//! the sorts, whose operands are arrays.

use crate::array::{Array, Key};
use crate::ast::*;
use crate::builtins::next_char;
use crate::interp::{Eval, Interp};
use crate::record::Splitter;
use crate::regex::Regex;
use crate::str::{Str, char_count};
use crate::value::Value;

/// A piece of a replacement.
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

/// `sub`'s and `gsub`'s replacement: `&` is the match, `\&` an ampersand, `\\&` a backslash
/// before the match.
fn parse_replacement(text: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match text[i] {
            b'&' => {
                push_text(&mut pieces, &mut plain);
                pieces.push(Piece::Group(0));
            }
            b'\\' => match &text[i + 1..] {
                [b'&', ..] => {
                    plain.push(b'&');
                    i += 1;
                }
                [b'\\', b'&', ..] => {
                    plain.push(b'\\');
                    push_text(&mut pieces, &mut plain);
                    pieces.push(Piece::Group(0));
                    i += 2;
                }
                [b'\\', b'\\', b'&', ..] => {
                    plain.extend(b"\\&");
                    i += 3;
                }
                _ => plain.push(b'\\'),
            },
            b => plain.push(b),
        }
        i += 1;
    }
    push_text(&mut pieces, &mut plain);
    pieces
}

/// `gensub`'s: `\0` to `\9` and `&`; a backslash takes the meaning from what follows.
fn parse_general(text: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match (text[i], text.get(i + 1)) {
            (b'&', _) => {
                push_text(&mut pieces, &mut plain);
                pieces.push(Piece::Group(0));
            }
            (b'\\', Some(d)) if d.is_ascii_digit() => {
                push_text(&mut pieces, &mut plain);
                pieces.push(Piece::Group(usize::from(d - b'0')));
                i += 1;
            }
            (b'\\', Some(&c @ (b'&' | b'\\'))) => {
                plain.push(c);
                i += 1;
            }
            (b, _) => plain.push(b),
        }
        i += 1;
    }
    push_text(&mut pieces, &mut plain);
    pieces
}

fn push_text(pieces: &mut Vec<Piece>, plain: &mut Vec<u8>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain)));
    }
}

/// Which matches to replace.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    All,
    Number(usize),
}

/// Replaces matches in `text` into `out`; returns how many.
fn replace(re: &Regex, text: &[u8], pieces: &[Piece], which: Which, out: &mut Vec<u8>) -> usize {
    let needs_groups = pieces
        .iter()
        .any(|p| matches!(p, Piece::Group(n) if *n > 0));
    let mut copied = 0;
    let mut at = 0;
    let mut seen = 0;
    let mut done = 0;
    // An empty match right after a match is not one.
    let mut barred = usize::MAX;
    while at <= text.len() {
        let Some((s, e)) = re.find_at(text, at) else {
            break;
        };
        if s == e && s == barred {
            if s >= text.len() {
                break;
            }
            at = next_char(text, s);
            barred = usize::MAX;
            continue;
        }
        seen += 1;
        if which == Which::All || which == Which::Number(seen) {
            out.extend_from_slice(&text[copied..s]);
            let groups = if needs_groups {
                re.groups(text, s, e)
            } else {
                Vec::new()
            };
            for piece in pieces {
                match piece {
                    Piece::Text(t) => out.extend_from_slice(t),
                    Piece::Group(0) => out.extend_from_slice(&text[s..e]),
                    Piece::Group(n) => {
                        if let Some(Some((a, b))) = groups.get(*n) {
                            out.extend_from_slice(&text[*a..*b]);
                        }
                    }
                }
            }
            copied = e;
            done += 1;
            if which != Which::All {
                break;
            }
        }
        if e > s {
            at = e;
            barred = e;
        } else {
            if e >= text.len() {
                break;
            }
            at = next_char(text, e);
            barred = usize::MAX;
        }
    }
    if done > 0 {
        out.extend_from_slice(&text[copied..]);
    }
    done
}

impl<'p> Interp<'p> {
    #[inline(never)]
    pub fn regexed(&mut self, b: Builtin, r: &'p Regexed) -> Eval<Value> {
        match b {
            Builtin::Sub => self.substitute(r, Which::Number(1)),
            Builtin::Gsub => self.substitute(r, Which::All),
            Builtin::Gensub => self.gensub(r),
            Builtin::Match => self.match_fn(r),
            Builtin::Asort | Builtin::Asorti => self.asort(b, r),
            _ => self.split(b, r),
        }
    }

    #[inline(never)]
    fn substitute(&mut self, r: &'p Regexed, which: Which) -> Eval<Value> {
        let Some(pattern) = &r.pattern else {
            return Ok(Value::Num(0.0));
        };
        let re = self.pattern(pattern)?;
        let replacement = self.string(&r.args[0])?;
        let mut out = self.take_spare();
        let pieces = parse_replacement(replacement.as_bytes());
        let count;
        match (&r.target, r.args.get(1)) {
            (None, None) => {
                self.join();
                count = replace(&re, self.rec.text(), &pieces, which, &mut out);
                if count > 0 {
                    self.rec.set_text(&out);
                }
            }
            (None, Some(e)) => {
                let text = self.string(e)?;
                count = replace(&re, text.as_bytes(), &pieces, which, &mut out);
            }
            (Some(lv), _) => {
                let text = self.read_lvalue(lv)?.to_str(self.convfmt.as_bytes());
                count = replace(&re, text.as_bytes(), &pieces, which, &mut out);
                drop(text);
                if count > 0 {
                    self.assign(lv, Value::str(&out))?;
                }
            }
        }
        self.give_spare(out);
        Ok(Value::Num(count as f64))
    }

    #[inline(never)]
    fn gensub(&mut self, r: &'p Regexed) -> Eval<Value> {
        let Some(pattern) = &r.pattern else {
            return Ok(Value::Uninit);
        };
        let re = self.pattern(pattern)?;
        let replacement = self.string(&r.args[0])?;
        let how = self.eval(&r.args[1])?;
        let text = match r.args.get(2) {
            Some(e) => self.string(e)?,
            None => {
                self.join();
                Str::new(self.rec.text())
            }
        };
        let how_text = how.to_str(b"%.6g");
        let which = if matches!(how_text.as_bytes().first(), Some(b'g' | b'G')) {
            Which::All
        } else {
            let n = how.to_num();
            if n < 1.0 {
                self.warn(&format!(
                    "gensub: third argument `{}' treated as 1",
                    how_text.lossy()
                ));
            }
            Which::Number((n as usize).max(1))
        };
        let mut out = self.take_spare();
        let pieces = parse_general(replacement.as_bytes());
        let count = replace(&re, text.as_bytes(), &pieces, which, &mut out);
        let result = if count > 0 { Str::new(&out) } else { text };
        self.give_spare(out);
        Ok(Value::Str(result))
    }

    #[inline(never)]
    fn match_fn(&mut self, r: &'p Regexed) -> Eval<Value> {
        let text = self.string(&r.args[0])?;
        let Some(pattern) = &r.pattern else {
            return Ok(Value::Num(0.0));
        };
        let re = self.pattern(pattern)?;
        let found = re.find_at(text.as_bytes(), 0);
        let bytes = text.as_bytes();
        let ascii = text.is_ascii();
        let chars = |from: usize, to: usize| {
            let n = if ascii {
                to - from
            } else {
                char_count(&bytes[from..to])
            };
            Value::Num(n as f64)
        };
        let position = |at: usize| Value::Num(chars(0, at).to_num() + 1.0);
        if let Some(array) = r.arrays.first() {
            let array = self.array(array)?;
            let mut array = array.borrow_mut();
            array.clear();
            if let Some((s, e)) = found {
                for (i, span) in re.groups(bytes, s, e).into_iter().enumerate() {
                    let Some((a, b)) = span else { continue };
                    let key = i.to_string();
                    array.insert(Key::Int(i), Value::Input(Str::new(&bytes[a..b])));
                    for (name, value) in [("start", position(a)), ("length", chars(a, b))] {
                        let mut full = Str::from(key.as_str());
                        full.push(self.subsep.as_bytes());
                        full.push(name.as_bytes());
                        array.insert(Key::from(full), value);
                    }
                }
            }
        }
        let (start, length) = match found {
            Some((s, e)) => (position(s), chars(s, e)),
            None => (Value::Num(0.0), Value::Num(-1.0)),
        };
        self.globals[special::RSTART as usize] = start.clone();
        self.globals[special::RLENGTH as usize] = length;
        Ok(start)
    }

    #[inline(never)]
    fn split(&mut self, b: Builtin, r: &'p Regexed) -> Eval<Value> {
        let text = self.string(&r.args[0])?;
        let splitter = match (&r.pattern, b) {
            (None, Builtin::Patsplit) => {
                let fpat = self.globals[special::FPAT as usize].to_str(b"%.6g");
                Splitter::Contents(self.dynamic_regex(&fpat)?)
            }
            (Some(p), Builtin::Patsplit) => Splitter::Contents(self.pattern(p)?),
            (None, _) => {
                let fs = self.globals[special::FS as usize].to_str(b"%.6g");
                self.splitter_for(&fs)?
            }
            (Some(Pattern::Const(i)), _) => Splitter::Regex(self.regex(*i)?),
            (Some(Pattern::Dynamic(e)), _) => {
                let fs = self.string(e)?;
                self.splitter_for(&fs)?
            }
        };
        let array = self.array(&r.arrays[0])?;
        let seps = match r.arrays.get(1) {
            Some(a) => Some(self.array(a)?),
            None => None,
        };
        let text = text.as_bytes();
        let mut fields = Array::default();
        let mut separators = Array::default();
        let mut at = 0;
        let mut n = 0;
        // What stands before the next field and belongs to none.
        let mut gap = 0;
        while let Some(step) = splitter.step(text, at, n) {
            if seps.is_some() {
                let before = match splitter {
                    Splitter::Blank | Splitter::Contents(_) => &text[gap..step.field.0],
                    _ => b"",
                };
                if !before.is_empty() || (n > 0 && matches!(splitter, Splitter::Contents(_))) {
                    separators.insert(Key::Int(n), Value::str(before));
                }
                if !matches!(splitter, Splitter::Blank | Splitter::Contents(_)) && !step.last {
                    let (s, e) = step.separator;
                    separators.insert(Key::Int(n + 1), Value::str(&text[s..e]));
                }
            }
            n += 1;
            fields.insert(
                Key::Int(n),
                Value::Input(Str::new(&text[step.field.0..step.field.1])),
            );
            gap = step.field.1;
            at = splitter.resume(&step);
            if step.last {
                break;
            }
        }
        if seps.is_some()
            && matches!(splitter, Splitter::Blank | Splitter::Contents(_))
            && gap < text.len()
        {
            separators.insert(Key::Int(n), Value::str(&text[gap..]));
        }
        *array.borrow_mut() = fields;
        if let Some(seps) = seps {
            *seps.borrow_mut() = separators;
        }
        Ok(Value::Num(n as f64))
    }
}
