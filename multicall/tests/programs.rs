//! The programs as the image has them: reached by name, through links and through `coreutils`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A folder with a link for every program.
fn bin() -> &'static PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let bin = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bin");
        _ = fs::remove_dir_all(&bin);
        fs::create_dir_all(&bin).expect("a folder");
        for name in multicall::names() {
            symlink(env!("CARGO_BIN_EXE_multicall"), bin.join(name)).expect("a link");
        }
        bin
    })
}

fn command(name: &str) -> Command {
    let mut command = Command::new(bin().join(name));
    command
        .env_clear()
        .env("PATH", bin())
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn run(name: &str, args: &[&str]) -> Output {
    command(name).args(args).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a script in our own shell with our own programs only.
fn script(text: &str) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("script");
    fs::create_dir_all(&folder).expect("a folder");
    command("sh")
        .args(["-c", text])
        .current_dir(folder)
        .output()
        .expect("the shell runs")
}

#[test]
fn usage_text_is_text() {
    let cases = [
        ("ls", "List directory contents."),
        ("dir", "List directory contents."),
        ("[", "Check file types and compare values."),
        ("sort", "Display sorted concatenation of all FILE(s)."),
        ("sed", "Stream editor for filtering and transforming text"),
        ("grep", "Search for PATTERNS in each FILE."),
        (
            "xargs",
            "Run commands using arguments derived from standard input",
        ),
    ];
    for (name, text) in cases {
        let output = run(name, &["--help"]);
        assert!(
            stdout(&output).contains(text),
            "{name}: {}",
            stdout(&output)
        );
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn no_utility_prints_a_message_id() {
    let list = stdout(&run("coreutils", &["--list"]));
    assert_eq!(list.lines().count(), 106);
    for name in list.lines() {
        let help = stdout(&run(name, &["--help"]));
        assert!(!help.contains(&format!("{name}-about")), "{name}: {help}");
        assert!(!help.contains(&format!("{name}-usage")), "{name}: {help}");
        // `test` takes it for a string, as POSIX demands.
        if name != "test" {
            assert!(help.contains("Usage:"), "{name}: {help}");
        }
    }
}

#[test]
fn errors_are_worded_and_named_as_upstreams() {
    let output = run("ls", &["/nonexistent"]);
    let text = "ls: cannot access '/nonexistent': No such file or directory\n";
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        (text, Some(2))
    );
    let output = run("coreutils", &["ls", "/nonexistent"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        (text, Some(2))
    );
    for name in ["cat", "grep"] {
        let output = run(name, &["--no-such-option"]);
        assert!(
            stderr(&output).contains("unexpected argument"),
            "{}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).contains("clap-error"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn coreutils_takes_the_name_as_an_argument() {
    assert_eq!(stdout(&run("coreutils", &["seq", "2"])), "1\n2\n");
    let output = run("coreutils", &["no-such-utility"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "coreutils: unknown program 'no-such-utility'\n"
    );
    assert_eq!(run("coreutils", &[]).status.code(), Some(1));
    assert_eq!(run("coreutils", &["--list", "x"]).status.code(), Some(1));
    assert_eq!(
        stdout(&run("coreutils", &["--version"])),
        "coreutils 0.12.0 (multi-call binary)\n"
    );
    assert!(stdout(&run("coreutils", &["--help"])).contains("Currently defined functions:"));
}

#[test]
fn the_greps_differ_in_their_patterns() {
    let count = |name, pattern| {
        let mut child = command(name)
            .args(["-c", pattern])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("grep runs");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(b"a+b\naab\n")
            .expect("written");
        stdout(&child.wait_with_output().expect("ends"))
    };
    assert_eq!(count("grep", "a+b"), "1\n");
    assert_eq!(count("egrep", "a+b"), "1\n");
    assert_eq!(count("egrep", "a+|x"), "2\n");
    assert_eq!(count("fgrep", "a+"), "1\n");
}

#[test]
fn names_that_are_not_text_are_names() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("names");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let name = folder.join(OsStr::from_bytes(b"a\xffb"));
    fs::write(&name, "x\n").expect("a file");
    assert_eq!(
        command("cat").arg(&name).output().expect("runs").stdout,
        b"x\n"
    );
    assert_eq!(
        command("ls")
            .arg("-N")
            .arg(&folder)
            .output()
            .expect("runs")
            .stdout,
        b"a\xffb\n"
    );
    let output = command("find").arg(&name).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("find: invalid (non-UTF-8) argument"));
}

#[test]
fn a_reader_that_leaves_ends_the_writer_quietly() {
    for writer in [
        "yes",
        "find /usr",
        "seq 1000000",
        "ps",
        "seq 100000 | sed -n p",
    ] {
        let output = script(&format!("{writer} | head -n 1 >/dev/null"));
        assert_eq!(
            (stderr(&output).as_str(), output.status.code()),
            ("", Some(0)),
            "{writer}"
        );
    }
    let mut child = command("yes")
        .stdout(Stdio::piped())
        .spawn()
        .expect("yes runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("ends").signal(), Some(libc::SIGPIPE));
}

#[test]
fn a_full_device_is_an_error() {
    for command in [
        "echo x",
        "/bin/cat /etc/passwd",
        "ls /",
        "seq 3",
        "sed = /etc/passwd",
    ] {
        let output = script(&format!("{command} >/dev/full"));
        assert_ne!(output.status.code(), Some(0), "{command}");
        assert!(!stderr(&output).is_empty(), "{command}");
    }
}

#[test]
fn programs_work_together_in_the_shell() {
    let cases = [
        ("seq 1 300 | sort -rn | head -n 2", "300\n299\n"),
        (
            "printf 'b 2\\na 1\\n' | sort | awk '{ print $2 }' | paste -sd+",
            "1+2\n",
        ),
        (
            "mkdir -p d/e; echo x >d/e/f; find d -type f | xargs cat; rm -r d",
            "x\n",
        ),
        ("echo hello | sed 's/l/L/g' | tr a-z A-Z", "HELLO\n"),
        ("cmp /etc/passwd /etc/passwd && echo same", "same\n"),
        (
            "env A=1 sh -c 'echo $A'; echo 'x y' | xargs -n 1 echo",
            "1\nx\ny\n",
        ),
        ("timeout 0.1 sleep 9; echo $?", "124\n"),
        ("which ls | sed 's|.*/||'; type ls | wc -l", "ls\n1\n"),
        (
            "kill -l 15; uname -s; basename /a/b.c .c",
            "TERM\nLinux\nb\n",
        ),
        (
            "true; echo $?; false; echo $?; sh -c 'exit 300'; echo $?",
            "0\n1\n44\n",
        ),
        (
            "A=x; A=y env | grep ^A=; cat <<E | wc -c\n$A\nE",
            "A=y\n2\n",
        ),
    ];
    for (text, expected) in cases {
        let output = script(text);
        assert_eq!(stdout(&output), expected, "{text}: {}", stderr(&output));
    }
}

#[test]
fn process_tools_read_proc() {
    for option in ["-e", "aux"] {
        let output = run("ps", &[option]);
        assert!(stdout(&output).contains("PID"), "{option}: {output:?}");
    }
    assert!(stdout(&run("free", &[])).contains("Mem:"));
    assert!(stdout(&run("uptime", &[])).contains("load average"));
    assert_eq!(
        stdout(&script("sleep 9 & pgrep -P $$ -f sleep | wc -l; kill $!")),
        "1\n"
    );
}

#[test]
fn a_name_that_is_no_program_says_so() {
    let link = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nothing");
    _ = fs::remove_file(&link);
    symlink(env!("CARGO_BIN_EXE_multicall"), &link).expect("a link");
    let output = Command::new(&link).output().expect("runs");
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(stderr(&output), "nothing: no such program in this image\n");
}
