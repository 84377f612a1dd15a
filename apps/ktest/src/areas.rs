//! What becomes of mappings: cut, moved, advised, counted, and the edges of all that. Part of the group `mappings`.

use crate::support::*;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::ptr;

crate::harness::tests![
    at_the_limit_of_areas_memory_can_be_unmapped: Native,
    mprotect_changes_what_lies_before_a_hole,
    rights_that_nobody_knows,
    madvise_far_away_is_unmapped_memory,
    madvise_populates: Native,
    mremap_shrinks_over_a_border,
    mremap_of_nothing_maps_shared_memory_again: Native,
    mremap_of_nothing_onto_itself_unmaps_it: Native,
    program_data_does_not_grow_into_other_memory: Native,
    mremap_of_a_huge_reservation_is_quick: Native,
    a_populating_process_can_be_killed: Native,
    a_fixed_mapping_counts_for_what_it_adds: Native,
    memory_that_becomes_writable_counts: Native,
    mincore_knows_pages_that_the_file_has: Native,
    writing_to_a_mapping_changes_the_times,
    a_read_into_half_a_buffer_is_a_short_one: Native,
];

const PAGE: usize = 4096;
const R: i32 = libc::PROT_READ;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn try_map(at: *mut u8, size: usize, prot: i32, flags: i32, fd: i32) -> Option<*mut u8> {
    let got = sys!(mmap(at.cast(), size, prot, flags, fd, 0));
    (got != libc::MAP_FAILED).then_some(got.cast())
}

#[track_caller]
fn map_with(size: usize, prot: i32, flags: i32) -> *mut u8 {
    try_map(ptr::null_mut(), size, prot, flags, -1).expect("a mapping")
}

/// Fresh pages; raw, as others would be surprised by references to what is unmapped or protected.
#[track_caller]
fn map(pages: usize) -> *mut u8 {
    map_with(pages * PAGE, RW, ANON)
}

fn page(start: *mut u8, n: usize) -> *mut u8 {
    start.wrapping_add(n * PAGE)
}

fn protect(at: *mut u8, pages: usize, prot: i32) -> i32 {
    sys!(mprotect(at.cast(), pages * PAGE, prot))
}

fn unmap(at: *mut u8, pages: usize) -> i32 {
    sys!(munmap(at.cast(), pages * PAGE))
}

fn advise(at: *mut u8, pages: usize, advice: i32) -> i32 {
    sys!(madvise(at.cast(), pages * PAGE, advice))
}

fn remap(at: *mut u8, old: usize, new: usize, flags: i32) -> Option<*mut u8> {
    let got = sys!(mremap(at.cast(), old * PAGE, new * PAGE, flags));
    (got != libc::MAP_FAILED).then_some(got.cast())
}

fn read(at: *mut u8) -> u8 {
    // SAFETY: callers have mapped it.
    unsafe { at.read_volatile() }
}

fn write(at: *mut u8, byte: u8) {
    // SAFETY: callers have mapped it, writable.
    unsafe { at.write_volatile(byte) }
}

/// How a child ends that writes there.
fn writing(at: *mut u8) -> End {
    end_of(|| {
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        on_signal(libc::SIGBUS, 0, libc::SIG_DFL);
        write(at, 1);
        0
    })
}

/// Which of so many pages are in memory.
fn resident(at: *mut u8, pages: usize) -> Vec<u8> {
    let mut there = vec![9u8; pages];
    ok(sys!(mincore(
        at.cast(),
        pages * PAGE,
        there.as_mut_ptr().cast()
    )));
    there.iter().map(|b| b & 1).collect()
}

fn at_the_limit_of_areas_memory_can_be_unmapped() {
    in_child(|| {
        const MOST: usize = 140_000;
        // Between others, so that it is no part of what lies beside it.
        let all = map(16);
        let outside = page(all, 1);
        ok(protect(all, 1, libc::PROT_NONE));
        ok(protect(page(all, 5), 1, libc::PROT_NONE));
        let memory = map_with(MOST * PAGE, R, ANON | libc::MAP_NORESERVE);
        let full = (1..MOST)
            .step_by(2)
            .find(|&n| protect(page(memory, n), 1, libc::PROT_NONE) == -1);
        assert_eq!(errno(), libc::ENOMEM);
        let full = full.expect("Linux allows 65530 areas by default");
        let again = |what: &str, result: i32| {
            assert_eq!(result, 0, "{what}: {}", std::io::Error::last_os_error());
            // As many as there may be, again.
            let refill = |&n: &usize| protect(page(memory, n), 1, libc::PROT_NONE) == 0;
            _ = (full..MOST).step_by(2).take_while(refill).count();
        };
        // There may be room for one more, but not for ever.
        let spare = page(all, 6);
        assert!((0..4).any(|n| unmap(page(spare, 2 * n + 1), 1) == -1));
        assert_eq!(errno(), libc::ENOMEM);
        again("the end of an area", unmap(page(outside, 3), 1));
        again("the start of an area", unmap(outside, 1));
        again("a whole area", unmap(page(memory, 101), 1));
        let fixed = ANON | libc::MAP_FIXED;
        let replaced = try_map(page(memory, 201), PAGE, RW, fixed, -1);
        assert!(replaced.is_some(), "one in the place of another");
        again("everything", unmap(memory, MOST));
        assert!(try_map(ptr::null_mut(), PAGE, RW, ANON, -1).is_some());
    });
}

fn mprotect_changes_what_lies_before_a_hole() {
    let memory = map(4);
    ok(unmap(page(memory, 2), 1));
    fails(protect(memory, 4, R), libc::ENOMEM);
    assert_eq!(writing(page(memory, 1)), End::Signal(libc::SIGSEGV));
    assert_eq!(writing(page(memory, 3)), End::Exit(0));
    // What begins with a hole changes nothing.
    fails(protect(page(memory, 2), 2, R), libc::ENOMEM);
    assert_eq!(writing(page(memory, 3)), End::Exit(0));
}

fn rights_that_nobody_knows() {
    let unknown = 0x40;
    let memory = try_map(ptr::null_mut(), PAGE, RW | unknown, ANON, -1);
    let memory = memory.expect("mmap does not look");
    write(memory, 1);
    fails(protect(memory, 1, RW | unknown), libc::EINVAL);
}

fn madvise_far_away_is_unmapped_memory() {
    let far = ptr::without_provenance_mut::<u8>(1 << 45);
    fails(advise(far, 1, libc::MADV_NORMAL), libc::ENOMEM);
    fails(advise(far, 1, libc::MADV_DONTNEED), libc::ENOMEM);
    let last = ptr::without_provenance_mut::<u8>(PAGE.wrapping_neg());
    fails(advise(last, 2, libc::MADV_NORMAL), libc::EINVAL);
}

fn madvise_populates() {
    const READ: i32 = libc::MADV_POPULATE_READ;
    const WRITE: i32 = libc::MADV_POPULATE_WRITE;
    let memory = map(6);
    ok(advise(memory, 2, WRITE));
    assert_eq!(resident(memory, 3), [1, 1, 0]);
    ok(advise(page(memory, 4), 1, READ));
    ok(protect(page(memory, 3), 1, R));
    fails(advise(page(memory, 2), 2, WRITE), libc::EINVAL);
    assert_eq!(resident(page(memory, 2), 1), [1], "as far as it went");
    ok(advise(page(memory, 3), 1, READ));
    ok(protect(page(memory, 3), 1, libc::PROT_NONE));
    fails(advise(page(memory, 3), 1, READ), libc::EINVAL);
    ok(unmap(page(memory, 3), 1));
    fails(advise(memory, 6, WRITE), libc::ENOMEM);
    fails(advise(memory.wrapping_add(1), 1, READ), libc::EINVAL);
    fs::write("f", "short").expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let fd = file.as_raw_fd();
    let shared = try_map(ptr::null_mut(), 2 * PAGE, RW, libc::MAP_SHARED, fd).expect("mapped");
    fails(advise(shared, 2, READ), libc::EFAULT);
    assert_eq!(writing(shared), End::Exit(0));
}

fn mremap_shrinks_over_a_border() {
    let memory = map(6);
    write(memory, 5);
    ok(protect(page(memory, 3), 3, R));
    assert_eq!(remap(memory, 6, 2, 0), Some(memory));
    assert_eq!(read(memory), 5);
    assert_eq!(writing(page(memory, 2)), End::Signal(libc::SIGSEGV));
    assert_eq!(writing(page(memory, 5)), End::Signal(libc::SIGSEGV));
    // To keep its size or to grow it must be one.
    let memory = map(6);
    ok(protect(page(memory, 3), 3, R));
    assert_eq!(remap(memory, 6, 7, libc::MREMAP_MAYMOVE), None);
    assert_eq!(errno(), libc::EFAULT);
}

fn mremap_of_nothing_maps_shared_memory_again() {
    let memory = map_with(4 * PAGE, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    for n in 0..4 {
        write(page(memory, n), n as u8 + 1);
    }
    assert_eq!(remap(memory, 0, 2, 0), None);
    assert_eq!(errno(), libc::ENOMEM);
    let second = remap(page(memory, 1), 0, 2, libc::MREMAP_MAYMOVE).expect("a second mapping");
    assert_eq!((read(second), read(page(second, 1))), (2, 3));
    write(second, 77);
    assert_eq!(read(page(memory, 1)), 77, "both see one memory");
    let private = map(1);
    assert_eq!(remap(private, 0, 1, libc::MREMAP_MAYMOVE), None);
    assert_eq!(errno(), libc::EINVAL);
}

fn mremap_of_nothing_onto_itself_unmaps_it() {
    let memory = map_with(4 * PAGE, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let second = page(memory, 1);
    let onto = |at: *mut u8, pages: usize| sys!(mremap(at.cast(), 0, pages * PAGE, flags, at));
    assert_eq!(onto(second, 1), libc::MAP_FAILED);
    assert_eq!(errno(), libc::EFAULT);
    assert_eq!(writing(second), End::Signal(libc::SIGSEGV));
    assert_eq!(writing(memory), End::Exit(0));
    assert_eq!(writing(page(memory, 2)), End::Exit(0));
    assert_eq!(onto(page(memory, 2), 2), libc::MAP_FAILED);
    assert_eq!(errno(), libc::EFAULT);
    assert_eq!(writing(page(memory, 3)), End::Signal(libc::SIGSEGV));
}

fn program_data_does_not_grow_into_other_memory() {
    #[repr(align(4096))]
    #[allow(dead_code, reason = "it is reached by address")]
    struct Data([u8; 2 * PAGE]);
    static mut DATA: Data = Data([1; 2 * PAGE]);
    const MORE: usize = 16 << 10;
    let data = (&raw mut DATA).cast::<u8>();
    assert_eq!(read(data), 1);
    let end = end_of(|| match remap(data, 1, MORE, libc::MREMAP_MAYMOVE) {
        None => i32::from(errno() != libc::EFAULT),
        // Behind the end of the program's file.
        Some(grown) => i32::from(read(page(grown, MORE - 1))) + 2,
    });
    assert!(
        matches!(end, End::Exit(0) | End::Signal(libc::SIGBUS)),
        "{end:?}"
    );
}

fn mremap_of_a_huge_reservation_is_quick() {
    // Page by page, this takes minutes.
    const SIZE: usize = (200 << 30) / PAGE;
    let mut memory = map_with(SIZE * PAGE, libc::PROT_NONE, ANON | libc::MAP_NORESERVE);
    ok(protect(page(memory, SIZE / 2), 1, RW));
    ok(protect(page(memory, SIZE / 2), 1, libc::PROT_NONE));
    for _ in 0..20 {
        // Somewhere else, as the next page is taken.
        let after = page(memory, SIZE);
        let wall = try_map(after, PAGE, R, ANON, -1).expect("a page");
        let moved = remap(memory, SIZE, SIZE + 1, libc::MREMAP_MAYMOVE).expect("moved");
        ok(unmap(page(moved, SIZE), 1));
        ok(unmap(wall, 1));
        memory = moved;
    }
    ok(unmap(memory, SIZE));
}

fn a_populating_process_can_be_killed() {
    let (mut told, teller) = pipe();
    let pid = spawn(|| {
        std::io::Write::write_all(&mut &teller, b"x").expect("a pipe");
        let flags = ANON | libc::MAP_NORESERVE | libc::MAP_POPULATE;
        loop {
            // Of readable memory a page of zeros is all that there is to it.
            if let Some(at) = try_map(ptr::null_mut(), 400 << 30, R, flags, -1) {
                sys!(munmap(at.cast(), 400 << 30));
            }
        }
    });
    std::io::Read::read_exact(&mut told, &mut [0]).expect("a pipe");
    ok(sys!(kill(pid, libc::SIGKILL)));
    let mut status = 0;
    until("it has died", || {
        sys!(waitpid(pid, &mut status, libc::WNOHANG)) == pid
    });
    assert_eq!(End::of(status), End::Signal(libc::SIGKILL));
}

fn set_limit(what: u32, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    ok(sys!(setrlimit(what as _, &limit)));
}

/// Maps memory until not a page more is allowed.
fn fill_up_to_the_limit(prot: i32) {
    let mut size = 64 << 20;
    while size >= PAGE {
        if try_map(ptr::null_mut(), size, prot, ANON | libc::MAP_NORESERVE, -1).is_none() {
            size /= 2;
        }
    }
}

fn a_fixed_mapping_counts_for_what_it_adds() {
    in_child(|| {
        let memory = map(8);
        set_limit(libc::RLIMIT_AS as u32, 1 << 30);
        fill_up_to_the_limit(R);
        let again = |n, pages: usize| {
            try_map(
                page(memory, n),
                pages * PAGE,
                RW,
                ANON | libc::MAP_FIXED,
                -1,
            )
            .is_some()
        };
        assert!(again(0, 8), "nothing is added");
        ok(unmap(page(memory, 7), 1));
        assert!(again(2, 6), "what was taken away");
        write(memory, 1);
    });
    in_child(|| {
        let memory = map(8);
        set_limit(libc::RLIMIT_DATA as u32, 256 << 20);
        fill_up_to_the_limit(RW);
        let fixed = ANON | libc::MAP_FIXED;
        assert!(try_map(memory, 8 * PAGE, RW, fixed, -1).is_some());
    });
}

fn memory_that_becomes_writable_counts() {
    in_child(|| {
        let memory = map_with(64 << 20, R, ANON);
        set_limit(libc::RLIMIT_DATA as u32, 32 << 20);
        fails(protect(memory, (64 << 20) / PAGE, RW), libc::ENOMEM);
        assert_eq!(writing(memory), End::Signal(libc::SIGSEGV));
        // Shared memory is nobody's data.
        let shared = map_with(64 << 20, R, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        ok(protect(shared, (64 << 20) / PAGE, RW));
    });
}

fn mapped_file(name: &str, pages: usize, prot: i32, flags: i32) -> (File, *mut u8) {
    let file = open(name, libc::O_RDWR | libc::O_CREAT, 0o600);
    file.set_len((pages * PAGE) as u64).expect("longer");
    let at = try_map(ptr::null_mut(), pages * PAGE, prot, flags, file.as_raw_fd());
    (file, at.expect("a mapping of a file"))
}

fn mincore_knows_pages_that_the_file_has() {
    let (file, memory) = mapped_file("f", 4, RW, libc::MAP_SHARED);
    std::os::unix::fs::FileExt::write_all_at(&file, &[1; PAGE], PAGE as u64).expect("written");
    assert_eq!(resident(memory, 4), [0, 1, 0, 0]);
    let private = try_map(
        ptr::null_mut(),
        4 * PAGE,
        R,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
    );
    assert_eq!(resident(private.expect("mapped"), 4), [0, 1, 0, 0]);
    let memory = map_with(3 * PAGE, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    assert_eq!(
        end_of(|| {
            write(page(memory, 2), 1);
            0
        }),
        End::Exit(0)
    );
    assert_eq!(resident(memory, 3), [0, 0, 1], "a child has touched it");
}

fn writing_to_a_mapping_changes_the_times() {
    let (file, memory) = mapped_file("f", 2, RW, libc::MAP_SHARED);
    let long_ago = [libc::timespec {
        tv_sec: 1000,
        tv_nsec: 0,
    }; 2];
    let times = || {
        let about = file.metadata().expect("open");
        (
            about.mtime(),
            about.ctime_nsec() + about.ctime() * 1_000_000_000,
        )
    };
    let set_back = || ok(sys!(futimens(file.as_raw_fd(), long_ago.as_ptr())));
    set_back();
    let before = times();
    assert_eq!(before.0, 1000);
    assert_eq!(read(memory), 0);
    assert_eq!(times(), before, "nothing was written");
    until("a write changes the times", || {
        // Where a clock ticks slowly, a new page later.
        ok(advise(memory, 2, libc::MADV_DONTNEED));
        write(page(memory, 1), 1);
        let now = times();
        now.0 > 1000 && now.1 > before.1
    });
    // What is private is no business of the file's.
    set_back();
    let fd = file.as_raw_fd();
    let private = try_map(ptr::null_mut(), PAGE, RW, libc::MAP_PRIVATE, fd).expect("mapped");
    write(private, 1);
    assert_eq!(times().0, 1000);
}

fn a_read_into_half_a_buffer_is_a_short_one() {
    fs::write("f", [7; 500]).expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let fd = file.as_raw_fd();
    let memory = map(2);
    ok(unmap(page(memory, 1), 1));
    let start = page(memory, 1).wrapping_sub(100);
    assert_eq!(sys!(pread(fd, start.cast(), 500, 0)), 100);
    assert_eq!((read(start), read(start.wrapping_add(99))), (7, 7));
    fails(
        sys!(pread(fd, page(memory, 1).cast(), 500, 0)),
        libc::EFAULT,
    );
    // And a write is as long as there is something to write.
    assert_eq!(sys!(pwrite(fd, start.cast(), 500, 300)), 100);
    let holes = open("holes", libc::O_RDWR | libc::O_CREAT, 0o600);
    assert_eq!(sys!(pwrite(holes.as_raw_fd(), start.cast(), 500, 10)), 100);
    assert_eq!(holes.metadata().expect("open").len(), 110);
    assert_eq!(sys!(pread(holes.as_raw_fd(), start.cast(), 500, 5)), 100);
    assert_eq!((read(start), read(start.wrapping_add(5))), (0, 7));
}
