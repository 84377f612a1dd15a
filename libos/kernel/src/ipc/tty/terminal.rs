//! A terminal: a line discipline between the programs that read and write it and the port at its other end.

use super::job::{self, Foreground};
use super::ldisc::{LineDiscipline, TtySignal};
use super::termios::{TOSTOP, Termios};
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{Dev, File, FileOps, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::Buffer;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as linux;

/// What lies at the far end of a terminal: a serial line, or the master of a pseudo-terminal.
pub trait Port: Send + Sync {
    /// Bytes that [`send`](Self::send) takes without loss.
    fn room(&self) -> usize;
    /// Sends bytes; called with the terminal locked.
    fn send(&self, bytes: &[u8]);
    /// Bytes sent that have not got anywhere yet (TIOCOUTQ).
    fn queued(&self) -> usize {
        0
    }
    /// Throws away what is queued; called with the terminal locked.
    fn flush(&self) {}
    /// A reader made room for input.
    fn input_taken(&self) {}
    /// Whether the terminal may be opened.
    fn may_open(&self) -> Result<()> {
        Ok(())
    }
    /// The last open file on the terminal is gone.
    fn last_close(&self) {}
}

pub(super) struct State {
    pub ldisc: LineDiscipline,
    pub job: Foreground,
    pub window: [u16; 4],
    /// The far end is gone for good.
    pub hung_up: bool,
    /// Processed output on its way to the port; kept for its memory.
    scratch: Vec<u8>,
}

/// A terminal.
pub struct Tty {
    pub dev: Dev,
    pub(super) this: Weak<Tty>,
    /// Taken by the serial line's interrupt handler. Program memory may be copied with it held; the port's own lock
    /// nests inside; queues are woken and signals are sent after it is released.
    pub(super) state: SpinLock<State>,
    pub(super) port: Box<dyn Port>,
    pub(super) readable: Arc<WaitQueue>,
    pub(super) writable: Arc<WaitQueue>,
    opens: AtomicUsize,
}

/// Bytes taken from a writer at a time: few enough for the stack, and for the line's lock to be held briefly.
const PIECE: usize = 256;
/// How much longer output processing can make a piece (a tab is eight spaces).
const EXPANSION: usize = 8;

impl Tty {
    pub fn new(dev: Dev, termios: Termios, port: Box<dyn Port>) -> Arc<Tty> {
        Arc::new_cyclic(|this| Tty {
            dev,
            this: this.clone(),
            state: SpinLock::new(State {
                ldisc: LineDiscipline::new(termios),
                job: Foreground::default(),
                window: [0; 4],
                hung_up: false,
                scratch: Vec::new(),
            }),
            port,
            readable: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
            opens: AtomicUsize::new(0),
        })
    }

    /// Opens the terminal; a session leader without one gets it as controlling terminal unless `O_NOCTTY` says no.
    pub fn open(self: &Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
        self.port.may_open()?;
        if self.state.lock().hung_up {
            return Err(Errno::EIO);
        }
        self.opens.fetch_add(1, Ordering::Relaxed);
        if !flags.contains(OpenFlags::NOCTTY) {
            job::acquire_on_open(self);
        }
        Ok(self.clone())
    }

    /// Open files on the terminal.
    pub fn open_count(&self) -> usize {
        self.opens.load(Ordering::Relaxed)
    }

    /// The process group in the foreground; 0: none.
    pub fn foreground(&self) -> crate::process::Pid {
        self.state.lock().job.group
    }

    /// Bytes that [`receive`](Self::receive) takes now.
    pub fn room(&self) -> usize {
        self.state.lock().ldisc.room()
    }

    /// Bytes typed at the far end. Called from interrupt handlers too.
    pub fn receive(&self, bytes: &[u8]) {
        let (outcome, group, has_input) = {
            let mut state = self.state.lock();
            let State {
                ldisc,
                scratch,
                job,
                ..
            } = &mut *state;
            scratch.clear();
            let outcome = ldisc.receive(bytes, scratch);
            if outcome.flush_output {
                self.port.flush();
            }
            if !scratch.is_empty() {
                self.port.send(scratch);
            }
            (outcome, job.group, ldisc.has_input(1))
        };
        if has_input {
            self.readable.wake_all();
        }
        // A start character, or a signal, may have released writers.
        if !self.writable.is_empty() {
            self.writable.wake_all();
        }
        for signal in outcome.signals {
            job::send(
                group,
                match signal {
                    TtySignal::Interrupt => linux::SIGINT,
                    TtySignal::Quit => linux::SIGQUIT,
                    TtySignal::Suspend => linux::SIGTSTP,
                },
            );
        }
    }

    /// The far end is gone: readers find the end, writers fail, the session is told.
    pub fn hang_up(&self) {
        let job = {
            let mut state = self.state.lock();
            state.hung_up = true;
            core::mem::take(&mut state.job)
        };
        job::hang_up(self, job);
        self.readable.wake_all();
        self.writable.wake_all();
    }

    /// Takes out what one read gives now, at most a line in canonical mode; `None`: nothing.
    fn take(&self, buf: &mut Buffer<'_>) -> Option<Result<usize>> {
        let mut state = self.state.lock();
        if !state.ldisc.has_input(1) {
            return state.hung_up.then_some(Ok(0));
        }
        let (front, back) = state.ldisc.readable();
        let copied = buf.put(front).map(|n| {
            if n == front.len() {
                n + buf.put(back).unwrap_or(0)
            } else {
                n
            }
        });
        if let Ok(n) = copied {
            state.ldisc.consume(n);
        }
        drop(state);
        self.port.input_taken();
        Some(copied)
    }

    /// Reads as `VMIN` and `VTIME` say (termios(3), "Canonical and noncanonical mode").
    fn read_input(&self, file: &File, buf: &mut Buffer<'_>) -> Result<usize> {
        const TENTH: u64 = 100_000_000;
        let (canonical, (min, time)) = {
            let ldisc = &self.state.lock().ldisc;
            (ldisc.is_canonical(), ldisc.termios().min_time())
        };
        let from_now =
            |tenths: u64| (tenths > 0).then(|| crate::time::monotonic_ns() + tenths * TENTH);
        // With VMIN the timer runs between bytes, without it from the start.
        let mut deadline = if canonical || min > 0 {
            None
        } else {
            from_now(time)
        };
        let wanted = if canonical { 1 } else { min.min(buf.len()) };
        let mut done = 0;
        loop {
            match self.take(buf) {
                Some(Ok(0)) => return Ok(done),
                Some(Ok(n)) => {
                    done += n;
                    if canonical || buf.is_empty() || done >= wanted {
                        return Ok(done);
                    }
                    deadline = from_now(time);
                    continue;
                }
                Some(Err(_)) if done > 0 => return Ok(done),
                Some(Err(e)) => return Err(e),
                None => {}
            }
            if !canonical && min == 0 && deadline.is_none() {
                return Ok(done);
            }
            if file.nonblocking() {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EAGAIN)
                };
            }
            let woken = self.readable.wait(deadline, || {
                let state = self.state.lock();
                (state.ldisc.has_input(1) || state.hung_up).then_some(())
            });
            match woken {
                Ok(()) => {}
                Err(Errno::ETIMEDOUT) => return Ok(done),
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
        }
    }

    fn write_output(&self, file: &File, buf: &mut Buffer<'_>) -> Result<usize> {
        let mut done = 0;
        let mut piece = [0u8; PIECE];
        while !buf.is_empty() {
            let ready = || {
                let state = self.state.lock();
                if state.hung_up {
                    return Some(Err(Errno::EIO));
                }
                let room = if state.ldisc.is_stopped() {
                    0
                } else {
                    self.port.room() / EXPANSION
                };
                (room > 0).then_some(Ok(room))
            };
            let room = match file.nonblocking() {
                true => ready().unwrap_or(Err(Errno::EAGAIN)),
                false => self.writable.wait(None, ready).and_then(|r| r),
            };
            let taken = room.and_then(|room| buf.take(&mut piece[..room.min(PIECE)]));
            match taken {
                Ok(n) => {
                    let mut state = self.state.lock();
                    let State { ldisc, scratch, .. } = &mut *state;
                    scratch.clear();
                    ldisc.process_output(&piece[..n], scratch);
                    self.port.send(scratch);
                    done += n;
                }
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}

impl FileOps for Tty {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        job::check_background(self, linux::SIGTTIN)?;
        self.read_input(file, buf)
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if self.state.lock().ldisc.termios().l(TOSTOP) {
            job::check_background(self, linux::SIGTTOU)?;
        }
        self.write_output(file, buf)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.readable);
            table.register(&self.writable);
        }
        let state = self.state.lock();
        if state.hung_up {
            return PollEvents::IN
                | PollEvents::RDNORM
                | PollEvents::OUT
                | PollEvents::WRNORM
                | PollEvents::ERR
                | PollEvents::HUP;
        }
        let mut events = PollEvents::default();
        let (min, time) = state.ldisc.termios().min_time();
        if state.ldisc.has_input(if time == 0 { min } else { 1 }) {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if !state.ldisc.is_stopped() && self.port.room() >= EXPANSION {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        super::ioctl::ioctl(self, cmd, arg)
    }

    fn release(&self, _file: &File) {
        if self.opens.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.port.last_close();
        }
    }

    fn name(&self) -> String {
        String::from("/dev/tty")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
