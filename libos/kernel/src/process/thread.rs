//! A thread: registers in waiting, a kernel stack, a signal mask, and a place in the scheduler.

use super::accounting::{Ticks, Times, divide};
use super::cpu_clock::CpuClock;
use super::run_queue::Links;
use super::signal::ThreadSignals;
use super::sleep::SleepWord;
use super::stack::KernelStack;
use super::{Pid, Process};
use crate::base::SpinLock;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Reasons to take the long way back to the program ([`Thread::flags`]); the vectors test the word against zero.
pub mod flag {
    /// A signal that is not blocked is pending, or the set has to be looked at again.
    pub const SIGNAL: u32 = 1;
    /// The process is dying, or another thread execs: leave.
    pub const KILLED: u32 = 2;
    /// The process is stopped. This and CONTINUED change with [`super::super::signal::JobState`] locked.
    pub const STOP: u32 = 4;
    /// `exec` or `rt_sigreturn` left new registers in [`super::Thread::next_frame`].
    pub const NEW_FRAME: u32 = 8;
    /// What it did in the kernel left little memory: somebody may have to go ([`super::super::oom::settle`]).
    pub const SHORTAGE: u32 = 16;
    /// It is about that.
    pub const SETTLING: u32 = 32;
    /// The process has been stopped and goes on.
    pub const CONTINUED: u32 = 64;
    /// Its affinity has been changed: it may have to leave its core.
    pub const AFFINITY: u32 = 128;
}

/// What the scheduler keeps of a thread.
pub struct Scheduling {
    /// Weighted run time so far, ns.
    pub vruntime: AtomicU64,
    /// -20 to 19.
    pub nice: AtomicI32,
    /// `SCHED_OTHER`, `SCHED_BATCH`, … as set; all are run by the same rule.
    pub policy: AtomicI32,
    /// Cores it may run on, a bit each.
    pub affinity: AtomicU64,
    /// The core it last ran on.
    pub cpu: AtomicUsize,
    /// The core on whose queue it is, plus one; 0 on none. Changed with that queue locked.
    pub queued: AtomicUsize,
    /// Time on a core.
    pub clock: CpuClock,
    /// Weighted run time, ns, that it owes for children that have ended.
    pub debt: AtomicU64,
    /// Times it gave up the core, and times the core was taken.
    pub voluntary: AtomicU64,
    pub involuntary: AtomicU64,
    /// Ticks that found it in its program and in the kernel.
    pub ticks: Ticks,
    /// Page faults that were mended. Written by the thread itself only.
    pub faults: AtomicU64,
}

/// `SCHED_RESET_ON_FORK`, among the policy's bits.
pub const RESET_ON_FORK: i32 = 0x4000_0000;

impl Scheduling {
    /// Niceness and policy of a child.
    fn for_child(&self) -> (i32, i32) {
        let (nice, policy) = (&self.nice, &self.policy);
        match (nice.load(Ordering::Relaxed), policy.load(Ordering::Relaxed)) {
            (nice, policy) if policy & RESET_ON_FORK != 0 => (nice.max(0), policy & !RESET_ON_FORK),
            same => same,
        }
    }
}

/// A thread. The first field's place is known to the vectors.
#[repr(C)]
pub struct Thread {
    pub flags: AtomicU32,
    sleep: SleepWord,
    /// Its registers are on a core, not yet (or no longer) on its stack.
    pub(super) on_cpu: AtomicBool,
    pub(super) sp: UnsafeCell<usize>,
    pub(super) stack: UnsafeCell<Option<KernelStack>>,
    /// Itself, for `current()`; taken when it is buried.
    pub(super) me: UnsafeCell<Option<Arc<Thread>>>,
    /// As `gettid` tells it. A thread that execs takes the number of its process.
    tid: AtomicI32,
    process: Option<Arc<Process>>,
    pub sched: Scheduling,
    /// Its place among those that wait for a core.
    pub(super) links: UnsafeCell<Links>,
    pub signals: SpinLock<ThreadSignals>,
    /// Cleared and woken as a futex when the thread ends (`set_tid_address`).
    pub clear_child_tid: AtomicUsize,
    /// The program's list of robust futexes.
    pub robust_list: AtomicUsize,
    /// A call that a signal without a handler interrupted is to be called again; a handler ends it with `EINTR`, whatever
    /// `SA_RESTART` says. Its deadline (ns, plus one), or all ones.
    pub poll_again: AtomicU64,
    pub name: SpinLock<[u8; 16]>,
    /// Registers to continue with, under [`flag::NEW_FRAME`].
    #[cfg(target_os = "none")]
    pub next_frame: SpinLock<Option<alloc::boxed::Box<crate::arch::frame::TrapFrame>>>,
    /// Monotonic time of its birth.
    pub start_ns: u64,
}

// SAFETY: `sp`, `stack` and `me` are touched only by the scheduler, by the core that switches the thread in or out
// (`on_cpu` hands them over), or before the thread first runs; `links` only by the run queue that the thread is on, under its lock.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// A thread that is not yet on any queue. `parent` gives what is inherited.
    pub fn new(tid: Pid, process: Option<Arc<Process>>, parent: Option<&Thread>) -> Thread {
        let (nice, policy) = parent.map_or((0, 0), |p| p.sched.for_child());
        Thread {
            flags: AtomicU32::new(0),
            sleep: SleepWord::new(),
            on_cpu: AtomicBool::new(false),
            sp: UnsafeCell::new(0),
            stack: UnsafeCell::new(None),
            me: UnsafeCell::new(None),
            tid: AtomicI32::new(tid),
            process,
            sched: Scheduling {
                vruntime: AtomicU64::new(0),
                nice: AtomicI32::new(nice),
                policy: AtomicI32::new(policy),
                affinity: AtomicU64::new(
                    parent.map_or(!0, |p| p.sched.affinity.load(Ordering::Relaxed)),
                ),
                cpu: AtomicUsize::new(parent.map_or(0, |p| p.sched.cpu.load(Ordering::Relaxed))),
                queued: AtomicUsize::new(0),
                clock: CpuClock::new(),
                debt: AtomicU64::new(0),
                voluntary: AtomicU64::new(0),
                involuntary: AtomicU64::new(0),
                ticks: Ticks::default(),
                faults: AtomicU64::new(0),
            },
            links: UnsafeCell::new(Links::new()),
            signals: SpinLock::new(ThreadSignals::inherit(parent)),
            clear_child_tid: AtomicUsize::new(0),
            robust_list: AtomicUsize::new(0),
            poll_again: AtomicU64::new(0),
            name: SpinLock::new(parent.map_or(*b"kernel\0\0\0\0\0\0\0\0\0\0", |p| *p.name.lock())),
            #[cfg(target_os = "none")]
            next_frame: SpinLock::new(None),
            start_ns: crate::time::monotonic_ns(),
        }
    }

    pub fn tid(&self) -> Pid {
        self.tid.load(Ordering::Relaxed)
    }

    /// Gives the thread another number; for [`super::table::take_main_number`], which keeps the numbers.
    pub(super) fn set_tid(&self, tid: Pid) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// The process it belongs to. Idle threads have none and never ask.
    pub fn process(&self) -> &Arc<Process> {
        self.process
            .as_ref()
            .expect("a kernel thread has no process")
    }

    /// Whether it belongs to a process (idle threads do not).
    pub fn has_process(&self) -> bool {
        self.process.is_some()
    }

    pub fn set_flag(&self, flag: u32) {
        self.flags.fetch_or(flag, Ordering::SeqCst);
    }
    pub fn clear_flag(&self, flag: u32) {
        self.flags.fetch_and(!flag, Ordering::SeqCst);
    }

    /// Whether a blocking call has to return: a signal to deliver, a stop, or death.
    pub fn signal_pending(&self) -> bool {
        const ENDS: u32 = flag::SIGNAL | flag::KILLED | flag::STOP | flag::CONTINUED;
        self.flags.load(Ordering::SeqCst) & ENDS != 0
    }

    /// Whether the thread is about to end.
    pub fn is_dying(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & flag::KILLED != 0
    }

    /// The deadline of a call that is being made again because a signal without a handler had interrupted it.
    pub fn resumed(&self) -> Option<u64> {
        match self.poll_again.swap(0, Ordering::Relaxed) {
            0 | u64::MAX => None,
            deadline => Some(deadline - 1),
        }
    }

    /// A signal interrupts a call that goes on until `deadline` if no handler runs: what the call returns.
    pub fn goes_on(&self, deadline: u64) -> crate::base::Errno {
        let deadline = deadline.saturating_add(1).min(u64::MAX - 1);
        self.poll_again.store(deadline, Ordering::Relaxed);
        crate::base::Errno::ERESTARTSYS
    }

    /// Step 2 of the sleep protocol of [`super::wait`].
    pub fn prepare_to_sleep(&self) {
        self.sleep.prepare();
    }

    /// Leaves the protocol without sleeping.
    pub fn cancel_sleep(&self) {
        self.sleep.cancel();
    }

    /// Step 4: gives up the core unless woken since [`prepare_to_sleep`](Self::prepare_to_sleep); returns when woken or
    /// when the monotonic `deadline` (ns) has passed. The caller looks at its condition again.
    pub fn sleep(self: &Arc<Self>, deadline: Option<u64>) {
        #[cfg(target_os = "none")]
        if self.flags.load(Ordering::Relaxed) & flag::SHORTAGE != 0 {
            // What it took it would keep for as long as it sleeps.
            return super::oom::make_room_later();
        }
        let timer = deadline.map(|d| crate::time::timer::add(d, self.clone()));
        super::scheduler::park();
        if let Some(timer) = timer {
            crate::time::timer::cancel(timer);
        }
    }

    /// Whether the running thread, not having been woken meanwhile, is parked now and is to leave its core.
    #[cfg(target_os = "none")]
    pub(super) fn try_to_park(&self) -> bool {
        self.sleep.park()
    }

    /// Makes a sleeping thread runnable; nothing otherwise.
    pub fn wake_up(&self) {
        if self.sleep.wake() {
            super::scheduler::enqueue(self.strong());
        }
    }

    /// Its own strong reference; it has one from birth until it is buried.
    fn strong(&self) -> Arc<Thread> {
        // SAFETY: `me` is set before the thread can sleep and taken only after it is dead; a parked thread is neither.
        unsafe { (*self.me.get()).clone() }.expect("a parked thread is alive")
    }

    /// Marks the thread as never to run again.
    #[cfg(target_os = "none")]
    pub(super) fn mark_dead(&self) {
        self.sleep.bury();
    }
    #[cfg(target_os = "none")]
    pub(super) fn is_dead(&self) -> bool {
        self.sleep.is_dead()
    }
    /// Whether it is off the core waiting for something.
    pub fn is_sleeping(&self) -> bool {
        self.sleep.is_parked()
    }

    /// The time on a core so far, ns, the current stretch included.
    pub fn cpu_time_ns(&self) -> u64 {
        self.sched.clock.read()
    }
}

impl Thread {
    /// That time, divided into the program's and the kernel's by the ticks that found it there.
    pub fn times(&self) -> Times {
        divide(self.cpu_time_ns(), self.sched.ticks.get())
    }

    /// Counts a page fault. Called by the thread itself.
    pub fn count_fault(&self) {
        let n = self.sched.faults.load(Ordering::Relaxed);
        self.sched.faults.store(n + 1, Ordering::Relaxed);
    }
}

impl super::wait::Wake for Thread {
    fn wake(&self) {
        self.wake_up();
    }
}

impl crate::time::timer::TimerTarget for Thread {
    fn expire(self: Arc<Self>, _now: u64) {
        self.wake_up();
    }
}

/// The running thread.
#[cfg(target_os = "none")]
#[inline]
pub fn current() -> &'static Arc<Thread> {
    let thread = crate::arch::cpu::this().current.load(Ordering::Relaxed);
    // SAFETY: the running thread is alive, and `me` stays as long as it runs; the reference is used by itself only.
    unsafe { (*(*thread).me.get()).as_ref().unwrap_unchecked() }
}

/// On the host there are no threads of ours.
#[cfg(not(target_os = "none"))]
pub fn current() -> &'static Arc<Thread> {
    panic!("no current thread on the host")
}
