//! What every process of the session is doing, for when nothing moves any more.

use std::fs;

/// Prints the state of each process and thread: what it is called, how it is, where it waits.
pub fn print() {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let session = sys!(getsid(0)).to_string();
    println!(
        "{:>7} {:>7} {:>7} state  threads pending/blocked/shared-pending",
        "pid", "parent", "group"
    );
    for pid in pids {
        // The name may hold anything, blanks and parentheses too.
        let stat = read(format!("/proc/{pid}/stat"));
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let word = |index: usize| words.get(index).copied().unwrap_or("?");
        if word(3) != session {
            continue;
        }
        let status = read(format!("/proc/{pid}/status"));
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map_or("?", str::trim).to_owned()
        };
        let name = read(format!("/proc/{pid}/cmdline")).replace('\0', " ");
        println!(
            "{pid:>7} {:>7} {:>7} {:>5} {:>8} {}/{}/{} {}",
            word(1),
            word(2),
            word(0),
            word(17),
            field("SigPnd:"),
            field("SigBlk:"),
            field("ShdPnd:"),
            name.trim_end(),
        );
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.filter_map(Result::ok) {
            let tid = task.file_name().to_string_lossy().into_owned();
            let wchan = read(format!("/proc/{pid}/task/{tid}/wchan"));
            let stat = read(format!("/proc/{pid}/task/{tid}/stat"));
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let words: Vec<&str> = rest.split_whitespace().collect();
            println!(
                "        thread {tid}: {} utime {} stime {} core {} {wchan}",
                words.first().unwrap_or(&"?"),
                words.get(11).unwrap_or(&"?"),
                words.get(12).unwrap_or(&"?"),
                words.get(36).unwrap_or(&"?"),
            );
        }
    }
}
