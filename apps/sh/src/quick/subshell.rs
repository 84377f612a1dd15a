//! Subshells in parentheses and in pipelines, which go on with this module's way of running commands.
//!
//! Only for a shell that does not control jobs: what a person can stop and list is yash's.

use super::{command, list};
use crate::System;
use std::ops::ControlFlow::Break;
use std::rc::Rc;
use yash_env::Env;
use yash_env::io::{Fd, print_error};
use yash_env::option::{On, PipeFail};
use yash_env::semantics::{Divert, ExitStatus, Result};
use yash_env::source::Location;
use yash_env::subshell::Config;
use yash_env::system::concurrency::WriteAll as _;
use yash_env::system::{Close as _, Dup as _, Errno, Pipe as _};
use yash_semantics::trap::run_exit_trap;
use yash_syntax::syntax::{Command, List};

/// Runs a list in a subshell.
pub async fn parentheses(env: &mut Env<System>, body: &Rc<List>, location: &Location) -> Result {
    let body = Rc::clone(body);
    let started = Config::new().start(env, async move |env, _| {
        let result = list(env, &body).await;
        env.apply_result(result);
        run_exit_trap(env).await;
    });
    match started.await {
        Ok((pid, _)) => {
            if let Ok((_, status)) = env.wait_for_subshell_to_finish(pid).await {
                env.exit_status = status;
            }
            env.apply_errexit()
        }
        Err(errno) => {
            let title = "cannot start subshell".into();
            print_error(env, title, errno.to_string().into(), location).await;
            Break(Divert::Interrupt(Some(ExitStatus::ERROR)))
        }
    }
}

/// Runs commands that are connected by pipes, each in a subshell.
pub async fn pipeline(env: &mut Env<System>, commands: &[Rc<Command>]) -> Result {
    let mut pids = Vec::with_capacity(commands.len());
    let mut input = None;
    for (index, command) in commands.iter().enumerate() {
        let output = match index + 1 < commands.len() {
            false => None,
            true => match env.system.pipe() {
                Ok(pipe) => Some(pipe),
                Err(errno) => return refuse(env, "connect pipes", errno).await,
            },
        };
        let ends = Ends { input, output };
        let command = Rc::clone(command);
        let started = Config::new().start(env, async move |env, _| {
            let result = match ends.connect(env) {
                Ok(()) => self::command(env, &command).await,
                Err(errno) => refuse(env, "connect pipes", errno).await,
            };
            env.apply_result(result);
            run_exit_trap(env).await;
        });
        let started = started.await;
        for fd in input.into_iter().chain(output.map(|(_, writer)| writer)) {
            _ = env.system.close(fd);
        }
        input = output.map(|(reader, _)| reader);
        match started {
            Ok((pid, _)) => pids.push(pid),
            Err(errno) => {
                if let Some(reader) = input {
                    _ = env.system.close(reader);
                }
                return refuse(env, "start a subshell", errno).await;
            }
        }
    }

    let needs_all = env.options.get(PipeFail) == On;
    let mut exit_status = ExitStatus::SUCCESS;
    for pid in pids {
        if let Ok((_, status)) = env.wait_for_subshell_to_finish(pid).await
            && (!needs_all || !status.is_successful())
        {
            exit_status = status;
        }
    }
    env.exit_status = exit_status;
    env.apply_errexit()
}

async fn refuse(env: &mut Env<System>, what: &str, errno: Errno) -> Result {
    let message = format!("{}: cannot {what} in the pipeline: {errno}\n", env.arg0);
    env.system.print_error(message).await;
    Break(Divert::Interrupt(Some(ExitStatus::NOEXEC)))
}

/// The pipes before and after a command.
struct Ends {
    input: Option<Fd>,
    /// The end that the next command reads, and the one to write.
    output: Option<(Fd, Fd)>,
}

impl Ends {
    /// Makes the ends standard input and output. A shell whose own are closed finds pipes in their places.
    fn connect(mut self, env: &Env<System>) -> std::result::Result<(), Errno> {
        let system = &env.system;
        if let Some((reader, writer)) = self.output {
            system.close(reader)?;
            if writer != Fd::STDOUT {
                if self.input == Some(Fd::STDOUT) {
                    self.input = Some(system.dup(Fd::STDOUT, Fd(0), Default::default())?);
                }
                system.dup2(writer, Fd::STDOUT)?;
                system.close(writer)?;
            }
        }
        if let Some(reader) = self.input
            && reader != Fd::STDIN
        {
            system.dup2(reader, Fd::STDIN)?;
            system.close(reader)?;
        }
        Ok(())
    }
}
