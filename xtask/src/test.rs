//! `test`: every test of the project, reported by name, with `N passed, N failed` as the last line.
//!
//! Three kinds: host tests of pure logic (`cargo test`), programs that test the kernel from inside the
//! booted image, and scripts whose results are compared with what GNU's tools gave on the host.

mod appliance;
mod bench;
mod commands;
mod demos;
mod guest_suites;
mod host;
mod image;
mod kernel;
mod machines;
mod readme;
mod record;
mod report;
mod scenario;
mod script;
mod session;
mod storm;
mod suites;
mod watch;
mod watchdog;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::{
    build::{self, Contents, Image},
    cli::{BuildOptions, TestOptions},
    project::Project,
    setup,
};
use report::Report;
use suites::{Source, Suite};

/// `cargo xtask test`.
pub fn run(project: &Project, options: &TestOptions) -> Result<u8> {
    let suites = suites::selected(project, options)?;
    if options.list {
        for suite in &suites {
            suites::list(project, suite)?;
        }
        return Ok(0);
    }
    if options.record {
        return record::run(project, &suites, options.image.as_deref());
    }
    if options.watch {
        return watch::repeat(project);
    }
    setup::ensure(project, setup::TO_RUN)?;
    let mut report = Report::default();
    let outcome = all(project, options, &suites, &mut report);
    if let Err(error) = &outcome {
        note!("xtask: {error:#}");
    }
    let status = report.conclude();
    outcome.map(|()| status)
}

/// Runs the suites. An error is that xtask was told to stop.
fn all(
    project: &Project,
    options: &TestOptions,
    suites: &[Suite],
    report: &mut Report,
) -> Result<()> {
    let (own, booted): (Vec<_>, Vec<_>) = suites
        .iter()
        .partition(|suite| suite.source.makes_its_own());
    for suite in own {
        let name = &suite.name;
        report.attempt(name, |report| match suite.source {
            Source::Bench => bench::run(project, name, options.all, report),
            Source::Appliance => appliance::run(project, name, report),
            _ => host::run(project, report),
        })?;
    }
    if booted.is_empty() {
        return Ok(());
    }
    if let Some(file) = &options.image {
        return report.attempt("image", |report| {
            let image = Image::existing(file)?;
            let contents = image.contents()?;
            let kernel = Kernel {
                name: "image",
                image,
                contents,
            };
            kernel.run_all(project, options, &booted, report)
        });
    }
    let kernels: &[bool] = match (options.all, options.release) {
        (true, _) => &[true, false],
        (false, release) => &[!release],
    };
    for &debug in kernels {
        let name = if debug { "debug" } else { "release" };
        report.attempt(name, |report| {
            let build = BuildOptions {
                debug,
                tests: true,
                ..BuildOptions::default()
            };
            let image = build::image(project, &build).context("it does not build")?;
            let contents = image.contents()?;
            if contents.has_assertions != debug {
                // Whole suites depend on it.
                bail!("its kernel should have assertions: {debug}; it seems not so");
            }
            let kernel = Kernel {
                name,
                image,
                contents,
            };
            kernel.run_all(project, options, &booted, report)
        })?;
    }
    Ok(())
}

/// An image under test.
struct Kernel {
    /// Stands before the names of its tests.
    name: &'static str,
    image: Image,
    contents: Contents,
}

impl Kernel {
    fn run_all(
        &self,
        project: &Project,
        options: &TestOptions,
        suites: &[&Suite],
        report: &mut Report,
    ) -> Result<()> {
        let mut missing = BTreeSet::new();
        for suite in suites {
            let name = format!("{}/{}", self.name, suite.name);
            let holds = |program: &&&str| !self.contents.programs.contains(**program);
            if let Some(program) = suite.source.programs().iter().find(holds) {
                let why = format!("the image has no program `{program}`");
                report.skipped(&name, "all of it", &why);
                missing.insert(*program);
            } else if suite.source.needs_assertions() && !self.contents.has_assertions {
                report.skipped(&name, "all of it", "the kernel has no assertions");
            } else {
                report.attempt(&name, |report| {
                    self.run(project, options, suite, &name, report)
                })?;
            }
        }
        if !missing.is_empty() {
            let missing: Vec<_> = missing.into_iter().collect();
            let why = format!(
                "{} is without {}; `cargo xtask build --tests` makes an image with everything",
                self.image.file.display(),
                missing.join(" ")
            );
            report.failed(self.name, "holds the programs that tests run", &why);
        }
        Ok(())
    }

    fn run(
        &self,
        project: &Project,
        options: &TestOptions,
        suite: &Suite,
        name: &str,
        report: &mut Report,
    ) -> Result<()> {
        let image = &self.image;
        match &suite.source {
            Source::Host | Source::Bench | Source::Appliance => Ok(()),
            Source::Kernel => kernel::run(image, name, report),
            Source::Ktest(group) => {
                for cores in options.cores() {
                    let name = format!("{}/smp{cores}/{}", self.name, suite.name);
                    guest_suites::run(image, group, cores, &name, report)?;
                }
                Ok(())
            }
            Source::Machines => machines::run(image, name, report),
            Source::Scenario(scenario) => scenario.run(image, name, report),
            Source::Readme => readme::run(project, image, name, report),
            Source::Commands => commands::run(image, name, report),
            Source::Session => session::run(image, name, report),
            Source::Watchdog => watchdog::run(image, name, report),
            Source::Demos => demos::run(image, name, report),
            Source::Storm => storm::run(image, options, name, report),
            Source::Image => image::run(project, image, name, report),
        }
    }
}
