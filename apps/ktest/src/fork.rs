//! fork(2): a copy of everything that is the process's own, a share of what is not.

use crate::support::*;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

crate::harness::tests![
    child_has_a_pid_of_its_own,
    child_knows_its_parent,
    memory_is_copied_both_ways,
    stack_is_copied,
    large_memory_is_copied_on_write,
    copies_of_copies_are_apart,
    descriptors_share_their_offset,
    closing_in_the_child_leaves_the_parents,
    descriptor_flags_are_copied,
    directory_and_umask_are_inherited,
    pending_signals_and_alarms_are_not_inherited,
    handlers_and_mask_are_inherited,
    children_run_beside_each_other,
    two_hundred_in_a_row,
    a_hundred_at_once,
    twenty_generations,
    heap_works_in_the_child,
    child_of_a_thread_has_that_thread_only: Native,
    wild_children_leave_the_parent_alone,
    clone_takes_any_number_for_the_exit_signal: Native,
    clone_with_a_pidfd: Native,
    clone_makes_a_sibling: Native,
    bad_addresses_for_numbers_do_not_matter: Native,
];

fn child_has_a_pid_of_its_own() {
    let seen = shared::<AtomicI32>();
    let parent = std::process::id() as i32;
    let pid = spawn(|| {
        seen.store(sys!(getpid()), Ordering::SeqCst);
        0
    });
    assert_eq!(wait(pid), End::Exit(0));
    assert_eq!(seen.load(Ordering::SeqCst), pid);
    assert_ne!(pid, parent);
}

fn child_knows_its_parent() {
    let parent = sys!(getpid());
    assert_eq!(
        end_of(|| i32::from(sys!(getppid()) != parent)),
        End::Exit(0)
    );
}

fn memory_is_copied_both_ways() {
    let mut data = vec![1u8; 64 * 1024];
    let (mut reader, mut writer) = pipe();
    let pid = spawn(|| {
        let mut go = [0];
        reader.read_exact(&mut go).expect("the parent's word");
        // The parent has written its copy by now; ours is as it was.
        let untouched = data.iter().all(|b| *b == 1);
        data.fill(3);
        i32::from(!untouched)
    });
    data.fill(2);
    writer.write_all(&[0]).expect("the child reads");
    assert_eq!(wait(pid), End::Exit(0));
    assert!(
        data.iter().all(|b| *b == 2),
        "the child's writes reached the parent"
    );
}

fn stack_is_copied() {
    let mut local = [7u64; 512];
    let pid = spawn(|| {
        local.fill(8);
        std::hint::black_box(&mut local);
        0
    });
    assert_eq!(wait(pid), End::Exit(0));
    assert!(std::hint::black_box(&local).iter().all(|x| *x == 7));
}

fn large_memory_is_copied_on_write() {
    const SIZE: usize = 16 << 20;
    let mut data = vec![0u8; SIZE];
    for (page, bytes) in data.chunks_mut(4096).enumerate() {
        bytes[0] = page as u8;
    }
    // Together more than a small machine has, unless the pages are shared until written.
    let children: Vec<i32> = (0..4)
        .map(|child: u8| {
            spawn(|| {
                for page in (usize::from(child)..SIZE / 4096).step_by(16) {
                    data[page * 4096] ^= 0xff;
                }
                let right = data.chunks(4096).enumerate().all(|(page, bytes)| {
                    let mine = page % 16 == usize::from(child);
                    bytes[0] == if mine { !(page as u8) } else { page as u8 }
                });
                i32::from(!right)
            })
        })
        .collect();
    for child in children {
        assert_eq!(wait(child), End::Exit(0));
    }
    assert!(
        data.chunks(4096)
            .enumerate()
            .all(|(page, bytes)| bytes[0] == page as u8)
    );
}

fn copies_of_copies_are_apart() {
    let mut value = 1;
    let end = end_of(|| {
        value = 2;
        let end = end_of(|| {
            value = 3;
            std::hint::black_box(value)
        });
        i32::from(end != End::Exit(3)) * 10 + std::hint::black_box(value)
    });
    assert_eq!(end, End::Exit(2));
    assert_eq!(std::hint::black_box(value), 1);
}

fn descriptors_share_their_offset() {
    let mut file = open("f", libc::O_RDWR | libc::O_CREAT, 0o644);
    file.write_all(b"0123456789").expect("a file to write");
    file.seek(SeekFrom::Start(2)).expect("a file that seeks");
    let end = end_of(|| {
        let mut two = [0; 2];
        i32::from(file.read_exact(&mut two).is_err() || &two != b"23")
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(file.stream_position().expect("a position"), 4);
}

fn closing_in_the_child_leaves_the_parents() {
    let (reader, writer) = pipe();
    use std::os::fd::AsRawFd;
    assert_eq!(end_of(|| sys!(close(reader.as_raw_fd()))), End::Exit(0));
    assert_eq!(poll_now(&writer, libc::POLLOUT), libc::POLLOUT);
    (&writer)
        .write_all(b"x")
        .expect("the parent's reader is open still");
}

fn descriptor_flags_are_copied() {
    use std::os::fd::AsRawFd;
    let (reader, _writer) = pipe_with(libc::O_CLOEXEC | libc::O_NONBLOCK);
    let end = end_of(|| {
        let fd = reader.as_raw_fd();
        let cloexec = sys!(fcntl(fd, libc::F_GETFD)) == libc::FD_CLOEXEC;
        let nonblock = sys!(fcntl(fd, libc::F_GETFL)) & libc::O_NONBLOCK != 0;
        i32::from(!(cloexec && nonblock))
    });
    assert_eq!(end, End::Exit(0));
}

fn directory_and_umask_are_inherited() {
    let here = std::env::current_dir().expect("a directory");
    sys!(umask(0o137));
    let end = end_of(|| {
        let same = std::env::current_dir().is_ok_and(|there| there == here);
        i32::from(!(same && sys!(umask(0)) == 0o137))
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(sys!(umask(0)), 0o137, "the child's umask is its own");
}

fn pending_signals_and_alarms_are_not_inherited() {
    block(&[libc::SIGUSR1]);
    ok(sys!(kill(sys!(getpid()), libc::SIGUSR1)));
    sys!(alarm(1000));
    let end = end_of(|| {
        let mut pending = set_of(&[]);
        sys!(sigpending(&mut pending));
        sys!(sigismember(&pending, libc::SIGUSR1)) + i32::from(sys!(alarm(0)) != 0) * 2
    });
    assert_eq!(end, End::Exit(0));
    assert_ne!(sys!(alarm(0)), 0, "the parent's own alarm runs on");
}

extern "C" fn exit_with_42(_: i32) {
    sys!(_exit(42));
}

fn handlers_and_mask_are_inherited() {
    on_signal(libc::SIGUSR1, 0, exit_with_42 as *const () as usize);
    block(&[libc::SIGUSR1]);
    let end = end_of(|| {
        sys!(raise(libc::SIGUSR1));
        unblock(&[libc::SIGUSR1]);
        1
    });
    assert_eq!(end, End::Exit(42));
}

fn children_run_beside_each_other() {
    // Each needs the other to go on.
    let (mut from_a, mut to_b) = pipe();
    let (mut from_b, mut to_a) = pipe();
    let a = spawn(|| {
        let mut byte = [0];
        for _ in 0..1000 {
            if to_b.write_all(&[1]).is_err() || from_b.read_exact(&mut byte).is_err() {
                return 1;
            }
        }
        0
    });
    let b = spawn(|| {
        let mut byte = [0];
        for _ in 0..1000 {
            if from_a.read_exact(&mut byte).is_err() || to_a.write_all(&byte).is_err() {
                return 1;
            }
        }
        0
    });
    assert_eq!((wait(a), wait(b)), (End::Exit(0), End::Exit(0)));
}

fn two_hundred_in_a_row() {
    for n in 0..200 {
        assert_eq!(end_of(|| n), End::Exit(n));
    }
}

fn a_hundred_at_once() {
    let running = shared::<AtomicU32>();
    let (mut reader, writer) = pipe();
    let children: Vec<i32> = (0..100)
        .map(|n| {
            spawn(|| {
                running.fetch_add(1, Ordering::SeqCst);
                let mut byte = [0];
                // End of file comes when the parent, and every brother, has closed.
                sys!(close(std::os::fd::AsRawFd::as_raw_fd(&writer)));
                i32::from(reader.read(&mut byte).ok() != Some(0)) * 200 + n
            })
        })
        .collect();
    until("all children run", || running.load(Ordering::SeqCst) == 100);
    drop(writer);
    for (n, child) in children.into_iter().enumerate() {
        assert_eq!(wait(child), End::Exit(n as i32));
    }
}

fn twenty_generations() {
    fn descend(left: i32) -> i32 {
        if left == 0 {
            return 20;
        }
        match end_of(|| descend(left - 1)) {
            End::Exit(status) => status,
            _ => 99,
        }
    }
    assert_eq!(end_of(|| descend(20)), End::Exit(20));
}

fn heap_works_in_the_child() {
    let mut before: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let end = end_of(|| {
        before.retain(|s| s.len() == 3);
        let more: Vec<Vec<u8>> = (0..200).map(|n| vec![n as u8; n * 50]).collect();
        let sum: usize = more.iter().map(Vec::len).sum();
        i32::from(before.len() != 900 || sum != 995_000)
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(before.len(), 1000);
}

fn child_of_a_thread_has_that_thread_only() {
    let shared_count = shared::<AtomicU32>();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                shared_count.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        until("the thread runs", || {
            shared_count.load(Ordering::Relaxed) > 0
        });
        let end = scope
            .spawn(|| {
                end_of(|| {
                    let tasks = std::fs::read_dir("/proc/self/task").map(Iterator::count);
                    i32::from(tasks.ok() != Some(1))
                })
            })
            .join()
            .expect("a thread that forks");
        stop.store(true, Ordering::Relaxed);
        assert_eq!(end, End::Exit(0));
    });
}

fn wild_children_leave_the_parent_alone() {
    let canary = vec![0x5au8; 1 << 20];
    for round in 0..8u64 {
        let end = end_of(|| {
            // Writes upwards from its stack until it falls off.
            let mut at = (&raw const round).cast_mut().cast::<u8>();
            loop {
                // SAFETY: none; this is a child that is meant to crash in memory of its own.
                unsafe {
                    at.write_volatile(0xee);
                    at = at.add(64);
                }
            }
        });
        assert!(matches!(end, End::Signal(_)), "{end:?}");
    }
    assert!(canary.iter().all(|b| *b == 0x5a));
}

extern "C" fn seven(_: *mut libc::c_void) -> i32 {
    7
}

/// `clone` of a process that ends with 7; `word` is where numbers and descriptors go.
fn clone_seven(flags: i32, word: *mut i32) -> i32 {
    let stack = vec![0u8; 64 << 10].leak();
    let top = stack.as_mut_ptr_range().end.cast();
    let null = std::ptr::null_mut::<libc::c_void>();
    sys!(clone(seven, top, flags, null, word, null, word))
}

/// How a cloned child ends, whatever its signal.
fn wait_all(pid: i32) -> End {
    let mut status = 0;
    assert_eq!(ok(sys!(waitpid(pid, &mut status, libc::__WALL))), pid);
    End::of(status)
}

fn clone_takes_any_number_for_the_exit_signal() {
    for signal in [0, libc::SIGCHLD, 65, 100, 127, 128 + 17, 255] {
        let pid = ok(clone_seven(signal, std::ptr::null_mut()));
        assert_eq!(wait_all(pid), End::Exit(7), "exit signal {signal}");
    }
}

fn clone_with_a_pidfd() {
    let mut fd = -1;
    let pid = ok(clone_seven(libc::CLONE_PIDFD | libc::SIGCHLD, &mut fd));
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    assert_eq!(ok(sys!(poll(&mut poll, 1, 20_000))), 1);
    assert_eq!(wait(pid), End::Exit(7));
    ok(sys!(close(fd)));
    // The descriptor and the number would go to one place.
    fails(
        clone_seven(
            libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID | libc::SIGCHLD,
            &mut fd,
        ),
        libc::EINVAL,
    );
    // One that was not made leaves nothing behind.
    let bad = std::ptr::without_provenance_mut(8);
    fails(
        clone_seven(libc::CLONE_PIDFD | libc::SIGCHLD, bad),
        libc::EFAULT,
    );
    fails(sys!(fcntl(fd, libc::F_GETFD)), libc::EBADF);
}

fn clone_makes_a_sibling() {
    let sibling = shared::<AtomicI32>();
    let pid = spawn(|| {
        let made = clone_seven(libc::CLONE_PARENT, std::ptr::null_mut());
        sibling.store(made, Ordering::SeqCst);
        i32::from(sys!(waitpid(made, std::ptr::null_mut(), 0)) != -1)
    });
    assert_eq!(wait(pid), End::Exit(0), "no child of its own");
    assert_eq!(wait(sibling.load(Ordering::SeqCst)), End::Exit(7));
}

fn bad_addresses_for_numbers_do_not_matter() {
    let flags = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    let bad = std::ptr::without_provenance_mut(8);
    let pid = ok(clone_seven(flags | libc::SIGCHLD, bad));
    assert_eq!(wait(pid), End::Exit(7));
}
