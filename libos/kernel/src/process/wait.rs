//! The one way to sleep and to be woken.
//!
//! Protocol. A sleeper (1) puts itself on the queue, (2) marks itself *drowsy* ([`super::sleep`]), (3) looks at the condition,
//! (4) gives up the core if the condition does not hold and nobody has woken it meanwhile. A waker (a) makes the condition
//! true, (b) wakes the queue. Between (1) and (3), between (2) and (3), and between (a) and (b), there is a full fence, so
//! either (3) sees (a), or (b) finds the sleeper on the queue and marks it awake, which (4) sees: no wake-up is lost, and the
//! condition may lie in any memory, under any lock or none.
//!
//! Waiting on several queues at once ([`PollTable`], `epoll`) is the same protocol with more than one queue in step 1.
//! [`WaitQueue::wake_one`] hands its wake-up to one sleeper; a sleeper that leaves for another reason passes it on.
//!
//! `tests/wait_model.rs` compiles this file against loom's locks and atomics and runs it through every interleaving of small cases.

use super::current;
use super::wait_list::List;
use crate::base::sync::atomic::{AtomicUsize, Ordering, fence};
use crate::base::{Errno, Result, SpinLock};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// Something that a queue wakes: a thread, or an `epoll` item that passes it on.
pub trait Wake: Send + Sync {
    /// Called with the queue locked; must not sleep or call back into the same queue.
    fn wake(&self);
}

/// What [`WaitQueue::remove`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Nothing: somebody else has taken it off.
    Absent,
    Waiting,
    /// It was there, and had had its turn.
    Chosen,
}

/// Whom a wake-up is for. A number: an empty queue is all zeros then, and the kernel's hundreds of them take no room in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Turn(u8);

impl Turn {
    /// Every one.
    const EVERY: Turn = Turn(0);
    /// One of [`WaitQueue::wake_one`], when its turn comes.
    const NEXT: Turn = Turn(1);
    /// It had its turn, and has not yet looked at its condition for that.
    const HAD: Turn = Turn(2);
}

struct Entry<T: ?Sized> {
    /// Who put it there; several entries of one waiter are removed together.
    key: usize,
    turn: Turn,
    target: Arc<T>,
}

type Entries<T> = List<Entry<T>>;

/// A queue of sleepers. Order: taken with condition locks *released*, or nested inside them; takes run queue locks inside.
pub struct WaitQueue<T: ?Sized = dyn Wake> {
    entries: SpinLock<Entries<T>>,
    /// How many entries there are: a waker that finds none takes no lock.
    len: AtomicUsize,
}

impl Default for WaitQueue {
    #[cfg_attr(debug_assertions, track_caller)]
    fn default() -> Self {
        Self::new()
    }
}

impl WaitQueue {
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn new() -> Self {
        WaitQueue::empty()
    }
}

impl<T: Wake + ?Sized> WaitQueue<T> {
    /// As `new`, for sleepers of one kind.
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn empty() -> Self {
        WaitQueue {
            entries: SpinLock::new(List::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// Step (b) begins: what the caller has done is visible to whoever joins the queue too late to be found on it.
    fn nobody_to_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Wakes everyone on the queue. They stay on it until they leave by themselves.
    pub fn wake_all(&self) {
        if self.nobody_to_wake() {
            return;
        }
        for e in self.entries.lock().iter_mut() {
            e.target.wake();
        }
    }

    /// As `wake_all`, called by something that a queue of the same make wakes. The caller sees to it that no loop is closed.
    pub fn wake_all_nested(&self) {
        if self.nobody_to_wake() {
            return;
        }
        for e in self.entries.lock_nested().iter_mut() {
            e.target.wake();
        }
    }

    /// Wakes the one that has waited longest in [`wait_turn`](WaitQueue::wait_turn) and has not had its turn, and everyone who
    /// waits in another way.
    pub fn wake_one(&self) {
        if self.nobody_to_wake() {
            return;
        }
        let mut found = false;
        for e in self.entries.lock().iter_mut() {
            match e.turn {
                Turn::EVERY => e.target.wake(),
                Turn::NEXT if !found => {
                    found = true;
                    e.turn = Turn::HAD;
                    e.target.wake();
                }
                _ => {}
            }
        }
    }

    /// Takes up to `count` sleepers that `select` picks off the queue, the longest there first, and wakes them. Returns how
    /// many. `select` is called with the queue locked.
    pub fn take_and_wake(&self, count: usize, mut select: impl FnMut(&T) -> bool) -> usize {
        if self.nobody_to_wake() {
            return 0;
        }
        let mut entries = self.entries.lock();
        let mut woken = 0;
        entries.retain_until(|e| {
            if woken == count {
                return ControlFlow::Break(());
            }
            let take = select(&e.target);
            if take {
                e.target.wake();
                woken += 1;
            }
            ControlFlow::Continue(!take)
        });
        self.count(&entries);
        woken
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }

    /// Puts `target` on the queue under `key`.
    pub fn add(&self, key: usize, target: Arc<T>) {
        self.join(key, target, Turn::EVERY);
    }

    /// Step (1).
    fn join(&self, key: usize, target: Arc<T>, turn: Turn) {
        let mut entries = self.entries.lock();
        entries.push(Entry { key, turn, target });
        self.count(&entries);
        drop(entries);
        fence(Ordering::SeqCst);
    }

    /// Puts `target` on the queue if `check` agrees, which is called with the queue locked: no [`take_and_wake`] falls
    /// between the two.
    ///
    /// [`take_and_wake`]: Self::take_and_wake
    pub fn add_if(
        &self,
        key: usize,
        target: Arc<T>,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut entries = self.entries.lock();
        // A waker that changes what is checked finds the queue not empty, or is seen by the check.
        self.len.store(entries.len() + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let outcome = check();
        if outcome.is_ok() {
            let turn = Turn::EVERY;
            entries.push(Entry { key, turn, target });
        }
        self.count(&entries);
        outcome
    }

    /// To be called when entries have come or left.
    fn count(&self, entries: &Entries<T>) {
        self.len.store(entries.len(), Ordering::Relaxed);
    }

    /// As [`add`](Self::add), once per key. Returns whether it is there now for the first time.
    fn add_once(&self, key: usize, target: &Arc<T>) -> bool {
        let mut entries = self.entries.lock();
        let new = !entries.iter_mut().any(|e| e.key == key);
        if new {
            let (turn, target) = (Turn::EVERY, target.clone());
            entries.push(Entry { key, turn, target });
            self.count(&entries);
        }
        drop(entries);
        fence(Ordering::SeqCst);
        new
    }

    /// Takes everything under `key` off the queue.
    pub fn remove(&self, key: usize) -> Removed {
        let mut entries = self.entries.lock();
        let mut removed = Removed::Absent;
        entries.retain(|e| {
            if e.key != key {
                return true;
            }
            if removed != Removed::Chosen {
                removed = match e.turn {
                    Turn::HAD => Removed::Chosen,
                    _ => Removed::Waiting,
                };
            }
            false
        });
        self.count(&entries);
        removed
    }

    /// The turn of `key` comes again some time.
    fn line_up(&self, key: usize) {
        let mut entries = self.entries.lock();
        if let Some(mine) = entries.iter_mut().find(|e| e.key == key) {
            mine.turn = Turn::NEXT;
        }
    }

    /// Under both queues' locks: calls `check`, then takes the sleepers that `select` picks off this queue; the first
    /// `wake_count` are woken, up to `move_count` more are told by `moved` and put at the end of `to`. Returns how many in all.
    pub fn requeue(
        &self,
        to: &Self,
        (wake_count, move_count): (usize, usize),
        check: impl FnOnce() -> Result<()>,
        mut select: impl FnMut(&T) -> bool,
        mut moved: impl FnMut(&T),
    ) -> Result<usize> {
        fence(Ordering::SeqCst);
        // Two queues are locked in the order of their addresses; nobody else holds two.
        let (here, there) = (core::ptr::from_ref(self), core::ptr::from_ref(to));
        let (mut source, mut target) = if here == there {
            (self.entries.lock(), None)
        } else if here < there {
            let first = self.entries.lock();
            (first, Some(to.entries.lock_nested()))
        } else {
            let first = to.entries.lock();
            (self.entries.lock_nested(), Some(first))
        };
        check()?;
        let limit = wake_count.saturating_add(move_count);
        let (mut woken, mut moving) = (0, Entries::<T>::new());
        source.retain_until(|e| {
            if woken + moving.len() == limit {
                return ControlFlow::Break(());
            }
            if !select(&e.target) {
                return ControlFlow::Continue(true);
            }
            if woken < wake_count {
                woken += 1;
                e.target.wake();
            } else {
                moved(&e.target);
                moving.push(Entry {
                    key: e.key,
                    turn: e.turn,
                    target: e.target.clone(),
                });
            }
            ControlFlow::Continue(false)
        });
        let total = woken + moving.len();
        while let Some(e) = moving.pop() {
            target.as_mut().unwrap_or(&mut source).push(e);
        }
        if let Some(target) = target {
            to.count(&target);
        }
        self.count(&source);
        Ok(total)
    }
}

impl WaitQueue {
    /// Sleeps until `condition` gives a value. A signal ends it with `ERESTARTSYS`, the monotonic `deadline` (ns) with
    /// `ETIMEDOUT`. The condition is evaluated by the sleeper only, with no lock of the queue held.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait<T>(
        &self,
        deadline: Option<u64>,
        condition: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        self.wait_until(deadline, Ends::AtSignal, condition)
    }

    /// As [`wait`](Self::wait), but only death ends it early, with `EINTR`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_killable<T>(&self, condition: impl FnMut() -> Option<T>) -> Result<T> {
        self.wait_until(None, Ends::AtDeath, condition)
    }

    /// As [`wait`](Self::wait), for sleepers of whom [`wake_one`](Self::wake_one) is to wake one. It takes the queue's lock once
    /// more for each look.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_turn<T>(
        &self,
        deadline: Option<u64>,
        ends: Ends,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let me = current();
        let key = Arc::as_ptr(me) as usize;
        self.join(key, me.clone() as Arc<dyn Wake>, Turn::NEXT);
        let outcome = sleep_until(deadline, ends, || {
            // Before the look, so that a turn is never spent on a look that came before it.
            self.line_up(key);
            condition()
        });
        if self.remove(key) == Removed::Chosen {
            // It gave up, or had found what it wanted before its turn came: the wake-up is another's.
            self.wake_one();
        }
        outcome
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn wait_until<T>(
        &self,
        deadline: Option<u64>,
        ends: Ends,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        crate::base::sync::may_sleep();
        if let Some(v) = condition() {
            return Ok(v);
        }
        let me = current();
        let key = Arc::as_ptr(me) as usize;
        self.add(key, me.clone() as Arc<dyn Wake>);
        let outcome = sleep_until(deadline, ends, condition);
        self.remove(key);
        outcome
    }
}

/// What ends a sleep before its condition holds and before its deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// A signal, with `ERESTARTSYS`.
    AtSignal,
    /// Death, with `EINTR`.
    AtDeath,
    Never,
}

/// Steps 2 to 4, over and over until `condition` gives a value or something ends it. The caller sees to steps 1: it is on every
/// queue that matters when, or before, `condition` is first evaluated.
#[cfg_attr(debug_assertions, track_caller)]
pub fn sleep_until<T>(
    deadline: Option<u64>,
    ends: Ends,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    crate::base::sync::may_sleep();
    let me = current();
    loop {
        me.prepare_to_sleep();
        let outcome = if let Some(v) = condition() {
            Ok(v)
        } else if ends == Ends::AtSignal && me.signal_pending() {
            Err(Errno::ERESTARTSYS)
        } else if ends == Ends::AtDeath && me.is_dying() {
            Err(Errno::EINTR)
        } else if deadline.is_some_and(|d| crate::time::monotonic_ns() >= d) {
            Err(Errno::ETIMEDOUT)
        } else {
            me.sleep(deadline);
            continue;
        };
        me.cancel_sleep();
        return outcome;
    }
}

/// The queues that one `poll` or `select` call waits on.
///
/// A file's `poll` method registers each queue that may make it ready, then reports what is ready now.
pub struct PollTable {
    key: usize,
    target: Arc<dyn Wake>,
    queues: Vec<Arc<WaitQueue>>,
    /// There was no memory to register with all.
    incomplete: bool,
}

impl PollTable {
    /// A table whose queues wake `target`; `key` is unique to the caller (the address of something it owns).
    pub fn new(key: usize, target: Arc<dyn Wake>) -> Self {
        PollTable {
            key,
            target,
            queues: Vec::new(),
            incomplete: false,
        }
    }

    /// Adds a queue, kept alive while it is waited on. A program may name the same file a hundred thousand times: a queue
    /// has the table once. Out of line: most polls find something, or may not wait.
    #[inline(never)]
    pub fn register(&mut self, queue: &Arc<WaitQueue>) {
        if self.queues.try_reserve(1).is_err() {
            self.incomplete = true;
            return;
        }
        if queue.add_once(self.key, &self.target) {
            self.queues.push(queue.clone());
        }
    }

    /// `ENOMEM` if what was registered could not be: whoever waits now might wait for ever.
    pub fn check(&self) -> Result<()> {
        if self.incomplete {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }
}

impl Drop for PollTable {
    fn drop(&mut self) {
        for q in &self.queues {
            q.remove(self.key);
        }
    }
}

/// Runs the sleep protocol over many queues: `scan` is called with a table to register with on the first pass and with
/// `None` afterwards, until it gives a value. Errors as [`WaitQueue::wait`].
#[cfg_attr(debug_assertions, track_caller)]
pub fn wait_many<T>(
    deadline: Option<u64>,
    mut scan: impl FnMut(Option<&mut PollTable>) -> Option<T>,
) -> Result<T> {
    let me = current();
    let marker = 0u8;
    let mut table = PollTable::new(&raw const marker as usize, me.clone() as Arc<dyn Wake>);
    let mut first = true;
    sleep_until(deadline, Ends::AtSignal, || {
        let pass = if core::mem::take(&mut first) {
            Some(&mut table)
        } else {
            None
        };
        let found = scan(pass).map(Ok);
        found.or_else(|| table.check().err().map(Err))
    })?
}
