//! Pseudo-terminals (pty(7)): a terminal whose far end is a file, `/dev/ptmx`.

use super::terminal::{Port, Tty};
use super::termios::Termios;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{Dev, File, FileOps, PollEvents, devfs};
use crate::process::current;
use crate::process::wait::{PollTable, WaitQueue};
use crate::user::{Buffer, UserPtr};
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::ioctl::*;

/// Output that the master has not read yet; writers wait beyond it.
const OUTPUT_MAX: usize = 16 * 1024;
/// How many there can be (Linux's `pty.max`).
const COUNT_MAX: u32 = 4096;
const MAJOR: u32 = 136;

/// Numbers in use.
static NUMBERS: SpinLock<BTreeSet<u32>> = SpinLock::new(BTreeSet::new());

/// What the two sides share besides the terminal itself.
struct Link {
    /// On the way to the master. Nests inside the terminal's lock.
    output: SpinLock<VecDeque<u8>>,
    /// Woken when there is output, or the last user of the terminal leaves.
    readable: Arc<WaitQueue>,
    /// Woken when the terminal has room for input again.
    writable: Arc<WaitQueue>,
    /// `unlockpt` has not been called yet.
    locked: AtomicBool,
    /// The terminal has been opened at least once.
    used: AtomicBool,
}

struct Slave(Arc<Link>);

impl Port for Slave {
    fn room(&self) -> usize {
        OUTPUT_MAX.saturating_sub(self.0.output.lock().len())
    }
    fn send(&self, bytes: &[u8]) {
        // Echo may go over the limit by what was typed, which is limited in turn.
        self.0.output.lock().extend(bytes);
        self.0.readable.wake_all();
    }
    fn queued(&self) -> usize {
        self.0.output.lock().len()
    }
    fn flush(&self) {
        self.0.output.lock().clear();
    }
    fn input_taken(&self) {
        self.0.writable.wake_all();
    }
    fn may_open(&self) -> Result<()> {
        if self.0.locked.load(Ordering::Relaxed) {
            return Err(Errno::EIO);
        }
        self.0.used.store(true, Ordering::Relaxed);
        Ok(())
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
        let number = {
            let mut numbers = NUMBERS.lock();
            let free = (0..COUNT_MAX)
                .find(|n| !numbers.contains(n))
                .ok_or(Errno::ENOSPC)?;
            numbers.insert(free);
            free
        };
        let link = Arc::new(Link {
            output: SpinLock::new(VecDeque::new()),
            readable: Arc::new(WaitQueue::new()),
            writable: Arc::new(WaitQueue::new()),
            locked: AtomicBool::new(true),
            used: AtomicBool::new(false),
        });
        let dev = Dev::new(MAJOR, number);
        let tty = Tty::new(dev, Termios::default(), Box::new(Slave(link.clone())));
        // From here on dropping the master cleans up.
        let master = Arc::new(Master { number, tty, link });
        let slave = master.tty.clone();
        let name = master.slave_name();
        devfs::register_char(
            &name,
            dev,
            0o620,
            Arc::new(move |_, flags| slave.open(flags)),
        )?;
        let creds = current().process().creds();
        if creds.fsuid != 0 {
            // The node belongs to whoever opened the master.
            devfs::remove_node(&name);
            devfs::add_node(&name, dev, 0o620, creds.fsuid, creds.fsgid)?;
        }
        Ok(master)
    }

    fn slave_name(&self) -> String {
        format!("pts/{}", self.number)
    }

    /// Nobody has the terminal open any more.
    fn is_deserted(&self) -> bool {
        self.link.used.load(Ordering::Relaxed) && self.tty.open_count() == 0
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
        let mut attempt = || {
            let mut output = self.link.output.lock();
            if output.is_empty() {
                return self.is_deserted().then_some(Err(Errno::EIO));
            }
            let (front, back) = output.as_slices();
            let copied = buf.put(front).map(|n| {
                if n == front.len() {
                    n + buf.put(back).unwrap_or(0)
                } else {
                    n
                }
            });
            if let Ok(n) = copied {
                output.drain(..n);
            }
            Some(copied)
        };
        let n = match file.nonblocking() {
            true => attempt().unwrap_or(Err(Errno::EAGAIN)),
            false => self.link.readable.wait(None, attempt)?,
        }?;
        self.tty.writable.wake_all();
        Ok(n)
    }

    fn write(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let mut done = 0;
        let mut piece = [0u8; 256];
        while !buf.is_empty() {
            let ready = || Some(self.tty.room()).filter(|&room| room > 0);
            let room = match file.nonblocking() {
                true => ready().ok_or(Errno::EAGAIN),
                false => self.link.writable.wait(None, ready),
            };
            match room.and_then(|room| buf.take(&mut piece[..room.min(256)])) {
                Ok(n) => {
                    self.tty.receive(&piece[..n]);
                    done += n;
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
        if !self.link.output.lock().is_empty() {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if self.is_deserted() {
            events |= PollEvents::HUP;
        }
        if self.tty.room() > 0 {
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
                self.link.used.store(true, Ordering::Relaxed);
                let file = File::anonymous(self.tty.open(flags)?, flags);
                return Ok(
                    super::super::caller::install(file, flags.contains(OpenFlags::CLOEXEC))?
                        as usize,
                );
            }
            TIOCGPGRP => UserPtr::new(arg).write(self.tty.foreground())?,
            TIOCGSID => match self.tty.state.lock().job.session {
                0 => return Err(Errno::ENOTTY),
                session => UserPtr::new(arg).write(session)?,
            },
            FIONREAD => UserPtr::new(arg).write(self.link.output.lock().len() as i32)?,
            TIOCOUTQ => UserPtr::new(arg).write(self.tty.state.lock().ldisc.input_len() as i32)?,
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
