//! What the programs' command lines share: help, version and usage errors in one voice.

use lexopt::Arg;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};

/// Who is speaking, and the text of its `--help`.
pub struct Program {
    pub name: &'static str,
    pub help: &'static str,
    /// Exit status of a command line that makes no sense.
    pub usage_status: i32,
}

/// Why parsing ended early: the program's exit status.
#[derive(Debug)]
pub struct Stop(pub i32);

impl Program {
    pub fn parser(&self, args: Vec<OsString>) -> lexopt::Parser {
        lexopt::Parser::from_args(args)
    }

    /// Deals with an argument that the program has not taken itself: help, version or an error.
    pub fn leftover(&self, arg: Arg<'_>) -> Stop {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                self.print(self.help);
                Stop(0)
            }
            Arg::Long("version") | Arg::Short('V') => {
                self.print(&format!(
                    "{} (RustOS {})",
                    self.name,
                    env!("CARGO_PKG_VERSION")
                ));
                Stop(0)
            }
            Arg::Short(letter) => self.usage(format_args!("invalid option -- '{letter}'")),
            Arg::Long(word) => self.usage(format_args!("unrecognized option '--{word}'")),
            Arg::Value(value) => {
                self.usage(format_args!("unexpected argument '{}'", value.display()))
            }
        }
    }

    /// A command line that makes no sense.
    pub fn usage(&self, what: impl Display) -> Stop {
        self.error(what);
        eprintln!("Try '{} --help' for more information.", self.name);
        Stop(self.usage_status)
    }

    /// One line on standard error, opened by the program's name.
    pub fn error(&self, what: impl Display) {
        eprintln!("{}: {what}", self.name);
    }

    /// The options of one call, as `lexopt` errors: a missing or unwanted value.
    pub fn bad_value(&self, error: lexopt::Error) -> Stop {
        self.usage(error)
    }

    fn print(&self, text: &str) {
        // A reader that has gone away needs no help text.
        if let Err(error) = writeln!(io::stdout(), "{text}")
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.error(format_args!("write error: {error}"));
        }
    }
}

/// The text of an errno without std's "(os error N)".
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}
