//! Births: `fork` and `clone`.

use super::stack::KernelStack;
use super::thread::{Thread, current, flag};
use super::{Process, limits, scheduler, signal, table};
use crate::arch::frame::{self, CalleeSaved, PSTATE_LINKED, TrapFrame};
use crate::base::{Errno, Result, SpinLock};
use crate::memory::{AddressSpace, Writers};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

mod clone_flag {
    pub const VM: u64 = 0x100;
    pub const FS: u64 = 0x200;
    pub const FILES: u64 = 0x400;
    pub const SIGHAND: u64 = 0x800;
    pub const PIDFD: u64 = 0x1000;
    pub const VFORK: u64 = 0x4000;
    pub const PARENT: u64 = 0x8000;
    pub const THREAD: u64 = 0x1_0000;
    pub const SETTLS: u64 = 0x8_0000;
    pub const PARENT_SETTID: u64 = 0x10_0000;
    pub const CHILD_CLEARTID: u64 = 0x20_0000;
    pub const DETACHED: u64 = 0x40_0000;
    pub const CHILD_SETTID: u64 = 0x100_0000;
    /// Namespaces are not built. (The one of 0x80 cannot be asked for here: its bit is the exit signal's.)
    pub const NAMESPACES: u64 = 0x7e02_0000;
}
use clone_flag as f;

/// Where the child of `fork` or `clone` continues: the caller's registers with 0 as the result.
fn child_frame(saved: &CalleeSaved, stack: usize) -> TrapFrame {
    let mut frame = TrapFrame {
        x: [0; 31],
        sp: 0,
        pc: saved.x[11],
        pstate: PSTATE_LINKED,
        record: [0; 2],
    };
    frame.x[19..31].copy_from_slice(&saved.x);
    let sp: u64;
    // SAFETY: reading the program's stack pointer.
    unsafe { core::arch::asm!("mrs {}, sp_el0", out(reg) sp) };
    frame.sp = if stack != 0 { stack as u64 } else { sp };
    frame
}

fn thread_pointer() -> u64 {
    let tp: u64;
    // SAFETY: reading the program's thread pointer.
    unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) tp) };
    tp
}

/// Counts the child against the user's limit and the table's size.
pub(super) fn check_limit(parent: &Process) -> Result<()> {
    let creds = parent.creds();
    let limit = parent.rlimit(limits::NPROC);
    if !creds.is_privileged()
        && limit != limits::INFINITY
        && table::count_of_user(creds.uid) as u64 >= limit
    {
        return Err(Errno::EAGAIN);
    }
    if table::count() as u64 >= 30_000 {
        Err(Errno::EAGAIN)
    } else {
        Ok(())
    }
}

/// The call is to be made again once the thread has dealt with its signals.
fn start_over() -> Errno {
    current().set_flag(flag::SIGNAL);
    Errno::ERESTARTNOINTR
}

/// What signals were sent to the caller's process and others at once. One that is on its way to the caller comes before the
/// child, so that it need not have it: a terminal's interrupt reaches both or finds no child yet.
pub(super) fn broadcasts_before_birth(me: &Thread) -> Result<u32> {
    let broadcasts = me.process().signals.broadcasts();
    match me.signal_pending() {
        true => Err(start_over()),
        false => Ok(broadcasts),
    }
}

pub(super) fn insert_child(
    maker: &Process,
    child: &Arc<Process>,
    as_sibling: bool,
    broadcasts: u32,
) -> Result<()> {
    table::insert_child(maker, child.clone(), as_sibling, broadcasts).map_err(|e| match e {
        Errno::ERESTARTNOINTR => start_over(),
        e => e,
    })
}

/// A process like the caller's, without threads and not yet in the tree.
pub(super) fn new_process(
    parent: &Arc<Process>,
    flags: u64,
    space: Arc<AddressSpace>,
) -> Result<Arc<Process>> {
    let pid = table::allocate_pid()?;
    let files = parent.files.lock().clone();
    let files = if flags & f::FILES != 0 {
        files
    } else {
        Arc::new(files.fork()?)
    };
    let fs = parent.fs.lock().clone();
    let fs = if flags & f::FS != 0 {
        fs
    } else {
        Arc::new(fs.fork())
    };
    let actions = parent.actions.lock().clone();
    let actions = if flags & f::SIGHAND != 0 {
        actions
    } else {
        let copy = actions.lock().clone();
        Arc::new(SpinLock::new(copy))
    };
    let process = Process::new(
        pid,
        files,
        fs,
        space,
        parent.creds(),
        &parent.limits,
        actions,
        parent.exe(),
    );
    process.oom_score_adj.store(
        parent.oom_score_adj.load(Ordering::Relaxed),
        Ordering::Relaxed,
    );
    super::timers::watch_cpu_limit(&process);
    process
        .dumpable
        .store(parent.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
    process.left_terminal.store(
        parent.left_terminal.load(Ordering::Relaxed),
        Ordering::Relaxed,
    );
    Ok(process)
}

/// Makes the thread known and runnable. `ENOMEM`, before anybody knows of it, if the process has no place for it: the first has one.
pub(super) fn launch(thread: Thread, stack: KernelStack, sp: usize) -> Result<()> {
    let thread = Arc::new(thread);
    let process = thread.process();
    {
        let mut threads = process.threads.lock();
        threads.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: nobody else knows the thread yet.
        unsafe {
            *thread.sp.get() = sp;
            *thread.stack.get() = Some(stack);
            *thread.me.get() = Some(thread.clone());
        }
        threads.push_back(thread.clone());
        process.count_threads(&threads);
        // Whoever ends or stops the process, or ends its other threads, told those that it found.
        let job = process.signals.job.lock();
        if job.exit.is_some() || job.sole_thread.is_some() {
            thread.set_flag(flag::KILLED);
        }
        if job.stopped {
            thread.set_flag(flag::STOP);
        }
    }
    // As did whoever sent the process a signal.
    signal::send::recheck(&thread);
    table::insert_thread(thread.clone());
    scheduler::start(thread);
    Ok(())
}

/// As [`launch`], for the first thread of a process.
pub(super) fn launch_first(thread: Thread, stack: KernelStack, sp: usize) {
    launch(thread, stack, sp).expect("a process is made with a place for its first thread");
}

/// `fork(flags, tid)`: a plain fork that may set the child's number where it will look for it.
#[unsafe(no_mangle)]
extern "C" fn door_fork(
    flags: usize,
    tid: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    saved: &CalleeSaved,
) -> isize {
    let flags = 17 | flags as u64 & (f::CHILD_SETTID | f::CHILD_CLEARTID);
    crate::surface::encode(clone(flags, 0, 0, 0, tid, saved))
}

#[unsafe(no_mangle)]
extern "C" fn door_clone(
    flags: usize,
    stack: usize,
    ptid: usize,
    tls: usize,
    ctid: usize,
    _: usize,
    saved: &CalleeSaved,
) -> isize {
    crate::surface::encode(clone(flags as u64, stack, ptid, tls, ctid, saved))
}

/// `clone(2)` with arm64's order of arguments.
fn clone(
    flags: u64,
    stack: usize,
    ptid: usize,
    tls: usize,
    ctid: usize,
    saved: &CalleeSaved,
) -> Result<usize> {
    let contradiction = flags & f::THREAD != 0 && flags & f::SIGHAND == 0
        || flags & f::SIGHAND != 0 && flags & f::VM == 0
        || flags & f::PIDFD != 0 && flags & (f::PARENT_SETTID | f::THREAD | f::DETACHED) != 0
        || flags & f::PARENT != 0 && current().process().pid == 1;
    if contradiction {
        return Err(Errno::EINVAL);
    }
    if flags & f::NAMESPACES != 0 {
        klog!(Warn, "clone: namespaces are not built (flags {:#x})", flags);
        return Err(Errno::EINVAL);
    }
    let me = current();
    let parent = me.process();
    let tls = if flags & f::SETTLS != 0 {
        tls as u64
    } else {
        thread_pointer()
    };
    let frame = child_frame(saved, stack);
    let kernel_stack = KernelStack::new().map_err(|_| Errno::EAGAIN)?;
    // SAFETY: the stack is new.
    let sp = unsafe { frame::prepare_program_thread(kernel_stack.top(), frame, saved.d, tls) };
    check_limit(parent)?;
    if flags & f::THREAD != 0 {
        let tid = table::allocate_pid()?;
        let thread = Thread::new(tid, Some(parent.clone()), Some(me));
        set_ids(&thread, flags, ptid, ctid, true);
        if me.is_dying() {
            return Err(Errno::ERESTARTSYS);
        }
        launch(thread, kernel_stack, sp)?;
        return Ok(tid as usize);
    }
    let broadcasts = broadcasts_before_birth(me)?;
    let cuts = super::cuts();
    let space = if flags & f::VM != 0 {
        parent.space()
    } else {
        let space = parent.space();
        // One reference is the process's, one is this: any other may be a child's that runs there (`CLONE_VM`).
        let alone = parent.has_one_thread() && Arc::strong_count(&space) == 2;
        let writers = match alone {
            true => Writers::None,
            false => Writers::OtherThreads,
        };
        Arc::new(space.fork(writers)?)
    };
    let process = new_process(parent, flags, space)?;
    let exit_signal = match (flags & f::PARENT != 0, (flags & 0xff) as i32) {
        (true, _) => parent.exit_signal.load(Ordering::Relaxed),
        // A number that is no signal's is as good as none.
        (false, signal) if signal > signal::SIGRTMAX => 0,
        (false, signal) => signal,
    };
    process.exit_signal.store(exit_signal, Ordering::Relaxed);
    let pid = process.pid;
    let thread = Thread::new(pid, Some(process.clone()), Some(me));
    let alt = me.signals.lock().alt_stack;
    if flags & f::VM == 0 || flags & f::VFORK != 0 {
        thread.signals.lock().alt_stack = alt;
    }
    set_ids(&thread, flags, ptid, ctid, flags & f::VM != 0);
    if flags & f::CHILD_SETTID != 0 && flags & f::VM == 0 {
        // The word lies in the child's copy; a bad address is ignored, as on Linux.
        let _ = process
            .space()
            .write_memory(ctid, &(pid as u32).to_ne_bytes());
    }
    // All that can fail comes before the child is in the tree: one without a thread would never end.
    let mut pidfd = None;
    let forget = |fd: Option<i32>| {
        let files = parent.files.lock().clone();
        drop(fd.map(|fd| files.remove(fd)));
    };
    if flags & f::PIDFD != 0 {
        let fd = super::pidfd::open(process.clone(), 0)?;
        pidfd = Some(fd);
        UserPtr::<i32>::new(ptid)
            .write(fd)
            .inspect_err(|_| forget(pidfd))?;
    }
    insert_child(parent, &process, flags & f::PARENT != 0, broadcasts)
        .inspect_err(|_| forget(pidfd))?;
    if super::cuts() != cuts {
        // Some file was cut since the copy was made, and nobody found it in the tree.
        process.space().revoke_copied();
    }
    let vfork = flags & f::VFORK != 0;
    let before = process.space();
    launch_first(thread, kernel_stack, sp);
    if vfork {
        // The parent waits until the child has another address space, or none.
        let _ = process
            .exit_event
            .wait_killable(|| (!Arc::ptr_eq(&process.space(), &before)).then_some(()));
        // Limits that the child set for itself were those of the space.
        parent.space().set_limits(limits::memory(parent));
    }
    Ok(pid as usize)
}

/// Tells parent and child the new number. A bad address does not matter, as on Linux.
fn set_ids(thread: &Thread, flags: u64, ptid: usize, ctid: usize, shares_memory: bool) {
    if flags & f::CHILD_CLEARTID != 0 {
        thread.clear_child_tid.store(ctid, Ordering::Relaxed);
    }
    if flags & f::PARENT_SETTID != 0 {
        let _ = UserPtr::<i32>::new(ptid).write(thread.tid());
    }
    if flags & f::CHILD_SETTID != 0 && shares_memory {
        let _ = UserPtr::<i32>::new(ctid).write(thread.tid());
    }
}
