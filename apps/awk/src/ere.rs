//! POSIX extended regular expressions, with gawk's escapes and operators, to `regex-syntax`'s HIR.

use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look,
    Repetition,
};

use crate::lexer::simple_escape;
use crate::regex::Case;
use crate::str::decode;

/// The largest repetition count, as in glibc.
const DUP_MAX: u32 = 0x7fff;

pub fn parse(pattern: &[u8], case: Case) -> Result<Hir, String> {
    let mut p = Parser {
        text: pattern,
        at: 0,
        groups: 0,
        depth: 0,
        case,
    };
    let hir = p.alternation()?;
    if p.at < pattern.len() {
        return Err("Unmatched ) or \\)".into());
    }
    Ok(hir)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    groups: u32,
    depth: u32,
    case: Case,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn alternation(&mut self) -> Result<Hir, String> {
        let mut branches = vec![self.concat()?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            branches.push(self.concat()?);
        }
        Ok(Hir::alternation(branches))
    }

    fn concat(&mut self) -> Result<Hir, String> {
        let mut parts = Vec::new();
        // A repetition operator with nothing before it stands for itself.
        let mut repeatable = false;
        while let Some(b) = self.peek() {
            if b == b'|' || (b == b')' && self.depth > 0) {
                break;
            }
            if b == b')' {
                return Err("Unmatched ) or \\)".into());
            }
            let is_anchor = b == b'^';
            let atom = match b {
                b'*' | b'+' | b'?' if !repeatable => {
                    self.at += 1;
                    self.literal(&[b])
                }
                b'{' if !repeatable => {
                    self.at += 1;
                    self.literal(b"{")
                }
                _ => self.atom()?,
            };
            let atom = if is_anchor { atom } else { self.repeats(atom)? };
            repeatable = !is_anchor;
            parts.push(atom);
        }
        Ok(Hir::concat(parts))
    }

    fn repeats(&mut self, mut atom: Hir) -> Result<Hir, String> {
        loop {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => match self.interval()? {
                    Some((min, max, end)) => {
                        self.at = end - 1;
                        (min, max)
                    }
                    None => return Ok(atom),
                },
                _ => return Ok(atom),
            };
            self.at += 1;
            atom = Hir::repetition(Repetition {
                min,
                max,
                greedy: true,
                sub: Box::new(atom),
            });
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`, `{,m}` at the cursor; anything else leaves the brace a character.
    fn interval(&self) -> Result<Option<(u32, Option<u32>, usize)>, String> {
        let rest = &self.text[self.at + 1..];
        let Some(close) = rest.iter().position(|&b| b == b'}') else {
            return Ok(None);
        };
        let body = &rest[..close];
        if body.is_empty()
            || body == b","
            || !body.iter().all(|b| b.is_ascii_digit() || *b == b',')
            || body.iter().filter(|&&b| b == b',').count() > 1
        {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(body);
        let number = |s: &str| -> Result<u32, String> {
            match s.parse::<u32>() {
                Ok(n) if n <= DUP_MAX => Ok(n),
                _ => Err("Regular expression too big".into()),
            }
        };
        let (min, max) = match text.split_once(',') {
            None => {
                let n = number(&text)?;
                (n, Some(n))
            }
            Some((min, max)) => (
                if min.is_empty() { 0 } else { number(min)? },
                if max.is_empty() {
                    None
                } else {
                    Some(number(max)?)
                },
            ),
        };
        if max.is_some_and(|m| m < min) {
            return Err("Invalid content of \\{\\}".into());
        }
        Ok(Some((min, max, self.at + close + 2)))
    }

    fn atom(&mut self) -> Result<Hir, String> {
        let b = self.text[self.at];
        match b {
            b'(' => {
                self.at += 1;
                self.groups += 1;
                let index = self.groups;
                self.depth += 1;
                if self.depth > 200 {
                    return Err("Regular expression too big".into());
                }
                let sub = self.alternation()?;
                self.depth -= 1;
                if self.peek() != Some(b')') {
                    return Err("Unmatched ( or \\(".into());
                }
                self.at += 1;
                Ok(Hir::capture(Capture {
                    index,
                    name: None,
                    sub: Box::new(sub),
                }))
            }
            b'.' => {
                self.at += 1;
                Ok(Hir::dot(Dot::AnyChar))
            }
            b'^' => {
                self.at += 1;
                Ok(Hir::look(Look::Start))
            }
            b'$' => {
                self.at += 1;
                Ok(Hir::look(Look::End))
            }
            b'[' => self.bracket(),
            b'\\' => self.escape(),
            _ => {
                let (_, n) = decode(&self.text[self.at..]);
                let lit = &self.text[self.at..self.at + n];
                self.at += n;
                Ok(self.literal(lit))
            }
        }
    }

    fn literal(&self, bytes: &[u8]) -> Hir {
        if self.case == Case::Ignored
            && let (Some(c), _) = decode(bytes)
            && c.is_alphabetic()
        {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            return Hir::class(Class::Unicode(class));
        }
        Hir::literal(bytes)
    }

    fn escape(&mut self) -> Result<Hir, String> {
        self.at += 1;
        let Some(b) = self.peek() else {
            return Err("Trailing backslash".into());
        };
        let look = match b {
            b'y' => Some(Look::WordAscii),
            b'B' => Some(Look::WordAsciiNegate),
            b'<' => Some(Look::WordStartAscii),
            b'>' => Some(Look::WordEndAscii),
            b'`' => Some(Look::Start),
            b'\'' => Some(Look::End),
            _ => None,
        };
        if let Some(look) = look {
            self.at += 1;
            return Ok(Hir::look(look));
        }
        if let b'w' | b'W' | b's' | b'S' = b {
            self.at += 1;
            let mut class = if b | 0x20 == b'w' {
                let mut class = named_class(b"alnum").ok_or("Invalid character class name")?;
                class.push(ClassUnicodeRange::new('_', '_'));
                class
            } else {
                named_class(b"space").ok_or("Invalid character class name")?
            };
            if b.is_ascii_uppercase() {
                class.negate();
            }
            return Ok(Hir::class(Class::Unicode(class)));
        }
        if let Some((byte, used)) = simple_escape(&self.text[self.at..]) {
            self.at += used;
            return Ok(self.literal(&[byte]));
        }
        let (_, n) = decode(&self.text[self.at..]);
        let lit = &self.text[self.at..self.at + n];
        self.at += n;
        Ok(self.literal(lit))
    }

    fn bracket(&mut self) -> Result<Hir, String> {
        const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
        self.at += 1;
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut class = ClassUnicode::empty();
        let mut bytes = ClassBytes::empty();
        let mut first = true;
        loop {
            let b = self.peek().ok_or(UNMATCHED)?;
            if b == b']' && !first {
                self.at += 1;
                break;
            }
            first = false;
            if b == b'['
                && let Some(&kind @ (b':' | b'.' | b'=')) = self.text.get(self.at + 1)
            {
                let body = &self.text[self.at + 2..];
                let close = body
                    .windows(2)
                    .position(|w| w == [kind, b']'])
                    .ok_or(UNMATCHED)?;
                let name = &body[..close];
                if kind == b':' {
                    let named = named_class(name).ok_or("Invalid character class name")?;
                    class.union(&named);
                    self.at += close + 4;
                    continue;
                }
            }
            let low = self.bracket_char(UNMATCHED)?;
            let is_range =
                self.peek() == Some(b'-') && self.text.get(self.at + 1).is_some_and(|&b| b != b']');
            if is_range {
                self.at += 1;
                let high = self.bracket_char(UNMATCHED)?;
                match (low, high) {
                    (Ok(low), Ok(high)) if low <= high => {
                        class.push(ClassUnicodeRange::new(low, high));
                    }
                    (Err(low), Err(high)) if low <= high => {
                        bytes.push(ClassBytesRange::new(low, high));
                    }
                    _ => return Err("Invalid range end".into()),
                }
                continue;
            }
            match low {
                Ok(c) => class.push(ClassUnicodeRange::new(c, c)),
                Err(byte) => bytes.push(ClassBytesRange::new(byte, byte)),
            }
        }
        if self.case == Case::Ignored {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
            return Ok(Hir::class(Class::Unicode(class)));
        }
        if bytes.ranges().is_empty() {
            return Ok(Hir::class(Class::Unicode(class)));
        }
        Ok(Hir::alternation(vec![
            Hir::class(Class::Unicode(class)),
            Hir::class(Class::Bytes(bytes)),
        ]))
    }

    /// One member of a bracket expression: a character, or a byte that is part of none.
    fn bracket_char(&mut self, unmatched: &str) -> Result<Result<char, u8>, String> {
        let b = self.peek().ok_or(unmatched)?;
        if b == b'['
            && let Some(&kind @ (b'.' | b'=')) = self.text.get(self.at + 1)
        {
            let body = &self.text[self.at + 2..];
            let close = body
                .windows(2)
                .position(|w| w == [kind, b']'])
                .ok_or(unmatched)?;
            let (c, n) = decode(body);
            if n != close {
                return Err("Invalid collation character".into());
            }
            self.at += close + 4;
            return c.map(Ok).ok_or("Invalid collation character".into());
        }
        if b == b'\\' && self.at + 1 < self.text.len() {
            self.at += 1;
            if let Some((byte, used)) = simple_escape(&self.text[self.at..]) {
                self.at += used;
                return Ok(if byte < 0x80 {
                    Ok(char::from(byte))
                } else {
                    Err(byte)
                });
            }
        }
        let (c, n) = decode(&self.text[self.at..]);
        let byte = self.text[self.at];
        self.at += n;
        Ok(c.ok_or(byte))
    }
}

/// The escaped characters that gawk says it does not know.
pub fn unknown_escapes(text: &[u8]) -> Vec<char> {
    const UNKNOWN: &[u8] = b"!\"#%&,:;=@ACDEFGHIJKLMNOPQRTUVXYZ_cdeghijklmopquz~";
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(n) = memchr::memchr(b'\\', &text[i..]) {
        let Some(&b) = text.get(i + n + 1) else { break };
        let c = char::from(b);
        if UNKNOWN.contains(&b) && !found.contains(&c) {
            found.push(c);
        }
        i += n + 2;
    }
    found
}

pub fn unknown_escape(c: char) -> String {
    format!("regexp escape sequence `\\{c}' is not a known regexp operator")
}

/// The characters of `[:name:]`.
fn named_class(name: &[u8]) -> Option<ClassUnicode> {
    let ascii = |ranges: &[(char, char)]| {
        ClassUnicode::new(ranges.iter().map(|&(a, b)| ClassUnicodeRange::new(a, b)))
    };
    let unicode = |pattern: &str| match regex_syntax::parse(pattern).ok()?.into_kind() {
        regex_syntax::hir::HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    };
    Some(match name {
        b"digit" => ascii(&[('0', '9')]),
        b"xdigit" => ascii(&[('0', '9'), ('a', 'f'), ('A', 'F')]),
        b"blank" => ascii(&[(' ', ' '), ('\t', '\t')]),
        b"space" => ascii(&[(' ', ' '), ('\t', '\r')]),
        b"cntrl" => ascii(&[('\0', '\x1f'), ('\x7f', '\u{9f}')]),
        b"alpha" => unicode(r"\p{Alphabetic}")?,
        b"alnum" => unicode(r"[\p{Alphabetic}\p{Nd}]")?,
        b"lower" => unicode(r"\p{Lowercase}")?,
        b"upper" => unicode(r"\p{Uppercase}")?,
        b"punct" => unicode(r"[[:punct:]\p{P}\p{S}]")?,
        b"graph" => unicode(r"[^\p{Z}\p{C}]")?,
        b"print" => unicode(r"[ [^\p{Z}\p{C}]]")?,
        _ => return None,
    })
}
