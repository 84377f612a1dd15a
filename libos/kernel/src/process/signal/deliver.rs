//! The way back to a program, when something waits for the thread: death, a stop, new registers, a signal.

use super::action::{SA_NODEFER, SA_RESETHAND, SA_RESTART, SIG_DFL};
use super::{Disposition, SigInfo, SigSet, frame, info, send};
use crate::arch::frame::TrapFrame;
use crate::base::Errno;
use crate::process::thread::{Thread, current, flag};
use crate::process::{Process, exit, family, scheduler, wait_child};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Set in `TrapFrame::pstate` by the way out of a door: x0 is the result of a call, which may be `ERESTARTSYS`.
pub const FROM_CALL: u64 = 1 << 62;

/// Called by the vectors while `Thread.flags` is not zero.
#[unsafe(no_mangle)]
extern "C" fn on_program_return(frame: &mut TrapFrame) {
    let me = current();
    let mut from_call = frame.pstate & FROM_CALL != 0;
    frame.pstate &= !FROM_CALL;
    if from_call && frame.x[0] as i64 == -(Errno::ERESTARTNOINTR.0 as i64) {
        // Repeated whatever runs in between; the door knows one number for that.
        frame.x[0] = (-(Errno::ERESTARTSYS.0 as i64)) as u64;
        from_call = false;
    }
    let flags = me.flags.load(Ordering::SeqCst);
    if flags & flag::KILLED != 0 {
        exit::leave();
    }
    if flags & flag::SHORTAGE != 0 {
        crate::process::oom::settle();
    } else if flags & flag::AFFINITY != 0 {
        scheduler::follow_affinity();
    } else if flags & flag::NEW_FRAME != 0 {
        me.clear_flag(flag::NEW_FRAME);
        if let Some(new) = me.next_frame.lock().take() {
            *frame = *new;
        }
        from_call = false;
    } else if flags & flag::CONTINUED != 0 {
        me.clear_flag(flag::CONTINUED);
        // A temporary mask goes, whether or not it was in force for a call that the stop ended.
        me.set_flag(flag::SIGNAL);
        tell_of_continuation(me.process());
    } else if flags & flag::STOP != 0 {
        stop_here(me);
    } else {
        // SIGNAL, or what another thread has taken back meanwhile.
        me.clear_flag(flag::SIGNAL);
        from_call = handle_one(me, frame, from_call);
    }
    frame.pstate |= if from_call { FROM_CALL } else { 0 };
}

/// Acts on what is pending, up to one handler or a stop. Whether x0 still is the result of an interrupted call, for the next signal
/// to decide upon.
fn handle_one(me: &Arc<Thread>, trap: &mut TrapFrame, from_call: bool) -> bool {
    let interrupted = from_call && trap.x[0] as i64 == -(Errno::ERESTARTSYS.0 as i64);
    let process = me.process();
    loop {
        // Before a stop signal is taken: see `send::control`.
        let continues = process.signals.continues.load(Ordering::Acquire);
        let mask = me.signals.lock().mask;
        let Some(info) = send::take(me, mask) else {
            // Nothing to run: a suspended call goes on with the mask it came with.
            send::change_mask(me, |s| s.mask = s.saved_mask.take().unwrap_or(s.mask));
            return false;
        };
        let signo = info.signo;
        let (disposition, action) = {
            let actions = process.actions.lock();
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
            Disposition::Ignore | Disposition::Continue => {}
            // It was blocked when it was sent.
            Disposition::Stop | Disposition::Terminate if process.pid == 1 && !info.is_fault() => {}
            Disposition::Stop => {
                // A stop from the terminal means nothing to a group that nobody could continue.
                if signo == super::SIGSTOP || !family::is_orphaned_group(process.pgid()) {
                    begin_stop(me, signo, continues);
                    me.set_flag(flag::SIGNAL);
                    return from_call;
                }
            }
            Disposition::Terminate => {
                explain_death(me, &info, trap);
                // No core is written, so the status never says that one was (wait(2), WCOREDUMP).
                send::end_process(process, signo);
                return false;
            }
            Disposition::Handle => {
                let goes_on = me.poll_again.swap(0, Ordering::Relaxed) != 0;
                if interrupted && (goes_on || action.flags & SA_RESTART == 0) {
                    trap.x[0] = (-(Errno::EINTR.0 as i64)) as u64;
                }
                let mut old = SigSet::EMPTY;
                // Other pending signals run first when they are let through: their frames go on top.
                send::change_mask(me, |s| {
                    old = s.saved_mask.take().unwrap_or(s.mask);
                    let mut during = s.mask.union(action.mask);
                    if action.flags & SA_NODEFER == 0 {
                        during.insert(signo);
                    }
                    s.set_mask(during);
                });
                if frame::push(me, trap, &info, &action, old).is_err() {
                    // No room for the frame: the program cannot go on (signal(7): SIGSEGV, default action).
                    send::end_process(process, super::SIGSEGV);
                }
                return false;
            }
        }
    }
}

/// One line in the log for a death by a fault, as Linux has with `print-fatal-signals`.
fn explain_death(me: &Arc<Thread>, info: &SigInfo, trap: &TrapFrame) {
    if info.is_fault() {
        let comm = me.process().comm();
        klog!(
            Info,
            "{}[{}]: signal {} code {} at {:#x}, pc {} ({:#x}), sp {:#x}",
            comm.escape_ascii(),
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

/// Stops the process, unless `SIGCONT` has come since there were `continues` of it.
fn begin_stop(me: &Arc<Thread>, signo: i32, continues: u32) {
    let process = me.process();
    {
        let threads = process.threads.lock();
        let mut job = process.signals.job.lock();
        let continued = process.signals.continues.load(Ordering::Relaxed) != continues;
        if job.exit.is_some() || job.stopped || continued {
            return;
        }
        job.stopped = true;
        job.stop_signal = signo;
        job.stop_unreported = true;
        job.continue_unreported = false;
        for t in threads.iter() {
            t.set_flag(flag::STOP);
            if !Arc::ptr_eq(t, me) {
                send::kick(t);
            }
        }
    }
    wait_child::notify_parent(process, info::code::CLD_STOPPED, signo);
}

/// Sleeps until the process is continued or killed. Whoever continues it takes the flag back.
fn stop_here(me: &Arc<Thread>) {
    scheduler::with_fp_saved(|| {
        // Only death ends the sleep early, and that is seen right after.
        let goes_on = || (me.flags.load(Ordering::SeqCst) & flag::STOP == 0).then_some(());
        let _ = me.process().signals.continued.wait_killable(goes_on);
    });
}

/// The first thread that goes on tells the parent: whoever sent `SIGCONT` may hold the family tree.
fn tell_of_continuation(process: &Arc<Process>) {
    if core::mem::take(&mut process.signals.job.lock().continue_untold) {
        wait_child::notify_parent(process, info::code::CLD_CONTINUED, super::SIGCONT);
    }
}
