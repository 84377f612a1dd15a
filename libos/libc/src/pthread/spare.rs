//! The mappings of ended threads, a few of which wait for the next ones.

use crate::lock::Lock;
use crate::tcb::{self, Pthread};
use core::mem::offset_of;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::*;

/// Those of detached threads may still be on their way out (`tid` not 0).
static mut LIST: *mut Pthread = null_mut();
static mut COUNT: usize = 0;
pub static LOCK: Lock = Lock::new();
const KEEP: usize = 16;
/// What a kept stack may hold on to; what was touched below goes back to the system.
const TOP: usize = 16 << 10;
const PROBE: usize = 16 << 10;

/// A kept mapping of just this size whose thread is gone.
pub unsafe fn take(len: usize, guard: usize) -> Option<*mut u8> {
    LOCK.lock();
    let mut link = &raw mut LIST;
    let mut found = None;
    while !(*link).is_null() {
        let t = *link;
        if (*t).map_len == len && (*t).guard == guard && (*t).tid.load(Acquire) == 0 {
            *link = (*t).next_dead;
            COUNT -= 1;
            found = Some(t);
            break;
        }
        link = &raw mut (*t).next_dead;
    }
    LOCK.unlock();
    let t = found?;
    let map = (*t).map;
    // The block must be zero again but for the keys' values, which are; the stack need not be.
    let start = t.byte_add(offset_of!(Pthread, map)).cast::<u8>();
    crate::string::memset(start.cast(), 0, map as usize + len - start as usize);
    Some(map)
}

/// Gives back what the thread has used of its stack beyond the top.
unsafe fn trim(t: *mut Pthread) {
    let mut end = (t as usize - TOP) & !4095;
    if t == tcb::this() {
        // Below what is in use right now.
        let here = &raw const end as usize;
        end = end.min((here - 4096) & !4095);
    }
    let start = (*t).map as usize + (*t).guard;
    if end < start + PROBE {
        return;
    }
    // A look at a few pages is much quicker than a walk over all of them, and who went deeper has most likely been there.
    let mut there = [0u8; PROBE / 4096];
    door!(mincore, end - PROBE, PROBE, there.as_mut_ptr());
    if there != [0; PROBE / 4096] {
        door!(madvise, start, end - start, libc::MADV_DONTNEED);
    }
}

/// Keeps a mapping, or says that there are enough.
pub unsafe fn keep(t: *mut Pthread) -> bool {
    trim(t);
    LOCK.lock();
    let room = COUNT < KEEP;
    if room {
        (*t).next_dead = LIST;
        LIST = t;
        COUNT += 1;
    }
    LOCK.unlock();
    room
}

/// In the child of a fork: none of the threads is left.
pub unsafe fn after_fork_child() {
    let mut t = LIST;
    while !t.is_null() {
        (*t).tid.store(0, Relaxed);
        t = (*t).next_dead;
    }
}
