//! One worker: a process that does one step after the other until it is told to stop, or killed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::board::{Board, Slot};
use crate::workloads::Workload;

/// What the supervisor rains on workers, and that they must live through.
pub fn rained() -> [i32; 5] {
    [
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGWINCH,
        libc::SIGRTMIN() + 3,
        libc::SIGRTMIN() + 4,
    ]
}

/// How many have come.
static HEARD: AtomicUsize = AtomicUsize::new(0);
/// Where a panic says why: this worker's.
static SLOT: OnceLock<&'static Slot> = OnceLock::new();

extern "C" fn hear(_: i32) {
    HEARD.fetch_add(1, SeqCst);
}

/// Installs handlers that only count; every second signal interrupts the call it meets. Before the first fork, so that no
/// worker lives a moment without.
pub fn listen() -> Result<()> {
    for (index, signal) in rained().into_iter().enumerate() {
        let mut action: libc::sigaction = crate::support::zeroed();
        action.sa_sigaction = hear as *const () as usize;
        action.sa_flags = if index % 2 == 0 { libc::SA_RESTART } else { 0 };
        call!(sigaction(signal, &action, std::ptr::null_mut()))?;
    }
    Ok(())
}

/// The generator of one step's decisions.
pub fn rng(seed: u64, worker: usize, step: u64) -> Rng {
    let mut rng = Rng::with_seed(seed);
    let of_worker = rng.u64(..) ^ (worker as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = Rng::with_seed(of_worker);
    let of_step = rng.u64(..) ^ step.wrapping_mul(0xd1b5_4a32_d192_ed03);
    Rng::with_seed(of_step)
}

/// A worker's whole life; never returns.
pub fn live(board: &'static Board, seed: u64, worker: usize, workload: &'static Workload) -> ! {
    let slot = &board.slots[worker];
    _ = SLOT.set(slot);
    std::panic::set_hook(Box::new(|info| {
        if let Some(slot) = SLOT.get() {
            slot.fail(&info.to_string());
        }
        sys!(_exit(101));
    }));
    while !board.stop.load(SeqCst) {
        let step = slot.step.load(SeqCst);
        if let Err(error) = step_of(seed, worker, step, workload) {
            slot.fail(&format!("{error:#}"));
            sys!(_exit(1));
        }
        slot.done.fetch_add(1, SeqCst);
        slot.step.store(step + 1, SeqCst);
    }
    sys!(_exit(0))
}

/// Does one step in the worker's directory, which it leaves empty.
pub fn step_of(seed: u64, worker: usize, step: u64, workload: &Workload) -> Result<()> {
    (workload.step)(&mut rng(seed, worker, step))?;
    let mut rest = std::fs::read_dir(".").context("the worker's directory")?;
    match rest.next() {
        None => Ok(()),
        Some(entry) => anyhow::bail!("{:?} is left after the step", entry?.path()),
    }
}
