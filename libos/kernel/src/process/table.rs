//! Every process, by number, and the family tree: parents, groups, sessions.

use super::{Pid, Process, Session, Thread};
use crate::base::{Errno, Result, SpinLock};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Largest process number, as `/proc/sys/kernel/pid_max`.
pub const PID_MAX: Pid = 1 << 22;

struct Node {
    process: Arc<Process>,
    parent: Pid,
    children: Vec<Pid>,
    group: Pid,
    session: Arc<Session>,
}

struct Table {
    nodes: BTreeMap<Pid, Node>,
    /// Threads by number, main threads included.
    threads: BTreeMap<Pid, Arc<Thread>>,
    last: Pid,
    wrapped: bool,
}

/// The family tree. Taken before any lock of a process; wait queues may be woken under it.
static TABLE: SpinLock<Table> = SpinLock::new(Table {
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

/// Adds the first process: its own session and group.
pub fn insert_first(process: Arc<Process>) {
    let session = Arc::new(Session {
        id: process.pid,
        terminal: SpinLock::new(None),
    });
    let pid = process.pid;
    TABLE.lock().nodes.insert(
        pid,
        Node {
            process,
            parent: 0,
            children: Vec::new(),
            group: pid,
            session,
        },
    );
}

/// Adds a child of `parent`, in its group and session; not of one that was killed meanwhile, or a group could outrun the
/// signal that is to end it.
pub fn insert_child(parent: Pid, process: Arc<Process>) -> Result<()> {
    let mut t = TABLE.lock();
    let pid = process.pid;
    if t.nodes.get(&parent).is_some_and(|n| n.process.is_ending()) {
        return Err(Errno::ERESTARTSYS);
    }
    let node = t.nodes.get_mut(&parent).ok_or(Errno::ESRCH)?;
    node.children.push(pid);
    let (group, session) = (node.group, node.session.clone());
    t.nodes.insert(
        pid,
        Node {
            process,
            parent,
            children: Vec::new(),
            group,
            session,
        },
    );
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

/// Every process, by rising number.
pub fn all() -> Vec<Arc<Process>> {
    TABLE
        .lock()
        .nodes
        .values()
        .map(|n| n.process.clone())
        .collect()
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

/// The members of process group `group`.
pub fn group_members(group: Pid) -> Vec<Arc<Process>> {
    TABLE
        .lock()
        .nodes
        .values()
        .filter(|n| n.group == group)
        .map(|n| n.process.clone())
        .collect()
}

/// The session that group `group` belongs to.
pub fn group_session(group: Pid) -> Option<Arc<Session>> {
    TABLE
        .lock()
        .nodes
        .values()
        .find(|n| n.group == group)
        .map(|n| n.session.clone())
}

/// The members of session `sid`.
pub fn session_members(sid: Pid) -> Vec<Arc<Process>> {
    TABLE
        .lock()
        .nodes
        .values()
        .filter(|n| n.session.id == sid)
        .map(|n| n.process.clone())
        .collect()
}

/// Whether no member of the group has a parent in another group of the same session (POSIX "orphaned process group").
pub fn is_orphaned_group(group: Pid) -> bool {
    let t = TABLE.lock();
    !t.nodes.values().any(|n| {
        n.group == group
            && !n.process.is_zombie()
            && t.nodes
                .get(&n.parent)
                .is_some_and(|p| p.group != group && p.session.id == n.session.id && n.parent != 1)
    })
}

/// `setsid`: a new session and group led by `pid`. `EPERM` for a group leader.
pub fn new_session(pid: Pid) -> Result<()> {
    let mut t = TABLE.lock();
    if t.nodes.values().any(|n| n.group == pid) {
        return Err(Errno::EPERM);
    }
    let node = t.nodes.get_mut(&pid).ok_or(Errno::ESRCH)?;
    node.group = pid;
    node.session = Arc::new(Session {
        id: pid,
        terminal: SpinLock::new(None),
    });
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
        if node
            .process
            .has_execed
            .load(core::sync::atomic::Ordering::Relaxed)
        {
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

/// What `wait4` looks at: the children of `pid` with their groups.
pub fn children(pid: Pid) -> Vec<(Arc<Process>, Pid)> {
    let t = TABLE.lock();
    let Some(node) = t.nodes.get(&pid) else {
        return Vec::new();
    };
    node.children
        .iter()
        .filter_map(|c| t.nodes.get(c))
        .map(|n| (n.process.clone(), n.group))
        .collect()
}

/// Calls `f` on each child until it gives a value; the tree stays locked meanwhile.
pub fn find_child<T>(pid: Pid, mut f: impl FnMut(&Arc<Process>, Pid) -> Option<T>) -> Option<T> {
    let t = TABLE.lock();
    let node = t.nodes.get(&pid)?;
    node.children
        .iter()
        .filter_map(|c| t.nodes.get(c))
        .find_map(|n| f(&n.process, n.group))
}

/// Takes a zombie out of the tree. Only one caller gets it.
pub fn reap(pid: Pid) -> Option<Arc<Process>> {
    let mut t = TABLE.lock();
    let node = t.nodes.remove(&pid)?;
    if let Some(parent) = t.nodes.get_mut(&node.parent) {
        parent.children.retain(|&c| c != pid);
    }
    Some(node.process)
}

/// Hands the children of `pid` to `heir`. Returns them.
pub fn reparent(pid: Pid, heir: Pid) -> Vec<Arc<Process>> {
    let mut t = TABLE.lock();
    let Some(node) = t.nodes.get_mut(&pid) else {
        return Vec::new();
    };
    let children = core::mem::take(&mut node.children);
    let mut moved = Vec::new();
    for &c in &children {
        if let Some(child) = t.nodes.get_mut(&c) {
            child.parent = heir;
            moved.push(child.process.clone());
        }
    }
    if let Some(h) = t.nodes.get_mut(&heir) {
        h.children.extend(children);
    }
    moved
}
