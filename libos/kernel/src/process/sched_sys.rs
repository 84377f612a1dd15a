//! The operations that steer the scheduler (sched(7)).

use super::thread::{RESET_ON_FORK, Thread, current};
use super::{limits, scheduler, table};
use crate::arch::cpu;
use crate::base::{Errno, Result};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

fn thread_of(tid: i32) -> Result<Arc<Thread>> {
    match tid {
        0 => Ok(current().clone()),
        1.. => table::find_thread(tid).ok_or(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}

fn may_change(t: &Thread) -> Result<()> {
    let (mine, theirs) = (current().process().creds(), t.process().creds());
    if mine.is_privileged() || mine.euid == theirs.uid || mine.euid == theirs.euid {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

pub fn sys_sched_yield() -> Result<usize> {
    scheduler::yield_now();
    Ok(0)
}

/// The cores that run, a bit each.
fn online_mask() -> u64 {
    cpu::online().fold(0, |m, c| m | 1 << c)
}

/// Returns the number of bytes written, as the raw Linux call does.
pub fn sys_sched_getaffinity(tid: i32, size: usize, mask: UserPtr<u64>) -> Result<usize> {
    if size < 8 || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let t = thread_of(tid)?;
    mask.write(t.sched.affinity.load(Ordering::Relaxed) & online_mask())?;
    Ok(8)
}

pub fn sys_sched_setaffinity(tid: i32, size: usize, mask: UserPtr<u8>) -> Result<usize> {
    let bytes = mask.read_vec(size.min(8))?;
    let mut wide = [0u8; 8];
    wide[..bytes.len()].copy_from_slice(&bytes);
    let wanted = u64::from_ne_bytes(wide) & online_mask();
    if wanted == 0 {
        return Err(Errno::EINVAL);
    }
    let t = thread_of(tid)?;
    may_change(&t)?;
    // Whoever takes the thread off a queue looks at this afterwards.
    t.sched.affinity.store(wanted, Ordering::SeqCst);
    let here = crate::arch::cpu_id();
    if !Arc::ptr_eq(&t, current()) {
        scheduler::affinity_changed(&t);
    } else if wanted & (1 << here) == 0 {
        scheduler::migrate();
    }
    Ok(0)
}

pub fn sys_sched_getscheduler(tid: i32) -> Result<usize> {
    Ok(thread_of(tid)?.sched.policy.load(Ordering::Relaxed) as usize)
}

/// `SCHED_OTHER`, `SCHED_BATCH` and `SCHED_IDLE`; real-time policies are refused to all, as to an unprivileged user.
pub fn set_policy(t: &Thread, policy: i32, priority: i32) -> Result<()> {
    match policy & !RESET_ON_FORK {
        0 | 3 | 5 if priority == 0 => {
            t.sched.policy.store(policy, Ordering::Relaxed);
            Ok(())
        }
        0 | 3 | 5 => Err(Errno::EINVAL),
        1 | 2 => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sys_sched_setscheduler(tid: i32, policy: i32, parameter: UserPtr<i32>) -> Result<usize> {
    let t = thread_of(tid)?;
    may_change(&t)?;
    set_policy(&t, policy, parameter.read()?)?;
    Ok(0)
}

pub fn sys_sched_getparam(tid: i32, parameter: UserPtr<i32>) -> Result<usize> {
    thread_of(tid)?;
    parameter.write(0)?;
    Ok(0)
}

pub fn sys_sched_setparam(tid: i32, parameter: UserPtr<i32>) -> Result<usize> {
    thread_of(tid)?;
    if parameter.read()? == 0 {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn sys_sched_get_priority_max(policy: i32) -> Result<usize> {
    match policy {
        1 | 2 => Ok(99),
        0 | 3 | 5 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sys_sched_get_priority_min(policy: i32) -> Result<usize> {
    sys_sched_get_priority_max(policy).map(|m| m.min(1))
}

pub fn sys_sched_rr_get_interval(tid: i32, interval: UserPtr<[i64; 2]>) -> Result<usize> {
    thread_of(tid)?;
    interval.write([0, 4_000_000])?;
    Ok(0)
}

pub fn sys_getcpu(cpu: UserPtr<u32>, node: UserPtr<u32>) -> Result<usize> {
    if let Some(p) = cpu.option() {
        p.write(crate::arch::cpu_id() as u32)?;
    }
    if let Some(p) = node.option() {
        p.write(0)?;
    }
    Ok(0)
}

/// Calls `f` on every thread that `setpriority(2)` means: one thread, a process group, a user. The last error, or `ESRCH` if there is
/// none.
fn for_each_target(
    which: i32,
    who: i32,
    f: &mut dyn FnMut(&Arc<Thread>) -> Result<()>,
) -> Result<()> {
    const PROCESS: i32 = 0;
    const GROUP: i32 = 1;
    const USER: i32 = 2;
    let me = current();
    let process = me.process();
    let (group, user) = match (which, who) {
        (PROCESS, 0) => return f(me),
        (PROCESS, _) => return f(&table::find_thread(who).ok_or(Errno::ESRCH)?),
        (GROUP, 0) => (Some(process.pgid()), 0),
        (GROUP, _) => (Some(who), 0),
        (USER, 0) => (None, process.creds().uid),
        (USER, _) => (None, who as u32),
        _ => return Err(Errno::EINVAL),
    };
    let mut found = Err(Errno::ESRCH);
    let mut pid = 0;
    // One after the other: a list of them could be long.
    while let Some(p) = table::next(pid) {
        pid = p.pid;
        let meant = match group {
            Some(group) => p.pgid() == group,
            None => p.creds().uid == user,
        };
        for n in 0.. {
            let thread = p.threads.lock().get(n).filter(|_| meant).cloned();
            let Some(thread) = thread else { break };
            match f(&thread) {
                Ok(()) if found == Err(Errno::ESRCH) => found = Ok(()),
                Ok(()) => {}
                failed => found = failed,
            }
        }
    }
    found
}

/// The raw call gives 20 - nice, so that no result looks like an error.
pub fn sys_getpriority(which: i32, who: i32) -> Result<usize> {
    let mut least = 19;
    for_each_target(which, who, &mut |t| {
        least = least.min(t.sched.nice.load(Ordering::Relaxed));
        Ok(())
    })?;
    Ok((20 - least) as usize)
}

pub fn sys_setpriority(which: i32, who: i32, nice: i32) -> Result<usize> {
    let nice = nice.clamp(-20, 19);
    let privileged = current().process().creds().is_privileged();
    for_each_target(which, who, &mut |t| {
        may_change(t)?;
        // RLIMIT_NICE counts from 20 downwards (getrlimit(2)).
        let least = 20 - t.process().rlimit(limits::NICE).min(40) as i32;
        if nice < t.sched.nice.load(Ordering::Relaxed) && nice < least && !privileged {
            return Err(Errno::EACCES);
        }
        t.sched.nice.store(nice, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(0)
}
