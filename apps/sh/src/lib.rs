//! The shell: yash as a library, with the built-ins, exit statuses and line editing that users
//! and scripts expect of `sh` and that yash leaves out.
//!
//! yash reaches the operating system through traits only; [`system`] implements them and is where
//! most of the difference in behaviour lives. Everything else is registered with yash's `Env`.

mod builtins;
mod diagnostic;
mod heredoc;
mod input;
mod interactive;
mod program;
mod quick;
mod read_ahead;
mod signals;
mod system;
mod tail;
mod words;

use std::cell::RefCell;
use std::ffi::OsString;
use std::ops::ControlFlow::Break;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use system::{Host, System};
use tail::OnError;
use yash_cli::startup::args::{self, InitFile, Parse, Run};
use yash_cli::startup::init_file::{run_init_file, run_rcfile};
use yash_env::Env;
use yash_env::option::{Interactive, Login, On};
use yash_env::semantics::{Divert, ExitStatus};
use yash_env::system::{Concurrent, Disposition, Errno, Sigaction, Signals};
use yash_semantics::trap::run_exit_trap;

/// Runs the shell with the given command line and gives its exit status.
///
/// `programs` are the names of programs that can be started without a fork: see [`program`]. They come
/// as a trait object so that the whole shell is compiled here, not again where it is called from.
pub fn run(args: Vec<OsString>, programs: &mut dyn Iterator<Item = &'static str>) -> i32 {
    let Some(args) = text_arguments(args) else {
        return ExitStatus::ERROR.0;
    };
    let name = args.first().cloned().unwrap_or_else(|| "sh".to_owned());
    let run = match args::parse(args) {
        Ok(Parse::Run(run)) => run,
        Ok(Parse::Help) => {
            println!("{USAGE}");
            return 0;
        }
        Ok(Parse::Version) => {
            println!("sh (RustOS) {}, on yash 3.5.0", env!("CARGO_PKG_VERSION"));
            return 0;
        }
        Err(error) => {
            eprintln!("{name}: {error}\n{USAGE}");
            return ExitStatus::ERROR.0;
        }
    };

    // SAFETY: a process runs one shell, and this is where it makes its system.
    let host = unsafe { Host::new() };
    // Rust's start-up ignores SIGPIPE; programs that the shell starts must not inherit that.
    _ = host.sigaction(Host::SIGPIPE, Disposition::Default);
    let system = Rc::new(Concurrent::new(host));
    let runner = Rc::clone(&system);
    block_on(&runner, async {
        let mut env = Env::with_system(system);
        shell(&mut env, run, programs).await;
        env.exit_status.0
    })
}

const USAGE: &str = "\
Usage: sh [-abCefhilmnuvx] [-o OPTION]... [FILE [ARGUMENT...]]
       sh [OPTION...] -c COMMAND [NAME [ARGUMENT...]]
       sh [OPTION...] -s [ARGUMENT...]";

/// yash works on text. Arguments that are not UTF-8 are refused by their position.
fn text_arguments(args: Vec<OsString>) -> Option<Vec<String>> {
    let mut texts = Vec::with_capacity(args.len());
    for (index, arg) in args.into_iter().enumerate() {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => {
                eprintln!(
                    "sh: argument {index} is not valid UTF-8: {}",
                    arg.to_string_lossy()
                );
                return None;
            }
        }
    }
    Some(texts)
}

/// The environment variables that are text; each other one is named and left out.
fn text_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => Some((name, value)),
            (Ok(name), Err(_)) => {
                eprintln!("sh: environment variable {name} is not valid UTF-8: left out");
                None
            }
            (Err(name), _) => {
                let name = name.to_string_lossy();
                eprintln!("sh: environment variable name is not valid UTF-8: {name}: left out");
                None
            }
        }
    })
}

async fn shell(env: &mut Env<System>, run: Run, programs: &mut dyn Iterator<Item = &'static str>) {
    env.variables.extend_env(text_environment());
    let work = yash_cli::startup::configure_environment(env, run).await;
    let is_interactive = env.options.get(Interactive) == On;

    diagnostic::set_speaker(&env.arg0, is_interactive);
    builtins::register(env);
    if is_interactive {
        system::set_interactive();
        interactive::prepare(env);
    } else {
        program::register(env, programs);
    }
    tail::register(env);

    if env.options.get(Login) == On && work.profile != InitFile::None {
        run_profile(env).await;
    }
    if is_interactive {
        run_rcfile(env, work.rcfile).await;
    }

    let env_cell = RefCell::new(env);
    let mut lexer = match input::prepare(&env_cell, &work.source).await {
        Ok(lexer) => lexer,
        Err(error) => {
            let mut env = env_cell.borrow_mut();
            eprintln!("{}: cannot open {}: {}", env.arg0, error.path, error.errno);
            env.exit_status = match error.errno {
                Errno::ENOENT | Errno::ENOTDIR => ExitStatus::NOT_FOUND,
                _ => ExitStatus::NOEXEC,
            };
            return;
        }
    };
    let on_error = match is_interactive {
        true => OnError::GoOn,
        false => OnError::End,
    };
    let result = tail::read_eval_loop(&env_cell, &mut lexer, on_error).await;
    drop(lexer);
    let env = env_cell.into_inner();
    env.apply_result(result);
    if !matches!(result, Break(Divert::Abort(_))) {
        run_exit_trap(env).await;
    }
}

/// What a login shell reads first.
async fn run_profile(env: &mut Env<System>) {
    let home = env
        .variables
        .get_scalar("HOME")
        .map(|home| format!("{home}/.profile"));
    for path in [Some("/etc/profile".to_owned()), home]
        .into_iter()
        .flatten()
    {
        if std::fs::exists(&path).unwrap_or(false) {
            run_init_file(env, &path).await;
        }
    }
}

/// Drives `task` to its end, sleeping in `select` whenever it has to wait for something.
async fn run_to_end<T>(concurrent: &Concurrent<Host>, task: impl Future<Output = T>) -> T {
    use yash_env::system::concurrency::Select as _;
    let mut task = pin!(task);
    loop {
        if let Poll::Ready(result) = futures_util::poll!(&mut task) {
            return result;
        }
        concurrent.select().await;
    }
}

fn block_on<T>(concurrent: &Concurrent<Host>, task: impl Future<Output = T>) -> T {
    let task = pin!(run_to_end(concurrent, task));
    match task.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("`select` blocks and never leaves a task pending"),
    }
}
