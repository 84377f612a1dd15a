//! What the C library does around a fork: its locks, its hooks, the child's thread.

use crate::more;
use crate::pthreads::Who;
use crate::support::*;
use libc::{c_int, c_void};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

crate::harness::tests![
    hooks_run_in_order,
    hooks_may_register_hooks,
    a_handler_never_sees_the_parents_number,
    a_handler_may_fork_wherever_it_interrupts,
    a_child_finds_no_lock_taken,
    a_child_of_a_thread_has_threads_of_its_own,
    a_thread_goes_on_in_its_child_and_can_be_joined,
    the_bare_fork_has_its_own_number: Native,
    a_child_may_use_a_file_that_was_locked,
    a_child_of_a_fork_in_the_midst_of_a_message_has_messages,
];

static ORDER: AtomicU32 = AtomicU32::new(0);

extern "C" fn note<const N: u32>() {
    ORDER.store(ORDER.load(SeqCst) * 10 + N, SeqCst);
}

fn order() -> u32 {
    ORDER.swap(0, SeqCst)
}

fn hooks_run_in_order() {
    let register = |hooks: [extern "C" fn(); 3]| {
        let [prepare, parent, child] = hooks.map(Some);
        assert_eq!(more::pthread_atfork(prepare, parent, child), 0);
    };
    register([note::<1>, note::<3>, note::<5>]);
    register([note::<2>, note::<4>, note::<6>]);
    assert_eq!(more::pthread_atfork(None, None, None), 0);
    let child = ok(sys!(fork()));
    if child == 0 {
        sys!(_exit(i32::from(order() != 2156)));
    }
    assert_eq!(order(), 2134);
    assert_eq!(wait(child), End::Exit(0));
}

fn hooks_may_register_hooks() {
    extern "C" fn register() {
        assert_eq!(more::pthread_atfork(Some(note::<1>), None, None), 0);
    }
    let hook = Some(register as extern "C" fn());
    assert_eq!(more::pthread_atfork(hook, hook, hook), 0);
    for _ in 0..3 {
        assert_eq!(end_of(|| 0), End::Exit(0));
    }
    assert_ne!(order(), 0);
}

static WRONG: AtomicBool = AtomicBool::new(false);

extern "C" fn compare_numbers(_: c_int) {
    if sys!(gettid()) as i64 != sys!(syscall(libc::SYS_gettid)) as i64 {
        WRONG.store(true, SeqCst);
    }
}

/// Signals come to the whole group all the time, so also in a child's first moments.
fn a_handler_never_sees_the_parents_number() {
    on_signal(
        libc::SIGUSR1,
        libc::SA_RESTART,
        compare_numbers as *const () as usize,
    );
    let storm = spawn(|| {
        on_signal(libc::SIGUSR1, 0, libc::SIG_IGN);
        loop {
            sys!(kill(0, libc::SIGUSR1));
        }
    });
    for _ in 0..400 {
        sys!(gettid());
        let end = end_of(|| i32::from(WRONG.load(SeqCst)));
        assert_eq!(end, End::Exit(0));
    }
    sys!(kill(storm, libc::SIGKILL));
    wait(storm);
    assert!(!WRONG.load(SeqCst));
}

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn fork_here(_: c_int) {
    let child = sys!(fork());
    if child == 0 {
        sys!(_exit(0));
    }
    sys!(waitpid(child, null_mut(), 0));
    FORKS.fetch_add(1, SeqCst);
}

fn a_handler_may_fork_wherever_it_interrupts() {
    on_signal(
        libc::SIGALRM,
        libc::SA_RESTART,
        fork_here as *const () as usize,
    );
    let mut timer: libc::itimerval = zeroed();
    timer.it_value.tv_usec = 500;
    timer.it_interval.tv_usec = 500;
    // ITIMER_REAL
    ok(sys!(setitimer(0, &timer, null_mut())));
    let mut size = 0;
    while FORKS.load(SeqCst) < 300 {
        size = (size + 1000) % 100_000;
        let blocks: Vec<_> = (0..20).map(|n| sys!(malloc(size + n))).collect();
        let file = sys!(fopen(c"/dev/null".as_ptr(), c"w".as_ptr()));
        ok(sys!(setenv(c"KTEST".as_ptr(), c"1".as_ptr(), 1)));
        ok(sys!(unsetenv(c"KTEST".as_ptr())));
        let now = 0;
        let mut broken = zeroed();
        assert!(!sys!(localtime_r(&now, &mut broken)).is_null());
        assert_eq!(sys!(fclose(file)), 0);
        blocks.into_iter().for_each(|block| sys!(free(block)));
    }
    timer = zeroed();
    ok(sys!(setitimer(0, &timer, null_mut())));
}

/// glibc leaves these locks as they are.
const ALL_LOCKS: bool = !cfg!(target_env = "gnu");

extern "C" fn nothing(_: *mut c_void) -> *mut c_void {
    null_mut()
}

extern "C" fn no_handler() {}

/// What takes the library's locks.
fn take_locks() {
    sys!(free(sys!(malloc(50_000))));
    sys!(free(sys!(malloc(200))));
    let file = sys!(fopen(c"/dev/null".as_ptr(), c"w".as_ptr()));
    sys!(fclose(file));
    let mut thread = zeroed();
    if sys!(pthread_create(&mut thread, null(), nothing, null_mut())) == 0 {
        sys!(pthread_join(thread, null_mut()));
    }
    if ALL_LOCKS {
        let now = 0;
        let mut broken = zeroed();
        sys!(localtime_r(&now, &mut broken));
        sys!(setenv(c"KTEST".as_ptr(), c"1".as_ptr(), 1));
    }
}

fn a_child_finds_no_lock_taken() {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    take_locks();
                }
            });
        }
        if ALL_LOCKS {
            // Not for ever: a handler is never forgotten.
            scope.spawn(|| {
                for _ in 0..20_000 {
                    sys!(atexit(no_handler));
                }
            });
        }
        for _ in 0..150 {
            let end = end_of(|| {
                take_locks();
                if ALL_LOCKS {
                    sys!(atexit(no_handler));
                }
                0
            });
            assert_eq!(end, End::Exit(0));
        }
        stop.store(true, SeqCst);
    });
}

fn a_child_of_a_thread_has_threads_of_its_own() {
    thread::spawn(|| {
        let end = end_of(|| {
            let sum: i32 = (0..40)
                .map(|n| thread::spawn(move || n).join().expect("no panic"))
                .sum();
            i32::from(sum != 780)
        });
        assert_eq!(end, End::Exit(0));
        // The child's first thread returns where the parent's does.
        let child = ok(sys!(fork()));
        if child == 0 {
            return;
        }
        assert_eq!(wait(child), End::Exit(0));
    })
    .join()
    .expect("no panic");
}

extern "C" fn fork_and_return(_: *mut c_void) -> *mut c_void {
    let me = Who::am_i();
    let child = ok(sys!(fork()));
    if child == 0 {
        thread::spawn(move || {
            let mut result = null_mut();
            let e = sys!(pthread_join(me.id(), &mut result));
            sys!(_exit(if (e, result.addr()) == (0, 17) { 5 } else { 6 }));
        });
        return std::ptr::without_provenance_mut(17);
    }
    let well = wait(child) == End::Exit(5);
    std::ptr::without_provenance_mut(usize::from(well))
}

fn a_thread_goes_on_in_its_child_and_can_be_joined() {
    let mut thread = zeroed();
    let mut result = null_mut();
    let e = sys!(pthread_create(
        &mut thread,
        null(),
        fork_and_return,
        null_mut()
    ));
    assert_eq!(e, 0);
    assert_eq!(sys!(pthread_join(thread, &mut result)), 0);
    assert_eq!(result.addr(), 1);
}

fn the_bare_fork_has_its_own_number() {
    for _ in 0..2 {
        assert_eq!(sys!(gettid()), sys!(getpid()));
        let child = ok(more::_Fork());
        if child == 0 {
            let right = sys!(gettid()) == sys!(getpid());
            let me = sys!(pthread_self());
            block(&[libc::SIGUSR1]);
            let sent = sys!(pthread_kill(me, libc::SIGUSR1)) == 0;
            let mut pending = set_of(&[]);
            sys!(sigpending(&mut pending));
            let arrived = sys!(sigismember(&pending, libc::SIGUSR1)) == 1;
            sys!(_exit(if right && sent && arrived { 5 } else { 6 }));
        }
        assert_eq!(wait(child), End::Exit(5));
    }
}

fn a_child_may_use_a_file_that_was_locked() {
    let file = sys!(fopen(c"text".as_ptr(), c"w".as_ptr()));
    more::flockfile(file);
    let child = ok(sys!(fork()));
    if child == 0 {
        let written = sys!(fputs(c"by the child\n".as_ptr(), file)) >= 0;
        more::funlockfile(file);
        let closed = sys!(fclose(file)) == 0;
        sys!(_exit(if written && closed { 5 } else { 6 }));
    }
    assert_eq!(wait(child), End::Exit(5));
    more::funlockfile(file);
    assert_eq!(sys!(fclose(file)), 0);
    assert_eq!(std::fs::read("text").expect("written"), b"by the child\n");
}

fn a_child_of_a_fork_in_the_midst_of_a_message_has_messages() {
    let (_reader, mut full) = pipe_with(libc::O_NONBLOCK);
    while full.write(&[0; 4096]).is_ok() {}
    ok(sys!(fcntl(full.as_raw_fd(), libc::F_SETFL, 0)));
    ok(sys!(dup2(full.as_raw_fd(), 2)));
    let writer: &AtomicU32 = shared();
    thread::spawn(|| {
        writer.store(sys!(gettid()) as u32, SeqCst);
        sys!(perror(c"to nobody".as_ptr()));
    });
    until("it waits for room", || {
        let tid = writer.load(SeqCst) as i32;
        tid != 0 && is_thread_asleep(std::process::id() as i32, tid)
    });
    let (mut reader, message) = pipe();
    let end = end_of(|| {
        ok(sys!(dup2(message.as_raw_fd(), 2)));
        more::set_errno(libc::ENOENT);
        sys!(perror(c"to the parent".as_ptr()));
        0
    });
    assert_eq!(end, End::Exit(0));
    drop(message);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a message");
    assert_eq!(text, "to the parent: No such file or directory\n");
}
