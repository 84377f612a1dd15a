//! The devices that need no hardware: `null zero full random urandom`, and where [`kmsg`](super::kmsg) is.

use super::devfs;
use super::file::{File, FileOps, Offsets};
use super::types::{Dev, OpenFlags};
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::memory::frames::Piece;
use crate::process::current;
use crate::user::Buffer;
use alloc::sync::Arc;
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
            crate::process::scheduler::give_way();
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
            Memory::Random | Memory::Urandom => random(buf),
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

/// Apart, to keep its buffer out of the stack frame of every other read.
#[inline(never)]
fn random(buf: &mut Buffer<'_>) -> Result<usize> {
    fill(buf, 256, |buf| {
        let mut bytes = [0; 256];
        let n = buf.len().min(256);
        crate::random::fill(&mut bytes[..n]);
        buf.put(&bytes[..n])
    })
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
    let open = |_: Dev, _: OpenFlags| Ok(super::kmsg::open());
    devfs::register_driver("mem", Dev::new(MEM, 11), Arc::new(open));
    devfs::add_node("kmsg", Dev::new(MEM, 11), 0o644, 0, 0)
}
