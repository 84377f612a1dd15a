//! xtask as a command: what `run -c` gives back of a guest, and what wrong use of a verb gets.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use fs_err as fs;

use super::{guest_suites::explain, report::Report};
use crate::{
    build::Image,
    cli::MachineOptions,
    guest::{self, End},
    process, qemu, terminal,
};

/// For a boot that is no call of xtask: those have one.
const LIMIT: Duration = Duration::from_secs(60);

/// One call of xtask, and what must come of it.
struct Call {
    claim: &'static str,
    /// Behind `run --image FILE`.
    options: &'static [&'static str],
    script: &'static str,
    stdin: fn() -> Vec<u8>,
    status: i32,
    stdout: fn() -> Vec<u8>,
    /// Parts of stderr; without any it must be empty.
    stderr: &'static [&'static str],
}

const PLAIN: Call = Call {
    claim: "",
    options: &[],
    script: "",
    stdin: Vec::new,
    status: 0,
    stdout: Vec::new,
    stderr: &[],
};

/// Every byte in many places, more of them than any buffer on the way holds.
fn all_bytes() -> Vec<u8> {
    (0..300_000u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

const CALLS: &[Call] = &[
    Call {
        claim: "stdout, stderr and status are the command's",
        script: "echo out; echo err >&2; exit 3",
        status: 3,
        stdout: || b"out\n".into(),
        stderr: &["err\n"],
        ..PLAIN
    },
    Call {
        claim: "stdin is passed on to its end and any byte comes back",
        script: "cat",
        stdin: all_bytes,
        stdout: all_bytes,
        ..PLAIN
    },
    Call {
        claim: "an unknown command is 127 and one line",
        script: "nosuch",
        status: 127,
        stderr: &["sh: 1: nosuch: not found\n"],
        ..PLAIN
    },
    Call {
        claim: "death by signal is 128 and more",
        script: "kill -9 $$",
        status: 137,
        ..PLAIN
    },
    Call {
        claim: "the machine is as asked for",
        options: &["--smp", "2", "--memory", "96M"],
        script: "nproc; free -m | awk '$1 == \"Mem:\" { print ($2 > 60 && $2 <= 96) }'",
        stdout: || b"2\n1\n".into(),
        ..PLAIN
    },
    Call {
        claim: "the kernel's log is shown on stderr if asked for",
        options: &["--verbose"],
        script: "echo out",
        stdout: || b"out\n".into(),
        stderr: &["kernel command line: "],
        ..PLAIN
    },
    Call {
        claim: "a time limit ends what hangs",
        options: &["--timeout", "2"],
        script: "sleep 1000",
        status: 124,
        stderr: &["stopped after 2 s"],
        ..PLAIN
    },
    Call {
        claim: "a kernel panic names process, cause and functions, and fails",
        options: &["--append", "init=/no/such/init"],
        script: "true",
        status: 125,
        stderr: &["kernel panic: ", "process ", "backtrace:", "libos_kernel::"],
        ..PLAIN
    },
    Call {
        claim: "a program in init's place gets the streams, and its end is the machine's",
        options: &["--append", "init=cat"],
        stdin: all_bytes,
        stdout: all_bytes,
        ..PLAIN
    },
    Call {
        claim: "and its status the machine's",
        options: &["--append", "init=false"],
        status: 1,
        ..PLAIN
    },
    Call {
        claim: "poweroff ends the machine",
        script: "echo on; poweroff; sleep 1000",
        // What still runs is told to end first.
        status: 143,
        stdout: || b"on\n".into(),
        ..PLAIN
    },
    Call {
        claim: "halt ends the machine",
        script: "halt; sleep 1000",
        // What still runs is told to end first.
        status: 143,
        ..PLAIN
    },
    Call {
        claim: "reboot ends the run",
        script: "reboot; sleep 1000",
        // What still runs is told to end first.
        status: 143,
        ..PLAIN
    },
];

/// What the guest is told to run.
#[cfg(test)]
pub fn scripts() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|call| call.script)
}

/// Wrong use: words for xtask, the status, and what stderr must say.
const MISTAKES: &[(&[&str], i32, &str)] = &[
    (&["nosuch"], 2, "Usage"),
    (&["run", "--nosuch"], 2, "Usage"),
    (&["run", "--memory", "much"], 2, "--memory"),
    (&["run", "--smp", "9"], 2, "--smp"),
    (&["run", "--timeout", "never"], 2, "--timeout"),
    (&["test", "nosuch"], 2, "possible values"),
    (&["test", "--suite", "nosuch"], 2, "no suite is called"),
    (&["test", "memory", "--suite", "host"], 2, "cannot be used"),
    (
        &["test", "--suite", "host", "--seed", "1"],
        2,
        "--seed concerns none",
    ),
    (
        &["test", "--suite", "session", "--smp", "2"],
        2,
        "--smp concerns none",
    ),
    (
        &["test", "--suite", "session", "--record"],
        2,
        "--record concerns none",
    ),
    (
        &["test", "--suite", "host", "--image", "/dev/null"],
        2,
        "builds what it tests",
    ),
    (
        &["run", "--init", "hello", "-c", "true"],
        2,
        "cannot be used",
    ),
    (
        &["run", "--append", "console=tty", "-c", "true"],
        2,
        "--append",
    ),
    (
        &["run", "--image", "/no/such/image", "-c", "true"],
        1,
        "`/no/such/image`",
    ),
    (&["run", "--image", "/", "-c", "true"], 1, "`/`"),
    (
        &["run", "--image", "/dev/null", "-c", "true"],
        1,
        "is no image",
    ),
];

/// The file of this program. The tests on the host may have built it anew, and then the system calls the one that runs deleted.
fn this_program() -> Result<PathBuf> {
    let path = std::env::current_exe()?;
    let name = path
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(name.map_or(path.clone(), PathBuf::from))
}

pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let xtask = this_program()?;
    for call in CALLS {
        let mut command = Command::new(&xtask);
        command.arg("run").arg("--image").arg(&image.file);
        command.args(call.options).args(["-c", call.script]);
        let output = finish(&mut command, (call.stdin)())?;
        report.record(suite, call.claim, call.check(&output));
    }
    for &(words, status, says) in MISTAKES {
        let output = finish(Command::new(&xtask).args(words), Vec::new())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let result = if output.status.code() == Some(status) && stderr.contains(says) {
            Ok(())
        } else {
            Err(format!("expected {status} and `{says}`: {output:?}"))
        };
        let claim = format!("`{}` is refused", words.join(" "));
        report.record(suite, &claim, result);
    }
    on_a_terminal(image, suite, report)?;
    report.record(
        suite,
        "setup lists what it cannot install",
        setup_without_means(&xtask)?,
    );
    Ok(())
}

/// What becomes of the status and of a command where the serial line is a terminal.
fn on_a_terminal(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let boot = |words: &str| {
        let words = format!("console=tty {words}");
        let arguments = qemu::arguments(&image.file, &MachineOptions::default(), &words);
        guest::capture(arguments, LIMIT)
    };
    let (told, _) = boot(&format!("{} init=false", terminal::WITH_STATUS))?;
    report.record(
        suite,
        "a terminal's text ends with the status of a program in init's place",
        (told.end == End::Exit(1))
            .then_some(())
            .ok_or_else(|| explain(&told, "")),
    );
    let command = qemu::command_word(b"tty; stty size; exit 3");
    let (shown, _) = boot(&format!("winsize=30x90 {command}"))?;
    let has_terminal = shown.log.contains("/dev/console\n30 90\n")
        && shown.end == End::Died(guest::WITHOUT_STATUS.into());
    report.record(
        suite,
        "a command on a terminal has the terminal",
        has_terminal
            .then_some(())
            .ok_or_else(|| explain(&shown, "")),
    );
    let (told, _) = boot(&format!("{} {command}", terminal::WITH_STATUS))?;
    report.record(
        suite,
        "a terminal's text ends with the status of the shell",
        (told.end == End::Exit(3))
            .then_some(())
            .ok_or_else(|| explain(&told, "")),
    );
    Ok(())
}

impl Call {
    fn check(&self, output: &Output) -> Result<(), String> {
        let stdout = (self.stdout)();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let mut wrong = Vec::new();
        if output.status.code() != Some(self.status) {
            wrong.push(format!("{}, not {}", output.status, self.status));
        }
        if output.stdout != stdout {
            wrong.push(format!(
                "stdout has {} bytes, not those {} expected",
                output.stdout.len(),
                stdout.len()
            ));
        }
        for part in self.stderr.iter().filter(|part| !stderr.contains(**part)) {
            wrong.push(format!("stderr lacks `{}`", part.trim_end()));
        }
        if self.stderr.is_empty() && !stderr.is_empty() {
            wrong.push("stderr is not empty".into());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!("{}\nstderr: {stderr}", wrong.join("; ")))
    }
}

fn finish(command: &mut Command, stdin: Vec<u8>) -> Result<Output> {
    let mut child = process::tied(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start xtask")?;
    let mut pipe = child.stdin.take().context("stdin is a pipe")?;
    // A child that wants no input closes it early.
    let writer = thread::spawn(move || pipe.write_all(&stdin).ok());
    let output = child.wait_with_output()?;
    writer.join().ok();
    Ok(output)
}

/// `setup` where only Rust is there: no QEMU, no compiler, and neither apt nor sudo to get them with.
fn setup_without_means(xtask: &PathBuf) -> Result<Result<(), String>> {
    let bin = std::env::temp_dir().join(format!("rustos-bare-path-{}", std::process::id()));
    fs::create_dir_all(&bin)?;
    for name in ["cargo", "rustc", "rustup"] {
        if let Some(file) = crate::setup::on_path(name) {
            std::os::unix::fs::symlink(file, bin.join(name)).ok();
        }
    }
    let output = finish(
        Command::new(xtask).arg("setup").env("PATH", &bin),
        Vec::new(),
    );
    fs::remove_dir_all(&bin)?;
    let output = output?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let listed = stderr
        .split_once("install by hand")
        .map_or("", |(_, list)| list);
    let names = ["qemu-system-arm, version 9", "gcc-aarch64-linux-gnu"];
    Ok(
        if !output.status.success() && names.iter().all(|name| listed.contains(name)) {
            Ok(())
        } else {
            Err(format!("{}: {stderr}", output.status))
        },
    )
}
