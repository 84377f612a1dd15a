//! Files that are written after a long run: looked at before it, and told of in one way when they fail.

use std::path::Path;

use anyhow::Result;

use crate::failure::usage;

/// Refuses what could not be written afterwards, as far as can be told without writing.
pub fn check<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    for file in files {
        let folder = file.parent().filter(|folder| *folder != Path::new(""));
        let why = if file.is_dir() {
            "it is a directory"
        } else if folder.is_some_and(|folder| !folder.is_dir()) {
            "its folder must exist"
        } else {
            continue;
        };
        return Err(usage(format!(
            "{} cannot be written: {why}",
            file.display()
        )));
    }
    Ok(())
}

/// Whether it was written; says so, or why not.
pub fn was_written(file: &Path, written: Result<()>) -> bool {
    match &written {
        Ok(()) => note!("xtask: wrote {}", file.display()),
        Err(error) => note!("xtask: {} was not written: {error:#}", file.display()),
    }
    written.is_ok()
}
