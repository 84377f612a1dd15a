//! What a process does about each signal.

use super::{IGNORED_BY_DEFAULT, SIGKILL, SIGSTOP, STOPS, SigSet};
use crate::user::Plain;
use alloc::sync::Arc;

pub const SA_NOCLDSTOP: u64 = 1;
pub const SA_NOCLDWAIT: u64 = 2;
pub const SA_SIGINFO: u64 = 4;
pub const SA_ONSTACK: u64 = 0x0800_0000;
pub const SA_RESTART: u64 = 0x1000_0000;
pub const SA_NODEFER: u64 = 0x4000_0000;
pub const SA_RESETHAND: u64 = 0x8000_0000;
pub const SIG_DFL: usize = 0;
pub const SIG_IGN: usize = 1;

/// The kernel's `struct sigaction` on arm64.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SigAction {
    pub handler: usize,
    pub flags: u64,
    pub restorer: usize,
    pub mask: SigSet,
}

// SAFETY: integers without padding.
unsafe impl Plain for SigAction {}

/// What is to happen to a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    Ignore,
    Terminate,
    Stop,
    Continue,
    Handle,
}

/// The actions of a process, by signal. A forked child has the parent's until one of them changes something.
#[derive(Clone)]
pub struct Actions(Arc<[SigAction; 64]>);

impl Default for Actions {
    fn default() -> Self {
        Actions(Arc::new([SigAction::default(); 64]))
    }
}

impl Actions {
    pub fn get(&self, signo: i32) -> SigAction {
        self.0[signo as usize - 1]
    }
    pub fn set(&mut self, signo: i32, action: SigAction) {
        Arc::make_mut(&mut self.0)[signo as usize - 1] = action;
    }

    pub fn disposition(&self, signo: i32) -> Disposition {
        match self.get(signo).handler {
            SIG_IGN if signo != SIGKILL && signo != SIGSTOP => Disposition::Ignore,
            SIG_DFL | SIG_IGN => {
                if signo == super::SIGCONT {
                    Disposition::Continue
                } else if IGNORED_BY_DEFAULT.contains(signo) {
                    Disposition::Ignore
                } else if STOPS.contains(signo) {
                    Disposition::Stop
                } else {
                    Disposition::Terminate
                }
            }
            _ => Disposition::Handle,
        }
    }

    /// `exec`: handlers go back to the default, ignored signals stay ignored.
    pub fn reset_handlers(&mut self) {
        if self.0.iter().any(|a| a.handler > SIG_IGN) {
            for a in Arc::make_mut(&mut self.0) {
                if a.handler > SIG_IGN {
                    *a = SigAction::default();
                }
            }
        }
    }

    /// Sets the default action for every signal in `set` (`POSIX_SPAWN_SETSIGDEF`).
    pub fn set_default(&mut self, set: SigSet) {
        for signo in 1..=64 {
            if set.contains(signo) {
                self.set(signo, SigAction::default());
            }
        }
    }
}
