//! Who a process is: user and group identities (credentials(7)).

use alloc::sync::Arc;

/// A set of identities; immutable once shared, replaced as a whole by `setuid` and its kin.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Arc<[u32]>,
}

impl Credentials {
    /// The superuser.
    pub fn root() -> Self {
        Credentials {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Arc::from([]),
        }
    }

    /// Whether the real and effective ids are those of `other`.
    pub fn same_ids(&self, other: &Credentials) -> bool {
        let ids = |c: &Credentials| [c.uid, c.euid, c.gid, c.egid];
        ids(self) == ids(other)
    }

    /// Whether file permission checks are waived (CAP_DAC_OVERRIDE, CAP_FOWNER, … in Linux's terms).
    pub fn is_privileged(&self) -> bool {
        self.euid == 0
    }

    /// Whether `gid` is the file-system group or a supplementary one.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }
}
