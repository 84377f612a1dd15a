//! What a socket has received and nobody has read yet.

use super::address::Address;
use super::message::Sender;
use super::rights::Rights;
use crate::base::{Errno, Result};
use crate::fs::File;
use crate::user::Buffer;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What one send put in, less what was read of it.
pub struct Packet {
    pub data: Vec<u8>,
    /// Bytes of `data` that have been read (streams only).
    pub read: usize,
    /// Descriptors that came along.
    pub rights: Rights,
    pub sender: Sender,
    pub from: Option<Arc<Address>>,
}

impl Packet {
    pub fn left(&self) -> usize {
        self.data.len() - self.read
    }
}

/// What a receive got.
#[derive(Default)]
pub struct Received {
    /// Bytes copied.
    pub len: usize,
    /// Bytes that the message had; more than `len` if it was cut off.
    pub full: usize,
    pub files: Vec<Arc<File>>,
    pub sender: Option<Sender>,
    pub from: Option<Arc<Address>>,
}

/// Whether receiving removes what it returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    No,
    /// `MSG_PEEK`.
    Yes,
}

/// A queue of packets.
#[derive(Default)]
pub struct Queue {
    packets: VecDeque<Packet>,
    bytes: usize,
    /// Sockets among the files of the packets.
    sockets: usize,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Files that came with messages which nobody has received.
    pub fn files(&self) -> impl Iterator<Item = &Arc<File>> {
        self.packets.iter().flat_map(|packet| packet.rights.files())
    }

    /// How many of these are sockets.
    pub fn sockets(&self) -> usize {
        self.sockets
    }

    pub fn packets(&self) -> usize {
        self.packets.len()
    }

    /// Bytes that the next receive of a datagram gives.
    pub fn first_len(&self) -> usize {
        self.packets.front().map_or(0, Packet::left)
    }

    /// Makes room for one more packet: what is then pushed has it.
    pub fn reserve(&mut self) -> Result<()> {
        self.packets.try_reserve(1).map_err(|_| Errno::ENOBUFS)
    }

    pub fn push(&mut self, packet: Packet) {
        self.bytes += packet.data.len();
        self.sockets += packet.rights.sockets();
        self.packets.push_back(packet);
    }

    /// Adds bytes of a stream, to the last packet if it came from the same sender and has room.
    pub fn push_stream(&mut self, packet: Packet) {
        const ROOM: usize = 4096;
        if packet.rights.is_empty()
            && let Some(last) = self.packets.back_mut()
            && last.rights.is_empty()
            && last.sender == packet.sender
            && last.data.len() + packet.data.len() <= ROOM
            && last.data.try_reserve(packet.data.len()).is_ok()
        {
            self.bytes += packet.data.len();
            last.data.extend_from_slice(&packet.data);
        } else {
            self.push(packet);
        }
    }

    /// Takes one message; what does not fit is lost.
    pub fn take_message(&mut self, buf: &mut Buffer<'_>, keep: Keep) -> Result<Received> {
        let Some(packet) = self.packets.front() else {
            return Ok(Received::default());
        };
        let mut received = Received {
            len: buf.put(&packet.data)?,
            full: packet.data.len(),
            sender: Some(packet.sender),
            from: packet.from.clone(),
            ..Received::default()
        };
        if keep == Keep::Yes {
            received.files = packet.rights.files().to_vec();
        } else if let Some(mut packet) = self.packets.pop_front() {
            self.bytes -= packet.data.len();
            self.sockets -= packet.rights.sockets();
            received.files = packet.rights.receive();
        }
        Ok(received)
    }

    /// Takes bytes of a stream. Bytes with descriptors begin a read of their own and end it.
    pub fn take_stream(&mut self, buf: &mut Buffer<'_>, keep: Keep) -> Result<Received> {
        let mut received = Received::default();
        let mut index = 0;
        while let Some(packet) = self.packets.get_mut(index) {
            let special = !packet.rights.is_empty();
            if received.sender.is_some() && (special || received.sender != Some(packet.sender))
                || buf.is_empty()
            {
                break;
            }
            let n = match buf.put(&packet.data[packet.read..]) {
                Ok(n) => n,
                Err(_) if received.len > 0 => break,
                Err(e) => return Err(e),
            };
            received.len += n;
            received.sender = Some(packet.sender);
            received.from = packet.from.clone();
            let whole = n == packet.left();
            if keep == Keep::Yes {
                if special {
                    received.files = packet.rights.files().to_vec();
                }
                index += 1;
            } else {
                if special {
                    self.sockets -= packet.rights.sockets();
                    received.files = packet.rights.receive();
                }
                packet.read += n;
                self.bytes -= n;
                if whole {
                    self.packets.pop_front();
                }
            }
            if special || !whole {
                break;
            }
        }
        received.full = received.len;
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::types::OpenFlags;

    fn packet(data: &[u8], files: usize) -> Packet {
        struct Nothing;
        impl crate::fs::FileOps for Nothing {
            fn as_any(&self) -> &dyn core::any::Any {
                self
            }
        }
        let files: Vec<_> = (0..files)
            .map(|_| File::anonymous(Arc::new(Nothing), OpenFlags::RDWR))
            .collect();
        Packet {
            data: data.to_vec(),
            read: 0,
            rights: match files.is_empty() {
                true => Rights::default(),
                false => Rights::of(files, 0, usize::MAX).unwrap(),
            },
            sender: Sender::default(),
            from: None,
        }
    }

    fn stream(queue: &mut Queue, n: usize, keep: Keep) -> (Vec<u8>, usize) {
        let mut out = vec![0; n];
        let r = queue
            .take_stream(&mut Buffer::kernel_mut(&mut out), keep)
            .unwrap();
        out.truncate(r.len);
        (out, r.files.len())
    }

    #[test]
    fn a_stream_has_no_boundaries() {
        let mut q = Queue::default();
        q.push(packet(b"abc", 0));
        q.push(packet(b"defg", 0));
        assert_eq!(stream(&mut q, 5, Keep::Yes), (b"abcde".to_vec(), 0));
        assert_eq!(stream(&mut q, 5, Keep::No), (b"abcde".to_vec(), 0));
        assert_eq!((q.bytes(), q.packets()), (2, 1));
        assert_eq!(stream(&mut q, 5, Keep::No), (b"fg".to_vec(), 0));
    }

    #[test]
    fn descriptors_come_with_the_bytes_they_were_sent_with() {
        let mut q = Queue::default();
        q.push(packet(b"a", 0));
        q.push(packet(b"bc", 2));
        q.push(packet(b"d", 0));
        assert_eq!(stream(&mut q, 9, Keep::No), (b"a".to_vec(), 0));
        assert_eq!(stream(&mut q, 1, Keep::No), (b"b".to_vec(), 2));
        assert_eq!(stream(&mut q, 9, Keep::No), (b"cd".to_vec(), 0));
    }

    #[test]
    fn a_message_that_is_cut_off_is_gone() {
        let mut q = Queue::default();
        q.push(packet(b"abcdef", 0));
        q.push(packet(b"x", 0));
        let mut out = [0; 4];
        let r = q
            .take_message(&mut Buffer::kernel_mut(&mut out), Keep::No)
            .unwrap();
        assert_eq!((r.len, r.full, &out), (4, 6, b"abcd"));
        assert_eq!((q.first_len(), q.bytes()), (1, 1));
    }

    #[test]
    fn short_writes_share_a_packet() {
        let mut q = Queue::default();
        q.push_stream(packet(b"ab", 0));
        q.push_stream(packet(b"cd", 0));
        assert_eq!(q.packets(), 1);
        assert_eq!(stream(&mut q, 9, Keep::No), (b"abcd".to_vec(), 0));
    }
}
