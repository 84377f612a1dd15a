//! Locks on files: POSIX record locks, open-file-description locks, `flock`.
//!
//! One table for the whole system, keyed by inode: locks are few and short-lived, and a file that nobody locks pays nothing.

use super::file::File;
use super::inode::Inode;
use super::types::OpenFlags;
use crate::base::{Errno, Result, SpinLock};
use crate::process::Pid;
use crate::process::wait::WaitQueue;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Whose a lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A record lock: the process's, gone when it closes any descriptor of the file.
    Process(Pid),
    /// `F_OFD_*`: the open file description's (its address).
    File(usize),
    /// `flock`: likewise, and blind to record locks.
    Flock(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock {
    pub owner: Owner,
    pub kind: Kind,
    pub start: u64,
    /// Inclusive.
    pub end: u64,
}

/// Whether to sleep for a lock that another holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    Wait,
    Try,
}

/// The locks of one file.
struct Locked {
    /// Keeps the address, which is the key, from being another's.
    _inode: Arc<dyn Inode>,
    locks: Vec<Lock>,
}

struct Table {
    /// By inode address.
    by_inode: BTreeMap<usize, Locked>,
    /// Record locks that somebody sleeps for, with the file. Who stands in their way is looked up when it matters.
    waiting: Vec<(usize, Lock)>,
}

static TABLE: SpinLock<Table> = SpinLock::new(Table {
    by_inode: BTreeMap::new(),
    waiting: Vec::new(),
});
/// Inodes in the table.
static LOCKED: AtomicUsize = AtomicUsize::new(0);
/// Woken whenever a lock goes.
static RELEASED: WaitQueue = WaitQueue::new();

/// Locks that one file may have; every look goes through all of them.
const MOST: usize = 4096;
/// The last byte of a file, wherever that will be: the largest offset.
pub const END: u64 = i64::MAX as u64;

/// Whether any file is locked.
pub fn any() -> bool {
    LOCKED.load(Ordering::Relaxed) != 0
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode) as *const () as usize
}

/// What identifies an open file description as an owner.
pub fn file_key(file: &File) -> usize {
    file as *const File as usize
}

impl Lock {
    fn conflicts(&self, other: &Lock) -> bool {
        let blind = matches!(self.owner, Owner::Flock(_)) != matches!(other.owner, Owner::Flock(_));
        !blind
            && self.owner != other.owner
            && (self.kind == Kind::Exclusive || other.kind == Kind::Exclusive)
            && self.start <= other.end
            && other.start <= self.end
    }
}

/// Takes `start..=end` out of what `owner` holds.
fn carve(locks: &mut Vec<Lock>, owner: Owner, start: u64, end: u64) {
    let mut rest = Vec::new();
    locks.retain_mut(|l| {
        if l.owner != owner || l.end < start || l.start > end {
            return true;
        }
        if l.start < start {
            rest.push(Lock {
                end: start - 1,
                ..*l
            });
        }
        if l.end > end {
            rest.push(Lock {
                start: end + 1,
                ..*l
            });
        }
        false
    });
    locks.append(&mut rest);
}

/// Adds `lock`, joined with neighbours of the same kind and owner.
fn add(locks: &mut Vec<Lock>, mut lock: Lock) {
    locks.retain(|l| {
        let same = l.owner == lock.owner && l.kind == lock.kind;
        let touches =
            l.start <= lock.end.saturating_add(1) && lock.start <= l.end.saturating_add(1);
        if same && touches {
            lock.start = lock.start.min(l.start);
            lock.end = lock.end.max(l.end);
        }
        !(same && touches)
    });
    locks.push(lock);
}

/// The lock that stands in the way of `wanted`, if one does.
pub fn conflict(inode: &Arc<dyn Inode>, wanted: &Lock) -> Option<Lock> {
    TABLE.lock().in_the_way(key(inode), wanted).next().copied()
}

impl Table {
    fn in_the_way<'a>(&'a self, key: usize, wanted: &'a Lock) -> impl Iterator<Item = &'a Lock> {
        let locked = self.by_inode.get(&key).into_iter();
        locked
            .flat_map(|l| &l.locks)
            .filter(|l| l.conflicts(wanted))
    }

    /// Whether the process that wants the lock would wait for itself: whether any of those whom it waits for does, by way of any of
    /// its threads.
    fn closes_circle(&self, key: usize, wanted: &Lock) -> bool {
        let mut reached: Vec<Owner> = self.in_the_way(key, wanted).map(|l| l.owner).collect();
        let mut at = 0;
        while let Some(&owner) = reached.get(at) {
            if owner == wanted.owner {
                return true;
            }
            for (key, lock) in self.waiting.iter().filter(|(_, l)| l.owner == owner) {
                for holder in self.in_the_way(*key, lock) {
                    if !reached.contains(&holder.owner) {
                        reached.push(holder.owner);
                    }
                }
            }
            at += 1;
        }
        false
    }

    /// What is locked of the file. `ENOLCK` if it has as many locks as it may, as a change could make more.
    fn of(&mut self, inode: &Arc<dyn Inode>) -> Result<&mut Vec<Lock>> {
        let locked = self.by_inode.entry(key(inode)).or_insert_with(|| {
            LOCKED.fetch_add(1, Ordering::Relaxed);
            Locked {
                _inode: inode.clone(),
                locks: Vec::new(),
            }
        });
        // A change takes one lock apart at most, and adds one.
        let room = locked.locks.try_reserve(3).is_ok() && !crate::memory::frames::is_scarce();
        if locked.locks.len() >= MOST || !room {
            return Err(Errno::ENOLCK);
        }
        Ok(&mut locked.locks)
    }

    /// Forgets a file without locks.
    fn tidy(&mut self, key: usize) -> Option<Locked> {
        if !self.by_inode.get(&key)?.locks.is_empty() {
            return None;
        }
        LOCKED.fetch_sub(1, Ordering::Relaxed);
        self.by_inode.remove(&key)
    }
}

/// Sets `wanted`, replacing what its owner held there. `EAGAIN` if it is in another's hands and `patience` is `Try`, `EDEADLK` if
/// waiting for it would be for ever.
pub fn set(inode: &Arc<dyn Inode>, wanted: Lock, patience: Patience) -> Result<()> {
    match try_set(inode, &wanted)? {
        true => return Ok(()),
        false if patience == Patience::Try => return Err(Errno::EAGAIN),
        false => {}
    }
    let waiter = (key(inode), wanted);
    let mut noted = false;
    let outcome = RELEASED.wait(None, || match try_set(inode, &wanted) {
        Ok(false) if matches!(wanted.owner, Owner::Process(_)) => {
            let mut table = TABLE.lock();
            if table.closes_circle(waiter.0, &wanted) {
                return Some(Err(Errno::EDEADLK));
            }
            if !core::mem::replace(&mut noted, true) {
                table.waiting.push(waiter);
            }
            None
        }
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(e) => Some(Err(e)),
    });
    if noted {
        let waiting = &mut TABLE.lock().waiting;
        // Two threads that want the same are as good as each other.
        if let Some(mine) = waiting.iter().position(|w| *w == waiter) {
            waiting.swap_remove(mine);
        }
    }
    outcome?
}

/// Whether the lock is set now.
fn try_set(inode: &Arc<dyn Inode>, wanted: &Lock) -> Result<bool> {
    let mut released = false;
    let mut table = TABLE.lock();
    let locks = match table.of(inode) {
        Ok(locks) => locks,
        Err(e) => {
            let gone = table.tidy(key(inode));
            drop(table);
            drop(gone);
            return Err(e);
        }
    };
    if matches!(wanted.owner, Owner::Flock(_)) {
        if locks.contains(wanted) {
            return Ok(true);
        }
        // One that is to be changed is given up first: others who want the same do not wait for it.
        let before = locks.len();
        carve(locks, wanted.owner, 0, END);
        released = locks.len() < before;
    }
    let free = !locks.iter().any(|l| l.conflicts(wanted));
    if free {
        carve(locks, wanted.owner, wanted.start, wanted.end);
        add(locks, *wanted);
        // An exclusive lock may have become a shared one.
        released = true;
    }
    drop(table);
    // Who has got nothing and given nothing wakes nobody: it may be on that queue itself.
    if released {
        RELEASED.wake_all();
    }
    Ok(free)
}

/// As [`unset`], on behalf of a program: `ENOLCK` if what is left might be too many pieces.
pub fn unset_part(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) -> Result<()> {
    let full = |l: &mut Locked| l.locks.len() >= MOST || l.locks.try_reserve(2).is_err();
    let mut table = TABLE.lock();
    if (start, end) != (0, END) && table.by_inode.get_mut(&key(inode)).is_some_and(full) {
        return Err(Errno::ENOLCK);
    }
    drop(table);
    unset(inode, owner, start, end);
    Ok(())
}

/// Gives back `start..=end` of what `owner` holds.
pub fn unset(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) {
    if !any() {
        return;
    }
    let mut table = TABLE.lock();
    let key = key(inode);
    if let Some(locked) = table.by_inode.get_mut(&key) {
        carve(&mut locked.locks, owner, start, end);
    }
    let gone = table.tidy(key);
    drop(table);
    drop(gone);
    RELEASED.wake_all();
}

/// A descriptor of the process is closed: its record locks on the file go, whichever descriptor set them.
pub fn on_close(file: &File) {
    if any()
        && !file.flags().contains(OpenFlags::PATH)
        && let Some(inode) = file.inode()
    {
        unset(inode, Owner::Process(super::caller::pid()), 0, END);
    }
}

/// The open file description is gone, and its locks with it.
pub fn on_release(file: &File) {
    if any()
        && let Some(inode) = file.inode()
    {
        unset(inode, Owner::File(file_key(file)), 0, END);
        unset(inode, Owner::Flock(file_key(file)), 0, END);
    }
}

/// The process is gone: so are its record locks, whatever becomes of the descriptors.
pub fn on_exit(process: Pid) {
    let mine = |l: &Lock| l.owner == Owner::Process(process);
    let mut from = 0;
    while any() {
        let mut table = TABLE.lock();
        let mut rest = table.by_inode.range_mut(from..);
        let Some((&key, locked)) = rest.find(|(_, l)| l.locks.iter().any(mine)) else {
            return;
        };
        locked.locks.retain(|l| !mine(l));
        from = key + 1;
        let gone = table.tidy(key);
        drop(table);
        drop(gone);
        RELEASED.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::World;

    fn lock(pid: Pid, kind: Kind, start: u64, end: u64) -> Lock {
        Lock {
            owner: Owner::Process(pid),
            kind,
            start,
            end,
        }
    }

    #[test]
    fn unlocking_the_middle_leaves_both_ends() {
        let mut locks = Vec::new();
        add(&mut locks, lock(1, Kind::Exclusive, 0, END));
        carve(&mut locks, Owner::Process(1), 10, 19);
        locks.sort_by_key(|l| l.start);
        assert_eq!(
            locks,
            [
                lock(1, Kind::Exclusive, 0, 9),
                lock(1, Kind::Exclusive, 20, END)
            ]
        );
        add(&mut locks, lock(1, Kind::Exclusive, 10, 19));
        assert_eq!(locks, [lock(1, Kind::Exclusive, 0, END)]);
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let shared = lock(1, Kind::Shared, 0, 9);
        assert!(!shared.conflicts(&lock(2, Kind::Shared, 0, 9)));
        assert!(shared.conflicts(&lock(2, Kind::Exclusive, 9, 9)));
        assert!(!shared.conflicts(&lock(2, Kind::Exclusive, 10, 10)));
        assert!(!shared.conflicts(&lock(1, Kind::Exclusive, 0, 9)));
        let whole = Lock {
            owner: Owner::Flock(7),
            kind: Kind::Exclusive,
            start: 0,
            end: END,
        };
        assert!(!whole.conflicts(&lock(2, Kind::Exclusive, 0, 9)));
    }

    #[test]
    fn a_circle_of_waiters_is_a_deadlock() {
        let w = World::new();
        let file = w.touch("f").inode().clone();
        let key = key(&file);
        let byte = |pid, n| lock(pid, Kind::Exclusive, n, n);
        for n in 0..4 {
            assert_eq!(set(&file, byte(900 + n, n as u64), Patience::Try), Ok(()));
        }
        let mut table = TABLE.lock();
        // Of one process two threads wait; either may be part of a circle.
        for wanted in [byte(901, 0), byte(901, 2), byte(902, 3)] {
            assert!(!table.closes_circle(key, &wanted));
            table.waiting.push((key, wanted));
        }
        assert!(table.closes_circle(key, &byte(900, 1)));
        assert!(table.closes_circle(key, &byte(903, 1)));
        assert!(!table.closes_circle(key, &byte(900, 3)));
        // What has been given back is waited for no more, even by those who have not woken up yet.
        let locks = &mut table.by_inode.get_mut(&key).unwrap().locks;
        carve(locks, Owner::Process(900), 0, END);
        assert!(!table.closes_circle(key, &byte(900, 1)));
        table.waiting.retain(|w| w.0 != key);
        drop(table);
        for n in 0..4 {
            on_exit(900 + n);
        }
        assert!(TABLE.lock().tidy(key).is_none());
        assert_eq!(conflict(&file, &lock(1, Kind::Exclusive, 0, END)), None);
    }

    #[test]
    fn a_locked_file_keeps_its_place_in_the_table() {
        let w = World::new();
        let file = w.touch("f").inode().clone();
        let kept = Arc::downgrade(&file);
        set(&file, lock(950, Kind::Shared, 0, END), Patience::Try).unwrap();
        w.remove("f", crate::fs::namespace::Remove::File).unwrap();
        drop(file);
        assert!(kept.upgrade().is_some());
        on_exit(950);
        assert!(kept.upgrade().is_none());
    }
}
