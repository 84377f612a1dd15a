//! Where things are: the repository, its target folder, the toolchain's own binaries.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

/// Target of the linked programs.
pub const PROGRAM_TARGET: &str = "aarch64-unknown-linux-musl";
/// Target of the kernel: no FP registers, no operating system.
pub const KERNEL_TARGET: &str = "aarch64-unknown-none-softfloat";

/// The shell's crates declare a newer compiler than they need.
pub const BUILDS_ANYWAY: &str = "--ignore-rust-version";

pub struct Project {
    /// The repository.
    pub root: PathBuf,
    /// Cargo's target folder (`CARGO_TARGET_DIR` is honoured).
    pub target: PathBuf,
    toolchain: OnceLock<Toolchain>,
}

/// The active Rust toolchain.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub sysroot: PathBuf,
    pub host: String,
}

impl Project {
    pub fn locate() -> Result<Self> {
        let here = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(package) => PathBuf::from(package),
            None => env::current_dir().context("the current folder cannot be read")?,
        };
        let Some(root) = here.ancestors().find(|dir| dir.join("linker.ld").is_file()) else {
            bail!("{} is not inside the RustOS repository", here.display());
        };
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => env::current_dir()?.join(dir),
            None => root.join("target"),
        };
        for path in [root, &target] {
            // Cargo, which hands paths on in lines of text, could not either.
            if path.to_str().is_none_or(|path| path.contains('\n')) {
                bail!(
                    "{} is no path to build in: it is not a line of text",
                    path.display()
                );
            }
        }
        Ok(Self {
            root: root.into(),
            target,
            toolchain: OnceLock::new(),
        })
    }

    /// The toolchain that `rust-toolchain.toml` names. Asked once a run: it costs a process.
    pub fn toolchain(&self) -> Result<&Toolchain> {
        if let Some(toolchain) = self.toolchain.get() {
            return Ok(toolchain);
        }
        let toolchain = Toolchain::query(&self.root)?;
        Ok(self.toolchain.get_or_init(|| toolchain))
    }

    /// A `cargo` that works on this repository and puts its output where xtask looks for it.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        // Cargo sets these for xtask itself; build scripts of other packages must not see them.
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_"))
            {
                cargo.env_remove(name);
            }
        }
        cargo.env_remove("CARGO_MANIFEST_DIR");
        cargo
    }

    /// A `cargo` for what runs in the guest. The compiler flags of `.cargo/config.toml` are part of what the image is; cargo would
    /// take those of the environment, which are meant for the host, in their place.
    pub fn guest_cargo(&self) -> Command {
        let mut cargo = self.cargo();
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        cargo
    }
}

impl Toolchain {
    fn query(root: &Path) -> Result<Self> {
        let rustc = |args: &[&str]| -> Result<String> {
            let output = Command::new("rustc")
                .args(args)
                .current_dir(root)
                .output()
                .context("rustc cannot be started: install Rust with rustup")?;
            if !output.status.success() {
                bail!(
                    "rustc {}: {}",
                    args.join(" "),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let version = rustc(&["-vV"])?;
        let field = |name: &str| {
            version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::to_owned)
                .with_context(|| format!("`rustc -vV` names no {name}"))
        };
        Ok(Self {
            sysroot: rustc(&["--print", "sysroot"])?.trim().into(),
            host: field("host")?,
        })
    }

    /// Libraries of one target.
    pub fn target_lib(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target).join("lib")
    }

    /// A binary that comes with the toolchain (rust-lld, llvm-objcopy).
    pub fn tool(&self, name: &str) -> PathBuf {
        self.sysroot
            .join("lib/rustlib")
            .join(&self.host)
            .join("bin")
            .join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn flags_of_the_environment_do_not_reach_the_guest() {
        let project = Project::locate().unwrap();
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            let removed = (OsStr::new(name), None);
            assert!(project.guest_cargo().get_envs().any(|env| env == removed));
            assert!(!project.cargo().get_envs().any(|env| env == removed));
        }
    }
}
