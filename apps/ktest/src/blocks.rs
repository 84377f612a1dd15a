//! Blocks of bytes: copied, filled, compared and searched, at every alignment.

use crate::support::*;
use libc::{c_char, c_int, c_void};
use std::ffi::CStr;

crate::harness::tests![
    copies_are_exact,
    overlapping_copies_are_exact,
    fills_are_exact,
    comparisons_find_the_first_difference,
    searches_find_the_right_byte,
    strings_end_where_they_end,
    looks_stay_within_the_page,
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// Runs `check` with a length, mostly short, and two places.
fn everywhere(mut check: impl FnMut(usize, usize, usize, &mut Random)) {
    let mut random = Random(88_172_645_463_325_252);
    for round in 0..8000 {
        let n = random.below(if round % 10 == 0 { 4000 } else { 300 });
        let (a, b) = (random.below(100), random.below(100));
        check(n, a, b, &mut random);
    }
}

fn copies_are_exact() {
    let source = Random(1).bytes(5000);
    let mut target = Random(2).bytes(5000);
    everywhere(|n, from, to, _| {
        let mut expected = target.clone();
        expected[to..to + n].copy_from_slice(&source[from..from + n]);
        let at = target[to..].as_mut_ptr().cast();
        assert_eq!(sys!(memcpy(at, source[from..].as_ptr().cast(), n)), at);
        assert!(target == expected, "{n} bytes from {from} to {to}");
    });
}

fn overlapping_copies_are_exact() {
    let mut bytes = Random(3).bytes(5000);
    everywhere(|n, from, to, random| {
        let mut expected = bytes.clone();
        expected[to..to + n].copy_from_slice(&bytes[from..from + n]);
        let start = bytes.as_mut_ptr();
        sys!(memmove(
            start.wrapping_add(to).cast(),
            start.wrapping_add(from).cast(),
            n
        ));
        assert!(bytes == expected, "{n} bytes from {from} to {to}");
        bytes[random.below(5000)] = random.below(256) as u8;
    });
}

fn fills_are_exact() {
    let mut bytes = Random(4).bytes(5000);
    everywhere(|n, at, value, random| {
        let value = if random.below(2) == 0 { 0 } else { value };
        let mut expected = bytes.clone();
        expected[at..at + n].fill(value as u8);
        sys!(memset(bytes[at..].as_mut_ptr().cast(), value as c_int, n));
        assert!(bytes == expected, "{n} bytes at {at}");
        let again = random.below(5000);
        bytes[again] = 1;
    });
}

fn comparisons_find_the_first_difference() {
    let bytes = Random(5).bytes(5000);
    everywhere(|n, at, place, random| {
        let mut other = vec![0; place];
        other.extend_from_slice(&bytes[at..at + n]);
        if n > 0 && random.below(2) == 0 {
            other[place + random.below(n)] = random.below(256) as u8;
        }
        let (a, b) = (&other[place..], &bytes[at..at + n]);
        let found = sys!(memcmp(a.as_ptr().cast(), b.as_ptr().cast(), n));
        assert_eq!(found.cmp(&0), a.cmp(b), "{n} bytes");
    });
}

fn offset_in(found: *const c_void, bytes: &[u8]) -> Option<usize> {
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

fn searches_find_the_right_byte() {
    let bytes = Random(6).bytes(5000);
    everywhere(|n, at, _, random| {
        let bytes = &bytes[at..at + n];
        let c = random.below(256) as u8;
        let start = bytes.as_ptr().cast();
        let first = sys!(memchr(start, c_int::from(c), n));
        assert_eq!(offset_in(first, bytes), bytes.iter().position(|&b| b == c));
        let last = sys!(memrchr(start, c_int::from(c), n));
        assert_eq!(offset_in(last, bytes), bytes.iter().rposition(|&b| b == c));
    });
}

fn strings_end_where_they_end() {
    everywhere(|n, place, _, random| {
        let mut bytes: Vec<u8> = (0..place + n)
            .map(|_| 1 + random.below(255) as u8)
            .collect();
        bytes.push(0);
        let text = &bytes[place..];
        let start = text.as_ptr().cast::<c_char>();
        assert_eq!(sys!(strlen(start)), n);
        assert_eq!(sys!(strnlen(start, n / 2)), n / 2);
        let c = random.below(256) as u8;
        let found = sys!(strchr(start, c_int::from(c)));
        assert_eq!(
            offset_in(found.cast(), text),
            text.iter().position(|&b| b == c)
        );
        let found = sys!(strrchr(start, c_int::from(c)));
        assert_eq!(
            offset_in(found.cast(), text),
            text.iter().rposition(|&b| b == c)
        );
        let mut copy = bytes.clone();
        assert_eq!(sys!(strcmp(copy[place..].as_ptr().cast(), start)), 0);
        if n > 0 {
            let i = place + random.below(n);
            copy[i] = copy[i].wrapping_add(1).max(1);
            let found = sys!(strcmp(copy[place..].as_ptr().cast(), start));
            // SAFETY: both end in NUL.
            let (a, b) = unsafe {
                (
                    CStr::from_ptr(copy[place..].as_ptr().cast()),
                    CStr::from_ptr(start),
                )
            };
            assert_eq!(found.cmp(&0), a.to_bytes().cmp(b.to_bytes()));
        }
    });
}

/// A string or block that ends where the memory ends.
fn looks_stay_within_the_page() {
    let page = crate::locks::Page::new(libc::MAP_PRIVATE);
    let start = page.at::<u8>(0);
    // The page after it is away.
    let two = sys!(mmap(
        std::ptr::null_mut(),
        8192,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
        0
    ));
    ok(sys!(mprotect(
        two.wrapping_byte_add(4096),
        4096,
        libc::PROT_NONE
    )));
    for n in 0..200usize {
        let at = two.wrapping_byte_add(4096 - n - 1);
        sys!(memset(at, 1, n));
        assert_eq!(sys!(strlen(at.cast())), n);
        assert!(sys!(strchr(at.cast(), 7)).is_null());
        assert!(sys!(memchr(at, 7, n + 1)).is_null());
        assert!(sys!(memrchr(at, 7, n + 1)).is_null());
        sys!(memcpy(start.cast(), at, n + 1));
        assert_eq!(sys!(memcmp(start.cast(), at, n + 1)), 0);
        assert_eq!(sys!(strcmp(start.cast(), at.cast())), 0);
    }
}
