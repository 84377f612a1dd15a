//! Sending: from `kill`, from the terminal, from the kernel itself.
//!
//! No signal is overlooked, because each side writes before it looks. A sender puts the signal into a queue, then reads masks to
//! find a thread that takes it. A thread that changes its mask, joins its process or leaves it does so, then reads the queues
//! ([`change_mask`], [`recheck`], [`hand_over`]). Each queue and each mask has a lock, so at least one of the two sees the other.

use super::{Disposition, JobState, SIGCONT, SIGKILL, STOPS, SigInfo, SigSet, ThreadSignals};
use crate::base::Result;
use crate::base::sync::SpinLockGuard;
use crate::process::thread::flag;
use crate::process::{Pid, Process, Thread, table, timers};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Makes a thread notice its flags: out of an interruptible sleep, or out of the program it runs on another core.
pub fn kick(thread: &Thread) {
    thread.wake_up();
    #[cfg(target_os = "none")]
    crate::process::scheduler::interrupt(thread);
}

/// Whether the signal has no effect unless it is blocked. Process 1 gets only what it has a handler for, and what its own
/// instructions cause.
fn is_ignored(process: &Process, info: &SigInfo) -> bool {
    match process.actions.lock().lock().disposition(info.signo) {
        // A continuation has done its work when it is sent ([`control`]).
        Disposition::Ignore | Disposition::Continue => true,
        Disposition::Handle => false,
        _ => process.pid == 1 && !info.is_fault(),
    }
}

/// Stops and continues cancel each other when they are sent, whatever masks and actions say. The result is held until the
/// signal itself is in its queue, so that of two at once the later one stays.
fn control<'a>(
    process: &'a Process,
    threads: impl Iterator<Item = &'a Arc<Thread>>,
    signo: i32,
) -> Option<SpinLockGuard<'a, JobState>> {
    let continues = signo == SIGCONT;
    let cancelled = if continues {
        STOPS
    } else if STOPS.contains(signo) {
        SigSet::of(&[SIGCONT])
    } else {
        return None;
    };
    let mut job = process.signals.job.lock();
    let dropped = |info: &SigInfo| timers::signal_dropped(process, info);
    process.signals.pending.lock().discard(cancelled, &dropped);
    for t in threads {
        t.signals.lock().pending.discard(cancelled, &dropped);
        if continues && job.stopped {
            // The way out of the kernel has to be taken again: a temporary mask may have to go.
            t.set_flag(flag::CONTINUED);
            t.clear_flag(flag::STOP);
        }
    }
    if continues {
        // Who has taken a stop signal out of a queue before it was cancelled sees this when it begins to stop.
        process.signals.continues.fetch_add(1, Ordering::Release);
        if job.stopped {
            job.stopped = false;
            job.stop_unreported = false;
            job.continue_unreported = true;
            job.continue_untold = true;
            process.signals.continued.wake_all();
        }
    }
    Some(job)
}

/// Sends to the process as a whole; any thread that does not block the signal takes it.
pub fn send_to_process(process: &Arc<Process>, info: SigInfo) {
    // Only what `sigqueue` sends can fail.
    let _ = queue(process, None, info);
}

/// Sends to one thread.
pub fn send_to_thread(thread: &Arc<Thread>, info: SigInfo) {
    // As for a process.
    let _ = queue(thread.process(), Some(thread), info);
}

/// Sends to a thread, or to a process as a whole. Whether the signal is pending now; `EAGAIN` for one of `sigqueue` that finds the
/// queue full.
pub fn queue(process: &Arc<Process>, to: Option<&Thread>, info: SigInfo) -> Result<bool> {
    let signo = info.signo;
    if process.is_zombie() {
        return Ok(false);
    }
    if signo == SIGKILL {
        // Nothing can be said against it: all threads leave, whatever they wait for.
        if process.pid != 1 {
            end_process(process, SIGKILL);
        }
        return Ok(false);
    }
    let threads = process.threads.lock();
    let job = control(process, threads.iter(), signo);
    if is_ignored(process, &info) {
        // A blocked signal stays pending all the same: the action may change before the mask does. So does one that is waited for.
        let state = |t: &Thread| {
            let s = t.signals.lock();
            (!s.mask.contains(signo), s.awaited.contains(signo))
        };
        let (open, awaited) = match to {
            Some(t) => state(t),
            None => threads.iter().fold((false, false), |(open, awaited), t| {
                let (o, a) = state(t);
                (open || o, awaited || a)
            }),
        };
        if open && !awaited {
            return Ok(false);
        }
    }
    let most = process.most_queued(signo);
    match to {
        Some(t) => t.signals.lock().pending.push(info, most)?,
        None => process.signals.pending.lock().push(info, most)?,
    }
    drop(job);
    let set = SigSet::of(&[signo]);
    match to {
        Some(t) => _ = offer(t, set),
        None => hand_over(&threads, set),
    }
    drop(threads);
    process.signals.arrived.wake_all();
    Ok(true)
}

/// Lets `t` notice those signals of `set` that it takes; returns them.
fn offer(t: &Thread, set: SigSet) -> SigSet {
    let taken = set.without(t.signals.lock().deaf());
    if !taken.is_empty() {
        t.set_flag(flag::SIGNAL);
        kick(t);
    }
    taken
}

/// For each pending signal of the process in `set`, lets one of `threads` notice it.
pub fn hand_over(threads: &VecDeque<Arc<Thread>>, mut set: SigSet) {
    for t in threads.iter().filter(|t| !t.is_dying()) {
        if set.is_empty() {
            break;
        }
        set = set.without(offer(t, set));
    }
}

/// Takes the running thread's next signal that `mask` lets through: one of its own, or one of the process's.
pub fn take(me: &Thread, mask: SigSet) -> Option<SigInfo> {
    let process = me.process();
    let own = me.signals.lock().pending.pop(mask);
    let mut info = own.or_else(|| process.signals.pending.lock().pop(mask))?;
    timers::signal_taken(process, &mut info);
    info.forget_timer();
    Some(info)
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
        let _ = s.pending.push(info, 0);
    }
    thread.set_flag(flag::SIGNAL);
}

/// Sends to every member of a process group. `ESRCH` when it has none.
pub fn send_to_group(group: Pid, info: SigInfo) -> Result<()> {
    table::signal_each(&|member| member.group == group, &|p, _| {
        queue(p, None, info)
    })
}

/// Whether something pending is let through by the thread's mask: then its flag is set.
pub fn recheck(thread: &Thread) {
    change_mask(thread, |_| ());
}

/// Changes what the running thread blocks, or waits for. What is let through from now on is noticed; what the thread would have
/// taken and no longer does goes to another thread that takes it.
pub fn change_mask(thread: &Thread, change: impl FnOnce(&mut ThreadSignals)) {
    let (before, after, own) = {
        let mut s = thread.signals.lock();
        let before = s.deaf();
        change(&mut s);
        (before, s.deaf(), s.pending.set())
    };
    look_again(thread, before, after, own);
}

#[inline(never)]
fn look_again(thread: &Thread, before: SigSet, after: SigSet, own: SigSet) {
    let process = thread.process();
    let shared = process.signals.pending.lock().set();
    if !own.union(shared).without(after).is_empty() {
        thread.set_flag(flag::SIGNAL);
    }
    let left = shared.intersection(after).without(before);
    if !left.is_empty() && !process.has_one_thread() {
        hand_over(&process.threads.lock(), left);
    }
}

/// Tells all threads to leave: the process ends with this wait status. The first call decides it, and is told so.
pub fn end_process(process: &Arc<Process>, status: i32) -> bool {
    let threads = process.threads.lock();
    {
        let mut job = process.signals.job.lock();
        if job.exit.is_some() {
            return false;
        }
        job.exit = Some(status);
        job.stopped = false;
    }
    for t in threads.iter() {
        t.set_flag(flag::KILLED);
        kick(t);
    }
    drop(threads);
    process.signals.continued.wake_all();
    true
}
