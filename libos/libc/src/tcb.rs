//! The thread block: what TPIDR_EL0 leads to.
//!
//! AArch64 TLS variant 1: TPIDR_EL0 points at a 16-byte header, the program's TLS block follows it
//! (aligned), and our own [`Pthread`] ends where the header begins:
//! `[ Pthread ][ header ][ .tdata copy, .tbss ]`.

use crate::malloc::Cache;
use crate::pthread::Held;
use core::ffi::{c_int, c_void};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32};

pub const KEYS_MAX: usize = 128;

/// A thread. `pthread_t` is its address.
#[repr(C, align(64))]
pub struct Pthread {
    /// Null at a thread's end as at its beginning, so that what lies here need not be cleared in between.
    pub tsd: [*mut c_void; KEYS_MAX],
    /// Which generation of its key each value belongs to.
    pub tsd_generations: [u32; KEYS_MAX],
    /// The mapping that holds stack and block; null for the main thread.
    pub map: *mut u8,
    pub map_len: usize,
    pub guard: usize,
    /// The usable stack, for `pthread_getattr_np`; zero length when unknown (main thread).
    pub stack: *mut u8,
    pub stack_len: usize,
    pub next_dead: *mut Pthread,
    pub start: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>,
    pub arg: *mut c_void,
    pub result: *mut c_void,
    pub start_mask: u64,
    /// 1 as long as the creator has not settled how it is scheduled.
    pub on_hold: AtomicU32,
    pub cleanup: *mut c_void,
    pub dtors: *mut c_void,
    pub cancel: AtomicI32,
    pub cancel_off: AtomicI32,
    /// No value is set from here on.
    pub tsd_end: usize,
    pub main: bool,
    /// One of `pthread::thread`'s `JOINABLE`, `DETACHED`, `EXITING`.
    pub state: AtomicU32,
    /// Kernel id; 0 when the kernel has let go of the thread, and in a process of one thread that has not asked yet.
    pub tid: AtomicI32,
    pub held: Held,
    pub cache: Cache,
    pub locale: *mut c_void,
    pub errno: c_int,
}

unsafe extern "C" {
    static __tdata_start: u8;
    static __tdata_end: u8;
    // Absolute symbols: their address is the value.
    static __tbss_size: u8;
    static __tls_align: u8;
}

#[inline(always)]
pub fn this() -> *mut Pthread {
    let tp: *mut Pthread;
    // SAFETY: reads a register. `pure`: a thread's block never moves.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) tp, options(pure, nomem, nostack, preserves_flags));
        tp.sub(1)
    }
}

fn tls_align() -> usize {
    ((&raw const __tls_align) as usize).max(16)
}

fn tdata_len() -> usize {
    (&raw const __tdata_end) as usize - (&raw const __tdata_start) as usize
}

/// Bytes that a thread block needs, wherever it starts.
pub fn block_len() -> usize {
    let align = tls_align().max(64);
    size_of::<Pthread>() + 2 * align + tdata_len() + tls_align() + (&raw const __tbss_size) as usize
}

/// Lays out a thread block in zeroed memory of `len >= block_len()` bytes; gives its `Pthread`.
pub unsafe fn init_block(area: *mut u8, len: usize) -> *mut Pthread {
    let align = tls_align().max(64);
    // As high as it fits, so that a thread's block shares its page with the stack's top no more
    // than it must and small areas waste nothing.
    let tail = tls_align() + tdata_len() + tls_align() + (&raw const __tbss_size) as usize;
    let tp = ((area as usize + len - tail) & !(align - 1)) as *mut u8;
    let tls = tp.add(tls_align());
    if tdata_len() != 0 {
        ptr::copy_nonoverlapping(&raw const __tdata_start, tls, tdata_len());
    }
    tp.sub(size_of::<Pthread>()).cast()
}

/// Makes `thread` the running one.
pub unsafe fn install(thread: *mut Pthread) {
    core::arch::asm!("msr tpidr_el0, {}", in(reg) thread.add(1), options(nostack, preserves_flags));
}

/// The calling thread's kernel id. The first thread of a process asks when it wants to know, and before it makes another.
pub fn tid() -> c_int {
    use core::sync::atomic::Ordering::Relaxed;
    // SAFETY: the running thread's block.
    unsafe {
        let t = (*this()).tid.load(Relaxed);
        if t != 0 {
            return t;
        }
        let t = door!(gettid) as c_int;
        (*this()).tid.store(t, Relaxed);
        t
    }
}
