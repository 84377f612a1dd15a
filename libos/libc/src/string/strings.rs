//! The string functions that no program of ours spends its time in.

use super::block::{memcpy, memset};
use super::scan::{strchrnul, strlen};
use crate::ctype::tolower;
use crate::malloc::malloc;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::{self, null_mut};

/// The bytes of a C string.
pub unsafe fn bytes<'a>(s: *const c_char) -> &'a [u8] {
    core::slice::from_raw_parts(s.cast(), strlen(s))
}

/// Puts `s` and a NUL into `buf`; false if it does not fit.
pub unsafe fn put(s: &[u8], buf: *mut c_char, len: usize) -> bool {
    if s.len() >= len {
        return false;
    }
    memcpy(buf.cast(), s.as_ptr().cast(), s.len());
    *buf.add(s.len()) = 0;
    true
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strnlen(s: *const c_char, n: usize) -> usize {
    let end = super::memchr(s.cast(), 0, n);
    if end.is_null() {
        n
    } else {
        end as usize - s as usize
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strchr(s: *const c_char, c: c_int) -> *mut c_char {
    let p = strchrnul(s, c);
    if *p == c as c_char { p } else { null_mut() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strrchr(s: *const c_char, c: c_int) -> *mut c_char {
    let mut i = strlen(s) + 1;
    while i > 0 {
        i -= 1;
        if *s.add(i) == c as c_char {
            return s.add(i).cast_mut();
        }
    }
    null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcmp(a: *const c_char, b: *const c_char) -> c_int {
    let (mut a, mut b) = (a.cast::<u8>(), b.cast::<u8>());
    // Word by word while both words lie within their pages.
    loop {
        if (a as usize & 4095) > 4088 || (b as usize & 4095) > 4088 {
            for _ in 0..8 {
                if *a != *b || *a == 0 {
                    return *a as c_int - *b as c_int;
                }
                a = a.add(1);
                b = b.add(1);
            }
            continue;
        }
        // SAFETY: eight bytes from here are in the page that holds the string's next byte.
        let (x, y) = (
            a.cast::<u64>().read_unaligned(),
            b.cast::<u64>().read_unaligned(),
        );
        let zero = x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080;
        if x != y || zero != 0 {
            loop {
                if *a != *b || *a == 0 {
                    return *a as c_int - *b as c_int;
                }
                a = a.add(1);
                b = b.add(1);
            }
        }
        a = a.add(8);
        b = b.add(8);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcoll(a: *const c_char, b: *const c_char) -> c_int {
    strcmp(a, b)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strxfrm(dst: *mut c_char, src: *const c_char, n: usize) -> usize {
    let len = strlen(src);
    if n > len {
        memcpy(dst.cast(), src.cast(), len + 1);
    }
    len
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncmp(a: *const c_char, b: *const c_char, n: usize) -> c_int {
    for i in 0..n {
        let (x, y) = (*a.add(i) as u8, *b.add(i) as u8);
        if x != y || x == 0 {
            return x as c_int - y as c_int;
        }
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcasecmp(a: *const c_char, b: *const c_char) -> c_int {
    strncasecmp(a, b, usize::MAX)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncasecmp(a: *const c_char, b: *const c_char, n: usize) -> c_int {
    for i in 0..n {
        let (x, y) = (
            tolower(*a.add(i) as u8 as c_int),
            tolower(*b.add(i) as u8 as c_int),
        );
        if x != y || x == 0 {
            return x - y;
        }
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stpcpy(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    let n = strlen(src);
    memcpy(dst.cast(), src.cast(), n + 1);
    dst.add(n)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcpy(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    stpcpy(dst, src);
    dst
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncpy(dst: *mut c_char, src: *const c_char, n: usize) -> *mut c_char {
    let len = strnlen(src, n);
    memcpy(dst.cast(), src.cast(), len);
    memset(dst.add(len).cast(), 0, n - len);
    dst
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcat(dst: *mut c_char, src: *const c_char) -> *mut c_char {
    strcpy(dst.add(strlen(dst)), src);
    dst
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncat(dst: *mut c_char, src: *const c_char, n: usize) -> *mut c_char {
    let end = dst.add(strlen(dst));
    let len = strnlen(src, n);
    memcpy(end.cast(), src.cast(), len);
    *end.add(len) = 0;
    dst
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlcpy(dst: *mut c_char, src: *const c_char, n: usize) -> usize {
    let len = strlen(src);
    if n > 0 {
        let k = len.min(n - 1);
        memcpy(dst.cast(), src.cast(), k);
        *dst.add(k) = 0;
    }
    len
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strdup(s: *const c_char) -> *mut c_char {
    strndup(s, usize::MAX >> 1)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strndup(s: *const c_char, n: usize) -> *mut c_char {
    let len = strnlen(s, n);
    let p = malloc(len + 1).cast::<c_char>();
    if !p.is_null() {
        memcpy(p.cast(), s.cast(), len);
        *p.add(len) = 0;
    }
    p
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strspn(s: *const c_char, set: *const c_char) -> usize {
    let set = bytes(set);
    bytes(s).iter().take_while(|c| set.contains(c)).count()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcspn(s: *const c_char, set: *const c_char) -> usize {
    let set = bytes(set);
    bytes(s).iter().take_while(|c| !set.contains(c)).count()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strpbrk(s: *const c_char, set: *const c_char) -> *mut c_char {
    let p = s.add(strcspn(s, set));
    if *p == 0 { null_mut() } else { p.cast_mut() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strstr(hay: *const c_char, needle: *const c_char) -> *mut c_char {
    let (h, n) = (bytes(hay), bytes(needle));
    memmem(h.as_ptr().cast(), h.len(), n.as_ptr().cast(), n.len()).cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmem(
    hay: *const c_void,
    hay_len: usize,
    needle: *const c_void,
    needle_len: usize,
) -> *mut c_void {
    if needle_len == 0 {
        return hay.cast_mut();
    }
    let needle = core::slice::from_raw_parts(needle.cast::<u8>(), needle_len);
    let end = hay as usize + hay_len;
    let mut at = hay;
    while (at as usize) + needle_len <= end {
        let span = end - at as usize - needle_len + 1;
        let p = super::memchr(at, needle[0] as c_int, span);
        if p.is_null() {
            break;
        }
        if core::slice::from_raw_parts(p.cast::<u8>(), needle_len) == needle {
            return p;
        }
        at = p.add(1);
    }
    null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtok_r(
    s: *mut c_char,
    set: *const c_char,
    save: *mut *mut c_char,
) -> *mut c_char {
    let mut s = if s.is_null() { *save } else { s };
    if s.is_null() {
        return null_mut();
    }
    s = s.add(strspn(s, set));
    if *s == 0 {
        *save = null_mut();
        return null_mut();
    }
    let end = s.add(strcspn(s, set));
    if *end == 0 {
        *save = null_mut();
    } else {
        *end = 0;
        *save = end.add(1);
    }
    s
}

static mut STRTOK: *mut c_char = null_mut();

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtok(s: *mut c_char, set: *const c_char) -> *mut c_char {
    strtok_r(s, set, &raw mut STRTOK)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strsep(sp: *mut *mut c_char, set: *const c_char) -> *mut c_char {
    let s = *sp;
    if !s.is_null() {
        let end = s.add(strcspn(s, set));
        if *end == 0 {
            *sp = null_mut();
        } else {
            *end = 0;
            *sp = end.add(1);
        }
    }
    s
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memccpy(
    dst: *mut c_void,
    src: *const c_void,
    c: c_int,
    n: usize,
) -> *mut c_void {
    let p = super::memchr(src, c, n);
    let len = if p.is_null() {
        n
    } else {
        p as usize - src as usize + 1
    };
    memcpy(dst, src, len);
    if p.is_null() {
        null_mut()
    } else {
        dst.add(len)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempcpy(dst: *mut c_void, src: *const c_void, n: usize) -> *mut c_void {
    memcpy(dst, src, n).add(n)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn explicit_bzero(p: *mut c_void, n: usize) {
    for i in 0..n {
        ptr::write_volatile(p.cast::<u8>().add(i), 0);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bzero(p: *mut c_void, n: usize) {
    memset(p, 0, n);
}
