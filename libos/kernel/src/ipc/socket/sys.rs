//! The calls: decode, delegate, encode.

use super::address::{self, Given};
use super::connection::How;
use super::message::Header;
use super::rights::Rights;
use super::{Kind, Socket};
use crate::base::{Errno, Result};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps};
use crate::ipc::caller;
use crate::user::{Buffer, UserPtr};
use alloc::sync::Arc;

const SOCK_FLAGS: OpenFlags = OpenFlags::CLOEXEC.union(OpenFlags::NONBLOCK);
const ESOCKTNOSUPPORT: Errno = Errno(94);

/// A socket behind a descriptor, with the file for its flags.
struct Open(Arc<File>);

impl Open {
    fn get(fd: i32) -> Result<Open> {
        let file = caller::file(fd)?;
        match file.ops_as::<Socket>() {
            Some(_) => Ok(Open(file)),
            None => Err(Errno::ENOTSOCK),
        }
    }

    fn socket(&self) -> Result<&Socket> {
        self.0.ops_as::<Socket>().ok_or(Errno::ENOTSOCK)
    }
}

/// The kind and flags that `socket`'s second argument asks for.
fn decode(domain: i32, kind: i32, protocol: i32) -> Result<(Kind, OpenFlags)> {
    if domain != address::AF_UNIX as i32 {
        return Err(Errno::EAFNOSUPPORT);
    }
    let flags = OpenFlags::from_bits_retain(kind as u32 & !0xf);
    if !SOCK_FLAGS.contains(flags) {
        return Err(Errno::EINVAL);
    }
    if !matches!(protocol, 0 | 1) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind & 0xf {
        1 => Ok((Kind::Stream, flags)),
        // Raw local sockets are datagrams, as on Linux.
        2 | 3 => Ok((Kind::Datagram, flags)),
        5 => Ok((Kind::SeqPacket, flags)),
        _ => Err(ESOCKTNOSUPPORT),
    }
}

fn open(socket: Arc<Socket>, flags: OpenFlags) -> Arc<File> {
    File::anonymous(
        socket as Arc<dyn FileOps>,
        OpenFlags::RDWR | flags & OpenFlags::NONBLOCK,
    )
}

pub fn sys_socket(domain: i32, kind: i32, protocol: i32) -> Result<usize> {
    let (kind, flags) = decode(domain, kind, protocol)?;
    let file = open(Socket::new(kind), flags);
    Ok(caller::install(file, flags.contains(OpenFlags::CLOEXEC))? as usize)
}

pub fn sys_socketpair(
    domain: i32,
    kind: i32,
    protocol: i32,
    fds: UserPtr<[i32; 2]>,
) -> Result<usize> {
    let (kind, flags) = decode(domain, kind, protocol)?;
    let pair = Socket::pair(kind).map(|socket| open(socket, flags));
    caller::install_pair(pair, flags.contains(OpenFlags::CLOEXEC), fds)
}

pub fn sys_bind(fd: i32, address: UserPtr<u8>, len: u32) -> Result<usize> {
    Open::get(fd)?.socket()?.bind(Given::read(address, len)?)?;
    Ok(0)
}

pub fn sys_listen(fd: i32, backlog: i32) -> Result<usize> {
    Open::get(fd)?.socket()?.listen(backlog)?;
    Ok(0)
}

pub fn sys_connect(fd: i32, address: UserPtr<u8>, len: u32) -> Result<usize> {
    let open = Open::get(fd)?;
    open.socket()?
        .connect(&open.0, Given::read(address, len)?)?;
    Ok(0)
}

pub fn sys_accept4(fd: i32, address: UserPtr<u8>, len: UserPtr<u32>, flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits_retain(flags);
    if !SOCK_FLAGS.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let listener = Open::get(fd)?;
    // Without a number for it the connection stays where it is, for a later call.
    caller::check_room()?;
    let accepted = listener.socket()?.accept(&listener.0)?;
    let name = accepted.state.lock().peer_name.clone();
    // Before anything can fail: the connection then ends as one that was open.
    let file = open(accepted, flags);
    address::write(name.as_deref(), address, len)?;
    Ok(caller::install(file, flags.contains(OpenFlags::CLOEXEC))? as usize)
}

pub fn sys_accept(fd: i32, address: UserPtr<u8>, len: UserPtr<u32>) -> Result<usize> {
    sys_accept4(fd, address, len, 0)
}

pub fn sys_getsockname(fd: i32, address: UserPtr<u8>, len: UserPtr<u32>) -> Result<usize> {
    let open = Open::get(fd)?;
    let name = open.socket()?.state.lock().name.clone();
    address::write(name.as_deref(), address, len)?;
    Ok(0)
}

pub fn sys_getpeername(fd: i32, address: UserPtr<u8>, len: UserPtr<u32>) -> Result<usize> {
    let open = Open::get(fd)?;
    let socket = open.socket()?;
    let name = {
        let state = socket.state.lock();
        if !matches!(state.role, super::Role::Connected(_)) {
            return Err(Errno::ENOTCONN);
        }
        state.peer_name.clone()
    };
    address::write(name.as_deref(), address, len)?;
    Ok(0)
}

pub fn sys_shutdown(fd: i32, how: i32) -> Result<usize> {
    let how = match how {
        0 => How::Receive,
        1 => How::Send,
        2 => How::Both,
        _ => return Err(Errno::EINVAL),
    };
    Open::get(fd)?.socket()?.shutdown(how);
    Ok(0)
}

pub fn sys_sendto(
    fd: i32,
    data: usize,
    len: usize,
    flags: u32,
    address: UserPtr<u8>,
    address_len: u32,
) -> Result<usize> {
    let open = Open::get(fd)?;
    let socket = open.socket()?;
    let to = match address.option() {
        Some(address) => Some(Given::read(address, address_len)?),
        None => None,
    };
    let sender = super::message::Sender::current();
    let mut buf = Buffer::user(data, len)?;
    socket.send(
        &mut buf,
        socket.send_options(&open.0, flags),
        to,
        (Rights::default(), sender),
    )
}

pub fn sys_recvfrom(
    fd: i32,
    data: usize,
    len: usize,
    flags: u32,
    address: UserPtr<u8>,
    address_len: UserPtr<u32>,
) -> Result<usize> {
    let open = Open::get(fd)?;
    let socket = open.socket()?;
    let received = socket.receive(
        &mut Buffer::user(data, len)?,
        socket.receive_options(&open.0, flags),
    )?;
    if !address.is_null() {
        match &received.from {
            Some(from) => address::write(Some(from), address, address_len)?,
            None => address_len.write(0)?,
        }
    }
    Ok(if flags & super::transfer::MSG_TRUNC != 0 {
        received.full
    } else {
        received.len
    })
}

pub fn sys_sendmsg(fd: i32, message: UserPtr<[usize; 7]>, flags: u32) -> Result<usize> {
    let open = Open::get(fd)?;
    let socket = open.socket()?;
    let header = Header::read(message)?;
    let to = match header.name.option() {
        Some(name) if header.name_len > 0 => Some(Given::read(name, header.name_len)?),
        _ => None,
    };
    let ancillary = header.ancillary()?;
    socket.send(
        &mut header.buffer()?,
        socket.send_options(&open.0, flags),
        to,
        ancillary,
    )
}

pub fn sys_recvmsg(fd: i32, message: UserPtr<[usize; 7]>, flags: u32) -> Result<usize> {
    let open = Open::get(fd)?;
    let socket = open.socket()?;
    let header = Header::read(message)?;
    let received = socket.receive(
        &mut header.buffer()?,
        socket.receive_options(&open.0, flags),
    )?;
    let n = if flags & super::transfer::MSG_TRUNC != 0 {
        received.full
    } else {
        received.len
    };
    let pass = socket.state.lock().pass_credentials;
    header.finish(received, pass, flags)?;
    Ok(n)
}

pub fn sys_setsockopt(
    fd: i32,
    level: i32,
    name: i32,
    value: UserPtr<u8>,
    len: u32,
) -> Result<usize> {
    Open::get(fd)?
        .socket()?
        .set_option(level, name, value, len)?;
    Ok(0)
}

pub fn sys_getsockopt(
    fd: i32,
    level: i32,
    name: i32,
    value: UserPtr<u8>,
    len: UserPtr<u32>,
) -> Result<usize> {
    let open = Open::get(fd)?;
    let bytes = open.socket()?.get_option(level, name)?;
    let room = len.read()?;
    if (room as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let n = bytes.len().min(room as usize);
    value.write_slice(&bytes[..n])?;
    len.write(n as u32)?;
    Ok(0)
}
