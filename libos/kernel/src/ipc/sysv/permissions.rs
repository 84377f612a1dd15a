//! What all kinds of System V objects have in common: commands, owners, permissions.

use crate::base::{Errno, Result};
use crate::process::{Credentials, current};
use crate::user::Plain;

pub const IPC_CREAT: i32 = 0o1000;
pub const IPC_EXCL: i32 = 0o2000;
pub const IPC_RMID: i32 = 0;
pub const IPC_SET: i32 = 1;
pub const IPC_STAT: i32 = 2;
pub const IPC_PRIVATE: i32 = 0;
/// A command's bit for the structures of today, which are the only ones here.
pub const IPC_64: i32 = 0x100;
pub const READ: u32 = 4;
pub const WRITE: u32 = 2;

/// `struct ipc64_perm`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Permissions {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    cuid: u32,
    cgid: u32,
    pub mode: u32,
    seq: u16,
    pad: [u16; 3],
    unused: [u64; 2],
}
// SAFETY: integers without hidden padding.
unsafe impl Plain for Permissions {}
const _: () = assert!(size_of::<Permissions>() == 48);

impl Permissions {
    /// Those of a new object of the caller's.
    pub fn new(key: i32, flags: i32) -> Self {
        let creds = current().process().creds();
        Permissions {
            key,
            uid: creds.euid,
            gid: creds.egid,
            cuid: creds.euid,
            cgid: creds.egid,
            mode: flags as u32 & 0o777,
            seq: 0,
            pad: [0; 3],
            unused: [0; 2],
        }
    }

    /// `EACCES` unless the caller may use the object in all the ways of `want`.
    pub fn check(&self, want: u32) -> Result<()> {
        self.check_for(&current().process().creds(), want)
    }

    fn check_for(&self, creds: &Credentials, want: u32) -> Result<()> {
        let granted = if creds.euid == self.uid || creds.euid == self.cuid {
            self.mode >> 6
        } else if [self.gid, self.cgid]
            .iter()
            .any(|&g| creds.egid == g || creds.groups.contains(&g))
        {
            self.mode >> 3
        } else {
            self.mode
        };
        if creds.is_privileged() || granted & want == want {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// `EPERM` unless the caller may change or remove the object.
    pub fn check_owner(&self) -> Result<()> {
        let creds = current().process().creds();
        if creds.is_privileged() || creds.euid == self.uid || creds.euid == self.cuid {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// `IPC_SET`.
    pub fn set(&mut self, new: &Permissions) {
        (self.uid, self.gid) = (new.uid, new.gid);
        self.mode = self.mode & !0o777 | new.mode & 0o777;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(mode: u32) -> Permissions {
        Permissions {
            key: 1,
            uid: 10,
            gid: 20,
            cuid: 11,
            cgid: 21,
            mode,
            seq: 0,
            pad: [0; 3],
            unused: [0; 2],
        }
    }

    fn user(euid: u32, egid: u32) -> Credentials {
        Credentials {
            euid,
            egid,
            ..Credentials::root()
        }
    }

    #[test]
    fn owners_groups_and_others_have_their_bits() {
        let p = permissions(0o640);
        assert!(p.check_for(&user(10, 1), READ | WRITE).is_ok());
        assert!(p.check_for(&user(11, 1), WRITE).is_ok());
        assert!(p.check_for(&user(12, 20), READ).is_ok());
        assert_eq!(p.check_for(&user(12, 21), WRITE), Err(Errno::EACCES));
        assert_eq!(p.check_for(&user(12, 1), READ), Err(Errno::EACCES));
        assert!(p.check_for(&user(0, 1), READ | WRITE).is_ok());
    }
}
