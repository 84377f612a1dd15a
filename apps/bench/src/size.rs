//! Bytes of RAM that a process and a thread take, by what is free before and while many of them wait.

use std::{
    ffi::OsStr,
    fs,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use crate::{
    measure::{Measure, Sample},
    processes, sys,
};

/// The argument that makes this program say that it runs and then wait for the end of its input.
pub const WAIT: &str = "--wait-for-the-end";

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "ram_process",
        about: "RAM of a program that waits, spawned",
        limit: 60,
        run: spawned,
    },
    Measure {
        name: "ram_fork",
        about: "RAM of a forked copy that waits",
        limit: 60,
        run: forked,
    },
    Measure {
        name: "ram_thread",
        about: "RAM of a thread that waits",
        limit: 60,
        run: threads,
    },
];

/// Enough that what the kernel keeps in stock for a core weighs little.
const COUNT: usize = 400;
const ROUNDS: usize = 3;
/// Of a thread; only what it touches is RAM.
const STACK: usize = 64 << 10;

fn free() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|e| format!("/proc/meminfo: {e}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("MemFree:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| "/proc/meminfo has no MemFree".into())
}

/// What is free once the memory of processes that have ended has come back, which takes a kernel its
/// time: until it has been the same for a while.
fn settled() -> Result<u64, String> {
    let mut last = free()?;
    let mut same = 0;
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(20));
        let now = free()?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 5 {
            break;
        }
    }
    Ok(last)
}

/// What `start` took from the free memory, until it is dropped.
fn taken<T>(start: impl Fn() -> Result<T, String>) -> Result<Sample, String> {
    // As many stay: caches have filled when it counts, and each round is as the one before.
    let mut running = vec![start()?];
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = settled()?;
        running.push(start()?);
        rounds.push(before.saturating_sub(settled()?));
    }
    // Later copies by fork hold what ends the earlier ones.
    while running.pop().is_some() {}
    Ok(Sample {
        repetitions: COUNT as u64,
        rounds,
    })
}

/// Processes that wait until the pipe's end is closed.
struct Waiting {
    hold: Option<PipeWriter>,
    spawned: Vec<Child>,
    forked: Vec<i32>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.hold = None;
        for mut child in self.spawned.drain(..) {
            if let Err(error) = child.wait() {
                eprintln!("bench: a waiting process: {error}");
            }
        }
        for child in self.forked.drain(..) {
            if let Err(why) = sys::wait(child) {
                eprintln!("bench: a waiting process: {why}");
            }
        }
    }
}

type Pipe = (PipeReader, PipeWriter);

fn many(
    start: impl Fn(&Pipe, &Pipe, &mut Waiting) -> Result<(), String>,
) -> Result<Waiting, String> {
    let text = |error: io::Error| error.to_string();
    let held = io::pipe().map_err(text)?;
    let mut ready = io::pipe().map_err(text)?;
    let mut waiting = Waiting {
        hold: None,
        spawned: Vec::new(),
        forked: Vec::new(),
    };
    for _ in 0..COUNT {
        start(&held, &ready, &mut waiting)?;
    }
    waiting.hold = Some(held.1);
    ready
        .0
        .read_exact(&mut [0; COUNT])
        .map_err(|e| format!("waiting for {COUNT} processes: {e}"))?;
    Ok(waiting)
}

fn spawned() -> Result<Sample, String> {
    let program = processes::own_path()?;
    let program = OsStr::from_bytes(program.to_bytes());
    taken(|| {
        many(|held, ready, waiting| {
            let text = |error: io::Error| error.to_string();
            let child = Command::new(program)
                .arg0("bench")
                .arg(WAIT)
                .stdin(Stdio::from(held.0.try_clone().map_err(text)?))
                .stdout(Stdio::from(ready.1.try_clone().map_err(text)?))
                .spawn()
                .map_err(text)?;
            waiting.spawned.push(child);
            Ok(())
        })
    })
}

fn forked() -> Result<Sample, String> {
    taken(|| {
        many(|held, ready, waiting| {
            let child = sys::fork(|| {
                // The child's own copy would keep the pipe from ever ending.
                sys::close(held.1.as_raw_fd());
                i32::from(say_and_wait(&ready.1, &held.0).is_err())
            })?;
            waiting.forked.push(child);
            Ok(())
        })
    })
}

fn threads() -> Result<Sample, String> {
    taken(|| {
        let everybody = Arc::new(Barrier::new(COUNT + 1));
        let threads = (0..COUNT)
            .map(|_| {
                let everybody = Arc::clone(&everybody);
                thread::Builder::new().stack_size(STACK).spawn(move || {
                    everybody.wait();
                    everybody.wait();
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| format!("thread: {e}"))?;
        everybody.wait();
        Ok(Joined { everybody, threads })
    })
}

/// Threads at their barrier.
struct Joined {
    everybody: Arc<Barrier>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.everybody.wait();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("bench: a waiting thread panicked");
            }
        }
    }
}

/// What the spawned program does.
pub fn wait_for_the_end() -> ExitCode {
    match say_and_wait(io::stdout(), io::stdin()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say_and_wait(mut ready: impl Write, mut end: impl Read) -> io::Result<()> {
    ready.write_all(b"r")?;
    ready.flush()?;
    end.read(&mut [0]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_processes_take_memory_and_end() {
        // The test program does not know the argument, so only copies of it can be tried here.
        assert!(forked().is_ok());
        assert!(threads().is_ok());
    }
}
