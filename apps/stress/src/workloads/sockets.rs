//! Unix sockets: streams in both directions, datagrams, descriptors passed from process to process, servers with clients.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::support::{End, check, expect_end, fill, pipe, read_full, spawn, write_full, zeroed};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..4) {
        0 => streams(rng),
        1 => datagrams(rng),
        2 => server(rng),
        _ => passed(rng),
    }
}

/// Both directions of a pair at once, to a child.
fn streams(rng: &mut Rng) -> Result<()> {
    let (mut near, mut far) = UnixStream::pair()?;
    let (tag, total) = (rng.u64(..), rng.usize(1..200_000));
    let child = spawn(|| {
        let mut data = vec![0; total];
        far.read_exact(&mut data)?;
        check(tag, 0, &data)?;
        fill(!tag, 0, &mut data);
        Ok(far.write_all(&data)?)
    })?;
    drop(far);
    let mut data = vec![0; total];
    fill(tag, 0, &mut data);
    near.write_all(&data)?;
    data.clear();
    near.read_to_end(&mut data)?;
    ensure!(
        data.len() == total,
        "{} of {total} bytes came back",
        data.len()
    );
    check(!tag, 0, &data)?;
    expect_end(child, End::Exit(0))
}

fn datagrams(rng: &mut Rng) -> Result<()> {
    let (near, far) = UnixDatagram::pair()?;
    let messages: Vec<usize> = (0..rng.u32(1..80)).map(|_| rng.usize(1..3_000)).collect();
    let child = spawn(|| {
        for (index, &length) in messages.iter().enumerate() {
            let mut data = vec![0; length];
            fill(index as u64, 0, &mut data);
            far.send(&data)?;
        }
        Ok(())
    })?;
    let mut data = [0; 4_000];
    for (index, &length) in messages.iter().enumerate() {
        let found = crate::support::outcome("recv", || {
            sys!(recv(
                near.as_raw_fd(),
                data.as_mut_ptr().cast(),
                data.len(),
                0
            )) as i64
        })? as usize;
        ensure!(
            found == length,
            "message {index} has {found} bytes, not {length}"
        );
        check(index as u64, 0, &data[..found])?;
    }
    expect_end(child, End::Exit(0))
}

/// Clients that come all at once; one of them goes without a word.
fn server(rng: &mut Rng) -> Result<()> {
    let listener = UnixListener::bind("socket")?;
    let clients = rng.usize(1..12);
    let mut children = Vec::new();
    for number in 0..clients {
        let silent = rng.u32(..4) == 0;
        children.push(spawn(|| {
            let mut stream = UnixStream::connect("socket")?;
            if silent {
                return Ok(());
            }
            write_full(&stream, &[number as u8; 100])?;
            let mut answer = [0; 100];
            stream.read_exact(&mut answer)?;
            ensure!(
                answer.iter().all(|&b| b == number as u8 + 1),
                "another client's answer"
            );
            Ok(())
        })?);
    }
    thread::scope(|scope| {
        let serving: Vec<_> = (0..clients)
            .map(|_| -> Result<_> {
                let (mut stream, _) = listener.accept()?;
                Ok(scope.spawn(move || -> std::io::Result<()> {
                    let mut data = [0; 100];
                    match stream.read_exact(&mut data) {
                        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                            return Ok(());
                        }
                        other => other?,
                    }
                    data.iter_mut().for_each(|byte| *byte += 1);
                    stream.write_all(&data)
                }))
            })
            .collect::<Result<_>>()?;
        serving.into_iter().try_for_each(|thread| {
            thread
                .join()
                .expect("panics end the process")
                .context("serving")
        })
    })?;
    fs::remove_file("socket")?;
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))
}

/// A pipe's end travels to a child in a message; or is left in one that nobody reads.
fn passed(rng: &mut Rng) -> Result<()> {
    let (near, far) = UnixStream::pair()?;
    let (reader, writer) = pipe()?;
    if rng.u32(..3) == 0 {
        // The message goes with the socket, and the descriptor with the message.
        send_fd(&near, &writer)?;
        drop((near, far, writer));
        ensure!(read_full(&reader, &mut [0])? == 0, "data from nowhere");
        return Ok(());
    }
    let child = spawn(|| write_full(&receive_fd(&far)?, b"passed"))?;
    send_fd(&near, &writer)?;
    drop((writer, far));
    let mut data = [0; 7];
    let length = read_full(&reader, &mut data)?;
    ensure!(
        &data[..length] == b"passed",
        "through the passed pipe came {:?}",
        &data[..length]
    );
    expect_end(child, End::Exit(0))
}

const SPACE: usize = 64;

/// Room for one descriptor's control message, aligned as one.
#[repr(align(8))]
struct Control([u8; SPACE]);

fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: arithmetic only.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    message
}

fn send_fd(to: &UnixStream, fd: &OwnedFd) -> Result<()> {
    let (mut byte, mut control) = (1u8, Control([0; SPACE]));
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let message = message(&mut part, &mut control);
    // SAFETY: the control buffer has room for one header with one descriptor.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header)
            .cast::<i32>()
            .write_unaligned(fd.as_raw_fd());
    }
    call!(sendmsg(to.as_raw_fd(), &message, 0)).map(drop)
}

fn receive_fd(from: &UnixStream) -> Result<OwnedFd> {
    let (mut byte, mut control) = (0u8, Control([0; SPACE]));
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let mut message = message(&mut part, &mut control);
    let count = call!(recvmsg(
        from.as_raw_fd(),
        &mut message,
        libc::MSG_CMSG_CLOEXEC
    ))?;
    // SAFETY: the kernel has filled the control buffer in; the descriptor is this process's own.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        ensure!(
            count == 1 && !header.is_null(),
            "a message without its descriptor"
        );
        Ok(OwnedFd::from_raw_fd(
            libc::CMSG_DATA(header).cast::<i32>().read_unaligned(),
        ))
    }
}
