//! `umask` that prints four digits, as dash and bash do; the rest is yash's.

use super::write;
use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::system::{Mode, Umask as _};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    if !args.is_empty() {
        return yash_builtin::umask::main(env, args).await;
    }
    let mask = env.system.umask(Mode::empty());
    env.system.umask(mask);
    write(
        env,
        "umask",
        format!("{:04o}\n", mask.bits()).as_bytes(),
        ExitStatus::SUCCESS,
    )
    .await
}
