//! Programs of the image as built-ins of the shell, so that running one needs no fork.
//!
//! yash forks a copy of itself for every program and execs there. For a name that is known to be
//! a program, the shell registers a *substitutive* built-in instead: yash's own notion of a
//! built-in that only exists while `$PATH` holds a program of that name. It starts the program
//! with `posix_spawn`, which copies no address space, and waits. Redirections and assignments
//! have been applied by yash by then.

use crate::System;
use crate::{signals, system};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ops::ControlFlow::Break;
use std::pin::Pin;
use std::ptr::null;
use yash_env::Env;
use yash_env::builtin::{Builtin, Result, Type};
use yash_env::semantics::command::run_external_utility_in_subshell;
use yash_env::semantics::command::search::search_path;
use yash_env::semantics::{ExitStatus, Field};

/// Registers every program that no built-in of the same name hides.
pub fn register(env: &mut Env<System>, names: &mut dyn Iterator<Item = &'static str>) {
    for name in names {
        env.builtins
            .entry(name)
            .or_insert(Builtin::new(Type::Substitutive, main));
    }
}

fn main(env: &mut Env<System>, args: Vec<Field>) -> Pin<Box<dyn Future<Output = Result> + '_>> {
    Box::pin(run(env, args))
}

async fn run(env: &mut Env<System>, mut args: Vec<Field>) -> Result {
    let Some(name) = env
        .stack
        .current_builtin()
        .map(|builtin| builtin.name.clone())
    else {
        return Result::new(ExitStatus::FAILURE);
    };
    // The search that found this built-in has just found the program, too.
    let mut path = system::last_executable();
    if path.as_bytes().rsplit(|&byte| byte == b'/').next() != Some(name.value.as_bytes()) {
        path = match search_path(env, &name.value) {
            Some(path) => path,
            None => return Result::new(ExitStatus::NOT_FOUND),
        };
    }
    args.insert(0, name);
    // A job of its own needs a process group and the terminal, which yash arranges in a fork.
    if !env.controls_jobs()
        && let Some(status) = spawn(env, &path, &args)
    {
        return Result::new(status);
    }
    start_by_fork(env, path, args).await
}

/// Starts the program and waits for it. `None` means that it could not be started, which the slow
/// path finds out again and explains.
fn spawn(env: &Env<System>, path: &CString, args: &[Field]) -> Option<ExitStatus> {
    let args: Vec<CString> = args
        .iter()
        .filter_map(|arg| CString::new(arg.value.as_bytes()).ok())
        .collect();
    let envs = env.variables.env_c_strings();
    let argv: Vec<_> = args
        .iter()
        .map(|arg| arg.as_ptr())
        .chain([null()])
        .collect();
    let envp: Vec<_> = envs
        .iter()
        .map(|env| env.as_ptr())
        .chain([null()])
        .collect();

    let mut pid = 0;
    // SAFETY: both arrays end with a null pointer and point into strings that live to the end of
    // this function; the attributes are initialised before use and destroyed after it.
    let error = unsafe {
        let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
        let mask = if system::mask_changed() {
            signals::original_mask()
        } else {
            None
        };
        let attributes = match &mask {
            None => null(),
            Some(mask) => {
                libc::posix_spawnattr_init(attributes.as_mut_ptr());
                libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), mask);
                let flags = libc::POSIX_SPAWN_SETSIGMASK as libc::c_short;
                libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags);
                attributes.as_ptr()
            }
        };
        let error = libc::posix_spawn(
            &mut pid,
            path.as_ptr(),
            null(),
            attributes,
            argv.as_ptr().cast(),
            envp.as_ptr().cast(),
        );
        if !attributes.is_null() {
            libc::posix_spawnattr_destroy(attributes.cast_mut());
        }
        error
    };
    if error != 0 {
        return None;
    }

    let mut status = 0;
    // SAFETY: `status` outlives the call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } == -1 {
        if std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Some(ExitStatus::FAILURE);
        }
    }
    Some(if libc::WIFSIGNALED(status) {
        signals::report_death(libc::WTERMSIG(status), libc::WCOREDUMP(status));
        ExitStatus(128 + libc::WTERMSIG(status))
    } else {
        ExitStatus(libc::WEXITSTATUS(status))
    })
}

async fn start_by_fork(env: &mut Env<System>, path: CString, args: Vec<Field>) -> Result {
    let result = run_external_utility_in_subshell(
        env,
        path,
        args,
        |env, error| {
            Box::pin(async move {
                yash_env::io::print_report(env, &(&error).into()).await;
            })
        },
        |env, error, location| {
            Box::pin(async move {
                yash_env::io::print_error(
                    env,
                    format!("cannot execute external utility {:?}", error.path).into(),
                    format!("{:?}: {}", error.path, error.errno).into(),
                    &location,
                )
                .await;
            })
        },
    );
    match result.await {
        std::ops::ControlFlow::Continue(status) => Result::new(status),
        Break(divert) => {
            let status = divert.exit_status().unwrap_or(env.exit_status);
            Result::with_exit_status_and_divert(status, Break(divert))
        }
    }
}
