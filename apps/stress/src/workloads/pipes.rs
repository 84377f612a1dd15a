//! Pipe storms: chains of processes, many writers and one reader, sizes that change, ends that die.

use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use fastrand::Rng;

use crate::support::{
    End, check, errno, expect_end, fill, pipe, read_full, spawn, spawn_status, write_full,
};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => chain(rng),
        1 => writers(rng),
        2 => dying_writer(rng),
        3 => dying_reader(rng),
        _ => ping_pong(rng),
    }
}

/// Bytes through a chain of processes, each with buffers of its own size.
fn chain(rng: &mut Rng) -> Result<()> {
    let (tag, total) = (rng.u64(..), rng.usize(1..400_000));
    let (mut reader, writer) = pipe()?;
    let chunk = rng.usize(1..9_000).max(total / 500);
    let mut children = vec![spawn(|| {
        let mut data = vec![0; chunk];
        for start in (0..total).step_by(chunk) {
            let part = &mut data[..chunk.min(total - start)];
            fill(tag, start, part);
            write_full(&writer, part)?;
        }
        Ok(())
    })?];
    drop(writer);
    for _ in 0..rng.u32(..4) {
        let (next, writer) = pipe()?;
        if rng.u32(..3) == 0 {
            call!(fcntl(
                writer.as_raw_fd(),
                libc::F_SETPIPE_SZ,
                4096 << rng.u32(..5)
            ))?;
        }
        let (chunk, splices) = (rng.usize(500..20_000), rng.bool());
        children.push(spawn(|| {
            let mut data = vec![0; chunk];
            loop {
                let count = if splices {
                    let (from, to) = (reader.as_raw_fd(), writer.as_raw_fd());
                    call!(splice(
                        from,
                        std::ptr::null_mut(),
                        to,
                        std::ptr::null_mut(),
                        chunk,
                        0
                    ))? as usize
                } else {
                    let count =
                        call!(read(reader.as_raw_fd(), data.as_mut_ptr().cast(), chunk))? as usize;
                    write_full(&writer, &data[..count])?;
                    count
                };
                if count == 0 {
                    return Ok(());
                }
            }
        })?);
        drop(writer);
        reader = next;
    }
    let (mut at, mut data) = (0, vec![0; rng.usize(500..30_000)]);
    loop {
        let count = read_full(&reader, &mut data)?;
        check(tag, at, &data[..count])?;
        at += count;
        if count < data.len() {
            break;
        }
    }
    ensure!(at == total, "{at} of {total} bytes came through");
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))
}

/// Records of several writers arrive whole, each writer's in order.
fn writers(rng: &mut Rng) -> Result<()> {
    const RECORD: usize = 64;
    let (writers, records) = (rng.usize(2..7), rng.usize(10..300));
    let (reader, writer) = pipe()?;
    let mut children = Vec::new();
    for number in 0..writers {
        children.push(spawn(|| {
            for record in 0..records {
                let mut data = [number as u8; RECORD];
                data[1..9].copy_from_slice(&(record as u64).to_le_bytes());
                write_full(&writer, &data)?;
            }
            Ok(())
        })?);
    }
    drop(writer);
    let mut next = vec![0u64; writers];
    let mut data = [0; RECORD];
    while read_full(&reader, &mut data)? == RECORD {
        let number = usize::from(data[0]);
        let record = u64::from_le_bytes(data[1..9].try_into()?);
        ensure!(
            number < writers && data[9..].iter().all(|&b| b == data[0]),
            "a record is torn: {data:?}"
        );
        ensure!(
            next[number] == record,
            "writer {number}: record {record} came, not {}",
            next[number]
        );
        next[number] += 1;
    }
    ensure!(
        next.iter().all(|&n| n == records as u64),
        "records are missing: {next:?} of {records}"
    );
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))
}

/// A writer killed at any moment: what it wrote is there, then the end of file.
fn dying_writer(rng: &mut Rng) -> Result<()> {
    let (reader, writer) = pipe()?;
    let child = spawn_status(|| {
        let mut at = 0;
        let mut data = [0; 3_000];
        loop {
            fill(9, at, &mut data);
            if write_full(&writer, &data).is_err() {
                return 1;
            }
            at += data.len();
        }
    })?;
    drop(writer);
    let mut data = vec![0; rng.usize(1..100_000)];
    let count = read_full(&reader, &mut data)?;
    ensure!(count == data.len(), "{count} bytes of a writer without end");
    check(9, 0, &data)?;
    call!(kill(child, libc::SIGKILL))?;
    let mut at = count;
    loop {
        let mut data = [0; 5_000];
        let count = read_full(&reader, &mut data)?;
        check(9, at, &data[..count])?;
        at += count;
        if count < data.len() {
            break;
        }
    }
    expect_end(child, End::Signal(libc::SIGKILL))
}

/// A writer whose reader goes away gets the error, or dies of the signal.
fn dying_reader(rng: &mut Rng) -> Result<()> {
    let (reader, writer) = pipe()?;
    let ignores = rng.bool();
    let child = spawn_status(|| {
        sys!(close(reader.as_raw_fd()));
        sys!(signal(
            libc::SIGPIPE,
            if ignores {
                libc::SIG_IGN
            } else {
                libc::SIG_DFL
            }
        ));
        while write_full(&writer, &[1; 700]).is_ok() {}
        if errno() == libc::EPIPE { 4 } else { 5 }
    })?;
    drop(writer);
    let mut data = vec![0; rng.usize(1..80_000)];
    read_full(&reader, &mut data)?;
    drop(reader);
    expect_end(
        child,
        if ignores {
            End::Exit(4)
        } else {
            End::Signal(libc::SIGPIPE)
        },
    )
}

/// One byte to and fro.
fn ping_pong(rng: &mut Rng) -> Result<()> {
    let ((near, to_near), (far, to_far)) = (pipe()?, pipe()?);
    let rounds = rng.u32(10..600);
    let child = spawn(|| {
        let mut byte = [0];
        for _ in 0..rounds {
            ensure!(read_full(&far, &mut byte)? == 1, "no byte");
            byte[0] = byte[0].wrapping_add(1);
            write_full(&to_near, &byte)?;
        }
        Ok(())
    })?;
    let mut byte = [0];
    for round in 0..rounds {
        write_full(&to_far, &byte)?;
        ensure!(read_full(&near, &mut byte)? == 1, "no byte");
        ensure!(
            byte[0] == (round + 1) as u8,
            "round {round} brought {}",
            byte[0]
        );
    }
    expect_end(child, End::Exit(0))
}
