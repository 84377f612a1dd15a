//! How often each door of the kernel is entered: a second boot of the same command, in which QEMU logs
//! each translation block that starts in the doors' code (`-d exec,nochain -dfilter`).
//!
//! The log goes through a FIFO and is counted as it comes. What a call costs is the share of samples
//! below its door, of all instructions.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    ops::Range,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use fs_err::{self as fs, File, OpenOptions};
use rustix::fs::{CWD, FileType, Mode};

use super::symbols::Symbols;
use crate::{
    guest::{self, End},
    process,
};

/// The line that ends the count; QEMU writes no such one.
const END: &str = "end of the count";

/// Calls by door, and the instructions of the whole run.
pub struct Calls {
    pub by_door: BTreeMap<String, u64>,
    pub instructions: u64,
}

/// A command that ends with the count of instructions on stderr. The one to be counted has a shell of its own, which it may
/// end in whatever way.
pub fn counted(command: &str) -> String {
    let command = process::quote(command);
    format!("sh -c {command}; status=$?; bench --counter >&2; exit $status")
}

/// Boots with `arguments` and counts.
pub fn count(
    mut arguments: Vec<String>,
    symbols: &Symbols,
    folder: &Path,
    limit: Duration,
) -> Result<Calls> {
    let doors = symbols.doors();
    let range = code_of(&doors).context("the image has no doors: it is not one of this build")?;
    let pipe = Pipe::new(folder.join(format!("calls.{}", std::process::id())))?;
    let path = pipe.path.display().to_string();
    let filter = format!("{:#x}..{:#x}", range.start, range.end - 1);
    arguments.extend(["-d", "exec,nochain", "-dfilter", &filter, "-D", &path].map(String::from));

    // Open for both: neither side waits for the other, and the end is a line.
    let mut end = OpenOptions::new().read(true).write(true).open(&pipe.path)?;
    let reader = end.try_clone()?;
    let counter = thread::spawn(move || by_address(reader));
    let boot = guest::capture(arguments, limit);
    // QEMU may have been stopped within a line.
    writeln!(end, "\n{END}")?;
    let by_address = counter
        .join()
        .map_err(|_| anyhow!("the counting thread panicked"))??;
    let (boot, output) = boot?;
    match boot.end {
        End::Exit(_) => {}
        other => return Err(anyhow!("the guest ended early: {other:?}")),
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let instructions = said
        .split_whitespace()
        .next_back()
        .and_then(|word| word.parse().ok())
        .context("`bench --counter` did not print its count at the end: the image is without it, or the command ended all processes")?;
    let by_door = doors
        .into_iter()
        .filter_map(|(address, name)| Some((name, *by_address.get(&address)?)))
        .collect();
    Ok(Calls {
        by_door,
        instructions,
    })
}

/// From the first door to behind the entry of the last: the linker puts them side by side.
fn code_of(doors: &[(u64, String)]) -> Option<Range<u64>> {
    let first = doors.iter().map(|door| door.0).min()?;
    let last = doors.iter().map(|door| door.0).max()?;
    Some(first..last + 4)
}

fn by_address(log: File) -> Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    for line in BufReader::new(log).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line == END {
            break;
        }
        if let Some(address) = address(&line) {
            *counts.entry(address).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Of `Trace 0: 0x7f… [cs_base/pc/flags/cflags] name`: the pc.
fn address(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(rest.split('/').nth(1)?, 16).ok()
}

/// A FIFO, which goes away with the value.
struct Pipe {
    path: PathBuf,
}

impl Pipe {
    fn new(path: PathBuf) -> Result<Self> {
        fs::remove_file(&path).ok();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0)
            .with_context(|| format!("cannot make the FIFO {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ends_its_shell_is_counted() {
        for (command, status) in [
            ("exit 3", 3),
            ("", 0),
            ("if", 2),
            ("exec sh -c 'exit 4'", 4),
            ("kill -9 $$", 137),
        ] {
            let bench = "bench() { echo 42; }; ";
            let output = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("{bench}{}", counted(command)))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.ends_with("42\n"), "{command}: {said}");
            assert_eq!(output.status.code(), Some(status), "{command}: {said}");
        }
    }

    #[test]
    fn the_address_is_the_second_field() {
        let line = "Trace 0: 0x7f4a2c000100 \
                    [00000000004000ff/ffffffff80000040/0010402b/ff000200] os_read";
        assert_eq!(address(line), Some(0xffff_ffff_8000_0040));
        assert_eq!(address("Linking TBs 0x7f4a [ffff/1/2/3]"), None);
        assert_eq!(address("Trace"), None);
    }

    #[test]
    fn lines_are_counted_up_to_the_end() {
        let folder = std::env::temp_dir();
        let pipe = Pipe::new(folder.join(format!("xtask-calls-{}", std::process::id()))).unwrap();
        let mut both = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe.path)
            .unwrap();
        write!(both, "Trace 0: 0x1 [0/10/0/0] a\nTrace 0: 0x1 [0/10/0/0] a\nTrace 0: 0x1 [0/20/0/0] b\n{END}\n")
            .unwrap();
        let counts = by_address(both).unwrap();
        assert_eq!(counts, BTreeMap::from([(0x10, 2), (0x20, 1)]));
    }

    #[test]
    fn the_doors_are_one_piece_of_code() {
        let doors = [(0x20, "os_b".to_owned()), (0x10, "os_a".to_owned())];
        assert_eq!(code_of(&doors), Some(0x10..0x24));
        assert_eq!(code_of(&[]), None);
    }
}
