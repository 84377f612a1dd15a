//! What processes and threads have used: processor time, memory, faults, switches.
//!
//! A thread's time on a core is measured when it is switched. How much of it was the program's and how much the kernel's is
//! sampled: a program enters the kernel by a function call, and reading a counter at each would cost more than many calls.
//! While a core is busy it ticks every [`TICK`]; the tick counts for the program or for the kernel, whichever it found, and
//! the measured time is divided in that ratio. Interrupts are masked in the kernel, so a tick that comes due there is taken
//! at the first instruction after the door's `msr daifclr`, which is how it is known ([`found_in_kernel`]).

use super::Thread;
use crate::base::SpinLock;
use crate::user::Plain;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Time between two ticks of a busy core, ns.
pub const TICK: u64 = 4_000_000;

/// Ticks that found a thread in its program and in the kernel.
#[derive(Default)]
pub struct Ticks {
    user: AtomicU32,
    system: AtomicU32,
}

impl Ticks {
    pub fn get(&self) -> (u64, u64) {
        (
            self.user.load(Ordering::Relaxed) as u64,
            self.system.load(Ordering::Relaxed) as u64,
        )
    }

    /// The number of ticks so far, with this one.
    pub fn count(&self, in_kernel: bool) -> u64 {
        let which = if in_kernel { &self.system } else { &self.user };
        which.fetch_add(1, Ordering::Relaxed);
        let (user, system) = self.get();
        user + system
    }
}

/// Processor time in programs and in the kernel, ns.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Times {
    pub user: u64,
    pub system: u64,
}

impl Times {
    pub fn total(self) -> u64 {
        self.user + self.system
    }

    pub fn add(&mut self, other: Times) {
        self.user += other.user;
        self.system += other.system;
    }
}

/// Divides a measured time by what the ticks found (user, system). Without ticks all of it is the program's.
pub fn divide(total: u64, (user, system): (u64, u64)) -> Times {
    let all = (user + system).max(1) as u128;
    let system = (total as u128 * system as u128 / all) as u64;
    Times {
        user: total - system,
        system,
    }
}

/// As [`divide`], but neither part falls below what was `told` before: the ratio changes, clocks do not go back.
fn divide_after(told: Times, total: u64, ticks: (u64, u64)) -> Times {
    if total <= told.total() {
        return told;
    }
    let most = total - told.user;
    let system = divide(total, ticks).system.clamp(told.system, most);
    Times {
        user: total - system,
        system,
    }
}

/// What getrusage(2) tells.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub times: Times,
    /// The most memory at once.
    pub peak_pages: usize,
    /// Page faults; none of them waits for a disk.
    pub faults: u64,
    pub voluntary: u64,
    pub involuntary: u64,
}

impl Usage {
    /// Adds what another process used; of peaks the larger one counts.
    pub fn add(&mut self, other: &Usage) {
        self.times.add(other.times);
        self.peak_pages = self.peak_pages.max(other.peak_pages);
        self.faults += other.faults;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }

    /// Adds a thread's counts, without its time.
    pub fn count(&mut self, t: &Thread) {
        self.faults += t.sched.faults.load(Ordering::Relaxed);
        self.voluntary += t.sched.voluntary.load(Ordering::Relaxed);
        self.involuntary += t.sched.involuntary.load(Ordering::Relaxed);
    }
}

/// What a process keeps of its threads that have ended and of the children that it waited for.
#[derive(Default)]
pub struct Accounts {
    dead_ns: AtomicU64,
    dead_user_ticks: AtomicU64,
    dead_system_ticks: AtomicU64,
    /// Counts of ended threads; time and peak are not here. Leaf.
    dead: SpinLock<Usage>,
    /// The largest peak of the address spaces it had before.
    peak_pages: AtomicUsize,
    /// The times as they were told last. Leaf.
    told: SpinLock<Times>,
    /// Leaf.
    children: SpinLock<Usage>,
}

impl Accounts {
    /// Takes over what a thread used that ends. The caller holds the list of threads locked, so that nobody counts it twice.
    /// Returns the time that was taken over, ns.
    pub fn bury(&self, t: &Thread) -> u64 {
        let (user, system) = t.sched.ticks.get();
        let time = t.cpu_time_ns();
        self.dead_ns.fetch_add(time, Ordering::Relaxed);
        self.dead_user_ticks.fetch_add(user, Ordering::Relaxed);
        self.dead_system_ticks.fetch_add(system, Ordering::Relaxed);
        self.dead.lock().count(t);
        time
    }

    /// Adds the time, ns, that the last thread spent on taking the process apart.
    pub fn bury_rest(&self, time: u64) {
        self.dead_ns.fetch_add(time, Ordering::Relaxed);
    }

    /// Time of ended threads, ns.
    pub fn dead_ns(&self) -> u64 {
        self.dead_ns.load(Ordering::Relaxed)
    }

    /// Divides the time of the whole process; `ticks` are those of the threads that live.
    pub fn tell(&self, total: u64, ticks: (u64, u64)) -> Times {
        let ticks = (
            ticks.0 + self.dead_user_ticks.load(Ordering::Relaxed),
            ticks.1 + self.dead_system_ticks.load(Ordering::Relaxed),
        );
        let mut told = self.told.lock();
        *told = divide_after(*told, total, ticks);
        *told
    }

    /// An address space goes, whose peak was this.
    pub fn note_peak(&self, pages: usize) {
        self.peak_pages.fetch_max(pages, Ordering::Relaxed);
    }

    pub fn add_dead(&self, usage: &mut Usage) {
        usage.add(&self.dead.lock());
        usage.peak_pages = usage
            .peak_pages
            .max(self.peak_pages.load(Ordering::Relaxed));
    }

    pub fn add_child(&self, usage: &Usage) {
        self.children.lock().add(usage);
    }

    pub fn children(&self) -> Usage {
        *self.children.lock()
    }
}

/// `struct rusage`. What Linux does not fill in is 0; nothing is read from or written to a disk.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Rusage {
    user: [i64; 2],
    system: [i64; 2],
    max_rss_kib: i64,
    unused: [i64; 3],
    minor_faults: i64,
    unused2: [i64; 7],
    voluntary: i64,
    involuntary: i64,
}
// SAFETY: integers without padding.
unsafe impl Plain for Rusage {}

const _: () = assert!(size_of::<Rusage>() == 144);

impl From<Usage> for Rusage {
    fn from(u: Usage) -> Rusage {
        let split = |ns: u64| [(ns / 1_000_000_000) as i64, (ns / 1000 % 1_000_000) as i64];
        Rusage {
            user: split(u.times.user),
            system: split(u.times.system),
            max_rss_kib: u.peak_pages as i64 * 4,
            minor_faults: u.faults as i64,
            voluntary: u.voluntary as i64,
            involuntary: u.involuntary as i64,
            ..Rusage::default()
        }
    }
}

/// `msr daifclr, #2`, the last thing that a linked program's door does.
const UNMASK: u32 = 0xd503_42ff;

/// Whether an interrupt that was taken at `pc` of a linked program had been waiting while the kernel ran.
pub fn found_in_kernel(pc: u64) -> bool {
    let before = crate::user::UserPtr::<u32>::new((pc as usize).wrapping_sub(4));
    before.read() == Ok(UNMASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_divided_as_the_ticks_are() {
        let times = |user, system| Times { user, system };
        assert_eq!(divide(100, (0, 0)), times(100, 0));
        assert_eq!(divide(100, (3, 1)), times(75, 25));
        assert_eq!(divide(100, (0, 5)), times(0, 100));
        assert_eq!(divide(u64::MAX, (1, 1)).total(), u64::MAX);
    }

    #[test]
    fn neither_part_falls() {
        let accounts = Accounts::default();
        let mut before = Times::default();
        let history = [(10, 0, 0), (20, 0, 1), (20, 5, 1), (30, 9, 1), (90, 9, 9)];
        for (total, user, system) in history {
            let now = accounts.tell(total, (user, system));
            assert_eq!(now.total(), total);
            assert!(now.user >= before.user && now.system >= before.system);
            before = now;
        }
        // A thread's last moments may be missing while it is buried.
        assert_eq!(accounts.tell(80, (9, 9)), before);
    }
}
