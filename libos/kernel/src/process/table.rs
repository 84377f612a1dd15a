//! Every process, by number, and the family tree: parents, groups, sessions.

use super::{Pid, Process, Session, Thread};
use crate::base::{Errno, Result, SpinLock};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Largest process number, as `/proc/sys/kernel/pid_max`.
pub const PID_MAX: Pid = 1 << 22;

/// A process in the family tree.
pub struct Node {
    pub(super) process: Arc<Process>,
    pub(super) parent: Pid,
    /// Its children, the oldest first, are a ring through `next` and `previous` without a head: a list that grows without
    /// wanting memory. 0 where there is none.
    pub(super) eldest: Pid,
    next: Pid,
    previous: Pid,
    pub group: Pid,
    pub session: Arc<Session>,
}

pub(super) struct Table {
    pub(super) nodes: BTreeMap<Pid, Node>,
    /// Threads by number, main threads included.
    threads: BTreeMap<Pid, Arc<Thread>>,
    last: Pid,
    wrapped: bool,
}

/// The family tree. Taken before any lock of a process; wait queues may be woken under it.
pub(super) static TABLE: SpinLock<Table> = SpinLock::new(Table {
    nodes: BTreeMap::new(),
    threads: BTreeMap::new(),
    last: 0,
    wrapped: false,
});

/// A number that no process, group or session uses.
pub fn allocate_pid() -> Result<Pid> {
    let mut t = TABLE.lock();
    for _ in 0..PID_MAX {
        t.last += 1;
        if t.last >= PID_MAX {
            (t.last, t.wrapped) = (300, true);
        }
        let n = t.last;
        // Only once the numbers have wrapped can a group or session outlive its leader under a number we try.
        let in_use = t.nodes.contains_key(&n)
            || t.threads.contains_key(&n)
            || t.wrapped && t.nodes.values().any(|p| p.group == n || p.session.id == n);
        if !in_use {
            return Ok(n);
        }
    }
    Err(Errno::EAGAIN)
}

impl Node {
    pub fn pid(&self) -> Pid {
        self.process.pid
    }
}

impl Table {
    fn insert(&mut self, process: Arc<Process>, parent: Pid, group: Pid, session: Arc<Session>) {
        let pid = process.pid;
        let (next, previous) = self.join(pid, parent);
        let node = Node {
            process,
            parent,
            eldest: 0,
            next,
            previous,
            group,
            session,
        };
        self.nodes.insert(pid, node);
    }

    /// Makes `pid` the youngest child of `parent`, as far as the others know; returns its neighbours.
    fn join(&mut self, pid: Pid, parent: Pid) -> (Pid, Pid) {
        match self.nodes.get_mut(&parent) {
            Some(node) if node.eldest != 0 => {
                let next = node.eldest;
                // The youngest comes before the eldest.
                let previous = core::mem::replace(&mut self.at(next).previous, pid);
                self.at(previous).next = pid;
                (next, previous)
            }
            Some(node) => {
                node.eldest = pid;
                (pid, pid)
            }
            None => (pid, pid),
        }
    }

    /// A child of `parent` with these neighbours is it no more.
    fn leave(&mut self, pid: Pid, parent: Pid, (next, previous): (Pid, Pid)) {
        if next != pid {
            self.at(previous).next = next;
            self.at(next).previous = previous;
        }
        if let Some(parent) = self.nodes.get_mut(&parent)
            && parent.eldest == pid
        {
            parent.eldest = if next == pid { 0 } else { next };
        }
    }

    /// Gives `pid` another parent.
    pub(super) fn move_child(&mut self, pid: Pid, parent: Pid) {
        let node = self.at(pid);
        let (old, neighbours) = (node.parent, (node.next, node.previous));
        self.leave(pid, old, neighbours);
        let (next, previous) = self.join(pid, parent);
        let node = self.at(pid);
        (node.parent, node.next, node.previous) = (parent, next, previous);
    }

    fn remove(&mut self, pid: Pid) -> Option<Node> {
        let node = self.nodes.remove(&pid)?;
        self.leave(pid, node.parent, (node.next, node.previous));
        Some(node)
    }

    fn holds(&self, process: &Arc<Process>) -> bool {
        let is = |n: &Node| Arc::ptr_eq(&n.process, process);
        self.nodes.get(&process.pid).is_some_and(is)
    }

    fn at(&mut self, pid: Pid) -> &mut Node {
        self.nodes.get_mut(&pid).expect("relatives are in the tree")
    }

    /// The children of `pid`, the oldest first.
    fn children(&self, pid: Pid) -> impl Iterator<Item = &Node> {
        let eldest = self.nodes.get(&pid).map_or(0, |n| n.eldest);
        let mut next = eldest;
        core::iter::from_fn(move || {
            let node = self.nodes.get(&next)?;
            next = if node.next == eldest { 0 } else { node.next };
            Some(node)
        })
    }
}

/// Adds the first process: its own session and group.
pub fn insert_first(process: Arc<Process>) {
    let pid = process.pid;
    let session = Session::new(pid);
    TABLE.lock().insert(process, 0, pid, session);
}

/// Adds a child of `maker`, or of its parent, in its group and session. Not if a signal has been sent to several processes, `maker`
/// among them, since it had seen `broadcasts`, or if a parent is ending: the child would escape what its kin cannot. The call
/// has to start over.
pub fn insert_child(
    maker: &Process,
    process: Arc<Process>,
    as_sibling: bool,
    broadcasts: u32,
) -> Result<()> {
    let mut t = TABLE.lock();
    let node = t.nodes.get(&maker.pid).ok_or(Errno::ESRCH)?;
    let parent = if as_sibling { node.parent } else { maker.pid };
    let (group, session) = (node.group, node.session.clone());
    let alive = |pid| t.nodes.get(&pid).is_some_and(|n| !n.process.is_ending());
    let ending = !alive(maker.pid) || as_sibling && !alive(parent);
    if ending || maker.signals.broadcasts() != broadcasts {
        return Err(Errno::ERESTARTNOINTR);
    }
    t.insert(process, parent, group, session);
    Ok(())
}

pub fn insert_thread(thread: Arc<Thread>) {
    TABLE.lock().threads.insert(thread.tid(), thread);
}

/// Forgets a thread that ends, unless its number has gone to the one that execs.
pub fn remove_thread(thread: &Arc<Thread>) {
    let mut t = TABLE.lock();
    let tid = thread.tid();
    if t.threads.get(&tid).is_some_and(|t| Arc::ptr_eq(t, thread)) {
        let gone = t.threads.remove(&tid);
        drop(t);
        drop(gone);
    }
}

/// The only thread left of a process that execs becomes its main one: it gets the number of the process (execve(2)).
pub fn take_main_number(thread: &Arc<Thread>) {
    let pid = thread.process().pid;
    let mut t = TABLE.lock();
    if thread.tid() == pid {
        return;
    }
    // The old main thread may be about to forget its number.
    let gone = t.threads.remove(&thread.tid());
    thread.set_tid(pid);
    let old_main = t.threads.insert(pid, thread.clone());
    drop(t);
    drop((gone, old_main));
}

pub fn find_thread(tid: Pid) -> Option<Arc<Thread>> {
    TABLE.lock().threads.get(&tid).cloned()
}

pub fn find(pid: Pid) -> Option<Arc<Process>> {
    TABLE.lock().nodes.get(&pid).map(|n| n.process.clone())
}

/// The process with the next higher number.
pub fn next(after: Pid) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let mut above = table.nodes.range(after + 1..);
    above.next().map(|(_, n)| n.process.clone())
}

/// Calls `f` on every process; the tree stays locked meanwhile.
pub fn for_each(f: impl FnMut(&Arc<Process>)) {
    TABLE.lock().nodes.values().map(|n| &n.process).for_each(f);
}

/// How many threads of real user `uid` there are; a zombie counts as one.
pub fn count_of_user(uid: u32) -> usize {
    let t = TABLE.lock();
    let own = t.nodes.values().filter(|n| n.process.creds().uid == uid);
    own.map(|n| n.process.threads.lock().len().max(1)).sum()
}

/// How many processes there are.
pub fn count() -> usize {
    TABLE.lock().nodes.len()
}

/// How many threads there are.
pub fn thread_count() -> usize {
    TABLE.lock().threads.len()
}

pub fn last_pid() -> Pid {
    TABLE.lock().last
}

fn with<T>(pid: Pid, f: impl FnOnce(&Node) -> T) -> Option<T> {
    TABLE.lock().nodes.get(&pid).map(f)
}

pub fn parent(pid: Pid) -> Pid {
    with(pid, |n| n.parent).unwrap_or(0)
}
pub fn group(pid: Pid) -> Pid {
    with(pid, |n| n.group).unwrap_or(0)
}
pub fn session_id(pid: Pid) -> Pid {
    with(pid, |n| n.session.id).unwrap_or(0)
}
pub fn session(pid: Pid) -> Option<Arc<Session>> {
    with(pid, |n| n.session.clone())
}

/// The session that a process accepted by `which` belongs to.
fn session_where(which: impl Fn(&Node) -> bool) -> Option<Arc<Session>> {
    let t = TABLE.lock();
    t.nodes
        .values()
        .find(|n| which(n))
        .map(|n| n.session.clone())
}

/// The session that group `group` belongs to.
pub fn group_session(group: Pid) -> Option<Arc<Session>> {
    session_where(|n| n.group == group)
}

/// Session `sid`, as long as it has members.
pub fn session_by_id(sid: Pid) -> Option<Arc<Session>> {
    session_where(|n| n.session.id == sid)
}

/// Calls `send` on every process that `chosen` accepts, with its session's number. `send` says whether the signal is pending then.
/// Whether one was sent to; else the last error, or `ESRCH`. No child is born meanwhile, and one that a process among them is making starts over: nobody is left out.
pub fn signal_each(
    chosen: &dyn Fn(&Node) -> bool,
    send: &dyn Fn(&Arc<Process>, Pid) -> Result<bool>,
) -> Result<()> {
    let t = TABLE.lock();
    let mut outcome = Err(Errno::ESRCH);
    for n in t.nodes.values().filter(|n| chosen(n)) {
        match send(&n.process, n.session.id) {
            Ok(pending) => {
                outcome = Ok(());
                // Nobody's births wait for what he was not allowed to be sent, or ignores. One that it ends has none any more.
                if pending {
                    n.process.signals.count_broadcast();
                }
            }
            Err(e) => outcome = outcome.or(Err(e)),
        }
    }
    outcome
}

/// `setsid`: a new session and group led by `pid`. `EPERM` for a group leader.
pub fn new_session(pid: Pid) -> Result<()> {
    let mut t = TABLE.lock();
    if t.nodes.values().any(|n| n.group == pid) {
        return Err(Errno::EPERM);
    }
    let node = t.nodes.get_mut(&pid).ok_or(Errno::ESRCH)?;
    node.group = pid;
    let old = core::mem::replace(&mut node.session, Session::new(pid));
    drop(t);
    // It may have been the last to have it, and with it a terminal.
    drop(old);
    Ok(())
}

/// `setpgid(pid, group)` on behalf of `caller` (setpgid(2) for the errors).
pub fn set_group(caller: Pid, pid: Pid, group: Pid) -> Result<()> {
    let mut t = TABLE.lock();
    let caller_session = t.nodes.get(&caller).ok_or(Errno::ESRCH)?.session.id;
    let node = t.nodes.get(&pid).ok_or(Errno::ESRCH)?;
    if pid != caller {
        if node.parent != caller {
            return Err(Errno::ESRCH);
        }
        if node.session.id != caller_session {
            return Err(Errno::EPERM);
        }
        if node.process.has_execed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    if node.session.id == pid {
        return Err(Errno::EPERM);
    }
    let session = node.session.id;
    if group != pid
        && !t
            .nodes
            .values()
            .any(|n| n.group == group && n.session.id == session)
    {
        return Err(Errno::EPERM);
    }
    if let Some(node) = t.nodes.get_mut(&pid) {
        node.group = group;
    }
    Ok(())
}

/// Calls `f` on each child, the oldest first, until it gives a value and says whether that child is to be taken out of the tree.
/// The tree stays locked meanwhile, so only one caller gets a child.
pub fn find_child<T>(
    pid: Pid,
    mut f: impl FnMut(&Arc<Process>, Pid) -> Option<(T, bool)>,
) -> Option<T> {
    let mut t = TABLE.lock();
    let found = t
        .children(pid)
        .find_map(|n| f(&n.process, n.group).map(|found| (n.process.pid, found)));
    let (child, (value, take)) = found?;
    let gone = if take { t.remove(child) } else { None };
    drop(t);
    drop(gone);
    Some(value)
}

/// Whether the process has not been waited for.
pub fn holds(process: &Arc<Process>) -> bool {
    TABLE.lock().holds(process)
}

/// Takes a zombie out of the tree, unless somebody has done so.
pub fn reap(process: &Arc<Process>) {
    let mut t = TABLE.lock();
    if t.holds(process) {
        let gone = t.remove(process.pid);
        drop(t);
        drop(gone);
    }
}
