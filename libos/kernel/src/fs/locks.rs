//! Locks on files: POSIX record locks, open-file-description locks, `flock`.
//!
//! One table for the whole system, keyed by inode: locks are few and short-lived, and a file that nobody locks pays nothing.

use super::file::File;
use super::inode::Inode;
use super::types::OpenFlags;
use crate::base::sync::SpinLockGuard;
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

impl Locked {
    /// Whether `owner` may have more locks. A change takes one lock apart at most, and adds one.
    fn has_room(&mut self, owner: Owner) -> bool {
        let mine = self.locks.iter().filter(|l| l.owner == owner);
        mine.count() < MOST && self.locks.try_reserve(3).is_ok()
    }
}

/// Whom somebody waits for, each once.
struct Reached {
    owners: [Owner; CIRCLE_MAX],
    count: usize,
}

impl Reached {
    /// Nobody. Of the places that are not used yet it does not matter whose they are.
    fn new(any: Owner) -> Self {
        Reached {
            owners: [any; CIRCLE_MAX],
            count: 0,
        }
    }

    fn get(&self, at: usize) -> Option<&Owner> {
        self.owners[..self.count].get(at)
    }

    /// Adds `owner`, unless there is no place for one more.
    fn add(&mut self, owner: Owner) {
        if self.count < CIRCLE_MAX && !self.owners[..self.count].contains(&owner) {
            self.owners[self.count] = owner;
            self.count += 1;
        }
    }
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

/// Locks that one owner may have on one file; every look goes through those of all owners.
const MOST: usize = 4096;
/// Looks at what an owner waits for that the search for a circle makes (Linux's `MAX_DEADLK_ITERATIONS`), and owners it remembers.
const CIRCLE_MAX: usize = 10;
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

/// Takes `start..=end` out of what `owner` holds. Whether there was anything to take.
fn carve(locks: &mut Vec<Lock>, owner: Owner, start: u64, end: u64) -> bool {
    let mut rest = Vec::new();
    let mut taken = false;
    locks.retain_mut(|l| {
        if l.owner != owner || l.end < start || l.start > end {
            return true;
        }
        taken = true;
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
    taken
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
    /// its threads. A circle of many is not found: everybody who wants a lock waits for this search.
    fn closes_circle(&self, key: usize, wanted: &Lock) -> bool {
        let mut reached = Reached::new(wanted.owner);
        for holder in self.in_the_way(key, wanted) {
            reached.add(holder.owner);
        }
        let (mut at, mut looks) = (0, 0);
        while let Some(&owner) = reached.get(at) {
            for (key, lock) in self.waiting.iter().filter(|(_, l)| l.owner == owner) {
                if looks == CIRCLE_MAX {
                    return false;
                }
                looks += 1;
                for holder in self.in_the_way(*key, lock) {
                    if holder.owner == wanted.owner {
                        return true;
                    }
                    reached.add(holder.owner);
                }
            }
            at += 1;
        }
        false
    }

    /// Remembers that somebody sleeps for a lock.
    fn note(&mut self, waiter: (usize, Lock)) -> Result<()> {
        self.waiting.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        self.waiting.push(waiter);
        Ok(())
    }

    /// What is locked of the file. `ENOLCK` if `owner` has as many locks of it as it may, as a change could make more.
    fn of(&mut self, inode: &Arc<dyn Inode>, owner: Owner) -> Result<&mut Vec<Lock>> {
        let locked = self.by_inode.entry(key(inode)).or_insert_with(|| {
            LOCKED.fetch_add(1, Ordering::Relaxed);
            Locked {
                _inode: inode.clone(),
                locks: Vec::new(),
            }
        });
        if !locked.has_room(owner) || crate::memory::frames::is_scarce() {
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
            if !noted {
                if let Err(e) = table.note(waiter) {
                    return Some(Err(e));
                }
                noted = true;
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
    let locks = match table.of(inode, wanted.owner) {
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
        released = carve(locks, wanted.owner, 0, END);
    }
    let free = !locks.iter().any(|l| l.conflicts(wanted));
    if free {
        // An exclusive lock may become a shared one.
        released |= carve(locks, wanted.owner, wanted.start, wanted.end);
        add(locks, *wanted);
    }
    drop(table);
    // Who has given nothing wakes nobody: it may be on that queue itself.
    if released {
        RELEASED.wake_all();
    }
    Ok(free)
}

/// As [`unset`], on behalf of a program: `ENOLCK` if what is left might be too many pieces.
pub fn unset_part(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) -> Result<()> {
    let mut table = TABLE.lock();
    let locked = table.by_inode.get_mut(&key(inode));
    if (start, end) != (0, END) && locked.is_some_and(|l| !l.has_room(owner)) {
        return Err(Errno::ENOLCK);
    }
    release(table, key(inode), owner, start, end);
    Ok(())
}

/// Gives back `start..=end` of what `owner` holds.
pub fn unset(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) {
    if any() {
        release(TABLE.lock(), key(inode), owner, start, end);
    }
}

/// Gives back a part of a file's locks, and wakes who waits for some if there was anything to give.
fn release(mut table: SpinLockGuard<'_, Table>, key: usize, owner: Owner, start: u64, end: u64) {
    let Some(locked) = table.by_inode.get_mut(&key) else {
        return;
    };
    let released = carve(&mut locked.locks, owner, start, end);
    let gone = table.tidy(key);
    drop(table);
    drop(gone);
    if released {
        RELEASED.wake_all();
    }
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
        assert!(carve(&mut locks, Owner::Process(1), 10, 19));
        assert!(!carve(&mut locks, Owner::Process(1), 10, 19));
        assert!(!carve(&mut locks, Owner::Process(2), 0, END));
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

    fn locked(inode: &Arc<dyn Inode>, locks: impl Iterator<Item = Lock>) -> Locked {
        Locked {
            _inode: inode.clone(),
            locks: locks.collect(),
        }
    }

    #[test]
    fn a_search_for_a_circle_has_an_end() {
        let w = World::new();
        let file = w.touch("f").inode().clone();
        let byte = |pid, n: Pid| lock(pid, Kind::Exclusive, n as u64, n as u64);
        let last = CIRCLE_MAX as Pid + 1;
        // Each waits for the next.
        let held = locked(&file, (0..=last).map(|n| byte(n, n)));
        let table = Table {
            by_inode: [(0, held)].into(),
            waiting: (0..last).map(|n| (0, byte(n, n + 1))).collect(),
        };
        assert!(table.closes_circle(0, &byte(last, 2)));
        assert!(!table.closes_circle(0, &byte(last, 0)));
    }

    #[test]
    fn a_holder_of_many_locks_is_one_owner() {
        let w = World::new();
        let file = w.touch("f").inode().clone();
        let many = (0..1000).map(|n| lock(1, Kind::Shared, 2 * n, 2 * n));
        let other = lock(2, Kind::Shared, 1, 1);
        let mine = lock(3, Kind::Exclusive, 5000, 5000);
        let table = Table {
            by_inode: [(0, locked(&file, many.chain([other, mine])))].into(),
            waiting: [(0, lock(2, Kind::Exclusive, 5000, 5000))].into(),
        };
        assert!(table.closes_circle(0, &lock(3, Kind::Exclusive, 0, END)));
    }

    #[test]
    fn locks_are_counted_for_each_owner() {
        let w = World::new();
        let file = w.touch("f").inode().clone();
        let many = (0..MOST as u64).map(|n| lock(1, Kind::Shared, 2 * n, 2 * n));
        let mut full = locked(&file, many);
        assert!(!full.has_room(Owner::Process(1)));
        assert!(full.has_room(Owner::Process(2)));
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
