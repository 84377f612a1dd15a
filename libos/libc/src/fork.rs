//! `fork`, and what is done around it.
//!
//! A child has one thread, the caller's. What another thread was changing at that moment would stay half-done there for
//! ever, so the library's locks are taken around a fork. A process of one thread needs none of that, and must not wait for
//! them: a signal handler may fork, and what it has interrupted, perhaps under a lock, goes on in the child as well.

use crate::errno::cvt_int;
use crate::lock::Lock;
use crate::malloc::malloc;
use crate::{env, exit, heap, pthread, signal, stdio, tcb, time};
use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::*};
use libc::pid_t;

type Hook = unsafe extern "C" fn();

/// What a call of `pthread_atfork` registered. The list is never taken apart: who runs through it needs no lock.
struct Hooks {
    prepare: Option<Hook>,
    parent: Option<Hook>,
    child: Option<Hook>,
    older: *mut Hooks,
}
static NEWEST: AtomicPtr<Hooks> = AtomicPtr::new(null_mut());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_atfork(
    prepare: Option<Hook>,
    parent: Option<Hook>,
    child: Option<Hook>,
) -> c_int {
    let hooks = malloc(size_of::<Hooks>()).cast::<Hooks>();
    if hooks.is_null() {
        return libc::ENOMEM;
    }
    let mut older = NEWEST.load(Relaxed);
    loop {
        hooks.write(Hooks {
            prepare,
            parent,
            child,
            older,
        });
        match NEWEST.compare_exchange(older, hooks, Release, Relaxed) {
            Ok(_) => return 0,
            Err(found) => older = found,
        }
    }
}

unsafe fn oldest_first(hooks: *mut Hooks, which: fn(&Hooks) -> Option<Hook>) {
    if !hooks.is_null() {
        oldest_first((*hooks).older, which);
        if let Some(f) = which(&*hooks) {
            f();
        }
    }
}

/// Every lock that a child could find taken by a thread that it does not have. Where one is taken while another is held, it
/// comes later.
static LOCKS: [&Lock; 6] = [
    &env::LOCK,
    &time::ZONE_LOCK,
    &exit::LOCK,
    &stdio::LIST,
    &pthread::SPARE_LOCK,
    &heap::LOCK,
];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fork() -> pid_t {
    let newest = NEWEST.load(Acquire);
    let mut hooks = newest;
    while !hooks.is_null() {
        if let Some(f) = (*hooks).prepare {
            f();
        }
        hooks = (*hooks).older;
    }
    let locks = if pthread::alone() { &[] } else { &LOCKS[..] };
    locks.iter().for_each(|lock| lock.lock());
    let r = split();
    if r == 0 {
        locks.iter().for_each(|lock| lock.reset());
        oldest_first(newest, |h| h.child);
    } else {
        locks.iter().rev().for_each(|lock| lock.unlock());
        oldest_first(newest, |h| h.parent);
    }
    cvt_int(r)
}

/// The bare operation, with what makes the caller's thread the child's only one. The kernel tells the child its number before
/// a handler may ask for it; where there were other threads, a handler must not run before the child knows that they are gone.
unsafe fn split() -> isize {
    let alone = pthread::alone();
    let me = tcb::this();
    let mut flags = libc::CLONE_CHILD_SETTID;
    if !(*me).main {
        // Its end, unlike that of a main thread, is told by the kernel without being asked for it then.
        flags |= libc::CLONE_CHILD_CLEARTID;
    }
    let mask = if alone {
        0
    } else {
        signal::set_mask(libc::SIG_SETMASK, u64::MAX)
    };
    // As others know it so far, perhaps not at all.
    let parent = (*me).tid.load(Relaxed);
    let r = door!(fork, flags, (*me).tid.as_ptr());
    if r == 0 {
        pthread::after_fork_child();
        stdio::after_fork_child(parent);
        exit::after_fork_child();
    }
    if !alone {
        signal::set_mask(libc::SIG_SETMASK, mask);
    }
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Fork() -> pid_t {
    cvt_int(split())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> pid_t {
    fork()
}
