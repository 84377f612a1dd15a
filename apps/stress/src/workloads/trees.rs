//! Names at scale: trees of directories built, linked, renamed, walked and torn down, by several at once.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::support::{End, expect_end, spawn};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..3) {
        0 => tree(rng),
        1 => names(rng),
        _ => fought_over(rng),
    }
}

/// A random tree holds exactly what was put there.
fn tree(rng: &mut Rng) -> Result<()> {
    let root = PathBuf::from("tree");
    fs::create_dir(&root)?;
    let mut directories = vec![root.clone()];
    let mut expected = BTreeSet::new();
    for n in 0..rng.u32(10..150) {
        let parent = directories[rng.usize(..directories.len())].clone();
        let path = parent.join(format!("{n}{}", "n".repeat(rng.usize(..40))));
        if rng.u32(..3) == 0 {
            fs::create_dir(&path)?;
            directories.push(path.clone());
        } else {
            fs::write(&path, path.as_os_str().as_encoded_bytes())?;
        }
        expected.insert(path);
    }
    if rng.bool() {
        fs::rename(&root, "moved")?;
        fs::rename("moved", &root)?;
    }
    let mut found = BTreeSet::new();
    walk(&root, &mut found)?;
    ensure!(found == expected, "the tree holds other names");
    fs::remove_dir_all(&root).context("removing the tree")
}

fn walk(directory: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            let text = fs::read(entry.path())?;
            ensure!(
                text == entry.path().as_os_str().as_encoded_bytes(),
                "{:?} holds {text:?}",
                entry.path()
            );
        }
        found.insert(entry.path());
    }
    Ok(())
}

/// Hard links count, symbolic links lead there, renames replace.
fn names(rng: &mut Rng) -> Result<()> {
    fs::write("file", "contents")?;
    let links = rng.u64(1..30);
    for n in 0..links {
        fs::hard_link("file", format!("hard{n}"))?;
        symlink(format!("hard{n}"), format!("soft{n}"))?;
    }
    ensure!(
        fs::metadata("file")?.nlink() == links + 1,
        "the links are miscounted"
    );
    for n in 0..links {
        ensure!(
            fs::read_to_string(format!("soft{n}"))? == "contents",
            "soft{n} leads elsewhere"
        );
        fs::write("new", "other")?;
        fs::rename("new", format!("hard{n}"))?;
        ensure!(
            fs::read_to_string(format!("soft{n}"))? == "other",
            "soft{n} leads to the old file"
        );
    }
    ensure!(
        fs::metadata("file")?.nlink() == 1,
        "the replaced links are still counted"
    );
    for n in 0..links {
        fs::remove_file(format!("hard{n}"))?;
        let dangling = fs::metadata(format!("soft{n}"))
            .err()
            .map(|error| error.kind());
        ensure!(
            dangling == Some(ErrorKind::NotFound),
            "soft{n} still leads somewhere"
        );
        fs::remove_file(format!("soft{n}"))?;
    }
    Ok(fs::remove_file("file")?)
}

/// Several processes make, rename and remove the same few names: any of it may fail, nothing may break.
fn fought_over(rng: &mut Rng) -> Result<()> {
    fs::create_dir("field")?;
    let mut children = Vec::new();
    for _ in 0..rng.u32(2..5) {
        let mut rng = rng.fork();
        children.push(spawn(|| {
            for _ in 0..60 {
                let [a, b] = [0, 1].map(|_| format!("field/{}", rng.u32(..5)));
                let result = match rng.u32(..8) {
                    0 | 1 => fs::write(&a, "x"),
                    2 => fs::create_dir(&a),
                    3 | 4 => fs::rename(&a, &b),
                    5 => fs::remove_file(&a),
                    6 => fs::remove_dir_all(&a),
                    _ => fs::hard_link(&a, &b),
                };
                let fine = [
                    0,
                    libc::ENOENT,
                    libc::EEXIST,
                    libc::EISDIR,
                    libc::ENOTDIR,
                    libc::ENOTEMPTY,
                    libc::EINVAL,
                    libc::EPERM,
                ];
                let errno = result
                    .err()
                    .and_then(|error| error.raw_os_error())
                    .unwrap_or(0);
                ensure!(fine.contains(&errno), "{a} and {b}: error {errno}");
            }
            Ok(())
        })?);
    }
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))?;
    fs::remove_dir_all("field").context("removing what they fought over")
}
