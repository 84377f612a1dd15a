//! Locks on files: whose they are, who waits for whom, and when they go.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use crate::support::*;

crate::harness::tests![
    who_has_unlocked_is_waited_for_no_more,
    a_circle_of_waiters_is_refused,
    a_lock_granted_after_the_close_is_taken_back,
    threads_that_close_and_lock_leave_no_lock,
    an_upgrade_gives_up_the_old_lock_first,
    a_failed_upgrade_loses_the_old_lock,
    closing_a_place_keeps_locks,
    locks_end_where_offsets_end,
    locks_of_a_dead_process_are_gone,
];

fn about(kind: i32, start: i64, len: i64) -> libc::flock {
    let mut lock: libc::flock = zeroed();
    lock.l_type = kind as i16;
    (lock.l_start, lock.l_len) = (start, len);
    lock
}

fn set(file: &File, kind: i32, start: i64) -> i32 {
    sys!(fcntl(
        file.as_raw_fd(),
        libc::F_SETLK,
        &about(kind, start, 1)
    ))
}

fn set_waiting(file: &File, kind: i32, start: i64) -> i32 {
    sys!(fcntl(
        file.as_raw_fd(),
        libc::F_SETLKW,
        &about(kind, start, 1)
    ))
}

/// Who stands in the way of a write lock of one byte; 0: nobody.
fn holder(file: &File, start: i64) -> i32 {
    let mut lock = about(libc::F_WRLCK, start, 1);
    ok(sys!(fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock)));
    if i32::from(lock.l_type) == libc::F_UNLCK {
        0
    } else {
        lock.l_pid
    }
}

/// Sleeping in a call, as far as `/proc` can tell.
fn sleeps(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|s| s.starts_with('S'))
}

fn file() -> File {
    open("f", libc::O_RDWR | libc::O_CREAT, 0o600)
}

fn who_has_unlocked_is_waited_for_no_more() {
    for _ in 0..50 {
        let f = file();
        let steps: &AtomicI32 = shared();
        ok(set(&f, libc::F_WRLCK, 1));
        let child = spawn(|| {
            let f = file();
            ok(set(&f, libc::F_WRLCK, 0));
            steps.store(1, Ordering::SeqCst);
            ok(set_waiting(&f, libc::F_WRLCK, 1));
            ok(set(&f, libc::F_UNLCK, 1));
            // The other one waits for this, and nobody waits for it.
            ok(set(&f, libc::F_UNLCK, 0));
            0
        });
        until("the child waits", || {
            steps.load(Ordering::SeqCst) == 1 && sleeps(child)
        });
        ok(set(&f, libc::F_UNLCK, 1));
        ok(set_waiting(&f, libc::F_WRLCK, 0));
        ok(set(&f, libc::F_UNLCK, 0));
        assert_eq!(wait(child), End::Exit(0));
    }
}

fn a_circle_of_waiters_is_refused() {
    let f = file();
    ok(set(&f, libc::F_WRLCK, 0));
    let locked: &AtomicI32 = shared();
    let waiter = |has: i64, wants: i64| {
        let before = locked.load(Ordering::SeqCst);
        let pid = spawn(|| {
            let f = file();
            ok(set(&f, libc::F_WRLCK, has));
            locked.fetch_add(1, Ordering::SeqCst);
            ok(set_waiting(&f, libc::F_WRLCK, wants));
            0
        });
        until("the child waits", || {
            locked.load(Ordering::SeqCst) > before && sleeps(pid)
        });
        pid
    };
    let one = waiter(1, 0);
    let two = waiter(2, 1);
    fails(set_waiting(&f, libc::F_WRLCK, 2), libc::EDEADLK);
    // What was refused has changed nothing.
    ok(set(&f, libc::F_UNLCK, 0));
    assert_eq!((wait(one), wait(two)), (End::Exit(0), End::Exit(0)));
    assert_eq!(set(&f, libc::F_WRLCK, 2), 0);
}

fn a_lock_granted_after_the_close_is_taken_back() {
    let f = file();
    ok(set(&f, libc::F_WRLCK, 0));
    let closed: &AtomicI32 = shared();
    let child = spawn(|| {
        let fd = file().into_raw_fd();
        let locker = thread::spawn(move || {
            let lock = about(libc::F_WRLCK, 0, 1);
            let granted = sys!(fcntl(fd, libc::F_SETLKW, &lock));
            (granted, errno())
        });
        until("the thread waits", || {
            let tasks = fs::read_dir("/proc/self/task").expect("procfs");
            let own = sys!(gettid()).to_string();
            let waits = |task: fs::DirEntry| {
                task.file_name().to_string_lossy() != own
                    && fs::read_to_string(task.path().join("stat"))
                        .is_ok_and(|s| s.rsplit(") ").next().is_some_and(|s| s.starts_with('S')))
            };
            tasks.flatten().any(waits)
        });
        ok(sys!(close(fd)));
        closed.store(1, Ordering::SeqCst);
        let (granted, why) = locker.join().expect("it ends");
        assert!(granted == 0 || why == libc::EBADF);
        closed.store(2, Ordering::SeqCst);
        until("the parent has looked", || {
            closed.load(Ordering::SeqCst) == 3
        });
        0
    });
    until("the descriptor is closed", || {
        closed.load(Ordering::SeqCst) >= 1
    });
    ok(set(&f, libc::F_UNLCK, 0));
    until("the lock has been granted", || {
        closed.load(Ordering::SeqCst) == 2
    });
    assert_eq!(holder(&f, 0), 0, "nobody can give it back");
    closed.store(3, Ordering::SeqCst);
    assert_eq!(wait(child), End::Exit(0));
}

fn threads_that_close_and_lock_leave_no_lock() {
    let f = file();
    let child = spawn(|| {
        for _ in 0..2000 {
            let fd = file().into_raw_fd();
            let locker =
                thread::spawn(move || sys!(fcntl(fd, libc::F_SETLK, &about(libc::F_WRLCK, 0, 1))));
            sys!(close(fd));
            locker.join().expect("it ends");
        }
        0
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(holder(&f, 0), 0);
}

fn an_upgrade_gives_up_the_old_lock_first() {
    let f = file();
    ok(sys!(flock(f.as_raw_fd(), libc::LOCK_SH)));
    let shared: &AtomicI32 = shared();
    let child = spawn(|| {
        let f = file();
        ok(sys!(flock(f.as_raw_fd(), libc::LOCK_SH)));
        shared.store(1, Ordering::SeqCst);
        ok(sys!(flock(f.as_raw_fd(), libc::LOCK_EX)));
        ok(sys!(flock(f.as_raw_fd(), libc::LOCK_UN)));
        0
    });
    until("the child waits", || {
        shared.load(Ordering::SeqCst) == 1 && sleeps(child)
    });
    ok(sys!(flock(f.as_raw_fd(), libc::LOCK_EX)));
    ok(sys!(flock(f.as_raw_fd(), libc::LOCK_UN)));
    assert_eq!(wait(child), End::Exit(0));
}

fn a_failed_upgrade_loses_the_old_lock() {
    let (a, b) = (file(), file());
    let lock = |f: &File, how| sys!(flock(f.as_raw_fd(), how | libc::LOCK_NB));
    ok(lock(&a, libc::LOCK_SH));
    ok(lock(&b, libc::LOCK_SH));
    // What is held already is no change.
    ok(lock(&a, libc::LOCK_SH));
    fails(lock(&a, libc::LOCK_EX), libc::EWOULDBLOCK);
    ok(lock(&b, libc::LOCK_EX));
    fails(lock(&a, libc::LOCK_SH), libc::EWOULDBLOCK);
}

fn closing_a_place_keeps_locks() {
    let f = file();
    ok(set(&f, libc::F_WRLCK, 0));
    drop(open("f", libc::O_PATH, 0));
    let own = sys!(getpid());
    in_child(|| assert_eq!(holder(&file(), 0), own));
    drop(file());
    in_child(|| assert_eq!(holder(&file(), 0), 0));
}

fn locks_end_where_offsets_end() {
    let f = file();
    let set = |start, len| {
        sys!(fcntl(
            f.as_raw_fd(),
            libc::F_SETLK,
            &about(libc::F_WRLCK, start, len)
        ))
    };
    fails(set(i64::MAX, 2), libc::EOVERFLOW);
    fails(set(2, i64::MAX), libc::EOVERFLOW);
    fails(set(-1, 1), libc::EINVAL);
    ok(set(i64::MAX - 1, 2));
    in_child(|| {
        let mut lock = about(libc::F_RDLCK, i64::MAX, 1);
        ok(sys!(fcntl(file().as_raw_fd(), libc::F_GETLK, &mut lock)));
        // The last byte there can be is the end, wherever that is.
        assert_eq!((lock.l_start, lock.l_len), (i64::MAX - 1, 0));
    });
    let mut lock = about(libc::F_WRLCK, i64::MAX, 1);
    lock.l_whence = libc::SEEK_END as i16;
    f.set_len(10).expect("it grows");
    fails(
        sys!(fcntl(f.as_raw_fd(), libc::F_SETLK, &lock)),
        libc::EOVERFLOW,
    );
}

fn locks_of_a_dead_process_are_gone() {
    let f = file();
    let child = spawn(|| {
        let f = file();
        ok(set(&f, libc::F_WRLCK, 0));
        ok(sys!(flock(f.as_raw_fd(), libc::LOCK_EX)));
        sys!(pause());
        0
    });
    until("the child has its locks", || holder(&f, 0) == child);
    until("and the other one", || {
        sys!(flock(f.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB)) == -1
    });
    ok(sys!(kill(child, libc::SIGKILL)));
    assert_eq!(wait(child), End::Signal(libc::SIGKILL));
    assert_eq!(holder(&f, 0), 0);
    ok(sys!(flock(f.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB)));
}
