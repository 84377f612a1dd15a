//! Program memory, reached from the kernel.
//!
//! A pointer that a program passes is an *allegation*. It may point nowhere, at the kernel, at a page that is not
//! there yet, or change while we look. Both doors come through here: an address outside the program half is refused
//! before it is touched, and a fault that the address space cannot mend ends the copy with `EFAULT`.

use crate::base::{Errno, PAGE_SIZE, Result, bytes};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// First address past the program half of the address space (39-bit TTBR0 range).
pub const USER_END: usize = 1 << 39;

/// A type whose every bit pattern is valid, so that it may be read from a program.
///
/// # Safety
/// No padding that matters, no invalid bit patterns, no references.
pub unsafe trait Plain: Copy {}

macro_rules! plain { ($($t:ty),*) => { $(
    // SAFETY: integers have neither padding nor invalid bit patterns.
    unsafe impl Plain for $t {}
)* } }
plain!(u8, i8, u16, i16, u32, i32, u64, i64, u128, usize, isize);
// SAFETY: an array of plain values is plain.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

macro_rules! plain_linux { ($($t:ident),* $(,)?) => { $(
    // SAFETY: a C structure of integers from the Linux ABI.
    unsafe impl Plain for linux_raw_sys::general::$t {}
)* } }
plain_linux!(
    timespec,
    __kernel_timespec,
    timeval,
    __kernel_old_timeval,
    itimerspec,
    __kernel_itimerspec,
    rlimit,
    rlimit64,
    iovec,
    pollfd,
    stat,
    statx,
    statfs,
    statfs64,
    flock,
    rusage,
    sigaltstack,
    epoll_event,
    open_how,
    termios,
    winsize,
    siginfo,
    kernel_sigaction,
    timezone,
    robust_list_head,
);

/// A pointer into the program half, not yet believed.
#[repr(transparent)]
pub struct UserPtr<T>(usize, PhantomData<*mut T>);

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for UserPtr<T> {}

impl<T> UserPtr<T> {
    pub const fn new(addr: usize) -> Self {
        UserPtr(addr, PhantomData)
    }
    pub const fn addr(self) -> usize {
        self.0
    }
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
    /// The element `n` further on.
    pub const fn offset(self, n: usize) -> Self {
        UserPtr::new(self.0.wrapping_add(n.wrapping_mul(size_of::<T>())))
    }
    /// `bytes` further on, as what lies there: a field of a structure.
    pub const fn field<U>(self, bytes: usize) -> UserPtr<U> {
        UserPtr::new(self.0.wrapping_add(bytes))
    }
    pub const fn cast<U>(self) -> UserPtr<U> {
        UserPtr::new(self.0)
    }
    /// `None` when null.
    pub fn option(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }
}

impl<T: Plain> UserPtr<T> {
    /// Copies the value out of the program.
    pub fn read(self) -> Result<T> {
        self.read_into(&mut MaybeUninit::uninit()).copied()
    }

    /// As [`read`](Self::read), of what is too large to be handed about.
    pub fn read_into(self, room: &mut MaybeUninit<T>) -> Result<&mut T> {
        // SAFETY: the destination is as long; when that has succeeded all bytes were written, and `Plain` accepts any of them.
        unsafe {
            copy_in(room.as_mut_ptr().cast(), self.0, size_of::<T>())?;
            Ok(room.assume_init_mut())
        }
    }

    /// Copies `value` into the program.
    pub fn write(self, value: T) -> Result<()> {
        // SAFETY: the source is `size_of::<T>()` bytes of our own stack.
        unsafe { copy_out(self.0, (&raw const value).cast(), size_of::<T>()) }
    }

    /// Copies `n` consecutive values out of the program.
    pub fn read_vec(self, n: usize) -> Result<Vec<T>> {
        let bytes = n.checked_mul(size_of::<T>()).ok_or(Errno::EFAULT)?;
        let mut v = Vec::new();
        v.try_reserve_exact(n).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: `n` elements were reserved; the length is set only after they were written.
        unsafe {
            copy_in(v.as_mut_ptr() as *mut u8, self.0, bytes)?;
            v.set_len(n);
        }
        Ok(v)
    }

    /// Copies `values` into the program.
    pub fn write_slice(self, values: &[T]) -> Result<()> {
        // SAFETY: the source is a live slice.
        unsafe { copy_out(self.0, values.as_ptr().cast(), size_of_val(values)) }
    }
}

impl<T: Plain> UserPtr<T> {
    /// Copies the two bytes at `offset` of each of `values`, and nothing else of them, into the program.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn write_halves(self, values: &[T], offset: usize) -> Result<()> {
        assert!(offset + 2 <= size_of::<T>() && offset.is_multiple_of(2));
        check(self.0, size_of_val(values))?;
        crate::base::sync::may_fault();
        let src = values.as_ptr().cast::<u16>();
        let dst = self.0 as *mut u16;
        // SAFETY: `values` is live and has the half-words; the program's lie in its half and faults there are caught.
        match unsafe {
            crate::arch::copy_user_halves(
                dst.wrapping_byte_add(offset),
                src.byte_add(offset),
                size_of::<T>(),
                values.len(),
            )
        } {
            0 => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }
}

impl UserPtr<u32> {
    /// Makes the word `new` if it is `expected`, as one step that no program's own access divides; returns what it was.
    /// One that is not aligned is `EINVAL`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn compare_exchange(self, expected: u32, new: u32) -> Result<u32> {
        if !self.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        check(self.0, 4)?;
        crate::base::sync::may_fault();
        let mut found = 0;
        // SAFETY: the word is aligned and lies in the program half, where faults are caught; `found` is ours.
        match unsafe { crate::arch::cas_user(self.0 as *mut u32, expected, new, &mut found) } {
            0 => Ok(found),
            _ => Err(Errno::EFAULT),
        }
    }
}

impl UserPtr<u8> {
    /// Copies a NUL-terminated string of at most `max` bytes (NUL excluded) out of the program; a longer one is `too_long`.
    pub fn read_cstr(self, max: usize, too_long: Errno) -> Result<Vec<u8>> {
        let mut out = with_short_room()?;
        let mut at = self.0;
        let mut room = SHORT;
        loop {
            // Up to the end of the page: the byte after it may not be mapped.
            let n = (4096 - (at & 4095)).min(room);
            room = 256;
            if out.capacity() - out.len() < n {
                out.try_reserve(n).map_err(|_| Errno::ENOMEM)?;
            }
            let old = out.len();
            // SAFETY: so much room was reserved; so much of it is initialised when the copying has succeeded.
            unsafe {
                copy_in(out.as_mut_ptr().add(old), at, n)?;
                out.set_len(old + n);
            }
            if let Some(end) = bytes::find(&out[old..], 0) {
                out.truncate(old + end);
                return if out.len() > max {
                    Err(too_long)
                } else {
                    Ok(out)
                };
            }
            if out.len() > max {
                return Err(too_long);
            }
            at += n;
        }
    }
}

/// Room for a path, most of which are shorter.
const SHORT: usize = 64;

/// An empty vector with room for [`SHORT`] bytes. `try_reserve` takes 60 instructions more, for every path.
#[inline(always)]
fn with_short_room() -> Result<Vec<u8>> {
    let layout = Layout::new::<[u8; SHORT]>();
    // SAFETY: the layout has a size; a vector of bytes is of such allocations, and this one is empty.
    unsafe {
        let room = NonNull::new(alloc::alloc::alloc(layout)).ok_or(Errno::ENOMEM)?;
        Ok(Vec::from_raw_parts(room.as_ptr(), 0, SHORT))
    }
}

fn check(addr: usize, len: usize) -> Result<()> {
    match addr.checked_add(len) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies `len` bytes from program address `src`.
///
/// # Safety
/// `dst` is valid for `len` bytes of writing.
#[cfg_attr(debug_assertions, track_caller)]
pub unsafe fn copy_in(dst: *mut u8, src: usize, len: usize) -> Result<()> {
    check(src, len)?;
    crate::base::sync::may_fault();
    // SAFETY: the caller vouches for `dst`; `src` lies in the program half and faults there are caught.
    match unsafe { crate::arch::copy_user(dst, src as *const u8, len) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies `len` bytes to program address `dst`.
///
/// # Safety
/// `src` is valid for `len` bytes of reading.
#[cfg_attr(debug_assertions, track_caller)]
pub unsafe fn copy_out(dst: usize, src: *const u8, len: usize) -> Result<()> {
    check(dst, len)?;
    crate::base::sync::may_fault();
    // SAFETY: the caller vouches for `src`; `dst` lies in the program half and faults there are caught.
    match unsafe { crate::arch::copy_user(dst as *mut u8, src, len) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Zeroes `len` bytes at program address `dst`.
#[cfg_attr(debug_assertions, track_caller)]
pub fn zero_out(dst: usize, len: usize) -> Result<()> {
    check(dst, len)?;
    crate::base::sync::may_fault();
    // SAFETY: `dst` lies in the program half and faults there are caught.
    match unsafe { crate::arch::zero_user(dst as *mut u8, len) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// A scatter/gather list of memory, in a program or in the kernel, consumed from the front.
///
/// `read` fills one ([`Buffer::put`], [`Buffer::put_zeros`]), `write` drains one ([`Buffer::take`]). The direction is the
/// operation's business; a kernel buffer handed to `put` must be one that was made writable.
pub struct Buffer<'a> {
    segments: Segments<'a>,
    left: usize,
}

enum Segments<'a> {
    User {
        addr: usize,
    },
    UserVec {
        iov: Vec<(usize, usize)>,
        index: usize,
        offset: usize,
    },
    KernelWrite(&'a mut [u8], usize),
    KernelVec {
        pieces: Vec<&'a mut [u8]>,
        index: usize,
        offset: usize,
    },
    KernelRead(&'a [u8], usize),
}

impl<'a> Buffer<'a> {
    /// Program memory at `addr`. Addresses outside the program half are `EFAULT` at once.
    pub fn user(addr: usize, len: usize) -> Result<Self> {
        check(addr, len)?;
        // Linux caps a transfer at MAX_RW_COUNT.
        Ok(Buffer {
            segments: Segments::User { addr },
            left: len.min(0x7fff_f000),
        })
    }

    /// An `iovec` array of a program; more than 1024 entries or a total over `isize::MAX` is `EINVAL`.
    pub fn user_vec(iov: UserPtr<[usize; 2]>, count: usize) -> Result<Self> {
        if count > 1024 {
            return Err(Errno::EINVAL);
        }
        let mut list = Vec::new();
        list.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        let mut left = 0usize;
        for [addr, len] in iov.read_vec(count)? {
            if len as isize as i128 != len as i128 {
                return Err(Errno::EINVAL);
            }
            check(addr, len)?;
            let len = len.min(0x7fff_f000 - left);
            left += len;
            list.push((addr, len));
        }
        Ok(Buffer {
            segments: Segments::UserVec {
                iov: list,
                index: 0,
                offset: 0,
            },
            left,
        })
    }

    /// Kernel memory to be filled by a read.
    pub fn kernel_mut(buf: &'a mut [u8]) -> Self {
        let left = buf.len();
        Buffer {
            segments: Segments::KernelWrite(buf, 0),
            left,
        }
    }

    /// Several pieces of kernel memory, none of them empty, to be filled by a read.
    pub fn kernel_vec(pieces: Vec<&'a mut [u8]>) -> Self {
        let left = pieces.iter().map(|piece| piece.len()).sum();
        Buffer {
            segments: Segments::KernelVec {
                pieces,
                index: 0,
                offset: 0,
            },
            left,
        }
    }

    /// Kernel memory to be drained by a write.
    pub fn kernel(buf: &'a [u8]) -> Self {
        Buffer {
            segments: Segments::KernelRead(buf, 0),
            left: buf.len(),
        }
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        self.left
    }
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
    /// Drops all but the first `n` bytes that are left.
    pub fn truncate(&mut self, n: usize) {
        self.left = self.left.min(n);
    }

    /// How many of the next `n` bytes lie in one page, or may as well.
    pub fn in_one_page(&self, n: usize) -> usize {
        let at = match &self.segments {
            Segments::User { addr } => *addr,
            Segments::UserVec { iov, index, offset } => match iov.get(*index) {
                Some((addr, _)) => addr + offset,
                None => return n,
            },
            _ => return n,
        };
        n.min(PAGE_SIZE - at % PAGE_SIZE)
    }

    /// Runs `f(piece, bytes done so far)` over up to `n` bytes, piece by piece.
    #[inline(always)]
    fn advance(
        &mut self,
        n: usize,
        mut f: impl FnMut(Chunk<'_>, usize) -> Result<()>,
    ) -> Result<usize> {
        let Segments::User { addr } = &mut self.segments else {
            return self.advance_pieces(n, f);
        };
        // The one piece that most buffers are.
        let total = n.min(self.left);
        if total > 0 {
            f(Chunk::User(*addr, total), 0)?;
            *addr += total;
            self.left -= total;
        }
        Ok(total)
    }

    #[inline(never)]
    fn advance_pieces(
        &mut self,
        n: usize,
        mut f: impl FnMut(Chunk<'_>, usize) -> Result<()>,
    ) -> Result<usize> {
        let total = n.min(self.left);
        let mut done = 0;
        while done < total {
            let want = total - done;
            let r = match &mut self.segments {
                Segments::User { .. } => unreachable!("the caller does it"),
                // A segment moves on only past bytes that were copied: a bad page stays the next one.
                Segments::UserVec { iov, index, offset } => {
                    let (addr, len) = iov[*index];
                    if *offset == len {
                        *index += 1;
                        *offset = 0;
                        continue;
                    }
                    let n = want.min(len - *offset);
                    let r = f(Chunk::User(addr + *offset, n), done);
                    r.map(|()| {
                        *offset += n;
                        n
                    })
                }
                Segments::KernelWrite(buf, at) => {
                    let r = f(Chunk::Write(&mut buf[*at..*at + want]), done);
                    *at += want;
                    r.map(|()| want)
                }
                Segments::KernelVec {
                    pieces,
                    index,
                    offset,
                } => {
                    let piece = &mut pieces[*index];
                    let n = want.min(piece.len() - *offset);
                    let r = f(Chunk::Write(&mut piece[*offset..*offset + n]), done);
                    *offset += n;
                    if *offset == piece.len() {
                        *index += 1;
                        *offset = 0;
                    }
                    r.map(|()| n)
                }
                Segments::KernelRead(buf, at) => {
                    let r = f(Chunk::Read(&buf[*at..*at + want]), done);
                    *at += want;
                    r.map(|()| want)
                }
            };
            match r {
                Ok(n) => {
                    done += n;
                    self.left -= n;
                }
                // What was copied before the bad page stands, as on Linux.
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Copies from `src` into the buffer; returns how many bytes fitted.
    pub fn put(&mut self, src: &[u8]) -> Result<usize> {
        self.advance(src.len(), |chunk, done| match chunk {
            // SAFETY: `src` is live and the chunk is no longer than what is left of it.
            Chunk::User(addr, n) => unsafe { copy_out(addr, src[done..done + n].as_ptr(), n) },
            Chunk::Write(out) => {
                let n = out.len();
                out.copy_from_slice(&src[done..done + n]);
                Ok(())
            }
            Chunk::Read(_) => Err(Errno::EFAULT),
        })
    }

    /// As [`put`](Self::put), from the two pieces of a ring. What the first gave stands even if the second finds no memory.
    pub fn put_both(&mut self, (front, back): (&[u8], &[u8])) -> Result<usize> {
        let n = self.put(front)?;
        match n == front.len() {
            true => Ok(n + self.put(back).unwrap_or(0)),
            false => Ok(n),
        }
    }

    /// Moves as many bytes as fit from the front of `queue` into the buffer; returns how many.
    pub fn put_front(&mut self, queue: &mut VecDeque<u8>) -> Result<usize> {
        let n = self.put_both(queue.as_slices())?;
        queue.drain(..n);
        Ok(n)
    }

    /// Zeroes up to `n` bytes of the buffer.
    pub fn put_zeros(&mut self, n: usize) -> Result<usize> {
        self.advance(n, |chunk, _| match chunk {
            Chunk::User(addr, n) => zero_out(addr, n),
            Chunk::Write(out) => {
                out.fill(0);
                Ok(())
            }
            Chunk::Read(_) => Err(Errno::EFAULT),
        })
    }

    /// Copies from the buffer into `dst`; returns how many bytes there were.
    pub fn take(&mut self, dst: &mut [u8]) -> Result<usize> {
        self.advance(dst.len(), |chunk, done| match chunk {
            // SAFETY: `dst` is live and the chunk is no longer than what is left of it.
            Chunk::User(addr, n) => unsafe { copy_in(dst[done..done + n].as_mut_ptr(), addr, n) },
            Chunk::Read(src) => {
                dst[done..done + src.len()].copy_from_slice(src);
                Ok(())
            }
            Chunk::Write(_) => Err(Errno::EFAULT),
        })
    }

    /// Drops up to `n` bytes without looking at them (a write to `/dev/null`).
    pub fn skip(&mut self, n: usize) -> usize {
        self.advance(n, |_, _| Ok(())).unwrap_or(0)
    }
}

enum Chunk<'a> {
    User(usize, usize),
    Write(&'a mut [u8]),
    Read(&'a [u8]),
}
