//! What the end of a process means to its family: who gets its children, and which process groups lose their last tie to their
//! session.

use super::table::{Node, TABLE, Table};
use super::{Pid, Process};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

impl Table {
    /// Whether the process connects its group to the rest of its session: its parent is there, in another group (POSIX
    /// "orphaned process group"; init does not count).
    fn connects(&self, n: &Node) -> bool {
        let outside =
            |p: &Node| p.group != n.group && p.session.id == n.session.id && n.parent != 1;
        !n.process.is_zombie() && self.nodes.get(&n.parent).is_some_and(outside)
    }

    /// Who takes over the children of `pid`: the nearest ancestor that has asked for it and is not ending itself, or init.
    fn heir_of(&self, pid: Pid) -> Pid {
        let parent = |pid: Pid| self.nodes.get(&pid).map_or(1, |n| n.parent);
        let willing =
            |n: &Node| n.process.child_subreaper.load(Ordering::Relaxed) && !n.process.is_ending();
        let mut heir = parent(pid);
        while heir > 1 && !self.nodes.get(&heir).is_some_and(willing) {
            heir = parent(heir);
        }
        heir.max(1)
    }
}

/// Whether no member of the group has a parent in another group of the same session (POSIX "orphaned process group").
pub fn is_orphaned_group(group: Pid) -> bool {
    let t = TABLE.lock();
    !t.nodes.values().any(|n| n.group == group && t.connects(n))
}

/// The last thread of a process is leaving: from now on it is a zombie. Returns its parent, which may take it out of the tree
/// at once. If that parent ends, whoever gets its children hears of this one from [`hand_on`]'s caller.
pub fn bury(process: &Process) -> Option<Arc<Process>> {
    let t = TABLE.lock();
    process.zombie.store(true, Ordering::SeqCst);
    let parent = t.nodes.get(&process.pid)?.parent;
    t.nodes.get(&parent).map(|n| n.process.clone())
}

/// Groups that the end of a process may orphan: whether one has a stopped member, and whether one is still connected to its session.
#[derive(Default)]
pub struct Groups(BTreeMap<Pid, (bool, bool)>);

/// Gives one child of `process`, which ends, to its heir; both are returned. `heir` is the one of the child before. `groups` takes
/// the child's up if this parent connected it to the session.
pub fn hand_on(
    process: &Process,
    heir: &mut Option<Arc<Process>>,
    groups: &mut Groups,
) -> Option<Arc<Process>> {
    // Let go of after the lock.
    let mut _former = None;
    let mut t = TABLE.lock();
    let pid = process.pid;
    let node = t.nodes.get(&pid)?;
    let child = node.eldest;
    let Some(moved) = t.nodes.get(&child) else {
        // The last one has gone; the group that it leaves itself may lose its connection, too.
        if t.connects(node) {
            groups.0.insert(node.group, (false, false));
        }
        return None;
    };
    if heir.as_ref().is_none_or(|h| h.is_ending()) {
        let found = t.nodes.get(&t.heir_of(pid));
        _former = core::mem::replace(heir, found.map(|n| n.process.clone()));
    }
    if moved.group != node.group && moved.session.id == node.session.id {
        groups.0.insert(moved.group, (false, false));
    }
    let moved = moved.process.clone();
    t.move_child(child, heir.as_ref().map_or(1, |h| h.pid));
    Some(moved)
}

/// `process` ends and has no children any more: a group that this orphans and that has a stopped member gets `SIGHUP` and `SIGCONT`
/// (POSIX `_exit`).
pub fn hang_up_orphans(process: &Process, mut groups: Groups, hang_up: impl Fn(&Arc<Process>)) {
    if groups.0.is_empty() {
        return;
    }
    let t = TABLE.lock();
    for n in t.nodes.values().filter(|n| n.process.pid != process.pid) {
        if let Some((stopped, connected)) = groups.0.get_mut(&n.group) {
            *stopped |= n.process.signals.is_stopped();
            *connected |= t.connects(n);
        }
    }
    for n in t.nodes.values() {
        if let Some((true, false)) = groups.0.get(&n.group) {
            hang_up(&n.process);
        }
    }
}
