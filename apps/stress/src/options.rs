//! The command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use crate::workloads;

pub const USAGE: &str = "usage: stress [--seed N] [--duration SECONDS] [--workers N] [--only WORKLOAD]... \
     [--calm] [--worker W --step N] [--list]";

pub struct Options {
    pub seed: u64,
    pub duration: Duration,
    /// Worker processes; they take the workloads in turn.
    pub workers: usize,
    /// Names of workloads; empty: all.
    pub only: Vec<String>,
    /// Neither signals nor kills.
    pub calm: bool,
    /// Do this one step of this worker and nothing else.
    pub worker: Option<usize>,
    pub step: Option<u64>,
}

impl Options {
    pub fn parse() -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut options = Self {
            seed: since.map_or(1, |since| since.as_nanos() as u64 % 1_000_000_000),
            duration: Duration::from_secs(60),
            workers: 2 * workloads::ALL.len(),
            only: Vec::new(),
            calm: false,
            worker: None,
            step: None,
        };
        let mut parser = Parser::from_env();
        while let Some(word) = parser.next()? {
            match word {
                Arg::Long("seed") => options.seed = parser.value()?.parse()?,
                Arg::Long("duration") => {
                    options.duration = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("workers") => options.workers = parser.value()?.parse()?,
                Arg::Long("only") => options.only.push(parser.value()?.parse()?),
                Arg::Long("calm") => options.calm = true,
                Arg::Long("worker") => options.worker = Some(parser.value()?.parse()?),
                Arg::Long("step") => options.step = Some(parser.value()?.parse()?),
                Arg::Long("list") => {
                    workloads::ALL.iter().for_each(|w| println!("{}", w.name));
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        for name in &options.only {
            let known = workloads::ALL.iter().any(|w| w.name == name);
            known
                .then_some(())
                .with_context(|| format!("no workload `{name}`"))?;
        }
        if !(1..=crate::board::SLOTS).contains(&options.workers) {
            bail!("--workers takes 1 to {}", crate::board::SLOTS);
        }
        if options.worker.is_some() != options.step.is_some() {
            bail!("--worker and --step go together");
        }
        Ok(options)
    }
}
