//! Which suites there are, and which of them the options ask for.

use anyhow::Result;

use super::{demos, guest_suites, readme, scenario, storm};
use crate::{
    cli::{TestKind, TestOptions},
    failure::usage,
    project::Project,
};

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
    /// What depends on the machine, on those that the other suites do not boot.
    Machines,
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
    pub fn makes_its_own(&self) -> bool {
        matches!(self, Self::Host | Self::Bench | Self::Appliance)
    }

    /// Programs that the image must hold.
    pub fn programs(&self) -> &'static [&'static str] {
        match self {
            Self::Ktest(_) | Self::Machines => &["sh", guest_suites::PROGRAM],
            Self::Demos => demos::PROGRAMS,
            Self::Storm => &["sh", storm::PROGRAM],
            Self::Scenario(_) | Self::Readme | Self::Commands | Self::Session => &["sh"],
            Self::Host
            | Self::Kernel
            | Self::Image
            | Self::Appliance
            | Self::Bench
            | Self::Watchdog => &[],
        }
    }

    /// Whether it tests what only a kernel with assertions has.
    pub fn needs_assertions(&self) -> bool {
        matches!(self, Self::Kernel | Self::Watchdog)
    }

    /// Whether `--record` writes anything for it.
    fn is_recorded(&self) -> bool {
        matches!(self, Self::Scenario(_) | Self::Readme)
    }
}

/// The suites that the options ask for, in a way that makes sense.
pub fn selected(project: &Project, options: &TestOptions) -> Result<Vec<Suite>> {
    let all = suites(project)?;
    let chosen = match &options.suite {
        Some(name) => named(all, name)?,
        None => all
            .into_iter()
            .filter(|suite| is_meant(suite, options))
            .collect(),
    };
    check(&chosen, options)?;
    Ok(chosen)
}

/// The suite of that name, or all below it.
fn named(all: Vec<Suite>, name: &str) -> Result<Vec<Suite>> {
    let inside = format!("{name}/");
    let (chosen, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|suite| suite.name == *name || suite.name.starts_with(&inside));
    if chosen.is_empty() {
        let names: Vec<_> = others.into_iter().map(|suite| suite.name).collect();
        return Err(usage(format!(
            "no suite is called `{name}`; there are: {}",
            names.join(" ")
        )));
    }
    Ok(chosen)
}

/// Whether a suite that nobody names is run.
fn is_meant(suite: &Suite, options: &TestOptions) -> bool {
    // With a given image, nothing is built; and programs without the shell take minutes to build.
    let possible = match suite.source {
        Source::Host | Source::Bench => options.image.is_none(),
        Source::Appliance => options.image.is_none() && (options.all || options.list),
        _ => true,
    };
    let wanted = match options.kind {
        None | Some(TestKind::All) => true,
        // The kernel's pure logic is tested on the host, its use of the machine from inside.
        Some(TestKind::Kernel) => {
            suite.kind == TestKind::Kernel || matches!(suite.source, Source::Host | Source::Kernel)
        }
        Some(kind) => suite.kind == kind,
    };
    possible && wanted
}

/// Refuses what would have no effect on any of the suites.
fn check(suites: &[Suite], options: &TestOptions) -> Result<()> {
    let any = |is_one: fn(&Source) -> bool| suites.iter().any(|suite| is_one(&suite.source));
    let without_effect = [
        (
            options.seed.is_some(),
            "--seed",
            any(|source| matches!(source, Source::Storm)),
        ),
        (
            options.duration.is_some(),
            "--duration",
            any(|source| matches!(source, Source::Storm)),
        ),
        (
            !options.smp.is_empty(),
            "--smp",
            any(|source| matches!(source, Source::Ktest(_))),
        ),
        (options.record, "--record", any(Source::is_recorded)),
    ];
    for (given, option, used) in without_effect {
        if given && !used {
            return Err(usage(format!(
                "{option} concerns none of the suites chosen"
            )));
        }
    }
    if options.image.is_some()
        && let Some(suite) = suites.iter().find(|suite| suite.source.makes_its_own())
    {
        return Err(usage(format!(
            "the suite `{}` builds what it tests; --image builds nothing",
            suite.name
        )));
    }
    Ok(())
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
    suites.push(suite("machines", TestKind::Kernel, Source::Machines));
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

/// Names a suite, and its tests where they are known before they run.
pub fn list(project: &Project, suite: &Suite) -> Result<()> {
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
        | Source::Machines
        | Source::Image
        | Source::Commands
        | Source::Session
        | Source::Storm
        | Source::Watchdog
        | Source::Bench => {}
    }
    Ok(())
}
