//! Everything at once, for as long as asked, and nothing lost: `stress [--seed N] [--duration SECONDS]`.
//!
//! Worker processes carry out random steps of every kind of work, each checking its own results, while the supervisor rains
//! signals on them, stops them and kills them at any moment. A step depends on the seed, the worker's number and the step's
//! number alone, so that `--worker W --step N` does a failed one again by itself. At the end every page, process, open file
//! and inode must be back.

// C's types differ between glibc and musl: a cast that one needs is idle on the other.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

#[macro_use]
mod support;

mod account;
mod board;
mod child;
mod options;
mod state;
mod storm;
mod worker;
mod workloads;

use std::process::ExitCode;
use std::time::Duration;

use options::Options;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == child::SWITCH) {
        return child::main(&words[1..]);
    }
    let options = match Options::parse() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("stress: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    if let (Some(worker), Some(step)) = (options.worker, options.step) {
        return storm::one_step(&options, worker, step);
    }
    println!("stress: seed {}", options.seed);
    let mut passed = 0;
    match run(&options, &mut passed) {
        Ok(()) => {
            println!("{passed} passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("stress: {error:#}");
            println!(
                "test everything at once with seed {} ... FAILED",
                options.seed
            );
            println!("{passed} passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// A short storm fills every cache, then the long one must leave as much as it found.
fn run(options: &Options, passed: &mut usize) -> anyhow::Result<()> {
    let warm_up = (options.duration / 10).clamp(Duration::from_secs(2), Duration::from_secs(20));
    storm::in_child(options, "warm-up", warm_up)?;
    let before = account::settled()?;
    let slabs = account::slabs();
    storm::in_child(options, "storm", options.duration)?;
    println!("test everything at once ... ok");
    *passed += 1;
    let after = account::like(&before)?;
    print!("{}", account::table(&before, &after));
    account::check(&before, &after).inspect_err(|_| {
        // In which sizes, for whoever looks for the loss.
        print!(
            "kernel heap before:\n{slabs}and after:\n{}",
            account::slabs()
        );
    })?;
    println!("test every page, process, open file and inode is back ... ok");
    *passed += 1;
    Ok(())
}
