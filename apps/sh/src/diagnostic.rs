//! Diagnostics in one line, as other shells print them: `sh: 3: nosuch: not found`.
//!
//! yash draws its errors as excerpts of the source with marks below. Scripts, logs and most people
//! want the line that other shells give. yash's parts all end in one write to standard error, where
//! [`rewrite`] puts such a drawing into other words. A syntax error keeps its drawing below the line:
//! there it helps to see the place.

use std::sync::OnceLock;

struct Speaker {
    name: String,
    /// Lines of what a person types have no number that means anything.
    numbers_lines: bool,
}

static SPEAKER: OnceLock<Speaker> = OnceLock::new();

/// Sets under what name errors are reported.
pub fn set_speaker(name: &str, is_interactive: bool) {
    let name = match is_interactive {
        true => name.trim_start_matches('-').to_owned(),
        false => name.to_owned(),
    };
    _ = SPEAKER.set(Speaker {
        name,
        numbers_lines: !is_interactive,
    });
}

/// What to print in place of `text`, if that is one of yash's drawings.
pub fn rewrite(text: &[u8]) -> Option<String> {
    let speaker = SPEAKER.get()?;
    let text = std::str::from_utf8(text).ok()?;
    let text = &without_colours(text);
    let drawing = Drawing::parse(text)?;
    let mut start = format!("{}: ", speaker.name);
    if let Some(script) = drawing.script.filter(|script| *script != speaker.name) {
        start.push_str(script);
        start.push_str(": ");
    }
    if let Some(line) = drawing.line.filter(|_| speaker.numbers_lines) {
        start.push_str(&format!("{line}: "));
    }
    Some(match drawing.message() {
        Some(message) => format!("{start}{message}\n"),
        None => {
            let below = text.split_once('\n').map_or("", |(_, below)| below);
            format!("{start}syntax error: {}\n{below}", drawing.title)
        }
    })
}

/// The parts of a drawing that a line is made of.
struct Drawing<'a> {
    title: &'a str,
    /// The file and the line that the error is in.
    script: Option<&'a str>,
    line: Option<&'a str>,
    /// The source where the error is, and what stands at the mark below it.
    code: &'a str,
    /// Where in `code` the mark stands.
    mark: usize,
    label: &'a str,
    builtin: Option<&'a str>,
    is_arithmetic: bool,
}

impl<'a> Drawing<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut lines = text.lines();
        let title = lines
            .next()?
            .strip_prefix("error: ")
            .or_else(|| text.lines().next()?.strip_prefix("warning: "))?;
        let mut drawing = Self {
            title,
            script: None,
            line: None,
            code: "",
            mark: 0,
            label: "",
            builtin: None,
            is_arithmetic: false,
        };
        let mut first = true;
        let mut is_marked = false;
        for line in lines {
            let trimmed = line.trim_start();
            if let Some(place) = trimmed
                .strip_prefix("--> ")
                .or_else(|| trimmed.strip_prefix("::: "))
            {
                drawing.is_arithmetic |= first && place.starts_with("<arithmetic");
                first = false;
                drawing.take_place(place);
            } else if let Some(marks) = trimmed.strip_prefix("|") {
                if let Some(after) = marks.rfind('^').filter(|_| !is_marked)
                    && marks[..after].chars().all(|c| " -^|_".contains(c))
                {
                    drawing.label = marks[after + 1..].trim();
                    // A blank stands between the bar and the source.
                    drawing.mark = marks.find('^').unwrap_or(0).saturating_sub(1);
                    is_marked = true;
                }
                drawing.take_builtin(marks);
            } else if let Some((number, code)) = trimmed.split_once(" | ")
                && !is_marked
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                drawing.code = code;
            }
        }
        // Every drawing shows a place; what has none is an ordinary message.
        (!first).then_some(drawing)
    }

    /// Takes `SOURCE:LINE:COLUMN`. Of several places the first in a file or on standard input counts:
    /// the line in an expansion or in the text given to `eval` means nothing outside.
    fn take_place(&mut self, place: &'a str) {
        let mut parts = place.rsplitn(3, ':').skip(1);
        let (Some(line), Some(source)) = (parts.next(), parts.next()) else {
            return;
        };
        if self.line.is_some() {
            return;
        }
        match source {
            "<command_string>" | "<stdin>" => self.line = Some(line),
            source if source.starts_with('<') => {}
            source => {
                self.script = Some(source);
                self.line = Some(line);
            }
        }
    }

    fn take_builtin(&mut self, marks: &'a str) {
        if let Some((_, name)) = marks.split_once("while executing the ")
            && let Some((name, _)) = name.split_once(" built-in")
        {
            self.builtin = Some(name);
        }
    }

    /// The message, or `None` for what is wrong with the source itself.
    fn message(&self) -> Option<String> {
        let label = without_number(self.label);
        if self.title.starts_with("cannot execute ") || self.title == "unusable command" {
            let message = not_executed(self.title, &label);
            return Some(match self.builtin {
                Some("exec") => format!("exec: {message}"),
                _ => message,
            });
        }
        if self.is_arithmetic {
            return Some(format!("arithmetic expression: {label}: \"{}\"", self.code));
        }
        if let Some(name) = between(&label, "cannot assign to read-only variable \"", "\"") {
            return Some(format!("{name}: is read only"));
        }
        if let Some(message) = self.missing_parameter() {
            return Some(message);
        }
        if let Some(builtin) = self.builtin {
            let message = match () {
                () if label.is_empty() || label.starts_with("while executing") => {
                    without_number(self.title)
                }
                // An error number's text says enough, and so do these.
                () if label != self.label => unquoted(&label),
                () if self.title == "command argument syntax error" => label,
                () if self.title.starts_with("unknown option") => self.title.to_owned(),
                () => format!("{}: {label}", self.title),
            };
            return Some(format!("{builtin}: {message}"));
        }
        let title = match self.title {
            "cannot open the file" => return Some(self.not_opened(&label)),
            "error performing the command substitution" => "command substitution",
            // The mark is only where the reading ended.
            title if title.starts_with("cannot read commands") => {
                return Some(without_number(title));
            }
            title if RUN_TIME.iter().any(|start| title.starts_with(start)) => title,
            _ => return None,
        };
        Some(format!("{title}: {label}"))
    }

    /// A redirection's file, with other words for one to be made than for one to be there.
    fn not_opened(&self, label: &str) -> String {
        let before: String = self.code.chars().take(self.mark).collect();
        let is_to_create = before.trim_end().trim_end_matches('|').ends_with('>')
            && !before.trim_end().ends_with("<>");
        let (path, reason) = label.rsplit_once(": ").unwrap_or((label, ""));
        let is_missing = matches!(reason, "No such file or directory" | "Not a directory");
        match (is_to_create, is_missing) {
            (true, true) => format!("cannot create {path}: Directory nonexistent"),
            (true, false) => format!("cannot create {path}: {reason}"),
            (false, true) => format!("cannot open {path}: No such file"),
            (false, false) => format!("cannot open {path}: {reason}"),
        }
    }

    /// `${v:?title}` and `set -u`.
    fn missing_parameter(&self) -> Option<String> {
        let (name, state) = self
            .label
            .strip_prefix("parameter `")?
            .split_once("` is ")?;
        let text = match (self.title, state) {
            ("cannot expand unset parameter", _) => "parameter not set",
            ("parameter expansion with empty value", "not set") => "parameter not set",
            ("parameter expansion with empty value", _) => "parameter null",
            (title, "not set" | "an empty string") => title,
            (title, state) if state.starts_with("an ") => title,
            _ => return None,
        };
        Some(format!("{name}: {text}"))
    }
}

/// How titles of errors start that come up when a command runs. All others are syntax errors.
const RUN_TIME: &[&str] = &[
    "cannot ",
    "error assigning",
    "nul byte found",
    "not a valid file descriptor",
    "unsupported redirection",
    "error expanding",
];

fn not_executed(title: &str, label: &str) -> String {
    let quoted = between(title, "\"", "\"").unwrap_or_default();
    if label.ends_with("no command with this name") || label.ends_with("not found") {
        let name = label.split_once(": ").map_or(quoted, |(name, _)| name);
        return format!("{name}: not found");
    }
    match unquoted(label).rsplit_once(": ") {
        Some((name, "No such file or directory")) => format!("{name}: not found"),
        Some((name, reason)) => format!("{name}: {reason}"),
        None => format!("{quoted}: {label}"),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.rsplit_once(after).map(|(inside, _)| inside)
}

/// Drops Rust's number behind the text of an error.
fn without_number(text: &str) -> String {
    match text.rsplit_once(" (os error ") {
        Some((text, number)) if number.ends_with(')') => text.to_owned(),
        _ => text.to_owned(),
    }
}

/// Drops the quotes around the name that a message starts with.
fn unquoted(text: &str) -> String {
    for quote in ['"', '`'] {
        if let Some((name, rest)) = text
            .strip_prefix(quote)
            .and_then(|text| text.rsplit_once(&format!("{quote}: ")))
        {
            return format!("{name}: {rest}");
        }
    }
    text.to_owned()
}

fn without_colours(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            output.push(c);
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Option<String> {
        Drawing::parse(text).and_then(|drawing| drawing.message())
    }

    #[test]
    fn an_unknown_command_is_not_found() {
        let text = "error: cannot execute external utility \"nosuch\"\n --> <stdin>:10:1\n   |\n\
            10 | nosuch; echo $?\n   | ^^^^^^ utility \"nosuch\" not found\n";
        assert_eq!(message(text).unwrap(), "nosuch: not found");
        assert_eq!(Drawing::parse(text).unwrap().line, Some("10"));
        let text = "error: cannot execute external utility \"./d\"\n --> s.sh:2:1\n  |\n2 | ./d\n  \
            | ^^^ \"./d\": Permission denied (os error 13)\n";
        assert_eq!(message(text).unwrap(), "./d: Permission denied");
        assert_eq!(Drawing::parse(text).unwrap().script, Some("s.sh"));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_not_one_that_cannot_be_opened() {
        for (code, mark, reason, expected) in [
            (
                "echo x > /",
                9,
                "Is a directory",
                "cannot create /: Is a directory",
            ),
            (
                "echo x >>|/",
                10,
                "Is a directory",
                "cannot create /: Is a directory",
            ),
            (
                "cat <>/",
                6,
                "Is a directory",
                "cannot open /: Is a directory",
            ),
            (
                "cat </",
                5,
                "No such file or directory",
                "cannot open /: No such file",
            ),
            (
                "echo é>/",
                7,
                "Not a directory",
                "cannot create /: Directory nonexistent",
            ),
        ] {
            let text = format!(
                "error: cannot open the file\n --> <stdin>:1:1\n  |\n1 | {code}\n  | {}^ /: {reason}\n",
                " ".repeat(mark)
            );
            assert_eq!(message(&text).unwrap(), expected, "{code}");
        }
    }

    #[test]
    fn a_builtin_speaks_under_its_name() {
        let text = "error: cannot change the working directory\n --> <command_string>:1:4\n  |\n\
            1 | cd nosuch\n  | -- ^^^^^^ \"/x/nosuch\": No such file or directory (os error 2)\n  | |\n  \
            | while executing the cd built-in\n";
        assert_eq!(
            message(text).unwrap(),
            "cd: /x/nosuch: No such file or directory"
        );
    }

    #[test]
    fn the_line_of_an_expansion_is_that_of_the_script() {
        let text = "error: error evaluating the arithmetic expansion\n --> <arithmetic_expansion>:1:2\n  \
            |\n1 | 1/0\n  |  ^ division by zero\n  |\n ::: <command_string>:7:6\n  |\n7 | echo $((1/0))\n  \
            |      -------- arithmetic expansion appeared here\n";
        assert_eq!(
            message(text).unwrap(),
            "arithmetic expression: division by zero: \"1/0\""
        );
        assert_eq!(Drawing::parse(text).unwrap().line, Some("7"));
    }

    #[test]
    fn a_message_given_in_the_script_is_kept() {
        let text = "error: give a name\n --> <command_string>:1:3\n  |\n1 | : ${v:?give a name}\n  \
            |   ^^^^^^^^^^^^^ parameter `v` is not set\n";
        assert_eq!(message(text).unwrap(), "v: give a name");
    }

    #[test]
    fn a_syntax_error_keeps_its_drawing_and_other_text_is_left_alone() {
        let text = "error: the single quote is not closed\n --> <command_string>:1:10\n  |\n\
            1 | echo 'abc\n  |      -   ^ expected `'`\n  |      |\n  |      the opening quote was here\n";
        assert!(message(text).is_none() && Drawing::parse(text).is_some());
        assert!(Drawing::parse("error: echoed\n").is_none());
        assert!(Drawing::parse("[1] 29\n").is_none());
    }
}
