//! Asynchronous Rust with tokio: tasks on several threads, timers, channels, child processes, sockets,
//! pipes and signals. Each part checks its own results.

mod unix;

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{interval, sleep, timeout};

const TASKS: u64 = 1000;

/// A thousand tasks that yield to each other.
async fn tasks() -> bool {
    let handles: Vec<_> = (0..TASKS)
        .map(|n| {
            tokio::spawn(async move {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                n
            })
        })
        .collect();
    let mut sum = 0;
    for handle in handles {
        sum += handle.await.unwrap_or(0);
    }
    sum == TASKS * (TASKS - 1) / 2
}

/// Fifty sleepers sleep at once, not one after the other.
async fn timers() -> bool {
    let start = Instant::now();
    let sleepers: Vec<_> = (0..50)
        .map(|n| tokio::spawn(sleep(Duration::from_millis(20 + n))))
        .collect();
    for sleeper in sleepers {
        if sleeper.await.is_err() {
            return false;
        }
    }
    let mut ticks = interval(Duration::from_millis(5));
    for _ in 0..5 {
        ticks.tick().await;
    }
    let late = timeout(Duration::from_millis(10), sleep(Duration::from_secs(60))).await;
    let passed = start.elapsed();
    late.is_err() && passed >= Duration::from_millis(69) && passed < Duration::from_secs(30)
}

async fn channels() -> bool {
    let (sender, mut receiver) = mpsc::channel(8);
    for n in 0..10u64 {
        let sender = sender.clone();
        tokio::spawn(async move {
            for m in 0..100 {
                if sender.send(n * 100 + m).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let total = Mutex::new(0);
    while let Some(n) = receiver.recv().await {
        *total.lock().await += n;
    }
    let (answer, question) = oneshot::channel();
    tokio::spawn(async move { answer.send(42) });
    *total.lock().await == 499_500 && question.await == Ok(42)
}

/// A child process as a filter: both pipes at once.
async fn children() -> std::io::Result<bool> {
    let mut child = Command::new("sort")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(false);
    };
    let feed = tokio::spawn(async move {
        for n in (0..500).rev() {
            input.write_all(format!("{n}\n").as_bytes()).await?;
        }
        input.shutdown().await
    });
    let mut text = String::new();
    output.read_to_string(&mut text).await?;
    let fed = feed.await.is_ok_and(|result| result.is_ok());
    let status = child.wait().await?;
    let sorted = text.lines().map(str::parse).eq((0..500).map(Ok::<u32, _>));
    let code = Command::new("sh")
        .args(["-c", "exit 7"])
        .status()
        .await?
        .code();
    let mut slow = Command::new("sleep").arg("60").kill_on_drop(true).spawn()?;
    slow.kill().await?;
    Ok(fed && status.success() && sorted && code == Some(7))
}

/// An error is a wrong result, and says why.
fn holds(what: &str, result: std::io::Result<bool>) -> bool {
    result.unwrap_or_else(|error| {
        eprintln!("demo-tokio: {what}: {error}");
        false
    })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> ExitCode {
    let results = [
        ("tasks", Ok(tasks().await)),
        ("timers", Ok(timers().await)),
        ("channels", Ok(channels().await)),
        ("child processes", children().await),
        ("unix sockets", unix::sockets().await),
        ("pipes", unix::pipes().await),
        ("signals", unix::signals().await),
    ];
    let mut wrong = 0;
    for (what, result) in results {
        let right = holds(what, result);
        println!("{what}: {}", if right { "ok" } else { "WRONG" });
        wrong += u8::from(!right);
    }
    println!("demo-tokio: {wrong} wrong");
    ExitCode::from(wrong)
}
