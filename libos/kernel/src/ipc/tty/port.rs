//! What a terminal needs of its far end.

use crate::base::Result;

/// What lies at the far end of a terminal: a serial line, or the master of a pseudo-terminal. All but the last five are called
/// with the terminal locked.
pub trait Port: Send + Sync {
    /// Bytes that [`send`](Self::send) takes without loss.
    fn room(&self) -> usize;
    /// Sends bytes.
    fn send(&self, bytes: &[u8]);
    /// Bytes sent that have not got anywhere yet (TIOCOUTQ).
    fn queued(&self) -> usize {
        0
    }
    /// Throws away what is queued.
    fn flush(&self) {}
    /// Something has happened that a master in packet mode is told of (`TIOCPKT_…`).
    fn tell(&self, _event: u32) {}
    /// Bytes were sent, or something was told.
    fn sent(&self) {}
    /// A reader made room for input.
    fn input_taken(&self) {}
    /// Whether the terminal may be opened.
    fn may_open(&self) -> Result<()> {
        Ok(())
    }
    /// It was.
    fn opened(&self) {}
    /// The last open file on the terminal is gone.
    fn last_close(&self) {}
}
