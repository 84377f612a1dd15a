//! Installing Debian packages: only with the rights to do so, and only what was found missing.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use tempfile::NamedTempFile;

use super::{
    Need,
    apt_sources::{self, BACKPORTS, Source},
    on_path,
};
use crate::process::{self, quote};

/// The release whose own QEMU is too old and whose backports have a newer one.
const BACKPORTED_RELEASE: u32 = 12;

/// What apt is to install.
#[derive(Debug, Default, PartialEq, Eq)]
struct Packages {
    plain: Vec<&'static str>,
    /// From [`BACKPORTS`].
    backported: Vec<&'static str>,
}

impl Packages {
    fn of(release: u32, needs: &[Need]) -> Self {
        let mut packages = Self::default();
        for need in needs {
            match need {
                Need::CrossCompiler => packages
                    .plain
                    .extend(["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
                // The EFI ROM of the default network card is a package of its own: not needed.
                Need::Qemu if release == BACKPORTED_RELEASE => {
                    packages.backported.push("qemu-system-arm");
                }
                Need::Qemu => packages.plain.push("qemu-system-arm"),
                Need::Browser => packages.plain.push("chromium"),
                _ => {}
            }
        }
        packages
    }

    /// The words for apt-get, a call each.
    fn calls(&self) -> Vec<Vec<&'static str>> {
        const INSTALL: [&str; 3] = ["install", "--yes", "--no-install-recommends"];
        let mut calls = vec![vec!["update"]];
        if !self.plain.is_empty() {
            calls.push([&INSTALL[..], &self.plain].concat());
        }
        if !self.backported.is_empty() {
            calls.push(
                [
                    &INSTALL[..],
                    &["--target-release", BACKPORTS],
                    &self.backported,
                ]
                .concat(),
            );
        }
        calls
    }
}

/// Installs what `needs` stand for with apt.
pub fn install(needs: &[Need]) -> Result<()> {
    if needs.is_empty() {
        return Ok(());
    }
    let release = supported_release(&os_release())?;
    // Before anything is changed.
    on_path("apt-get").context("apt-get is not here")?;
    let admin = Admin::find()?;
    let packages = Packages::of(release, needs);
    if !packages.backported.is_empty() {
        add_backports(&admin)?;
    }
    packages.calls().iter().try_for_each(|call| admin.apt(call))
}

/// What a person with the rights would type to install `needs`, a line each; elsewhere than on a supported Debian nothing.
pub fn by_hand(needs: &[Need]) -> Vec<String> {
    lines_by_hand(&os_release(), &apt_sources::read(), needs)
}

fn lines_by_hand(os_release: &str, sources: &[Source], needs: &[Need]) -> Vec<String> {
    let Ok(release) = supported_release(os_release) else {
        return Vec::new();
    };
    let packages = Packages::of(release, needs);
    let mut lines = Vec::new();
    if packages == Packages::default() {
        return lines;
    }
    if !packages.backported.is_empty() && !apt_sources::has_backports(sources) {
        lines.push(match apt_sources::backports(sources) {
            Some(new) => {
                let text: Vec<_> = new.text.lines().map(quote).collect();
                let text = text.join(" ");
                format!("printf '%s\\n' {text} | sudo tee {}", quote(&new.path))
            }
            None => format!("add the suite {BACKPORTS} to apt's sources"),
        });
    }
    lines.extend(
        packages
            .calls()
            .iter()
            .map(|call| format!("sudo apt-get {}", call.join(" "))),
    );
    lines
}

fn os_release() -> String {
    fs::read_to_string("/etc/os-release").unwrap_or_default()
}

/// Debian's release number, where packages can be installed.
fn supported_release(os_release: &str) -> Result<u32> {
    debian_release(os_release)
        .filter(|&release| release >= BACKPORTED_RELEASE)
        .context("packages are installed automatically on Debian 12 or later only")
}

/// How this user may change the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admin {
    Root,
    Sudo,
}

impl Admin {
    fn find() -> Result<Self> {
        Self::choose(rustix::process::geteuid().is_root(), || {
            Command::new("sudo")
                .args(["-n", "true"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
    }

    fn choose(is_root: bool, sudo_works: impl FnOnce() -> bool) -> Result<Self> {
        match is_root {
            true => Ok(Self::Root),
            false if sudo_works() => Ok(Self::Sudo),
            false => bail!("installing packages takes root or a sudo that asks for no password"),
        }
    }

    fn command(&self, program: &str) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
                command
            }
        }
    }

    fn apt(&self, words: &[&str]) -> Result<()> {
        let mut command = self.command("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(words)
            .stdin(Stdio::null());
        note!("xtask: {}", process::describe(&command));
        process::run(&mut command)
    }
}

/// Makes the backports suite known to apt.
fn add_backports(admin: &Admin) -> Result<()> {
    let sources = apt_sources::read();
    if apt_sources::has_backports(&sources) {
        return Ok(());
    }
    let new = apt_sources::backports(&sources)
        .context("no apt source of Debian 12 itself was found to derive its backports from")?;
    let mut staged = NamedTempFile::new()?;
    staged.write_all(new.text.as_bytes())?;
    note!(
        "xtask: writing {}: Debian 12 itself has only QEMU 7",
        new.path
    );
    process::run(
        admin
            .command("install")
            .args(["-m", "644"])
            .arg(staged.path())
            .arg(&new.path),
    )
}

fn debian_release(os_release: &str) -> Option<u32> {
    let field = |name: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    if field("ID")? != "debian" {
        return None;
    }
    field("VERSION_ID")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_12_or_later_is_installed_on() {
        for text in [
            "ID=fedora\nVERSION_ID=42\n",
            "ID=debian\nVERSION_ID=\"11\"\n",
            "ID=debian\n",
            "",
        ] {
            let error = supported_release(text).unwrap_err();
            assert!(error.to_string().contains("Debian 12"), "{text}: {error}");
            assert!(lines_by_hand(text, &[], &[Need::Qemu]).is_empty(), "{text}");
        }
        for (text, release) in [("12", 12), ("13", 13)] {
            let text = format!("ID=debian\nVERSION_ID=\"{text}\"\n");
            assert_eq!(supported_release(&text).unwrap(), release);
        }
    }

    #[test]
    fn only_root_and_a_silent_sudo_may_install() {
        assert_eq!(
            Admin::choose(true, || panic!("root asks no sudo")).unwrap(),
            Admin::Root
        );
        assert_eq!(Admin::choose(false, || true).unwrap(), Admin::Sudo);
        let error = Admin::choose(false, || false).unwrap_err();
        assert!(error.to_string().contains("sudo"), "{error}");
    }

    #[test]
    fn debian_12_takes_qemu_from_its_backports() {
        const DEBIAN_12: &str = "ID=debian\nVERSION_ID=\"12\"";
        let from = |suite| Source::of_line(&format!("deb http://mirror.example/d {suite} main"));
        let needs = [Need::CrossCompiler, Need::Qemu];
        assert_eq!(
            lines_by_hand(DEBIAN_12, &[from("bookworm")], &needs),
            [
                "printf '%s\\n' 'deb http://mirror.example/d bookworm-backports main' \
                 | sudo tee /etc/apt/sources.list.d/rustos-backports.list",
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                "sudo apt-get install --yes --no-install-recommends --target-release bookworm-backports qemu-system-arm",
            ]
        );
        assert_eq!(
            lines_by_hand(DEBIAN_12, &[from(BACKPORTS)], &[Need::Qemu]),
            [
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends --target-release bookworm-backports qemu-system-arm",
            ]
        );
        let nowhere = lines_by_hand(DEBIAN_12, &[], &[Need::Qemu]);
        assert_eq!(
            nowhere[0],
            "add the suite bookworm-backports to apt's sources"
        );
        assert_eq!(
            lines_by_hand("ID=debian\nVERSION_ID=\"13\"", &[], &[Need::Qemu]),
            [
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends qemu-system-arm"
            ]
        );
        assert!(lines_by_hand(DEBIAN_12, &[], &[Need::Clippy]).is_empty());
    }

    #[test]
    fn other_distributions_are_told_apart() {
        assert_eq!(debian_release("ID=debian\nVERSION_ID=\"12\"\n"), Some(12));
        assert_eq!(debian_release("ID=ubuntu\nVERSION_ID=\"24.04\"\n"), None);
        assert_eq!(debian_release(""), None);
    }
}
