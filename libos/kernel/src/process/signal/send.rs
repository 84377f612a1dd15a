//! Sending: from `kill`, from the terminal, from the kernel itself.

use super::{Disposition, SIGCONT, SIGKILL, STOPS, SigInfo, SigSet, UNBLOCKABLE};
use crate::base::{Errno, Result};
use crate::process::thread::flag;
use crate::process::{Pid, Process, Thread, table};
use alloc::sync::Arc;

/// Makes a thread notice its flags: out of an interruptible sleep, or out of the program it runs on another core.
pub fn kick(thread: &Thread) {
    thread.wake_up();
    #[cfg(target_os = "none")]
    crate::process::scheduler::interrupt(thread);
}

fn is_ignored(process: &Process, signo: i32) -> bool {
    let actions = process.actions.lock().clone();
    actions.lock().disposition(signo) == Disposition::Ignore
}

/// What a signal does at the moment it is sent, whatever the mask says: stops and continues cancel each other.
fn prepare(process: &Arc<Process>, signo: i32) {
    if signo == SIGCONT || signo == SIGKILL {
        process.signals.pending.lock().discard(STOPS);
        let resumed = {
            let mut job = process.signals.job.lock();
            let was = job.stopped;
            job.stopped = false;
            job.stop_unreported = false;
            job.continue_unreported |= was && signo == SIGCONT;
            was
        };
        for t in process.threads.lock().iter() {
            t.signals.lock().pending.discard(STOPS);
            t.clear_flag(flag::STOP);
        }
        if resumed {
            process.signals.continued.wake_all();
            if signo == SIGCONT {
                crate::process::wait_child::notify_parent(
                    process,
                    super::info::code::CLD_CONTINUED,
                    SIGCONT,
                );
            }
        }
    } else if STOPS.contains(signo) {
        let cont = SigSet::of(&[SIGCONT]);
        process.signals.pending.lock().discard(cont);
        for t in process.threads.lock().iter() {
            t.signals.lock().pending.discard(cont);
        }
    }
}

/// Sends to the process as a whole; any thread that does not block the signal takes it.
pub fn send_to_process(process: &Arc<Process>, info: SigInfo) {
    // Only what `sigqueue` sends can fail.
    let _ = queue_to_process(process, info);
}

/// As [`send_to_process`]; `EAGAIN` for a signal of `sigqueue` that finds the queue full.
pub fn queue_to_process(process: &Arc<Process>, info: SigInfo) -> Result<()> {
    let signo = info.signo;
    if process.is_zombie() {
        return Ok(());
    }
    prepare(process, signo);
    if signo == SIGKILL {
        // Nothing can be said against it: all threads leave, whatever they wait for.
        end_process(process, SIGKILL);
        return Ok(());
    }
    let threads = process.threads.lock();
    let blocked = |t: &Thread| {
        let s = t.signals.lock();
        s.mask.contains(signo) && !s.awaited.contains(signo)
    };
    let taker = threads.iter().find(|t| !blocked(t));
    let awaited = threads
        .iter()
        .any(|t| t.signals.lock().awaited.contains(signo));
    // A blocked signal stays pending even if it would be ignored: the action may change before the mask does.
    if taker.is_some() && !awaited && is_ignored(process, signo) {
        return Ok(());
    }
    process.signals.pending.lock().push(info)?;
    if let Some(t) = taker {
        t.set_flag(flag::SIGNAL);
        kick(t);
    }
    process.signals.arrived.wake_all();
    Ok(())
}

/// Sends to one thread.
pub fn send_to_thread(thread: &Arc<Thread>, info: SigInfo) {
    // As for a process.
    let _ = queue_to_thread(thread, info);
}

/// As [`send_to_thread`]; `EAGAIN` for a signal of `sigqueue` that finds the queue full.
pub fn queue_to_thread(thread: &Arc<Thread>, info: SigInfo) -> Result<()> {
    let process = thread.process();
    prepare(process, info.signo);
    let blocked = {
        let s = thread.signals.lock();
        s.mask.contains(info.signo) && !s.awaited.contains(info.signo)
    };
    if !blocked
        && is_ignored(process, info.signo)
        && !thread.signals.lock().awaited.contains(info.signo)
    {
        return Ok(());
    }
    thread.signals.lock().pending.push(info)?;
    if !blocked {
        thread.set_flag(flag::SIGNAL);
        kick(thread);
    }
    process.signals.arrived.wake_all();
    Ok(())
}

/// A signal that an instruction of the running thread caused. It cannot be put off: if it is blocked or ignored, the action
/// goes back to the default, which ends the process.
pub fn force(thread: &Arc<Thread>, info: SigInfo) {
    let signo = info.signo;
    let actions = thread.process().actions.lock().clone();
    {
        let mut s = thread.signals.lock();
        let mut a = actions.lock();
        if s.mask.contains(signo) || a.disposition(signo) == Disposition::Ignore {
            a.set(signo, Default::default());
            s.mask.remove(signo);
        }
        // Standard signals are never refused.
        let _ = s.pending.push(info);
    }
    thread.set_flag(flag::SIGNAL);
}

/// Sends to every member of a process group. `ESRCH` when it has none.
pub fn send_to_group(group: Pid, info: SigInfo) -> Result<()> {
    let members = table::group_members(group);
    if members.is_empty() {
        return Err(Errno::ESRCH);
    }
    for p in members {
        send_to_process(&p, info);
    }
    Ok(())
}

/// After a mask changed: whether something pending is now let through.
pub fn recheck(thread: &Thread) {
    let mask = thread.signals.lock().mask;
    let own = thread.signals.lock().pending.set();
    let shared = thread.process().signals.pending.lock().set();
    if !own.union(shared).without(mask).is_empty() {
        thread.set_flag(flag::SIGNAL);
    }
}

/// Tells all threads to leave: the process ends with this wait status. The first call decides it.
pub fn end_process(process: &Arc<Process>, status: i32) {
    {
        let mut job = process.signals.job.lock();
        if job.exit.is_some() {
            return;
        }
        job.exit = Some(status);
        job.stopped = false;
    }
    for t in process.threads.lock().iter() {
        t.set_flag(flag::KILLED);
        t.clear_flag(flag::STOP);
        kick(t);
    }
    process.signals.continued.wake_all();
}

/// Whether a mask may not contain it.
pub fn sanitize(mask: SigSet) -> SigSet {
    mask.without(UNBLOCKABLE)
}
