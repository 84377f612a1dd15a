//! What the vectors call.

use super::frame::TrapFrame;
use super::{cpu, gic};
use crate::memory::{Access, Fault};
use crate::process::signal::info::code;
use crate::process::signal::{self, SigInfo};
use crate::process::{current, scheduler};
use aarch64_cpu::asm::barrier::{self, SY};
use aarch64_cpu::registers::{ESR_EL1, Readable, VBAR_EL1, Writeable};
use core::sync::atomic::Ordering;

/// Exception classes (ESR_EL1.EC, Arm ARM D19.2.37).
mod class {
    pub const ILLEGAL_STATE: u64 = 0x0e;
    pub const INSTRUCTION_LOWER: u64 = 0x20;
    pub const INSTRUCTION_SAME: u64 = 0x21;
    pub const PC_ALIGNMENT: u64 = 0x22;
    pub const DATA_LOWER: u64 = 0x24;
    pub const DATA_SAME: u64 = 0x25;
    pub const SP_ALIGNMENT: u64 = 0x26;
    pub const FP_EXCEPTION: u64 = 0x2c;
    pub const BRK: u64 = 0x3c;
    pub const SVC: u64 = 0x15;
}

/// First address of the kernel's half.
const KERNEL_HALF: u64 = 1 << 63;

fn access(esr: u64) -> Access {
    match esr >> 26 {
        class::INSTRUCTION_LOWER | class::INSTRUCTION_SAME => Access::Exec,
        // ESR.WnR; cache maintenance (CM) counts as a read.
        _ if esr & 1 << 6 != 0 && esr & 1 << 8 == 0 => Access::Write,
        _ => Access::Read,
    }
}

/// An exception that a program's own instruction caused.
#[unsafe(no_mangle)]
extern "C" fn on_program_sync(frame: &mut TrapFrame, esr: u64, far: u64) {
    open_to_fiq();
    let me = current();
    let info = match esr >> 26 {
        class::DATA_LOWER
        | class::DATA_SAME
        | class::INSTRUCTION_LOWER
        | class::INSTRUCTION_SAME => match fault(esr, far, WhenFull::Wait) {
            Ok(()) => {
                if interrupt_waits() {
                    cpu::this().kernel_was_late.store(true, Ordering::Relaxed);
                }
                return;
            }
            Err(info) => info,
        },
        class::BRK => SigInfo::fault(signal::SIGTRAP, code::TRAP_BRKPT, frame.pc as usize),
        class::PC_ALIGNMENT => SigInfo::fault(signal::SIGBUS, code::BUS_ADRALN, frame.pc as usize),
        class::SP_ALIGNMENT => SigInfo::fault(signal::SIGBUS, code::BUS_ADRALN, frame.sp as usize),
        class::FP_EXCEPTION => SigInfo::fault(signal::SIGFPE, code::FPE_FLTINV, frame.pc as usize),
        class::SVC => {
            // The trap door is not built; nothing enters by it.
            klog!(
                Warn,
                "{}: svc at {:#x}: the trap door is not built",
                me.tid(),
                frame.pc
            );
            SigInfo::fault(signal::SIGSYS, 1, frame.pc as usize)
        }
        class::ILLEGAL_STATE => SigInfo::fault(signal::SIGILL, code::ILL_ILLOPC, frame.pc as usize),
        _ => SigInfo::fault(signal::SIGILL, code::ILL_ILLOPC, frame.pc as usize),
    };
    signal::force(me, info);
}

/// Whether an interrupt came while they are masked (ISR_EL1.I).
pub fn interrupt_waits() -> bool {
    let pending: u64;
    // SAFETY: reading a status register.
    unsafe { core::arch::asm!("mrs {}, isr_el1", out(reg) pending, options(nomem, nostack)) };
    pending & 1 << 7 != 0
}

/// What an interrupt interrupts.
#[derive(Clone, Copy)]
pub enum Interrupted {
    /// A program at `pc`; `late` if the interrupt had been waiting for the kernel to mend a page fault.
    Program { pc: u64, late: bool },
    /// The idle loop. A long call that gives way asks instead ([`take_interrupts`]).
    Kernel,
}

/// What a fault does when there is no frame left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    /// Waits until somebody has died for it.
    Wait,
    /// The kernel was copying, perhaps with a lock held: somebody dies, but the copy fails.
    Fail,
}

/// Mends a fault on a program address, or says which signal it is.
#[expect(
    clippy::result_large_err,
    reason = "an error ends the program or runs a handler; its size does not matter"
)]
fn fault(esr: u64, far: u64, when_full: WhenFull) -> Result<(), SigInfo> {
    let address = far as usize;
    if far >= KERNEL_HALF {
        return Err(SigInfo::fault(signal::SIGSEGV, code::SEGV_MAPERR, address));
    }
    // Fault status codes: 1 in the low bits of the first two groups is alignment (0x21).
    if esr & 0x3f == 0x21 {
        return Err(SigInfo::fault(signal::SIGBUS, code::BUS_ADRALN, address));
    }
    let me = current();
    let space = me.process().space();
    loop {
        let mended = {
            #[cfg(debug_assertions)]
            let _in_fault = crate::base::lockdep::enter_fault();
            space.handle_fault(address, access(esr))
        };
        return match mended {
            Ok(()) => {
                me.count_fault();
                Ok(())
            }
            Err(Fault::MapErr) => Err(SigInfo::fault(signal::SIGSEGV, code::SEGV_MAPERR, address)),
            Err(Fault::AccErr) => Err(SigInfo::fault(signal::SIGSEGV, code::SEGV_ACCERR, address)),
            Err(Fault::Bus) => Err(SigInfo::fault(signal::SIGBUS, code::BUS_ADRERR, address)),
            Err(Fault::OutOfMemory)
                if when_full == WhenFull::Wait && crate::process::oom::make_room() =>
            {
                continue;
            }
            Err(Fault::OutOfMemory) if when_full == WhenFull::Fail => {
                crate::process::oom::kill_largest();
                Err(SigInfo::fault(signal::SIGBUS, code::BUS_ADRERR, address))
            }
            Err(Fault::OutOfMemory) => Err(SigInfo::kernel(signal::SIGKILL)),
        };
    }
}

unsafe extern "C" {
    static copy_user_start: u8;
    static copy_user_end: u8;
    static copy_user_fault: u8;
}

/// An exception in the kernel: mended when it is one of the copy routines touching program memory, fatal otherwise.
#[unsafe(no_mangle)]
extern "C" fn on_kernel_sync(frame: &mut TrapFrame, esr: u64, far: u64) {
    open_to_fiq();
    let pc = frame.pc as usize;
    let in_copy =
        (&raw const copy_user_start as usize..&raw const copy_user_end as usize).contains(&pc);
    if in_copy && far < KERNEL_HALF && matches!(esr >> 26, class::DATA_SAME) {
        if fault(esr, far, WhenFull::Fail).is_err() {
            frame.pc = &raw const copy_user_fault as u64;
        }
        return;
    }
    crate::panic::fatal_exception("exception in the kernel", frame, esr, far);
}

#[unsafe(no_mangle)]
extern "C" fn on_stack_overflow(frame: &mut TrapFrame, esr: u64, far: u64) {
    crate::panic::fatal_exception("kernel stack overflow", frame, esr, far);
}

#[unsafe(no_mangle)]
extern "C" fn on_unexpected(frame: &mut TrapFrame, kind: u64) {
    if kind == 1 && gic::has_nmi() {
        // The only FIQ there is: a panicking core asks what this one is doing, whether or not it takes interrupts.
        crate::panic::answer(frame);
    }
    let what = match kind {
        1 => "unexpected FIQ",
        2 => "SError",
        _ => "exception from AArch32",
    };
    crate::panic::fatal_exception(what, frame, ESR_EL1.get(), 0);
}

/// Lets the last question through: see [`gic::SGI_REPORT`]. Exceptions mask FIQs on entry.
#[inline(always)]
pub fn open_to_fiq() {
    if cfg!(debug_assertions) {
        // SAFETY: the handler never returns, so what it interrupts does not matter.
        unsafe { core::arch::asm!("msr daifclr, #1", options(nomem, nostack)) };
    }
}

fn dispatch_interrupts(found: Interrupted) {
    while let Some(irq) = gic::acknowledge() {
        crate::process::scheduler::count_interrupt();
        match irq & 0x3ff {
            gic::TIMER_IRQ => crate::time::timer::on_interrupt(found),
            // What it is for comes after the interrupt.
            gic::SGI_RESCHEDULE => {}
            gic::SGI_STOP => {
                gic::end(irq);
                crate::panic::stop_here();
            }
            gic::SGI_BARRIER => super::barrier::answer(),
            #[cfg(debug_assertions)]
            gic::SGI_WATCH => crate::process::watchdog::watch(),
            n if crate::drivers::uart::irq() == Some(n) => crate::drivers::uart::handle_irq(),
            n => {
                klog!(Warn, "interrupt {} has no driver; switched off", n);
                gic::disable(n);
            }
        }
        gic::end(irq);
    }
}

/// Handles what waits for the kernel to unmask interrupts, for a call that takes long. No lock is held.
pub fn take_interrupts() {
    if interrupt_waits() {
        // Time counts as the kernel's, whatever the program counter.
        dispatch_interrupts(Interrupted::Program { pc: 0, late: true });
    }
}

/// An interrupt while a program ran.
#[unsafe(no_mangle)]
extern "C" fn on_program_irq(frame: &mut TrapFrame) {
    open_to_fiq();
    let late = cpu::this().kernel_was_late.swap(false, Ordering::Relaxed);
    dispatch_interrupts(Interrupted::Program { pc: frame.pc, late });
    scheduler::preempt_if_needed();
}

/// An interrupt where the kernel takes them: in the idle loop.
#[unsafe(no_mangle)]
extern "C" fn on_kernel_irq(_frame: &mut TrapFrame) {
    #[cfg(debug_assertions)]
    crate::process::watchdog::set_waiting(false);
    open_to_fiq();
    dispatch_interrupts(Interrupted::Kernel);
}

/// Points the calling core at the vectors.
pub fn init() {
    unsafe extern "C" {
        static exception_vectors: u8;
    }
    VBAR_EL1.set(&raw const exception_vectors as u64);
    barrier::isb(SY);
}
