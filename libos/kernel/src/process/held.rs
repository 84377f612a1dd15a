//! Open files, and where paths start, for the length of a call.
//!
//! A call must keep the file that it works on, because another thread may close the descriptor meanwhile. Where there is no other,
//! the table keeps it: then nothing is locked and nothing counted, which is most of what a short call would cost.

use super::{Process, current};
use crate::base::{Errno, Result};
use crate::fs::{FdTable, File, FsContext, caller};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::{Ordering, fence};

/// An open file that stays while the caller's call lasts. A call that closes descriptors has no business with it.
pub struct Held {
    file: ManuallyDrop<Arc<File>>,
    /// Whether the reference is one of those that the file knows of.
    counted: bool,
    /// It belongs to the running call.
    _here: PhantomData<*const ()>,
}

/// The table of a process that nobody but the running thread can change.
///
/// A table is changed by the threads of the processes that have it, and by nobody else; others (`/proc`, a pidfd) only look. The
/// running thread makes no other one while it is in a call that holds files, so that who is alone stays so.
#[inline(always)]
fn own_table(process: &Process) -> Option<&Arc<FdTable>> {
    if !process.has_one_thread() {
        return None;
    }
    // SAFETY: the pointer to the table is changed only by the process's own threads, of which this is the only one.
    let table = unsafe { process.files.get_unlocked() };
    // A process that shared the table may just be gone: what it did last is to be seen.
    (Arc::strong_count(table) == 1).then(|| {
        fence(Ordering::Acquire);
        table
    })
}

/// Looks at the current process's directories and umask. `look` replaces nothing and makes no thread.
#[inline(always)]
pub fn with_context<T>(look: impl FnOnce(&FsContext) -> T) -> T {
    let process = current().process();
    if process.has_one_thread() {
        // SAFETY: a process's context is replaced by its own threads only, of which the only one is here.
        look(unsafe { process.fs.get_unlocked() })
    } else {
        look(&caller::context())
    }
}

/// The open file behind a descriptor of the current process.
#[inline(always)]
pub fn hold(fd: i32) -> Result<Held> {
    if let Some(table) = own_table(current().process()) {
        // SAFETY: the table is the running thread's alone.
        let file = unsafe { table.inner.get_unlocked() }
            .get(fd)
            .ok_or(Errno::EBADF)?;
        return Ok(Held {
            // SAFETY: the table has the reference of which this is a second copy, and keeps it; the copy is not dropped.
            file: ManuallyDrop::new(unsafe { core::ptr::read(file) }),
            counted: false,
            _here: PhantomData,
        });
    }
    Ok(Held {
        file: ManuallyDrop::new(caller::file(fd)?),
        counted: true,
        _here: PhantomData,
    })
}

impl Deref for Held {
    type Target = Arc<File>;

    #[inline(always)]
    fn deref(&self) -> &Arc<File> {
        &self.file
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        if self.counted {
            // SAFETY: this is the end of its owner.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// As [`Held`], for many descriptors, of which some may not be open.
pub struct HeldMany {
    files: Vec<ManuallyDrop<Option<Arc<File>>>>,
    counted: bool,
    _here: PhantomData<*const ()>,
}

/// The open files behind many descriptors of the current process.
pub fn hold_each(fds: impl ExactSizeIterator<Item = i32>) -> Result<HeldMany> {
    let mut files = Vec::new();
    files
        .try_reserve_exact(fds.len())
        .map_err(|_| Errno::ENOMEM)?;
    let process = current().process();
    let own = own_table(process);
    match own {
        Some(table) => {
            // SAFETY: the table is the running thread's alone.
            let slots = unsafe { table.inner.get_unlocked() };
            files.extend(fds.map(|fd| {
                // SAFETY: the table has the reference of which this is a second copy, and keeps it; the copy is not dropped.
                ManuallyDrop::new(slots.get(fd).map(|file| unsafe { core::ptr::read(file) }))
            }));
        }
        None => caller::files().get_each(fds, &mut files),
    }
    Ok(HeldMany {
        files,
        counted: own.is_none(),
        _here: PhantomData,
    })
}

impl HeldMany {
    pub fn iter(&self) -> impl Iterator<Item = Option<&Arc<File>>> {
        self.files.iter().map(|file| file.as_ref())
    }
}

impl Drop for HeldMany {
    fn drop(&mut self) {
        if self.counted {
            for file in &mut self.files {
                // SAFETY: this is the end of its owner.
                unsafe { ManuallyDrop::drop(file) };
            }
        }
    }
}
