//! `posix_spawn` as one operation: a child that execs without copying its maker's memory.

use super::exec::{self, Arguments};
use super::fork::{broadcasts_before_birth, check_limit, insert_child, launch_first, new_process};
use super::signal::{self, SigSet};
use super::stack::KernelStack;
use super::thread::{Thread, current};
use super::wait::WaitQueue;
use super::{limits, table};
use crate::arch::frame;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::{FdTable, FsContext, OnExec};
use crate::user::{Plain, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

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
    /// What the new program blocks.
    mask: SigSet,
    finished: AtomicBool,
    error: AtomicI32,
    done: WaitQueue,
}

/// Most actions of one call, and most bytes of their paths together.
const ACTIONS_MAX: usize = 4096;
const ACTION_PATHS_MAX: usize = 1 << 20;

fn read_actions(args: &SpawnArgs) -> Result<Vec<(SpawnAction, Vec<u8>)>> {
    if args.action_count > ACTIONS_MAX {
        return Err(Errno::E2BIG);
    }
    let mut room = ACTION_PATHS_MAX;
    let mut actions = Vec::new();
    let reserved = actions.try_reserve_exact(args.action_count);
    reserved.map_err(|_| Errno::ENOMEM)?;
    for a in UserPtr::<SpawnAction>::new(args.actions).read_vec(args.action_count)? {
        let mut path = match a.path {
            0 => Vec::new(),
            path => UserPtr::<u8>::new(path).read_cstr(4095, Errno::ENAMETOOLONG)?,
        };
        path.shrink_to_fit();
        room = room.checked_sub(path.capacity()).ok_or(Errno::E2BIG)?;
        actions.push((a, path));
    }
    Ok(actions)
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
    let actions = read_actions(&args)?;
    let arguments = Arguments::from_program(argv, envp)?;
    let broadcasts = broadcasts_before_birth(me)?;
    check_limit(parent)?;
    let kernel_stack = KernelStack::new().map_err(|_| Errno::EAGAIN)?;
    let mask = match args.flags & SETSIGMASK {
        0 => me.signals.lock().mask,
        _ => args.mask,
    };
    let order = Arc::new(Spawn {
        path,
        arguments: SpinLock::new(Some(arguments)),
        args,
        actions,
        mask,
        finished: AtomicBool::new(false),
        error: AtomicI32::new(0),
        done: WaitQueue::new(),
    });
    // The child shares the caller's space until it execs; it never runs there.
    let process = new_process(parent, 0, parent.space())?;
    let thread = Thread::new(process.pid, Some(process.clone()), Some(me));
    // What is sent to the child before that is the program's to take: the handlers are its maker's.
    thread.signals.lock().set_mask(SigSet(!0));
    insert_child(parent, &process, false, broadcasts)?;
    // SAFETY: the stack is new; `spawned` takes the reference back.
    let sp = unsafe {
        frame::prepare_kernel_start(
            kernel_stack.top(),
            spawned,
            Arc::into_raw(order.clone()) as usize,
        )
    };
    launch_first(thread, kernel_stack, sp);
    let ended = order
        .done
        .wait_killable(|| order.finished.load(Ordering::SeqCst).then_some(()));
    // A limit that somebody set for the child was that of the space.
    parent.space().set_limits(limits::memory(parent));
    match order.error.load(Ordering::SeqCst) {
        0 => ended.map(|()| process.pid as usize),
        e => {
            // It has ended or is about to, and nobody else is to see it.
            let _ = process
                .exit_event
                .wait_killable(|| process.is_zombie().then_some(()));
            table::reap(&process);
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
        // A call of the child's that its death or a stop has interrupted is not its parent's to make again.
        let e = match e {
            Errno::ERESTARTSYS | Errno::ERESTARTNOINTR => Errno::EINTR,
            e => e,
        };
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
    signal::send::change_mask(me, |s| s.set_mask(order.mask));
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
