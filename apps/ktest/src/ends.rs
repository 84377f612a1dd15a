//! The ends of a process by way of the C library: `exit`, `abort`, and what runs before.

use crate::more;
use crate::support::*;
use libc::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

crate::harness::tests![
    handlers_run_newest_first_however_many,
    handlers_may_add_handlers_and_exit,
    exit_ends_the_callers_thread_locals,
    one_of_those_who_exit_at_once_does,
    a_handler_of_the_fork_of_an_exit_may_exit,
    abort_runs_the_handler_of_a_blocked_signal,
    abort_kills_whatever_the_handler_does,
    quick_exit_runs_its_own,
];

/// What handlers leave behind them: one number after the other.
static ORDER: AtomicU32 = AtomicU32::new(0);

fn note<const N: u32>() {
    ORDER.store(ORDER.load(SeqCst) * 10 + N, SeqCst);
}

extern "C" fn first() {
    note::<1>();
}
extern "C" fn second() {
    note::<2>();
}
extern "C" fn third() {
    note::<3>();
}
extern "C" fn tell() {
    sys!(_exit(ORDER.load(SeqCst) as c_int));
}

extern "C" fn hook(_: *mut c_void) {
    note::<1>();
}

fn register(handler: extern "C" fn()) {
    assert_eq!(sys!(atexit(handler)), 0);
}

fn exit(status: c_int) -> ! {
    sys!(exit(status))
}

fn handlers_run_newest_first_however_many() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count() {
        COUNT.fetch_add(1, SeqCst);
    }
    extern "C" fn tell_count() {
        let right = COUNT.load(SeqCst) == 200 && ORDER.load(SeqCst) == 21;
        sys!(_exit(if right { 5 } else { 6 }));
    }
    let end = end_of(|| {
        register(tell_count);
        register(first);
        (0..200).for_each(|_| register(count));
        register(second);
        exit(0)
    });
    assert_eq!(end, End::Exit(5));
}

fn handlers_may_add_handlers_and_exit() {
    extern "C" fn add() {
        register(second);
        note::<1>();
    }
    extern "C" fn exit_again() {
        exit(9);
    }
    let end = end_of(|| {
        register(tell);
        register(add);
        exit(0)
    });
    assert_eq!(end, End::Exit(12));
    let end = end_of(|| {
        register(exit_again);
        exit(0)
    });
    assert_eq!(end, End::Exit(9));
}

fn exit_ends_the_callers_thread_locals() {
    let end = end_of(|| {
        register(tell);
        register(second);
        // Anything of this program says which object the hook belongs to.
        let object = (&raw const ORDER).cast_mut().cast();
        let e = more::__cxa_thread_atexit_impl(hook, null_mut(), object);
        assert_eq!(e, 0);
        exit(0)
    });
    assert_eq!(end, End::Exit(12));
}

/// glibc before 2.41 lets one overtake the other.
const SERIAL: bool = !cfg!(target_env = "gnu");

fn one_of_those_who_exit_at_once_does() {
    static OTHERS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn wait_for_others() {
        until("all have come", || OTHERS.load(SeqCst) == 3);
        // Whoever is let through now ends the process first.
        sleep_ms(50);
    }
    if !SERIAL {
        return;
    }
    let end = end_of(|| {
        register(wait_for_others);
        for _ in 0..3 {
            thread::spawn(|| {
                until("the first is on its way", || ORDER.load(SeqCst) == 3);
                OTHERS.fetch_add(1, SeqCst);
                exit(6)
            });
        }
        register(third);
        exit(5)
    });
    assert_eq!(end, End::Exit(5));
}

fn a_handler_of_the_fork_of_an_exit_may_exit() {
    extern "C" fn fork_and_exit() {
        note::<1>();
        let end = end_of(|| exit(ORDER.load(SeqCst) as c_int));
        sys!(_exit(if end == End::Exit(1) { 5 } else { 6 }));
    }
    let end = end_of(|| {
        register(fork_and_exit);
        exit(0)
    });
    assert_eq!(end, End::Exit(5));
}

extern "C" fn leave(_: c_int) {
    sys!(_exit(5));
}
extern "C" fn return_from(_: c_int) {}

fn abort_runs_the_handler_of_a_blocked_signal() {
    let end = end_of(|| {
        on_signal(libc::SIGABRT, 0, leave as *const () as usize);
        block(&[libc::SIGABRT]);
        sys!(abort())
    });
    assert_eq!(end, End::Exit(5));
}

fn abort_kills_whatever_the_handler_does() {
    for handler in [return_from as *const () as usize, libc::SIG_IGN] {
        let end = end_of(|| {
            on_signal(libc::SIGABRT, 0, handler);
            sys!(abort())
        });
        assert_eq!(end, End::Signal(libc::SIGABRT));
    }
}

fn quick_exit_runs_its_own() {
    let end = end_of(|| {
        register(third);
        assert_eq!(more::at_quick_exit(tell), 0);
        assert_eq!(more::at_quick_exit(second), 0);
        assert_eq!(more::at_quick_exit(first), 0);
        more::quick_exit(0)
    });
    assert_eq!(end, End::Exit(12));
}
