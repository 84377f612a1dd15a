//! `malloc`: size classes, a cache of free blocks per thread, a shared heap behind one lock.
//!
//! A block is a chunk of `16 n` bytes: an 8-byte header that names its class, then the payload
//! (16-aligned, `16 n - 8` long). The thread's cache is a list per class and serves nearly every
//! call with a pop or a push. Blocks above [`LARGE`] are mappings of their own and go straight back
//! to the system, but for one that is kept for the next; `realloc` of those is `mremap`.

use crate::heap::{give_back, refill};
use crate::mman::anonymous;
use crate::string::{memcpy, memset};
use crate::tcb;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::*};

#[derive(PartialEq)]
enum Fresh {
    Zeroed,
    NotNeeded,
}

const STEP: usize = 16;
/// Chunks in steps of 16 up to here (1 KiB), then four to each doubling.
const FINE: usize = 64;
const DOUBLINGS: usize = 8;
pub const CLASSES: usize = FINE + 1 + 4 * DOUBLINGS;
/// The largest chunk of the heap: 256 KiB.
const LARGE: usize = 1024 << DOUBLINGS;
pub const HEADER: usize = 8;
/// Bytes of one class that a thread keeps for itself.
const KEEP: usize = 64 << 10;

pub const IN_USE: u64 = 0x5ca1_ab1e_0000_0000;
pub const FREED: u64 = 0xdead_b10c_0000_0000;
const MAPPED: u64 = IN_USE | 0xffff;
/// An aligned block within a larger one: the header's low half is the distance back.
const INNER: u64 = 0x5ca1_ab1f_0000_0000;
const MARK: u64 = 0xffff_ffff_0000_0000;

#[repr(C)]
pub struct Free {
    pub next: *mut Free,
}

/// A thread's free blocks.
#[repr(C)]
pub struct Cache {
    pub lists: [*mut Free; CLASSES],
    pub counts: [u32; CLASSES],
}

/// What fits a chunk of the fine steps.
const SMALL: usize = FINE * STEP - HEADER;

/// The class whose chunks hold `n` bytes and a header; `n` is at most `LARGE - HEADER`.
#[inline(always)]
fn class_of(n: usize) -> usize {
    if n <= SMALL {
        fine_class(n)
    } else {
        coarse_class(n)
    }
}

#[inline(always)]
fn fine_class(n: usize) -> usize {
    (n + HEADER).div_ceil(STEP).max(2)
}

#[inline(always)]
fn coarse_class(n: usize) -> usize {
    let last = ((n + HEADER).next_multiple_of(STEP)) - 1;
    let top = usize::BITS as usize - 1 - last.leading_zeros() as usize;
    let quarter = (last >> (top - 2)) & 3;
    FINE + 1 + (top - 10) * 4 + quarter
}

pub const fn chunk_of(class: usize) -> usize {
    if class <= FINE {
        class * STEP
    } else {
        let k = class - FINE - 1;
        (1024 << (k / 4)) + (256 << (k / 4)) * (k % 4 + 1)
    }
}

/// How many free blocks of a class a thread keeps.
static LIMITS: [u16; CLASSES] = {
    let mut limits = [0; CLASSES];
    let mut class = 2;
    while class < CLASSES {
        let n = KEEP / chunk_of(class);
        limits[class] = if n < 2 { 2 } else { n as u16 };
        class += 1;
    }
    limits
};

#[inline(always)]
pub unsafe fn header(p: *mut c_void) -> *mut u64 {
    p.cast::<u64>().sub(1)
}

#[inline(always)]
pub unsafe fn cache() -> *mut Cache {
    &raw mut (*tcb::this()).cache
}

// The slow ways of `malloc` and `free` are calls at their very end, of functions that never unwind: so the quick ways need
// no stack frame.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(n: usize) -> *mut c_void {
    if n <= SMALL {
        take(fine_class(n))
    } else {
        malloc_coarse(n)
    }
}

#[inline(never)]
unsafe extern "C" fn malloc_coarse(n: usize) -> *mut c_void {
    if n <= LARGE - HEADER {
        take(coarse_class(n))
    } else {
        map(n, Fresh::NotNeeded)
    }
}

/// A block of the class, from the thread's cache if it has one.
#[inline(always)]
unsafe fn take(class: usize) -> *mut c_void {
    // SAFETY: both ways to a class give one below `CLASSES`.
    core::hint::assert_unchecked(class < CLASSES);
    let cache = cache();
    let free = (*cache).lists[class];
    if free.is_null() {
        return refilled(class);
    }
    (*cache).lists[class] = (*free).next;
    (*cache).counts[class] -= 1;
    *header(free.cast()) = IN_USE | class as u64;
    free.cast()
}

#[cold]
#[inline(never)]
unsafe extern "C" fn refilled(class: usize) -> *mut c_void {
    refill(class).0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(p: *mut c_void) {
    if p.is_null() {
        return;
    }
    let h = *header(p);
    let class = (h & !MARK) as usize;
    if h & MARK != IN_USE || class >= CLASSES {
        return free_special(p, h);
    }
    let cache = cache();
    *header(p) = FREED;
    (*p.cast::<Free>()).next = (*cache).lists[class];
    (*cache).lists[class] = p.cast();
    (*cache).counts[class] += 1;
    if (*cache).counts[class] > LIMITS[class] as u32 {
        give_half_back(class);
    }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn give_half_back(class: usize) {
    give_back(class, (*cache()).counts[class] / 2);
}

/// Back to the system. `errno` stays: free is called on error paths.
unsafe fn drop_spare(start: *mut u64) {
    if !start.is_null() {
        door!(munmap, start, *start);
    }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn free_special(p: *mut c_void, h: u64) {
    if h == MAPPED {
        let mut start = p.cast::<u64>().sub(2);
        *start.add(1) = FREED;
        if *start as usize <= SPARE_MAX {
            start = SPARE.swap(start, AcqRel);
        }
        drop_spare(start);
    } else if h & MARK == INNER {
        free(p.byte_sub((h & !MARK) as usize));
    } else if h & MARK == FREED {
        corrupt("free(): block freed twice\n")
    } else {
        corrupt("free(): not a block of malloc\n")
    }
}

unsafe fn corrupt(what: &str) -> ! {
    door!(write, 2, what.as_ptr(), what.len());
    crate::exit::abort()
}

/// The mapping freed last, if it was small: buffers of this size come and go in loops.
static SPARE: AtomicPtr<u64> = AtomicPtr::new(null_mut());
const SPARE_MAX: usize = 1 << 20;

/// A block that is a mapping of its own: its length and the mark lie in the 16 bytes before it.
/// Its memory is zeroed, or not, as `fresh` says.
#[cold]
#[inline(never)]
unsafe fn map(n: usize, fresh: Fresh) -> *mut c_void {
    let Some(len) = n.checked_add(16 + 4095).map(|n| n & !4095) else {
        return enomem();
    };
    if len <= SPARE_MAX && fresh == Fresh::NotNeeded {
        let p = SPARE.swap(null_mut(), Acquire);
        if !p.is_null() {
            if (len..=2 * len).contains(&(*p as usize)) {
                *p.add(1) = MAPPED;
                return p.add(2).cast();
            }
            drop_spare(p);
        }
    }
    let r = anonymous(len);
    if r < 0 {
        return enomem();
    }
    let p = (r as *mut u64).add(2);
    *p.sub(2) = len as u64;
    *p.sub(1) = MAPPED;
    p.cast()
}

#[cold]
fn enomem() -> *mut c_void {
    crate::errno::set(libc::ENOMEM);
    null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(n: usize, size: usize) -> *mut c_void {
    let Some(bytes) = n.checked_mul(size) else {
        return enomem();
    };
    if bytes > LARGE - HEADER {
        return map(bytes, Fresh::Zeroed);
    }
    let class = class_of(bytes);
    let (p, zeroed) = if (*cache()).lists[class].is_null() {
        refill(class)
    } else {
        (malloc(bytes), false)
    };
    if !zeroed && !p.is_null() {
        memset(p, 0, bytes);
    }
    p
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(p: *mut c_void, n: usize) -> *mut c_void {
    if p.is_null() {
        return malloc(n);
    }
    let h = *header(p);
    if h == MAPPED && n > LARGE / 2 {
        return remap(p, n);
    }
    let usable = malloc_usable_size(p);
    if h & MARK == IN_USE && h != MAPPED && n <= usable && n >= usable / 4 {
        return p;
    }
    let q = malloc(n);
    if !q.is_null() {
        memcpy(q, p, usable.min(n));
        free(p);
    }
    q
}

unsafe fn remap(p: *mut c_void, n: usize) -> *mut c_void {
    let Some(len) = n.checked_add(16 + 4095).map(|n| n & !4095) else {
        return enomem();
    };
    let old = *p.cast::<u64>().sub(2) as usize;
    if len == old {
        return p;
    }
    let r = door!(
        mremap,
        p.byte_sub(16),
        old,
        len,
        libc::MREMAP_MAYMOVE,
        0usize
    );
    if r < 0 {
        return enomem();
    }
    let q = (r as *mut u64).add(2);
    *q.sub(2) = len as u64;
    q.cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(p: *mut c_void, n: usize, size: usize) -> *mut c_void {
    match n.checked_mul(size) {
        Some(bytes) => realloc(p, bytes),
        None => enomem(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(p: *mut c_void) -> usize {
    if p.is_null() {
        return 0;
    }
    let h = *header(p);
    if h == MAPPED {
        *p.cast::<u64>().sub(2) as usize - 16
    } else if h & MARK == INNER {
        let back = (h & !MARK) as usize;
        malloc_usable_size(p.byte_sub(back)) - back
    } else {
        chunk_of((h & !MARK) as usize) - HEADER
    }
}

/// A block at a multiple of `align`, a power of two.
unsafe fn aligned(align: usize, n: usize) -> *mut c_void {
    if align <= STEP {
        return malloc(n);
    }
    let Some(room) = n.checked_add(align).filter(|_| align < 1 << 31) else {
        return enomem();
    };
    let p = malloc(room);
    let at = p.map_addr(|a| (a + align - 1) & !(align - 1));
    if at != p {
        *header(at) = INNER | (at as u64 - p as u64);
    }
    at
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, n: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return libc::EINVAL;
    }
    let saved = crate::errno::get();
    let p = aligned(align, n);
    if p.is_null() {
        crate::errno::set(saved);
        return libc::ENOMEM;
    }
    *out = p;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, n: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        crate::errno::set(libc::EINVAL);
        return null_mut();
    }
    aligned(align, n)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, n: usize) -> *mut c_void {
    aligned_alloc(align, n)
}
