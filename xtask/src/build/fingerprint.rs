//! Whether an image is up to date: the names, times and sizes of every file that goes into it.
//!
//! Cargo would find out too, but asks several processes and half a second for it; a second boot of
//! an unchanged image should start QEMU at once.

use std::{
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::Result;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::{cli::BuildOptions, project::Project};

/// Files and folders of the repository that the image is made of.
const SOURCES: &[&str] = &[
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "apps",
    "build.rs",
    "libos",
    "linker.ld",
    "multicall",
    "rust-toolchain.toml",
    "xtask/src/build",
    "xtask/src/build.rs",
];
const FILE: &str = "fingerprint.json";

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    options: String,
    /// Folders outside the repository that a linked program comes from.
    folders: Vec<PathBuf>,
    /// Path, modification time in ns, length.
    files: Vec<(PathBuf, u128, u64)>,
}

/// Whether the build in `out` was made from exactly what is there now.
pub fn is_current(project: &Project, options: &BuildOptions, out: &Path) -> Result<bool> {
    let Ok(text) = fs::read_to_string(out.join(FILE)) else {
        return Ok(false);
    };
    let Ok(stored) = serde_json::from_str::<Fingerprint>(&text) else {
        return Ok(false);
    };
    Ok(take(project, options, &stored.folders)? == stored)
}

/// Reads the present state.
pub fn take(project: &Project, options: &BuildOptions, folders: &[PathBuf]) -> Result<Fingerprint> {
    let mut files = Vec::new();
    let inside = SOURCES.iter().map(|name| project.root.join(name));
    for path in inside.chain(folders.iter().cloned()) {
        if path.exists() {
            add(&path, &mut files)?;
        }
    }
    files.sort();
    Ok(Fingerprint {
        options: format!("{options:?}"),
        folders: folders.into(),
        files,
    })
}

/// Notes that what is in `out` is being built anew.
pub fn forget(out: &Path) -> Result<()> {
    unless_gone(fs::remove_file(out.join(FILE)))?;
    Ok(())
}

/// Notes that the build in `out` is finished.
pub fn store(fingerprint: &Fingerprint, out: &Path) -> Result<()> {
    fs::write(out.join(FILE), serde_json::to_string(fingerprint)?)?;
    Ok(())
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn add(path: &Path, files: &mut Vec<(PathBuf, u128, u64)>) -> Result<()> {
    // What is listed and then not there, such as an editor's temporary file, is not there.
    let Some(metadata) = unless_gone(fs::symlink_metadata(path))? else {
        return Ok(());
    };
    if metadata.is_dir() {
        let name = path.file_name().unwrap_or_default();
        if name == "target" || name == ".git" {
            return Ok(());
        }
        let Some(entries) = unless_gone(fs::read_dir(path))? else {
            return Ok(());
        };
        for entry in entries {
            add(&entry?.path(), files)?;
        }
        return Ok(());
    }
    let modified = metadata
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    files.push((path.into(), modified.as_nanos(), metadata.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_meanwhile_is_not_there() {
        let mut files = Vec::new();
        add(Path::new("/no/such/file"), &mut files).unwrap();
        assert!(files.is_empty());
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        add(folder.path(), &mut files).unwrap();
        assert_eq!(files.len(), 1);
    }
}
