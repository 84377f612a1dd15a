//! What becomes of xtask where nobody takes what it prints.

use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
};

fn list(stdout: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["test", "--list"])
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .unwrap()
}

#[test]
fn a_reader_that_has_had_enough_gets_no_complaint() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = list(writer.into());
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_is_named() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = list(full.into());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot write to stdout: No space"), "{said}");
}

#[test]
fn a_lost_stderr_is_no_reason_to_stop() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["run", "--image", "/no/such/image", "-c", "true"])
        .env("RUSTOS_NO_INSTALL", "1")
        .stderr(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
