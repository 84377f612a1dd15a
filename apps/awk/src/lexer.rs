//! Source text to tokens. Whether `/` divides or opens a regular expression follows from the
//! token before it, so the whole program is tokenised ahead of parsing.

use crate::ast::{Builtin, builtin};

#[derive(Clone, Debug, PartialEq)]
pub enum Tok {
    Num(f64),
    Str(Vec<u8>),
    Regex(Vec<u8>),
    Name(String),
    /// A name directly followed by `(`.
    FuncName(String),
    Builtin(Builtin),
    Word(Word),
    Punct(&'static str),
    Newline,
    Eof,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    Begin,
    End,
    BeginFile,
    EndFile,
    Function,
    If,
    Else,
    While,
    For,
    Do,
    Break,
    Continue,
    Next,
    NextFile,
    Exit,
    Return,
    Delete,
    In,
    Getline,
    Print,
    Printf,
    Switch,
    Case,
    Default,
}

fn word(name: &str) -> Option<Word> {
    Some(match name {
        "BEGIN" => Word::Begin,
        "END" => Word::End,
        "BEGINFILE" => Word::BeginFile,
        "ENDFILE" => Word::EndFile,
        "function" | "func" => Word::Function,
        "if" => Word::If,
        "else" => Word::Else,
        "while" => Word::While,
        "for" => Word::For,
        "do" => Word::Do,
        "break" => Word::Break,
        "continue" => Word::Continue,
        "next" => Word::Next,
        "nextfile" => Word::NextFile,
        "exit" => Word::Exit,
        "return" => Word::Return,
        "delete" => Word::Delete,
        "in" => Word::In,
        "getline" => Word::Getline,
        "print" => Word::Print,
        "printf" => Word::Printf,
        "switch" => Word::Switch,
        "case" => Word::Case,
        "default" => Word::Default,
        _ => return None,
    })
}

/// Longest first, so that a prefix never wins.
const PUNCT: &[&str] = &[
    "**=", "&&", "||", "==", "!=", "<=", ">=", ">>", "+=", "-=", "*=", "/=", "%=", "^=", "**",
    "++", "--", "!~", "|&", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^",
    "!", "<", ">", "|", "?", ":", "~", "$", "=", "@",
];

#[derive(Clone, Debug)]
pub struct Token {
    pub tok: Tok,
    /// Offset in the source, for messages.
    pub at: usize,
}

/// What deserves a word, and at which offset.
pub type Warnings = Vec<(usize, String)>;

/// A syntax error: where, and what to say.
#[derive(Debug)]
pub struct SyntaxError {
    pub at: usize,
    pub message: String,
}

impl SyntaxError {
    pub fn new(at: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            at,
            message: message.into(),
        }
    }
}

/// Escapes that mean one byte everywhere: `text` starts after the backslash. Returns the byte and
/// the bytes used.
pub fn simple_escape(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text.first()? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'0'..=b'7' => {
            let n = text
                .iter()
                .take(3)
                .take_while(|b| (b'0'..=b'7').contains(b))
                .count();
            let value = text[..n]
                .iter()
                .fold(0u32, |v, b| v * 8 + u32::from(b - b'0'));
            return Some((value as u8, n));
        }
        b'x' => {
            let hex = |b: u8| char::from(b).to_digit(16);
            let n = text[1..]
                .iter()
                .take(2)
                .take_while(|&&b| hex(b).is_some())
                .count();
            if n == 0 {
                return None;
            }
            let value = text[1..=n]
                .iter()
                .fold(0, |v, &b| v * 16 + hex(b).unwrap_or(0));
            return Some((value as u8, n + 1));
        }
        _ => return None,
    };
    Some((byte, 1))
}

/// Processes the escapes of a string literal or a command-line assignment; `warn` hears of those
/// that mean nothing.
pub fn unescape(raw: &[u8], mut warn: impl FnMut(char)) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        if raw[i] != b'\\' || i + 1 == raw.len() {
            out.push(raw[i]);
            i += 1;
            continue;
        }
        i += 1;
        if let Some((byte, used)) = simple_escape(&raw[i..]) {
            out.push(byte);
            i += used;
            continue;
        }
        match raw[i] {
            b'\\' | b'"' => out.push(raw[i]),
            b'\n' => {}
            other => {
                if other.is_ascii() {
                    warn(char::from(other));
                }
                out.push(other);
            }
        }
        i += 1;
    }
    out
}

pub struct Lexer<'a> {
    src: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    warnings: Warnings,
}

impl<'a> Lexer<'a> {
    pub fn new(src: &'a [u8]) -> Lexer<'a> {
        Lexer {
            src,
            at: 0,
            tokens: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.src.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, at: usize, tok: Tok) {
        self.tokens.push(Token { tok, at });
    }

    /// After these a `/` divides.
    fn value_before(&self) -> bool {
        match self.tokens.last().map(|t| &t.tok) {
            Some(Tok::Num(_) | Tok::Str(_) | Tok::Regex(_) | Tok::Name(_) | Tok::Builtin(_)) => {
                true
            }
            Some(Tok::Punct(p)) => matches!(*p, ")" | "]" | "$" | "++" | "--"),
            _ => false,
        }
    }

    pub fn run(mut self) -> Result<(Vec<Token>, Warnings), SyntaxError> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\r' | 0x0c => self.at += 1,
                0 if self.at >= self.src.len() => break,
                b'\\' if self.peek(1) == b'\n' => self.at += 2,
                b'\\' if self.peek(1) == b'\r' && self.peek(2) == b'\n' => self.at += 3,
                b'#' => {
                    while self.at < self.src.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                b'\n' => {
                    self.push(self.at, Tok::Newline);
                    self.at += 1;
                }
                _ => self.token()?,
            }
        }
        self.push(self.src.len(), Tok::Eof);
        Ok((self.tokens, self.warnings))
    }

    fn token(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        let b = self.peek(0);
        if b.is_ascii_digit() || (b == b'.' && self.peek(1).is_ascii_digit()) {
            return self.number();
        }
        if b.is_ascii_alphabetic() || b == b'_' {
            self.name();
            return Ok(());
        }
        if b == b'"' {
            return self.string();
        }
        if b == b'/' && !self.value_before() {
            return self.regex();
        }
        if b == b'@' && self.peek(1) == b'/' {
            self.at += 1;
            self.regex()?;
            // A strongly typed regular expression is used like its text.
            if let Some(Token { tok, .. }) = self.tokens.last_mut()
                && let Tok::Regex(text) = tok
            {
                *tok = Tok::Str(std::mem::take(text));
            }
            return Ok(());
        }
        for p in PUNCT {
            if self.src[start..].starts_with(p.as_bytes()) {
                self.at += p.len();
                self.push(start, Tok::Punct(p));
                return Ok(());
            }
        }
        let shown = if b.is_ascii_graphic() {
            format!("invalid char '{}' in expression", char::from(b))
        } else {
            format!("invalid char '\\{b:03o}' in expression")
        };
        Err(SyntaxError::new(start, shown))
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        let rest = &self.src[start..];
        let radix_digits = |skip: usize, radix: u32| {
            rest[skip..]
                .iter()
                .take_while(|&&b| char::from(b).is_digit(radix))
                .count()
        };
        let fold = |digits: &[u8], radix: u32| {
            digits.iter().fold(0.0, |v, &b| {
                v * f64::from(radix) + f64::from(char::from(b).to_digit(radix).unwrap_or(0))
            })
        };
        if rest[0] == b'0' && matches!(rest.get(1), Some(b'x' | b'X')) {
            let n = radix_digits(2, 16);
            if n > 0 {
                self.at += 2 + n;
                self.push(start, Tok::Num(fold(&rest[2..2 + n], 16)));
                return Ok(());
            }
        }
        let octal = radix_digits(0, 8);
        if rest[0] == b'0'
            && octal > 1
            && !matches!(rest.get(octal), Some(b'8' | b'9' | b'.' | b'e' | b'E'))
        {
            self.at += octal;
            self.push(start, Tok::Num(fold(&rest[..octal], 8)));
            return Ok(());
        }
        let (value, len) = crate::number::scan(rest);
        self.at += len;
        self.push(start, Tok::Num(value));
        Ok(())
    }

    fn name(&mut self) {
        let start = self.at;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.src[start..self.at]).into_owned();
        let tok = if let Some(w) = word(&text) {
            Tok::Word(w)
        } else if let Some(b) = builtin(&text) {
            Tok::Builtin(b)
        } else if self.peek(0) == b'(' {
            Tok::FuncName(text)
        } else {
            Tok::Name(text)
        };
        self.push(start, tok);
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 1;
        let body = self.at;
        loop {
            match self.peek(0) {
                b'"' => break,
                b'\\' if self.at + 1 < self.src.len() => self.at += 2,
                b'\n' => return Err(SyntaxError::new(start, "unterminated string")),
                _ if self.at >= self.src.len() => {
                    return Err(SyntaxError::new(start, "unterminated string"));
                }
                _ => self.at += 1,
            }
        }
        let warnings = &mut self.warnings;
        let text = unescape(&self.src[body..self.at], |c| {
            let message = format!("warning: escape sequence `\\{c}' treated as plain `{c}'");
            warnings.push((start, message));
        });
        self.at += 1;
        self.push(start, Tok::Str(text));
        Ok(())
    }

    fn regex(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        let mut bracket = false;
        loop {
            let b = self.peek(0);
            if self.at >= self.src.len() || b == b'\n' {
                return Err(SyntaxError::new(start, "unterminated regexp"));
            }
            self.at += 1;
            match b {
                b'/' if !bracket => break,
                b'\\' if self.at < self.src.len() => {
                    let next = self.peek(0);
                    self.at += 1;
                    match next {
                        b'/' => text.push(b'/'),
                        b'\n' => {}
                        _ => text.extend([b'\\', next]),
                    }
                }
                b'[' if !bracket => {
                    bracket = true;
                    text.push(b);
                    if self.peek(0) == b'^' {
                        text.push(b'^');
                        self.at += 1;
                    }
                    if self.peek(0) == b']' {
                        text.push(b']');
                        self.at += 1;
                    }
                }
                b'[' if self.peek(0) == b':' => {
                    // `[:class:]` holds the `]` that does not end the bracket expression.
                    let rest = &self.src[self.at..];
                    let end = rest
                        .windows(2)
                        .position(|w| w == b":]")
                        .map_or(0, |n| n + 2);
                    text.push(b);
                    text.extend_from_slice(&rest[..end]);
                    self.at += end;
                }
                b']' if bracket => {
                    bracket = false;
                    text.push(b);
                }
                _ => text.push(b),
            }
        }
        self.push(start, Tok::Regex(text));
        Ok(())
    }
}
