//! Local sockets (unix(7)): streams, datagrams and sequenced packets between processes of this machine.
//!
//! Each socket owns the queue of what was sent to it. Who sends locks only the receiver's state; no two sockets are ever
//! locked at once. Sockets know each other weakly: only open files (and a listener's backlog) keep one alive.

mod address;
mod connection;
mod flight;
pub mod many;
mod message;
mod options;
mod queue;
pub mod sys;
mod transfer;

use crate::base::{Errno, Result, SpinLock};
use crate::fs::{File, FileOps, FileType, Metadata, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::{Buffer, UserPtr};
use address::Address;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::ioctl::{FIONREAD, TIOCOUTQ};
use message::Sender;
use queue::Queue;

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

struct State {
    role: Role,
    name: Option<Arc<Address>>,
    peer_name: Option<Arc<Address>>,
    /// Who connected, or listened (`SO_PEERCRED`).
    peer: Option<Sender>,
    queue: Queue,
    /// `queue` may hold sockets ([`flight`]).
    carries: bool,
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
        })
    }

    /// The other end, if there is one and it still exists.
    fn peer(&self) -> Option<Arc<Socket>> {
        match &self.state.lock().role {
            Role::Connected(peer) => peer.upgrade(),
            _ => None,
        }
    }

    /// Something about the socket has changed that anybody may be waiting for.
    fn wake(&self) {
        self.readable.wake_all();
        self.room.wake_all();
    }

    /// Whether more bytes would be taken in now.
    fn has_room(&self) -> bool {
        let state = self.state.lock();
        let queue = &state.queue;
        state.receive_end || queue.bytes() < state.limit && queue.packets() < transfer::MESSAGES_MAX
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let this = self.this.clone();
        let state = self.state.get_mut();
        if let Some(name) = &state.name {
            name.release(&this);
        }
        if let Role::Connected(peer) = &state.role
            && self.kind != Kind::Datagram
            && let Some(peer) = peer.upgrade()
        {
            let unread = !state.queue.is_empty();
            let mut theirs = peer.state.lock();
            theirs.receive_end = true;
            theirs.send_end = true;
            if unread {
                theirs.error = Some(Errno::ECONNRESET);
            }
            drop(theirs);
            peer.wake();
        }
        // Before the look for what is lost: this may have been what reached it.
        drop(core::mem::take(&mut state.queue));
        self.wake();
        flight::collect();
    }
}

impl FileOps for Socket {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        Ok(self.receive(buf, self.receive_options(file, 0))?.len)
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        self.send(
            buf,
            self.send_options(file, 0),
            None,
            (alloc::vec::Vec::new(), Sender::current()),
        )
    }

    fn poll(&self, _file: &File, mut table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table.as_deref_mut() {
            table.register(&self.readable);
        }
        let peer = self.peer();
        if let (Some(table), Some(peer)) = (table, &peer) {
            table.register(&peer.room);
        }
        let mut events = PollEvents::empty();
        let state = self.state.lock();
        if state.error.is_some() {
            events |= PollEvents::ERR;
        }
        let (connected, accepting) = match &state.role {
            Role::Fresh => (false, false),
            Role::Connected(_) => (true, false),
            Role::Listening { waiting, .. } => (false, !waiting.is_empty()),
        };
        let listening = matches!(state.role, Role::Listening { .. });
        if !state.queue.is_empty() || state.receive_end || accepting {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if state.receive_end {
            events |= PollEvents::RDHUP;
        }
        if self.kind != Kind::Datagram
            && !listening
            && (!connected || state.receive_end && state.send_end)
        {
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
