//! Files without a name, and handles that this kernel does not give.

use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::dentry::Dentry;
use crate::fs::fdtable::OnExec;
use crate::fs::file::File;
use crate::fs::path::Path;
use crate::fs::ramfs::{RamInode, seal};
use crate::fs::types::OpenFlags;
use crate::user::UserPtr;

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;
/// The name as shown, less the prefix `memfd:` and the NUL.
const MFD_NAME_MAX: usize = 249;

pub fn sys_memfd_create(name: UserPtr<u8>, flags: u32) -> Result<usize> {
    if flags & !(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let name = name.read_cstr(MFD_NAME_MAX, Errno::EINVAL)?;
    let sealable = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) != 0;
    let perm = if flags & MFD_NOEXEC_SEAL != 0 {
        0o666
    } else {
        0o777
    };
    let creds = caller::credentials();
    let (mount, fs) = crate::fs::nameless();
    let seals = if sealable { 0 } else { seal::SEAL };
    let inode = RamInode::memfd(fs, perm, creds.fsuid, creds.fsgid, seals);
    let dentry = Dentry::detached(inode, &[b"/memfd:", &name[..]].concat());
    dentry.mark_unlinked();
    let path = Path {
        mount: mount.clone(),
        dentry,
    };
    let file = File::build(None, Some(path), OpenFlags::RDWR);
    Ok(caller::files().insert(file, OnExec::from_flag(flags & MFD_CLOEXEC != 0))? as usize)
}

pub fn sys_name_to_handle_at() -> Result<usize> {
    crate::klog!(Debug, "name_to_handle_at is not there");
    Err(Errno::EOPNOTSUPP)
}
