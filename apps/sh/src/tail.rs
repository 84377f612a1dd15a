//! A command that is all a subshell has left to do takes the subshell's place.
//!
//! yash runs `a | b` and `a &` in subshells, and in each starts the program as one more process.
//! Then `$!` names the subshell, and `kill $!` leaves the program running. Here the subshell, once it
//! is there, puts an unseen word in front of such a command: the name of a built-in that does what
//! the rest says by exec. The command that is printed and listed stays as it was typed.

use crate::{System, quick, words};
use std::cell::RefCell;
use std::ffi::CString;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::Pin;
use std::rc::Rc;
use yash_env::Env;
use yash_env::builtin::{Builtin, Result, Type};
use yash_env::option::{On, XTrace};
use yash_env::parser::Mode;
use yash_env::semantics::command::replace_current_process;
use yash_env::semantics::command::search::search_path;
use yash_env::semantics::{Divert, ExitStatus, Field, RunReadEvalLoop};
use yash_env::stack::Frame::Subshell;
use yash_env::trap::Action;
use yash_semantics::Handle as _;
use yash_semantics::command::Command as _;
use yash_semantics::trap::run_traps_for_caught_signals;
use yash_syntax::parser::lex::Lexer;
use yash_syntax::parser::{ErrorCause, Parser};
use yash_syntax::syntax::{
    AndOrList, Command, CompoundCommand, ExpansionMode, FullCompoundCommand, Item, List, Pipeline,
    SimpleCommand, TextUnit, Word, WordUnit,
};

/// WORD JOINER: no command has this name, and where it is printed it takes no room.
const NAME: &str = "\u{2060}";

/// Makes `env` run marked commands, and have them where they belong in `eval` and in sourced files, too.
pub fn register(env: &mut Env<System>) {
    env.builtins
        .insert(NAME, Builtin::new(Type::Mandatory, main));
    env.any
        .insert(Box::new(RunReadEvalLoop::<System>(|env, config| {
            Box::pin(
                async move { read_eval_loop(env, &mut Lexer::from(config), OnError::End).await },
            )
        })));
}

/// What an error means for the commands after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnError {
    /// They are not run.
    End,
    /// A person types them, who knows of the error.
    GoOn,
}

/// yash's loop, with the commands run by [`quick`].
#[allow(
    clippy::await_holding_refcell_ref,
    reason = "the parser does not run beside the commands"
)]
pub async fn read_eval_loop(
    env: &RefCell<&mut Env<System>>,
    lexer: &mut Lexer<'_>,
    on_error: OnError,
) -> yash_env::semantics::Result {
    let mut executed = false;
    loop {
        if !lexer.pending() {
            lexer.flush();
        }
        lexer.set_mode(Mode::from(&env.borrow().options));
        let mut parser = Parser::config();
        let command = parser
            .aliases(env)
            .declaration_utilities(env)
            .input(lexer)
            .command_line()
            .await;
        let env = &mut **env.borrow_mut();
        let (result, can_go_on) = match command {
            Ok(None) => {
                if !executed {
                    env.exit_status = ExitStatus::SUCCESS;
                }
                return Continue(());
            }
            Ok(Some(mut command)) => {
                // A job of its own is listed by its text.
                let is_shown = env.controls_jobs();
                settle_list(&mut command, is_shown);
                (run_list(env, &command).await, true)
            }
            Err(error) => {
                let is_syntax = matches!(error.cause, ErrorCause::Syntax(_));
                (error.handle(env).await, is_syntax)
            }
        };
        match result {
            Break(Divert::Interrupt(status)) if can_go_on && on_error == OnError::GoOn => {
                env.exit_status = status.unwrap_or(env.exit_status);
                lexer.flush();
            }
            result => result?,
        }
        executed = true;
    }
}

async fn run_list(env: &mut Env<System>, list: &List) -> yash_env::semantics::Result {
    run_traps_for_caught_signals(env).await?;
    env.update_all_subshell_statuses();
    quick::list(env, list).await
}

/// Settles the words of what `list` holds. `is_shown` says that the user may get to see its text.
fn settle_list(list: &mut List, is_shown: bool) {
    for Item { and_or, async_flag } in &mut list.0 {
        let Some(AndOrList { first, rest }) = Rc::get_mut(and_or) else {
            continue;
        };
        let is_shown = is_shown || async_flag.is_some();
        settle_pipeline(first, is_shown);
        for (_, pipeline) in rest {
            settle_pipeline(pipeline, is_shown);
        }
    }
}

fn settle_pipeline(pipeline: &mut Pipeline, is_shown: bool) {
    for command in &mut pipeline.commands {
        match Rc::get_mut(command) {
            Some(Command::Simple(command)) => words::settle(command, is_shown),
            Some(Command::Compound(compound)) => settle_compound(compound, is_shown),
            Some(Command::Function(function)) => {
                if let Some(body) = Rc::get_mut(&mut function.body) {
                    // `typeset -f` shows it.
                    settle_compound(body, true);
                }
            }
            _ => {}
        }
    }
}

fn settle_compound(compound: &mut FullCompoundCommand, is_shown: bool) {
    match &mut compound.command {
        CompoundCommand::Grouping(body) | CompoundCommand::For { body, .. } => {
            settle_list(body, is_shown)
        }
        CompoundCommand::Subshell { body, .. } => {
            if let Some(body) = Rc::get_mut(body) {
                settle_list(body, is_shown);
            }
        }
        CompoundCommand::While { condition, body } | CompoundCommand::Until { condition, body } => {
            settle_list(condition, is_shown);
            settle_list(body, is_shown);
        }
        CompoundCommand::If {
            condition,
            body,
            elifs,
            r#else,
        } => {
            settle_list(condition, is_shown);
            settle_list(body, is_shown);
            for elif in elifs {
                settle_list(&mut elif.condition, is_shown);
                settle_list(&mut elif.body, is_shown);
            }
            if let Some(body) = r#else {
                settle_list(body, is_shown);
            }
        }
        CompoundCommand::Case { items, .. } => {
            for item in items {
                settle_list(&mut item.body, is_shown);
            }
        }
        // A kind of command that a later yash may add runs as yash runs it.
        #[allow(unreachable_patterns)]
        _ => {}
    }
}

/// Whether nothing waits for the end of what the subshell does last.
pub fn can_follow(env: &Env<System>) -> bool {
    let mut traps = env.traps.iter();
    env.stack.contains(&Subshell)
        && !traps.any(|(_, state, _)| matches!(state.action, Action::Command(_)))
}

/// Runs a command with whose end the subshell ends.
pub async fn run(env: &mut Env<System>, command: &SimpleCommand) -> yash_env::semantics::Result {
    // A trace would show the mark.
    if env.options.get(XTrace) != On
        && can_follow(env)
        && let Some(marked) = mark(command, env)
    {
        return marked.execute(env).await;
    }
    command.execute(env).await
}

/// Marks a command whose name is known to be a program's.
fn mark(command: &SimpleCommand, env: &Env<System>) -> Option<SimpleCommand> {
    let (word, _) = command.words.first()?;
    let name = plain(word)?;
    let is_builtin = env
        .builtins
        .get(name.as_str())
        .is_some_and(|builtin| builtin.r#type != Type::Substitutive);
    if is_builtin || env.functions.get(name.as_str()).is_some() {
        return None;
    }
    let mark = Word {
        units: vec![WordUnit::SingleQuote(NAME.to_owned())],
        location: word.location.clone(),
    };
    let mut marked = command.clone();
    marked.words.insert(0, (mark, ExpansionMode::Single));
    Some(marked)
}

/// What a word without expansions stands for.
fn plain(word: &Word) -> Option<String> {
    let mut text = String::new();
    for unit in &word.units {
        match unit {
            WordUnit::Unquoted(TextUnit::Literal(c)) => text.push(*c),
            WordUnit::SingleQuote(run) => text.push_str(run),
            _ => return None,
        }
    }
    Some(text)
}

fn main(env: &mut Env<System>, args: Vec<Field>) -> Pin<Box<dyn Future<Output = Result> + '_>> {
    Box::pin(async move {
        let Some(name) = args.first().cloned() else {
            return Result::new(ExitStatus::SUCCESS);
        };
        Result::new(replace(env, name, args).await)
    })
}

/// Becomes the program; comes back only if that fails.
async fn replace(env: &mut Env<System>, name: Field, args: Vec<Field>) -> ExitStatus {
    let path = if name.value.contains('/') {
        CString::new(name.value.as_bytes()).ok()
    } else {
        search_path(env, &name.value)
    };
    let title = format!("cannot execute external utility {:?}", name.value);
    let Some(path) = path else {
        let label = format!("utility {:?} not found", name.value);
        yash_env::io::print_error(env, title.into(), label.into(), &name.origin).await;
        return ExitStatus::NOT_FOUND;
    };
    debug_assert!(can_follow(env));
    let Err(error) = replace_current_process(env, path, args).await;
    let label = format!("{:?}: {}", error.path, error.errno);
    yash_env::io::print_error(env, title.into(), label.into(), &name.origin).await;
    env.exit_status
}
