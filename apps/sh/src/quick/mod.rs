//! Running commands without the detours that most of them do not need.
//!
//! yash runs every command as a nest of futures that is ready for all that the language has: each word is expanded to
//! attributed characters, each built-in runs in a variable context of its own, each command asks for signals when it has
//! ended. A loop of a script mostly tests a variable, counts it up and calls a built-in. This module walks the same
//! syntax tree and does such commands directly. What it does not do itself (see [`simple`] and [`expand`]) it gives to yash,
//! command by command and before anything has happened, so there is one meaning of each construct: yash's.
//!
//! A trace of commands, traps and the children to look after are yash's alone: see [`system::is_quiet`].

mod arithmetic;
mod expand;
mod redirect;
mod simple;
mod subshell;

use crate::{System, system, tail};
use std::fmt;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::Pin;
use std::rc::Rc;
use yash_env::Env;
use yash_env::function::{Function, FunctionBody, FunctionBodyObject};
use yash_env::option::{Exec, Interactive, Off, On, XTrace};
use yash_env::semantics::{Divert, ExitStatus, Field, Result};
use yash_env::stack::Frame;
use yash_env::variable::Scope;
use yash_semantics::Handle as _;
use yash_semantics::command::Command as _;
use yash_semantics::expansion::{expand_word, expand_words};
use yash_semantics::redir::RedirGuard;
use yash_semantics::trap::run_traps_for_caught_signals;
use yash_syntax::syntax::{
    AndOr, AndOrList, Command, CompoundCommand, FullCompoundCommand, FunctionDefinition, List,
    MaybeLiteral as _, Pipeline, Word,
};

/// A command being run that another one contains: what breaks the recursion of futures.
type Running<'a> = Pin<Box<dyn Future<Output = Result> + 'a>>;

/// What comes after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// The shell goes on.
    More,
    /// The process, a subshell, ends with the command's status. So the command may as well take its place: see [`tail`].
    End,
}

/// Runs a list of commands, one after the other.
pub async fn list(env: &mut Env<System>, list: &List) -> Result {
    items(env, list, Then::More).await
}

async fn items(env: &mut Env<System>, list: &List, then: Then) -> Result {
    let last = list.0.len().saturating_sub(1);
    for (index, item) in list.0.iter().enumerate() {
        let then = if index == last { then } else { Then::More };
        match &item.async_flag {
            None => and_or(env, &item.and_or, then).await?,
            Some(location) => {
                Box::pin(subshell::background(env, &item.and_or, location)).await?;
            }
        }
    }
    Continue(())
}

async fn and_or(env: &mut Env<System>, list: &AndOrList, then: Then) -> Result {
    let Some((last, others)) = list.rest.split_last() else {
        return pipeline(env, &list.first, then).await;
    };
    // All but the last are conditions: their failure ends no shell that was told to end at one.
    {
        let mut env = env.push_frame(Frame::Condition);
        pipeline(&mut env, &list.first, Then::More).await?;
        for (operator, other) in others {
            if is_due(&env, *operator) {
                pipeline(&mut env, other, Then::More).await?;
            }
        }
    }
    match is_due(env, last.0) {
        true => pipeline(env, &last.1, then).await,
        false => Continue(()),
    }
}

/// Whether what stands behind `operator` is to run.
fn is_due(env: &Env<System>, operator: AndOr) -> bool {
    env.exit_status.is_successful() == (operator == AndOr::AndThen)
}

async fn pipeline(env: &mut Env<System>, pipeline: &Pipeline, then: Then) -> Result {
    let commands = &pipeline.commands[..];
    if env.options.get(Exec) == Off && env.options.get(Interactive) == Off {
        return Continue(());
    }
    if !pipeline.negation {
        return connected(env, commands, then).await;
    }
    let mut env = env.push_frame(Frame::Condition);
    connected(&mut env, commands, Then::More).await?;
    env.exit_status = match env.exit_status.is_successful() {
        true => ExitStatus::FAILURE,
        false => ExitStatus::SUCCESS,
    };
    Continue(())
}

async fn connected(env: &mut Env<System>, commands: &[Rc<Command>], then: Then) -> Result {
    match commands {
        [] => {
            env.exit_status = ExitStatus::SUCCESS;
            Continue(())
        }
        [command] => self::command(env, command, then).await,
        commands => Box::pin(subshell::pipeline(env, commands)).await,
    }
}

async fn command(env: &mut Env<System>, command: &Command, then: Then) -> Result {
    let result = match command {
        Command::Simple(simple) => match simple::run(env, simple).await {
            Some(result) => result,
            None if then == Then::End => Box::pin(tail::run(env, simple)).await,
            None => Box::pin(simple.execute(env)).await,
        },
        Command::Compound(compound) => {
            (Box::pin(self::compound(env, compound, then)) as Running).await
        }
        Command::Function(definition) => match define(env, definition) {
            Some(()) => Continue(()),
            None => Box::pin(definition.execute(env)).await,
        },
    };
    if system::is_quiet() {
        return result;
    }
    let traps = Box::pin(run_traps_for_caught_signals(env)).await;
    env.update_all_subshell_statuses();
    match (result, traps) {
        (result, Continue(())) => result,
        (Continue(()), traps) => traps,
        (Break(result), Break(traps)) => Break(result.max(traps)),
    }
}

async fn compound(env: &mut Env<System>, command: &FullCompoundCommand, then: Then) -> Result {
    if env.options.get(XTrace) == On {
        return command.execute(env).await;
    }
    if command.redirs.is_empty() {
        return body(env, &command.command, then).await;
    }
    let mut env = RedirGuard::new(env);
    match env.perform_redirs(&*command.redirs, None).await {
        Ok(_) => body(&mut env, &command.command, then).await,
        Err(error) => {
            error.handle(&mut env).await?;
            env.apply_errexit()
        }
    }
}

async fn body(env: &mut Env<System>, command: &CompoundCommand, then: Then) -> Result {
    match command {
        CompoundCommand::Grouping(body) => items(env, body, then).await,
        CompoundCommand::While { condition, body } => repeat(env, condition, true, body).await,
        CompoundCommand::Until { condition, body } => repeat(env, condition, false, body).await,
        CompoundCommand::For { name, values, body } => {
            for_each(env, name, values.as_deref(), body).await
        }
        CompoundCommand::If {
            condition,
            body,
            elifs,
            r#else,
        } => {
            if holds(env, condition).await? {
                return items(env, body, then).await;
            }
            for elif in elifs {
                if holds(env, &elif.condition).await? {
                    return items(env, &elif.body, then).await;
                }
            }
            if let Some(body) = r#else {
                return items(env, body, then).await;
            }
            env.exit_status = ExitStatus::SUCCESS;
            Continue(())
        }
        CompoundCommand::Subshell { body, .. } if then == Then::End && tail::can_follow(env) => {
            items(env, body, then).await
        }
        CompoundCommand::Subshell { body, location } => {
            subshell::parentheses(env, body, location).await
        }
        other => other.execute(env).await,
    }
}

async fn holds(env: &mut Env<System>, condition: &List) -> Result<bool> {
    let mut env = env.push_frame(Frame::Condition);
    list(&mut env, condition).await?;
    Continue(env.exit_status.is_successful())
}

/// What `break` and `continue` in the body of a loop mean for it.
enum Turn {
    Next,
    Last,
}

/// Takes the part of `result` that is this loop's; what is an outer loop's goes on outwards.
fn turn(result: Result) -> Result<Turn> {
    match result {
        Continue(()) | Break(Divert::Continue { count: 0 }) => Continue(Turn::Next),
        Break(Divert::Break { count: 0 }) => Continue(Turn::Last),
        Break(Divert::Break { count }) => Break(Divert::Break { count: count - 1 }),
        Break(Divert::Continue { count }) => Break(Divert::Continue { count: count - 1 }),
        Break(divert) => Break(divert),
    }
}

async fn repeat(env: &mut Env<System>, condition: &List, expected: bool, body: &List) -> Result {
    let env = &mut env.push_frame(Frame::Loop);
    let mut exit_status = ExitStatus::SUCCESS;
    loop {
        // `break` and `continue` may stand in the condition, too.
        let is_due = match holds(env, condition).await {
            Continue(truth) => truth == expected,
            Break(divert) => match turn(Break(divert))? {
                Turn::Next => continue,
                Turn::Last => {
                    exit_status = env.exit_status;
                    break;
                }
            },
        };
        if !is_due {
            break;
        }
        let turn = turn(list(env, body).await)?;
        // Also of a turn that `continue` has ended.
        exit_status = env.exit_status;
        if let Turn::Last = turn {
            break;
        }
    }
    env.exit_status = exit_status;
    Continue(())
}

async fn for_each(
    env: &mut Env<System>,
    name: &Word,
    values: Option<&[Word]>,
    body: &List,
) -> Result {
    let name = match expand_word(env, name).await {
        Ok((name, _)) => name,
        Err(error) => return error.handle(env).await,
    };
    let values = match values {
        Some(words) => match expand_words(env, words).await {
            Ok((fields, _)) => fields,
            Err(error) => return error.handle(env).await,
        },
        None => {
            let field = |value: &String| Field {
                value: value.clone(),
                origin: name.origin.clone(),
            };
            let parameters = env.variables.positional_params();
            parameters.values.iter().map(field).collect()
        }
    };
    let env = &mut env.push_frame(Frame::Loop);
    if values.is_empty() {
        env.exit_status = ExitStatus::SUCCESS;
    }
    for Field { value, origin } in values {
        let mut variable = env.get_or_create_variable(name.value.as_str(), Scope::Global);
        if let Err(error) = variable.assign(value, origin) {
            return simple::refuse(env, name, error).await;
        }
        if let Turn::Last = turn(list(env, body).await)? {
            break;
        }
    }
    Continue(())
}

/// The body of a function, which runs as every other command of this module does.
#[derive(Debug)]
struct Body(Rc<FullCompoundCommand>);

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FunctionBody<System> for Body {
    async fn execute(&self, env: &mut Env<System>) -> Result {
        compound(env, &self.0, Then::More).await
    }
}

/// Defines a function, unless that needs an expansion or an error message.
fn define(env: &mut Env<System>, definition: &FunctionDefinition) -> Option<()> {
    let name = definition.name.to_string_if_literal()?;
    let body: Rc<dyn FunctionBodyObject<System>> = Rc::new(Body(Rc::clone(&definition.body)));
    if env
        .functions
        .get(name.as_str())
        .is_some_and(|f| f.is_read_only())
    {
        return None;
    }
    let function = Function::new(name, body, definition.name.location.clone());
    env.functions.define(function).ok()?;
    env.exit_status = ExitStatus::SUCCESS;
    Some(())
}
