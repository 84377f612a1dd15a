//! `fc`: lists, edits and runs again what was typed (POSIX). A shell that nobody types at has no history.

use super::{fail, values, write};
use crate::System;
use crate::interactive::history;
use std::fs;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::system::concurrency::WriteAll as _;

/// How many commands `fc -l` lists when not told.
const LISTED: usize = 16;

#[derive(Default)]
struct Options {
    lists: bool,
    hides_numbers: bool,
    reverses: bool,
    substitutes: bool,
    editor: Option<String>,
}

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let mut args = values(args);
    let options = match parse(&mut args) {
        Ok(options) => options,
        Err(message) => return fail(env, "fc", &message, 2).await,
    };
    // The line that holds this very `fc` does not count.
    let Some((first_number, commands)) = history::before_this() else {
        return fail(env, "fc", "history is empty", 1).await;
    };
    let history = Entries {
        first_number,
        commands,
    };
    if options.substitutes {
        return run_again(env, &history, &args).await;
    }
    let (from, to) = match history.range(&args, options.lists) {
        Ok(range) => range,
        Err(message) => return fail(env, "fc", &message, 1).await,
    };
    let mut chosen: Vec<usize> = (from.min(to)..=from.max(to)).collect();
    if (from > to) != options.reverses {
        chosen.reverse();
    }
    if options.lists {
        let mut text = String::new();
        for index in chosen {
            if !options.hides_numbers {
                text.push_str(&(history.first_number + index).to_string());
            }
            // POSIX: a tab before every line of a command.
            let command = history.commands[index].replace('\n', "\n\t");
            text.push_str(&format!("\t{command}\n"));
        }
        return write(env, "fc", text.as_bytes(), ExitStatus::SUCCESS).await;
    }
    let text: String = chosen
        .iter()
        .map(|&index| format!("{}\n", history.commands[index]))
        .collect();
    edit(env, options.editor, &text).await
}

fn parse(args: &mut Vec<String>) -> std::result::Result<Options, String> {
    let mut options = Options::default();
    let mut taken = 0;
    'arguments: while let Some(word) = args.get(taken) {
        let Some(letters) = word.strip_prefix('-') else {
            break;
        };
        // `-5` is an operand: five commands ago.
        if letters.is_empty() || letters.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        taken += 1;
        if letters == "-" {
            break;
        }
        for (index, letter) in letters.char_indices() {
            match letter {
                'l' => options.lists = true,
                'n' => options.hides_numbers = true,
                'r' => options.reverses = true,
                's' => options.substitutes = true,
                'e' => {
                    let rest = letters[index + 1..].to_owned();
                    let editor = if rest.is_empty() {
                        taken += 1;
                        args.get(taken - 1).cloned()
                    } else {
                        Some(rest)
                    };
                    options.editor = Some(editor.ok_or("-e: missing editor")?);
                    continue 'arguments;
                }
                _ => return Err(format!("unknown option: -{letter}")),
            }
        }
    }
    // An editor called `-` is the old way to say `-s`.
    options.substitutes |= options.editor.as_deref() == Some("-");
    args.drain(..taken);
    Ok(options)
}

struct Entries {
    first_number: usize,
    commands: Vec<String>,
}

impl Entries {
    /// The command that an operand names: its number, how long ago it was, or how it starts.
    fn find(&self, operand: &str) -> std::result::Result<usize, String> {
        let last = self.commands.len() - 1;
        if let Ok(number) = operand.parse::<isize>() {
            let index = if number < 0 {
                self.commands.len() as isize + number
            } else {
                number - self.first_number as isize
            };
            return Ok(index.clamp(0, last as isize) as usize);
        }
        self.commands
            .iter()
            .rposition(|command| command.starts_with(operand))
            .ok_or_else(|| format!("{operand}: no such command in history"))
    }

    fn range(
        &self,
        operands: &[String],
        lists: bool,
    ) -> std::result::Result<(usize, usize), String> {
        let last = self.commands.len() - 1;
        let (from, to) = match operands {
            [] if lists => return Ok((self.commands.len().saturating_sub(LISTED), last)),
            [] => return Ok((last, last)),
            [from] => (from, None),
            [from, to] => (from, Some(to)),
            _ => return Err("too many operands".into()),
        };
        let from = self.find(from)?;
        let to = match to {
            Some(to) => self.find(to)?,
            None if lists => last,
            None => from,
        };
        Ok((from, to))
    }
}

/// `fc -s [OLD=NEW] [COMMAND]`
async fn run_again(env: &mut Env<System>, history: &Entries, operands: &[String]) -> Result {
    let (change, operand) = match operands {
        [change, rest @ ..] if change.contains('=') => (change.split_once('='), rest.first()),
        rest => (None, rest.first()),
    };
    let index = match operand {
        Some(operand) => history.find(operand),
        None => Ok(history.commands.len() - 1),
    };
    let mut text = match index {
        Ok(index) => history.commands[index].clone(),
        Err(message) => return fail(env, "fc", &message, 1).await,
    };
    if let Some((old, new)) = change {
        text = text.replacen(old, new, 1);
    }
    run(env, text).await
}

async fn edit(env: &mut Env<System>, editor: Option<String>, text: &str) -> Result {
    let chosen = |name| {
        env.variables
            .get_scalar(name)
            .filter(|name| !name.is_empty())
    };
    let editor = editor
        .or_else(|| {
            chosen("FCEDIT")
                .or_else(|| chosen("EDITOR"))
                .map(str::to_owned)
        })
        .unwrap_or_else(|| "vi".to_owned());
    let path = format!("/tmp/fc.{}", std::process::id());
    if let Err(error) = fs::write(&path, text) {
        return fail(env, "fc", &format!("{path}: {error}"), 1).await;
    }
    let edited = evaluate(env, format!("{editor} {path}")).await;
    let text = fs::read_to_string(&path);
    // It may be gone already.
    _ = fs::remove_file(&path);
    if edited.exit_status() != ExitStatus::SUCCESS || edited.divert().is_break() {
        return edited;
    }
    match text {
        Ok(text) => run(env, text.trim_end_matches('\n').to_owned()).await,
        Err(error) => fail(env, "fc", &format!("{path}: {error}"), 1).await,
    }
}

/// Shows a command, keeps it in the place of the `fc`, and runs it.
async fn run(env: &mut Env<System>, text: String) -> Result {
    env.system.print_error(format!("{text}\n")).await;
    history::replace_this(&text);
    evaluate(env, text).await
}

async fn evaluate(env: &mut Env<System>, text: String) -> Result {
    let args = vec![Field::dummy("--"), Field::dummy(text)];
    yash_builtin::eval::main(env, args).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Entries {
        Entries {
            first_number: 7,
            commands: ["ls a", "echo b", "ls c"].map(str::to_owned).into(),
        }
    }

    #[test]
    fn operands_name_commands() {
        let entries = entries();
        assert_eq!(entries.find("8"), Ok(1));
        assert_eq!(entries.find("-1"), Ok(2));
        assert_eq!(entries.find("ls"), Ok(2));
        assert_eq!(entries.find("999"), Ok(2));
        assert!(entries.find("cat").is_err());
        assert_eq!(entries.range(&[], true), Ok((0, 2)));
        assert_eq!(entries.range(&["echo".into()], true), Ok((1, 2)));
        assert_eq!(entries.range(&["echo".into()], false), Ok((1, 1)));
    }

    #[test]
    fn options_end_where_operands_begin() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut args = words("-ln -5");
        let options = parse(&mut args).unwrap();
        assert!(options.lists && options.hides_numbers && args == ["-5"]);
        let mut args = words("-e ed 3");
        assert_eq!(parse(&mut args).unwrap().editor.as_deref(), Some("ed"));
        assert_eq!(args, ["3"]);
        assert!(parse(&mut words("-z")).is_err());
    }
}
