//! Here-documents that the end of the input ends, as every other shell has them.
//!
//! yash treats a missing delimiter as a syntax error. `Closer` passes lines on and keeps those
//! from the first `<<` on. At the end of the input it parses them again; if the parser misses a
//! delimiter, that delimiter is handed out as one more line.

use futures_util::FutureExt as _;
use yash_env::input::{Context, Input, Result};
use yash_syntax::parser::lex::Lexer;
use yash_syntax::parser::{ErrorCause, Parser, SyntaxError};

pub struct Closer<T> {
    inner: T,
    /// The input from the first line with `<<` on.
    seen: String,
}

impl<T> Closer<T> {
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            seen: String::new(),
        }
    }
}

impl<T: Input> Input for Closer<T> {
    async fn next_line(&mut self, context: &Context) -> Result {
        let line = self.inner.next_line(context).await?;
        if !self.seen.is_empty() || line.contains("<<") {
            self.seen.push_str(&line);
        }
        if !line.is_empty() || self.seen.is_empty() {
            return Ok(line);
        }
        // The end of the input ends a line, too.
        if !self.seen.ends_with('\n') {
            self.seen.push('\n');
            return Ok("\n".to_owned());
        }
        // At the start of a command nothing is open.
        if context.is_first_line() {
            return Ok(line);
        }
        let Some(delimiter) = missing_delimiter(&self.seen) else {
            return Ok(line);
        };
        let line = format!("{delimiter}\n");
        self.seen.push_str(&line);
        Ok(line)
    }
}

/// The delimiter of the here-document that `code` leaves open.
fn missing_delimiter(code: &str) -> Option<String> {
    let mut lexer = Lexer::with_code(code);
    let error = loop {
        match Parser::new(&mut lexer).command_line().now_or_never()? {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => break error,
        }
    };
    let ErrorCause::Syntax(SyntaxError::UnclosedHereDocContent { redir_op_location }) = error.cause
    else {
        return None;
    };
    let source = redir_op_location.code.value.borrow();
    let after = source.chars().skip(redir_op_location.range.start);
    let word: String = after
        .skip_while(|&c| c == '<' || c.is_ascii_digit())
        .collect();
    let word = word.trim_start_matches('-').trim_start_matches([' ', '\t']);
    Some(unquote(word))
}

/// The first word of `text` without its quotes.
fn unquote(text: &str) -> String {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break,
            _ => word.push(c),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_here_document_names_its_delimiter() {
        assert_eq!(missing_delimiter("cat <<EOF\nx\n").as_deref(), Some("EOF"));
        assert_eq!(
            missing_delimiter("cat <<-'E F'; echo\nx").as_deref(),
            Some("E F")
        );
        assert_eq!(
            missing_delimiter("cat <<A <<B\nx\nA\ny\n").as_deref(),
            Some("B")
        );
    }

    #[test]
    fn closed_documents_and_other_errors_need_nothing() {
        assert_eq!(missing_delimiter("cat <<EOF\nx\nEOF\n"), None);
        assert_eq!(missing_delimiter("echo $((1<<2))\nif\n"), None);
    }
}
