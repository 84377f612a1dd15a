//! What tests are made of: calls, their expected errors, children and their ends.

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::{Duration, Instant};

/// Calls a C function. Everything that a test breaks with it is the test's own process.
macro_rules! sys {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: tests hand the kernel what they like, bad pointers included; each is a process
        // of its own, and what the call may read and write is for the test's body to get right.
        #[allow(unused_unsafe, clippy::macro_metavars_in_unsafe)]
        unsafe { libc::$name($($arg),*) }
    }};
}

/// A result in C's way: -1 and errno, or a value.
pub trait CResult: Copy + PartialEq {
    const FAILED: Self;
}

impl CResult for i32 {
    const FAILED: Self = -1;
}

impl CResult for i64 {
    const FAILED: Self = -1;
}

impl CResult for isize {
    const FAILED: Self = -1;
}

pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The value of a call that must succeed.
#[track_caller]
pub fn ok<T: CResult>(value: T) -> T {
    if value == T::FAILED {
        panic!("must succeed: {}", io::Error::last_os_error());
    }
    value
}

/// Asserts that a call has failed in a certain way.
#[track_caller]
pub fn fails<T: CResult + std::fmt::Debug>(value: T, expected: i32) {
    let found = errno();
    if value != T::FAILED {
        panic!("must fail with {}, but gave {value:?}", name_of(expected));
    }
    if found != expected {
        panic!(
            "must fail with {}, not {}",
            name_of(expected),
            name_of(found)
        );
    }
}

fn name_of(errno: i32) -> String {
    io::Error::from_raw_os_error(errno).to_string()
}

/// A path as C wants it.
pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a test's strings")
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
    Stop(i32),
    Continue,
}

impl End {
    pub fn of(status: c_int) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exit(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else if libc::WIFSTOPPED(status) {
            Self::Stop(libc::WSTOPSIG(status))
        } else {
            Self::Continue
        }
    }
}

/// A forked child that runs `body` and exits with its result.
pub fn spawn(body: impl FnOnce() -> i32) -> i32 {
    let pid = ok(sys!(fork()));
    if pid == 0 {
        let status = body();
        sys!(_exit(status));
    }
    pid
}

/// Waits for `pid`.
#[track_caller]
pub fn wait(pid: i32) -> End {
    let mut status = 0;
    loop {
        let found = sys!(waitpid(pid, &mut status, 0));
        if found == pid {
            return End::of(status);
        }
        if errno() != libc::EINTR {
            panic!("waitpid({pid}): {}", io::Error::last_os_error());
        }
    }
}

/// How a child ends that runs `body`.
#[track_caller]
pub fn end_of(body: impl FnOnce() -> i32) -> End {
    wait(spawn(body))
}

/// Runs checks in a child, for what a process can do to itself only once; panics are reported.
#[track_caller]
pub fn in_child(body: impl FnOnce()) {
    let end = end_of(|| {
        body();
        0
    });
    assert_eq!(end, End::Exit(0), "the child that makes the checks");
}

/// Both ends of a new pipe, reader first.
pub fn pipe() -> (File, File) {
    pipe_with(0)
}

pub fn pipe_with(flags: c_int) -> (File, File) {
    let mut ends = [0; 2];
    ok(sys!(pipe2(ends.as_mut_ptr(), flags)));
    // SAFETY: pipe2 has just made both descriptors.
    unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) }
}

/// Opens by flags and mode, as open(2).
#[track_caller]
pub fn open(path: &str, flags: c_int, mode: u32) -> File {
    let fd = ok(try_open(path, flags, mode));
    // SAFETY: open has just made it.
    unsafe { File::from_raw_fd(fd) }
}

/// The file behind a descriptor that a call has just made.
#[track_caller]
pub fn owned(fd: c_int) -> File {
    // SAFETY: nobody else knows it yet.
    unsafe { File::from_raw_fd(ok(fd)) }
}

/// open(2) for calls that are to fail.
pub fn try_open(path: &str, flags: c_int, mode: u32) -> c_int {
    sys!(open(c(path).as_ptr(), flags, mode))
}

pub fn sleep_ms(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Waits until `condition` holds; no test depends on how soon.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep_ms(1);
    }
}

/// Whether a process waits for something: its main thread does.
pub fn is_asleep(pid: i32) -> bool {
    is_thread_asleep(pid, pid)
}

pub fn is_thread_asleep(pid: i32, tid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat"));
    stat.is_ok_and(|text| text.contains(") S "))
}

/// What poll(2) says of one descriptor, without waiting.
pub fn poll_now(file: &impl AsRawFd, events: i16) -> i16 {
    poll_for(file, events, 0)
}

pub fn poll_for(file: &impl AsRawFd, events: i16, timeout_ms: c_int) -> i16 {
    let mut poll = libc::pollfd {
        fd: file.as_raw_fd(),
        events,
        revents: 0,
    };
    ok(sys!(poll(&mut poll, 1, timeout_ms)));
    poll.revents
}

/// Installs a handler with flags and an empty mask, and returns what was there.
pub fn on_signal(signal: c_int, flags: c_int, handler: usize) -> libc::sigaction {
    // SAFETY: all-zero bits are a valid sigaction: default action, empty mask.
    let (mut new, mut old): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
    new.sa_sigaction = handler;
    new.sa_flags = flags;
    ok(sys!(sigaction(signal, &new, &mut old)));
    old
}

/// A set of signals.
pub fn set_of(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: all-zero bits are the empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    sys!(sigemptyset(&mut set));
    for &signal in signals {
        ok(sys!(sigaddset(&mut set, signal)));
    }
    set
}

pub fn block(signals: &[c_int]) {
    let set = set_of(signals);
    ok(sys!(sigprocmask(
        libc::SIG_BLOCK,
        &set,
        std::ptr::null_mut()
    )));
}

pub fn unblock(signals: &[c_int]) {
    let set = set_of(signals);
    ok(sys!(sigprocmask(
        libc::SIG_UNBLOCK,
        &set,
        std::ptr::null_mut()
    )));
}

/// A time span as the kernel takes it.
pub fn spec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

/// A value whose all-zero bits are meaningful: the kernel's plain structures.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: only used with C structures of integers and of pointers that may be null.
    unsafe { std::mem::zeroed() }
}

/// Memory that two processes see, for a child's results.
pub fn shared<T: Sync>() -> &'static T {
    let size = size_of::<T>().max(1);
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let at = sys!(mmap(std::ptr::null_mut(), size, prot, flags, -1, 0));
    assert_ne!(
        at,
        libc::MAP_FAILED,
        "shared memory: {}",
        io::Error::last_os_error()
    );
    // SAFETY: the mapping is fresh, zeroed, page-aligned and never unmapped; used with atomics.
    unsafe { &*at.cast::<T>() }
}

/// What the machine has, in bytes.
pub fn memory() -> u64 {
    meminfo("MemTotal")
}

/// A line of `/proc/meminfo`, in bytes.
pub fn meminfo(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("procfs");
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|n| n.parse::<u64>().ok()).expect(name) * 1024
}

/// Writes all of it, in pieces of every size up to `largest`; whether the reader stayed.
pub fn write_in_pieces(writer: &mut impl std::io::Write, data: &[u8], largest: usize) -> bool {
    let mut rest = data;
    let mut step = 1;
    while !rest.is_empty() {
        let now = step.min(rest.len());
        if writer.write_all(&rest[..now]).is_err() {
            return false;
        }
        rest = &rest[now..];
        step = step * 3 % largest + 1;
    }
    true
}

/// What a host spoils that takes the core away at the wrong moment is right at one of some attempts.
pub fn unless_disturbed(mut attempt: impl FnMut() -> Result<(), String>) {
    let mut errors = Vec::new();
    for _ in 0..8 {
        match attempt() {
            Ok(()) => return,
            Err(error) => errors.push(error),
        }
    }
    panic!("{errors:?}");
}
