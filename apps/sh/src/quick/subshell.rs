//! Subshells in parentheses, in pipelines and in the background, which go on with this module's way of running commands.

use super::{Then, and_or, command, items};
use crate::System;
use std::ops::ControlFlow::{Break, Continue};
use std::rc::Rc;
use yash_env::Env;
use yash_env::io::{Fd, print_error};
use yash_env::job::{Job, handle_job_status};
use yash_env::option::{On, PipeFail};
use yash_env::semantics::{Divert, ExitStatus, Result};
use yash_env::source::Location;
use yash_env::subshell::{Config, JobControl};
use yash_env::system::concurrency::WriteAll as _;
use yash_env::system::{Close as _, Dup as _, Errno, Mode, OfdAccess, Open as _, Pipe as _};
use yash_semantics::trap::run_exit_trap;
use yash_syntax::syntax::{AndOrList, Command, List};

/// Starts a job in the background.
pub async fn background(env: &mut Env<System>, job: &Rc<AndOrList>, location: &Location) -> Result {
    let list = Rc::clone(job);
    let mut config = Config::new();
    config.job_control = Some(JobControl::Background);
    config.ignores_sigint_sigquit = true;
    let started = config.start(env, async move |env, job_control| {
        if job_control.is_none() {
            // A job that cannot have it goes on with the standard input it has, as in yash.
            _ = empty_input(env).await;
        }
        let result = and_or(env, &list, Then::End).await;
        env.apply_result(result);
        run_exit_trap(env).await;
    });
    let (pid, job_control) = match started.await {
        Ok(started) => started,
        Err(errno) => {
            let title = "cannot start a subshell to run an asynchronous command".into();
            print_error(env, title, errno.to_string().into(), location).await;
            return Break(Divert::Interrupt(Some(ExitStatus::NOEXEC)));
        }
    };
    let mut entry = Job::new(pid);
    entry.state_changed = false;
    entry.name = job.to_string();
    entry.job_controlled = job_control.is_some();
    let number = env.jobs.insert(entry) + 1;
    env.jobs.set_last_async_pid(pid);
    if env.is_interactive() {
        env.system.print_error(format!("[{number}] {pid}\n")).await;
    }
    env.exit_status = ExitStatus::SUCCESS;
    Continue(())
}

/// Makes standard input `/dev/null`: what a person types is not for a job that nobody can bring to the foreground.
async fn empty_input(env: &Env<System>) -> std::result::Result<(), Errno> {
    env.system.close(Fd::STDIN)?;
    let (access, flags, mode) = (OfdAccess::ReadOnly, Default::default(), Mode::empty());
    // The lowest free number, which is that of standard input.
    env.system.open(c"/dev/null", access, flags, mode).await?;
    Ok(())
}

/// Runs a list in a subshell.
pub async fn parentheses(env: &mut Env<System>, body: &Rc<List>, location: &Location) -> Result {
    let list = Rc::clone(body);
    let ended = Config::foreground().start_and_wait(env, async move |env, _| {
        let result = items(env, &list, Then::End).await;
        env.apply_result(result);
        run_exit_trap(env).await;
    });
    match ended.await {
        Ok((pid, result)) => {
            env.exit_status = handle_job_status(env, pid, result, || body.to_string())?;
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
    if env.controls_jobs() {
        job(env, commands).await?;
    } else {
        stages(env, commands).await?;
    }
    env.apply_errexit()
}

/// Runs a pipeline as one job, whose process is the parent of all of the commands.
async fn job(env: &mut Env<System>, commands: &[Rc<Command>]) -> Result {
    let stages = commands.to_vec();
    let ended = Config::foreground().start_and_wait(env, async move |env, _| {
        let result = self::stages(env, &stages).await;
        env.apply_result(result);
        run_exit_trap(env).await;
    });
    match ended.await {
        Ok((pid, result)) => {
            let name = || {
                let names: Vec<_> = commands.iter().map(|command| command.to_string()).collect();
                names.join(" | ")
            };
            env.exit_status = handle_job_status(env, pid, result, name)?;
            Continue(())
        }
        Err(errno) => refuse(env, "start a subshell", errno).await,
    }
}

async fn stages(env: &mut Env<System>, commands: &[Rc<Command>]) -> Result {
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
                Ok(()) => self::command(env, &command, Then::End).await,
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
    Continue(())
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
