//! The `exec` family, `wait`, `system`.

use crate::env;
use crate::errno::{cvt, cvt_int, fail};
use crate::startup::environ;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::pid_t;

passthrough! {
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int = execve(path, argv, envp);
    fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t = wait4(pid, status, options, 0usize);
    fn wait(status: *mut c_int) -> pid_t = wait4(-1, status, 0, 0usize);
    fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> pid_t = wait4(pid, status, options, usage);
    fn wait3(status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> pid_t = wait4(-1, status, options, usage);
    fn waitid(kind: c_int, id: libc::id_t, info: *mut libc::siginfo_t, options: c_int) -> c_int = waitid(kind, id, info, options, 0usize);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execv(path: *const c_char, argv: *const *const c_char) -> c_int {
    execve(path, argv, environ as *const *const c_char)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int {
    execvpe(file, argv, environ as *const *const c_char)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fexecve(
    fd: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    cvt_int(door!(
        execveat,
        fd,
        c"".as_ptr(),
        argv,
        envp,
        libc::AT_EMPTY_PATH
    ))
}

/// Calls `attempt` with the candidates for `file` along `$PATH` until one does not fail by being
/// absent; gives its result, or the `-errno` that says most.
pub unsafe fn search(
    file: *const c_char,
    mut attempt: impl FnMut(*const c_char) -> isize,
) -> isize {
    let name = crate::string::bytes(file);
    if name.is_empty() {
        return -(libc::ENOENT as isize);
    }
    if name.contains(&b'/') {
        return attempt(file);
    }
    if name.len() > libc::NAME_MAX as usize {
        return -(libc::ENAMETOOLONG as isize);
    }
    let path = env::getenv(c"PATH".as_ptr());
    let path = if path.is_null() {
        &b"/usr/local/bin:/bin:/usr/bin"[..]
    } else {
        crate::string::bytes(path)
    };
    let mut denied = false;
    for dir in path.split(|&c| c == b':') {
        let mut full = [0 as c_char; libc::PATH_MAX as usize];
        let sep = !dir.is_empty() as usize;
        if dir.len() + sep + name.len() >= full.len() {
            continue;
        }
        for (i, &c) in dir.iter().chain(&b"/"[..sep]).chain(name).enumerate() {
            full[i] = c as c_char;
        }
        let r = attempt(full.as_ptr());
        match -r as c_int {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR => {}
            _ => return r,
        }
    }
    -(if denied { libc::EACCES } else { libc::ENOENT } as isize)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvpe(
    file: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    let attempt = |path| match door!(execve, path, argv, envp) {
        r if r == -(libc::ENOEXEC as isize) => by_shell(path, argv, envp),
        r => r,
    };
    cvt(search(file, attempt)) as c_int
}

/// A file that is no program is taken for commands of the shell.
#[inline(never)]
unsafe fn by_shell(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> isize {
    let mut count = 0;
    while !(*argv.add(count)).is_null() {
        count += 1;
    }
    // The shell's name, the script, and all arguments but the first, with the null behind them. Memory of the kernel's, as
    // a child of a fork may be what runs this.
    let rest = count.max(1) - 1;
    let len = (rest + 3) * size_of::<*const c_char>();
    let args = crate::mman::anonymous(len);
    if args < 0 {
        return args;
    }
    let list = args as *mut *const c_char;
    *list = c"sh".as_ptr();
    *list.add(1) = path;
    list.add(2).copy_from_nonoverlapping(argv.add(1), rest);
    let r = door!(execve, c"/bin/sh".as_ptr(), list, envp);
    door!(munmap, args, len);
    r
}

// execl and its kin: the arguments after the first are on the caller's side of the call, the first
// seven in registers, the rest on the stack. Laid out one after the other they are `argv`.
core::arch::global_asm!(
    ".macro EXECL name, to",
    ".pushsection .text.\\name,\"ax\",@progbits",
    ".global \\name",
    ".type \\name, %function",
    "\\name:",
    ".cfi_startproc",
    "mov x9, sp",
    "stp x29, x30, [sp, #-80]!",
    ".cfi_def_cfa_offset 80",
    ".cfi_offset x29, -80",
    ".cfi_offset x30, -72",
    "mov x29, sp",
    "stp x1, x2, [sp, #16]",
    "stp x3, x4, [sp, #32]",
    "stp x5, x6, [sp, #48]",
    "str x7, [sp, #64]",
    "add x1, sp, #16",
    "mov x2, x9",
    "bl \\to",
    "ldp x29, x30, [sp], #80",
    "ret",
    ".cfi_endproc",
    ".popsection",
    ".endm",
    "EXECL execl, __libc_execl",
    "EXECL execlp, __libc_execlp",
    "EXECL execle, __libc_execle",
);

const EXECL_MAX: usize = 1024;

/// Joins the two halves; gives the number of pointers before the null, or nothing if too many.
unsafe fn join(
    regs: *const *const c_char,
    stack: *const *const c_char,
    argv: &mut [*const c_char; EXECL_MAX],
) -> Option<usize> {
    for (i, arg) in argv.iter_mut().enumerate() {
        *arg = if i < 7 {
            *regs.add(i)
        } else {
            *stack.add(i - 7)
        };
        if arg.is_null() {
            return Some(i);
        }
    }
    fail(libc::E2BIG);
    None
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_execl(
    path: *const c_char,
    regs: *const *const c_char,
    stack: *const *const c_char,
) -> c_int {
    let mut argv = [core::ptr::null(); EXECL_MAX];
    match join(regs, stack, &mut argv) {
        Some(_) => execv(path, argv.as_ptr()),
        None => -1,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_execlp(
    file: *const c_char,
    regs: *const *const c_char,
    stack: *const *const c_char,
) -> c_int {
    let mut argv = [core::ptr::null(); EXECL_MAX];
    match join(regs, stack, &mut argv) {
        Some(_) => execvp(file, argv.as_ptr()),
        None => -1,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_execle(
    path: *const c_char,
    regs: *const *const c_char,
    stack: *const *const c_char,
) -> c_int {
    let mut argv = [core::ptr::null(); EXECL_MAX];
    let Some(n) = join(regs, stack, &mut argv) else {
        return -1;
    };
    let envp = if n + 1 < 7 {
        *regs.add(n + 1)
    } else {
        *stack.add(n + 1 - 7)
    };
    execve(path, argv.as_ptr(), envp.cast())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    if command.is_null() {
        let shell = c"/bin/sh".as_ptr();
        return (door!(faccessat, libc::AT_FDCWD, shell, libc::X_OK) == 0) as c_int;
    }
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
    let (mut ignore, mut int, mut quit): (libc::sigaction, libc::sigaction, libc::sigaction) = (
        core::mem::zeroed(),
        core::mem::zeroed(),
        core::mem::zeroed(),
    );
    ignore.sa_sigaction = libc::SIG_IGN;
    crate::signal::sigaction(libc::SIGINT, &raw const ignore, &raw mut int);
    crate::signal::sigaction(libc::SIGQUIT, &raw const ignore, &raw mut quit);
    let old = crate::signal::set_mask(libc::SIG_BLOCK, 1 << (libc::SIGCHLD - 1));
    let mut defaults = 0u64;
    for (sig, a) in [(libc::SIGINT, &int), (libc::SIGQUIT, &quit)] {
        if a.sa_sigaction != libc::SIG_IGN {
            defaults |= 1 << (sig - 1);
        }
    }
    let args = crate::spawn::Args::with_signals(defaults, old);
    let r = crate::spawn::spawn(c"/bin/sh".as_ptr(), argv.as_ptr(), environ.cast(), &args);
    let mut status = -1;
    match -r as c_int {
        ..=0 => loop {
            let r = door!(wait4, r as pid_t, &raw mut status, 0, 0usize);
            if r != -(libc::EINTR as isize) {
                cvt(r);
                break;
            }
        },
        e @ (libc::EAGAIN | libc::ENOMEM) => {
            fail(e);
        }
        // A shell that cannot be run is one that ended with 127.
        _ => status = 127 << 8,
    }
    crate::signal::sigaction(libc::SIGINT, &raw const int, null_mut::<libc::sigaction>());
    crate::signal::sigaction(
        libc::SIGQUIT,
        &raw const quit,
        null_mut::<libc::sigaction>(),
    );
    crate::signal::set_mask(libc::SIG_SETMASK, old);
    status
}
