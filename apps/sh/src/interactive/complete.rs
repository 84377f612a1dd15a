//! Completion of commands, variables and files, and the decision whether a text is complete.

use crate::System;
use futures_util::FutureExt as _;
use rustyline::Context;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::rc::Rc;
use yash_env::Env;
use yash_env::input::Input;
use yash_env::parser::Config;
use yash_env::variable::{PATH, Scope};
use yash_syntax::parser::Parser;
use yash_syntax::parser::lex::Lexer;

/// What the shell knew when it asked for a line.
#[derive(Default)]
pub struct Names {
    commands: BTreeSet<String>,
    variables: BTreeSet<String>,
    path: Vec<String>,
}

impl Names {
    pub fn collect(env: &Env<System>) -> Self {
        let mut commands: BTreeSet<String> =
            env.builtins.keys().map(|name| (*name).to_owned()).collect();
        commands.extend(env.functions.iter().map(|function| function.name.clone()));
        commands.extend(env.aliases.iter().map(|alias| alias.0.name.clone()));
        commands.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
        let variables = env
            .variables
            .iter(Scope::Global)
            .map(|(name, _)| name.to_owned());
        let path = env.variables.get_scalar(PATH).unwrap_or_default();
        Self {
            commands,
            variables: variables.collect(),
            path: path.split(':').map(str::to_owned).collect(),
        }
    }

    /// Commands that start with `prefix`; directories are read only now.
    fn commands(&self, prefix: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = self
            .commands
            .iter()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect();
        for directory in &self.path {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let runs = || {
                    std::fs::metadata(entry.path())
                        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
                };
                if name.starts_with(prefix) && !found.contains(&name) && runs() {
                    found.insert(name);
                }
            }
        }
        found
    }
}

const KEYWORDS: &[&str] = &[
    "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "then", "until", "while",
];

impl Completer for Names {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let head = &line[..position];
        let start = head.rfind([' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>', '"', '=']);
        let start = start.map_or(0, |index| index + 1);
        let word = &head[start..];

        if let Some(dollar) = word.rfind('$') {
            let name = word[dollar + 1..].trim_start_matches('{');
            if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let found = self
                    .variables
                    .iter()
                    .filter(|variable| variable.starts_with(name));
                return Ok((
                    position - name.len(),
                    found.map(|name| pair(name, "")).collect(),
                ));
            }
        }
        if is_command(&head[..start]) && !word.contains(['/', '~']) {
            let found = self.commands(word);
            return Ok((start, found.iter().map(|name| pair(name, " ")).collect()));
        }
        let (start, mut found) = FilenameCompleter::new().complete(line, position, context)?;
        if takes_folders(&head[..start]) {
            found.retain(|file| file.replacement.ends_with('/'));
        }
        Ok((start, found))
    }
}

fn pair(name: &str, after: &str) -> Pair {
    Pair {
        display: name.to_owned(),
        replacement: format!("{name}{after}"),
    }
}

/// Whether a word after `before` is the name of a command.
fn is_command(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t']);
    let word = before
        .rsplit([' ', '\t', '\n', ';', '&', '|', '('])
        .next()
        .unwrap_or_default();
    before.is_empty()
        || before.ends_with(['\n', ';', '&', '|', '(', '{', '!'])
        || matches!(
            word,
            "do" | "else" | "elif" | "if" | "then" | "until" | "while" | "exec"
        )
}

/// Whether `before` ends with a command whose operands are folders.
fn takes_folders(before: &str) -> bool {
    let command = before.rsplit(['\n', ';', '&', '|', '(']).next();
    let word = command.unwrap_or_default().split_whitespace().next();
    matches!(word, Some("cd" | "rmdir"))
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Validator for Names {}

impl rustyline::Helper for Names {}

/// Hands out lines and notes when the parser asks for one more than there are.
struct Lines<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    left: Rc<Cell<usize>>,
    wants_more: Rc<Cell<bool>>,
}

impl Input for Lines<'_> {
    async fn next_line(&mut self, _: &yash_env::input::Context) -> yash_env::input::Result {
        match self.lines.next() {
            Some(line) => {
                self.left.set(self.left.get() - 1);
                Ok(line.to_owned())
            }
            None => {
                self.wants_more.set(true);
                Ok(String::new())
            }
        }
    }
}

/// Whether `text` is the beginning of a command that goes on in the next line.
pub fn is_incomplete(text: &str) -> bool {
    let text = format!("{text}\n");
    let left = Rc::new(Cell::new(text.matches('\n').count()));
    let wants_more = Rc::new(Cell::new(false));
    let lines = Lines {
        lines: text.split_inclusive('\n'),
        left: Rc::clone(&left),
        wants_more: Rc::clone(&wants_more),
    };
    let mut lexer = Lexer::from(Config::with_input(Box::new(lines)));
    while left.get() > 0 || lexer.pending() {
        match Parser::new(&mut lexer).command_line().now_or_never() {
            Some(Ok(Some(_))) if !wants_more.get() => {}
            _ => break,
        }
    }
    wants_more.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_commands_go_on_in_the_next_line() {
        for text in [
            "if true",
            "for i in a b; do",
            "echo 'a",
            "echo \\",
            "cat <<E\nx",
            "a |",
            "f() {",
            "a &&",
        ] {
            assert!(is_incomplete(text), "{text}");
        }
    }

    #[test]
    fn whole_and_wrong_commands_do_not() {
        for text in [
            "",
            "ls",
            "if true; then a; fi",
            "cat <<E\nx\nE",
            "fi",
            "a; b &",
            "a)",
            "x=1\ny=2",
        ] {
            assert!(!is_incomplete(text), "{text}");
        }
    }

    #[test]
    fn a_command_stands_at_the_start_of_a_command() {
        assert!(is_command("") && is_command("a | ") && is_command("if ") && is_command("a;"));
        assert!(!is_command("ls ") && !is_command("echo -n "));
        assert!(takes_folders("a; cd ") && !takes_folders("cd; ls "));
    }
}
