//! The end of a thread, and of a process with its last one.

use super::signal::send::{self, end_process};
use super::signal::{SIGCONT, SIGHUP, SigInfo, info::code};
use super::thread::{Thread, current};
use super::{Process, futex, scheduler, table, wait_child};
use crate::base::Result;
use crate::fs::{FdTable, FsContext};
use crate::memory::AddressSpace;
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Stands in for the memory of processes that have none any more.
static NO_SPACE: crate::base::sync::Once<Arc<AddressSpace>> = crate::base::sync::Once::new();

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
    let (last, buried) = {
        let mut threads = process.threads.lock();
        let place = threads.iter().position(|t| Arc::ptr_eq(t, &me));
        drop(place.and_then(|place| threads.remove(place)));
        process.count_threads(&threads);
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
    *process.exe.lock() = None;
    let none = NO_SPACE.call_once(|| {
        Arc::new(
            AddressSpace::new_empty(crate::memory::ProgramKind::Linked)
                .expect("one empty space fits at the first exit"),
        )
    });
    let space = core::mem::replace(&mut *process.space.lock(), none.clone());
    process.usage.note_peak(space.peak_pages());
    crate::arch::mmu::deactivate();
    drop(space);

    leave_session(process);
    adopt_children(process);
    // Looked up first: from the moment it is a zombie, a parent that polls may take it out of the tree.
    let parent = table::find(process.ppid());
    let rest = me.cpu_time_ns().saturating_sub(buried);
    process.usage.bury_rest(rest);
    process.zombie.store(true, Ordering::SeqCst);
    process.exit_event.wake_all();
    let told = parent.as_ref().map(|p| p.pid);
    if let Some(parent) = parent {
        wait_child::report_death(process, &parent, status);
    }
    // A parent that ended meanwhile has handed us on, perhaps before it could see that we are a zombie.
    let heir = process.ppid();
    if heir != 0
        && told != Some(heir)
        && let Some(heir) = table::find(heir)
    {
        wait_child::report_death(process, &heir, status);
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

/// Children go to the nearest subreaper or to init; a stopped group that loses its last outside parent is hung up.
fn adopt_children(process: &Arc<Process>) {
    let children = table::children(process.pid);
    if children.is_empty() {
        return;
    }
    let mut heir = process.ppid();
    while heir > 1 {
        match table::find(heir) {
            Some(p) if p.child_subreaper.load(Ordering::Relaxed) && !p.is_zombie() => break,
            Some(p) => heir = p.ppid(),
            None => heir = 1,
        }
    }
    let heir = heir.max(1);
    let orphaned_before: alloc::vec::Vec<_> = children
        .iter()
        .map(|(_, g)| (*g, table::is_orphaned_group(*g)))
        .collect();
    for child in table::reparent(process.pid, heir) {
        let signal = child.death_signal.load(Ordering::Relaxed);
        if signal != 0 {
            send::send_to_process(
                &child,
                SigInfo::user(signal, code::SI_USER, process.pid, process.creds().uid),
            );
        }
        if child.is_zombie()
            && let Some(heir) = table::find(heir)
        {
            wait_child::report_death(&child, &heir, child.exit_status.load(Ordering::SeqCst));
        }
    }
    for (group, before) in orphaned_before {
        let stopped = || {
            table::group_members(group)
                .iter()
                .any(|p| p.signals.is_stopped())
        };
        if !before && table::is_orphaned_group(group) && stopped() {
            // The group existed a moment ago; if it is gone, nobody needs the signal.
            let _ = send::send_to_group(group, SigInfo::kernel(SIGHUP));
            let _ = send::send_to_group(group, SigInfo::kernel(SIGCONT));
        }
    }
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
