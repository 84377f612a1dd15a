//! `test --watch`: once more whenever a source changes.

use std::{env, ffi::OsString, thread, time::Duration};

use anyhow::Result;

use crate::{build, process, project::Project};

const PERIOD: Duration = Duration::from_millis(500);

/// Runs the tests now and after each change, until a signal ends it. Each time by an xtask of its own, made from the sources as
/// they are then.
pub fn repeat(project: &Project) -> Result<u8> {
    let words: Vec<_> = without_watch(env::args_os().skip(1)).collect();
    loop {
        let before = build::sources(project)?;
        let mut cargo = project.cargo();
        cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
        match process::tied(cargo.args(&words)).status() {
            // The tests have said themselves what is wrong.
            Ok(_) => {}
            Err(error) => note!("xtask: cannot start cargo: {error}"),
        }
        note!("xtask: waiting for a change (Ctrl-C ends)");
        while build::sources(project)? == before {
            thread::sleep(PERIOD);
        }
    }
}

fn without_watch(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    words.filter(|word| word != "--watch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_is_asked_for_the_same_tests() {
        let words = ["test", "--watch", "--suite", "host"].map(OsString::from);
        let words: Vec<_> = without_watch(words.into_iter()).collect();
        assert_eq!(words, ["test", "--suite", "host"]);
    }
}
