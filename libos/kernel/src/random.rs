//! The random number generator behind `getrandom` and `/dev/urandom`: ChaCha20 (RFC 8439) keyed from what the machine offers
//! (the boot loader's seed in the device tree, a counter), rekeyed with its own output after every request.

use crate::base::SpinLock;

struct Generator {
    key: [u32; 8],
    counter: u64,
}

static GENERATOR: SpinLock<Generator> = SpinLock::new(Generator {
    key: [0; 8],
    counter: 0,
});

fn quarter(s: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(16);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(12);
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(8);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(7);
}

fn block(key: &[u32; 8], counter: u32, nonce: [u32; 3]) -> [u32; 16] {
    let mut start = [
        0x6170_7865,
        0x3320_646e,
        0x7962_2d32,
        0x6b20_6574,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    start[4..12].copy_from_slice(key);
    start[12] = counter;
    start[13..].copy_from_slice(&nonce);
    let mut s = start;
    for _ in 0..10 {
        quarter(&mut s, 0, 4, 8, 12);
        quarter(&mut s, 1, 5, 9, 13);
        quarter(&mut s, 2, 6, 10, 14);
        quarter(&mut s, 3, 7, 11, 15);
        quarter(&mut s, 0, 5, 10, 15);
        quarter(&mut s, 1, 6, 11, 12);
        quarter(&mut s, 2, 7, 8, 13);
        quarter(&mut s, 3, 4, 9, 14);
    }
    core::array::from_fn(|i| s[i].wrapping_add(start[i]))
}

impl Generator {
    fn next(&mut self) -> [u32; 16] {
        self.counter += 1;
        block(
            &self.key,
            self.counter as u32,
            [(self.counter >> 32) as u32, 0, 0],
        )
    }
}

/// Mixes a seed into the key. It can only add to what is there.
pub fn seed(bytes: &[u8]) {
    let mut g = GENERATOR.lock();
    for chunk in bytes.chunks(32) {
        for (i, b) in chunk.iter().enumerate() {
            g.key[i / 4] ^= (*b as u32) << (8 * (i % 4));
        }
        let mixed = g.next();
        g.key.copy_from_slice(&mixed[..8]);
    }
}

/// Fills `out` with random bytes.
pub fn fill(out: &mut [u8]) {
    let mut g = GENERATOR.lock();
    let mut rest = out;
    loop {
        let words = g.next();
        // The first half is the next key, so that a later look at memory tells nothing of what was given out.
        let (key, give) = words.split_at(8);
        let n = rest.len().min(32);
        for (o, b) in rest[..n]
            .iter_mut()
            .zip(give.iter().flat_map(|w| w.to_le_bytes()))
        {
            *o = b;
        }
        g.key.copy_from_slice(key);
        rest = &mut rest[n..];
        if rest.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_function_matches_rfc_8439_section_2_3_2() {
        let key: [u32; 8] = core::array::from_fn(|i| {
            u32::from_le_bytes(core::array::from_fn(|j| (4 * i + j) as u8))
        });
        let out = block(&key, 1, [0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(out[0], 0xe4e7_f110);
        assert_eq!(out[15], 0x4e3c_50a2);
    }

    #[test]
    fn two_requests_differ() {
        let (mut a, mut b) = ([0u8; 64], [0u8; 64]);
        fill(&mut a);
        fill(&mut b);
        assert_ne!(a, b);
    }
}
