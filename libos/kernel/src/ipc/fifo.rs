//! Opening a pipe by name: each end waits for the other (fifo(7)).

use super::pipe::Pipe;
use crate::base::{Errno, Result};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, PollEvents};
use crate::process::wait::PollTable;
use crate::user::Buffer;
use alloc::sync::Arc;
use core::any::Any;

/// A reader that did not wait for a writer. The end of one that it has not had says nothing to it: it hangs up only after some
/// writer has come and gone.
struct EarlyReader {
    pipe: Arc<Pipe>,
    /// Writers that had come when it was opened.
    before: u64,
}

impl FileOps for EarlyReader {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, at: Option<u64>) -> Result<usize> {
        self.pipe.read(file, buf, at)
    }

    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let events = self.pipe.poll(file, table);
        // Looked at after that: one that comes meanwhile wakes who waits.
        if self.pipe.state.lock().writer_opens == self.before {
            events - PollEvents::HUP
        } else {
            events
        }
    }

    fn ioctl(&self, file: &File, cmd: u32, arg: usize) -> Result<usize> {
        self.pipe.ioctl(file, cmd, arg)
    }

    fn release(&self, file: &File) {
        self.pipe.release(file);
    }

    fn is_pipe(&self) -> bool {
        true
    }

    fn pipe_size(&self) -> Result<usize> {
        self.pipe.pipe_size()
    }

    fn set_pipe_size(&self, size: usize) -> Result<usize> {
        self.pipe.set_pipe_size(size)
    }

    fn as_any(&self) -> &dyn Any {
        &*self.pipe
    }
}

/// Opens one more file on the pipe.
fn open_pipe(pipe: Arc<Pipe>, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
    let nonblocking = flags.contains(OpenFlags::NONBLOCK);
    let (reads, writes) = (flags.readable(), flags.writable());
    let (before, alone, wakes) = {
        let mut state = pipe.state.lock();
        if writes && !reads && nonblocking && state.readers == 0 {
            return Err(Errno::ENXIO);
        }
        let before = (state.reader_opens, state.writer_opens);
        let wakes = state.enter(flags);
        (before, state.writers == 0, wakes)
    };
    pipe.wake(wakes);
    if nonblocking {
        let before = before.1;
        return Ok(match alone {
            true => Arc::new(EarlyReader { pipe, before }),
            false => pipe,
        });
    }
    let met = match (reads, writes) {
        (true, false) => pipe.readable.wait(None, || {
            let state = pipe.state.lock();
            (state.writers > 0 || state.writer_opens != before.1).then_some(())
        }),
        (false, true) => pipe.writable.wait(None, || {
            let state = pipe.state.lock();
            (state.readers > 0 || state.reader_opens != before.0).then_some(())
        }),
        _ => Ok(()),
    };
    met.inspect_err(|_| pipe.leave(flags))?;
    Ok(pipe)
}

/// Opens a FIFO whose inode keeps its pipe in `slot`.
pub fn open(slot: &crate::fs::fifo::FifoSlot, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
    let pipe = {
        let mut slot = slot.lock();
        match slot.clone().and_then(|any| any.downcast::<Pipe>().ok()) {
            Some(pipe) => pipe,
            None => {
                let pipe = Pipe::new();
                *slot = Some(pipe.clone());
                pipe
            }
        }
    };
    open_pipe(pipe, flags)
}
