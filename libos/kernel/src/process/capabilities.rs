//! Capabilities as programs see them (capabilities(7)): the superuser has all, everybody else none.

use super::{Credentials, current, table};
use crate::base::{Errno, Result};
use crate::user::UserPtr;

/// `_LINUX_CAPABILITY_VERSION_3`, the only one that has room for all of them.
const VERSION: u32 = 0x2008_0522;
/// `CAP_CHOWN` to `CAP_CHECKPOINT_RESTORE`.
const ALL: u64 = (1 << 41) - 1;

/// Effective, permitted and inheritable sets, each in two halves.
type Sets = [[u32; 3]; 2];

fn of(creds: &Credentials) -> (u64, u64) {
    let all_if = |holds: bool| if holds { ALL } else { 0 };
    let root = [creds.uid, creds.euid, creds.suid].contains(&0);
    (all_if(creds.is_privileged()), all_if(root))
}

/// Reads the header: the process that is meant. An unknown version is answered with the one that is known.
fn read_header(header: UserPtr<[u32; 2]>) -> Result<i32> {
    let [version, pid] = header.read()?;
    if version != VERSION {
        header.cast::<u32>().write(VERSION)?;
        return Err(Errno::EINVAL);
    }
    Ok(pid as i32)
}

pub fn sys_capget(header: UserPtr<[u32; 2]>, sets: UserPtr<Sets>) -> Result<usize> {
    let pid = match read_header(header) {
        // A way to ask for the version.
        Err(Errno::EINVAL) if sets.is_null() => return Ok(0),
        pid => pid?,
    };
    let creds = match pid {
        0 => current().process().creds(),
        1.. => table::find(pid).ok_or(Errno::ESRCH)?.creds(),
        _ => return Err(Errno::EINVAL),
    };
    let (effective, permitted) = of(&creds);
    let half = |shift: u32| [(effective >> shift) as u32, (permitted >> shift) as u32, 0];
    sets.write([half(0), half(32)])?;
    Ok(0)
}

/// Nothing can be given up singly: what asks for exactly what there is succeeds.
pub fn sys_capset(header: UserPtr<[u32; 2]>, sets: UserPtr<Sets>) -> Result<usize> {
    let pid = read_header(header)?;
    if pid != 0 && pid != current().tid() {
        return Err(Errno::EPERM);
    }
    let [low, high] = sets.read()?;
    let set = |n: usize| low[n] as u64 | (high[n] as u64) << 32;
    let (effective, permitted) = of(&current().process().creds());
    if (set(0), set(1)) == (effective, permitted) {
        return Ok(0);
    }
    if set(1) & !permitted == 0 {
        klog!(Warn, "capset: giving up single capabilities is not built");
    }
    Err(Errno::EPERM)
}
