//! What a pipe holds: a queue of pieces of pages, so that bytes can move from pipe to pipe, and from a file into a pipe, without
//! being copied.
//!
//! Every piece takes a slot, however few bytes it has, and the capacity is a number of slots: a page each (as Linux counts). Bytes that
//! are written fill up the last page if it is the ring's own; a page that came from elsewhere is never written to.

use crate::base::{Errno, PAGE_SIZE, Result};
use crate::memory::frames::{Frame, Piece, alloc_frame};
use crate::user::Buffer;
use alloc::collections::VecDeque;

/// A piece in a ring.
pub struct Slot {
    piece: Piece,
    /// The page behind the piece is free, and nobody else will write to it.
    grows: bool,
}

impl Slot {
    /// A piece that came from elsewhere.
    pub fn lent(piece: Piece) -> Self {
        Slot {
            piece,
            grows: false,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.piece.bytes()
    }

    pub fn len(&self) -> usize {
        self.piece.len()
    }

    /// Forgets the first `n` bytes.
    pub fn advance(&mut self, n: usize) {
        self.piece.advance(n);
    }
}

/// A queue of bytes.
pub struct Ring {
    slots: VecDeque<Slot>,
    /// How many slots there may be.
    limit: usize,
    /// Bytes in them.
    len: usize,
    /// A page that was read empty, kept for the next write: short messages need no allocation.
    spare: Option<Frame>,
}

impl Ring {
    /// An empty ring of `capacity` bytes, a multiple of the page size.
    pub const fn new(capacity: usize) -> Self {
        Ring {
            slots: VecDeque::new(),
            limit: capacity / PAGE_SIZE,
            len: 0,
            spare: None,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn capacity(&self) -> usize {
        self.limit * PAGE_SIZE
    }

    /// Slots that are not in use.
    pub fn free_slots(&self) -> usize {
        self.limit.saturating_sub(self.slots.len())
    }

    /// Bytes that can be written.
    pub fn room(&self) -> usize {
        let behind = match self.slots.back() {
            Some(slot) if slot.grows => slot.piece.room_behind(),
            _ => 0,
        };
        self.free_slots() * PAGE_SIZE + behind
    }

    /// Changes how much the ring holds; `EBUSY` if it holds more now.
    pub fn set_capacity(&mut self, capacity: usize) -> Result<()> {
        let limit = capacity / PAGE_SIZE;
        if limit < self.slots.len() {
            return Err(Errno::EBUSY);
        }
        self.limit = limit;
        Ok(())
    }

    /// Throws the contents away and gives the memory back.
    pub fn reset(&mut self) {
        *self = Ring::new(self.capacity());
    }

    /// Moves up to `max` bytes from `buf` into the ring, as far as they fit.
    pub fn fill(&mut self, buf: &mut Buffer<'_>, max: usize) -> Result<usize> {
        let want = max.min(buf.len()).min(self.room());
        let mut done = 0;
        if let Some(last) = self.slots.back_mut()
            && last.grows
            && last.piece.room_behind() > 0
        {
            let n = last.piece.room_behind().min(want);
            done = buf.take(&mut last.piece.behind()[..n])?;
            last.piece.grow(done);
            self.len += done;
            if done < n {
                return Ok(done);
            }
        }
        while done < want {
            let n = (want - done).min(PAGE_SIZE);
            match self.fill_page(buf, n) {
                Ok(got) => {
                    done += got;
                    if got < n {
                        break;
                    }
                }
                // What came before stands even if the rest cannot be read.
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Moves `n` bytes from `buf` into a slot of their own.
    fn fill_page(&mut self, buf: &mut Buffer<'_>, n: usize) -> Result<usize> {
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let mut frame = match self.spare.take() {
            Some(frame) => frame,
            None => alloc_frame()?,
        };
        match buf.take(&mut frame.as_mut_slice()[..n]) {
            Ok(got) if got > 0 => {
                self.len += got;
                self.slots.push_back(Slot {
                    piece: Piece::new(frame, 0, got),
                    grows: true,
                });
                Ok(got)
            }
            other => {
                self.spare = Some(frame);
                other
            }
        }
    }

    /// Moves bytes from the ring into `buf`, as far as they fit.
    pub fn drain(&mut self, buf: &mut Buffer<'_>) -> Result<usize> {
        let mut done = 0;
        while let Some(front) = self.slots.front()
            && !buf.is_empty()
        {
            let had = front.len();
            match buf.put(front.bytes()) {
                Ok(n) => {
                    done += n;
                    self.consume(n);
                    if n < had {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Drops up to `max` bytes from the front; returns how many.
    pub fn discard(&mut self, max: usize) -> usize {
        let mut done = 0;
        while let Some(front) = self.slots.front()
            && done < max
        {
            let n = front.len().min(max - done);
            self.consume(n);
            done += n;
        }
        done
    }

    /// The first `n` bytes of the first slot have been read.
    fn consume(&mut self, n: usize) {
        self.len -= n;
        let Some(front) = self.slots.front_mut() else {
            return;
        };
        if n < front.len() {
            front.advance(n);
        } else if let Some(slot) = self.slots.pop_front()
            && self.spare.is_none()
        {
            self.spare = slot.piece.into_own_frame();
        }
    }

    /// Takes the first slot out, or its first `max` bytes if it has more.
    pub fn take_slot(&mut self, max: usize) -> Option<Slot> {
        let front = self.slots.front_mut()?;
        let slot = if front.len() <= max {
            self.slots.pop_front()?
        } else {
            let mut piece = front.piece.clone();
            piece.truncate(max);
            front.advance(max);
            Slot::lent(piece)
        };
        self.len -= slot.len();
        Some(slot)
    }

    /// Another reference to up to `max` bytes of the slot at `index`.
    pub fn share_slot(&self, index: usize, max: usize) -> Option<Slot> {
        let mut piece = self.slots.get(index)?.piece.clone();
        piece.truncate(max);
        Some(Slot::lent(piece))
    }

    /// Adds a slot at the end. One more than the ring should hold is not refused: what a stream gave cannot be put back.
    pub fn push_slot(&mut self, slot: Slot) -> core::result::Result<(), (Errno, Slot)> {
        if self.slots.try_reserve(1).is_err() {
            return Err((Errno::ENOMEM, slot));
        }
        self.len += slot.len();
        self.slots.push_back(slot);
        Ok(())
    }

    /// Puts a slot back where [`take_slot`](Self::take_slot) took it from.
    pub fn put_back(&mut self, slot: Slot) {
        self.len += slot.len();
        self.slots.push_front(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ring: &mut Ring, bytes: &[u8]) -> usize {
        ring.fill(&mut Buffer::kernel(bytes), usize::MAX).unwrap()
    }

    fn get(ring: &mut Ring, n: usize) -> Vec<u8> {
        let mut out = vec![0; n];
        let n = ring.drain(&mut Buffer::kernel_mut(&mut out)).unwrap();
        out.truncate(n);
        out
    }

    #[test]
    fn bytes_come_out_in_order_across_pages() {
        let mut ring = Ring::new(2 * PAGE_SIZE);
        let (mut next_in, mut next_out) = (0u8, 0u8);
        for round in 0..200 {
            let n = 1 + round * 37 % 3000;
            let bytes: Vec<u8> = (0..n).map(|i| next_in.wrapping_add(i as u8)).collect();
            let taken = put(&mut ring, &bytes);
            next_in = next_in.wrapping_add(taken as u8);
            for b in get(&mut ring, 1 + round * 91 % 2500) {
                assert_eq!(b, next_out);
                next_out = next_out.wrapping_add(1);
            }
        }
    }

    #[test]
    fn short_writes_share_pages_and_fill_the_ring_to_its_last_byte() {
        let mut ring = Ring::new(2 * PAGE_SIZE);
        for _ in 0..8 {
            assert_eq!(put(&mut ring, &[1; 1000]), 1000);
        }
        assert_eq!((ring.slots.len(), ring.room()), (2, 192));
        assert_eq!(put(&mut ring, &[2; 1000]), 192);
        assert_eq!(get(&mut ring, 9999).len(), 8192);
        assert_eq!((ring.free_slots(), ring.is_empty()), (2, true));
    }

    #[test]
    fn a_page_has_no_room_until_all_of_it_is_read() {
        let mut ring = Ring::new(PAGE_SIZE);
        put(&mut ring, &[1; PAGE_SIZE]);
        get(&mut ring, 100);
        assert_eq!(ring.room(), 0);
        get(&mut ring, PAGE_SIZE);
        assert_eq!(ring.room(), PAGE_SIZE);
    }

    #[test]
    fn a_slot_that_moved_grows_where_it_is_now_and_a_part_of_one_does_not() {
        let (mut a, mut b) = (Ring::new(4 * PAGE_SIZE), Ring::new(4 * PAGE_SIZE));
        put(&mut a, b"abcdef");
        b.push_slot(a.take_slot(2).unwrap()).ok().unwrap();
        put(&mut a, b"gh");
        assert_eq!(put(&mut b, b"XY"), 2);
        assert_eq!((a.slots.len(), b.slots.len()), (1, 2));
        b.push_slot(a.take_slot(100).unwrap()).ok().unwrap();
        put(&mut b, b"!");
        assert_eq!(b.slots.len(), 3);
        assert_eq!(get(&mut b, 100), b"abXYcdefgh!");
        assert!(a.is_empty() && a.take_slot(1).is_none());
    }

    #[test]
    fn what_is_shared_is_not_written_to() {
        let (mut a, mut b) = (Ring::new(4 * PAGE_SIZE), Ring::new(4 * PAGE_SIZE));
        put(&mut a, b"abc");
        b.push_slot(a.share_slot(0, 2).unwrap()).ok().unwrap();
        put(&mut b, b"B");
        put(&mut a, b"A");
        assert_eq!(get(&mut a, 9), b"abcA");
        // The page is the copy's still: it must not become the next one of the first ring.
        put(&mut a, b"zzz");
        assert_eq!(get(&mut b, 9), b"abB");
    }

    #[test]
    fn what_was_taken_can_be_put_back() {
        let mut ring = Ring::new(PAGE_SIZE);
        put(&mut ring, b"abcdef");
        let mut slot = ring.take_slot(4).unwrap();
        slot.advance(1);
        ring.put_back(slot);
        assert_eq!(ring.len(), 5);
        assert_eq!(ring.discard(1), 1);
        assert_eq!(get(&mut ring, 9), b"cdef");
    }

    #[test]
    fn a_ring_shrinks_only_around_its_contents() {
        let mut ring = Ring::new(4 * PAGE_SIZE);
        put(&mut ring, &[1; 3 * PAGE_SIZE]);
        assert_eq!(ring.set_capacity(PAGE_SIZE), Err(Errno::EBUSY));
        ring.discard(2 * PAGE_SIZE + 10);
        assert_eq!(ring.set_capacity(PAGE_SIZE), Ok(()));
        assert_eq!(get(&mut ring, 9999).len(), PAGE_SIZE - 10);
        assert_eq!(ring.set_capacity(8 * PAGE_SIZE), Ok(()));
        assert_eq!(put(&mut ring, &[3; 9 * PAGE_SIZE]), 8 * PAGE_SIZE);
    }
}
