//! Pseudo-terminals (pty(7)): a terminal whose far end is a file, `/dev/ptmx`.

use super::ioctl::{TCFLSH, TCXONC};
use super::port::Port;
use super::terminal::{OVERDRAFT, Tty};
use super::termios::Termios;
use super::turns::Turns;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{Dev, File, FileOps, PollEvents, devfs};
use crate::ipc::caller;
use crate::process::wait::{PollTable, WaitQueue};
use crate::process::{current, scheduler};
use crate::user::{Buffer, UserPtr};
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general::{
    self as linux, TIOCPKT_DATA, TIOCPKT_DOSTOP, TIOCPKT_FLUSHWRITE, TIOCPKT_NOSTOP, TIOCPKT_START,
    TIOCPKT_STOP,
};
use linux_raw_sys::ioctl::*;

/// Output that the master has not read yet. There is memory for it from the start: a write is not to be refused half way.
const OUTPUT_CAPACITY: usize = 16 * 1024;
/// Writers wait beyond it.
const OUTPUT_MAX: usize = OUTPUT_CAPACITY - OVERDRAFT;
/// How many there can be (Linux's `pty.max`).
const COUNT_MAX: u32 = 4096;
const MAJOR: u32 = 136;

/// Numbers in use.
static NUMBERS: SpinLock<BTreeSet<u32>> = SpinLock::new(BTreeSet::new());

/// Output that no longer can be thrown away from the terminal's side: on Linux the master has it by then.
const ARRIVED: usize = 4095;
/// Pairs of events of which the last one counts.
const OPPOSITES: [(u32, u32); 2] = [
    (TIOCPKT_STOP, TIOCPKT_START),
    (TIOCPKT_DOSTOP, TIOCPKT_NOSTOP),
];

/// What is on the way to the master.
#[derive(Default)]
struct Outgoing {
    bytes: VecDeque<u8>,
    /// Reads begin with a byte that tells data from events (`TIOCPKT`).
    packets: bool,
    /// Events that the master has not been told of; only while `packets`.
    events: u32,
}

impl Outgoing {
    fn new() -> Result<Self> {
        let mut new = Outgoing::default();
        let room = new.bytes.try_reserve_exact(OUTPUT_CAPACITY);
        room.map_err(|_| Errno::ENOMEM)?;
        Ok(new)
    }

    fn tell(&mut self, event: u32) {
        if !self.packets {
            return;
        }
        for (a, b) in OPPOSITES {
            if event & (a | b) != 0 {
                self.events &= !(a | b);
            }
        }
        self.events |= event;
    }
}

/// What the two sides share besides the terminal itself.
struct Link {
    /// Nests inside the terminal's lock.
    output: SpinLock<Outgoing>,
    /// Woken when there is output, or the last user of the terminal leaves.
    readable: Arc<WaitQueue>,
    /// Woken when the terminal has room for input again.
    writable: Arc<WaitQueue>,
    /// `unlockpt` has not been called yet.
    locked: AtomicBool,
    /// The terminal has been opened at least once.
    used: AtomicBool,
    /// The master's own writes are held back (`TCOOFF`).
    held: AtomicBool,
    /// What `TIOCEXCL` on the master sets; nobody can open that again.
    exclusive: AtomicBool,
    /// Who writes at the master: the terminal has room for what it said only as long as nobody else types.
    typists: Turns,
}

struct Slave(Arc<Link>);

impl Port for Slave {
    fn room(&self) -> usize {
        OUTPUT_MAX.saturating_sub(self.0.output.lock().bytes.len())
    }
    fn send(&self, bytes: &[u8]) {
        self.0.output.lock().bytes.extend(bytes);
    }
    fn queued(&self) -> usize {
        self.0.output.lock().bytes.len()
    }
    fn flush(&self) {
        let mut output = self.0.output.lock();
        output.bytes.truncate(ARRIVED);
        output.tell(TIOCPKT_FLUSHWRITE);
    }
    fn tell(&self, event: u32) {
        self.0.output.lock().tell(event);
    }
    fn sent(&self) {
        self.0.readable.wake_all();
    }
    fn input_taken(&self) {
        self.0.writable.wake_all();
    }
    fn may_open(&self) -> Result<()> {
        match self.0.locked.load(Ordering::Relaxed) {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }
    fn opened(&self) {
        self.0.used.store(true, Ordering::Release);
    }
    fn last_close(&self) {
        self.0.readable.wake_all();
    }
}

/// The master's end.
struct Master {
    number: u32,
    tty: Arc<Tty>,
    link: Arc<Link>,
}

impl Master {
    fn open() -> Result<Arc<dyn FileOps>> {
        let output = Outgoing::new()?;
        let number = {
            let mut numbers = NUMBERS.lock();
            let free = (0..COUNT_MAX)
                .find(|n| !numbers.contains(n))
                .ok_or(Errno::ENOSPC)?;
            numbers.insert(free);
            free
        };
        let link = Arc::new(Link {
            output: SpinLock::new(output),
            readable: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
            locked: AtomicBool::new(true),
            used: AtomicBool::new(false),
            held: AtomicBool::new(false),
            exclusive: AtomicBool::new(false),
            typists: Turns::new(),
        });
        let dev = Dev::new(MAJOR, number);
        let tty = Tty::new(dev, Termios::default(), Box::new(Slave(link.clone())));
        // From here on dropping the master cleans up.
        let master = Arc::new(Master { number, tty, link });
        let slave = master.tty.clone();
        let name = master.slave_name();
        devfs::register_driver(&name, dev, Arc::new(move |_, flags| slave.open(flags)));
        // The node belongs to whoever opens the master, from the start: others look at it.
        let creds = current().process().creds();
        devfs::add_node(&name, dev, 0o620, creds.fsuid, creds.fsgid)?;
        Ok(master)
    }

    fn slave_name(&self) -> String {
        format!("pts/{}", self.number)
    }

    /// Nobody has the terminal open any more.
    fn is_deserted(&self) -> bool {
        self.link.used.load(Ordering::Acquire) && self.tty.open_count() == 0
    }

    /// What one read gives; `None`: nothing.
    fn take(&self, buf: &mut Buffer<'_>) -> Option<Result<usize>> {
        let mut output = self.link.output.lock();
        if output.events != 0 {
            let event = output.events as u8;
            output.events = 0;
            return Some(buf.put(&[event]));
        }
        if output.bytes.is_empty() {
            return self.is_deserted().then_some(Err(Errno::EIO));
        }
        let mut done = 0;
        if output.packets {
            match buf.put(&[TIOCPKT_DATA as u8]) {
                Ok(n) => done = n,
                Err(e) => return Some(Err(e)),
            }
        }
        Some(match buf.put_front(&mut output.bytes) {
            Ok(n) => Ok(done + n),
            Err(_) if done > 0 => Ok(done),
            Err(e) => Err(e),
        })
    }

    /// Typed bytes that the terminal takes now.
    fn room(&self) -> usize {
        match self.link.held.load(Ordering::Relaxed) {
            true => 0,
            false => self.tty.room(),
        }
    }

    fn flow(&self, action: u32) -> Result<()> {
        let held = match action {
            linux::TCOOFF => true,
            linux::TCOON => false,
            _ => {
                let c = super::ioctl::flow_character(&self.tty, action)?;
                self.tty.receive(&c.to_le_bytes()[..(c != 0) as usize]);
                return Ok(());
            }
        };
        self.link.held.store(held, Ordering::Relaxed);
        self.link.writable.wake_all();
        Ok(())
    }

    fn set_packets(&self, on: bool) {
        let mut output = self.link.output.lock();
        if output.packets != on {
            output.packets = on;
            output.events = 0;
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        devfs::unregister_char(&self.slave_name(), self.tty.dev);
        self.tty.hang_up();
        NUMBERS.lock().remove(&self.number);
    }
}

impl FileOps for Master {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = match file.nonblocking() {
            true => self.take(buf).unwrap_or(Err(Errno::EAGAIN)),
            false => self.link.readable.wait(None, || self.take(buf))?,
        }?;
        self.tty.output_changed();
        Ok(n)
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let _turn = self.link.typists.take(file.nonblocking())?;
        let mut done = 0;
        let mut piece = [0u8; 256];
        while !buf.is_empty() {
            let ready = || Some(self.room()).filter(|&room| room > 0);
            let room = match file.nonblocking() {
                true => ready().ok_or(Errno::EAGAIN),
                false => self.link.writable.wait(None, ready),
            };
            match room.and_then(|room| buf.take(&mut piece[..room.min(256)])) {
                Ok(n) => {
                    self.tty.receive(&piece[..n]);
                    done += n;
                    if !buf.is_empty() && (scheduler::give_way() || current().signal_pending()) {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.link.readable);
            table.register(&self.link.writable);
        }
        let mut events = PollEvents::default();
        {
            let output = self.link.output.lock();
            if output.events != 0 {
                events |= PollEvents::PRI;
            }
            if output.events != 0 || !output.bytes.is_empty() {
                events |= PollEvents::IN | PollEvents::RDNORM;
            }
        }
        if self.is_deserted() {
            events |= PollEvents::HUP;
        }
        if self.room() > 0 {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        match cmd {
            TIOCGPTN => UserPtr::new(arg).write(self.number)?,
            TIOCSPTLCK => {
                let lock = UserPtr::<i32>::new(arg).read()? != 0;
                self.link.locked.store(lock, Ordering::Relaxed);
            }
            TIOCGPTLCK => {
                UserPtr::new(arg).write(self.link.locked.load(Ordering::Relaxed) as i32)?
            }
            TIOCGPTPEER => {
                let flags = OpenFlags::from_bits_truncate(arg as u32);
                let file = devfs::open_node(&self.slave_name(), flags)?;
                let fd = caller::install(file, flags.contains(OpenFlags::CLOEXEC))?;
                return Ok(fd as usize);
            }
            TIOCGPGRP => UserPtr::new(arg).write(self.tty.foreground())?,
            TIOCGSID => match self.tty.state.lock().job {
                None => return Err(Errno::ENOTTY),
                Some(job) => UserPtr::new(arg).write(job.session)?,
            },
            TIOCPKT => self.set_packets(UserPtr::<i32>::new(arg).read()? != 0),
            TIOCGPKT => UserPtr::new(arg).write(self.link.output.lock().packets as i32)?,
            TIOCSIG => match arg as u32 {
                signal @ (linux::SIGINT | linux::SIGQUIT | linux::SIGTSTP) => {
                    let job = self.tty.state.lock().job;
                    super::job::send(job, signal);
                }
                _ => return Err(Errno::EINVAL),
            },
            TIOCEXCL | TIOCNXCL => {
                self.link
                    .exclusive
                    .store(cmd == TIOCEXCL, Ordering::Relaxed);
            }
            TIOCGEXCL => {
                UserPtr::new(arg).write(self.link.exclusive.load(Ordering::Relaxed) as i32)?
            }
            FIONREAD => UserPtr::new(arg).write(self.link.output.lock().bytes.len() as i32)?,
            TIOCOUTQ => UserPtr::new(arg).write(self.tty.state.lock().ldisc.input_len() as i32)?,
            TCFLSH => {
                // What it has not read is its input.
                let which = super::ioctl::queue(arg)?;
                if which != linux::TCOFLUSH {
                    self.link.output.lock().bytes.clear();
                    self.tty.output_changed();
                }
            }
            TCXONC => self.flow(arg as u32)?,
            _ => return super::ioctl::master(&self.tty, cmd, arg),
        }
        Ok(0)
    }

    fn name(&self) -> String {
        String::from("/dev/ptmx")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes `/dev/ptmx` and the name that devpts gives it.
pub(super) fn init() -> Result<()> {
    devfs::register_char(
        "ptmx",
        Dev::new(5, 2),
        0o666,
        Arc::new(|_, _| Master::open()),
    )
}
