//! Several messages in one call (sendmmsg(2), recvmmsg(2)).

use super::sys::{sys_recvmsg, sys_sendmsg};
use super::transfer::MSG_DONTWAIT;
use crate::base::Result;
use crate::user::UserPtr;

const MSG_WAITFORONE: u32 = 0x1_0000;
/// Messages in one call; more are left for the next, as on Linux.
const MOST: u32 = 1024;

/// `struct mmsghdr`: a message header and the length that was transferred.
type Entry = [usize; 8];

/// Does `one` to each entry until an error, which only the first of them reports.
fn each(
    list: UserPtr<Entry>,
    count: u32,
    mut one: impl FnMut(usize, UserPtr<[usize; 7]>) -> Result<usize>,
    mut go_on: impl FnMut() -> bool,
) -> Result<usize> {
    let count = count.min(MOST) as usize;
    for n in 0..count {
        let entry = list.offset(n);
        let length = entry.field::<u32>(size_of::<[usize; 7]>());
        match one(n, entry.cast()).and_then(|done| length.write(done as u32)) {
            Ok(()) if go_on() => {}
            Ok(()) => return Ok(n + 1),
            Err(_) if n > 0 => return Ok(n),
            Err(e) => return Err(e),
        }
    }
    Ok(count)
}

pub fn sys_sendmmsg(fd: i32, list: UserPtr<Entry>, count: u32, flags: u32) -> Result<usize> {
    each(
        list,
        count,
        |_, message| sys_sendmsg(fd, message, flags),
        || true,
    )
}

/// The timeout is looked at after each message only, as on Linux.
pub fn sys_recvmmsg(
    fd: i32,
    list: UserPtr<Entry>,
    count: u32,
    flags: u32,
    timeout: UserPtr<[i64; 2]>,
) -> Result<usize> {
    let deadline = match timeout.option() {
        Some(timeout) => {
            let wait = crate::time::sys::nanoseconds(timeout.read()?)?;
            Some(crate::time::monotonic_ns().saturating_add(wait))
        }
        None => None,
    };
    let receive = |n: usize, message| {
        let wait = if n > 0 && flags & MSG_WAITFORONE != 0 {
            MSG_DONTWAIT
        } else {
            0
        };
        sys_recvmsg(fd, message, flags & !MSG_WAITFORONE | wait)
    };
    each(list, count, receive, || {
        deadline.is_none_or(|end| crate::time::monotonic_ns() < end)
    })
}
