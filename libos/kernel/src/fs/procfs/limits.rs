//! `/proc/PID/limits`.

use super::out::{Out, put};
use super::source::Subject;
use crate::base::Result;
use alloc::string::String;

/// Name and unit, in Linux's order; the number is the `RLIMIT_` one.
const LIMITS: [(&str, &str, u32); 16] = [
    ("Max cpu time", "seconds", 0),
    ("Max file size", "bytes", 1),
    ("Max data size", "bytes", 2),
    ("Max stack size", "bytes", 3),
    ("Max core file size", "bytes", 4),
    ("Max resident set", "bytes", 5),
    ("Max processes", "processes", 6),
    ("Max open files", "files", 7),
    ("Max locked memory", "bytes", 8),
    ("Max address space", "bytes", 9),
    ("Max file locks", "locks", 10),
    ("Max pending signals", "signals", 11),
    ("Max msgqueue size", "bytes", 12),
    ("Max nice priority", "", 13),
    ("Max realtime priority", "", 14),
    ("Max realtime timeout", "us", 15),
];

pub fn limits(who: &Subject, out: &mut Out) -> Result<()> {
    put!(
        out,
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit",
        "Soft Limit",
        "Hard Limit",
        "Units"
    );
    let show = |n: u64| {
        if n == u64::MAX {
            String::from("unlimited")
        } else {
            alloc::format!("{n}")
        }
    };
    for (name, unit, number) in LIMITS {
        let limit = who.limit(number)?;
        put!(
            out,
            "{:<25} {:<20} {:<20} {:<10}\n",
            name,
            show(limit.soft),
            show(limit.hard),
            unit
        );
    }
    Ok(())
}
