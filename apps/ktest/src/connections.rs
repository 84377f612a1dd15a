//! What sockets that are connected, or wait to be, learn of each other: ends, errors, room.

use crate::support::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

crate::harness::tests![
    closing_wakes_who_waits_to_send,
    closing_a_listener_refuses_who_waits_to_connect,
    closing_a_listener_resets_who_was_not_accepted,
    shutting_down_needs_no_connection,
    shutting_down_wakes_who_waits_to_accept,
    what_is_shut_down_hangs_up,
    room_is_told_after_connecting,
    room_is_told_by_whoever_is_the_peer_now,
    a_socket_that_polls_as_writable_takes_a_message,
    reading_nothing_takes_nothing,
    sequenced_packets_raise_no_signal,
    a_descriptor_needs_a_byte_of_a_stream,
    control_messages_for_others_are_skipped,
    descriptors_that_cannot_be_told_of_are_not_left,
];

const STREAM: i32 = libc::SOCK_STREAM;
const DATAGRAM: i32 = libc::SOCK_DGRAM;
const PACKET: i32 = libc::SOCK_SEQPACKET;

fn socket(kind: i32) -> File {
    owned(sys!(socket(libc::AF_UNIX, kind, 0)))
}

fn pair(kind: i32) -> (File, File) {
    let mut ends = [0; 2];
    ok(sys!(socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr())));
    (owned(ends[0]), owned(ends[1]))
}

/// A call with the address of a socket in the test's own directory.
fn named(name: &str, call: impl FnOnce(*const libc::sockaddr, u32) -> i32) -> i32 {
    let mut address: libc::sockaddr_un = zeroed();
    address.sun_family = libc::AF_UNIX as _;
    for (to, from) in address.sun_path.iter_mut().zip(name.bytes()) {
        *to = from as _;
    }
    let size = size_of::<libc::sockaddr_un>() as u32;
    call((&raw const address).cast(), size)
}

fn bound(kind: i32, name: &str) -> File {
    let socket = socket(kind);
    let fd = socket.as_raw_fd();
    ok(named(name, |address, size| sys!(bind(fd, address, size))));
    socket
}

fn listener(kind: i32, name: &str, backlog: i32) -> File {
    let socket = bound(kind, name);
    ok(sys!(listen(socket.as_raw_fd(), backlog)));
    socket
}

fn connect_to(socket: &File, name: &str) -> i32 {
    let fd = socket.as_raw_fd();
    named(name, |address, size| sys!(connect(fd, address, size)))
}

fn connected(kind: i32, name: &str) -> File {
    let socket = socket(kind);
    ok(connect_to(&socket, name));
    socket
}

fn accept(listener: &File) -> i32 {
    let none = std::ptr::null_mut();
    sys!(accept(listener.as_raw_fd(), none, none.cast()))
}

/// The length sent, or -1 and errno; no signal.
fn send(socket: &File, data: &[u8], flags: i32) -> isize {
    let flags = flags | libc::MSG_NOSIGNAL;
    let (at, size) = (data.as_ptr().cast(), data.len());
    sys!(send(socket.as_raw_fd(), at, size, flags)) as isize
}

fn receive(socket: &File, room: usize, flags: i32) -> isize {
    let mut data = vec![0u8; room];
    let at = data.as_mut_ptr().cast();
    sys!(recv(socket.as_raw_fd(), at, room, flags)) as isize
}

/// Sends pieces until there is no room for one more.
fn fill(socket: &File, size: usize) -> usize {
    let data = vec![7; size];
    let mut count = 0;
    while send(socket, &data, libc::MSG_DONTWAIT) > 0 {
        count += 1;
    }
    assert_eq!(errno(), libc::EAGAIN);
    count
}

/// How `waits` fails, in a child, once `act` is done while it waits.
#[track_caller]
fn error_of(waits: impl FnOnce() -> isize, act: impl FnOnce()) -> i32 {
    let child = spawn(|| if waits() == -1 { errno() } else { 0 });
    until("it waits", || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
        stat.is_ok_and(|text| text.contains(") S ") || text.contains(") Z "))
    });
    act();
    match wait(child) {
        End::Exit(error) => error,
        other => panic!("{other:?}"),
    }
}

fn closing_wakes_who_waits_to_send() {
    let expected = [
        (STREAM, libc::ECONNRESET),
        (DATAGRAM, libc::ECONNREFUSED),
        (PACKET, libc::ECONNRESET),
    ];
    for (kind, error) in expected {
        let (a, b) = pair(kind);
        fill(&a, 1000);
        let fd = b.as_raw_fd();
        let waits = || {
            ok(sys!(close(fd)));
            send(&a, b"x", 0)
        };
        assert_eq!(error_of(waits, || drop(b)), error, "kind {kind}");
        let then = if kind == DATAGRAM {
            libc::ENOTCONN
        } else {
            libc::EPIPE
        };
        fails(send(&a, b"x", 0), then);
        if kind != DATAGRAM {
            assert_ne!(poll_now(&a, 0) & libc::POLLHUP, 0);
        }
    }
}

fn closing_a_listener_refuses_who_waits_to_connect() {
    let listener = listener(STREAM, "l", 0);
    let _first = connected(STREAM, "l");
    let (second, fd) = (socket(STREAM), listener.as_raw_fd());
    let waits = || {
        ok(sys!(close(fd)));
        connect_to(&second, "l") as isize
    };
    assert_eq!(error_of(waits, || drop(listener)), libc::ECONNREFUSED);
    fails(connect_to(&second, "l"), libc::ECONNREFUSED);
}

fn closing_a_listener_resets_who_was_not_accepted() {
    for kind in [STREAM, PACKET] {
        let name = format!("l{kind}");
        let listener = listener(kind, &name, 5);
        let (a, b) = (connected(kind, &name), connected(kind, &name));
        assert_eq!(send(&a, b"x", 0), 1);
        drop(listener);
        for client in [&a, &b] {
            assert_ne!(poll_now(client, 0) & libc::POLLERR, 0);
            fails(receive(client, 9, 0), libc::ECONNRESET);
            assert_eq!(receive(client, 9, 0), 0);
            fails(send(client, b"x", 0), libc::EPIPE);
        }
    }
}

fn shutting_down_needs_no_connection() {
    for kind in [STREAM, DATAGRAM, PACKET] {
        for how in [libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR] {
            let socket = socket(kind);
            ok(sys!(shutdown(socket.as_raw_fd(), how)));
        }
    }
    let shut = |kind, how| {
        let socket = socket(kind);
        ok(sys!(shutdown(socket.as_raw_fd(), how)));
        socket
    };
    fails(receive(&shut(STREAM, libc::SHUT_RD), 9, 0), libc::EINVAL);
    fails(receive(&shut(PACKET, libc::SHUT_RD), 9, 0), libc::ENOTCONN);
    assert_eq!(receive(&shut(DATAGRAM, libc::SHUT_RD), 9, 0), 0);
    fails(send(&shut(STREAM, libc::SHUT_WR), b"x", 0), libc::ENOTCONN);
    let (a, b) = pair(DATAGRAM);
    ok(sys!(shutdown(a.as_raw_fd(), libc::SHUT_WR)));
    fails(send(&a, b"x", 0), libc::EPIPE);
    assert_eq!(send(&b, b"x", 0), 1);
    // A listener that hears nothing refuses.
    let listener = listener(STREAM, "l", 5);
    let early = connected(STREAM, "l");
    ok(sys!(shutdown(listener.as_raw_fd(), libc::SHUT_RD)));
    fails(connect_to(&socket(STREAM), "l"), libc::ECONNREFUSED);
    // Who came before may still be accepted.
    drop(owned(accept(&listener)));
    fails(accept(&listener), libc::EINVAL);
    drop(early);
    // A receiver that hears nothing breaks the pipe.
    let deaf = bound(DATAGRAM, "d");
    let client = connected(DATAGRAM, "d");
    ok(sys!(shutdown(deaf.as_raw_fd(), libc::SHUT_RD)));
    fails(send(&client, b"x", 0), libc::EPIPE);
}

fn shutting_down_wakes_who_waits_to_accept() {
    let listener = listener(STREAM, "l", 5);
    let shut = || {
        ok(sys!(shutdown(listener.as_raw_fd(), libc::SHUT_RDWR)));
    };
    assert_eq!(error_of(|| accept(&listener) as isize, shut), libc::EINVAL);
}

fn what_is_shut_down_hangs_up() {
    let all = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
    for kind in [STREAM, DATAGRAM, PACKET] {
        let (a, b) = pair(kind);
        ok(sys!(shutdown(a.as_raw_fd(), libc::SHUT_RD)));
        assert_eq!(poll_now(&a, all), all);
        ok(sys!(shutdown(a.as_raw_fd(), libc::SHUT_WR)));
        assert_eq!(poll_now(&a, all), all | libc::POLLHUP);
        let told = if kind == DATAGRAM {
            libc::POLLOUT
        } else {
            all | libc::POLLHUP
        };
        assert_eq!(poll_now(&b, all), told, "kind {kind}");
    }
    let listener = listener(STREAM, "l", 5);
    assert_eq!(poll_now(&listener, all), 0);
    ok(sys!(shutdown(listener.as_raw_fd(), libc::SHUT_RDWR)));
    let told = libc::POLLIN | libc::POLLRDHUP | libc::POLLHUP;
    assert_eq!(poll_now(&listener, all), told);
}

fn epoll_of(socket: &File, events: i32) -> File {
    let epoll = owned(sys!(epoll_create1(0)));
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: 0,
    };
    let (epfd, fd) = (epoll.as_raw_fd(), socket.as_raw_fd());
    ok(sys!(epoll_ctl(epfd, libc::EPOLL_CTL_ADD, fd, &mut event)));
    epoll
}

/// The events of the one file that `epoll` watches; 0 after the time.
fn told(epoll: &File, timeout: i32) -> i32 {
    let mut event: libc::epoll_event = zeroed();
    match ok(sys!(epoll_wait(epoll.as_raw_fd(), &mut event, 1, timeout))) {
        0 => 0,
        _ => event.events as i32,
    }
}

fn room_is_told_after_connecting() {
    for kind in [STREAM, PACKET] {
        let name = format!("l{kind}");
        let listener = listener(kind, &name, 5);
        let client = socket(kind);
        let epoll = epoll_of(&client, libc::EPOLLOUT | libc::EPOLLET);
        told(&epoll, 0);
        ok(connect_to(&client, &name));
        told(&epoll, 0);
        let server = owned(accept(&listener));
        fill(&client, 4000);
        assert_eq!(told(&epoll, 0) & libc::EPOLLOUT, 0);
        while receive(&server, 4000, libc::MSG_DONTWAIT) > 0 {}
        assert_eq!(errno(), libc::EAGAIN);
        assert_eq!(told(&epoll, 0), libc::EPOLLOUT, "kind {kind}");
    }
}

fn room_is_told_by_whoever_is_the_peer_now() {
    let (first, second) = (bound(DATAGRAM, "a"), bound(DATAGRAM, "b"));
    let client = socket(DATAGRAM);
    let epoll = epoll_of(&client, libc::EPOLLOUT | libc::EPOLLET);
    assert_eq!(told(&epoll, 0), libc::EPOLLOUT);
    for (name, receiver) in [("a", &first), ("b", &second), ("a", &first)] {
        ok(connect_to(&client, name));
        told(&epoll, 0);
        let count = fill(&client, 100);
        assert_eq!(poll_now(&client, libc::POLLOUT), 0);
        for _ in 0..count {
            assert_eq!(receive(receiver, 100, 0), 100);
        }
        assert_eq!(told(&epoll, 0), libc::EPOLLOUT, "{name}");
    }
    // The room that two wait for is told to both.
    let other = connected(DATAGRAM, "a");
    let others = epoll_of(&other, libc::EPOLLOUT | libc::EPOLLET);
    fill(&client, 100);
    told(&epoll, 0);
    assert_eq!(poll_now(&other, libc::POLLOUT), 0);
    told(&others, 0);
    assert_eq!(receive(&first, 100, 0), 100);
    assert_eq!(told(&epoll, 0), libc::EPOLLOUT);
    assert_eq!(told(&others, 0), libc::EPOLLOUT);
    drop(first);
    assert_eq!(poll_now(&other, libc::POLLOUT), libc::POLLOUT);
    fails(send(&other, b"x", 0), libc::ECONNREFUSED);
}

fn a_socket_that_polls_as_writable_takes_a_message() {
    for kind in [DATAGRAM, PACKET] {
        for size in [100, 3000, 50_000, 100_000] {
            let (a, b) = pair(kind);
            let data = vec![7; size];
            let mut count = 0;
            while poll_now(&a, libc::POLLOUT) == libc::POLLOUT {
                let sent = send(&a, &data, libc::MSG_DONTWAIT);
                assert_eq!(ok(sent), size as isize, "message {count}");
                count += 1;
            }
            assert!(count > 0);
            for _ in 0..count {
                assert_eq!(receive(&b, size, 0), size as isize);
            }
        }
    }
}

fn reading_nothing_takes_nothing() {
    for kind in [STREAM, DATAGRAM, PACKET] {
        let (a, mut b) = pair(kind);
        // Neither does it wait.
        assert_eq!(b.read(&mut []).expect("nothing"), 0);
        assert_eq!(send(&a, b"abc", 0), 3);
        assert_eq!(b.read(&mut []).expect("nothing"), 0);
        assert_eq!(receive(&b, 9, 0), 3);
    }
    // Unlike reading, writing nothing is a datagram.
    let (mut a, b) = pair(DATAGRAM);
    assert_eq!(a.write(&[]).expect("a datagram"), 0);
    assert_eq!(receive(&b, 9, libc::MSG_DONTWAIT), 0);
    fails(receive(&b, 9, libc::MSG_DONTWAIT), libc::EAGAIN);
}

fn sequenced_packets_raise_no_signal() {
    let (mut a, b) = pair(PACKET);
    drop(b);
    // An unhandled signal would end the test.
    let error = a.write(b"x").expect_err("nobody is there");
    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    assert_eq!(sys!(send(a.as_raw_fd(), b"x".as_ptr().cast(), 1, 0)), -1);
    let stream = spawn(|| {
        // The runtime of tests ignores it.
        on_signal(libc::SIGPIPE, 0, libc::SIG_DFL);
        let (mut a, b) = pair(STREAM);
        drop(b);
        i32::from(a.write(b"x").is_err())
    });
    assert_eq!(wait(stream), End::Signal(libc::SIGPIPE));
}

/// `sendmsg` of bytes and one control message.
fn send_control(socket: &File, data: &[u8], level: i32, kind: i32, value: i32) -> isize {
    let mut control = [0u64; 4];
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = sys!(CMSG_SPACE(4)) as _;
    // SAFETY: the control buffer has room for one header and an integer.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(value);
    }
    sys!(sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL)) as isize
}

fn send_descriptor(socket: &File, data: &[u8], file: &File) -> isize {
    let (level, kind) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    send_control(socket, data, level, kind, file.as_raw_fd())
}

fn a_descriptor_needs_a_byte_of_a_stream() {
    let (a, b) = pair(STREAM);
    assert_eq!(ok(send_descriptor(&a, b"", &a)), 0);
    // It is neither a message nor the end.
    fails(receive(&b, 9, libc::MSG_DONTWAIT), libc::EAGAIN);
    assert_eq!(poll_now(&b, libc::POLLIN), 0);
    let (a, b) = pair(DATAGRAM);
    assert_eq!(ok(send_descriptor(&a, b"", &a)), 0);
    assert_eq!(receive(&b, 9, libc::MSG_DONTWAIT), 0);
}

fn control_messages_for_others_are_skipped() {
    let (a, b) = pair(DATAGRAM);
    let fd = a.as_raw_fd();
    assert_eq!(ok(send_control(&a, b"x", 41, libc::SCM_RIGHTS, fd)), 1);
    assert_eq!(receive(&b, 9, 0), 1);
    let unknown = send_control(&a, b"x", libc::SOL_SOCKET, 99, fd);
    fails(unknown, libc::EINVAL);
}

fn descriptors_that_cannot_be_told_of_are_not_left() {
    let (a, b) = pair(STREAM);
    let (mut reader, writer) = pipe();
    for control in [8usize, usize::MAX - 100] {
        assert_eq!(ok(send_descriptor(&a, b"x", &writer)), 1);
        let free = ok(sys!(dup(0)));
        ok(sys!(close(free)));
        let mut byte = [0u8];
        let mut part = libc::iovec {
            iov_base: byte.as_mut_ptr().cast(),
            iov_len: 1,
        };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = std::ptr::without_provenance_mut(control);
        message.msg_controllen = 64 as _;
        let got = sys!(recvmsg(b.as_raw_fd(), &mut message, 0));
        assert_eq!((ok(got), byte), (1, *b"x"));
        assert_eq!(message.msg_flags & libc::MSG_CTRUNC, libc::MSG_CTRUNC);
        assert_eq!(message.msg_controllen as usize, 0);
        assert_eq!(ok(sys!(dup(0))), free);
        ok(sys!(close(free)));
    }
    drop(writer);
    assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
}
