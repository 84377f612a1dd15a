//! The files of `/proc` that are about the whole system.

use super::out::{Out, put};
use super::source;
use super::status::TICK_NS;
use crate::base::sync::Once;
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::fs::devfs;
use crate::memory::commit::{self, Setting};
use crate::memory::heap;
use crate::process::core_times::Report;
use crate::process::load;
use crate::time;
use alloc::string::String;
use alloc::vec::Vec;

const SECOND: u64 = 1_000_000_000;

pub fn self_link() -> String {
    alloc::format!("{}", source::current_ids().0)
}

pub fn thread_self_link() -> String {
    let (pid, tid) = source::current_ids();
    alloc::format!("{pid}/task/{tid}")
}

pub fn version(out: &mut Out) -> Result<()> {
    let (system, release, machine) = (source::SYSTEM_NAME, source::RELEASE, source::MACHINE);
    put!(
        out,
        "{system} version {release} ({machine}) {}\n",
        source::build_version()
    );
    Ok(())
}

pub fn cmdline(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", source::command_line());
    Ok(())
}

pub fn cpuinfo(out: &mut Out) -> Result<()> {
    for core in 0..source::cores() {
        put!(out, "processor\t: {core}\n");
        put!(out, "Features\t: fp asimd\nCPU architecture: 8\n\n");
    }
    Ok(())
}

pub fn devices(out: &mut Out) -> Result<()> {
    put!(out, "Character devices:\n");
    for (major, name) in devfs::drivers() {
        put!(out, "{major:3} {name}\n");
    }
    put!(out, "\nBlock devices:\n");
    Ok(())
}

pub fn filesystems(out: &mut Out) -> Result<()> {
    for name in ["tmpfs", "proc", "devtmpfs"] {
        put!(out, "nodev\t{name}\n");
    }
    Ok(())
}

pub fn kmsg(out: &mut Out) -> Result<()> {
    out.bytes(&crate::log::contents());
    Ok(())
}

pub fn partitions(out: &mut Out) -> Result<()> {
    put!(out, "major minor  #blocks  name\n\n");
    Ok(())
}

pub fn swaps(out: &mut Out) -> Result<()> {
    put!(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    Ok(())
}

pub fn uptime(out: &mut Out) -> Result<()> {
    let up = time::monotonic_ns();
    let idle = (up * source::cores() as u64).saturating_sub(source::busy().total());
    let seconds = |ns: u64| (ns / SECOND, ns % SECOND / 10_000_000);
    let ((up, up_rest), (idle, idle_rest)) = (seconds(up), seconds(idle));
    put!(out, "{up}.{up_rest:02} {idle}.{idle_rest:02}\n");
    Ok(())
}

pub fn loadavg(out: &mut Out) -> Result<()> {
    let running = source::runnable();
    let averages = load::averages(time::monotonic_ns(), source::runnable);
    for average in averages {
        put!(
            out,
            "{}.{:02} ",
            average / load::ONE,
            average % load::ONE * 100 / load::ONE
        );
    }
    put!(
        out,
        "{running}/{} {}\n",
        source::thread_count(),
        source::last_pid()
    );
    Ok(())
}

pub fn meminfo(out: &mut Out) -> Result<()> {
    let (total, free, committed) = source::memory();
    let files = shared_memory()?;
    let slab = slab_bytes();
    let used = (total - free).saturating_sub(files + slab);
    let rows = [
        ("MemTotal:", total),
        ("MemFree:", free),
        ("MemAvailable:", free),
        ("Buffers:", 0),
        ("Cached:", files),
        ("SwapCached:", 0),
        // Nothing is ever reclaimed, so all that is in use is active.
        ("Active:", used + files),
        ("Inactive:", 0),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("AnonPages:", used),
        ("Mapped:", 0),
        ("Shmem:", files),
        ("Slab:", slab),
        ("CommitLimit:", commit::limit() * PAGE_SIZE),
        ("Committed_AS:", committed),
        ("VmallocTotal:", 0),
        ("VmallocUsed:", 0),
        ("VmallocChunk:", 0),
    ];
    for (name, bytes) in rows {
        put!(out, "{name:<16}{:>8} kB\n", bytes / 1024);
    }
    Ok(())
}

/// Bytes of the kernel heap's slabs and arenas that hold something.
fn slab_bytes() -> usize {
    let frames = |u: heap::Usage| (u.slabs - u.empty) * u.frames;
    heap::usage().into_iter().map(frames).sum::<usize>() * PAGE_SIZE
}

/// The kernel heap's size classes, in Linux's form; of the arenas, whose requests have any size, the bytes.
pub fn slabinfo(out: &mut Out) -> Result<()> {
    put!(out, "slabinfo - version: 2.1\n");
    put!(
        out,
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
    );
    for u in heap::usage() {
        let name: &dyn core::fmt::Display = if u.size == 1 {
            &"arenas"
        } else {
            &format_args!("kmalloc-{}", u.size)
        };
        put!(
            out,
            "{name:<17} {:>6} {:>6} {:>6} {:>4} {:>4} : tunables    0    0    0 : slabdata {:>6} {:>6}      0\n",
            u.live,
            u.slabs * u.per_slab,
            u.size,
            u.per_slab,
            u.frames,
            u.slabs - u.empty,
            u.slabs,
        );
    }
    Ok(())
}

/// Bytes that files in memory take.
fn shared_memory() -> Result<usize> {
    let mut seen = alloc::vec::Vec::new();
    let mut bytes = 0;
    crate::fs::mount::for_each(|mount| {
        let fs = alloc::sync::Arc::as_ptr(&mount.sb);
        if mount.fs().name() != "proc" && !seen.contains(&fs) {
            seen.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            seen.push(fs);
            bytes += mount.fs().used_bytes();
        }
        Ok(())
    })?;
    Ok(bytes)
}

fn cpu(out: &mut Out, name: core::fmt::Arguments<'_>, times: &Report) -> Result<()> {
    let Report {
        user,
        nice,
        system,
        idle,
        ..
    } = times;
    let [user, nice, system, idle] = [user, nice, system, idle].map(|ns| ns / TICK_NS);
    put!(out, "{name} {user} {nice} {system} {idle} 0 0 0 0 0 0\n");
    Ok(())
}

pub fn stat(out: &mut Out) -> Result<()> {
    let up = time::monotonic_ns();
    let mut cores = Vec::new();
    let reserved = cores.try_reserve_exact(source::cores());
    reserved.map_err(|_| Errno::ENOMEM)?;
    cores.extend(source::core_times(up));
    let mut all = Report::default();
    cores.iter().for_each(|core| all.add(*core));
    cpu(out, format_args!("cpu "), &all)?;
    for (number, core) in cores.iter().enumerate() {
        cpu(out, format_args!("cpu{number}"), core)?;
    }
    let boot = time::realtime_ns().saturating_sub(up) / SECOND;
    put!(
        out,
        "intr {}\nctxt {}\nbtime {boot}\nprocesses {}\n",
        all.interrupts,
        all.switches,
        source::last_pid()
    );
    put!(
        out,
        "procs_running {}\nprocs_blocked 0\n",
        source::runnable()
    );
    Ok(())
}

pub fn vmstat(out: &mut Out) -> Result<()> {
    let (total, free, _) = source::memory();
    let shared = shared_memory()? / PAGE_SIZE;
    put!(out, "nr_free_pages {}\n", free / PAGE_SIZE);
    put!(
        out,
        "nr_anon_pages {}\n",
        ((total - free) / PAGE_SIZE).saturating_sub(shared)
    );
    put!(
        out,
        "nr_file_pages {shared}\nnr_shmem {shared}\nnr_dirty 0\nnr_writeback 0\n"
    );
    put!(out, "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n");
    Ok(())
}

pub fn hostname(out: &mut Out) -> Result<()> {
    out.bytes(&source::host_name());
    out.bytes(b"\n");
    Ok(())
}

pub fn ostype(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", source::SYSTEM_NAME);
    Ok(())
}

pub fn osrelease(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", source::RELEASE);
    Ok(())
}

pub fn kernel_version(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", source::build_version());
    Ok(())
}

pub fn pid_max(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", source::PID_MAX);
    Ok(())
}

fn random_uuid() -> [u8; 16] {
    let mut id = [0; 16];
    crate::random::fill(&mut id);
    // Version 4, variant 1 (RFC 9562).
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

fn put_uuid(id: &[u8; 16], out: &mut Out) {
    for (i, byte) in id.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.bytes(b"-");
        }
        put!(out, "{byte:02x}");
    }
    out.bytes(b"\n");
}

pub fn boot_id(out: &mut Out) -> Result<()> {
    static ID: Once<[u8; 16]> = Once::new();
    put_uuid(ID.call_once(random_uuid), out);
    Ok(())
}

pub fn uuid(out: &mut Out) -> Result<()> {
    put_uuid(&random_uuid(), out);
    Ok(())
}

/// Bits: the generator's key is always fully seeded.
pub fn entropy(out: &mut Out) -> Result<()> {
    put!(out, "256\n");
    Ok(())
}

pub fn show_commit(what: Setting, out: &mut Out) -> Result<()> {
    put!(out, "{}\n", what.get());
    Ok(())
}

pub fn store_commit(what: Setting, text: &str) -> Result<()> {
    let value: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    what.set(value as usize)
}

pub fn file_max(out: &mut Out) -> Result<()> {
    put!(out, "{}\n", i64::MAX);
    Ok(())
}

/// Open file descriptions, those kept for later (none), and how many there may be.
pub fn file_nr(out: &mut Out) -> Result<()> {
    put!(out, "{}\t0\t{}\n", crate::fs::file::open_count(), i64::MAX);
    Ok(())
}

pub fn pipe_max_size(out: &mut Out) -> Result<()> {
    put!(out, "1048576\n");
    Ok(())
}
