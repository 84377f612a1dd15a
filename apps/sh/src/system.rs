//! The operating system as yash sees it: its own `RealSystem`, with these differences.
//!
//! - Death by signal N is reported as exit status 128+N, which is what scripts expect, and named
//!   on stderr; yash alone says 384+N.
//! - While no trap is set, a wait for one child blocks in `waitpid`, and a poll for signals asks
//!   nobody: both would otherwise cost several system calls a command.
//! - A word without a pattern is not looked up as a file: see `Fstat`.
//! - Reads and writes block as they do in other shells, unless a trap may have to interrupt them.
//! - Diagnostics on stderr are put in one line, and `read` takes a file in blocks.
//! - A here-document lives in an anonymous memory file, so no writable `/tmp` is needed.

use crate::{diagnostic, read_ahead, signals};
use enumset::EnumSet;
use std::cell::RefCell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_int};
use std::io::SeekFrom;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use yash_env::RealSystem;
use yash_env::io::Fd;
use yash_env::job::{Pid, ProcessResult, ProcessState};
use yash_env::path::{Path, PathBuf};
use yash_env::semantics::ExitStatus;
use yash_env::signal;
use yash_env::str::UnixString;
use yash_env::system::concurrency::RunLoop;
use yash_env::system::resource::{GetRlimit, LimitPair, Resource, SetRlimit};
use yash_env::system::*;

/// What the shell's `Env` holds.
pub type System = Rc<Concurrent<Host>>;

/// See the module's description.
#[derive(Debug)]
pub struct Host(RealSystem);

/// A handler other than SIGCHLD's is installed: a trap, or what an interactive shell catches.
static TRAPS: AtomicBool = AtomicBool::new(false);
/// A poll for signals is to find SIGCHLD, too.
static POLLS_FOR_ALL: AtomicBool = AtomicBool::new(false);
/// Directories that pathname expansion is reading.
static SEARCHED: AtomicI32 = AtomicI32::new(0);
/// The shell changed its signal mask.
static MASKED: AtomicBool = AtomicBool::new(false);
/// A child of an interactive shell, in which signals may still be held ([`signals::hold`]).
static HOLDS: AtomicBool = AtomicBool::new(false);
/// Children started and not yet reaped.
static CHILDREN: AtomicI32 = AtomicI32::new(0);
/// The shell reads commands from a person.
static INTERACTIVE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LAST_EXECUTABLE: RefCell<CString> = RefCell::default();
}

/// Tells the system that deaths by SIGINT must stay visible: they end the command line.
pub fn set_interactive() {
    INTERACTIVE.store(true, Relaxed);
}

/// Tells the system that a trap is set on a signal, SIGCHLD included.
pub fn set_traps() {
    TRAPS.store(true, Relaxed);
}

/// Runs `poll`, a poll for signals, so that it finds also those that no trap waits for.
pub fn poll_for_all<T>(poll: impl FnOnce() -> T) -> T {
    POLLS_FOR_ALL.store(true, Relaxed);
    let result = poll();
    POLLS_FOR_ALL.store(false, Relaxed);
    result
}

/// Whether there is nothing to look for between two commands: no signal that anyone waits for, no child that may have ended.
pub fn is_quiet() -> bool {
    !TRAPS.load(Relaxed) && !INTERACTIVE.load(Relaxed) && CHILDREN.load(Relaxed) == 0
}

/// Whether the shell changed its signal mask, so that a child needs the original one back.
pub fn mask_changed() -> bool {
    MASKED.load(Relaxed)
}

/// The executable that the last successful search of `$PATH` found.
pub fn last_executable() -> CString {
    LAST_EXECUTABLE.with_borrow(CString::clone)
}

impl Host {
    /// # Safety
    ///
    /// As for `RealSystem`: there must be only one in the process.
    pub unsafe fn new() -> Self {
        // SAFETY: the caller makes this the only one.
        Self(unsafe { RealSystem::new() })
    }
}

impl RunLoop for Host {
    async fn run_loop<F>(concurrent: &Concurrent<Self>, task: F)
    where
        F: Future<Output = ()>,
    {
        crate::run_to_end(concurrent, task).await
    }
}

impl Fork for Host {
    fn run_in_child_process<D, F>(&self, shared_data: D, child_task: F) -> (Result<Pid>, D)
    where
        D: Clone + 'static,
        F: AsyncFnOnce(Self, D) + 'static,
    {
        // `RealSystem` would do the same with one more future around the task's, all of it on the
        // stack, whose pages the child then has to copy.
        let held = INTERACTIVE.load(Relaxed).then(signals::hold);
        // SAFETY: the shell has one thread, so the child may go on as it likes.
        let (pid, errno) = (unsafe { libc::fork() }, last_errno());
        if pid != 0
            && let Some(mask) = held
        {
            signals::let_go(&mask);
        }
        match pid {
            0 => {
                CHILDREN.store(0, Relaxed);
                HOLDS.store(held.is_some(), Relaxed);
            }
            -1 => return (Err(errno), shared_data),
            pid => {
                CHILDREN.fetch_add(1, Relaxed);
                return (Ok(Pid(pid)), shared_data);
            }
        }
        // SAFETY: it is the child's only one.
        let task = pin!(child_task(unsafe { Host::new() }, shared_data));
        _ = task.poll(&mut Context::from_waker(Waker::noop()));
        unreachable!("a child process ends inside its task")
    }
}

fn last_errno() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// A status as scripts expect it: yash gives 384+N for signal N.
pub fn usual_status(status: ExitStatus) -> ExitStatus {
    const YASH_SIGNALS: i32 = 384;
    match status.0 {
        n if n > YASH_SIGNALS => ExitStatus(n - YASH_SIGNALS + 128),
        _ => status,
    }
}

impl Wait for Host {
    fn wait(&self, target: Pid) -> Result<Option<(Pid, ProcessState)>> {
        if CHILDREN.load(Relaxed) == 0 {
            return Err(Errno::ECHILD);
        }
        if target.0 > 0 && !TRAPS.load(Relaxed) && !INTERACTIVE.load(Relaxed) {
            // The caller would sleep until this child changes, and nothing else can wake it.
            // SAFETY: a null pointer for the information is allowed, and WNOWAIT leaves the child.
            unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
                while libc::waitid(libc::P_PID, target.0 as libc::id_t, &mut info, flags) == -1
                    && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
                {
                }
            }
        }
        let Some((pid, state)) = self.0.wait(target)? else {
            return Ok(None);
        };
        let state = match state {
            ProcessState::Halted(ProcessResult::Signaled { signal, core_dump }) => {
                CHILDREN.fetch_sub(1, Relaxed);
                if INTERACTIVE.load(Relaxed) && (signal == Self::SIGINT || target.0 <= 0) {
                    // An interrupt ends the whole command line, and the list of jobs says what killed one.
                    state
                } else {
                    // Only what the shell stood waiting for: when a job in the background gets reaped
                    // is chance, and so would be where the words end up.
                    if target.0 > 0 {
                        signals::report_death(signal.as_raw(), core_dump);
                    }
                    ProcessState::exited(128 + signal.as_raw())
                }
            }
            ProcessState::Halted(ProcessResult::Exited(_)) => {
                CHILDREN.fetch_sub(1, Relaxed);
                state
            }
            _ => state,
        };
        Ok(Some((pid, state)))
    }
}

impl IsExecutableFile for Host {
    fn is_executable_file(&self, path: &CStr) -> bool {
        let found = self.0.is_executable_file(path);
        if found {
            LAST_EXECUTABLE.set(path.to_owned());
        }
        found
    }
}

impl Open for Host {
    fn open(
        &self,
        path: &CStr,
        access: OfdAccess,
        flags: EnumSet<OpenFlag>,
        mode: Mode,
    ) -> impl Future<Output = Result<Fd>> + use<> {
        self.0.open(path, access, flags, mode)
    }
    fn open_tmpfile(&self, parent_dir: &Path) -> Result<Fd> {
        // SAFETY: the name is a C string; the call touches no other memory of ours.
        let fd = unsafe { libc::memfd_create(c"here-document".as_ptr(), 0) };
        if fd >= 0 {
            Ok(Fd(fd))
        } else {
            self.0.open_tmpfile(parent_dir)
        }
    }
    fn fdopendir(&self, fd: Fd) -> Result<impl Dir + use<>> {
        self.0.fdopendir(fd)
    }
    fn opendir(&self, path: &CStr) -> Result<impl Dir + use<>> {
        self.0.opendir(path).map(Searched::new)
    }
}

/// A directory that pathname expansion reads; counted for as long as it is open.
#[derive(Debug)]
struct Searched<D>(D);

impl<D> Searched<D> {
    fn new(dir: D) -> Self {
        SEARCHED.fetch_add(1, Relaxed);
        Self(dir)
    }
}

impl<D: Dir> Dir for Searched<D> {
    fn next(&mut self) -> Result<Option<DirEntry<'_>>> {
        self.0.next()
    }
}

impl<D> Drop for Searched<D> {
    fn drop(&mut self) {
        SEARCHED.fetch_sub(1, Relaxed);
    }
}

impl Fcntl for Host {
    fn ofd_access(&self, fd: Fd) -> Result<OfdAccess> {
        self.0.ofd_access(fd)
    }
    fn get_and_set_nonblocking(&self, fd: Fd, nonblocking: bool) -> Result<bool> {
        if TRAPS.load(Relaxed) {
            self.0.get_and_set_nonblocking(fd, nonblocking)
        } else {
            // Nothing else waits to run while this read or write blocks. Saying that the
            // descriptor is as wanted already spares the four calls that would set it.
            Ok(nonblocking)
        }
    }
    fn fcntl_getfd(&self, fd: Fd) -> Result<EnumSet<FdFlag>> {
        self.0.fcntl_getfd(fd)
    }
    fn fcntl_setfd(&self, fd: Fd, flags: EnumSet<FdFlag>) -> Result<()> {
        self.0.fcntl_setfd(fd, flags)
    }
}

impl Sigmask for Host {
    type Sigset = <RealSystem as Sigmask>::Sigset;

    fn sigmask(
        &self,
        op: Option<(SigmaskOp, &Self::Sigset)>,
        old_mask: Option<&mut Self::Sigset>,
    ) -> impl Future<Output = Result<()>> + use<> {
        if op.is_some() && !MASKED.swap(true, Relaxed) {
            signals::save_mask();
        }
        self.0.sigmask(op, old_mask)
    }
}

impl GetSigaction for Host {
    fn get_sigaction(&self, signal: signal::Number) -> Result<Disposition> {
        self.0.get_sigaction(signal)
    }
}

impl Sigaction for Host {
    fn sigaction(&self, signal: signal::Number, handling: Disposition) -> Result<Disposition> {
        if handling == Disposition::Catch {
            // The shell itself catches SIGCHLD, to wake up from `wait`.
            if signal != Self::SIGCHLD {
                set_traps();
            }
        }
        let before = self.0.sigaction(signal, handling)?;
        if HOLDS.load(Relaxed) {
            signals::let_through(signal.as_raw());
        }
        Ok(before)
    }
}

impl Select for Host {
    type FdSet = <RealSystem as Select>::FdSet;

    fn select<'a>(
        &self,
        readers: &'a mut Self::FdSet,
        writers: &'a mut Self::FdSet,
        timeout: Option<Duration>,
        signal_mask: Option<&Self::Sigset>,
    ) -> impl Future<Output = Result<c_int>> + use<'a> {
        use futures_util::future::Either::{Left, Right};
        let is_for_nobody =
            || !TRAPS.load(Relaxed) && !INTERACTIVE.load(Relaxed) && !POLLS_FOR_ALL.load(Relaxed);
        if timeout == Some(Duration::ZERO) && is_for_nobody() {
            // A poll for signals to run traps for. SIGCHLD stays pending for the next `wait`.
            *readers = Default::default();
            *writers = Default::default();
            return Left(std::future::ready(Ok(0)));
        }
        Right(self.0.select(readers, writers, timeout, signal_mask))
    }
}

impl ShellPath for Host {
    fn shell_path(&self) -> CString {
        c"/bin/sh".to_owned()
    }
}

/// Implements traits by passing every call on to `RealSystem`.
macro_rules! delegate {
    ($($trait:ident { $(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)* })*) => {$(
        impl $trait for Host {
            $(fn $name(&self $(, $arg: $type)*) -> $result {
                self.0.$name($($arg),*)
            })*
        }
    )*};
}

delegate! {
    Pipe { fn pipe(&self) -> Result<(Fd, Fd)>; }
    Dup {
        fn dup(&self, from: Fd, to_min: Fd, flags: EnumSet<FdFlag>) -> Result<Fd>;
        fn dup2(&self, from: Fd, to: Fd) -> Result<Fd>;
    }
    Close { fn close(&self, fd: Fd) -> Result<()>; }
    Seek { fn lseek(&self, fd: Fd, position: SeekFrom) -> Result<u64>; }
    Umask { fn umask(&self, mask: Mode) -> Mode; }
    GetCwd { fn getcwd(&self) -> Result<PathBuf>; }
    Chdir { fn chdir(&self, path: &CStr) -> Result<()>; }
    Clock { fn now(&self) -> Instant; }
    Times { fn times(&self) -> Result<CpuTimes>; }
    GetPid {
        fn getpid(&self) -> Pid;
        fn getppid(&self) -> Pid;
        fn getpgrp(&self) -> Pid;
        fn getsid(&self, pid: Pid) -> Result<Pid>;
    }
    SetPgid { fn setpgid(&self, pid: Pid, pgid: Pid) -> Result<()>; }
    CaughtSignals { fn caught_signals(&self) -> Vec<signal::Number>; }
    SendSignal {
        fn kill(&self, pid: Pid, signal: Option<signal::Number>)
            -> impl Future<Output = Result<()>> + use<>;
        fn raise(&self, signal: signal::Number) -> impl Future<Output = Result<()>> + use<>;
    }
    Isatty { fn isatty(&self, fd: Fd) -> bool; }
    TcGetPgrp { fn tcgetpgrp(&self, fd: Fd) -> Result<Pid>; }
    TcSetPgrp {
        fn tcsetpgrp(&self, fd: Fd, pgid: Pid) -> impl Future<Output = Result<()>> + use<>;
    }
    Exit { fn exit(&self, status: ExitStatus) -> impl Future<Output = Infallible> + use<>; }
    GetUid {
        fn getuid(&self) -> Uid;
        fn geteuid(&self) -> Uid;
        fn getgid(&self) -> Gid;
        fn getegid(&self) -> Gid;
    }
    GetPw { fn getpwnam_dir(&self, name: &CStr) -> Result<Option<PathBuf>>; }
    Sysconf { fn confstr_path(&self) -> Result<UnixString>; }
    GetRlimit { fn getrlimit(&self, resource: Resource) -> Result<LimitPair>; }
    SetRlimit { fn setrlimit(&self, resource: Resource, limits: LimitPair) -> Result<()>; }
}

/// Pathname expansion looks up even a word without a pattern, and gives the word whether or not a file has that name. The
/// two differ in one case: of a file `ab` and a variable with the value `a\b` yash makes the word `ab`, other shells `a\b`.
/// So the question is answered with no, unless a directory is being read: then the name came from a pattern, as in `*/x`.
/// Nobody else asks for relative names; `cd` compares `$PWD` with `.`.
impl Fstat for Host {
    type Stat = <RealSystem as Fstat>::Stat;

    fn fstat(&self, fd: Fd) -> Result<Self::Stat> {
        self.0.fstat(fd)
    }
    fn fstatat(&self, dir_fd: Fd, path: &CStr, follow_symlinks: bool) -> Result<Self::Stat> {
        let is_relative = !path.to_bytes().starts_with(b"/") && path != c".";
        if is_relative && SEARCHED.load(Relaxed) == 0 {
            return Err(Errno::ENOENT);
        }
        self.0.fstatat(dir_fd, path, follow_symlinks)
    }
    fn is_directory(&self, path: &CStr) -> bool {
        self.0.is_directory(path)
    }
}

impl Read for Host {
    fn read<'a>(
        &self,
        fd: Fd,
        buffer: &'a mut [u8],
    ) -> impl Future<Output = Result<usize>> + use<'a> {
        use futures_util::future::Either::{Left, Right};
        match read_ahead::read(fd, buffer) {
            Some(result) => Left(std::future::ready(result)),
            None => Right(self.0.read(fd, buffer)),
        }
    }
}

impl Write for Host {
    fn write<'a>(&self, fd: Fd, buffer: &'a [u8]) -> impl Future<Output = Result<usize>> + use<'a> {
        use futures_util::future::Either::{Left, Right};
        if fd == Fd::STDERR
            && let Some(text) = diagnostic::rewrite(buffer)
        {
            // A message that cannot be written has nowhere else to go.
            _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            return Left(std::future::ready(Ok(buffer.len())));
        }
        Right(self.0.write(fd, buffer))
    }
}

impl Exec for Host {
    fn execve<A, E>(
        &self,
        path: &CStr,
        args: A,
        envs: E,
    ) -> impl Future<Output = Result<Infallible>> + use<A, E>
    where
        A: c_string::IntoCStrArray,
        E: c_string::IntoCStrArray,
    {
        if HOLDS.load(Relaxed) {
            signals::let_all_through();
        }
        self.0.execve(path, args, envs)
    }
}

macro_rules! signals {
    ($($name:ident)* ; $($optional:ident)*) => {
        impl Signals for Host {
            $(const $name: signal::Number = RealSystem::$name;)*
            $(const $optional: Option<signal::Number> = RealSystem::$optional;)*
            fn sigrt_range(&self) -> Option<RangeInclusive<signal::Number>> {
                self.0.sigrt_range()
            }
        }
    };
}

signals! {
    SIGABRT SIGALRM SIGBUS SIGCHLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIOT SIGKILL SIGPIPE
    SIGPROF SIGQUIT SIGSEGV SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1
    SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ ;
    SIGCLD SIGEMT SIGINFO SIGIO SIGLOST SIGPOLL SIGPWR SIGSTKFLT SIGTHR
}
