//! An inotify instance: what it watches, and the events it has yet to hand out.

use super::file::{File, FileOps};
use super::inode::Inode;
use super::notify::{self, Event};
use super::types::PollEvents;
use crate::base::{Errno, Result, SpinLock};
use crate::memory::frames;
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::{Buffer, UserPtr};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// Events kept; what comes then is lost, and one event says so (`max_queued_events`).
pub const QUEUE_MAX: usize = 16384;
/// Instances that a user may have (`max_user_instances`).
pub const INSTANCES_MAX: usize = 128;
/// Watches that a user may have (`max_user_watches`).
pub const WATCHES_MAX: usize = 8192;
/// Size of `struct inotify_event` without its name, and what names are padded to.
const HEADER: usize = 16;
/// The largest event.
const EVENT_MAX: usize = HEADER + (super::types::NAME_MAX + 1).next_multiple_of(HEADER);

#[derive(PartialEq, Eq)]
struct Record {
    wd: i32,
    event: Event,
    cookie: u32,
    name: Box<[u8]>,
}

impl Record {
    /// About a watch itself.
    fn about(wd: i32, event: Event) -> Record {
        Record {
            wd,
            event,
            cookie: 0,
            name: Box::default(),
        }
    }

    fn name_len(&self) -> usize {
        if self.name.is_empty() {
            0
        } else {
            (self.name.len() + 1).next_multiple_of(HEADER)
        }
    }

    fn size(&self) -> usize {
        HEADER + self.name_len()
    }

    fn put(&self, buf: &mut Buffer<'_>) -> Result<usize> {
        let mut bytes = [0; EVENT_MAX];
        bytes[..4].copy_from_slice(&self.wd.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.event.bits().to_le_bytes());
        bytes[8..12].copy_from_slice(&self.cookie.to_le_bytes());
        bytes[12..HEADER].copy_from_slice(&(self.name_len() as u32).to_le_bytes());
        bytes[HEADER..HEADER + self.name.len()].copy_from_slice(&self.name);
        buf.put(&bytes[..self.size()])
    }
}

#[derive(Default)]
struct State {
    /// What is watched, by the watch's number. Who ends a watch takes it out of here.
    watches: BTreeMap<i32, Arc<dyn Inode>>,
    last_wd: i32,
    queue: VecDeque<Record>,
}

impl State {
    fn enqueue(&mut self, record: Record) {
        // The same thing twice in a row is said once.
        if self.queue.back() == Some(&record) {
            return;
        }
        // Events wait for a reader who may never come: they do not take the last memory.
        let room = self.queue.try_reserve(2).is_ok() && !frames::is_scarce();
        if self.queue.len() < QUEUE_MAX && room {
            self.queue.push_back(record);
            return;
        }
        let lost = Record::about(-1, Event::OVERFLOW);
        if self.queue.back() != Some(&lost) && self.queue.len() < self.queue.capacity() {
            self.queue.push_back(lost);
        }
    }

    /// Ends a watch; its last event says so.
    fn end(&mut self, wd: i32) -> Option<Arc<dyn Inode>> {
        let inode = self.watches.remove(&wd)?;
        self.enqueue(Record::about(wd, Event::IGNORED));
        Some(inode)
    }
}

pub struct Inotify {
    /// Taken inside the table of watches, or alone.
    state: SpinLock<State>,
    readable: Arc<WaitQueue>,
    user: u32,
}

/// What becomes of a watch that the file has already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    Replace,
    /// `IN_MASK_ADD`
    Add,
    /// `IN_MASK_CREATE`
    Refuse,
}

impl Inotify {
    /// `EMFILE` if `user` has as many as it may.
    pub fn new(user: u32) -> Result<Arc<Inotify>> {
        usage::take(user, usage::Instances, INSTANCES_MAX, Errno::EMFILE)?;
        Ok(Arc::new(Inotify {
            state: SpinLock::default(),
            readable: Arc::new(WaitQueue::new()),
            user,
        }))
    }

    /// A number for a watch of `inode` that is about to begin. `ENOSPC` if the user has as many watches as it may.
    pub fn begin(&self, inode: &Arc<dyn Inode>) -> Result<i32> {
        usage::take(self.user, usage::Watches, WATCHES_MAX, Errno::ENOSPC)?;
        let mut state = self.state.lock();
        loop {
            state.last_wd = state.last_wd.checked_add(1).unwrap_or(1);
            let wd = state.last_wd;
            if let Entry::Vacant(place) = state.watches.entry(wd) {
                place.insert(inode.clone());
                return Ok(wd);
            }
        }
    }

    /// Whether there is such a watch still.
    pub fn has(&self, wd: i32) -> bool {
        self.state.lock().watches.contains_key(&wd)
    }

    /// Stops a watch.
    pub fn remove(&self, wd: i32) -> Result<()> {
        let inode = self.state.lock().end(wd).ok_or(Errno::EINVAL)?;
        self.ended(&inode, wd);
        self.readable.wake_all();
        Ok(())
    }

    /// A watch is gone from `state`; whoever took it out calls this.
    fn ended(&self, inode: &Arc<dyn Inode>, wd: i32) {
        notify::unwatch(inode, self, wd);
        usage::give_back(self.user, usage::Watches);
    }

    /// Something happened that watch `wd` asked for. With [`Event::ONESHOT`] the watch ends with it. Of a watch that has ended
    /// meanwhile nothing is said any more.
    pub fn push(&self, wd: i32, event: Event, cookie: u32, name: &[u8]) {
        let record = Record {
            wd,
            event: event - Event::ONESHOT,
            cookie,
            name: name.into(),
        };
        let ended = {
            let mut state = self.state.lock();
            if !state.watches.contains_key(&wd) {
                return;
            }
            state.enqueue(record);
            let once = event.contains(Event::ONESHOT);
            once.then(|| state.end(wd)).flatten()
        };
        if let Some(inode) = ended {
            self.ended(&inode, wd);
        }
        self.readable.wake_all();
    }

    /// The next event; `None` if there is none, `EINVAL` if it does not fit into `room`.
    fn next(&self, room: usize) -> Option<Result<Record>> {
        let mut state = self.state.lock();
        if state.queue.front()?.size() > room {
            return Some(Err(Errno::EINVAL));
        }
        state.queue.pop_front().map(Ok)
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        usage::give_back(self.user, usage::Instances);
    }
}

/// What users have of instances and watches.
mod usage {
    use super::{Errno, Result, SpinLock, Vec};
    pub use What::{Instances, Watches};

    #[derive(Clone, Copy)]
    pub enum What {
        Instances,
        Watches,
    }

    /// User, and how many of each. Leaf lock.
    static USED: SpinLock<Vec<(u32, [usize; 2])>> = SpinLock::new(Vec::new());

    pub fn take(user: u32, what: What, most: usize, too_many: Errno) -> Result<()> {
        let mut used = USED.lock();
        let found = used.iter().position(|u| u.0 == user);
        let at = found.unwrap_or(used.len());
        if found.is_none() {
            used.push((user, [0; 2]));
        }
        let count = &mut used[at].1[what as usize];
        if *count >= most {
            return Err(too_many);
        }
        *count += 1;
        Ok(())
    }

    pub fn give_back(user: u32, what: What) {
        let mut used = USED.lock();
        if let Some(mine) = used.iter_mut().find(|u| u.0 == user) {
            mine.1[what as usize] -= 1;
        }
        used.retain(|u| u.1 != [0; 2]);
    }
}

const FIONREAD: u32 = 0x541b;

impl FileOps for Inotify {
    /// As many whole events as fit, one after the other: none is copied before it is handed out.
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let mut done = 0;
        loop {
            let room = buf.len();
            let put = match self.next(room) {
                None if done == 0 && file.nonblocking() => Err(Errno::EAGAIN),
                None if done == 0 => self.readable.wait(None, || self.next(room))?,
                Some(next) => next,
                None => return Ok(done),
            }
            .and_then(|record| record.put(buf));
            match put {
                Ok(n) => done += n,
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
        }
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.readable);
        }
        if self.state.lock().queue.is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::IN | PollEvents::RDNORM
        }
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        if cmd != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes: usize = self.state.lock().queue.iter().map(Record::size).sum();
        UserPtr::<i32>::new(arg).write(bytes as i32)?;
        Ok(0)
    }

    fn release(&self, _file: &File) {
        loop {
            let watch = self.state.lock().watches.pop_first();
            match watch {
                Some((wd, inode)) => self.ended(&inode, wd),
                None => return,
            }
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:inotify")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::namespace::{self, Remove};
    use crate::fs::path::Path;
    use crate::fs::tests::World;

    type Told = (i32, Event, Vec<u8>);

    fn events(instance: &Inotify) -> Vec<Told> {
        let records = core::iter::from_fn(|| instance.next(EVENT_MAX));
        records
            .map(|r| r.map(|r| (r.wd, r.event, r.name.to_vec())).unwrap())
            .collect()
    }

    fn told(wd: i32, event: Event, name: &[u8]) -> Told {
        (wd, event, name.to_vec())
    }

    fn watch(instance: &Arc<Inotify>, path: &Path, mask: Event) -> i32 {
        notify::watch(path.inode(), instance, mask, Again::Replace).unwrap()
    }

    #[test]
    fn a_directory_tells_what_happens_in_it() {
        let w = World::new();
        let dir = w.mkdir("d");
        let instance = Inotify::new(1).unwrap();
        let wd = watch(&instance, &dir, Event::WATCHABLE);
        w.touch("d/f");
        w.rename("d/f", "d/g", namespace::Rename::Replace).unwrap();
        w.remove("d/g", Remove::File).unwrap();
        w.remove("d", Remove::Directory).unwrap();
        drop(dir);
        assert_eq!(
            events(&instance),
            [
                told(wd, Event::CREATE, b"f"),
                told(wd, Event::MOVED_FROM, b"f"),
                told(wd, Event::MOVED_TO, b"g"),
                told(wd, Event::DELETE, b"g"),
                told(wd, Event::DELETE_SELF, b""),
                told(wd, Event::IGNORED, b""),
            ]
        );
        assert_eq!(instance.remove(wd), Err(Errno::EINVAL));
    }

    #[test]
    fn events_that_do_not_fit_are_kept() {
        let w = World::new();
        let instance = Inotify::new(2).unwrap();
        let wd = watch(&instance, &w.cwd, Event::WATCHABLE);
        instance.push(wd, Event::CREATE, 0, b"name");
        assert!(matches!(instance.next(31), Some(Err(Errno::EINVAL))));
        let mut room = [0xee; 40];
        let record = instance.next(32).unwrap().unwrap();
        assert_eq!(record.put(&mut Buffer::kernel_mut(&mut room)), Ok(32));
        assert_eq!(&room[12..22], b"\x10\0\0\0name\0\0");
        assert!(instance.next(EVENT_MAX).is_none());
    }

    #[test]
    fn nothing_is_said_of_a_watch_that_has_ended() {
        let w = World::new();
        let instance = Inotify::new(3).unwrap();
        let wd = watch(&instance, &w.cwd, Event::ATTRIB | Event::ONESHOT);
        // Two cores had found the watch before it ended.
        for _ in 0..2 {
            instance.push(wd, Event::ATTRIB | Event::ONESHOT, 0, b"");
        }
        let last = [told(wd, Event::ATTRIB, b""), told(wd, Event::IGNORED, b"")];
        assert_eq!(events(&instance), last);
        assert_ne!(watch(&instance, &w.cwd, Event::ATTRIB), wd);
    }

    #[test]
    fn a_watch_that_is_ending_is_not_taken_for_a_new_one() {
        let w = World::new();
        let instance = Inotify::new(5).unwrap();
        let inode = w.cwd.inode();
        let old = watch(&instance, &w.cwd, Event::CREATE);
        // Another core is between the two steps of ending it.
        instance.state.lock().end(old).unwrap();
        let new = watch(&instance, &w.cwd, Event::CREATE);
        instance.ended(inode, old);
        assert_ne!(new, old);
        w.touch("f");
        let all = [
            told(old, Event::IGNORED, b""),
            told(new, Event::CREATE, b"f"),
        ];
        assert_eq!(events(&instance), all);
    }

    #[test]
    fn a_queue_that_is_full_says_so_once() {
        let w = World::new();
        let instance = Inotify::new(4).unwrap();
        let wd = watch(&instance, &w.cwd, Event::WATCHABLE);
        for n in 0..QUEUE_MAX as u32 + 10 {
            instance.push(wd, Event::CREATE, n, b"f");
        }
        let all = events(&instance);
        assert_eq!(all.len(), QUEUE_MAX + 1);
        assert_eq!(all[QUEUE_MAX], told(-1, Event::OVERFLOW, b""));
    }
}
