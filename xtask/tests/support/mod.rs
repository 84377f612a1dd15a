//! A host to run xtask on that is partly made up: QEMU is a script, and what xtask must not find is not there.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod terminal;

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    time::Duration,
};

use tempfile::TempDir;
use wait_timeout::ChildExt;

/// Nothing here takes long; a test that reaches this hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder with a `bin` in it that goes away with the value.
pub struct Host {
    folder: TempDir,
    path: OsString,
}

impl Host {
    /// All commands of this host, behind those put in its `bin`.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let before = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
        let path = env::join_paths([bin].into_iter().chain(before)).unwrap();
        let host = Self { folder, path };
        host.make_image();
        host
    }

    /// All commands of this host but those whose names begin so.
    pub fn without(missing: &[&str]) -> Self {
        let mut host = Self::new();
        let bin = host.folder().join("bin");
        for dir in env::split_paths(&env::var_os("PATH").unwrap()) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if missing.iter().all(|missing| !name.starts_with(missing)) {
                    // The first on the path wins.
                    symlink(entry.path(), bin.join(name)).ok();
                }
            }
        }
        host.path = bin.into();
        host
    }

    /// What xtask looks at of an image: its header, and which programs it has.
    fn make_image(&self) {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        let mut tar = tar::Builder::new(&mut image);
        let programs = b"ktest\nsh\n";
        let mut header = tar::Header::new_ustar();
        header.set_size(programs.len() as u64);
        tar.append_data(&mut header, ".programs", &programs[..])
            .unwrap();
        tar.finish().unwrap();
        drop(tar);
        fs::write(self.image(), image).unwrap();
        let kernel = object::write::Object::new(
            object::BinaryFormat::Elf,
            object::Architecture::Aarch64,
            object::Endianness::Little,
        );
        fs::write(self.folder().join("image.elf"), kernel.write().unwrap()).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn image(&self) -> PathBuf {
        self.folder().join("image.img")
    }

    /// Puts a shell script on the path, in the place of what is there.
    pub fn with(self, name: &str, script: &str) -> Self {
        let file = self.folder().join("bin").join(name);
        fs::remove_file(&file).ok();
        let mut to = fs::File::create(&file).unwrap();
        write!(to, "#!/bin/sh\n{script}\n").unwrap();
        drop(to);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Puts a script in the place of QEMU, to be run when it is to boot something: `line TEXT` is on the guest's stdout, `end`
    /// is its end with status 0. Its process number is in the file `qemu.pid`.
    pub fn with_qemu(self, boot: &str) -> Self {
        let pid = self.folder().join("qemu.pid");
        let script = format!(
            "[ \"$1\" = --version ] && {{ echo 'QEMU emulator version 10.0.0'; exit; }}\n\
             echo $$ >{}\n\
             line() {{ printf '\\365\\001\\'\"$(printf '%03o' $((${{#1}} + 1)))\"'\\000%s\\n' \"$1\"; }}\n\
             end() {{ printf '\\365\\004\\004\\000\\000\\000\\000\\000'; exit; }}\n\
             {boot}",
            pid.display()
        );
        self.with("qemu-system-aarch64", &script)
    }

    pub fn xtask(&self, words: &[&str]) -> Command {
        // Whoever runs the tests may have them ignore signals, as `nohup` does, and so would what they start.
        let mut command = Command::new("/usr/bin/env");
        command
            .args(["--default-signal", env!("CARGO_BIN_EXE_xtask")])
            .args(words)
            .env("PATH", &self.path)
            .env("CARGO_TARGET_DIR", self.target())
            .env("RUSTOS_NO_INSTALL", "1");
        command
    }

    /// Of its own, so that nothing of other runs is there.
    pub fn target(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("host")
    }

    /// The stand-in for QEMU has ended and was reaped.
    #[track_caller]
    pub fn no_qemu_is_left(&self) {
        let pid = fs::read_to_string(self.folder().join("qemu.pid")).unwrap();
        let process = format!("/proc/{}", pid.trim());
        assert!(!Path::new(&process).exists(), "{process} is there");
    }

    /// A pipe with a name in the file system: to open an end waits for the other.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.folder().join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        path
    }
}

/// Waits for a child that must end soon.
#[track_caller]
pub fn ends(child: &mut Child) -> ExitStatus {
    let Some(status) = child.wait_timeout(LIMIT).unwrap() else {
        child.kill().unwrap();
        panic!("it hangs");
    };
    status
}

#[track_caller]
pub fn check(output: &Output, status: i32, said: &[&str]) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(status), "{text}");
    for part in said {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}
