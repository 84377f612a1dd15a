//! `command` and `type` that say 127 of a name that nothing has, as dash does; the rest is yash's.

use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::{ExitStatus, Field};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let mut options = args.iter().take_while(|arg| arg.value.starts_with('-'));
    let identifies = options.any(|option| option.value.contains(['v', 'V']));
    let result = yash_builtin::command::main(env, args).await;
    if identifies {
        not_found(result)
    } else {
        result
    }
}

pub async fn r#type(env: &mut Env<System>, args: Vec<Field>) -> Result {
    not_found(yash_builtin::r#type::main(env, args).await)
}

fn not_found(result: Result) -> Result {
    if result.exit_status() == ExitStatus::FAILURE {
        Result::with_exit_status_and_divert(ExitStatus::NOT_FOUND, result.divert())
    } else {
        result
    }
}
