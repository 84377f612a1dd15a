//! `time`: how long a command took, and how much of a processor.

use crate::args::Program;
use lexopt::Arg;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::{Duration, Instant};

const PROGRAM: Program = Program {
    name: "time",
    help:
        "Usage: time [-p] COMMAND [ARGUMENT]...
Run COMMAND, then write to standard error the time that passed (real) and the processor time that
it and its children used (user and sys).

  -p  in POSIX form: seconds only

Exit status: COMMAND's; 126 if it could not be run, 127 if it was not found, 125 for a usage error.",
    usage_status: 125,
};

pub fn run(args: Vec<OsString>) -> i32 {
    let mut parser = PROGRAM.parser(args);
    let mut posix = false;
    let command = loop {
        match parser.next() {
            Ok(Some(Arg::Short('p') | Arg::Long("portability"))) => posix = true,
            Ok(Some(Arg::Value(command))) => break command,
            Ok(Some(other)) => return PROGRAM.leftover(other).0,
            Ok(None) => return PROGRAM.bad_value("missing COMMAND".into()).0,
            Err(error) => return PROGRAM.bad_value(error).0,
        }
    };
    let arguments: Vec<OsString> = match parser.raw_args() {
        Ok(rest) => rest.collect(),
        Err(error) => return PROGRAM.bad_value(error).0,
    };
    let start = Instant::now();
    let status = match execute(&command, &arguments) {
        Ok(status) => status,
        Err(error) => {
            PROGRAM.error(format_args!("{}: {error}", command.display()));
            return match error.kind() {
                io::ErrorKind::NotFound => 127,
                _ => 126,
            };
        }
    };
    let real = start.elapsed();
    let (user, system) = children_times();
    eprint!("{}", report(posix, [real, user, system]));
    status
}

/// The status that a shell would give. Interrupts from the terminal are for the command alone.
fn execute(command: &OsStr, arguments: &[OsString]) -> io::Result<i32> {
    const FROM_TERMINAL: [libc::c_int; 2] = [libc::SIGINT, libc::SIGQUIT];
    // SAFETY: no handler is installed; the child takes the dispositions back before it runs.
    let old = FROM_TERMINAL.map(|signal| unsafe { libc::signal(signal, libc::SIG_IGN) });
    let mut child = Command::new(command);
    child.args(arguments);
    // SAFETY: `signal` is async-signal-safe, which is all that may be called here.
    unsafe {
        child.pre_exec(move || {
            for (signal, action) in FROM_TERMINAL.into_iter().zip(old) {
                libc::signal(signal, action);
            }
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            Ok(())
        });
    }
    let status = child.status()?;
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// User and system time of the children that were waited for.
fn children_times() -> (Duration, Duration) {
    // SAFETY: all zeroes are a valid `rusage`, and the call only writes it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// The three lines, as POSIX wants them or as the shells with a reserved word `time` write them.
fn report(posix: bool, times: [Duration; 3]) -> String {
    let mut text = String::new();
    if !posix {
        text.push('\n');
    }
    for (name, time) in ["real", "user", "sys"].into_iter().zip(times) {
        text += &if posix {
            format!("{name} {:.2}\n", time.as_secs_f64())
        } else {
            let millis = time.as_millis();
            let (minutes, rest) = (millis / 60_000, millis % 60_000);
            format!("{name}\t{minutes}m{}.{:03}s\n", rest / 1000, rest % 1000)
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [Duration; 3] = [
        Duration::from_millis(61_002),
        Duration::from_millis(1_250),
        Duration::ZERO,
    ];

    #[test]
    fn the_shells_form() {
        let text = "\nreal\t1m1.002s\nuser\t0m1.250s\nsys\t0m0.000s\n";
        assert_eq!(report(false, TIMES), text);
    }

    #[test]
    fn the_posix_form() {
        assert_eq!(report(true, TIMES), "real 61.00\nuser 1.25\nsys 0.00\n");
    }

    #[test]
    fn the_status_is_the_commands() {
        let run = |words: &[&str]| run(words.iter().map(OsString::from).collect());
        assert_eq!(run(&["sh", "-c", "exit 7"]), 7);
        assert_eq!(run(&["-p", "sh", "-c", "kill -9 $$"]), 137);
        assert_eq!(run(&["/nonexistent"]), 127);
        assert_eq!(run(&["/etc"]), 126);
        assert_eq!(run(&[]), 125);
    }
}
