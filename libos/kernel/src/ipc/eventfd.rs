//! eventfd(2): a counter that can be waited for.

use super::caller;
use crate::base::{Errno, Result};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::Buffer;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

const EFD_SEMAPHORE: u32 = 1;
/// The counter never gets to `u64::MAX`.
const MOST: u64 = u64::MAX - 1;

/// What a read takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    All,
    /// `EFD_SEMAPHORE`.
    One,
}

struct EventFd {
    count: AtomicU64,
    take: Take,
    /// Readers wait for more than 0, writers for room; both are rare enough to share.
    changed: Arc<WaitQueue>,
}

impl EventFd {
    fn take(&self) -> Option<u64> {
        let some = |count| if self.take == Take::One { 1 } else { count };
        let left = |count| (count > 0).then(|| count - some(count));
        let before = self
            .count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        before.ok().map(some)
    }

    fn add(&self, n: u64) -> Option<()> {
        let sum = |count: u64| count.checked_add(n).filter(|&sum| sum <= MOST);
        let before = self
            .count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, sum);
        before.ok().map(drop)
    }
}

impl FileOps for EventFd {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.len() < 8 {
            return Err(Errno::EINVAL);
        }
        let n = match file.nonblocking() {
            true => self.take().ok_or(Errno::EAGAIN)?,
            false => self.changed.wait(None, || self.take())?,
        };
        self.changed.wake_all();
        buf.put(&n.to_ne_bytes())
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.len() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        if buf.take(&mut bytes)? < 8 {
            return Err(Errno::EFAULT);
        }
        let n = u64::from_ne_bytes(bytes);
        if n == u64::MAX {
            return Err(Errno::EINVAL);
        }
        match file.nonblocking() {
            true => self.add(n).ok_or(Errno::EAGAIN)?,
            false => self.changed.wait(None, || self.add(n))?,
        }
        self.changed.wake_all();
        Ok(8)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.changed);
        }
        let count = self.count.load(Ordering::SeqCst);
        let mut events = PollEvents::empty();
        if count > 0 {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if count < MOST {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn name(&self) -> String {
        String::from("anon_inode:[eventfd]")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// eventfd2(2).
pub fn sys_eventfd2(count: u32, flags: u32) -> Result<usize> {
    let open = OpenFlags::from_bits_retain(flags & !EFD_SEMAPHORE);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(open) {
        return Err(Errno::EINVAL);
    }
    let take = if flags & EFD_SEMAPHORE != 0 {
        Take::One
    } else {
        Take::All
    };
    let event = EventFd {
        count: AtomicU64::new(count.into()),
        take,
        changed: Arc::new(WaitQueue::new()),
    };
    let file = File::anonymous(
        Arc::new(event),
        OpenFlags::RDWR | open & OpenFlags::NONBLOCK,
    );
    Ok(caller::install(file, open.contains(OpenFlags::CLOEXEC))? as usize)
}
