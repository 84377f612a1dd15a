//! Simple commands: an assignment, or a call of a built-in with plain words and redirections.

use super::expand;
use super::redirect::Redirected;
use crate::System;
use yash_env::Env;
use yash_env::builtin::{Builtin, Type};
use yash_env::option::{Interactive, On, Portable, XTrace};
use yash_env::semantics::{ExitStatus, Field, Result};
use yash_env::stack::Builtin as Frame;
use yash_env::variable::{AssignError, Scope};
use yash_semantics::Handle as _;
use yash_semantics::assign::{Error, ErrorCause};
use yash_semantics::expansion::AssignReadOnlyError;
use yash_syntax::syntax::{SimpleCommand, Value};

/// Runs a command. `None`: it takes more than is done here, and nothing has been done.
pub async fn run(env: &mut Env<System>, command: &SimpleCommand) -> Option<Result> {
    if [XTrace, Interactive, Portable]
        .iter()
        .any(|&option| env.options.get(option) == On)
    {
        return None;
    }
    if command.words.is_empty() {
        return assign(env, command);
    }
    if !command.assigns.is_empty() {
        return None;
    }
    let mut fields = Vec::with_capacity(command.words.len());
    for (word, mode) in &command.words {
        expand::fields(env, word, *mode, &mut fields)?;
    }
    let builtin = find(env, &fields.first()?.value)?;
    let redirected = match &command.redirs[..] {
        [] => None,
        redirs => Some(Redirected::perform(env, redirs).await?),
    };

    let name = fields.remove(0);
    let is_special = builtin.r#type == Type::Special;
    let result = {
        let mut env = env.push_frame(Frame { name, is_special }.into());
        (builtin.execute)(&mut env, fields).await
    };
    if let Some(redirected) = redirected
        && result.should_retain_redirs()
    {
        redirected.keep();
    }
    env.exit_status = result.exit_status();
    let divert = result.divert();
    Some(match divert.is_continue() {
        true => env.apply_errexit(),
        false => divert,
    })
}

/// The built-in that a command name means, if it is no function's and needs no program of its name.
fn find(env: &Env<System>, name: &str) -> Option<Builtin<System>> {
    let builtin = *env.builtins.get(name)?;
    match builtin.r#type {
        Type::Special => Some(builtin),
        Type::Substitutive | Type::Extension => None,
        _ if env.functions.get(name).is_some() => None,
        _ => Some(builtin),
    }
}

/// Assigns one variable. Of several, a later one that fails would come after an earlier one that is done.
fn assign(env: &mut Env<System>, command: &SimpleCommand) -> Option<Result> {
    let [assign] = &command.assigns[..] else {
        return None;
    };
    let Value::Scalar(word) = &assign.value else {
        return None;
    };
    if !command.redirs.is_empty() {
        return None;
    }
    let value = expand::single(env, word)?;
    let known = env.variables.get(assign.name.as_str());
    if known.is_some_and(|variable| variable.is_read_only()) {
        return None;
    }
    let mut variable = env.get_or_create_variable(assign.name.as_str(), Scope::Global);
    variable.assign(value, assign.location.clone()).ok()?;
    env.exit_status = ExitStatus::SUCCESS;
    Some(env.apply_errexit())
}

/// Reports that the variable of a loop cannot be assigned to.
pub async fn refuse(env: &mut Env<System>, name: Field, error: AssignError) -> Result {
    let cause = ErrorCause::AssignReadOnly(AssignReadOnlyError {
        name: name.value,
        new_value: error.new_value,
        read_only_location: error.read_only_location,
        vacancy: None,
    });
    let location = name.origin;
    Error { cause, location }.handle(env).await
}
