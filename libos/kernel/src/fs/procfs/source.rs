//! Where `/proc` gets what it says about processes, memory and the machine: the one file that knows.

use crate::base::{Errno, Result};
use crate::fs::{FdTable, FsContext, Path};
use crate::memory::frames;
use crate::memory::space::{AreaInfo, Counters};
use crate::process::accounting::{Times, Usage};
use crate::process::limits::Limit;
use crate::process::{Credentials, Pid, Process, Thread, current, table};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// A process, or one thread of it.
#[derive(Clone)]
pub struct Subject {
    process: Arc<Process>,
    thread: Option<Arc<Thread>>,
}

/// The controlling terminal: device number as `stat` shows it, foreground group.
pub struct Terminal {
    pub dev: u64,
    pub foreground: Pid,
}

/// Signals, a bit each.
#[derive(Default)]
pub struct Signals {
    pub pending: u64,
    pub shared_pending: u64,
    pub blocked: u64,
    pub ignored: u64,
    pub caught: u64,
}

pub fn current_ids() -> (Pid, Pid) {
    let me = current();
    (me.process().pid, me.tid())
}

pub fn credentials() -> Arc<Credentials> {
    crate::fs::caller::credentials()
}

pub fn find(pid: Pid) -> Result<Subject> {
    let process = table::find(pid).ok_or(Errno::ENOENT)?;
    Ok(Subject {
        process,
        thread: None,
    })
}

/// All processes, by rising number. No list is made: it could be a long one.
fn processes() -> impl Iterator<Item = Arc<Process>> {
    core::iter::successors(table::next(0), |p| table::next(p.pid))
}

/// Their numbers.
pub fn pids() -> impl Iterator<Item = Pid> {
    processes().map(|p| p.pid)
}

impl Subject {
    pub fn thread(&self, tid: Pid) -> Result<Subject> {
        let threads = self.process.threads.lock();
        let thread = threads.iter().find(|t| t.tid() == tid).cloned();
        drop(threads);
        let thread = thread.ok_or(Errno::ENOENT)?;
        Ok(Subject {
            process: self.process.clone(),
            thread: Some(thread),
        })
    }

    /// Numbers of its threads. None if memory is short.
    pub fn tids(&self) -> Vec<Pid> {
        let threads = self.process.threads.lock();
        let mut tids = Vec::new();
        if tids.try_reserve_exact(threads.len()).is_ok() {
            tids.extend(threads.iter().map(|t| t.tid()));
        }
        tids
    }

    fn main_thread(&self) -> Option<Arc<Thread>> {
        self.thread
            .clone()
            .or_else(|| self.process.threads.lock().front().cloned())
    }

    /// The thread's number, which for a process is its own.
    pub fn tid(&self) -> Pid {
        self.thread.as_ref().map_or(self.process.pid, |t| t.tid())
    }
    pub fn pid(&self) -> Pid {
        self.process.pid
    }
    pub fn ppid(&self) -> Pid {
        self.process.ppid()
    }
    pub fn pgid(&self) -> Pid {
        self.process.pgid()
    }
    pub fn sid(&self) -> Pid {
        self.process.sid()
    }

    pub fn comm(&self) -> Vec<u8> {
        match &self.thread {
            Some(t) => t
                .name
                .lock()
                .iter()
                .copied()
                .take_while(|&b| b != 0)
                .collect(),
            None => self.process.comm(),
        }
    }

    pub fn state(&self) -> char {
        match (&self.thread, self.process.state()) {
            (Some(t), 'R' | 'S') => {
                if t.is_sleeping() {
                    'S'
                } else {
                    'R'
                }
            }
            (_, state) => state,
        }
    }

    pub fn terminal(&self) -> Option<Terminal> {
        let terminal = self.process.terminal()?;
        Some(Terminal {
            dev: terminal.dev.encode(),
            foreground: terminal.foreground(),
        })
    }

    /// Processor time in the program and in the kernel.
    pub fn times(&self) -> Times {
        self.thread
            .as_ref()
            .map_or_else(|| self.process.times(), |t| t.times())
    }

    /// Page faults.
    pub fn faults(&self) -> u64 {
        match &self.thread {
            Some(t) => t.sched.faults.load(Ordering::Relaxed),
            None => self.process.usage().faults,
        }
    }

    /// What the children used that were waited for.
    pub fn children(&self) -> Usage {
        self.process.usage.children()
    }

    /// Monotonic time of its start.
    pub fn start_ns(&self) -> u64 {
        self.thread
            .as_ref()
            .map_or(self.process.start_ns, |t| t.start_ns)
    }

    /// Niceness, policy, last core, core mask.
    pub fn scheduling(&self) -> (i32, i32, usize, u64) {
        self.main_thread().map_or((0, 0, 0, 0), |t| {
            let s = &t.sched;
            let load = Ordering::Relaxed;
            (
                s.nice.load(load),
                s.policy.load(load),
                s.cpu.load(load),
                s.affinity.load(load),
            )
        })
    }

    /// Context switches: given up, taken.
    pub fn switches(&self) -> (u64, u64) {
        self.main_thread().map_or((0, 0), |t| {
            (
                t.sched.voluntary.load(Ordering::Relaxed),
                t.sched.involuntary.load(Ordering::Relaxed),
            )
        })
    }

    pub fn counters(&self) -> Counters {
        // A zombie's memory is gone, whatever is left of the space.
        if self.process.is_zombie() {
            Counters::default()
        } else {
            self.process.space().counters()
        }
    }

    pub fn areas(&self, f: impl FnMut(AreaInfo)) -> Result<()> {
        if self.process.is_zombie() {
            Ok(())
        } else {
            self.process.space().for_each_area(f)
        }
    }

    /// The arguments, NUL after each, as they are in the program's memory now.
    pub fn arguments(&self) -> Result<Vec<u8>> {
        let (from, to) = self.process.space().args();
        self.memory(from, to)
    }

    pub fn environment(&self) -> Result<Vec<u8>> {
        let (from, to) = self.process.space().env();
        self.memory(from, to)
    }

    fn memory(&self, from: usize, to: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.process.is_zombie() || to <= from {
            return Ok(bytes);
        }
        bytes
            .try_reserve_exact(to - from)
            .map_err(|_| Errno::ENOMEM)?;
        bytes.resize(to - from, 0);
        self.process.space().read_memory(from, &mut bytes)?;
        Ok(bytes)
    }

    pub fn limit(&self, which: u32) -> Result<Limit> {
        self.process.limits.lock().get(which)
    }
    pub fn exe(&self) -> Option<Path> {
        self.process.exe()
    }
    pub fn context(&self) -> Arc<FsContext> {
        self.process.fs.lock().clone()
    }
    pub fn files(&self) -> Arc<FdTable> {
        self.process.files.lock().clone()
    }
    pub fn creds(&self) -> Arc<Credentials> {
        self.process.creds()
    }

    pub fn signals(&self) -> Signals {
        let mut signals = Signals {
            shared_pending: self.process.signals.pending.lock().set().0,
            ..Signals::default()
        };
        if let Some(t) = self.main_thread() {
            let own = t.signals.lock();
            signals.pending = own.pending.set().0;
            signals.blocked = own.mask.0;
        }
        let actions = self.process.actions.lock().clone();
        let actions = actions.lock();
        for signo in 1..=64 {
            match actions.get(signo).handler {
                0 => {}
                1 => signals.ignored |= 1 << (signo - 1),
                _ => signals.caught |= 1 << (signo - 1),
            }
        }
        signals
    }

    /// As `wait` reports it, once it is decided.
    pub fn exit_status(&self) -> i32 {
        if self.process.is_zombie() {
            self.process.exit_status.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    pub fn oom_score_adj(&self) -> i32 {
        self.process.oom_score_adj.load(Ordering::Relaxed)
    }
    pub fn set_oom_score_adj(&self, adj: i32) {
        self.process.oom_score_adj.store(adj, Ordering::Relaxed);
    }
    pub fn set_comm(&self, name: [u8; 16]) {
        if let Some(t) = self.main_thread() {
            *t.name.lock() = name;
        }
    }
}

/// Time on cores of everything that ever ran: each process has its own and that of the children it buried.
pub fn busy() -> Times {
    let mut sum = Times::default();
    for p in processes() {
        sum.add(p.times());
        sum.add(p.usage.children().times);
    }
    sum
}

pub fn thread_count() -> usize {
    let mut count = 0;
    table::for_each(|p| count += p.threads.lock().len());
    count
}
pub fn last_pid() -> Pid {
    table::last_pid()
}
pub const PID_MAX: Pid = table::PID_MAX;

/// Bytes of memory: all, free, promised to programs.
pub fn memory() -> (usize, usize, usize) {
    let page = crate::base::PAGE_SIZE;
    (
        frames::total_count() * page,
        free_bytes(),
        crate::memory::commit::committed() * page,
    )
}

#[cfg(target_os = "none")]
mod machine {
    use crate::process::core_times::Report;

    pub use crate::process::misc::{
        MACHINE, RELEASE, SYSTEM_NAME, build_version, free_bytes, host_name,
    };

    pub fn cores() -> usize {
        crate::arch::cpu::online_count()
    }
    pub fn core_times(now: u64) -> impl Iterator<Item = Report> {
        crate::arch::cpu::online().map(move |c| crate::process::scheduler::core_times(c, now))
    }
    pub fn runnable() -> usize {
        crate::process::scheduler::runnable()
    }
    pub fn command_line() -> &'static str {
        crate::arch::boot::command_line()
    }
}
/// What host tests see.
#[cfg(not(target_os = "none"))]
mod machine {
    use crate::process::core_times::Report;

    pub const SYSTEM_NAME: &str = "RustOS";
    pub const RELEASE: &str = "0";
    pub const MACHINE: &str = "host";

    pub fn build_version() -> alloc::string::String {
        "#1 test kernel".into()
    }
    pub fn free_bytes() -> usize {
        crate::memory::frames::free_count() * crate::base::PAGE_SIZE
    }
    pub fn host_name() -> alloc::vec::Vec<u8> {
        b"host".to_vec()
    }
    pub fn cores() -> usize {
        2
    }
    pub fn core_times(now: u64) -> impl Iterator<Item = Report> {
        let report = Report {
            idle: now,
            ..Report::default()
        };
        (0..cores()).map(move |_| report)
    }
    pub fn runnable() -> usize {
        1
    }
    pub fn command_line() -> &'static str {
        "console=test"
    }
}
pub use machine::*;
