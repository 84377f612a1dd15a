//! Resource limits (getrlimit(2)).

use super::{current, table};
use crate::base::{Errno, Result};
use crate::user::{Plain, UserPtr};

/// "No limit".
pub const INFINITY: u64 = u64::MAX;
pub const CPU: u32 = 0;
pub const FSIZE: u32 = 1;
pub const DATA: u32 = 2;
pub const STACK: u32 = 3;
pub const CORE: u32 = 4;
pub const NPROC: u32 = 6;
pub const NOFILE: u32 = 7;
pub const MEMLOCK: u32 = 8;
pub const AS: u32 = 9;
pub const SIGPENDING: u32 = 11;
pub const MSGQUEUE: u32 = 12;
pub const NICE: u32 = 13;
pub const RTPRIO: u32 = 14;
/// Kinds of limits that Linux knows.
const COUNT: usize = 16;

/// A soft and a hard limit, as `struct rlimit64`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

// SAFETY: two integers.
unsafe impl Plain for Limit {}

/// A process's limits, by `RLIMIT_` number.
#[derive(Clone)]
pub struct Limits([Limit; COUNT]);

impl Limits {
    /// Linux's defaults.
    pub fn initial() -> Limits {
        const MIB: u64 = 1 << 20;
        let unlimited = Limit {
            soft: INFINITY,
            hard: INFINITY,
        };
        let mut l = [unlimited; COUNT];
        l[STACK as usize].soft = 8 * MIB;
        l[CORE as usize].soft = 0;
        for (which, soft, hard) in [
            (NOFILE, 1024, MIB),
            (NPROC, 16384, 16384),
            (MEMLOCK, 8 * MIB, 8 * MIB),
            (SIGPENDING, 16384, 16384),
            (MSGQUEUE, 819_200, 819_200),
            (NICE, 0, 0),
            (RTPRIO, 0, 0),
        ] {
            l[which as usize] = Limit { soft, hard };
        }
        Limits(l)
    }

    pub fn soft(&self, which: u32) -> u64 {
        self.0.get(which as usize).map_or(INFINITY, |l| l.soft)
    }

    pub fn get(&self, which: u32) -> Result<Limit> {
        self.0.get(which as usize).copied().ok_or(Errno::EINVAL)
    }
}

/// The limits that an address space enforces.
pub fn memory(process: &super::Process) -> crate::memory::Limits {
    let l = process.limits.lock();
    crate::memory::Limits {
        stack: l.soft(STACK),
        address_space: l.soft(AS),
        data: l.soft(DATA),
    }
}

/// `prlimit64`: reads and replaces a limit of `pid` (0 for the caller).
pub fn sys_prlimit64(
    pid: i32,
    which: u32,
    new: UserPtr<Limit>,
    old: UserPtr<Limit>,
) -> Result<usize> {
    let me = current().process();
    let target = if pid == 0 {
        me.clone()
    } else {
        table::find(pid).ok_or(Errno::ESRCH)?
    };
    let (creds, theirs) = (me.creds(), target.creds());
    // Who runs a program with other rights than one's own has given it out of one's hands (prlimit(2)).
    let same = [theirs.uid, theirs.euid, theirs.suid] == [creds.uid; 3]
        && [theirs.gid, theirs.egid, theirs.sgid] == [creds.gid; 3];
    if !creds.is_privileged() && !same && !alloc::sync::Arc::ptr_eq(me, &target) {
        return Err(Errno::EPERM);
    }
    let new = new.option().map(|p| p.read()).transpose()?;
    let before = {
        // Looked at and changed in one step: nobody raises what another has just lowered.
        let mut limits = target.limits.lock();
        let before = limits.get(which)?;
        if let Some(new) = new {
            if new.soft > new.hard {
                return Err(Errno::EINVAL);
            }
            if new.hard > before.hard && !creds.is_privileged() {
                return Err(Errno::EPERM);
            }
            limits.0[which as usize] = new;
        }
        before
    };
    if new.is_some() {
        if matches!(which, STACK | AS | DATA) {
            target.space().set_limits(memory(&target));
        }
        if which == CPU {
            super::timers::watch_cpu_limit(&target);
        }
    }
    if let Some(old) = old.option() {
        old.write(before)?;
    }
    Ok(0)
}

pub fn sys_getrlimit(which: u32, old: UserPtr<Limit>) -> Result<usize> {
    sys_prlimit64(0, which, UserPtr::new(0), old)
}

pub fn sys_setrlimit(which: u32, new: UserPtr<Limit>) -> Result<usize> {
    sys_prlimit64(0, which, new, UserPtr::new(0))
}
