//! futex(2): waiting for a word to change.

use crate::support::*;
use std::cell::UnsafeCell;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::atomic::{
    AtomicI32, AtomicU32,
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use std::thread;
use std::time::{Duration, Instant};

crate::harness::tests![
    a_changed_word_is_not_waited_for,
    waiting_times_out,
    absolute_times_are_honoured,
    a_wake_wakes,
    wakes_are_counted,
    wakes_pass_between_processes,
    words_need_not_be_touched_to_be_the_same,
    sleepers_outlive_the_page_under_them,
    private_wakes_stay_inside,
    requeueing_moves_waiters,
    bitsets_select,
    signals_interrupt,
    the_word_of_a_dead_thread_is_cleared,
    wake_op_is_one_step,
    barriers_order_running_threads: Native,
    robust_lists_are_walked: Native,
    a_robust_word_that_was_being_freed_wakes_one: Native,
    nonsense_is_rejected,
    mutexes_and_conditions_pass_between_processes,
    rwlocks_pass_between_processes,
];

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;

fn futex(word: &AtomicU32, what: i32, value: u32, extra: usize, more: [usize; 2]) -> i64 {
    sys!(syscall(
        libc::SYS_futex,
        word.as_ptr(),
        what,
        value,
        extra,
        more[0],
        more[1]
    ))
}

fn wait_on(word: &AtomicU32, value: u32, kind: i32, time: Option<Duration>) -> i64 {
    let time = time.map(|time| libc::timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    let at = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    futex(word, libc::FUTEX_WAIT | kind, value, at.addr(), [0, 0])
}

fn wake(word: &AtomicU32, count: u32, kind: i32) -> i64 {
    futex(word, libc::FUTEX_WAKE | kind, count, 0, [0, 0])
}

fn a_changed_word_is_not_waited_for() {
    let word = AtomicU32::new(1);
    fails(wait_on(&word, 0, PRIVATE, None), libc::EAGAIN);
    assert_eq!(wake(&word, 1, PRIVATE), 0, "nobody waits");
}

fn waiting_times_out() {
    let word = AtomicU32::new(1);
    let start = Instant::now();
    let time = Duration::from_millis(30);
    fails(wait_on(&word, 1, PRIVATE, Some(time)), libc::ETIMEDOUT);
    assert!(start.elapsed() >= time);
}

fn absolute_times_are_honoured() {
    let word = AtomicU32::new(1);
    let what = libc::FUTEX_WAIT_BITSET | PRIVATE;
    let start = Instant::now();
    let mut until: libc::timespec = zeroed();
    ok(sys!(clock_gettime(libc::CLOCK_MONOTONIC, &mut until)));
    until.tv_nsec += 30_000_000;
    if until.tv_nsec >= 1_000_000_000 {
        until.tv_nsec -= 1_000_000_000;
        until.tv_sec += 1;
    }
    let all = u32::MAX as usize;
    fails(
        futex(&word, what, 1, (&raw const until).addr(), [0, all]),
        libc::ETIMEDOUT,
    );
    assert!(start.elapsed() >= Duration::from_millis(29));
    until.tv_sec = 0;
    fails(
        futex(&word, what, 1, (&raw const until).addr(), [0, all]),
        libc::ETIMEDOUT,
    );
}

fn a_wake_wakes() {
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            while word.load(SeqCst) == 0 {
                wait_on(&word, 0, PRIVATE, None);
            }
        });
        sleep_ms(20);
        word.store(1, SeqCst);
        wake(&word, 1, PRIVATE);
        waiter.join().expect("it wakes");
    });
}

fn wakes_are_counted() {
    let word = AtomicU32::new(0);
    let woken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                ok(wait_on(&word, 0, PRIVATE, None));
                woken.fetch_add(1, SeqCst);
            });
        }
        let mut total = 0;
        until("three are waiting", || {
            total += wake(&word, 3 - total as u32, PRIVATE);
            total == 3
        });
        until("three are awake", || woken.load(SeqCst) == 3);
        sleep_ms(10);
        assert_eq!(woken.load(SeqCst), 3);
        until("all are awake", || {
            wake(&word, u32::MAX >> 1, PRIVATE);
            woken.load(SeqCst) == 10
        });
    });
}

fn wakes_pass_between_processes() {
    let word = shared::<AtomicU32>();
    let child = spawn(|| {
        while word.load(SeqCst) == 0 {
            wait_on(word, 0, 0, Some(Duration::from_secs(20)));
        }
        word.store(2, SeqCst);
        wake(word, 1, 0);
        0
    });
    sleep_ms(20);
    word.store(1, SeqCst);
    wake(word, 1, 0);
    while word.load(SeqCst) == 1 {
        wait_on(word, 1, 0, Some(Duration::from_secs(20)));
    }
    assert_eq!(wait(child), End::Exit(0));
}

/// A page of a file in memory, as words.
fn map_words(file: &std::fs::File) -> &'static [AtomicU32; 1024] {
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let p = sys!(mmap(
        ptr::null_mut(),
        4096,
        rights,
        kind,
        file.as_raw_fd(),
        0
    ));
    assert_ne!(p, libc::MAP_FAILED);
    // SAFETY: a page of zeros that stays mapped.
    unsafe { &*p.cast() }
}

fn page_of_words() -> std::fs::File {
    let fd = ok(sys!(memfd_create(c"words".as_ptr(), 0)));
    // SAFETY: just opened.
    let file = unsafe { std::fs::File::from_raw_fd(fd) };
    file.set_len(4096).expect("a page");
    file
}

fn words_need_not_be_touched_to_be_the_same() {
    let file = page_of_words();
    let (here, there) = (map_words(&file), map_words(&file));
    thread::scope(|scope| {
        scope.spawn(|| ok(wait_on(&here[5], 0, 0, Some(Duration::from_secs(20)))));
        until("the sleeper is found", || wake(&there[5], 1, 0) == 1);
    });
}

fn sleepers_outlive_the_page_under_them() {
    let file = page_of_words();
    let words = map_words(&file);
    thread::scope(|scope| {
        scope.spawn(|| ok(wait_on(&words[0], 0, 0, Some(Duration::from_secs(20)))));
        until("the sleeper is moved to the second word", || {
            let to = words[1].as_ptr().addr();
            futex(&words[0], libc::FUTEX_REQUEUE, 0, 1, [to, 0]) == 1
        });
        let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        ok(sys!(fallocate(file.as_raw_fd(), hole, 0, 4096)));
        assert_eq!(wake(&words[1], 1, 0), 1, "the word is the same one");
    });
}

fn private_wakes_stay_inside() {
    // The same address in parent and child, but not the same memory.
    let word: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    let child = spawn(|| {
        let time = Some(Duration::from_millis(100));
        i32::from(wait_on(word, 0, PRIVATE, time) != -1 || errno() != libc::ETIMEDOUT)
    });
    for _ in 0..8 {
        sleep_ms(10);
        assert_eq!(wake(word, 1, PRIVATE), 0);
        assert_eq!(wake(word, 1, 0), 0);
    }
    assert_eq!(wait(child), End::Exit(0));
}

fn requeueing_moves_waiters() {
    let (a, b) = (AtomicU32::new(0), AtomicU32::new(0));
    let woken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                ok(wait_on(&a, 0, PRIVATE, None));
                woken.fetch_add(1, SeqCst);
            });
        }
        let what = libc::FUTEX_CMP_REQUEUE | PRIVATE;
        let more = [b.as_ptr().addr(), 0];
        let mut moved = 0;
        until("four are moved", || {
            moved += ok(futex(&a, what, 0, 100, more));
            moved == 4
        });
        assert_eq!(wake(&a, 100, PRIVATE), 0, "nobody is left");
        assert_eq!(woken.load(SeqCst), 0);
        assert_eq!(wake(&b, 100, PRIVATE), 4);
        fails(
            futex(&a, what, 0, 100, [b.as_ptr().addr(), 77]),
            libc::EAGAIN,
        );
    });
    assert_eq!(woken.load(SeqCst), 4);
}

fn bitsets_select() {
    let word = AtomicU32::new(0);
    let order = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for bits in [1usize, 2] {
            let (word, order) = (&word, &order);
            scope.spawn(move || {
                ok(futex(
                    word,
                    libc::FUTEX_WAIT_BITSET | PRIVATE,
                    0,
                    0,
                    [0, bits],
                ));
                order.fetch_add(bits as u32 * 10u32.pow(order.load(SeqCst).min(1)), SeqCst);
            });
        }
        let what = libc::FUTEX_WAKE_BITSET | PRIVATE;
        until("the second is awake", || {
            ok(futex(&word, what, 10, 0, [0, 2])) == 1
        });
        until("it says so", || order.load(SeqCst) == 2);
        until("the first is awake", || {
            ok(futex(&word, what, 10, 0, [0, 1])) == 1
        });
    });
    assert_eq!(order.load(SeqCst), 12);
    fails(
        futex(&word, libc::FUTEX_WAIT_BITSET | PRIVATE, 0, 0, [0, 0]),
        libc::EINVAL,
    );
}

extern "C" fn nothing(_: i32) {}

fn signals_interrupt() {
    on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
    let parent = sys!(getpid());
    let child = spawn(|| {
        sleep_ms(40);
        sys!(kill(parent, libc::SIGUSR1))
    });
    let word = AtomicU32::new(0);
    fails(
        wait_on(&word, 0, PRIVATE, Some(Duration::from_secs(20))),
        libc::EINTR,
    );
    wait(child);
}

fn the_word_of_a_dead_thread_is_cleared() {
    // What pthread_join stands on: CLONE_CHILD_CLEARTID and the wake that goes with it.
    let start = Instant::now();
    let thread = std::thread::spawn(|| sleep_ms(30));
    thread.join().expect("no panic");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(29) && waited < Duration::from_secs(10));
}

/// A robust list with one lock in it, as the kernel defines it.
#[repr(C)]
struct RobustList {
    head: [usize; 3],
    entry: usize,
    word: AtomicU32,
}

fn robust_lists_are_walked() {
    const OWNER_DIED: u32 = 0x4000_0000;
    let list = shared::<RobustList>();
    let child = spawn(|| {
        let at = ptr::from_ref(list).cast_mut();
        let entry = at.addr() + std::mem::offset_of!(RobustList, entry);
        let offset =
            std::mem::offset_of!(RobustList, word) - std::mem::offset_of!(RobustList, entry);
        // SAFETY: this process alone uses these fields.
        unsafe {
            (*at).head = [entry, offset, 0];
            (*at).entry = at.addr();
        }
        list.word
            .store(sys!(syscall(libc::SYS_gettid)) as u32, SeqCst);
        ok(sys!(syscall(libc::SYS_set_robust_list, at, 24)));
        0
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_ne!(list.word.load(SeqCst) & OWNER_DIED, 0);
}

fn a_robust_word_that_was_being_freed_wakes_one() {
    let list = shared::<RobustList>();
    list.word.store(1, SeqCst);
    let waiter = spawn(|| {
        // Woken, though nobody has done so by name.
        i32::from(wait_on(&list.word, 1, 0, Some(Duration::from_secs(20))) != 0)
    });
    until("it waits", || is_asleep(waiter));
    let child = spawn(|| {
        let at = ptr::from_ref(list).cast_mut();
        let entry = at.addr() + std::mem::offset_of!(RobustList, entry);
        let offset =
            std::mem::offset_of!(RobustList, word) - std::mem::offset_of!(RobustList, entry);
        // The list is empty; one entry is on its way out of it.
        // SAFETY: this process alone uses these fields.
        unsafe { (*at).head = [at.addr(), offset, entry] };
        ok(sys!(syscall(libc::SYS_set_robust_list, at, 24)));
        list.word.store(0, SeqCst);
        0
    });
    assert_eq!((wait(child), wait(waiter)), (End::Exit(0), End::Exit(0)));
}

fn nonsense_is_rejected() {
    let word = AtomicU32::new(0);
    fails(futex(&word, 99, 0, 0, [0, 0]), libc::ENOSYS);
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    let what = libc::FUTEX_WAIT | PRIVATE;
    fails(
        futex(&word, what, 0, (&raw const bad).addr(), [0, 0]),
        libc::EINVAL,
    );
    static UNUSED: AtomicI32 = AtomicI32::new(0);
    let odd = UNUSED.as_ptr().addr() + 1;
    fails(
        sys!(syscall(libc::SYS_futex, odd, what, 0, 0, 0, 0)),
        libc::EINVAL,
    );
    let beyond = usize::MAX - 7;
    let wake = libc::FUTEX_WAKE | PRIVATE;
    fails(
        sys!(syscall(libc::SYS_futex, beyond, wake, 1, 0, 0, 0)),
        libc::EFAULT,
    );
    let requeue = libc::FUTEX_REQUEUE | PRIVATE;
    let other = word.as_ptr().addr();
    fails(futex(&word, requeue, u32::MAX, 1, [other, 0]), libc::EINVAL);
    fails(
        futex(&word, requeue, 1, u32::MAX as usize, [other, 0]),
        libc::EINVAL,
    );
    // An operation that is one, a comparison that is none.
    let wake_op = libc::FUTEX_WAKE_OP | PRIVATE;
    let bad_comparison = 1 << 28 | 9 << 24;
    fails(
        futex(&word, wake_op, 1, 1, [other, bad_comparison]),
        libc::ENOSYS,
    );
    // What shared words are depends on what is mapped there.
    let nowhere = 64;
    fails(
        sys!(syscall(
            libc::SYS_futex,
            nowhere,
            libc::FUTEX_WAKE,
            1,
            0,
            0,
            0
        )),
        libc::EFAULT,
    );
}

fn wake_op_is_one_step() {
    const ROUNDS: u32 = 20_000;
    // FUTEX_OP_ADD of 1, and a comparison that never holds.
    const ADD_ONE: usize = 1 << 28 | 1 << 12 | 0xfff;
    let (first, word) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let more = [word.as_ptr().addr(), ADD_ONE];
                    assert_eq!(futex(&first, libc::FUTEX_WAKE_OP | PRIVATE, 1, 1, more), 0);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                word.fetch_add(1, SeqCst);
            }
        });
    });
    assert_eq!(word.load(SeqCst), 3 * ROUNDS);
}

fn membarrier(command: i32, flags: u32) -> i64 {
    sys!(syscall(libc::SYS_membarrier, command, flags, 0))
}

fn barriers_order_running_threads() {
    const GLOBAL: i32 = 1;
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER: i32 = 16;
    let there = ok(membarrier(0, 0)) as i32;
    assert_eq!(
        there & (PRIVATE_EXPEDITED | REGISTER),
        PRIVATE_EXPEDITED | REGISTER
    );
    assert_eq!(there & GLOBAL, GLOBAL);
    fails(membarrier(1 << 20, 0), libc::EINVAL);
    fails(membarrier(PRIVATE_EXPEDITED, 2), libc::EINVAL);
    // In a child, as Rust's library may have registered us.
    let end = end_of(|| {
        fails(membarrier(PRIVATE_EXPEDITED, 0), libc::EPERM);
        ok(membarrier(REGISTER, 0));
        assert_eq!(
            end_of(|| ok(membarrier(PRIVATE_EXPEDITED, 0)) as i32),
            End::Exit(0)
        );
        race_by_barriers(|| {
            ok(membarrier(PRIVATE_EXPEDITED, 0));
        });
        0
    });
    assert_eq!(end, End::Exit(0));
}

/// Each of two threads writes its word and then reads the other's: at least one sees the other's write. One of them has nothing but
/// the compiler's order between the two; `barrier` is to order both.
fn race_by_barriers(barrier: impl Fn() + Sync) {
    const ROUNDS: u32 = 3_000;
    let deadline = Instant::now() + Duration::from_secs(2);
    let [round, ended, mine, theirs, seen] = [const { AtomicU32::new(0) }; 5];
    let await_round = |word: &AtomicU32, n: u32| {
        let mut spins = 0;
        while word.load(SeqCst) < n {
            spins += 1;
            if spins % 100 == 0 {
                thread::yield_now();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                await_round(&round, n);
                if mine.load(Relaxed) == u32::MAX {
                    break;
                }
                theirs.store(n, Relaxed);
                compiler_fence(SeqCst);
                seen.store(mine.load(Relaxed), Relaxed);
                ended.store(n, SeqCst);
            }
        });
        for n in 1..=ROUNDS {
            round.store(n, SeqCst);
            mine.store(n, Relaxed);
            barrier();
            let theirs = theirs.load(Relaxed);
            await_round(&ended, n);
            let seen = seen.load(Relaxed);
            assert!(theirs == n || seen == n, "round {n}: neither saw the other");
            if Instant::now() > deadline {
                break;
            }
        }
        mine.store(u32::MAX, Relaxed);
        round.store(u32::MAX, SeqCst);
    });
}

/// A mutex and a condition that processes share, and whose turn it is.
#[repr(C)]
struct Turns {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: UnsafeCell<libc::pthread_cond_t>,
    turn: UnsafeCell<u32>,
}

// SAFETY: `turn` is touched with the mutex held only.
unsafe impl Sync for Turns {}

fn mutexes_and_conditions_pass_between_processes() {
    const PROCESSES: u32 = 4;
    const ROUNDS: u32 = 200;
    let turns = shared::<Turns>();
    let mut mutex: libc::pthread_mutexattr_t = zeroed();
    let mut cond: libc::pthread_condattr_t = zeroed();
    let processes = libc::PTHREAD_PROCESS_SHARED;
    assert_eq!(sys!(pthread_mutexattr_init(&mut mutex)), 0);
    assert_eq!(sys!(pthread_mutexattr_setpshared(&mut mutex, processes)), 0);
    assert_eq!(
        sys!(pthread_mutexattr_setpshared(&mut mutex, 7)),
        libc::EINVAL
    );
    assert_eq!(sys!(pthread_mutex_init(turns.mutex.get(), &mutex)), 0);
    assert_eq!(sys!(pthread_condattr_init(&mut cond)), 0);
    assert_eq!(sys!(pthread_condattr_setpshared(&mut cond, processes)), 0);
    assert_eq!(sys!(pthread_cond_init(turns.changed.get(), &cond)), 0);
    let children: Vec<i32> = (0..PROCESSES)
        .map(|number| {
            spawn(|| {
                for round in 0..ROUNDS {
                    assert_eq!(sys!(pthread_mutex_lock(turns.mutex.get())), 0);
                    // SAFETY: with the mutex held.
                    while unsafe { *turns.turn.get() } != round * PROCESSES + number {
                        sys!(pthread_cond_wait(turns.changed.get(), turns.mutex.get()));
                    }
                    // SAFETY: as above.
                    unsafe { *turns.turn.get() += 1 };
                    sys!(pthread_cond_broadcast(turns.changed.get()));
                    assert_eq!(sys!(pthread_mutex_unlock(turns.mutex.get())), 0);
                }
                0
            })
        })
        .collect();
    for pid in children {
        assert_eq!(wait(pid), End::Exit(0));
    }
    // SAFETY: the children are gone.
    assert_eq!(unsafe { *turns.turn.get() }, PROCESSES * ROUNDS);
}

fn rwlocks_pass_between_processes() {
    #[repr(C)]
    struct Pair {
        lock: UnsafeCell<libc::pthread_rwlock_t>,
        values: [AtomicU32; 2],
    }
    // SAFETY: the values are atomic, the lock is the C library's.
    unsafe impl Sync for Pair {}
    let pair = shared::<Pair>();
    let mut attributes: libc::pthread_rwlockattr_t = zeroed();
    let processes = libc::PTHREAD_PROCESS_SHARED;
    assert_eq!(sys!(pthread_rwlockattr_init(&mut attributes)), 0);
    assert_eq!(
        sys!(pthread_rwlockattr_setpshared(&mut attributes, processes)),
        0
    );
    assert_eq!(sys!(pthread_rwlock_init(pair.lock.get(), &attributes)), 0);
    let children: Vec<i32> = (0..4)
        .map(|number| {
            spawn(|| {
                let mut wrong = 0;
                for round in 0..500 {
                    if (round + number) % 3 == 0 {
                        assert_eq!(sys!(pthread_rwlock_wrlock(pair.lock.get())), 0);
                        pair.values[0].fetch_add(1, SeqCst);
                        std::thread::yield_now();
                        pair.values[1].fetch_add(1, SeqCst);
                    } else {
                        assert_eq!(sys!(pthread_rwlock_rdlock(pair.lock.get())), 0);
                        wrong |=
                            i32::from(pair.values[0].load(SeqCst) != pair.values[1].load(SeqCst));
                    }
                    assert_eq!(sys!(pthread_rwlock_unlock(pair.lock.get())), 0);
                }
                wrong
            })
        })
        .collect();
    for pid in children {
        assert_eq!(wait(pid), End::Exit(0));
    }
}
