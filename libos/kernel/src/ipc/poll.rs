//! `ppoll` and `pselect6`: waiting for any of many files.

use super::caller;
use crate::base::{Errno, Result};
use crate::fs::{File, PollEvents};
use crate::process::current;
use crate::process::held::hold_each;
use crate::process::limits::NOFILE;
use crate::process::signal::SigSet;
use crate::process::signal::sys::{clear_temporary_mask, set_temporary_mask};
use crate::process::wait::{PollTable, wait_many};
use crate::time::sys::nanoseconds;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general::{__kernel_timespec, pollfd};

/// Reports that nobody needs to ask for.
const ALWAYS: PollEvents = PollEvents::ERR
    .union(PollEvents::HUP)
    .union(PollEvents::NVAL);
/// What `select` calls readable, writable, exceptional.
const READABLE: PollEvents = PollEvents::IN
    .union(PollEvents::RDNORM)
    .union(PollEvents::RDBAND)
    .union(PollEvents::HUP)
    .union(PollEvents::ERR);
const WRITABLE: PollEvents = PollEvents::OUT
    .union(PollEvents::WRNORM)
    .union(PollEvents::WRBAND)
    .union(PollEvents::ERR);
const EXCEPTIONAL: PollEvents = PollEvents::PRI;

/// How long a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timeout {
    None,
    /// Until this monotonic time, ns.
    Until(u64),
    Forever,
}

impl Timeout {
    /// From a relative `timespec` of the program; null waits for ever.
    pub fn read(timeout: UserPtr<__kernel_timespec>) -> Result<Timeout> {
        let Some(timeout) = timeout.option() else {
            return Ok(Timeout::Forever);
        };
        let t = timeout.read()?;
        Ok(Self::for_ns(nanoseconds([t.tv_sec, t.tv_nsec])?))
    }

    pub fn for_ns(ns: u64) -> Timeout {
        if ns == 0 {
            Timeout::None
        } else {
            Timeout::Until(crate::time::monotonic_ns().saturating_add(ns))
        }
    }

    /// From `epoll_wait`'s milliseconds; negative waits for ever.
    pub fn for_ms(ms: i32) -> Timeout {
        if ms < 0 {
            Timeout::Forever
        } else {
            Self::for_ns(ms as u64 * 1_000_000)
        }
    }
}

/// What is left of the timeout of a call that a stop and a continuation interrupted, or that of a new call.
fn resumed(timeout: Timeout) -> Timeout {
    match crate::process::current()
        .poll_again
        .swap(0, Ordering::Relaxed)
    {
        0 => timeout,
        u64::MAX => Timeout::Forever,
        deadline => Timeout::Until(deadline - 1),
    }
}

/// `poll` and `select` go on after a signal that runs no handler, and end with `EINTR` after one that does, whatever its
/// `SA_RESTART` says (signal(7)). `epoll_wait` ends in both cases.
fn or_again(result: Result<usize>, timeout: Timeout) -> Result<usize> {
    if result == Err(Errno::ERESTARTSYS) {
        let deadline = match timeout {
            Timeout::Forever => u64::MAX,
            Timeout::Until(deadline) => deadline.saturating_add(1).min(u64::MAX - 1),
            Timeout::None => 1,
        };
        let me = crate::process::current();
        me.poll_again.store(deadline, Ordering::Relaxed);
    }
    result
}

/// Runs `wait` with the signal mask of a `p…` call in force (null: the usual one). When a signal ends the wait (`ERESTARTSYS`), the
/// old mask comes back after that has been dealt with.
pub(super) fn with_mask(
    mask: UserPtr<SigSet>,
    size: usize,
    wait: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    if let Some(mask) = mask.option() {
        if size != size_of::<SigSet>() {
            return Err(Errno::EINVAL);
        }
        set_temporary_mask(mask.read()?);
    }
    let done = wait();
    if !mask.is_null() && done != Err(Errno::ERESTARTSYS) {
        clear_temporary_mask();
    }
    done
}

/// Calls `scan` until it counts something or the time is up: first without registering anywhere, which is all that a busy
/// program ever needs.
pub(super) fn wait_until(
    timeout: Timeout,
    mut scan: impl FnMut(Option<&mut PollTable>) -> Option<usize>,
) -> Result<usize> {
    let now = scan(None);
    let deadline = match timeout {
        // Who asks with a mask and no time wants to know of signals that the mask lets in (shells do).
        Timeout::None if now.is_none() && crate::process::current().signal_pending() => {
            return Err(Errno::ERESTARTSYS);
        }
        Timeout::None => return Ok(now.unwrap_or(0)),
        Timeout::Until(deadline) => Some(deadline),
        Timeout::Forever => None,
    };
    if let Some(n) = now {
        return Ok(n);
    }
    match wait_many(deadline, scan) {
        Err(Errno::ETIMEDOUT) => Ok(0),
        n => n,
    }
}

/// ppoll(2). The time left is not written back, as POSIX wants `poll`.
pub fn sys_ppoll(
    fds: UserPtr<pollfd>,
    count: usize,
    timeout: UserPtr<__kernel_timespec>,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    if count as u64 > current().process().rlimit(NOFILE) {
        return Err(Errno::EINVAL);
    }
    let timeout = resumed(Timeout::read(timeout)?);
    let mut list = fds.read_vec(count)?;
    let files = hold_each(list.iter().map(|p| p.fd))?;
    let ready = with_mask(mask, mask_size, || {
        wait_until(timeout, |mut table| {
            let mut ready = 0;
            for (p, file) in list.iter_mut().zip(files.iter()) {
                let wanted = PollEvents::from_bits_retain(p.events as u16 as u32) | ALWAYS;
                let events = match file {
                    Some(file) => file.poll(table.as_deref_mut()) & wanted,
                    None if p.fd < 0 => PollEvents::empty(),
                    None => PollEvents::NVAL,
                };
                p.revents = events.bits() as i16;
                if !events.is_empty() {
                    ready += 1;
                    // Nobody will wait: there is no need to register with the rest.
                    table = None;
                }
            }
            (ready > 0).then_some(ready)
        })
    });
    let ready = or_again(ready, timeout)?;
    // `revents` alone: the program may be changing the rest.
    fds.write_halves(&list, core::mem::offset_of!(pollfd, revents))?;
    Ok(ready)
}

/// The three sets of `select`, one bit per descriptor, and what was found of them.
struct Sets {
    addresses: [UserPtr<u64>; 3],
    wanted: [Vec<u64>; 3],
    found: [Vec<u64>; 3],
}

impl Sets {
    fn read(count: usize, addresses: [UserPtr<u64>; 3]) -> Result<Sets> {
        let words = count.div_ceil(64);
        let mut sets = Sets {
            addresses,
            wanted: [const { Vec::new() }; 3],
            found: [const { Vec::new() }; 3],
        };
        // They stay allocated for as long as the call sleeps: those only that there are.
        for (i, address) in addresses.into_iter().enumerate() {
            let Some(address) = address.option() else {
                continue;
            };
            sets.wanted[i] = address.read_vec(words)?;
            // Bits past the last descriptor do not count.
            if let Some(last) = sets.wanted[i].last_mut()
                && !count.is_multiple_of(64)
            {
                *last &= (1 << (count % 64)) - 1;
            }
            let found = &mut sets.found[i];
            found.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
            found.resize(words, 0);
        }
        Ok(sets)
    }

    /// Every descriptor that is in a set, with its file.
    fn files(&self) -> Result<Vec<(usize, Arc<File>)>> {
        let mut files = Vec::new();
        let words = self.wanted.iter().map(Vec::len).max().unwrap_or(0);
        for word in 0..words {
            let sets = self.wanted.iter().filter_map(|set| set.get(word));
            let mut bits = sets.fold(0, |all, set| all | set);
            while bits != 0 {
                let fd = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                files.push((fd, caller::file(fd as i32)?));
            }
        }
        Ok(files)
    }

    fn wants(&self, set: usize, fd: usize) -> bool {
        let word = self.wanted[set].get(fd / 64);
        word.is_some_and(|word| word & 1 << (fd % 64) != 0)
    }
}

/// pselect6(2). `mask` points to the address and size of a signal set.
pub fn sys_pselect6(
    count: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<__kernel_timespec>,
    mask: UserPtr<[usize; 2]>,
) -> Result<usize> {
    if count < 0 {
        return Err(Errno::EINVAL);
    }
    // What lies behind the process's table does not count. The sizes of tables are Linux's.
    let size = match current().process().files.lock().size() {
        0..=64 => 64,
        n => n.next_power_of_two().max(256),
    };
    let mut sets = Sets::read((count as usize).min(size), [read, write, except])?;
    let timeout = resumed(Timeout::read(timeout)?);
    let [mask, mask_size] = match mask.option() {
        Some(mask) => mask.read()?,
        None => [0, 0],
    };
    let files = sets.files()?;
    let ready = with_mask(UserPtr::new(mask), mask_size, || {
        wait_until(timeout, |mut table| {
            let mut ready = 0;
            for (fd, file) in &files {
                let events = file.poll(table.as_deref_mut());
                for (set, meaning) in [READABLE, WRITABLE, EXCEPTIONAL].into_iter().enumerate() {
                    if events.intersects(meaning) && sets.wants(set, *fd) {
                        sets.found[set][fd / 64] |= 1 << (fd % 64);
                        ready += 1;
                        table = None;
                    }
                }
            }
            (ready > 0).then_some(ready)
        })
    });
    let ready = or_again(ready, timeout)?;
    for (address, found) in sets.addresses.into_iter().zip(&sets.found) {
        if let Some(address) = address.option() {
            address.write_slice(found)?;
        }
    }
    Ok(ready)
}
