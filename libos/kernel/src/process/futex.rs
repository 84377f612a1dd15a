//! Futexes (futex(2)): sleeping on a word of program memory.
//!
//! The calls and what they mean for program memory; who waits for what, and the races, are in [`super::futex_queue`].

use super::futex_queue::{Futexes, Key};
use super::thread::{Thread, current};
use super::{Process, table};
use crate::base::{Errno, Result};
use crate::time::sys::nanoseconds;
use crate::time::{CLOCK_SET, Deadline, monotonic_ns};
use crate::user::{USER_END, UserPtr};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;

/// A bucket's lock is held while the word is read, which may fault: it nests outside all that the fault path takes. That is sound:
/// a fault within a copy never sleeps (`WhenFull::Fail` in `arch/aarch64/exceptions.rs`; files are in memory, and their pages come
/// without waiting), and what it takes, up to the run queues when it has to end a process, is never held by who wants a bucket:
/// a thread's end, which wakes futexes, holds nothing. A kernel with assertions checks both.
static FUTEXES: Futexes<256> = Futexes::new();

fn key_of(process: &Process, address: usize, private: bool) -> Result<Key> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if address >= USER_END {
        return Err(Errno::EFAULT);
    }
    if !private && let Some(shared) = process.space().shared_key(address)? {
        return Ok(Key(shared.0, shared.1));
    }
    Ok(Key(Arc::as_ptr(&process.space.lock()) as usize, address))
}

/// Wakes up to `count` waiters on a private or shared word of `process`, as a kernel event does.
pub fn wake_address(process: &Process, address: usize, count: usize) {
    for private in [true, false] {
        if let Ok(key) = key_of(process, address, private) {
            wake(key, count, !0);
        }
    }
}

fn wake(key: Key, count: usize, bits: u32) -> usize {
    FUTEXES.wake(key, count, bits)
}

/// That the word at `address` still holds `expected`; `EAGAIN` otherwise.
fn still(address: usize, expected: u32) -> Result<()> {
    match UserPtr::<u32>::new(address).read()? == expected {
        true => Ok(()),
        false => Err(Errno::EAGAIN),
    }
}

fn wait(
    address: usize,
    private: bool,
    expected: u32,
    deadline: Option<Deadline>,
    bits: u32,
) -> Result<usize> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let key = key_of(me.process(), address, private)?;
    // Makes the page present before the lock is taken.
    still(address, expected)?;
    let id = Arc::as_ptr(me).addr();
    let of_day = matches!(deadline, Some(Deadline::OfDay(_)));
    if of_day {
        CLOCK_SET.add(id, me.clone());
    }
    let until = || deadline.map(Deadline::monotonic);
    let woken = FUTEXES.wait(key, bits, until, || still(address, expected));
    if of_day {
        CLOCK_SET.remove(id);
    }
    match (woken, deadline) {
        // With a time limit a handler ends it, whatever its flags say.
        (Err(Errno::ERESTARTSYS), Some(deadline)) => Err(me.goes_on(deadline.monotonic())),
        (woken, _) => woken.map(|()| 0),
    }
}

/// Changes a word as one step, whatever programs do to it meanwhile; returns what it was.
fn update(word: UserPtr<u32>, change: impl Fn(u32) -> Result<u32>) -> Result<u32> {
    let mut old = word.read()?;
    loop {
        match word.compare_exchange(old, change(old)?)? {
            found if found == old => return Ok(old),
            found => old = found,
        }
    }
}

/// `FUTEX_WAKE_OP`: changes the second word, wakes the first, and the second if its old value compares.
fn wake_op(
    address: usize,
    key: Key,
    key2: Key,
    count: usize,
    count2: usize,
    op: u32,
) -> Result<usize> {
    let extend = |v: u32| ((v << 20) as i32 >> 20) as u32;
    let mut arg = extend(op >> 12 & 0xfff);
    if op >> 28 & 8 != 0 {
        arg = 1 << (arg & 31);
    }
    let (compare, operand) = (op >> 24 & 0xf, extend(op & 0xfff) as i32);
    if compare > 5 {
        return Err(Errno::ENOSYS);
    }
    let change = |old: u32| match op >> 28 & 7 {
        0 => Ok(arg),
        1 => Ok(old.wrapping_add(arg)),
        2 => Ok(old | arg),
        3 => Ok(old & !arg),
        4 => Ok(old ^ arg),
        _ => Err(Errno::ENOSYS),
    };
    let old = update(UserPtr::new(address), change)? as i32;
    let mut woken = wake(key, count, !0);
    let holds = match compare {
        0 => old == operand,
        1 => old != operand,
        2 => old < operand,
        3 => old <= operand,
        4 => old > operand,
        _ => old >= operand,
    };
    if holds {
        woken += wake(key2, count2, !0);
    }
    Ok(woken)
}

pub fn sys_futex(
    address: usize,
    op: u32,
    value: u32,
    timeout: usize,
    address2: usize,
    value3: u32,
) -> Result<usize> {
    let private = op & PRIVATE != 0;
    let process = current().process();
    let command = op & !(PRIVATE | CLOCK_REALTIME);
    match command {
        WAIT | WAIT_BITSET => {
            let resumed = current().resumed();
            let deadline = match UserPtr::<[i64; 2]>::new(timeout).option() {
                None => None,
                Some(p) => {
                    let ns = nanoseconds(p.read()?)?;
                    Some(match (command, op & CLOCK_REALTIME != 0) {
                        (WAIT, _) => Deadline::Monotonic(
                            resumed.unwrap_or_else(|| monotonic_ns().saturating_add(ns)),
                        ),
                        (_, false) => Deadline::Monotonic(ns),
                        (_, true) => Deadline::OfDay(ns),
                    })
                }
            };
            let bits = if command == WAIT { !0 } else { value3 };
            wait(address, private, value, deadline, bits)
        }
        WAKE | WAKE_BITSET => {
            let bits = if command == WAKE { !0 } else { value3 };
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            Ok(wake(
                key_of(process, address, private)?,
                value as usize,
                bits,
            ))
        }
        REQUEUE | CMP_REQUEUE => {
            if (value as i32) < 0 || (timeout as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            let (from, to) = (
                key_of(process, address, private)?,
                key_of(process, address2, private)?,
            );
            let check = (command == CMP_REQUEUE).then_some((address, value3));
            if check.is_some() {
                UserPtr::<u32>::new(address).read()?;
            }
            FUTEXES.requeue(from, to, (value as usize, timeout), || {
                check.map_or(Ok(()), |(address, expected)| still(address, expected))
            })
        }
        WAKE_OP => {
            let (k, k2) = (
                key_of(process, address, private)?,
                key_of(process, address2, private)?,
            );
            wake_op(address2, k, k2, value as usize, timeout, value3)
        }
        _ => {
            klog!(Warn, "futex: operation {} is not built", command);
            Err(Errno::ENOSYS)
        }
    }
}

/// Robust lists (get_robust_list(2)): the words of mutexes that a dying thread holds are marked and one waiter each is woken.
fn walk_robust_list(me: &Arc<Thread>) -> Result<()> {
    const OWNER_DIED: u32 = 0x4000_0000;
    const WAITERS: u32 = 0x8000_0000;
    const TID_MASK: u32 = 0x3fff_ffff;
    let head = me.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return Ok(());
    }
    let [first, offset, pending] = UserPtr::<[usize; 3]>::new(head).read()?;
    let release = |entry: usize, is_pending: bool| -> Result<()> {
        let address = entry.wrapping_add(offset);
        let word = UserPtr::<u32>::new(address);
        let mine = |value: u32| value & TID_MASK == me.tid() as u32;
        // Waiters set their bit in it at any time.
        let died = |value: u32| match mine(value) {
            true => Ok(value & WAITERS | OWNER_DIED),
            false => Ok(value),
        };
        let seen = word.read()?;
        // One that was being unlocked may be free already, and whoever waits for it not yet woken.
        let free = is_pending && seen == 0;
        if free || mine(seen) && mine(update(word, died)?) {
            wake_address(me.process(), address, 1);
        }
        Ok(())
    };
    let mut entry = first;
    // A damaged list may be a ring; Linux gives up after this many, too.
    for _ in 0..2048 {
        if entry & !1 == head {
            break;
        }
        if entry & !1 != pending & !1 {
            release(entry & !1, false)?;
        }
        entry = UserPtr::<usize>::new(entry & !1).read()?;
    }
    if pending & !1 != 0 {
        release(pending & !1, true)?;
    }
    Ok(())
}

/// What a dying thread owes the others.
pub fn on_thread_exit(me: &Arc<Thread>) {
    // A bad list harms only its owner, who is gone.
    let _ = walk_robust_list(me);
    super::exit::clear_tid(me);
}

pub fn sys_set_robust_list(head: usize, len: usize) -> Result<usize> {
    if len != 24 {
        return Err(Errno::EINVAL);
    }
    current().robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

pub fn sys_get_robust_list(tid: i32, head: UserPtr<usize>, len: UserPtr<usize>) -> Result<usize> {
    let process = current().process();
    let thread = if tid == 0 {
        current().clone()
    } else {
        let thread = table::find_thread(tid).ok_or(Errno::ESRCH)?;
        let (mine, theirs) = (process.creds(), thread.process().creds());
        let same = [theirs.uid, theirs.euid, theirs.suid] == [mine.uid; 3];
        if !mine.is_privileged() && !same && !Arc::ptr_eq(process, thread.process()) {
            return Err(Errno::EPERM);
        }
        thread
    };
    head.write(thread.robust_list.load(Ordering::Relaxed))?;
    len.write(24)?;
    Ok(0)
}
