//! A command that is all a subshell has to do takes the subshell's place.
//!
//! yash runs `a | b` and `a &` in subshells, and in each starts the program as one more process.
//! Then `$!` names the subshell, and `kill $!` leaves the program running. Here such commands are
//! found after parsing and get an unseen word in front: the name of a built-in that does what the
//! rest says, and for a program does it by exec.

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
use yash_env::semantics::command::search::{Target, classify, search_path};
use yash_env::semantics::command::{RunFunction, replace_current_process};
use yash_env::semantics::{ExitStatus, Field, RunReadEvalLoop};
use yash_env::stack::{Builtin as Frame, Frame::Subshell};
use yash_env::trap::Condition;
use yash_semantics::Handle as _;
use yash_semantics::trap::run_traps_for_caught_signals;
use yash_syntax::parser::Parser;
use yash_syntax::parser::lex::Lexer;
use yash_syntax::syntax::{
    AndOrList, Command, CompoundCommand, ExpansionMode, FullCompoundCommand, Item, List,
    MaybeLiteral as _, Pipeline, SimpleCommand, TextUnit, Word, WordUnit,
};

/// WORD JOINER: no command has this name, and where it is printed it takes no room.
const NAME: &str = "\u{2060}";

/// Makes `env` run marked commands, also those of `eval` and of sourced files.
pub fn register(env: &mut Env<System>) {
    env.builtins
        .insert(NAME, Builtin::new(Type::Mandatory, main));
    env.any
        .insert(Box::new(RunReadEvalLoop::<System>(|env, config| {
            Box::pin(async move { read_eval_loop(env, &mut Lexer::from(config)).await })
        })));
}

/// yash's loop for input that no person types, with the marks set in between.
#[allow(
    clippy::await_holding_refcell_ref,
    reason = "the parser does not run beside the commands"
)]
pub async fn read_eval_loop(
    env: &RefCell<&mut Env<System>>,
    lexer: &mut Lexer<'_>,
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
        match command {
            Ok(None) => {
                if !executed {
                    env.exit_status = ExitStatus::SUCCESS;
                }
                return Continue(());
            }
            Ok(Some(mut command)) => {
                // A trace would show the mark.
                if env.options.get(XTrace) != On {
                    // A job of its own is listed by its text.
                    mark_list(&mut command, env, env.controls_jobs());
                }
                run_traps_for_caught_signals(env).await?;
                env.update_all_subshell_statuses();
                quick::list(env, &command).await?;
            }
            Err(error) => error.handle(env).await?,
        }
        executed = true;
    }
}

/// Marks what `list` holds. `is_shown` says that the user may get to see its text.
fn mark_list(list: &mut List, env: &Env<System>, is_shown: bool) {
    for Item { and_or, async_flag } in &mut list.0 {
        let Some(AndOrList { first, rest }) = Rc::get_mut(and_or) else {
            continue;
        };
        let is_async = async_flag.is_some();
        if is_async && rest.is_empty() && !first.negation {
            mark_only_command(first, env);
        }
        for pipeline in std::iter::once(first).chain(rest.iter_mut().map(|(_, pipeline)| pipeline))
        {
            mark_pipeline(pipeline, env, is_shown || is_async);
        }
    }
}

fn mark_only_command(pipeline: &mut Pipeline, env: &Env<System>) {
    if let [command] = &mut pipeline.commands[..]
        && let Some(Command::Simple(command)) = Rc::get_mut(command)
    {
        mark(command, env);
    }
}

fn mark_pipeline(pipeline: &mut Pipeline, env: &Env<System>, is_shown: bool) {
    let is_multiple = pipeline.commands.len() > 1;
    for command in &mut pipeline.commands {
        match Rc::get_mut(command) {
            Some(Command::Simple(command)) => {
                if is_multiple {
                    mark(command, env);
                }
                // After the mark, which looks for a plain name.
                words::settle(command, is_shown);
            }
            Some(Command::Compound(compound)) => mark_compound(compound, env, is_shown),
            Some(Command::Function(function)) => {
                if let Some(body) = Rc::get_mut(&mut function.body) {
                    // `typeset -f` shows it.
                    mark_compound(body, env, true);
                }
            }
            _ => {}
        }
    }
}

fn mark_compound(compound: &mut FullCompoundCommand, env: &Env<System>, is_shown: bool) {
    match &mut compound.command {
        CompoundCommand::Grouping(body) | CompoundCommand::For { body, .. } => {
            mark_list(body, env, is_shown)
        }
        CompoundCommand::Subshell { body, .. } => {
            if let Some(body) = Rc::get_mut(body) {
                mark_list(body, env, is_shown);
            }
        }
        CompoundCommand::While { condition, body } | CompoundCommand::Until { condition, body } => {
            mark_list(condition, env, is_shown);
            mark_list(body, env, is_shown);
        }
        CompoundCommand::If {
            condition,
            body,
            elifs,
            r#else,
        } => {
            mark_list(condition, env, is_shown);
            mark_list(body, env, is_shown);
            for elif in elifs {
                mark_list(&mut elif.condition, env, is_shown);
                mark_list(&mut elif.body, env, is_shown);
            }
            if let Some(body) = r#else {
                mark_list(body, env, is_shown);
            }
        }
        CompoundCommand::Case { items, .. } => {
            for item in items {
                mark_list(&mut item.body, env, is_shown);
            }
        }
        // A kind of command that a later yash may add runs as yash runs it.
        #[allow(unreachable_patterns)]
        _ => {}
    }
}

/// Marks a command whose name is known not to be a built-in's.
fn mark(command: &mut SimpleCommand, env: &Env<System>) {
    let Some((word, _)) = command.words.first() else {
        return;
    };
    let Some(name) = word.to_string_if_literal() else {
        return;
    };
    let is_builtin = env.builtins.get(name.as_str());
    if is_builtin.is_some_and(|builtin| builtin.r#type != Type::Substitutive) {
        return;
    }
    let units = NAME
        .chars()
        .map(|c| WordUnit::Unquoted(TextUnit::Literal(c)))
        .collect();
    let mark = Word {
        units,
        location: word.location.clone(),
    };
    command.words.insert(0, (mark, ExpansionMode::Single));
}

fn main(env: &mut Env<System>, args: Vec<Field>) -> Pin<Box<dyn Future<Output = Result> + '_>> {
    Box::pin(run(env, args))
}

async fn run(env: &mut Env<System>, mut args: Vec<Field>) -> Result {
    let Some(name) = args.first().cloned() else {
        return Result::new(ExitStatus::SUCCESS);
    };
    match classify(env, &name.value) {
        Target::Function(function) => {
            let Some(&RunFunction(run)) = env.any.get::<RunFunction<System>>() else {
                return Result::new(ExitStatus::FAILURE);
            };
            match run(env, function, args, None).await {
                Continue(()) => Result::new(env.exit_status),
                Break(divert) => {
                    let status = divert.exit_status().unwrap_or(env.exit_status);
                    Result::with_exit_status_and_divert(status, Break(divert))
                }
            }
        }
        Target::Builtin { builtin, .. } if builtin.r#type != Type::Substitutive => {
            args.remove(0);
            let is_special = builtin.r#type == Type::Special;
            let mut env = env.push_frame(Frame { name, is_special }.into());
            (builtin.execute)(&mut env, args).await
        }
        _ => Result::new(replace(env, name, args).await),
    }
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
    debug_assert!(env.stack.contains(&Subshell));
    debug_assert!(env.traps.get_state(Condition::Exit).0.is_none());
    let Err(error) = replace_current_process(env, path, args).await;
    let label = format!("{:?}: {}", error.path, error.errno);
    yash_env::io::print_error(env, title.into(), label.into(), &name.origin).await;
    env.exit_status
}
