//! `kill`: yash's own, to which an operand that begins with `-` is a process group also without a `--` before it.

use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::Field;

pub async fn main(env: &mut Env<System>, mut args: Vec<Field>) -> Result {
    if let Some(at) = group(&args) {
        let marker = Field {
            value: "--".to_owned(),
            origin: args[at].origin.clone(),
        };
        args.insert(at, marker);
    }
    yash_builtin::kill::main(env, args).await
}

/// Where the operands are, if the first of them is a group.
fn group(args: &[Field]) -> Option<usize> {
    let at = match args.first()?.value.as_str() {
        "-s" | "-n" => 2,
        "-" | "--" | "-l" | "-L" | "-v" => return None,
        signal if signal.starts_with('-') => 1,
        _ => return None,
    };
    let number = args.get(at)?.value.strip_prefix('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(at)
}
