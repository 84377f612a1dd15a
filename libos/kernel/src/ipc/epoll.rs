//! epoll(7).
//!
//! Each watched file's queues hold an [`Item`] in place of a sleeper; a wake-up puts the item on the ready list and wakes
//! whoever waits on the epoll. `epoll_wait` asks only the files on that list, so idle ones cost nothing.
//!
//! Locks: a file's queue, then `ready`, then `waiters` (wake-up); `items`, then a file's queue (control). Files are asked
//! with neither `ready` nor `items` held.

use super::caller;
use super::poll::{Patience, wait_until, with_mask};
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, PollEvents};
use crate::process::held::hold;
use crate::process::signal::SigSet;
use crate::process::wait::{PollTable, WaitQueue, Wake};
use crate::user::UserPtr;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general::{
    __kernel_timespec, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE,
    EPOLLONESHOT, EPOLLWAKEUP, epoll_event,
};

/// How deep epolls may watch each other (Linux's `EP_MAX_NESTS`).
const MAX_DEPTH: usize = 5;
/// Bits of a request that are not events.
const MODES: u32 = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// What the program asked for.
#[derive(Clone, Copy)]
struct Interest {
    events: u32,
    data: u64,
    /// A one-shot that has fired; `EPOLL_CTL_MOD` arms it again.
    spent: bool,
}

/// One watched file.
struct Item {
    this: Weak<Item>,
    epoll: Weak<Epoll>,
    file: Weak<File>,
    key: Key,
    interest: SpinLock<Interest>,
    /// It is on the ready list.
    queued: AtomicBool,
    /// Where it waits. Holds the item in turn, so it has to be taken out to let go of both.
    table: SpinLock<Option<PollTable>>,
}

/// Items are known by descriptor and open file: the same file may be watched under two numbers.
type Key = (i32, usize);

struct Epoll {
    items: SpinLock<BTreeMap<Key, Arc<Item>>>,
    ready: SpinLock<VecDeque<Arc<Item>>>,
    waiters: Arc<WaitQueue>,
}

/// Held while an epoll is put under another, so that no loop is ever closed.
static NESTING: SpinLock<()> = SpinLock::new(());

impl Wake for Item {
    fn wake(&self) {
        if let (Some(epoll), Some(item)) = (self.epoll.upgrade(), self.this.upgrade()) {
            epoll.mark_ready(item);
        }
    }
}

impl Item {
    /// What of the things asked for is true now.
    fn events(&self) -> PollEvents {
        let Some(file) = self.file.upgrade() else {
            return PollEvents::empty();
        };
        let interest = *self.interest.lock();
        if interest.spent {
            return PollEvents::empty();
        }
        file.poll(None) & (PollEvents::from_bits_retain(interest.events & !MODES) | ALWAYS)
    }

    /// As [`events`](Self::events), and a one-shot is spent by it. Whether it is level-triggered comes with it.
    fn fire(&self) -> Option<(epoll_event, bool)> {
        let file = self.file.upgrade()?;
        let interest = *self.interest.lock();
        if interest.spent {
            return None;
        }
        let wanted = PollEvents::from_bits_retain(interest.events & !MODES) | ALWAYS;
        let events = file.poll(None) & wanted;
        if events.is_empty() {
            return None;
        }
        if interest.events & EPOLLONESHOT != 0
            && core::mem::replace(&mut self.interest.lock().spent, true)
        {
            return None;
        }
        let event = epoll_event {
            events: events.bits(),
            data: interest.data,
        };
        Some((event, interest.events & (EPOLLET | EPOLLONESHOT) == 0))
    }
}

impl Default for Epoll {
    fn default() -> Self {
        Epoll {
            items: SpinLock::new(BTreeMap::new()),
            ready: SpinLock::new(VecDeque::new()),
            waiters: Arc::new(WaitQueue::new()),
        }
    }
}

impl Epoll {
    /// Puts `item` on the ready list unless it is there.
    fn mark_ready(&self, item: Arc<Item>) {
        if !item.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().push_back(item);
            // Under the lock of the item's queue, which is another epoll's when they are nested; `NESTING` forbids loops.
            self.waiters.wake_all_nested();
        }
    }

    /// Takes up to `max` events. What is level-triggered goes back to the end of the list: the next call asks it again.
    fn collect(&self, max: usize, out: &mut Vec<epoll_event>) {
        let mut turns = None;
        while out.len() < max {
            let item = {
                let mut ready = self.ready.lock();
                let left = turns.get_or_insert(ready.len());
                if *left == 0 {
                    return;
                }
                *left -= 1;
                ready.pop_front()
            };
            let Some(item) = item else { return };
            // From here on a wake-up queues it again; asked after that, the file cannot become ready unnoticed.
            item.queued.store(false, Ordering::SeqCst);
            match item.fire() {
                Some((event, level_triggered)) => {
                    out.push(event);
                    if level_triggered && !item.queued.swap(true, Ordering::AcqRel) {
                        self.ready.lock().push_back(item);
                    }
                }
                None if item.file.strong_count() == 0 => drop(self.forget(item.key)),
                None => {}
            }
        }
    }

    /// Whether an item on the ready list has something to report. Those that have not are taken off.
    fn has_events(&self) -> bool {
        let mut turns = self.ready.lock().len();
        while turns > 0 {
            turns -= 1;
            let Some(item) = self.ready.lock().pop_front() else {
                return false;
            };
            item.queued.store(false, Ordering::SeqCst);
            if !item.events().is_empty() {
                if !item.queued.swap(true, Ordering::AcqRel) {
                    self.ready.lock().push_front(item);
                }
                return true;
            }
        }
        false
    }

    /// Stops watching; returns whether it did watch.
    fn forget(&self, key: Key) -> bool {
        let item = self.items.lock().remove(&key);
        let Some(item) = item else { return false };
        let table = item.table.lock().take();
        drop(table);
        item.interest.lock().spent = true;
        true
    }

    fn add(&self, this: &Arc<Epoll>, fd: i32, file: &Arc<File>, interest: Interest) -> Result<()> {
        // `_nesting` is let go of last: no loop can be closed between the check and the insertion.
        let _nesting = match file.ops_as::<EpollFile>() {
            Some(inner) => {
                let guard = NESTING.lock();
                if inner.0.depth_avoiding(this, &mut BTreeMap::new(), 1)? >= MAX_DEPTH {
                    return Err(Errno::ELOOP);
                }
                Some(guard)
            }
            None => None,
        };
        let key = (fd, Arc::as_ptr(file) as usize);
        let item = Arc::new_cyclic(|item| Item {
            this: item.clone(),
            epoll: Arc::downgrade(this),
            file: Arc::downgrade(file),
            key,
            interest: SpinLock::new(interest),
            queued: AtomicBool::new(false),
            table: SpinLock::new(None),
        });
        let stale: Vec<Key> = {
            let mut items = self.items.lock();
            if items.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            items.insert(key, item.clone());
            // Files that were closed since under the same number.
            let same = items.range((fd, 0)..=(fd, usize::MAX));
            same.filter(|(_, i)| i.file.strong_count() == 0)
                .map(|(k, _)| *k)
                .collect()
        };
        stale.into_iter().for_each(|key| {
            self.forget(key);
        });
        let mut table = PollTable::new(Arc::as_ptr(&item) as usize, item.clone());
        file.poll(Some(&mut table));
        *item.table.lock() = Some(table);
        let watched = self
            .items
            .lock()
            .get(&key)
            .is_some_and(|i| Arc::ptr_eq(i, &item));
        if !watched {
            // Taken out again meanwhile, by one who found no table yet.
            let table = item.table.lock().take();
            drop(table);
            return Ok(());
        }
        if !item.events().is_empty() {
            self.mark_ready(item);
        }
        Ok(())
    }

    fn modify(&self, key: Key, interest: Interest) -> Result<()> {
        let item = self.items.lock().get(&key).cloned().ok_or(Errno::ENOENT)?;
        *item.interest.lock() = interest;
        if !item.events().is_empty() {
            self.mark_ready(item);
        }
        Ok(())
    }

    /// How many levels of epolls there are from this one down; `ELOOP` if `root` is among them or they are too many to tell.
    /// `known` has the answer for those that were asked before: one may be reached in many ways.
    fn depth_avoiding(
        &self,
        root: &Arc<Epoll>,
        known: &mut BTreeMap<usize, usize>,
        level: usize,
    ) -> Result<usize> {
        let key = &raw const *self as usize;
        if key == Arc::as_ptr(root) as usize || level > MAX_DEPTH {
            return Err(Errno::ELOOP);
        }
        if let Some(&depth) = known.get(&key) {
            return Ok(depth);
        }
        let files: Vec<Arc<File>> = self
            .items
            .lock()
            .values()
            .filter_map(|i| i.file.upgrade())
            .collect();
        let mut deepest = 0;
        for file in files {
            if let Some(inner) = file.ops_as::<EpollFile>() {
                deepest = deepest.max(inner.0.depth_avoiding(root, known, level + 1)?);
            }
        }
        known.insert(key, deepest + 1);
        Ok(deepest + 1)
    }
}

/// The open file. The epoll itself outlives it only while a wake-up is under way, and that happens with a queue of a watched
/// file locked: so it is the file that leaves the queues.
struct EpollFile(Arc<Epoll>);

impl Drop for EpollFile {
    fn drop(&mut self) {
        let items = core::mem::take(&mut *self.0.items.lock());
        for item in items.values() {
            let table = item.table.lock().take();
            drop(table);
        }
    }
}

impl FileOps for EpollFile {
    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.0.waiters);
        }
        if self.0.has_events() {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:[eventpoll]")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// epoll_create1(2).
pub fn sys_epoll_create1(flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits_retain(flags);
    if !OpenFlags::CLOEXEC.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let file = File::anonymous(
        Arc::new(EpollFile(Arc::new(Epoll::default()))),
        OpenFlags::RDWR,
    );
    Ok(caller::install(file, flags.contains(OpenFlags::CLOEXEC))? as usize)
}

/// epoll_ctl(2).
pub fn sys_epoll_ctl(epfd: i32, op: i32, fd: i32, event: UserPtr<epoll_event>) -> Result<usize> {
    let interest = match op as u32 {
        EPOLL_CTL_DEL => Interest {
            events: 0,
            data: 0,
            spent: false,
        },
        _ => {
            let event = event.read()?;
            Interest {
                events: event.events,
                data: event.data,
                spent: false,
            }
        }
    };
    let epoll_file = caller::file(epfd)?;
    let file = caller::file(fd)?;
    // Files that are always ready cannot be watched.
    if file.seekable() {
        return Err(Errno::EPERM);
    }
    let epoll = &epoll_file.ops_as::<EpollFile>().ok_or(Errno::EINVAL)?.0;
    if Arc::ptr_eq(&file, &epoll_file) {
        return Err(Errno::EINVAL);
    }
    let key = (fd, Arc::as_ptr(&file) as usize);
    match op as u32 {
        EPOLL_CTL_ADD => epoll.add(epoll, fd, &file, interest)?,
        // EPOLLEXCLUSIVE is for ADD only.
        EPOLL_CTL_MOD if interest.events & EPOLLEXCLUSIVE != 0 => return Err(Errno::EINVAL),
        EPOLL_CTL_MOD => epoll.modify(key, interest)?,
        EPOLL_CTL_DEL => {
            if !epoll.forget(key) {
                return Err(Errno::ENOENT);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    patience: Patience,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    if max <= 0 {
        return Err(Errno::EINVAL);
    }
    let file = hold(epfd)?;
    let epoll = &file.ops_as::<EpollFile>().ok_or(Errno::EINVAL)?.0;
    // Room for the few that there are as a rule, so that the list is not grown.
    let mut found = Vec::with_capacity(4);
    with_mask(mask, mask_size, || {
        wait_until(patience, |table| {
            if let Some(table) = table {
                table.register(&epoll.waiters);
            }
            // A program's buffer may be huge; more than this at once helps nobody.
            epoll.collect((max as usize).min(1024), &mut found);
            (!found.is_empty()).then_some(found.len())
        })
    })?;
    events.write_slice(&found)?;
    Ok(found.len())
}

/// epoll_pwait(2).
pub fn sys_epoll_pwait(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout_ms: i32,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    wait(
        epfd,
        events,
        max,
        Patience::for_ms(timeout_ms),
        mask,
        mask_size,
    )
}

/// epoll_pwait2(2).
pub fn sys_epoll_pwait2(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout: UserPtr<__kernel_timespec>,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    wait(epfd, events, max, Patience::read(timeout)?, mask, mask_size)
}

#[cfg(test)]
#[path = "epoll_tests.rs"]
mod tests;
