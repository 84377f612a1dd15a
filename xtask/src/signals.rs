//! SIGINT, SIGTERM and SIGHUP. Whoever has something to end in order listens; while nobody does, they do to
//! xtask what they do to any program.

use std::{
    ffi::c_int,
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::Result;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

type Told = Box<dyn Fn(c_int) + Send>;

static STATE: Mutex<State> = Mutex::new(State {
    caught: false,
    next: 0,
    listeners: Vec::new(),
});

struct State {
    caught: bool,
    next: usize,
    listeners: Vec<(usize, Told)>,
}

fn state() -> MutexGuard<'static, State> {
    // What a listener that panicked leaves is whole.
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody is told of signals for as long as this lives.
pub struct Listening(usize);

/// `told` is called for each signal, on a thread of its own; it must not wait.
pub fn listen(told: impl Fn(c_int) + Send + 'static) -> Result<Listening> {
    let mut state = state();
    if !state.caught {
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        let caught = [SIGINT, SIGTERM, SIGHUP].into_iter();
        // What `nohup` and the like have xtask ignore stays ignored.
        let mut signals = Signals::new(caught.filter(|signal| ignored >> (signal - 1) & 1 == 0))?;
        thread::spawn(move || signals.forever().for_each(tell));
        state.caught = true;
    }
    let number = state.next;
    state.next += 1;
    state.listeners.push((number, Box::new(told)));
    Ok(Listening(number))
}

impl Drop for Listening {
    fn drop(&mut self) {
        state().listeners.retain(|(number, _)| *number != self.0);
    }
}

fn tell(signal: c_int) {
    let state = state();
    if state.listeners.is_empty() {
        // Ends xtask. It fails for signals that have no default, and these have.
        low_level::emulate_default_handler(signal).ok();
    }
    for (_, told) in &state.listeners {
        told(signal);
    }
}

/// The signals that this process ignores, a bit each, from `/proc/PID/status`.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_found() {
        assert_eq!(
            ignored("SigBlk:\t0\nSigIgn:\t0000000000001001\nSigCgt:\t1\n"),
            0x1001
        );
        assert_eq!(ignored("Name:\tx\n"), 0);
    }
}
