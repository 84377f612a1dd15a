//! `<stdlib.h>`: sorting, random numbers, temporary files, `realpath`.

use crate::errno::{cvt, cvt_int, fail};
use crate::string::{bytes, memcpy};
use core::ffi::{c_char, c_int, c_long, c_uint, c_void};
use core::ptr::null_mut;
use libc::PATH_MAX;

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;
type CompareR = unsafe extern "C" fn(*const c_void, *const c_void, *mut c_void) -> c_int;

/// Heap sort: in place, no recursion, n log n always.
unsafe fn sort(
    base: *mut u8,
    n: usize,
    size: usize,
    less: &mut dyn FnMut(*const u8, *const u8) -> bool,
) {
    let swap = |a: usize, b: usize| {
        // Two different items always.
        core::ptr::swap_nonoverlapping(base.add(a * size), base.add(b * size), size);
    };
    let mut sift = |mut root: usize, end: usize| {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && less(base.add(child * size), base.add((child + 1) * size)) {
                child += 1;
            }
            if !less(base.add(root * size), base.add(child * size)) {
                return;
            }
            swap(root, child);
            root = child;
        }
    };
    for i in (0..n / 2).rev() {
        sift(i, n);
    }
    for end in (1..n).rev() {
        swap(0, end);
        sift(0, end);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn qsort(base: *mut c_void, n: usize, size: usize, f: Compare) {
    sort(base.cast(), n, size, &mut |a, b| f(a.cast(), b.cast()) < 0);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn qsort_r(
    base: *mut c_void,
    n: usize,
    size: usize,
    f: CompareR,
    arg: *mut c_void,
) {
    sort(base.cast(), n, size, &mut |a, b| {
        f(a.cast(), b.cast(), arg) < 0
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bsearch(
    key: *const c_void,
    base: *const c_void,
    n: usize,
    size: usize,
    f: Compare,
) -> *mut c_void {
    let (mut lo, mut hi) = (0, n);
    while lo < hi {
        let mid = (lo + hi) / 2;
        let p = base.byte_add(mid * size);
        match f(key, p) {
            0 => return p.cast_mut(),
            r if r < 0 => hi = mid,
            _ => lo = mid + 1,
        }
    }
    null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn abs(v: c_int) -> c_int {
    v.wrapping_abs()
}
#[unsafe(no_mangle)]
pub extern "C" fn labs(v: c_long) -> c_long {
    v.wrapping_abs()
}

/// One less than the seed, so that it is 1 without a call.
static mut STATE: u64 = 0;

/// Knuth's 64-bit linear congruential generator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rand() -> c_int {
    STATE = STATE
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (STATE >> 33) as c_int
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn srand(seed: c_uint) {
    STATE = u64::from(seed).wrapping_sub(1);
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn random() -> c_long {
    rand() as c_long
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn srandom(seed: c_uint) {
    srand(seed)
}

/// Fills the six X before `suffix` bytes at the end with something new.
unsafe fn fresh(template: *mut c_char, suffix: c_int, mut make: impl FnMut() -> isize) -> isize {
    let name = bytes(template);
    let suffix = usize::try_from(suffix).unwrap_or(usize::MAX);
    let Some(stem) = name.len().checked_sub(suffix) else {
        return fail(libc::EINVAL);
    };
    if !name[..stem].ends_with(b"XXXXXX") {
        return fail(libc::EINVAL);
    }
    let at = template.add(stem - 6);
    for _ in 0..100 {
        let mut random = 0u64;
        door!(getrandom, &raw mut random, 8usize, 0);
        for i in 0..6 {
            let set = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
            *at.add(i) = set[(random % 62) as usize] as c_char;
            random /= 62;
        }
        let r = make();
        if r != -(libc::EEXIST as isize) {
            return cvt(r);
        }
    }
    fail(libc::EEXIST)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkostemps(t: *mut c_char, suffix: c_int, flags: c_int) -> c_int {
    let flags = flags | libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    fresh(t, suffix, || door!(openat, libc::AT_FDCWD, t, flags, 0o600)) as c_int
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkstemp(t: *mut c_char) -> c_int {
    mkostemps(t, 0, 0)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkstemps(t: *mut c_char, suffix: c_int) -> c_int {
    mkostemps(t, suffix, 0)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkostemp(t: *mut c_char, flags: c_int) -> c_int {
    mkostemps(t, 0, flags)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdtemp(t: *mut c_char) -> *mut c_char {
    if fresh(t, 0, || door!(mkdirat, libc::AT_FDCWD, t, 0o700)) < 0 {
        null_mut()
    } else {
        t
    }
}

/// The kernel resolves the path; `/proc/self/fd` tells what it came to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realpath(path: *const c_char, out: *mut c_char) -> *mut c_char {
    use core::fmt::Write;
    if path.is_null() {
        fail(libc::EINVAL);
        return null_mut();
    }
    let fd = cvt_int(door!(
        openat,
        libc::AT_FDCWD,
        path,
        libc::O_PATH | libc::O_CLOEXEC,
        0
    ));
    if fd < 0 {
        return null_mut();
    }
    let mut link = crate::stdio::Fixed::<40>::new();
    let named = write!(link, "/proc/self/fd/{fd}\0").is_ok();
    let mut buf = [0 as c_char; PATH_MAX as usize];
    let n = door!(
        readlinkat,
        libc::AT_FDCWD,
        link.as_ptr(),
        buf.as_mut_ptr(),
        buf.len() - 1
    );
    door!(close, fd);
    if !named || cvt(n) < 0 {
        return null_mut();
    }
    buf[n as usize] = 0;
    // A pipe or a socket has a description there, not a path.
    if buf[0] != b'/' as c_char {
        fail(libc::ENOENT);
        return null_mut();
    }
    if out.is_null() {
        return crate::string::strdup(buf.as_ptr());
    }
    memcpy(out.cast(), buf.as_ptr().cast(), n as usize + 1);
    out
}
