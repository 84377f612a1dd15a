//! `/proc/PID/mounts` and `mountinfo`: what is mounted, as the process sees it.

use super::out::{Out, put};
use super::source::Subject;
use crate::base::Result;
use crate::fs::mount::{self, Mount, MountFlags};
use crate::fs::path::{Path, describe};
use alloc::sync::Arc;
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

/// Where the mount hangs, seen from `root`.
fn place(mount: &Arc<Mount>, root: &Path) -> Vec<u8> {
    let path = Path {
        mount: mount.clone(),
        dentry: mount.root.clone(),
    };
    describe(&path, root)
}

pub fn mounts(who: &Subject, out: &mut Out) -> Result<()> {
    let root = who.context().root();
    for mount in mount::list() {
        out.escaped(mount.source.as_bytes());
        out.bytes(b" ");
        out.escaped(&place(&mount, &root));
        put!(out, " {} ", mount.fs.name());
        mount_options(&mount, out);
        let own = mount.fs.options();
        if !own.is_empty() {
            put!(out, ",{own}");
        }
        out.bytes(b" 0 0\n");
    }
    Ok(())
}

pub fn mountinfo(who: &Subject, out: &mut Out) -> Result<()> {
    let root = who.context().root();
    for mount in mount::list() {
        let parent = mount.covers().map_or(mount.id, |p| p.mount.id);
        let dev = mount.root.inode.metadata()?.dev;
        put!(
            out,
            "{} {} {}:{} / ",
            mount.id,
            parent,
            dev.major,
            dev.minor
        );
        out.escaped(&place(&mount, &root));
        out.bytes(b" ");
        mount_options(&mount, out);
        put!(out, " - {} ", mount.fs.name());
        out.escaped(mount.source.as_bytes());
        out.bytes(if mount.flags().contains(MountFlags::RDONLY) {
            b" ro"
        } else {
            b" rw"
        });
        let own = mount.fs.options();
        if !own.is_empty() {
            put!(out, ",{own}");
        }
        out.bytes(b"\n");
    }
    Ok(())
}
