//! The heap that a process's threads share: free blocks by class, and an untouched stretch to cut
//! new ones from.
//!
//! It grows by mapping; its first stretch is in `.bss`, so that a short program maps nothing.

use crate::lock::Lock;
use crate::malloc::{CLASSES, FREED, Free, HEADER, IN_USE, cache, chunk_of, header};
use crate::mman::anonymous;
use core::ffi::c_void;
use core::ptr::null_mut;

const GROW: usize = 1 << 20;
/// Bytes of small chunks that are cut at once.
const BATCH: usize = 512;

struct Heap {
    lists: [*mut Free; CLASSES],
    at: *mut u8,
    end: *mut u8,
    grown: bool,
}

const FIRST: usize = 128 << 10;
#[repr(align(16))]
#[allow(dead_code, reason = "reached by address")]
struct First([u8; FIRST]);
// Not beside the statics that every process writes (`startup`): most of it stays untouched.
#[unsafe(link_section = ".bss.first_stretch")]
static mut FIRST_STRETCH: First = First([0; FIRST]);
#[unsafe(link_section = ".bss.libos.heap")]
static mut HEAP: Heap = Heap {
    lists: [null_mut(); CLASSES],
    at: null_mut(),
    end: null_mut(),
    grown: false,
};
#[unsafe(link_section = ".bss.libos.heap")]
pub static LOCK: Lock = Lock::new();

/// A block from the shared heap, with some more for the thread's cache; and whether it is zeroed.
#[cold]
pub unsafe fn refill(class: usize) -> (*mut c_void, bool) {
    let chunk = chunk_of(class);
    let cache = cache();
    let heap = &raw mut HEAP;
    LOCK.lock();
    let mut p = (*heap).lists[class].cast::<c_void>();
    let mut fresh = false;
    if !p.is_null() {
        let mut free = (*p.cast::<Free>()).next;
        let more = (4096 / chunk) as u32;
        while !free.is_null() && (*cache).counts[class] < more {
            let next = (*free).next;
            (*free).next = (*cache).lists[class];
            (*cache).lists[class] = free;
            (*cache).counts[class] += 1;
            free = next;
        }
        (*heap).lists[class] = free;
    } else {
        p = carve(&mut *heap, chunk);
        fresh = true;
        // A few neighbours, so that the lock is not taken for each.
        for _ in 0..BATCH / chunk {
            let more = carve(&mut *heap, chunk).cast::<Free>();
            if more.is_null() {
                break;
            }
            *header(more.cast()) = FREED;
            (*more).next = (*cache).lists[class];
            (*cache).lists[class] = more;
            (*cache).counts[class] += 1;
        }
    }
    LOCK.unlock();
    if p.is_null() {
        crate::errno::set(libc::ENOMEM);
    } else {
        *header(p) = IN_USE | class as u64;
    }
    (p, fresh)
}

/// Takes a chunk off the heap's untouched, zeroed stretch.
unsafe fn carve(heap: &mut Heap, chunk: usize) -> *mut c_void {
    if (heap.end as usize - heap.at as usize) < chunk && !grow(heap, chunk) {
        return null_mut();
    }
    let p = heap.at;
    heap.at = p.add(chunk);
    // Payloads are 16-aligned, so a chunk begins 8 below that.
    p.add(HEADER).cast()
}

unsafe fn grow(heap: &mut Heap, chunk: usize) -> bool {
    let (start, len) = if !heap.grown && chunk <= FIRST / 4 {
        heap.grown = true;
        ((&raw mut FIRST_STRETCH).cast::<u8>(), FIRST)
    } else {
        let r = anonymous(GROW);
        if r < 0 {
            return false;
        }
        (r as *mut u8, GROW)
    };
    // A stretch that follows the last one (the usual case) carries on from it.
    if start != heap.end {
        recycle(heap);
        heap.at = start.add(HEADER);
    }
    heap.end = start.add(len);
    (heap.end as usize - heap.at as usize) >= chunk || grow(heap, chunk)
}

/// Turns what is left of a stretch into free blocks.
unsafe fn recycle(heap: &mut Heap) {
    let mut left = heap.end as usize - heap.at as usize;
    let mut class = CLASSES - 1;
    while class >= 2 {
        let chunk = chunk_of(class);
        if left >= chunk {
            let p = heap.at.add(HEADER).cast::<Free>();
            *header(p.cast()) = FREED;
            (*p).next = heap.lists[class];
            heap.lists[class] = p;
            heap.at = heap.at.add(chunk);
            left -= chunk;
        } else {
            class -= 1;
        }
    }
}

/// Moves `n` blocks of a class to the shared heap.
#[cold]
pub unsafe fn give_back(class: usize, n: u32) {
    let cache = cache();
    let first = (*cache).lists[class];
    if first.is_null() || n == 0 {
        return;
    }
    let mut last = first;
    for _ in 1..n {
        last = (*last).next;
    }
    (*cache).lists[class] = (*last).next;
    (*cache).counts[class] -= n;
    LOCK.lock();
    let heap = &raw mut HEAP;
    (*last).next = (*heap).lists[class];
    (*heap).lists[class] = first;
    LOCK.unlock();
}

/// A thread ends: its cache becomes everyone's.
pub unsafe fn thread_exit() {
    let cache = cache();
    for class in 2..CLASSES {
        if !(*cache).lists[class].is_null() {
            give_back(class, (*cache).counts[class]);
        }
    }
}
