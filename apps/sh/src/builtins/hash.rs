//! `hash`: the shell keeps no table of commands, since a look-up costs next to nothing here. So
//! there is nothing to list or forget, and `hash NAME` only says whether NAME can be found.

use super::{fail, values};
use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::command::search::{ClassifyEnv as _, search_path};
use yash_env::semantics::{ExitStatus, Field};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let mut result = Result::new(ExitStatus::SUCCESS);
    for name in values(args) {
        match name.as_str() {
            "-r" | "--" => continue,
            option if option.starts_with('-') => {
                return fail(env, "hash", &format!("unknown option: {option}"), 2).await;
            }
            _ => {}
        }
        let known = env.builtin(&name).is_some() || env.function(&name).is_some();
        if !known && !name.contains('/') && search_path(env, &name).is_none() {
            result = fail(env, "hash", &format!("{name}: not found"), 1).await;
        }
    }
    result
}
