//! Waiting for many things: poll, select, eventfd, timerfd, signalfd, inotify.

use crate::support::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, Instant};

crate::harness::tests![
    poll_times_out,
    poll_wakes_for_the_right_one,
    poll_ignores_negative_descriptors,
    poll_and_select_go_on_after_a_stop,
    a_handler_ends_poll_whatever_its_flags,
    ppoll_swaps_the_mask,
    select_marks_what_is_ready,
    select_rejects_nonsense,
    files_are_always_ready,
    eventfd_counts,
    eventfd_semaphores_count_down,
    eventfd_limits,
    timerfd_expires,
    timerfd_repeats,
    timerfd_tells_and_disarms,
    signalfd_reads_signals,
    signalfd_gives_what_there_is_room_for,
    inotify_sees_changes,
];

fn poll_times_out() {
    let (reader, _writer) = pipe();
    let start = Instant::now();
    assert_eq!(poll_for(&reader, libc::POLLIN, 50), 0);
    assert!(start.elapsed() >= Duration::from_millis(49));
    assert_eq!(sys!(poll(ptr::null_mut(), 0, 10)), 0);
}

fn poll_wakes_for_the_right_one() {
    let mut pipes: Vec<_> = (0..20).map(|_| pipe()).collect();
    let mut polls: Vec<_> = pipes
        .iter()
        .map(|(reader, _)| libc::pollfd {
            fd: reader.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let child = spawn(|| {
        sleep_ms(30);
        i32::from(pipes[13].1.write(b"x").is_err())
    });
    assert_eq!(ok(sys!(poll(polls.as_mut_ptr(), 20, 20_000))), 1);
    assert!(
        polls
            .iter()
            .enumerate()
            .all(|(n, p)| (p.revents != 0) == (n == 13))
    );
    wait(child);
}

/// Stops and continues a child that waits in `body`, writes to its pipe, and returns how it ends.
pub fn stopped_while(body: impl Fn(&File) -> i32) -> End {
    let (reader, mut writer) = pipe();
    let pid = spawn(|| body(&reader));
    for _ in 0..3 {
        until("it waits", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|text| text.contains(") S ") || text.contains(") Z "))
        });
        ok(sys!(kill(pid, libc::SIGSTOP)));
        let mut status = 0;
        ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
        if End::of(status) != End::Stop(libc::SIGSTOP) {
            return End::of(status);
        }
        ok(sys!(kill(pid, libc::SIGCONT)));
    }
    std::io::Write::write_all(&mut writer, b"x").expect("room");
    wait(pid)
}

fn poll_and_select_go_on_after_a_stop() {
    for timeout in [-1, 50_000] {
        let end = stopped_while(|reader| {
            i32::from(poll_for(reader, libc::POLLIN, timeout) != libc::POLLIN)
        });
        assert_eq!(end, End::Exit(0), "poll for {timeout} ms");
    }
    let end = stopped_while(|reader| {
        let mut set: libc::fd_set = zeroed();
        sys!(FD_SET(reader.as_raw_fd(), &mut set));
        let null = std::ptr::null_mut();
        sys!(select(
            reader.as_raw_fd() + 1,
            &mut set,
            null,
            null,
            null.cast()
        )) - 1
    });
    assert_eq!(end, End::Exit(0), "select");
    // The time does not start anew.
    let start = std::time::Instant::now();
    let end = stopped_while(|_| {
        let null = std::ptr::null_mut();
        sys!(poll(null, 0, 300))
    });
    assert_eq!(end, End::Exit(0));
    assert!(start.elapsed().as_secs() < 20);
}

extern "C" fn nothing(_: i32) {}

fn a_handler_ends_poll_whatever_its_flags() {
    let pid = spawn(|| {
        on_signal(
            libc::SIGUSR1,
            libc::SA_RESTART,
            nothing as *const () as usize,
        );
        ok(sys!(raise(libc::SIGSTOP)));
        let found = sys!(poll(std::ptr::null_mut(), 0, -1));
        if found == -1 && errno() == libc::EINTR {
            7
        } else {
            1
        }
    });
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    ok(sys!(kill(pid, libc::SIGCONT)));
    until("it waits", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|text| text.contains(") S "))
    });
    ok(sys!(kill(pid, libc::SIGUSR1)));
    assert_eq!(wait(pid), End::Exit(7));
}

fn poll_ignores_negative_descriptors() {
    let mut polls = [libc::pollfd {
        fd: -1,
        events: libc::POLLIN,
        revents: 9,
    }];
    assert_eq!(sys!(poll(polls.as_mut_ptr(), 1, 0)), 0);
    assert_eq!(polls[0].revents, 0);
}

fn ppoll_swaps_the_mask() {
    on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    let long = libc::timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let open_mask = set_of(&[]);
    fails(
        sys!(ppoll(ptr::null_mut(), 0, &long, &open_mask)),
        libc::EINTR,
    );
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: -1,
    };
    fails(
        sys!(ppoll(ptr::null_mut(), 0, &bad, ptr::null())),
        libc::EINVAL,
    );
}

fn select_marks_what_is_ready() {
    let (a, mut wa) = pipe();
    let (b, wb) = pipe();
    wa.write_all(b"x").expect("room");
    let mut readable: libc::fd_set = zeroed();
    let mut writable: libc::fd_set = zeroed();
    sys!(FD_SET(a.as_raw_fd(), &mut readable));
    sys!(FD_SET(b.as_raw_fd(), &mut readable));
    sys!(FD_SET(wb.as_raw_fd(), &mut writable));
    let none = ptr::null_mut();
    let count = sys!(select(
        wb.as_raw_fd() + 1,
        &mut readable,
        &mut writable,
        none,
        none.cast()
    ));
    assert_eq!(ok(count), 2);
    assert!(sys!(FD_ISSET(a.as_raw_fd(), &readable)));
    assert!(!sys!(FD_ISSET(b.as_raw_fd(), &readable)));
    assert!(sys!(FD_ISSET(wb.as_raw_fd(), &writable)));
    sys!(FD_ZERO(&mut readable));
    sys!(FD_SET(b.as_raw_fd(), &mut readable));
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    let start = Instant::now();
    let count = sys!(select(
        wb.as_raw_fd() + 1,
        &mut readable,
        none,
        none,
        &mut time
    ));
    assert_eq!(ok(count), 0);
    assert!(start.elapsed() >= Duration::from_millis(19));
    assert!(!sys!(FD_ISSET(b.as_raw_fd(), &readable)));
}

fn select_rejects_nonsense() {
    let none = ptr::null_mut();
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    fails(sys!(select(-1, none, none, none, &mut time)), libc::EINVAL);
    let mut set: libc::fd_set = zeroed();
    sys!(FD_SET(77, &mut set));
    fails(
        sys!(select(78, &mut set, none, none, &mut time)),
        libc::EBADF,
    );
}

fn files_are_always_ready() {
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let both = libc::POLLIN | libc::POLLOUT;
    assert_eq!(poll_now(&file, both), both);
    let null = open("/dev/null", libc::O_RDWR, 0);
    assert_eq!(poll_now(&null, both), both);
}

fn read_number(mut file: &File) -> std::io::Result<u64> {
    let mut data = [0; 8];
    file.read_exact(&mut data)?;
    Ok(u64::from_ne_bytes(data))
}

fn write_number(mut file: &File, number: u64) -> std::io::Result<()> {
    file.write_all(&number.to_ne_bytes())
}

fn eventfd_counts() {
    let event = owned(sys!(eventfd(3, libc::EFD_NONBLOCK)));
    write_number(&event, 4).expect("room");
    assert_eq!(
        poll_now(&event, libc::POLLIN | libc::POLLOUT),
        libc::POLLIN | libc::POLLOUT
    );
    assert_eq!(read_number(&event).expect("a count"), 7);
    let error = read_number(&event).expect_err("zero now");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(
        poll_now(&event, libc::POLLIN | libc::POLLOUT),
        libc::POLLOUT
    );
    let event = owned(sys!(eventfd(0, 0)));
    let child = spawn(|| {
        sleep_ms(20);
        i32::from(write_number(&event, 9).is_err())
    });
    assert_eq!(read_number(&event).expect("it waits"), 9);
    wait(child);
}

fn eventfd_semaphores_count_down() {
    let event = owned(sys!(eventfd(2, libc::EFD_SEMAPHORE | libc::EFD_NONBLOCK)));
    assert_eq!(read_number(&event).expect("two"), 1);
    assert_eq!(read_number(&event).expect("one"), 1);
    assert!(read_number(&event).is_err());
}

fn eventfd_limits() {
    let event = owned(sys!(eventfd(0, libc::EFD_NONBLOCK)));
    let error = write_number(&event, u64::MAX).expect_err("one too many");
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    write_number(&event, u64::MAX - 1).expect("the most there is");
    let error = write_number(&event, 1).expect_err("full");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    let mut four = [0u8; 4];
    fails(
        sys!(read(event.as_raw_fd(), four.as_mut_ptr().cast(), 4)),
        libc::EINVAL,
    );
}

fn timer(first_ms: i64, interval_ms: i64) -> libc::itimerspec {
    let spec = |ms: i64| libc::timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    libc::itimerspec {
        it_interval: spec(interval_ms),
        it_value: spec(first_ms),
    }
}

fn timerfd(flags: i32) -> File {
    owned(sys!(timerfd_create(libc::CLOCK_MONOTONIC, flags)))
}

fn set(timer_file: &File, value: libc::itimerspec) {
    ok(sys!(timerfd_settime(
        timer_file.as_raw_fd(),
        0,
        &value,
        ptr::null_mut()
    )));
}

fn timerfd_expires() {
    let file = timerfd(0);
    let start = Instant::now();
    set(&file, timer(30, 0));
    assert_eq!(poll_now(&file, libc::POLLIN), 0);
    assert_eq!(read_number(&file).expect("one expiry"), 1);
    assert!(start.elapsed() >= Duration::from_millis(30));
    let file = timerfd(libc::TFD_NONBLOCK);
    set(&file, timer(20, 0));
    let error = read_number(&file).expect_err("not yet");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(poll_for(&file, libc::POLLIN, 20_000), libc::POLLIN);
    // A time that has passed expires at once.
    let past = libc::itimerspec {
        it_interval: zeroed(),
        it_value: libc::timespec {
            tv_sec: 0,
            tv_nsec: 1,
        },
    };
    let flags = libc::TFD_TIMER_ABSTIME;
    ok(sys!(timerfd_settime(
        file.as_raw_fd(),
        flags,
        &past,
        ptr::null_mut()
    )));
    assert_eq!(poll_for(&file, libc::POLLIN, 20_000), libc::POLLIN);
}

fn timerfd_repeats() {
    let file = timerfd(0);
    set(&file, timer(5, 5));
    sleep_ms(52);
    let count = read_number(&file).expect("many expiries");
    assert!((5..1000).contains(&count), "{count} in 52 ms");
    let start = Instant::now();
    let mut total = 0;
    while total < 6 {
        total += read_number(&file).expect("more");
    }
    assert!(start.elapsed() >= Duration::from_millis(20));
}

fn timerfd_tells_and_disarms() {
    let file = timerfd(libc::TFD_NONBLOCK);
    set(&file, timer(100_000, 3000));
    let mut now: libc::itimerspec = zeroed();
    ok(sys!(timerfd_gettime(file.as_raw_fd(), &mut now)));
    assert!((95..=100).contains(&now.it_value.tv_sec));
    assert_eq!(now.it_interval.tv_sec, 3);
    set(&file, timer(0, 0));
    ok(sys!(timerfd_gettime(file.as_raw_fd(), &mut now)));
    assert_eq!((now.it_value.tv_sec, now.it_value.tv_nsec), (0, 0));
    fails(sys!(timerfd_create(99, 0)), libc::EINVAL);
}

fn signalfd_reads_signals() {
    let signals = set_of(&[libc::SIGUSR1, libc::SIGCHLD]);
    block(&[libc::SIGUSR1, libc::SIGCHLD]);
    let mut file = owned(sys!(signalfd(-1, &signals, libc::SFD_NONBLOCK)));
    assert_eq!(poll_now(&file, libc::POLLIN), 0);
    let pid = spawn(|| 3);
    assert_eq!(poll_for(&file, libc::POLLIN, 20_000), libc::POLLIN);
    ok(sys!(raise(libc::SIGUSR1)));
    let mut data = [0u8; 128 * 3];
    assert_eq!(file.read(&mut data).expect("two signals"), 256);
    let number = |at: usize| u32::from_ne_bytes(data[at..at + 4].try_into().expect("four bytes"));
    let mut found = [number(0) as i32, number(128) as i32];
    found.sort_unstable();
    let mut expected = [libc::SIGUSR1, libc::SIGCHLD];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let at = if number(0) as i32 == libc::SIGCHLD {
        0
    } else {
        128
    };
    assert_eq!(number(at + 12) as i32, pid);
    assert!(file.read(&mut data).is_err());
    wait(pid);
}

fn inotify_sees_changes() {
    std::fs::create_dir("d").expect("a new directory");
    let mut file = owned(sys!(inotify_init1(libc::IN_NONBLOCK)));
    let mask = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MODIFY | libc::IN_MOVED_TO;
    let watch = ok(sys!(inotify_add_watch(
        file.as_raw_fd(),
        c"d".as_ptr(),
        mask
    )));
    std::fs::write("d/f", "x").expect("a new file");
    std::fs::rename("d/f", "d/g").expect("there");
    std::fs::remove_file("d/g").expect("there");
    assert_eq!(poll_for(&file, libc::POLLIN, 5000), libc::POLLIN);
    let mut data = [0u8; 4096];
    let count = file.read(&mut data).expect("events");
    let mut seen = Vec::new();
    let mut at = 0;
    while at < count {
        let word = |n: usize| {
            let bytes = &data[at + n * 4..at + n * 4 + 4];
            u32::from_ne_bytes(bytes.try_into().expect("four bytes"))
        };
        assert_eq!(word(0) as i32, watch);
        seen.push(word(1));
        at += 16 + word(3) as usize;
    }
    assert_eq!(
        seen,
        [
            libc::IN_CREATE,
            libc::IN_MODIFY,
            libc::IN_MOVED_TO,
            libc::IN_DELETE
        ]
    );
    ok(sys!(inotify_rm_watch(file.as_raw_fd(), watch)));
    fails(sys!(inotify_rm_watch(file.as_raw_fd(), 99)), libc::EINVAL);
}

fn signalfd_gives_what_there_is_room_for() {
    let signals = [libc::SIGUSR1, libc::SIGUSR2];
    block(&signals);
    let set = set_of(&signals);
    let file = owned(sys!(signalfd(-1, &set, libc::SFD_NONBLOCK)));
    for signal in signals {
        ok(sys!(raise(signal)));
    }
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    let at = sys!(mmap(ptr::null_mut(), 8192, prot, flags, -1, 0));
    ok(sys!(munmap(at.wrapping_byte_add(4096), 4096)));
    let last = at.wrapping_byte_add(4096 - 128);
    assert_eq!(sys!(read(file.as_raw_fd(), last, 256)), 128);
}
