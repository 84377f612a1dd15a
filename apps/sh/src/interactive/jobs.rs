//! What the job list says at the prompt: a command as it was typed, what was stopped last as the current job, and nothing of
//! jobs that are over and were reported.
//!
//! yash names a program that was stopped in the foreground by its arguments without quotes, and a subshell without its
//! parentheses; and it keeps what has ended until somebody waits for it, so that `bg` would find it.

use crate::System;
use futures_util::FutureExt as _;
use std::cell::RefCell;
use yash_env::Env;
use yash_syntax::parser::Parser;
use yash_syntax::parser::lex::Lexer;
use yash_syntax::syntax::{Command, CompoundCommand};

thread_local! {
    /// What was typed last.
    static TYPED: RefCell<String> = RefCell::default();
}

/// Notes the command that runs next.
pub fn begin(command: &str) {
    TYPED.with_borrow_mut(|typed| command.clone_into(typed));
}

/// Names what was just stopped as it was typed, and makes it the current job: to yash the first one that was stopped is that.
/// Called before the shell reports it.
pub fn name_stopped(env: &mut Env<System>) {
    let stopped: Vec<_> = env
        .jobs
        .iter()
        .filter(|(_, job)| job.state_changed && job.state.is_stopped())
        .map(|(_, job)| job.clone())
        .collect();
    for mut job in stopped {
        let command = TYPED.with_borrow(|typed| name(typed, &job.name));
        if let Some(command) = command {
            job.name = command;
        }
        // In the place of the one with the same process.
        let index = env.jobs.insert(job);
        if let Err(error) = env.jobs.set_current_job(index) {
            debug_assert!(false, "a stopped job can be the current one: {error}");
        }
    }
}

/// Forgets what has ended. Called after the shell has reported it.
pub fn forget_ended(env: &mut Env<System>) {
    env.jobs
        .remove_if(|_, job| !job.state.is_alive() && !job.state_changed);
}

/// The source of the command in `typed` that yash calls `known`, if there is just one of which that is true.
fn name(typed: &str, known: &str) -> Option<String> {
    let mut lexer = Lexer::with_code(typed);
    let mut found = None;
    while let Some(Ok(Some(list))) = Parser::new(&mut lexer).command_line().now_or_never() {
        for item in &list.0 {
            let and_or = &item.and_or;
            let others = and_or.rest.iter().map(|(_, pipeline)| pipeline);
            for pipeline in std::iter::once(&and_or.first).chain(others) {
                let [command] = &pipeline.commands[..] else {
                    continue;
                };
                if !may_be(command, known) {
                    continue;
                }
                if found.replace(command.to_string()).is_some() {
                    return None;
                }
            }
        }
    }
    found
}

/// Whether a command is what yash calls `known`: not by its expansions, which cannot be made again, but by its first word.
fn may_be(command: &Command, known: &str) -> bool {
    match command {
        Command::Simple(simple) => simple.words.first().is_some_and(|(word, _)| {
            let first = known.split(' ').next().unwrap_or_default();
            word.to_string() == first
        }),
        Command::Compound(full) => match &full.command {
            CompoundCommand::Subshell { body, .. } => body.to_string() == known,
            _ => false,
        },
        Command::Function(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_program_is_named_as_it_was_typed() {
        let typed = "sh -c 'echo \"a b\"; sleep 9'\n";
        let known = "sh -c echo \"a b\"; sleep 9";
        assert_eq!(name(typed, known).as_deref(), Some(typed.trim_end()));
        assert_eq!(
            name("cd /; vi \"a b\" && ls", "vi a b").as_deref(),
            Some("vi \"a b\"")
        );
    }

    #[test]
    fn a_subshell_keeps_its_parentheses() {
        assert_eq!(
            name("(sleep 9; echo hi)", "sleep 9; echo hi").as_deref(),
            Some("(sleep 9; echo hi)")
        );
    }

    #[test]
    fn in_doubt_yash_has_its_way() {
        assert_eq!(name("vi 'a b'; vi 'c d'", "vi c d"), None);
        assert_eq!(name("fg", "sleep 9"), None);
        assert_eq!(name("while :; do sleep 9; done", "sleep 9"), None);
        assert_eq!(name("echo )", "echo"), None);
    }
}
