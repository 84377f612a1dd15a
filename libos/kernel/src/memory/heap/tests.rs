use super::*;
use crate::memory::frames::live;
use crate::memory::frames::tests::Random;

fn fill(p: *mut u8, layout: Layout, seed: u8) {
    // SAFETY: `p` was allocated with this layout.
    unsafe { core::ptr::write_bytes(p, seed, layout.size()) }
}

fn check(p: *mut u8, size: usize, seed: u8) {
    // SAFETY: `p` was allocated with at least this size and filled.
    let bytes = unsafe { core::slice::from_raw_parts(p, size) };
    assert!(
        bytes.iter().all(|&b| b == seed),
        "{size} bytes at {p:?} were overwritten"
    );
}

#[test]
fn classes_waste_at_most_a_third_and_keep_alignment() {
    let heap = KernelHeap::new();
    for size in (1..=slab::LARGEST).step_by(7) {
        for align in [1, 8, 16, 32, 64, 256, 2048] {
            let Some(class) = slab::class_for(size, align) else {
                panic!("{size} {align}")
            };
            if size % 3 == 0 {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the layout is not empty; freed with the same one.
                unsafe {
                    let p = heap.alloc(layout);
                    assert!(
                        (p as usize).is_multiple_of(align),
                        "{size} {align} class {class}"
                    );
                    heap.dealloc(p, layout);
                }
            }
        }
    }
    assert_eq!(slab::class_for(2049, 1), None);
    assert_eq!(slab::class_for(16, 4096), None);
}

#[test]
fn sizes_go_where_they_waste_least() {
    let place = |size| place(&Layout::from_size_align(size, 8).unwrap());
    assert_eq!(place(4096), Place::Frames(0));
    assert_eq!(place(3500), Place::Frames(0));
    assert_eq!(place(2500), Place::Arena);
    assert_eq!(place(5000), Place::Arena);
    assert_eq!(place(8192), Place::Frames(1));
    assert_eq!(place(65537), Place::Frames(5));
    assert_eq!(place(4 << 20), Place::Frames(10));
    assert_eq!(place((4 << 20) + 1), Place::Nowhere);
}

#[test]
fn random_objects_keep_their_bytes_and_every_frame_returns() {
    let before = live::count();
    let heap = KernelHeap::new();
    let mut random = Random(42);
    let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
    for round in 0..12_000 {
        let seed = round as u8;
        match random.below(8) {
            0..4 => {
                let top = [64, 512, 4096, 40_000, 200_000][random.below(5)];
                let layout =
                    Layout::from_size_align(1 + random.below(top), 1 << random.below(7)).unwrap();
                // SAFETY: the layout is not empty.
                let p = unsafe { heap.alloc(layout) };
                assert!(!p.is_null() && (p as usize).is_multiple_of(layout.align()));
                fill(p, layout, seed);
                held.push((p, layout, seed));
            }
            4..7 if !held.is_empty() => {
                let (p, layout, seed) = held.swap_remove(random.below(held.len()));
                check(p, layout.size(), seed);
                // SAFETY: allocated above with this layout.
                unsafe { heap.dealloc(p, layout) }
            }
            _ if !held.is_empty() => {
                let i = random.below(held.len());
                let (p, layout, seed) = held[i];
                let size = 1 + random.below(2 * layout.size() + 10);
                // SAFETY: allocated above with this layout; the size is not zero.
                let p = unsafe { heap.realloc(p, layout, size) };
                check(p, size.min(layout.size()), seed);
                let layout = Layout::from_size_align(size, layout.align()).unwrap();
                fill(p, layout, seed);
                held[i] = (p, layout, seed);
            }
            _ => {}
        }
    }
    for (p, layout, seed) in held {
        check(p, layout.size(), seed);
        // SAFETY: allocated above with this layout.
        unsafe { heap.dealloc(p, layout) }
    }
    assert_eq!(
        live::count() - before,
        heap.slabs.idle_frames() as isize,
        "only empty slabs may stay"
    );
    assert!(heap.slabs.idle_frames() <= 11 + 3 * 4);
}

#[test]
fn early_memory_serves_and_takes_back() {
    let heap = KernelHeap::new();
    let layout = Layout::from_size_align(1000, 16).unwrap();
    let p = heap.early.alloc(layout);
    assert!(heap.early.holds(p));
    // SAFETY: allocated just above.
    unsafe { heap.dealloc(p, layout) };
    let all = Layout::from_size_align(4000, 16).unwrap();
    let q = heap.early.alloc(all);
    assert!(!q.is_null(), "the first object came back");
    assert!(heap.early.alloc(all).is_null(), "out of memory is null");
    // SAFETY: allocated just above.
    unsafe { heap.dealloc(q, all) };
}
