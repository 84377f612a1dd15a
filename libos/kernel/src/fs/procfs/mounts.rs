//! `/proc/PID/mounts` and `mountinfo`: what is mounted, as the process sees it.

use super::out::{Out, put};
use super::source::Subject;
use crate::base::{Errno, Result};
use crate::fs::mount::{self, Mount, MountFlags};
use crate::fs::path::{Path, TOO_LONG, describe, root_of};
use alloc::vec::Vec;

fn mount_options(mount: &Mount, out: &mut Out) {
    let flags = mount.flags();
    out.bytes(if flags.contains(MountFlags::RDONLY) {
        b"ro"
    } else {
        b"rw"
    });
    for (flag, name) in [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
    ] {
        if flags.contains(flag) {
            out.bytes(name.as_bytes());
        }
    }
    if !flags.contains(MountFlags::NOATIME) {
        out.bytes(b",relatime");
    }
}

/// A name for a table: one that is too long does not keep the others from being read.
fn shortened(name: Result<Vec<u8>>) -> Result<Vec<u8>> {
    match name {
        Err(Errno::ENAMETOOLONG) => Ok(TOO_LONG.into()),
        other => other,
    }
}

/// Calls `line` for each mount and the place where it hangs, seen from the process's root; what hangs elsewhere is left out.
fn each(who: &Subject, mut line: impl FnMut(&Mount, &[u8]) -> Result<()>) -> Result<()> {
    let root = who.context().root();
    mount::for_each(|mount| {
        let path = Path {
            mount: mount.clone(),
            dentry: mount.root.clone(),
        };
        let mut reached = true;
        let place = describe(&path, &root).map(|place| {
            reached = place.reached;
            place.text
        });
        let place = shortened(place)?;
        if reached { line(mount, &place) } else { Ok(()) }
    })
}

/// What the file system itself adds.
fn own_options(mount: &Mount, out: &mut Out) {
    let own = mount.fs().options();
    if !own.is_empty() {
        put!(out, ",{own}");
    }
}

pub fn mounts(who: &Subject, out: &mut Out) -> Result<()> {
    each(who, |mount, place| {
        out.escaped(mount.source.as_bytes());
        out.bytes(b" ");
        out.escaped(place);
        put!(out, " {} ", mount.fs().name());
        mount_options(mount, out);
        own_options(mount, out);
        out.bytes(b" 0 0\n");
        Ok(())
    })
}

pub fn mountinfo(who: &Subject, out: &mut Out) -> Result<()> {
    each(who, |mount, place| {
        let parent = mount.covers().map_or(mount.id, |p| p.mount.id);
        let dev = mount.sb.root.inode.metadata()?.dev;
        put!(out, "{} {parent} {}:{} ", mount.id, dev.major, dev.minor);
        out.escaped(&shortened(root_of(mount))?);
        out.bytes(b" ");
        out.escaped(place);
        out.bytes(b" ");
        mount_options(mount, out);
        put!(out, " - {} ", mount.fs().name());
        out.escaped(mount.source.as_bytes());
        out.bytes(if mount.flags().contains(MountFlags::RDONLY) {
            b" ro"
        } else {
            b" rw"
        });
        own_options(mount, out);
        out.bytes(b"\n");
        Ok(())
    })
}
