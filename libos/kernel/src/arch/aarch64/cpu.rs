//! Per-core data, found through TPIDR_EL1.

use crate::arch::MAX_CPUS;
use crate::process::Thread;
use aarch64_cpu::registers::{MPIDR_EL1, Readable, TPIDR_EL1, Writeable};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// Bytes of stack on which a kernel stack overflow is reported.
const EMERGENCY_STACK: usize = 8192;

/// The processor wants a stack pointer to be a multiple of 16.
#[repr(align(16))]
struct EmergencyStack(UnsafeCell<[u8; EMERGENCY_STACK]>);

/// What belongs to one core. The vectors know the first two fields.
#[repr(C, align(128))]
pub struct PerCpu {
    /// The running thread.
    pub current: AtomicPtr<Thread>,
    emergency_stack_top: AtomicUsize,
    pub id: AtomicUsize,
    /// MPIDR affinity, as PSCI and the GIC name the core.
    pub affinity: AtomicUsize,
    pub online: AtomicBool,
    /// The thread wants to be replaced at the next chance.
    pub need_resched: AtomicBool,
    /// An interrupt waited while a page fault was mended: the next one found the kernel, whatever its pc says.
    pub kernel_was_late: AtomicBool,
    emergency_stack: EmergencyStack,
}

// SAFETY: the only non-atomic field is a stack that just its own core uses.
unsafe impl Sync for PerCpu {}

impl PerCpu {
    const fn new() -> Self {
        PerCpu {
            current: AtomicPtr::new(core::ptr::null_mut()),
            emergency_stack_top: AtomicUsize::new(0),
            id: AtomicUsize::new(0),
            affinity: AtomicUsize::new(0),
            online: AtomicBool::new(false),
            need_resched: AtomicBool::new(false),
            kernel_was_late: AtomicBool::new(false),
            emergency_stack: EmergencyStack(UnsafeCell::new([0; EMERGENCY_STACK])),
        }
    }
}

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];

/// Makes the calling core number `id`.
pub fn init(id: usize) {
    let cpu = &CPUS[id];
    cpu.id.store(id, Ordering::Relaxed);
    cpu.emergency_stack_top.store(
        cpu.emergency_stack.0.get() as usize + EMERGENCY_STACK,
        Ordering::Relaxed,
    );
    let mpidr = MPIDR_EL1.get() as usize;
    cpu.affinity
        .store(mpidr & 0xff_00ff_ffff, Ordering::Relaxed);
    TPIDR_EL1.set(core::ptr::from_ref(cpu) as u64);
}

/// The running core's data.
#[inline(always)]
pub fn this() -> &'static PerCpu {
    let p: *const PerCpu;
    // SAFETY: `init` put a pointer to a static there before anything else ran on this core.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el1", out(reg) p, options(nomem, nostack, preserves_flags));
        &*p
    }
}

/// A core's data by number.
pub fn get(id: usize) -> &'static PerCpu {
    &CPUS[id]
}

/// The running core's number.
#[inline(always)]
pub fn cpu_id() -> usize {
    this().id.load(Ordering::Relaxed)
}

/// Numbers of the cores that run.
pub fn online() -> impl Iterator<Item = usize> {
    (0..MAX_CPUS).filter(|&i| CPUS[i].online.load(Ordering::Acquire))
}

/// How many cores run.
pub fn online_count() -> usize {
    online().count()
}
