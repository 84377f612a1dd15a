//! Waiting for many things at once: epoll over pipes, eventfds and timerfds, poll, and pseudo-terminals.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use anyhow::{Result, ensure};
use fastrand::Rng;

use crate::support::{End, c, expect_end, owned, pipe, read_full, spawn, write_full, zeroed};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..4) {
        0 => pipes(rng),
        1 => counters(rng),
        2 => timers(rng),
        _ => terminal(rng),
    }
}

fn epoll() -> Result<OwnedFd> {
    Ok(owned(call!(epoll_create1(libc::EPOLL_CLOEXEC))?))
}

fn add(epoll: &OwnedFd, fd: &OwnedFd, events: i32, data: u64) -> Result<()> {
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: data,
    };
    call!(epoll_ctl(
        epoll.as_raw_fd(),
        libc::EPOLL_CTL_ADD,
        fd.as_raw_fd(),
        &mut event
    ))
    .map(drop)
}

/// What is ready, waiting for it.
fn ready(epoll: &OwnedFd) -> Result<Vec<(u64, u32)>> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
    let count = call!(epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), 16, -1))?;
    Ok(events[..count as usize]
        .iter()
        .map(|event| (event.u64, event.events))
        .collect())
}

/// Pipes of several children under one epoll; every byte and every hang-up is seen.
fn pipes(rng: &mut Rng) -> Result<()> {
    let epoll = epoll()?;
    let bytes = rng.usize(1..4_000);
    let (mut readers, mut children) = (Vec::new(), Vec::new());
    for number in 0..rng.usize(1..10) {
        let (reader, writer) = pipe()?;
        add(&epoll, &reader, libc::EPOLLIN, number as u64)?;
        children.push(spawn(|| {
            for _ in 0..bytes.div_ceil(100) {
                write_full(&writer, &[number as u8; 100])?;
                if number % 2 == 0 {
                    thread::yield_now();
                }
            }
            Ok(())
        })?);
        readers.push(Some((reader, 0)));
    }
    let mut open = readers.len();
    while open > 0 {
        for (number, _) in ready(&epoll)? {
            let place = &mut readers[number as usize];
            let Some((reader, seen)) = place.as_mut() else {
                anyhow::bail!("pipe {number} is closed and yet ready");
            };
            let mut data = [0; 300];
            let count = call!(read(
                reader.as_raw_fd(),
                data.as_mut_ptr().cast(),
                data.len()
            ))? as usize;
            ensure!(
                data[..count].iter().all(|&b| b == number as u8),
                "another pipe's bytes"
            );
            *seen += count;
            if count == 0 {
                ensure!(
                    *seen == bytes.div_ceil(100) * 100,
                    "{seen} bytes of {bytes}"
                );
                // Later children have copies of the descriptor: closing ours does not take it out.
                let (del, fd) = (libc::EPOLL_CTL_DEL, reader.as_raw_fd());
                call!(epoll_ctl(epoll.as_raw_fd(), del, fd, std::ptr::null_mut()))?;
                *place = None;
                open -= 1;
            }
        }
    }
    children
        .into_iter()
        .try_for_each(|child| expect_end(child, End::Exit(0)))
}

/// Threads add to eventfds, edge-triggered; the sum is right.
fn counters(rng: &mut Rng) -> Result<()> {
    let epoll = epoll()?;
    let (threads, rounds) = (rng.usize(1..6), rng.u64(1..300));
    let counters: Vec<OwnedFd> = (0..threads)
        .map(|_| {
            Ok(owned(call!(eventfd(
                0,
                libc::EFD_CLOEXEC | libc::EFD_NONBLOCK
            ))?))
        })
        .collect::<Result<_>>()?;
    for (number, counter) in counters.iter().enumerate() {
        add(
            &epoll,
            counter,
            libc::EPOLLIN | libc::EPOLLET,
            number as u64,
        )?;
    }
    let expected = threads as u64 * rounds * (rounds + 1) / 2;
    let sum = thread::scope(|scope| -> Result<u64> {
        for counter in &counters {
            scope.spawn(move || {
                (1..=rounds).try_for_each(|n| write_full(counter, &n.to_ne_bytes()))
            });
        }
        let mut sum = 0;
        while sum < expected {
            for (number, _) in ready(&epoll)? {
                let mut value = [0; 8];
                // A second edge may come for what the first read took.
                if sys!(read(
                    counters[number as usize].as_raw_fd(),
                    value.as_mut_ptr().cast(),
                    8
                )) == 8
                {
                    sum += u64::from_ne_bytes(value);
                }
            }
        }
        Ok(sum)
    })?;
    ensure!(sum == expected, "the counters gave {sum}, not {expected}");
    Ok(())
}

/// Periodic timers under epoll tick as often as they say.
fn timers(rng: &mut Rng) -> Result<()> {
    let epoll = epoll()?;
    let mut timers = Vec::new();
    for number in 0..rng.usize(1..12) {
        let timer = owned(call!(timerfd_create(
            libc::CLOCK_MONOTONIC,
            libc::TFD_CLOEXEC
        ))?);
        let every = libc::timespec {
            tv_sec: 0,
            tv_nsec: rng.i64(200_000..5_000_000) as _,
        };
        let spec = libc::itimerspec {
            it_interval: every,
            it_value: every,
        };
        call!(timerfd_settime(
            timer.as_raw_fd(),
            0,
            &spec,
            std::ptr::null_mut()
        ))?;
        add(&epoll, &timer, libc::EPOLLIN, number as u64)?;
        timers.push((timer, 0u64));
    }
    let wanted = rng.u64(1..12);
    while timers.iter().any(|(_, ticks)| *ticks < wanted) {
        for (number, _) in ready(&epoll)? {
            let (timer, ticks) = &mut timers[number as usize];
            let mut value = [0; 8];
            ensure!(read_full(timer, &mut value)? == 8, "half a number");
            let more = u64::from_ne_bytes(value);
            ensure!(more > 0, "timer {number} was ready and had not ticked");
            *ticks += more;
        }
    }
    Ok(())
}

/// Lines through a pseudo-terminal, and the hang-up when its other side is gone.
fn terminal(rng: &mut Rng) -> Result<()> {
    let master = owned(call!(posix_openpt(
        libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC
    ))?);
    call!(grantpt(master.as_raw_fd()))?;
    call!(unlockpt(master.as_raw_fd()))?;
    let mut name = [0u8; 64];
    ensure!(
        sys!(ptsname_r(
            master.as_raw_fd(),
            name.as_mut_ptr().cast(),
            name.len()
        )) == 0,
        "ptsname_r"
    );
    let path = String::from_utf8(name.iter().copied().take_while(|&b| b != 0).collect())?;
    let slave = owned(call!(open(
        c(&path).as_ptr(),
        libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC
    ))?);
    let mut modes: libc::termios = zeroed();
    call!(tcgetattr(slave.as_raw_fd(), &mut modes))?;
    modes.c_lflag &= !libc::ECHO;
    modes.c_oflag &= !libc::OPOST;
    call!(tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &modes))?;
    let lines = rng.usize(1..60);
    let child = spawn(|| {
        let mut data = [0; 200];
        for line in 0..lines {
            let count = call!(read(
                slave.as_raw_fd(),
                data.as_mut_ptr().cast(),
                data.len()
            ))? as usize;
            let expected = format!("line {line}\n");
            ensure!(
                &data[..count] == expected.as_bytes(),
                "the terminal gave {:?}",
                &data[..count]
            );
            write_full(&slave, &data[..count])?;
        }
        Ok(())
    })?;
    for line in 0..lines {
        let text = format!("line {line}\n");
        write_full(&master, text.as_bytes())?;
        let mut back = vec![0; text.len()];
        read_full(&master, &mut back)?;
        ensure!(back == text.as_bytes(), "line {line} came back as {back:?}");
    }
    expect_end(child, End::Exit(0))?;
    drop(slave);
    let gone = sys!(read(master.as_raw_fd(), name.as_mut_ptr().cast(), 1));
    ensure!(
        gone == -1 && crate::support::errno() == libc::EIO,
        "no hang-up: {gone}"
    );
    Ok(())
}
