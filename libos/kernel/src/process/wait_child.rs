//! `wait4`, `waitid`, and telling a parent that there is something to wait for.

use super::accounting::{Rusage, Usage};
use super::signal::action::{SA_NOCLDSTOP, SA_NOCLDWAIT, SIG_IGN};
use super::signal::{SIGCHLD, SigInfo, info::code, send};
use super::wait::WaitQueue;
use super::{Pid, Process, current, table};
use crate::base::{Errno, Result};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

const WNOHANG: i32 = 1;
const WSTOPPED: i32 = 2;
const WEXITED: i32 = 4;
const WCONTINUED: i32 = 8;
const WNOWAIT: i32 = 0x0100_0000;
/// `__WNOTHREAD`, `__WALL`, `__WCLONE`: accepted, every child is waited for alike.
const CLONE_BITS: i32 = 0xe000_0000u32 as i32;

fn child_signal(process: &Process, code: i32, status: i32) -> SigInfo {
    let times = process.times();
    let [user, system] = [times.user, times.system].map(|ns| ns / 10_000_000);
    let uid = process.creds().uid;
    SigInfo::child(code, process.pid, uid, status, user, system)
}

/// A stop or a continuation: SIGCHLD (unless the parent opted out) and a wake-up for `waitpid`.
pub fn notify_parent(process: &Arc<Process>, code: i32, signo: i32) {
    let Some(parent) = table::find(process.ppid()) else {
        return;
    };
    let actions = parent.actions.lock().clone();
    if actions.lock().get(SIGCHLD).flags & SA_NOCLDSTOP == 0 {
        send::send_to_process(&parent, child_signal(process, code, signo));
    }
    parent.child_event.wake_all();
}

/// Death: as above, and a parent that ignores SIGCHLD never sees the zombie.
pub fn report_death(process: &Arc<Process>, parent: &Arc<Process>) {
    let status = process.exit_status.load(Ordering::SeqCst);
    let (code, value) = match status & 0x7f {
        0 => (code::CLD_EXITED, status >> 8 & 0xff),
        signo if status & 0x80 != 0 => (code::CLD_DUMPED, signo),
        signo => (code::CLD_KILLED, signo),
    };
    let actions = parent.actions.lock().clone();
    let action = actions.lock().get(SIGCHLD);
    let signal = process.exit_signal.load(Ordering::Relaxed);
    let unwanted =
        signal == SIGCHLD && (action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0);
    if unwanted {
        table::reap(process);
    }
    if signal == SIGCHLD {
        send::send_to_process(parent, child_signal(process, code, value));
    } else if signal != 0 {
        send::send_to_process(parent, SigInfo::user(signal, code::SI_USER, process.pid, 0));
    }
    parent.child_event.wake_all();
}

/// Which children a call is about.
enum Which {
    Any,
    Pid(Pid),
    Group(Pid),
    /// The process behind a pidfd, whoever has its number.
    This(Arc<Process>),
}

impl Which {
    fn matches(&self, process: &Arc<Process>, group: Pid) -> bool {
        match self {
            Which::Any => true,
            Which::Pid(p) => process.pid == *p,
            Which::Group(g) => group == *g,
            Which::This(p) => Arc::ptr_eq(p, process),
        }
    }
}

/// What was found: the child, its wait status, and whether that is its death. (One that was found stopped may die a moment
/// later; that is for the next call.)
struct Event {
    child: Arc<Process>,
    status: i32,
    code: i32,
}

/// What `child` has to report that the caller asks for. What it reports is told once, unless the caller only looks.
fn report_of(child: &Arc<Process>, options: i32) -> Option<(Event, bool)> {
    let looks = options & WNOWAIT != 0;
    let event = |status, code| Event {
        child: child.clone(),
        status,
        code,
    };
    if child.is_zombie() {
        let status = child.exit_status.load(Ordering::SeqCst);
        let code = match status & 0xff {
            0 => code::CLD_EXITED,
            s if s & 0x80 != 0 => code::CLD_DUMPED,
            _ => code::CLD_KILLED,
        };
        return Some((event(status, code), !looks));
    }
    let mut job = child.signals.job.lock();
    if options & WSTOPPED != 0 && job.stop_unreported {
        job.stop_unreported = looks;
        return Some((event(job.stop_signal << 8 | 0x7f, code::CLD_STOPPED), false));
    }
    if options & WCONTINUED != 0 && job.continue_unreported {
        job.continue_unreported = looks;
        return Some((event(0xffff, code::CLD_CONTINUED), false));
    }
    None
}

/// Looks once. `Ok(None)`: there are such children, but none has anything to report.
fn look(me: &Process, which: &Which, options: i32) -> Result<Option<Event>> {
    let mut exists = false;
    let found = table::find_child(me.pid, |child, group| {
        // A zombie has nothing to say any more to who does not ask for deaths: it is no reason to wait.
        if !which.matches(child, group) || child.is_zombie() && options & WEXITED == 0 {
            return None;
        }
        exists = true;
        report_of(child, options).map(|(event, take)| ((event, take), take))
    });
    match found {
        Some((event, taken)) => {
            if taken {
                me.usage.add_child(&usage_with_children(&event.child));
            }
            Ok(Some(event))
        }
        None if exists => Ok(None),
        None => Err(Errno::ECHILD),
    }
}

fn wait(which: Which, options: i32) -> Result<Option<Event>> {
    let me = current().process();
    let queue: &WaitQueue = &me.child_event;
    if options & WNOHANG != 0 {
        return look(me, &which, options);
    }
    queue
        .wait(None, || look(me, &which, options).transpose())?
        .map(Some)
}

/// What a process and the children that it waited for have used.
fn usage_with_children(process: &Process) -> Usage {
    let mut usage = process.usage();
    usage.add(&process.usage.children());
    usage
}

pub fn sys_wait4(
    pid: i32,
    status: UserPtr<i32>,
    options: i32,
    usage: UserPtr<Rusage>,
) -> Result<usize> {
    if options & !(WNOHANG | WSTOPPED | WCONTINUED | CLONE_BITS) != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid {
        -1 => Which::Any,
        0 => Which::Group(current().process().pgid()),
        i32::MIN => return Err(Errno::ESRCH),
        p if p > 0 => Which::Pid(p),
        g => Which::Group(-g),
    };
    let Some(event) = wait(which, options | WEXITED)? else {
        return Ok(0);
    };
    if let Some(p) = status.option() {
        p.write(event.status)?;
    }
    if let Some(p) = usage.option() {
        p.write(usage_with_children(&event.child).into())?;
    }
    Ok(event.child.pid as usize)
}

pub fn sys_waitid(
    kind: i32,
    id: i32,
    info: UserPtr<SigInfo>,
    options: i32,
    usage: UserPtr<Rusage>,
) -> Result<usize> {
    if options & !(WNOHANG | WSTOPPED | WEXITED | WCONTINUED | WNOWAIT | CLONE_BITS) != 0
        || options & (WEXITED | WSTOPPED | WCONTINUED) == 0
    {
        return Err(Errno::EINVAL);
    }
    let mut impatient = 0;
    let which = match kind {
        0 => Which::Any,
        1 if id > 0 => Which::Pid(id),
        2 if id == 0 => Which::Group(current().process().pgid()),
        2 if id > 0 => Which::Group(id),
        3 => {
            let (process, nonblocking) = super::pidfd::process_of(id)?;
            impatient = if nonblocking { WNOHANG } else { 0 };
            Which::This(process)
        }
        _ => return Err(Errno::EINVAL),
    };
    let event = wait(which, options | impatient)?;
    if event.is_none() && options & WNOHANG == 0 {
        // It was the descriptor that forbade to wait.
        return Err(Errno::EAGAIN);
    }
    if let Some(p) = info.option() {
        match &event {
            Some(e) => {
                let value = match e.code {
                    code::CLD_EXITED => e.status >> 8 & 0xff,
                    code::CLD_STOPPED => e.status >> 8,
                    code::CLD_CONTINUED => super::signal::SIGCONT,
                    _ => e.status & 0x7f,
                };
                p.write(SigInfo::child(
                    e.code,
                    e.child.pid,
                    e.child.creds().uid,
                    value,
                    0,
                    0,
                ))?;
            }
            // POSIX: with WNOHANG and nothing to report, si_signo and si_pid are 0.
            None => p.cast::<[u64; 16]>().write([0; 16])?,
        }
    }
    if let (Some(p), Some(e)) = (usage.option(), &event) {
        p.write(usage_with_children(&e.child).into())?;
    }
    Ok(0)
}
