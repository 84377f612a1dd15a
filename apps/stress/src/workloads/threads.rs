//! Threads: many at once and in turn, with stacks and locals, in processes that end or execute while they run.

use std::cell::RefCell;
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::child::SWITCH;
use crate::support::{End, expect_end, spawn_status};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => many(rng),
        1 => locals(rng),
        2 => ends_with_threads(rng),
        3 => executes_with_threads(rng),
        _ => forks_in_threads(rng),
    }
}

/// Threads with deep and shallow stacks; each result arrives.
fn many(rng: &mut Rng) -> Result<()> {
    let depth = rng.usize(1..60);
    let threads: Vec<_> = (0..rng.usize(1..60))
        .map(|n| {
            let stack = 128 << 10;
            thread::Builder::new()
                .stack_size(stack)
                .spawn(move || deep(depth) + n)
                .context("a thread")
        })
        .collect::<Result<_>>()?;
    for (n, thread) in threads.into_iter().enumerate() {
        let found = thread.join().expect("panics end the process");
        ensure!(found == deep(depth) + n, "thread {n} gave {found}");
    }
    Ok(())
}

fn deep(depth: usize) -> usize {
    let frame = black_box([depth as u8; 500]);
    if depth == 0 {
        0
    } else {
        usize::from(frame[depth % 500]) + deep(depth - 1)
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
    }
}

thread_local! {
    static LOCAL: RefCell<Vec<Dropped>> = const { RefCell::new(Vec::new()) };
}

/// Every thread's locals are its own, and are destroyed with it.
fn locals(rng: &mut Rng) -> Result<()> {
    DROPPED.store(0, SeqCst);
    let counts: Vec<usize> = (0..rng.usize(1..30)).map(|_| rng.usize(1..50)).collect();
    let threads: Vec<_> = counts
        .iter()
        .map(|&count| {
            thread::spawn(move || {
                for _ in 0..count {
                    LOCAL.with_borrow_mut(|local| local.push(Dropped));
                    thread::yield_now();
                }
                LOCAL.with_borrow(Vec::len)
            })
        })
        .collect();
    for (thread, &count) in threads.into_iter().zip(&counts) {
        ensure!(
            thread.join().expect("panics end the process") == count,
            "another thread's locals"
        );
    }
    let (dropped, all) = (DROPPED.load(SeqCst), counts.iter().sum::<usize>());
    ensure!(dropped == all, "{dropped} of {all} locals were destroyed");
    Ok(())
}

/// Starts `count` threads that never end: computing, sleeping, allocating, waiting for each other.
fn restless(count: usize) {
    for n in 0..count {
        thread::spawn(move || {
            loop {
                match n % 4 {
                    0 => _ = black_box((0..1000).sum::<u64>()),
                    1 => thread::sleep(std::time::Duration::from_micros(300)),
                    2 => _ = black_box(vec![n; 2_000]),
                    _ => thread::yield_now(),
                }
            }
        });
    }
}

fn ends_with_threads(rng: &mut Rng) -> Result<()> {
    let (count, wait) = (rng.usize(1..12), rng.u64(..2_000));
    let ways = rng.u32(..3);
    let child = spawn_status(|| {
        restless(count);
        thread::sleep(std::time::Duration::from_micros(wait));
        if ways == 0 {
            // Not the first thread ends the process.
            thread::spawn(|| sys!(_exit(21)));
            loop {
                thread::yield_now();
            }
        }
        21
    })?;
    if ways == 2 {
        thread::sleep(std::time::Duration::from_micros(rng.u64(..4_000)));
        call!(kill(child, libc::SIGKILL))?;
        let end = crate::support::wait(child)?;
        ensure!(
            end == End::Signal(libc::SIGKILL) || end == End::Exit(21),
            "ended with {end:?}"
        );
        return Ok(());
    }
    expect_end(child, End::Exit(21))
}

/// exec leaves one thread, whichever of them calls it.
fn executes_with_threads(rng: &mut Rng) -> Result<()> {
    let (count, by_another) = (rng.usize(1..8), rng.bool());
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0("stress").args([SWITCH, "exit", "31"]);
    let child = spawn_status(move || {
        restless(count);
        if by_another {
            thread::spawn(move || command.exec());
            loop {
                thread::yield_now();
            }
        }
        println!("stress: exec: {}", command.exec());
        32
    })?;
    expect_end(child, End::Exit(31))
}

/// Threads that fork and wait, each for its own child.
fn forks_in_threads(rng: &mut Rng) -> Result<()> {
    let threads: Vec<_> = (0..rng.i32(1..8))
        .map(|n| {
            thread::spawn(move || -> Result<()> {
                for round in 0..3 {
                    let child = spawn_status(|| n * 3 + round)?;
                    expect_end(child, End::Exit(n * 3 + round))?;
                }
                Ok(())
            })
        })
        .collect();
    threads
        .into_iter()
        .try_for_each(|thread| thread.join().expect("panics end the process"))
}
