//! What users and scripts expect of the shell beyond what yash brings.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

fn shell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sh"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

fn run(script: &str) -> Output {
    shell()
        .args(["-c", script])
        .output()
        .expect("the shell runs")
}

fn stdout(script: &str) -> String {
    String::from_utf8(run(script).stdout).expect("text")
}

fn stderr(script: &str) -> String {
    String::from_utf8(run(script).stderr).expect("text")
}

fn status(script: &str) -> Option<i32> {
    run(script).status.code()
}

#[test]
fn the_status_is_the_commands() {
    assert_eq!(status("exit 7"), Some(7));
    assert_eq!(status("false"), Some(1));
    assert_eq!(status("no-such-command"), Some(127));
    assert_eq!(status("/etc/passwd"), Some(126));
    assert_eq!(status("/"), Some(126));
    assert_eq!(status("if"), Some(2));
}

#[test]
fn death_by_signal_is_128_and_its_number_and_is_named() {
    assert_eq!(stdout("sh -c 'kill -9 $$'; echo $?"), "137\n");
    assert_eq!(stdout("sh -c 'kill -11 $$'; echo $?"), "139\n");
    assert_eq!(stdout("sleep 9 & kill $!; wait $!; echo $?"), "143\n");
    assert_eq!(stdout("(sh -c 'kill -9 $$'); echo $?"), "137\n");
    for (signal, status) in [("-9", "137\n"), ("-TERM", "143\n"), ("-s USR1", "138\n")] {
        let group = format!("set -m; sleep 60 & kill {signal} -$!; wait $!; echo $?");
        assert_eq!(stdout(&group), status);
    }
    assert_eq!(stderr("sh -c 'kill -9 $$'; :"), "Killed\n");
    assert!(stderr("sh -c 'kill -11 $$'; :").starts_with("Segmentation fault"));
    assert_eq!(stderr("yes | head -1 >/dev/null"), "");
}

#[test]
fn arithmetic_knows_the_line() {
    let script =
        "set -u; echo $((LINENO)) $((LINENO + 10))\necho \"$LINENO\" \\\n$((2 * (LINENO)))\n";
    assert_eq!(stdout(script), "1 11\n2 6\n");
    assert_eq!(stdout("\n\nx=$((LINENO)); echo $x"), "3\n");
}

#[test]
fn output_is_any_bytes() {
    assert_eq!(run(r"printf '\377\0a'").stdout, b"\xff\0a");
    assert_eq!(run(r"echo '\0377\0'").stdout, b"\xff\0\n");
}

#[test]
fn a_write_error_is_reported_and_has_a_status() {
    for command in ["echo x", "printf x", "umask"] {
        let output = run(&format!("{command} >/dev/full"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("write error: No space left on device"),
            "{command}: {text}"
        );
        assert_eq!(output.status.code(), Some(1), "{command}");
    }
}

#[test]
fn what_is_not_text_is_refused_with_a_message() {
    let bad = OsStr::from_bytes(b"\xff");
    let output = shell()
        .args([OsStr::new("-c"), OsStr::new(":"), bad])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("argument 3 is not valid UTF-8"));

    let output = shell()
        .args(["-c", "echo $A"])
        .env("B", bad)
        .env("A", "ok")
        .output();
    let output = output.expect("runs");
    assert_eq!(output.stdout, b"ok\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("variable B is not valid UTF-8"));
}

#[test]
fn a_here_document_ends_with_the_input() {
    assert_eq!(stdout("cat <<E\na\nb"), "a\nb\n");
    assert_eq!(stdout("echo a; cat <<E"), "a\n");
    assert_eq!(stdout("cat <<-'E' <<F\n\tx\nE\ny"), "y\n");
}

#[test]
fn commands_and_the_script_share_standard_input_line_by_line() {
    let script = "echo one\nhead -c 2\nx\necho two\nread v\nvalue\necho \"$v\"\n";
    let folder = env!("CARGO_TARGET_TMPDIR");
    let path = format!("{folder}/stdin.sh");
    std::fs::write(&path, script).expect("a script");
    let file = std::fs::File::open(&path).expect("the script");
    let seekable = shell().stdin(file).output().expect("runs");
    assert_eq!(
        String::from_utf8_lossy(&seekable.stdout),
        "one\nx\ntwo\nvalue\n"
    );

    let mut child = shell()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shell runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(script.as_bytes())
        .expect("written");
    let piped = child.wait_with_output().expect("ends");
    assert_eq!(
        String::from_utf8_lossy(&piped.stdout),
        "one\nx\ntwo\nvalue\n"
    );
}

#[test]
fn options_are_those_of_posix() {
    assert_eq!(stdout("set -e; false; echo no"), "");
    let error = stderr("set -x; x=1; echo $x");
    assert!(error.contains("+ echo 1"), "{error}");
    assert_eq!(status("set -u; echo $nope; echo no"), Some(2));
    let output = shell()
        .args(["-n", "-c", "echo no"])
        .output()
        .expect("runs");
    assert_eq!(output.stdout, b"");
    let output = shell()
        .args(["-s", "-v"])
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let output = shell().args(["/nonexistent"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot open /nonexistent"));
    // A directory can be opened; it is the reading that fails.
    let directory = stderr(". /etc");
    assert!(
        directory.ends_with("cannot read commands: Is a directory\n"),
        "{directory}"
    );
}

#[test]
fn a_login_shell_reads_the_users_profile() {
    let home = format!("{}/login", env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&home).expect("a home");
    std::fs::write(format!("{home}/.profile"), "echo profile\n").expect("a profile");
    let output = shell()
        .args(["-l", "-c", "echo x"])
        .env("HOME", &home)
        .output()
        .expect("runs");
    assert!(output.stdout.ends_with(b"profile\nx\n"), "{output:?}");
    let output = shell()
        .args(["-c", "echo x"])
        .env("HOME", &home)
        .output()
        .expect("runs");
    assert_eq!(output.stdout, b"x\n");
}

#[test]
fn a_program_in_the_background_is_the_process_that_the_shell_names() {
    let script = "sleep 60 & kill $!; wait $!; echo $?; sh -c 'echo $PPID' & wait; echo $$";
    let text = stdout(script);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "143");
    assert_eq!(lines[1], lines[2], "the shell is the parent: {text}");
    assert_eq!(
        stdout("/bin/sh -c 'echo $PPID' | cat; echo $$")
            .lines()
            .count(),
        2
    );
    let text = stdout("/bin/sh -c 'echo $PPID' | cat; echo $$");
    let (parent, shell) = text.split_once('\n').expect("two lines");
    assert_eq!(parent, shell.trim_end());
}

#[test]
fn what_runs_in_a_pipeline_is_found_as_elsewhere() {
    assert_eq!(
        stdout("f() { echo f $1; }; f x | cat; f y & wait"),
        "f x\nf y\n"
    );
    assert_eq!(stdout("x=1; x=2 env | grep ^x=; echo $x | cat"), "x=2\n1\n");
    assert_eq!(stdout("alias e='echo al'\ne 1 | cat"), "al 1\n");
    assert_eq!(
        stdout("c=echo; $c a b | cat; true | exit 3; echo $?"),
        "a b\n3\n"
    );
    assert_eq!(
        stdout("true | no-such-command; echo $?; true | /etc/passwd; echo $?"),
        "127\n126\n"
    );
    assert!(stderr("true | no-such-command").contains("no-such-command: not found"));
    assert_eq!(
        stdout("eval 'echo x | sed s/x/y/'; sed s/a/b/ <<E | cat\na\nE"),
        "y\nb\n"
    );
    assert_eq!(
        stdout("for i in 1 2; do echo $i | sed p; done | sort | uniq -c | wc -l"),
        "2\n"
    );
    assert!(
        stderr("set -x\ntrue | cat")
            .lines()
            .any(|line| line == "+ cat")
    );
}

#[test]
fn the_last_command_of_a_subshell_takes_its_place() {
    let program = "sh -c 'echo $PPID'";
    for subshell in ["(%)", "(:; %)", "(if :; then %; fi)", "(: && %)", "((%))"] {
        let script = format!("echo $$; {}", subshell.replace('%', program));
        let output = stdout(&script);
        let (shell, parent) = output.trim_end().split_once('\n').expect("two lines");
        assert_eq!(shell, parent, "{subshell}");
    }
    assert_eq!(
        stdout("(A=1 env) | grep ^A=; (A=2 env >&3) 3>&1 | grep ^A="),
        "A=1\nA=2\n"
    );
}

#[test]
fn a_subshell_with_something_left_to_do_stays() {
    assert_eq!(stdout("(trap 'echo end' EXIT; /bin/echo a)"), "a\nend\n");
    assert_eq!(
        stdout("(! /bin/false; echo $?); (! /bin/true); echo $?"),
        "0\n1\n"
    );
    assert_eq!(
        stdout("f() { /bin/echo f; }; (f); f | cat; (nosuch); echo $?"),
        "f\nf\n127\n"
    );
    let trap = "(trap 'echo caught' USR1; sh -c 'kill -USR1 $PPID'); echo $?";
    assert_eq!(stdout(trap), "caught\n0\n");
}

#[test]
fn a_trapped_signal_ends_a_wait() {
    // What is waited for goes on until it is told to end.
    let job = "(trap 'exit 3' TERM; kill -USR1 $$; while :; do :; done) &";
    let script = format!("trap 'echo caught' USR1; {job} wait; echo $?; kill $!; wait $!; echo $?");
    assert_eq!(stdout(&script), "caught\n138\n3\n");
}

#[test]
fn kill_l_gives_numbers_for_names_and_names_for_numbers() {
    assert_eq!(stdout("kill -l TERM; kill -l SIGHUP int"), "15\n1\n2\n");
    assert_eq!(stdout("kill -l 15; kill -l 143 9"), "TERM\nTERM\nKILL\n");
    assert!(stdout("kill -l").starts_with("HUP\nINT\n"));
    let output = run("kill -l nosuch");
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    assert_eq!(output.status.code(), Some(1));
}
