mod image;
mod model;

use super::map::{MapFlags, MapRequest};
use super::*;
use crate::base::Errno;
use crate::memory::frames::live;
use crate::memory::source::FileKey;
use crate::memory::{PageSource, Reserve, SharedPages};
use std::sync::Arc;

const RW: Protection = Protection::READ.union(Protection::WRITE);
const R: Protection = Protection::READ;
const PAGE: usize = PAGE_SIZE;

fn empty() -> AddressSpace {
    AddressSpace::new_empty(ProgramKind::Linked).unwrap()
}

fn anonymous(len: usize, protection: Protection) -> MapRequest {
    MapRequest {
        addr: 0,
        len,
        protection,
        flags: MapFlags::empty(),
        source: None,
        offset: 0,
        shared: false,
        never_write: false,
    }
}

fn fixed(addr: usize, len: usize, protection: Protection) -> MapRequest {
    MapRequest {
        addr,
        flags: MapFlags::FIXED,
        ..anonymous(len, protection)
    }
}

fn file(source: &Arc<SharedPages>, len: usize, protection: Protection, shared: bool) -> MapRequest {
    MapRequest {
        source: Some(source.clone()),
        shared,
        ..anonymous(len, protection)
    }
}

fn read(space: &AddressSpace, addr: usize) -> Result<u8> {
    let mut b = [0];
    space.read_memory(addr, &mut b).map(|()| b[0])
}

fn write(space: &AddressSpace, addr: usize, b: u8) -> Result<()> {
    space.write_memory(addr, &[b])
}

fn areas(space: &AddressSpace) -> Vec<(usize, usize, Protection)> {
    let mut v = Vec::new();
    space
        .for_each_area(|a| v.push((a.start, a.end, a.protection)))
        .unwrap();
    v
}

/// Runs `f` and checks that every frame it took is back.
fn without_leak(f: impl FnOnce()) {
    super::fault::warm_zero_page();
    let before = live::count();
    f();
    assert_eq!(live::count(), before, "frames leaked");
}

#[test]
fn untouched_memory_reads_as_zeros_and_costs_no_frame() {
    without_leak(|| {
        let s = empty();
        let a = s.map(anonymous(1000 * PAGE, RW)).unwrap();
        assert_eq!(a, MMAP_BASE);
        assert_eq!(read(&s, a + 5 * PAGE), Ok(0));
        assert_eq!(s.resident_pages(), 0);
        write(&s, a + 5 * PAGE + 7, 9).unwrap();
        assert_eq!(
            (read(&s, a + 5 * PAGE + 7), read(&s, a + 5 * PAGE)),
            (Ok(9), Ok(0))
        );
        assert_eq!(s.resident_pages(), 1);
    });
}

#[test]
fn faults_say_what_is_wrong() {
    let s = empty();
    let a = s.map(anonymous(2 * PAGE, R)).unwrap();
    let n = s.map(anonymous(PAGE, Protection::empty())).unwrap();
    assert_eq!(s.handle_fault(a, Access::Write), Err(Fault::AccErr));
    assert_eq!(s.handle_fault(a, Access::Exec), Err(Fault::AccErr));
    assert_eq!(s.handle_fault(n, Access::Read), Err(Fault::AccErr));
    assert_eq!(s.handle_fault(0, Access::Read), Err(Fault::MapErr));
    assert_eq!(s.handle_fault(1 << 39, Access::Read), Err(Fault::MapErr));
    assert_eq!(s.handle_fault(usize::MAX, Access::Read), Err(Fault::MapErr));
    assert_eq!(s.handle_fault(a, Access::Read), Ok(()));
    assert_eq!(
        s.handle_fault(a, Access::Read),
        Ok(()),
        "a second thread on the same page"
    );
}

#[test]
fn after_fork_each_side_writes_its_own_copy() {
    without_leak(|| {
        let parent = empty();
        let a = parent.map(anonymous(64 * PAGE, RW)).unwrap();
        for i in 0..64 {
            write(&parent, a + i * PAGE, i as u8).unwrap();
        }
        let child = parent.fork(Writers::None).unwrap();
        assert_eq!(child.resident_pages(), 64);
        for i in 0..64 {
            write(&parent, a + i * PAGE, 100 + i as u8).unwrap();
            assert_eq!(read(&child, a + i * PAGE), Ok(i as u8));
        }
        let grandchild = child.fork(Writers::None).unwrap();
        for i in 0..64 {
            write(&child, a + i * PAGE, 200).unwrap();
            assert_eq!(
                (read(&grandchild, a + i * PAGE), read(&parent, a + i * PAGE)),
                (Ok(i as u8), Ok(100 + i as u8))
            );
        }
        drop(parent);
        assert_eq!(read(&grandchild, a + 63 * PAGE), Ok(63));
    });
}

#[test]
fn a_page_whose_other_owners_are_gone_is_not_copied() {
    without_leak(|| {
        let parent = empty();
        let a = parent.map(anonymous(64 * PAGE, RW)).unwrap();
        for i in 0..64 {
            write(&parent, a + i * PAGE, 1).unwrap();
        }
        drop(parent.fork(Writers::None).unwrap());
        let before = live::count();
        for i in 0..64 {
            write(&parent, a + i * PAGE, 2).unwrap();
        }
        assert_eq!(live::count(), before);
    });
}

#[test]
fn where_others_write_nothing_is_copied_ahead() {
    without_leak(|| {
        let parent = empty();
        let a = parent.map(anonymous(8 * PAGE, RW)).unwrap();
        let touch = || (0..8).for_each(|i| write(&parent, a + i * PAGE, 1).unwrap());
        touch();
        let cost = |writers| {
            // What is written after a fork is hot at the next one.
            drop(parent.fork(writers).unwrap());
            touch();
            let before = live::count();
            let child = parent.fork(writers).unwrap();
            let cost = live::count() - before;
            assert_eq!(child.resident_pages(), 8);
            cost
        };
        let tables = cost(Writers::OtherThreads);
        assert_eq!(cost(Writers::None), tables + 8);
    });
}

#[test]
fn tables_count_as_held() {
    without_leak(|| {
        let s = empty();
        let a = s.map(anonymous(1 << 30, R)).unwrap();
        let before = s.held_pages();
        for at in (a..a + (1 << 30)).step_by(2 << 20) {
            assert_eq!(read(&s, at), Ok(0));
        }
        assert_eq!((s.resident_pages(), s.held_pages()), (0, before + 512 + 2));
        assert_eq!(s.fork(Writers::None).unwrap().held_pages(), s.held_pages());
    });
}

#[test]
fn advice_decides_what_a_child_gets() {
    without_leak(|| {
        let s = empty();
        let a = s.map(anonymous(3 * PAGE, RW)).unwrap();
        for i in 0..3 {
            write(&s, a + i * PAGE, 7).unwrap();
        }
        s.advise(a, PAGE, Advice::DontFork).unwrap();
        s.advise(a + PAGE, PAGE, Advice::WipeOnFork).unwrap();
        let child = s.fork(Writers::None).unwrap();
        assert_eq!(read(&child, a), Err(Errno::EFAULT));
        assert_eq!(
            (read(&child, a + PAGE), read(&child, a + 2 * PAGE)),
            (Ok(0), Ok(7))
        );
        s.advise(a, 3 * PAGE, Advice::Discard).unwrap();
        assert_eq!((s.resident_pages(), read(&s, a)), (0, Ok(0)));
        assert_eq!(
            s.advise(a + PAGE, 5 * PAGE, Advice::Speed),
            Err(Errno::ENOMEM)
        );
    });
}

#[test]
fn the_stack_grows_to_its_limit_and_not_into_others() {
    without_leak(|| {
        let s = empty();
        s.add_stack().unwrap();
        write(&s, STACK_TOP - (4 << 20), 1).unwrap();
        assert_eq!(areas(&s), [(STACK_TOP - (4 << 20), STACK_TOP, RW)]);
        assert_eq!(
            s.handle_fault(STACK_TOP - (8 << 20) - 1, Access::Write),
            Err(Fault::MapErr)
        );
        assert_eq!(s.handle_fault(STACK_TOP - (8 << 20), Access::Write), Ok(()));
        s.set_limits(Limits {
            stack: u64::MAX,
            ..Limits::default()
        });
        s.map(fixed(STACK_TOP - (12 << 20), PAGE, RW)).unwrap();
        let edge = STACK_TOP - (12 << 20) + PAGE + GUARD_GAP;
        assert_eq!(
            s.handle_fault(edge - 1, Access::Write),
            Err(Fault::MapErr),
            "the guard gap stays"
        );
        assert_eq!(s.handle_fault(edge, Access::Write), Ok(()));
    });
}

#[test]
fn unmapping_and_protecting_split_and_join_areas() {
    without_leak(|| {
        let s = empty();
        let a = s.map(anonymous(10 * PAGE, RW)).unwrap();
        let at = |i: usize| a + i * PAGE;
        for i in 0..10 {
            write(&s, at(i), i as u8).unwrap();
        }
        s.protect(at(3), 2 * PAGE, R).unwrap();
        assert_eq!(
            areas(&s),
            [(at(0), at(3), RW), (at(3), at(5), R), (at(5), at(10), RW)]
        );
        assert_eq!(
            (write(&s, at(4), 1), read(&s, at(4))),
            (Err(Errno::EFAULT), Ok(4))
        );
        s.protect(at(3), 2 * PAGE, Protection::empty()).unwrap();
        assert_eq!(read(&s, at(4)), Err(Errno::EFAULT));
        s.protect(at(3), 2 * PAGE, RW).unwrap();
        assert_eq!(areas(&s), [(at(0), at(10), RW)]);
        assert_eq!(read(&s, at(4)), Ok(4), "PROT_NONE kept the page");
        write(&s, at(4), 44).unwrap();
        s.unmap(at(2), PAGE).unwrap();
        s.unmap(at(8), 5 * PAGE).unwrap();
        assert_eq!(areas(&s), [(at(0), at(2), RW), (at(3), at(8), RW)]);
        assert_eq!(s.protect(at(1), 2 * PAGE, R), Err(Errno::ENOMEM));
        assert_eq!(
            (s.unmap(at(0) + 1, PAGE), s.unmap(at(0), 0)),
            (Err(Errno::EINVAL), Err(Errno::EINVAL))
        );
        assert_eq!(s.counters().size, 7);
        assert_eq!(
            s.map(anonymous(PAGE, RW)).unwrap(),
            at(2),
            "the lowest gap is used again"
        );
        assert_eq!(read(&s, at(2)), Ok(0));
    });
}

#[test]
fn mmap_refuses_what_linux_refuses() {
    let s = empty();
    let none = |r: MapRequest| s.map(r).unwrap_err();
    assert_eq!(none(anonymous(0, RW)), Errno::EINVAL);
    assert_eq!(none(anonymous(usize::MAX, RW)), Errno::ENOMEM);
    assert_eq!(
        none(anonymous(10 << 30, RW)),
        Errno::ENOMEM,
        "more than the machine has"
    );
    assert_eq!(none(fixed(0x5000_0001, PAGE, RW)), Errno::EINVAL);
    assert_eq!(none(fixed(0, PAGE, RW)), Errno::EPERM);
    assert_eq!(none(fixed((1 << 39) - PAGE, 2 * PAGE, RW)), Errno::ENOMEM);
    assert_eq!(none(anonymous(PAGE, RW | Protection::EXEC)), Errno::EACCES);
    let a = s.map(anonymous(PAGE, RW)).unwrap();
    let again = MapRequest {
        flags: MapFlags::FIXED_NOREPLACE,
        ..fixed(a, PAGE, RW)
    };
    assert_eq!(none(again), Errno::EEXIST);
    let reserve = MapRequest {
        flags: MapFlags::NORESERVE,
        ..anonymous(10 << 30, RW)
    };
    assert!(s.map(reserve).is_ok());
    s.set_limits(Limits {
        address_space: 11 << 30,
        ..Limits::default()
    });
    assert_eq!(none(anonymous(1 << 30, R)), Errno::ENOMEM);
    s.set_limits(Limits {
        data: 10 << 30,
        ..Limits::default()
    });
    assert_eq!(none(anonymous(PAGE, RW)), Errno::ENOMEM);
    assert!(
        s.map(anonymous(PAGE, R)).is_ok(),
        "RLIMIT_DATA counts what can be written"
    );
}

#[test]
fn files_are_shared_or_copied_as_asked() {
    without_leak(|| {
        let f = SharedPages::new(2 * PAGE as u64 + 10, "f", Reserve::Now).unwrap();
        f.page(0, true).unwrap().copy_from(0, &[1, 2, 3]);
        let s = empty();
        let shared = s.map(file(&f, 5 * PAGE, RW, true)).unwrap();
        let private = s.map(file(&f, 5 * PAGE, RW, false)).unwrap();
        assert_eq!(
            (read(&s, shared + 1), read(&s, private + 1)),
            (Ok(2), Ok(2))
        );
        write(&s, shared + 1, 20).unwrap();
        assert_eq!(
            read(&s, private + 1),
            Ok(20),
            "not copied yet, so it shows the file"
        );
        write(&s, private + 1, 99).unwrap();
        write(&s, shared + 1, 30).unwrap();
        assert_eq!(
            (
                read(&s, private + 1),
                f.page(0, false).unwrap().as_slice()[1]
            ),
            (Ok(99), 30)
        );
        write(&s, private + PAGE, 5).unwrap();
        assert_eq!(read(&s, shared + PAGE), Ok(0));
        assert_eq!(
            s.handle_fault(shared + 2 * PAGE + 4000, Access::Read),
            Ok(()),
            "the last page is whole"
        );
        assert_eq!(
            s.handle_fault(shared + 3 * PAGE, Access::Read),
            Err(Fault::Bus)
        );
        assert_eq!(
            s.handle_fault(private + 3 * PAGE, Access::Write),
            Err(Fault::Bus)
        );
        let child = s.fork(Writers::None).unwrap();
        write(&child, shared, 77).unwrap();
        write(&child, private, 78).unwrap();
        assert_eq!((read(&s, shared), read(&s, private)), (Ok(77), Ok(1)));
        assert_eq!(s.counters().shared, 5);
    });
}

/// A file whose pages can be cut out.
struct Cuttable(SpinLock<Arc<SharedPages>>);
const CUTTABLE: FileKey = FileKey(1);

impl PageSource for Cuttable {
    fn page(&self, index: u64, for_write: bool) -> Result<Frame> {
        let pages = self.0.lock().clone();
        pages.page(index, for_write)
    }
    fn has_page(&self, index: u64) -> bool {
        self.0.lock().has_page(index)
    }
    fn size(&self) -> u64 {
        self.0.lock().size()
    }
    fn file(&self) -> Option<FileKey> {
        Some(CUTTABLE)
    }
}

#[test]
fn a_copy_that_is_made_while_a_file_is_cut_shows_nothing_of_what_is_gone() {
    without_leak(|| {
        let size = 3 * PAGE as u64;
        let pages = SharedPages::new(size, "f", Reserve::Now).unwrap();
        (0..3).for_each(|i| pages.page(i, true).unwrap().copy_from(0, &[7]));
        let space = empty();
        let file = Arc::new(Cuttable(SpinLock::new(pages)));
        let map = |shared| {
            let source: Arc<dyn PageSource> = file.clone();
            let request = anonymous(size as usize, RW);
            space
                .map(MapRequest {
                    source: Some(source),
                    shared,
                    ..request
                })
                .unwrap()
        };
        let (shared, private) = (map(true), map(false));
        for page in 0..3 {
            assert_eq!(read(&space, shared + page * PAGE), Ok(7));
            assert_eq!(read(&space, private + page * PAGE), Ok(7));
        }
        // The second page and the last, that one behind the end, are copies.
        write(&space, private + PAGE, 8).unwrap();
        write(&space, private + 2 * PAGE, 8).unwrap();
        let child = space.fork(Writers::None).unwrap();
        // A hole, and an end before the last page.
        let left = SharedPages::new(2 * PAGE as u64, "f", Reserve::Now).unwrap();
        drop(core::mem::replace(&mut *file.0.lock(), left));
        space.revoke(CUTTABLE, 0..2, Copies::Stay);
        space.revoke(CUTTABLE, 2..u64::MAX, Copies::Too);
        child.revoke_copied();
        for s in [&space, &child] {
            let at = |start| [0, 1, 2].map(|page| read(s, start + page * PAGE));
            assert_eq!(at(shared), [Ok(0), Ok(0), Err(Errno::EFAULT)]);
            assert_eq!(at(private), [Ok(0), Ok(8), Err(Errno::EFAULT)]);
        }
        write(&space, shared, 3).unwrap();
        assert_eq!(read(&child, shared), Ok(3), "they look at one page");
        assert_eq!(read(&child, private), Ok(3), "and so does who only reads");
    });
}

#[test]
fn a_file_that_is_not_writable_stays_so() {
    let f = SharedPages::new(PAGE as u64, "f", Reserve::Now).unwrap();
    let s = empty();
    let a = s
        .map(MapRequest {
            never_write: true,
            ..file(&f, PAGE, R, true)
        })
        .unwrap();
    assert_eq!(s.protect(a, PAGE, RW), Err(Errno::EACCES));
    let p = s.map(file(&f, PAGE, R, false)).unwrap();
    assert_eq!(s.protect(p, PAGE, RW), Ok(()));
    assert_eq!(s.protect(p, PAGE, R | Protection::EXEC), Err(Errno::EACCES));
}

#[test]
fn mremap_grows_shrinks_and_moves_with_the_contents() {
    without_leak(|| {
        let s = empty();
        let may = RemapFlags::MAYMOVE;
        let a = s.map(anonymous(4 * PAGE, RW)).unwrap();
        for i in 0..4 {
            write(&s, a + i * PAGE, 10 + i as u8).unwrap();
        }
        assert_eq!(
            s.remap(a, 4 * PAGE, 6 * PAGE, RemapFlags::empty(), 0),
            Ok(a),
            "room behind it"
        );
        let wall = s.map(fixed(a + 6 * PAGE, PAGE, R)).unwrap();
        assert_eq!(
            s.remap(a, 6 * PAGE, 8 * PAGE, RemapFlags::empty(), 0),
            Err(Errno::ENOMEM)
        );
        let b = s.remap(a, 6 * PAGE, 8 * PAGE, may, 0).unwrap();
        assert_eq!(b, wall + PAGE);
        assert_eq!(read(&s, a), Err(Errno::EFAULT));
        assert_eq!(
            (read(&s, b + 3 * PAGE), read(&s, b + 7 * PAGE)),
            (Ok(13), Ok(0))
        );
        assert_eq!(s.remap(b, 8 * PAGE, 2 * PAGE, may, 0), Ok(b));
        assert_eq!(s.counters().size, 3);
        let c = 0x40_0000_0000;
        assert_eq!(
            s.remap(b, 2 * PAGE, PAGE, may | RemapFlags::FIXED, c),
            Ok(c)
        );
        assert_eq!((read(&s, c), read(&s, b)), (Ok(10), Err(Errno::EFAULT)));
        assert_eq!(s.remap(0x7000_0000, PAGE, PAGE, may, 0), Err(Errno::EFAULT));
        assert_eq!((s.counters().size, s.resident_pages()), (2, 1));
    });
}

#[test]
fn the_break_moves_both_ways() {
    without_leak(|| {
        let s = empty();
        s.set_brk_start(0x2000_0100);
        assert_eq!(s.set_break(0), 0x2000_0100);
        assert_eq!(s.set_break(0x2000_3001), 0x2000_3001);
        write(&s, 0x2000_3000, 1).unwrap();
        assert_eq!(areas(&s), [(0x2000_1000, 0x2000_4000, RW)]);
        assert_eq!(s.set_break(0x2000_2000), 0x2000_2000);
        assert_eq!(
            (read(&s, 0x2000_3000), s.resident_pages()),
            (Err(Errno::EFAULT), 0)
        );
        s.map(fixed(0x2000_8000, PAGE, RW)).unwrap();
        assert_eq!(
            s.set_break(0x2000_9000),
            0x2000_2000,
            "something is in the way"
        );
        assert_eq!(s.set_break(0x10_0000_0000), 0x2000_2000);
    });
}

#[test]
fn threads_that_fault_on_the_same_pages_agree() {
    let s = empty();
    let pages = 512;
    let a = s.map(anonymous(pages * PAGE, RW)).unwrap();
    let f = SharedPages::new((pages * PAGE) as u64, "f", Reserve::Now).unwrap();
    let m = s.map(file(&f, pages * PAGE, RW, true)).unwrap();
    for i in 0..pages {
        write(&s, a + i * PAGE, 1).unwrap();
    }
    let child = s.fork(Writers::None).unwrap();
    std::thread::scope(|scope| {
        for t in 0..4 {
            let s = &s;
            scope.spawn(move || {
                for i in 0..pages {
                    write(s, a + i * PAGE + 8 + t, t as u8 + 1).unwrap();
                    write(s, m + i * PAGE + 8 + t, t as u8 + 1).unwrap();
                }
            });
        }
    });
    assert_eq!(s.resident_pages(), 2 * pages);
    for i in 0..pages {
        for t in 0..4 {
            assert_eq!(read(&s, a + i * PAGE + 8 + t), Ok(t as u8 + 1));
            assert_eq!(read(&child, a + i * PAGE + 8 + t), Ok(0));
            assert_eq!(
                f.page(i as u64, false).unwrap().as_slice()[8 + t],
                t as u8 + 1
            );
        }
    }
}
