//! Installing Debian packages: only with the rights to do so, and only what was found missing.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::Need;
use crate::process;

/// The release whose own QEMU is too old and whose backports have a newer one.
const BACKPORTED_RELEASE: u32 = 12;
const BACKPORTS: &str = "bookworm-backports";
const SOURCES_DIR: &str = "/etc/apt/sources.list.d";

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
    let admin = Admin::find()?;
    let packages = Packages::of(release, needs);
    if !packages.backported.is_empty() {
        add_backports(&admin)?;
    }
    packages.calls().iter().try_for_each(|call| admin.apt(call))
}

/// What a person with the rights would type to install `needs`, a line each; elsewhere than on a supported Debian nothing.
pub fn by_hand(needs: &[Need]) -> Vec<String> {
    lines_by_hand(&os_release(), needs)
}

fn lines_by_hand(os_release: &str, needs: &[Need]) -> Vec<String> {
    let Ok(release) = supported_release(os_release) else {
        return Vec::new();
    };
    let packages = Packages::of(release, needs);
    let mut lines = Vec::new();
    if packages == Packages::default() {
        return lines;
    }
    if !packages.backported.is_empty() {
        lines.push(format!("add the suite {BACKPORTS} to apt's sources"));
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

/// Makes the backports suite known to apt, from the same place and with the same key as the suites
/// that are there already.
fn add_backports(admin: &Admin) -> Result<()> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(dir) = fs::read_dir(SOURCES_DIR) {
        files.extend(dir.flatten().map(|entry| entry.path()));
    }
    let texts: Vec<_> = files
        .iter()
        .filter_map(|file| Some((file, fs::read_to_string(file).ok()?)))
        .collect();
    if texts.iter().any(|(_, text)| names_suite(text, BACKPORTS)) {
        return Ok(());
    }
    let (text, ending) = texts
        .iter()
        .find_map(
            |(file, text)| match file.extension().and_then(|e| e.to_str()) {
                Some("sources") => Some((deb822_entry(text)?, "sources")),
                _ => Some((one_line_entry(text)?, "list")),
            },
        )
        .context("no apt source of Debian 12 itself was found to derive its backports from")?;

    let staged = std::env::temp_dir().join(format!("rustos-backports-{}", std::process::id()));
    fs::write(&staged, text)?;
    let installed = format!("{SOURCES_DIR}/rustos-backports.{ending}");
    note!("xtask: writing {installed}: Debian 12 itself has only QEMU 7");
    let result = process::run(
        admin
            .command("install")
            .args(["-m", "644"])
            .arg(&staged)
            .arg(&installed),
    );
    fs::remove_file(&staged)?;
    result
}

/// Whether an uncommented line of an apt source names the suite.
fn names_suite(text: &str, suite: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| line.split_whitespace().any(|word| word == suite))
}

/// The stanza for backports in the deb822 format, from the stanza that has the release itself.
fn deb822_entry(text: &str) -> Option<String> {
    let stanza = text.split("\n\n").find(|stanza| {
        stanza
            .lines()
            .filter_map(|line| line.strip_prefix("Suites:"))
            .any(|suites| suites.split_whitespace().any(|suite| suite == "bookworm"))
    })?;
    let mut entry = String::new();
    for line in stanza.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with("Suites:") {
            entry.push_str(&format!("Suites: {BACKPORTS}\n"));
        } else if !line.trim().is_empty() {
            entry.push_str(line);
            entry.push('\n');
        }
    }
    Some(entry)
}

/// The same in the one-line format.
fn one_line_entry(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let suite = words.iter().position(|&word| word == "bookworm")?;
        if words[0] != "deb" {
            return None;
        }
        let before = words[..suite].join(" ");
        Some(format!(
            "{before} {BACKPORTS} {}\n",
            words[suite + 1..].join(" ")
        ))
    })
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

    const DEB822: &str = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/key.gpg\n\n\
        Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\n";

    #[test]
    fn the_entry_keeps_place_and_key() {
        assert_eq!(
            deb822_entry(DEB822).unwrap(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: /usr/share/key.gpg\n"
        );
        assert_eq!(
            one_line_entry("# deb x\ndeb [signed-by=/k.gpg] http://mirror.example/d bookworm main")
                .unwrap(),
            "deb [signed-by=/k.gpg] http://mirror.example/d bookworm-backports main\n"
        );
    }

    #[test]
    fn a_source_without_the_release_gives_nothing() {
        assert_eq!(deb822_entry("Types: deb\nSuites: nodistro\n"), None);
        assert_eq!(
            one_line_entry("deb http://mirror.example/x stable main\n"),
            None
        );
    }

    #[test]
    fn a_commented_suite_does_not_count() {
        assert!(names_suite("Suites: bookworm-backports", BACKPORTS));
        assert!(!names_suite("# Suites: bookworm-backports", BACKPORTS));
        assert!(!names_suite("Suites: bookworm", BACKPORTS));
    }

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
            assert!(lines_by_hand(text, &[Need::Qemu]).is_empty(), "{text}");
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
        let needs = [Need::CrossCompiler, Need::Qemu];
        assert_eq!(
            lines_by_hand("ID=debian\nVERSION_ID=\"12\"", &needs),
            [
                "add the suite bookworm-backports to apt's sources",
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                "sudo apt-get install --yes --no-install-recommends --target-release bookworm-backports qemu-system-arm",
            ]
        );
        assert_eq!(
            lines_by_hand("ID=debian\nVERSION_ID=\"13\"", &[Need::Qemu]),
            [
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends qemu-system-arm"
            ]
        );
        assert!(lines_by_hand("ID=debian\nVERSION_ID=\"12\"", &[Need::Clippy]).is_empty());
    }

    #[test]
    fn other_distributions_are_told_apart() {
        assert_eq!(debian_release("ID=debian\nVERSION_ID=\"12\"\n"), Some(12));
        assert_eq!(debian_release("ID=ubuntu\nVERSION_ID=\"24.04\"\n"), None);
        assert_eq!(debian_release(""), None);
    }
}
