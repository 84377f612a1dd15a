//! `struct msghdr` and the control messages that come with it (sendmsg(2), cmsg(3), unix(7)).
//!
//! The C libraries disagree on the width of some lengths; they agree on the low 32 bits of each, which is what is used.

use super::queue::Received;
use super::rights::Rights;
use crate::base::{Errno, Result};
use crate::fs::File;
use crate::ipc::caller;
use crate::process::current;
use crate::user::{Buffer, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;

const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// Descriptors in one message (Linux's `SCM_MAX_FD`).
const RIGHTS_MAX: usize = 253;
const CONTROL_MAX: usize = 64 * 1024;
/// `struct cmsghdr`: length, level, type.
const HEADER: usize = 16;

pub const MSG_CTRUNC: u32 = 0x8;
pub const MSG_TRUNC: u32 = 0x20;
pub const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

/// Who sent a message (`struct ucred`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sender {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

impl Sender {
    /// The caller.
    pub fn current() -> Sender {
        let process = current().process();
        let creds = process.creds();
        Sender {
            pid: process.pid,
            uid: creds.euid,
            gid: creds.egid,
        }
    }

    pub fn encode(self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..4].copy_from_slice(&self.pid.to_ne_bytes());
        out[4..8].copy_from_slice(&self.uid.to_ne_bytes());
        out[8..].copy_from_slice(&self.gid.to_ne_bytes());
        out
    }

    /// What a program claims to be; only root may claim to be somebody else.
    fn claimed(bytes: &[u8]) -> Result<Sender> {
        let word = |at: usize| {
            bytes
                .get(at..at + 4)
                .and_then(|b| b.try_into().ok())
                .map(u32::from_ne_bytes)
        };
        let (Some(pid), Some(uid), Some(gid)) = (word(0), word(4), word(8)) else {
            return Err(Errno::EINVAL);
        };
        let claim = Sender {
            pid: pid as i32,
            uid,
            gid,
        };
        let process = current().process();
        let c = process.creds();
        let own = claim.pid == process.pid
            && [c.uid, c.euid, c.suid].contains(&uid)
            && [c.gid, c.egid, c.sgid].contains(&gid);
        if own || c.is_privileged() {
            Ok(claim)
        } else {
            Err(Errno::EPERM)
        }
    }
}

/// A `struct msghdr` of the program.
pub struct Header {
    at: UserPtr<[usize; 7]>,
    pub name: UserPtr<u8>,
    pub name_len: u32,
    iov: UserPtr<[usize; 2]>,
    iov_len: usize,
    control: UserPtr<u8>,
    control_len: usize,
}

impl Header {
    pub fn read(at: UserPtr<[usize; 7]>) -> Result<Header> {
        let [name, name_len, iov, iov_len, control, control_len, _flags] = at.read()?;
        let low = |n: usize| n as u32 as usize;
        if low(iov_len) > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        Ok(Header {
            at,
            name: UserPtr::new(name),
            name_len: name_len as u32,
            iov: UserPtr::new(iov),
            iov_len: low(iov_len),
            control: UserPtr::new(control),
            control_len: if control == 0 { 0 } else { low(control_len) },
        })
    }

    pub fn buffer(&self) -> Result<Buffer<'static>> {
        Buffer::user_vec(self.iov, self.iov_len)
    }

    /// What the control messages bring along.
    pub fn ancillary(&self) -> Result<(Rights, Sender)> {
        let mut files = Vec::new();
        let mut sender = Sender::current();
        if self.control_len > CONTROL_MAX {
            return Err(Errno::ENOBUFS);
        }
        let bytes = self.control.read_vec(self.control_len)?;
        let mut rest = &bytes[..];
        while let Some((level, kind, data, next)) = first_control(rest)? {
            match (level, kind) {
                (SOL_SOCKET, SCM_RIGHTS) => {
                    if files.len() + data.len() / 4 > RIGHTS_MAX {
                        return Err(Errno::EINVAL);
                    }
                    for fd in data.chunks_exact(4) {
                        files.push(crate::fs::caller::file(i32::from_ne_bytes([
                            fd[0], fd[1], fd[2], fd[3],
                        ]))?);
                    }
                }
                (SOL_SOCKET, SCM_CREDENTIALS) => sender = Sender::claimed(data)?,
                (SOL_SOCKET, _) => return Err(Errno::EINVAL),
                // For somebody else.
                _ => {}
            }
            rest = next;
        }
        Ok((Rights::send(files)?, sender))
    }

    /// Tells the program what came besides the bytes: name, control messages, flags.
    pub fn finish(&self, received: Received, pass_credentials: bool, flags: u32) -> Result<()> {
        let mut result = if received.full > received.len {
            MSG_TRUNC
        } else {
            0
        };
        let field = |index: usize| self.at.field::<u32>(index * 8);
        if !self.name.is_null() {
            let len = match &received.from {
                Some(from) => {
                    super::address::write_up_to(Some(from), self.name, self.name_len as usize)?
                }
                None => 0,
            };
            field(1).write(len as u32)?;
        }
        let mut out = Control {
            header: self,
            used: 0,
        };
        if pass_credentials
            && let Some(sender) = received.sender
            && !out.put(SCM_CREDENTIALS, &sender.encode())
        {
            result |= MSG_CTRUNC;
        }
        if !received.files.is_empty() && !out.give(received.files, flags) {
            result |= MSG_CTRUNC;
        }
        field(5).write(out.used as u32)?;
        field(6).write(result | flags & MSG_CMSG_CLOEXEC)
    }
}

/// Control messages on their way to the program.
struct Control<'a> {
    header: &'a Header,
    used: usize,
}

impl Control<'_> {
    /// Adds a message; false if there is no room for it, or no memory where it should be.
    fn put(&mut self, kind: u32, data: &[u8]) -> bool {
        let len = HEADER + data.len();
        if self.used + len > self.header.control_len {
            return false;
        }
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&(len as u64).to_ne_bytes());
        bytes.extend_from_slice(&SOL_SOCKET.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(data);
        let at = self.header.control.offset(self.used);
        let put = at.write_slice(&bytes).is_ok();
        if put {
            self.used = (self.used + len)
                .next_multiple_of(8)
                .min(self.header.control_len);
        }
        put
    }

    /// Gives the program descriptors, as many as it has room and numbers for; false if that is not all. The rest is dropped.
    fn give(&mut self, files: Vec<Arc<File>>, flags: u32) -> bool {
        let room = self.header.control_len.saturating_sub(self.used + HEADER) / 4;
        let (mut numbers, mut given) = (Vec::new(), 0);
        for file in files.iter().take(room) {
            let Ok(fd) = caller::install(file.clone(), flags & MSG_CMSG_CLOEXEC != 0) else {
                break;
            };
            numbers.extend_from_slice(&fd.to_ne_bytes());
            given += 1;
        }
        if given > 0 && !self.put(SCM_RIGHTS, &numbers) {
            for (fd, file) in numbers.chunks_exact(4).zip(&files) {
                caller::take_back(i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]]), file);
            }
            given = 0;
        }
        given == files.len()
    }
}

/// Level, type, data, and what follows.
type ControlMessage<'a> = (u32, u32, &'a [u8], &'a [u8]);

/// The first control message of `bytes`; `None` at the end.
fn first_control(bytes: &[u8]) -> Result<Option<ControlMessage<'_>>> {
    if bytes.len() < HEADER {
        return Ok(None);
    }
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let len = word(0) as usize;
    if len < HEADER || len > bytes.len() {
        return Err(Errno::EINVAL);
    }
    let next = len.next_multiple_of(8).min(bytes.len());
    Ok(Some((
        word(8),
        word(12),
        &bytes[HEADER..len],
        &bytes[next..],
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_are_walked_and_checked() {
        let mut bytes = vec![
            20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
        ];
        bytes.extend_from_slice(&[16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        let (level, kind, data, rest) = first_control(&bytes).unwrap().unwrap();
        assert_eq!((level, kind, data), (1, 1, &[7u8, 0, 0, 0][..]));
        let (_, kind, data, rest) = first_control(rest).unwrap().unwrap();
        assert_eq!((kind, data, rest.len()), (2, &[][..], 0));
        assert_eq!(first_control(rest).unwrap(), None);
        assert_eq!(
            first_control(&[40, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]),
            Err(Errno::EINVAL)
        );
    }
}
