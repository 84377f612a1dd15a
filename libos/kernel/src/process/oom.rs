//! When memory runs out: the largest offender dies, and the log says so.
//!
//! Frames of programs and files run out first: a fault that finds none comes to [`make_room`], a call that wants some gets
//! `ENOMEM`. The last frames are the kernel heap's, whose small allocations have no way to fail. A call that digs deep into that
//! reserve settles it ([`settle`]) on its way out, before the program can make another. One that sleeps before that ends somebody, too,
//! for what it took may be what is missing, but does not wait: whoever has to die may need a lock that the sleeper holds.

use super::signal::{SIGKILL, send};
use super::thread::flag;
use super::{Process, current, scheduler, table};
use crate::arch::cpu;
use crate::memory::frames;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};

/// Frames that a thread takes besides its program's memory: its kernel stack and what describes it.
const THREAD_FRAMES: i64 = 5;
/// What stands behind a descriptor, pipes and sockets with something in them among others.
const DESCRIPTOR_FRAMES: i64 = 4;
/// So many descriptors everybody has.
const FEW_DESCRIPTORS: usize = 64;

/// The process that was ended last.
static VICTIM: AtomicI32 = AtomicI32::new(0);

/// How bad a process is: its pages, their tables, and what its threads and files take, shifted by `oom_score_adj` (proc(5)) in thousandths of all
/// memory.
fn badness(p: &Arc<Process>) -> i64 {
    let adjust = p.oom_score_adj.load(Ordering::Relaxed) as i64;
    if p.pid == 1 || p.is_zombie() || adjust <= -1000 {
        return i64::MIN;
    }
    let threads = p.threads.lock().len() as i64;
    let files = p.files.lock().size().saturating_sub(FEW_DESCRIPTORS) as i64;
    p.space.lock().held_pages() as i64
        + threads * THREAD_FRAMES
        + files * DESCRIPTOR_FRAMES
        + adjust * frames::total_count() as i64 / 1000
}

/// A page fault found no frame: ends the process that uses most memory and waits until it is gone. True if the caller may try
/// again, false if it is itself the victim (or dying).
///
/// Called from the fault handler with no lock held; the program's vector registers are kept over the sleep.
pub fn make_room() -> bool {
    if current().is_dying() {
        return false;
    }
    match kill_largest() {
        Some(victim) => wait_for_end(&victim),
        None => true,
    }
}

/// The heap took from its reserve: the running thread is to look after that when it leaves the kernel. Called by the allocator.
pub fn note_shortage() {
    let me = cpu::this().current.load(Ordering::Relaxed);
    // SAFETY: null before there are threads; the running thread is alive.
    if let Some(me) = unsafe { me.as_ref() }
        && me.has_process()
        && me.flags.load(Ordering::Relaxed) & flag::SETTLING == 0
    {
        me.set_flag(flag::SHORTAGE);
    }
}

/// Ends processes until the kernel has its reserve back, or nobody is left to end. Called under [`flag::SHORTAGE`], with no lock held.
pub fn settle() {
    let me = current();
    me.clear_flag(flag::SHORTAGE);
    // Waiting takes memory, too, and is no reason to begin again.
    me.set_flag(flag::SETTLING);
    end_some();
    me.clear_flag(flag::SETTLING);
}

/// The running thread is about to sleep in the kernel, under [`flag::SHORTAGE`] and perhaps with a sleep lock: ends a process unless one
/// is ending already.
pub fn make_room_later() {
    let me = current();
    me.clear_flag(flag::SHORTAGE);
    me.set_flag(flag::SETTLING);
    if going().is_none()
        && frames::is_short()
        && !me.is_dying()
        && let Some(victim) = largest()
    {
        end(&victim);
    }
    me.clear_flag(flag::SETTLING);
}

fn end_some() {
    while frames::is_short() && !current().is_dying() {
        let victim = match going() {
            Some(victim) => victim,
            None => {
                let Some(victim) = largest() else { return };
                end(&victim);
                victim
            }
        };
        if !wait_for_end(&victim) {
            return;
        }
    }
}

/// False if the caller is of the process that ends, or dying.
fn wait_for_end(victim: &Arc<Process>) -> bool {
    if Arc::ptr_eq(victim, current().process()) {
        return false;
    }
    let mut freed = false;
    scheduler::with_fp_saved(|| {
        freed = victim
            .exit_event
            .wait_killable(|| victim.is_zombie().then_some(()))
            .is_ok();
    });
    freed
}

/// The process that uses most memory, but for init and those that are never to be ended.
fn largest() -> Option<Arc<Process>> {
    // No list is made: there is no memory for one.
    let mut worst: Option<(i64, Arc<Process>)> = None;
    table::for_each(|p| {
        let bad = badness(p);
        if bad > i64::MIN && worst.as_ref().is_none_or(|(most, _)| bad > *most) {
            worst = Some((bad, p.clone()));
        }
    });
    worst.map(|(_, p)| p)
}

/// The process that is ending to make room: nobody else need end as long as it has not given back what it had.
fn going() -> Option<Arc<Process>> {
    let victim = table::find(VICTIM.load(Ordering::Relaxed))?;
    (victim.is_ending() && !victim.is_zombie()).then_some(victim)
}

fn end(victim: &Arc<Process>) {
    let resident = victim.space().resident_pages() * 4;
    VICTIM.store(victim.pid, Ordering::Relaxed);
    // Who is ending already has had its line in the log.
    if send::end_process(victim, SIGKILL) {
        klog!(
            Err,
            "out of memory: killed process {} ({}), {resident} KiB resident",
            victim.pid,
            victim.comm().escape_ascii()
        );
    }
}

/// Ends the process that uses most memory, the caller's if there is no other, and returns it; or returns the one that is ending
/// already. `None` if the memory is there by now, from one that ended before.
pub fn kill_largest() -> Option<Arc<Process>> {
    // It may be in the middle of a copy: whatever this locks must not be held over one.
    #[cfg(debug_assertions)]
    let _in_fault = crate::base::lockdep::enter_fault();
    if let Some(victim) = going() {
        return Some(victim);
    }
    if !frames::is_scarce() {
        return None;
    }
    let victim = largest().unwrap_or_else(|| current().process().clone());
    end(&victim);
    Some(victim)
}
