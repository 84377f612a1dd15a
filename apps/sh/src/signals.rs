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
