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
mod readme;
mod record;
mod report;
mod scenario;
mod script;
mod session;
mod session_steps;
mod storm;
mod watch;
mod watchdog;

use anyhow::{Result, bail};

use crate::{
    build::{self, Image},
    cli::{BuildOptions, TestKind, TestOptions},
    project::Project,
    setup,
};
use report::Report;

/// A group of tests that run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// As `--suite` takes it.
    pub name: String,
    pub kind: TestKind,
    pub source: Source,
}

/// Where a suite's tests come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `cargo test` on the host.
    Host,
    /// The kernel's own tests of itself.
    Kernel,
    /// One group of the program `ktest` in the image.
    Ktest(String),
    /// A file of `tests/scenarios`.
    Scenario(scenario::Scenario),
    /// The examples in README.md.
    Readme,
    /// Properties of the built image.
    Image,
    /// xtask's own verbs, as commands.
    Commands,
    /// Keys typed at a terminal.
    Session,
    /// The image without the shell: a build of most programs, so only on demand.
    Appliance,
    /// The benchmark itself, in two release images that it builds.
    Bench,
    /// A core that hangs.
    Watchdog,
    /// Programs built on others' crates, on several numbers of cores.
    Demos,
    /// Everything at once, for minutes.
    Storm,
}

impl Source {
    /// Whether it needs no image for tests.
    fn makes_its_own(&self) -> bool {
        matches!(self, Self::Host | Self::Bench | Self::Appliance)
    }
}

/// `cargo xtask test`.
pub fn run(project: &Project, options: &TestOptions) -> Result<u8> {
    let suites = selected(project, options)?;
    if options.list {
        for suite in &suites {
            list(project, suite)?;
        }
        return Ok(0);
    }
    if options.record {
        return record::run(project, &suites, options.image.as_deref());
    }
    setup::ensure(project, setup::TO_RUN)?;
    if options.watch {
        return watch::repeat(project, || once(project, options, &suites));
    }
    once(project, options, &suites)
}

/// Runs the suites and reports; the status is 1 when a test failed.
fn once(project: &Project, options: &TestOptions, suites: &[Suite]) -> Result<u8> {
    let mut report = Report::default();
    let (own, booted): (Vec<_>, Vec<_>) = suites
        .iter()
        .partition(|suite| suite.source.makes_its_own());
    for suite in own {
        match suite.source {
            Source::Bench => bench::run(project, &suite.name, options.all, &mut report)?,
            Source::Appliance => appliance::run(project, &suite.name, &mut report)?,
            _ => host::run(project, &mut report)?,
        }
    }
    let kernels: &[bool] = match (options.all, options.release) {
        (true, _) => &[true, false],
        (false, release) => &[!release],
    };
    for &debug in kernels {
        if booted.is_empty() {
            break;
        }
        let build = BuildOptions {
            debug,
            tests: true,
            ..BuildOptions::default()
        };
        let kernel = match (&options.image, debug) {
            (Some(_), _) => "image",
            (None, true) => "debug",
            (None, false) => "release",
        };
        let built = match &options.image {
            Some(file) => Image::existing(file),
            None => build::image(project, &build),
        };
        let image = match built {
            Ok(image) => image,
            Err(error) => {
                report.failed(kernel, "builds", &format!("{error:#}"));
                continue;
            }
        };
        for suite in &booted {
            let suite_name = format!("{kernel}/{}", suite.name);
            match &suite.source {
                Source::Host | Source::Bench | Source::Appliance => {}
                Source::Kernel => kernel::run(&image, &suite_name, &mut report)?,
                Source::Ktest(group) => {
                    for cores in options.cores() {
                        let name = format!("{kernel}/smp{cores}/{}", suite.name);
                        guest_suites::run(&image, group, cores, &name, &mut report)?;
                    }
                }
                Source::Scenario(scenario) => scenario.run(&image, &suite_name, &mut report)?,
                Source::Readme => readme::run(project, &image, &suite_name, &mut report)?,
                Source::Commands => commands::run(&image, &suite_name, &mut report)?,
                Source::Session => session::run(&image, &suite_name, &mut report)?,
                // A release kernel has no watchdog.
                Source::Watchdog if kernel == "release" => {}
                Source::Watchdog => watchdog::run(&image, &suite_name, &mut report)?,
                Source::Demos => demos::run(&image, &suite_name, &mut report)?,
                Source::Storm => storm::run(&image, options, &suite_name, &mut report)?,
                Source::Image => image::run(project, &image, &suite_name, &mut report)?,
            }
        }
    }
    Ok(report.conclude())
}

fn selected(project: &Project, options: &TestOptions) -> Result<Vec<Suite>> {
    let all = suites(project)?;
    if let Some(name) = &options.suite {
        let inside = format!("{name}/");
        let chosen: Vec<_> = all
            .iter()
            .filter(|suite| suite.name == *name || suite.name.starts_with(&inside))
            .cloned()
            .collect();
        if chosen.is_empty() {
            let names: Vec<_> = all.into_iter().map(|suite| suite.name).collect();
            bail!(
                "no suite is called `{name}`; there are: {}",
                names.join(" ")
            );
        }
        return Ok(chosen);
    }
    // With a given image, nothing is built; and programs without the shell take minutes to build.
    let possible = |suite: &Suite| match suite.source {
        Source::Bench => options.image.is_none(),
        Source::Appliance => options.all || options.list,
        _ => true,
    };
    let wanted = |suite: &Suite| match options.kind {
        TestKind::All => true,
        // The kernel's pure logic is tested on the host, its use of the machine from inside.
        TestKind::Kernel => {
            suite.kind == TestKind::Kernel || matches!(suite.source, Source::Host | Source::Kernel)
        }
        kind => suite.kind == kind,
    };
    Ok(all.into_iter().filter(wanted).filter(possible).collect())
}

/// Every suite there is, in the order they run.
fn suites(project: &Project) -> Result<Vec<Suite>> {
    let suite = |name: &str, kind, source| Suite {
        name: name.into(),
        kind,
        source,
    };
    let mut suites = vec![suite("host", TestKind::All, Source::Host)];
    suites.push(suite("image", TestKind::Integration, Source::Image));
    suites.push(suite("kernel", TestKind::Memory, Source::Kernel));
    for &(group, kind) in guest_suites::GROUPS {
        suites.push(suite(
            &format!("ktest/{group}"),
            kind,
            Source::Ktest(group.into()),
        ));
    }
    for scenario in scenario::all(project)? {
        let kind = scenario.kind();
        let name = format!("scenarios/{}", scenario.name);
        suites.push(suite(&name, kind, Source::Scenario(scenario)));
    }
    suites.push(suite("commands", TestKind::Integration, Source::Commands));
    suites.push(suite("demos", TestKind::Integration, Source::Demos));
    suites.push(suite("stress", TestKind::Stress, Source::Storm));
    suites.push(suite("session", TestKind::Integration, Source::Session));
    suites.push(suite("watchdog", TestKind::Kernel, Source::Watchdog));
    suites.push(suite("readme", TestKind::Integration, Source::Readme));
    suites.push(suite("appliance", TestKind::Integration, Source::Appliance));
    suites.push(suite("bench", TestKind::Integration, Source::Bench));
    Ok(suites)
}

fn list(project: &Project, suite: &Suite) -> Result<()> {
    say!("{}", suite.name);
    match &suite.source {
        Source::Scenario(scenario) => {
            for case in &scenario.cases {
                say!("    {}", case.name);
            }
        }
        Source::Readme => {
            for example in readme::examples(project)? {
                say!("    {}", example.command);
            }
        }
        Source::Demos => demos::names().for_each(|name| say!("    {name}")),
        Source::Host
        | Source::Kernel
        | Source::Appliance
        | Source::Ktest(_)
        | Source::Image
        | Source::Commands
        | Source::Session
        | Source::Storm
        | Source::Watchdog
        | Source::Bench => {}
    }
    Ok(())
}
