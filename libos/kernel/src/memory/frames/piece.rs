//! Bytes of a page that several owners may hold at once: what travels when data moves without being copied.

use super::Frame;
use crate::base::PAGE_SIZE;

/// A run of bytes in a frame, with a reference to it. The bytes may be anybody's: of a file, of a pipe, of nobody else.
#[derive(Clone, Debug)]
pub struct Piece {
    frame: Frame,
    start: u16,
    len: u16,
}

impl Piece {
    /// Bytes `start..start + len` of `frame`.
    #[inline]
    pub fn new(frame: Frame, start: usize, len: usize) -> Self {
        assert!(start <= PAGE_SIZE && len <= PAGE_SIZE - start);
        Piece {
            frame,
            start: start as u16,
            len: len as u16,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let start = self.start as usize;
        // SAFETY: within the frame, by `new`; RAM in the linear map that lives as long as the reference. Others only ever write
        // behind every piece of the page that there is.
        unsafe { core::slice::from_raw_parts(self.frame.as_ptr().add(start), self.len()) }
    }

    /// What the page has behind the piece. To be called only for the last piece of a page that is nobody else's.
    #[inline]
    pub fn behind(&mut self) -> &mut [u8] {
        let end = self.start as usize + self.len();
        // SAFETY: as for `bytes`, and none of the page's pieces reaches beyond this one.
        unsafe { core::slice::from_raw_parts_mut(self.frame.as_ptr().add(end), self.room_behind()) }
    }

    /// Bytes of the page behind the piece.
    #[inline]
    pub fn room_behind(&self) -> usize {
        PAGE_SIZE - self.start as usize - self.len()
    }

    /// Takes `n` of the bytes behind the piece into it.
    #[inline]
    pub fn grow(&mut self, n: usize) {
        assert!(n <= self.room_behind());
        self.len += n as u16;
    }

    /// Forgets the first `n` bytes.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len());
        self.start += n as u16;
        self.len -= n as u16;
    }

    /// Forgets all but the first `n` bytes.
    #[inline]
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n.min(PAGE_SIZE) as u16);
    }

    /// The frame, for a new use, if nobody else holds it.
    #[inline]
    pub fn into_own_frame(self) -> Option<Frame> {
        (self.frame.refcount() == 1).then_some(self.frame)
    }
}
