//! Random sequences of operations, compared with a model that is too simple to be wrong.

use super::*;
use crate::memory::frames::tests::Random;
use std::collections::BTreeMap;

/// Random operations against a map from page to (rights, first byte).
#[test]
fn a_space_agrees_with_a_simple_model() {
    for seed in 1..12 {
        without_leak(|| agree(seed));
    }
}

type Model = BTreeMap<usize, (Protection, u8)>;

fn agree(seed: u64) {
    const BASE: usize = MMAP_BASE + 0x10_0000;
    const PAGES: usize = 700;
    let mut random = Random(seed * 0x9e37_79b9);
    let mut spaces: Vec<(AddressSpace, Model)> = vec![(empty(), Model::new())];
    for step in 0..3000 {
        let n = spaces.len();
        let i = random.below(n);
        let (s, model) = &mut spaces[i];
        let first = random.below(PAGES);
        let longest = [3, 30, 200][random.below(3)];
        let count = 1 + random.below(longest).min(PAGES - first - 1);
        let (start, len) = (BASE + first * PAGE, count * PAGE);
        let pages = (start..start + len).step_by(PAGE);
        let rights = [RW, RW, R, Protection::empty()][random.below(4)];
        match random.below(20) {
            0..4 => {
                assert_eq!(s.map(fixed(start, len, rights)), Ok(start));
                model.extend(pages.map(|p| (p, (rights, 0))));
            }
            4 => {
                s.unmap(start, len).unwrap();
                model.retain(|p, _| !(start..start + len).contains(p));
            }
            5 | 6 => {
                let covered = pages.clone().take_while(|p| model.contains_key(p)).count();
                assert_eq!(s.protect(start, len, rights).is_ok(), covered == count);
                for p in pages.take(covered) {
                    model.get_mut(&p).unwrap().0 = rights;
                }
            }
            7 => {
                // Discards what is there even if some is not.
                let _ = s.advise(start, len, Advice::Discard);
                pages.for_each(|p| {
                    if let Some(e) = model.get_mut(&p) {
                        e.1 = 0;
                    }
                });
            }
            8 if n < 5 => {
                let child = (s.fork(Writers::None).unwrap(), model.clone());
                spaces.push(child);
            }
            9 if n > 1 => drop(spaces.swap_remove(i)),
            10 => {
                // Within one area of the space; where the model cannot say, EFAULT is right too.
                let to = BASE + (PAGES + 8 + random.below(400)) * PAGE;
                let new_len = (1 + random.below(40)) * PAGE;
                if s.remap(
                    start,
                    len,
                    new_len,
                    RemapFlags::MAYMOVE | RemapFlags::FIXED,
                    to,
                ) == Ok(to)
                {
                    let old: Vec<_> = pages.map(|p| model.remove(&p)).collect();
                    let old: Vec<_> = old
                        .into_iter()
                        .take(new_len / PAGE)
                        .map(|e| e.expect("mremap moved what was not mapped"))
                        .collect();
                    model.retain(|p, _| !(to..to + new_len).contains(p));
                    for k in 0..new_len / PAGE {
                        model.insert(to + k * PAGE, old.get(k).copied().unwrap_or((old[0].0, 0)));
                    }
                }
            }
            _ => {
                for p in pages.step_by(1 + random.below(7)) {
                    let b = step as u8;
                    let allowed = model
                        .get(&p)
                        .is_some_and(|e| e.0.contains(Protection::WRITE));
                    assert_eq!(
                        write(s, p, b).is_ok(),
                        allowed,
                        "seed {seed} step {step} page {p:#x}"
                    );
                    if allowed {
                        model.get_mut(&p).unwrap().1 = b;
                    }
                }
            }
        }
        if step % 50 == 0 {
            for (s, model) in &spaces {
                compare(s, model, seed, step);
            }
        }
    }
}

fn compare(s: &AddressSpace, model: &Model, seed: u64, step: usize) {
    for (&p, &(rights, b)) in model {
        let expected = if rights.is_empty() {
            Err(Errno::EFAULT)
        } else {
            Ok(b)
        };
        assert_eq!(read(s, p), expected, "seed {seed} step {step} page {p:#x}");
    }
    let list = areas(s);
    assert!(
        list.windows(2).all(|w| w[0].1 <= w[1].0),
        "areas overlap: {list:x?}"
    );
    let pages: usize = list.iter().map(|a| (a.1 - a.0) / PAGE).sum();
    assert_eq!((pages, s.counters().size), (model.len(), model.len()));
    let owned: usize = {
        let inner = s.inner.lock();
        let mut n = 0;
        inner.table.for_each_leaf(0, 1 << 39, |_, slots| {
            n += slots.iter().filter(|s| s.get().is_owned()).count()
        });
        n
    };
    assert_eq!(owned, s.resident_pages());
}
