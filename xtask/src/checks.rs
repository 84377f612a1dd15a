//! `fmt`, `lint` and `clean`: cargo's own verbs over every package, each for the target it is made for.

use anyhow::Result;

use crate::{
    process,
    project::{BUILDS_ANYWAY, KERNEL_TARGET, PROGRAM_TARGET, Project},
    setup::{self, Need},
};

/// `cargo xtask fmt`.
pub fn fmt(project: &Project, check: bool) -> Result<u8> {
    setup::ensure(project, &[Need::Rustfmt])?;
    let mut cargo = project.cargo();
    cargo.args(["fmt", "--all"]);
    if check {
        cargo.arg("--check");
    }
    process::show(&mut cargo)?;
    Ok(0)
}

/// `cargo xtask lint`.
pub fn lint(project: &Project) -> Result<u8> {
    let needs = [
        Need::Clippy,
        Need::ProgramTarget,
        Need::KernelTarget,
        Need::CrossCompiler,
    ];
    setup::ensure(project, &needs)?;
    // What the host tests, what the image links, what the kernel is.
    let passes: [&[&str]; 3] = [
        &["--workspace", "--exclude=libos-libc", "--all-targets"],
        &[
            "--package=rustos",
            "--package=libos-libc",
            "--target",
            PROGRAM_TARGET,
        ],
        &["--package=libos-kernel", "--lib", "--target", KERNEL_TARGET],
    ];
    for pass in passes {
        let mut cargo = if pass.contains(&"--target") {
            project.guest_cargo()
        } else {
            project.cargo()
        };
        cargo
            .args(["clippy", BUILDS_ANYWAY])
            .args(pass)
            .args(["--", "-D", "warnings"]);
        process::show(&mut cargo)?;
    }
    Ok(0)
}

/// `cargo xtask clean`.
pub fn clean(project: &Project) -> Result<u8> {
    process::show(project.cargo().arg("clean"))?;
    Ok(0)
}
