//! Signals outside of yash's view: the mask that programs start with, and the words for a death.

use std::io::Write as _;
use std::mem::MaybeUninit;
use std::sync::Mutex;

static ORIGINAL_MASK: Mutex<Option<libc::sigset_t>> = Mutex::new(None);

/// Remembers the signal mask that the shell was started with.
pub fn save_mask() {
    let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call only writes the mask; it is read after success alone.
    let mask = unsafe {
        if libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) != 0 {
            return;
        }
        mask.assume_init()
    };
    if let Ok(mut original) = ORIGINAL_MASK.lock() {
        *original = Some(mask);
    }
}

/// The mask that `save_mask` remembered.
pub fn original_mask() -> Option<libc::sigset_t> {
    ORIGINAL_MASK.lock().ok().and_then(|mask| *mask)
}

/// Signals that an interactive shell ignores and its children do not. One that comes before the child says so would be lost: `kill %1`
/// right after `sleep 100 &`.
const IGNORED: [i32; 5] = [
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Keeps the signals that the shell ignores pending, for a child that is about to be made. Returns the mask until now.
pub fn hold() -> libc::sigset_t {
    change_mask(libc::SIG_BLOCK, &set_of(&IGNORED))
}

/// Goes back to the mask before [`hold`].
pub fn let_go(mask: &libc::sigset_t) {
    change_mask(libc::SIG_SETMASK, mask);
}

/// Lets a held signal through, now that the child has said what it does about it.
pub fn let_through(signal: i32) {
    if IGNORED.contains(&signal) {
        change_mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
    }
}

/// Lets all of them through.
pub fn let_all_through() {
    change_mask(libc::SIG_UNBLOCK, &set_of(&IGNORED));
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised by the first call.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Returns the mask until now.
fn change_mask(how: i32, set: &libc::sigset_t) -> libc::sigset_t {
    let mut old = set_of(&[]);
    // SAFETY: both sets are initialised. The call fails only for a wrong `how`.
    unsafe { libc::sigprocmask(how, set, &mut old) };
    old
}

/// Says on stderr what a child died of. Ends by SIGINT and SIGPIPE are everyday and stay silent.
pub fn report_death(signal: i32, core_dump: bool) {
    if signal == libc::SIGINT || signal == libc::SIGPIPE {
        return;
    }
    let mut text = match description(signal) {
        Some(text) => text.to_owned(),
        None => format!("Signal {signal}"),
    };
    text.push_str(if core_dump { " (core dumped)\n" } else { "\n" });
    // A message that cannot be written has nowhere else to go.
    _ = std::io::stderr().write_all(text.as_bytes());
}

/// The text that `strsignal` has for a signal on Linux.
fn description(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGVTALRM => "Virtual timer expired",
        libc::SIGPROF => "Profiling timer expired",
        libc::SIGIO => "I/O possible",
        libc::SIGPWR => "Power failure",
        libc::SIGSYS => "Bad system call",
        _ => return None,
    })
}
