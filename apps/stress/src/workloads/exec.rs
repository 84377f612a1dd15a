//! New programs: fork and exec, posix_spawn through std, filters fed through two pipes, some killed on the way.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::child::SWITCH;
use crate::support::{End, check, expect_end, fill, spawn_status};

fn command(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0("stress").arg(SWITCH).args(words);
    Ok(command)
}

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => forked(rng),
        1 => spawned(rng),
        2 => filter(rng),
        3 => killed(rng),
        _ => {
            // What does not exist is an error here, and no child is left.
            let mut missing = Command::new("/nowhere/at/all");
            if rng.bool() {
                // SAFETY: does nothing; it only makes std fork.
                unsafe { missing.pre_exec(|| Ok(())) };
            }
            let error = missing
                .spawn()
                .err()
                .context("/nowhere/at/all was executed")?;
            ensure!(
                error.kind() == std::io::ErrorKind::NotFound,
                "not found, but: {error}"
            );
            Ok(())
        }
    }
}

/// By fork and execve, several at once.
fn forked(rng: &mut Rng) -> Result<()> {
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..5) {
        let status = rng.i32(0..90);
        let mut child = command(&["exit", &status.to_string()])?;
        let pid = spawn_status(|| {
            // Returns only when it fails.
            println!("stress: exec: {}", child.exec());
            96
        })?;
        children.push((pid, status));
    }
    children
        .into_iter()
        .try_for_each(|(pid, status)| expect_end(pid, End::Exit(status)))
}

fn spawned(rng: &mut Rng) -> Result<()> {
    let mut children: Vec<(Child, i32)> = Vec::new();
    for _ in 0..rng.u32(1..8) {
        let status = rng.i32(0..90);
        let child = if rng.u32(..4) == 0 {
            let bytes = rng.usize(1..2_000_000).to_string();
            (command(&["allocate", &bytes])?.spawn()?, 0)
        } else {
            (command(&["exit", &status.to_string()])?.spawn()?, status)
        };
        children.push(child);
    }
    for (mut child, status) in children {
        let code = child.wait()?.code();
        ensure!(
            code == Some(status),
            "a spawned child ended with {code:?}, not {status}"
        );
    }
    Ok(())
}

/// What goes into the filter comes out of it.
fn filter(rng: &mut Rng) -> Result<()> {
    let tag = rng.u64(..);
    let mut data = vec![0; rng.usize(..300_000)];
    fill(tag, 0, &mut data);
    let mut child = command(&["copy"])?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("a pipe was asked for")?;
    let mut output = child.stdout.take().context("a pipe was asked for")?;
    let mut back = Vec::new();
    std::thread::scope(|scope| {
        let feeder = scope.spawn(move || input.write_all(&data));
        output.read_to_end(&mut back)?;
        feeder.join().expect("panics end the process")?;
        check(tag, 0, &back)
    })?;
    let status = child.wait()?;
    ensure!(status.success(), "the filter ended with {status}");
    Ok(())
}

/// Ended by a signal while it starts, runs or sleeps.
fn killed(rng: &mut Rng) -> Result<()> {
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..5) {
        children.push(command(&["sleep"])?.spawn()?);
    }
    for child in &mut children {
        std::thread::sleep(std::time::Duration::from_micros(rng.u64(..1_000)));
        child.kill()?;
    }
    for mut child in children {
        let status = child.wait()?;
        ensure!(
            status.signal() == Some(libc::SIGKILL),
            "a killed child ended with {status}"
        );
    }
    Ok(())
}
