//! `bench`: what RustOS and Linux take for the same work in the same QEMU.
//!
//! The benchmark program of `apps/bench` runs in both guests. Instructions are counted by
//! `-icount shift=0,sleep=off`, where a nanosecond of the guest's clock is one instruction; wall time
//! is taken without it, in runs that alternate between the guests.

mod charts;
mod collect;
mod compare;
mod guests;
mod history;
mod initramfs;
mod linux;
mod measures;
mod page;
mod results;
mod table;
mod targets;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;

use crate::{
    build,
    cli::{BenchGuest, BenchOptions, BuildOptions},
    failure::{STATUS_USAGE, misnamed, usage},
    files,
    project::Project,
    setup,
};
use collect::Clock;
use compare::Verdict;
use guests::Guest;
use measures::Measure;
use results::{Results, Skipped};

const STATUS_FAILED: u8 = 1;
const STATUS_SKIPPED: u8 = 3;
pub const STATUS_SLOWER: u8 = 4;
const STATUS_UNSTEADY: u8 = 5;

/// `cargo xtask bench`.
pub fn run(project: &Project, options: &BenchOptions) -> Result<u8> {
    let known = measures::known(project)?;
    if options.list {
        for measure in &known {
            say!("{:<20} {}", measure.name, measure.about);
        }
        return Ok(0);
    }
    if let Some(unknown) = options
        .names
        .iter()
        .find(|name| known.iter().all(|measure| measure.name != **name))
    {
        note!("xtask: no measure is called `{unknown}`; the known ones:");
        for measure in &known {
            note!("  {}", measure.name);
        }
        return Ok(STATUS_USAGE);
    }
    check(options)?;
    let load = |file: &Option<PathBuf>| {
        let results = file.as_deref().map(Results::load).transpose();
        results.map_err(|error| misnamed(&error))
    };
    let (earlier, peer) = (load(&options.against)?, load(&options.peer)?);
    let chosen: Vec<_> = known
        .into_iter()
        .filter(|m| options.names.is_empty() || options.names.contains(&m.name))
        .collect();

    let mut results = Results::new(project, options)?;
    let guests = prepare(project, options, &chosen, &mut results)?;
    for guest in &guests {
        collect::take(guest, Clock::Instructions, options, &chosen, &mut results)?;
    }
    let mut again = Results::default();
    if options.check_repeat {
        for guest in &guests {
            collect::take(guest, Clock::Instructions, options, &chosen, &mut again)?;
        }
    }
    for _ in 0..options.runs {
        for guest in &guests {
            collect::take(guest, Clock::Wall, options, &chosen, &mut results)?;
        }
    }
    if let Some(peer) = peer {
        results.take_linux_from(peer);
    }
    results.in_order(&chosen);
    let all_written = publish(project, options, &results)?;
    let verdict = match &earlier {
        Some(earlier) => compare::report(earlier, &results, &options.names),
        None => Verdict::Fine,
    };
    let unsteady = options.check_repeat && compare::report_repeat(&results, &again);
    Ok(if !all_written {
        STATUS_USAGE
    } else if verdict == Verdict::Slower {
        STATUS_SLOWER
    } else if unsteady {
        STATUS_UNSTEADY
    } else if results.any_failed() {
        STATUS_FAILED
    } else if !results.skipped.is_empty() || verdict == Verdict::Nothing {
        STATUS_SKIPPED
    } else {
        0
    })
}

/// Refuses, before anything is measured, what could not be used afterwards.
fn check(options: &BenchOptions) -> Result<()> {
    if options.against.is_some() && options.only == Some(BenchGuest::Linux) {
        return Err(usage(
            "--against compares RustOS' instructions, and --only linux boots no RustOS",
        ));
    }
    if options.image.is_some() && options.only == Some(BenchGuest::Linux) {
        return Err(usage(
            "--image is RustOS', and --only linux boots no RustOS",
        ));
    }
    if options.record && options.only.is_some() && options.peer.is_none() {
        return Err(usage(
            "--record writes down both sides: --only needs a --peer beside it",
        ));
    }
    let named = [&options.json, &options.report];
    files::check(named.into_iter().flatten().map(|file| &**file))
}

/// The guests that can be booted; what cannot is noted as skipped, by the name of each guest.
fn prepare(
    project: &Project,
    options: &BenchOptions,
    chosen: &[Measure],
    results: &mut Results,
) -> Result<Vec<Guest>> {
    let names = |of: fn(&Measure) -> bool| {
        let names: Vec<_> = chosen.iter().filter(|m| of(m)).map(|m| &*m.name).collect();
        names.join(" ")
    };
    let every = names(|_| true);
    let wanted = |guest| options.only.is_none_or(|only| only == guest);
    let mut guests = Vec::new();
    let mut skip = |what: &str, reason: String| {
        note!("xtask: {what}: skipped: {reason}");
        results.skipped.push(Skipped {
            what: what.into(),
            reason,
        });
    };
    if let Err(error) = setup::ensure(project, setup::TO_RUN) {
        skip(&every, format!("{error:#}"));
        return Ok(guests);
    }
    if wanted(BenchGuest::Direct) {
        let image = match &options.image {
            Some(file) => existing(file)?,
            None => build::image(project, &BuildOptions::default())?,
        };
        results.sizes = results::sizes(&image)?;
        guests.push(Guest::direct(&image));
    }
    if wanted(BenchGuest::Linux) {
        match linux::prepare(project) {
            Ok(guest) => {
                results.linux = Some(guest.version.clone());
                let programs = names(Measure::needs_programs);
                if let (Some(reason), false) = (&guest.without_programs, programs.is_empty()) {
                    skip(&format!("on Linux: {programs}"), reason.clone());
                }
                guests.push(Guest::linux(guest));
            }
            Err(error) => skip(&format!("on Linux: {every}"), format!("{error:#}")),
        }
    }
    if options.only == Some(BenchGuest::Svc) {
        skip(&format!("svc: {every}"), "not built yet".into());
    }
    Ok(guests)
}

/// An image that can be booted and weighed.
fn existing(file: &Path) -> Result<build::Image> {
    let image = build::Image::existing(file);
    image
        .and_then(|image| image.elf().map(|_| image.clone()))
        .map_err(|error| misnamed(&error))
}

/// The page of the last recorded results, for the test that opens it.
pub fn recorded_page(project: &Project) -> Result<String> {
    let history = history::read(project)?;
    let last = history
        .last()
        .context("docs/bench/history.jsonl is empty")?;
    page::render(last, &history)
}

/// Prints the results and writes every file that can be written; whether all were.
fn publish(project: &Project, options: &BenchOptions, results: &Results) -> Result<bool> {
    say!("{}", table::plain(results).trim_end());
    let mut all = true;
    if let Some(file) = &options.json {
        all &= files::was_written(file, results.store(file));
    }
    if options.record {
        if results.any_failed() || !results.skipped.is_empty() {
            note!("xtask: not recorded: some of it failed or was skipped");
        } else {
            all &= files::was_written(Path::new(history::PAGE), history::record(project, results));
        }
    }
    let file = match &options.report {
        Some(file) => file.clone(),
        None => project.target.join("bench/report.html"),
    };
    let page = || -> Result<()> {
        let page = page::render(results, &history::read(project)?)?;
        if options.report.is_none() {
            fs::create_dir_all(project.target.join("bench"))?;
        }
        Ok(fs::write(&file, page)?)
    };
    all &= files::was_written(&file, page());
    Ok(all)
}
