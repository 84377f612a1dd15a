//! What there is in `/proc`, by name.

use super::out::{Out, put};
use super::source::Subject;
use super::who::Who;
use super::{limits, mounts, process, status, system};
use crate::base::Result;
use crate::fs::inotify;
use crate::fs::path::Path;
use crate::fs::types::FileType;
use crate::memory::commit::Setting;
use alloc::string::String;

/// A file or directory that is not about one process.
pub enum Static {
    Text(fn(&mut Out) -> Result<()>),
    /// Root may write to it.
    Control {
        show: fn(&mut Out) -> Result<()>,
        store: fn(&str) -> Result<()>,
    },
    Link(fn() -> String),
    Directory(&'static [Entry]),
}

pub struct Entry {
    pub name: &'static str,
    pub node: Static,
}

impl Entry {
    pub fn kind(&self) -> FileType {
        match self.node {
            Static::Text(_) | Static::Control { .. } => FileType::Regular,
            Static::Link(_) => FileType::Symlink,
            Static::Directory(_) => FileType::Directory,
        }
    }

    pub fn perm(&self) -> u16 {
        match self.node {
            Static::Text(_) => 0o444,
            Static::Control { .. } => 0o644,
            Static::Link(_) => 0o777,
            Static::Directory(_) => 0o555,
        }
    }

    /// A number that stays: the hash of the name, in the range of the system's files.
    pub fn ino(&self) -> u64 {
        0x1000 | crate::base::bytes::hash(self.name.as_bytes()) & 0xf_ffff
    }
}

/// A file of a process or thread.
pub enum ProcessNode {
    Text(fn(&Subject, &mut Out) -> Result<()>),
    /// For the process's own user only.
    Private(fn(&Subject, &mut Out) -> Result<()>),
    Control {
        show: fn(&Subject, &mut Out) -> Result<()>,
        store: fn(&Subject, &str) -> Result<()>,
    },
    Link(fn(&Subject) -> Result<Path>),
    Tasks,
    FdDir,
    FdInfoDir,
}

impl ProcessNode {
    pub fn kind(&self) -> FileType {
        match self {
            ProcessNode::Text(_) | ProcessNode::Private(_) | ProcessNode::Control { .. } => {
                FileType::Regular
            }
            ProcessNode::Link(_) => FileType::Symlink,
            _ => FileType::Directory,
        }
    }
}

pub struct ProcessEntry {
    pub name: &'static str,
    pub perm: u16,
    pub node: ProcessNode,
}

const fn text(name: &'static str, make: fn(&mut Out) -> Result<()>) -> Entry {
    Entry {
        name,
        node: Static::Text(make),
    }
}

const fn control(
    name: &'static str,
    show: fn(&mut Out) -> Result<()>,
    store: fn(&str) -> Result<()>,
) -> Entry {
    Entry {
        name,
        node: Static::Control { show, store },
    }
}

const fn directory(name: &'static str, entries: &'static [Entry]) -> Entry {
    Entry {
        name,
        node: Static::Directory(entries),
    }
}

const fn link(name: &'static str, to: fn() -> String) -> Entry {
    Entry {
        name,
        node: Static::Link(to),
    }
}

pub static ROOT: &[Entry] = &[
    text("cmdline", system::cmdline),
    text("cpuinfo", system::cpuinfo),
    text("devices", system::devices),
    text("filesystems", system::filesystems),
    text("kmsg", system::kmsg),
    text("loadavg", system::loadavg),
    text("meminfo", system::meminfo),
    text("slabinfo", system::slabinfo),
    link("mounts", || String::from("self/mounts")),
    text("partitions", system::partitions),
    link("self", system::self_link),
    text("stat", system::stat),
    text("swaps", system::swaps),
    directory("sys", SYS),
    link("thread-self", system::thread_self_link),
    text("uptime", system::uptime),
    text("version", system::version),
    text("vmstat", system::vmstat),
];

fn number(out: &mut Out, value: usize) -> Result<()> {
    put!(out, "{value}\n");
    Ok(())
}

static SYS: &[Entry] = &[
    directory(
        "fs",
        &[
            text("file-max", system::file_max),
            text("file-nr", system::file_nr),
            directory(
                "inotify",
                &[
                    text("max_queued_events", |out| number(out, inotify::QUEUE_MAX)),
                    text("max_user_instances", |out| {
                        number(out, inotify::INSTANCES_MAX)
                    }),
                    text("max_user_watches", |out| number(out, inotify::WATCHES_MAX)),
                ],
            ),
            text("nr_open", |out| number(out, crate::fs::fdtable::MOST)),
            text("pipe-max-size", system::pipe_max_size),
        ],
    ),
    directory(
        "kernel",
        &[
            text("hostname", system::hostname),
            text("osrelease", system::osrelease),
            text("ostype", system::ostype),
            text("pid_max", system::pid_max),
            directory(
                "random",
                &[
                    text("boot_id", system::boot_id),
                    text("entropy_avail", system::entropy),
                    text("poolsize", system::entropy),
                    text("uuid", system::uuid),
                ],
            ),
            text("version", system::kernel_version),
        ],
    ),
    directory(
        "vm",
        &[
            control(
                "overcommit_kbytes",
                |out| system::show_commit(Setting::Kbytes, out),
                |text| system::store_commit(Setting::Kbytes, text),
            ),
            control(
                "overcommit_memory",
                |out| system::show_commit(Setting::Mode, out),
                |text| system::store_commit(Setting::Mode, text),
            ),
            control(
                "overcommit_ratio",
                |out| system::show_commit(Setting::Ratio, out),
                |text| system::store_commit(Setting::Ratio, text),
            ),
        ],
    ),
];

const fn file(name: &'static str, make: fn(&Subject, &mut Out) -> Result<()>) -> ProcessEntry {
    ProcessEntry {
        name,
        perm: 0o444,
        node: ProcessNode::Text(make),
    }
}

const fn private(name: &'static str, make: fn(&Subject, &mut Out) -> Result<()>) -> ProcessEntry {
    ProcessEntry {
        name,
        perm: 0o400,
        node: ProcessNode::Private(make),
    }
}

const fn place(name: &'static str, to: fn(&Subject) -> Result<Path>) -> ProcessEntry {
    ProcessEntry {
        name,
        perm: 0o777,
        node: ProcessNode::Link(to),
    }
}

static PROCESS: &[ProcessEntry] = &[
    file("cmdline", process::cmdline),
    ProcessEntry {
        name: "comm",
        perm: 0o644,
        node: ProcessNode::Control {
            show: process::comm,
            store: process::set_comm,
        },
    },
    place("cwd", process::cwd),
    private("environ", process::environ),
    place("exe", process::exe),
    ProcessEntry {
        name: "fd",
        perm: 0o500,
        node: ProcessNode::FdDir,
    },
    ProcessEntry {
        name: "fdinfo",
        perm: 0o555,
        node: ProcessNode::FdInfoDir,
    },
    file("limits", limits::limits),
    // Anybody may see that it is there.
    ProcessEntry {
        perm: 0o444,
        ..private("maps", process::maps)
    },
    file("mountinfo", mounts::mountinfo),
    file("mounts", mounts::mounts),
    file("oom_score", process::oom_score),
    ProcessEntry {
        name: "oom_score_adj",
        perm: 0o644,
        node: ProcessNode::Control {
            show: process::oom_score_adj,
            store: process::set_oom_score_adj,
        },
    },
    place("root", process::root),
    file("stat", status::stat),
    file("statm", status::statm),
    file("status", status::status),
    ProcessEntry {
        name: "task",
        perm: 0o555,
        node: ProcessNode::Tasks,
    },
];

/// What there is about a process, or, without `task`, about a thread.
pub fn process_entries(who: Who) -> impl Iterator<Item = &'static ProcessEntry> {
    PROCESS
        .iter()
        .filter(move |e| who.tid.is_none() || !matches!(e.node, ProcessNode::Tasks))
}
