//! Fragmentation: blocks and mappings of all sizes come and go in random order, each keeping what was written to it.

use anyhow::Result;
use fastrand::Rng;

use crate::support::{check, fill, map_private, unmap};

enum Block {
    Heap(Vec<u8>),
    /// Address and length.
    Mapped(*mut u8, usize),
}

impl Block {
    fn new(rng: &mut Rng) -> Result<Self> {
        Ok(if rng.u32(..4) == 0 {
            let length = rng.usize(1..400_000);
            Self::Mapped(map_private(length)?, length)
        } else {
            let most = 1 << rng.u32(4..17);
            Self::Heap(vec![0; rng.usize(1..=most)])
        })
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(data) => data,
            // SAFETY: the mapping lives as long as the block and is nobody else's.
            Self::Mapped(at, length) => unsafe { std::slice::from_raw_parts_mut(*at, *length) },
        }
    }

    /// Up to three places of the block: all of it would take too long to write.
    fn parts(&mut self) -> Vec<(usize, &mut [u8])> {
        let data = self.bytes();
        if data.len() <= 12_000 {
            return vec![(0, data)];
        }
        let end = data.len() - 4_000;
        let middle = data.len() / 2;
        let (low, high) = data.split_at_mut(middle);
        let high_from = end - middle;
        vec![(0, &mut low[..4_000]), (end, &mut high[high_from..])]
    }

    fn write(&mut self, tag: u64) {
        self.parts()
            .into_iter()
            .for_each(|(at, part)| fill(tag, at, part));
    }

    fn verify(&mut self, tag: u64) -> Result<()> {
        self.parts()
            .into_iter()
            .try_for_each(|(at, part)| check(tag, at, part))
    }

    fn free(self) -> Result<()> {
        match self {
            Self::Heap(_) => Ok(()),
            Self::Mapped(at, length) => unmap(at, length),
        }
    }
}

pub fn step(rng: &mut Rng) -> Result<()> {
    let mut blocks: Vec<(u64, Block)> = Vec::new();
    for _ in 0..rng.u32(50..400) {
        match rng.u32(..10) {
            0..5 => {
                let (tag, mut block) = (rng.u64(..), Block::new(rng)?);
                block.write(tag);
                blocks.push((tag, block));
            }
            5..9 if !blocks.is_empty() => {
                let (tag, mut block) = blocks.swap_remove(rng.usize(..blocks.len()));
                block.verify(tag)?;
                block.free()?;
            }
            // Grows in place or moves, and keeps its contents.
            _ => {
                if let Some((tag, Block::Heap(data))) = blocks.last_mut() {
                    let old = data.len();
                    data.resize(old + rng.usize(1..20_000), 0);
                    check(*tag, 0, &data[..old.min(4_000)])?;
                    fill(*tag, 0, data);
                }
            }
        }
    }
    for (tag, mut block) in blocks {
        block.verify(tag)?;
        block.free()?;
    }
    Ok(())
}
