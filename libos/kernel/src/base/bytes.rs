//! Short strings, looked at a word at a time.
//!
//! The kernel's target has the compiler avoid unaligned loads, of which it then makes eight of a byte each. Nothing here runs before
//! the MMU is on, from where on they are allowed.

use crate::arch::{load_u32, load_u64};

/// Whether two strings are the same.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Both ends, which may overlap, and what lies between them.
    if let (Some(x), Some(y)) = (ends(a), ends(b)) {
        x == y && (a.len() <= 16 || words(a).eq(words(b)))
    } else if let (Some(x), Some(y)) = (ends_u32(a), ends_u32(b)) {
        x == y
    } else {
        a.iter().eq(b)
    }
}

/// A hash, eight bytes at a time; not proof against hostile choice of strings.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = bytes.len() as u64;
    // A multiplication carries upwards only; tables look at all bits.
    let mut mix = |word: u64| {
        let product = (h ^ word) as u128 * K as u128;
        h = product as u64 ^ (product >> 64) as u64;
    };
    if let Some((first, last)) = ends(bytes) {
        if bytes.len() > 16 {
            words(&bytes[8..]).for_each(&mut mix);
        }
        mix(first);
        mix(last);
    } else if let Some((first, last)) = ends_u32(bytes) {
        mix(first as u64 | (last as u64) << 32);
    } else {
        mix(bytes.iter().fold(0, |t, &b| t << 8 | b as u64));
    }
    h
}

fn ends(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((load_u64(first), load_u64(last)))
}

fn ends_u32(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((load_u32(first), load_u32(last)))
}

/// Where `byte` is for the first time.
#[inline]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks();
    for (i, word) in words.iter().enumerate() {
        let word = load_u64(word) ^ (ONES * byte as u64);
        // The lowest bit that is set here is that of the first byte that is 0 now; those above it may be wrong.
        let zeros = word.wrapping_sub(ONES) & !word & TOPS;
        if zeros != 0 {
            return Some(i * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&b| b == byte)?;
    Some(bytes.len() - rest.len() + at)
}

/// The whole words of a string, from its start.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(load_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_lies_first() {
        for (byte, len) in (0..40).flat_map(|len| [(0, len), (b'/', len), (0xff, len)]) {
            assert_eq!(find(&vec![!byte; len], byte), None);
            for at in 0..len {
                let mut text = vec![byte ^ 0x80; len];
                text[at..].fill(byte ^ 1);
                text[at] = byte;
                assert_eq!(find(&text, byte), Some(at), "{byte:#x} of {len}");
            }
        }
    }

    #[test]
    fn names_that_are_numbered_have_hashes_far_apart() {
        let forms: [fn(u32) -> String; 4] = [
            |n| format!("f{n:03}"),
            |n| format!("file{n:03}"),
            |n| format!("file{n:06}"),
            |n| format!("a-long-name.of.numbers-{n}"),
        ];
        for form in forms {
            // The bits by which tables choose a bucket, and those by which they choose a leaf.
            for shift in [0, 32] {
                let seen = (0..512).map(|n| hash(form(n).as_bytes()) >> shift & 511);
                let different = seen.collect::<std::collections::HashSet<_>>().len();
                // 324 of 512 is what chance gives.
                assert!(different > 280, "{} from bit {shift}: {different}", form(0));
            }
        }
    }

    #[test]
    fn strings_are_the_same_only_if_every_byte_is() {
        for len in 0..40 {
            let a: Vec<u8> = (0..len).collect();
            assert!(same(&a, &a.clone()));
            assert!(!same(&a, &[&a[..], b"x"].concat()));
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at] ^= 0x40;
                assert!(!same(&a, &b), "at {at} of {len}");
                assert_ne!(hash(&a), hash(&b), "at {at} of {len}");
            }
        }
    }
}
