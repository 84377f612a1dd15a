use super::*;
use crate::memory::area::Protection;
use crate::memory::frames::tests::Random;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Tables from the test's own heap, counted.
#[derive(Default, Clone)]
struct HostTables {
    live: Rc<Cell<usize>>,
    limit: Rc<Cell<usize>>,
    keep: Rc<RefCell<BTreeMap<usize, Box<TableBytes>>>>,
}
#[repr(align(4096))]
struct TableBytes(#[allow(dead_code)] [u64; ENTRIES]);

impl Tables for HostTables {
    fn alloc(&self) -> Result<PhysAddr> {
        if self.live.get() == self.limit.get() {
            return Err(crate::base::Errno::ENOMEM);
        }
        self.live.set(self.live.get() + 1);
        let table = Box::new(TableBytes([0; ENTRIES]));
        let at = &raw const *table as usize;
        self.keep.borrow_mut().insert(at, table);
        Ok(PhysAddr(at))
    }
    unsafe fn free(&self, table: PhysAddr) {
        assert!(self.keep.borrow_mut().remove(&table.0).is_some());
        self.live.set(self.live.get() - 1);
    }
    fn view(&self, table: PhysAddr) -> *const [Slot; ENTRIES] {
        table.0 as *const _
    }
}

#[test]
fn a_tree_agrees_with_a_map() {
    let memory = HostTables::default();
    memory.limit.set(usize::MAX);
    let mut table = PageTable::new(memory.clone()).unwrap();
    let mut model: BTreeMap<usize, u64> = BTreeMap::new();
    let mut random = Random(7);
    let any_page = |random: &mut Random| {
        // A few clusters, so that pages share tables, at both ends of the range.
        let base = [0, 0x1000_0000, 0x3fff_e000, (1usize << 39) - (4 << 20)][random.below(4)];
        base + (random.below(1024) << PAGE_SHIFT)
    };
    for _ in 0..20_000 {
        let va = any_page(&mut random);
        if random.below(3) == 0 {
            if let Some(slot) = table.slot(va) {
                slot.set(Entry::NONE);
            }
            model.remove(&va);
        } else {
            let e = Entry::owned(
                PhysAddr(random.below(1 << 36) << PAGE_SHIFT),
                attributes(ProgramKind::Linked, Protection::READ),
            );
            table.slot_or_make(va).unwrap().set(e);
            model.insert(va, e.0);
        }
    }
    for va in (0..4096).map(|_| any_page(&mut random)) {
        assert_eq!(table.lookup(va).0, model.get(&va).copied().unwrap_or(0));
    }
    for _ in 0..200 {
        let (a, b) = (any_page(&mut random), any_page(&mut random));
        let (start, end) = (a.min(b), a.max(b));
        let mut seen = BTreeMap::new();
        table.for_each_leaf(start, end, |base, slots| {
            for (i, s) in slots.iter().enumerate().filter(|(_, s)| !s.get().is_none()) {
                seen.insert(base + (i << PAGE_SHIFT), s.get().0);
            }
        });
        let expected: BTreeMap<_, _> = model.range(start..end).map(|(&k, &v)| (k, v)).collect();
        assert_eq!(seen, expected);
    }
    drop(table);
    assert_eq!(memory.live.get(), 0, "every table is freed");
}

#[test]
fn without_memory_for_a_table_the_tree_stays_sound() {
    let memory = HostTables::default();
    memory.limit.set(2);
    let mut table = PageTable::new(memory.clone()).unwrap();
    assert!(table.slot_or_make(0x1000).is_err());
    assert!(table.lookup(0x1000).is_none());
    memory.limit.set(3);
    assert!(table.slot_or_make(0x1000).is_ok());
    drop(table);
    assert_eq!(memory.live.get(), 0);
}

#[test]
fn borrowed_tables_are_seen_but_not_walked_or_freed() {
    let memory = HostTables::default();
    memory.limit.set(usize::MAX);
    let shared = memory.alloc().unwrap();
    let text = Entry::fixed(
        PhysAddr(0x5000),
        attributes(ProgramKind::Linked, Protection::READ | Protection::EXEC),
    );
    // SAFETY: the table is live.
    unsafe { (&*memory.view(shared))[3].set(text) };
    let mut table = PageTable::new(memory.clone()).unwrap();
    // The second lies in another gigabyte.
    let leaves = [(0x1000_0000, shared), (0x5000_0000, shared)];
    table.borrow_leaves(&leaves).unwrap();
    assert_eq!(table.lookup(0x1000_3000).0, text.0);
    assert_eq!(table.lookup(0x5000_3000).0, text.0);
    assert!(table.slot(0x1000_3000).is_none());
    table.for_each_leaf(0, 1 << 39, |_, _| panic!("walked a shared table"));
    drop(table);
    assert_eq!(memory.live.get(), 1);
}

#[test]
fn a_copied_table_is_the_trees_own() {
    let memory = HostTables::default();
    memory.limit.set(usize::MAX);
    let template = memory.alloc().unwrap();
    let constant = Entry::fixed(
        PhysAddr(0x5000),
        attributes(ProgramKind::Linked, Protection::READ),
    );
    // SAFETY: the table is live.
    unsafe { (&*memory.view(template))[3].set(constant) };
    let mut table = PageTable::new(memory.clone()).unwrap();
    table.copy_leaf(0x1000_0000, template).unwrap();
    assert_eq!(table.lookup(0x1000_3000).0, constant.0);
    table.slot(0x1000_3000).unwrap().set(Entry::NONE);
    // SAFETY: as above.
    assert_eq!(unsafe { (&*memory.view(template))[3].get() }.0, constant.0);
    drop(table);
    assert_eq!(memory.live.get(), 1);
}

#[test]
fn rights_become_the_bits_of_the_manual() {
    let rw = Protection::READ | Protection::WRITE;
    let rx = Protection::READ | Protection::EXEC;
    let linked = |p| attributes(ProgramKind::Linked, p);
    let loaded = |p| attributes(ProgramKind::Loaded, p);
    // A page, attribute slot 0, inner shareable, accessed, not global.
    let common = 0b11 | 3 << 8 | 1 << 10 | 1 << 11;
    assert_eq!(
        linked(rx),
        common | 1 << 7 | 1 << 54,
        "EL1 read-only, executable there, never at EL0"
    );
    assert_eq!(linked(rw), common | 1 << 53 | 1 << 54);
    assert_eq!(loaded(rx), common | 1 << 6 | 1 << 7 | 1 << 53);
    assert_eq!(loaded(rw), common | 1 << 6 | 1 << 53 | 1 << 54);
    assert_eq!(linked(Protection::empty()) & 1, 0, "PROT_NONE is not valid");
    let e = Entry::owned(PhysAddr(0x1234_5000), linked(rw));
    assert!(
        e.is_writable() && !e.read_only().is_writable() && e.read_only().written().is_writable()
    );
    assert!(!e.invalid().is_valid() && !e.invalid().is_none());
    assert_eq!(e.replaced(PhysAddr(0x9000)).phys(), PhysAddr(0x9000));
    assert!(!e.with_attributes(linked(Protection::empty())).is_writable());
}
