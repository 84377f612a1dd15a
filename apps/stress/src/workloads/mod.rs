//! The kinds of work. A step lasts a moment, checks what it did, and leaves nothing: no child, no file, no descriptor.
//!
//! Signals interrupt anything; SIGKILL may come anywhere. Children must be in the worker's group, and harmless without it.

use anyhow::Result;
use fastrand::Rng;

mod events;
mod exec;
mod files;
mod futexes;
mod large;
mod memory;
mod pipes;
mod processes;
mod signals;
mod sockets;
mod threads;
mod trees;

pub struct Workload {
    pub name: &'static str,
    pub step: fn(&mut Rng) -> Result<()>,
}

const fn workload(name: &'static str, step: fn(&mut Rng) -> Result<()>) -> Workload {
    Workload { name, step }
}

pub static ALL: &[Workload] = &[
    workload("memory", memory::step),
    workload("large", large::step),
    workload("processes", processes::step),
    workload("exec", exec::step),
    workload("files", files::step),
    workload("trees", trees::step),
    workload("pipes", pipes::step),
    workload("sockets", sockets::step),
    workload("futexes", futexes::step),
    workload("threads", threads::step),
    workload("signals", signals::step),
    workload("events", events::step),
];
