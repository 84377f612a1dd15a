//! `read` that takes a file in blocks; the rest is yash's.

use crate::{System, read_ahead};
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::Field;

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let block = read_ahead::start();
    let result = yash_builtin::read::main(env, args).await;
    drop(block);
    result
}
