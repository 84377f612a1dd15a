//! Pipes and FIFOs (pipe(7), fifo(7)).
//!
//! One lock around a [`Ring`]; a side that has to wait says under that lock what it waits for, and the other side wakes
//! it only when that has come true. A stream through a full pipe thus costs one wake-up per ringful, not one per write.
//! [`super::splice`] moves bytes between pipes and files.

use super::ring::{Ring, Slot};
use crate::base::{Errno, PAGE_SIZE, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, FileType, Metadata, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use crate::process::{current, scheduler};
use crate::user::{Buffer, UserPtr};
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

/// Writes of up to this many bytes are not mixed with others (POSIX `PIPE_BUF`, as Linux has it).
pub const PIPE_BUF: usize = 4096;
/// What a new pipe holds.
const DEFAULT_SIZE: usize = 64 * 1024;
/// Bytes of a longer write that go in at a time: interrupts wait for that.
const PIECE: usize = 64 * 1024;
/// What `F_SETPIPE_SZ` may ask for (Linux's `pipe-max-size`).
const MAX_SIZE: usize = 1024 * 1024;
const FIONREAD: u32 = linux_raw_sys::ioctl::FIONREAD;

pub(super) struct State {
    pub(super) ring: Ring,
    /// A splice has slots out on their way to a file and may put some of them back: other readers wait.
    pub(super) moving: bool,
    pub(super) readers: usize,
    pub(super) writers: usize,
    /// Opens of each kind so far: a FIFO's opener waits for the other's to move.
    pub(super) reader_opens: u64,
    pub(super) writer_opens: u64,
    /// A reader waits for the first byte.
    reader_waits: bool,
    /// A writer waits for this many free bytes; `usize::MAX`: none does.
    writer_needs: usize,
    /// Somebody polls: edges are reported whether or not anybody is known to wait.
    polled: bool,
}

/// A pipe. Both ends are served by it; the open file's access mode says which one a file is.
pub struct Pipe {
    pub(super) id: u64,
    this: Weak<Pipe>,
    /// Order: program memory may be copied with it held; the queues are woken after it is released. Of two pipes, the one with
    /// the lower `id` first.
    pub(super) state: SpinLock<State>,
    /// Woken when there is something to read, or the last writer leaves, or a writer comes.
    pub(super) readable: Arc<WaitQueue>,
    /// The same for the other end.
    pub(super) writable: Arc<WaitQueue>,
}

/// Which queues to wake once the lock is released.
#[derive(Default)]
#[must_use]
pub(super) struct Wakes {
    readers: bool,
    writers: bool,
}

impl State {
    /// Counts an open of the end or ends that `flags` name.
    pub(super) fn enter(&mut self, flags: OpenFlags) -> Wakes {
        let (readable, writable) = (flags.readable(), flags.writable());
        self.readers += readable as usize;
        self.reader_opens += readable as u64;
        self.writers += writable as usize;
        self.writer_opens += writable as u64;
        Wakes {
            readers: writable,
            writers: readable,
        }
    }

    /// What is owed to writers after bytes were taken out.
    pub(super) fn took(&mut self) -> Wakes {
        let room = self.ring.room();
        let writers = room >= self.writer_needs || (self.polled && room >= PIPE_BUF);
        if writers {
            self.writer_needs = usize::MAX;
        }
        Wakes {
            readers: false,
            writers,
        }
    }

    /// What is owed to readers after bytes were put in.
    pub(super) fn put(&mut self) -> Wakes {
        Wakes {
            readers: core::mem::take(&mut self.reader_waits) || self.polled,
            writers: false,
        }
    }
}

/// Whether a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    Yes,
    No,
}

impl Wait {
    /// As the open file says.
    pub(super) fn of(file: &File) -> Wait {
        if file.nonblocking() {
            Wait::No
        } else {
            Wait::Yes
        }
    }
}

impl Pipe {
    pub(super) fn new() -> Arc<Pipe> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|this| Pipe {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            this: this.clone(),
            state: SpinLock::new(State {
                ring: Ring::new(DEFAULT_SIZE),
                moving: false,
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
                reader_waits: false,
                writer_needs: usize::MAX,
                polled: false,
            }),
            readable: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
        })
    }

    pub(super) fn wake(&self, wakes: Wakes) {
        if wakes.readers {
            self.readable.wake_all();
        }
        if wakes.writers {
            self.writable.wake_all();
        }
    }

    /// Takes bytes out by `how`, waiting for the first of them. 0: no writer is left.
    pub(super) fn take(
        &self,
        wait: Wait,
        mut how: impl FnMut(&mut Ring) -> Result<usize>,
    ) -> Result<usize> {
        loop {
            let mut state = self.state.lock();
            if !state.moving {
                if !state.ring.is_empty() {
                    let n = how(&mut state.ring);
                    let wakes = state.took();
                    drop(state);
                    self.wake(wakes);
                    return n;
                }
                if state.writers == 0 {
                    return Ok(0);
                }
            }
            drop(state);
            self.wait_for_bytes(wait)?;
        }
    }

    /// Waits until there is something to take or no writer is left. Who does not want to wait does so only for the end of a move,
    /// after which there may be something.
    pub(super) fn wait_for_bytes(&self, wait: Wait) -> Result<()> {
        if wait == Wait::No && !self.state.lock().moving {
            return Err(Errno::EAGAIN);
        }
        let ready = self.readable.wait(None, || {
            let mut state = self.state.lock();
            let ready = !state.ring.is_empty() || state.writers == 0;
            let over = !state.moving && (ready || wait == Wait::No);
            state.reader_waits |= !over;
            over.then_some(ready)
        })?;
        ready.then_some(()).ok_or(Errno::EAGAIN)
    }

    /// Waits until `need` bytes can be written or no reader is left.
    pub(super) fn wait_for_room(&self, need: usize, wait: Wait) -> Result<()> {
        if wait == Wait::No {
            return Err(Errno::EAGAIN);
        }
        self.writable.wait(None, || {
            let mut state = self.state.lock();
            let ready = state.ring.room() >= need || state.readers == 0;
            if !ready {
                state.writer_needs = state.writer_needs.min(need);
            }
            ready.then_some(())
        })
    }

    /// Ends what [`State::moving`] began: puts back the slots that were not wanted, last one first.
    pub(super) fn moved(&self, rest: impl DoubleEndedIterator<Item = Slot>) {
        let mut state = self.state.lock();
        rest.rev().for_each(|slot| state.ring.put_back(slot));
        state.moving = false;
        let mut wakes = state.took();
        wakes.readers = core::mem::take(&mut state.reader_waits) || state.polled;
        drop(state);
        self.wake(wakes);
    }

    /// Puts all of `buf` in, waiting for room; in one piece if it is no longer than [`PIPE_BUF`].
    pub(super) fn put_all(&self, buf: &mut Buffer<'_>, wait: Wait) -> Result<usize> {
        let total = buf.len();
        let mut done = 0;
        while !buf.is_empty() {
            let need = if total <= PIPE_BUF {
                total
            } else {
                buf.len().min(PIPE_BUF)
            };
            let mut state = self.state.lock();
            if state.readers == 0 {
                drop(state);
                super::caller::raise_sigpipe();
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EPIPE)
                };
            }
            let room = state.ring.room();
            if room >= need || (room > 0 && total > PIPE_BUF) {
                let put = state.ring.fill(buf, room.min(PIECE));
                let wakes = state.put();
                drop(state);
                self.wake(wakes);
                match put {
                    Ok(n) => done += n,
                    Err(_) if done > 0 => break,
                    Err(e) => return Err(e),
                }
                // A reader may make room for as long as it likes.
                if !buf.is_empty() && (scheduler::give_way() || current().signal_pending()) {
                    break;
                }
                continue;
            }
            drop(state);
            match self.wait_for_room(need, wait) {
                Err(_) if done > 0 => break,
                waited => waited?,
            }
        }
        Ok(done)
    }

    pub(super) fn leave(&self, flags: OpenFlags) {
        let mut state = self.state.lock();
        state.readers -= flags.readable() as usize;
        state.writers -= flags.writable() as usize;
        let wakes = Wakes {
            readers: state.writers == 0,
            writers: state.readers == 0,
        };
        if state.readers + state.writers == 0 {
            // A FIFO forgets what nobody will read, and its inode should not hold memory.
            state.ring.reset();
            state.polled = false;
        }
        drop(state);
        self.wake(wakes);
    }
}

impl FileOps for Pipe {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.is_empty() {
            Ok(0)
        } else {
            self.take(Wait::of(file), |ring| ring.drain(buf))
        }
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        self.put_all(buf, Wait::of(file))
    }

    fn poll(&self, file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let flags = file.flags();
        if let Some(table) = table {
            if flags.readable() {
                table.register(&self.readable);
            }
            if flags.writable() {
                table.register(&self.writable);
            }
        }
        let mut state = self.state.lock();
        state.polled = true;
        let mut events = PollEvents::default();
        if flags.readable() {
            if !state.ring.is_empty() {
                events |= PollEvents::IN | PollEvents::RDNORM;
            }
            if state.writers == 0 {
                events |= PollEvents::HUP;
            }
        }
        if flags.writable() {
            if state.ring.free_slots() > 0 {
                events |= PollEvents::OUT | PollEvents::WRNORM;
            }
            if state.readers == 0 {
                events |= PollEvents::ERR;
            }
        }
        events
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        if cmd != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let n = self.state.lock().ring.len();
        UserPtr::<i32>::new(arg).write(n as i32)?;
        Ok(0)
    }

    fn release(&self, file: &File) {
        self.leave(file.flags());
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata::anonymous(FileType::Fifo, self.id))
    }

    fn name(&self) -> String {
        format!("pipe:[{}]", self.id)
    }

    fn reopen(&self, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
        // Without the waiting of fifo(7): both ends of a nameless pipe have been there from the start.
        let wakes = self.state.lock().enter(flags);
        self.wake(wakes);
        Ok(self.this.upgrade().ok_or(Errno::ENXIO)?)
    }

    fn is_pipe(&self) -> bool {
        true
    }

    fn pipe_size(&self) -> Result<usize> {
        Ok(self.state.lock().ring.capacity())
    }

    fn set_pipe_size(&self, size: usize) -> Result<usize> {
        let size = size
            .max(PAGE_SIZE)
            .checked_next_power_of_two()
            .ok_or(Errno::EINVAL)?;
        if size > MAX_SIZE {
            return Err(Errno::EPERM);
        }
        let mut state = self.state.lock();
        state.ring.set_capacity(size)?;
        let wakes = state.took();
        drop(state);
        self.wake(wakes);
        Ok(size)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// pipe2(2).
pub fn sys_pipe2(fds: UserPtr<[i32; 2]>, flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    // Packet mode (O_DIRECT) is not there; Linux kernels built without it answer the same.
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let status = flags & OpenFlags::NONBLOCK;
    let pipe = Pipe::new();
    // Nobody can wait for it yet.
    let _ = pipe.state.lock().enter(OpenFlags::RDWR);
    let read = File::anonymous(pipe.clone(), status);
    let write = File::anonymous(pipe, status | OpenFlags::WRONLY);
    super::caller::install_pair([read, write], flags.contains(OpenFlags::CLOEXEC), fds)
}
