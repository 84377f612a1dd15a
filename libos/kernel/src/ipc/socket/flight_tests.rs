use super::super::queue::Packet;
use super::super::rights::Rights;
use super::super::{Kind, Sender};
use super::*;
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps};
use alloc::collections::VecDeque;

/// What is collected is everybody's: one test at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn socket() -> Arc<Socket> {
    Socket::new(Kind::Datagram)
}

fn open(socket: &Arc<Socket>) -> Arc<File> {
    File::anonymous(socket.clone() as Arc<dyn FileOps>, OpenFlags::RDWR)
}

/// Sends `file` to `to`.
fn send(to: &Socket, file: &Arc<File>) {
    let rights = Rights::of(vec![file.clone()], 0, usize::MAX).unwrap();
    let mut state = to.state.lock();
    state.queue.push(Packet {
        data: vec![1],
        read: 0,
        rights,
        sender: Sender::default(),
        from: None,
    });
    sent(to, &mut state);
}

/// `count` sockets, their files, and an eye on each.
fn sockets<const COUNT: usize>() -> ([Arc<Socket>; COUNT], [Arc<File>; COUNT]) {
    let sockets = core::array::from_fn(|_| socket());
    let files = core::array::from_fn(|n| open(&sockets[n]));
    (sockets, files)
}

fn is_empty(socket: &Socket) -> bool {
    socket.state.lock().queue.is_empty()
}

#[test]
fn rings_that_nobody_has_open_are_lost_each_by_itself() {
    let _alone = ALONE.lock();
    let ([a, b, c, d, e], files) = sockets();
    let [fa, fb, fc, fd, fe] = files;
    send(&a, &fb);
    send(&b, &fa);
    send(&c, &fd);
    send(&d, &fc);
    send(&e, &fe);
    send(&e, &fe);
    drop((fa, fb, fd, fe));
    collect();
    assert!([&a, &b, &e].map(|s| is_empty(s)) == [true; 3]);
    assert!([&c, &d].map(|s| is_empty(s)) == [false; 2]);
    drop(fc);
    collect();
    assert!([&c, &d].map(|s| is_empty(s)) == [true; 2]);
}

#[test]
fn what_an_open_socket_holds_is_not_lost() {
    let _alone = ALONE.lock();
    let ([top, middle, bottom], [ftop, fmiddle, fbottom]) = sockets();
    send(&top, &fmiddle);
    send(&middle, &fbottom);
    send(&bottom, &fbottom);
    send(&bottom, &fmiddle);
    drop((fmiddle, fbottom));
    collect();
    assert!([&top, &middle, &bottom].map(|s| is_empty(s)) == [false; 3]);
    drop(ftop);
    assert!([&top, &middle, &bottom].map(|s| is_empty(s)) == [true; 3]);
}

#[test]
fn who_can_have_a_listener_can_have_its_backlog() {
    let _alone = ALONE.lock();
    let ([outer, listener], [fouter, flistener]) = sockets();
    let waits = socket();
    waits.state.lock().listener = Some(Arc::downgrade(&listener));
    listener.state.lock().role = Role::Listening {
        backlog: 1,
        waiting: VecDeque::from([waits.clone()]),
    };
    send(&waits, &flistener);
    collect();
    assert!(!is_empty(&waits), "the listener is open");
    send(&outer, &flistener);
    drop(flistener);
    collect();
    assert!(!is_empty(&waits), "the listener can be received");
    drop(fouter);
    assert!(
        is_empty(&waits),
        "only the listener itself could be had from there"
    );
    assert!(waits.state.lock().closed);
}

#[test]
fn a_socket_is_known_as_a_carrier_as_long_as_it_is_one() {
    let _alone = ALONE.lock();
    let ([a, b], [_fa, fb]) = sockets();
    let known = || CARRIERS.lock().contains_key(&Arc::as_ptr(&a).addr());
    assert!(!known());
    send(&a, &fb);
    send(&a, &fb);
    assert!(known());
    let queue = core::mem::take(&mut a.state.lock().queue);
    recount(&a, &mut a.state.lock());
    assert!(!known());
    drop((queue, b));
}

#[test]
fn a_chain_as_long_as_one_likes_goes_at_once() {
    let _alone = ALONE.lock();
    let last = socket();
    let mut file = open(&last);
    for _ in 0..20_000 {
        let next = socket();
        send(&next, &file);
        file = open(&next);
    }
    assert!(!last.state.lock().closed);
    drop(file);
    assert!(last.state.lock().closed);
}

#[test]
fn where_no_ring_can_be_nothing_is_looked_for() {
    let _alone = ALONE.lock();
    collect();
    let ([a, b, c], [fa, fb, fc]) = sockets();
    send(&a, &fb);
    assert!(!RINGS.load(Ordering::SeqCst), "nobody can have got into it");
    send(&b, &fc);
    assert!(RINGS.load(Ordering::SeqCst));
    collect();
    assert!(!RINGS.load(Ordering::SeqCst), "it was a chain");
    send(&c, &fa);
    collect();
    assert!(RINGS.load(Ordering::SeqCst), "as long as there is one");
    drop((fa, fb, fc));
    collect();
    assert!([&a, &b, &c].map(|s| is_empty(s)) == [true; 3]);
    collect();
    assert!(!RINGS.load(Ordering::SeqCst));
}

#[test]
fn a_user_has_so_many_files_in_flight() {
    let file = open(&socket());
    let send = || Rights::of(vec![file.clone(), file.clone()], 777, 3);
    let (first, second) = (send().unwrap(), send().unwrap());
    assert_eq!(send().err(), Some(crate::base::Errno::ETOOMANYREFS));
    assert!(Rights::of(vec![file.clone()], 778, 3).is_ok());
    drop(first);
    let mut third = send().unwrap();
    assert_eq!(third.receive().len(), 2);
    assert!(send().is_ok());
    drop(second);
}
