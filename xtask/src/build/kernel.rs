//! The kernel as one relocatable object with nothing visible but its surface.
//!
//! `ld -r` keeps what the surface reaches; objcopy then puts every section under `.kernel` and makes
//! all other symbols local. The kernel's `core`, allocator and `memcpy` cannot clash with those of the
//! linked programs after that, and the linker script can place it apart.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, elf,
    read::archive::ArchiveFile,
};

use super::write_if_changed;
use crate::{
    cli::BuildOptions,
    process,
    project::{KERNEL_TARGET, Project},
};

/// First byte of the image: the Linux arm64 header.
const HEAD: &str = "_image_head";
/// What the programs' libc may call.
const SURFACE: &str = "os_";

/// Builds the kernel; returns its object.
pub fn build(project: &Project, options: &BuildOptions, out: &Path) -> Result<PathBuf> {
    let profile = if options.debug {
        "kernel-debug"
    } else {
        "kernel"
    };
    let mut cargo = project.guest_cargo();
    // One crate type: cargo skips link-time optimisation for a crate that is also an rlib.
    cargo
        .args([
            "rustc",
            "--package=libos-kernel",
            "--lib",
            "--crate-type=staticlib",
        ])
        .args(["--target", KERNEL_TARGET, "--profile", profile]);
    if options.slow {
        cargo.args(["--features", "slow-getpid"]);
    }
    if options.debug || options.frame_pointers {
        // Whole backtraces; the release kernel spares the instructions.
        cargo.args(["--", "-Cforce-frame-pointers=yes"]);
    }
    process::run(&mut cargo).context("the kernel does not build")?;
    let archive = project
        .target
        .join(KERNEL_TARGET)
        .join(profile)
        .join("liblibos_kernel.a");
    let data = fs::read(&archive)?;
    let surface = surface(&data)?;

    let toolchain = project.toolchain()?;
    let linked = out.join("kernel.linked.o");
    let mut lld = Command::new(toolchain.tool("rust-lld"));
    lld.args([
        "-flavor",
        "gnu",
        "-r",
        "--gc-sections",
        "--force-group-allocation",
        "-e",
        HEAD,
    ]);
    for name in &surface {
        lld.args(["-u", name]);
    }
    process::capture(lld.arg("-o").arg(&linked).arg(&archive))?;

    let fresh = out.join("kernel.fresh.o");
    process::capture(
        Command::new(toolchain.tool("llvm-objcopy"))
            .args(["--prefix-alloc-sections=.kernel", "--wildcard"])
            .arg(format!("--keep-global-symbol={SURFACE}*"))
            .arg(format!("--keep-global-symbol={HEAD}"))
            .arg(&linked)
            .arg(&fresh),
    )?;
    let data = fs::read(&fresh)?;
    check_relocations(&data)?;
    let object = out.join("kernel.o");
    write_if_changed(&object, &data)?;
    fs::remove_file(&fresh)?;
    fs::remove_file(&linked)?;
    Ok(object)
}

/// Names of the kernel's operations, read from its archive.
fn surface(archive: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for member in ArchiveFile::parse(archive)?.members() {
        let file = object::File::parse(member?.data(archive)?)?;
        for symbol in file
            .symbols()
            .filter(|s| s.is_global() && !s.is_undefined())
        {
            if let Ok(name) = symbol.name()
                && name.starts_with(SURFACE)
            {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Refuses code that would reach its data through the programs' global offset table: that is in the
/// other half of the address space, and its pages belong to processes.
fn check_relocations(kernel: &[u8]) -> Result<()> {
    let file = object::File::parse(kernel)?;
    for section in file.sections() {
        for (_, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            if matches!(
                r_type,
                elf::R_AARCH64_ADR_GOT_PAGE | elf::R_AARCH64_LD64_GOT_LO12_NC
            ) {
                let name = match relocation.target() {
                    RelocationTarget::Symbol(index) => file.symbol_by_index(index)?.name()?,
                    _ => "?",
                };
                bail!(
                    "the kernel's section {} reaches `{name}` through a global offset table: \
                     a weak or position-independent reference, which the kernel must not have",
                    section.name()?
                );
            }
        }
    }
    Ok(())
}
