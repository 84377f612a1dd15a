//! Copying from file to file inside the kernel: `copy_file_range`. What goes through pipes is in `ipc/splice.rs`.

use crate::base::{Errno, Result};
use crate::fs::caller;
use crate::fs::pieces::{Lend, Offset, check_pair, copy};
use crate::fs::types::{FileType, OpenFlags};
use crate::user::UserPtr;
use alloc::sync::Arc;

pub fn sys_copy_file_range(
    in_fd: i32,
    in_offset: UserPtr<i64>,
    out_fd: i32,
    out_offset: UserPtr<i64>,
    count: usize,
    flags: u32,
) -> Result<usize> {
    let (input, output) = (caller::file(in_fd)?, caller::file(out_fd)?);
    check_pair(&input, &output)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    for file in [&input, &output] {
        match file.metadata()?.kind {
            FileType::Regular if file.ops().is_none() => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    let mut from = Offset::new(in_offset)?;
    let mut to = Offset::new(out_offset)?;
    let (a, b) = (from.place(&input), to.place(&output));
    let same = input
        .inode()
        .zip(output.inode())
        .is_some_and(|(x, y)| Arc::ptr_eq(x, y));
    if same && a < b.saturating_add(count as u64) && b < a.saturating_add(count as u64) {
        return Err(Errno::EINVAL);
    }
    // The two ranges of one file may share a page, which is not read while it is written.
    let lend = if same { Lend::Never } else { Lend::IfPossible };
    let moved = copy(&input, &mut from, &output, &mut to, count, lend)?;
    from.store()?;
    to.store()?;
    Ok(moved)
}
