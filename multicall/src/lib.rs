//! argv[0] -> program: every linked program of the image behind one entry point.
//!
//! Each program is a crate that is used as published; this crate only picks one by the last
//! component of argv[0] and gives it the start-up that its own `main` would have given it.

mod coreutils;
mod procutils;
mod text;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the program that argv[0] names and gives its exit status.
pub fn run() -> i32 {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args
        .first()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    // A login shell's argv[0] starts with a dash.
    let name = basename(&name);
    let name = name.strip_prefix('-').unwrap_or(name);

    let status = dispatch(name, args);
    // Upstream's mains do the same: what a program left in the buffer is written before exit.
    if let Err(error) = std::io::stdout().flush()
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("{name}: write error: {error}");
        return if status == 0 { 1 } else { status };
    }
    status
}

/// The names of all programs, in no order and possibly twice.
fn program_names() -> impl Iterator<Item = &'static str> {
    coreutils::names()
        .chain(procutils::names())
        .chain(text::NAMES.iter().copied())
        .chain(tools::NAMES.iter().copied())
        .chain(OWN.iter().map(|(name, _)| *name))
        .chain(["coreutils"])
}

/// Every command name, each to become a file in `/bin`, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = program_names().collect();
    names.sort_unstable();
    names.dedup();
    names
}

type Own = fn(Vec<OsString>) -> i32;

/// Programs of this repository.
static OWN: &[(&str, Own)] = &[
    ("awk", awk::run),
    ("diff", diff::run),
    ("gawk", awk::run),
    ("init", |_| init::main()),
    #[cfg(feature = "shell")]
    ("sh", |args| sh::run(args, &mut program_names())),
];

fn dispatch(name: &str, args: Vec<OsString>) -> i32 {
    // Rust ignores SIGPIPE at start; a tool whose reader has gone should end as if it did not.
    uucore::panic::mute_sigpipe_panic();
    if !uucore::signals::sigpipe_was_ignored() {
        // A tool that keeps ignoring it still ends, with an error for its write.
        _ = uucore::signals::enable_pipe_errors();
    }
    if let Some((_, run)) = OWN.iter().find(|(own, _)| *own == name) {
        return run(args);
    }
    if tools::NAMES.contains(&name) {
        return tools::run(name, args).unwrap_or(127);
    }
    if name == "coreutils" {
        return coreutils::multicall(args);
    }
    if name == "multicall" || name == "rustos" {
        return by_argument(args);
    }
    if let Some(status) = procutils::run(name, &args) {
        return status;
    }
    if text::NAMES.contains(&name) {
        return text::run(name, args).unwrap_or(127);
    }
    coreutils::run(name, args).unwrap_or_else(|| {
        eprintln!("{name}: no such program in this image");
        127
    })
}

/// Called by no program's name: list the names, or take the program from the first argument.
fn by_argument(args: Vec<OsString>) -> i32 {
    match args
        .get(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .as_deref()
    {
        Some("--list-names") => {
            let list: String = names().iter().map(|name| format!("{name}\n")).collect();
            i32::from(std::io::stdout().write_all(list.as_bytes()).is_err())
        }
        Some(name) if names().contains(&name) => {
            uucore::set_utility_is_second_arg();
            dispatch(name, args[1..].to_vec())
        }
        _ => {
            eprintln!("usage: multicall --list-names | multicall NAME [argument...]");
            2
        }
    }
}

/// Loads the messages of `name`; without them a utility prints message ids.
fn localise(name: &str) {
    if let Err(error) = uucore::locale::setup_localization(name) {
        eprintln!("{name}: cannot load messages: {error}");
        std::process::exit(99);
    }
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `ExitCode` keeps its number to itself, but its `Debug` form and equality tell it.
fn status(code: ExitCode) -> i32 {
    (0..=255u8)
        .find(|&number| ExitCode::from(number) == code)
        .map_or(1, i32::from)
}
