//! Signals sent and not yet acted on, of a thread and of a whole process.

use super::{SYNCHRONOUS, SigInfo, SigSet, UNBLOCKABLE};
use crate::base::{Errno, Result, SpinLock};
use crate::process::Thread;
use crate::process::wait::WaitQueue;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A queue of signals. Standard signals are kept once each, real-time signals as often as they are sent.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: Vec<SigInfo>,
}

/// Real-time signals that may queue up for one process (`RLIMIT_SIGPENDING`'s part per queue).
const MOST_QUEUED: usize = 4096;

impl Pending {
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Adds a signal; a standard one that is there already stays as it is. When the queue is full or there is no memory for it, a
    /// signal that `sigqueue` sent is refused, any other loses what it carried (signal(7) and the kernel's `kill` do the same).
    pub fn push(&mut self, info: SigInfo) -> Result<()> {
        let standard = info.signo < super::SIGRTMIN;
        if standard && self.set.contains(info.signo) {
            return Ok(());
        }
        let full = !standard && self.queue.len() >= MOST_QUEUED;
        if !full && self.queue.try_reserve(1).is_ok() {
            self.queue.push(info);
        } else if !standard && info.code < 0 {
            return Err(Errno::EAGAIN);
        }
        self.set.insert(info.signo);
        Ok(())
    }

    /// The signal of a timer that has not been taken yet.
    pub fn of_timer(&mut self, id: i32) -> Option<&mut SigInfo> {
        self.queue.iter_mut().find(|i| i.timer_id() == Some(id))
    }

    /// Takes the next signal that `mask` lets through: synchronous ones first, then by number, then by age.
    pub fn pop(&mut self, mask: SigSet) -> Option<SigInfo> {
        let open = self.set.without(mask);
        let signo = open
            .intersection(SYNCHRONOUS)
            .first()
            .or_else(|| open.first())?;
        let Some(at) = self.queue.iter().position(|i| i.signo == signo) else {
            // It was sent when there was no room for more than its number.
            self.set.remove(signo);
            return Some(SigInfo::user(signo, super::info::code::SI_USER, 0, 0));
        };
        let info = self.queue.remove(at);
        if !self.queue.iter().any(|i| i.signo == signo) {
            self.set.remove(signo);
        }
        Some(info)
    }

    /// Drops everything in `which`.
    pub fn discard(&mut self, which: SigSet) {
        if !self.set.intersection(which).is_empty() {
            self.queue.retain(|i| !which.contains(i.signo));
            self.set = self.set.without(which);
        }
    }
}

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AltStack {
    pub base: usize,
    pub size: usize,
    /// `SS_DISABLE`, `SS_AUTODISARM` as set; `SS_ONSTACK` is worked out.
    pub flags: i32,
}

/// A thread's part of the signal state.
#[derive(Default)]
pub struct ThreadSignals {
    pub mask: SigSet,
    /// The mask to go back to after `sigsuspend`, `ppoll` and the like.
    pub saved_mask: Option<SigSet>,
    pub pending: Pending,
    pub alt_stack: AltStack,
    /// What `rt_sigtimedwait` waits for.
    pub awaited: SigSet,
}

impl ThreadSignals {
    /// A new thread's: the mask of its creator, nothing pending.
    pub fn inherit(parent: Option<&Thread>) -> Self {
        let mask = parent.map_or(SigSet::EMPTY, |p| p.signals.lock().mask);
        ThreadSignals {
            mask,
            alt_stack: AltStack {
                flags: 2,
                ..Default::default()
            },
            ..Default::default()
        }
    }

    pub fn set_mask(&mut self, mask: SigSet) {
        self.mask = mask.without(UNBLOCKABLE);
    }
}

/// Stopping, continuing and ending a process as a whole.
#[derive(Default)]
pub struct JobState {
    pub stopped: bool,
    pub stop_signal: i32,
    /// The parent has yet to hear of it (`WUNTRACED`, `WCONTINUED`).
    pub stop_unreported: bool,
    pub continue_unreported: bool,
    /// Wait status with which the process ends, once that is decided.
    pub exit: Option<i32>,
    /// The thread that execs and wants to be the only one.
    pub sole_thread: Option<i32>,
    last_name: [u8; 16],
}

/// A process's part of the signal state.
pub struct SharedSignals {
    pub pending: SpinLock<Pending>,
    pub job: SpinLock<JobState>,
    /// Stopped threads sleep here.
    pub continued: WaitQueue,
    /// Pollers of signalfds, and `sigtimedwait`.
    pub arrived: Arc<WaitQueue>,
}

impl Default for SharedSignals {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedSignals {
    pub fn new() -> Self {
        SharedSignals {
            pending: SpinLock::new(Pending::default()),
            job: SpinLock::new(JobState::default()),
            continued: WaitQueue::new(),
            arrived: Arc::new(WaitQueue::new()),
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.job.lock().stopped
    }
    /// The name of the last thread, for a zombie.
    pub fn last_name(&self) -> [u8; 16] {
        self.job.lock().last_name
    }
    pub fn set_last_name(&self, name: [u8; 16]) {
        self.job.lock().last_name = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_signals_are_pending_once_and_realtime_ones_queue() {
        let mut p = Pending::default();
        for signo in [15, 15, 40, 40] {
            assert_eq!(p.push(SigInfo::kernel(signo)), Ok(()));
        }
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.signo), Some(15));
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.signo), Some(40));
        assert!(p.set().contains(40));
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.signo), Some(40));
        assert!(p.pop(SigSet::EMPTY).is_none());
    }

    #[test]
    fn a_full_queue_refuses_sigqueue_and_keeps_the_number_of_others() {
        let mut p = Pending::default();
        let queued = |signo| SigInfo::user(signo, -1, 7, 0);
        for _ in 0..MOST_QUEUED {
            assert_eq!(p.push(queued(40)), Ok(()));
        }
        assert_eq!(p.push(queued(41)), Err(Errno::EAGAIN));
        assert_eq!(p.push(SigInfo::user(41, 0, 7, 0)), Ok(()));
        p.discard(SigSet::of(&[40]));
        assert_eq!(
            p.pop(SigSet::EMPTY).map(|i| (i.signo, i.pid())),
            Some((41, 0))
        );
        assert!(p.pop(SigSet::EMPTY).is_none());
    }

    #[test]
    fn masked_signals_stay_and_synchronous_ones_go_first() {
        let mut p = Pending::default();
        p.push(SigInfo::kernel(2)).unwrap();
        p.push(SigInfo::kernel(11)).unwrap();
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.signo), Some(11));
        assert!(p.pop(SigSet::of(&[2])).is_none());
        p.discard(SigSet::of(&[2]));
        assert!(p.set().is_empty());
    }
}
