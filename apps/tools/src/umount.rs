//! `umount`: takes file systems out of the tree.

use crate::args::{Program, Stop, errno_text};
use crate::fstab;
use lexopt::{Arg, ValueExt};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::{fs, io, ptr};

const PROGRAM: Program = Program {
    name: "umount",
    help: "Usage: umount [OPTION]... SOURCE|TARGET...
Take file systems out of the tree.

  -a, --all         everything but the root and what the system needs
  -f, --force       even if it is unreachable
  -l, --lazy        out of the tree now, gone when nobody uses it any more
  -r, --read-only   where that fails, make it read-only
  -t, --types TYPE  with -a, only this kind
  -q, --quiet       no message for what is not mounted
  -v, --verbose     say what is done",
    usage_status: 1,
};

const STATUS_FAILED: i32 = 32;
/// What `-a` leaves alone: programs stop working without it.
const NEEDED: &[&str] = &["proc", "devfs", "devtmpfs", "devpts", "sysfs", "rootfs"];

#[derive(Default)]
struct Options {
    flags: libc::c_int,
    all: bool,
    kind: Option<String>,
    read_only: bool,
    quiet: bool,
    verbose: bool,
    targets: Vec<OsString>,
}

pub fn run(args: Vec<OsString>) -> i32 {
    match parse(args).and_then(execute) {
        Ok(()) => 0,
        Err(Stop(status)) => status,
    }
}

fn parse(args: Vec<OsString>) -> Result<Options, Stop> {
    let mut options = Options::default();
    let mut parser = PROGRAM.parser(args);
    while let Some(arg) = parser.next().map_err(|e| PROGRAM.bad_value(e))? {
        match arg {
            Arg::Short('a') | Arg::Long("all") => options.all = true,
            Arg::Short('f') | Arg::Long("force") => options.flags |= libc::MNT_FORCE,
            Arg::Short('l') | Arg::Long("lazy") => options.flags |= libc::MNT_DETACH,
            Arg::Short('r') | Arg::Long("read-only") => options.read_only = true,
            Arg::Short('q') | Arg::Long("quiet") => options.quiet = true,
            Arg::Short('v') | Arg::Long("verbose") => options.verbose = true,
            Arg::Short('n') | Arg::Long("no-mtab") => {}
            Arg::Short('t') | Arg::Long("types") => {
                let kind = parser.value().and_then(ValueExt::string);
                options.kind = Some(kind.map_err(|e| PROGRAM.bad_value(e))?);
            }
            Arg::Value(target) => options.targets.push(target),
            other => return Err(PROGRAM.leftover(other)),
        }
    }
    if options.targets.is_empty() && !options.all {
        return Err(PROGRAM.usage("bad usage"));
    }
    Ok(options)
}

fn execute(options: Options) -> Result<(), Stop> {
    let mounts = fstab::entries(&fs::read("/proc/mounts").unwrap_or_default());
    let mut result = Ok(());
    let mut take = |target: &OsStr| {
        if let Err(stop) = umount(target, &options) {
            result = Err(stop);
        }
    };
    if options.all {
        // Last in, first out: a mount inside another one goes before it.
        for entry in mounts.iter().rev().filter(|entry| {
            entry.target != "/"
                && !NEEDED.contains(&entry.kind.as_str())
                && options.kind.as_ref().is_none_or(|kind| *kind == entry.kind)
        }) {
            take(&entry.target);
        }
    }
    for name in &options.targets {
        // A source is as good a name as its mount point.
        take(fstab::find(&mounts, name).map_or(name, |entry| &entry.target));
    }
    result
}

fn umount(target: &OsStr, options: &Options) -> Result<(), Stop> {
    let shown = target.display();
    let path = CString::new(target.as_bytes()).map_err(|_| Stop(1))?;
    // SAFETY: the path is a C string that outlives the call.
    if unsafe { libc::umount2(path.as_ptr(), options.flags) } == 0 {
        if options.verbose {
            println!("umount: {shown} unmounted");
        }
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if options.read_only && error.raw_os_error() == Some(libc::EBUSY) {
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        // SAFETY: as above; remounting uses neither source, type nor data.
        let result =
            unsafe { libc::mount(ptr::null(), path.as_ptr(), ptr::null(), flags, ptr::null()) };
        if result == 0 {
            return Ok(());
        }
    }
    match error.raw_os_error() {
        Some(libc::EINVAL) if options.quiet => return Ok(()),
        Some(libc::EINVAL) => PROGRAM.error(format_args!("{shown}: not mounted.")),
        Some(libc::EBUSY) => PROGRAM.error(format_args!("{shown}: target is busy.")),
        Some(libc::ENOENT) => {
            PROGRAM.error(format_args!("{shown}: no mount point specified."));
        }
        Some(libc::EPERM) => PROGRAM.error(format_args!("{shown}: must be superuser to unmount.")),
        _ => PROGRAM.error(format_args!("{shown}: {}.", errno_text(&error))),
    }
    Err(Stop(STATUS_FAILED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_must_be_named() {
        assert_eq!(run(vec![]), 1);
    }

    #[test]
    fn what_is_no_mount_point_is_refused() {
        assert_eq!(run(vec!["/nonexistent".into()]), STATUS_FAILED);
    }
}
