//! `kill`: yash's own, with three differences that users of bash count on.
//!
//! An operand that begins with `-` is a process group also without a `--` before it. A stopped job is continued when it is
//! told to end, or it would only do so once somebody continues it. And `-l` gives the number of a name.

use super::write;
use crate::System;
use yash_builtin::common::report::report_error;
use yash_builtin::kill::Command;
use yash_builtin::kill::print::print;
use yash_builtin::kill::send::{Target, parse_target, resolve_target};
use yash_builtin::kill::syntax::parse;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::job::{Pid, ProcessState};
use yash_env::option::Portable;
use yash_env::semantics::{ExitStatus, Field};
use yash_env::signal::canonical_name;
use yash_env::system::{SendSignal as _, Signals as _};

pub async fn main(env: &mut Env<System>, mut args: Vec<Field>) -> Result {
    if let Some(at) = group(&args) {
        let marker = Field {
            value: "--".to_owned(),
            origin: args[at].origin.clone(),
        };
        args.insert(at, marker);
    }
    let command = match parse(env, args) {
        Ok(command) => command,
        Err(error) => return report_error(env, &error).await,
    };
    if let Command::Print { signals, verbose } = &command
        && !verbose
        && let Some(text) = numbers_and_names(env, signals)
    {
        return write(env, "kill", text.as_bytes(), ExitStatus::SUCCESS).await;
    }
    let to_continue = match &command {
        Command::Send {
            signal, targets, ..
        } if [libc::SIGTERM, libc::SIGHUP].contains(signal) => stopped(env, targets),
        _ => Vec::new(),
    };
    let result = command.execute(env).await;
    for (index, group) in to_continue {
        // That it runs once more, to end, is nothing to report.
        if let Some(mut job) = env.jobs.get_mut(index) {
            job.expect(ProcessState::Running);
        }
        // A job that has ended by now needs it no more.
        _ = env.system.kill(group, Some(System::SIGCONT)).await;
    }
    result
}

/// A line for each operand of `-l`: the number of a name, and the name of a number. `None` if one is neither or if there are none.
fn numbers_and_names(env: &Env<System>, operands: &[Field]) -> Option<String> {
    let line = |operand: &Field| {
        let name = canonical_name(&operand.value, true);
        match env.system.str2sig(&name) {
            Some(number) => Some(format!("{}\n", number.as_raw())),
            None => print(&env.system, std::slice::from_ref(operand), false).ok(),
        }
    };
    let text = operands.iter().map(line).collect::<Option<String>>()?;
    (!text.is_empty()).then_some(text)
}

/// The stopped jobs that are targets by their job IDs: index and process group. None if a target is malformed: then no signal is sent.
fn stopped(env: &mut Env<System>, targets: &[Field]) -> Vec<(usize, Pid)> {
    env.update_all_subshell_statuses();
    let portable = env.options.get(Portable);
    let targets = targets
        .iter()
        .map(|target| parse_target(&target.value, portable));
    let Ok(targets) = targets.collect::<std::result::Result<Vec<_>, _>>() else {
        return Vec::new();
    };
    let group = |target| {
        let Target::JobId(id) = target else {
            return None;
        };
        let index = id.find(&env.jobs).ok()?;
        let group = resolve_target(&env.jobs, target).ok()?;
        let is_stopped = env.jobs[index].state.is_stopped();
        is_stopped.then_some((index, group))
    };
    targets.into_iter().filter_map(group).collect()
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
