//! `wait`: yash's own, but for the status of a job that a signal killed.

use crate::{System, system};
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::Field;

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let mut result = yash_builtin::wait::main(env, args).await;
    // What an interrupt of the wait itself gives is looked at where that ends.
    if result.divert().is_continue() {
        result.set_exit_status(system::usual_status(result.exit_status()));
    }
    result
}
