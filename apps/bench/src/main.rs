//! What operations of the system cost: one program, the same source linked into the image and built
//! as an ordinary static ELF for Linux.
//!
//! Time is `CLOCK_MONOTONIC` over a fixed number of repetitions. Under QEMU's `-icount shift=0` one
//! nanosecond of it is one guest instruction, so the same program counts instructions there.
//! Names and methods follow lmbench (McVoy and Staelin, USENIX 1996).

mod files;
mod guest_init;
mod isolate;
mod jobs;
mod measure;
mod memory;
mod processes;
mod report;
mod signals;
mod size;
mod switch;
mod sys;
mod syscalls;
mod threads;

use std::process::ExitCode;

use measure::Measure;
use report::Format;

const USAGE: &str = "usage: bench [NAME...] [--json] | --list | --counter";

fn main() -> ExitCode {
    if std::process::id() == 1 {
        return guest_init::run();
    }
    let mut names = Vec::new();
    let mut format = Format::Table;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--json" => format = Format::JsonLines,
            "--list" => return list(),
            "--counter" => return counter(),
            // What fork+exec and spawn start: a program that ends at once.
            processes::END_AT_ONCE => return ExitCode::SUCCESS,
            size::WAIT => return size::wait_for_the_end(),
            "--help" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => {
                eprintln!("bench: unknown option {option}\n{USAGE}");
                return ExitCode::from(2);
            }
            _ => names.push(word),
        }
    }
    let chosen = match choose(&names) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("bench: no measure is called `{unknown}`; the known ones:");
            for measure in all() {
                eprintln!("  {}", measure.name);
            }
            return ExitCode::from(2);
        }
    };
    report::header(format);
    let mut failed = false;
    for measure in chosen {
        let outcome = isolate::run(measure);
        failed |= outcome.is_err();
        report::line(format, measure, &outcome);
    }
    ExitCode::from(u8::from(failed))
}

fn all() -> impl Iterator<Item = &'static Measure> {
    [
        syscalls::MEASURES,
        memory::MEASURES,
        switch::MEASURES,
        processes::MEASURES,
        threads::MEASURES,
        signals::MEASURES,
        files::MEASURES,
        size::MEASURES,
        jobs::MEASURES,
    ]
    .into_iter()
    .flatten()
}

/// The measures whose names were given, in their own order; all when none was.
fn choose(names: &[String]) -> Result<Vec<&'static Measure>, &String> {
    if let Some(unknown) = names.iter().find(|name| all().all(|m| m.name != **name)) {
        return Err(unknown);
    }
    let wanted = |m: &&Measure| names.is_empty() || names.iter().any(|name| name == m.name);
    Ok(all().filter(wanted).collect())
}

fn list() -> ExitCode {
    for measure in all() {
        println!("{}\t{}", measure.name, measure.about);
    }
    ExitCode::SUCCESS
}

/// Nanoseconds since the machine was switched on, by its own counter: what boot has cost.
fn counter() -> ExitCode {
    match sys::since_power_on() {
        Some(ns) => {
            println!("{ns}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("bench: this machine's counter does not start with the machine");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().map(|m| m.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let names = ["no-such-measure".to_owned()];
        assert_eq!(choose(&names).unwrap_err(), "no-such-measure");
        assert!(choose(&[]).unwrap().len() > 40);
    }
}
