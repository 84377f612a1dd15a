//! `poweroff`, `reboot` and `halt`: the end of the machine, in an orderly way.
//!
//! There is no init to ask: the programs tell the other processes to end, write back, and call
//! reboot(2) themselves.

use crate::args::{Program, errno_text};
use lexopt::Arg;
use std::ffi::OsString;
use std::io;
use std::thread::sleep;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Halt,
    PowerOff,
    Reboot,
}

/// How long processes get between SIGTERM and the end.
const GRACE: Duration = Duration::from_millis(100);
/// `ioctl` of `/dev/hostout`: the exit status for a host that waits for one.
const HOSTLINK_EXIT: u64 = 0x5201;

impl Action {
    const fn program(self) -> Program {
        match self {
            Self::Halt => Program {
                name: "halt",
                help: HALT_HELP,
                usage_status: 1,
            },
            Self::PowerOff => Program {
                name: "poweroff",
                help: POWEROFF_HELP,
                usage_status: 1,
            },
            Self::Reboot => Program {
                name: "reboot",
                help: REBOOT_HELP,
                usage_status: 1,
            },
        }
    }

    const fn command(self) -> libc::c_int {
        match self {
            Self::Halt => libc::RB_HALT_SYSTEM,
            Self::PowerOff => libc::RB_POWER_OFF,
            Self::Reboot => libc::RB_AUTOBOOT,
        }
    }
}

pub fn run(action: Action, args: Vec<OsString>) -> i32 {
    let program = action.program();
    let mut action = action;
    let (mut force, mut sync, mut only_log) = (false, true, false);
    let mut parser = program.parser(args);
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Short('f') | Arg::Long("force"))) => force = true,
            Ok(Some(Arg::Short('n') | Arg::Long("no-sync"))) => sync = false,
            Ok(Some(Arg::Short('p') | Arg::Long("poweroff"))) => action = Action::PowerOff,
            Ok(Some(Arg::Long("halt"))) => action = Action::Halt,
            Ok(Some(Arg::Long("reboot"))) => action = Action::Reboot,
            Ok(Some(Arg::Short('w') | Arg::Long("wtmp-only"))) => only_log = true,
            // Nothing is logged and nobody is told anyway.
            Ok(Some(Arg::Short('d' | 'i') | Arg::Long("no-wtmp" | "no-wall"))) => {}
            Ok(Some(other)) => return program.leftover(other).0,
            Err(error) => return program.bad_value(error).0,
        }
    }
    if only_log {
        return 0;
    }
    // SAFETY: geteuid takes and returns plain integers.
    if unsafe { libc::geteuid() } != 0 {
        program.error("must be superuser.");
        return 1;
    }
    if !force {
        ask_everyone_to_end();
    }
    if sync {
        // SAFETY: sync takes nothing and cannot fail.
        unsafe { libc::sync() };
    }
    tell_host();
    // SAFETY: reboot takes an integer; the machine's end is what the user asked for.
    if unsafe { libc::reboot(action.command()) } == 0 {
        return 0;
    }
    program.error(errno_text(&io::Error::last_os_error()));
    1
}

/// SIGTERM to every process that this one may signal; PID 1 and the sender are spared.
fn ask_everyone_to_end() {
    // SAFETY: signal and kill take integers.
    unsafe {
        // The shell that waits for us may pass a hang-up on when it ends.
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        if libc::kill(-1, libc::SIGTERM) == 0 {
            sleep(GRACE);
        }
    }
}

/// A host that runs the machine as one command waits for a status; a deliberate end is success.
fn tell_host() {
    // SAFETY: the path is a C string, the ioctl takes an integer, the descriptor is ours. A
    // machine without a host stream has no such file, and nobody to tell.
    unsafe {
        let fd = libc::open(c"/dev/hostout".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::ioctl(fd, HOSTLINK_EXIT as _, 0);
            libc::close(fd);
        }
    }
}

macro_rules! help {
    ($name:literal, $what:literal) => {
        concat!(
            "Usage: ",
            $name,
            " [OPTION]...\n",
            $what,
            " the machine.\n\n",
            "  -f, --force      at once: do not ask processes to end first\n",
            "  -n, --no-sync    do not write back file systems\n",
            "  -p, --poweroff   power off, whatever the program is called\n",
            "      --halt       halt, whatever the program is called\n",
            "      --reboot     reboot, whatever the program is called\n",
            "  -w, --wtmp-only  do nothing"
        )
    };
}

const HALT_HELP: &str = help!("halt", "Halt");
const POWEROFF_HELP: &str = help!("poweroff", "Power off");
const REBOOT_HELP: &str = help!("reboot", "Reboot");
