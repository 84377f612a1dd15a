//! signalfd(2): signals read as data.

use super::caller;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::types::OpenFlags;
use crate::fs::{File, FileOps, PollEvents};
use crate::process::current;
use crate::process::signal::{SigInfo, SigSet, send};
use crate::process::wait::PollTable;
use crate::user::{Buffer, UserPtr};
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use linux_raw_sys::general as linux;

/// `struct signalfd_siginfo`.
const RECORD: usize = 128;

struct SignalFd {
    /// The signals it reads.
    set: SpinLock<SigSet>,
}

/// Signals that a program cannot ask for.
fn sanitize(set: SigSet) -> SigSet {
    set.without(SigSet::of(&[linux::SIGKILL as i32, linux::SIGSTOP as i32]))
}

impl SignalFd {
    /// Takes the next signal of the caller's.
    fn take(&self) -> Option<SigInfo> {
        let blocked = SigSet(!self.set.lock().0);
        send::take(current(), blocked)
    }
}

/// `info` as a `signalfd_siginfo`; offsets as in signalfd(2).
fn encode(info: &SigInfo) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(info.signo as u32).to_ne_bytes());
    put(4, &info.errno.to_ne_bytes());
    put(8, &info.code.to_ne_bytes());
    match info.signo as u32 {
        linux::SIGSEGV | linux::SIGBUS | linux::SIGILL | linux::SIGFPE | linux::SIGTRAP
            if info.code > 0 =>
        {
            put(72, &info.address().to_ne_bytes());
        }
        linux::SIGCHLD => {
            put(12, &info.pid().to_ne_bytes());
            put(16, &info.uid().to_ne_bytes());
            put(40, &(info.value() as i32).to_ne_bytes());
        }
        _ if info.code == crate::process::signal::info::code::SI_TIMER => {
            put(24, &info.pid().to_ne_bytes());
            put(32, &info.uid().to_ne_bytes());
            put(44, &(info.value() as i32).to_ne_bytes());
            put(48, &info.value().to_ne_bytes());
        }
        _ => {
            put(12, &info.pid().to_ne_bytes());
            put(16, &info.uid().to_ne_bytes());
            put(44, &(info.value() as i32).to_ne_bytes());
            put(48, &info.value().to_ne_bytes());
        }
    }
    out
}

impl FileOps for SignalFd {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        if buf.len() < RECORD {
            return Err(Errno::EINVAL);
        }
        let mut next = match file.nonblocking() {
            true => self.take().ok_or(Errno::EAGAIN)?,
            false => current()
                .process()
                .signals
                .arrived
                .wait(None, || self.take())?,
        };
        let mut done = 0;
        loop {
            match buf.put(&encode(&next)) {
                Ok(n) => done += n,
                // What came before it has arrived.
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
            if buf.len() < RECORD {
                return Ok(done);
            }
            match self.take() {
                Some(info) => next = info,
                None => return Ok(done),
            }
        }
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let me = current();
        if let Some(table) = table {
            table.register(&me.process().signals.arrived);
        }
        let own = me.signals.lock().pending.set();
        let pending = own.union(me.process().signals.pending.lock().set());
        let ready = !pending.intersection(*self.set.lock()).is_empty();
        if ready {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn name(&self) -> String {
        String::from("anon_inode:[signalfd]")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// signalfd4(2).
pub fn sys_signalfd4(fd: i32, set: UserPtr<SigSet>, size: usize, flags: u32) -> Result<usize> {
    let open = OpenFlags::from_bits_retain(flags);
    if size != size_of::<SigSet>() || !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(open) {
        return Err(Errno::EINVAL);
    }
    let set = sanitize(set.read()?);
    if fd != -1 {
        let file = caller::file(fd)?;
        *file.ops_as::<SignalFd>().ok_or(Errno::EINVAL)?.set.lock() = set;
        current().process().signals.arrived.wake_all();
        return Ok(fd as usize);
    }
    let file = File::anonymous(
        Arc::new(SignalFd {
            set: SpinLock::new(set),
        }),
        OpenFlags::RDWR | open & OpenFlags::NONBLOCK,
    );
    Ok(caller::install(file, open.contains(OpenFlags::CLOEXEC))? as usize)
}
