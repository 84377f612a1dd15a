//! `FILE`: a stream under a lock that its owner may take again, and the list of them.

use super::stream::{Buffering, Mode, Stream};
use crate::lock::{Lock, futex_wait, futex_wake};
use crate::malloc::{free, malloc};
use crate::tcb;
use core::cell::Cell;
use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::*};

/// Threads that contend for a file share the lock; the stream is the owner's.
#[repr(C)]
pub struct File {
    pub stream: Stream,
    owner: AtomicU32,
    depth: Cell<u32>,
    /// What the buffer held when the lock was last given up: for those who write out every file, but will not wait for one
    /// that somebody reads.
    holds: AtomicU8,
    is_static: bool,
    /// How many are about to flush it, for which they may have to wait; it outlives them even when it is closed. The lock of
    /// the list is these two's.
    flushers: u32,
    is_closed: bool,
    previous: *mut File,
    next: *mut File,
}

const fn file(fd: c_int, buffering: Buffering, is_static: bool) -> File {
    File {
        stream: Stream::new(fd, buffering),
        owner: AtomicU32::new(0),
        depth: Cell::new(0),
        holds: AtomicU8::new(NOTHING),
        is_static,
        flushers: 0,
        is_closed: false,
        previous: null_mut(),
        next: null_mut(),
    }
}

static mut STDIN: File = file(0, Buffering::Full, true);
static mut STDOUT: File = file(1, Buffering::Undecided, true);
static mut STDERR: File = file(2, Buffering::None, true);

#[unsafe(no_mangle)]
pub static mut stdin: *mut File = &raw mut STDIN;
#[unsafe(no_mangle)]
pub static mut stdout: *mut File = &raw mut STDOUT;
#[unsafe(no_mangle)]
pub static mut stderr: *mut File = &raw mut STDERR;

/// The files that `fopen` made.
#[unsafe(link_section = ".bss.libos.stdio")]
static mut OPEN: *mut File = null_mut();
#[unsafe(link_section = ".bss.libos.stdio")]
pub static LIST: Lock = Lock::new();

const CONTENDED: u32 = 1 << 31;

const NOTHING: u8 = 0;
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;

/// Takes the lock if it is free or the caller's already.
unsafe fn take(f: *mut File) -> bool {
    let me = tcb::tid() as u32;
    let owner = &(*f).owner;
    if owner.load(Relaxed) & !CONTENDED == me {
        (*f).depth.set((*f).depth.get() + 1);
        return true;
    }
    owner.compare_exchange(0, me, Acquire, Relaxed).is_ok()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn flockfile(f: *mut File) {
    if take(f) {
        return;
    }
    let (me, owner) = (tcb::tid() as u32, &(*f).owner);
    loop {
        let now = owner.load(Relaxed);
        // Who has waited does not know of others who do.
        let wanted = (if now == 0 { me } else { now }) | CONTENDED;
        if now != wanted
            && owner
                .compare_exchange(now, wanted, Acquire, Relaxed)
                .is_err()
        {
            continue;
        }
        if now == 0 {
            return;
        }
        futex_wait(owner, wanted);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftrylockfile(f: *mut File) -> c_int {
    !take(f) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn funlockfile(f: *mut File) {
    let (depth, owner) = ((*f).depth.get(), &raw const (*f).owner);
    if depth > 0 {
        (*f).depth.set(depth - 1);
    } else if (*owner).swap(0, Release) & CONTENDED != 0 {
        futex_wake(owner, 1);
    }
}

/// Runs `body` with the file locked.
pub unsafe fn locked<R>(f: *mut File, body: impl FnOnce(&mut Stream) -> R) -> R {
    flockfile(f);
    with(f, body)
}

/// The same, unless another thread has the file locked.
unsafe fn try_locked<R>(f: *mut File, body: impl FnOnce(&mut Stream) -> R) -> Option<R> {
    if take(f) { Some(with(f, body)) } else { None }
}

/// Runs `body` with the file, which the caller has just locked, and unlocks it.
unsafe fn with<R>(f: *mut File, body: impl FnOnce(&mut Stream) -> R) -> R {
    let stream = &mut (*f).stream;
    let r = body(stream);
    let holds = match stream.mode {
        _ if stream.at == stream.end => NOTHING,
        Mode::Writing => OUTPUT,
        _ => INPUT,
    };
    (*f).holds.store(holds, Relaxed);
    funlockfile(f);
    r
}

pub unsafe fn new(fd: c_int) -> *mut File {
    let f = malloc(size_of::<File>()).cast::<File>();
    if f.is_null() {
        return f;
    }
    f.write(file(fd, Buffering::Undecided, false));
    LIST.lock();
    (*f).next = OPEN;
    if !OPEN.is_null() {
        (*OPEN).previous = f;
    }
    OPEN = f;
    LIST.unlock();
    f
}

/// The end of a file whose stream has been closed.
pub unsafe fn dispose(f: *mut File) {
    if !(*f).is_static {
        LIST.lock();
        (*f).is_closed = true;
        free_unused(f);
        LIST.unlock();
    }
}

/// Takes a closed file off the list, which the caller has locked, and frees it when nobody is about to flush it.
unsafe fn free_unused(f: *mut File) {
    if !(*f).is_closed || (*f).flushers > 0 {
        return;
    }
    if (*f).previous.is_null() {
        OPEN = (*f).next;
    } else {
        (*(*f).previous).next = (*f).next;
    }
    if !(*f).next.is_null() {
        (*(*f).next).previous = (*f).previous;
    }
    free(f.cast());
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fflush(f: *mut File) -> c_int {
    let ok = if f.is_null() {
        flush_all()
    } else {
        locked(f, |f| f.flush())
    };
    if ok { 0 } else { -1 }
}

/// A prompt without a newline must be seen before the answer is waited for. Whoever has standard output locked may be waiting
/// for what the reader has locked, so it is not waited for.
pub fn flush_prompt() {
    // SAFETY: a static file.
    unsafe {
        let f = &raw mut STDOUT;
        if (*f).holds.load(Relaxed) == OUTPUT {
            try_locked(f, |f| f.buffering != Buffering::Line || f.flush());
        }
    }
}

/// Makes a file as if it had no buffer, but for what is read ahead if somebody may be waiting for input at this moment.
unsafe fn settle(f: *mut File) -> bool {
    match (*f).holds.load(Relaxed) {
        OUTPUT => locked(f, |f| f.flush()),
        INPUT => try_locked(f, |f| f.flush()).unwrap_or(true),
        _ => true,
    }
}

/// All files' waiting output, and the places of those that are read. True if it all went out.
pub fn flush_all() -> bool {
    // SAFETY: the list's files live as long as `free_unused` finds them in use, and it changes the list under its lock.
    unsafe {
        let mut ok = settle(&raw mut STDOUT) & settle(&raw mut STDERR);
        LIST.lock();
        let mut f = OPEN;
        while !f.is_null() {
            // Whoever has the file locked may open or close another one before he gives it up.
            (*f).flushers += 1;
            LIST.unlock();
            ok &= settle(f);
            LIST.lock();
            let done = f;
            f = (*f).next;
            // A child that a handler has forked meanwhile begins at 0.
            (*done).flushers = (*done).flushers.saturating_sub(1);
            free_unused(done);
        }
        LIST.unlock();
        ok & settle(&raw mut STDIN)
    }
}

/// The child's only thread is the caller, of which the files know by the number that it had in the parent.
pub unsafe fn after_fork_child(parent: c_int) {
    let adopt = |f: *mut File| {
        let owner = &(*f).owner;
        let held = owner.load(Relaxed) & !CONTENDED;
        if held != 0 && held == parent as u32 {
            owner.store(tcb::tid() as u32, Relaxed);
        } else {
            owner.store(0, Relaxed);
            (*f).depth.set(0);
            (*f).stream.end_at_once();
        }
        (*f).flushers = 0;
    };
    for f in [&raw mut STDIN, &raw mut STDOUT, &raw mut STDERR] {
        adopt(f);
    }
    let mut f = OPEN;
    while !f.is_null() {
        adopt(f);
        f = (*f).next;
    }
}
