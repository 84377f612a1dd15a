//! Who runs next.
//!
//! Each core has a queue ordered by weighted run time: the thread that has had least of the processor, measured by its nice
//! weight, goes first. A core whose queue is empty takes half a turn at the others' before it idles. While a core is busy it ticks;
//! a tick that finds somebody waiting who has had less than the running thread puts that in its place.

use super::accounting::{TICK, found_in_kernel};
use super::core_times::{self, CoreTimes};
use super::run_queue::RunQueue;
use super::thread::{Thread, flag};
use super::{Process, current, load};
use crate::arch::{self, Interrupted, MAX_CPUS, cpu, frame, gic, mmu};
use crate::base::SpinLock;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// A sleeper comes back at most this far (ns) ahead of the others.
const SLEEPER_BONUS: u64 = 6_000_000;
/// One that comes from elsewhere starts at most this far (ns) behind them.
const LATECOMER_MALUS: u64 = 24_000_000;
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
    waiting: RunQueue,
    /// No thread of this core is behind this.
    min_vruntime: u64,
}

/// What the scheduler keeps of a core.
struct Core {
    /// Taken with a wait queue's lock held, among others. The lists of kernel stacks and the timers' locks come later.
    queue: SpinLock<Queue>,
    /// How many wait, readable without the lock.
    len: AtomicUsize,
    idle: AtomicBool,
    idle_thread: AtomicPtr<Thread>,
    /// The thread that was switched out last, for `finish_switch`.
    previous: AtomicPtr<Thread>,
    /// A tick is to come.
    ticking: AtomicBool,
    times: CoreTimes,
    /// The process that ran last and has timers of processor time, for a tick that finds the core idle. Leaf.
    watched: SpinLock<Option<Arc<Process>>>,
}

static CORES: [Core; MAX_CPUS] = [const {
    Core {
        queue: SpinLock::new(Queue {
            waiting: RunQueue::new(),
            min_vruntime: 0,
        }),
        len: AtomicUsize::new(0),
        idle: AtomicBool::new(false),
        idle_thread: AtomicPtr::new(core::ptr::null_mut()),
        previous: AtomicPtr::new(core::ptr::null_mut()),
        ticking: AtomicBool::new(false),
        times: CoreTimes::new(),
        watched: SpinLock::new(None),
    }
}; MAX_CPUS];

impl Core {
    fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) && self.len.load(Ordering::SeqCst) == 0
    }
}

fn here() -> &'static Core {
    &CORES[arch::cpu_id()]
}

fn vruntime(thread: &Thread) -> u64 {
    thread.sched.vruntime.load(Ordering::Relaxed)
}

/// How many threads wait for a core.
pub fn waiting() -> usize {
    CORES.iter().map(|c| c.len.load(Ordering::Relaxed)).sum()
}

/// How many threads run or wait for a core.
pub fn runnable() -> usize {
    let busy = |&c: &usize| !CORES[c].idle.load(Ordering::Relaxed);
    waiting() + cpu::online().filter(busy).count()
}

/// What core `c` has done up to `now`.
pub fn core_times(c: usize, now: u64) -> core_times::Report {
    CORES[c].times.report(now)
}

/// An interrupt has come to this core.
pub fn count_interrupt() {
    here().times.interrupted();
}

fn may_run_on(thread: &Thread, core: usize) -> bool {
    thread.sched.affinity.load(Ordering::SeqCst) & (1 << core) != 0
}

fn idle_core_for(thread: &Thread) -> Option<usize> {
    cpu::online().find(|&c| may_run_on(thread, c) && CORES[c].is_idle())
}

/// How many wait for core `c`.
fn len(c: usize) -> usize {
    CORES[c].len.load(Ordering::Relaxed)
}

/// A core that the thread had better wait for than for one with so many in the queue: one that idles, or one with a shorter queue. What
/// it has in its caches is worth a place there.
#[inline(never)]
fn better_core_for(thread: &Thread, queued: usize) -> Option<usize> {
    let shortest = || {
        let allowed = cpu::online().filter(|&c| may_run_on(thread, c));
        let shortest = allowed.min_by_key(|&c| len(c));
        shortest.filter(|&c| len(c) + 2 <= queued)
    };
    idle_core_for(thread).or_else(shortest)
}

/// Puts a runnable thread on the queue of the best core for it.
pub fn enqueue(thread: Arc<Thread>) {
    let last = thread.sched.cpu.load(Ordering::Relaxed);
    let stays = may_run_on(&thread, last) && cpu::get(last).online.load(Ordering::Relaxed);
    let target = if stays && (CORES[last].is_idle() || cpu::online_count() == 1) {
        last
    } else if stays {
        better_core_for(&thread, len(last)).unwrap_or(last)
    } else {
        better_core_for(&thread, usize::MAX).unwrap_or(arch::cpu_id())
    };
    // Time asleep is not owed back in full, and a queue's clock is not another's.
    let owed = push(target, thread, |v, clock| {
        v.max(clock.saturating_sub(SLEEPER_BONUS))
            .min(clock + LATECOMER_MALUS)
    });
    if owed && (target != arch::cpu_id() || current().has_process()) {
        cpu::get(target).need_resched.store(true, Ordering::Relaxed);
        gic::send_sgi(target, gic::SGI_RESCHEDULE);
    }
}

/// Queues a thread at a core, and wakes that if it is idle. `place` turns the thread's run time into one of that queue, whose clock
/// it is given. Whether the thread should have the core at once.
fn push(target: usize, thread: Arc<Thread>, place: impl FnOnce(u64, u64) -> u64) -> bool {
    let core = &CORES[target];
    let mut q = core.queue.lock();
    let v = place(vruntime(&thread), q.min_vruntime);
    thread.sched.vruntime.store(v, Ordering::Relaxed);
    thread.sched.queued.store(target + 1, Ordering::Relaxed);
    q.waiting.insert(thread);
    core.len.store(q.waiting.len(), Ordering::SeqCst);
    if !core.idle.load(Ordering::SeqCst) {
        return v + PREEMPTION_GAP < q.min_vruntime;
    }
    drop(q);
    // What the idle loop of this core does next is look at the queue.
    if target != arch::cpu_id() {
        gic::send_sgi(target, gic::SGI_RESCHEDULE);
    }
    false
}

/// Makes a new thread runnable. It has had as much of the processor as the one that made it.
pub fn start(thread: Arc<Thread>) {
    let me = current();
    if me.has_process() {
        account(me);
        thread.sched.vruntime.store(vruntime(me), Ordering::Relaxed);
    }
    enqueue(thread);
}

/// A child that has used `ns` of processor time has ended. A short-lived one has had it at its parent's place in the queue, so the
/// parent pays: else whoever works through children would be ahead of whoever works himself.
pub fn charge(parent: &Process, ns: u64) {
    if let Some(t) = parent.threads.lock().front() {
        t.sched.debt.fetch_add(ns.min(TICK), Ordering::Relaxed);
    }
}

/// A core's TLB is flushed at each tick of a thread whose number, counted from the thread's start, is a power of two or a multiple of
/// this.
///
/// Hardware does not mind: that is one refill in a quarter of a second, and a few more in a thread's first. QEMU needs it: it fits the
/// size of its TLB to what is used, but only when it flushes, so that a program that has its cores to itself stays at 256 entries and
/// spends four fifths of its time in misses (`tlb_mmu_resize_locked` in QEMU's accel/tcg/cputlb.c). A `sort` of 3 million lines takes
/// 0.6 of the time.
const TICKS_PER_FLUSH: u64 = 64;

/// A busy core's tick: counts for whatever it found, ends its slice if others are owed more, and looks at the timers of processor
/// time. An idle core has no next one.
pub fn tick(found: Interrupted) {
    let core = here();
    let me = current();
    let in_kernel = match found {
        Interrupted::Program { pc, late } => late || found_in_kernel(pc),
        Interrupted::Kernel => true,
    };
    let watched = match me.has_process() {
        true => {
            core.times
                .tick(in_kernel, me.sched.nice.load(Ordering::Relaxed));
            load::sample(crate::time::monotonic_ns(), runnable);
            let counted = me.sched.ticks.count(in_kernel);
            if counted.is_power_of_two() || counted.is_multiple_of(TICKS_PER_FLUSH) {
                mmu::flush_this_core();
            }
            if owes_the_core() {
                cpu::this().need_resched.store(true, Ordering::Relaxed);
            }
            let process = me.process();
            process
                .watch_cpu
                .load(Ordering::Relaxed)
                .then(|| process.clone())
        }
        false => {
            core.ticking.store(false, Ordering::Relaxed);
            core.watched.lock().take()
        }
    };
    if let Some(process) = watched {
        super::timers::check_processor_time(&process);
    }
    if me.has_process() {
        // However long that took, programs have the core until then.
        crate::time::timer::set_tick(crate::time::monotonic_ns() + TICK);
    }
}

/// The core has something to do again.
#[cold]
fn start_ticking(core: &Core, now: u64) {
    core.ticking.store(true, Ordering::Relaxed);
    crate::time::timer::set_tick(now + TICK);
}

/// Books the running thread's time.
fn account(thread: &Thread) {
    let sched = &thread.sched;
    let ran = sched.clock.advance();
    let mut v = vruntime(thread)
        + match sched.nice.load(Ordering::Relaxed) {
            0 => ran,
            nice => ran * 1024 / weight(nice),
        };
    if sched.debt.load(Ordering::Relaxed) != 0 {
        v += sched.debt.swap(0, Ordering::Relaxed).min(LATECOMER_MALUS);
    }
    sched.vruntime.store(v, Ordering::Relaxed);
}

/// Takes the next thread off the queue of core `from` that core `to` may run now.
fn pop(from: usize, to: usize) -> Option<Arc<Thread>> {
    let core = &CORES[from];
    if core.len.load(Ordering::SeqCst) == 0 {
        return None;
    }
    let mut q = core.queue.lock();
    let thread = if from == to {
        // One that is on its way here may still be on its old core. To wait for it would be a deadlock if that core waits
        // for ours to let go of another.
        let here = cpu::this().current.load(Ordering::Relaxed).cast_const();
        let ready = |t: &Thread| !t.on_cpu.load(Ordering::Relaxed) || core::ptr::eq(t, here);
        q.waiting.take(false, ready)
    } else {
        // Steal from the far end, and only what may run here and has left its core.
        let may = |t: &Thread| may_run_on(t, to) && !t.on_cpu.load(Ordering::Relaxed);
        q.waiting.take(true, may)
    }?;
    thread.sched.queued.store(0, Ordering::Relaxed);
    core.len.store(q.waiting.len(), Ordering::SeqCst);
    let v = vruntime(&thread);
    let clock = q.min_vruntime;
    if from == to {
        q.min_vruntime = clock.max(v);
    } else {
        drop(q);
        let ours = CORES[to].queue.lock().min_vruntime;
        let v = moved(v, clock, ours);
        thread.sched.vruntime.store(v, Ordering::Relaxed);
    }
    Some(thread)
}

/// The run time of a thread that keeps its lead or lag when it changes queues.
fn moved(v: u64, clock: u64, other: u64) -> u64 {
    (v + other).saturating_sub(clock)
}

fn next_for(core: usize) -> Option<Arc<Thread>> {
    while let Some(thread) = pop(core, core) {
        if may_run_on(&thread, core) {
            return Some(thread);
        }
        // It was not any more when it was put here.
        enqueue(thread);
    }
    cpu::online()
        .filter(|&c| c != core)
        .find_map(|c| pop(c, core))
}

/// Gives up the core, unless the running thread has been woken since it prepared to sleep.
pub(super) fn park() {
    let me = current();
    // Before: once it is parked it may be queued already, by its run time.
    account(me);
    if me.try_to_park() {
        leave(me);
    }
}

/// Gives up the core; the caller is not runnable (parked or dead), unless it has been woken since.
#[inline(always)]
fn leave(me: &Arc<Thread>) {
    me.sched.voluntary.fetch_add(1, Ordering::Relaxed);
    match next_for(arch::cpu_id()) {
        // Woken meanwhile.
        Some(next) if Arc::ptr_eq(&next, me) => {}
        Some(next) => switch_to(next),
        None => {
            if me.has_process() && me.process().watch_cpu.load(Ordering::Relaxed) {
                *here().watched.lock() = Some(me.process().clone());
            }
            switch_to_raw(here().idle_thread.load(Ordering::Relaxed))
        }
    }
}

/// Lets others run; the caller stays runnable.
pub fn yield_now() {
    let me = current();
    let core = arch::cpu_id();
    cpu::this().need_resched.store(false, Ordering::Relaxed);
    if let Some(next) = next_for(core) {
        account(me);
        me.sched.involuntary.fetch_add(1, Ordering::Relaxed);
        let clock = here().queue.lock().min_vruntime;
        match better_core_for(me, len(core) + 1) {
            // That one passes it over until this core has let go of it.
            Some(other) => push(other, me.clone(), |v, other| moved(v, clock, other)),
            None => push(core, me.clone(), |v, _| v),
        };
        switch_to(next);
    }
}

/// Whether somebody who waits for this core has had less of it than the running thread. Books that one's time and lets the queue's
/// clock follow: whoever comes later starts from there, not from where the thread began.
fn owes_the_core() -> bool {
    let me = current();
    account(me);
    let v = vruntime(me);
    let mut q = here().queue.lock();
    let first = q.waiting.first().map(vruntime);
    q.min_vruntime = q.min_vruntime.max(first.unwrap_or(v).min(v));
    first.is_some_and(|first| first <= v)
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
    crate::base::sync::may_sleep();
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
    let cpu_id = arch::cpu_id();
    let core = &CORES[cpu_id];
    // SAFETY: `next` is off every queue and kept alive by its own `me` reference; this core alone has it now. It has left its
    // last core (`pop`), whose stores come before what is read of it here.
    unsafe {
        let still_on_a_core = (*next).on_cpu.swap(true, Ordering::Acquire);
        debug_assert!(!still_on_a_core);
        (*next).sched.cpu.store(cpu_id, Ordering::Relaxed);
        // Whoever sets a flag and does not find the thread here yet, to interrupt it, has set it before it is read on the way out.
        fence(Ordering::SeqCst);
        let now = (*me).sched.clock.stop();
        (*next).sched.clock.start(now);
        if !(*me).has_process() && !core.ticking.load(Ordering::Relaxed) {
            start_ticking(core, now);
        }
        cpu::this()
            .current
            .store(next as *mut Thread, Ordering::Relaxed);
        core.previous.store(me as *mut Thread, Ordering::Relaxed);
        core.times.switched();
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
    let previous = here().previous.load(Ordering::Relaxed);
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
    let me = current();
    me.mark_dead();
    leave(me);
    unreachable!("a dead thread was scheduled");
}

/// Makes the calling context the idle thread of this core.
pub fn adopt_idle(idle: Arc<Thread>) {
    idle.on_cpu.store(true, Ordering::Relaxed);
    idle.sched.cpu.store(arch::cpu_id(), Ordering::Relaxed);
    let raw = Arc::as_ptr(&idle) as *mut Thread;
    // SAFETY: nobody else knows the thread yet.
    unsafe { *idle.me.get() = Some(idle.clone()) };
    here().idle_thread.store(raw, Ordering::Relaxed);
    cpu::this().current.store(raw, Ordering::Relaxed);
    cpu::this().online.store(true, Ordering::Release);
}

/// The idle thread: runs whatever turns up, sleeps in `wfi` otherwise.
pub fn idle_loop() -> ! {
    arch::exceptions::open_to_fiq();
    let core = here();
    loop {
        core.idle.store(false, Ordering::SeqCst);
        if let Some(next) = next_for(arch::cpu_id()) {
            #[cfg(debug_assertions)]
            super::watchdog::work_begins();
            switch_to(next);
            continue;
        }
        core.idle.store(true, Ordering::SeqCst);
        // Whoever enqueues after this sees `idle` and sends an interrupt, which ends the wfi although it is masked.
        if core.len.load(Ordering::SeqCst) == 0 {
            #[cfg(debug_assertions)]
            super::watchdog::set_waiting(true);
            core.times.idle_begins(crate::time::monotonic_ns());
            // SAFETY: idle holds no lock.
            unsafe { core::arch::asm!("wfi") };
            core.times.idle_ends(crate::time::monotonic_ns());
            // SAFETY: as above; interrupts are taken here and only here in the kernel.
            unsafe { core::arch::asm!("msr daifclr, #2", "isb", "msr daifset, #2") };
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

/// The affinity of `thread`, which is not the running one, has changed: it leaves a core that it may not be on, and hears of one
/// that waits for work.
pub fn affinity_changed(thread: &Thread) {
    let queued = thread.sched.queued.load(Ordering::Relaxed);
    if queued != 0 {
        let core = &CORES[queued - 1];
        let mut q = core.queue.lock();
        if thread.sched.queued.load(Ordering::Relaxed) == queued {
            thread.sched.queued.store(0, Ordering::Relaxed);
            // SAFETY: it is on that core's queue, whose lock is held.
            let thread = unsafe { q.waiting.remove(thread) };
            core.len.store(q.waiting.len(), Ordering::SeqCst);
            drop(q);
            return enqueue(thread);
        }
    }
    // It runs, sleeps, or is on its way from a queue to a core.
    thread.set_flag(flag::AFFINITY);
    interrupt(thread);
}

/// Moves the running thread, whose affinity has been changed, if it may not be here any more. The vector registers may be a program's.
pub fn follow_affinity() {
    let me = current();
    me.clear_flag(flag::AFFINITY);
    if !may_run_on(me, arch::cpu_id()) {
        with_fp_saved(migrate);
    }
}

/// Moves the running thread to a core that its affinity allows.
pub fn migrate() {
    let me = current();
    account(me);
    enqueue(me.clone());
    // The other core waits until this one has let go of the registers.
    match next_for(arch::cpu_id()) {
        Some(next) => switch_to(next),
        None => switch_to_raw(here().idle_thread.load(Ordering::Relaxed)),
    }
}
