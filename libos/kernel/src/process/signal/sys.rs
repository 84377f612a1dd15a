//! The operations of signal handling that programs call.

use super::action::{SIG_IGN, SigAction};
use super::info::code::{SI_TKILL, SI_USER};
use super::{SIGCHLD, SIGCONT, SIGKILL, SIGRTMAX, SIGSTOP, SigInfo, SigSet, send};
use crate::base::{Errno, Result};
use crate::process::{Process, current, table};
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;

fn check_size(size: usize) -> Result<()> {
    if size == size_of::<SigSet>() {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn check_signal(signo: i32) -> Result<()> {
    if (1..=SIGRTMAX).contains(&signo) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// `kill(2)`'s rule: root, or the sender's real or effective user is the target's real or saved one; SIGCONT within a session.
fn may_signal(target: &Process, signo: i32) -> bool {
    let me = current().process();
    let (mine, theirs) = (me.creds(), target.creds());
    mine.is_privileged()
        || [mine.uid, mine.euid]
            .iter()
            .any(|u| *u == theirs.uid || *u == theirs.suid)
        || signo == SIGCONT && me.sid() == target.sid()
}

fn from_user(signo: i32, code: i32) -> SigInfo {
    let me = current().process();
    SigInfo::user(signo, code, me.pid, me.creds().uid)
}

pub fn sys_kill(pid: i32, signo: i32) -> Result<usize> {
    if signo != 0 {
        check_signal(signo)?;
    }
    let targets = targets_of(pid)?;
    if targets.is_empty() {
        return Err(Errno::ESRCH);
    }
    let allowed = kill_all(&targets, signo);
    if signo == SIGKILL && pid <= 0 {
        // A process that is ending gets no more children, but it may have had one since the list was made.
        loop {
            let late: Vec<_> = targets_of(pid)?
                .into_iter()
                .filter(|p| !p.is_ending() && may_signal(p, signo) && p.pid != 1)
                .collect();
            if late.is_empty() {
                break;
            }
            kill_all(&late, signo);
        }
    }
    if allowed { Ok(0) } else { Err(Errno::EPERM) }
}

/// The processes that `kill(2)` means by `pid`.
fn targets_of(pid: i32) -> Result<Vec<Arc<Process>>> {
    let me = current().process();
    Ok(match pid {
        1.. => alloc::vec![table::find(pid).ok_or(Errno::ESRCH)?],
        0 => table::group_members(me.pgid()),
        -1 => table::all()
            .into_iter()
            .filter(|p| p.pid > 1 && p.pid != me.pid)
            .collect(),
        i32::MIN => return Err(Errno::ESRCH),
        group => table::group_members(-group),
    })
}

/// Sends to those of `targets` that the caller may send to; whether there was one.
fn kill_all(targets: &[Arc<Process>], signo: i32) -> bool {
    let mut allowed = false;
    for p in targets {
        if may_signal(p, signo) {
            allowed = true;
            // Init takes only signals it has handlers for.
            let spared = p.pid == 1
                && signo != 0
                && p.actions.lock().clone().lock().get(signo).handler <= SIG_IGN;
            if signo != 0 && !spared {
                send::send_to_process(p, from_user(signo, SI_USER));
            }
        }
    }
    allowed
}

fn thread_of(tgid: Option<i32>, tid: i32) -> Result<Arc<crate::process::Thread>> {
    if tid <= 0 || tgid.is_some_and(|t| t <= 0) {
        return Err(Errno::EINVAL);
    }
    let thread = table::find_thread(tid).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|t| t != thread.process().pid) {
        return Err(Errno::ESRCH);
    }
    Ok(thread)
}

pub fn sys_tgkill(tgid: i32, tid: i32, signo: i32) -> Result<usize> {
    kill_thread(Some(tgid), tid, signo)
}

pub fn sys_tkill(tid: i32, signo: i32) -> Result<usize> {
    kill_thread(None, tid, signo)
}

fn kill_thread(tgid: Option<i32>, tid: i32, signo: i32) -> Result<usize> {
    if signo != 0 {
        check_signal(signo)?;
    }
    let thread = thread_of(tgid, tid)?;
    if !may_signal(thread.process(), signo) {
        return Err(Errno::EPERM);
    }
    if signo == SIGKILL {
        send::send_to_process(thread.process(), from_user(signo, SI_TKILL));
    } else if signo != 0 {
        send::send_to_thread(&thread, from_user(signo, SI_TKILL));
    }
    Ok(0)
}

fn check_queued(pid: i32, info: &SigInfo) -> Result<()> {
    // Only the kernel and kill(2) may say that they sent it.
    if (info.code >= 0 || info.code == SI_TKILL) && pid != current().process().pid {
        Err(Errno::EPERM)
    } else {
        Ok(())
    }
}

pub fn sys_rt_sigqueueinfo(pid: i32, signo: i32, info: UserPtr<SigInfo>) -> Result<usize> {
    let mut info = info.read()?;
    check_signal(signo)?;
    info.signo = signo;
    check_queued(pid, &info)?;
    let target = table::find(pid).ok_or(Errno::ESRCH)?;
    if !may_signal(&target, signo) {
        return Err(Errno::EPERM);
    }
    send::queue_to_process(&target, info)?;
    Ok(0)
}

pub fn sys_rt_tgsigqueueinfo(
    tgid: i32,
    tid: i32,
    signo: i32,
    info: UserPtr<SigInfo>,
) -> Result<usize> {
    let mut info = info.read()?;
    check_signal(signo)?;
    info.signo = signo;
    check_queued(tgid, &info)?;
    let target = thread_of(Some(tgid), tid)?;
    if !may_signal(target.process(), signo) {
        return Err(Errno::EPERM);
    }
    send::queue_to_thread(&target, info)?;
    Ok(0)
}

pub fn sys_rt_sigaction(
    signo: i32,
    new: UserPtr<SigAction>,
    old: UserPtr<SigAction>,
    size: usize,
) -> Result<usize> {
    check_size(size)?;
    check_signal(signo)?;
    let new = new.option().map(|p| p.read()).transpose()?;
    if new.is_some() && (signo == SIGKILL || signo == SIGSTOP) {
        return Err(Errno::EINVAL);
    }
    let process = current().process();
    let actions = process.actions.lock().clone();
    let before = actions.lock().get(signo);
    if let Some(mut new) = new {
        new.mask = send::sanitize(new.mask);
        let ignored = {
            let mut a = actions.lock();
            a.set(signo, new);
            a.disposition(signo) == super::Disposition::Ignore
        };
        // What is now ignored is dropped, pending or not (sigaction(2)).
        if ignored && (new.handler == SIG_IGN || signo != SIGCHLD) {
            let set = SigSet::of(&[signo]);
            process.signals.pending.lock().discard(set);
            for t in process.threads.lock().iter() {
                t.signals.lock().pending.discard(set);
            }
        }
    }
    if let Some(old) = old.option() {
        old.write(before)?;
    }
    Ok(0)
}

pub fn sys_rt_sigprocmask(
    how: i32,
    set: UserPtr<SigSet>,
    old: UserPtr<SigSet>,
    size: usize,
) -> Result<usize> {
    check_size(size)?;
    let me = current();
    let set = set.option().map(|p| p.read()).transpose()?;
    let before = me.signals.lock().mask;
    if let Some(set) = set {
        let mask = match how {
            0 => before.union(set),
            1 => before.without(set),
            2 => set,
            _ => return Err(Errno::EINVAL),
        };
        me.signals.lock().set_mask(mask);
        if !before.without(mask).is_empty() {
            send::recheck(me);
        }
    }
    if let Some(old) = old.option() {
        old.write(before)?;
    }
    Ok(0)
}

pub fn sys_rt_sigpending(set: UserPtr<SigSet>, size: usize) -> Result<usize> {
    if size > size_of::<SigSet>() {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let (own, mask) = {
        let s = me.signals.lock();
        (s.pending.set(), s.mask)
    };
    let shared = me.process().signals.pending.lock().set();
    set.write(own.union(shared).intersection(mask))?;
    Ok(0)
}

/// Puts `mask` in force until the call returns to the program; the frame of a handler that runs restores the old one.
pub fn set_temporary_mask(mask: SigSet) {
    let me = current();
    {
        let mut s = me.signals.lock();
        let old = s.mask;
        s.saved_mask.get_or_insert(old);
        s.set_mask(mask);
    }
    send::recheck(me);
}

/// Ends [`set_temporary_mask`] when no signal came: after a call that succeeded or timed out.
pub fn clear_temporary_mask() {
    let me = current();
    let restored = {
        let mut s = me.signals.lock();
        match s.saved_mask.take() {
            Some(old) => {
                s.mask = old;
                true
            }
            None => false,
        }
    };
    if restored {
        send::recheck(me);
    }
}

pub fn sys_rt_sigsuspend(set: UserPtr<SigSet>, size: usize) -> Result<usize> {
    check_size(size)?;
    let set = set.read()?;
    set_temporary_mask(set);
    let never = crate::process::wait::WaitQueue::new();
    // Only a signal ends it, and it is never restarted.
    let _ = never.wait::<()>(None, || None);
    Err(Errno::EINTR)
}

pub fn sys_rt_sigtimedwait(
    set: UserPtr<SigSet>,
    info: UserPtr<SigInfo>,
    timeout: UserPtr<[i64; 2]>,
    size: usize,
) -> Result<usize> {
    check_size(size)?;
    let set = send::sanitize(set.read()?);
    let deadline = match timeout.option() {
        Some(p) => {
            let ns = crate::time::sys::nanoseconds(p.read()?)?;
            Some(crate::time::monotonic_ns().saturating_add(ns))
        }
        None => None,
    };
    let me = current();
    let process = me.process();
    let not_in_set = SigSet(!set.0);
    let take = || {
        let own = me.signals.lock().pending.pop(not_in_set);
        own.or_else(|| process.signals.pending.lock().pop(not_in_set))
    };
    me.signals.lock().awaited = set;
    let mut got = take();
    if got.is_none() {
        let arrived = process.signals.arrived.clone();
        // An awaited signal sets the flag that ends sleeps; it is not an interruption.
        let r = arrived.wait(deadline, || {
            let found = take();
            if found.is_some() {
                got = found;
                return Some(());
            }
            None
        });
        if r == Err(Errno::ERESTARTSYS) && got.is_none() {
            got = take();
        }
        me.signals.lock().awaited = SigSet::EMPTY;
        if got.is_none() {
            return Err(match r {
                Err(Errno::ETIMEDOUT) => Errno::EAGAIN,
                _ => Errno::EINTR,
            });
        }
    }
    me.signals.lock().awaited = SigSet::EMPTY;
    send::recheck(me);
    let Some(got) = got else {
        return Err(Errno::EAGAIN);
    };
    if let Some(p) = info.option() {
        p.write(got)?;
    }
    Ok(got.signo as usize)
}

#[cfg(target_os = "none")]
pub fn sys_sigaltstack(
    new: UserPtr<super::frame::StackT>,
    old: UserPtr<super::frame::StackT>,
) -> Result<usize> {
    use super::frame::{StackT, on_alt_stack};
    const SS_DISABLE: i32 = 2;
    const MINSIGSTKSZ: usize = 5120;
    let me = current();
    let sp: usize;
    // SAFETY: reading the program's stack pointer.
    unsafe { core::arch::asm!("mrs {}, sp_el0", out(reg) sp) };
    let on = on_alt_stack(me, sp);
    let new = new.option().map(|p| p.read()).transpose()?;
    let alt = me.signals.lock().alt_stack;
    if let Some(n) = new {
        if on {
            return Err(Errno::EPERM);
        }
        let mode = n.flags & !(1 << 31);
        if mode != 0 && mode != SS_DISABLE && mode != 1 {
            return Err(Errno::EINVAL);
        }
        let mut s = me.signals.lock();
        if mode == SS_DISABLE {
            s.alt_stack = super::pending::AltStack {
                base: 0,
                size: 0,
                flags: SS_DISABLE,
            };
        } else if n.size < MINSIGSTKSZ {
            return Err(Errno::ENOMEM);
        } else {
            s.alt_stack = super::pending::AltStack {
                base: n.base,
                size: n.size,
                flags: n.flags & !1,
            };
        }
    }
    if let Some(p) = old.option() {
        let flags = if alt.flags & SS_DISABLE != 0 {
            SS_DISABLE
        } else {
            i32::from(on) | alt.flags
        };
        p.write(StackT {
            base: alt.base,
            flags,
            pad: 0,
            size: alt.size,
        })?;
    }
    Ok(0)
}
