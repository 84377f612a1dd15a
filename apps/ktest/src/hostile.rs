//! What a hostile or clumsy program may ask for without the right to harm others: very many of something, very deep, very often.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

crate::harness::tests![
    timers_that_ring_all_the_time_leave_room_for_work,
    endless_intervals_are_taken,
    threads_that_swap_cores_do_not_wait_for_each_other,
    one_file_can_be_polled_a_hundred_thousand_times,
    a_deep_tree_goes_when_its_last_user_leaves,
    sockets_in_sockets_in_sockets_go_together,
    sockets_that_hold_half_a_million_files_go_together,
    many_sockets_in_flight_do_not_slow_the_end_of_others,
    an_epoll_can_be_closed_while_it_is_woken,
    epolls_are_not_nested_without_end,
    epolls_in_layers_do_not_multiply_their_wake_ups,
    very_many_files_may_be_ready_at_once,
    tables_of_descriptors_are_not_copied_without_memory: Native,
    record_locks_do_not_grow_without_end,
    a_clone_that_fails_leaves_no_child,
    a_failed_fallocate_gives_back_what_it_took: Native,
    ranges_at_the_end_of_everything_are_not_mapped,
];

fn set_timer(value_us: i64, every_us: i64, every_s: i64) {
    let of = |sec, us| libc::timeval {
        tv_sec: sec,
        tv_usec: us as _,
    };
    let timer = libc::itimerval {
        it_value: of(0, value_us),
        it_interval: of(every_s, every_us),
    };
    ok(sys!(setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut())));
}

fn timers_that_ring_all_the_time_leave_room_for_work() {
    on_signal(libc::SIGALRM, libc::SA_RESTART, libc::SIG_IGN);
    set_timer(1, 1, 0);
    let mut clock: libc::itimerspec = zeroed();
    clock.it_value.tv_nsec = 1;
    clock.it_interval.tv_nsec = 1;
    let mut ids: [libc::timer_t; 4] = zeroed();
    for id in &mut ids {
        ok(sys!(timer_create(
            libc::CLOCK_MONOTONIC,
            ptr::null_mut(),
            id
        )));
        ok(sys!(timer_settime(*id, 0, &clock, ptr::null_mut())));
    }
    let mut sum = 0u64;
    for i in 0..3_000_000u64 {
        sum = std::hint::black_box(sum.wrapping_add(i));
    }
    set_timer(0, 0, 0);
}

extern "C" fn nothing(_: i32) {}

fn endless_intervals_are_taken() {
    on_signal(
        libc::SIGALRM,
        libc::SA_RESTART,
        nothing as *const () as usize,
    );
    set_timer(1000, 0, i64::MAX);
    sleep_ms(5);
    let mut left: libc::itimerval = zeroed();
    ok(sys!(getitimer(libc::ITIMER_REAL, &mut left)));
    assert!(
        left.it_value.tv_sec > 1_000_000_000,
        "{}",
        left.it_value.tv_sec
    );
}

fn threads_that_swap_cores_do_not_wait_for_each_other() {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    if cores < 2 {
        return;
    }
    let go_to = |core: usize| {
        let set = [1u64 << core; 1];
        ok(sys!(sched_setaffinity(0, 8, set.as_ptr().cast())));
    };
    let end = Instant::now() + Duration::from_secs(3);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                let mut core = n % cores;
                while Instant::now() < end {
                    go_to(core);
                    core = (core + 1) % cores;
                }
            })
        })
        .collect();
    for t in threads {
        t.join().expect("a swapping thread");
    }
}

fn raise_descriptors(most: u64) -> bool {
    let mut limit: libc::rlimit = zeroed();
    ok(sys!(getrlimit(libc::RLIMIT_NOFILE, &mut limit)));
    if limit.rlim_max < most {
        return false;
    }
    limit.rlim_cur = most;
    ok(sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)));
    true
}

fn one_file_can_be_polled_a_hundred_thousand_times() {
    const TIMES: usize = 300_000;
    if !raise_descriptors(TIMES as u64) {
        return;
    }
    let (reader, _writer) = pipe();
    let one = libc::pollfd {
        fd: std::os::fd::AsRawFd::as_raw_fd(&reader),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut list = vec![one; TIMES];
    assert_eq!(sys!(poll(list.as_mut_ptr(), TIMES as u64, 20)), 0);
}

fn a_deep_tree_goes_when_its_last_user_leaves() {
    const LEVELS: usize = 3000;
    for _ in 0..LEVELS {
        ok(sys!(mkdir(c"d".as_ptr(), 0o755)));
        ok(sys!(chdir(c"d".as_ptr())));
    }
    let bottom = open(".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    for _ in 0..LEVELS {
        ok(sys!(chdir(c"..".as_ptr())));
        ok(sys!(rmdir(c"d".as_ptr())));
    }
    drop(bottom);
}

/// Sends descriptor `fd` over the socket `over`.
fn send_descriptor(over: i32, fd: i32) -> isize {
    let mut byte = 0u8;
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let mut control = [0u64; 3];
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = 24;
    // SAFETY: the control buffer has room for one header and one descriptor.
    unsafe {
        let head = libc::CMSG_FIRSTHDR(&message);
        (*head).cmsg_len = libc::CMSG_LEN(4) as _;
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        libc::CMSG_DATA(head).cast::<i32>().write_unaligned(fd);
    }
    sys!(sendmsg(over, &message, 0))
}

fn socket_pair() -> [i32; 2] {
    let mut ends = [0; 2];
    ok(sys!(socketpair(
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        ends.as_mut_ptr()
    )));
    ends
}

fn close_all(fds: impl IntoIterator<Item = i32>) {
    for fd in fds {
        ok(sys!(close(fd)));
    }
}

fn sockets_in_sockets_in_sockets_go_together() {
    let [mut inner, other] = socket_pair();
    ok(sys!(close(other)));
    // Linux refuses to go deeper than a few levels; whoever does not must get out of it again.
    for _ in 0..2000 {
        let [keep, over] = socket_pair();
        let sent = send_descriptor(over, inner);
        ok(sys!(close(inner)));
        ok(sys!(close(over)));
        inner = keep;
        if sent == -1 {
            assert_eq!(errno(), libc::ETOOMANYREFS);
            break;
        }
    }
    ok(sys!(close(inner)));
}

/// Sends `count` copies of a descriptor and a byte, without waiting.
fn send_copies(over: i32, fd: i32, count: usize) -> isize {
    let mut byte = 0u8;
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let size = 16 + 4 * count;
    let mut control = vec![0u64; size.div_ceil(8)];
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size as _;
    // SAFETY: the control buffer has room for one header and so many descriptors.
    unsafe {
        let head = libc::CMSG_FIRSTHDR(&message);
        (*head).cmsg_len = size as _;
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        let data = libc::CMSG_DATA(head).cast::<i32>();
        (0..count).for_each(|n| data.add(n).write_unaligned(fd));
    }
    // C libraries have limits of their own.
    let at = &raw const message;
    sys!(syscall(libc::SYS_sendmsg, over, at, libc::MSG_DONTWAIT)) as isize
}

fn sockets_that_hold_half_a_million_files_go_together() {
    let [top, over] = socket_pair();
    let mut files = 0;
    while files < 600_000 {
        let [keep, into] = socket_pair();
        while send_copies(into, 0, 253) == 1 {
            files += 253;
        }
        let error = errno();
        assert!(
            matches!(error, libc::EAGAIN | libc::ETOOMANYREFS),
            "{error} after {files}"
        );
        if error == libc::ETOOMANYREFS {
            break;
        }
        assert_eq!(ok(send_descriptor(over, keep)), 1);
        close_all([keep, into]);
    }
    // All of them lie in the queue of one that lies in the queue of another.
    let [outer, last] = socket_pair();
    ok(send_descriptor(last, top));
    close_all([top, over, last, outer]);
}

fn many_sockets_in_flight_do_not_slow_the_end_of_others() {
    let [open, mut over] = socket_pair();
    // Each lies in the queue of the one before.
    for _ in 0..1000 {
        let [next, into] = socket_pair();
        if send_descriptor(over, next) == -1 {
            assert_eq!(errno(), libc::ETOOMANYREFS);
            break;
        }
        close_all([over, next]);
        over = into;
    }
    for _ in 0..50_000 {
        close_all(socket_pair());
    }
    close_all([open, over]);
}

fn watch(epoll: i32, fd: i32, events: i32) -> i32 {
    let mut interest = libc::epoll_event {
        events: events as u32,
        u64: 0,
    };
    sys!(epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut interest))
}

fn epolls_are_not_nested_without_end() {
    let top = ok(sys!(epoll_create1(0)));
    let mut bottom = top;
    for depth in 0..300 {
        let next = ok(sys!(epoll_create1(0)));
        if watch(bottom, next, libc::EPOLLIN) == -1 {
            assert_eq!((errno(), depth), (libc::ELOOP, 4));
            break;
        }
        bottom = next;
    }
    let event = ok(sys!(eventfd(1, 0)));
    ok(watch(bottom, event, libc::EPOLLIN));
    let mut found: libc::epoll_event = zeroed();
    assert_eq!(ok(sys!(epoll_wait(top, &mut found, 1, 0))), 1);
}

fn epolls_in_layers_do_not_multiply_their_wake_ups() {
    const WIDTH: usize = 60;
    let event = ok(sys!(eventfd(0, 0)));
    let mut below = vec![event];
    for _ in 0..5 {
        let layer: Vec<i32> = (0..WIDTH).map(|_| ok(sys!(epoll_create1(0)))).collect();
        for &above in &layer {
            for &fd in &below {
                if watch(above, fd, libc::EPOLLIN | libc::EPOLLET) == -1 {
                    assert!(matches!(errno(), libc::EINVAL | libc::ELOOP));
                }
            }
        }
        below = layer;
    }
    let one = 1u64;
    for _ in 0..100 {
        assert_eq!(sys!(write(event, (&raw const one).cast(), 8)), 8);
    }
}

fn very_many_files_may_be_ready_at_once() {
    const TIMES: i32 = 30_000;
    if !raise_descriptors(TIMES as u64 + 100) {
        return;
    }
    let (epoll, event) = (ok(sys!(epoll_create1(0))), ok(sys!(eventfd(0, 0))));
    for n in 0..TIMES {
        let fd = ok(sys!(dup(event)));
        if watch(epoll, fd, libc::EPOLLIN | libc::EPOLLET) == -1 {
            assert!(matches!(errno(), libc::ENOSPC | libc::ENOMEM), "at {n}");
            break;
        }
    }
    let one = 1u64;
    assert_eq!(sys!(write(event, (&raw const one).cast(), 8)), 8);
    let mut found: [libc::epoll_event; 64] = zeroed();
    assert_eq!(ok(sys!(epoll_wait(epoll, found.as_mut_ptr(), 64, 0))), 64);
    let outer = ok(sys!(epoll_create1(0)));
    _ = watch(outer, epoll, libc::EPOLLIN);
}

fn an_epoll_can_be_closed_while_it_is_woken() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let event = ok(sys!(eventfd(0, 0)));
    let waker = thread::spawn(move || {
        while !STOP.load(Ordering::Relaxed) {
            let one = 1u64;
            sys!(write(event, (&raw const one).cast(), 8));
        }
    });
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let epoll = ok(sys!(epoll_create1(0)));
        let mut interest = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET) as u32,
            u64: 0,
        };
        ok(sys!(epoll_ctl(
            epoll,
            libc::EPOLL_CTL_ADD,
            event,
            &mut interest
        )));
        ok(sys!(close(epoll)));
    }
    STOP.store(true, Ordering::Relaxed);
    waker.join().expect("the waking thread");
}

fn tables_of_descriptors_are_not_copied_without_memory() {
    const HIGH: i32 = 250_000;
    if !raise_descriptors(HIGH as u64 + 1) {
        return;
    }
    ok(sys!(dup2(2, HIGH)));
    // What is short of memory may die of it, and only that: not who only waits.
    let spare_me = |value: &str| std::fs::write("/proc/self/oom_score_adj", value);
    spare_me("-1000").expect("root may spare itself");
    let maker = spawn(|| {
        spare_me("0").expect("a process may give itself up");
        ok(sys!(setpgid(0, 0)));
        for _ in 0..400 {
            match sys!(fork()) {
                -1 => break,
                0 => loop {
                    sys!(pause());
                },
                _ => {}
            }
        }
        0
    });
    let end = wait(maker);
    assert!(
        matches!(end, End::Exit(0) | End::Signal(libc::SIGKILL)),
        "{end:?}"
    );
    // Nobody may be left to hear it.
    sys!(kill(-maker, libc::SIGKILL));
    _ = spare_me("0");
}

fn record_locks_do_not_grow_without_end() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let mut lock: libc::flock = zeroed();
    lock.l_type = libc::F_WRLCK as _;
    lock.l_len = 1;
    for i in 0..8000 {
        lock.l_start = 2 * i;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        if sys!(fcntl(fd, libc::F_SETLK, &lock)) == -1 {
            assert_eq!(errno(), libc::ENOLCK);
            break;
        }
    }
}

fn a_clone_that_fails_leaves_no_child() {
    extern "C" fn child(_: *mut libc::c_void) -> i32 {
        0
    }
    let mut stack = vec![0u128; 4096];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
    let nowhere = ptr::without_provenance_mut::<i32>(8);
    let pid = sys!(clone(child, top.cast(), flags, ptr::null_mut(), nowhere));
    fails(pid, libc::EFAULT);
    fails(sys!(waitpid(-1, ptr::null_mut(), 0)), libc::ECHILD);
}

fn a_failed_fallocate_gives_back_what_it_took() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let free = || {
        let mut about: libc::statfs = zeroed();
        ok(sys!(fstatfs(fd, &mut about)));
        about.f_bavail
    };
    let before = free();
    fails(sys!(fallocate(fd, 0, 0, 1 << 42)), libc::ENOSPC);
    // What an earlier test held may come back meanwhile.
    let lost = before.saturating_sub(free());
    assert!(lost < 100, "{lost} blocks are gone");
}

fn ranges_at_the_end_of_everything_are_not_mapped() {
    let last = usize::MAX - 4095;
    fails(sys!(mlock(last as *const libc::c_void, 4095)), libc::EINVAL);
    fails(
        sys!(msync(last as *mut libc::c_void, 4095, libc::MS_ASYNC)),
        libc::ENOMEM,
    );
}
