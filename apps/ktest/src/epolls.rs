//! epoll(7): what is reported, to whom, and how deep epolls watch each other.

use crate::events::stopped_while;
use crate::stress::leaves_nothing;
use crate::support::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

crate::harness::tests![
    epoll_reports_what_was_asked,
    epoll_edges_are_told_once,
    epoll_oneshot_disarms,
    epoll_forgets_closed_files,
    epoll_has_errors,
    epoll_wakes_a_waiter,
    epoll_wait_ends_after_a_stop: Native,
    epolls_nest,
    epolls_nest_five_deep_whichever_end_comes_first,
    each_edge_passes_through_nested_epolls,
    a_level_is_told_to_all_who_wait_for_it,
    a_poller_and_a_collector_do_not_hide_events_from_each_other,
    events_that_find_no_memory_of_the_programs_stay,
    a_pending_signal_does_not_end_an_impatient_wait,
    exclusive_watches_have_rules,
    what_cannot_be_watched_says_why,
    watches_that_come_and_go_leave_nothing,
    more_than_were_asked_for_stay_for_the_next,
];

fn epoll() -> File {
    owned(sys!(epoll_create1(libc::EPOLL_CLOEXEC)))
}

fn control(epoll: &File, what: i32, fd: i32, events: i32, data: u64) -> i32 {
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: data,
    };
    sys!(epoll_ctl(epoll.as_raw_fd(), what, fd, &mut event))
}

/// What is ready within the time, as (events, data), sorted by data.
fn ready(epoll: &File, timeout: i32) -> Vec<(i32, u64)> {
    let mut events: [libc::epoll_event; 16] = zeroed();
    let count = ok(sys!(epoll_wait(
        epoll.as_raw_fd(),
        events.as_mut_ptr(),
        16,
        timeout
    )));
    let mut found: Vec<_> = events[..count as usize]
        .iter()
        .map(|event| (event.events as i32, event.u64))
        .collect();
    found.sort_by_key(|event| event.1);
    found
}

fn epoll_reports_what_was_asked() {
    let epoll = epoll();
    let (a, mut wa) = pipe();
    let (b, wb) = pipe();
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        a.as_raw_fd(),
        libc::EPOLLIN,
        100,
    ));
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        b.as_raw_fd(),
        libc::EPOLLIN,
        200,
    ));
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        wb.as_raw_fd(),
        libc::EPOLLOUT,
        300,
    ));
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLOUT, 300)]);
    wa.write_all(b"x").expect("room");
    assert_eq!(
        ready(&epoll, 0),
        [(libc::EPOLLIN, 100), (libc::EPOLLOUT, 300)]
    );
    assert_eq!(ready(&epoll, 0).len(), 2, "as long as it is so");
    ok(control(&epoll, libc::EPOLL_CTL_MOD, wb.as_raw_fd(), 0, 301));
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 100)]);
    ok(control(&epoll, libc::EPOLL_CTL_DEL, a.as_raw_fd(), 0, 0));
    assert_eq!(ready(&epoll, 10), []);
    drop(wb);
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLHUP, 200)]);
}

fn epoll_edges_are_told_once() {
    let epoll = epoll();
    let (mut reader, mut writer) = pipe_with(libc::O_NONBLOCK);
    let events = libc::EPOLLIN | libc::EPOLLET;
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        reader.as_raw_fd(),
        events,
        1,
    ));
    writer.write_all(b"x").expect("room");
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 1)]);
    assert_eq!(ready(&epoll, 0), []);
    writer.write_all(b"y").expect("room");
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 1)], "more has come");
    assert_eq!(reader.read(&mut [0; 10]).expect("two bytes"), 2);
    assert_eq!(ready(&epoll, 0), []);
}

fn epoll_oneshot_disarms() {
    let epoll = epoll();
    let (reader, mut writer) = pipe();
    let events = libc::EPOLLIN | libc::EPOLLONESHOT;
    let fd = reader.as_raw_fd();
    ok(control(&epoll, libc::EPOLL_CTL_ADD, fd, events, 1));
    writer.write_all(b"x").expect("room");
    assert_eq!(ready(&epoll, 0).len(), 1);
    writer.write_all(b"y").expect("room");
    assert_eq!(ready(&epoll, 0), []);
    ok(control(&epoll, libc::EPOLL_CTL_MOD, fd, events, 2));
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 2)]);
}

fn epoll_forgets_closed_files() {
    let epoll = epoll();
    let (reader, mut writer) = pipe();
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        reader.as_raw_fd(),
        libc::EPOLLIN,
        1,
    ));
    let copy = reader.try_clone().expect("a descriptor more");
    writer.write_all(b"x").expect("room");
    drop(reader);
    assert_eq!(
        ready(&epoll, 0).len(),
        1,
        "the open file lives on in the copy"
    );
    drop(copy);
    assert_eq!(ready(&epoll, 0), []);
}

fn epoll_has_errors() {
    let epoll = epoll();
    let (reader, writer) = pipe();
    let fd = reader.as_raw_fd();
    ok(control(&epoll, libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, 1));
    fails(
        control(&epoll, libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, 1),
        libc::EEXIST,
    );
    fails(
        control(
            &epoll,
            libc::EPOLL_CTL_MOD,
            writer.as_raw_fd(),
            libc::EPOLLIN,
            1,
        ),
        libc::ENOENT,
    );
    fails(
        control(&epoll, libc::EPOLL_CTL_DEL, 77, libc::EPOLLIN, 1),
        libc::EBADF,
    );
    fails(control(&epoll, 99, fd, libc::EPOLLIN, 1), libc::EINVAL);
    let own = epoll.as_raw_fd();
    fails(
        control(&epoll, libc::EPOLL_CTL_ADD, own, libc::EPOLLIN, 1),
        libc::EINVAL,
    );
    let mut event: libc::epoll_event = zeroed();
    fails(sys!(epoll_wait(own, &mut event, 0, 0)), libc::EINVAL);
    fails(sys!(epoll_wait(fd, &mut event, 1, 0)), libc::EINVAL);
    fails(sys!(epoll_create1(99)), libc::EINVAL);
}

fn epoll_wakes_a_waiter() {
    let epoll = epoll();
    let (reader, mut writer) = pipe();
    ok(control(
        &epoll,
        libc::EPOLL_CTL_ADD,
        reader.as_raw_fd(),
        libc::EPOLLIN,
        5,
    ));
    let child = spawn(|| {
        sleep_ms(30);
        i32::from(writer.write(b"x").is_err())
    });
    assert_eq!(ready(&epoll, 20_000), [(libc::EPOLLIN, 5)]);
    wait(child);
    let start = Instant::now();
    ok(control(
        &epoll,
        libc::EPOLL_CTL_DEL,
        reader.as_raw_fd(),
        0,
        0,
    ));
    assert_eq!(ready(&epoll, 30), []);
    assert!(start.elapsed() >= Duration::from_millis(29));
}

fn epolls_nest() {
    let (inner, outer) = (epoll(), epoll());
    let (reader, mut writer) = pipe();
    ok(control(
        &inner,
        libc::EPOLL_CTL_ADD,
        reader.as_raw_fd(),
        libc::EPOLLIN,
        1,
    ));
    ok(control(
        &outer,
        libc::EPOLL_CTL_ADD,
        inner.as_raw_fd(),
        libc::EPOLLIN,
        2,
    ));
    assert_eq!(ready(&outer, 0), []);
    writer.write_all(b"x").expect("room");
    assert_eq!(ready(&outer, 0), [(libc::EPOLLIN, 2)]);
    assert_eq!(poll_now(&outer, libc::POLLIN), libc::POLLIN);
}

fn epoll_wait_ends_after_a_stop() {
    let end = stopped_while(|_| {
        let epoll = epoll();
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let found = sys!(epoll_wait(epoll.as_raw_fd(), &mut event, 1, -1));
        if found == -1 && errno() == libc::EINTR {
            7
        } else {
            1
        }
    });
    assert_eq!(end, End::Exit(7));
}

fn watch(outer: &File, inner: &impl AsRawFd, events: i32) -> i32 {
    control(outer, libc::EPOLL_CTL_ADD, inner.as_raw_fd(), events, 7)
}

fn epolls_nest_five_deep_whichever_end_comes_first() {
    let down: Vec<File> = (0..6).map(|_| epoll()).collect();
    for n in 0..4 {
        ok(watch(&down[n], &down[n + 1], libc::EPOLLIN));
    }
    fails(watch(&down[4], &down[5], libc::EPOLLIN), libc::ELOOP);
    let up: Vec<File> = (0..6).map(|_| epoll()).collect();
    for n in (1..5).rev() {
        ok(watch(&up[n], &up[n + 1], libc::EPOLLIN));
    }
    fails(watch(&up[0], &up[1], libc::EPOLLIN), libc::ELOOP);
    // Two chains that are too long together; shortened, they fit.
    let (top, bottom): (Vec<File>, Vec<File>) = (0..3).map(|_| (epoll(), epoll())).unzip();
    for chain in [&top, &bottom] {
        ok(watch(&chain[0], &chain[1], libc::EPOLLIN));
        ok(watch(&chain[1], &chain[2], libc::EPOLLIN));
    }
    fails(watch(&top[2], &bottom[0], libc::EPOLLIN), libc::ELOOP);
    ok(control(
        &top[0],
        libc::EPOLL_CTL_DEL,
        top[1].as_raw_fd(),
        0,
        0,
    ));
    ok(watch(&top[2], &bottom[0], libc::EPOLLIN));
    fails(watch(&bottom[2], &top[1], libc::EPOLLIN), libc::ELOOP);
    // Readiness comes up all the way.
    let (reader, mut writer) = pipe();
    ok(watch(&bottom[2], &reader, libc::EPOLLIN));
    writer.write_all(b"x").expect("room");
    assert_eq!(ready(&top[1], 0), [(libc::EPOLLIN, 7)]);
}

fn each_edge_passes_through_nested_epolls() {
    let (inner, middle, outer) = (epoll(), epoll(), epoll());
    let (reader, mut writer) = pipe();
    ok(watch(&inner, &reader, libc::EPOLLIN));
    ok(watch(&middle, &inner, libc::EPOLLIN | libc::EPOLLET));
    ok(watch(&outer, &middle, libc::EPOLLIN | libc::EPOLLET));
    for _ in 0..3 {
        writer.write_all(b"x").expect("room");
        assert_eq!(ready(&outer, 0), [(libc::EPOLLIN, 7)]);
        assert_eq!(ready(&outer, 0), []);
    }
    assert_eq!(ready(&middle, 0), [(libc::EPOLLIN, 7)]);
    assert_eq!(ready(&middle, 0), []);
}

fn a_level_is_told_to_all_who_wait_for_it() {
    const WAITERS: usize = 3;
    let (epoll, start) = (epoll(), Barrier::new(WAITERS + 1));
    let (mut reader, mut writer) = pipe();
    ok(watch(&epoll, &reader, libc::EPOLLIN));
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                for _ in 0..500 {
                    start.wait();
                    assert_eq!(ready(&epoll, 20_000), [(libc::EPOLLIN, 7)]);
                    start.wait();
                }
            });
        }
        for _ in 0..500 {
            start.wait();
            writer.write_all(b"x").expect("room");
            // Nobody reads before all have been told.
            start.wait();
            reader.read_exact(&mut [0]).expect("a byte");
        }
    });
}

fn a_poller_and_a_collector_do_not_hide_events_from_each_other() {
    let (epoll, start) = (epoll(), Barrier::new(3));
    let (mut reader, mut writer) = pipe();
    ok(watch(&epoll, &reader, libc::EPOLLIN));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1000 {
                start.wait();
                assert_eq!(poll_for(&epoll, libc::POLLIN, 20_000), libc::POLLIN);
                start.wait();
            }
        });
        scope.spawn(|| {
            for _ in 0..1000 {
                start.wait();
                assert_eq!(ready(&epoll, 20_000).len(), 1);
                start.wait();
            }
        });
        for _ in 0..1000 {
            start.wait();
            writer.write_all(b"x").expect("room");
            start.wait();
            reader.read_exact(&mut [0]).expect("a byte");
        }
    });
}

fn events_that_find_no_memory_of_the_programs_stay() {
    let epoll = epoll();
    let (reader, mut writer) = pipe();
    let (other, mut writes_other) = pipe();
    let nowhere = ptr::without_provenance_mut::<libc::epoll_event>(16);
    ok(watch(&epoll, &reader, libc::EPOLLIN | libc::EPOLLONESHOT));
    ok(watch(&epoll, &other, libc::EPOLLIN | libc::EPOLLET));
    writer.write_all(b"x").expect("room");
    writes_other.write_all(b"x").expect("room");
    for _ in 0..3 {
        fails(
            sys!(epoll_wait(epoll.as_raw_fd(), nowhere, 9, 0)),
            libc::EFAULT,
        );
    }
    assert_eq!(ready(&epoll, 0).len(), 2);
    assert_eq!(ready(&epoll, 0), []);
}

extern "C" fn nothing(_: i32) {}

fn a_pending_signal_does_not_end_an_impatient_wait() {
    let epoll = epoll();
    on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
    block(&[libc::SIGUSR1]);
    ok(sys!(raise(libc::SIGUSR1)));
    let mask = set_of(&[]);
    let mut event: libc::epoll_event = zeroed();
    let fd = epoll.as_raw_fd();
    assert_eq!(ok(sys!(epoll_pwait(fd, &mut event, 1, 0, &mask))), 0);
    fails(
        sys!(epoll_pwait(fd, &mut event, 1, 1000, &mask)),
        libc::EINTR,
    );
}

fn exclusive_watches_have_rules() {
    let (epoll, inner) = (epoll(), epoll());
    let (reader, mut writer) = pipe();
    let fd = reader.as_raw_fd();
    let exclusive = libc::EPOLLIN | libc::EPOLLEXCLUSIVE;
    for wrong in [libc::EPOLLONESHOT, libc::EPOLLPRI, libc::EPOLLRDHUP] {
        fails(watch(&epoll, &reader, exclusive | wrong), libc::EINVAL);
    }
    fails(watch(&epoll, &inner, exclusive), libc::EINVAL);
    ok(watch(&epoll, &reader, exclusive | libc::EPOLLET));
    for events in [libc::EPOLLIN, exclusive] {
        let changed = control(&epoll, libc::EPOLL_CTL_MOD, fd, events, 1);
        fails(changed, libc::EINVAL);
    }
    writer.write_all(b"x").expect("room");
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 7)]);
    ok(control(&epoll, libc::EPOLL_CTL_DEL, fd, 0, 0));
    ok(watch(&epoll, &reader, libc::EPOLLIN));
    ok(control(&epoll, libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN, 1));
    fails(
        control(&epoll, libc::EPOLL_CTL_MOD, fd, exclusive, 1),
        libc::EINVAL,
    );
}

fn what_cannot_be_watched_says_why() {
    let epoll = epoll();
    let file = open("f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let directory = open(".", libc::O_RDONLY, 0);
    fails(watch(&epoll, &file, libc::EPOLLIN), libc::EPERM);
    fails(watch(&epoll, &directory, libc::EPOLLIN), libc::EPERM);
    for name in ["/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"] {
        let device = open(name, libc::O_RDWR, 0);
        fails(watch(&epoll, &device, libc::EPOLLIN), libc::EPERM);
    }
    let random = open("/dev/random", libc::O_RDONLY, 0);
    ok(watch(&epoll, &random, libc::EPOLLIN));
    assert_eq!(ready(&epoll, 0), [(libc::EPOLLIN, 7)]);
    drop(random);
    let place = open("f", libc::O_PATH, 0);
    fails(watch(&epoll, &place, libc::EPOLLIN), libc::EBADF);
    fails(watch(&place, &file, libc::EPOLLIN), libc::EBADF);
    assert_eq!(poll_now(&place, libc::POLLIN), libc::POLLNVAL);
    let nowhere = ptr::without_provenance_mut::<libc::epoll_event>(16);
    let (epfd, add) = (epoll.as_raw_fd(), libc::EPOLL_CTL_ADD);
    fails(sys!(epoll_ctl(epfd, add, 99, nowhere)), libc::EFAULT);
    fails(
        sys!(epoll_ctl(epfd, libc::EPOLL_CTL_DEL, 99, nowhere)),
        libc::EBADF,
    );
}

fn watches_that_come_and_go_leave_nothing() {
    let epoll = epoll();
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").expect("room");
    leaves_nothing(200, 20, || {
        for _ in 0..1000 {
            ok(watch(&epoll, &reader, libc::EPOLLIN));
            let fd = reader.as_raw_fd();
            ok(control(&epoll, libc::EPOLL_CTL_DEL, fd, 0, 0));
        }
    });
    assert_eq!(ready(&epoll, 0), []);
}

fn more_than_were_asked_for_stay_for_the_next() {
    let epoll = epoll();
    let pipes: Vec<_> = (0..5).map(|_| pipe()).collect();
    for (n, (reader, writer)) in pipes.iter().enumerate() {
        let (add, events) = (libc::EPOLL_CTL_ADD, libc::EPOLLIN | libc::EPOLLET);
        ok(control(&epoll, add, reader.as_raw_fd(), events, n as u64));
        (&mut &*writer).write_all(b"x").expect("room");
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut events: [libc::epoll_event; 2] = zeroed();
        let count = ok(sys!(epoll_wait(
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            2,
            0
        )));
        seen.extend(events[..count as usize].iter().map(|event| event.u64));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}
