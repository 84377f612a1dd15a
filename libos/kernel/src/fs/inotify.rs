//! An inotify instance: what it watches, and the events it has yet to hand out.

use super::file::{File, FileOps};
use super::inode::Inode;
use super::notify::{self, Event};
use super::types::PollEvents;
use crate::base::{Errno, Result, SpinLock};
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::{Buffer, UserPtr};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

/// Events kept; what comes then is lost, and one event says so (`max_queued_events`).
const QUEUE_MAX: usize = 16384;
/// Size of `struct inotify_event` without its name, and what names are padded to.
const HEADER: usize = 16;

#[derive(PartialEq, Eq)]
struct Record {
    wd: i32,
    event: Event,
    cookie: u32,
    name: Vec<u8>,
}

impl Record {
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

    fn encode(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.size();
        out.extend_from_slice(&self.wd.to_le_bytes());
        out.extend_from_slice(&self.event.bits().to_le_bytes());
        out.extend_from_slice(&self.cookie.to_le_bytes());
        out.extend_from_slice(&(self.name_len() as u32).to_le_bytes());
        out.extend_from_slice(&self.name);
        out.resize(end, 0);
    }
}

struct Watched {
    inode: Arc<dyn Inode>,
    mask: Event,
    once: bool,
}

struct State {
    watches: BTreeMap<i32, Watched>,
    next_wd: i32,
    queue: VecDeque<Record>,
}

pub struct Inotify {
    this: Weak<Inotify>,
    /// Taken inside the table of watches, or alone.
    state: SpinLock<State>,
    readable: Arc<WaitQueue>,
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
    pub fn new() -> Arc<Inotify> {
        let state = State {
            watches: BTreeMap::new(),
            next_wd: 1,
            queue: VecDeque::new(),
        };
        Arc::new_cyclic(|this| Inotify {
            this: this.clone(),
            state: SpinLock::new(state),
            readable: Arc::new(WaitQueue::new()),
        })
    }

    /// Watches `inode`; returns the watch's number.
    pub fn add(
        &self,
        inode: &Arc<dyn Inode>,
        mask: Event,
        once: bool,
        again: Again,
    ) -> Result<i32> {
        let (wd, mask) = {
            let mut state = self.state.lock();
            let known = state
                .watches
                .iter()
                .find(|(_, w)| Arc::ptr_eq(&w.inode, inode));
            let (wd, mask) = match (known, again) {
                (Some(_), Again::Refuse) => return Err(Errno::EEXIST),
                (Some((&wd, old)), Again::Add) => (wd, old.mask | mask),
                (Some((&wd, _)), _) => (wd, mask),
                (None, _) => (state.next_wd, mask),
            };
            state.next_wd = state.next_wd.max(wd + 1);
            state.watches.insert(
                wd,
                Watched {
                    inode: inode.clone(),
                    mask,
                    once,
                },
            );
            (wd, mask)
        };
        let this = self.this.upgrade().ok_or(Errno::EINVAL)?;
        notify::watch(inode, &this, wd, mask);
        Ok(wd)
    }

    /// Stops a watch; its last event says so.
    pub fn remove(&self, wd: i32) -> Result<()> {
        let watched = self.state.lock().watches.remove(&wd).ok_or(Errno::EINVAL)?;
        notify::unwatch(&watched.inode, self, wd);
        self.enqueue(Record {
            wd,
            event: Event::IGNORED,
            cookie: 0,
            name: Vec::new(),
        });
        Ok(())
    }

    /// The watched file is gone; the table of watches knows already.
    pub fn forget(&self, wd: i32) {
        let gone = self.state.lock().watches.remove(&wd);
        drop(gone);
        self.enqueue(Record {
            wd,
            event: Event::IGNORED,
            cookie: 0,
            name: Vec::new(),
        });
    }

    /// Something happened that watch `wd` asked for.
    pub fn push(&self, wd: i32, event: Event, cookie: u32, name: &[u8]) {
        self.enqueue(Record {
            wd,
            event,
            cookie,
            name: name.to_vec(),
        });
        let once = self.state.lock().watches.get(&wd).is_some_and(|w| w.once);
        if once && self.remove(wd).is_err() {
            // Another event on another core was first; the watch is gone either way.
        }
    }

    fn enqueue(&self, record: Record) {
        {
            let mut state = self.state.lock();
            // The same thing twice in a row is said once.
            if state.queue.back() == Some(&record) {
                return;
            }
            if state.queue.len() >= QUEUE_MAX {
                let lost = Record {
                    wd: -1,
                    event: Event::OVERFLOW,
                    cookie: 0,
                    name: Vec::new(),
                };
                if state.queue.back() != Some(&lost) {
                    state.queue.push_back(lost);
                }
                return;
            }
            state.queue.push_back(record);
        }
        self.readable.wake_all();
    }

    /// As many whole events as fit into `room`; `None` if there is none, `EINVAL` if the first does not fit.
    fn take(&self, room: usize) -> Option<Result<Vec<u8>>> {
        let mut state = self.state.lock();
        let mut out = Vec::new();
        while let Some(record) = state.queue.front() {
            if out.len() + record.size() > room {
                break;
            }
            record.encode(&mut out);
            state.queue.pop_front();
        }
        match (out.is_empty(), state.queue.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Err(Errno::EINVAL)),
            _ => Some(Ok(out)),
        }
    }
}

const FIONREAD: u32 = 0x541b;

impl FileOps for Inotify {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let room = buf.len();
        let bytes = match self.take(room) {
            Some(bytes) => bytes?,
            None if file.nonblocking() => return Err(Errno::EAGAIN),
            None => self.readable.wait(None, || self.take(room))??,
        };
        buf.put(&bytes)
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
        let watches = core::mem::take(&mut self.state.lock().watches);
        for (wd, watched) in watches {
            notify::unwatch(&watched.inode, self, wd);
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
    use crate::fs::tests::World;

    fn events(instance: &Inotify) -> Vec<(i32, u32, Vec<u8>)> {
        let Some(Ok(bytes)) = instance.take(4096) else {
            return Vec::new();
        };
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut at, mut all) = (0, Vec::new());
        while at < bytes.len() {
            let len = word(at + 12) as usize;
            let name = &bytes[at + HEADER..at + HEADER + len];
            let name = name.split(|&b| b == 0).next().unwrap_or(&[]).to_vec();
            all.push((word(at) as i32, word(at + 4), name));
            at += HEADER + len;
        }
        all
    }

    #[test]
    fn a_directory_tells_what_happens_in_it() {
        let w = World::new();
        let dir = w.mkdir("d");
        let instance = Inotify::new();
        let wd = instance
            .add(dir.inode(), Event::WATCHABLE, false, Again::Replace)
            .unwrap();
        w.touch("d/f");
        w.rename("d/f", "d/g", namespace::Rename::Replace).unwrap();
        w.remove("d/g", Remove::File).unwrap();
        w.remove("d", Remove::Directory).unwrap();
        let name = |n: &[u8]| n.to_vec();
        assert_eq!(
            events(&instance),
            [
                (wd, Event::CREATE.bits(), name(b"f")),
                (wd, Event::MOVED_FROM.bits(), name(b"f")),
                (wd, Event::MOVED_TO.bits(), name(b"g")),
                (wd, Event::DELETE.bits(), name(b"g")),
                (wd, Event::DELETE_SELF.bits(), name(b"")),
                (wd, Event::IGNORED.bits(), name(b"")),
            ]
        );
        assert_eq!(instance.remove(wd), Err(Errno::EINVAL));
    }

    #[test]
    fn events_that_do_not_fit_are_kept() {
        let instance = Inotify::new();
        instance.push(1, Event::CREATE, 0, b"name");
        assert!(matches!(instance.take(31), Some(Err(Errno::EINVAL))));
        assert_eq!(events(&instance).len(), 1);
        assert!(instance.take(4096).is_none());
    }
}
