//! `exit`: yash's own, which at the prompt refuses to leave stopped jobs only once.

use crate::System;
use crate::interactive::leave;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::Field;

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    if env.is_interactive() {
        leave::attempt(env);
    }
    yash_builtin::exit::main(env, args).await
}
