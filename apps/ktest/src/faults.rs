//! Bad pointers: every call answers EFAULT, none of them harms kernel or program.

use crate::support::*;
use std::os::fd::AsRawFd;
use std::ptr;

crate::harness::tests![
    reading_into_nothing,
    writing_from_nothing,
    paths_from_nothing,
    paths_that_run_off_a_page,
    results_to_nothing: Native,
    lists_from_nothing,
    vectors_with_bad_parts,
    signal_calls,
    time_calls: Native,
    kernel_addresses_are_no_buffers,
    read_only_buffers_are_no_results,
    a_buffer_half_there_is_used_halfway,
    futex_words,
];

const PAGE: usize = 4096;

/// Addresses that belong to nobody here.
const BAD: [usize; 4] = [
    8,
    0x7f_ffff_f000 >> 1,
    0xffff_ff80_4000_0000,
    usize::MAX - 4095,
];

fn bad<T>(address: usize) -> *mut T {
    ptr::without_provenance_mut(address & !7)
}

fn reading_into_nothing() {
    std::fs::write("f", [7; 100]).expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (reader, writer) = pipe();
    assert_eq!(
        ok(sys!(write(writer.as_raw_fd(), b"abc".as_ptr().cast(), 3))),
        3
    );
    let zero = open("/dev/zero", libc::O_RDONLY, 0);
    for address in BAD {
        for fd in [file.as_raw_fd(), reader.as_raw_fd(), zero.as_raw_fd()] {
            fails(sys!(read(fd, bad(address), 3)), libc::EFAULT);
        }
        fails(
            sys!(pread(file.as_raw_fd(), bad(address), 3, 0)),
            libc::EFAULT,
        );
    }
    let mut data = [0u8; 3];
    assert_eq!(
        ok(sys!(read(reader.as_raw_fd(), data.as_mut_ptr().cast(), 3))),
        3
    );
    assert_eq!(&data, b"abc", "nothing was lost");
    assert_eq!(ok(sys!(lseek(file.as_raw_fd(), 0, libc::SEEK_CUR))), 0);
}

fn writing_from_nothing() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let (_reader, writer) = pipe();
    for address in BAD {
        fails(
            sys!(write(file.as_raw_fd(), bad(address), 10)),
            libc::EFAULT,
        );
        fails(
            sys!(write(writer.as_raw_fd(), bad(address), 10)),
            libc::EFAULT,
        );
        fails(
            sys!(pwrite(file.as_raw_fd(), bad(address), 10, 0)),
            libc::EFAULT,
        );
    }
    assert_eq!(file.metadata().expect("open").len(), 0);
    assert_eq!(poll_now(&_reader, libc::POLLIN), 0);
}

fn paths_from_nothing() {
    for address in BAD {
        let path = bad(address);
        fails(sys!(open(path, libc::O_RDONLY)), libc::EFAULT);
        fails(sys!(mkdir(path, 0o700)), libc::EFAULT);
        fails(sys!(unlink(path)), libc::EFAULT);
        fails(sys!(chdir(path)), libc::EFAULT);
        fails(sys!(chmod(path, 0o600)), libc::EFAULT);
        fails(sys!(rename(path, c"x".as_ptr())), libc::EFAULT);
        fails(sys!(symlink(c"x".as_ptr(), path)), libc::EFAULT);
        fails(sys!(truncate(path, 0)), libc::EFAULT);
        fails(sys!(access(path, libc::R_OK)), libc::EFAULT);
    }
}

/// The last byte of a page behind which there is nothing.
fn edge() -> *mut u8 {
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    let at = sys!(mmap(ptr::null_mut(), 2 * PAGE, prot, flags, -1, 0));
    assert_ne!(at, libc::MAP_FAILED);
    let at = at.cast::<u8>();
    ok(sys!(munmap(at.wrapping_add(PAGE).cast(), PAGE)));
    at.wrapping_add(PAGE - 1)
}

fn paths_that_run_off_a_page() {
    let last = edge();
    // SAFETY: the last byte of a page of ours.
    unsafe { last.write(b'x') };
    fails(sys!(open(last.cast(), libc::O_RDONLY)), libc::EFAULT);
    // With its NUL in time, the string is fine.
    // SAFETY: as above, and the byte before it.
    unsafe {
        last.write(0);
        last.sub(1).write(b'.');
    }
    ok(sys!(open(last.wrapping_sub(1).cast(), libc::O_RDONLY)));
}

fn results_to_nothing() {
    for address in BAD {
        fails(sys!(pipe(bad(address))), libc::EFAULT);
        fails(sys!(pipe2(bad(address), 0)), libc::EFAULT);
        fails(sys!(uname(bad(address))), libc::EFAULT);
        fails(
            sys!(syscall(libc::SYS_getcwd, bad::<u8>(address), 100)),
            libc::EFAULT,
        );
        fails(
            sys!(syscall(libc::SYS_getrandom, bad::<u8>(address), 10, 0)),
            libc::EFAULT,
        );
        fails(
            sys!(syscall(
                libc::SYS_readlinkat,
                -100,
                c"/proc/self".as_ptr(),
                bad::<u8>(address),
                9
            )),
            libc::EFAULT,
        );
        fails(
            sys!(syscall(
                libc::SYS_getrlimit,
                libc::RLIMIT_NOFILE,
                bad::<u8>(address)
            )),
            libc::EFAULT,
        );
        let here = open(".", libc::O_RDONLY, 0);
        fails(
            sys!(syscall(
                libc::SYS_getdents64,
                here.as_raw_fd(),
                bad::<u8>(address),
                1000
            )),
            libc::EFAULT,
        );
    }
    // A refused pipe leaves no descriptors behind.
    let lowest = ok(sys!(dup(0)));
    fails(sys!(pipe(bad(8))), libc::EFAULT);
    assert_eq!(ok(sys!(dup(0))), lowest + 1);
    let pid = spawn(|| 4);
    fails(sys!(waitpid(pid, bad(8), 0)), libc::EFAULT);
}

fn lists_from_nothing() {
    for address in BAD {
        fails(
            sys!(syscall(libc::SYS_ppoll, bad::<u8>(address), 3, 0, 0, 8)),
            libc::EFAULT,
        );
        fails(sys!(setgroups(3, bad(address))), libc::EFAULT);
        let epoll = ok(sys!(epoll_create1(0)));
        fails(
            sys!(epoll_ctl(epoll, libc::EPOLL_CTL_ADD, 0, bad(address))),
            libc::EFAULT,
        );
        ok(sys!(close(epoll)));
    }
}

fn vectors_with_bad_parts() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    for address in BAD {
        fails(
            sys!(writev(file.as_raw_fd(), bad(address), 2)),
            libc::EFAULT,
        );
        let mut good = [5u8; 10];
        let parts = [
            libc::iovec {
                iov_base: good.as_mut_ptr().cast(),
                iov_len: 10,
            },
            libc::iovec {
                iov_base: bad(address),
                iov_len: 10,
            },
        ];
        let result = sys!(writev(file.as_raw_fd(), parts.as_ptr(), 2));
        assert!(
            result == 10 || (result == -1 && errno() == libc::EFAULT),
            "{result}"
        );
    }
    let huge = [libc::iovec {
        iov_base: bad(8),
        iov_len: usize::MAX,
    }; 2];
    fails(
        sys!(writev(file.as_raw_fd(), huge.as_ptr(), 2)),
        libc::EINVAL,
    );
}

fn signal_calls() {
    // The kernel's own calls: the C functions around them read the structures first.
    for address in BAD {
        let at = bad::<u8>(address);
        let none = ptr::null_mut::<u8>();
        fails(
            sys!(syscall(libc::SYS_rt_sigaction, 10, at, none, 8)),
            libc::EFAULT,
        );
        fails(
            sys!(syscall(libc::SYS_rt_sigprocmask, 0, at, none, 8)),
            libc::EFAULT,
        );
        fails(sys!(syscall(libc::SYS_rt_sigpending, at, 8)), libc::EFAULT);
        fails(sys!(syscall(libc::SYS_rt_sigsuspend, at, 8)), libc::EFAULT);
        fails(
            sys!(syscall(libc::SYS_rt_sigtimedwait, at, none, none, 8)),
            libc::EFAULT,
        );
        fails(sys!(syscall(libc::SYS_sigaltstack, at, none)), libc::EFAULT);
    }
}

fn time_calls() {
    for address in BAD {
        let at = bad::<u8>(address);
        let none = ptr::null_mut::<u8>();
        fails(sys!(syscall(libc::SYS_nanosleep, at, none)), libc::EFAULT);
        fails(sys!(syscall(libc::SYS_clock_gettime, 0, at)), libc::EFAULT);
        fails(
            sys!(syscall(libc::SYS_setitimer, 0, at, none)),
            libc::EFAULT,
        );
        fails(sys!(syscall(libc::SYS_getrusage, 0, at)), libc::EFAULT);
        fails(sys!(syscall(libc::SYS_sysinfo, at)), libc::EFAULT);
    }
}

fn kernel_addresses_are_no_buffers() {
    let zero = open("/dev/zero", libc::O_RDONLY, 0);
    let null = open("/dev/null", libc::O_WRONLY, 0);
    let (reader, writer) = pipe();
    for address in (0..64)
        .map(|bit| usize::MAX << bit)
        .filter(|a| a >> 48 == 0xffff)
    {
        fails(sys!(read(zero.as_raw_fd(), bad(address), 64)), libc::EFAULT);
        fails(
            sys!(write(writer.as_raw_fd(), bad(address), 64)),
            libc::EFAULT,
        );
    }
    assert_eq!(poll_now(&reader, libc::POLLIN), 0, "kernel memory came out");
    // A range that wraps round.
    let high = bad::<libc::c_void>(usize::MAX - 7);
    fails(sys!(write(writer.as_raw_fd(), high, 4096)), libc::EFAULT);
    drop(null);
}

fn read_only_buffers_are_no_results() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = sys!(mmap(ptr::null_mut(), PAGE, libc::PROT_READ, flags, -1, 0));
    let zero = open("/dev/zero", libc::O_RDONLY, 0);
    fails(sys!(read(zero.as_raw_fd(), at, 10)), libc::EFAULT);
    let code = read_only_buffers_are_no_results as *const () as *mut libc::c_void;
    fails(sys!(read(zero.as_raw_fd(), code, 4)), libc::EFAULT);
    ok(sys!(mprotect(at, PAGE, libc::PROT_NONE)));
    let (_reader, writer) = pipe();
    fails(sys!(write(writer.as_raw_fd(), at, 10)), libc::EFAULT);
}

fn a_buffer_half_there_is_used_halfway() {
    let last = edge();
    let start = last.wrapping_sub(99);
    std::fs::write("f", [7; 500]).expect("a new file");
    let file = open("f", libc::O_RDWR, 0);
    let count = sys!(read(file.as_raw_fd(), start.cast(), 500));
    assert!(
        count == 100 || (count == -1 && errno() == libc::EFAULT),
        "{count}"
    );
    // A new page comes as the kernel writes to it, as if the program had.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let fresh = sys!(mmap(ptr::null_mut(), 16 * PAGE, prot, flags, -1, 0));
    let zero = open("/dev/urandom", libc::O_RDONLY, 0);
    assert_eq!(
        ok(sys!(read(zero.as_raw_fd(), fresh, 16 * PAGE))),
        16 * PAGE as isize
    );
    // So does a page that is shared with a child until one writes.
    let pid = spawn(|| {
        sleep_ms(20);
        // SAFETY: the mapping above.
        let bytes = unsafe { std::slice::from_raw_parts(fresh.cast::<u8>(), 16 * PAGE) };
        i32::from(bytes.iter().all(|b| *b == 0))
    });
    let zero = open("/dev/zero", libc::O_RDONLY, 0);
    assert_eq!(
        ok(sys!(read(zero.as_raw_fd(), fresh, 16 * PAGE))),
        16 * PAGE as isize
    );
    assert_eq!(
        wait(pid),
        End::Exit(0),
        "the kernel wrote into the child's copy"
    );
}

fn futex_words() {
    for address in BAD {
        let at = bad::<u32>(address);
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        fails(
            sys!(syscall(libc::SYS_futex, at, wait, 0, 0, 0, 0)),
            libc::EFAULT,
        );
    }
    let odd = ptr::without_provenance_mut::<u8>(0x1001);
    fails(
        sys!(syscall(libc::SYS_futex, odd, libc::FUTEX_WAIT, 0, 0, 0, 0)),
        libc::EINVAL,
    );
}
