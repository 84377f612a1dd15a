//! Scripts whose output and status are known from dash: see the head of `dash.txt`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn scripts_do_what_they_do_in_dash() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dash");
    let recorded = include_str!("dash.txt");
    let mut wrong = String::new();
    for case in recorded.split("#### case\n").skip(1) {
        let (script, expected) = case
            .split_once("#### output, ")
            .expect("an output for each case");
        let actual = run(&folder, script);
        if actual != expected {
            wrong += &format!("--- script\n{script}--- dash: {expected}--- here: {actual}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Runs a script as the recording did, and gives the result in the form of the recording.
fn run(folder: &Path, script: &str) -> String {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("the folder of the last case");
    }
    fs::create_dir_all(folder).expect("an empty folder");
    let file = folder.with_extension("sh");
    fs::write(&file, script).expect("a script file");
    let mut shell = Command::new(env!("CARGO_BIN_EXE_sh"));
    // What whoever started us ignores (`nohup`, a job in the background) is not the shell's to change.
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        shell.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let output = shell
        .arg(&file)
        .args(["a", "b c", "d"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/root")
        .stdin(Stdio::null())
        .output()
        .expect("the shell runs");
    let mut stdout = String::from_utf8(output.stdout).expect("text");
    if !stdout.is_empty() && !stdout.ends_with('\n') {
        stdout.push_str("\\\n");
    }
    format!("status {}\n{stdout}", output.status.code().unwrap_or(-1))
}
