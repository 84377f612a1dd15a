//! What the files under test need of a kernel, made of loom's parts.

use crate::sleep::SleepWord;
use crate::wait::Wake;
use alloc::sync::Arc;
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

/// What a case takes out of the protocol to see it caught.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// No fence anywhere.
    Fences,
    /// The sleeper looks at its condition before it says that it is about to sleep.
    Order,
}

type Hook = Option<Box<dyn FnOnce()>>;

std::thread_local! {
    /// A case runs on one host thread, all of its loom threads included.
    pub static BROKEN: Cell<Broken> = const { Cell::new(Broken::Nothing) };
    /// Run instead of the next sleep: see [`rehearse`].
    static HOOK: RefCell<Hook> = const { RefCell::new(None) };
}

/// Something of loom's that can be made in a constant: loom's is made when it is first used. loom wants that to happen before
/// there are threads, so every case uses what it has once, alone.
struct Lazy<T, V: Copy>(OnceLock<T>, V);

macro_rules! atomics { ($($name:ident $value:ty),*) => { $(
    pub struct $name(super::Lazy<loom::sync::atomic::$name, $value>);

    impl $name {
        pub const fn new(value: $value) -> Self {
            $name(super::Lazy(std::sync::OnceLock::new(), value))
        }
    }

    impl core::ops::Deref for $name {
        type Target = loom::sync::atomic::$name;
        fn deref(&self) -> &Self::Target {
            self.0.0.get_or_init(|| Self::Target::new(self.0.1))
        }
    }
)* } }

/// loom's atomics, made when first used; fences can be left out on purpose.
pub mod atomic {
    pub use loom::sync::atomic::Ordering;

    atomics!(AtomicBool bool, AtomicU32 u32, AtomicU64 u64, AtomicUsize usize);

    pub fn fence(order: Ordering) {
        if super::BROKEN.get() != super::Broken::Fences {
            loom::sync::atomic::fence(order);
        }
    }
}

/// As the kernel's.
pub struct SpinLock<T>(OnceLock<Mutex<T>>, Cell<Option<T>>);

// SAFETY: the cell is emptied by the first `lock`, inside `OnceLock`'s initialisation.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub const fn new(value: T) -> Self {
        SpinLock(OnceLock::new(), Cell::new(Some(value)))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        let make = || Mutex::new(self.1.take().expect("initialised once"));
        let lock = self.0.get_or_init(make);
        lock.lock().expect("loom does not poison")
    }

    pub fn lock_nested(&self) -> MutexGuard<'_, T> {
        self.lock()
    }
}

/// A thread as the sleep protocol sees it. A loom condition variable stands for the run queue.
pub struct Thread {
    sleep: SleepWord,
    runs: Mutex<bool>,
    run: Condvar,
    signal: atomic::AtomicBool,
}

impl Thread {
    fn new() -> Self {
        let thread = Thread {
            sleep: SleepWord::new(),
            runs: Mutex::new(false),
            run: Condvar::new(),
            signal: atomic::AtomicBool::new(false),
        };
        // Loom's parts are made now.
        thread.sleep.cancel();
        thread.signal.store(false, atomic::Ordering::Relaxed);
        thread
    }

    pub fn prepare_to_sleep(&self) {
        if BROKEN.get() != Broken::Order {
            self.sleep.prepare();
        }
    }

    pub fn cancel_sleep(&self) {
        self.sleep.cancel();
    }

    pub fn sleep(self: &Arc<Self>, deadline: Option<u64>) {
        if let Some(hook) = HOOK.take() {
            return hook();
        }
        if let Some(deadline) = deadline {
            timer(deadline, self.clone());
        }
        if BROKEN.get() == Broken::Order {
            self.sleep.prepare();
        }
        if self.sleep.park() {
            let mut runs = self.runs.lock().expect("loom does not poison");
            while !*runs {
                runs = self.run.wait(runs).expect("loom does not poison");
            }
            *runs = false;
        }
    }

    pub fn wake_up(&self) {
        if self.sleep.wake() {
            *self.runs.lock().expect("loom does not poison") = true;
            self.run.notify_one();
        }
    }

    /// As the kernel sends a signal.
    pub fn interrupt(&self) {
        self.signal.store(true, atomic::Ordering::SeqCst);
        self.wake_up();
    }

    pub fn signal_pending(&self) -> bool {
        self.signal.load(atomic::Ordering::SeqCst)
    }

    pub fn is_dying(&self) -> bool {
        false
    }
}

impl Wake for Thread {
    fn wake(&self) {
        self.wake_up();
    }
}

loom::thread_local! {
    // Leaked: the kernel's, too, live longer than any reference to them.
    static ME: &'static Arc<Thread> = Box::leak(Box::new(Arc::new(Thread::new())));
}

pub fn current() -> &'static Arc<Thread> {
    ME.with(|me| *me)
}

/// Runs `twice`, which sleeps once, with `other` in the place of its sleep.
pub fn rehearse(other: impl FnOnce() + 'static, twice: impl FnOnce()) {
    HOOK.set(Some(Box::new(other)));
    twice();
}

#[derive(Default)]
struct Timers {
    now: u64,
    queue: Vec<(u64, Arc<Thread>)>,
}

loom::lazy_static! {
    static ref TIMERS: Mutex<Timers> = Mutex::new(Timers::default());
}

pub fn monotonic_ns() -> u64 {
    TIMERS.lock().expect("loom does not poison").now
}

fn timer(deadline: u64, thread: Arc<Thread>) {
    let mut timers = TIMERS.lock().expect("loom does not poison");
    if timers.now < deadline {
        timers.queue.push((deadline, thread));
        return;
    }
    drop(timers);
    thread.wake_up();
}

/// The clock gets to `now`.
pub fn tick(now: u64) {
    let mut timers = TIMERS.lock().expect("loom does not poison");
    timers.now = now;
    let due: Vec<_> = timers.queue.extract_if(.., |t| t.0 <= now).collect();
    drop(timers);
    due.into_iter().for_each(|(_, thread)| thread.wake_up());
}
