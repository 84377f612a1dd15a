//! Sending and receiving.

use super::address::Given;
use super::message::Sender;
use super::queue::{Keep, Packet, Received};
use super::rights::Rights;
use super::{Kind, Role, Socket, flight};
use crate::base::{Errno, Result};
use crate::fs::File;
use crate::process::{current, scheduler};
use crate::user::Buffer;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub const MSG_OOB: u32 = 0x1;
pub const MSG_PEEK: u32 = 0x2;
pub const MSG_TRUNC: u32 = 0x20;
pub const MSG_DONTWAIT: u32 = 0x40;
pub const MSG_WAITALL: u32 = 0x100;
pub const MSG_NOSIGNAL: u32 = 0x4000;

/// Bytes of a stream that are put into one packet.
const PACKET_MAX: usize = 32 * 1024;
/// Messages, or pieces of a stream that are kept apart, that may wait at a socket however short they are.
pub(super) const MESSAGES_MAX: usize = 1024;

/// How a transfer is to be done.
#[derive(Clone, Copy)]
pub struct Options {
    pub flags: u32,
    /// Never wait.
    nonblocking: bool,
    /// Monotonic ns.
    deadline: Option<u64>,
}

impl Options {
    pub fn deadline(self) -> Option<u64> {
        self.deadline
    }
}

impl Socket {
    fn options(file: &File, flags: u32, timeout: Option<u64>) -> Options {
        Options {
            flags,
            nonblocking: file.nonblocking() || flags & MSG_DONTWAIT != 0,
            deadline: timeout.map(|ns| crate::time::monotonic_ns().saturating_add(ns)),
        }
    }

    pub(super) fn receive_options(&self, file: &File, flags: u32) -> Options {
        Self::options(file, flags, self.state.lock().receive_timeout)
    }

    pub(super) fn send_options(&self, file: &File, flags: u32) -> Options {
        Self::options(file, flags, self.state.lock().send_timeout)
    }

    /// Receives a message, or as much of a stream as is there.
    pub(super) fn receive(&self, buf: &mut Buffer<'_>, options: Options) -> Result<Received> {
        if options.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let keep = if options.flags & MSG_PEEK != 0 {
            Keep::Yes
        } else {
            Keep::No
        };
        let wait_all =
            options.flags & MSG_WAITALL != 0 && self.kind == Kind::Stream && keep == Keep::No;
        let mut total = self.receive_once(buf, options, keep)?;
        while wait_all && total.len > 0 && !buf.is_empty() && total.files.is_empty() {
            match self.receive_once(buf, options, keep) {
                Ok(more) if more.len > 0 => {
                    total.len += more.len;
                    total.full += more.len;
                    total.files = more.files;
                }
                // The end, or an error: what came before it counts.
                _ => break,
            }
        }
        Ok(total)
    }

    fn receive_once(&self, buf: &mut Buffer<'_>, options: Options, keep: Keep) -> Result<Received> {
        let mut attempt = || {
            let mut state = self.state.lock();
            match (self.kind, &state.role) {
                (_, Role::Connected(_)) | (Kind::Datagram, _) => {}
                (Kind::Stream, _) => return Some(Err(Errno::EINVAL)),
                (Kind::SeqPacket, _) => return Some(Err(Errno::ENOTCONN)),
            }
            if !state.queue.is_empty() {
                let received = match self.kind {
                    Kind::Stream => state.queue.take_stream(buf, keep),
                    _ => state.queue.take_message(buf, keep),
                };
                if received.as_ref().is_ok_and(|r| !r.files.is_empty()) {
                    flight::left();
                    flight::recount(self, &mut state);
                }
                return Some(received);
            }
            if let Some(error) = state.error.take() {
                return Some(Err(error));
            }
            state.receive_end.then(|| Ok(Received::default()))
        };
        let received = if options.nonblocking {
            attempt().unwrap_or(Err(Errno::EAGAIN))
        } else {
            match self.readable.wait(options.deadline, attempt) {
                Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
                done => done?,
            }
        };
        if keep == Keep::No {
            self.room.wake_all();
        }
        received
    }

    /// Sends what `buf` holds, to `to` or to the peer, with `ancillary` at its beginning.
    pub(super) fn send(
        &self,
        buf: &mut Buffer<'_>,
        options: Options,
        to: Option<Given>,
        ancillary: (Rights, Sender),
    ) -> Result<usize> {
        if options.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let sent = match self.kind {
            Kind::Stream if to.is_some() => Err(if self.peer().is_some() {
                Errno::EISCONN
            } else {
                Errno::EOPNOTSUPP
            }),
            Kind::Stream => self.send_stream(buf, options, ancillary),
            Kind::SeqPacket => self.send_message(buf, options, self.destination()?, ancillary),
            Kind::Datagram => {
                let target = match to {
                    Some(given) => self.resolve_datagram(&given)?,
                    None => self.destination()?,
                };
                self.send_message(buf, options, target, ancillary)
            }
        };
        if sent == Err(Errno::EPIPE)
            && options.flags & MSG_NOSIGNAL == 0
            && self.kind == Kind::Stream
        {
            crate::ipc::caller::raise_sigpipe();
        }
        sent
    }

    /// Why nothing can be sent, if something is known to be wrong with this end.
    fn own_error(&self) -> Option<Errno> {
        let mut state = self.state.lock();
        let error = state.error.take();
        error.or(state.send_end.then_some(Errno::EPIPE))
    }

    /// What sending to a socket that is closed gives. A datagram socket is connected to it no longer.
    fn lost(&self, target: *const Socket) -> Errno {
        if self.kind != Kind::Datagram {
            return self.own_error().unwrap_or(Errno::EPIPE);
        }
        let connected = match &self.state.lock().role {
            Role::Connected(peer) => core::ptr::eq(peer.as_ptr(), target),
            _ => false,
        };
        if connected {
            self.set_peer(None, |state| state.peer_name = None);
        }
        Errno::ECONNREFUSED
    }

    /// The peer to send to.
    fn destination(&self) -> Result<Arc<Socket>> {
        let peer = {
            let state = self.state.lock();
            match &state.role {
                Role::Connected(_) if self.kind == Kind::Stream && state.send_end => {
                    return Err(Errno::EPIPE);
                }
                Role::Connected(peer) => peer.clone(),
                _ => return Err(Errno::ENOTCONN),
            }
        };
        peer.upgrade().ok_or_else(|| self.lost(peer.as_ptr()))
    }

    pub(super) fn resolve_datagram(&self, given: &Given) -> Result<Arc<Socket>> {
        let target = given.resolve()?;
        if target.kind != Kind::Datagram {
            return Err(Errno::EPROTOTYPE);
        }
        // A connected socket hears only its peer.
        let others = match &target.state.lock().role {
            Role::Connected(peer) => !core::ptr::eq(peer.as_ptr(), self),
            _ => false,
        };
        if others {
            Err(Errno::EPERM)
        } else {
            Ok(target)
        }
    }

    fn packet(&self, data: Vec<u8>, (rights, sender): (Rights, Sender)) -> Packet {
        Packet {
            data,
            read: 0,
            rights,
            sender,
            from: self.state.lock().name.clone(),
        }
    }

    /// Waits until `target` takes bytes, and says how many of a stream's. (A message may be longer than what is left, as on Linux:
    /// a socket that polls as writable takes one.)
    fn wait_for_room(&self, target: &Socket, options: Options) -> Result<usize> {
        let attempt = || {
            let state = target.state.lock();
            let free = state.limit.saturating_sub(state.queue.bytes());
            if state.closed {
                drop(state);
                Some(Err(self.lost(target)))
            } else if state.receive_end {
                Some(Err(Errno::EPIPE))
            } else if free > 0 && state.queue.packets() < MESSAGES_MAX {
                Some(Ok(free))
            } else {
                drop(state);
                self.own_error().map(Err)
            }
        };
        if options.nonblocking {
            return attempt().unwrap_or(Err(Errno::EAGAIN));
        }
        match target.room.wait(options.deadline, attempt) {
            Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
            done => done?,
        }
    }

    fn send_stream(
        &self,
        buf: &mut Buffer<'_>,
        options: Options,
        mut ancillary: (Rights, Sender),
    ) -> Result<usize> {
        if buf.is_empty() {
            // There is no byte that the files could come with.
            return self.destination().map(|_| 0);
        }
        let mut done = 0;
        let mut piece = || {
            let target = self.destination()?;
            let room = self.wait_for_room(&target, options)?;
            let mut data = Vec::new();
            let n = buf.len().min(room).min(PACKET_MAX);
            data.try_reserve_exact(n).map_err(|_| Errno::ENOMEM)?;
            data.resize(n, 0);
            let n = buf.take(&mut data)?;
            data.truncate(n);
            let rights = core::mem::take(&mut ancillary.0);
            let packet = self.packet(data, (rights, ancillary.1));
            self.deliver(&target, packet)?;
            Ok((n, buf.is_empty()))
        };
        loop {
            match piece() {
                Ok((n, last)) => {
                    done += n;
                    // A reader may make room for as long as it likes.
                    if last || scheduler::give_way() || current().signal_pending() {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
        }
    }

    fn send_message(
        &self,
        buf: &mut Buffer<'_>,
        options: Options,
        target: Arc<Socket>,
        ancillary: (Rights, Sender),
    ) -> Result<usize> {
        if let Some(error) = self.own_error() {
            return Err(error);
        }
        let len = buf.len();
        if len > target.state.lock().limit {
            return Err(Errno::EMSGSIZE);
        }
        let mut data = Vec::new();
        data.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        data.resize(len, 0);
        if buf.take(&mut data)? < len {
            return Err(Errno::EFAULT);
        }
        self.wait_for_room(&target, options)?;
        self.deliver(&target, self.packet(data, ancillary))?;
        Ok(len)
    }

    /// Puts a packet into the queue of `target`.
    fn deliver(&self, target: &Socket, packet: Packet) -> Result<()> {
        let mut state = target.state.lock();
        if state.receive_end {
            let closed = state.closed;
            drop(state);
            return Err(match closed {
                true => self.lost(target),
                false => Errno::EPIPE,
            });
        }
        // On failure the packet, and with it perhaps files, goes after the lock: it is an argument.
        state.queue.reserve()?;
        let sockets = packet.rights.sockets() > 0;
        match self.kind {
            Kind::Stream => state.queue.push_stream(packet),
            _ => state.queue.push(packet),
        }
        if sockets {
            flight::sent(target, &mut state);
        }
        drop(state);
        target.readable.wake_all();
        Ok(())
    }
}
