//! `/proc/PID/{stat,statm,status}`: what `ps` and `top` read.

use super::out::{Out, put};
use super::source::{self, Subject};
use crate::base::{PAGE_SIZE, Result};
use alloc::string::String;

/// Clock ticks are hundredths of a second (`AT_CLKTCK`).
pub const TICK_NS: u64 = 10_000_000;

/// The 52 fields of proc_pid_stat(5).
pub fn stat(who: &Subject, out: &mut Out) -> Result<()> {
    let (terminal, foreground) = who.terminal().map_or((0, -1), |t| (t.dev, t.foreground));
    let (nice, policy, core, _) = who.scheduling();
    let (times, children) = (who.times(), who.children());
    let counters = who.counters();
    let signals = who.signals();
    put!(out, "{} (", who.tid());
    out.bytes(&who.comm());
    put!(
        out,
        ") {} {} {} {}",
        who.state(),
        who.ppid(),
        who.pgid(),
        who.sid()
    );
    // Flags are Linux's own; nothing is read from a disk, so no fault is a major one.
    put!(
        out,
        " {terminal} {foreground} 0 {} {} 0 0",
        who.faults(),
        children.faults
    );
    put!(
        out,
        " {} {} {} {}",
        times.user / TICK_NS,
        times.system / TICK_NS,
        children.times.user / TICK_NS,
        children.times.system / TICK_NS
    );
    put!(
        out,
        " {} {nice} {} 0 {}",
        20 + nice,
        who.tids().len(),
        who.start_ns() / TICK_NS
    );
    put!(
        out,
        " {} {} {}",
        counters.size * PAGE_SIZE,
        counters.resident,
        u64::MAX
    );
    // Where code and stack lie is the program's secret.
    out.bytes(b" 0 0 0 0 0");
    let low = |set: u64| set & 0x7fff_ffff;
    put!(out, " {} {}", low(signals.pending), low(signals.blocked));
    put!(out, " {} {}", low(signals.ignored), low(signals.caught));
    put!(
        out,
        " 0 0 0 17 {core} 0 {policy} 0 0 0 0 0 0 0 0 0 0 {}\n",
        who.exit_status()
    );
    Ok(())
}

pub fn statm(who: &Subject, out: &mut Out) -> Result<()> {
    let c = who.counters();
    put!(
        out,
        "{} {} {} {} 0 {} 0\n",
        c.size,
        c.resident,
        c.shared,
        c.text,
        c.data + c.stack
    );
    Ok(())
}

fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk sleep",
        'T' => "stopped",
        'Z' => "zombie",
        _ => "dead",
    }
}

pub fn status(who: &Subject, out: &mut Out) -> Result<()> {
    let creds = who.creds();
    let state = who.state();
    out.bytes(b"Name:\t");
    // A name must not pass for more lines.
    for b in who.comm() {
        match b {
            b'\n' => out.bytes(b"\\n"),
            b'\\' => out.bytes(b"\\\\"),
            b => out.bytes(&[b]),
        }
    }
    put!(out, "\nUmask:\t{:04o}\n", who.context().umask());
    put!(out, "State:\t{state} ({})\n", state_name(state));
    put!(
        out,
        "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n",
        who.pid(),
        who.tid(),
        who.ppid()
    );
    put!(
        out,
        "Uid:\t{}\t{}\t{}\t{}\n",
        creds.uid,
        creds.euid,
        creds.suid,
        creds.fsuid
    );
    put!(
        out,
        "Gid:\t{}\t{}\t{}\t{}\n",
        creds.gid,
        creds.egid,
        creds.sgid,
        creds.fsgid
    );
    let open = who.files().list();
    put!(
        out,
        "FDSize:\t{}\n",
        open.last()
            .map_or(0, |&fd| fd as usize + 1)
            .next_multiple_of(64)
    );
    out.bytes(b"Groups:\t");
    for group in creds.groups.iter() {
        put!(out, "{group} ");
    }
    put!(
        out,
        "\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n",
        who.pid(),
        who.tid(),
        who.pgid(),
        who.sid()
    );
    if state != 'Z' {
        sizes(who, out);
    }
    signals_and_rest(who, out)
}

fn sizes(who: &Subject, out: &mut Out) {
    let c = who.counters();
    let kib = |pages: usize| pages * PAGE_SIZE / 1024;
    let rows = [
        ("VmPeak", c.size),
        ("VmSize", c.size),
        ("VmLck", 0),
        ("VmPin", 0),
        ("VmHWM", c.peak),
        ("VmRSS", c.resident),
        ("RssAnon", c.resident.saturating_sub(c.shared)),
        ("RssFile", c.shared),
        ("RssShmem", 0),
        ("VmData", c.data),
        ("VmStk", c.stack),
        ("VmExe", c.text),
        ("VmLib", 0),
        ("VmPTE", c.tables),
        ("VmSwap", 0),
    ];
    for (name, pages) in rows {
        put!(out, "{name}:\t{:>8} kB\n", kib(pages));
    }
}

fn signals_and_rest(who: &Subject, out: &mut Out) -> Result<()> {
    let s = who.signals();
    put!(out, "Threads:\t{}\n", who.tids().len());
    put!(
        out,
        "SigQ:\t{}/{}\n",
        s.shared_pending.count_ones(),
        who.limit(11)?.soft
    );
    let sets = [
        ("SigPnd", s.pending),
        ("ShdPnd", s.shared_pending),
        ("SigBlk", s.blocked),
        ("SigIgn", s.ignored),
        ("SigCgt", s.caught),
    ];
    for (name, set) in sets {
        put!(out, "{name}:\t{set:016x}\n");
    }
    // The superuser has every capability, nobody else any.
    let effective = if who.creds().is_privileged() {
        0x1ff_ffff_ffffu64
    } else {
        0
    };
    let capabilities = [
        ("CapInh", 0),
        ("CapPrm", effective),
        ("CapEff", effective),
        ("CapBnd", 0x1ff_ffff_ffff),
        ("CapAmb", 0),
    ];
    for (name, set) in capabilities {
        put!(out, "{name}:\t{set:016x}\n");
    }
    put!(out, "NoNewPrivs:\t0\nSeccomp:\t0\n");
    let (_, _, _, affinity) = who.scheduling();
    let cores = source::cores();
    let mask = affinity & ((1u64 << cores) - 1);
    put!(
        out,
        "Cpus_allowed:\t{mask:x}\nCpus_allowed_list:\t{}\n",
        cpu_list(mask)
    );
    let (voluntary, involuntary) = who.switches();
    put!(
        out,
        "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n"
    );
    Ok(())
}

/// `0-2,5` for a mask of 0b100111.
pub fn cpu_list(mask: u64) -> String {
    let mut list = String::new();
    let mut at = 0;
    while at < 64 {
        if mask >> at & 1 == 0 {
            at += 1;
            continue;
        }
        let end = (at..64).find(|&i| mask >> i & 1 == 0).unwrap_or(64);
        if !list.is_empty() {
            list.push(',');
        }
        list += &if end == at + 1 {
            alloc::format!("{at}")
        } else {
            alloc::format!("{at}-{}", end - 1)
        };
        at = end;
    }
    list
}
