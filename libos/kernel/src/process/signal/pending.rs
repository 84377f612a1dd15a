//! Signals sent and not yet acted on, of a thread and of a whole process.

use super::{SYNCHRONOUS, SigInfo, SigSet, UNBLOCKABLE};
use crate::base::{Errno, Result, SpinLock};
use crate::process::Thread;
use crate::process::wait::WaitQueue;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

/// A queue of signals. Standard signals are kept once each, real-time signals as often as they are sent.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<SigInfo>,
}

/// Real-time signals that a queue holds at most, whatever `RLIMIT_SIGPENDING` allows.
pub const MOST_QUEUED: usize = 4096;

impl Pending {
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Adds a signal; a standard one that is there already stays as it is. When `most` real-time signals are queued or there is no
    /// memory for it, a signal that `sigqueue` sent is refused, any other loses what it carried (signal(7) and the kernel's `kill` do
    /// the same). A timer has one signal at most, its own, beyond what others may queue; without memory for it, it is refused.
    pub fn push(&mut self, info: SigInfo, most: usize) -> Result<()> {
        let standard = info.signo < super::SIGRTMIN;
        let there = match info.timer_id() {
            Some(timer) => self.queue.iter().any(|i| i.timer_id() == Some(timer)),
            None => standard && self.set.contains(info.signo),
        };
        if there {
            return Ok(());
        }
        let full = !standard && info.timer_id().is_none() && self.queue.len() >= most;
        if !full && self.queue.try_reserve(1).is_ok() {
            self.queue.push_back(info);
        } else if info.timer_id().is_some() || !standard && info.code < 0 {
            return Err(Errno::EAGAIN);
        }
        self.set.insert(info.signo);
        Ok(())
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
        let info = self.queue.remove(at)?;
        if !self.queue.iter().any(|i| i.signo == signo) {
            self.set.remove(signo);
        }
        Some(info)
    }

    /// Drops everything in `which`; those that carried something are given to `dropped`.
    pub fn discard(&mut self, which: SigSet, dropped: &dyn Fn(&SigInfo)) {
        if !self.set.intersection(which).is_empty() {
            self.queue.retain(|i| {
                let goes = which.contains(i.signo);
                if goes {
                    dropped(i);
                }
                !goes
            });
            self.set = self.set.without(which);
        }
    }
}

/// Where handlers with `SA_ONSTACK` run; nowhere of its own if the size is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct AltStack {
    pub base: usize,
    pub size: usize,
    /// `SS_AUTODISARM`: it is forgotten while a handler runs on it.
    pub disarms: bool,
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
            ..Default::default()
        }
    }

    pub fn set_mask(&mut self, mask: SigSet) {
        self.mask = mask.without(UNBLOCKABLE);
    }

    /// What the thread would not take.
    pub fn deaf(&self) -> SigSet {
        self.mask.without(self.awaited)
    }
}

/// Stopping, continuing and ending a process as a whole. The flags of its threads that say so are changed with this locked.
#[derive(Default)]
pub struct JobState {
    pub stopped: bool,
    pub stop_signal: i32,
    /// The parent has yet to hear of it (`WUNTRACED`, `WCONTINUED`).
    pub stop_unreported: bool,
    pub continue_unreported: bool,
    /// The process itself has yet to tell its parent that it goes on.
    pub continue_untold: bool,
    /// Wait status with which the process ends, once that is decided.
    pub exit: Option<i32>,
    /// The thread that execs and wants to be the only one.
    pub sole_thread: Option<i32>,
    last_name: [u8; 16],
}

/// A process's part of the signal state.
pub struct SharedSignals {
    pub pending: SpinLock<Pending>,
    /// Order: inside the list of threads, outside of what is pending.
    pub job: SpinLock<JobState>,
    /// How often `SIGCONT` came.
    pub continues: AtomicU32,
    /// How many signals were sent to several processes, this one among them. Changed with the tree locked.
    broadcasts: AtomicU32,
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
            continues: AtomicU32::new(0),
            broadcasts: AtomicU32::new(0),
            continued: WaitQueue::new(),
            arrived: Arc::new(WaitQueue::new()),
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.job.lock().stopped
    }

    /// Who finds the same number later has been sent no such signal that was not pending before.
    pub fn broadcasts(&self) -> u32 {
        self.broadcasts.load(Ordering::Acquire)
    }
    pub fn count_broadcast(&self) {
        self.broadcasts.fetch_add(1, Ordering::Release);
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
            assert_eq!(p.push(SigInfo::kernel(signo), 9), Ok(()));
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
        for _ in 0..9 {
            assert_eq!(p.push(queued(40), 9), Ok(()));
        }
        assert_eq!(p.push(queued(41), 9), Err(Errno::EAGAIN));
        assert_eq!(p.push(SigInfo::user(41, 0, 7, 0), 9), Ok(()));
        assert_eq!(p.push(SigInfo::timer(42, 3, 0), 9), Ok(()));
        p.discard(SigSet::of(&[40]), &|i| assert_eq!(i.signo, 40));
        assert_eq!(
            p.pop(SigSet::EMPTY).map(|i| (i.signo, i.pid())),
            Some((41, 0))
        );
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.timer_id()), Some(Some(3)));
        assert!(p.pop(SigSet::EMPTY).is_none());
    }

    #[test]
    fn each_timer_has_a_signal_of_its_own() {
        let mut p = Pending::default();
        p.push(SigInfo::kernel(10), 0).unwrap();
        for (timer, value) in [(7, 70), (8, 80), (7, 71)] {
            p.push(SigInfo::timer(10, timer, value), 0).unwrap();
        }
        let values = [0, 70, 80].map(Some);
        assert_eq!(
            values.map(|_| p.pop(SigSet::EMPTY).map(|i| i.value())),
            values
        );
        assert!(p.pop(SigSet::EMPTY).is_none());
    }

    #[test]
    fn masked_signals_stay_and_synchronous_ones_go_first() {
        let mut p = Pending::default();
        p.push(SigInfo::kernel(2), 9).unwrap();
        p.push(SigInfo::kernel(11), 9).unwrap();
        assert_eq!(p.pop(SigSet::EMPTY).map(|i| i.signo), Some(11));
        assert!(p.pop(SigSet::of(&[2])).is_none());
        p.discard(SigSet::of(&[2]), &|_| ());
        assert!(p.set().is_empty());
    }
}
