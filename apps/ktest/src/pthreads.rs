//! Threads by C's names: what others can do to one, what it is made with, and what it leaves behind.

use crate::more;
use crate::support::*;
use libc::{c_int, c_void, pthread_t};
use std::ptr::{null, null_mut, without_provenance};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;

crate::harness::tests![
    the_main_thread_can_be_signalled,
    the_main_thread_can_be_joined,
    the_main_thread_can_be_moved_and_asked: Native,
    a_thread_that_has_ended_gets_no_signal,
    joins_and_detaches_are_checked,
    a_deleted_keys_values_are_gone,
    keys_run_out_and_come_back,
    a_thread_that_is_ending_is_not_cancelled_again,
    others_can_be_named: Native,
    explicit_scheduling_is_what_a_thread_gets: Native,
    refused_scheduling_makes_no_thread: Native,
    the_main_stack_is_what_the_limit_says: Native,
    ended_threads_give_their_stacks_back: Native,
    a_detached_thread_may_end_deep_in_its_stack,
    the_last_thread_ends_the_process_open_to_signals,
];

/// A thread, as others may know it; musl's name for one is a pointer, which Rust keeps at home.
#[derive(Clone, Copy)]
pub struct Who(usize);

impl Who {
    pub fn am_i() -> Self {
        Self(sys!(pthread_self()) as usize)
    }

    pub fn id(self) -> pthread_t {
        self.0 as pthread_t
    }
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// A thread that runs `body`, made the C way.
fn create(attributes: *const libc::pthread_attr_t, body: Body) -> (c_int, pthread_t) {
    let mut thread = zeroed();
    let e = sys!(pthread_create(&mut thread, attributes, body, null_mut()));
    (e, thread)
}

extern "C" fn nothing(_: *mut c_void) -> *mut c_void {
    null_mut()
}

fn the_main_thread_can_be_signalled() {
    let main = Who::am_i();
    // A forked child has a number that it may never have asked for.
    in_child(|| {
        block(&[libc::SIGUSR1]);
        thread::spawn(move || assert_eq!(sys!(pthread_kill(main.id(), libc::SIGUSR1)), 0))
            .join()
            .expect("no panic");
        let limit: libc::timespec = zeroed();
        let taken = sys!(sigtimedwait(&set_of(&[libc::SIGUSR1]), null_mut(), &limit));
        assert_eq!(taken, libc::SIGUSR1);
        assert_eq!(sys!(pthread_kill(main.id(), 1000)), libc::EINVAL);
    });
}

/// glibc unwinds the stack of a thread that calls `pthread_exit`, which Rust's frames do not let happen.
const UNWINDS: bool = cfg!(target_env = "gnu");

/// Ends the calling thread where it is.
fn end_thread() -> ! {
    if UNWINDS {
        sys!(syscall(libc::SYS_exit, 0));
    }
    sys!(pthread_exit(without_provenance::<c_void>(17).cast_mut()))
}

static MAIN_HAS_ENDED: AtomicU32 = AtomicU32::new(0);

fn the_main_thread_can_be_joined() {
    let main = Who::am_i();
    let end = end_of(|| {
        thread::spawn(move || {
            let mut result = null_mut();
            assert_eq!(sys!(pthread_join(main.id(), &mut result)), 0);
            let result_is_right = UNWINDS || result.addr() == 17;
            let well = MAIN_HAS_ENDED.load(SeqCst) == 1 && result_is_right;
            sys!(_exit(if well { 5 } else { 6 }));
        });
        // Long enough for a join that does not wait.
        sleep_ms(20);
        MAIN_HAS_ENDED.store(1, SeqCst);
        end_thread()
    });
    assert_eq!(end, End::Exit(5));
}

fn the_main_thread_can_be_moved_and_asked() {
    in_child(|| {
        let main = Who::am_i();
        let size = size_of::<libc::cpu_set_t>();
        let here = move |who: i32| {
            let mut set: libc::cpu_set_t = zeroed();
            ok(sys!(sched_getaffinity(who, size, &mut set)));
            (0..8)
                .filter(|&cpu| sys!(CPU_ISSET(cpu, &set)))
                .collect::<Vec<usize>>()
        };
        let all = here(0);
        let tid = sys!(syscall(libc::SYS_gettid)) as i32;
        thread::spawn(move || {
            let mut theirs = zeroed();
            assert_eq!(sys!(pthread_getcpuclockid(main.id(), &mut theirs)), 0);
            let mut own = zeroed();
            sys!(pthread_getcpuclockid(sys!(pthread_self()), &mut own));
            assert_ne!(theirs, own);
            let mut set: libc::cpu_set_t = zeroed();
            sys!(CPU_SET(all[all.len() - 1], &mut set));
            assert_eq!(sys!(pthread_setaffinity_np(main.id(), size, &set)), 0);
            assert_eq!(here(tid), all[all.len() - 1..]);
            assert_eq!(here(0), all, "the caller stays where it was");
            let parameter: libc::sched_param = zeroed();
            let batch = libc::SCHED_BATCH;
            assert_eq!(sys!(pthread_setschedparam(main.id(), batch, &parameter)), 0);
            assert_eq!(sys!(sched_getscheduler(tid)), batch);
            assert_eq!(sys!(sched_getscheduler(0)), libc::SCHED_OTHER);
        })
        .join()
        .expect("no panic");
    });
}

fn a_thread_that_has_ended_gets_no_signal() {
    let (e, thread) = create(null(), nothing);
    assert_eq!(e, 0);
    let ended = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) == 1;
    until("it has ended", ended);
    assert_eq!(sys!(pthread_kill(thread, libc::SIGKILL)), 0);
    assert_eq!(sys!(pthread_join(thread, null_mut())), 0);
}

fn joins_and_detaches_are_checked() {
    let me = sys!(pthread_self());
    assert_eq!(sys!(pthread_join(me, null_mut())), libc::EDEADLK);
    let (_, thread) = create(null(), nothing);
    assert_eq!(sys!(pthread_detach(thread)), 0);
    let mut attributes = zeroed();
    sys!(pthread_attr_init(&mut attributes));
    sys!(pthread_attr_setdetachstate(
        &mut attributes,
        libc::PTHREAD_CREATE_DETACHED
    ));
    for _ in 0..100 {
        let (e, _) = create(&attributes, nothing);
        assert_eq!(e, 0);
    }
    let ended = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) == 1;
    until("all have ended", ended);
}

fn a_deleted_keys_values_are_gone() {
    let mut key = 0;
    assert_eq!(sys!(pthread_key_create(&mut key, None)), 0);
    let steps = AtomicU32::new(0);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let value = without_provenance::<c_void>(7);
            assert_eq!(sys!(pthread_setspecific(key, value)), 0);
            steps.store(1, SeqCst);
            until("the key is another", || steps.load(SeqCst) == 2);
            sys!(pthread_getspecific(key)).addr()
        });
        until("it is set", || steps.load(SeqCst) == 1);
        let mut again = 0;
        assert_eq!(sys!(pthread_key_delete(key)), 0);
        assert_eq!(sys!(pthread_key_create(&mut again, None)), 0);
        assert_eq!(again, key, "the number is used again");
        steps.store(2, SeqCst);
        assert_eq!(other.join().expect("no panic"), 0);
    });
    assert_eq!(sys!(pthread_key_delete(key)), 0);
    assert_eq!(sys!(pthread_key_delete(key)), libc::EINVAL);
}

fn keys_run_out_and_come_back() {
    let mut keys = Vec::new();
    loop {
        let mut key = 0;
        match sys!(pthread_key_create(&mut key, None)) {
            0 => keys.push(key),
            e => {
                assert_eq!(e, libc::EAGAIN);
                break;
            }
        }
    }
    // POSIX asks for 128, of which others in this process may have some.
    assert!(keys.len() > 100);
    for &key in &keys {
        let value = without_provenance::<c_void>(key as usize + 1);
        assert_eq!(sys!(pthread_setspecific(key, value)), 0);
    }
    for &key in &keys {
        assert_eq!(sys!(pthread_getspecific(key)).addr(), key as usize + 1);
        assert_eq!(sys!(pthread_key_delete(key)), 0);
    }
    let mut key = 0;
    assert_eq!(sys!(pthread_key_create(&mut key, None)), 0);
    assert!(sys!(pthread_getspecific(key)).is_null());
}

fn name_of(thread: Who) -> String {
    let mut buffer = [0 as libc::c_char; 16];
    let e = sys!(pthread_getname_np(thread.id(), buffer.as_mut_ptr(), 16));
    assert_eq!(e, 0);
    let bytes = buffer.iter().take_while(|&&c| c != 0);
    bytes.map(|&c| c as u8 as char).collect()
}

fn name(thread: Who, name: &std::ffi::CStr) -> c_int {
    sys!(pthread_setname_np(thread.id(), name.as_ptr()))
}

fn others_can_be_named() {
    let main = Who::am_i();
    assert_eq!(name(main, c"first"), 0);
    let (steps, other) = (AtomicU32::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(name_of(main), "first");
            assert_eq!(name(main, c"by another"), 0);
            sys!(prctl(libc::PR_SET_NAME, c"by itself".as_ptr()));
            other.store(Who::am_i().0, SeqCst);
            steps.store(1, SeqCst);
            until("it was named", || steps.load(SeqCst) == 2);
            assert_eq!(name_of(Who::am_i()), "by the first");
        });
        until("it runs", || steps.load(SeqCst) == 1);
        let thread = Who(other.load(SeqCst));
        assert_eq!(name_of(main), "by another");
        assert_eq!(name_of(thread), "by itself");
        assert_eq!(name(thread, c"by the first"), 0);
        assert_eq!(name(thread, c"sixteen letters!"), libc::ERANGE);
        steps.store(2, SeqCst);
    });
}

static DESTROYED: AtomicU32 = AtomicU32::new(0);

extern "C" fn be_cancelled_again(_: *mut c_void) {
    assert_eq!(more::pthread_cancel(sys!(pthread_self())), 0);
    more::pthread_testcancel();
    DESTROYED.fetch_add(1, SeqCst);
}

extern "C" fn return_with_a_value(_: *mut c_void) -> *mut c_void {
    let key = KEY.load(SeqCst);
    assert_eq!(sys!(pthread_setspecific(key, (&raw const KEY).cast())), 0);
    without_provenance::<c_void>(3).cast_mut()
}

extern "C" fn be_cancelled(argument: *mut c_void) -> *mut c_void {
    let result = return_with_a_value(argument);
    assert_eq!(more::pthread_cancel(sys!(pthread_self())), 0);
    more::pthread_testcancel();
    result
}

static KEY: AtomicU32 = AtomicU32::new(0);

fn a_thread_that_is_ending_is_not_cancelled_again() {
    if UNWINDS {
        return;
    }
    let mut key = 0;
    let destructor = Some(be_cancelled_again as unsafe extern "C" fn(*mut c_void));
    assert_eq!(sys!(pthread_key_create(&mut key, destructor)), 0);
    KEY.store(key, SeqCst);
    // PTHREAD_CANCELED is the highest address.
    for (body, expected) in [(return_with_a_value as Body, 3), (be_cancelled, usize::MAX)] {
        DESTROYED.store(0, SeqCst);
        let (e, thread) = create(null(), body);
        assert_eq!(e, 0);
        let mut result = null_mut();
        assert_eq!(sys!(pthread_join(thread, &mut result)), 0);
        assert_eq!(result.addr(), expected);
        assert_eq!(DESTROYED.load(SeqCst), 1, "the destructor's end");
    }
}

fn scheduled(policy: c_int, priority: c_int) -> libc::pthread_attr_t {
    let mut attributes = zeroed();
    let mut parameter: libc::sched_param = zeroed();
    parameter.sched_priority = priority;
    sys!(pthread_attr_init(&mut attributes));
    // PTHREAD_EXPLICIT_SCHED
    assert_eq!(sys!(pthread_attr_setinheritsched(&mut attributes, 1)), 0);
    assert_eq!(
        sys!(pthread_attr_setschedpolicy(&mut attributes, policy)),
        0
    );
    assert_eq!(
        sys!(pthread_attr_setschedparam(&mut attributes, &parameter)),
        0
    );
    attributes
}

static POLICY: AtomicUsize = AtomicUsize::new(usize::MAX);

extern "C" fn note_policy(_: *mut c_void) -> *mut c_void {
    POLICY.store(sys!(sched_getscheduler(0)) as usize, SeqCst);
    null_mut()
}

fn explicit_scheduling_is_what_a_thread_gets() {
    let parameter: libc::sched_param = zeroed();
    ok(sys!(sched_setscheduler(0, libc::SCHED_BATCH, &parameter)));
    let policy_with = |attributes: *const libc::pthread_attr_t| {
        let (e, thread) = create(attributes, note_policy);
        assert_eq!(e, 0);
        assert_eq!(sys!(pthread_join(thread, null_mut())), 0);
        POLICY.load(SeqCst)
    };
    assert_eq!(policy_with(null()), libc::SCHED_BATCH as usize);
    let other = libc::SCHED_OTHER;
    assert_eq!(policy_with(&scheduled(other, 0)), other as usize);
}

fn refused_scheduling_makes_no_thread() {
    in_child(|| {
        ok(sys!(setuid(65534)));
        for _ in 0..50 {
            let (e, _) = create(&scheduled(libc::SCHED_FIFO, 1), note_policy);
            assert_eq!(e, libc::EPERM);
        }
        assert_eq!(POLICY.load(SeqCst), usize::MAX);
        let alone = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) == 1;
        until("no thread is left", alone);
    });
}

fn the_main_stack_is_what_the_limit_says() {
    in_child(|| {
        let extent = |limit: u64| {
            let mut old: libc::rlimit = zeroed();
            ok(sys!(getrlimit(libc::RLIMIT_STACK as _, &mut old)));
            old.rlim_cur = limit as _;
            ok(sys!(setrlimit(libc::RLIMIT_STACK as _, &old)));
            let mut attributes = zeroed();
            assert_eq!(
                sys!(pthread_getattr_np(sys!(pthread_self()), &mut attributes)),
                0
            );
            let (mut start, mut size) = (null_mut(), 0);
            assert_eq!(
                sys!(pthread_attr_getstack(&attributes, &mut start, &mut size)),
                0
            );
            let here = (&raw const old).addr();
            assert!((start.addr()..start.addr() + size).contains(&here));
            size
        };
        const MIB: u64 = 1 << 20;
        let within = |size: usize, most: u64| size as u64 <= most && size as u64 > most / 2;
        assert!(within(extent(16 * MIB), 16 * MIB));
        assert!(within(extent(64 * MIB), 64 * MIB));
        assert!(extent(libc::RLIM_INFINITY as u64) as u64 > 100 * MIB);
    });
}

/// Uses so much of the stack, a page at a time.
fn dig(depth: usize) -> usize {
    let page = std::hint::black_box([depth as u8; 4096]);
    match depth {
        0 => usize::from(page[0]),
        _ => dig(depth - 1) + usize::from(page[4095] == 0),
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

fn ended_threads_give_their_stacks_back() {
    let dig_in_threads = |depth| {
        let barrier = std::sync::Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    std::hint::black_box(dig(depth));
                    barrier.wait();
                });
            }
        });
    };
    dig_in_threads(1);
    let before = resident();
    dig_in_threads(100);
    // The scope knows that they are done, not that they are gone.
    until("the stacks are given back", || {
        resident() < before + (1 << 20)
    });
}

extern "C" fn end_deep(depth: *mut c_void) -> *mut c_void {
    let page = std::hint::black_box([1u8; 4096]);
    if depth.addr() == 0 {
        end_thread();
    }
    let deeper = end_deep(without_provenance::<c_void>(depth.addr() - 1).cast_mut());
    deeper.wrapping_byte_add(usize::from(page[7]))
}

extern "C" fn begin_to_end_deep(_: *mut c_void) -> *mut c_void {
    end_deep(without_provenance::<c_void>(100).cast_mut())
}

fn a_detached_thread_may_end_deep_in_its_stack() {
    let alone = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) == 1;
    for _ in 0..20 {
        let (e, thread) = create(null(), begin_to_end_deep);
        assert_eq!(e, 0);
        assert_eq!(sys!(pthread_detach(thread)), 0);
    }
    until("all have ended", alone);
}

extern "C" fn tell_the_mask() {
    let mut blocked = set_of(&[]);
    sys!(sigprocmask(libc::SIG_BLOCK, null(), &mut blocked));
    let open = sys!(sigismember(&blocked, libc::SIGUSR1)) == 0;
    let kept = sys!(sigismember(&blocked, libc::SIGUSR2)) == 1;
    sys!(_exit(if open && kept { 5 } else { 6 }));
}

fn the_last_thread_ends_the_process_open_to_signals() {
    if UNWINDS {
        return;
    }
    let end = end_of(|| {
        block(&[libc::SIGUSR2]);
        sys!(atexit(tell_the_mask));
        thread::spawn(|| {
            let tasks = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
            // On Linux a main thread that has ended stays in the list, but as a zombie.
            let main = format!("/proc/self/task/{}/stat", std::process::id());
            until("the main thread has ended", || {
                let stat = std::fs::read_to_string(&main).unwrap_or_default();
                tasks() == 1 || stat.contains(") Z")
            });
        });
        end_thread()
    });
    assert_eq!(end, End::Exit(5));
}
