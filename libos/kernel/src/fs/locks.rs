//! Locks on files: POSIX record locks, open-file-description locks, `flock`.
//!
//! One table for the whole system, keyed by inode: locks are few and short-lived, and a file that nobody locks pays nothing.

use super::file::File;
use super::inode::Inode;
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
    /// Inclusive; `u64::MAX` is the end of the file, wherever it will be.
    pub end: u64,
}

/// Whether to sleep for a lock that another holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    Wait,
    Try,
}

struct Table {
    /// By inode address. An inode with locks has an open file, which keeps it alive.
    by_inode: BTreeMap<usize, Vec<Lock>>,
    /// Who waits for whom, among record locks: a cycle is a deadlock.
    waiting: BTreeMap<Pid, Pid>,
}

static TABLE: SpinLock<Table> = SpinLock::new(Table {
    by_inode: BTreeMap::new(),
    waiting: BTreeMap::new(),
});
/// Inodes in the table.
static LOCKED: AtomicUsize = AtomicUsize::new(0);
/// Woken whenever a lock goes.
static RELEASED: WaitQueue = WaitQueue::new();

/// Locks that one file may have; every look goes through all of them.
const MOST: usize = 4096;

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
    let table = TABLE.lock();
    table
        .by_inode
        .get(&key(inode))?
        .iter()
        .find(|l| l.conflicts(wanted))
        .copied()
}

/// `ENOLCK` if the file has as many locks as it may: a change could make more.
fn check_room(key: usize) -> Result<()> {
    match TABLE.lock().by_inode.get(&key) {
        Some(locks) if locks.len() >= MOST => Err(Errno::ENOLCK),
        _ => Ok(()),
    }
}

/// Sets `wanted`, replacing what its owner held there. `EAGAIN` if it is in another's hands and `patience` is `Try`.
pub fn set(inode: &Arc<dyn Inode>, wanted: Lock, patience: Patience) -> Result<()> {
    check_room(key(inode))?;
    match try_set(key(inode), &wanted) {
        Ok(()) => return Ok(()),
        Err(_) if patience == Patience::Try => return Err(Errno::EAGAIN),
        Err(_) => {}
    }
    let outcome = RELEASED.wait(None, || match try_set(key(inode), &wanted) {
        Ok(()) => Some(Ok(())),
        Err(holder) => note_waiting(wanted.owner, holder.owner).err().map(Err),
    });
    if let Owner::Process(me) = wanted.owner {
        TABLE.lock().waiting.remove(&me);
    }
    outcome?
}

fn try_set(key: usize, wanted: &Lock) -> core::result::Result<(), Lock> {
    let mut table = TABLE.lock();
    let locks = table.by_inode.entry(key).or_insert_with(|| {
        LOCKED.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    });
    if let Some(holder) = locks.iter().find(|l| l.conflicts(wanted)) {
        return Err(*holder);
    }
    carve(locks, wanted.owner, wanted.start, wanted.end);
    add(locks, *wanted);
    drop(table);
    // An exclusive lock may have become a shared one.
    RELEASED.wake_all();
    Ok(())
}

/// Remembers that `me` waits for `holder`; `EDEADLK` if that closes a circle.
fn note_waiting(me: Owner, holder: Owner) -> Result<()> {
    let (Owner::Process(me), Owner::Process(holder)) = (me, holder) else {
        return Ok(());
    };
    let mut table = TABLE.lock();
    let mut at = holder;
    for _ in 0..table.waiting.len() + 1 {
        if at == me {
            return Err(Errno::EDEADLK);
        }
        match table.waiting.get(&at) {
            Some(&next) => at = next,
            None => break,
        }
    }
    table.waiting.insert(me, holder);
    Ok(())
}

/// As [`unset`], on behalf of a program: `ENOLCK` if what is left might be too many pieces.
pub fn unset_part(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) -> Result<()> {
    if (start, end) != (0, u64::MAX) {
        check_room(key(inode))?;
    }
    unset(inode, owner, start, end);
    Ok(())
}

/// Gives back `start..=end` of what `owner` holds.
pub fn unset(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) {
    if LOCKED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut table = TABLE.lock();
    let key = key(inode);
    let Some(locks) = table.by_inode.get_mut(&key) else {
        return;
    };
    carve(locks, owner, start, end);
    if locks.is_empty() {
        table.by_inode.remove(&key);
        LOCKED.fetch_sub(1, Ordering::Relaxed);
    }
    drop(table);
    RELEASED.wake_all();
}

/// A descriptor of the process is closed: its record locks on the file go, whichever descriptor set them.
pub fn on_close(file: &File) {
    if LOCKED.load(Ordering::Relaxed) != 0
        && let Some(inode) = file.inode()
    {
        unset(inode, Owner::Process(super::caller::pid()), 0, u64::MAX);
    }
}

/// The open file description is gone, and its locks with it.
pub fn on_release(file: &File) {
    if LOCKED.load(Ordering::Relaxed) != 0
        && let Some(inode) = file.inode()
    {
        unset(inode, Owner::File(file_key(file)), 0, u64::MAX);
        unset(inode, Owner::Flock(file_key(file)), 0, u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        add(&mut locks, lock(1, Kind::Exclusive, 0, u64::MAX));
        carve(&mut locks, Owner::Process(1), 10, 19);
        locks.sort_by_key(|l| l.start);
        assert_eq!(
            locks,
            [
                lock(1, Kind::Exclusive, 0, 9),
                lock(1, Kind::Exclusive, 20, u64::MAX)
            ]
        );
        add(&mut locks, lock(1, Kind::Exclusive, 10, 19));
        assert_eq!(locks, [lock(1, Kind::Exclusive, 0, u64::MAX)]);
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
            end: u64::MAX,
        };
        assert!(!whole.conflicts(&lock(2, Kind::Exclusive, 0, 9)));
    }

    #[test]
    fn a_circle_of_waiters_is_a_deadlock() {
        let p = Owner::Process;
        assert_eq!(note_waiting(p(901), p(902)), Ok(()));
        assert_eq!(note_waiting(p(902), p(903)), Ok(()));
        assert_eq!(note_waiting(p(903), p(901)), Err(Errno::EDEADLK));
    }
}
