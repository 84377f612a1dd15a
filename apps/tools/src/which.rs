//! `which`: where in the PATH a command would be found.

use crate::args::Program;
use lexopt::Arg;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const PROGRAM: Program = Program {
    name: "which",
    help: "Usage: which [-as] COMMAND...
Write the path of each COMMAND to standard output, as found in the PATH.

  -a  every match, not only the first
  -s  no output, only the exit status

Exit status: 0 if every COMMAND was found, 1 if some was not, 2 for a usage error.",
    usage_status: 2,
};

pub fn run(args: Vec<OsString>) -> i32 {
    let mut parser = PROGRAM.parser(args);
    let (mut all, mut silent) = (false, false);
    let mut commands = Vec::new();
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Short('a') | Arg::Long("all"))) => all = true,
            Ok(Some(Arg::Short('s'))) => silent = true,
            Ok(Some(Arg::Value(command))) => commands.push(command),
            Ok(Some(other)) => return PROGRAM.leftover(other).0,
            Err(error) => return PROGRAM.bad_value(error).0,
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut status = i32::from(commands.is_empty());
    let mut output = Vec::new();
    for command in commands {
        let found = matches(&command, &path, all);
        if found.is_empty() {
            status = 1;
        }
        for path in found {
            output.extend_from_slice(path.as_os_str().as_bytes());
            output.push(b'\n');
        }
    }
    if !silent && let Err(error) = io::stdout().write_all(&output) {
        PROGRAM.error(error);
        status = 1;
    }
    status
}

/// The executables that `command` stands for: itself if it holds a slash, else those of the PATH,
/// in which an empty element is the current directory.
fn matches(command: &OsStr, path: &OsStr, all: bool) -> Vec<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        let itself = PathBuf::from(command);
        return if is_executable(&itself) {
            vec![itself]
        } else {
            Vec::new()
        };
    }
    if command.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for directory in path.as_bytes().split(|b| *b == b':') {
        let directory = if directory.is_empty() {
            &b"."[..]
        } else {
            directory
        };
        let candidate = [directory, b"/", command.as_bytes()].concat();
        let candidate = PathBuf::from(OsString::from_vec(candidate));
        if is_executable(&candidate) {
            found.push(candidate);
            if !all {
                break;
            }
        }
    }
    found
}

fn is_executable(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `name` is a C string that outlives the call.
    path.is_file() && unsafe { libc::access(name.as_ptr(), libc::X_OK) } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_searched_in_the_path() {
        let found = matches(
            OsStr::new("sh"),
            OsStr::new("/nonexistent:/bin:/usr/bin"),
            false,
        );
        assert_eq!(found, [PathBuf::from("/bin/sh")]);
    }

    #[test]
    fn all_gives_every_match() {
        let found = matches(OsStr::new("sh"), OsStr::new("/bin:/bin"), true);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_slash_means_no_search() {
        assert_eq!(
            matches(OsStr::new("/bin/sh"), OsStr::new(""), false).len(),
            1
        );
        assert!(matches(OsStr::new("/etc/passwd"), OsStr::new("/bin"), false).is_empty());
        assert!(matches(OsStr::new("./nonesuch"), OsStr::new("/bin"), false).is_empty());
    }

    #[test]
    fn directories_are_no_commands() {
        assert!(matches(OsStr::new("bin"), OsStr::new("/usr"), false).is_empty());
        assert!(matches(OsStr::new(""), OsStr::new("/usr"), false).is_empty());
    }
}
