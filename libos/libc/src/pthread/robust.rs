//! Robust mutexes: when an owner dies, the next one gets the mutex with EOWNERDEAD and may mend what it protects.
//!
//! The word holds the owner's tid and two bits of the kernel's; each thread keeps a list of the robust mutexes that it has
//! where the kernel finds it (get_robust_list(2)). A thread may be killed between any two instructions, so the list can be
//! walked at all times, and the mutex that is just being taken or given up is announced beside it.

use super::mutex::Mutex;
use crate::lock::{futex_wait_until, futex_wake_in};
use crate::tcb;
use core::cell::Cell;
use core::ffi::c_int;
use core::mem::offset_of;
use core::ptr::null;
use core::sync::atomic::{Ordering::*, compiler_fence};
use libc::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, PTHREAD_MUTEX_NORMAL, timespec};

/// Nobody's tid: given up by one who did not mend it.
const LOST: u32 = FUTEX_TID_MASK;

/// A mutex's place in its owner's list; the kernel follows `next`.
#[repr(C)]
pub struct Links {
    next: Cell<*const Links>,
    previous: Cell<*const Links>,
}

/// A thread's list, as the kernel wants it: a ring through the head. All zeroes until it is needed.
#[repr(C)]
pub struct Held {
    first: Cell<*const Links>,
    /// From an entry to the mutex's word.
    offset: isize,
    announced: Cell<*const Links>,
}

/// The calling thread's list, which the kernel has been told of.
unsafe fn held() -> *const Held {
    let held = &raw mut (*tcb::this()).held;
    if (*held).first.get().is_null() {
        (*held).offset = offset_of!(Mutex, word) as isize - offset_of!(Mutex, links) as isize;
        (*held).first.set(held.cast());
        door!(set_robust_list, held, size_of::<Held>());
    }
    held
}

/// Gives the caller's mutexes to the next ones, as the kernel does at a thread's end, who no longer finds the list then.
pub unsafe fn end_list() {
    let held = &raw const (*tcb::this()).held;
    if (*held).first.get().is_null() {
        return;
    }
    loop {
        let links = (*held).first.get();
        if links == held.cast() {
            break;
        }
        let m = links.byte_sub(offset_of!(Mutex, links)).cast::<Mutex>();
        // Read before it is given up: whoever takes it next may end its life.
        let (word, shared) = (&raw const (*m).word, (*m).shared);
        (*held).announce(m);
        (*held).remove(links);
        let mut now = (*word).load(Relaxed);
        while let Err(found) = (*word).compare_exchange(
            now,
            now & FUTEX_WAITERS | FUTEX_OWNER_DIED,
            Release,
            Relaxed,
        ) {
            now = found;
        }
        if now & FUTEX_WAITERS != 0 {
            futex_wake_in(word, 1, shared);
        }
        (*held).settle();
    }
    door!(set_robust_list, 0usize, size_of::<Held>());
}

/// In the child of a fork: what the parent's thread holds is not the child's, and the kernel has forgotten the list.
pub unsafe fn after_fork_child() {
    let held = &raw mut (*tcb::this()).held;
    (*held).first.set(null());
    (*held).announced.set(null());
}

/// Steps of the owner's own list happen in the order in which they are written, as its killer sees them.
fn step() {
    compiler_fence(SeqCst);
}

impl Held {
    unsafe fn announce(&self, m: *const Mutex) {
        self.announced.set(&raw const (*m).links);
        step();
    }

    fn settle(&self) {
        step();
        self.announced.set(null());
    }

    unsafe fn add(&self, links: *const Links) {
        let next = self.first.get();
        (*links).next.set(next);
        (*links).previous.set((&raw const *self).cast());
        step();
        self.first.set(links);
        if next != (&raw const *self).cast() {
            (*next).previous.set(links);
        }
    }

    unsafe fn remove(&self, links: *const Links) {
        let (next, previous) = ((*links).next.get(), (*links).previous.get());
        // The head, too, begins with its `next`.
        (*previous).next.set(next);
        if next != (&raw const *self).cast() {
            (*next).previous.set(previous);
        }
        step();
    }
}

pub fn is_mine(m: &Mutex) -> bool {
    m.word.load(Relaxed) & FUTEX_TID_MASK == tcb::tid() as u32
}

/// Takes it, waiting until then; without a time, even null, it does not wait.
pub unsafe fn lock(m: &Mutex, until: Option<*const timespec>) -> c_int {
    let (me, held) = (tcb::tid() as u32, &*held());
    // Of whom else waits, one who has slept knows nothing.
    let mut others = 0;
    held.announce(m);
    let result = loop {
        let now = m.word.load(Relaxed);
        let owner = now & FUTEX_TID_MASK;
        if owner == 0 {
            let mine = me | others | now & (FUTEX_WAITERS | FUTEX_OWNER_DIED);
            if m.word
                .compare_exchange(now, mine, Acquire, Relaxed)
                .is_err()
            {
                continue;
            }
            m.depth.set(0);
            held.add(&raw const m.links);
            break if now & FUTEX_OWNER_DIED != 0 {
                libc::EOWNERDEAD
            } else {
                0
            };
        }
        if owner == LOST {
            break libc::ENOTRECOVERABLE;
        }
        let recursive = m.kind() == libc::PTHREAD_MUTEX_RECURSIVE;
        if owner == me && (recursive || until.is_some() && m.kind() != PTHREAD_MUTEX_NORMAL) {
            break m.lock_again();
        }
        let Some(until) = until else {
            break libc::EBUSY;
        };
        let marked = now | FUTEX_WAITERS;
        if now != marked
            && m.word
                .compare_exchange(now, marked, Relaxed, Relaxed)
                .is_err()
        {
            continue;
        }
        others = FUTEX_WAITERS;
        let r = futex_wait_until(&m.word, marked, libc::CLOCK_REALTIME, until, m.shared);
        if r == -(libc::ETIMEDOUT as isize) || r == -(libc::EINVAL as isize) {
            break -r as c_int;
        }
    };
    held.settle();
    result
}

/// Gives it up, the caller's own. What its owner has not mended is lost to all.
pub unsafe fn unlock(m: *const Mutex) {
    let held = &*held();
    // Read before it is given up: whoever takes it next may end its life.
    let (word, shared) = (&raw const (*m).word, (*m).shared);
    let (left, count) = match (*word).load(Relaxed) & FUTEX_OWNER_DIED {
        0 => (0, 1),
        _ => (LOST, i32::MAX),
    };
    held.announce(m);
    held.remove(&raw const (*m).links);
    if (*word).swap(left, Release) & FUTEX_WAITERS != 0 {
        futex_wake_in(word, count, shared);
    }
    held.settle();
}

/// The caller has mended what the mutex protects; false if it has no mutex to mend.
pub fn mend(m: &Mutex) -> bool {
    let mine = is_mine(m) && m.word.load(Relaxed) & FUTEX_OWNER_DIED != 0;
    if mine {
        m.word.fetch_and(!FUTEX_OWNER_DIED, Relaxed);
    }
    mine
}
