//! What `cargo xtask bench` does when something is missing or dies, with a QEMU that is a script.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder with a `bin` in it that goes away with the value.
struct Host {
    folder: PathBuf,
}

impl Host {
    /// All commands of this host but those whose names begin so.
    fn without(name: &str, missing: &[&str]) -> Self {
        let folder = env::temp_dir().join(format!("xtask-bench-{name}-{}", std::process::id()));
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for dir in env::split_paths(&env::var_os("PATH").unwrap()) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if missing.iter().all(|missing| !name.starts_with(missing)) {
                    // The first on the path wins.
                    symlink(entry.path(), bin.join(name)).ok();
                }
            }
        }
        // The header is all that xtask looks at: QEMU is a stand-in, too.
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        fs::write(folder.join("image.img"), image).unwrap();
        let kernel = object::write::Object::new(
            object::BinaryFormat::Elf,
            object::Architecture::Aarch64,
            object::Endianness::Little,
        );
        fs::write(folder.join("image.elf"), kernel.write().unwrap()).unwrap();
        Self { folder }
    }

    /// Puts a script in the place of QEMU, to be run when it is to boot something.
    fn with_qemu(self, boot: &str) -> Self {
        let file = self.folder.join("bin/qemu-system-aarch64");
        let script = format!(
            "#!/bin/sh\n\
             [ \"$1\" = --version ] && {{ echo 'QEMU emulator version 10.0.0'; exit; }}\n\
             line() {{ printf '\\365\\001\\'\"$(printf '%03o' $((${{#1}} + 1)))\"'\\000%s\\n' \"$1\"; }}\n\
             end() {{ printf '\\365\\004\\004\\000\\000\\000\\000\\000'; exit; }}\n\
             {boot}"
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn bench(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["bench", "--runs", "0", "--image"])
            .arg(self.folder.join("image.img"))
            .arg("--report")
            .arg(self.folder.join("report.html"))
            .args(words)
            .env("PATH", self.folder.join("bin"))
            .env("CARGO_TARGET_DIR", self.target())
            .output()
            .unwrap()
    }

    /// Of its own, so that no Linux guest of an earlier run is there.
    fn target(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[track_caller]
fn check(output: &Output, status: i32, said: &[&str]) {
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

const ALL_WELL: &str = "line 2000000\nline '{\"name\":\"getpid\",\"ns\":47.000}'\n\
                        line '{\"name\":\"null_call\",\"ns\":111.000}'\nend\n";
/// What apt needs, so that nothing can be installed or fetched.
const APT: [&str; 3] = ["apt", "dpkg", "sudo"];

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let host = Host::without("unknown", &[]);
    let output = host.bench(&["getpid", "getpyd"]);
    check(
        &output,
        2,
        &["`getpyd`", "getpid", "job_sort_3m_4c", "boot_to_init"],
    );
}

#[test]
fn without_qemu_all_is_skipped_by_name() {
    let host = Host::without("qemu", &["qemu-system", APT[0], APT[1], APT[2]]);
    let output = host.bench(&["--only", "direct", "getpid", "null_call"]);
    check(
        &output,
        3,
        &["SKIPPED: null_call getpid", "qemu-system-arm"],
    );
}

#[test]
fn without_the_linux_package_the_rest_runs() {
    let host = Host::without("linux", &["qemu-system", APT[0], APT[1], APT[2]]).with_qemu(ALL_WELL);
    let output = host.bench(&["getpid", "null_call"]);
    let said = [
        "SKIPPED: on Linux: null_call getpid",
        "linux-image",
        "47.0",
        "111",
    ];
    check(&output, 3, &said);
}

#[test]
fn a_door_that_is_not_built_is_skipped_by_name() {
    let host = Host::without("svc", &["qemu-system"]).with_qemu(ALL_WELL);
    let output = host.bench(&["--only", "svc", "getpid"]);
    check(&output, 3, &["SKIPPED: svc: getpid", "not built yet"]);
}

#[test]
fn a_guest_that_dies_costs_the_measure_it_died_of() {
    // The first boot is for both measures (in hex), the second for what is left.
    let script = "case \"$*\" in *6e756c6c5f63616c6c20676574706964*)\n\
                  line 2000000; echo 'kernel: boom'; exit 9;; esac\n";
    let host = Host::without("dies", &["qemu-system"]).with_qemu(&format!("{script}{ALL_WELL}"));
    let kept = host.folder.join("results.json");
    let words = [
        "--only",
        "direct",
        "--json",
        kept.to_str().unwrap(),
        "getpid",
        "null_call",
    ];
    let output = host.bench(&words);
    check(&output, 1, &["FAILED on RustOS: null_call", "47.0"]);
    let results = fs::read_to_string(kept).unwrap();
    assert!(results.contains("kernel: boom"), "{results}");
}

#[test]
fn a_measure_that_fails_in_the_guest_is_told_with_its_reason() {
    let boot = "line 2000000\nline '{\"name\":\"getpid\",\"failed\":\"killed by signal 11\"}'\n\
                line '{\"name\":\"null_call\",\"ns\":111.000}'\nend\n";
    let host = Host::without("fails", &["qemu-system"]).with_qemu(boot);
    let output = host.bench(&["--only", "direct", "getpid", "null_call"]);
    let said = ["FAILED on RustOS: getpid: killed by signal 11", "111"];
    check(&output, 1, &said);
}

#[test]
fn what_rose_by_more_than_two_percent_ends_with_a_status_of_its_own() {
    let host = Host::without("against", &["qemu-system"]).with_qemu(ALL_WELL);
    let kept = host.folder.join("results.json");
    let kept = kept.to_str().unwrap();
    check(
        &host.bench(&["--only", "direct", "--json", kept, "getpid"]),
        0,
        &[],
    );
    check(
        &host.bench(&["--only", "direct", "--against", kept, "getpid"]),
        0,
        &["0 of 2"],
    );
    let slower = ALL_WELL.replace("47.000", "48.000");
    let host = Host::without("slower", &["qemu-system"]).with_qemu(&slower);
    let output = host.bench(&["--only", "direct", "--against", kept, "getpid"]);
    check(&output, 4, &["+2.1%  SLOWER", "1 of 2"]);
}

#[test]
fn a_file_that_holds_no_results_is_refused() {
    let host = Host::without("file", &["qemu-system"]).with_qemu(ALL_WELL);
    let image = host.folder.join("image.img");
    let words = [
        "--only",
        "direct",
        "--against",
        image.to_str().unwrap(),
        "getpid",
    ];
    check(&host.bench(&words), 1, &["holds no results"]);
}
