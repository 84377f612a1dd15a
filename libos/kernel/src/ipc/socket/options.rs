//! Socket options (socket(7), unix(7)).

use super::{Kind, Role, Socket};
use crate::base::{Errno, Result};
use crate::user::UserPtr;
use alloc::vec::Vec;

const SOL_SOCKET: i32 = 1;
const SO_DEBUG: i32 = 1;
const SO_REUSEADDR: i32 = 2;
const SO_TYPE: i32 = 3;
const SO_ERROR: i32 = 4;
const SO_DONTROUTE: i32 = 5;
const SO_BROADCAST: i32 = 6;
const SO_SNDBUF: i32 = 7;
const SO_RCVBUF: i32 = 8;
const SO_KEEPALIVE: i32 = 9;
const SO_LINGER: i32 = 13;
const SO_PASSCRED: i32 = 16;
const SO_PEERCRED: i32 = 17;
const SO_RCVTIMEO: i32 = 20;
const SO_SNDTIMEO: i32 = 21;
const SO_ACCEPTCONN: i32 = 30;
const SO_SNDBUFFORCE: i32 = 32;
const SO_RCVBUFFORCE: i32 = 33;
const SO_PROTOCOL: i32 = 38;
const SO_DOMAIN: i32 = 39;

/// Smallest and largest buffer that may be asked for, doubled as Linux does.
const BUFFER: core::ops::RangeInclusive<usize> = 4608..=425_984;

/// A `timeval` as ns; zero is no limit.
fn timeout(bytes: &[u8]) -> Result<Option<u64>> {
    let word = |at: usize| {
        bytes
            .get(at..at + 8)
            .and_then(|b| b.try_into().ok())
            .map(i64::from_ne_bytes)
    };
    let (Some(sec), Some(usec)) = (word(0), word(8)) else {
        return Err(Errno::EINVAL);
    };
    if !(0..1_000_000).contains(&usec) {
        return Err(Errno::EDOM);
    }
    let ns = (sec.max(0) as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(usec as u64 * 1000);
    Ok((ns > 0).then_some(ns))
}

fn timeval(ns: Option<u64>) -> Vec<u8> {
    let ns = ns.unwrap_or(0);
    [
        (ns / 1_000_000_000).to_ne_bytes(),
        (ns / 1000 % 1_000_000).to_ne_bytes(),
    ]
    .concat()
}

impl Socket {
    pub(super) fn set_option(
        &self,
        level: i32,
        name: i32,
        at: UserPtr<u8>,
        len: u32,
    ) -> Result<()> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let bytes = at.read_vec((len as usize).min(16))?;
        let number = || match bytes.get(..4) {
            Some(b) => Ok(i32::from_ne_bytes([b[0], b[1], b[2], b[3]])),
            None => Err(Errno::EINVAL),
        };
        match name {
            SO_PASSCRED => self.state.lock().pass_credentials = number()? != 0,
            SO_RCVTIMEO => self.state.lock().receive_timeout = timeout(&bytes)?,
            SO_SNDTIMEO => self.state.lock().send_timeout = timeout(&bytes)?,
            SO_RCVBUF | SO_RCVBUFFORCE => {
                let size = (number()?.max(0) as usize)
                    .saturating_mul(2)
                    .clamp(*BUFFER.start(), *BUFFER.end());
                self.state.lock().limit = size;
                self.room.wake_all();
            }
            // What is sent lies in the receiver's buffer; there is none of one's own to size.
            SO_SNDBUF | SO_SNDBUFFORCE => {
                number()?;
            }
            // These mean something to networks only; Linux takes them from any socket.
            SO_DEBUG | SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_LINGER => {
                number()?;
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    pub(super) fn get_option(&self, level: i32, name: i32) -> Result<Vec<u8>> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.state.lock();
        let number = |n: i32| Ok(n.to_ne_bytes().to_vec());
        match name {
            SO_TYPE => number(self.kind as i32),
            SO_DOMAIN => number(super::address::AF_UNIX.into()),
            SO_PROTOCOL | SO_DEBUG | SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE => {
                number(0)
            }
            SO_ERROR => number(state.error.take().map_or(0, |e| e.0)),
            SO_SNDBUF | SO_RCVBUF => number(state.limit as i32),
            SO_ACCEPTCONN => number(matches!(state.role, Role::Listening { .. }) as i32),
            SO_PASSCRED => number(state.pass_credentials as i32),
            SO_RCVTIMEO => Ok(timeval(state.receive_timeout)),
            SO_SNDTIMEO => Ok(timeval(state.send_timeout)),
            SO_LINGER => Ok(alloc::vec![0; 8]),
            SO_PEERCRED => match state.peer {
                Some(peer)
                    if self.kind != Kind::Datagram || matches!(state.role, Role::Connected(_)) =>
                {
                    Ok(peer.encode().to_vec())
                }
                // Nobody: pid 0 and the ids that stand for none.
                _ => Ok([0u32, u32::MAX, u32::MAX].map(u32::to_ne_bytes).concat()),
            },
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}
