//! Births: `fork`, `clone`, and `spawn`, which is `posix_spawn` as one operation.

use super::exec::{self, Arguments};
use super::signal::SigSet;
use super::stack::KernelStack;
use super::thread::{Thread, current};
use super::wait::WaitQueue;
use super::{Process, limits, scheduler, signal, table};
use crate::arch::frame::{self, CalleeSaved, PSTATE_LINKED, TrapFrame};
use crate::base::{Errno, Result, SpinLock};
use crate::drivers::{self, ConsoleMode};
use crate::fs::{FdTable, FsContext, OnExec};
use crate::memory::{AddressSpace, Writers};
use crate::user::{Plain, UserPtr};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

mod clone_flag {
    pub const VM: u64 = 0x100;
    pub const FS: u64 = 0x200;
    pub const FILES: u64 = 0x400;
    pub const SIGHAND: u64 = 0x800;
    pub const PIDFD: u64 = 0x1000;
    pub const VFORK: u64 = 0x4000;
    pub const THREAD: u64 = 0x1_0000;
    pub const SETTLS: u64 = 0x8_0000;
    pub const PARENT_SETTID: u64 = 0x10_0000;
    pub const CHILD_CLEARTID: u64 = 0x20_0000;
    pub const CHILD_SETTID: u64 = 0x100_0000;
    /// Namespaces are not built.
    pub const NAMESPACES: u64 = 0x7e02_0000 | 0x80;
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
fn check_limit(parent: &Process) -> Result<()> {
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

/// A process like the caller's, without threads and not yet in the tree.
fn new_process(
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

/// Makes the thread known and runnable.
fn launch(thread: Thread, stack: KernelStack, sp: usize) -> Arc<Thread> {
    let thread = Arc::new(thread);
    // SAFETY: nobody else knows the thread yet.
    unsafe {
        *thread.sp.get() = sp;
        *thread.stack.get() = Some(stack);
        *thread.me.get() = Some(thread.clone());
    }
    let process = thread.process();
    {
        let mut threads = process.threads.lock();
        threads.push_back(thread.clone());
        process.count_threads(&threads);
        // Whoever ends the process, or its other threads, told those that it found.
        let job = process.signals.job.lock();
        if job.exit.is_some() || job.sole_thread.is_some() {
            thread.set_flag(super::thread::flag::KILLED);
        }
    }
    table::insert_thread(thread.clone());
    scheduler::enqueue(thread.clone());
    thread
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
    if flags & f::THREAD != 0 && flags & f::SIGHAND == 0
        || flags & f::SIGHAND != 0 && flags & f::VM == 0
    {
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
        let room = parent.threads.lock().try_reserve(1);
        room.map_err(|_| Errno::ENOMEM)?;
        let thread = Thread::new(tid, Some(parent.clone()), Some(me));
        set_ids(&thread, flags, ptid, ctid, true)?;
        if me.is_dying() {
            return Err(Errno::ERESTARTSYS);
        }
        launch(thread, kernel_stack, sp);
        return Ok(tid as usize);
    }
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
    process
        .exit_signal
        .store((flags & 0xff) as i32, Ordering::Relaxed);
    let pid = process.pid;
    let thread = Thread::new(pid, Some(process.clone()), Some(me));
    let alt = me.signals.lock().alt_stack;
    if flags & f::VM == 0 || flags & f::VFORK != 0 {
        thread.signals.lock().alt_stack = alt;
    }
    set_ids(&thread, flags, ptid, ctid, flags & f::VM != 0)?;
    if flags & f::CHILD_SETTID != 0 && flags & f::VM == 0 {
        // The word lies in the child's copy; a bad address is ignored, as on Linux.
        let _ = process
            .space()
            .write_memory(ctid, &(pid as u32).to_ne_bytes());
    }
    // All that can fail comes before the child is in the tree: one without a thread would never end.
    if flags & f::PIDFD != 0 {
        let fd = super::pidfd::open(process.clone())?;
        UserPtr::<i32>::new(ptid).write(fd).inspect_err(|_| {
            drop(parent.files.lock().clone().remove(fd));
        })?;
    }
    table::insert_child(parent.pid, process.clone())?;
    if super::cuts() != cuts {
        // Some file was cut since the copy was made, and nobody found it in the tree.
        process.space().revoke_copied();
    }
    let vfork = flags & f::VFORK != 0;
    let before = process.space();
    launch(thread, kernel_stack, sp);
    if vfork {
        // The parent waits until the child has another address space, or none.
        let _ = process
            .exit_event
            .wait_killable(|| (!Arc::ptr_eq(&process.space(), &before)).then_some(()));
    }
    Ok(pid as usize)
}

fn set_ids(
    thread: &Thread,
    flags: u64,
    ptid: usize,
    ctid: usize,
    shares_memory: bool,
) -> Result<()> {
    if flags & f::CHILD_CLEARTID != 0 {
        thread.clear_child_tid.store(ctid, Ordering::Relaxed);
    }
    if flags & f::PARENT_SETTID != 0 {
        UserPtr::<i32>::new(ptid).write(thread.tid())?;
    }
    if flags & f::CHILD_SETTID != 0 && shares_memory {
        UserPtr::<i32>::new(ctid).write(thread.tid())?;
    }
    Ok(())
}

/// `struct spawn_args` of the libc.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SpawnArgs {
    flags: u32,
    group: i32,
    defaults: SigSet,
    mask: SigSet,
    actions: usize,
    action_count: usize,
    policy: i32,
    priority: i32,
}
// SAFETY: integers without padding.
unsafe impl Plain for SpawnArgs {}

/// `struct spawn_action` of the libc.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SpawnAction {
    kind: u32,
    fd: i32,
    new_fd: i32,
    flags: i32,
    mode: u32,
    pad: u32,
    path: usize,
}
// SAFETY: integers without padding.
unsafe impl Plain for SpawnAction {}

const RESETIDS: u32 = 1;
const SETPGROUP: u32 = 2;
const SETSIGDEF: u32 = 4;
const SETSIGMASK: u32 = 8;
const SETSCHEDPARAM: u32 = 0x10;
const SETSCHEDULER: u32 = 0x20;
const SETSID: u32 = 0x80;

/// What the child of `spawn` is to do before it execs; the parent waits on `done`.
struct Spawn {
    path: Vec<u8>,
    arguments: SpinLock<Option<Arguments>>,
    args: SpawnArgs,
    actions: Vec<(SpawnAction, Vec<u8>)>,
    finished: AtomicBool,
    error: AtomicI32,
    done: WaitQueue,
}

/// `spawn(path, argv, envp, args, size)`: a child that runs `path`, without copying the caller's memory.
/// The result is the child's number, or whatever kept it from starting.
pub fn sys_spawn(
    path: UserPtr<u8>,
    argv: UserPtr<usize>,
    envp: UserPtr<usize>,
    args: UserPtr<SpawnArgs>,
    size: usize,
) -> Result<usize> {
    if size != size_of::<SpawnArgs>() {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let parent = me.process();
    let path = path.read_cstr(4095, Errno::ENAMETOOLONG)?;
    let args = args.read()?;
    if args.action_count > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut actions = Vec::new();
    for a in UserPtr::<SpawnAction>::new(args.actions).read_vec(args.action_count)? {
        let name = if a.path != 0 {
            UserPtr::<u8>::new(a.path).read_cstr(4095, Errno::ENAMETOOLONG)?
        } else {
            Vec::new()
        };
        actions.push((a, name));
    }
    let arguments = Arguments::from_program(argv, envp)?;
    check_limit(parent)?;
    let kernel_stack = KernelStack::new().map_err(|_| Errno::EAGAIN)?;
    let order = Arc::new(Spawn {
        path,
        arguments: SpinLock::new(Some(arguments)),
        args,
        actions,
        finished: AtomicBool::new(false),
        error: AtomicI32::new(0),
        done: WaitQueue::new(),
    });
    // The child shares the caller's space until it execs; it never runs there.
    let process = new_process(parent, 0, parent.space())?;
    let thread = Thread::new(process.pid, Some(process.clone()), Some(me));
    table::insert_child(parent.pid, process.clone())?;
    // SAFETY: the stack is new; `spawned` takes the reference back.
    let sp = unsafe {
        frame::prepare_kernel_start(
            kernel_stack.top(),
            spawned,
            Arc::into_raw(order.clone()) as usize,
        )
    };
    launch(thread, kernel_stack, sp);
    let ended = order
        .done
        .wait_killable(|| order.finished.load(Ordering::SeqCst).then_some(()));
    match order.error.load(Ordering::SeqCst) {
        0 => ended.map(|()| process.pid as usize),
        e => {
            // It has ended or is about to, and nobody else is to see it.
            let _ = process
                .exit_event
                .wait_killable(|| process.is_zombie().then_some(()));
            table::reap(process.pid);
            Err(Errno(e))
        }
    }
}

/// First and last thing a spawned thread does in the kernel.
extern "C" fn spawned(order: usize) {
    // SAFETY: `sys_spawn` gave this reference away.
    let order = unsafe { Arc::from_raw(order as *const Spawn) };
    let result = prepare_child(&order);
    if let Err(e) = result {
        order.error.store(e.0, Ordering::SeqCst);
        // The parent reports the error; no SIGCHLD.
        let process = current().process();
        process.exit_signal.store(0, Ordering::Relaxed);
        signal::send::end_process(process, super::exit::exited(127));
    }
    order.finished.store(true, Ordering::SeqCst);
    order.done.wake_all();
}

fn prepare_child(order: &Spawn) -> Result<()> {
    let me = current();
    let process = me.process();
    let args = &order.args;
    if args.flags & SETSIGDEF != 0 {
        let actions = process.actions.lock().clone();
        actions.lock().set_default(args.defaults);
    }
    if args.flags & SETSID != 0 {
        table::new_session(process.pid)?;
    }
    if args.flags & SETPGROUP != 0 {
        let group = if args.group == 0 {
            process.pid
        } else {
            args.group
        };
        table::set_group(process.pid, process.pid, group)?;
    }
    if args.flags & (SETSCHEDULER | SETSCHEDPARAM) != 0 {
        let policy = if args.flags & SETSCHEDULER != 0 {
            args.policy
        } else {
            me.sched.policy.load(Ordering::Relaxed)
        };
        super::sched_sys::set_policy(me, policy, args.priority)?;
    }
    if args.flags & RESETIDS != 0 {
        let mut c = (*process.creds()).clone();
        (c.euid, c.egid) = (c.uid, c.gid);
        (c.fsuid, c.fsgid) = (c.uid, c.gid);
        process.set_creds(c);
    }
    for (a, path) in &order.actions {
        run_action(a, path)?;
    }
    if args.flags & SETSIGMASK != 0 {
        me.signals.lock().set_mask(args.mask);
    }
    let arguments = order.arguments.lock().take().ok_or(Errno::EINVAL)?;
    exec::replace(crate::fs::AT_FDCWD, &order.path, 0, arguments)
}

fn run_action(a: &SpawnAction, path: &[u8]) -> Result<()> {
    let process = current().process();
    let files: Arc<FdTable> = process.files.lock().clone();
    let fs: Arc<FsContext> = process.fs.lock().clone();
    match a.kind {
        // dup2 to itself means: keep it over exec (POSIX.1-2024).
        0 if a.fd == a.new_fd => files.set_on_exec(a.fd, OnExec::Keep),
        0 => {
            let file = files.get(a.fd)?;
            let old = files.replace(a.new_fd, file, OnExec::Keep)?;
            old.into_iter().for_each(crate::fs::close_file);
            Ok(())
        }
        1 => {
            // Closing what is not open is no error here (POSIX posix_spawn_file_actions_addclose).
            if let Ok(file) = files.remove(a.fd) {
                crate::fs::close_file(file);
            }
            Ok(())
        }
        2 => {
            let file = crate::fs::open_kernel(path, a.flags, a.mode)?;
            let old = files.replace(a.fd, file, OnExec::Keep)?;
            old.into_iter().for_each(crate::fs::close_file);
            Ok(())
        }
        3 => crate::fs::chdir_kernel(&fs, path),
        4 => crate::fs::sys::sys_fchdir(a.fd).map(|_| ()),
        _ => Err(Errno::EINVAL),
    }
}

/// The first process, running the linked program `name`.
pub fn start_init(name: &[u8]) -> Result<()> {
    let pid = table::allocate_pid()?;
    let space = Arc::new(AddressSpace::new_linked(crate::memory::layout())?);
    let process = Process::new(
        pid,
        Arc::new(FdTable::new()),
        Arc::new(FsContext::initial()),
        space,
        Arc::new(super::Credentials::root()),
        &SpinLock::new(limits::Limits::initial()),
        Arc::new(SpinLock::new(signal::Actions::default())),
        None,
    );
    let thread = Thread::new(pid, Some(process.clone()), None);
    table::insert_first(process);
    let kernel_stack = KernelStack::new()?;
    let name: Box<Vec<u8>> = Box::new(name.to_vec());
    // SAFETY: the stack is new; `init_start` takes the box back.
    let sp = unsafe {
        frame::prepare_kernel_start(kernel_stack.top(), init_start, Box::into_raw(name) as usize)
    };
    launch(thread, kernel_stack, sp);
    Ok(())
}

extern "C" fn init_start(name: usize) {
    // SAFETY: `start_init` gave the box away.
    let name = unsafe { Box::from_raw(name as *mut Vec<u8>) };
    let path = [b"/bin/", name.as_slice()].concat();
    // As Linux does: descriptors 0, 1 and 2 are the console. An init that wants others opens them. A program that takes init's
    // place knows of none, so it gets the host's streams where the host takes part.
    let host = drivers::console_mode() == ConsoleMode::Framed && name.as_slice() != b"init";
    let streams: [(&[u8], i32); 3] = if host {
        [
            (b"/dev/hostin", 0),
            (b"/dev/hostout", 1),
            (b"/dev/hosterr", 1),
        ]
    } else {
        [(b"/dev/console", 2); 3]
    };
    let files = current().process().files.lock().clone();
    for (path, mode) in streams {
        let opened = crate::fs::open_kernel(path, mode, 0)
            .and_then(|stream| files.insert(stream, OnExec::Keep));
        if let Err(e) = opened {
            klog!(
                Err,
                "process 1 has no {}: {e:?}",
                core::str::from_utf8(path).unwrap_or("?")
            );
        }
    }
    let environment: [&[u8]; 3] = [b"HOME=/root", b"PATH=/bin:/usr/bin", b"TERM=vt100"];
    let started = Arguments::from_kernel(&[name.as_slice()], &environment)
        .and_then(|a| exec::replace(crate::fs::AT_FDCWD, &path, 0, a));
    if let Err(e) = started {
        panic!(
            "cannot start {}: {:?}",
            alloc::string::String::from_utf8_lossy(&path),
            e
        );
    }
}
