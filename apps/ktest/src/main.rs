//! The program-side tests of the kernel: `ktest [--list] [NAME-PREFIX...]`.
//!
//! Each test is a claim about what a Unix program gets from its system, and Linux is the oracle:
//! every test passes there. Run in the booted image, the same binary shows what holds here. Every
//! test runs in a child of its own, in a directory of its own and with a time limit, so that a crash
//! or a hang fails that one test.

// C's types differ between glibc and musl: a cast that one needs is idle on the other.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

#[macro_use]
mod support;

mod harness;
mod helper;
mod more;

mod accounting;
mod areas;
mod atfork;
mod blocks;
mod clocks;
mod connections;
mod contents;
mod dates;
mod delivery;
mod descriptors;
mod directories;
mod ends;
mod epolls;
mod events;
mod excess;
mod exec;
mod faults;
mod files;
mod fork;
mod formats;
mod futexes;
mod fuzz;
mod hostile;
mod jobs;
mod limits;
mod links;
mod locks;
mod mappings;
mod metadata;
mod mounts;
mod names;
mod opening;
mod owners;
mod pipes;
mod procfs;
mod protection;
mod pthreads;
mod ptys;
mod record_locks;
mod rights;
mod robust;
mod scheduling;
mod sharing;
mod shortage;
mod signals;
mod sockets;
mod spawn;
mod splices;
mod stacks;
mod stdio;
mod stdlib;
mod stress;
mod terminals;
mod threads;
mod timers;
mod waits;
mod watches;

use harness::Test;
use std::process::ExitCode;

/// Every group: the first part of its tests' names.
const GROUPS: &[(&str, &[Test])] = &[
    ("fork", fork::TESTS),
    ("atfork", atfork::TESTS),
    ("waits", waits::TESTS),
    ("jobs", jobs::TESTS),
    ("exec", exec::TESTS),
    ("spawn", spawn::TESTS),
    ("mappings", mappings::TESTS),
    ("mappings", areas::TESTS),
    ("protection", protection::TESTS),
    ("sharing", sharing::TESTS),
    ("stacks", stacks::TESTS),
    ("pipes", pipes::TESTS),
    ("splices", splices::TESTS),
    ("sockets", sockets::TESTS),
    ("connections", connections::TESTS),
    ("descriptors", descriptors::TESTS),
    ("record_locks", record_locks::TESTS),
    ("files", files::TESTS),
    ("contents", contents::TESTS),
    ("opening", opening::TESTS),
    ("directories", directories::TESTS),
    ("links", links::TESTS),
    ("metadata", metadata::TESTS),
    ("owners", owners::TESTS),
    ("rights", rights::TESTS),
    ("mounts", mounts::TESTS),
    ("faults", faults::TESTS),
    ("signals", signals::TESTS),
    ("delivery", delivery::TESTS),
    ("terminals", terminals::TESTS),
    ("ptys", ptys::TESTS),
    ("events", events::TESTS),
    ("epolls", epolls::TESTS),
    ("watches", watches::TESTS),
    ("clocks", clocks::TESTS),
    ("timers", timers::TESTS),
    ("threads", threads::TESTS),
    ("pthreads", pthreads::TESTS),
    ("ends", ends::TESTS),
    ("futexes", futexes::TESTS),
    ("locks", locks::TESTS),
    ("robust", robust::TESTS),
    ("stdio", stdio::TESTS),
    ("formats", formats::TESTS),
    ("dates", dates::TESTS),
    ("names", names::TESTS),
    ("stdlib", stdlib::TESTS),
    ("blocks", blocks::TESTS),
    ("limits", limits::TESTS),
    ("accounting", accounting::TESTS),
    ("scheduling", scheduling::TESTS),
    ("shortage", shortage::TESTS),
    ("procfs", procfs::TESTS),
    ("hostile", hostile::TESTS),
    ("excess", excess::TESTS),
    ("stress", stress::TESTS),
    ("fuzz", fuzz::TESTS),
];

const USAGE: &str = "usage: ktest [--list] [GROUP | GROUP::TEST | PREFIX]...
Runs the tests whose name starts with one of the words, or all of them.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words.first().is_some_and(|word| word == helper::SWITCH) {
        return helper::main(&words[1..]);
    }
    let (options, prefixes): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| word.starts_with('-'));
    let list = match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--list"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let selected: Vec<(String, &Test)> = GROUPS
        .iter()
        .flat_map(|(group, tests)| {
            tests
                .iter()
                .map(move |t| (format!("{group}::{}", t.name), t))
        })
        .filter(|(name, _)| prefixes.is_empty() || prefixes.iter().any(|p| name.starts_with(p)))
        .collect();
    if selected.is_empty() {
        eprintln!(
            "ktest: no test has a name starting with {}",
            prefixes.join(" or ")
        );
        return ExitCode::from(2);
    }
    if list {
        for (name, _) in selected {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    harness::run(&selected)
}
