//! `test --watch`: once more whenever a source changes.

use std::{thread, time::Duration};

use anyhow::Result;

use crate::{build, project::Project};

const PERIOD: Duration = Duration::from_millis(500);

/// Runs `tests` now and after each change, until interrupted.
pub fn repeat(project: &Project, tests: impl Fn() -> Result<u8>) -> Result<u8> {
    loop {
        let before = build::sources(project)?;
        if let Err(error) = tests() {
            note!("xtask: {error:#}");
        }
        note!("xtask: waiting for a change (Ctrl-C ends)");
        while build::sources(project)? == before {
            thread::sleep(PERIOD);
        }
    }
}
