use super::*;
use crate::base::{PAGE_SHIFT, PAGE_SIZE};
use crate::memory::linear::phys_to_virt;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

const MIB: usize = 1 << 20;

/// Host memory that stands for a machine's.
struct Machine {
    base: usize,
    layout: std::alloc::Layout,
    frames: FrameAllocator,
}

impl Machine {
    /// `ranges` and `reserved` are offsets into `span` bytes of memory.
    fn new(span: usize, ranges: &[Range<usize>], reserved: &[Range<usize>]) -> Self {
        let layout = std::alloc::Layout::from_size_align(span, 4 * MIB).unwrap();
        // SAFETY: the size is not zero.
        let base = unsafe { std::alloc::alloc(layout) } as usize;
        assert_ne!(base, 0);
        let shift = |r: &Range<usize>| PhysAddr(base + r.start)..PhysAddr(base + r.end);
        let frames = FrameAllocator::new();
        let ranges: Vec<_> = ranges.iter().map(shift).collect();
        let reserved: Vec<_> = reserved.iter().map(shift).collect();
        // SAFETY: first use of this allocator, on memory of its own.
        unsafe { frames.buddy.init(&ranges, &reserved) };
        Machine {
            base,
            layout,
            frames,
        }
    }

    fn simple(size: usize) -> Self {
        Self::new(size, std::slice::from_ref(&(0..size)), &[])
    }

    fn take_all(&self) -> Vec<PhysAddr> {
        std::iter::from_fn(|| self.frames.alloc()).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { std::alloc::dealloc(self.base as *mut u8, self.layout) }
    }
}

fn word(frame: PhysAddr, i: usize) -> *mut u64 {
    // SAFETY: `i` is below 512.
    unsafe { phys_to_virt(frame).cast::<u64>().add(i) }
}

/// A small repeatable generator (xorshift).
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

#[test]
fn every_frame_is_handed_out_once_and_comes_back() {
    let m = Machine::simple(16 * MIB);
    let total = m.frames.buddy.total_count();
    assert_eq!(total, 4096 - 8, "16 MiB less 8 frames of metadata");
    for _ in 0..3 {
        assert_eq!(m.frames.free_count(), total);
        let all = m.take_all();
        assert_eq!(all.len(), total);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), total);
        assert_eq!(m.frames.free_count(), 0);
        assert!(m.frames.alloc_order(0).is_none());
        for f in all {
            m.frames.free(f);
        }
    }
}

#[test]
fn walking_ones_and_zeros_stay_where_they_were_written() {
    let m = Machine::simple(8 * MIB);
    let all = m.take_all();
    let pattern = |frame: usize, i: usize| {
        let one = 1u64 << ((frame + i) % 64);
        if i.is_multiple_of(2) { one } else { !one }
    };
    for (n, &f) in all.iter().enumerate() {
        for i in 0..512 {
            // SAFETY: the frame is ours.
            unsafe { word(f, i).write(pattern(n, i)) }
        }
    }
    for (n, &f) in all.iter().enumerate() {
        for i in 0..512 {
            // SAFETY: the frame is ours.
            assert_eq!(
                unsafe { word(f, i).read() },
                pattern(n, i),
                "frame {f:?}, word {i}"
            );
        }
        m.frames.free(f);
    }
}

#[test]
fn freed_halves_join_into_large_blocks_again() {
    let m = Machine::simple(16 * MIB);
    let mut all = m.take_all();
    all.sort();
    let (even, odd): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|f| (f.0 >> PAGE_SHIFT).is_multiple_of(2));
    for f in even {
        m.frames.free(f);
    }
    assert!(
        m.frames.alloc_order(1).is_none(),
        "no two neighbours are free"
    );
    assert_eq!(m.frames.free_count(), m.frames.buddy.total_count() / 2);
    for f in odd {
        m.frames.free(f);
    }
    let large: Vec<_> = std::iter::from_fn(|| m.frames.alloc_order(MAX_ORDER)).collect();
    assert_eq!(
        large.len(),
        3,
        "the metadata takes a bite out of the fourth"
    );
    for f in &large {
        assert!(f.0.is_multiple_of(PAGE_SIZE << MAX_ORDER));
        m.frames.buddy.free(*f, MAX_ORDER);
    }
    assert_eq!(m.frames.free_count(), m.frames.buddy.total_count());
}

#[test]
fn reserved_memory_and_gaps_are_never_handed_out() {
    // Two zones far apart, unaligned ends, reservations that overlap each other and the ends.
    let ranges = [
        4096 * 3..10 * MIB + 100,
        11 * MIB..20 * MIB,
        300 * MIB + 1..317 * MIB,
    ];
    let reserved = [
        MIB..2 * MIB,
        MIB + 4096..3 * MIB + 5,
        9 * MIB + 17..9 * MIB + 18,
        316 * MIB..400 * MIB,
        0..4096,
    ];
    let m = Machine::new(512 * MIB, &ranges, &reserved);
    let mut expected: HashSet<usize> = HashSet::new();
    for r in &ranges {
        let pages = r.start.next_multiple_of(PAGE_SIZE)..r.end & !(PAGE_SIZE - 1);
        expected.extend(pages.step_by(PAGE_SIZE).filter(|&p| {
            reserved
                .iter()
                .all(|r| r.end <= p || r.start >= p + PAGE_SIZE)
        }));
    }
    let all = m.take_all();
    assert_eq!(all.len(), m.frames.buddy.total_count());
    for f in &all {
        assert!(
            expected.remove(&(f.0 - m.base)),
            "{:#x} was reserved, missing or handed out twice",
            f.0 - m.base
        );
    }
    // What is left is metadata: 5 + 5 blocks of 4 MiB, two frames each.
    assert_eq!(expected.len(), 20);
}

#[test]
fn random_blocks_never_overlap_and_all_come_back() {
    let m = Machine::simple(32 * MIB);
    let total = m.frames.buddy.total_count();
    let mut random = Random(0x5eed);
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    for _ in 0..5_000 {
        if random.below(5) < 3 {
            let order = random.below(MAX_ORDER + 1) * random.below(2);
            let got = if order == 0 {
                m.frames.alloc()
            } else {
                m.frames.alloc_order(order)
            };
            let Some(f) = got else { continue };
            let end = f.0 + (PAGE_SIZE << order);
            if let Some((&s, &o)) = held.range(..end).next_back() {
                assert!(
                    s + (PAGE_SIZE << o) <= f.0,
                    "{f:?} order {order} overlaps {s:#x} order {o}"
                );
            }
            held.insert(f.0, order);
        } else if let Some((&f, &order)) = held.range(m.base + random.below(32 * MIB)..).next() {
            held.remove(&f);
            if order == 0 {
                m.frames.free(PhysAddr(f))
            } else {
                m.frames.buddy.free(PhysAddr(f), order)
            }
        }
        let used: usize = held.values().map(|o| 1 << o).sum();
        assert_eq!(m.frames.free_count(), total - used);
    }
    for (f, order) in held {
        m.frames.buddy.free(PhysAddr(f), order);
    }
    m.frames.drain();
    assert_eq!(m.frames.free_count(), total);
    assert_eq!(
        std::iter::from_fn(|| m.frames.alloc_order(MAX_ORDER)).count(),
        7
    );
}

#[test]
fn cores_may_allocate_and_free_at_the_same_time() {
    let m = Machine::simple(16 * MIB);
    std::thread::scope(|s| {
        for seed in 1..5 {
            let frames = &m.frames;
            s.spawn(move || {
                let mut random = Random(seed);
                let mut held = Vec::new();
                for _ in 0..50_000 {
                    if random.below(2) == 0 {
                        if let Some(f) = frames.alloc() {
                            // SAFETY: the frame is ours.
                            unsafe { word(f, 7).write(seed ^ f.0 as u64) }
                            held.push(f);
                        }
                    } else if !held.is_empty() {
                        let f = held.swap_remove(random.below(held.len()));
                        // SAFETY: the frame is ours.
                        assert_eq!(unsafe { word(f, 7).read() }, seed ^ f.0 as u64);
                        frames.free(f);
                    }
                }
                held.into_iter().for_each(|f| frames.free(f));
            });
        }
    });
    assert_eq!(m.frames.free_count(), m.frames.buddy.total_count());
    assert_eq!(
        m.take_all().len(),
        m.frames.buddy.total_count(),
        "what other cores keep is taken in need"
    );
}

#[test]
fn the_last_reference_frees_the_frame() {
    let before = live::count();
    let a = alloc_zeroed().unwrap();
    assert!(a.as_slice().iter().all(|&b| b == 0));
    let b = a.clone();
    assert_eq!((a.refcount(), a.phys()), (2, b.phys()));
    drop(a);
    assert_eq!(b.refcount(), 1);
    let raw = b.into_raw();
    assert_eq!(live::count(), before + 1);
    // SAFETY: the reference was given up just now.
    drop(unsafe { Frame::from_raw(raw) });
    assert_eq!(live::count(), before);
    let block = alloc_order(3).unwrap();
    assert_eq!(block.0 % (8 * PAGE_SIZE), 0);
    // SAFETY: nobody uses it.
    unsafe { free_order(block, 3) };
    assert_eq!(live::count(), before);
    assert!(alloc_order(MAX_ORDER + 1).is_err());
}

#[test]
fn who_frees_every_other_frame_leaves_the_reserve_whole() {
    const RESERVE: usize = 4 << WHOLE_ORDER;
    let m = Machine::simple(16 * MIB);
    m.frames.reserve.store(RESERVE, Ordering::Relaxed);
    let mut random = Random(0x5eed);
    let mut held = m.take_all();
    for _ in 0..10 {
        assert_eq!(m.frames.free_count(), RESERVE);
        assert!(m.frames.is_scarce() && !m.frames.is_short());
        held.sort();
        let odd = random.below(2);
        let mut index = 0;
        held.retain(|&f| {
            index += 1;
            let keep = index % 2 == odd;
            if !keep {
                m.frames.free(f);
            }
            keep
        });
        assert!(m.frames.free_count() > m.frames.buddy.total_count() / 3);
        held.extend(m.take_all());
    }
    let whole: Vec<_> = std::iter::from_fn(|| m.frames.alloc_order(WHOLE_ORDER)).collect();
    assert_eq!(whole.len(), RESERVE >> WHOLE_ORDER);
    assert!(m.frames.is_short());
    for f in whole {
        m.frames.buddy.free(f, WHOLE_ORDER);
    }
    // What the heap leaves of a block that it has broken up is its own as well.
    let one = m.frames.alloc_order(0).unwrap();
    assert_eq!(m.take_all().len(), 0);
    assert_eq!(m.frames.free_count(), RESERVE - 1);
    m.frames.free(one);
    for f in held {
        m.frames.free(f);
    }
    m.frames.drain();
    assert_eq!(m.frames.free_count(), m.frames.buddy.total_count());
}
