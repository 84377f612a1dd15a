//! How a boot ends when something goes wrong around it, with a QEMU that is a script.

mod support;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Host, ends};

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts `run --image` with these words, with its streams piped.
fn run(host: &Host, words: &[&str]) -> Child {
    let mut command = host.xtask(&["run", "--image"]);
    command.arg(host.image()).args(words);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn the_time_limit_holds_while_nobody_reads() {
    let flood = "while :; do line 'more than anybody wants, again and again and again'; done";
    let host = Host::new().with_qemu(flood);
    let mut child = run(&host, &["--timeout", "1", "-c", "x"]);
    // The pipe stays open, and fills up.
    assert_eq!(ends(&mut child).code(), Some(124), "{}", said(&mut child));
    host.no_qemu_is_left();
}

#[test]
fn no_time_limit_is_too_long() {
    let host = Host::new().with_qemu("line ok\nend");
    let mut child = run(&host, &["--timeout", "18446744073709551615", "-c", "x"]);
    assert_eq!(ends(&mut child).code(), Some(0), "{}", said(&mut child));
}

#[test]
fn what_was_printed_arrives_before_the_end() {
    let host = Host::new().with_qemu("line begun\nexec sleep 1000");
    let mut child = run(&host, &["-c", "x"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    tell(&child, Signal::TERM);
    assert_eq!(ends(&mut child).code(), Some(143), "{}", said(&mut child));
    host.no_qemu_is_left();
}

#[test]
fn a_disk_that_is_full_is_no_reader_that_left() {
    let host = Host::new().with_qemu("line ok\nend");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = host.xtask(&["run", "--image"]);
    command.arg(host.image()).args(["-c", "x"]).stdout(full);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(ends(&mut child).code(), Some(1));
    let said = said(&mut child);
    assert!(
        said.contains("cannot write") && said.contains("No space"),
        "{said}"
    );
    host.no_qemu_is_left();
}

#[test]
fn stdin_waits_for_a_guest_however_long_it_takes_to_listen() {
    // It listens once the test says so; what had been sent before would be found.
    let early = "dd bs=1 count=1 iflag=nonblock of=early 2>/dev/null";
    let host = Host::new();
    let go = host.fifo("go");
    let script = format!(
        "cd {}\nread x <go\n{early}\nline \"early $(wc -c <early)\"\nend",
        host.folder().display()
    );
    let host = host.with_qemu(&script);
    let mut command = host.xtask(&["run", "--image"]);
    command.arg(host.image()).args(["-c", "x"]);
    command.stdin(File::open("/dev/zero").unwrap());
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    // Opening it waits for the guest.
    std::fs::write(go, "go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "early 0\n");
}

#[test]
fn a_guest_that_dies_is_no_success_whatever_it_has_reported() {
    let report = "printf '\\365\\004\\004\\000\\000\\000\\000\\000'";
    for (end, why) in [
        ("kill -9 $$", "signal 9"),
        ("exit 3", "status 3"),
        ("exit 101", "the kernel panicked"),
    ] {
        let host = Host::new().with_qemu(&format!("{report}\n{end}"));
        let mut child = run(&host, &["-c", "x"]);
        assert_eq!(ends(&mut child).code(), Some(125));
        let said = said(&mut child);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn qemus_own_words_are_shown() {
    let host = Host::new().with_qemu("echo 'no such machine' >&2\nexit 1");
    let mut child = run(&host, &["-c", "x"]);
    assert_eq!(ends(&mut child).code(), Some(125));
    assert!(said(&mut child).contains("no such machine"));
    let mut profile = host.xtask(&["profile", "-c", "x", "--image"]);
    let output = profile.arg(host.image()).output().unwrap();
    support::check(&output, 125, &["no such machine"]);
}

#[test]
fn a_profile_that_nobody_reads_ends_as_a_run_does() {
    let host = Host::new().with_qemu("line hello\nexit 1");
    let mut profile = host.xtask(&["profile", "-c", "x", "--image"]);
    profile.arg(host.image()).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = profile.stdout(writer).spawn().unwrap();
    assert_eq!(ends(&mut child).code(), Some(141));
    assert_eq!(said(&mut child), "");
}

#[test]
fn a_graph_that_could_not_be_drawn_is_refused_before_the_boot() {
    let host = Host::new().with_qemu("exit 1");
    for (graph, why) in [
        ("/no/such/folder/graph", "its folder must exist"),
        ("/tmp", "is a directory"),
    ] {
        let mut profile = host.xtask(&["profile", "-c", "x", "--graph", graph, "--image"]);
        let output = profile.arg(host.image()).output().unwrap();
        support::check(&output, 2, &[why]);
    }
}

#[test]
fn a_signal_ends_the_tests_and_not_just_one() {
    let host = Host::new();
    let started = host.fifo("started");
    let script = format!("line hello\necho >{}\nexec sleep 1000", started.display());
    let host = host.with_qemu(&script);
    let mut command = host.xtask(&["test", "--suite", "ktest", "--image"]);
    command.arg(host.image()).stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Reading it waits for the guest.
    std::fs::read(started).unwrap();
    tell(&child, Signal::INT);
    assert_eq!(ends(&mut child).code(), Some(130), "{}", said(&mut child));
    let mut shown = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut shown).unwrap();
    assert_eq!(shown.trim_start(), "0 passed, 0 failed\n");
    host.no_qemu_is_left();
}
