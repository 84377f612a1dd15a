//! Small system programs that no well-kept crate provides, with the options and messages of their
//! util-linux, sysvinit and debianutils namesakes.
//!
//! One module a program, each with `run(arguments)`. [`run`] is the way in for the multicall image.

mod args;
mod clear;
mod dmesg;
mod fstab;
mod kernel_log;
mod mount;
mod mount_options;
mod shutdown;
mod time;
mod umount;
mod which;

use std::ffi::OsString;

/// The programs that [`run`] knows.
pub const NAMES: &[&str] = &[
    "clear", "dmesg", "halt", "mount", "poweroff", "reboot", "time", "umount", "which",
];

/// Runs the program called `name` and gives its exit status; `None` if there is no such program.
///
/// `args` is the whole argument vector as `std::env::args_os` gives it, the program's name first.
pub fn run(name: &str, args: Vec<OsString>) -> Option<i32> {
    let args = args.into_iter().skip(1).collect();
    let status = match name {
        "clear" => clear::run(args),
        "dmesg" => dmesg::run(args),
        "halt" => shutdown::run(shutdown::Action::Halt, args),
        "mount" => mount::run(args),
        "poweroff" => shutdown::run(shutdown::Action::PowerOff, args),
        "reboot" => shutdown::run(shutdown::Action::Reboot, args),
        "time" => time::run(args),
        "umount" => umount::run(args),
        "which" => which::run(args),
        _ => return None,
    };
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_program() {
        for name in NAMES {
            let args = vec![OsString::from(name), OsString::from("--help")];
            assert_eq!(run(name, args), Some(0), "{name} --help");
        }
        assert_eq!(run("nonesuch", vec![]), None);
    }

    #[test]
    fn an_unknown_option_is_a_usage_error() {
        for name in NAMES {
            let args = vec![OsString::from(name), OsString::from("--no-such-option")];
            assert_ne!(run(name, args), Some(0), "{name} --no-such-option");
        }
    }
}
