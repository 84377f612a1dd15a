//! Replacing a process's program (execve(2)).

use super::signal::{SIGKILL, send};
use super::thread::{Thread, current, flag};
use super::{Credentials, Process};
use crate::arch::frame::{PSTATE_LINKED, TrapFrame};
use crate::base::{Errno, Result};
use crate::fs::{OnExec, caller};
use crate::memory::{AddressSpace, layout};
use crate::user::UserPtr;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Most bytes of arguments and environment together: a quarter of what the stack may be, within bounds.
const ARG_MAX: core::ops::RangeInclusive<u64> = 128 << 10..=2 << 20;
/// Most bytes of one argument (Linux's MAX_ARG_STRLEN).
const ARG_STRLEN_MAX: usize = 128 << 10;
/// `#!` scripts that may interpret each other.
const SCRIPT_DEPTH: usize = 4;

/// Argument and environment strings, copied out of the old program: NUL-terminated, one after the other.
pub struct Arguments {
    argv: Vec<u8>,
    argc: usize,
    envp: Vec<u8>,
    envc: usize,
}

impl Arguments {
    pub fn from_program(argv: UserPtr<usize>, envp: UserPtr<usize>) -> Result<Self> {
        let stack = current().process().rlimit(super::limits::STACK);
        let mut room = (stack / 4).clamp(*ARG_MAX.start(), *ARG_MAX.end()) as usize;
        let (argv, argc) = read_strings(argv, &mut room)?;
        let (envp, envc) = read_strings(envp, &mut room)?;
        Ok(Arguments {
            argv,
            argc,
            envp,
            envc,
        })
    }

    pub fn from_kernel(argv: &[&[u8]], envp: &[&[u8]]) -> Result<Self> {
        let join = |list: &[&[u8]]| {
            list.iter()
                .flat_map(|s| s.iter().copied().chain([0]))
                .collect::<Vec<u8>>()
        };
        Ok(Arguments {
            argv: join(argv),
            argc: argv.len(),
            envp: join(envp),
            envc: envp.len(),
        })
    }

    /// Puts `interpreter [argument] script` in the place of argv[0].
    fn become_script(
        &mut self,
        interpreter: &[u8],
        argument: Option<&[u8]>,
        script: &[u8],
    ) -> Result<()> {
        let rest = self.argv.iter().position(|&b| b == 0).map_or(0, |n| n + 1);
        let more = interpreter.len() + argument.map_or(0, <[u8]>::len) + script.len() + 3;
        let mut new = Vec::new();
        new.try_reserve_exact(self.argv.len() + more)
            .map_err(|_| Errno::ENOMEM)?;
        for s in [Some(interpreter), argument, Some(script)]
            .into_iter()
            .flatten()
        {
            new.extend_from_slice(s);
            new.push(0);
        }
        new.extend_from_slice(&self.argv[rest..]);
        self.argc = self.argc.max(1) + 1 + usize::from(argument.is_some());
        self.argv = new;
        Ok(())
    }
}

fn read_strings(list: UserPtr<usize>, room: &mut usize) -> Result<(Vec<u8>, usize)> {
    let mut all = Vec::new();
    let mut count = 0;
    if list.is_null() {
        return Ok((all, 0));
    }
    loop {
        let pointer = list.offset(count).read()?;
        if pointer == 0 {
            return Ok((all, count));
        }
        let s = UserPtr::<u8>::new(pointer).read_cstr(ARG_STRLEN_MAX - 1, Errno::E2BIG)?;
        *room = room
            .checked_sub(s.len() + 1 + size_of::<usize>())
            .ok_or(Errno::E2BIG)?;
        all.try_reserve(s.len() + 1).map_err(|_| Errno::ENOMEM)?;
        all.extend_from_slice(&s);
        all.push(0);
        count += 1;
    }
}

pub fn sys_execve(path: UserPtr<u8>, argv: UserPtr<usize>, envp: UserPtr<usize>) -> Result<usize> {
    sys_execveat(crate::fs::AT_FDCWD, path, argv, envp, 0)
}

pub fn sys_execveat(
    dir: i32,
    path: UserPtr<u8>,
    argv: UserPtr<usize>,
    envp: UserPtr<usize>,
    flags: i32,
) -> Result<usize> {
    let path = path.read_cstr(4095, Errno::ENAMETOOLONG)?;
    let arguments = Arguments::from_program(argv, envp)?;
    replace(dir, &path, flags, arguments)?;
    Ok(0)
}

/// The interpreter line of a script: (interpreter, optional argument).
fn parse_script(head: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let line = head.strip_prefix(b"#!")?;
    let end = line.iter().position(|&b| b == b'\n').unwrap_or(line.len());
    let line = line[..end].trim_ascii();
    let split = line
        .iter()
        .position(|&b| b == b' ' || b == b'\t')
        .unwrap_or(line.len());
    let argument = line[split..].trim_ascii();
    Some((&line[..split], (!argument.is_empty()).then_some(argument)))
}

/// A name that the file can be opened by, if it was found from a descriptor.
fn name_of(dir: i32, path: &[u8]) -> Vec<u8> {
    if dir == crate::fs::AT_FDCWD || path.starts_with(b"/") {
        return path.to_vec();
    }
    let mut name = alloc::format!("/dev/fd/{dir}").into_bytes();
    if !path.is_empty() {
        name.push(b'/');
        name.extend_from_slice(path);
    }
    name
}

/// Replaces the calling process's program. On success the thread enters the new one on its way out of the kernel.
pub fn replace(dir: i32, path: &[u8], flags: i32, mut arguments: Arguments) -> Result<()> {
    let me = current();
    let process = me.process();
    let mut target = crate::fs::lookup_exec(dir, path, flags)?;
    let exec_name = name_of(dir, path);
    let mut name = exec_name.clone();
    for depth in 0.. {
        if target.linked_program() {
            break;
        }
        let head = target.head()?;
        let Some((interpreter, argument)) = parse_script(&head) else {
            if head.starts_with(b"\x7fELF") {
                klog!(
                    Info,
                    "exec: {}: loading ELF programs is not built",
                    path.escape_ascii()
                );
            }
            return Err(Errno::ENOEXEC);
        };
        if interpreter.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        if depth >= SCRIPT_DEPTH {
            return Err(Errno::ELOOP);
        }
        if depth == 0 && exec_name != path && caller::files().on_exec(dir)? == OnExec::Close {
            // The interpreter would not find the script.
            return Err(Errno::ENOENT);
        }
        arguments.become_script(interpreter, argument, &name)?;
        name = interpreter.to_vec();
        target = crate::fs::lookup_exec(crate::fs::AT_FDCWD, interpreter, 0)?;
    }
    if arguments.argc == 0 {
        // A program without argv[0] is given an empty one, as Linux does since 5.18.
        arguments.argv.insert(0, 0);
        arguments.argc = 1;
    }
    // Everything that can fail for want of memory comes before the old program goes.
    let space = AddressSpace::new_linked(layout())?;
    space.set_limits(super::limits::memory(process));
    let creds = credentials_after(process, &target);
    let sp = build_stack(&space, &creds, &arguments, &exec_name)?;
    caller::unshare_files()?;
    become_only_thread(me, process)?;
    if caller::unshare_files().is_err() {
        // One of them shared the files once more while it could; there is no way back.
        send::end_process(process, SIGKILL);
        return Err(Errno::ENOMEM);
    }
    let (seen, creds) = (creds, credentials_after(process, &target));
    // Another thread may have changed what the process is before it ended. The stack is there, and is as long as before.
    if !creds.same_ids(&seen) && build_stack(&space, &creds, &arguments, &exec_name).is_err() {
        send::end_process(process, SIGKILL);
        return Err(Errno::ENOMEM);
    }
    super::table::take_main_number(me);
    process
        .exit_signal
        .store(super::signal::SIGCHLD, Ordering::Relaxed);
    process.exit_status.store(0, Ordering::SeqCst);
    // Before anything tells others that there is another program: the end of a vfork, a descriptor that closes.
    process.has_execed.store(true, Ordering::Relaxed);

    // Mutexes that others share and this program held are told, as at its end.
    super::futex::on_thread_exit(me);
    let space = Arc::new(space);
    space.activate();
    let old = core::mem::replace(&mut *process.space.lock(), space);
    process.usage.note_peak(old.peak_pages());
    drop(old);
    // Once more: somebody may have set them meanwhile (`prlimit`), in the space that is gone.
    process.space().set_limits(super::limits::memory(process));
    process.exit_event.wake_all(); // a vfork parent
    // With no lock held: closing takes others.
    let files = process.files.lock().clone();
    files.close_on_exec();
    drop(files);
    {
        let shared = process.actions.lock().clone();
        let mut actions = shared.lock().clone();
        actions.reset_handlers();
        *process.actions.lock() = Arc::new(crate::base::SpinLock::new(actions));
    }
    me.signals.lock().alt_stack = Default::default();
    super::timers::on_exec(process);
    let base = exec_name.rsplit(|&b| b == b'/').next().unwrap_or(&[]);
    let mut comm = [0u8; 16];
    let n = base.len().min(15);
    comm[..n].copy_from_slice(&base[..n]);
    *me.name.lock() = comm;
    let exe = process.exe.lock().replace(target.path());
    drop(exe);
    if target.set_ids() != (None, None) {
        process.death_signal.store(0, Ordering::Relaxed);
    }
    process.set_creds(creds);

    let mut frame = TrapFrame {
        x: [0; 31],
        sp: sp as u64,
        pc: layout().entry,
        pstate: PSTATE_LINKED,
        record: [0; 2],
    };
    frame.x[30] = 0;
    // SAFETY: a new program starts with a clean thread pointer and vector state.
    unsafe {
        core::arch::asm!("msr tpidr_el0, xzr");
        crate::arch::frame::fp_restore(&crate::arch::frame::FpState::zeroed());
    }
    *me.next_frame.lock() = Some(Box::new(frame));
    me.set_flag(flag::NEW_FRAME);
    Ok(())
}

/// What the new program runs as: set-user-ID and set-group-ID files change the effective ids; the saved ones follow in any case
/// (execve(2)), so that what was given up for a while before is given up for good.
fn credentials_after(process: &Process, target: &crate::fs::ExecTarget) -> Credentials {
    let mut c = (*process.creds()).clone();
    let (uid, gid) = target.set_ids();
    c.euid = uid.unwrap_or(c.euid);
    c.egid = gid.unwrap_or(c.egid);
    (c.suid, c.fsuid) = (c.euid, c.euid);
    (c.sgid, c.fsgid) = (c.egid, c.egid);
    c
}

/// Ends the other threads of the process and waits until they are gone.
fn become_only_thread(me: &Arc<Thread>, process: &Arc<Process>) -> Result<()> {
    {
        let threads = process.threads.lock();
        if threads.len() == 1 {
            return Ok(());
        }
        let mut job = process.signals.job.lock();
        if job.exit.is_some() || job.sole_thread.is_some() {
            return Err(Errno::EAGAIN);
        }
        job.sole_thread = Some(me.tid());
        for t in threads.iter().filter(|t| !Arc::ptr_eq(t, me)) {
            t.set_flag(flag::KILLED);
            send::kick(t);
        }
    }
    let waited = process
        .exit_event
        .wait_killable(|| (process.threads.lock().len() == 1).then_some(()));
    process.signals.job.lock().sole_thread = None;
    waited
}

mod aux {
    pub const NULL: usize = 0;
    pub const PAGESZ: usize = 6;
    pub const ENTRY: usize = 9;
    pub const UID: usize = 11;
    pub const EUID: usize = 12;
    pub const GID: usize = 13;
    pub const EGID: usize = 14;
    pub const HWCAP: usize = 16;
    pub const CLKTCK: usize = 17;
    pub const SECURE: usize = 23;
    pub const RANDOM: usize = 25;
    pub const EXECFN: usize = 31;
    /// The page that the clocks are read from; this system's own.
    pub const CLOCK_PAGE: usize = 0x1001;
}

/// HWCAP_FP, ASIMD, EVTSTRM off, AES PMULL SHA1 SHA2 CRC32 as the core has them.
fn hwcap() -> usize {
    let isar0: u64;
    // SAFETY: reading an identification register.
    unsafe { core::arch::asm!("mrs {}, id_aa64isar0_el1", out(reg) isar0) };
    let has = |shift: u32, least: u64, bit: usize| {
        if isar0 >> shift & 0xf >= least {
            1 << bit
        } else {
            0
        }
    };
    3 | has(4, 1, 3) | has(4, 2, 4) | has(8, 1, 5) | has(12, 1, 6) | has(16, 1, 7) | has(20, 2, 8)
}

/// Lays out the new stack as the Linux ABI has it (argc, argv, envp, auxiliary vector) and returns its lowest address.
fn build_stack(space: &AddressSpace, c: &Credentials, a: &Arguments, name: &[u8]) -> Result<usize> {
    let mut random = [0u8; 16];
    crate::random::fill(&mut random);
    let strings = a.argv.len() + a.envp.len() + name.len() + 1 + random.len();
    let top = space.stack_top();
    let strings_at = (top - strings) & !15;
    let words = 1 + a.argc + 1 + a.envc + 1 + 2 * 14;
    let sp = (strings_at - words * size_of::<usize>()) & !15;
    let mut block: Vec<u8> = Vec::new();
    block
        .try_reserve_exact(top - sp)
        .map_err(|_| Errno::ENOMEM)?;
    let mut push = |w: usize| block.extend_from_slice(&w.to_ne_bytes());
    push(a.argc);
    let (argv_at, envp_at) = (strings_at, strings_at + a.argv.len());
    let name_at = envp_at + a.envp.len();
    let random_at = name_at + name.len() + 1;
    for (list, base) in [(&a.argv, argv_at), (&a.envp, envp_at)] {
        let mut start = 0;
        for (i, _) in list.iter().enumerate().filter(|(_, b)| **b == 0) {
            push(base + start);
            start = i + 1;
        }
        push(0);
    }
    let secure = usize::from(c.uid != c.euid || c.gid != c.egid);
    for (kind, value) in [
        (aux::PAGESZ, 4096),
        (aux::ENTRY, layout().entry as usize),
        (aux::UID, c.uid as usize),
        (aux::EUID, c.euid as usize),
        (aux::GID, c.gid as usize),
        (aux::EGID, c.egid as usize),
        (aux::HWCAP, hwcap()),
        (aux::CLKTCK, 100),
        (aux::SECURE, secure),
        (aux::RANDOM, random_at),
        (aux::EXECFN, name_at),
        (aux::CLOCK_PAGE, layout().clock_page as usize),
        (aux::NULL, 0),
    ] {
        push(kind);
        push(value);
    }
    block.resize(strings_at - sp, 0);
    for part in [&a.argv[..], &a.envp, name, &[0], &random] {
        block.extend_from_slice(part);
    }
    let written = space.write_memory(sp, &block);
    // The stack may not grow so far.
    written.map_err(|e| if e == Errno::EFAULT { Errno::E2BIG } else { e })?;
    space.set_args((argv_at, envp_at), (envp_at, name_at));
    Ok(sp)
}
