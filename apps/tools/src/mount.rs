//! `mount`: shows what is mounted, or mounts.

use crate::args::{Program, Stop, errno_text};
use crate::fstab::{self, Entry};
use crate::mount_options::MountOptions;
use lexopt::{Arg, ValueExt};
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::{fs, ptr};

const PROGRAM: Program = Program {
    name: "mount",
    help: "Usage:
 mount [-l] [-t TYPE]            show what is mounted
 mount -a [-t TYPE]              mount everything in /etc/fstab
 mount [OPTION]... SOURCE TARGET
 mount [OPTION]... SOURCE|TARGET as /etc/fstab says

  -t, --types TYPE      the kind of file system
  -o, --options LIST    options, separated by commas
  -r, --read-only       the same as -o ro
  -w, --rw              the same as -o rw
  -B, --bind            the same as -o bind
  -R, --rbind           the same as -o rbind
  -M, --move            the same as -o move
  -f, --fake            do everything but the mounting
  -v, --verbose         say what is done",
    usage_status: 1,
};

const MOUNTS: &str = "/proc/mounts";
const FSTAB: &str = "/etc/fstab";
/// Exit status of util-linux's mount when mounting fails.
const STATUS_FAILED: i32 = 32;

#[derive(Default)]
struct Request {
    kind: Option<String>,
    options: MountOptions,
    all: bool,
    fake: bool,
    verbose: bool,
    operands: Vec<OsString>,
}

pub fn run(args: Vec<OsString>) -> i32 {
    match parse(args).and_then(execute) {
        Ok(()) => 0,
        Err(Stop(status)) => status,
    }
}

fn parse(args: Vec<OsString>) -> Result<Request, Stop> {
    let mut request = Request::default();
    let mut parser = PROGRAM.parser(args);
    while let Some(arg) = parser.next().map_err(|e| PROGRAM.bad_value(e))? {
        match arg {
            Arg::Short('t') | Arg::Long("types") => request.kind = Some(text_value(&mut parser)?),
            Arg::Short('o') | Arg::Long("options") => {
                request.options.add(&text_value(&mut parser)?)
            }
            Arg::Short('r') | Arg::Long("read-only") => request.options.add("ro"),
            Arg::Short('w') | Arg::Long("rw" | "read-write") => request.options.add("rw"),
            Arg::Short('B') | Arg::Long("bind") => request.options.add("bind"),
            Arg::Short('R') | Arg::Long("rbind") => request.options.add("rbind"),
            Arg::Short('M') | Arg::Long("move") => request.options.add("move"),
            Arg::Short('a') | Arg::Long("all") => request.all = true,
            Arg::Short('f') | Arg::Long("fake") => request.fake = true,
            Arg::Short('v') | Arg::Long("verbose") => request.verbose = true,
            // No labels to show, no mtab to leave alone.
            Arg::Short('l' | 'n') | Arg::Long("show-labels" | "no-mtab") => {}
            Arg::Value(operand) => request.operands.push(operand),
            other => return Err(PROGRAM.leftover(other)),
        }
    }
    Ok(request)
}

fn text_value(parser: &mut lexopt::Parser) -> Result<String, Stop> {
    let value = parser.value().and_then(ValueExt::string);
    value.map_err(|e| PROGRAM.bad_value(e))
}

fn execute(request: Request) -> Result<(), Stop> {
    match &request.operands[..] {
        [] if request.all => mount_all(&request),
        [] => show(request.kind.as_deref()),
        [one] => {
            let table = if request.options.has(libc::MS_REMOUNT) {
                MOUNTS
            } else {
                FSTAB
            };
            let entries = read_table(table)?;
            // The table holds whole paths; a device or a label is no path and stays as it is.
            let whole = std::fs::canonicalize(one).map(OsString::from);
            let one = whole.as_ref().unwrap_or(one);
            let entry = fstab::find(&entries, one).ok_or_else(|| {
                PROGRAM.error(format_args!("{}: can't find in {table}.", one.display()));
                Stop(1)
            })?;
            mount_entry(entry, &request)
        }
        [source, target] => {
            let options = &request.options;
            mount(source, target, request.kind.as_deref(), options, &request)
        }
        _ => Err(PROGRAM.usage("bad usage")),
    }
}

fn read_table(path: &str) -> Result<Vec<Entry>, Stop> {
    match fs::read(path) {
        Ok(table) => Ok(fstab::entries(&table)),
        Err(error) => {
            PROGRAM.error(format_args!("{path}: {}", errno_text(&error)));
            Err(Stop(1))
        }
    }
}

fn show(kind: Option<&str>) -> Result<(), Stop> {
    let mut out = Vec::new();
    for entry in read_table(MOUNTS)? {
        if kind.is_some_and(|kinds| !kind_matches(kinds, &entry.kind)) {
            continue;
        }
        for part in [
            entry.source.as_bytes(),
            b" on ",
            entry.target.as_bytes(),
            b" type ",
            entry.kind.as_bytes(),
            b" (",
            entry.options.as_bytes(),
            b")\n",
        ] {
            out.extend_from_slice(part);
        }
    }
    io::stdout().write_all(&out).map_err(|error| {
        PROGRAM.error(format_args!("write failed: {}", errno_text(&error)));
        Stop(1)
    })
}

/// `-t` takes a list, `no` before it turns it round.
fn kind_matches(kinds: &str, kind: &str) -> bool {
    match kinds.strip_prefix("no") {
        Some(unwanted) => unwanted.split(',').all(|k| k != kind),
        None => kinds.split(',').any(|k| k == kind),
    }
}

fn mount_all(request: &Request) -> Result<(), Stop> {
    let mounted = read_table(MOUNTS)?;
    let mut result = Ok(());
    for entry in read_table(FSTAB)? {
        let skipped = entry.options.split(',').any(|word| word == "noauto")
            || entry.kind == "swap"
            || request
                .kind
                .as_ref()
                .is_some_and(|kinds| !kind_matches(kinds, &entry.kind))
            || mounted.iter().any(|m| m.target == entry.target);
        if !skipped && mount_entry(&entry, request).is_err() {
            result = Err(Stop(STATUS_FAILED));
        }
    }
    result
}

fn mount_entry(entry: &Entry, request: &Request) -> Result<(), Stop> {
    let mut options = MountOptions::default();
    options.add(&entry.options);
    options.flags |= request.options.flags;
    if !request.options.data.is_empty() {
        options.add(&request.options.data);
    }
    mount(
        &entry.source,
        &entry.target,
        Some(&entry.kind),
        &options,
        request,
    )
}

fn mount(
    source: &OsStr,
    target: &OsStr,
    kind: Option<&str>,
    options: &MountOptions,
    request: &Request,
) -> Result<(), Stop> {
    let shown = target.display();
    if kind.is_none() && !options.needs_no_type() {
        PROGRAM.error(format_args!("{shown}: no filesystem type specified."));
        return Err(Stop(STATUS_FAILED));
    }
    let c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Stop(1));
    let source_c = c(source)?;
    let target_c = c(target)?;
    let kind_c = kind.map(|kind| c(OsStr::new(kind))).transpose()?;
    let data_c = c(OsStr::new(&options.data))?;
    if !request.fake {
        let kind = kind_c.as_ref().map_or(ptr::null(), |kind| kind.as_ptr());
        let data = data_c.as_ptr().cast();
        // SAFETY: all strings are C strings that outlive the call; a null type is allowed where
        // the flags ask for no new file system.
        let result = unsafe {
            libc::mount(
                source_c.as_ptr(),
                target_c.as_ptr(),
                kind,
                options.flags,
                data,
            )
        };
        if result != 0 {
            explain(
                &io::Error::last_os_error(),
                source,
                target,
                kind_c.as_deref(),
            );
            return Err(Stop(STATUS_FAILED));
        }
    }
    if request.verbose {
        println!("mount: {} mounted on {shown}.", source.display());
    }
    Ok(())
}

/// The messages that util-linux has for what goes wrong most.
fn explain(error: &io::Error, source: &OsStr, target: &OsStr, kind: Option<&std::ffi::CStr>) {
    let (source, target) = (source.display(), target.display());
    let kind = kind.map_or_else(String::new, |kind| kind.to_string_lossy().into_owned());
    match error.raw_os_error() {
        Some(libc::EPERM) => PROGRAM.error(format_args!("{target}: permission denied.")),
        Some(libc::EBUSY) => {
            PROGRAM.error(format_args!("{target}: {source} already mounted or mount point busy."));
        }
        Some(libc::ENOENT) if fs::symlink_metadata(target.to_string()).is_err() => {
            PROGRAM.error(format_args!("{target}: mount point does not exist."));
        }
        Some(libc::ENOENT) => {
            PROGRAM.error(format_args!("{target}: special device {source} does not exist."));
        }
        Some(libc::ENOTDIR) => {
            PROGRAM.error(format_args!("{target}: mount point is not a directory."));
        }
        Some(libc::ENODEV) => {
            PROGRAM.error(format_args!("{target}: unknown filesystem type '{kind}'."));
        }
        Some(libc::ENOTBLK) => {
            PROGRAM.error(format_args!("{target}: {source} is not a block device."));
        }
        Some(libc::EINVAL) => PROGRAM.error(format_args!(
            "{target}: wrong fs type, bad option, bad superblock on {source}, missing codepage or helper program, or other error."
        )),
        _ => PROGRAM.error(format_args!("{target}: mount failed: {}.", errno_text(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_a_list_that_no_turns_round() {
        assert!(kind_matches("ext4,tmpfs", "tmpfs"));
        assert!(!kind_matches("ext4", "tmpfs"));
        assert!(kind_matches("noext4", "tmpfs"));
        assert!(!kind_matches("notmpfs,ext4", "tmpfs"));
    }

    #[test]
    fn options_gather_from_all_switches() {
        let args = ["-t", "tmpfs", "-r", "-o", "noexec,size=1m", "none", "/mnt"];
        let request = parse(args.iter().map(OsString::from).collect()).unwrap();
        assert_eq!(request.options.flags, libc::MS_RDONLY | libc::MS_NOEXEC);
        assert_eq!(request.options.data, "size=1m");
        assert_eq!(request.operands.len(), 2);
    }

    #[test]
    fn three_operands_are_too_many() {
        assert_eq!(run(["a", "b", "c"].iter().map(OsString::from).collect()), 1);
    }
}
