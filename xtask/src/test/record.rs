//! `test --record`: takes the expected results of scenarios from the host's tools, and the README's session from the image.
//!
//! dash is `sh`; the rest is GNU's. Cases marked `oracle=uutils` run with the host build of the very
//! programs that are in the image, found first on the path.

use std::{
    env, io,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::{
    readme,
    scenario::{Oracle, Scenario},
    script::{self, Outcome},
    suites::{Source, Suite},
};
use crate::{
    build::{self, Image},
    cli::BuildOptions,
    process,
    project::{BUILDS_ANYWAY, Project},
    setup::on_path,
};

/// Tools whose results count; without them a recording would be of something else.
const SHELL: &str = "dash";
const AWK: &str = "gawk";

/// `image` is booted for the session, or else the release image.
pub fn run(project: &Project, suites: &[Suite], image: Option<&Path>) -> Result<u8> {
    if suites.iter().any(|suite| suite.source == Source::Readme) {
        let image = match image {
            Some(file) => Image::existing(file)?,
            None => build::image(project, &BuildOptions::default())?,
        };
        readme::record(project, &image)?;
    }
    if suites
        .iter()
        .any(|suite| matches!(suite.source, Source::Scenario(_)))
    {
        record_scenarios(project, suites)?;
    }
    Ok(0)
}

fn record_scenarios(project: &Project, suites: &[Suite]) -> Result<()> {
    let find = |tool| on_path(tool).with_context(|| format!("recording takes {tool} on this host"));
    let (shell, awk) = (find(SHELL)?, find(AWK)?);
    let bin = project.target.join("rustos/oracle/bin");
    let gnu = bin.with_file_name("gnu");
    fs::create_dir_all(&gnu)?;
    link(&shell, &gnu.join("sh"))?;
    link(&awk, &gnu.join("awk"))?;
    let host_path = env::var("PATH").context("the path of this host")?;
    let gnu_path = format!("{}:{host_path}", gnu.display());
    let mut uutils_path = None;
    for suite in suites {
        let Source::Scenario(scenario) = &suite.source else {
            continue;
        };
        if scenario
            .cases
            .iter()
            .any(|case| case.oracle == Oracle::Uutils)
            && uutils_path.is_none()
        {
            build_oracle(project, &bin)?;
            uutils_path = Some(format!("{}:{gnu_path}", bin.display()));
        }
        record(scenario, &gnu_path, uutils_path.as_deref())
            .with_context(|| format!("scenario {}", scenario.name))?;
    }
    Ok(())
}

fn record(scenario: &Scenario, gnu_path: &str, uutils_path: Option<&str>) -> Result<()> {
    let gnu = run_on_host(scenario, Oracle::Gnu, gnu_path)?;
    let uutils = match uutils_path {
        Some(path) => run_on_host(scenario, Oracle::Uutils, path)?,
        None => Vec::new(),
    };
    if scenario
        .cases
        .iter()
        .all(|case| case.oracle == Oracle::Itself)
    {
        return Ok(());
    }
    let mut outcomes = Vec::new();
    for case in &scenario.cases {
        let from = match case.oracle {
            Oracle::Gnu => &gnu,
            Oracle::Uutils => &uutils,
            Oracle::Itself => continue,
        };
        let Some(outcome) = from.iter().find(|outcome| outcome.name == case.name) else {
            bail!("case {} gave no result", case.name);
        };
        if outcome.status >= 124 || !outcome.stderr.is_empty() {
            // Often meant, sometimes a mistake in the script: worth a look either way.
            let stderr = String::from_utf8_lossy(&outcome.stderr);
            say!(
                "{}: status {}: {}",
                case.name,
                outcome.status,
                stderr.trim_end()
            );
        }
        outcomes.push(outcome.clone());
    }
    fs::write(scenario.expected(), script::encode(&outcomes))?;
    say!(
        "{}: {} cases",
        scenario.expected().display(),
        outcomes.len()
    );
    Ok(())
}

/// Runs the cases that ask for this oracle.
fn run_on_host(scenario: &Scenario, oracle: Oracle, path: &str) -> Result<Vec<Outcome>> {
    let mut scenario = scenario.clone();
    scenario.cases.retain(|case| case.oracle == oracle);
    if scenario.cases.is_empty() {
        return Ok(Vec::new());
    }
    let output = Command::new(SHELL)
        .args(["-c", &script::runner(&scenario, script::TIDY)])
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if output.status.code() == Some(script::SETUP_FAILED.into()) {
        bail!(
            "its set-up failed, or there is a {} of another recording",
            script::FOLDER
        );
    }
    if !output.status.success() {
        bail!("the runner ended with {}", output.status);
    }
    Ok(script::outcomes(&output.stdout))
}

/// Builds the programs of the image for the host, reachable by name in `bin`.
fn build_oracle(project: &Project, bin: &Path) -> Result<()> {
    process::run(
        project
            .cargo()
            .args(["build", BUILDS_ANYWAY, "--package=rustos"]),
    )?;
    fs::create_dir_all(bin)?;
    let program = project.target.join("debug/rustos");
    let names = fs::read_to_string(project.root.join("multicall/programs.txt"))?;
    // The shell stays dash's; init would try to be process 1.
    let names = names
        .lines()
        .filter(|name| !matches!(*name, "sh" | "init" | ""));
    for name in names.filter(|name| !name.starts_with('#')) {
        link(&program, &bin.join(name))?;
    }
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    match fs::remove_file(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(std::os::unix::fs::symlink(to, at)?)
}
