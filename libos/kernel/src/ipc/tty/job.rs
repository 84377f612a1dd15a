//! Job control: which session a terminal controls, which of its process groups is in the foreground
//! (POSIX 11.1 "General Terminal Interface", setsid(2), tcsetpgrp(3)).

use super::terminal::Tty;
use crate::base::{Errno, Result};
use crate::process::signal::{self, Disposition, SigInfo};
use crate::process::{Pid, Session, current, family, table};
use alloc::sync::Arc;
use core::ffi::c_int;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

/// Whom a terminal controls.
#[derive(Clone, Copy)]
pub struct Foreground {
    pub session: Pid,
    /// 0: the program gave it to no group.
    pub group: Pid,
}

/// Sends a signal of the terminal's to the group in the foreground, if there is one; a group that is gone gets nothing.
pub(super) fn send(job: Option<Foreground>, signo: u32) {
    if let Some(Foreground { group, .. }) = job
        && group > 0
    {
        send_to(group, signo);
    }
}

fn send_to(group: Pid, signo: u32) {
    match signal::send_to_group(group, SigInfo::kernel(signo as c_int)) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(e) => crate::klog!(Warn, "terminal: signal {signo} to group {group}: {e:?}"),
    }
}

fn controls_caller(tty: &Tty) -> bool {
    let terminal = current().process().terminal();
    terminal.is_some_and(|t| core::ptr::eq(Arc::as_ptr(&t), tty))
}

/// Whether the caller would not notice `signo`.
fn is_deaf_to(signo: c_int) -> bool {
    let me = current();
    if me.signals.lock().mask.contains(signo) {
        return true;
    }
    let actions = me.process().actions.lock().clone();
    actions.lock().disposition(signo) == Disposition::Ignore
}

/// A background process that uses its controlling terminal is stopped with `signo` (`SIGTTIN`, `SIGTTOU`), and the call starts
/// over once it is in the foreground. Where nothing could stop or continue it the call fails, or for `SIGTTOU` goes on.
pub(super) fn check_background(tty: &Tty, signo: u32) -> Result<()> {
    let foreground = tty.foreground();
    if foreground == 0 || !controls_caller(tty) {
        return Ok(());
    }
    let group = current().process().pgid();
    if group == foreground {
        return Ok(());
    }
    if is_deaf_to(signo as c_int) {
        return if signo == linux::SIGTTIN {
            Err(Errno::EIO)
        } else {
            Ok(())
        };
    }
    if family::is_orphaned_group(group) {
        return Err(Errno::EIO);
    }
    send_to(group, signo);
    Err(Errno::ERESTARTSYS)
}

/// What opening a terminal does for a session leader that has none.
pub(super) fn acquire_on_open(tty: &Arc<Tty>) {
    let process = current().process();
    if let Some(session) = process.session()
        && session.id == process.pid
        && session.terminal.lock().is_none()
    {
        take_over(tty, &session, process.pgid());
    }
}

/// Makes `tty` the terminal of `session` if it controls none yet and is still there.
fn take_over(tty: &Arc<Tty>, session: &Session, group: Pid) -> bool {
    {
        let mut state = tty.state.lock();
        if state.hung_up || state.job.is_some_and(|job| job.session != session.id) {
            return false;
        }
        state.job = Some(Foreground {
            session: session.id,
            group,
        });
        // In one step: who hangs up takes it from the session that it finds.
        *session.terminal.lock() = Some(tty.clone());
    }
    let leader = current().process();
    leader.left_terminal.store(false, Ordering::Relaxed);
    true
}

/// `TIOCSCTTY`. `steal`: take it from another session, which only root may do. Without a file that `reads` it, too: who may only
/// write has no claim to what is typed.
pub(super) fn set_controlling(tty: &Tty, steal: bool, reads: bool) -> Result<usize> {
    let process = current().process();
    let session = process.session().ok_or(Errno::EPERM)?;
    if session.id != process.pid {
        return Err(Errno::EPERM);
    }
    if controls_caller(tty) {
        return Ok(0);
    }
    let this = tty.this.upgrade().ok_or(Errno::EIO)?;
    let privileged = process.creds().is_privileged();
    if session.terminal.lock().is_some() || !reads && !privileged {
        return Err(Errno::EPERM);
    }
    if !take_over(&this, &session, process.pgid()) {
        if !steal || !privileged {
            return Err(Errno::EPERM);
        }
        let old = tty.state.lock().job.take();
        old.into_iter()
            .for_each(|old| forget_terminal(tty, old.session));
        if !take_over(&this, &session, process.pgid()) {
            return Err(Errno::EIO);
        }
    }
    Ok(0)
}

/// Takes the terminal from whoever in session `sid` thinks to have it.
fn forget_terminal(tty: &Tty, sid: Pid) {
    if let Some(session) = table::session_by_id(sid) {
        let old = session
            .terminal
            .lock()
            .take_if(|t| core::ptr::eq(Arc::as_ptr(t), tty));
        drop(old);
    }
}

/// A session gives its terminal up: its leader ends, or asks to (`TIOCNOTTY`). The foreground group is told.
pub fn disassociate(session: &Session) {
    let Some(tty) = session.terminal.lock().take() else {
        return;
    };
    let job = tty.state.lock().job.take();
    send(job, linux::SIGHUP);
    send(job, linux::SIGCONT);
}

/// `TIOCNOTTY`.
pub(super) fn give_up(tty: &Tty) -> Result<usize> {
    if !controls_caller(tty) {
        return Err(Errno::ENOTTY);
    }
    let process = current().process();
    let session = process.session().ok_or(Errno::ENOTTY)?;
    if session.id == process.pid {
        disassociate(&session);
    } else {
        process.left_terminal.store(true, Ordering::Relaxed);
    }
    Ok(0)
}

/// The terminal is gone: the session's leader and the foreground group get `SIGHUP`, and `SIGCONT` to hear it.
pub(super) fn hang_up(tty: &Tty, job: Foreground) {
    forget_terminal(tty, job.session);
    if let Some(leader) = table::find(job.session) {
        signal::send_to_process(&leader, SigInfo::kernel(linux::SIGHUP as c_int));
        signal::send_to_process(&leader, SigInfo::kernel(linux::SIGCONT as c_int));
    }
    if job.group != job.session {
        send(Some(job), linux::SIGHUP);
        send(Some(job), linux::SIGCONT);
    }
}

/// `TIOCGPGRP`, `TIOCGSID`: only for one's own terminal.
pub(super) fn of_caller(tty: &Tty) -> Result<Foreground> {
    if !controls_caller(tty) {
        return Err(Errno::ENOTTY);
    }
    tty.state.lock().job.ok_or(Errno::ENOTTY)
}

/// `TIOCSPGRP`.
pub(super) fn set_foreground(tty: &Tty, group: Pid) -> Result<usize> {
    if !controls_caller(tty) {
        return Err(Errno::ENOTTY);
    }
    check_background(tty, linux::SIGTTOU)?;
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let session = table::group_session(group).ok_or(Errno::ESRCH)?;
    match &mut tty.state.lock().job {
        Some(job) if job.session == session.id => job.group = group,
        _ => return Err(Errno::EPERM),
    }
    Ok(0)
}
