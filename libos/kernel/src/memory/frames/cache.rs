//! A stack of free frames per core, so that most allocations touch nothing shared.

use crate::base::{PhysAddr, SpinLock};
use crate::memory::hw::{MAX_CPUS, cpu_id};
use core::sync::atomic::{AtomicU32, Ordering};

/// Frames a core keeps at most.
const CAPACITY: usize = 128;
/// Frames moved between a core and the buddy lists at a time.
pub const BATCH: usize = 32;

struct Stack {
    count: usize,
    frames: [PhysAddr; CAPACITY],
}

/// One core's frames, on cache lines of their own. The lock is there for the core that steals when memory is short;
/// it is a leaf lock, and interrupt handlers do not take it.
#[repr(align(64))]
struct Cache {
    stack: SpinLock<Stack>,
    /// `stack.count`, readable without the lock.
    count: AtomicU32,
}

pub struct Caches {
    cores: [Cache; MAX_CPUS],
}

impl Caches {
    pub const fn new() -> Self {
        Caches {
            cores: [const { Cache::new() }; MAX_CPUS],
        }
    }

    #[inline(always)]
    fn mine(&self) -> &Cache {
        &self.cores[cpu_id()]
    }

    #[inline]
    pub fn pop(&self) -> Option<PhysAddr> {
        self.mine().pop()
    }

    /// Keeps `phys` at hand; gives it back when the core has enough.
    #[inline]
    pub fn push(&self, phys: PhysAddr) -> Result<(), PhysAddr> {
        let cache = self.mine();
        let mut s = cache.stack.lock();
        let n = s.count;
        match s.frames.get_mut(n) {
            Some(slot) => {
                *slot = phys;
                s.count = n + 1;
                cache.count.store(n as u32 + 1, Ordering::Relaxed);
                Ok(())
            }
            None => Err(phys),
        }
    }

    /// Takes the frames of this core that were freed longest ago.
    pub fn take(&self, out: &mut [PhysAddr]) -> usize {
        self.mine().take(out)
    }

    pub fn take_from(&self, cpu: usize, out: &mut [PhysAddr]) -> usize {
        self.cores[cpu].take(out)
    }

    /// A frame of any core.
    pub fn steal(&self) -> Option<PhysAddr> {
        self.cores.iter().find_map(Cache::pop)
    }

    pub fn count(&self) -> usize {
        self.cores
            .iter()
            .map(|c| c.count.load(Ordering::Relaxed) as usize)
            .sum()
    }
}

impl Cache {
    const fn new() -> Self {
        Cache {
            stack: SpinLock::new(Stack {
                count: 0,
                frames: [PhysAddr(0); CAPACITY],
            }),
            count: AtomicU32::new(0),
        }
    }

    #[inline(always)]
    fn pop(&self) -> Option<PhysAddr> {
        let mut s = self.stack.lock();
        let n = s.count.checked_sub(1)?;
        let phys = *s.frames.get(n)?;
        s.count = n;
        self.count.store(n as u32, Ordering::Relaxed);
        Some(phys)
    }

    fn take(&self, out: &mut [PhysAddr]) -> usize {
        let mut s = self.stack.lock();
        let n = s.count.min(out.len());
        out[..n].copy_from_slice(&s.frames[..n]);
        let left = s.count - n;
        s.frames.copy_within(n..n + left, 0);
        s.count = left;
        self.count.store(left as u32, Ordering::Relaxed);
        n
    }
}
