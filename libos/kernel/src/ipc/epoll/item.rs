//! One watched file: what was asked for, and what may become of it.

use super::Epoll;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::{File, PollEvents};
use crate::process::wait::{PollTable, Wake};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::AtomicBool;
use linux_raw_sys::general::{EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP, epoll_event};

/// Bits of a request that are not events.
pub const MODES: u32 = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// Items are known by descriptor and open file: the same file may be watched under two numbers.
pub type Key = (i32, usize);

/// What the program asked for.
#[derive(Clone, Copy)]
pub struct Interest {
    pub events: u32,
    pub data: u64,
}

/// What may become of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arm {
    /// It is reported.
    Ready,
    /// A one-shot that has fired; `EPOLL_CTL_MOD` arms it again.
    Spent,
    /// The file is not watched any more: for good.
    Gone,
}

#[derive(Clone, Copy)]
struct Watch {
    interest: Interest,
    arm: Arm,
    /// Changes of `interest`: what was asked before one is no answer after it.
    version: u32,
}

impl Watch {
    fn wanted(&self) -> PollEvents {
        PollEvents::from_bits_retain(self.interest.events & !MODES) | ALWAYS
    }
}

/// What came of asking an item for an event.
pub enum Fired {
    No,
    Once,
    /// Level-triggered: it is to be asked again.
    Level,
    Refused(Errno),
    /// The file is closed.
    Closed,
}

pub struct Item {
    this: Weak<Item>,
    pub epoll: Weak<Epoll>,
    file: Weak<File>,
    /// The file's epoll, if it is one.
    pub inner: Weak<Epoll>,
    pub key: Key,
    /// Leaf.
    watch: SpinLock<Watch>,
    /// It is on the ready list.
    pub queued: AtomicBool,
    /// Where it waits. Holds the item in turn, so it has to be taken out to let go of both.
    table: SpinLock<Option<PollTable>>,
}

impl Wake for Item {
    fn wake(&self) {
        if let (Some(epoll), Some(item)) = (self.epoll.upgrade(), self.this.upgrade()) {
            epoll.mark_ready(item);
        }
    }
}

impl Item {
    /// An item that waits nowhere yet. `inner` is the file's epoll, if it is one.
    pub fn new(
        epoll: &Arc<Epoll>,
        key: Key,
        file: &Arc<File>,
        inner: Option<&Arc<Epoll>>,
        interest: Interest,
    ) -> Arc<Item> {
        Arc::new_cyclic(|this| Item {
            this: this.clone(),
            epoll: Arc::downgrade(epoll),
            file: Arc::downgrade(file),
            inner: inner.map_or(Weak::new(), Arc::downgrade),
            key,
            watch: SpinLock::new(Watch {
                interest,
                arm: Arm::Ready,
                version: 0,
            }),
            queued: AtomicBool::new(false),
            table: SpinLock::new(None),
        })
    }

    /// Joins the file's queues. `ENOMEM` if it is not on all of them.
    pub fn join(self: &Arc<Self>, file: &File) -> Result<()> {
        let mut table = PollTable::new(Arc::as_ptr(self) as usize, self.clone());
        file.poll(Some(&mut table));
        let complete = table.check();
        *self.table.lock() = Some(table);
        complete
    }

    /// Leaves the file's queues for good.
    pub fn let_go(&self) {
        self.watch.lock().arm = Arm::Gone;
        let table = self.table.lock().take();
        drop(table);
    }

    pub fn is_gone(&self) -> bool {
        self.watch.lock().arm == Arm::Gone
    }

    /// Whether the file is closed. It then stays until somebody comes across it.
    pub fn is_closed(&self) -> bool {
        self.file.strong_count() == 0
    }

    /// Asks for something else from now on.
    pub fn modify(&self, interest: Interest) -> Result<()> {
        let mut watch = self.watch.lock();
        if watch.arm == Arm::Gone {
            return Err(Errno::ENOENT);
        }
        if watch.interest.events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        *watch = Watch {
            interest,
            arm: Arm::Ready,
            version: watch.version.wrapping_add(1),
        };
        Ok(())
    }

    /// Whether something of what was asked for is true now.
    pub fn has_events(&self) -> bool {
        let watch = *self.watch.lock();
        let holds = |file: Arc<File>| file.poll(None).intersects(watch.wanted());
        watch.arm == Arm::Ready && self.file.upgrade().is_some_and(holds)
    }

    /// Gives `sink` the event if there is one; a one-shot that it takes is spent.
    pub fn fire(&self, sink: &mut impl FnMut(epoll_event) -> Result<()>) -> Fired {
        let Some(file) = self.file.upgrade() else {
            return Fired::Closed;
        };
        loop {
            let asked = *self.watch.lock();
            let events = match asked.arm {
                Arm::Ready => file.poll(None) & asked.wanted(),
                Arm::Spent | Arm::Gone => PollEvents::empty(),
            };
            if events.is_empty() {
                return Fired::No;
            }
            let modes = asked.interest.events;
            if !self.take_aim(asked, modes & EPOLLONESHOT != 0) {
                continue;
            }
            let event = epoll_event {
                events: events.bits(),
                data: asked.interest.data,
            };
            if let Err(e) = sink(event) {
                let mut now = self.watch.lock();
                if now.version == asked.version && now.arm == Arm::Spent {
                    now.arm = Arm::Ready;
                }
                return Fired::Refused(e);
            }
            return if modes & (EPOLLET | EPOLLONESHOT) == 0 {
                Fired::Level
            } else {
                Fired::Once
            };
        }
    }

    /// Whether what was `asked` still is, so that the event may be reported: a one-shot is spent by that.
    fn take_aim(&self, asked: Watch, one_shot: bool) -> bool {
        let mut now = self.watch.lock();
        let same = now.version == asked.version && now.arm == asked.arm;
        if same && one_shot {
            now.arm = Arm::Spent;
        }
        same
    }
}
