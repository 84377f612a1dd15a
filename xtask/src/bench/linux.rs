//! The peer: Debian's cloud kernel, with the same programs built as ordinary static Linux programs.
//!
//! apt fetches the package into a folder of its own, with arm64 as its only architecture, so that
//! neither the host's package lists nor its architectures change.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::initramfs::Archive;
use crate::{
    build, process,
    project::{BUILDS_ANYWAY, PROGRAM_TARGET, Project},
};

/// Depends on the newest kernel that is meant for virtual machines.
const PACKAGE: &str = "linux-image-cloud-arm64";

pub struct LinuxGuest {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// The package with its version.
    pub version: String,
    /// Why the shell and the utilities are not in it, if they are not.
    pub without_programs: Option<String>,
}

/// Fetches and builds what is not there yet.
pub fn prepare(project: &Project) -> Result<LinuxGuest> {
    let _alone = build::alone(project)?;
    let folder = project.target.join("linux-guest");
    fs::create_dir_all(&folder)?;
    let (kernel, version) = kernel(&folder)?;
    if built(&folder, "multicall").is_file() {
        note!("xtask: bringing the programs for Linux up to date");
    } else {
        note!("xtask: building the programs for Linux, which takes minutes the first time");
    }
    let bench = cargo_build(project, &folder, "bench")?;
    let programs = cargo_build(project, &folder, "multicall")
        .context("the shell and the utilities could not be built for Linux");
    let initramfs = folder.join("initramfs.cpio");
    let packed = pack(
        project,
        &folder,
        &bench,
        programs.as_deref().ok(),
        &initramfs,
    );
    packed.context("the initramfs of the Linux guest")?;
    Ok(LinuxGuest {
        kernel,
        initramfs,
        version,
        without_programs: programs.err().map(|error| format!("{error:#}")),
    })
}

/// The kernel, unpacked; fetched when it is not there.
fn kernel(folder: &Path) -> Result<(PathBuf, String)> {
    let root = folder.join("root");
    if let Some(found) = unpacked(&root)? {
        return Ok(found);
    }
    for (tool, package) in [("apt-get", "apt"), ("dpkg-deb", "dpkg")] {
        if Command::new(tool).arg("--version").output().is_err() {
            bail!("{tool} (of {package}) is missing: it fetches {PACKAGE}");
        }
    }
    note!("xtask: fetching {PACKAGE}, to measure beside it");
    let apt = folder.join("apt");
    // What an interruption has left could be of another version.
    let fresh = folder.join("root.new");
    for stale in [&fresh, &apt.join("packages")] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    for part in ["lists/partial", "cache/archives/partial", "packages"] {
        fs::create_dir_all(apt.join(part))?;
    }
    fs::write(apt.join("status"), "")?;
    let mut settings = vec![
        "APT::Architecture=arm64".to_owned(),
        "APT::Architectures=arm64".into(),
        "Acquire::Languages=none".into(),
        // The folder need not be open to apt's own user.
        "APT::Sandbox::User=root".into(),
    ];
    for (name, part) in [
        ("Dir::State", ""),
        ("Dir::State::lists", "lists"),
        ("Dir::State::status", "status"),
        ("Dir::Cache", "cache"),
    ] {
        settings.push(format!("{name}={}", apt.join(part).display()));
    }
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        for setting in &settings {
            command.args(["-o", setting]);
        }
        command.args(words).current_dir(apt.join("packages"));
        process::capture(&mut command)
    };
    run("apt-get", &["update"]).context("the lists of arm64 packages")?;
    let depends = run("apt-cache", &["depends", PACKAGE])?;
    let depends = String::from_utf8_lossy(&depends);
    let image = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("the package sources have no {PACKAGE}"))?;
    run("apt-get", &["download", image]).with_context(|| format!("package {image}"))?;
    // Under another name until it is whole: what an interruption leaves must not look finished.
    for package in fs::read_dir(apt.join("packages"))? {
        process::capture(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(package?.path())
                .arg(&fresh),
        )?;
    }
    fs::rename(&fresh, &root).context("the unpacked package")?;
    unpacked(&root)?.with_context(|| format!("package {image} holds no kernel"))
}

fn unpacked(root: &Path) -> Result<Option<(PathBuf, String)>> {
    let boot = root.join("boot");
    if !boot.is_dir() {
        return Ok(None);
    }
    for entry in fs::read_dir(boot)? {
        let entry = entry?;
        if let Some(version) = entry.file_name().to_string_lossy().strip_prefix("vmlinuz-") {
            return Ok(Some((entry.path(), format!("linux-image-{version}"))));
        }
    }
    Ok(None)
}

/// Builds one package as a static Linux program with the toolchain's own musl, by the same profile
/// and from the same versions as the image. Cargo itself knows what is built already.
fn cargo_build(project: &Project, folder: &Path, package: &str) -> Result<PathBuf> {
    let mut cargo = project.guest_cargo();
    cargo
        // In the place of the image's flags, which leave musl out.
        .env(
            "RUSTFLAGS",
            "-Clinker=rust-lld -Clink-self-contained=yes -Ctarget-cpu=cortex-a72",
        )
        .env("CC_aarch64_unknown_linux_musl", "aarch64-linux-gnu-gcc")
        .env("AR_aarch64_unknown_linux_musl", "aarch64-linux-gnu-ar")
        .env("CARGO_TARGET_DIR", folder)
        .args(["build", "--quiet", BUILDS_ANYWAY, "--release"])
        .args(["--target", PROGRAM_TARGET])
        .args(["--package", package, "--bin", package]);
    process::run(&mut cargo)?;
    Ok(built(folder, package))
}

/// Where cargo puts a program.
fn built(folder: &Path, package: &str) -> PathBuf {
    folder.join(PROGRAM_TARGET).join("release").join(package)
}

fn pack(
    project: &Project,
    folder: &Path,
    bench: &Path,
    programs: Option<&Path>,
    to: &Path,
) -> Result<()> {
    let stripped = |program: &Path| -> Result<Vec<u8>> {
        let out = folder.join("stripped");
        process::capture(
            Command::new(project.toolchain()?.tool("llvm-objcopy"))
                .arg("--strip-all")
                .arg(program)
                .arg(&out),
        )?;
        Ok(fs::read(out)?)
    };
    let mut archive = Archive::new(Vec::new());
    for name in ["bin", "proc", "dev", "tmp"] {
        archive.folder(name)?;
    }
    archive.tree(&project.root.join("multicall/rootfs"), "")?;
    let bench = stripped(bench)?;
    archive.program("init", &bench)?;
    archive.link("bin/bench", "../init")?;
    if let Some(programs) = programs {
        archive.program("bin/multicall", &stripped(programs)?)?;
        let names = fs::read_to_string(project.root.join("multicall/programs.txt"))?;
        for name in names.lines().map(str::trim) {
            if !name.is_empty() && !name.starts_with('#') {
                archive.link(&format!("bin/{name}"), "multicall")?;
            }
        }
    }
    fs::write(to, archive.finish()?)?;
    Ok(())
}
