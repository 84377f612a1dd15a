//! Identities and family: the `get*id` and `set*id` operations, groups and sessions (credentials(7)).

use super::{Credentials, Process, current, table};
use crate::base::{Errno, Result};
use crate::user::UserPtr;
use core::sync::atomic::Ordering;

/// "Leave as it is" in `setreuid` and its kin.
const KEEP: u32 = u32::MAX;

pub fn sys_getpid() -> Result<usize> {
    #[cfg(feature = "slow-getpid")]
    for _ in 0..100 {
        core::hint::spin_loop();
    }
    Ok(current().process().pid as usize)
}
pub fn sys_gettid() -> Result<usize> {
    Ok(current().tid() as usize)
}
pub fn sys_getppid() -> Result<usize> {
    Ok(current().process().ppid() as usize)
}
pub fn sys_getuid() -> Result<usize> {
    Ok(current().process().creds().uid as usize)
}
pub fn sys_geteuid() -> Result<usize> {
    Ok(current().process().creds().euid as usize)
}
pub fn sys_getgid() -> Result<usize> {
    Ok(current().process().creds().gid as usize)
}
pub fn sys_getegid() -> Result<usize> {
    Ok(current().process().creds().egid as usize)
}

/// Puts `new` in the place of `old`. Who gets other rights is sent no signal at a parent's death any more (PR_SET_PDEATHSIG(2const)).
fn replace(process: &Process, old: &Credentials, new: Credentials) {
    let rights = |c: &Credentials| [c.euid, c.egid, c.fsuid, c.fsgid];
    if rights(old) != rights(&new) {
        process.death_signal.store(0, Ordering::Relaxed);
    }
    process.set_creds(new);
}

fn change(f: impl FnOnce(&mut Credentials, bool) -> Result<()>) -> Result<usize> {
    let process = current().process();
    let old = process.creds();
    let mut c = (*old).clone();
    f(&mut c, old.is_privileged())?;
    replace(process, &old, c);
    Ok(0)
}

pub fn sys_setuid(uid: u32) -> Result<usize> {
    if uid == KEEP {
        return Err(Errno::EINVAL);
    }
    change(|c, privileged| {
        if privileged {
            (c.uid, c.suid) = (uid, uid);
        } else if uid != c.uid && uid != c.suid {
            return Err(Errno::EPERM);
        }
        (c.euid, c.fsuid) = (uid, uid);
        Ok(())
    })
}

pub fn sys_setgid(gid: u32) -> Result<usize> {
    if gid == KEEP {
        return Err(Errno::EINVAL);
    }
    change(|c, privileged| {
        if privileged {
            (c.gid, c.sgid) = (gid, gid);
        } else if gid != c.gid && gid != c.sgid {
            return Err(Errno::EPERM);
        }
        (c.egid, c.fsgid) = (gid, gid);
        Ok(())
    })
}

/// The rule of `setre*id` and `setres*id` for one number: root may take any, others one they have.
fn pick(new: u32, old: u32, allowed: &[u32], privileged: bool) -> Result<u32> {
    match new {
        KEEP => Ok(old),
        n if privileged || allowed.contains(&n) => Ok(n),
        _ => Err(Errno::EPERM),
    }
}

pub fn sys_setreuid(real: u32, effective: u32) -> Result<usize> {
    change(|c, p| {
        let old = c.uid;
        c.uid = pick(real, c.uid, &[c.uid, c.euid], p)?;
        c.euid = pick(effective, c.euid, &[old, c.euid, c.suid], p)?;
        if real != KEEP || effective != KEEP && effective != old {
            c.suid = c.euid;
        }
        c.fsuid = c.euid;
        Ok(())
    })
}

pub fn sys_setregid(real: u32, effective: u32) -> Result<usize> {
    change(|c, p| {
        let old = c.gid;
        c.gid = pick(real, c.gid, &[c.gid, c.egid], p)?;
        c.egid = pick(effective, c.egid, &[old, c.egid, c.sgid], p)?;
        if real != KEEP || effective != KEEP && effective != old {
            c.sgid = c.egid;
        }
        c.fsgid = c.egid;
        Ok(())
    })
}

pub fn sys_setresuid(real: u32, effective: u32, saved: u32) -> Result<usize> {
    change(|c, p| {
        let have = [c.uid, c.euid, c.suid];
        c.uid = pick(real, c.uid, &have, p)?;
        c.euid = pick(effective, c.euid, &have, p)?;
        c.suid = pick(saved, c.suid, &have, p)?;
        c.fsuid = c.euid;
        Ok(())
    })
}

pub fn sys_setresgid(real: u32, effective: u32, saved: u32) -> Result<usize> {
    change(|c, p| {
        let have = [c.gid, c.egid, c.sgid];
        c.gid = pick(real, c.gid, &have, p)?;
        c.egid = pick(effective, c.egid, &have, p)?;
        c.sgid = pick(saved, c.sgid, &have, p)?;
        c.fsgid = c.egid;
        Ok(())
    })
}

pub fn sys_getresuid(
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<usize> {
    let c = current().process().creds();
    real.write(c.uid)?;
    effective.write(c.euid)?;
    saved.write(c.suid)?;
    Ok(0)
}

pub fn sys_getresgid(
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<usize> {
    let c = current().process().creds();
    real.write(c.gid)?;
    effective.write(c.egid)?;
    saved.write(c.sgid)?;
    Ok(0)
}

/// Returns the old number, whatever happens (setfsuid(2)).
pub fn sys_setfsuid(uid: u32) -> Result<usize> {
    let process = current().process();
    let before = process.creds();
    let (mut c, old) = ((*before).clone(), before.fsuid);
    if uid != KEEP && (c.is_privileged() || [c.uid, c.euid, c.suid, c.fsuid].contains(&uid)) {
        c.fsuid = uid;
        replace(process, &before, c);
    }
    Ok(old as usize)
}

pub fn sys_setfsgid(gid: u32) -> Result<usize> {
    let process = current().process();
    let before = process.creds();
    let (mut c, old) = ((*before).clone(), before.fsgid);
    if gid != KEEP && (c.is_privileged() || [c.gid, c.egid, c.sgid, c.fsgid].contains(&gid)) {
        c.fsgid = gid;
        replace(process, &before, c);
    }
    Ok(old as usize)
}

pub fn sys_getgroups(size: i32, list: UserPtr<u32>) -> Result<usize> {
    let c = current().process().creds();
    if size < 0 || size > 0 && (size as usize) < c.groups.len() {
        return Err(Errno::EINVAL);
    }
    if size > 0 {
        list.write_slice(&c.groups)?;
    }
    Ok(c.groups.len())
}

pub fn sys_setgroups(size: usize, list: UserPtr<u32>) -> Result<usize> {
    change(|c, privileged| {
        if !privileged {
            return Err(Errno::EPERM);
        }
        if size > 65536 {
            return Err(Errno::EINVAL);
        }
        c.groups = list.read_vec(size)?.into();
        Ok(())
    })
}

fn pid_or_self(pid: i32) -> i32 {
    if pid == 0 {
        current().process().pid
    } else {
        pid
    }
}

pub fn sys_getpgid(pid: i32) -> Result<usize> {
    let pid = pid_or_self(pid);
    table::find(pid).ok_or(Errno::ESRCH)?;
    Ok(table::group(pid) as usize)
}

pub fn sys_setpgid(pid: i32, group: i32) -> Result<usize> {
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let pid = pid_or_self(pid);
    table::set_group(
        current().process().pid,
        pid,
        if group == 0 { pid } else { group },
    )?;
    Ok(0)
}

pub fn sys_getsid(pid: i32) -> Result<usize> {
    let pid = pid_or_self(pid);
    table::find(pid).ok_or(Errno::ESRCH)?;
    Ok(table::session_id(pid) as usize)
}

pub fn sys_setsid() -> Result<usize> {
    let pid = current().process().pid;
    table::new_session(pid)?;
    Ok(pid as usize)
}
