//! PID 1. Starts one shell, adopts orphans, and turns the shell's end into the machine's end.
//!
//! Two lives, chosen by the kernel command line: with `cmd=HEX` the machine is one command whose
//! standard streams are the host's and whose exit status the host gets (or that has the console, where
//! the serial line carries no frames); without it the machine is a terminal session on `/dev/console`.
//! Everything else (mounts, devices) the kernel has done before.

mod cmdline;
mod machine;
mod start;

use cmdline::CommandLine;
use std::ffi::CString;

/// Status reported when the shell cannot be started, as a shell says "command not found".
const STATUS_NO_SHELL: i32 = 127;

/// Runs until the shell ends, then powers the machine off; returns only where that is not possible, or the kernel does it.
pub fn main() -> i32 {
    if std::process::id() != 1 {
        eprintln!("init: must be process 1");
        return 1;
    }
    let line = CommandLine::parse(&machine::read_command_line());
    let status = match line.command() {
        Some(Ok(command)) => run_command(&line, command),
        Some(Err(why)) => {
            attach_streams(&line);
            machine::complain(&format!("the boot argument cmd= is unusable: {why}"));
            STATUS_NO_SHELL
        }
        None => run_terminal(&line),
    };
    if line.tells_status() {
        // With its first process the machine ends, and the kernel says how.
        machine::sync();
    } else {
        machine::power_off(status);
    }
    status
}

/// Gives a command the host's streams, or the console where the host takes no part.
fn attach_streams(line: &CommandLine) {
    if line.has_host() {
        machine::attach_host_streams();
    } else {
        machine::attach_console(line.window_size());
    }
}

/// The machine as one command: `sh -c COMMAND`.
fn run_command(line: &CommandLine, command: Vec<u8>) -> i32 {
    attach_streams(line);
    let Ok(command) = CString::new(command) else {
        machine::complain("the command contains a NUL byte, which no argument can hold");
        return STATUS_NO_SHELL;
    };
    let arguments = [c"sh".to_owned(), c"-c".to_owned(), command];
    shell_status(&arguments, &line.environment(None))
}

/// The machine as a terminal: an interactive shell that owns the console.
fn run_terminal(line: &CommandLine) -> i32 {
    machine::attach_console(line.window_size());
    let home = machine::enter_home();
    shell_status(&[c"-sh".to_owned()], &line.environment(Some(home)))
}

fn shell_status(arguments: &[CString], environment: &[CString]) -> i32 {
    match start::spawn(c"/bin/sh", arguments, environment) {
        Ok(pid) => {
            let end = start::wait_for(pid);
            if let start::End::Signal(signal) = end
                && arguments.len() == 1
            {
                machine::complain(&format!("the shell was killed by signal {signal}"));
            }
            end.status()
        }
        Err(error) => {
            machine::complain(&format!(
                "cannot start /bin/sh: {error}; is the image built with the shell?"
            ));
            STATUS_NO_SHELL
        }
    }
}
