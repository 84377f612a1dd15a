//! socketpair(2) in the Unix domain.

use crate::stress::leaves_nothing;
use crate::support::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

crate::harness::tests![
    streams_go_both_ways,
    closing_is_end_of_file_and_epipe,
    shutdown_closes_half,
    datagrams_keep_their_bounds,
    pairs_work_across_fork,
    nonblocking_pairs_say_eagain,
    many_messages_in_one_call,
    descriptors_travel,
    as_many_descriptors_travel_in_one_message_as_may,
    sockets_that_hold_each_other_end,
    sockets_in_a_ring_that_is_held_live,
    listeners_in_their_own_backlog_end,
    a_listener_in_flight_keeps_its_backlog,
    what_is_received_while_others_end_is_whole,
    descriptors_in_flight_are_limited: Native,
    sockets_know_their_kind,
    what_is_no_socket_is_enotsock,
    as_many_wait_as_listen_says,
];

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a pair of sockets")
}

fn streams_go_both_ways() {
    let (mut a, mut b) = pair();
    a.write_all(b"ping").expect("room");
    b.write_all(b"pong!").expect("room");
    let mut data = [0; 5];
    b.read_exact(&mut data[..4]).expect("four bytes");
    assert_eq!(&data[..4], b"ping");
    a.read_exact(&mut data).expect("five bytes");
    assert_eq!(&data, b"pong!");
}

fn closing_is_end_of_file_and_epipe() {
    let (mut a, b) = pair();
    drop(b);
    let mut byte = [0];
    assert_eq!(a.read(&mut byte).expect("end of file"), 0);
    let error = a.write(b"x").expect_err("nobody listens");
    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    assert_ne!(poll_now(&a, libc::POLLIN) & libc::POLLHUP, 0);
}

fn shutdown_closes_half() {
    let (mut a, mut b) = pair();
    a.shutdown(Shutdown::Write).expect("connected");
    let mut byte = [0];
    assert_eq!(b.read(&mut byte).expect("end of file"), 0);
    b.write_all(b"x").expect("this way is open");
    assert_eq!(a.read(&mut byte).expect("a byte"), 1);
}

fn datagrams_keep_their_bounds() {
    let (a, b) = UnixDatagram::pair().expect("a pair of sockets");
    for size in [3, 1, 700] {
        assert_eq!(a.send(&vec![size as u8; size]).expect("room"), size);
    }
    let mut data = [0; 1000];
    assert_eq!(b.recv(&mut data).expect("the first"), 3);
    assert_eq!(b.recv(&mut data).expect("the second"), 1);
    assert_eq!(b.recv(&mut data[..10]).expect("the third, cut short"), 10);
}

fn pairs_work_across_fork() {
    let (mut a, mut b) = pair();
    let pid = spawn(|| {
        let mut data = [0; 8];
        for _ in 0..500 {
            if b.read_exact(&mut data).is_err() || b.write_all(&data).is_err() {
                return 1;
            }
        }
        0
    });
    for n in 0..500u64 {
        let mut data = n.to_le_bytes();
        a.write_all(&data).expect("room");
        a.read_exact(&mut data).expect("the echo");
        assert_eq!(data, n.to_le_bytes());
    }
    assert_eq!(wait(pid), End::Exit(0));
}

fn nonblocking_pairs_say_eagain() {
    let (mut a, mut b) = pair();
    a.set_nonblocking(true).expect("a socket");
    let mut byte = [0];
    let error = a.read(&mut byte).expect_err("nothing there");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    let mut total = 0;
    while let Ok(count) = a.write(&[0; 4096]) {
        total += count;
    }
    assert_eq!(errno(), libc::EAGAIN);
    assert!(total >= 16384);
    let mut data = vec![0; total];
    b.read_exact(&mut data).expect("all of it");
    assert_eq!(poll_now(&a, libc::POLLOUT), libc::POLLOUT);
}

fn many_messages_in_one_call() {
    let (a, b) = UnixDatagram::pair().expect("a pair of sockets");
    let mut texts = [*b"one..", *b"two..", *b"three"];
    let mut parts = texts.each_mut().map(|text| libc::iovec {
        iov_base: text.as_mut_ptr().cast(),
        iov_len: text.len(),
    });
    let mut messages: [libc::mmsghdr; 3] = zeroed();
    for (message, part) in messages.iter_mut().zip(&mut parts) {
        (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (part, 1);
    }
    let (list, send, receive) = (
        messages.as_mut_ptr(),
        libc::SYS_sendmmsg,
        libc::SYS_recvmmsg,
    );
    assert_eq!(ok(sys!(syscall(send, a.as_raw_fd(), list, 3, 0))), 3);
    texts = [[0; 5]; 3];
    let none = std::ptr::null::<libc::timespec>();
    let flags = libc::MSG_WAITFORONE as i32;
    // Two are asked for, then as many as there are.
    assert_eq!(
        ok(sys!(syscall(receive, b.as_raw_fd(), list, 2, flags, none))),
        2
    );
    assert_eq!(texts, [*b"one..", *b"two..", [0; 5]]);
    assert_eq!(
        ok(sys!(syscall(receive, b.as_raw_fd(), list, 3, flags, none))),
        1
    );
    assert_eq!((texts[0], messages[0].msg_len), (*b"three", 5));
    let flags = libc::MSG_DONTWAIT;
    fails(
        sys!(syscall(receive, b.as_raw_fd(), list, 3, flags, none)),
        libc::EAGAIN,
    );
    fails(sys!(syscall(send, 99, list, 3, 0)), libc::EBADF);
}

/// Sends a byte and a descriptor.
fn send_descriptor(socket: &impl AsRawFd, file: &impl AsRawFd) {
    let mut byte = *b"x";
    assert_eq!(ok(try_send_descriptor(socket, file, &mut byte)), 1);
}

fn try_send_descriptor(socket: &impl AsRawFd, file: &impl AsRawFd, byte: &mut [u8; 1]) -> isize {
    try_send_descriptors(socket, &[file.as_raw_fd()], byte)
}

/// What Linux takes in one message.
const MOST: usize = 253;
/// Room for so many and a header.
type Control = [u64; 2 + MOST.div_ceil(2)];

fn try_send_descriptors(socket: &impl AsRawFd, fds: &[i32], byte: &mut [u8; 1]) -> isize {
    let mut control: Control = [0; _];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    let size = size_of_val(fds) as u32;
    message.msg_controllen = sys!(CMSG_SPACE(size)) as _;
    assert!(message.msg_controllen as usize <= size_of_val(&control));
    let header = sys!(CMSG_FIRSTHDR(&message));
    // SAFETY: the control buffer has room for one header and the descriptors.
    unsafe {
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        let data = libc::CMSG_DATA(header).cast::<i32>();
        data.copy_from_nonoverlapping(fds.as_ptr(), fds.len());
    }
    sys!(sendmsg(socket.as_raw_fd(), &message, 0)) as isize
}

/// Receives a byte and the descriptor that comes with it.
fn receive_descriptor(socket: &impl AsRawFd) -> OwnedFd {
    let mut control = [0u64; 4];
    let mut byte = [0];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    assert_eq!(ok(sys!(recvmsg(socket.as_raw_fd(), &mut message, 0))), 1);
    let header = sys!(CMSG_FIRSTHDR(&message));
    assert!(!header.is_null());
    // SAFETY: the kernel has filled in a header with a new descriptor.
    unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()) }
}

fn descriptors_travel() {
    let (a, b) = pair();
    let (mut reader, writer) = pipe();
    send_descriptor(&a, &writer);
    drop(writer);
    let fd = receive_descriptor(&b);
    assert_eq!(sys!(write(fd.as_raw_fd(), b"hello".as_ptr().cast(), 5)), 5);
    drop(fd);
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .expect("text, then the end");
    assert_eq!(text, "hello");
}

fn as_many_descriptors_travel_in_one_message_as_may() {
    let (a, b) = pair();
    let mut byte = *b"x";
    let fds = [a.as_raw_fd(); MOST];
    assert_eq!(ok(try_send_descriptors(&a, &fds, &mut byte)), 1);
    let mut control: Control = [0; _];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    assert_eq!(ok(sys!(recvmsg(b.as_raw_fd(), &mut message, 0))), 1);
    assert_eq!(message.msg_flags & libc::MSG_CTRUNC, 0);
    let header = sys!(CMSG_FIRSTHDR(&message));
    assert!(!header.is_null());
    // SAFETY: the kernel has filled in a header.
    let length = unsafe { (*header).cmsg_len };
    let expected = sys!(CMSG_LEN(size_of_val(&fds) as u32));
    assert_eq!(length as usize, expected as usize);
}

fn sockets_that_hold_each_other_end() {
    let (mut reader, writer) = pipe();
    leaves_nothing(2_000, 100, || {
        // One that lies in its own queue, and two that lie in each other's, with a pipe's end.
        let (a, b) = pair();
        send_descriptor(&b, &a);
        let (c, d) = pair();
        send_descriptor(&c, &c);
        send_descriptor(&d, &d);
        send_descriptor(&d, &writer);
    });
    // They are looked for when a socket ends.
    drop(pair());
    drop(writer);
    let mut nothing = Vec::new();
    reader
        .read_to_end(&mut nothing)
        .expect("all writers are gone");
}

fn sockets_in_a_ring_that_is_held_live() {
    let (outer, mut inner) = pair();
    let (a, b) = pair();
    // The queue of `outer` holds `a`, whose queue holds itself and `b`.
    send_descriptor(&b, &a);
    send_descriptor(&b, &b);
    send_descriptor(&inner, &a);
    drop((a, b));
    for _ in 0..100 {
        drop(pair());
    }
    let a = receive_descriptor(&outer);
    let again = receive_descriptor(&a);
    let b = receive_descriptor(&again);
    drop(pair());
    let (mut a, mut b) = (UnixStream::from(a), UnixStream::from(b));
    drop(again);
    b.write_all(b"ping").expect("the other end is open");
    let mut text = [0; 4];
    a.read_exact(&mut text).expect("it is the other end");
    assert_eq!(&text, b"ping");
    inner.write_all(b"x").expect("open");
}

fn sockets_know_their_kind() {
    let (a, _b) = pair();
    let mut kind = 0;
    let mut size = 4;
    ok(sys!(getsockopt(
        a.as_raw_fd(),
        libc::SOL_SOCKET,
        libc::SO_TYPE,
        (&raw mut kind).cast(),
        &mut size
    )));
    assert_eq!(kind, libc::SOCK_STREAM);
    let mut about: libc::stat = zeroed();
    ok(sys!(fstat(a.as_raw_fd(), &mut about)));
    assert_eq!(about.st_mode & libc::S_IFMT, libc::S_IFSOCK);
    fails(sys!(lseek(a.as_raw_fd(), 0, libc::SEEK_SET)), libc::ESPIPE);
    let mut fds = [0; 2];
    let result = sys!(socketpair(libc::AF_UNIX, 7, 0, fds.as_mut_ptr()));
    fails(result, libc::ESOCKTNOSUPPORT);
    let result = sys!(socketpair(999, libc::SOCK_STREAM, 0, fds.as_mut_ptr()));
    fails(result, libc::EAFNOSUPPORT);
}

fn what_is_no_socket_is_enotsock() {
    let (reader, _writer) = pipe();
    let fd = reader.as_raw_fd();
    fails(sys!(send(fd, b"x".as_ptr().cast(), 1, 0)), libc::ENOTSOCK);
    fails(sys!(shutdown(fd, libc::SHUT_RD)), libc::ENOTSOCK);
    fails(sys!(listen(99, 1)), libc::EBADF);
}

/// How many of 300 clients, who do not wait, a listener takes that accepts none.
fn who_may_wait(backlog: i32) -> usize {
    let listener = UnixListener::bind("listener").expect("a free name");
    ok(sys!(listen(listener.as_raw_fd(), backlog)));
    let clients: Vec<UnixStream> = (0..300)
        .map_while(|_| {
            let fd = sys!(socket(
                libc::AF_UNIX,
                libc::SOCK_STREAM | libc::SOCK_NONBLOCK,
                0
            ));
            ok(fd);
            // SAFETY: a new descriptor, ours alone.
            let client = unsafe { UnixStream::from_raw_fd(fd) };
            let mut name: libc::sockaddr_un = zeroed();
            name.sun_family = libc::AF_UNIX as _;
            for (to, from) in name.sun_path.iter_mut().zip(b"listener") {
                *to = *from as _;
            }
            let size = size_of::<libc::sockaddr_un>() as u32;
            if sys!(connect(fd, (&raw const name).cast(), size)) != 0 {
                assert_eq!(errno(), libc::EAGAIN);
                return None;
            }
            Some(client)
        })
        .collect();
    std::fs::remove_file("listener").expect("it is there");
    clients.len()
}

fn as_many_wait_as_listen_says() {
    assert_eq!(who_may_wait(0), 1);
    assert_eq!(who_may_wait(7), 8);
    // What runtimes ask for who want as many as the system allows.
    assert_eq!(who_may_wait(-1), 300);
}

/// A listener without a name of a file, and its name.
fn unnamed_listener() -> (OwnedFd, libc::sockaddr_un, u32) {
    let fd = ok(sys!(socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)));
    // SAFETY: a new descriptor, ours alone.
    let listener = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut name: libc::sockaddr_un = zeroed();
    name.sun_family = libc::AF_UNIX as _;
    ok(sys!(bind(fd, (&raw const name).cast(), 2)));
    ok(sys!(listen(fd, 5)));
    let mut size = size_of::<libc::sockaddr_un>() as u32;
    ok(sys!(getsockname(fd, (&raw mut name).cast(), &mut size)));
    (listener, name, size)
}

fn client_of(name: &libc::sockaddr_un, size: u32) -> UnixStream {
    let fd = ok(sys!(socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)));
    ok(sys!(connect(fd, ptr::from_ref(name).cast(), size)));
    // SAFETY: a new descriptor, ours alone.
    unsafe { UnixStream::from_raw_fd(fd) }
}

fn listeners_in_their_own_backlog_end() {
    let (mut reader, writer) = pipe();
    leaves_nothing(2_000, 100, || {
        // The listener lies in the queue of a connection that only it can accept.
        let (listener, name, size) = unnamed_listener();
        let client = client_of(&name, size);
        send_descriptor(&client, &listener);
        send_descriptor(&client, &writer);
    });
    drop(pair());
    drop(writer);
    let mut nothing = Vec::new();
    reader
        .read_to_end(&mut nothing)
        .expect("all writers are gone");
}

fn a_listener_in_flight_keeps_its_backlog() {
    let (outer, inner) = pair();
    let (listener, name, size) = unnamed_listener();
    let mut client = client_of(&name, size);
    let (mut reader, writer) = pipe();
    send_descriptor(&client, &listener);
    send_descriptor(&client, &client);
    send_descriptor(&client, &writer);
    send_descriptor(&inner, &listener);
    drop((listener, writer));
    for _ in 0..100 {
        drop(pair());
    }
    client.write_all(b"hello").expect("it is open");
    let listener = receive_descriptor(&outer);
    for _ in 0..100 {
        drop(pair());
    }
    let none = ptr::null_mut();
    let fd = ok(sys!(accept(listener.as_raw_fd(), none, none.cast())));
    // SAFETY: a new descriptor, ours alone.
    let mut server = unsafe { UnixStream::from_raw_fd(fd) };
    drop(receive_descriptor(&server));
    let mut again = UnixStream::from(receive_descriptor(&server));
    let writer = receive_descriptor(&server);
    assert_eq!(sys!(write(writer.as_raw_fd(), b"x".as_ptr().cast(), 1)), 1);
    reader.read_exact(&mut [0]).expect("the pipe is open");
    let mut text = [0; 5];
    server.read_exact(&mut text).expect("what was sent");
    again.write_all(&text).expect("it is the client");
    server.read_exact(&mut text).expect("what was sent");
    assert_eq!(&text, b"hello");
}

fn what_is_received_while_others_end_is_whole() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let enders: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                while !STOP.load(Ordering::Relaxed) {
                    let (a, b) = pair();
                    send_descriptor(&b, &a);
                    send_descriptor(&a, &a);
                }
            })
        })
        .collect();
    let senders: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                let (outer, inner) = pair();
                for round in 0..3000u32 {
                    let (a, mut b) = pair();
                    b.write_all(&round.to_le_bytes()).expect("room");
                    // Open here and in the queues; then only there.
                    send_descriptor(&b, &a);
                    send_descriptor(&inner, &a);
                    send_descriptor(&inner, &b);
                    drop((a, b));
                    let mut a = UnixStream::from(receive_descriptor(&outer));
                    let b = receive_descriptor(&outer);
                    drop(b);
                    let mut text = [0; 4];
                    a.read_exact(&mut text).expect("what was sent before");
                    assert_eq!(u32::from_le_bytes(text), round);
                    drop(receive_descriptor(&a));
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().expect("a sender");
    }
    STOP.store(true, Ordering::Relaxed);
    for ender in enders {
        ender.join().expect("one who ends sockets");
    }
}

fn descriptors_in_flight_are_limited() {
    in_child(|| {
        let limit = libc::rlimit {
            rlim_cur: 50,
            rlim_max: 50,
        };
        ok(sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)));
        ok(sys!(setuid(54_321)));
        let (a, b) = pair();
        let mut byte = *b"x";
        let mut sent = 0;
        let last = loop {
            match try_send_descriptor(&a, &a, &mut byte) {
                -1 => break errno(),
                _ => sent += 1,
            }
        };
        assert_eq!((sent, last), (51, libc::ETOOMANYREFS));
        drop(receive_descriptor(&b));
        assert_eq!(try_send_descriptor(&a, &a, &mut byte), 1);
        assert_eq!(try_send_descriptor(&a, &a, &mut byte), -1);
        drop(b);
        // What can never be received does not count.
        let (a, _b) = pair();
        until("the queue is gone", || {
            try_send_descriptor(&a, &a, &mut byte) == 1
        });
    });
}
