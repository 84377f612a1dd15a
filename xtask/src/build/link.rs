//! The final link: cargo builds the linked programs and `build.rs` adds the objects made here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;

use super::{programs::EMPTY_ARCHIVE, write_if_changed};
use crate::{
    cli::BuildOptions,
    process,
    project::{BUILDS_ANYWAY, PROGRAM_TARGET, Project},
};

/// Links the image; returns the ELF that cargo made.
pub fn image(
    project: &Project,
    options: &BuildOptions,
    objects: &[PathBuf],
    out: &Path,
) -> Result<PathBuf> {
    let toolchain = project.toolchain()?;
    // std asks for `-lc`; the C library is libos/libc. The unwinder is the toolchain's own.
    let libraries = out.join("lib");
    fs::create_dir_all(&libraries)?;
    write_if_changed(&libraries.join("libc.a"), EMPTY_ARCHIVE)?;
    let unwinder = toolchain
        .target_lib(PROGRAM_TARGET)
        .join("self-contained/libunwind.a");
    let unwinder = fs::read(&unwinder)
        .with_context(|| format!("the toolchain has no {}", unwinder.display()))?;
    write_if_changed(&libraries.join("libunwind.a"), &unwinder)?;

    let objects: Vec<_> = objects
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut cargo = project.guest_cargo();
    cargo
        .args([
            "build",
            BUILDS_ANYWAY,
            "--release",
            "--package=rustos",
            "--target",
            PROGRAM_TARGET,
        ])
        .env("RUSTOS_OBJECTS", objects.join("\n"))
        .env("RUSTOS_LIB_DIR", &libraries);
    if options.no_shell {
        cargo.arg("--no-default-features");
    }
    process::run(&mut cargo).context("the image does not link")?;
    Ok(project.target.join(PROGRAM_TARGET).join("release/rustos"))
}
