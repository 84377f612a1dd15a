//! The program's text, from the command line or files, and how messages point into it.

use crate::lexer::SyntaxError;

#[derive(Debug, Default)]
pub struct Sources {
    pub text: Vec<u8>,
    /// First line (counted over the whole text, from 1) and name of each source.
    starts: Vec<(u32, String)>,
}

impl Sources {
    pub fn new(parts: &[(String, Vec<u8>)]) -> Sources {
        let mut sources = Sources::default();
        let mut line = 1;
        for (name, text) in parts {
            sources.starts.push((line, name.clone()));
            sources.text.extend_from_slice(text);
            if !text.ends_with(b"\n") && parts.len() > 1 {
                sources.text.push(b'\n');
            }
            line = 1 + memchr::memchr_iter(b'\n', &sources.text).count() as u32;
        }
        sources
    }

    /// `cmd. line:3: ` or `prog.awk:3: `.
    pub fn place_of_line(&self, line: u32) -> String {
        let at = self.starts.partition_point(|(start, _)| *start <= line);
        match self.starts.get(at.wrapping_sub(1)) {
            Some((start, name)) if name.is_empty() => format!("cmd. line:{}: ", line - start + 1),
            Some((start, name)) => format!("{name}:{}: ", line - start + 1),
            None => String::new(),
        }
    }

    pub fn place_of_offset(&self, at: usize) -> String {
        let newlines = memchr::memchr_iter(b'\n', &self.text[..at.min(self.text.len())]).count();
        self.place_of_line(newlines as u32 + 1)
    }

    /// A syntax error as gawk shows it: the line, and a caret under the place.
    pub fn explain(&self, e: &SyntaxError) -> String {
        let place = self.place_of_offset(e.at);
        let message = &e.message;
        if message.starts_with("fatal: ") || message.starts_with("error: ") {
            return format!("awk: {place}{message}\n");
        }
        let mut at = e.at.min(self.text.len());
        // At the end of the text the last line is the one to show.
        if at == self.text.len() && at > 0 && self.text[at - 1] == b'\n' {
            at -= 1;
        }
        let start = memchr::memrchr(b'\n', &self.text[..at]).map_or(0, |n| n + 1);
        let end = memchr::memchr(b'\n', &self.text[at..]).map_or(self.text.len(), |n| at + n);
        let line = String::from_utf8_lossy(&self.text[start..end]);
        let pad: String = self.text[start..at]
            .iter()
            .map(|&b| if b == b'\t' { '\t' } else { ' ' })
            .collect();
        format!("awk: {place}{line}\nawk: {place}{pad}^ {message}\n")
    }
}
