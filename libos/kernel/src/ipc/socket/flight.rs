//! Sockets that nobody has open and that lie in each other's queues (`SCM_RIGHTS`): messages in a ring keep each other alive
//! though nobody can ever receive them. They are looked for when a socket ends, as on Linux.
//!
//! What is in flight is counted queue by queue while other cores go on. A file to which there are more references than messages
//! is open somewhere, and what lies in an open socket's queue, or in those of its backlog, can be received, and so on from there.
//! The rest is lost, if nothing left a queue meanwhile: then all messages that were counted are still there, so that the last
//! count of a file's references is no less than that of its messages and its being open together. One that is not open
//! can only become so again by leaving a queue. What is sent meanwhile makes references that were not counted, which is
//! taken for being open.

use super::{Role, Socket, State, rights};
use crate::base::SpinLock;
use crate::fs::sleep_lock::SleepLock;
use crate::process::scheduler;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Sockets in whose queues sockets lie, by address. Taken inside a socket's lock.
static CARRIERS: SpinLock<BTreeMap<usize, Weak<Socket>>> = SpinLock::new(BTreeMap::new());
/// There may be a ring: a socket was sent to one that is itself in flight. Else there is nothing to look for.
static RINGS: AtomicBool = AtomicBool::new(false);
/// How often sockets were sent.
static SENT: AtomicUsize = AtomicUsize::new(0);
/// How often files left a queue, or a connection a backlog.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// How often somebody wanted a look, and up to which of these one has been taken.
static WANTED: AtomicUsize = AtomicUsize::new(0);
static SERVED: AtomicUsize = AtomicUsize::new(0);
/// One looks at a time.
static LOOKING: SleepLock = SleepLock::new();
/// Looks in a row that are worth taking if each is disturbed: the next socket to end makes for another.
const ATTEMPTS: usize = 3;

/// What a look knows of a socket. Only one goes on at a time; the lock is a leaf.
#[derive(Default)]
pub struct Mark {
    look: usize,
    /// Messages that hold its file.
    messages: usize,
    /// All references to its file, where it is in a message.
    references: usize,
    /// Somebody can come by it.
    reached: bool,
}

impl Mark {
    /// Takes a message away; whether it was the last.
    fn is_last(&mut self) -> bool {
        self.messages = self.messages.wrapping_sub(1);
        self.messages == 0
    }
}

/// Something was put into the queue of `socket`, locked, or taken from it.
pub fn recount(socket: &Socket, state: &mut State) {
    let carries = state.queue.sockets() > 0;
    if carries != state.carries {
        state.carries = carries;
        let mut carriers = CARRIERS.lock();
        let key = core::ptr::from_ref(socket).addr();
        match carries {
            true => carriers.insert(key, socket.this.clone()),
            false => carriers.remove(&key),
        };
    }
}

/// A socket was put into the queue of `socket`, locked.
pub fn sent(socket: &Socket, state: &mut State) {
    SENT.fetch_add(1, Ordering::SeqCst);
    if socket.in_flight.load(Ordering::SeqCst) > 0 || state.listener.is_some() {
        RINGS.store(true, Ordering::SeqCst);
    }
    recount(socket, state);
}

/// Files were taken, or copied, out of a queue, or a connection out of a backlog. Called with its socket locked.
pub fn left() {
    LEFT.fetch_add(1, Ordering::SeqCst);
}

/// Ends the sockets that nobody can reach. Called with no lock held.
pub fn collect() {
    if rights::are_being_dropped() {
        return;
    }
    // Others end sockets meanwhile. What goes with these is looked for in the next round, not inside this one.
    while RINGS.load(Ordering::SeqCst) {
        let lost = look();
        if lost.is_empty() {
            return;
        }
        rights::drop_in_order(|| lost.into_iter().for_each(empty));
    }
}

/// Throws away what lies in the queue of a socket that is lost.
fn empty(socket: Arc<Socket>) {
    let mut state = socket.state.lock();
    let queue = core::mem::take(&mut state.queue);
    left();
    recount(&socket, &mut state);
    drop(state);
    drop(queue);
}

/// What is lost, unless somebody else has looked since the call.
fn look() -> Vec<Arc<Socket>> {
    let wanted = WANTED.fetch_add(1, Ordering::SeqCst) + 1;
    // They go after the lock: with what they hold, a socket may end that nobody else holds any more, and make for a look itself.
    let mut looks: [Look; ATTEMPTS] = core::array::from_fn(|_| Look::new());
    let _looking = LOOKING.lock();
    if SERVED.load(Ordering::SeqCst) >= wanted {
        return Vec::new();
    }
    let served = WANTED.load(Ordering::SeqCst);
    let sent = SENT.load(Ordering::SeqCst);
    RINGS.store(false, Ordering::SeqCst);
    let found = looks.iter_mut().find_map(Look::lost);
    SERVED.store(served, Ordering::SeqCst);
    // What was sent meanwhile may have been left out of the count of what is in flight.
    let (lost, rings) = found.unwrap_or((Vec::new(), true));
    if rings || SENT.load(Ordering::SeqCst) != sent {
        RINGS.store(true, Ordering::SeqCst);
    }
    lost
}

/// One look at everything that is in flight. It keeps every socket that it comes across.
struct Look {
    number: usize,
    /// The carriers, and after them the listeners of those that wait in a backlog.
    sockets: Vec<Arc<Socket>>,
    /// What was reached.
    reached: Vec<Arc<Socket>>,
    /// How many of these have been looked into.
    done: usize,
}

impl Look {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        Look {
            number: NUMBER.fetch_add(1, Ordering::Relaxed) + 1,
            sockets: Vec::new(),
            reached: Vec::new(),
            done: 0,
        }
    }

    /// The next that was reached and has not been looked into.
    fn next(&mut self) -> Option<Arc<Socket>> {
        let socket = self.reached.get(self.done)?.clone();
        self.done += 1;
        Some(socket)
    }

    fn mark<R>(&self, socket: &Socket, f: impl FnOnce(&mut Mark) -> R) -> R {
        let mut mark = socket.mark.lock();
        if mark.look != self.number {
            *mark = Mark {
                look: self.number,
                ..Mark::default()
            };
        }
        f(&mut mark)
    }

    /// The carriers that nobody can reach, and whether there are rings; `None` if that cannot be said now.
    fn lost(&mut self) -> Option<(Vec<Arc<Socket>>, bool)> {
        let before = LEFT.load(Ordering::SeqCst);
        self.sockets = carriers()?;
        for socket in &self.sockets {
            for file in socket.state.lock().queue.files() {
                if let Some(held) = file.ops_as::<Socket>() {
                    self.mark(held, |mark| {
                        mark.messages += 1;
                        mark.references = Arc::strong_count(file);
                    });
                }
            }
            scheduler::give_way();
        }
        let count = self.sockets.len();
        for index in 0..count {
            let socket = self.sockets[index].clone();
            let listener = socket.state.lock().listener.clone();
            match listener {
                None => self.enter_if_open(&socket)?,
                // Whoever can come by a listener can accept what waits there. Afterwards it may be gone from the list.
                Some(listener) => {
                    self.sockets.try_reserve(1).ok()?;
                    if let Some(listener) = listener.upgrade() {
                        self.sockets.push(listener.clone());
                        self.enter_if_open(&listener)?;
                    }
                }
            }
        }
        while let Some(socket) = self.next() {
            self.look_into(&socket)?;
            scheduler::give_way();
        }
        let rings = self.has_rings(count)?;
        let mut lost = Vec::new();
        for socket in &self.sockets[..count] {
            if !self.mark(socket, |mark| mark.reached) {
                lost.try_reserve(1).ok()?;
                lost.push(socket.clone());
            }
        }
        (LEFT.load(Ordering::SeqCst) == before).then_some((lost, rings))
    }

    /// Takes away what lies in no queue, and then what lay in the queues of that alone, and so on: what stays is in rings, or in the
    /// queues of such. `carriers`: how many there are.
    fn has_rings(&mut self, carriers: usize) -> Option<bool> {
        let mut left = carriers;
        for index in 0..carriers {
            if self.mark(&self.sockets[index], |mark| mark.messages) == 0 {
                self.reached.try_reserve(1).ok()?;
                self.reached.push(self.sockets[index].clone());
            }
        }
        while let Some(socket) = self.next() {
            let state = socket.state.lock();
            if state.listener.is_some() {
                return Some(true);
            }
            left = left.wrapping_sub(state.carries as usize);
            for file in state.queue.files() {
                if let Some(held) = file.ops_as::<Socket>()
                    && self.mark(held, Mark::is_last)
                {
                    self.reached.try_reserve(1).ok()?;
                    self.reached.extend(held.this.upgrade());
                }
            }
            drop(state);
            scheduler::give_way();
        }
        Some(left != 0)
    }

    fn enter_if_open(&mut self, socket: &Arc<Socket>) -> Option<()> {
        if self.mark(socket, |mark| {
            mark.messages == 0 || mark.references > mark.messages
        }) {
            self.enter(socket)?;
        }
        Some(())
    }

    fn enter(&mut self, socket: &Socket) -> Option<()> {
        if !self.mark(socket, |mark| core::mem::replace(&mut mark.reached, true)) {
            self.reached.try_reserve(1).ok()?;
            self.reached.extend(socket.this.upgrade());
        }
        Some(())
    }

    fn look_into(&mut self, socket: &Socket) -> Option<()> {
        let state = socket.state.lock();
        for file in state.queue.files() {
            if let Some(held) = file.ops_as::<Socket>() {
                self.enter(held)?;
            }
        }
        if let Role::Listening { waiting, .. } = &state.role {
            for socket in waiting {
                self.enter(socket)?;
            }
        }
        Some(())
    }
}

fn carriers() -> Option<Vec<Arc<Socket>>> {
    let mut all = Vec::new();
    let carriers = CARRIERS.lock();
    all.try_reserve_exact(carriers.len()).ok()?;
    all.extend(carriers.values().filter_map(Weak::upgrade));
    Some(all)
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
