//! Short strings, looked at a word at a time.
//!
//! The kernel's target has the compiler avoid unaligned loads, of which it then makes eight of a byte each. Nothing here runs before
//! the MMU is on, from where on they are allowed.

use crate::arch::{load_half, load_word};

/// Whether two strings are the same.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Both ends, which may overlap, and what lies between them.
    if let (Some(x), Some(y)) = (ends(a), ends(b)) {
        x == y && (a.len() <= 16 || words(a).eq(words(b)))
    } else if let (Some(x), Some(y)) = (half_ends(a), half_ends(b)) {
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
    let mut mix = |word: u64| {
        h = (h ^ word).wrapping_mul(K);
        h ^= h >> 32;
    };
    if let Some((first, last)) = ends(bytes) {
        if bytes.len() > 16 {
            words(&bytes[8..]).for_each(&mut mix);
        }
        mix(first);
        mix(last);
    } else if let Some((first, last)) = half_ends(bytes) {
        mix(first as u64 | (last as u64) << 32);
    } else {
        mix(bytes.iter().fold(0, |t, &b| t << 8 | b as u64));
    }
    h
}

fn ends(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((load_word(first), load_word(last)))
}

fn half_ends(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((load_half(first), load_half(last)))
}

/// Where `byte` is for the first time.
#[inline]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks();
    for (i, word) in words.iter().enumerate() {
        let word = load_word(word) ^ ONES * byte as u64;
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
    bytes.as_chunks().0.iter().map(load_word)
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
