//! What the machine has in use: pages, processes, threads, open files, inodes. Counted before and after.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::support::{c, zeroed};

/// How long what has ended may take to be taken apart by other cores.
const SETTLES_IN: Duration = Duration::from_secs(20);
/// Counted for one name: use, and how much more is no loss.
pub struct Count {
    what: &'static str,
    unit: &'static str,
    used: i64,
    slack: i64,
}

pub type Account = Vec<Count>;

fn field(path: &str, line: &str) -> Result<i64> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let found = text.lines().find_map(|l| l.strip_prefix(line));
    let word = found.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("no {line} in {path}"))
}

fn numeric_entries(path: &str) -> Result<i64> {
    let entries = fs::read_dir(path).with_context(|| path.to_owned())?;
    let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_number))
        .count() as i64)
}

fn threads() -> Result<i64> {
    let text = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    let all = text
        .split_whitespace()
        .nth(3)
        .and_then(|pair| pair.split_once('/'));
    all.and_then(|(_, all)| all.parse().ok())
        .context("the threads in /proc/loadavg")
}

fn inodes(path: &str) -> Result<i64> {
    let mut about: libc::statfs = zeroed();
    call!(statfs(c(path).as_ptr(), &mut about)).with_context(|| path.to_owned())?;
    Ok(about.f_files as i64 - about.f_ffree as i64)
}

#[derive(Default)]
struct KernelHeap {
    /// Of slabs that hold something.
    pages: i64,
    /// Of live objects.
    bytes: i64,
}

/// The sums of `/proc/slabinfo`. Linux counts its slabs in other ways and shows them to root alone; there it is nothing.
fn kernel_heap() -> Result<KernelHeap> {
    let mut heap = KernelHeap::default();
    for line in slabs().lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| -> Result<i64> {
            let word = words.get(at).context("a short line in /proc/slabinfo")?;
            Ok(word.parse()?)
        };
        heap.bytes += number(1)? * number(3)?;
        heap.pages += number(13)? * number(5)?;
    }
    Ok(heap)
}

/// `/proc/slabinfo`, which shows in what sizes objects were lost.
pub fn slabs() -> String {
    fs::read_to_string("/proc/slabinfo").unwrap_or_default()
}

/// Pages of our own.
fn resident() -> Result<i64> {
    let text = fs::read_to_string("/proc/self/statm").context("/proc/self/statm")?;
    let word = text.split_whitespace().nth(1);
    word.and_then(|word| word.parse().ok())
        .context("the second number of /proc/self/statm")
}

fn take() -> Result<Account> {
    let cores = thread::available_parallelism().map_or(1, |n| n.get()) as i64;
    let total = field("/proc/meminfo", "MemTotal:")?;
    let free = field("/proc/meminfo", "MemFree:")?;
    let heap = kernel_heap()?;
    let count = |what, unit, used, slack| Count {
        what,
        unit,
        used,
        slack,
    };
    Ok(vec![
        // A page of the kernel heap stays while one object in it lives, and where long-lived objects come to lie is chance:
        // so the objects are counted, and the pages apart from the heap's.
        // And what the supervisor itself holds is not lost.
        count(
            "memory",
            "pages",
            (total - free) / 4 - heap.pages - resident()?,
            cores,
        ),
        count("kernel heap", "bytes", heap.bytes, 4096 * cores),
        count("shared memory", "KiB", field("/proc/meminfo", "Shmem:")?, 0),
        count(
            "committed memory",
            "KiB",
            field("/proc/meminfo", "Committed_AS:")?,
            0,
        ),
        count("processes", "", numeric_entries("/proc")?, 0),
        count("threads", "", threads()?, 0),
        count("open files", "", field("/proc/sys/fs/file-nr", "")?, 0),
        count("own descriptors", "", numeric_entries("/proc/self/fd")?, 0),
        count("inodes of /", "", inodes("/")?, 0),
        count("inodes of /tmp", "", inodes("/tmp")?, 0),
        count("inodes of /dev", "", inodes("/dev")?, 0),
    ])
}

/// The account once it stays the same for a while.
pub fn settled() -> Result<Account> {
    let deadline = Instant::now() + SETTLES_IN;
    let mut last = take()?;
    let mut same = 0;
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = take()?;
        same = if now.iter().zip(&last).all(|(a, b)| a.used == b.used) {
            same + 1
        } else {
            0
        };
        last = now;
        if same == 5 || Instant::now() > deadline {
            return Ok(last);
        }
    }
}

fn losses<'a>(before: &'a Account, after: &'a Account) -> impl Iterator<Item = (&'a Count, i64)> {
    before
        .iter()
        .zip(after)
        .map(|(before, after)| (before, after.used - before.used))
        .filter(|(count, more)| *more > count.slack)
}

/// The account once it is no worse than `before`, or when it has had its time.
pub fn like(before: &Account) -> Result<Account> {
    let deadline = Instant::now() + SETTLES_IN;
    loop {
        let now = take()?;
        if losses(before, &now).next().is_none() || Instant::now() > deadline {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

pub fn table(before: &Account, after: &Account) -> String {
    let mut text = format!(
        "{:<24}{:>12}{:>12}{:>8}\n",
        "in use", "before", "after", "more"
    );
    for (before, after) in before.iter().zip(after) {
        let name = format!("{} {}", before.what, before.unit);
        let more = after.used - before.used;
        text += &format!("{name:<24}{:>12}{:>12}{more:>8}\n", before.used, after.used);
    }
    text
}

/// An error that names what is lost. On another system there are others who take and give back: nothing to be said there.
pub fn check(before: &Account, after: &Account) -> Result<()> {
    if fs::read_to_string("/proc/version").is_ok_and(|version| !version.starts_with("RustOS")) {
        return Ok(());
    }
    let lost: Vec<String> = losses(before, after)
        .map(|(count, more)| {
            format!("{more} {} {}", count.what, count.unit)
                .trim_end()
                .to_owned()
        })
        .collect();
    if !lost.is_empty() {
        bail!("lost: {}", lost.join(", "));
    }
    Ok(())
}
