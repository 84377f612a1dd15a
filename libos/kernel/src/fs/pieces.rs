//! The contents of files as pieces of pages: lent by the page cache where it has them, read into a fresh page otherwise.

use super::file::File;
use super::io::Whence;
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::memory::frames::{Frame, Piece, alloc_frame};
use crate::process::{current, scheduler};
use crate::user::{Buffer, UserPtr};
use alloc::vec::Vec;

/// The most that one call moves (Linux's `MAX_RW_COUNT`).
pub const MAX_RW_COUNT: usize = 0x7fff_f000;

/// Bytes that are copied before the next look at who else wants the core, or the thread.
const BETWEEN_LOOKS: usize = 1 << 20;

/// Whether a piece may be a page that others can change meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lend {
    IfPossible,
    Never,
}

/// An offset that the caller keeps, or the file's own.
pub struct Offset {
    user: UserPtr<i64>,
    at: Option<u64>,
}

impl Offset {
    pub fn new(user: UserPtr<i64>) -> Result<Self> {
        let at = match user.option() {
            Some(p) => Some(u64::try_from(p.read()?).map_err(|_| Errno::EINVAL)?),
            None => None,
        };
        Ok(Offset { user, at })
    }

    /// The file's own.
    pub const fn of_file() -> Self {
        Offset {
            user: UserPtr::new(0),
            at: None,
        }
    }

    /// Whether the caller keeps it.
    pub fn is_given(&self) -> bool {
        self.at.is_some()
    }

    /// Where it is now.
    pub fn place(&self, file: &File) -> u64 {
        self.at.unwrap_or(file.offset())
    }

    /// `n` bytes that were read have arrived.
    pub fn consumed(&mut self, file: &File, n: usize) -> Result<()> {
        match &mut self.at {
            Some(at) => *at += n as u64,
            None if n > 0 && file.seekable() => {
                file.seek(n as i64, Whence::Current)?;
            }
            None => {}
        }
        Ok(())
    }

    /// Writes `bytes` and moves on past them.
    pub fn write(&mut self, file: &File, bytes: &[u8]) -> Result<usize> {
        match &mut self.at {
            Some(at) => {
                let n = file.write_at(&mut Buffer::kernel(bytes), *at)?;
                *at += n as u64;
                Ok(n)
            }
            None => file.write(&mut Buffer::kernel(bytes)),
        }
    }

    /// Tells the caller.
    pub fn store(&self) -> Result<()> {
        match (self.user.option(), self.at) {
            (Some(user), Some(at)) => user.write(at as i64),
            _ => Ok(()),
        }
    }
}

/// `EBADF` unless one can be read and the other written.
pub fn check_pair(input: &File, output: &File) -> Result<()> {
    if !input.flags().readable() || !output.flags().writable() {
        return Err(Errno::EBADF);
    }
    Ok(())
}

/// Up to `want` bytes of a seekable file at `at`, as far as its page goes; `None` at the end of the file.
pub fn piece_at(file: &File, at: u64, want: usize, lend: Lend) -> Result<Option<Piece>> {
    if lend == Lend::IfPossible
        && let Some(mut piece) = file.lend(at)
    {
        piece.truncate(want);
        return Ok(Some(piece));
    }
    let mut frame = alloc_frame()?;
    let want = want.min(PAGE_SIZE - at as usize % PAGE_SIZE);
    let n = file.read_at(
        &mut Buffer::kernel_mut(&mut frame.as_mut_slice()[..want]),
        at,
    )?;
    Ok((n > 0).then(|| Piece::new(frame, 0, n)))
}

/// One read of up to `want` bytes from a stream, in pages.
pub fn read_pieces(file: &File, want: usize) -> Result<impl Iterator<Item = Piece>> {
    let mut frames: Vec<Frame> = Vec::new();
    let pages = want.div_ceil(PAGE_SIZE);
    frames.try_reserve_exact(pages).map_err(|_| Errno::ENOMEM)?;
    for _ in 0..pages {
        frames.push(alloc_frame()?);
    }
    let slices = frames.iter_mut().map(Frame::as_mut_slice).collect();
    let mut buf = Buffer::kernel_vec(slices);
    buf.truncate(want);
    let mut left = file.read(&mut buf)?;
    Ok(frames.into_iter().map_while(move |frame| {
        let n = left.min(PAGE_SIZE);
        left -= n;
        (n > 0).then(|| Piece::new(frame, 0, n))
    }))
}

/// Copies up to `count` bytes or to the end of the input, which has offsets; less if a signal comes meanwhile.
pub fn copy(
    input: &File,
    from: &mut Offset,
    output: &File,
    to: &mut Offset,
    count: usize,
    lend: Lend,
) -> Result<usize> {
    let count = count.min(MAX_RW_COUNT);
    let (mut done, mut since_look) = (0, 0);
    while done < count {
        let step = piece_at(input, from.place(input), count - done, lend).and_then(|piece| {
            let Some(piece) = piece else {
                return Ok((0, 0));
            };
            let written = to.write(output, piece.bytes())?;
            from.consumed(input, written)?;
            Ok((piece.len(), written))
        });
        match step {
            Ok((0, _)) => break,
            Ok((n, written)) => {
                done += written;
                // Short: the other side has taken what it will.
                if written < n {
                    break;
                }
                since_look += n;
                if since_look >= BETWEEN_LOOKS {
                    since_look = 0;
                    scheduler::give_way();
                    if current().signal_pending() {
                        break;
                    }
                }
            }
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
    }
    Ok(done)
}
