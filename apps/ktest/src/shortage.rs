//! Too little memory: who asks for too much is told or killed, all others and the kernel go on.
//!
//! Meant for a small machine; on a large one there is nothing to see.

use crate::support::*;
use std::io::{Read as _, Write as _};
use std::ptr;

crate::harness::tests![
    a_storm_of_mappings_ends_with_the_one_who_made_it: Native,
    a_bomb_of_forks_is_survived: Native,
    a_bomb_of_threads_is_survived: Native,
    full_pipes_are_survived: Native,
    full_sockets_are_survived: Native,
    many_files_are_refused_in_time: Native,
    large_files_are_refused_in_time: Native,
    deep_epolls_are_survived: Native,
    many_small_mappings_are_survived: Native,
    every_other_page_of_memory_is_survived: Native,
    queued_signals_are_survived: Native,
    the_largest_goes_and_the_small_stay: Native,
    who_is_never_to_be_killed_is_not: Native,
    one_death_is_enough: Native,
    sleeping_selects_are_survived: Native,
    extended_attributes_are_refused_in_time: Native,
    translation_tables_count: Native,
];

/// Larger machines take too long to fill.
const SMALL: u64 = 300 << 20;

/// Runs `eat` in a process group of its own, where it may die, and checks that the machine works afterwards.
fn survives(eat: impl FnOnce()) {
    if memory() > SMALL {
        return;
    }
    let pid = spawn(|| {
        sys!(setpgid(0, 0));
        offer();
        eat();
        0
    });
    let end = wait(pid);
    sys!(kill(-pid, libc::SIGKILL));
    assert!(
        matches!(end, End::Exit(0) | End::Signal(libc::SIGKILL)),
        "{end:?}"
    );
    works();
}

/// Among processes of like size the kernel takes those first that offer themselves; children inherit it.
fn offer() {
    std::fs::write("/proc/self/oom_score_adj", "500").expect("anybody may");
}

/// There is memory again, and processes can be made.
fn works() {
    let enough = || {
        let end = end_of(|| {
            let data = vec![1u8; 8 << 20];
            i32::from(data.iter().any(|b| *b != 1))
        });
        end == End::Exit(0)
    };
    until("memory is back", || {
        let child = sys!(fork());
        if child == 0 {
            sys!(_exit(0));
        }
        child > 0 && wait(child) == End::Exit(0) && enough()
    });
}

fn map(size: usize) -> Option<*mut u8> {
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    let at = sys!(mmap(ptr::null_mut(), size, prot, flags, -1, 0));
    (at != libc::MAP_FAILED).then(|| at.cast())
}

/// Takes memory until there is none.
fn eat() {
    while let Some(at) = map(1 << 20) {
        for page in (0..1 << 20).step_by(4096) {
            // SAFETY: inside the mapping.
            unsafe { at.add(page).write_volatile(1) };
        }
    }
}

fn a_storm_of_mappings_ends_with_the_one_who_made_it() {
    survives(eat);
}

fn a_bomb_of_forks_is_survived() {
    survives(|| {
        for _ in 0..20_000 {
            match sys!(fork()) {
                0 => loop {
                    sys!(pause());
                },
                -1 => return,
                _ => {}
            }
        }
    });
}

extern "C" fn park(_: *mut libc::c_void) -> *mut libc::c_void {
    loop {
        sys!(pause());
    }
}

fn a_bomb_of_threads_is_survived() {
    survives(|| {
        // Not by the standard library, which panics in a thread that finds no memory for its signal stack.
        let made = |_: &usize| {
            let mut thread: libc::pthread_t = zeroed();
            sys!(pthread_create(
                &mut thread,
                std::ptr::null(),
                park,
                std::ptr::null_mut()
            )) == 0
        };
        (0..20_000).take_while(made).for_each(drop);
    });
}

/// Lets processes fill what `fill` makes, as many as it takes.
fn by_processes(fill: fn()) {
    survives(|| {
        for _ in 0..100 {
            let (mut reader, writer) = pipe();
            match sys!(fork()) {
                0 => {
                    drop(reader);
                    fill();
                    drop(writer);
                    loop {
                        sys!(pause());
                    }
                }
                -1 => return,
                _ => drop(writer),
            }
            // It is full, or has been killed.
            let mut byte = [0];
            std::io::Read::read(&mut reader, &mut byte).expect("a pipe");
        }
    });
}

fn full_pipes_are_survived() {
    by_processes(|| {
        let mut ends = [0; 2];
        while sys!(pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK)) == 0 {
            sys!(fcntl(ends[1], libc::F_SETPIPE_SZ, 1 << 20));
            while sys!(write(ends[1], [1u8; 65536].as_ptr().cast(), 65536)) > 0 {}
        }
    });
}

fn full_sockets_are_survived() {
    by_processes(|| {
        let mut ends = [0; 2];
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
        while sys!(socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr())) == 0 {
            while sys!(write(ends[1], [1u8; 4096].as_ptr().cast(), 4096)) > 0 {}
        }
    });
}

fn many_files_are_refused_in_time() {
    if memory() > SMALL {
        return;
    }
    let mut made = 0;
    let end = end_of(|| {
        loop {
            let name = format!("a-file-with-a-name-of-some-length-{made}");
            match std::fs::write(&name, "") {
                Ok(()) => made += 1,
                Err(_) => return 0,
            }
            if made > 2_000_000 {
                return 1;
            }
        }
    });
    assert!(
        matches!(end, End::Exit(0) | End::Signal(libc::SIGKILL)),
        "{end:?}"
    );
    remove_all();
    works();
}

fn large_files_are_refused_in_time() {
    if memory() > SMALL {
        return;
    }
    let data = vec![1u8; 1 << 20];
    let error = (0..1000).find_map(|n| std::fs::write(format!("{n}"), &data).err());
    let error = error.and_then(|e| e.raw_os_error());
    assert!(
        matches!(error, Some(libc::ENOSPC | libc::ENOMEM)),
        "{error:?}"
    );
    remove_all();
    works();
}

fn remove_all() {
    for entry in std::fs::read_dir(".").expect("our directory").flatten() {
        std::fs::remove_file(entry.path()).expect("our file");
    }
}

fn sleeping_selects_are_survived() {
    const MANY: i32 = 250_000;
    let limit = libc::rlimit {
        rlim_cur: MANY as u64,
        rlim_max: MANY as u64,
    };
    survives(|| {
        if sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)) == -1 {
            return;
        }
        // One whose number is high, so that the sets have to be long.
        let (reader, _writer) = pipe();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        sys!(dup2(fd, MANY - 1));
        let mut set = vec![0u64; MANY as usize / 64];
        set[fd as usize / 64] = 1 << (fd % 64);
        // Threads, which share the table. The rest of their stacks is not touched.
        extern "C" fn sleep(set: *mut libc::c_void) -> *mut libc::c_void {
            let none = ptr::null_mut();
            sys!(select(MANY, set.cast(), none, none, none.cast()));
            ptr::null_mut()
        }
        let made = |_: &usize| {
            let mut thread: libc::pthread_t = zeroed();
            let set = set.as_mut_ptr().cast();
            sys!(pthread_create(&mut thread, ptr::null(), sleep, set)) == 0
        };
        (0..500).take_while(made).for_each(drop);
    });
}

fn extended_attributes_are_refused_in_time() {
    if memory() > SMALL {
        return;
    }
    let value = vec![1u8; 60_000];
    let set = |file: usize, name: usize| {
        let (file, name) = (c(&format!("{file}")), c(&format!("user.{name}")));
        let value = value.as_ptr().cast();
        sys!(setxattr(file.as_ptr(), name.as_ptr(), value, 60_000, 0))
    };
    let refused = (0..3000).find(|n| {
        let (file, name) = (n / 50, n % 50);
        std::fs::write(format!("{file}"), "").is_err() || set(file, name) == -1
    });
    let error = errno();
    assert!(refused.is_some());
    assert!(matches!(error, libc::ENOSPC | libc::ENOMEM), "{error}");
    remove_all();
    works();
    // All of it is back.
    std::fs::write("0", "").expect("a file");
    for name in 0..50 {
        ok(set(0, name));
    }
    remove_all();
}

fn translation_tables_count() {
    if memory() > SMALL {
        return;
    }
    let small = spawn(|| {
        loop {
            sys!(pause());
        }
    });
    let end = end_of(|| {
        let size = 400 << 30;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let at = sys!(mmap(ptr::null_mut(), size, libc::PROT_READ, flags, -1, 0));
        assert_ne!(at, libc::MAP_FAILED);
        for table in (0..size).step_by(2 << 20) {
            // SAFETY: inside the mapping.
            unsafe { at.cast::<u8>().add(table).read_volatile() };
        }
        0
    });
    assert_eq!(end, End::Signal(libc::SIGKILL));
    assert_eq!(sys!(waitpid(small, ptr::null_mut(), libc::WNOHANG)), 0);
    ok(sys!(kill(small, libc::SIGKILL)));
    wait(small);
    works();
}

fn deep_epolls_are_survived() {
    by_processes(|| {
        let (reader, _writer) = pipe();
        let watched = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let mut epolls = Vec::new();
        loop {
            let epoll = sys!(epoll_create1(0));
            if epoll == -1 {
                break;
            }
            let mut event = libc::epoll_event { events: 1, u64: 0 };
            sys!(epoll_ctl(epoll, libc::EPOLL_CTL_ADD, watched, &mut event));
            for &other in epolls.iter().rev().take(4) {
                sys!(epoll_ctl(epoll, libc::EPOLL_CTL_ADD, other, &mut event));
            }
            epolls.push(epoll);
        }
    });
}

fn many_small_mappings_are_survived() {
    by_processes(|| {
        // Every other page is another area; without memory for them the kernel says so.
        for _ in 0..20 {
            let Some(at) = map(512 << 12) else { return };
            for page in (0..512).step_by(2) {
                // SAFETY: inside the mapping.
                let page = unsafe { at.add(page << 12) };
                if sys!(mprotect(page.cast(), 4096, libc::PROT_NONE)) == -1 {
                    assert_eq!(errno(), libc::ENOMEM);
                    return;
                }
            }
        }
        // All of them can be told, or there is no memory for the text.
        let text = std::fs::read_to_string("/proc/self/maps");
        assert!(text.is_err() || text.is_ok_and(|text| text.lines().count() > 5000));
    });
}

fn every_other_page_of_memory_is_survived() {
    survives(|| {
        let size = (memory() / 10 * 9) as usize;
        let Some(at) = map(size) else { return };
        for round in 0..3 {
            // As much as there is without being killed for it: `MADV_POPULATE_WRITE` stops there.
            for piece in (0..size).step_by(1 << 20) {
                let len = (size - piece).min(1 << 20);
                // SAFETY: inside the mapping.
                let piece = unsafe { at.add(piece) };
                if sys!(madvise(piece.cast(), len, libc::MADV_POPULATE_WRITE)) != 0 {
                    break;
                }
            }
            for page in (round % 2..size >> 12).step_by(2) {
                // SAFETY: inside the mapping.
                let page = unsafe { at.add(page << 12) };
                ok(sys!(madvise(page.cast(), 4096, libc::MADV_DONTNEED)));
            }
        }
        // What the kernel keeps of a file with holes: a node for each of its pages, and one for each node.
        for _ in 0..200 {
            let fd = sys!(memfd_create(c"sparse".as_ptr(), 0));
            if fd == -1 {
                break;
            }
            for page in 0..200_i64 {
                let offset = page << 30;
                if sys!(pwrite(fd, c"x".as_ptr().cast(), 1, offset)) != 1 {
                    return;
                }
            }
        }
    });
}

fn queued_signals_are_survived() {
    by_processes(|| {
        block(&[libc::SIGRTMIN()]);
        let value: libc::sigval = zeroed();
        (0..100_000)
            .take_while(|_| sys!(sigqueue(sys!(getpid()), libc::SIGRTMIN(), value)) == 0)
            .for_each(drop);
    });
}

fn the_largest_goes_and_the_small_stay() {
    if memory() > SMALL {
        return;
    }
    let small: Vec<i32> = (0..10)
        .map(|_| {
            spawn(|| {
                loop {
                    sys!(pause());
                }
            })
        })
        .collect();
    let end = end_of(|| {
        eat();
        0
    });
    assert!(
        matches!(end, End::Exit(0) | End::Signal(libc::SIGKILL)),
        "{end:?}"
    );
    for pid in small {
        assert_eq!(
            sys!(waitpid(pid, ptr::null_mut(), libc::WNOHANG)),
            0,
            "it lives"
        );
        ok(sys!(kill(pid, libc::SIGTERM)));
        assert_eq!(wait(pid), End::Signal(libc::SIGTERM));
    }
}

fn who_is_never_to_be_killed_is_not() {
    if memory() > SMALL {
        return;
    }
    let held = spawn(|| {
        std::fs::write("/proc/self/oom_score_adj", "-1000").expect("root may");
        let data = vec![1u8; (memory() / 4) as usize];
        std::hint::black_box(data.iter().map(|b| *b as u64).sum::<u64>());
        loop {
            sys!(pause());
        }
    });
    end_of(|| {
        eat();
        0
    });
    assert_eq!(sys!(waitpid(held, ptr::null_mut(), libc::WNOHANG)), 0);
    ok(sys!(kill(held, libc::SIGKILL)));
    assert_eq!(wait(held), End::Signal(libc::SIGKILL));
    works();
}

/// Two processes that do not fit into memory together, but one by one: only one of them has to die.
fn one_death_is_enough() {
    if memory() > SMALL {
        return;
    }
    for _ in 0..4 {
        // What is free by now: a process of the round before gives back all that it had.
        let size = meminfo("MemAvailable") as usize / 100 * 60;
        let (mut full, filled) = pipe();
        let hog = || {
            offer();
            let at = map(size).expect("address space");
            for page in (0..size).step_by(4096) {
                // SAFETY: inside the mapping.
                unsafe { at.add(page).write_volatile(1) };
            }
            (&filled)
                .write_all(&std::process::id().to_ne_bytes())
                .expect("a reader");
            loop {
                sys!(pause());
            }
        };
        let mut hogs = vec![spawn(hog), spawn(hog)];
        drop(filled);
        let mut status = 0;
        let dead = sys!(wait4(-1, &mut status, 0, ptr::null_mut()));
        assert!(libc::WIFSIGNALED(status), "{status:#x}");
        hogs.retain(|&pid| pid != dead);
        let mut who = [0; 4];
        while i32::from_ne_bytes(who) != hogs[0] {
            // Nothing comes if nobody is left.
            full.read_exact(&mut who).expect("the other one lives");
        }
        sys!(kill(hogs[0], libc::SIGKILL));
        assert_eq!(wait(hogs[0]), End::Signal(libc::SIGKILL));
    }
}
