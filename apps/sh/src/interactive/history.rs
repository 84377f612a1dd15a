//! `~/.sh_history` (or `$HISTFILE`): one command a line, appended as it is entered, so that shells
//! side by side lose nothing. A file that has grown to twice the limit is cut to the limit.

use crate::System;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use yash_env::Env;

pub struct History {
    path: PathBuf,
    lines: Vec<String>,
}

/// What `fc` sees, and the line editor takes over.
#[derive(Default)]
struct Session {
    commands: Vec<String>,
    /// How many of them the line editor knows.
    known: usize,
    /// The command that runs now is not among them: it began with a space.
    is_secret: bool,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// Notes the command that runs next.
pub fn begin(command: &str) {
    SESSION.with_borrow_mut(|session| session.is_secret = command.starts_with(' '));
}

/// Takes a command that was typed.
pub fn add(command: &str) {
    SESSION.with_borrow_mut(|session| {
        session.commands.push(command.to_owned());
        session.known = session.commands.len();
    });
}

/// Every command before the one that runs now, and the number of the first.
pub fn before_this() -> Option<(usize, Vec<String>)> {
    SESSION.with_borrow(|session| {
        let kept = usize::from(!session.is_secret);
        let before = &session.commands[..session.commands.len().checked_sub(kept)?];
        (!before.is_empty()).then(|| (1, before.to_vec()))
    })
}

/// Puts `command` in the place of the `fc` that runs it.
pub fn replace_this(command: &str) {
    SESSION.with_borrow_mut(|session| {
        if !session.is_secret {
            session.commands.pop();
        }
        session.known = session.known.min(session.commands.len());
        session.commands.push(command.to_owned());
    });
}

/// Commands that the line editor does not know yet.
pub fn unknown() -> Vec<String> {
    SESSION.with_borrow_mut(|session| {
        let unknown = session.commands[session.known..].to_vec();
        session.known = session.commands.len();
        unknown
    })
}

impl History {
    /// The user's history, or `None` if there is no place for one.
    pub fn open(env: &Env<System>, limit: usize) -> Option<Self> {
        let path = match env.variables.get_scalar("HISTFILE") {
            Some("") => return None,
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(env.variables.get_scalar("HOME")?).join(".sh_history"),
        };
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        let mut lines: Vec<_> = text.lines().map(decode).collect();
        let excess = lines.len().saturating_sub(limit);
        lines.drain(..excess);
        let history = Self { path, lines };
        if excess > limit {
            // The old file stays if the new one cannot be written.
            _ = history.rewrite();
        }
        Some(history)
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    pub fn append(&self, line: &str) -> io::Result<()> {
        let mut file = File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(format!("{}\n", encode(line)).as_bytes())
    }

    fn rewrite(&self) -> io::Result<()> {
        let text: String = self.lines.iter().map(|line| encode(line) + "\n").collect();
        let new = self.path.with_extension("new");
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(new, &self.path)
    }
}

/// A command of several lines goes on one, with `\n` and `\\` escaped.
fn encode(line: &str) -> String {
    if !line.contains('\n') && !line.contains("\\n") && !line.contains("\\\\") {
        return line.to_owned();
    }
    line.replace('\\', "\\\\").replace('\n', "\\n")
}

fn decode(line: &str) -> String {
    let mut output = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('n')) => output.push('\n'),
            ('\\', Some('\\')) => output.push('\\'),
            _ => {
                output.push(c);
                continue;
            }
        }
        chars.next();
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_command_survives_the_file() {
        for line in ["ls", "a\nb", "printf 'a\\n'", "a\\\\b", "echo \\ a"] {
            assert_eq!(decode(&encode(line)), line);
            assert!(!encode(line).contains('\n'));
        }
    }
}
