//! A process: what its threads share.

use super::accounting::{Accounts, Times, Usage};
use super::credentials::Credentials;
use super::limits::{self, Limits};
use super::signal::pending::MOST_QUEUED;
use super::signal::{Actions, SIGRTMIN, SharedSignals};
use super::thread::Thread;
use super::timers::ProcessTimers;
use super::wait::WaitQueue;
use super::{Pid, table};
use crate::base::SpinLock;
use crate::fs::{FdTable, FsContext, Path};
use crate::ipc::tty::Tty;
use crate::memory::AddressSpace;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// A process. Its place in the family tree (parent, group, session) is kept by [`table`].
///
/// The locks here are leaves with respect to each other: none is taken while another is held, except `threads` before
/// `signals`.
pub struct Process {
    pub pid: Pid,
    pub files: SpinLock<Arc<FdTable>>,
    pub fs: SpinLock<Arc<FsContext>>,
    pub space: SpinLock<Arc<AddressSpace>>,
    credentials: SpinLock<Arc<Credentials>>,
    pub limits: SpinLock<Limits>,
    /// In the order of their birth, the main thread first. A ring: the oldest often end first, and thousands of them.
    pub threads: SpinLock<VecDeque<Arc<Thread>>>,
    /// How many `threads` are, for its own threads to read without the lock.
    thread_count: AtomicUsize,
    pub signals: SharedSignals,
    pub actions: SpinLock<Arc<SpinLock<Actions>>>,
    /// The program's file, for `/proc/PID/exe`.
    pub exe: SpinLock<Option<Path>>,
    /// Sleepers in `wait4`.
    pub child_event: WaitQueue,
    /// Who waits for its end or for the end of its threads, and pollers of a pidfd.
    pub exit_event: Arc<WaitQueue>,
    /// The wait status, once the process is dying.
    pub exit_status: AtomicI32,
    pub zombie: AtomicBool,
    pub start_ns: u64,
    pub usage: Accounts,
    /// Signal sent to the parent on exit.
    pub exit_signal: AtomicI32,
    /// It has replaced its program since fork (setpgid is refused then).
    pub has_execed: AtomicBool,
    pub dumpable: AtomicBool,
    /// It has let go of its session's terminal, which the others keep.
    pub left_terminal: AtomicBool,
    pub child_subreaper: AtomicBool,
    /// `PR_SET_PDEATHSIG`.
    pub death_signal: AtomicI32,
    pub timers: SpinLock<ProcessTimers>,
    /// Some timer or limit of processor time is set, or somebody sleeps for it: ticks look at it.
    pub watch_cpu: AtomicBool,
    /// The processor time, ns, before which none of its timers can run out.
    pub timers_due: AtomicU64,
    /// Who sleeps until it has used some processor time.
    pub cpu_event: WaitQueue,
    pub oom_score_adj: AtomicI32,
}

impl Process {
    #[allow(clippy::too_many_arguments)] // one place makes them all
    pub fn new(
        pid: Pid,
        files: Arc<FdTable>,
        fs: Arc<FsContext>,
        space: Arc<AddressSpace>,
        credentials: Arc<Credentials>,
        limits: &SpinLock<Limits>,
        actions: Arc<SpinLock<Actions>>,
        exe: Option<Path>,
    ) -> Arc<Process> {
        let limits = limits.lock().clone();
        Arc::new(Process {
            pid,
            files: SpinLock::new(files),
            fs: SpinLock::new(fs),
            space: SpinLock::new(space),
            credentials: SpinLock::new(credentials),
            limits: SpinLock::new(limits),
            // Its first thread has a place.
            threads: SpinLock::new(VecDeque::with_capacity(1)),
            thread_count: AtomicUsize::new(0),
            signals: SharedSignals::new(),
            actions: SpinLock::new(actions),
            exe: SpinLock::new(exe),
            child_event: WaitQueue::new(),
            exit_event: Arc::new(WaitQueue::new()),
            exit_status: AtomicI32::new(0),
            zombie: AtomicBool::new(false),
            start_ns: crate::time::monotonic_ns(),
            usage: Accounts::default(),
            exit_signal: AtomicI32::new(17),
            has_execed: AtomicBool::new(false),
            dumpable: AtomicBool::new(true),
            left_terminal: AtomicBool::new(false),
            child_subreaper: AtomicBool::new(false),
            death_signal: AtomicI32::new(0),
            timers: SpinLock::new(ProcessTimers::default()),
            watch_cpu: AtomicBool::new(false),
            timers_due: AtomicU64::new(u64::MAX),
            cpu_event: WaitQueue::new(),
            oom_score_adj: AtomicI32::new(0),
        })
    }

    /// Whether the running thread, which is one of the process's, is its only one. It stays so until it makes another.
    #[inline(always)]
    pub fn has_one_thread(&self) -> bool {
        // Acquire: what threads that have ended did to the process is seen.
        self.thread_count.load(Ordering::Acquire) == 1
    }

    /// `threads`, which the caller has locked, has changed.
    pub fn count_threads(&self, threads: &VecDeque<Arc<Thread>>) {
        self.thread_count.store(threads.len(), Ordering::Release);
    }

    pub fn creds(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    pub fn set_creds(&self, new: Credentials) {
        *self.credentials.lock() = Arc::new(new);
    }

    /// The soft limit of `RLIMIT_` number `which`.
    pub fn rlimit(&self, which: u32) -> u64 {
        self.limits.lock().soft(which)
    }

    /// How many real-time signals may wait in one of its queues.
    pub fn most_queued(&self, signo: i32) -> usize {
        match signo {
            SIGRTMIN.. => self.rlimit(limits::SIGPENDING).min(MOST_QUEUED as u64) as usize,
            _ => 0,
        }
    }

    pub fn space(&self) -> Arc<AddressSpace> {
        self.space.lock().clone()
    }

    /// Makes the program's memory the core's current one.
    pub fn activate_space(&self) {
        // The table lives as long as the process runs: a thread that is on a core keeps its process, and the space is
        // replaced only by the last thread, which activates the new one itself.
        self.space.lock().activate();
    }

    pub fn ppid(&self) -> Pid {
        table::parent(self.pid)
    }
    pub fn pgid(&self) -> Pid {
        table::group(self.pid)
    }
    pub fn sid(&self) -> Pid {
        table::session_id(self.pid)
    }
    pub fn session(&self) -> Option<Arc<Session>> {
        table::session(self.pid)
    }

    /// The controlling terminal.
    pub fn terminal(&self) -> Option<Arc<Tty>> {
        if self.left_terminal.load(Ordering::Relaxed) {
            return None;
        }
        self.session()?.terminal.lock().clone()
    }

    /// The main thread's name, NUL-padded.
    pub fn comm(&self) -> Vec<u8> {
        let name = match self.threads.lock().front() {
            Some(t) => *t.name.lock(),
            None => self.signals.last_name(),
        };
        name.iter().copied().take_while(|&b| b != 0).collect()
    }

    /// `R`, `S`, `T`, `Z`, as `ps` shows it.
    pub fn state(&self) -> char {
        if self.zombie.load(Ordering::Relaxed) {
            return 'Z';
        }
        if self.signals.is_stopped() {
            return 'T';
        }
        if self.threads.lock().iter().any(|t| !t.is_sleeping()) {
            'R'
        } else {
            'S'
        }
    }

    /// Processor time used, ns.
    pub fn cpu_time_ns(&self) -> u64 {
        let threads = self.threads.lock();
        self.usage.dead_ns() + threads.iter().map(|t| t.cpu_time_ns()).sum::<u64>()
    }

    /// That time, divided into the program's and the kernel's. Neither part ever falls.
    pub fn times(&self) -> Times {
        let (mut total, mut ticks) = (0, (0, 0));
        {
            let threads = self.threads.lock();
            for t in threads.iter() {
                let (user, system) = t.sched.ticks.get();
                total += t.cpu_time_ns();
                ticks = (ticks.0 + user, ticks.1 + system);
            }
            total += self.usage.dead_ns();
        }
        self.usage.tell(total, ticks)
    }

    /// What it has used itself, children not included.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            times: self.times(),
            peak_pages: self.space().peak_pages(),
            ..Usage::default()
        };
        for t in self.threads.lock().iter() {
            usage.count(t);
        }
        self.usage.add_dead(&mut usage);
        usage
    }

    pub fn exe(&self) -> Option<Path> {
        self.exe.lock().clone()
    }
    pub fn is_zombie(&self) -> bool {
        self.zombie.load(Ordering::Relaxed)
    }
    /// Whether its end is decided.
    pub fn is_ending(&self) -> bool {
        self.is_zombie() || self.signals.job.lock().exit.is_some()
    }
}

/// A session: the processes of one login, and the terminal they share.
pub struct Session {
    /// The session's number: its leader's pid.
    pub id: Pid,
    /// The controlling terminal.
    pub terminal: SpinLock<Option<Arc<Tty>>>,
}

impl Session {
    /// A session led by process `id`, without a terminal.
    pub fn new(id: Pid) -> Arc<Session> {
        Arc::new(Session {
            id,
            terminal: SpinLock::new(None),
        })
    }
}
