//! Built-ins that yash lacks or that scripts expect to behave differently.

mod command;
mod echo;
mod exit;
mod fc;
mod hash;
mod kill;
mod local;
mod printf;
mod read;
mod test;
mod trap;
mod umask;
mod wait;

use crate::System;
use yash_env::Env;
use yash_env::builtin::{Builtin, Result, Type};
use yash_env::io::Fd;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::source::Location;
use yash_env::system::Errno;
use yash_env::system::concurrency::WriteAll as _;

/// Adds the built-ins of this module to those of yash.
pub fn register(env: &mut Env<System>) {
    let builtins = &mut env.builtins;
    // Always built in, as in other shells, not only while `$PATH` has a program of the name.
    for name in ["true", "false", "pwd"] {
        if let Some(builtin) = builtins.get_mut(name) {
            builtin.r#type = Type::Mandatory;
        }
    }
    let mut add = |name, main| {
        builtins.insert(name, Builtin::new(Type::Mandatory, main));
    };
    add("[", |env, args| Box::pin(test::bracket(env, args)));
    add("command", |env, args| Box::pin(command::main(env, args)));
    add("echo", |env, args| Box::pin(echo::main(env, args)));
    add("fc", |env, args| Box::pin(fc::main(env, args)));
    add("hash", |env, args| Box::pin(hash::main(env, args)));
    add("kill", |env, args| Box::pin(kill::main(env, args)));
    add("printf", |env, args| Box::pin(printf::main(env, args)));
    add("read", |env, args| Box::pin(read::main(env, args)));
    add("test", |env, args| Box::pin(test::main(env, args)));
    add("type", |env, args| Box::pin(command::r#type(env, args)));
    add("umask", |env, args| Box::pin(umask::main(env, args)));
    add("wait", |env, args| Box::pin(wait::main(env, args)));
    let mut add = |name, main| {
        builtins.insert(name, Builtin::new(Type::Special, main));
    };
    add("exit", |env, args| Box::pin(exit::main(env, args)));
    add("trap", |env, args| Box::pin(trap::main(env, args)));
    // An elective built-in, which `set -o portable` rejects: POSIX has no `local`.
    let mut local = Builtin::new(Type::Elective, |env, args| Box::pin(local::main(env, args)));
    local.is_declaration_utility = Some(true);
    builtins.insert("local", local);
}

/// Writes a built-in's output; a failure is reported under the name of the built-in.
async fn write(env: &mut Env<System>, name: &str, output: &[u8], status: ExitStatus) -> Result {
    match env.system.write_all(Fd::STDOUT, output).await {
        Ok(()) => Result::new(status),
        Err(errno) => fail(env, name, &format!("write error: {}", text(errno)), 1).await,
    }
}

/// Reports an error under the name of the built-in and gives the status to exit with.
async fn fail(env: &mut Env<System>, name: &str, message: &str, status: i32) -> Result {
    let mut start = env.arg0.clone();
    if !env.is_interactive()
        && let Some(builtin) = env.stack.current_builtin()
    {
        let Location { code, range } = &builtin.name.origin;
        start.push_str(&format!(": {}", code.line_number(range.start)));
    }
    env.system
        .print_error(format!("{start}: {name}: {message}\n"))
        .await;
    Result::new(ExitStatus(status))
}

/// The message of the C library for an error number.
fn text(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.0).to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn values(args: Vec<Field>) -> Vec<String> {
    args.into_iter().map(|field| field.value).collect()
}
