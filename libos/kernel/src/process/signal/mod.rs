//! Signals (signal(7)): what is pending where, what a process does about it, and how it gets there.

pub mod action;
#[cfg(target_os = "none")]
pub mod deliver;
#[cfg(target_os = "none")]
pub mod frame;
pub mod info;
pub mod pending;
pub mod send;
pub mod sys;

pub use super::signal_set::SigSet;
pub use action::{Actions, Disposition};
pub use info::SigInfo;
pub use pending::{JobState, SharedSignals, ThreadSignals};
pub use send::{force, send_to_group, send_to_process, send_to_thread};

macro_rules! signals { ($($name:ident = $n:literal)*) => { $(pub const $name: i32 = $n;)* } }
signals! {
    SIGHUP = 1 SIGINT = 2 SIGQUIT = 3 SIGILL = 4 SIGTRAP = 5 SIGABRT = 6 SIGBUS = 7 SIGFPE = 8 SIGKILL = 9 SIGUSR1 = 10
    SIGSEGV = 11 SIGUSR2 = 12 SIGPIPE = 13 SIGALRM = 14 SIGTERM = 15 SIGSTKFLT = 16 SIGCHLD = 17 SIGCONT = 18 SIGSTOP = 19
    SIGTSTP = 20 SIGTTIN = 21 SIGTTOU = 22 SIGURG = 23 SIGXCPU = 24 SIGXFSZ = 25 SIGVTALRM = 26 SIGPROF = 27 SIGWINCH = 28
    SIGIO = 29 SIGPWR = 30 SIGSYS = 31 SIGRTMIN = 32 SIGRTMAX = 64
}

/// Signals that no mask or action touches.
pub const UNBLOCKABLE: SigSet = SigSet::of(&[SIGKILL, SIGSTOP]);
/// Signals that stop a process unless it says otherwise.
pub const STOPS: SigSet = SigSet::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
/// Signals that an instruction causes; they go before all others.
pub const SYNCHRONOUS: SigSet = SigSet::of(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);
/// Signals whose default is to be dropped.
pub const IGNORED_BY_DEFAULT: SigSet = SigSet::of(&[SIGCHLD, SIGURG, SIGWINCH, SIGCONT]);
