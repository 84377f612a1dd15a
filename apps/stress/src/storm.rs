//! The supervisor: starts the workers, rains signals on them, kills some and starts them anew, sees that all of them get
//! on, and ends them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;

use crate::board::{Board, Slot};
use crate::options::Options;
use crate::support::{End, expect_end, spawn_status};
use crate::worker;
use crate::workloads::{self, Workload};

/// No step takes longer, however busy the host is.
const STEP_LIMIT: Duration = Duration::from_secs(90);
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Runs a storm in a process of its own, so that what it used itself is gone with it.
pub fn in_child(options: &Options, what: &str, duration: Duration) -> Result<()> {
    let child = spawn_status(|| match Storm::run(options, what, duration) {
        Ok(()) => 0,
        Err(error) => {
            println!("stress: {what}: {error:#}");
            1
        }
    })?;
    expect_end(child, End::Exit(0)).with_context(|| what.to_owned())
}

/// Does one step again, undisturbed.
pub fn one_step(options: &Options, worker: usize, step: u64) -> ExitCode {
    let workload = workload_of(options, worker);
    println!(
        "stress: seed {}, worker {worker} ({}), step {step}",
        options.seed, workload.name
    );
    let directory = std::env::temp_dir().join(format!("stress.{}", std::process::id()));
    let result = worker::listen()
        .and_then(|()| fresh(&directory))
        .and_then(|()| Ok(std::env::set_current_dir(&directory)?))
        .and_then(|()| worker::step_of(options.seed, worker, step, workload));
    _ = fs::remove_dir_all(&directory);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("stress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn workload_of(options: &Options, worker: usize) -> &'static Workload {
    let chosen: Vec<&Workload> = workloads::ALL
        .iter()
        .filter(|w| options.only.is_empty() || options.only.iter().any(|name| name == w.name))
        .collect();
    chosen[worker % chosen.len()]
}

/// One of the workers, seen from outside.
struct Seat {
    number: usize,
    workload: &'static Workload,
    directory: PathBuf,
    slot: &'static Slot,
    pid: i32,
    /// Killed by us: that end is no failure.
    killed: bool,
    seen: u64,
    since: Instant,
}

struct Storm<'a> {
    options: &'a Options,
    board: &'static Board,
    seats: Vec<Seat>,
    rng: Rng,
    kills: u64,
    signals: u64,
}

impl<'a> Storm<'a> {
    fn run(options: &'a Options, what: &str, duration: Duration) -> Result<()> {
        worker::listen()?;
        let base = std::env::temp_dir().join(format!("stress.{}", std::process::id()));
        let board = Board::new()?;
        let mut storm = Self {
            options,
            board,
            seats: Vec::new(),
            rng: Rng::with_seed(options.seed),
            kills: 0,
            signals: 0,
        };
        for number in 0..options.workers {
            storm.seats.push(Seat {
                number,
                workload: workload_of(options, number),
                directory: base.join(format!("w{number}")),
                slot: &board.slots[number],
                pid: 0,
                killed: false,
                seen: 0,
                since: Instant::now(),
            });
            storm.start(number)?;
        }
        let result = storm.rage(what, duration).and_then(|()| storm.end());
        if result.is_err() {
            crate::state::print();
            storm
                .seats
                .iter()
                .for_each(|seat| _ = sys!(kill(-seat.pid, libc::SIGKILL)));
        }
        storm.summary(what);
        fs::remove_dir_all(&base).with_context(|| base.display().to_string())?;
        result
    }

    fn start(&mut self, number: usize) -> Result<()> {
        let (board, seed) = (self.board, self.options.seed);
        let seat = &mut self.seats[number];
        fresh(&seat.directory)?;
        let (directory, workload) = (seat.directory.clone(), seat.workload);
        seat.pid = spawn_status(|| {
            sys!(setpgid(0, 0));
            if std::env::set_current_dir(&directory).is_err() {
                return 2;
            }
            worker::live(board, seed, number, workload)
        })?;
        // Both do it: whoever comes first.
        sys!(setpgid(seat.pid, seat.pid));
        seat.killed = false;
        seat.since = Instant::now();
        Ok(())
    }

    fn rage(&mut self, what: &str, duration: Duration) -> Result<()> {
        let start = Instant::now();
        let mut report = start + REPORT_EVERY;
        while start.elapsed() < duration {
            if Instant::now() > report {
                report += REPORT_EVERY;
                let done = self.done();
                let (kills, signals) = (self.kills, self.signals);
                let seconds = start.elapsed().as_secs();
                println!(
                    "stress: {what}: {seconds} s, {done} steps, {kills} kills, {signals} signals"
                );
            }
            if !self.options.calm {
                self.disturb()?;
            }
            self.reap()?;
            self.progress()?;
            thread::sleep(Duration::from_micros(self.rng.u64(200..8_000)));
        }
        Ok(())
    }

    /// One bad thing, to one worker or its whole group.
    fn disturb(&mut self) -> Result<()> {
        let number = self.rng.usize(..self.seats.len());
        let pid = self.seats[number].pid;
        let rained = worker::rained();
        match self.rng.u32(..100) {
            0..60 => {
                for _ in 0..self.rng.u32(1..10) {
                    let signal = rained[self.rng.usize(..rained.len())];
                    call!(kill(pid, signal))?;
                    self.signals += 1;
                }
            }
            60..80 => {
                let value = libc::sigval {
                    sival_ptr: std::ptr::without_provenance_mut(number),
                };
                // A worker that is stopped may have its queue full.
                if sys!(sigqueue(pid, rained[3 + self.rng.usize(..2)], value)) == 0 {
                    self.signals += 1;
                }
            }
            // To children that have executed something these mean nothing either.
            80..90 => {
                let harmless = [libc::SIGWINCH, libc::SIGURG, libc::SIGCONT];
                call!(kill(-pid, harmless[self.rng.usize(..3)]))?;
                self.signals += 1;
            }
            90..95 => {
                call!(kill(-pid, libc::SIGSTOP))?;
                thread::sleep(Duration::from_micros(self.rng.u64(..3_000)));
                call!(kill(-pid, libc::SIGCONT))?;
                self.signals += 2;
            }
            95..98 => self.kill(number)?,
            // The worker alone: whoever it leaves behind must not mind.
            _ => {
                self.seats[number].killed = true;
                call!(kill(pid, libc::SIGKILL))?;
                self.kills += 1;
            }
        }
        Ok(())
    }

    fn kill(&mut self, number: usize) -> Result<()> {
        let seat = &mut self.seats[number];
        seat.killed = true;
        call!(kill(-seat.pid, libc::SIGKILL))?;
        self.kills += 1;
        Ok(())
    }

    /// Sees who has ended, and puts another in the place of who was killed.
    fn reap(&mut self) -> Result<()> {
        for number in 0..self.seats.len() {
            let Some(end) = self.ended(number)? else {
                continue;
            };
            self.must_be_killed(number, end)?;
            let seat = &self.seats[number];
            clear_group(seat.pid)?;
            seat.slot.step.fetch_add(1, SeqCst);
            self.start(number)?;
        }
        Ok(())
    }

    fn ended(&self, number: usize) -> Result<Option<End>> {
        let (pid, mut status) = (self.seats[number].pid, 0);
        let found = call!(waitpid(pid, &mut status, libc::WNOHANG))?;
        Ok((found != 0).then(|| End::of(status)))
    }

    fn must_be_killed(&self, number: usize, end: End) -> Result<()> {
        let seat = &self.seats[number];
        let why = seat.slot.failure().unwrap_or_else(|| "said nothing".into());
        ensure!(
            seat.killed && end == End::Signal(libc::SIGKILL),
            "{} ended with {end:?}: {why}",
            self.name(seat)
        );
        Ok(())
    }

    fn name(&self, seat: &Seat) -> String {
        format!(
            "seed {}, worker {} ({}), step {}, process {}",
            self.options.seed,
            seat.number,
            seat.workload.name,
            seat.slot.step.load(SeqCst),
            seat.pid
        )
    }

    /// An error when a worker has not finished a step for too long.
    fn progress(&mut self) -> Result<()> {
        for index in 0..self.seats.len() {
            let seat = &mut self.seats[index];
            let done = seat.slot.done.load(SeqCst);
            if done != seat.seen {
                (seat.seen, seat.since) = (done, Instant::now());
            } else if seat.since.elapsed() > STEP_LIMIT {
                bail!(
                    "no progress for {} s: {}",
                    STEP_LIMIT.as_secs(),
                    self.name(&self.seats[index])
                );
            }
        }
        Ok(())
    }

    /// Lets every worker finish its step and end; nobody may be left.
    fn end(&mut self) -> Result<()> {
        self.board.stop.store(true, SeqCst);
        let deadline = Instant::now() + STEP_LIMIT;
        let mut left: Vec<usize> = (0..self.seats.len()).collect();
        while let Some(&number) = left.last() {
            let Some(end) = self.ended(number)? else {
                let name = self.name(&self.seats[number]);
                ensure!(Instant::now() < deadline, "does not end: {name}");
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            left.pop();
            let pid = self.seats[number].pid;
            if end == End::Exit(0) {
                // An orphan that has ended waits for who adopted it.
                while sys!(kill(-pid, 0)) == 0 {
                    let name = self.name(&self.seats[number]);
                    ensure!(
                        Instant::now() < deadline,
                        "has left a process behind: {name}"
                    );
                    thread::sleep(Duration::from_millis(1));
                }
            } else {
                self.must_be_killed(number, end)?;
                clear_group(pid)?;
            }
        }
        Ok(())
    }

    fn done(&self) -> u64 {
        self.seats
            .iter()
            .map(|seat| seat.slot.done.load(SeqCst))
            .sum()
    }

    fn summary(&self, what: &str) {
        let (kills, signals) = (self.kills, self.signals);
        println!(
            "stress: {what}: {} steps, {kills} kills, {signals} signals; steps of each:",
            self.done()
        );
        for workload in workloads::ALL {
            let of = self
                .seats
                .iter()
                .filter(|seat| seat.workload.name == workload.name);
            let steps: u64 = of.map(|seat| seat.slot.done.load(SeqCst)).sum();
            if steps > 0 {
                println!("    {:<12}{steps:>8}", workload.name);
            }
        }
    }
}

/// Kills what is left of a group and waits until it is gone: whoever adopts it reaps it.
fn clear_group(group: i32) -> Result<()> {
    let deadline = Instant::now() + STEP_LIMIT;
    while sys!(kill(-group, libc::SIGKILL)) == 0 {
        ensure!(Instant::now() < deadline, "group {group} does not die");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// An empty directory.
fn fresh(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| directory.display().to_string());
        }
        _ => {}
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}
