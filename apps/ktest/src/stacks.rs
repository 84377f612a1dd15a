//! Stacks: they grow, they end, and their end is not silent.

use crate::support::*;

crate::harness::tests![
    the_stack_grows_by_megabytes,
    a_big_frame_grows_it_at_once,
    endless_recursion_is_fatal,
    endless_recursion_in_a_thread_is_fatal,
    the_limit_is_settable: Native,
    thread_stacks_are_as_big_as_asked,
    thread_stacks_have_a_guard,
    an_alternate_stack_takes_the_signal,
];

/// Uses about `left` KiB of stack.
#[inline(never)]
fn descend(left: u32) -> u64 {
    let frame = [u64::from(left); 128];
    let frame = std::hint::black_box(&frame);
    match left {
        0 => frame[0],
        _ => descend(left - 1) + frame[127],
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn descend_for_ever(level: u64) -> u64 {
    let frame = [level; 64];
    let frame = std::hint::black_box(&frame);
    descend_for_ever(level + 1) + frame[7]
}

fn the_stack_grows_by_megabytes() {
    assert_eq!(descend(6 * 1024), (1..=6 * 1024).sum::<u64>());
}

#[inline(never)]
fn big_frame() -> usize {
    let mut frame = [0u8; 2 << 20];
    std::hint::black_box(&mut frame)[5] = 1;
    frame.iter().map(|b| usize::from(*b)).sum()
}

fn a_big_frame_grows_it_at_once() {
    assert_eq!(big_frame(), 1);
}

/// The death of a stack overflow: std's handler says so and aborts; without it, the bare fault.
fn is_overflow(end: End) -> bool {
    end == End::Signal(libc::SIGABRT) || end == End::Signal(libc::SIGSEGV)
}

fn endless_recursion_is_fatal() {
    let end = end_of(|| {
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        descend_for_ever(0) as i32
    });
    assert_eq!(end, End::Signal(libc::SIGSEGV));
    let end = end_of(|| {
        sys!(close(2));
        descend_for_ever(0) as i32
    });
    assert!(is_overflow(end), "{end:?}");
}

fn endless_recursion_in_a_thread_is_fatal() {
    let end = end_of(|| {
        sys!(close(2));
        let thread = std::thread::spawn(|| descend_for_ever(0));
        thread.join().map_or(1, |_| 2)
    });
    assert!(is_overflow(end), "{end:?}");
}

fn the_limit_is_settable() {
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 8 << 20,
    };
    let end = end_of(|| {
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        ok(sys!(setrlimit(libc::RLIMIT_STACK, &limit)));
        descend(4 * 1024);
        0
    });
    assert_eq!(end, End::Signal(libc::SIGSEGV));
    assert_eq!(end_of(|| i32::from(descend(4 * 1024) == 0)), End::Exit(0));
}

fn thread_stacks_are_as_big_as_asked() {
    let thread = std::thread::Builder::new()
        .stack_size(32 << 20)
        .spawn(|| descend(28 * 1024))
        .expect("address space");
    assert_eq!(
        thread.join().expect("no overflow"),
        (1..=28 * 1024).sum::<u64>()
    );
}

fn thread_stacks_have_a_guard() {
    let end = end_of(|| {
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        let thread = std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(|| descend(1024));
        thread.map_or(3, |thread| thread.join().map_or(1, |_| 2))
    });
    assert!(is_overflow(end), "{end:?}");
}

extern "C" fn exit_77(_: i32) {
    sys!(_exit(77));
}

fn an_alternate_stack_takes_the_signal() {
    let end = end_of(|| {
        let memory = vec![0u8; 64 << 10].leak();
        let stack = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: memory.len(),
        };
        ok(sys!(sigaltstack(&stack, std::ptr::null_mut())));
        on_signal(
            libc::SIGSEGV,
            libc::SA_ONSTACK,
            exit_77 as *const () as usize,
        );
        descend_for_ever(0) as i32
    });
    assert_eq!(end, End::Exit(77));
}
