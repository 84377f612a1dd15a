//! The devices that need no hardware: `null zero full random urandom kmsg`.

use super::devfs;
use super::file::{File, FileOps, Offsets};
use super::types::{Dev, OpenFlags};
use crate::base::{Errno, PAGE_SIZE, Result, SpinLock};
use crate::memory::frames::Piece;
use crate::process::current;
use crate::user::Buffer;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Memory {
    Null,
    Zero,
    Full,
    Random,
    Urandom,
}

/// Bytes between two looks at whether a signal is waiting.
const CHUNK: usize = 1 << 20;

/// Fills `buf` piece by piece, stopping for a signal once something is done.
fn fill(
    buf: &mut Buffer<'_>,
    piece: usize,
    mut put: impl FnMut(&mut Buffer<'_>) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0;
    let mut since_check = 0;
    while !buf.is_empty() {
        let want = buf.len().min(piece);
        match put(buf) {
            Ok(n) => done += n,
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
        since_check += want;
        if since_check >= CHUNK {
            since_check = 0;
            if current().signal_pending() {
                break;
            }
        }
    }
    Ok(done)
}

impl FileOps for Memory {
    fn read(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        match self {
            Memory::Null => Ok(0),
            Memory::Zero | Memory::Full if buf.len() <= CHUNK => buf.put_zeros(CHUNK),
            Memory::Zero | Memory::Full => fill(buf, CHUNK, |buf| buf.put_zeros(CHUNK)),
            Memory::Random | Memory::Urandom => fill(buf, 256, |buf| {
                let mut bytes = [0; 256];
                let n = buf.len().min(256);
                crate::random::fill(&mut bytes[..n]);
                buf.put(&bytes[..n])
            }),
        }
    }

    fn write(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        match self {
            Memory::Full => Err(Errno::ENOSPC),
            // What is written to the generator does not make it worse: it is not used at all.
            _ => Ok(buf.skip(buf.len())),
        }
    }

    fn offsets(&self) -> Offsets {
        Offsets::Loose
    }

    /// It once had to be waited for; programs still do.
    fn can_be_watched(&self) -> bool {
        matches!(self, Memory::Random)
    }

    fn is_sink(&self) -> bool {
        matches!(self, Memory::Null | Memory::Zero)
    }

    fn maps_anonymous(&self) -> bool {
        matches!(self, Memory::Zero)
    }

    fn lend(&self) -> Option<Piece> {
        match self {
            Memory::Zero | Memory::Full => {
                Some(Piece::new(crate::memory::zero_frame().ok()?, 0, PAGE_SIZE))
            }
            _ => None,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `/dev/kmsg`: each read gives one record, each write makes one.
struct KernelLog {
    /// What is left of the log as it was when the file was opened, and the number of the next record.
    left: SpinLock<(Vec<u8>, usize, u64)>,
}

impl FileOps for KernelLog {
    fn read(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let record = {
            let mut left = self.left.lock();
            let (log, at, sequence) = &mut *left;
            let line = log[*at..].split(|&b| b == b'\n').next().unwrap_or(&[]);
            if line.is_empty() {
                return Err(Errno::EAGAIN);
            }
            let record = format_record(line, *sequence);
            if record.len() > buf.len() {
                return Err(Errno::EINVAL);
            }
            *at = (*at + line.len() + 1).min(log.len());
            *sequence += 1;
            record
        };
        buf.put(record.as_bytes())
    }

    fn write(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let mut bytes = [0; 1024];
        let total = buf.len();
        let n = buf.take(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..n]);
        // A leading `<N>` gives a priority; the ring keeps its own.
        let text = text.trim_end();
        let text = text
            .strip_prefix('<')
            .and_then(|t| t.split_once('>'))
            .map_or(text, |(_, rest)| rest);
        crate::klog!(Info, "{text}");
        Ok(total)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `<6>[    1.000002] text` as `6,17,1000002,-;text`.
fn format_record(line: &[u8], sequence: u64) -> String {
    let line = String::from_utf8_lossy(line);
    let parsed = || {
        let (level, rest) = line.strip_prefix('<')?.split_once('>')?;
        let (time, text) = rest.strip_prefix('[')?.split_once("] ")?;
        let (seconds, micros) = time.trim().split_once('.')?;
        let micros = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
        Some(alloc::format!("{level},{sequence},{micros},-;{text}\n"))
    };
    parsed().unwrap_or_else(|| alloc::format!("6,{sequence},0,-;{line}\n"))
}

/// Major number of the memory devices.
const MEM: u32 = 1;

/// Registers them all.
pub fn register() -> Result<()> {
    let memory = [
        ("null", 3, Memory::Null),
        ("zero", 5, Memory::Zero),
        ("full", 7, Memory::Full),
        ("random", 8, Memory::Random),
        ("urandom", 9, Memory::Urandom),
    ];
    for (name, minor, what) in memory {
        let ops: Arc<dyn FileOps> = Arc::new(what);
        let open = move |_: Dev, _: OpenFlags| Ok(ops.clone());
        devfs::register_driver("mem", Dev::new(MEM, minor), Arc::new(open));
        devfs::add_node(name, Dev::new(MEM, minor), 0o666, 0, 0)?;
    }
    let open = |_: Dev, _: OpenFlags| {
        let log = KernelLog {
            left: SpinLock::new((crate::log::contents(), 0, 0)),
        };
        Ok(Arc::new(log) as Arc<dyn FileOps>)
    };
    devfs::register_driver("mem", Dev::new(MEM, 11), Arc::new(open));
    devfs::add_node("kmsg", Dev::new(MEM, 11), 0o644, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_become_records() {
        assert_eq!(
            format_record(b"<4>[    1.000002] disk on fire", 17),
            "4,17,1000002,-;disk on fire\n"
        );
        assert_eq!(format_record(b"bare", 3), "6,3,0,-;bare\n");
    }
}
