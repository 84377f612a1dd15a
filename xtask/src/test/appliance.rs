//! An appliance: an image without the shell that boots straight into one linked program. To build it takes minutes, so it is
//! made on demand.

use std::time::Duration;

use anyhow::Result;

use super::{guest_suites::explain, image, report::Report};
use crate::{
    build::{self, Image},
    cli::{BuildOptions, MachineOptions},
    guest::{self, End},
    project::Project,
    qemu,
};

const PROGRAM: &str = "hello";
const OUTPUT: &str = "Hello, world!\n";
const LIMIT: Duration = Duration::from_secs(60);

pub fn run(project: &Project, suite: &str, report: &mut Report) -> Result<()> {
    let options = BuildOptions {
        no_shell: true,
        init: Some(PROGRAM.into()),
        ..BuildOptions::default()
    };
    let appliance = match build::image(project, &options) {
        Ok(image) => image,
        Err(error) => {
            report.failed(suite, "builds", &format!("{error:#}"));
            return Ok(());
        }
    };
    report.record(
        suite,
        "boots straight into its program and ends with it",
        ends(&appliance, "", OUTPUT, 0)?,
    );
    report.record(
        suite,
        "the program's status is the machine's",
        ends(&appliance, "init=false", "", 1)?,
    );
    report.record(
        suite,
        "holds no function of a GPL crate",
        image::holds_no_gpl(project, &appliance)?,
    );
    report.record(
        suite,
        "has no shell",
        ends(&appliance, "init=sh", "", 0)?
            .err()
            .filter(|why| why.contains("cannot start /bin/sh"))
            .map(drop)
            .ok_or_else(|| "sh started".into()),
    );
    Ok(())
}

/// Boots with these words on the kernel's command line, and compares.
fn ends(image: &Image, words: &str, stdout: &str, status: i32) -> Result<Result<(), String>> {
    let words = format!("console=framed {words}");
    let arguments = qemu::arguments(&image.file, &MachineOptions::default(), &words);
    let (boot, output) = guest::capture(arguments, LIMIT)?;
    let found = String::from_utf8_lossy(&output.stdout);
    Ok(if boot.end == End::Exit(status) && found == stdout {
        Ok(())
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("stdout: {found:?}; {}", explain(&boot, &stderr)))
    })
}
