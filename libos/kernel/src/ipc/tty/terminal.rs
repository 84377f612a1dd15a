//! A terminal: a line discipline between the programs that read and write it and the port at its other end.

use super::job::{self, Foreground};
use super::ldisc::{LineDiscipline, TtySignal};
use super::port::Port;
use super::shown::Shown;
use super::termios::{TOSTOP, Termios};
use super::turns::Turns;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{Dev, File, FileOps, PollEvents};
use crate::process::wait::{PollTable, WaitQueue};
use crate::process::{Pid, current, scheduler};
use crate::user::Buffer;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as linux;

pub(super) struct State {
    pub ldisc: LineDiscipline,
    /// Whom it controls.
    pub job: Option<Foreground>,
    pub window: [u16; 4],
    /// The far end is gone for good.
    pub hung_up: bool,
    /// Only root may open it once more (`TIOCEXCL`).
    pub exclusive: bool,
    /// Processed output on its way to the port; kept for its memory.
    scratch: Shown,
    /// Echo that waits for output to go on, or for room; the newest if there is more than [`ECHO_MAX`].
    echo: VecDeque<u8>,
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
    writers: Turns,
}

/// Echo that is kept while it cannot be shown.
const ECHO_MAX: usize = 4096;
/// Bytes taken from a writer at a time: few enough for the stack, and for the line's lock to be held briefly.
const PIECE: usize = 256;
/// How much longer output processing can make a piece (a tab is eight spaces).
const EXPANSION: usize = 8;
/// What a write can send beyond the room that it found: echo may have come in between.
pub(super) const OVERDRAFT: usize = PIECE * EXPANSION;

impl Tty {
    pub fn new(dev: Dev, termios: Termios, port: Box<dyn Port>) -> Arc<Tty> {
        Arc::new_cyclic(|this| Tty {
            dev,
            this: this.clone(),
            state: SpinLock::new(State {
                ldisc: LineDiscipline::new(termios),
                job: None,
                window: [0; 4],
                hung_up: false,
                exclusive: false,
                // For a writer's piece there is always room.
                scratch: Shown::with_capacity(PIECE * EXPANSION),
                echo: VecDeque::new(),
            }),
            port,
            readable: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
            opens: AtomicUsize::new(0),
            writers: Turns::new(),
        })
    }

    /// Opens the terminal; a session leader without one gets it as controlling terminal unless `O_NOCTTY` says no.
    pub fn open(self: &Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
        self.port.may_open()?;
        {
            let state = self.state.lock();
            if state.hung_up {
                return Err(Errno::EIO);
            }
            if state.exclusive && !current().process().creds().is_privileged() {
                return Err(Errno::EBUSY);
            }
            self.opens.fetch_add(1, Ordering::Relaxed);
        }
        self.port.opened();
        // Who may only write has no claim to what is typed.
        if !flags.contains(OpenFlags::NOCTTY) && flags.readable() {
            job::acquire_on_open(self);
        }
        Ok(self.clone())
    }

    /// Open files on the terminal.
    pub fn open_count(&self) -> usize {
        self.opens.load(Ordering::Relaxed)
    }

    /// The process group in the foreground; 0: none.
    pub fn foreground(&self) -> Pid {
        self.state.lock().job.map_or(0, |job| job.group)
    }

    /// Bytes that [`receive`](Self::receive) takes now.
    pub fn room(&self) -> usize {
        self.state.lock().ldisc.room()
    }

    /// Bytes typed at the far end. Called from interrupt handlers too.
    pub fn receive(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (outcome, job, has_input) = {
                let mut state = self.state.lock();
                let State { ldisc, scratch, .. } = &mut *state;
                scratch.clear();
                let (outcome, taken) = ldisc.receive(bytes, scratch);
                bytes = &bytes[taken..];
                if outcome.flushed {
                    state.echo.clear();
                    self.port.flush();
                    self.port.tell(linux::TIOCPKT_FLUSHREAD);
                }
                state.show(&*self.port);
                state.settle(&*self.port);
                (outcome, state.job, state.ldisc.has_input(1))
            };
            self.port.sent();
            if has_input {
                self.readable.wake_all();
            }
            // A start character, or a signal, may have released writers.
            self.writable.wake_all();
            for signal in outcome.signals {
                let signal = match signal {
                    TtySignal::Interrupt => linux::SIGINT,
                    TtySignal::Quit => linux::SIGQUIT,
                    TtySignal::Suspend => linux::SIGTSTP,
                };
                job::send(job, signal);
            }
        }
    }

    /// Output may have stopped, or may go on.
    pub(super) fn output_changed(&self) {
        self.state.lock().settle(&*self.port);
        self.port.sent();
        self.writable.wake_all();
    }

    /// The far end is gone: readers find the end, writers fail, the session is told.
    pub fn hang_up(&self) {
        let job = {
            let mut state = self.state.lock();
            state.hung_up = true;
            state.job.take()
        };
        if let Some(job) = job {
            job::hang_up(self, job);
        }
        self.readable.wake_all();
        self.writable.wake_all();
    }

    /// Takes out what one read gives now, at most a line in canonical mode; `None`: nothing.
    fn take(&self, buf: &mut Buffer<'_>) -> Option<Result<usize>> {
        let mut state = self.state.lock();
        if state.hung_up {
            return Some(Ok(0));
        }
        if !state.ldisc.has_input(1) {
            return None;
        }
        let copied = buf.put_both(state.ldisc.readable());
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
        let turn = self.writers.take(file.nonblocking())?;
        let written = self.write_pieces(file, buf);
        drop(turn);
        // Who polls is told that it can write only while nobody does.
        self.writable.wake_all();
        written
    }

    fn write_pieces(&self, file: &File, buf: &mut Buffer<'_>) -> Result<usize> {
        let mut done = 0;
        let mut piece = [0u8; PIECE];
        loop {
            let ready = || {
                let mut state = self.state.lock();
                if state.hung_up {
                    return Some(Err(Errno::EIO));
                }
                let room = state.room_for_output(&*self.port);
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
                    drop(state);
                    self.port.sent();
                    done += n;
                }
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
            if buf.is_empty() || scheduler::give_way() || current().signal_pending() {
                break;
            }
        }
        Ok(done)
    }
}

impl State {
    /// Shows the echo in `scratch`, or keeps it for later.
    fn show(&mut self, port: &dyn Port) {
        let now = match self.echo.is_empty() && !self.ldisc.is_stopped() {
            true => self.scratch.len().min(port.room()),
            false => 0,
        };
        if now > 0 {
            port.send(&self.scratch[..now]);
        }
        let rest = &self.scratch[now..];
        let rest = &rest[rest.len().saturating_sub(ECHO_MAX)..];
        let over = (self.echo.len() + rest.len()).saturating_sub(ECHO_MAX);
        self.echo.drain(..over);
        // What there is no memory for is not shown.
        if self.echo.try_reserve(rest.len()).is_ok() {
            self.echo.extend(rest);
        }
    }

    /// After what may have stopped output, started it or made room for it: tells of it, and shows the echo that waits.
    pub fn settle(&mut self, port: &dyn Port) {
        match self.ldisc.take_flow_change() {
            Some(true) => port.tell(linux::TIOCPKT_STOP),
            Some(false) => port.tell(linux::TIOCPKT_START),
            None => {}
        }
        while !self.echo.is_empty() && !self.ldisc.is_stopped() {
            let (front, _) = self.echo.as_slices();
            let n = front.len().min(port.room());
            if n == 0 {
                return;
            }
            port.send(&front[..n]);
            self.echo.drain(..n);
        }
    }

    /// Bytes that a program may write now. Echo goes before them.
    fn room_for_output(&mut self, port: &dyn Port) -> usize {
        match self.ldisc.is_stopped() || !self.echo.is_empty() {
            true => 0,
            false => port.room() / EXPANSION,
        }
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
        if buf.is_empty() {
            return Ok(0);
        }
        self.write_output(file, buf)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.readable);
            table.register(&self.writable);
        }
        let mut state = self.state.lock();
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
        if !self.writers.is_taken() && state.room_for_output(&*self.port) > 0 {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn ioctl(&self, file: &File, cmd: u32, arg: usize) -> Result<usize> {
        super::ioctl::ioctl(self, file.flags(), cmd, arg)
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
