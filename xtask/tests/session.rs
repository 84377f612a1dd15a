//! xtask on a terminal, with a QEMU and a GDB that are scripts.

mod support;

use std::net::TcpListener;

use rustix::process::{Signal, kill_process};
use support::{Host, terminal::Terminal};

/// The status that an interactive session ends with, and what is seen of it.
fn session(boot: &str, words: &[&str]) -> (Option<i32>, String) {
    let host = Host::new().with_qemu(boot);
    let mut command = host.xtask(&["run", "--image"]);
    command.arg(host.image()).args(words);
    let (status, shown) = Terminal::run(&mut command).ends();
    host.no_qemu_is_left();
    (status.code(), shown)
}

#[test]
fn a_session_ends_with_what_became_of_the_machine() {
    let text = "printf 'text\\r\\n'";
    for (end, status, why) in [
        ("exit 0", 0, ""),
        // The frame that the text ends with.
        ("printf '\\365\\004\\004\\000\\007\\000\\000\\000'", 7, ""),
        ("kill -9 $$", 125, "killed by signal 9"),
        ("exit 101", 125, "the kernel panicked"),
        ("exit 1", 125, "ended with status 1"),
    ] {
        let (code, shown) = session(&format!("{text}\n{end}"), &[]);
        assert_eq!(code, Some(status), "{end}: {shown}");
        assert!(shown.contains("text") && shown.contains(why), "{shown}");
        assert!(!shown.contains('\u{7}'), "{shown:?}");
    }
}

#[test]
fn a_session_has_a_time_limit_if_asked() {
    let (code, shown) = session("exec sleep 1000", &["--timeout", "1"]);
    assert_eq!(code, Some(124), "{shown}");
    assert!(shown.contains("stopped after 1 s"), "{shown}");
}

#[test]
fn a_session_can_be_ended_from_outside_and_by_its_escape() {
    let host = Host::new().with_qemu("printf 'text\\r\\n'\nexec sleep 1000");
    let run = || {
        let mut command = host.xtask(&["run", "--image"]);
        Terminal::run(command.arg(host.image()))
    };
    let mut terminal = run();
    terminal.shows("text");
    kill_process(terminal.process(), Signal::HUP).unwrap();
    assert_eq!(terminal.ends().0.code(), Some(129));
    host.no_qemu_is_left();
    let mut terminal = run();
    terminal.shows("text");
    terminal.press("\x1dx");
    assert_eq!(terminal.ends().0.code(), Some(0));
    host.no_qemu_is_left();
}

/// A GDB that says what it gets: it is asked whether it knows the machine, and then run.
const GDB: &str = "[ \"$1\" = -nx ] && exit\n\
                   trap 'echo interrupted' INT\n\
                   echo ready\n\
                   while ! read word; do :; done\n\
                   echo \"read $word\"";

#[test]
fn ctrl_c_is_for_gdb_and_leaves_qemu_alone() {
    let host = Host::new()
        .with("gdb-multiarch", GDB)
        .with_qemu("exec sleep 1000");
    let port = free_port().to_string();
    let mut command = host.xtask(&["debug", "--port", &port, "--image"]);
    command.arg(host.image());
    let mut terminal = Terminal::run(&mut command);
    terminal.shows("ready");
    terminal.press("\x03");
    terminal.shows("interrupted");
    terminal.press("on\r");
    let (status, shown) = terminal.ends();
    assert!(shown.contains("read on"), "{shown}");
    assert_eq!(status.code(), Some(0), "{shown}");
    host.no_qemu_is_left();
}

#[test]
fn a_port_that_is_taken_is_noticed() {
    let host = Host::new()
        .with("gdb-multiarch", GDB)
        .with_qemu("exec sleep 1000");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = host.xtask(&["debug", "--port", &port, "--image"]);
    command.arg(host.image());
    let (status, shown) = Terminal::run(&mut command).ends();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(
        shown.contains(&format!("port {port} cannot be had")),
        "{shown}"
    );
}

#[test]
fn a_qemu_that_fails_under_gdb_is_noticed() {
    let host = Host::new().with_qemu("echo 'no such machine' >&2\nexit 1");
    // Somebody who looks at GDB's complaint until QEMU has long ended.
    let patient = format!(
        "[ \"$1\" = -nx ] && exit\ncd {}\n\
         until [ -s qemu.pid ] && grep -q '^State:.Z' /proc/$(cat qemu.pid)/status; do :; done",
        host.folder().display()
    );
    let host = host.with("gdb-multiarch", &patient);
    let port = free_port().to_string();
    let mut command = host.xtask(&["debug", "--port", &port, "--image"]);
    command.arg(host.image());
    let (status, shown) = Terminal::run(&mut command).ends();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("QEMU ended with status 1"), "{shown}");
}

/// One that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
