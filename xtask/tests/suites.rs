//! `test` where suites cannot run, and as long as it watches.

mod support;

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Host, check, ends};

fn test(host: &Host, words: &[&str]) -> Output {
    let mut command = host.xtask(&["test", "--image"]);
    command.arg(host.image()).args(words);
    command.output().unwrap()
}

fn last_line(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_suite_that_cannot_run_is_one_failed_test() {
    let host = Host::new();
    fs::remove_file(host.folder().join("image.elf")).unwrap();
    let output = test(&host, &["--suite", "image"]);
    let said = ["image/image::ran to its end", "image.elf is missing"];
    check(&output, 1, &said);
    assert_eq!(last_line(&output), "0 passed, 1 failed");
}

#[test]
fn what_an_image_lacks_is_told_once_and_boots_nothing() {
    let host = Host::new().with_qemu("end");
    let output = test(&host, &["--suite", "demos"]);
    let said = [
        "image/demos::all of it: the image has no program `demo-rayon`",
        "holds the programs that tests run",
        "cargo xtask build --tests",
    ];
    check(&output, 1, &said);
    assert_eq!(last_line(&output), "0 passed, 1 failed");
    // Nothing is wrong with a release kernel; but nothing was tested.
    let output = test(&host, &["--suite", "watchdog"]);
    let said = ["image/watchdog::all of it: the kernel has no assertions"];
    check(&output, 1, &said);
    assert_eq!(last_line(&output), "0 passed, 0 failed");
    assert!(!host.folder().join("qemu.pid").exists());
}

#[test]
fn a_guest_that_ends_early_is_no_success() {
    // Status 1 and a line that says ok: the rest of the group is missing.
    let end = "printf '\\365\\004\\004\\000\\001\\000\\000\\000'; exit";
    let host = Host::new().with_qemu(&format!("line 'test fork::a ... ok'\n{end}"));
    let output = test(&host, &["--suite", "ktest/fork"]);
    check(&output, 1, &["ran to its end ... FAILED"]);
    assert_eq!(last_line(&output), "1 passed, 1 failed");
}

#[test]
fn watching_tests_anew_after_each_change_until_a_signal_ends_it() {
    let host = Host::new();
    let rounds = host.fifo("rounds");
    // A repository of which nothing but the root is there, and a cargo that says when it runs the tests.
    let root = host.folder().join("repository");
    fs::create_dir_all(root.join("tests/scenarios")).unwrap();
    fs::write(root.join("linker.ld"), "").unwrap();
    let host = host.with("rounds", &format!("echo \"$*\" >{}", rounds.display()));
    let mut child = host
        .xtask(&["test", "--watch", "--suite", "host"])
        .env("CARGO_MANIFEST_DIR", &root)
        .env("CARGO", host.folder().join("bin/rounds"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for round in ["first", "second", "third"] {
        // Reading it waits for the round.
        let words = fs::read_to_string(&rounds).unwrap();
        assert_eq!(words, "run --quiet --package xtask -- test --suite host\n");
        fs::write(root.join("tests/scenarios").join(round), "").unwrap();
    }
    fs::read_to_string(&rounds).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(ends(&mut child).signal(), Some(2));
}
