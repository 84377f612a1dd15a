//! Process creation and scheduling under load: families, orders of waiting, priorities, cores, ends by every way.

use std::hint::black_box;

use anyhow::{Result, ensure};
use fastrand::Rng;

use crate::support::{End, expect_end, pipe, read_full, spawn, spawn_status, wait, zeroed};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => many(rng),
        1 => generations(rng.u32(2..7)),
        2 => killed(rng),
        3 => scheduled(rng),
        _ => orphans(rng),
    }
}

/// Children that end at once, waited for in another order.
fn many(rng: &mut Rng) -> Result<()> {
    let mut children = Vec::new();
    for _ in 0..rng.u32(2..40) {
        let status = rng.i32(0..100);
        let size = rng.usize(1..50_000);
        let pid = spawn_status(|| {
            let data = black_box(vec![1u8; size]);
            i32::from(data.iter().map(|&b| usize::from(b)).sum::<usize>() != size) + status
        })?;
        children.push((pid, status));
    }
    rng.shuffle(&mut children);
    let by_name = rng.usize(..=children.len());
    for &(pid, status) in &children[..by_name] {
        expect_end(pid, End::Exit(status))?;
    }
    let mut rest: Vec<_> = children[by_name..].to_vec();
    while !rest.is_empty() {
        let mut found = 0;
        let pid = call!(waitpid(-1, &mut found, 0))? as i32;
        let Some(at) = rest.iter().position(|child| child.0 == pid) else {
            anyhow::bail!("waitpid found {pid}, which is no child");
        };
        let (_, status) = rest.swap_remove(at);
        ensure!(
            End::of(found) == End::Exit(status),
            "child {pid}: {:?}, not {status}",
            End::of(found)
        );
    }
    ensure!(
        sys!(waitpid(-1, std::ptr::null_mut(), 0)) == -1,
        "a child too many"
    );
    Ok(())
}

/// A child of a child of a child.
fn generations(depth: u32) -> Result<()> {
    let child = spawn(|| {
        if depth == 0 {
            Ok(())
        } else {
            generations(depth - 1)
        }
    })?;
    expect_end(child, End::Exit(0))
}

/// Children that would run for ever, computing or sleeping, killed at a random moment.
fn killed(rng: &mut Rng) -> Result<()> {
    let signals = [
        libc::SIGKILL,
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGALRM,
        libc::SIGABRT,
    ];
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..8) {
        let kind = rng.u32(..3);
        let pid = spawn_status(|| {
            loop {
                match kind {
                    0 => _ = black_box(vec![3u8; 20_000]),
                    1 => _ = sys!(pause()),
                    _ => _ = sys!(getppid()),
                }
            }
        })?;
        children.push((pid, signals[rng.usize(..signals.len())]));
    }
    std::thread::sleep(std::time::Duration::from_micros(rng.u64(..3_000)));
    for &(pid, signal) in &children {
        call!(kill(pid, signal))?;
    }
    for (pid, signal) in children {
        expect_end(pid, End::Signal(signal))?;
    }
    Ok(())
}

/// Priorities, cores and yields change while children compute; all come to their end.
fn scheduled(rng: &mut Rng) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..7) {
        let (nice, rounds, core) = (rng.i32(0..20), rng.u64(1..200), rng.usize(..cores));
        children.push(spawn(|| {
            ensure!(sys!(nice(nice)) != -1, "nice");
            let mut sum = 0u64;
            for round in 0..rounds {
                sum = (0..200).fold(sum, |sum, n| black_box(sum ^ (n * round)));
                match round % 8 {
                    0 => _ = sys!(sched_yield()),
                    3 => pin(core)?,
                    5 => pin((core + 1) % cores)?,
                    _ => {}
                }
            }
            black_box(sum);
            Ok(())
        })?);
    }
    children
        .into_iter()
        .try_for_each(|pid| expect_end(pid, End::Exit(0)))
}

/// The calling thread to one core; it is there at once.
fn pin(core: usize) -> Result<()> {
    let mut set: libc::cpu_set_t = zeroed();
    // SAFETY: plain bit operations on a live set.
    unsafe { libc::CPU_SET(core, &mut set) };
    call!(sched_setaffinity(0, size_of_val(&set), &set))?;
    let on = sys!(sched_getcpu());
    ensure!(on == core as i32, "pinned to core {core}, but on {on}");
    Ok(())
}

/// Children whose parent ends first: somebody adopts them, and they end by themselves.
fn orphans(rng: &mut Rng) -> Result<()> {
    let count = rng.usize(1..6);
    let (reader, writer) = pipe()?;
    let parent = spawn(|| {
        let own = std::process::id() as i32;
        for _ in 0..count {
            spawn(|| {
                while sys!(getppid()) == own {
                    sys!(usleep(100));
                }
                crate::support::write_full(&writer, &[7])
            })?;
        }
        Ok(())
    })?;
    drop(writer);
    let end = wait(parent)?;
    ensure!(end == End::Exit(0), "the parent ended with {end:?}");
    // The end of file comes when the last of them has closed its copy, by ending.
    let mut seen = vec![0; count + 1];
    let length = read_full(&reader, &mut seen)?;
    ensure!(length == count, "{length} of {count} orphans wrote");
    Ok(())
}
