//! `setup`: what the other verbs need, whether it is there, and how it gets there.
//!
//! The check is a handful of file look-ups, so every verb makes it; only `setup` and a verb that
//! misses something go on to install.

mod apt_sources;
mod debian;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, anyhow, bail};

use crate::{
    process,
    project::{KERNEL_TARGET, PROGRAM_TARGET, Project},
};

/// Oldest QEMU that is known to emulate all that RustOS runs on.
const QEMU_OLDEST: u32 = 9;

const CROSS_COMPILER: &str = "aarch64-linux-gnu-gcc";
/// Where Debian puts what the compiler finds by itself: to look there is cheaper than to ask the compiler.
const DEBIANS_HEADER: &str = "/usr/aarch64-linux-gnu/include/stdio.h";
/// In the environment it forbids to install anything.
const NO_INSTALL: &str = "RUSTOS_NO_INSTALL";

/// Something that a verb cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    ProgramTarget,
    KernelTarget,
    LlvmTools,
    Rustfmt,
    Clippy,
    CrossCompiler,
    Qemu,
    Browser,
}

/// What building the image takes.
pub const TO_BUILD: &[Need] = &[
    Need::ProgramTarget,
    Need::KernelTarget,
    Need::LlvmTools,
    Need::CrossCompiler,
];
/// What building and booting takes.
pub const TO_RUN: &[Need] = &[
    Need::ProgramTarget,
    Need::KernelTarget,
    Need::LlvmTools,
    Need::CrossCompiler,
    Need::Qemu,
];
const EVERYTHING: &[Need] = &[
    Need::ProgramTarget,
    Need::KernelTarget,
    Need::LlvmTools,
    Need::Rustfmt,
    Need::Clippy,
    Need::CrossCompiler,
    Need::Qemu,
];

impl Need {
    fn what(self) -> String {
        match self {
            Self::ProgramTarget => format!("Rust target {PROGRAM_TARGET}"),
            Self::KernelTarget => format!("Rust target {KERNEL_TARGET}"),
            Self::LlvmTools => "Rust component llvm-tools".into(),
            Self::Rustfmt => "Rust component rustfmt".into(),
            Self::Clippy => "Rust component clippy".into(),
            Self::CrossCompiler => {
                "aarch64-linux-gnu-gcc with its C library (Debian's gcc-aarch64-linux-gnu and libc6-dev-arm64-cross)".into()
            }
            Self::Qemu => format!("qemu-system-aarch64 (Debian's qemu-system-arm, version {QEMU_OLDEST} or newer)"),
            Self::Browser => "chromium".into(),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::ProgramTarget => "the standard library of the linked programs",
            Self::KernelTarget => "the core library of the kernel",
            Self::LlvmTools => "llvm-objcopy makes the kernel a link unit of its own",
            Self::Rustfmt => "`cargo xtask fmt`",
            Self::Clippy => "`cargo xtask lint`",
            Self::CrossCompiler => "`expr` compiles a C library, onig_sys, for the image",
            Self::Qemu => "the machine that boots the image",
            Self::Browser => "a test opens the benchmark's page in it",
        }
    }

    /// The `rustup` words that install it, if rustup does.
    fn rustup(self) -> Option<[&'static str; 3]> {
        match self {
            Self::ProgramTarget => Some(["target", "add", PROGRAM_TARGET]),
            Self::KernelTarget => Some(["target", "add", KERNEL_TARGET]),
            Self::LlvmTools => Some(["component", "add", "llvm-tools"]),
            Self::Rustfmt => Some(["component", "add", "rustfmt"]),
            Self::Clippy => Some(["component", "add", "clippy"]),
            Self::CrossCompiler | Self::Qemu | Self::Browser => None,
        }
    }

    fn is_met(self, project: &Project) -> Result<bool> {
        let toolchain = project.toolchain()?;
        Ok(match self {
            Self::ProgramTarget => toolchain.target_lib(PROGRAM_TARGET).is_dir(),
            Self::KernelTarget => toolchain.target_lib(KERNEL_TARGET).is_dir(),
            Self::LlvmTools => toolchain.tool("llvm-objcopy").is_file(),
            Self::Rustfmt => toolchain.sysroot.join("bin/rustfmt").is_file(),
            Self::Clippy => toolchain.sysroot.join("bin/cargo-clippy").is_file(),
            Self::CrossCompiler => {
                on_path(CROSS_COMPILER).is_some()
                    && (Path::new(DEBIANS_HEADER).is_file() || cross_compiler_has_headers())
            }
            Self::Qemu => qemu_version().is_some_and(|major| major >= QEMU_OLDEST),
            Self::Browser => browser().is_some(),
        })
    }
}

/// `cargo xtask setup`.
pub fn run(project: &Project) -> Result<u8> {
    ensure(project, EVERYTHING)?;
    say!("Everything that RustOS needs is installed.");
    Ok(0)
}

/// Installs those of `needs` that are missing, or says exactly what to install and fails.
pub fn ensure(project: &Project, needs: &[Need]) -> Result<()> {
    let missing = missing(project, needs)?;
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        note!("xtask: missing: {} ({})", need.what(), need.why());
    }
    let (by_rustup, by_system): (Vec<Need>, Vec<Need>) = missing
        .into_iter()
        .partition(|need| need.rustup().is_some());
    let result = if env::var_os(NO_INSTALL).is_some_and(|value| !value.is_empty()) {
        Err(anyhow!("{NO_INSTALL} is set: nothing is installed"))
    } else {
        add_to_rust(project, &by_rustup).and_then(|()| debian::install(&by_system))
    };
    let still = self::missing(project, needs)?;
    match result {
        Ok(()) if still.is_empty() => Ok(()),
        outcome => {
            let reason = outcome
                .err()
                .map(|error| format!("{error:#}\n"))
                .unwrap_or_default();
            bail!(
                "{reason}install by hand, then run this again:\n{}",
                by_hand(project, &still)
            );
        }
    }
}

fn missing(project: &Project, needs: &[Need]) -> Result<Vec<Need>> {
    let mut missing = Vec::new();
    for &need in needs {
        if !need.is_met(project)? {
            missing.push(need);
        }
    }
    Ok(missing)
}

fn by_hand(project: &Project, needs: &[Need]) -> String {
    let lines: Vec<_> = needs
        .iter()
        .map(|need| match need.rustup() {
            Some(words) => format!("  {}", process::describe(&rustup(project, &words))),
            None => format!("  {}: {}", need.what(), need.why()),
        })
        .collect();
    let system: Vec<_> = needs
        .iter()
        .copied()
        .filter(|need| need.rustup().is_none())
        .collect();
    let commands = debian::by_hand(&system);
    let commands = commands.iter().map(|command| format!("    {command}"));
    lines
        .into_iter()
        .chain(commands)
        .collect::<Vec<_>>()
        .join("\n")
}

fn add_to_rust(project: &Project, needs: &[Need]) -> Result<()> {
    for words in needs.iter().filter_map(|need| need.rustup()) {
        let mut command = rustup(project, &words);
        note!("xtask: {}", process::describe(&command));
        process::run(&mut command)?;
    }
    Ok(())
}

/// A rustup call for the toolchain in use. Named outright, because rustup may have been told not
/// to follow `rust-toolchain.toml` by installing things.
fn rustup(project: &Project, words: &[&str]) -> Command {
    let toolchain = env::var("RUSTUP_TOOLCHAIN").ok().or_else(|| {
        let sysroot = &project.toolchain().ok()?.sysroot;
        Some(sysroot.file_name()?.to_string_lossy().into_owned())
    });
    let mut command = Command::new("rustup");
    command.args(words);
    if let Some(toolchain) = toolchain {
        command.args(["--toolchain", &toolchain]);
    }
    command
}

fn cross_compiler_has_headers() -> bool {
    Command::new(CROSS_COMPILER)
        .args(["-E", "-include", "stdio.h", "-x", "c", "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The file that a command name stands for.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// A browser that can be run without a screen.
pub fn browser() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| on_path(name))
}

/// Major version of the QEMU on the path.
fn qemu_version() -> Option<u32> {
    on_path(crate::qemu::PROGRAM)?;
    let output = Command::new(crate::qemu::PROGRAM)
        .arg("--version")
        .output()
        .ok()?;
    parse_qemu_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_qemu_version(text: &str) -> Option<u32> {
    text.split("version ")
        .nth(1)?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_qemus_own_words() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c) …";
        assert_eq!(parse_qemu_version(text), Some(10));
        assert_eq!(parse_qemu_version("QEMU emulator version 7.2.17"), Some(7));
        assert_eq!(parse_qemu_version("no such thing"), None);
    }
}
