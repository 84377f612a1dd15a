//! Arm's Generic Interrupt Controller, versions 2 (IHI 0048) and 3 (IHI 0069), as far as SPIs, PPIs and SGIs to one core go.

use crate::arch::MAX_CPUS;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The virtual timer's private interrupt.
pub const TIMER_IRQ: u32 = 27;
/// Software interrupt: look at the run queue.
pub const SGI_RESCHEDULE: u32 = 1;
/// Software interrupt: report and stop (another core panics).
pub const SGI_STOP: u32 = 2;
/// Software interrupt, delivered as FIQ where the controller lets the kernel do so: say what the core is doing, and stop. The kernel
/// masks IRQs, not FIQs, so this also reaches a core that hangs in it.
pub const SGI_REPORT: u32 = 3;
/// Software interrupt: watch the other cores.
pub const SGI_WATCH: u32 = 4;
/// Software interrupt: a memory barrier ([`super::barrier`]).
pub const SGI_BARRIER: u32 = 5;
/// Interrupt numbers from here on mean "none".
const SPURIOUS: u32 = 1020;

static DISTRIBUTOR: AtomicUsize = AtomicUsize::new(0);
/// Version 2: the CPU interface; version 3: the first redistributor frame.
static SECOND: AtomicUsize = AtomicUsize::new(0);
static VERSION: AtomicUsize = AtomicUsize::new(0);
/// Version 2: each core's bit in lists of targets. The controller's order need not be that in which the cores were started.
static TARGETS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

const CTLR: usize = 0x000;
const ISENABLER: usize = 0x100;
const ICENABLER: usize = 0x180;
const IPRIORITYR: usize = 0x400;
const ITARGETSR: usize = 0x800;
const IGROUPR: usize = 0x080;
const SGIR: usize = 0xf00;
const IROUTER: usize = 0x6000;

/// Whether [`SGI_REPORT`] comes as FIQ.
static HAS_NMI: AtomicBool = AtomicBool::new(false);

/// Whether [`SGI_REPORT`] reaches a core that masks interrupts.
pub fn has_nmi() -> bool {
    HAS_NMI.load(Ordering::Relaxed)
}

fn read(base: usize, offset: usize) -> u32 {
    // SAFETY: `base` is a mapped register block of the GIC.
    unsafe { ((base + offset) as *const u32).read_volatile() }
}

fn write(base: usize, offset: usize, value: u32) {
    // SAFETY: `base` is a mapped register block of the GIC.
    unsafe { ((base + offset) as *mut u32).write_volatile(value) }
}

fn distributor() -> usize {
    DISTRIBUTOR.load(Ordering::Relaxed)
}

fn v3() -> bool {
    VERSION.load(Ordering::Relaxed) == 3
}

/// Takes the controller's mapped registers and switches the distributor on (once, boot core).
pub fn init(version: usize, distributor: usize, second: usize) {
    VERSION.store(version, Ordering::Relaxed);
    DISTRIBUTOR.store(distributor, Ordering::Relaxed);
    SECOND.store(second, Ordering::Relaxed);
    if version == 3 {
        // Affinity routing and group 1; group 0 too, which is signalled as FIQ, if there is no second security state that owns it.
        let alone = read(distributor, CTLR) & 0x40 != 0;
        HAS_NMI.store(alone, Ordering::Relaxed);
        write(distributor, CTLR, if alone { 0x13 } else { 0x12 });
    } else {
        // Without a second security state the groups are ours to set, and read back.
        write(distributor, IGROUPR, !(1 << SGI_REPORT));
        let ours = read(distributor, IGROUPR) == !(1 << SGI_REPORT);
        HAS_NMI.store(ours, Ordering::Relaxed);
        write(distributor, CTLR, if ours { 3 } else { 1 });
    }
    init_cpu();
}

/// Switches the calling core's interface on.
pub fn init_cpu() {
    if v3() {
        let redistributor = find_redistributor();
        // Wake it (GICR_WAKER.ProcessorSleep) and wait until it is.
        write(redistributor, 0x14, read(redistributor, 0x14) & !2);
        while read(redistributor, 0x14) & 4 != 0 {
            core::hint::spin_loop();
        }
        let sgi = redistributor + 0x10000;
        write(
            sgi,
            IGROUPR,
            if has_nmi() { !(1 << SGI_REPORT) } else { !0 },
        );
        for i in 0..8 {
            write(sgi, IPRIORITYR + 4 * i, 0xa0a0_a0a0);
        }
        write(sgi, ISENABLER, 1 << TIMER_IRQ | 0xffff);
        // SAFETY: the CPU interface's system registers: SRE, priority mask, group 1 on.
        unsafe {
            core::arch::asm!("msr S3_0_C12_C12_5, {}", "isb", in(reg) 7u64);
            core::arch::asm!("msr S3_0_C4_C6_0, {}", in(reg) 0xffu64);
            core::arch::asm!("msr S3_0_C12_C12_7, {}", "isb", in(reg) 1u64);
        }
        if has_nmi() {
            // The report goes before whatever the core is handling.
            write(sgi, IPRIORITYR, 0x00a0_a0a0);
            // SAFETY: ICC_IGRPEN0_EL1: group 0 on; there is no other security state that it belongs to.
            unsafe { core::arch::asm!("msr S3_0_C12_C12_6, {}", "isb", in(reg) 1u64) };
        }
    } else {
        let d = distributor();
        // Of private interrupts each core reads its own bit. The controller of a single core has no lists and says 0.
        let target = (read(d, ITARGETSR) as usize & 0xff).max(1);
        TARGETS[super::cpu_id()].store(target, Ordering::Relaxed);
        for i in 0..8 {
            write(d, IPRIORITYR + 4 * i, 0xa0a0_a0a0);
        }
        if has_nmi() {
            write(d, IGROUPR, !(1 << SGI_REPORT));
            // The report goes before whatever the core is handling.
            write(d, IPRIORITYR, 0x00a0_a0a0);
        }
        write(d, ISENABLER, 1 << TIMER_IRQ | 0xffff);
        let cpu = SECOND.load(Ordering::Relaxed);
        write(cpu, 0x4, 0xff);
        // Both groups, group 0 as FIQ, one acknowledge register for both.
        write(cpu, 0x0, if has_nmi() { 0xf } else { 1 });
    }
}

fn find_redistributor() -> usize {
    let me = super::cpu::this().affinity.load(Ordering::Relaxed) as u64;
    let affinity = (me & 0xff_ffff) | (me >> 32 & 0xff) << 24;
    let mut frame = SECOND.load(Ordering::Relaxed);
    loop {
        let typer = read(frame, 8) as u64 | (read(frame, 12) as u64) << 32;
        // The last frame of the series says so (bit 4).
        if typer >> 32 == affinity || typer & 0x10 != 0 {
            return frame;
        }
        frame += if typer & 2 != 0 { 0x40000 } else { 0x20000 };
    }
}

/// Routes shared interrupt `irq` to the calling core and enables it.
pub fn enable(irq: u32) {
    let d = distributor();
    let (word, bit) = ((irq / 32) as usize * 4, 1 << (irq % 32));
    let byte = (d + IPRIORITYR + irq as usize) as *mut u8;
    // SAFETY: a byte register of the distributor.
    unsafe { byte.write_volatile(0xa0) };
    if v3() {
        write(d, IGROUPR + word, read(d, IGROUPR + word) | bit);
        write(
            d,
            IROUTER + irq as usize * 8,
            super::cpu::this().affinity.load(Ordering::Relaxed) as u32,
        );
    } else {
        if has_nmi() {
            write(d, IGROUPR + word, read(d, IGROUPR + word) | bit);
        }
        let target = TARGETS[super::cpu_id()].load(Ordering::Relaxed) as u8;
        // SAFETY: as above.
        unsafe { ((d + ITARGETSR + irq as usize) as *mut u8).write_volatile(target) };
    }
    write(d, ISENABLER + word, bit);
}

/// Disables shared interrupt `irq`.
pub fn disable(irq: u32) {
    write(
        distributor(),
        ICENABLER + (irq / 32) as usize * 4,
        1 << (irq % 32),
    );
}

/// The highest-priority pending interrupt, taken; `None` when there is none (any more).
pub fn acknowledge() -> Option<u32> {
    let irq = if v3() {
        let n: u64;
        // SAFETY: ICC_IAR1_EL1.
        unsafe { core::arch::asm!("mrs {}, S3_0_C12_C12_0", "dsb sy", out(reg) n) };
        n as u32
    } else {
        read(SECOND.load(Ordering::Relaxed), 0xc)
    };
    (irq & 0x3ff < SPURIOUS).then_some(irq)
}

/// Says that the interrupt `acknowledge` returned is dealt with.
pub fn end(irq: u32) {
    if v3() {
        // SAFETY: ICC_EOIR1_EL1.
        unsafe { core::arch::asm!("msr S3_0_C12_C12_1, {}", in(reg) irq as u64) };
    } else {
        write(SECOND.load(Ordering::Relaxed), 0x10, irq);
    }
}

/// Sends software interrupt `sgi` to core `cpu`.
pub fn send_sgi(cpu: usize, sgi: u32) {
    // SAFETY: orders earlier stores before the interrupt.
    unsafe { core::arch::asm!("dsb ishst") };
    if v3() {
        let mpidr = super::cpu::get(cpu).affinity.load(Ordering::Relaxed) as u64;
        let value = (mpidr >> 32 & 0xff) << 48
            | (mpidr >> 16 & 0xff) << 32
            | (sgi as u64) << 24
            | (mpidr >> 8 & 0xff) << 16
            | 1 << (mpidr & 0xf);
        if has_nmi() && sgi == SGI_REPORT {
            // SAFETY: ICC_SGI0R_EL1.
            unsafe { core::arch::asm!("msr S3_0_C12_C11_7, {}", "isb", in(reg) value) };
        } else {
            // SAFETY: ICC_SGI1R_EL1.
            unsafe { core::arch::asm!("msr S3_0_C12_C11_5, {}", "isb", in(reg) value) };
        }
    } else {
        // NSATT says which group the interrupt is in, where there are groups.
        let group_1 = u32::from(has_nmi() && sgi != SGI_REPORT) << 15;
        let target = TARGETS[cpu].load(Ordering::Relaxed) as u32;
        write(distributor(), SGIR, target << 16 | group_1 | sgi);
    }
}
