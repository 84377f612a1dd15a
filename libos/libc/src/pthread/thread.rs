//! Threads: creation, end, join, detach.
//!
//! A thread is one mapping: guard, stack, and above the stack its block and TLS, so that a thread
//! that does little touches two pages. The kernel clears `tid` and wakes its futex when the thread is
//! gone; only then may the mapping be used again.

use super::attr::{Attr, DEFAULT_GUARD, DEFAULT_STACK, EXPLICIT_SCHED};
use super::{cancel, cleanup, key, robust, spare};
use crate::door::__libc_clone;
use crate::lock::{Shared, futex_wait, futex_wait_until, futex_wake};
use crate::tcb::{self, Pthread};
use crate::{heap, signal};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};

pub const JOINABLE: u32 = 0;
pub const DETACHED: u32 = 1;
const EXITING: u32 = 2;
const JOINED: u32 = 3;

type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// Threads that may still take a lock of this library; when the last of all ends, so does the process.
static LIVE: AtomicI32 = AtomicI32::new(1);

/// Is the calling thread the only one?
pub fn alone() -> bool {
    LIVE.load(Acquire) == 1
}

unsafe extern "C" {
    fn __libc_unmap_exit(base: *mut u8, len: usize) -> !;
}

const CLONE_FLAGS: c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

unsafe fn map_stack(len: usize, guard: usize) -> Result<*mut u8, c_int> {
    if let Some(map) = spare::take(len, guard) {
        return Ok(map);
    }
    let r = crate::mman::anonymous(len);
    if r < 0 {
        return Err(libc::EAGAIN);
    }
    if guard > 0 && door!(mprotect, r, guard, libc::PROT_NONE) < 0 {
        door!(munmap, r, len);
        return Err(libc::EAGAIN);
    }
    Ok(r as *mut u8)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    out: *mut *mut Pthread,
    attr: *const Attr,
    start: Start,
    arg: *mut c_void,
) -> c_int {
    let (mut size, mut guard, mut given, mut detached) = (DEFAULT_STACK, DEFAULT_GUARD, 0, false);
    let mut scheduling = None;
    if !attr.is_null() {
        size = (*attr).stack_size;
        guard = (*attr).guard_size;
        given = (*attr).stack_end;
        detached = (*attr).detached != 0;
        if (*attr).inherit == EXPLICIT_SCHED {
            scheduling = Some(((*attr).policy, (*attr).priority));
        }
    }
    // Others, who soon may be there, find ours in our block.
    tcb::tid();
    let block = tcb::block_len();
    let round = |n: usize| (n + 4095) & !4095;
    // On a stack of the program's own the block is a mapping beside it.
    let guard = if given == 0 { round(guard) } else { 0 };
    let len = if given == 0 {
        round(guard + size + block)
    } else {
        round(block)
    };
    let map = match map_stack(len, guard) {
        Ok(map) => map,
        Err(e) => return e,
    };
    let t = tcb::init_block(map, len);
    let (low, top) = if given == 0 {
        (map.add(guard), t.cast::<u8>())
    } else {
        ((given - size) as *mut u8, (given & !15) as *mut u8)
    };
    (*t).map = map;
    (*t).map_len = len;
    (*t).guard = guard;
    (*t).stack = low;
    (*t).stack_len = top as usize - low as usize;
    (*t).start = Some(start);
    (*t).arg = arg;
    (*t).state = AtomicU32::new(if detached { DETACHED } else { JOINABLE });
    // The creator's mask, but nothing is delivered before the thread is set up.
    (*t).start_mask = signal::set_mask(libc::SIG_SETMASK, u64::MAX);
    (*t).on_hold = AtomicU32::new(scheduling.is_some() as u32);
    let mask = (*t).start_mask;
    LIVE.fetch_add(1, Relaxed);
    let tid = (*t).tid.as_ptr();
    let tp = t.add(1).cast::<u8>();
    let r = __libc_clone(CLONE_FLAGS as usize, top, tid, tp, tid, run, t.cast());
    let mut refused = 0;
    if let Some((policy, priority)) = scheduling
        && r >= 0
    {
        refused = -door!(sched_setscheduler, r, policy, &raw const priority) as c_int;
        if refused != 0 {
            // It ends without having begun.
            (*t).start = None;
            (*t).state.store(DETACHED, Relaxed);
        }
        (*t).on_hold.store(0, Release);
        futex_wake(&raw const (*t).on_hold, 1);
    }
    signal::set_mask(libc::SIG_SETMASK, mask);
    if r < 0 {
        LIVE.fetch_sub(1, Relaxed);
        door!(munmap, map, len);
        return if r == -(libc::ENOMEM as isize) {
            libc::EAGAIN
        } else {
            -r as c_int
        };
    }
    if refused == 0 {
        *out = t;
    }
    refused
}

unsafe extern "C" fn run(t: *mut c_void) -> ! {
    let t = t.cast::<Pthread>();
    while (*t).on_hold.load(Acquire) != 0 {
        futex_wait(&(*t).on_hold, 1);
    }
    signal::set_mask(libc::SIG_SETMASK, (*t).start_mask);
    let result = match (*t).start {
        Some(f) => f((*t).arg),
        None => null_mut(),
    };
    pthread_exit(result)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_exit(result: *mut c_void) -> ! {
    let t = tcb::this();
    (*t).result = result;
    // What runs now runs to its end.
    cancel::disable(t);
    cleanup::run_handlers(t);
    cleanup::run_hooks(t);
    key::run_destructors(t);
    // A handler must not find a half-gone thread.
    let mask = signal::set_mask(libc::SIG_SETMASK, u64::MAX);
    heap::thread_exit();
    let state = &(*t).state;
    let joined_by_none = !(*t).main
        && state
            .compare_exchange(JOINABLE, EXITING, AcqRel, Acquire)
            .is_err();
    let unmaps_itself = joined_by_none && !spare::keep(t);
    if LIVE.fetch_sub(1, AcqRel) == 1 {
        LIVE.store(1, Relaxed);
        signal::set_mask(libc::SIG_SETMASK, mask);
        crate::exit::exit(0);
    }
    // No lock from here on: who is alone now does not expect any to be held.
    if (*t).main {
        // Its block and stack stay; a join on it waits for `tid`.
        door!(set_tid_address, (*t).tid.as_ptr());
    } else if unmaps_itself {
        // The kernel must not look for mutexes, nor clear `tid`, in what is gone.
        robust::end_list();
        door!(set_tid_address, 0usize);
        __libc_unmap_exit((*t).map, (*t).map_len);
    }
    loop {
        door!(exit, 0);
    }
}

/// Waits for the kernel to let go of the thread.
unsafe fn await_end(t: *mut Pthread, until: *const libc::timespec) -> c_int {
    // SAFETY: the same word, as the futex calls take it.
    let word = &*(*t).tid.as_ptr().cast::<AtomicU32>();
    loop {
        let tid = word.load(Acquire);
        if tid == 0 {
            return 0;
        }
        // The kernel's wake at a thread's end is a shared one.
        let r = futex_wait_until(word, tid, libc::CLOCK_REALTIME, until, Shared::YES);
        if r == -(libc::ETIMEDOUT as isize) || r == -(libc::EINVAL as isize) {
            return -r as c_int;
        }
    }
}

unsafe fn join(t: *mut Pthread, out: *mut *mut c_void, until: *const libc::timespec) -> c_int {
    if t == tcb::this() {
        return libc::EDEADLK;
    }
    if matches!((*t).state.load(Acquire), DETACHED | JOINED) {
        return libc::EINVAL;
    }
    let e = await_end(t, until);
    if e != 0 {
        return e;
    }
    if !out.is_null() {
        *out = (*t).result;
    }
    (*t).state.store(JOINED, Relaxed);
    if !(*t).main && !spare::keep(t) {
        door!(munmap, (*t).map, (*t).map_len);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_join(t: *mut Pthread, out: *mut *mut c_void) -> c_int {
    join(t, out, core::ptr::null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_timedjoin_np(
    t: *mut Pthread,
    out: *mut *mut c_void,
    until: *const libc::timespec,
) -> c_int {
    join(t, out, until)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_tryjoin_np(t: *mut Pthread, out: *mut *mut c_void) -> c_int {
    if (*t).tid.load(Acquire) != 0 {
        libc::EBUSY
    } else {
        pthread_join(t, out)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_detach(t: *mut Pthread) -> c_int {
    match (*t)
        .state
        .compare_exchange(JOINABLE, DETACHED, AcqRel, Acquire)
    {
        Ok(_) => 0,
        // On its way out already: the rest of a join.
        Err(EXITING) => pthread_join(t, null_mut()),
        Err(_) => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn pthread_self() -> *mut Pthread {
    tcb::this()
}

#[unsafe(no_mangle)]
pub extern "C" fn pthread_equal(a: *mut Pthread, b: *mut Pthread) -> c_int {
    (a == b) as c_int
}

#[unsafe(no_mangle)]
pub extern "C" fn pthread_yield() -> c_int {
    // SAFETY: no arguments.
    unsafe { door!(sched_yield) as c_int }
}

/// The child has one thread, whichever it was.
pub unsafe fn after_fork_child() {
    LIVE.store(1, Relaxed);
    spare::after_fork_child();
    robust::after_fork_child();
}
