//! `local NAME[=VALUE]...`: variables of the running function, as dash has them. A name without a
//! value starts with the value and the export flag of the variable that it hides.

use super::fail;
use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::variable::Scope;

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    for arg in args {
        let (name, value) = match arg.value.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.value.as_str(), None),
        };
        if name == "-" || name == "--" {
            continue;
        }
        if !is_name(name) {
            return fail(env, "local", &format!("{name}: bad variable name"), 2).await;
        }
        let hidden = env.variables.get(name).cloned();
        let is_new = env.variables.get_scoped(name, Scope::Local).is_none();
        let mut variable = env.get_or_create_variable(name, Scope::Local);
        if is_new && let Some(hidden) = &hidden {
            variable.export(hidden.is_exported);
        }
        let inherited = || hidden.filter(|_| is_new).and_then(|hidden| hidden.value);
        let value = value.map(Into::into).or_else(inherited);
        if let Some(value) = value
            && variable.assign(value, arg.origin.clone()).is_err()
        {
            return fail(env, "local", &format!("{name}: is read only"), 2).await;
        }
    }
    Result::new(ExitStatus::SUCCESS)
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
