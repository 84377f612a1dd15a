//! Memory that processes share: MAP_SHARED, memfd, System V segments.

use crate::support::*;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

crate::harness::tests![
    anonymous_sharing_crosses_fork,
    atomics_work_between_processes,
    a_pristine_shared_page_is_one_page,
    memfd_is_a_file_in_memory,
    memfd_is_shared_by_mapping,
    unlinked_files_share,
    system_v_segments_attach,
    system_v_segments_count_their_users,
    system_v_segments_have_owners: Native,
    system_v_errors,
    shared_memory_is_not_copied_by_grandchildren,
];

const PAGE: usize = 4096;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn anonymous_sharing_crosses_fork() {
    let numbers = shared::<[AtomicU32; 4096]>();
    let end = end_of(|| {
        for (n, number) in numbers.iter().enumerate() {
            number.store(n as u32, Ordering::Relaxed);
        }
        0
    });
    assert_eq!(end, End::Exit(0));
    assert!(
        numbers
            .iter()
            .enumerate()
            .all(|(n, x)| x.load(Ordering::Relaxed) == n as u32)
    );
}

fn atomics_work_between_processes() {
    let total = shared::<AtomicU64>();
    let children: Vec<i32> = (0..4)
        .map(|_| {
            spawn(|| {
                for _ in 0..20_000 {
                    total.fetch_add(1, Ordering::Relaxed);
                }
                0
            })
        })
        .collect();
    for child in children {
        assert_eq!(wait(child), End::Exit(0));
    }
    assert_eq!(total.load(Ordering::Relaxed), 80_000);
}

fn a_pristine_shared_page_is_one_page() {
    // Untouched before the fork: both touch it first, and must meet in one frame.
    let cell = shared::<AtomicU32>();
    let pid = spawn(|| {
        until("the parent has written", || {
            cell.load(Ordering::SeqCst) == 1
        });
        cell.store(2, Ordering::SeqCst);
        0
    });
    cell.store(1, Ordering::SeqCst);
    until("the child has answered", || {
        cell.load(Ordering::SeqCst) == 2
    });
    assert_eq!(wait(pid), End::Exit(0));
}

fn memfd() -> std::fs::File {
    let fd = ok(sys!(memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC)));
    // SAFETY: memfd_create has just made it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}

fn memfd_is_a_file_in_memory() {
    use std::io::{Read, Seek, Write};
    let mut file = memfd();
    file.write_all(b"hello").expect("room in memory");
    file.set_len(10).expect("it grows");
    file.rewind().expect("it seeks");
    let mut data = Vec::new();
    file.read_to_end(&mut data).expect("it reads");
    assert_eq!(data, b"hello\0\0\0\0\0");
    assert_eq!(
        sys!(fcntl(file.as_raw_fd(), libc::F_GETFD)),
        libc::FD_CLOEXEC
    );
    assert_eq!(file.metadata().expect("a file").len(), 10);
}

fn memfd_is_shared_by_mapping() {
    let file = memfd();
    file.set_len(PAGE as u64).expect("it grows");
    let map = || {
        let fd = file.as_raw_fd();
        let at = sys!(mmap(ptr::null_mut(), PAGE, RW, libc::MAP_SHARED, fd, 0));
        assert_ne!(at, libc::MAP_FAILED);
        // SAFETY: a shared mapping of a page, never unmapped.
        unsafe { &*at.cast::<AtomicU32>() }
    };
    let first = map();
    let end = end_of(|| {
        map().store(77, Ordering::SeqCst);
        0
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(first.load(Ordering::SeqCst), 77);
}

fn unlinked_files_share() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    file.set_len(PAGE as u64).expect("it grows");
    std::fs::remove_file("f").expect("it is there");
    let fd = file.as_raw_fd();
    let at = sys!(mmap(ptr::null_mut(), PAGE, RW, libc::MAP_SHARED, fd, 0));
    assert_ne!(at, libc::MAP_FAILED);
    // SAFETY: a shared mapping of a page.
    let cell = unsafe { &*at.cast::<AtomicU32>() };
    let end = end_of(|| {
        cell.store(5, Ordering::SeqCst);
        0
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(cell.load(Ordering::SeqCst), 5);
}

fn system_v_segments_attach() {
    let id = ok(sys!(shmget(
        libc::IPC_PRIVATE,
        3 * PAGE,
        libc::IPC_CREAT | 0o600
    )));
    let at = sys!(shmat(id, ptr::null(), 0));
    // Marked for removal now: it goes when the last process detaches, come what may.
    ok(sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())));
    assert_ne!(
        at.addr(),
        usize::MAX,
        "shmat: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: a shared segment of three pages.
    let cell = unsafe { &*at.cast::<AtomicU32>() };
    assert_eq!(cell.load(Ordering::SeqCst), 0);
    let end = end_of(|| {
        cell.store(6, Ordering::SeqCst);
        0
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(cell.load(Ordering::SeqCst), 6);
    ok(sys!(shmdt(at)));
    fails(sys!(shmdt(at)), libc::EINVAL);
    fails(
        sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())),
        libc::EINVAL,
    );
}

fn attach(id: i32, flags: i32) -> *mut libc::c_void {
    let at = sys!(shmat(id, ptr::null(), flags));
    let error = std::io::Error::last_os_error();
    assert_ne!(at.addr(), usize::MAX, "shmat: {error}");
    at
}

fn system_v_segments_count_their_users() {
    let id = ok(sys!(shmget(libc::IPC_PRIVATE, 5000, 0o600)));
    let about = || {
        let mut about: libc::shmid_ds = zeroed();
        ok(sys!(shmctl(id, libc::IPC_STAT, &mut about)));
        about
    };
    assert_eq!((about().shm_segsz, about().shm_nattch), (5000, 0));
    assert_eq!(about().shm_cpid, sys!(getpid()));
    let first = attach(id, 0);
    let second = attach(id, libc::SHM_RDONLY);
    assert_eq!(about().shm_nattch, 2);
    let counted = shared::<AtomicU64>();
    let end = end_of(|| {
        counted.store(about().shm_nattch as u64, Ordering::SeqCst);
        0
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(counted.load(Ordering::SeqCst), 4, "a fork attaches");
    assert_eq!(about().shm_nattch, 2, "an exit detaches");
    // SAFETY: both are mappings of two pages.
    let (a, b) = unsafe { (&*first.cast::<AtomicU32>(), &*second.cast::<AtomicU32>()) };
    a.store(9, Ordering::SeqCst);
    assert_eq!(b.load(Ordering::SeqCst), 9);
    let end = end_of(|| {
        b.store(1, Ordering::SeqCst);
        0
    });
    assert_eq!(end, End::Signal(libc::SIGSEGV), "attached for reading");
    // A segment that was removed lives as long as it has users.
    ok(sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())));
    let third = attach(id, 0);
    ok(sys!(shmdt(first)));
    ok(sys!(shmdt(second)));
    // SAFETY: as above.
    let c = unsafe { &*third.cast::<AtomicU32>() };
    assert_eq!(c.load(Ordering::SeqCst), 9);
    ok(sys!(shmdt(third)));
    let mut about: libc::shmid_ds = zeroed();
    fails(sys!(shmctl(id, libc::IPC_STAT, &mut about)), libc::EINVAL);
}

fn system_v_segments_have_owners() {
    let id = ok(sys!(shmget(libc::IPC_PRIVATE, PAGE, 0o640)));
    in_child(|| {
        ok(sys!(setgid(54_321)));
        ok(sys!(setuid(54_321)));
        let at = sys!(shmat(id, ptr::null(), libc::SHM_RDONLY)).addr();
        fails(if at == usize::MAX { -1 } else { 0 }, libc::EACCES);
        fails(
            sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())),
            libc::EPERM,
        );
    });
    let mut about: libc::shmid_ds = zeroed();
    ok(sys!(shmctl(id, libc::IPC_STAT, &mut about)));
    about.shm_perm.uid = 54_321;
    ok(sys!(shmctl(id, libc::IPC_SET, &mut about)));
    in_child(|| {
        ok(sys!(setuid(54_321)));
        ok(sys!(shmdt(attach(id, 0))));
        ok(sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())));
    });
    fails(
        sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())),
        libc::EINVAL,
    );
}

fn system_v_errors() {
    fails(sys!(shmget(0x7e57_0001, PAGE, 0)), libc::ENOENT);
    fails(
        sys!(shmget(libc::IPC_PRIVATE, 0, libc::IPC_CREAT)),
        libc::EINVAL,
    );
    let result = sys!(shmat(0x7fff_0000, ptr::null(), 0)).addr();
    fails(if result == usize::MAX { -1 } else { 0 }, libc::EINVAL);
    let id = ok(sys!(shmget(0x7e57_0002, PAGE, libc::IPC_CREAT | 0o600)));
    fails(
        sys!(shmget(0x7e57_0002, PAGE, libc::IPC_CREAT | libc::IPC_EXCL)),
        libc::EEXIST,
    );
    assert_eq!(ok(sys!(shmget(0x7e57_0002, PAGE, 0))), id);
    let mut about: libc::shmid_ds = zeroed();
    ok(sys!(shmctl(id, libc::IPC_STAT, &mut about)));
    assert_eq!((about.shm_segsz, about.shm_nattch), (PAGE, 0));
    ok(sys!(shmctl(id, libc::IPC_RMID, ptr::null_mut())));
}

fn shared_memory_is_not_copied_by_grandchildren() {
    let cell = shared::<AtomicU32>();
    cell.store(1, Ordering::SeqCst);
    let end = end_of(|| {
        let end = end_of(|| {
            cell.store(cell.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
            0
        });
        cell.store(cell.load(Ordering::SeqCst) * 10, Ordering::SeqCst);
        i32::from(end != End::Exit(0))
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(cell.load(Ordering::SeqCst), 20);
}
