//! Threads that talk: crossbeam's channels, scoped threads, deques and atomics.

use crossbeam::channel::{after, bounded, select, tick, unbounded};
use crossbeam::deque::{Steal, Stealer, Worker};
use crossbeam::queue::ArrayQueue;
use crossbeam::sync::WaitGroup;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ITEMS: u64 = 10_000;

/// Several producers, several consumers, one bounded channel.
fn channels() -> u64 {
    let (sender, receiver) = bounded(16);
    let (results, totals) = unbounded();
    crossbeam::scope(|scope| {
        for producer in 0..4 {
            let sender = sender.clone();
            scope.spawn(move |_| (0..ITEMS / 4).try_for_each(|n| sender.send(n * 4 + producer)));
        }
        for _ in 0..3 {
            let (receiver, results) = (receiver.clone(), results.clone());
            scope.spawn(move |_| results.send(receiver.iter().sum::<u64>()));
        }
        drop((sender, receiver, results));
    })
    .expect("no thread panics");
    totals.iter().sum()
}

/// Workers that steal each other's work.
fn stealing() -> u64 {
    let workers: Vec<Worker<u64>> = (0..4).map(|_| Worker::new_fifo()).collect();
    let stealers: Vec<Stealer<u64>> = workers.iter().map(Worker::stealer).collect();
    // All the work lies with one of them.
    (0..ITEMS).for_each(|n| workers[0].push(n));
    let total = AtomicU64::new(0);
    crossbeam::scope(|scope| {
        for worker in workers {
            let (stealers, total) = (&stealers, &total);
            scope.spawn(move |_| {
                loop {
                    let task = worker.pop().or_else(|| {
                        let attempts = stealers.iter().map(|s| s.steal_batch_and_pop(&worker));
                        match attempts.collect::<Steal<u64>>() {
                            Steal::Success(task) => Some(task),
                            Steal::Empty => None,
                            Steal::Retry => Some(0),
                        }
                    });
                    let Some(task) = task else { break };
                    total.fetch_add(task, Ordering::Relaxed);
                }
            });
        }
    })
    .expect("no thread panics");
    total.into_inner()
}

/// Timers and a message in one `select!`.
fn timing() -> (u32, bool) {
    let start = Instant::now();
    let (ticks, end) = (
        tick(Duration::from_millis(5)),
        after(Duration::from_millis(60)),
    );
    let mut count = 0;
    loop {
        select! {
            recv(ticks) -> _ => count += 1,
            recv(end) -> _ => return (count, start.elapsed() >= Duration::from_millis(60)),
        }
    }
}

/// A queue without locks, filled and emptied at once.
fn queue() -> u64 {
    let queue = ArrayQueue::new(64);
    let total = AtomicU64::new(0);
    let group = WaitGroup::new();
    crossbeam::scope(|scope| {
        for _ in 0..2 {
            let group = group.clone();
            scope.spawn(|_| {
                for n in 0..ITEMS / 2 {
                    while queue.push(n).is_err() {
                        std::thread::yield_now();
                    }
                }
                drop(group);
            });
        }
        scope.spawn(|_| {
            for _ in 0..ITEMS / 2 * 2 {
                let n = loop {
                    match queue.pop() {
                        Some(n) => break n,
                        None => std::thread::yield_now(),
                    }
                };
                total.fetch_add(n, Ordering::Relaxed);
            }
        });
        group.wait();
    })
    .expect("no thread panics");
    total.into_inner()
}

fn main() -> ExitCode {
    let all = ITEMS * (ITEMS - 1) / 2;
    let half = ITEMS / 2;
    let (ticks, long_enough) = timing();
    let results = [
        ("channels", channels() == all),
        ("work stealing", stealing() == all),
        ("timers", ticks >= 1 && long_enough),
        ("lock-free queue", queue() == half * (half - 1)),
    ];
    for (what, right) in results {
        println!("{what}: {}", if right { "ok" } else { "WRONG" });
    }
    let wrong = results.iter().filter(|(_, right)| !right).count();
    println!("demo-crossbeam: {wrong} wrong");
    ExitCode::from(wrong as u8)
}
