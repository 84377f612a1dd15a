//! Bytes of standard input that `read` has fetched before it needed them.
//!
//! yash reads a byte at a time, since what follows the line belongs to the next command. From a file
//! the same can be had by a block and a seek back to where the line ended. A pipe cannot be put back
//! into: there it stays one byte at a time, as in every shell.

use std::cell::RefCell;
use yash_env::io::Fd;
use yash_env::system::{Errno, Result};

/// Longer than most lines, and cheap to throw away.
const BLOCK: usize = 512;

#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    position: usize,
}

thread_local! {
    static AHEAD: RefCell<Option<Ahead>> = const { RefCell::new(None) };
}

/// Reads ahead on standard input until dropped, and then leaves the offset behind what was taken.
pub struct Guard(());

/// Begins to read ahead, if standard input can be set back.
pub fn start() -> Option<Guard> {
    // SAFETY: the call takes no pointer.
    if unsafe { libc::lseek(libc::STDIN_FILENO, 0, libc::SEEK_CUR) } < 0 {
        return None;
    }
    AHEAD.set(Some(Ahead::default()));
    Some(Guard(()))
}

impl Drop for Guard {
    fn drop(&mut self) {
        let left = AHEAD.take().map_or(0, |a| a.bytes.len() - a.position);
        if left > 0 {
            // SAFETY: the call takes no pointer.
            unsafe { libc::lseek(libc::STDIN_FILENO, -(left as libc::off_t), libc::SEEK_CUR) };
        }
    }
}

/// Reads from what was fetched, or fetches; `None` while nobody reads ahead on `fd`.
pub fn read(fd: Fd, buffer: &mut [u8]) -> Option<Result<usize>> {
    if fd != Fd::STDIN {
        return None;
    }
    AHEAD.with_borrow_mut(|ahead| {
        let ahead = ahead.as_mut()?;
        if ahead.position == ahead.bytes.len() {
            ahead.position = 0;
            ahead.bytes.resize(BLOCK, 0);
            // SAFETY: the pointer and the length are those of `bytes`.
            let count =
                unsafe { libc::read(libc::STDIN_FILENO, ahead.bytes.as_mut_ptr().cast(), BLOCK) };
            ahead.bytes.truncate(usize::try_from(count).unwrap_or(0));
            if count < 0 {
                let error = std::io::Error::last_os_error();
                return Some(Err(Errno(error.raw_os_error().unwrap_or(libc::EIO))));
            }
        }
        let count = buffer.len().min(ahead.bytes.len() - ahead.position);
        buffer[..count].copy_from_slice(&ahead.bytes[ahead.position..][..count]);
        ahead.position += count;
        Some(Ok(count))
    })
}
