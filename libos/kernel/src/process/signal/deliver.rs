//! The way back to a program, when something waits for the thread: death, a stop, new registers, a signal.

use super::action::{SA_NODEFER, SA_RESETHAND, SA_RESTART, SIG_DFL};
use super::{Disposition, SIGCONT, SigInfo, frame, info, send};
use crate::arch::frame::TrapFrame;
use crate::base::Errno;
use crate::process::thread::{Thread, current, flag};
use crate::process::{exit, scheduler, wait_child};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Set in `TrapFrame::pstate` by the way out of a door: x0 is the result of a call, which may be `ERESTARTSYS`.
pub const FROM_CALL: u64 = 1 << 62;

/// Called by the vectors while `Thread.flags` is not zero.
#[unsafe(no_mangle)]
extern "C" fn on_program_return(frame: &mut TrapFrame) {
    let me = current();
    let from_call = frame.pstate & FROM_CALL != 0;
    frame.pstate &= !FROM_CALL;
    let flags = me.flags.load(Ordering::SeqCst);
    if flags & flag::KILLED != 0 {
        exit::leave();
    }
    if flags & flag::SHORTAGE != 0 {
        crate::process::oom::settle();
        frame.pstate |= if from_call { FROM_CALL } else { 0 };
    } else if flags & flag::NEW_FRAME != 0 {
        me.clear_flag(flag::NEW_FRAME);
        if let Some(new) = me.next_frame.lock().take() {
            *frame = *new;
        }
    } else if flags & flag::STOP != 0 {
        stop_here(me);
        frame.pstate |= if from_call { FROM_CALL } else { 0 };
    } else if flags & flag::SIGNAL != 0 {
        me.clear_flag(flag::SIGNAL);
        handle_one(me, frame, from_call);
    } else {
        // Flags this version does not know would loop for ever.
        me.flags.store(0, Ordering::SeqCst);
    }
}

/// Takes the next signal for the thread.
pub fn dequeue(me: &Arc<Thread>, mask: super::SigSet) -> Option<SigInfo> {
    let own = me.signals.lock().pending.pop(mask);
    own.or_else(|| me.process().signals.pending.lock().pop(mask))
}

fn handle_one(me: &Arc<Thread>, trap: &mut TrapFrame, from_call: bool) {
    let interrupted = from_call && trap.x[0] as i64 == -(Errno::ERESTARTSYS.0 as i64);
    let process = me.process();
    let actions = process.actions.lock().clone();
    loop {
        let mask = me.signals.lock().mask;
        let Some(info) = dequeue(me, mask) else {
            // Nothing to run: a suspended call goes on with the mask it came with.
            let saved = me.signals.lock().saved_mask.take();
            if let Some(saved) = saved {
                me.signals.lock().mask = saved;
                send::recheck(me);
            }
            return;
        };
        let signo = info.signo;
        let (disposition, action) = {
            let mut a = actions.lock();
            let found = (a.disposition(signo), a.get(signo));
            if found.0 == Disposition::Handle && found.1.flags & SA_RESETHAND != 0 {
                let mut reset = found.1;
                reset.handler = SIG_DFL;
                a.set(signo, reset);
            }
            found
        };
        match disposition {
            Disposition::Ignore | Disposition::Continue => {
                let _ = SIGCONT;
            }
            Disposition::Stop => {
                // A stop from the terminal means nothing to a group that nobody could continue.
                let group = process.pgid();
                if signo == super::SIGSTOP || !crate::process::table::is_orphaned_group(group) {
                    begin_stop(me, signo);
                    me.set_flag(flag::SIGNAL);
                    trap.pstate |= if from_call { FROM_CALL } else { 0 };
                    return;
                }
            }
            Disposition::Terminate => {
                explain_death(me, &info, trap);
                // No core is written, so the status never says that one was (wait(2), WCOREDUMP).
                send::end_process(process, signo);
                return;
            }
            Disposition::Handle => {
                let was_poll = me.poll_again.swap(0, Ordering::Relaxed) != 0;
                if interrupted && (was_poll || action.flags & SA_RESTART == 0) {
                    trap.x[0] = (-(Errno::EINTR.0 as i64)) as u64;
                }
                let old = {
                    let mut s = me.signals.lock();
                    let old = s.saved_mask.take().unwrap_or(s.mask);
                    let mut during = s.mask.union(action.mask);
                    if action.flags & SA_NODEFER == 0 {
                        during.insert(signo);
                    }
                    s.set_mask(during);
                    old
                };
                if frame::push(me, trap, &info, &action, old).is_err() {
                    // No room for the frame: the program cannot go on (signal(7): SIGSEGV, default action).
                    send::end_process(process, super::SIGSEGV);
                    return;
                }
                // Other pending signals run first when they are let through: their frames go on top.
                send::recheck(me);
                return;
            }
        }
    }
}

/// One line in the log for a death by a fault, as Linux has with `print-fatal-signals`.
fn explain_death(me: &Arc<Thread>, info: &SigInfo, trap: &TrapFrame) {
    if super::SYNCHRONOUS.contains(info.signo)
        && info.code > 0
        && info.code != info::code::SI_KERNEL
    {
        let comm = me.process().comm();
        klog!(
            Info,
            "{}[{}]: signal {} code {} at {:#x}, pc {} ({:#x}), sp {:#x}",
            alloc::string::String::from_utf8_lossy(&comm),
            me.tid(),
            info.signo,
            info.code,
            info.address(),
            crate::symbols::Symbol(trap.pc as usize),
            trap.pc,
            trap.sp
        );
    }
}

fn begin_stop(me: &Arc<Thread>, signo: i32) {
    let process = me.process();
    {
        let mut job = process.signals.job.lock();
        if job.exit.is_some() {
            return;
        }
        job.stopped = true;
        job.stop_signal = signo;
        job.stop_unreported = true;
        job.continue_unreported = false;
    }
    for t in process.threads.lock().iter() {
        t.set_flag(flag::STOP);
        if !Arc::ptr_eq(t, me) {
            send::kick(t);
        }
    }
    wait_child::notify_parent(process, info::code::CLD_STOPPED, signo);
}

/// Sleeps until the process is continued or killed.
fn stop_here(me: &Arc<Thread>) {
    let process = me.process();
    scheduler::with_fp_saved(|| {
        // Only death ends the sleep early, and that is seen right after.
        let _ = process
            .signals
            .continued
            .wait_killable(|| (!process.signals.is_stopped()).then_some(()));
    });
    me.clear_flag(flag::STOP);
}
