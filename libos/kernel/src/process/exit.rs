//! The end of a thread, and of a process with its last one.

use super::signal::send::{self, end_process};
use super::signal::{SIGCHLD, SIGCONT, SIGHUP, SigInfo, info::code};
use super::thread::{Thread, current};
use super::{Process, family, futex, scheduler, table, wait_child};
use crate::base::Result;
use crate::base::sync::Once;
use crate::fs::{FdTable, FsContext};
use crate::memory::{AddressSpace, ProgramKind};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Stands in for the memory of processes that have none any more.
static NO_SPACE: Once<Arc<AddressSpace>> = Once::new();

/// Makes what the end of a process must not want memory for. Before the first process.
pub fn init() -> Result<()> {
    let none = AddressSpace::new_empty(ProgramKind::Linked)?;
    NO_SPACE.call_once(|| Arc::new(none));
    Ok(())
}

/// The wait status of a process that called `exit(code)`.
pub fn exited(code: i32) -> i32 {
    (code & 0xff) << 8
}

/// `exit`: ends the calling thread only.
pub fn sys_exit(code: i32) -> Result<usize> {
    let me = current();
    let process = me.process();
    // Threads may outlive the main one; the process ends with its code all the same.
    if me.tid() == process.pid {
        process.exit_status.store(exited(code), Ordering::SeqCst);
    }
    end_thread(me.clone())
}

/// `exit_group`: ends the process.
pub fn sys_exit_group(code: i32) -> Result<usize> {
    end_process(current().process(), exited(code));
    end_thread(current().clone())
}

/// The running thread ends because its process does, or because another of its threads execs.
pub fn leave() -> ! {
    end_thread(current().clone())
}

fn end_thread(me: Arc<Thread>) -> ! {
    futex::on_thread_exit(&me);
    let process = me.process().clone();
    // Once the thread is off the list the last one may free the tables that this core still walks.
    crate::arch::mmu::deactivate();
    let (last, buried) = {
        let mut threads = process.threads.lock();
        let place = threads.iter().position(|t| Arc::ptr_eq(t, &me));
        drop(place.and_then(|place| threads.remove(place)));
        process.count_threads(&threads);
        // What this thread was to take of the process's signals is for the others.
        let left = process.signals.pending.lock().set();
        send::hand_over(&threads, left);
        let buried = process.usage.bury(&me);
        process.signals.set_last_name(*me.name.lock());
        (threads.is_empty(), buried)
    };
    table::remove_thread(&me);
    if last {
        end(&process, &me, buried);
    } else {
        // A thread that execs waits to be alone.
        process.exit_event.wake_all();
    }
    drop(process);
    drop(me);
    scheduler::die()
}

/// Takes a process apart after its last thread, of whose time `buried` ns are booked, and leaves a zombie.
fn end(process: &Arc<Process>, me: &Thread, buried: u64) {
    end_process(process, process.exit_status.load(Ordering::SeqCst));
    let status = process.signals.job.lock().exit.unwrap_or(0);
    process.exit_status.store(status, Ordering::SeqCst);
    super::timers::delete_all(process);

    let files = core::mem::replace(&mut *process.files.lock(), Arc::new(FdTable::new()));
    // Where it is shared with another process, or somebody looks at it (`/proc/PID/fd`), the files stay a while; our locks do not.
    if Arc::strong_count(&files) == 1 {
        files.close_all();
    }
    drop(files);
    crate::fs::locks::on_exit(process.pid);
    if process.pid == 1 {
        super::misc::end_machine(status);
    }
    let fs = core::mem::replace(&mut *process.fs.lock(), Arc::new(FsContext::initial()));
    drop(fs);
    let exe = process.exe.lock().take();
    drop(exe);
    let none = NO_SPACE.get().expect("made at boot").clone();
    let space = core::mem::replace(&mut *process.space.lock(), none);
    process.usage.note_peak(space.peak_pages());
    // Closing files may have slept, and woken with the space in use again.
    crate::arch::mmu::deactivate();
    drop(space);

    leave_session(process);
    leave_family(process);
    let rest = me.cpu_time_ns().saturating_sub(buried);
    process.usage.bury_rest(rest);
    let parent = family::bury(process);
    process.exit_event.wake_all();
    if let Some(parent) = parent {
        // Not init, which has made hardly any of its children.
        if parent.pid != 1 {
            scheduler::charge(&parent, process.cpu_time_ns());
        }
        wait_child::report_death(process, &parent);
    }
}

/// A session leader that ends hangs its terminal up (POSIX, General Terminal Interface 11.1.10).
fn leave_session(process: &Arc<Process>) {
    let Some(session) = process.session() else {
        return;
    };
    if session.id == process.pid {
        crate::ipc::tty::disassociate(&session);
    }
}

/// Children go to the nearest subreaper or to init; a stopped group that loses its last tie to the session is hung up.
fn leave_family(process: &Arc<Process>) {
    let (mut heir, mut groups) = (None, family::Groups::default());
    while let Some(child) = family::hand_on(process, &mut heir, &mut groups) {
        // Who inherits a child expects to hear of its end as usual.
        child.exit_signal.store(SIGCHLD, Ordering::Relaxed);
        let signal = child.death_signal.load(Ordering::Relaxed);
        if signal != 0 {
            let uid = process.creds().uid;
            let info = SigInfo::user(signal, code::SI_USER, process.pid, uid);
            send::send_to_process(&child, info);
        }
        if child.is_zombie()
            && let Some(heir) = &heir
        {
            wait_child::report_death(&child, heir);
        }
    }
    family::hang_up_orphans(process, groups, |member| {
        send::send_to_process(member, SigInfo::kernel(SIGHUP));
        send::send_to_process(member, SigInfo::kernel(SIGCONT));
    });
}

pub fn sys_set_tid_address(address: usize) -> Result<usize> {
    let me = current();
    me.clear_child_tid.store(address, Ordering::Relaxed);
    Ok(me.tid() as usize)
}

/// Zeroes the word that `pthread_join` waits on, and wakes the waiter.
pub(super) fn clear_tid(me: &Thread) {
    let address = me.clear_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 && UserPtr::<u32>::new(address).write(0).is_ok() {
        futex::wake_address(me.process(), address, 1);
    }
}
