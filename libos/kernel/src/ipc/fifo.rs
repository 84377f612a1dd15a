//! Opening a pipe by name: each end waits for the other (fifo(7)).

use super::pipe::Pipe;
use crate::base::{Errno, Result};
use crate::fs::FileOps;
use crate::fs::types::OpenFlags;
use alloc::sync::Arc;

impl Pipe {
    /// Opens one more file on the pipe, as fifo(7) has it.
    pub(super) fn open(&self, flags: OpenFlags) -> Result<()> {
        let nonblocking = flags.contains(OpenFlags::NONBLOCK);
        let before = {
            let state = self.state.lock();
            if flags.writable() && !flags.readable() && nonblocking && state.readers == 0 {
                return Err(Errno::ENXIO);
            }
            (state.reader_opens, state.writer_opens)
        };
        self.enter(flags);
        let met = match (flags.readable(), flags.writable()) {
            (true, false) if !nonblocking => self.readable.wait(None, || {
                let state = self.state.lock();
                (state.writers > 0 || state.writer_opens != before.1).then_some(())
            }),
            (false, true) if !nonblocking => self.writable.wait(None, || {
                let state = self.state.lock();
                (state.readers > 0 || state.reader_opens != before.0).then_some(())
            }),
            _ => Ok(()),
        };
        met.inspect_err(|_| self.leave(flags))
    }
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
    pipe.open(flags)?;
    Ok(pipe)
}
