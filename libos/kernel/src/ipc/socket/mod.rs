//! Local sockets (unix(7)): streams, datagrams and sequenced packets between processes of this machine.
//!
//! Each socket owns the queue of what was sent to it. Who sends locks only the receiver's state; no two sockets are ever
//! locked at once, but for a listener and what is just taken out of its backlog. Sockets know each other weakly: only open files (and a listener's backlog) keep one alive, and it is
//! closed with its file: calls of others that wait for it may hold it longer.

mod address;
mod connection;
mod flight;
mod message;
pub mod mmsg;
mod options;
mod queue;
mod rights;
pub mod sys;
mod transfer;

use crate::base::{Errno, Result, SpinLock};
use crate::fs::{File, FileOps, FileType, Metadata, PollEvents};
use crate::process::wait::{PollTable, WaitQueue, Wake};
use crate::user::{Buffer, UserPtr};
use address::Address;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use linux_raw_sys::ioctl::{FIONREAD, TIOCOUTQ};
use message::Sender;
use queue::Queue;
use rights::Rights;

/// Bytes that a socket holds for its reader (Linux's `wmem_default`).
const DEFAULT_LIMIT: usize = 212_992;

/// How a socket treats what it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Stream = 1,
    Datagram = 2,
    SeqPacket = 5,
}

/// What a socket is doing.
enum Role {
    Fresh,
    Listening {
        backlog: usize,
        waiting: VecDeque<Arc<Socket>>,
    },
    Connected(Weak<Socket>),
}

impl State {
    fn peer(&self) -> Option<Arc<Socket>> {
        match &self.role {
            Role::Connected(peer) => peer.upgrade(),
            _ => None,
        }
    }
}

struct State {
    role: Role,
    name: Option<Arc<Address>>,
    peer_name: Option<Arc<Address>>,
    /// Who connected, or listened (`SO_PEERCRED`).
    peer: Option<Sender>,
    queue: Queue,
    /// `queue` holds sockets ([`flight`]).
    carries: bool,
    /// Whose backlog it waits in to be accepted.
    listener: Option<Weak<Socket>>,
    /// Passes on to `writable` that the peer has room, once somebody has asked for that.
    relay: Option<PollTable>,
    /// Nobody has it open any more.
    closed: bool,
    /// Nothing more will come in.
    receive_end: bool,
    /// Nothing more may go out.
    send_end: bool,
    /// Bytes that `queue` may hold.
    limit: usize,
    /// ns; `None`: for ever.
    receive_timeout: Option<u64>,
    send_timeout: Option<u64>,
    pass_credentials: bool,
    /// An error to report once (`SO_ERROR`).
    error: Option<Errno>,
}

/// A socket.
pub struct Socket {
    id: u64,
    this: Weak<Socket>,
    kind: Kind,
    /// Program memory may be copied with it held; queues are woken after it is released.
    state: SpinLock<State>,
    /// Woken when something can be received or accepted, and when the connection changes.
    readable: Arc<WaitQueue>,
    /// Woken when `queue` (or the backlog) has room again; senders wait here, at the receiver.
    room: Arc<WaitQueue>,
    /// Woken when the peer, whoever that is by now, has room again: where pollers wait, who stay when the peer changes.
    writable: Arc<WaitQueue>,
    /// Messages on their way that hold its file.
    in_flight: AtomicUsize,
    mark: SpinLock<flight::Mark>,
}

/// A queue may wait in another. Which way round is for those who have them: they never close a loop.
impl Wake for WaitQueue {
    fn wake(&self) {
        self.wake_all();
    }
}

impl Socket {
    fn new(kind: Kind) -> Arc<Socket> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|this| Socket {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            this: this.clone(),
            kind,
            state: SpinLock::new(State {
                role: Role::Fresh,
                name: None,
                peer_name: None,
                peer: None,
                queue: Queue::default(),
                carries: false,
                listener: None,
                relay: None,
                closed: false,
                receive_end: false,
                send_end: false,
                limit: DEFAULT_LIMIT,
                receive_timeout: None,
                send_timeout: None,
                pass_credentials: false,
                error: None,
            }),
            readable: Arc::new(WaitQueue::new()),
            room: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
            in_flight: AtomicUsize::new(0),
            mark: SpinLock::default(),
        })
    }

    /// The other end, if there is one and it still exists.
    fn peer(&self) -> Option<Arc<Socket>> {
        self.state.lock().peer()
    }

    /// Something about the socket has changed that anybody may be waiting for.
    fn wake(&self) {
        self.readable.wake_all();
        self.room.wake_all();
        self.writable.wake_all();
    }

    /// What hears of room at `peer`.
    fn relay_from(&self, peer: Option<&Arc<Socket>>) -> PollTable {
        let key = core::ptr::from_ref(self).addr();
        let mut relay = PollTable::new(key, self.writable.clone());
        if let Some(peer) = peer {
            relay.register(&peer.room);
        }
        relay
    }

    /// Sees to it that `writable` is woken for the peer, or for whoever becomes that.
    fn follow_peer(&self, table: &mut PollTable) {
        // Let go of with no lock held.
        let peer;
        let mut state = self.state.lock();
        if state.relay.is_none() {
            peer = state.peer();
            let relay = self.relay_from(peer.as_ref());
            if relay.check().is_ok() {
                state.relay = Some(relay);
            } else if let Some(peer) = &peer {
                // There is no memory for it, nor will there be for this: the caller hears of that.
                table.register(&peer.room);
            }
        }
    }

    /// Becomes connected to `peer`, or to nobody.
    fn set_peer(&self, peer: Option<&Arc<Socket>>, change: impl FnOnce(&mut State)) {
        {
            let mut state = self.state.lock();
            change(&mut state);
            state.role = peer.map_or(Role::Fresh, |peer| Role::Connected(Arc::downgrade(peer)));
            // First the old one goes: both are known by the same key.
            if state.relay.take().is_some() {
                state.relay = Some(self.relay_from(peer));
            }
        }
        self.wake();
    }

    /// Whether more bytes would be taken in now.
    fn has_room(&self) -> bool {
        let state = self.state.lock();
        let queue = &state.queue;
        state.receive_end || queue.bytes() < state.limit && queue.packets() < transfer::MESSAGES_MAX
    }
}

impl Drop for Socket {
    /// For one that never got a file.
    fn drop(&mut self) {
        self.close();
    }
}

impl FileOps for Socket {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        Ok(self.receive(buf, self.receive_options(file, 0))?.len)
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        self.send(
            buf,
            self.send_options(file, 0),
            None,
            (Rights::default(), Sender::current()),
        )
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.readable);
            table.register(&self.writable);
            self.follow_peer(table);
        }
        // Only now: of one that comes later the table hears.
        let peer = self.peer();
        let mut events = PollEvents::empty();
        let state = self.state.lock();
        if state.error.is_some() {
            events |= PollEvents::ERR;
        }
        let (listening, accepting) = match &state.role {
            Role::Listening { waiting, .. } => (true, !waiting.is_empty()),
            _ => (false, false),
        };
        if !state.queue.is_empty() || state.receive_end || accepting {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if state.receive_end {
            events |= PollEvents::RDHUP;
        }
        let unconnected = matches!(state.role, Role::Fresh) && self.kind != Kind::Datagram;
        if unconnected || state.receive_end && state.send_end {
            events |= PollEvents::HUP;
        }
        drop(state);
        if !listening && peer.is_none_or(|peer| peer.has_room()) {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        let n = match cmd {
            FIONREAD => {
                let state = self.state.lock();
                if self.kind == Kind::Stream {
                    state.queue.bytes()
                } else {
                    state.queue.first_len()
                }
            }
            TIOCOUTQ => self
                .peer()
                .map_or(0, |peer| peer.state.lock().queue.bytes()),
            _ => return Err(Errno::ENOTTY),
        };
        UserPtr::new(arg).write(n as i32)?;
        Ok(0)
    }

    fn release(&self, _file: &File) {
        self.close();
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata {
            perm: 0o777,
            ..Metadata::anonymous(FileType::Socket, self.id)
        })
    }

    fn name(&self) -> String {
        format!("socket:[{}]", self.id)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
