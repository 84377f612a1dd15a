//! Names of local sockets (unix(7), "Address format"), and who answers to them.

use super::Socket;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::inode::NewKind;
use crate::fs::walk::{Follow, Walk, lookup};
use crate::fs::{Dev, FileType, Path, caller, namespace, permission};
use crate::user::UserPtr;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

pub const AF_UNSPEC: u16 = 0;
pub const AF_UNIX: u16 = 1;
/// `sizeof(sockaddr_un)`.
const ADDRESS_MAX: usize = 110;

/// What a program wrote into a `sockaddr_un`.
#[derive(PartialEq, Eq, Debug)]
pub enum Given {
    /// `AF_UNSPEC`: `connect` lets go of the peer.
    Unspecified,
    /// Nothing but the family: `bind` makes a name up.
    Autobind,
    Path(Vec<u8>),
    Abstract(Vec<u8>),
}

/// What a socket is known by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Abstract(Vec<u8>),
    File(Dev, u64),
}

/// The name of a bound socket.
pub struct Address {
    key: Key,
    /// As programs see it: `sun_path`.
    text: Vec<u8>,
}

static BOUND: SpinLock<BTreeMap<Key, Weak<Socket>>> = SpinLock::new(BTreeMap::new());

impl Given {
    /// Reads an address of `len` bytes.
    pub fn read(at: UserPtr<u8>, len: u32) -> Result<Given> {
        let len = len as usize;
        if !(2..=ADDRESS_MAX).contains(&len) {
            return Err(Errno::EINVAL);
        }
        Self::parse(&at.read_vec(len)?)
    }

    fn parse(bytes: &[u8]) -> Result<Given> {
        let (family, text) = bytes.split_at(2);
        match u16::from_ne_bytes([family[0], family[1]]) {
            AF_UNSPEC => return Ok(Given::Unspecified),
            AF_UNIX => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(match text {
            [] => Given::Autobind,
            [0, name @ ..] => Given::Abstract(name.to_vec()),
            path => Given::Path(path.iter().copied().take_while(|&b| b != 0).collect()),
        })
    }

    /// The socket that answers to this name.
    pub fn resolve(&self) -> Result<Arc<Socket>> {
        let key = match self {
            Given::Unspecified | Given::Autobind => return Err(Errno::EINVAL),
            Given::Abstract(name) => Key::Abstract(name.clone()),
            Given::Path(path) => {
                let scope = caller::scope();
                let found = lookup(&scope, caller::cwd(), path, Follow::Yes)?;
                if found.inode().kind() != FileType::Socket {
                    return Err(Errno::ECONNREFUSED);
                }
                permission::check(found.inode().as_ref(), &scope.creds, permission::WRITE)?;
                key_of(&found)?
            }
        };
        BOUND
            .lock()
            .get(&key)
            .and_then(Weak::upgrade)
            .ok_or(Errno::ECONNREFUSED)
    }
}

fn key_of(path: &Path) -> Result<Key> {
    let m = path.inode().metadata()?;
    Ok(Key::File(m.dev, m.ino))
}

impl Address {
    /// Gives `socket` the name; `EADDRINUSE` if somebody has it.
    pub fn bind(given: Given, socket: &Weak<Socket>) -> Result<Address> {
        match given {
            Given::Unspecified => Err(Errno::EINVAL),
            Given::Abstract(name) => {
                let text = [&[0], &name[..]].concat();
                Self::claim(Key::Abstract(name), text, socket)
            }
            Given::Autobind => (0..1u32 << 20)
                .find_map(|n| {
                    let name = alloc::format!("{n:05x}").into_bytes();
                    let text = [&[0], &name[..]].concat();
                    Self::claim(Key::Abstract(name), text, socket).ok()
                })
                .ok_or(Errno::ENOSPC),
            Given::Path(path) => {
                let scope = caller::scope();
                let walk = Walk::new(&scope, caller::cwd(), &path)?;
                let made = namespace::create(walk, &scope, NewKind::Socket, 0o777).map_err(
                    |e| match e {
                        Errno::EEXIST => Errno::EADDRINUSE,
                        e => e,
                    },
                )?;
                let key = key_of(&made)?;
                // The number may have been another socket's whose file was removed.
                BOUND.lock().remove(&key);
                let text = [&path[..], &[0]].concat();
                Self::claim(key, text, socket)
            }
        }
    }

    fn claim(key: Key, text: Vec<u8>, socket: &Weak<Socket>) -> Result<Address> {
        match BOUND.lock().entry(key.clone()) {
            Entry::Occupied(e) if e.get().strong_count() > 0 => return Err(Errno::EADDRINUSE),
            Entry::Occupied(mut e) => {
                e.insert(socket.clone());
            }
            Entry::Vacant(e) => {
                e.insert(socket.clone());
            }
        }
        Ok(Address { key, text })
    }

    /// Lets the name go. (The file of a path stays, as on Linux.)
    pub fn release(&self, socket: &Weak<Socket>) {
        let mut bound = BOUND.lock();
        if bound
            .get(&self.key)
            .is_some_and(|s| Weak::ptr_eq(s, socket))
        {
            bound.remove(&self.key);
        }
    }
}

/// Writes an address (`None`: that of a socket without a name) where a program wants it; `len` holds the room there, and gets
/// the length that the whole address has.
pub fn write(address: Option<&Address>, at: UserPtr<u8>, len: UserPtr<u32>) -> Result<()> {
    if at.is_null() {
        return Ok(());
    }
    let room = len.read()?;
    if room as i32 as i64 != room as i64 {
        return Err(Errno::EINVAL);
    }
    len.write(write_up_to(address, at, room as usize)? as u32)
}

/// As [`write`], into `room` bytes; returns the length of the whole.
pub fn write_up_to(address: Option<&Address>, at: UserPtr<u8>, room: usize) -> Result<usize> {
    let text = address.map_or(&[][..], |a| &a.text);
    let bytes = [&AF_UNIX.to_ne_bytes(), text].concat();
    at.write_slice(&bytes[..bytes.len().min(room)])?;
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(
            Given::parse(b"\x01\0/tmp/s\0junk"),
            Ok(Given::Path(b"/tmp/s".to_vec()))
        );
        assert_eq!(
            Given::parse(b"\x01\0\0name\0"),
            Ok(Given::Abstract(b"name\0".to_vec()))
        );
        assert_eq!(Given::parse(b"\x01\0"), Ok(Given::Autobind));
        assert_eq!(Given::parse(b"\0\0"), Ok(Given::Unspecified));
        assert_eq!(Given::parse(b"\x02\0\0\0"), Err(Errno::EINVAL));
    }
}
