//! mmap(2), munmap(2), mremap(2): anonymous memory and files in the address space.

use crate::support::*;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::time::{Duration, Instant};

crate::harness::tests![
    anonymous_memory_is_zero,
    mappings_are_apart,
    unmapped_memory_is_gone,
    the_middle_can_be_unmapped,
    fixed_mappings_replace,
    noreplace_does_not: Native,
    hints_are_taken,
    a_gigabyte_reserved_costs_nothing,
    private_file_mappings_show_the_file,
    private_writes_stay_private,
    shared_writes_reach_the_file,
    file_offsets_are_honoured,
    beyond_the_end_of_file_is_sigbus,
    truncating_takes_mapped_pages_away,
    truncating_races_with_forks_and_faults: Native,
    punched_holes_are_seen_by_mappings,
    seals_hold_mappings_back: Native,
    the_last_page_ends_in_zeros,
    a_mapping_outlives_its_descriptor,
    a_mapping_outlives_its_file,
    mmap_rejects_nonsense,
    mmap_respects_the_open_mode,
    mremap_grows_and_keeps,
    mremap_shrinks,
    mremap_moves_only_if_it_may,
    dontneed_drops_pages,
    mincore_tells_what_is_there: Native,
    msync_and_madvise_check_their_range: Native,
    munmap_checks_its_range,
    brk_moves: Native,
    malloc_of_every_size,
    memory_comes_back_from_the_dead,
];

const PAGE: usize = 4096;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// A fresh mapping of `pages` pages, as bytes.
fn map(pages: usize) -> &'static mut [u8] {
    map_with(ptr::null_mut(), pages * PAGE, RW, ANON, -1, 0)
}

fn map_with(
    at: *mut libc::c_void,
    size: usize,
    prot: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> &'static mut [u8] {
    let got = sys!(mmap(at, size, prot, flags, fd, offset));
    assert_ne!(
        got,
        libc::MAP_FAILED,
        "mmap: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: the kernel has just given us this memory; tests unmap it when they are done.
    unsafe { std::slice::from_raw_parts_mut(got.cast(), size) }
}

fn map_fails(size: usize, prot: i32, flags: i32, fd: i32, offset: i64, errno: i32) {
    let got = sys!(mmap(ptr::null_mut(), size, prot, flags, fd, offset));
    let as_result = if got == libc::MAP_FAILED { -1 } else { 0 };
    fails(as_result, errno);
}

fn unmap(memory: &[u8]) {
    ok(sys!(munmap(
        memory.as_ptr().cast_mut().cast(),
        memory.len()
    )));
}

/// What happens to a process that reads there.
fn reading(at: *const u8) -> End {
    end_of(|| {
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        on_signal(libc::SIGBUS, 0, libc::SIG_DFL);
        // SAFETY: none; a fault is one of the outcomes, and the process is a child of its own.
        unsafe { std::hint::black_box(at.read_volatile()) };
        0
    })
}

fn anonymous_memory_is_zero() {
    let memory = map(1000);
    assert!(memory.iter().all(|b| *b == 0));
    memory.fill(0xff);
    unmap(memory);
    assert!(
        map(1000).iter().all(|b| *b == 0),
        "memory comes back with old content"
    );
}

fn mappings_are_apart() {
    let maps: Vec<_> = (0..100).map(|_| map(3)).collect();
    let mut ranges: Vec<_> = maps.iter().map(|m| m.as_ptr_range()).collect();
    ranges.sort_by_key(|range| range.start);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(ranges.iter().all(|range| range.start.addr() % PAGE == 0));
}

fn unmapped_memory_is_gone() {
    let memory = map(2);
    memory.fill(1);
    unmap(memory);
    assert_eq!(reading(memory.as_ptr()), End::Signal(libc::SIGSEGV));
}

fn the_middle_can_be_unmapped() {
    let memory = map(5);
    memory.fill(7);
    unmap(&memory[2 * PAGE..3 * PAGE]);
    assert_eq!(reading(&memory[2 * PAGE - 1]), End::Exit(0));
    assert_eq!(reading(&memory[2 * PAGE]), End::Signal(libc::SIGSEGV));
    assert_eq!(reading(&memory[3 * PAGE]), End::Exit(0));
    assert_eq!((memory[0], memory[4 * PAGE]), (7, 7));
    // Again, and over the hole: not an error.
    unmap(memory);
}

fn fixed_mappings_replace() {
    let memory = map(4);
    memory.fill(1);
    let at = memory[PAGE..].as_mut_ptr().cast();
    map_with(at, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0);
    assert_eq!((memory[0], memory[PAGE], memory[2 * PAGE]), (1, 0, 1));
}

fn noreplace_does_not() {
    let memory = map(2);
    memory.fill(5);
    let flags = ANON | libc::MAP_FIXED_NOREPLACE;
    let got = sys!(mmap(memory.as_mut_ptr().cast(), PAGE, RW, flags, -1, 0));
    assert_eq!(got, libc::MAP_FAILED);
    assert_eq!(errno(), libc::EEXIST);
    assert_eq!(memory[0], 5);
}

fn hints_are_taken() {
    let memory = map(4);
    let at = memory.as_mut_ptr();
    unmap(memory);
    let again = map_with(at.cast(), 2 * PAGE, RW, ANON, -1, 0);
    assert_eq!(again.as_mut_ptr(), at, "a free hint is as good as an order");
}

fn a_gigabyte_reserved_costs_nothing() {
    let flags = ANON | libc::MAP_NORESERVE;
    let memory = map_with(ptr::null_mut(), 1 << 30, RW, flags, -1, 0);
    for at in (0..1 << 30).step_by(64 << 20) {
        assert_eq!(memory[at], 0);
        memory[at] = 1;
    }
    assert_eq!(
        memory
            .iter()
            .step_by(64 << 20)
            .map(|b| usize::from(*b))
            .sum::<usize>(),
        16
    );
    unmap(memory);
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn private_file_mappings_show_the_file() {
    let data = pattern(3 * PAGE);
    fs::write("f", &data).expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let memory = map_with(
        ptr::null_mut(),
        data.len(),
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
        0,
    );
    assert!(*memory == data[..]);
}

fn private_writes_stay_private() {
    let data = pattern(2 * PAGE);
    fs::write("f", &data).expect("a new file");
    // Reading is all that a private writable mapping needs.
    let file = open("f", libc::O_RDONLY, 0);
    let (size, fd) = (data.len(), file.as_raw_fd());
    let memory = map_with(ptr::null_mut(), size, RW, libc::MAP_PRIVATE, fd, 0);
    memory[5] = !memory[5];
    memory[PAGE..].fill(0);
    assert_eq!(memory[4], data[4]);
    assert_eq!(fs::read("f").expect("still there"), data);
}

fn shared_writes_reach_the_file() {
    fs::write("f", pattern(2 * PAGE)).expect("a new file");
    let mut file = open("f", libc::O_RDWR, 0);
    let fd = file.as_raw_fd();
    let memory = map_with(ptr::null_mut(), 2 * PAGE, RW, libc::MAP_SHARED, fd, 0);
    memory[PAGE + 3] = 99;
    ok(sys!(msync(
        memory.as_mut_ptr().cast(),
        2 * PAGE,
        libc::MS_SYNC
    )));
    assert_eq!(fs::read("f").expect("still there")[PAGE + 3], 99);
    file.write_all(b"written").expect("a file to write");
    assert_eq!(
        &memory[..7],
        b"written",
        "write(2) and the mapping see one file"
    );
    let other = map_with(ptr::null_mut(), PAGE, RW, libc::MAP_SHARED, fd, 0);
    other[0] = b'W';
    assert_eq!(memory[0], b'W');
    assert_eq!(
        end_of(|| {
            memory[1] = b'R';
            0
        }),
        End::Exit(0)
    );
    assert_eq!(other[1], b'R', "a child's write reaches the parent");
}

fn file_offsets_are_honoured() {
    let data = pattern(4 * PAGE);
    fs::write("f", &data).expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let offset = 2 * PAGE as i64;
    let memory = map_with(
        ptr::null_mut(),
        PAGE,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
        offset,
    );
    assert!(*memory == data[2 * PAGE..3 * PAGE]);
    map_fails(
        PAGE,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
        1,
        libc::EINVAL,
    );
}

fn beyond_the_end_of_file_is_sigbus() {
    fs::write("f", b"short").expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    for kind in [libc::MAP_PRIVATE, libc::MAP_SHARED] {
        let memory = map_with(ptr::null_mut(), 3 * PAGE, RW, kind, file.as_raw_fd(), 0);
        assert_eq!(reading(&memory[PAGE - 1]), End::Exit(0));
        assert_eq!(reading(&memory[PAGE]), End::Signal(libc::SIGBUS));
    }
}

fn the_last_page_ends_in_zeros() {
    fs::write("f", b"short").expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let memory = map_with(
        ptr::null_mut(),
        PAGE,
        RW,
        libc::MAP_SHARED,
        file.as_raw_fd(),
        0,
    );
    assert_eq!(&memory[..5], b"short");
    assert!(memory[5..].iter().all(|b| *b == 0));
    memory[10] = 1;
    assert_eq!(
        file.metadata().expect("an open file").len(),
        5,
        "the file does not grow"
    );
}

fn a_mapping_outlives_its_descriptor() {
    fs::write("f", b"stays").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let fd = file.as_raw_fd();
    let memory = map_with(
        ptr::null_mut(),
        PAGE,
        libc::PROT_READ,
        libc::MAP_SHARED,
        fd,
        0,
    );
    drop(file);
    assert_eq!(&memory[..5], b"stays");
}

fn a_mapping_outlives_its_file() {
    fs::write("f", b"stays").expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let memory = map_with(
        ptr::null_mut(),
        PAGE,
        RW,
        libc::MAP_SHARED,
        file.as_raw_fd(),
        0,
    );
    drop(file);
    fs::remove_file("f").expect("it is there");
    memory[0] = b'S';
    assert_eq!(&memory[..5], b"Stays");
    assert_eq!(end_of(|| i32::from(&memory[..5] != b"Stays")), End::Exit(0));
}

fn mmap_rejects_nonsense() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let fd = file.as_raw_fd();
    map_fails(0, RW, ANON, -1, 0, libc::EINVAL);
    map_fails(PAGE, RW, libc::MAP_ANONYMOUS, -1, 0, libc::EINVAL);
    map_fails(PAGE, RW, libc::MAP_PRIVATE, -1, 0, libc::EBADF);
    map_fails(PAGE, RW, libc::MAP_PRIVATE, 99, 0, libc::EBADF);
    map_fails(1 << 60, RW, ANON, -1, 0, libc::ENOMEM);
    map_fails(
        usize::MAX - PAGE,
        RW,
        libc::MAP_PRIVATE,
        fd,
        0,
        libc::ENOMEM,
    );
    let (reader, _writer) = pipe();
    map_fails(
        PAGE,
        RW,
        libc::MAP_PRIVATE,
        reader.as_raw_fd(),
        0,
        libc::ENODEV,
    );
}

fn mmap_respects_the_open_mode() {
    fs::write("f", b"x").expect("a new file");
    let read_only = open("f", libc::O_RDONLY, 0);
    let write_only = open("f", libc::O_WRONLY, 0);
    let (r, w) = (read_only.as_raw_fd(), write_only.as_raw_fd());
    map_fails(PAGE, RW, libc::MAP_SHARED, r, 0, libc::EACCES);
    map_fails(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, w, 0, libc::EACCES);
    let memory = map_with(
        ptr::null_mut(),
        PAGE,
        libc::PROT_READ,
        libc::MAP_SHARED,
        r,
        0,
    );
    fails(
        sys!(mprotect(memory.as_mut_ptr().cast(), PAGE, RW)),
        libc::EACCES,
    );
}

fn mremap_grows_and_keeps() {
    let memory = map(4);
    memory.copy_from_slice(&pattern(4 * PAGE));
    let (old, new) = (4 * PAGE, 600 * PAGE);
    let got = sys!(mremap(
        memory.as_mut_ptr().cast(),
        old,
        new,
        libc::MREMAP_MAYMOVE
    ));
    assert_ne!(got, libc::MAP_FAILED);
    // SAFETY: the mapping now has the new size.
    let grown = unsafe { std::slice::from_raw_parts_mut(got.cast::<u8>(), new) };
    assert!(grown[..old] == pattern(old)[..]);
    assert!(grown[old..].iter().all(|b| *b == 0));
    grown[new - 1] = 1;
    if grown.as_ptr() != memory.as_ptr() {
        assert_eq!(reading(memory.as_ptr()), End::Signal(libc::SIGSEGV));
    }
}

fn mremap_shrinks() {
    let memory = map(4);
    memory.fill(3);
    let got = sys!(mremap(memory.as_mut_ptr().cast(), 4 * PAGE, PAGE, 0));
    assert_eq!(got.cast::<u8>(), memory.as_mut_ptr());
    assert_eq!(memory[PAGE - 1], 3);
    assert_eq!(reading(&memory[PAGE]), End::Signal(libc::SIGSEGV));
}

fn mremap_moves_only_if_it_may() {
    let memory = map(3);
    let at = memory.as_mut_ptr().cast();
    // The second page is in the way of the first.
    assert_eq!(sys!(mremap(at, PAGE, 2 * PAGE, 0)), libc::MAP_FAILED);
    assert_eq!(errno(), libc::ENOMEM);
    memory[0] = 9;
    let got = sys!(mremap(at, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE));
    assert_ne!(got, libc::MAP_FAILED);
    // SAFETY: the kernel has moved the page there.
    assert_eq!(unsafe { got.cast::<u8>().read() }, 9);
    unmap(memory);
    assert_eq!(
        sys!(mremap(at, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE)),
        libc::MAP_FAILED
    );
    assert_eq!(errno(), libc::EFAULT);
}

fn dontneed_drops_pages() {
    let memory = map(3);
    memory.fill(4);
    ok(sys!(madvise(
        memory[PAGE..].as_mut_ptr().cast(),
        PAGE,
        libc::MADV_DONTNEED
    )));
    let seen = [0, PAGE, 2 * PAGE].map(|at| std::hint::black_box(&memory)[at]);
    assert_eq!(seen, [4, 0, 4]);
}

fn mincore_tells_what_is_there() {
    let memory = map(4);
    memory[PAGE] = 1;
    let mut there = [9u8; 4];
    let at = memory.as_mut_ptr().cast::<libc::c_void>();
    ok(sys!(mincore(at, 4 * PAGE, there.as_mut_ptr().cast())));
    assert_eq!(there.map(|b| b & 1), [0, 1, 0, 0]);
    unmap(memory);
    fails(
        sys!(mincore(at, 4 * PAGE, there.as_mut_ptr().cast())),
        libc::ENOMEM,
    );
}

fn msync_and_madvise_check_their_range() {
    let memory = map(1);
    let at = memory.as_mut_ptr().cast::<libc::c_void>();
    let odd = memory[1..].as_mut_ptr().cast::<libc::c_void>();
    fails(sys!(msync(odd, PAGE, libc::MS_SYNC)), libc::EINVAL);
    fails(sys!(madvise(odd, PAGE, libc::MADV_DONTNEED)), libc::EINVAL);
    fails(sys!(madvise(at, PAGE, 9999)), libc::EINVAL);
    unmap(memory);
    fails(sys!(msync(at, PAGE, libc::MS_SYNC)), libc::ENOMEM);
    fails(sys!(madvise(at, PAGE, libc::MADV_DONTNEED)), libc::ENOMEM);
}

fn munmap_checks_its_range() {
    let memory = map(1);
    let at = memory.as_mut_ptr();
    fails(sys!(munmap(at.wrapping_add(1).cast(), PAGE)), libc::EINVAL);
    fails(sys!(munmap(at.cast(), 0)), libc::EINVAL);
    fails(sys!(munmap(at.cast(), usize::MAX / 2)), libc::EINVAL);
    // Nothing there is nothing wrong.
    unmap(memory);
    unmap(memory);
}

fn brk_moves() {
    // Raw, as libc's own allocator may or may not use it.
    let brk = |at: usize| sys!(syscall(libc::SYS_brk, at)) as usize;
    in_child(|| {
        let start = brk(0);
        assert_ne!(start, 0);
        let top = start.next_multiple_of(PAGE) + 10 * PAGE;
        assert_eq!(brk(top), top);
        // SAFETY: brk has just made this page.
        unsafe {
            let last = (top - PAGE) as *mut u8;
            assert_eq!(last.read_volatile(), 0);
            last.write_volatile(1);
        }
        assert_eq!(brk(usize::MAX), top, "refused: nothing changes");
        assert_eq!(brk(start), start);
    });
}

fn malloc_of_every_size() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for size in (1..2000).chain([10_000, 100_000, 1 << 20, 10 << 20]) {
        blocks.push(vec![size as u8; size]);
        if size % 3 == 0 {
            let at = blocks.len() / 2;
            blocks.swap_remove(at);
        }
    }
    assert!(
        blocks
            .iter()
            .all(|b| b.iter().all(|byte| *byte == b.len() as u8))
    );
    for alignment in [16usize, 64, 4096, 65536] {
        let mut at = ptr::null_mut();
        assert_eq!(sys!(posix_memalign(&mut at, alignment, 100)), 0);
        assert_eq!(at.addr() % alignment, 0);
        sys!(free(at));
    }
}

fn memory_comes_back_from_the_dead() {
    // A gigabyte in all.
    for _ in 0..60 {
        let end = end_of(|| {
            let memory = map(16 * 256);
            memory.iter_mut().step_by(PAGE).for_each(|b| *b = 1);
            0
        });
        assert_eq!(end, End::Exit(0));
    }
}

/// How a child that reads the byte ends.
fn end_of_reading(byte: &u8) -> End {
    // SAFETY: a reference of the caller's.
    end_of(|| i32::from(unsafe { ptr::read_volatile(byte) }))
}

fn truncating_takes_mapped_pages_away() {
    fs::write("f", vec![7u8; 4 * PAGE]).expect("a file");
    let file = open("f", libc::O_RDWR, 0);
    let shared = map_with(
        ptr::null_mut(),
        4 * PAGE,
        RW,
        libc::MAP_SHARED,
        file.as_raw_fd(),
        0,
    );
    let private = map_with(
        ptr::null_mut(),
        4 * PAGE,
        RW,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
        0,
    );
    for memory in [&mut *shared, &mut *private] {
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte += 1);
    }
    let read_only = map_with(
        ptr::null_mut(),
        4 * PAGE,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        file.as_raw_fd(),
        0,
    );
    assert!(read_only.iter().step_by(PAGE).all(|&byte| byte == 8));
    file.set_len(PAGE as u64 + 10).expect("shorter");
    for (memory, byte) in [(&*shared, 8), (&*private, 9), (&*read_only, 8)] {
        assert_eq!(end_of_reading(&memory[0]), End::Exit(byte));
        assert_eq!(end_of_reading(&memory[PAGE]), End::Exit(byte));
        assert_eq!(end_of_reading(&memory[2 * PAGE]), End::Signal(libc::SIGBUS));
        assert_eq!(end_of_reading(&memory[3 * PAGE]), End::Signal(libc::SIGBUS));
    }
    assert_eq!(shared[PAGE + 10], 0, "cut off");
    file.set_len(4 * PAGE as u64).expect("longer");
    for memory in [&*shared, &*private, &*read_only] {
        assert_eq!(end_of_reading(&memory[2 * PAGE]), End::Exit(0));
    }
}

fn truncating_races_with_forks_and_faults() {
    const PAGES: usize = 16;
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let size = (PAGES * PAGE) as u64;
    file.set_len(size).expect("longer");
    let flags = libc::MAP_SHARED;
    let memory = map_with(
        ptr::null_mut(),
        PAGES * PAGE,
        RW,
        flags,
        file.as_raw_fd(),
        0,
    );
    let end = Instant::now() + Duration::from_secs(1);
    let reader = spawn(|| {
        // Dies of SIGBUS some time or other, or reads what is in the file: never what was cut off a round before.
        while Instant::now() < end {
            let pid = spawn(|| {
                memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
                0
            });
            let end = wait(pid);
            assert!(
                matches!(end, End::Exit(0) | End::Signal(libc::SIGBUS)),
                "{end:?}"
            );
        }
        0
    });
    while Instant::now() < end {
        file.set_len(0).expect("empty");
        let pid = spawn(|| i32::from(memory[PAGE]));
        assert_eq!(
            wait(pid),
            End::Signal(libc::SIGBUS),
            "memory behind the end of the file"
        );
        file.set_len(size).expect("longer");
    }
    assert_eq!(wait(reader), End::Exit(0));
}

fn punched_holes_are_seen_by_mappings() {
    fs::write("f", vec![7u8; 4 * PAGE]).expect("a file");
    let file = open("f", libc::O_RDWR, 0);
    let shared = map_with(
        ptr::null_mut(),
        4 * PAGE,
        RW,
        libc::MAP_SHARED,
        file.as_raw_fd(),
        0,
    );
    assert!(shared.iter().all(|&byte| byte == 7));
    let flags = libc::MAP_PRIVATE;
    let private = map_with(ptr::null_mut(), 4 * PAGE, RW, flags, file.as_raw_fd(), 0);
    assert!(private.iter().all(|&byte| byte == 7));
    private[2 * PAGE] = 8;
    let how = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let page = PAGE as i64;
    if sys!(fallocate(file.as_raw_fd(), how, page, 2 * page)) == -1 {
        assert_eq!(errno(), libc::EOPNOTSUPP);
        return;
    }
    let sums: Vec<usize> = shared
        .chunks(PAGE)
        .map(|page| page.iter().map(|&b| b as usize).sum())
        .collect();
    assert_eq!(sums, [7 * PAGE, 0, 0, 7 * PAGE]);
    // A copy stays, what is none goes.
    assert_eq!([0, 1, 2, 3].map(|page| private[page * PAGE]), [7, 0, 8, 7]);
    shared[PAGE] = 3;
    assert_eq!(
        fs::read("f").expect("readable")[PAGE],
        3,
        "both look at the new page"
    );
}

fn sealable() -> File {
    let flags = libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC;
    let fd = ok(sys!(syscall(
        libc::SYS_memfd_create,
        c"sealed".as_ptr(),
        flags
    )));
    // SAFETY: it has just been made.
    let file = unsafe { File::from_raw_fd(fd as i32) };
    file.set_len(2 * PAGE as u64).expect("longer");
    file
}

fn seals_hold_mappings_back() {
    let seal = |file: &File, seals: i32| sys!(fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals));
    let map = |file: &File, prot: i32, flags: i32| {
        sys!(mmap(
            ptr::null_mut(),
            PAGE,
            prot,
            flags,
            file.as_raw_fd(),
            0
        ))
    };
    let denied = |file: &File| {
        assert_eq!(map(file, RW, libc::MAP_SHARED), libc::MAP_FAILED);
        assert_eq!(errno(), libc::EPERM);
    };

    let file = sealable();
    let at = map(&file, RW, libc::MAP_SHARED);
    assert_ne!(at, libc::MAP_FAILED);
    fails(seal(&file, libc::F_SEAL_WRITE), libc::EBUSY);
    // What a child inherits counts as well.
    let (gate, wait_here) = pipe();
    let child = spawn(|| {
        let mut gate = gate.try_clone().expect("a descriptor");
        sys!(close(wait_here.as_raw_fd()));
        std::io::Read::read(&mut gate, &mut [0]).expect("the end") as i32
    });
    ok(sys!(munmap(at, PAGE)));
    fails(seal(&file, libc::F_SEAL_WRITE), libc::EBUSY);
    drop(wait_here);
    assert_eq!(wait(child), End::Exit(0));
    ok(seal(&file, libc::F_SEAL_WRITE));
    denied(&file);
    let private = map(&file, RW, libc::MAP_PRIVATE);
    assert_ne!(private, libc::MAP_FAILED, "copies harm nobody");

    // What is there may go on writing; what is new may not.
    let file = sealable();
    let old = map(&file, RW, libc::MAP_SHARED).cast::<u8>();
    ok(seal(&file, libc::F_SEAL_FUTURE_WRITE));
    // SAFETY: mapped, writable.
    unsafe { *old = 5 };
    denied(&file);
    fails(sys!(write(file.as_raw_fd(), old.cast(), 1)), libc::EPERM);
    let look = map(&file, libc::PROT_READ, libc::MAP_SHARED);
    assert_ne!(look, libc::MAP_FAILED);
    // SAFETY: mapped.
    assert_eq!(unsafe { *look.cast::<u8>() }, 5);
    fails(sys!(mprotect(look, PAGE, RW)), libc::EACCES);
}
