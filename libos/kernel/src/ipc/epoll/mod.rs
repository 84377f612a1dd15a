//! epoll(7).
//!
//! Each watched file's queues hold an [`Item`] in place of a sleeper; a wake-up puts the item on the ready list and wakes
//! one of those who wait on the epoll, and all that watch it. `epoll_wait` asks only the files on that list, so idle ones
//! cost nothing.
//!
//! Locks: a file's queue, then `ready` or the epoll's own queues (wake-up); `items`, then `ready` (control). An item's
//! `watch` is innermost. Files are asked with none of them held.

mod item;
mod nesting;
pub mod sys;

use crate::base::{Errno, Result, SpinLock};
use crate::fs::{File, FileOps, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::Ordering;
use item::{Fired, Interest, Item, Key};
use linux_raw_sys::general::epoll_event;

/// The items that a wake-up came for, or that were ready when last asked.
#[derive(Default)]
struct Ready {
    /// Has room for every item: a wake-up allocates nothing.
    list: VecDeque<Arc<Item>>,
    /// Those who are asking items that they have taken off the list.
    scans: usize,
    /// There were several at once, each of which may have missed what another had taken off.
    crowd: bool,
}

struct Epoll {
    items: SpinLock<BTreeMap<Key, Arc<Item>>>,
    ready: SpinLock<Ready>,
    /// Threads in `epoll_wait`, of which one is woken at a time.
    waiters: WaitQueue,
    /// Whoever polls the epoll itself.
    watchers: Arc<WaitQueue>,
    links: nesting::Links,
}

impl Default for Epoll {
    fn default() -> Self {
        Epoll {
            items: SpinLock::new(BTreeMap::new()),
            ready: SpinLock::new(Ready::default()),
            waiters: WaitQueue::new(),
            watchers: Arc::new(WaitQueue::new()),
            links: nesting::Links::default(),
        }
    }
}

impl Epoll {
    /// Puts `item` on the ready list unless it is there. Whoever watches the epoll hears of it in any case: that may be
    /// an edge for them.
    fn mark_ready(&self, item: Arc<Item>) {
        if !item.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().list.push_back(item);
            self.waiters.wake_one();
        }
        // Under the lock of the item's queue, which is another epoll's when they are nested, but never in a loop.
        self.watchers.wake_all_nested();
    }

    /// Begins to take items off the ready list: so many are to be asked.
    fn begin_scan(&self) -> usize {
        let mut ready = self.ready.lock();
        ready.scans += 1;
        ready.crowd |= ready.scans > 1;
        ready.list.len()
    }

    fn next_item(&self) -> Option<Arc<Item>> {
        let item = self.ready.lock().list.pop_front()?;
        // From here on a wake-up queues it again; asked after that, the file cannot become ready unnoticed.
        item.queued.store(false, Ordering::SeqCst);
        Some(item)
    }

    /// Puts an item back that has, or may have, something to report.
    fn put_back(&self, item: Arc<Item>, put: impl FnOnce(&mut VecDeque<Arc<Item>>, Arc<Item>)) {
        if !item.queued.swap(true, Ordering::AcqRel) {
            put(&mut self.ready.lock().list, item);
        }
    }

    /// Returns whether there is something on the list.
    fn end_scan(&self) -> bool {
        let (left, crowd) = {
            let mut ready = self.ready.lock();
            ready.scans -= 1;
            let crowd = ready.crowd;
            ready.crowd &= ready.scans > 0;
            (!ready.list.is_empty(), crowd)
        };
        if left && crowd {
            // Somebody may have found the list empty, and sleep by now, because of what we had taken off.
            self.waiters.wake_all();
            self.watchers.wake_all_nested();
        }
        left
    }

    /// Gives `sink` up to `max` events; returns how many, or its error if it took none. What is level-triggered goes back
    /// to the end of the list: the next call asks it again.
    fn collect(
        &self,
        max: usize,
        mut sink: impl FnMut(epoll_event) -> Result<()>,
    ) -> Result<usize> {
        let mut left = self.begin_scan();
        let mut outcome = Ok(0);
        let mut done = 0;
        while done < max && left > 0 {
            left -= 1;
            let Some(item) = self.next_item() else { break };
            match item.fire(&mut sink) {
                Fired::No => continue,
                Fired::Once => done += 1,
                Fired::Level => {
                    done += 1;
                    self.put_back(item, VecDeque::push_back);
                }
                Fired::Refused(e) => {
                    self.put_back(item, VecDeque::push_front);
                    outcome = Err(e);
                    break;
                }
                Fired::Closed => _ = self.forget(item.key),
            }
        }
        // The next who waits may have what is left, and what this caller was woken for and had no place for.
        if self.end_scan() && (done > 0 || outcome.is_err()) {
            self.waiters.wake_one();
        }
        if done > 0 { Ok(done) } else { outcome }
    }

    /// Whether an item on the ready list has something to report. Those that have not are taken off.
    fn has_events(&self) -> bool {
        let mut left = self.begin_scan();
        let mut found = false;
        while left > 0 && !found {
            left -= 1;
            let Some(item) = self.next_item() else { break };
            found = item.has_events();
            if found {
                self.put_back(item, VecDeque::push_front);
            }
        }
        self.end_scan();
        found
    }

    /// Stops watching; returns whether it did watch.
    fn forget(&self, key: Key) -> bool {
        let item = self.items.lock().remove(&key);
        let watched = item.is_some();
        if let Some(item) = item {
            item.let_go();
        }
        watched
    }

    fn add(self: &Arc<Self>, fd: i32, file: &Arc<File>, interest: Interest) -> Result<()> {
        let key = (fd, Arc::as_ptr(file) as usize);
        let inner = file.ops_as::<EpollFile>().map(|inner| &inner.0);
        let item = Item::new(self, key, file, inner, interest);
        self.insert(&item)?;
        self.forget_closed(fd);
        let watched = match inner {
            Some(inner) => nesting::link(self, inner, &item),
            None => Ok(()),
        }
        .and_then(|()| item.join(file));
        if watched.is_err() {
            self.forget(key);
        }
        if item.is_gone() {
            // Taken out again, perhaps by one who found no table yet.
            item.let_go();
        } else if item.has_events() {
            self.mark_ready(item);
        }
        watched
    }

    fn insert(&self, item: &Arc<Item>) -> Result<()> {
        let mut items = self.items.lock();
        if items.contains_key(&item.key) {
            return Err(Errno::EEXIST);
        }
        let mut ready = self.ready.lock();
        let count = items.len() + 1;
        if ready.list.len() > count {
            // Most of them are not watched any more.
            ready.list.retain(|item| !item.is_gone());
        }
        // Twice, for those that come on top of as many that are gone.
        let missing = (2 * count + 1).saturating_sub(ready.list.len());
        ready.list.try_reserve(missing).map_err(|_| Errno::ENOMEM)?;
        drop(ready);
        items.insert(item.key, item.clone());
        Ok(())
    }

    /// Forgets files that were closed since they were watched under the number `fd`.
    fn forget_closed(&self, fd: i32) {
        let mut from = 0;
        loop {
            let closed = {
                let items = self.items.lock();
                let mut same = items.range((fd, from)..=(fd, usize::MAX));
                same.find(|(_, item)| item.is_closed()).map(|(key, _)| *key)
            };
            let Some(key) = closed else { return };
            self.forget(key);
            from = key.1;
        }
    }

    fn modify(&self, key: Key, interest: Interest) -> Result<()> {
        let item = self.items.lock().get(&key).cloned().ok_or(Errno::ENOENT)?;
        item.modify(interest)?;
        if item.has_events() {
            self.mark_ready(item);
        }
        Ok(())
    }
}

/// The open file. The epoll itself outlives it only while a wake-up is under way, and that happens with a queue of a watched
/// file locked: so it is the file that leaves the queues.
struct EpollFile(Arc<Epoll>);

impl FileOps for EpollFile {
    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.0.watchers);
        }
        if self.0.has_events() {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn release(&self, _file: &File) {
        let items = core::mem::take(&mut *self.0.items.lock());
        for item in items.values() {
            item.let_go();
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:[eventpoll]")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
