//! The operations of signal handling that programs call.

use super::action::SigAction;
use super::info::code::{SI_TKILL, SI_USER};
use super::{SIGCONT, SIGKILL, SIGRTMAX, SIGSTOP, SigInfo, SigSet, UNBLOCKABLE, send};
use crate::base::{Errno, Result};
use crate::process::{Process, Thread, current, table, timers};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

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

/// `kill(2)`'s rule: root, or the sender's real or effective user is the target's real or saved one; or, within a session, to
/// continue it.
fn permitted(target: &Process, continues_kin: bool) -> bool {
    let (mine, theirs) = (current().process().creds(), target.creds());
    mine.is_privileged()
        || [mine.uid, mine.euid]
            .iter()
            .any(|u| *u == theirs.uid || *u == theirs.suid)
        || continues_kin
}

fn check_permission(target: &Process, signo: i32) -> Result<()> {
    let kin = signo == SIGCONT && current().process().sid() == target.sid();
    match permitted(target, kin) {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

fn from_user(signo: i32, code: i32) -> SigInfo {
    let me = current().process();
    SigInfo::user(signo, code, me.pid, me.creds().uid)
}

pub fn sys_kill(pid: i32, signo: i32) -> Result<usize> {
    if signo != 0 {
        check_signal(signo)?;
    }
    let me = current().process();
    let info = from_user(signo, SI_USER);
    // Asked now: the tree is locked later.
    let own_session = (signo == SIGCONT).then(|| me.sid());
    let send = |target: &Arc<Process>, session| {
        if !permitted(target, own_session == Some(session)) {
            return Err(Errno::EPERM);
        }
        match signo {
            0 => Ok(false),
            _ => send::queue(target, None, info),
        }
    };
    match pid {
        1.. => {
            let target = table::find(pid).ok_or(Errno::ESRCH)?;
            send(&target, table::session_id(pid))?;
        }
        // Who may signal nobody has signalled all of them.
        -1 => match table::signal_each(&|n| n.pid() > 1 && n.pid() != me.pid, &send) {
            Ok(()) | Err(Errno::EPERM) => {}
            Err(e) => return Err(e),
        },
        i32::MIN => return Err(Errno::ESRCH),
        _ => {
            let group = if pid == 0 { me.pgid() } else { -pid };
            table::signal_each(&|n| n.group == group, &send)?;
        }
    }
    Ok(0)
}

fn thread_of(tgid: Option<i32>, tid: i32) -> Result<Arc<Thread>> {
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
    check_permission(thread.process(), signo)?;
    if signo != 0 {
        send::queue(thread.process(), Some(&thread), from_user(signo, SI_TKILL))?;
    }
    Ok(0)
}

/// What `sigqueue` is to send, and whether `target` may be sent that. Only the kernel and kill(2) may say that they sent a signal.
fn read_queued(target: i32, signo: i32, info: UserPtr<SigInfo>) -> Result<SigInfo> {
    let mut info = info.read()?;
    info.signo = signo;
    info.forget_timer();
    if (info.code >= 0 || info.code == SI_TKILL) && target != current().process().pid {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

fn queue_checked(process: &Arc<Process>, to: Option<&Thread>, info: SigInfo) -> Result<usize> {
    if info.signo == 0 {
        check_permission(process, 0)?;
        return Ok(0);
    }
    check_signal(info.signo)?;
    check_permission(process, info.signo)?;
    send::queue(process, to, info)?;
    Ok(0)
}

pub fn sys_rt_sigqueueinfo(pid: i32, signo: i32, info: UserPtr<SigInfo>) -> Result<usize> {
    let info = read_queued(pid, signo, info)?;
    queue_checked(&table::find(pid).ok_or(Errno::ESRCH)?, None, info)
}

pub fn sys_rt_tgsigqueueinfo(
    tgid: i32,
    tid: i32,
    signo: i32,
    info: UserPtr<SigInfo>,
) -> Result<usize> {
    let info = read_queued(tgid, signo, info)?;
    let thread = thread_of(Some(tgid), tid)?;
    queue_checked(thread.process(), Some(&thread), info)
}

/// `pidfd_send_signal` to a process, whatever has its number by now.
pub fn send_by_pidfd(process: &Arc<Process>, signo: i32, info: UserPtr<SigInfo>) -> Result<usize> {
    let info = match info.option() {
        None => from_user(signo, SI_USER),
        Some(p) if p.read()?.signo != signo => return Err(Errno::EINVAL),
        Some(p) => read_queued(process.pid, signo, p)?,
    };
    if !table::holds(process) {
        return Err(Errno::ESRCH);
    }
    queue_checked(process, None, info)
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
        new.mask = new.mask.without(UNBLOCKABLE);
        let ignored = {
            let mut a = actions.lock();
            a.set(signo, new);
            a.disposition(signo) == super::Disposition::Ignore
        };
        // What is now ignored is dropped, pending or not (sigaction(2)).
        if ignored {
            let set = SigSet::of(&[signo]);
            let dropped = |info: &SigInfo| timers::signal_dropped(process, info);
            process.signals.pending.lock().discard(set, &dropped);
            for t in process.threads.lock().iter() {
                t.signals.lock().pending.discard(set, &dropped);
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
        // What is let through is noticed; what is blocked may be another thread's to take.
        if !before.without(mask).is_empty() || !me.process().has_one_thread() {
            send::change_mask(me, |s| s.set_mask(mask));
        } else {
            me.signals.lock().set_mask(mask);
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
    send::change_mask(current(), |s| {
        s.saved_mask.get_or_insert(s.mask);
        s.set_mask(mask);
    });
}

/// Ends [`set_temporary_mask`] when no signal came: after a call that succeeded or timed out.
pub fn clear_temporary_mask() {
    send::change_mask(current(), |s| {
        s.mask = s.saved_mask.take().unwrap_or(s.mask)
    });
}

pub fn sys_rt_sigsuspend(set: UserPtr<SigSet>, size: usize) -> Result<usize> {
    check_size(size)?;
    let me = current();
    set_temporary_mask(set.read()?);
    let never = crate::process::wait::WaitQueue::new();
    // Only a signal ends it, and only one that runs a handler ends the call.
    let _ = never.wait::<()>(None, || None);
    me.poll_again.store(u64::MAX, Ordering::Relaxed);
    Err(Errno::ERESTARTSYS)
}

pub fn sys_rt_sigtimedwait(
    set: UserPtr<SigSet>,
    info: UserPtr<SigInfo>,
    timeout: UserPtr<[i64; 2]>,
    size: usize,
) -> Result<usize> {
    check_size(size)?;
    let set = set.read()?.without(UNBLOCKABLE);
    let deadline = match timeout.option() {
        Some(p) => {
            let ns = crate::time::sys::nanoseconds(p.read()?)?;
            Some(crate::time::monotonic_ns().saturating_add(ns))
        }
        None => None,
    };
    let me = current();
    let not_in_set = SigSet(!set.0);
    let take = || send::take(me, not_in_set);
    let mut got = take();
    if got.is_none() {
        send::change_mask(me, |s| s.awaited = set);
        // Whoever sends one of them kicks the thread, and sets the flag that ends sleeps; that is not an interruption.
        let never = crate::process::wait::WaitQueue::new();
        let r = never.wait(deadline, || {
            got = take();
            got.is_some().then_some(())
        });
        if r == Err(Errno::ERESTARTSYS) && got.is_none() {
            got = take();
        }
        // What came for it and was not taken may be another thread's.
        send::change_mask(me, |s| s.awaited = SigSet::EMPTY);
        if got.is_none() {
            return Err(match r {
                Err(Errno::ETIMEDOUT) => Errno::EAGAIN,
                _ => Errno::EINTR,
            });
        }
    }
    let Some(got) = got else {
        return Err(Errno::EAGAIN);
    };
    if let Some(p) = info.option() {
        p.write(got)?;
    }
    Ok(got.signo as usize)
}
