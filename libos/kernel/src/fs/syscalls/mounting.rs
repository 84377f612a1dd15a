//! `mount` and `umount2`.

use super::at::{AT_FDCWD, At, read_path};
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::fs::mount::{self, Mount, MountFlags, Super, Unmount};
use crate::fs::ramfs::{Limits, RamFs, UNLIMITED};
use crate::fs::walk::Follow;
use crate::fs::{caller, devfs, procfs};
use crate::user::UserPtr;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
/// Propagation between mount namespaces, of which there is one.
const MS_PROPAGATION: u64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
const MS_REC: u64 = 16384;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What mount(8) may ask of tmpfs: `size=64m,nr_inodes=10k,mode=1777`. 0 is no limit.
struct TmpfsOptions {
    limits: Limits,
    perm: u16,
}

/// The options, where they are not named those of `limits`.
fn parse_tmpfs(data: &str, limits: Limits) -> Result<TmpfsOptions> {
    let mut options = TmpfsOptions {
        limits,
        perm: 0o1777,
    };
    let limit = |n: usize| match n {
        0 => UNLIMITED,
        n => n.min(UNLIMITED),
    };
    for option in data.split(',').filter(|o| !o.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "size" => options.limits.pages = limit(parse_size(value)?.div_ceil(PAGE_SIZE)),
            "nr_blocks" => options.limits.pages = limit(parse_size(value)?),
            "nr_inodes" => options.limits.inodes = limit(parse_size(value)?),
            "mode" => {
                options.perm = u16::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777
            }
            "uid" | "gid" | "huge" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(options)
}

/// `64k`, `10%` (of RAM), …
fn parse_size(text: &str) -> Result<usize> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let n: usize = digits.parse().map_err(|_| Errno::EINVAL)?;
    let scale = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        "%" => crate::memory::frames::total_count() * PAGE_SIZE / 100,
        _ => return Err(Errno::EINVAL),
    };
    n.checked_mul(scale).ok_or(Errno::EINVAL)
}

fn new_file_system(kind: &[u8], data: &str) -> Result<Arc<Super>> {
    match kind {
        b"tmpfs" | b"ramfs" => {
            let TmpfsOptions { limits, perm } = parse_tmpfs(data, Limits::default())?;
            Ok(Super::new(RamFs::new("tmpfs", limits, perm)))
        }
        b"proc" => Ok(procfs::superblock()),
        b"devtmpfs" => Ok(devfs::superblock()),
        _ => Err(Errno::ENODEV),
    }
}

pub fn sys_mount(
    source: UserPtr<u8>,
    target: UserPtr<u8>,
    kind: UserPtr<u8>,
    flags: u64,
    data: UserPtr<u8>,
) -> Result<usize> {
    if !caller::credentials().is_privileged() {
        return Err(Errno::EPERM);
    }
    let optional = |p: UserPtr<u8>| p.option().map_or(Ok(Vec::new()), read_path);
    let source = optional(source)?;
    let data = text(optional(data)?);
    let place = At::new(AT_FDCWD, target)?.lookup(Follow::Yes)?;
    let mount_flags = MountFlags::from_bits_truncate(flags as u32);
    if flags & MS_REMOUNT != 0 {
        if !Arc::ptr_eq(&place.dentry, &place.mount.root) {
            return Err(Errno::EINVAL);
        }
        let file_system = place.mount.fs().as_any().downcast_ref::<RamFs>();
        let change = match file_system.filter(|_| flags & MS_BIND == 0) {
            Some(fs) => Some((fs, parse_tmpfs(&data, fs.limits())?.limits)),
            None => None,
        };
        remount(&place.mount, mount_flags, change)?;
        return Ok(0);
    }
    if flags & MS_BIND != 0 {
        let what = At::with_path(AT_FDCWD, source)?.lookup(Follow::Yes)?;
        mount::bind(&what, &place)?;
        return Ok(0);
    }
    if flags & MS_MOVE != 0 {
        crate::klog!(Info, "mount: MS_MOVE is not there");
        return Err(Errno::ENOSYS);
    }
    if flags & MS_PROPAGATION & !MS_REC != 0 {
        return Ok(0);
    }
    let kind = read_path(kind)?;
    let fs = new_file_system(&kind, &data)?;
    let source = if source.is_empty() {
        String::from("none")
    } else {
        text(source)
    };
    mount::mount(fs, &place, &source, mount_flags)?;
    Ok(0)
}

/// New flags, and new limits of the file system: both or neither. Only becoming read-only can fail: it comes first, and being writable
/// again last.
fn remount(mount: &Mount, flags: MountFlags, change: Option<(&RamFs, Limits)>) -> Result<()> {
    let old = mount.flags();
    if flags.contains(MountFlags::RDONLY) {
        mount.set_flags(flags)?;
    }
    if let Some((fs, limits)) = change
        && let Err(e) = fs.set_limits(limits)
    {
        if flags.contains(MountFlags::RDONLY) {
            mount.set_flags(old)?;
        }
        return Err(e);
    }
    mount.set_flags(flags)
}

const MNT_FORCE: u32 = 1;
const MNT_DETACH: u32 = 2;
const UMOUNT_NOFOLLOW: u32 = 8;

pub fn sys_umount2(target: UserPtr<u8>, flags: u32) -> Result<usize> {
    if flags & !(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    if !caller::credentials().is_privileged() {
        return Err(Errno::EPERM);
    }
    let follow = if flags & UMOUNT_NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    };
    let place = At::new(AT_FDCWD, target)?.lookup(follow)?;
    let how = if flags & MNT_DETACH != 0 {
        Unmount::Detach
    } else {
        Unmount::IfIdle
    };
    mount::unmount(place, how)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_options_are_read() {
        let default = Limits {
            pages: 7,
            inodes: 8,
        };
        let o = parse_tmpfs("size=64k,mode=0700", default).unwrap();
        assert_eq!((o.limits.pages, o.limits.inodes, o.perm), (16, 8, 0o700));
        let o = parse_tmpfs("nr_inodes=2k,nr_blocks=0", default).unwrap();
        assert_eq!((o.limits.pages, o.limits.inodes), (UNLIMITED, 2048));
        let o = parse_tmpfs("nr_blocks=9223372036854775807", default).unwrap();
        assert_eq!(o.limits.pages, UNLIMITED);
        assert!(parse_tmpfs("size=x", default).is_err());
        assert!(parse_tmpfs("bogus", default).is_err());
    }
}
