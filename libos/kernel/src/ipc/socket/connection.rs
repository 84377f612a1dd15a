//! Names and connections: bind, listen, connect, accept, shutdown, the end.

use super::address::{Address, Given};
use super::message::Sender;
use super::{Kind, Role, Socket, State, flight};
use crate::base::{Errno, Result};
use crate::fs::File;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// Most connections that may wait to be accepted (Linux's `somaxconn`).
const BACKLOG_MAX: usize = 4096;

/// Which directions `shutdown` closes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Receive,
    Send,
    Both,
}

impl Socket {
    /// Two sockets connected to each other.
    pub(super) fn pair(kind: Kind) -> [Arc<Socket>; 2] {
        let (a, b) = (Socket::new(kind), Socket::new(kind));
        let me = Sender::current();
        for (socket, peer) in [(&a, &b), (&b, &a)] {
            let mut state = socket.state.lock();
            state.role = Role::Connected(Arc::downgrade(peer));
            state.peer = Some(me);
        }
        [a, b]
    }

    pub(super) fn bind(&self, given: Given) -> Result<()> {
        if self.state.lock().name.is_some() {
            return Err(Errno::EINVAL);
        }
        let address = Address::bind(given, &self.this)?;
        let mut state = self.state.lock();
        if state.name.is_some() {
            drop(state);
            address.release(&self.this);
            return Err(Errno::EINVAL);
        }
        state.name = Some(Arc::new(address));
        Ok(())
    }

    pub(super) fn listen(&self, backlog: i32) -> Result<()> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        // A negative number, as many runtimes give, is a large one.
        let limit = (backlog as u32 as usize).min(BACKLOG_MAX);
        {
            let mut state = self.state.lock();
            if state.name.is_none() {
                return Err(Errno::EINVAL);
            }
            match &mut state.role {
                Role::Fresh => {
                    state.role = Role::Listening {
                        backlog: limit,
                        waiting: VecDeque::new(),
                    }
                }
                Role::Listening { backlog, .. } => *backlog = limit,
                Role::Connected(_) => return Err(Errno::EINVAL),
            }
            state.peer = Some(Sender::current());
        }
        self.room.wake_all();
        Ok(())
    }

    pub(super) fn connect(&self, file: &File, given: Given) -> Result<()> {
        if self.kind == Kind::Datagram {
            return self.connect_datagram(given);
        }
        match self.state.lock().role {
            Role::Fresh => {}
            Role::Connected(_) => return Err(Errno::EISCONN),
            Role::Listening { .. } => return Err(Errno::EINVAL),
        }
        let listener = given.resolve()?;
        if listener.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        let deadline = self.send_options(file, 0).deadline();
        let this = self.this.upgrade().ok_or(Errno::EBADF)?;
        // The end that `accept` will return is whole before anybody can find it.
        let server = Socket::new(self.kind);
        let own_name = self.state.lock().name.clone();
        let (name, owner) = {
            let state = listener.state.lock();
            (state.name.clone(), state.peer)
        };
        {
            let mut state = server.state.lock();
            state.name = name.clone();
            state.role = Role::Connected(Arc::downgrade(&this));
            state.peer = Some(Sender::current());
            state.peer_name = own_name;
            state.listener = Some(Arc::downgrade(&listener));
        }
        let queued = Self::enqueue(file, &listener, &server, deadline);
        // What was never connected must not tell us that it is gone.
        queued.inspect_err(|_| server.state.lock().role = Role::Fresh)?;
        self.set_peer(Some(&server), |state| {
            state.peer_name = name;
            state.peer = owner;
        });
        listener.readable.wake_all();
        Ok(())
    }

    /// Puts `server` into the listener's backlog, waiting for a place.
    fn enqueue(
        file: &File,
        listener: &Socket,
        server: &Arc<Socket>,
        deadline: Option<u64>,
    ) -> Result<()> {
        loop {
            Self::wait_for_backlog(file, listener, deadline)?;
            let mut state = listener.state.lock();
            // Somebody else may have taken the place.
            if let Some(waiting) = state.backlog()? {
                waiting.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                waiting.push_back(server.clone());
                return Ok(());
            }
        }
    }

    fn wait_for_backlog(file: &File, listener: &Socket, deadline: Option<u64>) -> Result<()> {
        let attempt = || match listener.state.lock().backlog() {
            Ok(place) => place.map(|_| Ok(())),
            Err(e) => Some(Err(e)),
        };
        if file.nonblocking() {
            return attempt().unwrap_or(Err(Errno::EAGAIN));
        }
        match listener.room.wait(deadline, attempt) {
            Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
            done => done?,
        }
    }

    fn connect_datagram(&self, given: Given) -> Result<()> {
        let target = match given {
            Given::Unspecified => None,
            given => Some(self.resolve_datagram(&given)?),
        };
        let name = target.as_ref().and_then(|t| t.state.lock().name.clone());
        self.set_peer(target.as_ref(), |state| state.peer_name = name);
        Ok(())
    }

    pub(super) fn accept(&self, file: &File) -> Result<Arc<Socket>> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        let attempt = || {
            let mut state = self.state.lock();
            let over = state.receive_end;
            match &mut state.role {
                Role::Listening { waiting, .. } => match waiting.pop_front() {
                    Some(accepted) => {
                        // In one step with leaving the backlog: whoever looks for lost sockets finds it in either place. It can
                        // never be a listener, so nobody takes the two locks the other way round.
                        accepted.state.lock_nested().listener = None;
                        flight::left();
                        Some(Ok(accepted))
                    }
                    None => over.then_some(Err(Errno::EINVAL)),
                },
                _ => Some(Err(Errno::EINVAL)),
            }
        };
        let accepted = if file.nonblocking() {
            attempt().unwrap_or(Err(Errno::EAGAIN))
        } else {
            match self
                .readable
                .wait(self.receive_options(file, 0).deadline(), attempt)
            {
                Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
                done => done?,
            }
        }?;
        self.room.wake_all();
        Ok(accepted)
    }

    pub(super) fn shutdown(&self, how: How) {
        let peer = {
            let mut state = self.state.lock();
            let peer = state.peer();
            state.receive_end |= how != How::Send;
            state.send_end |= how != How::Receive;
            peer
        };
        if let Some(peer) = peer
            && self.kind != Kind::Datagram
        {
            {
                let mut state = peer.state.lock();
                state.receive_end |= how != How::Receive;
                state.send_end |= how != How::Send;
            }
            peer.wake();
        }
        self.wake();
    }

    /// Nobody has the socket open any more: its name is free, its peer alone, what was sent to it lost, and whoever waits for it
    /// learns that.
    pub(super) fn close(&self) {
        self.end(false);
    }

    /// The same; `unaccepted`: it never was, which is a loss to the peer.
    fn end(&self, unaccepted: bool) {
        let (peer, name, unread) = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let peer = state.peer().filter(|_| self.kind != Kind::Datagram);
            (peer, state.name.take(), !state.queue.is_empty())
        };
        if let Some(name) = name {
            name.release(&self.this);
        }
        // Before who waits at this one hears of its end: the peer may, and has more to hear.
        if let Some(peer) = &peer {
            let mut theirs = peer.state.lock();
            theirs.receive_end = true;
            theirs.send_end = true;
            if unread || unaccepted {
                theirs.error = Some(Errno::ECONNRESET);
            }
        }
        let (role, queue, relay) = {
            let mut state = self.state.lock();
            state.closed = true;
            state.receive_end = true;
            state.send_end = true;
            let queue = core::mem::take(&mut state.queue);
            flight::left();
            flight::recount(self, &mut state);
            let role = core::mem::replace(&mut state.role, Role::Fresh);
            (role, queue, state.relay.take())
        };
        drop(relay);
        self.wake();
        if let Some(peer) = peer {
            peer.wake();
        }
        if let Role::Listening { waiting, .. } = role {
            waiting.iter().for_each(|socket| socket.end(true));
        }
        // Before the look for what is lost: this may have been what reached it.
        drop(queue);
        flight::collect();
    }
}

impl State {
    /// Where connections wait, if there is a place for one more.
    fn backlog(&mut self) -> Result<Option<&mut VecDeque<Arc<Socket>>>> {
        match &mut self.role {
            Role::Listening { backlog, waiting } if !self.receive_end => {
                Ok((waiting.len() <= *backlog).then_some(waiting))
            }
            _ => Err(Errno::ECONNREFUSED),
        }
    }
}
