//! `cargo xtask`: sets up, builds, boots, tests and inspects RustOS from the host.
//!
//! Everything hangs off two verbs: `build` makes one bootable image and `run -c CMD` turns that
//! image into a command with stdin, stdout, stderr and an exit status. Tests and benchmarks use
//! the same two.

// `say!` and `note!` in their place.
#![warn(clippy::print_stdout, clippy::print_stderr)]

// Its macros are for all that follow.
#[macro_use]
mod out;

mod bench;
mod build;
mod checks;
mod cli;
mod deadline;
mod debug;
mod emulator;
mod failure;
mod files;
mod frames;
mod guest;
mod process;
mod profile;
mod project;
mod qemu;
mod run;
mod setup;
mod signals;
mod size;
mod terminal;
mod test;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Verb};
use project::Project;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(status) => ExitCode::from(status),
        Err(error) => ExitCode::from(failure::conclude(&error)),
    }
}

/// Runs one verb; the value is the status that xtask ends with.
fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    let project = Project::locate()?;
    match cli.verb {
        Verb::Setup => setup::run(&project),
        Verb::Build(options) => build::run(&project, &options),
        Verb::Run(options) => run::run(&project, &options),
        Verb::Test(options) => test::run(&project, &options),
        Verb::Debug(options) => debug::run(&project, &options),
        Verb::Bench(options) => bench::run(&project, &options),
        Verb::Profile(options) => profile::run(&project, &options),
        Verb::Fmt { check } => checks::fmt(&project, check),
        Verb::Lint => checks::lint(&project),
        Verb::Clean => checks::clean(&project),
    }
}
