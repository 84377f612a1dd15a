//! Who may do what: the owner/group/other bits, with the superuser's exceptions.

use super::inode::{Access, Inode};
use super::types::FileType;
use crate::base::{Errno, Result};
use crate::process::Credentials;

pub const READ: u16 = 4;
pub const WRITE: u16 = 2;
pub const EXEC: u16 = 1;

pub const SETUID: u16 = 0o4000;
pub const SETGID: u16 = 0o2000;
pub const STICKY: u16 = 0o1000;

/// `EACCES` unless `creds` may use `inode` in all the ways of `want`.
#[inline]
pub fn check(inode: &dyn Inode, creds: &Credentials, want: u16) -> Result<()> {
    // The superuser reads, writes and searches everything, and runs what anybody may run.
    if creds.fsuid == 0 && (want & EXEC == 0 || inode.kind() == FileType::Directory) {
        return Ok(());
    }
    check_bits(inode.access()?, creds, want)
}

/// As [`check`], for the search of what is known to be a directory.
#[inline]
pub fn check_search(dir: &dyn Inode, creds: &Credentials) -> Result<()> {
    match creds.fsuid {
        0 => Ok(()),
        _ => check_bits(dir.access()?, creds, EXEC),
    }
}

/// As [`check`], of what is known of the file already; not a directory.
pub fn check_bits(access: Access, creds: &Credentials, want: u16) -> Result<()> {
    let perm = access.perm;
    if creds.fsuid == 0 {
        return if want & EXEC == 0 || perm & 0o111 != 0 {
            Ok(())
        } else {
            Err(Errno::EACCES)
        };
    }
    let granted = if creds.fsuid == access.uid {
        perm >> 6
    } else if creds.in_group(access.gid) {
        perm >> 3
    } else {
        perm
    };
    if granted & want == want {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// Whether `creds` may change the attributes of a file of `uid`: `EPERM` unless owner or superuser.
pub fn check_owner(uid: u32, creds: &Credentials) -> Result<()> {
    if creds.fsuid == 0 || creds.fsuid == uid {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Whether `creds` may remove or rename `victim` in `dir`: write and search permission, and ownership where `dir` is sticky.
pub fn check_delete(dir: &dyn Inode, victim: &dyn Inode, creds: &Credentials) -> Result<()> {
    if creds.fsuid == 0 {
        return Ok(());
    }
    let access = dir.access()?;
    check_bits(access, creds, WRITE | EXEC)?;
    let sticky = access.perm & STICKY != 0;
    if sticky && creds.fsuid != access.uid && creds.fsuid != victim.access()?.uid {
        return Err(Errno::EPERM);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, gid: u32, groups: &[u32]) -> Credentials {
        Credentials {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: groups.into(),
        }
    }

    #[test]
    fn only_the_first_class_that_fits_counts() {
        let access = Access {
            perm: 0o047,
            uid: 5,
            gid: 6,
        };
        assert_eq!(
            check_bits(access, &user(5, 6, &[]), READ),
            Err(Errno::EACCES)
        );
        assert_eq!(check_bits(access, &user(7, 6, &[]), READ), Ok(()));
        assert_eq!(
            check_bits(access, &user(7, 1, &[6]), WRITE),
            Err(Errno::EACCES)
        );
        assert_eq!(
            check_bits(access, &user(7, 1, &[]), READ | WRITE | EXEC),
            Ok(())
        );
    }

    #[test]
    fn the_superuser_runs_only_what_somebody_may_run() {
        let root = Credentials::root();
        assert_eq!(
            check_bits(
                Access {
                    perm: 0o000,
                    uid: 5,
                    gid: 6
                },
                &root,
                READ | WRITE
            ),
            Ok(())
        );
        assert_eq!(
            check_bits(
                Access {
                    perm: 0o644,
                    uid: 5,
                    gid: 6
                },
                &root,
                EXEC
            ),
            Err(Errno::EACCES)
        );
        assert_eq!(
            check_bits(
                Access {
                    perm: 0o001,
                    uid: 5,
                    gid: 6
                },
                &root,
                EXEC
            ),
            Ok(())
        );
    }
}
