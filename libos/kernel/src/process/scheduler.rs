//! Who runs next.
//!
//! Each core has a queue ordered by weighted run time: the thread that has had least of the processor, measured by its nice
//! weight, goes first. A core whose queue is empty takes half a turn at the others' before it idles. There is no tick: the slice
//! timer runs only while somebody waits on the core's queue.

use super::accounting::{TICK, found_in_kernel};
use super::thread::Thread;
use super::{Process, current};
use crate::arch::{self, Interrupted, MAX_CPUS, cpu, frame, gic};
use crate::base::SpinLock;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// How long a thread runs while others wait, ns.
const SLICE: u64 = 4_000_000;
/// A sleeper comes back at most this far (ns) ahead of the others.
const SLEEPER_BONUS: u64 = 6_000_000;
/// A woken thread takes the core at once when it is owed this much, ns.
const PREEMPTION_GAP: u64 = 2_000_000;

/// nice level -> weight; each step is about 10% of the processor (the ratios are 1.25, as everywhere since 2007).
fn weight(nice: i32) -> u64 {
    const UP: [u64; 20] = [
        1024, 1277, 1586, 1991, 2501, 3121, 3906, 4904, 6100, 7620, 9548, 11916, 14949, 18705,
        23254, 29154, 36291, 46273, 56483, 71755,
    ];
    const DOWN: [u64; 20] = [
        1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
    ];
    if nice < 0 {
        if nice <= -20 {
            88761
        } else {
            UP[(-nice) as usize]
        }
    } else {
        DOWN[nice.min(19) as usize]
    }
}

struct Queue {
    /// By vruntime, least first.
    waiting: VecDeque<Arc<Thread>>,
    /// No thread of this core is behind this.
    min_vruntime: u64,
    slice_armed: bool,
}

/// A core's run queue. Innermost lock but for the timer queue's.
struct RunQueue {
    queue: SpinLock<Queue>,
    /// How many wait, readable without the lock.
    len: AtomicUsize,
    idle: AtomicBool,
    idle_thread: AtomicPtr<Thread>,
    /// The thread that was switched out last, for `finish_switch`.
    previous: AtomicPtr<Thread>,
    /// A tick is to come.
    ticking: AtomicBool,
    /// The process that ran last and has timers of processor time, for a tick that finds the core idle. Leaf.
    watched: SpinLock<Option<Arc<Process>>>,
}

static QUEUES: [RunQueue; MAX_CPUS] = [const {
    RunQueue {
        queue: SpinLock::new(Queue {
            waiting: VecDeque::new(),
            min_vruntime: 0,
            slice_armed: false,
        }),
        len: AtomicUsize::new(0),
        idle: AtomicBool::new(false),
        idle_thread: AtomicPtr::new(core::ptr::null_mut()),
        previous: AtomicPtr::new(core::ptr::null_mut()),
        ticking: AtomicBool::new(false),
        watched: SpinLock::new(None),
    }
}; MAX_CPUS];

/// How many threads wait for a core.
pub fn waiting() -> usize {
    QUEUES.iter().map(|q| q.len.load(Ordering::Relaxed)).sum()
}

/// How many threads run or wait for a core.
pub fn runnable() -> usize {
    waiting()
        + cpu::online()
            .filter(|&c| !QUEUES[c].idle.load(Ordering::Relaxed))
            .count()
}

/// Puts a runnable thread on the queue of the best core for it.
pub fn enqueue(thread: Arc<Thread>) {
    let here = arch::cpu_id();
    let allowed = thread.sched.affinity.load(Ordering::Relaxed);
    let may = |c: usize| allowed & (1 << c) != 0;
    let last = thread.sched.cpu.load(Ordering::Relaxed);
    let is_idle = |c: usize| {
        QUEUES[c].idle.load(Ordering::Relaxed) && QUEUES[c].len.load(Ordering::Relaxed) == 0
    };
    let online = |c: usize| cpu::get(c).online.load(Ordering::Relaxed);
    let target = if may(last) && online(last) && (is_idle(last) || cpu::online_count() == 1) {
        last
    } else {
        cpu::online()
            .find(|&c| may(c) && is_idle(c))
            .or_else(|| (may(last) && online(last)).then_some(last))
            .or_else(|| {
                cpu::online()
                    .filter(|&c| may(c))
                    .min_by_key(|&c| QUEUES[c].len.load(Ordering::Relaxed))
            })
            .unwrap_or(here)
    };
    push(target, thread);
}

fn push(target: usize, thread: Arc<Thread>) {
    let rq = &QUEUES[target];
    let mut preempt = false;
    let mut arm = false;
    {
        let mut q = rq.queue.lock();
        // Time asleep is not owed back in full, and a queue's clock is not another's.
        let v = thread
            .sched
            .vruntime
            .load(Ordering::Relaxed)
            .max(q.min_vruntime.saturating_sub(SLEEPER_BONUS))
            .min(q.min_vruntime + SLEEPER_BONUS * 4);
        thread.sched.vruntime.store(v, Ordering::Relaxed);
        if !rq.idle.load(Ordering::Relaxed) {
            preempt = v + PREEMPTION_GAP < q.min_vruntime;
            arm = !q.slice_armed;
            q.slice_armed = true;
        }
        let at = q
            .waiting
            .partition_point(|t| t.sched.vruntime.load(Ordering::Relaxed) <= v);
        q.waiting.insert(at, thread);
        rq.len.store(q.waiting.len(), Ordering::SeqCst);
    }
    let here = arch::cpu_id();
    if target != here {
        if rq.idle.load(Ordering::SeqCst) || arm || preempt {
            if preempt {
                cpu::get(target).need_resched.store(true, Ordering::Relaxed);
            }
            gic::send_sgi(target, gic::SGI_RESCHEDULE);
        }
    } else {
        if preempt && current().has_process() {
            cpu::get(here).need_resched.store(true, Ordering::Relaxed);
            gic::send_sgi(here, gic::SGI_RESCHEDULE);
        }
        if arm {
            arm_slice();
        }
    }
}

/// Starts the slice of the running thread.
fn arm_slice() {
    crate::time::timer::set_slice(Some(crate::time::monotonic_ns() + SLICE));
}

/// The slice timer rang: the running thread goes back to the queue at the next chance.
pub fn slice_over() {
    let rq = &QUEUES[arch::cpu_id()];
    let mut q = rq.queue.lock();
    if q.waiting.is_empty() {
        q.slice_armed = false;
        crate::time::timer::set_slice(None);
    } else {
        cpu::this().need_resched.store(true, Ordering::Relaxed);
        drop(q);
        arm_slice();
    }
}

/// A busy core's tick: counts for whatever it found, and looks at the timers of processor time. An idle core has no next one.
pub fn tick(found: Interrupted, now: u64) {
    let rq = &QUEUES[arch::cpu_id()];
    let me = current();
    let watched = match found {
        Interrupted::Program { pc, late } if me.has_process() => {
            me.sched.ticks.count(late || found_in_kernel(pc));
            advance_clock(me);
            crate::time::timer::set_tick(now + TICK);
            let process = me.process();
            process
                .watch_cpu
                .load(Ordering::Relaxed)
                .then(|| process.clone())
        }
        _ => {
            rq.ticking.store(false, Ordering::Relaxed);
            rq.watched.lock().take()
        }
    };
    if let Some(process) = watched {
        super::timers::check_processor_time(&process);
    }
}

/// The core has something to do again.
#[cold]
fn start_ticking(rq: &RunQueue, now: u64) {
    rq.ticking.store(true, Ordering::Relaxed);
    crate::time::timer::set_tick(now + TICK);
}

/// Another core put something on our queue.
pub fn on_reschedule_ipi() {
    let rq = &QUEUES[arch::cpu_id()];
    if rq.idle.load(Ordering::Relaxed) {
        return;
    }
    let mut q = rq.queue.lock();
    // What was put there may be running by now. Whoever put it there promised a slice that nobody has started.
    q.slice_armed = !q.waiting.is_empty();
    if q.slice_armed {
        drop(q);
        arm_slice();
    }
}

/// The core leaves idling: what was queued while it idled, beyond the thread that it now runs, gets its slice.
fn arm_slice_for_the_rest(rq: &RunQueue) {
    let mut q = rq.queue.lock();
    if !q.waiting.is_empty() && !q.slice_armed {
        q.slice_armed = true;
        drop(q);
        arm_slice();
    }
}

/// Books the time since the thread was put on the core.
fn account(thread: &Thread) {
    let now = crate::time::monotonic_ns();
    let ran = now.saturating_sub(thread.sched.since.swap(now, Ordering::Relaxed));
    thread.sched.runtime.fetch_add(ran, Ordering::Relaxed);
    let weighted = match thread.sched.nice.load(Ordering::Relaxed) {
        0 => ran,
        nice => ran * 1024 / weight(nice),
    };
    thread.sched.vruntime.fetch_add(weighted, Ordering::Relaxed);
}

fn pop(cpu_id: usize, for_cpu: usize) -> Option<Arc<Thread>> {
    let rq = &QUEUES[cpu_id];
    if rq.len.load(Ordering::SeqCst) == 0 {
        return None;
    }
    let mut q = rq.queue.lock();
    let thread = if cpu_id == for_cpu {
        // One that is on its way here may still be on its old core. To wait for it would be a deadlock if that core waits
        // for ours to let go of another.
        let here = cpu::this().current.load(Ordering::Relaxed).cast_const();
        let ready = |t: &Arc<Thread>| {
            !t.on_cpu.load(Ordering::Relaxed) || core::ptr::eq(Arc::as_ptr(t), here)
        };
        q.waiting
            .iter()
            .position(ready)
            .and_then(|i| q.waiting.remove(i))
    } else {
        // Steal from the far end, and only what may run here and has left its core.
        let may = |t: &Arc<Thread>| {
            t.sched.affinity.load(Ordering::Relaxed) & (1 << for_cpu) != 0
                && !t.on_cpu.load(Ordering::Relaxed)
        };
        q.waiting
            .iter()
            .rposition(may)
            .and_then(|i| q.waiting.remove(i))
    }?;
    rq.len.store(q.waiting.len(), Ordering::SeqCst);
    let v = thread.sched.vruntime.load(Ordering::Relaxed);
    if cpu_id == for_cpu {
        q.min_vruntime = q.min_vruntime.max(v);
    } else {
        // Keep its lead or lag when it changes queues.
        let theirs = q.min_vruntime;
        drop(q);
        let ours = QUEUES[for_cpu].queue.lock().min_vruntime;
        thread
            .sched
            .vruntime
            .store((v + ours).saturating_sub(theirs), Ordering::Relaxed);
    }
    Some(thread)
}

fn next_for(cpu_id: usize) -> Option<Arc<Thread>> {
    pop(cpu_id, cpu_id).or_else(|| {
        cpu::online()
            .filter(|&c| c != cpu_id)
            .find_map(|c| pop(c, cpu_id))
    })
}

/// Gives up the core; the caller is not runnable (parked or dead).
pub(super) fn park() {
    let me = current();
    account(me);
    me.sched.voluntary.fetch_add(1, Ordering::Relaxed);
    let here = arch::cpu_id();
    match next_for(here) {
        Some(next) if Arc::ptr_eq(&next, me) => me
            .sched
            .since
            .store(crate::time::monotonic_ns(), Ordering::Relaxed),
        Some(next) => switch_to(next),
        None => {
            if me.has_process() && me.process().watch_cpu.load(Ordering::Relaxed) {
                *QUEUES[here].watched.lock() = Some(me.process().clone());
            }
            switch_to_raw(QUEUES[here].idle_thread.load(Ordering::Relaxed))
        }
    }
}

/// Lets others run; the caller stays runnable.
pub fn yield_now() {
    let me = current();
    let here = arch::cpu_id();
    account(me);
    cpu::this().need_resched.store(false, Ordering::Relaxed);
    if let Some(next) = next_for(here) {
        me.sched.involuntary.fetch_add(1, Ordering::Relaxed);
        let rq = &QUEUES[here];
        {
            let mut q = rq.queue.lock();
            let v = me.sched.vruntime.load(Ordering::Relaxed);
            let at = q
                .waiting
                .partition_point(|t| t.sched.vruntime.load(Ordering::Relaxed) <= v);
            q.waiting.insert(at, me.clone());
            rq.len.store(q.waiting.len(), Ordering::SeqCst);
        }
        switch_to(next);
    }
}

/// Whether somebody who waits for this core has had less of it than the running thread.
fn owes_the_core() -> bool {
    let first = advance_clock(current());
    first.is_some_and(|first| first <= current().sched.vruntime.load(Ordering::Relaxed))
}

/// Books the running thread's time and lets the queue's clock follow: whoever comes later starts from there, not from where
/// the thread began. Returns the run time of the first in the queue.
fn advance_clock(me: &Thread) -> Option<u64> {
    account(me);
    let v = me.sched.vruntime.load(Ordering::Relaxed);
    let mut q = QUEUES[arch::cpu_id()].queue.lock();
    let first = q.waiting.front();
    let first = first.map(|t| t.sched.vruntime.load(Ordering::Relaxed));
    q.min_vruntime = q.min_vruntime.max(first.unwrap_or(v).min(v));
    first
}

/// At the end of an interrupt: replaces the running thread if its slice is over and others are owed more. The vector registers are the program's and
/// are kept here, since the interrupt saved only the general ones.
pub fn preempt_if_needed() {
    if cpu::this().need_resched.swap(false, Ordering::Relaxed) && owes_the_core() {
        with_fp_saved(yield_now);
    }
}

/// Between two pieces of a long call, with no lock held: takes the interrupts that have come meanwhile, and lets others run that are owed
/// the core. Whether the caller is dying, and is to leave its work as it is.
pub fn give_way() -> bool {
    arch::exceptions::take_interrupts();
    preempt_if_needed();
    current().is_dying()
}

/// Runs `f`, which may switch threads, on behalf of a program that was interrupted at any instruction.
pub fn with_fp_saved(f: impl FnOnce()) {
    let mut fp = frame::FpState::zeroed();
    // SAFETY: `fp` is a local of the right size; what is restored is what was saved.
    unsafe { frame::fp_save(&mut fp) };
    f();
    // SAFETY: as above.
    unsafe { frame::fp_restore(&fp) };
}

fn switch_to(next: Arc<Thread>) {
    // A reference on this stack would keep the other thread's memory for as long as this one sleeps.
    let raw = Arc::as_ptr(&next);
    drop(next);
    switch_to_raw(raw);
}

fn switch_to_raw(next: *const Thread) {
    let me: *const Thread = Arc::as_ptr(current());
    if core::ptr::eq(me, next) {
        return;
    }
    #[cfg(debug_assertions)]
    crate::base::lockdep::switch();
    let here = arch::cpu_id();
    // SAFETY: `next` is off every queue and kept alive by its own `me` reference; this core alone has it now.
    unsafe {
        while (*next).on_cpu.swap(true, Ordering::Acquire) {
            // It is parked but its old core has not finished saving it.
            while (*next).on_cpu.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        }
        (*next).sched.cpu.store(here, Ordering::Relaxed);
        let now = crate::time::monotonic_ns();
        (*next).sched.since.store(now, Ordering::Relaxed);
        if !(*me).has_process() && !QUEUES[here].ticking.load(Ordering::Relaxed) {
            start_ticking(&QUEUES[here], now);
        }
        cpu::this()
            .current
            .store(next as *mut Thread, Ordering::Relaxed);
        QUEUES[here]
            .previous
            .store(me as *mut Thread, Ordering::Relaxed);
        if (*next).has_process() {
            (*next).process().activate_space();
        } else {
            arch::mmu::deactivate();
        }
        frame::switch_context((*me).sp.get(), *(*next).sp.get());
    }
    finish_switch();
}

/// First thing on the new thread's stack: lets go of the old thread.
#[unsafe(no_mangle)]
extern "C" fn finish_switch() {
    let previous = QUEUES[arch::cpu_id()].previous.load(Ordering::Relaxed);
    // SAFETY: it was running here until a moment ago, so its `me` keeps it alive until it is taken below.
    unsafe {
        let dead = (*previous).is_dead();
        if dead {
            let me = (*(*previous).me.get()).take();
            let stack = (*(*previous).stack.get()).take();
            (*previous).on_cpu.store(false, Ordering::Release);
            drop(stack);
            drop(me);
        } else {
            (*previous).on_cpu.store(false, Ordering::Release);
        }
    }
}

/// Ends the running thread: it is switched out for good.
pub fn die() -> ! {
    current().mark_dead();
    park();
    unreachable!("a dead thread was scheduled");
}

/// Makes the calling context the idle thread of this core.
pub fn adopt_idle(idle: Arc<Thread>) {
    let here = arch::cpu_id();
    idle.on_cpu.store(true, Ordering::Relaxed);
    idle.sched.cpu.store(here, Ordering::Relaxed);
    let raw = Arc::as_ptr(&idle) as *mut Thread;
    // SAFETY: nobody else knows the thread yet.
    unsafe { *idle.me.get() = Some(idle.clone()) };
    QUEUES[here].idle_thread.store(raw, Ordering::Relaxed);
    cpu::this().current.store(raw, Ordering::Relaxed);
    cpu::this().online.store(true, Ordering::Release);
}

/// The idle thread: runs whatever turns up, sleeps in `wfi` otherwise.
pub fn idle_loop() -> ! {
    arch::exceptions::open_to_fiq();
    let here = arch::cpu_id();
    let rq = &QUEUES[here];
    loop {
        rq.idle.store(false, Ordering::SeqCst);
        if let Some(next) = next_for(here) {
            arm_slice_for_the_rest(rq);
            #[cfg(debug_assertions)]
            super::watchdog::work_begins();
            switch_to(next);
            continue;
        }
        rq.idle.store(true, Ordering::SeqCst);
        // Whoever enqueues after this sees `idle` and sends an interrupt, which ends the wfi although it is masked.
        if rq.len.load(Ordering::SeqCst) == 0 {
            {
                rq.queue.lock().slice_armed = false;
                crate::time::timer::set_slice(None);
            }
            #[cfg(debug_assertions)]
            super::watchdog::set_waiting(true);
            // SAFETY: idle holds no lock; interrupts are taken here and only here in the kernel.
            unsafe { core::arch::asm!("wfi", "msr daifclr, #2", "isb", "msr daifset, #2") };
            #[cfg(debug_assertions)]
            super::watchdog::set_waiting(false);
        }
    }
}

/// Brings a thread that runs a program on another core into the kernel, to look at its flags.
pub fn interrupt(thread: &Thread) {
    if thread.on_cpu.load(Ordering::SeqCst) {
        let cpu_id = thread.sched.cpu.load(Ordering::Relaxed);
        if cpu_id != arch::cpu_id() {
            gic::send_sgi(cpu_id, gic::SGI_RESCHEDULE);
        }
    }
}

/// Moves the running thread to a core that its affinity allows.
pub fn migrate() {
    let me = current();
    account(me);
    push_elsewhere(me.clone());
}

fn push_elsewhere(me: Arc<Thread>) {
    let here = arch::cpu_id();
    enqueue(me);
    // The other core waits until this one has let go of the registers.
    match next_for(here) {
        Some(next) => switch_to(next),
        None => switch_to_raw(QUEUES[here].idle_thread.load(Ordering::Relaxed)),
    }
}
