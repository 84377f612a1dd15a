//! `test stress`: the program `stress` for minutes, on four cores. Its seed is printed before it starts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::{guest_suites, report::Report};
use crate::{
    build::Image,
    cli::{MachineOptions, TestOptions},
};

pub const PROGRAM: &str = "stress";
const ORDINARY: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(30 * 60);
/// For the warm-up, the account, and for the supervisor to find that nothing moves and to say so.
const MORE: Duration = Duration::from_secs(300);

pub fn run(image: &Image, options: &TestOptions, suite: &str, report: &mut Report) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    let usual = if options.all { LONG } else { ORDINARY };
    let duration = options.duration.unwrap_or(usual);
    let seconds = duration.as_secs();
    say!(
        "{suite}: seed {seed}, {seconds} s (again: cargo xtask test stress --seed {seed} --duration {seconds})"
    );
    let command = format!("exec {PROGRAM} --seed {seed} --duration {seconds}");
    let machine = MachineOptions::default();
    let limit = duration.saturating_add(MORE);
    guest_suites::program(image, &machine, &command, "", limit, suite, report)
}
