//! The lock order, checked while a kernel with assertions runs.
//!
//! A lock's *class* is the place in the source where it was made. Whenever one is taken, each lock that the core holds gives a
//! pair (held class, taken class). If the pairs ever form a circle, some interleaving deadlocks, although this run did not:
//! the kernel panics and names the classes, where they were taken, and by which calls the other order came about. The same goes
//! for a lock that its own core holds, for two locks of one class (unless said to be ordered, `lock_nested`), and for a core that
//! may sleep while it holds one.
//!
//! Touching program memory counts as taking a lock of the class *program memory*, which is held while a page fault is mended:
//! so a lock that the fault path takes and that is held over a copy is found, fault or no fault.
//!
//! The idea is that of Linux's lockdep; docs/waiting.md has the rules. Nothing here sleeps, allocates or takes a checked lock.

pub mod graph;
pub mod held;
mod report;

pub use report::Name;

use crate::arch;
use core::panic::Location;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, Ordering};
use graph::{Graph, MAX_CALLS, MAX_CLASSES, Origin};
use held::{Entry, List};

/// What locks made at one place share.
pub struct Class {
    made: &'static Location<'static>,
    /// Index in [`CLASSES`], plus one; 0 until the lock is first taken.
    index: AtomicU16,
}

impl Class {
    /// The class of locks made where the caller was called.
    #[track_caller]
    pub const fn here() -> Self {
        Class {
            made: Location::caller(),
            index: AtomicU16::new(0),
        }
    }

    #[inline]
    fn index(&self) -> Option<u16> {
        match self.index.load(Ordering::Relaxed) {
            0 => self.find(),
            n => Some(n - 1),
        }
    }

    #[cold]
    fn find(&self) -> Option<u16> {
        let index = class_of(self.made)?;
        self.index.store(index + 1, Ordering::Relaxed);
        Some(index)
    }
}

/// How a lock is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Lock,
    /// Ordered by the caller among others of its class.
    Nested,
    /// Cannot wait, so it closes no circle.
    Try,
}

/// A place on the core's list.
pub struct Held(usize);

/// Where the classes were made. A hash table: a place never moves once it is there.
static CLASSES: [AtomicPtr<Location<'static>>; MAX_CLASSES] =
    [const { AtomicPtr::new(null_mut()) }; MAX_CLASSES];
static GRAPH: Graph = Graph::new();
/// The first report is the last: what a panicking kernel locks does not matter.
static REPORTED: AtomicBool = AtomicBool::new(false);
/// Program memory, as a lock.
static PROGRAM_MEMORY: Class = Class::here();
/// Its address on the lists of held locks.
const PROGRAM_MEMORY_ADDRESS: usize = 1;

#[cfg(target_os = "none")]
fn with_held<R>(f: impl FnOnce(&List) -> R) -> R {
    f(&HELD[arch::cpu_id()])
}

#[cfg(target_os = "none")]
static HELD: [List; arch::MAX_CPUS] = [const { List::new() }; arch::MAX_CPUS];

/// On the host every thread of a test run is a core of its own.
#[cfg(not(target_os = "none"))]
fn with_held<R>(f: impl FnOnce(&List) -> R) -> R {
    std::thread_local! { static HELD: List = const { List::new() }; }
    HELD.with(f)
}

/// What core `cpu` holds or waits for, and how many locks it has ever taken.
#[cfg(target_os = "none")]
pub fn of_core(cpu: usize) -> &'static List {
    &HELD[cpu]
}

/// Where the locks of class `index` are made.
pub fn made_at(index: u16) -> Option<&'static Location<'static>> {
    // SAFETY: null, or a `&'static Location` that `class_of` stored.
    unsafe { CLASSES[index as usize].load(Ordering::Acquire).as_ref() }
}

/// The number of the class made at `place`; none if there are too many classes.
fn class_of(place: &'static Location<'static>) -> Option<u16> {
    let hash = place.line() as usize * 31 + place.column() as usize + place.file().len() * 7;
    for step in 0..MAX_CLASSES {
        let index = (hash + step) % MAX_CLASSES;
        let slot = &CLASSES[index];
        let new = core::ptr::from_ref(place).cast_mut();
        let known =
            match slot.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(index as u16),
                Err(known) => known,
            };
        // SAFETY: not null, so a `&'static Location`. The same place may be there as another constant.
        if unsafe { &*known } == place {
            return Some(index as u16);
        }
    }
    None
}

/// Puts a lock on the core's list before it is waited for, and checks the order.
#[track_caller]
pub fn acquire(class: &Class, lock: *const u8, how: How) -> Held {
    let taken = Location::caller();
    let address = lock as usize;
    let Some(index) = class.index() else {
        return Held(0);
    };
    with_held(|list| {
        if how != How::Try {
            check(list, index, address, how, taken);
        }
        let entry = Entry {
            class: index,
            address,
            taken,
            owned: how == How::Try,
        };
        Held(if list.push(entry) { address } else { 0 })
    })
}

/// The lock has been gained.
#[inline]
pub fn acquired(held: &Held) {
    with_held(|list| list.own(held.0));
}

/// Takes a lock off the core's list.
#[inline]
pub fn release(held: &Held) {
    if held.0 != 0 {
        with_held(|list| list.remove(held.0));
    }
}

/// Panics if the core holds a spinlock.
#[track_caller]
pub fn may_sleep() {
    let holder = with_held(|list| list.iter().find(|e| e.address != PROGRAM_MEMORY_ADDRESS));
    if let Some(e) = holder {
        report::sleeps(e, Location::caller());
    }
}

/// Checks that what the core holds is not what a page fault takes.
#[track_caller]
pub fn may_fault() {
    let Some(index) = PROGRAM_MEMORY.index() else {
        return;
    };
    let taken = Location::caller();
    with_held(|list| {
        // A fault within a fault's own copy is the outer one's business.
        if !list.iter().any(|e| e.class == index) {
            check(list, index, PROGRAM_MEMORY_ADDRESS, How::Nested, taken);
        }
    });
}

/// A page fault is being mended, until the result is dropped or the thread sleeps.
#[track_caller]
pub fn enter_fault() -> InFault {
    InFault(acquire(
        &PROGRAM_MEMORY,
        core::ptr::without_provenance(PROGRAM_MEMORY_ADDRESS),
        How::Nested,
    ))
}

/// See [`enter_fault`].
pub struct InFault(Held);

impl Drop for InFault {
    fn drop(&mut self) {
        release(&self.0);
    }
}

/// The core changes threads: nothing may be held. A fault that sleeps goes on unwatched.
#[track_caller]
pub fn switch() {
    may_sleep();
    with_held(|list| list.remove(PROGRAM_MEMORY_ADDRESS));
}

#[inline]
fn check(list: &List, inner: u16, address: usize, how: How, taken: &'static Location<'static>) {
    for outer in list.iter() {
        if outer.address == address && address != PROGRAM_MEMORY_ADDRESS {
            report::recursion(outer, taken);
        } else if outer.class == inner {
            if how != How::Nested {
                report::same_class(outer, taken);
            }
        } else if !GRAPH.contains(outer.class, inner) {
            learn(outer, inner, taken);
        }
    }
}

#[cold]
fn learn(outer: Entry, inner: u16, taken: &'static Location<'static>) {
    let origin = Origin {
        outer: outer.class,
        inner,
        outer_taken: outer.taken,
        inner_taken: taken,
        calls: callers(),
    };
    if let Err(path) = GRAPH.add(origin) {
        report::circle(outer, inner, taken, &path);
    }
}

/// The return addresses that lead here.
fn callers() -> [usize; MAX_CALLS] {
    let mut calls = [0; MAX_CALLS];
    for (to, from) in calls.iter_mut().zip(arch::return_addresses()) {
        *to = from;
    }
    calls
}

#[cfg(test)]
mod tests;
