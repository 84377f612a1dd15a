//! The frame a handler runs on: `struct rt_sigframe` of Linux/arm64 (`siginfo_t`, then `ucontext_t` with the general
//! registers and an `fpsimd_context`).

use super::action::{SA_ONSTACK, SigAction};
use super::pending::AltStack;
use super::{SigInfo, SigSet};
use crate::arch::frame::{FpState, PSTATE_LINKED, TrapFrame, fp_restore, fp_save};
use crate::base::{Errno, Result};
use crate::process::thread::{Thread, current, flag};
use crate::user::{Plain, UserPtr, copy_in};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem::MaybeUninit;

const FPSIMD_MAGIC: u32 = 0x4650_8001;
const SS_ONSTACK: i32 = 1;
const SS_DISABLE: i32 = 2;
const SS_AUTODISARM: i32 = i32::MIN;
const MINSIGSTKSZ: usize = 5120;
/// Bytes of `__reserved` in `struct sigcontext`; only the first are used, but the structure has its full size.
const RESERVED: usize = 4096;

/// What comes before the vector registers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    info: SigInfo,
    uc_flags: u64,
    uc_link: u64,
    stack: StackT,
    mask: SigSet,
    unused: [u64; 15],
    pad: u64,
    fault_address: u64,
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    pad2: u64,
    fp_magic: u32,
    fp_size: u32,
    fpsr: u32,
    fpcr: u32,
}

// SAFETY: integers; the layout has no padding.
unsafe impl Plain for Head {}

/// The vector registers, q0 to q31, as pairs of words.
type Vectors = [u64; 64];
/// Bytes of the `fpsimd_context`.
const FPSIMD_SIZE: u32 = 16 + size_of::<Vectors>() as u32;
const _: () = assert!(core::mem::offset_of!(Head, fault_address) == 128 + 176);
const _: () = assert!(core::mem::offset_of!(Head, fp_magic) == 128 + 176 + 288);

/// Where the frame's record for debuggers and the whole frame end.
const FRAME_SIZE: usize = 128 + 176 + 288 + RESERVED;

/// `stack_t` as a program passes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackT {
    pub base: usize,
    pub flags: i32,
    pub pad: i32,
    pub size: usize,
}
// SAFETY: integers without hidden padding.
unsafe impl Plain for StackT {}

impl AltStack {
    /// Whether a program with this stack pointer runs on it. One that disarms itself is not known while it is in use.
    fn holds(self, sp: usize) -> bool {
        !self.disarms && sp > self.base && sp - self.base <= self.size
    }

    fn describe(self, more: i32) -> StackT {
        let disabled = if self.size == 0 { SS_DISABLE } else { 0 };
        let disarms = if self.disarms { SS_AUTODISARM } else { 0 };
        StackT {
            base: self.base,
            flags: disabled | disarms | more,
            pad: 0,
            size: self.size,
        }
    }
}

/// Replaces the alternate stack of a program that runs at `sp`, which must not be on it.
fn set_alt_stack(me: &Thread, sp: usize, new: StackT) -> Result<()> {
    let mut s = me.signals.lock();
    if s.alt_stack.holds(sp) {
        return Err(Errno::EPERM);
    }
    s.alt_stack = match new.flags & !SS_AUTODISARM {
        SS_DISABLE => AltStack::default(),
        0 | SS_ONSTACK if new.size < MINSIGSTKSZ => return Err(Errno::ENOMEM),
        0 | SS_ONSTACK => AltStack {
            base: new.base,
            size: new.size,
            disarms: new.flags & SS_AUTODISARM != 0,
        },
        _ => return Err(Errno::EINVAL),
    };
    Ok(())
}

fn program_sp() -> usize {
    let sp: usize;
    // SAFETY: reading the program's stack pointer.
    unsafe { core::arch::asm!("mrs {}, sp_el0", out(reg) sp) };
    sp
}

pub fn sys_sigaltstack(new: UserPtr<StackT>, old: UserPtr<StackT>) -> Result<usize> {
    let (me, sp) = (current(), program_sp());
    let new = new.option().map(|p| p.read()).transpose()?;
    let before = me.signals.lock().alt_stack;
    if let Some(new) = new {
        set_alt_stack(me, sp, new)?;
    }
    if let Some(p) = old.option() {
        let on = if before.holds(sp) { SS_ONSTACK } else { 0 };
        p.write(before.describe(on))?;
    }
    Ok(0)
}

/// Builds the frame on the program's stack and points `trap` at the handler. `mask` is what the frame restores.
pub fn push(
    me: &Arc<Thread>,
    trap: &mut TrapFrame,
    info: &SigInfo,
    action: &SigAction,
    mask: SigSet,
) -> Result<()> {
    let mut sp = trap.sp as usize;
    let alt = me.signals.lock().alt_stack;
    if action.flags & SA_ONSTACK != 0 && alt.size != 0 && !alt.holds(sp) {
        sp = alt.base.wrapping_add(alt.size);
    }
    let record = (sp & !15).checked_sub(16).ok_or(Errno::EFAULT)?;
    let base = record.checked_sub(FRAME_SIZE).ok_or(Errno::EFAULT)? & !15;
    let mut fp = MaybeUninit::<FpState>::uninit();
    // SAFETY: `fp` is a local and all of it is written; the kernel has not touched the program's vector registers.
    let fp = unsafe {
        fp_save(fp.as_mut_ptr());
        fp.assume_init_ref()
    };
    let synchronous = super::SYNCHRONOUS.contains(info.signo);
    let head = Head {
        info: *info,
        uc_flags: 0,
        uc_link: 0,
        stack: alt.describe(0),
        mask,
        unused: [0; 15],
        pad: 0,
        fault_address: if synchronous { info.address() } else { 0 },
        x: trap.x,
        sp: trap.sp,
        pc: trap.pc,
        pstate: trap.pstate,
        pad2: 0,
        fp_magic: FPSIMD_MAGIC,
        fp_size: FPSIMD_SIZE,
        fpsr: fp.fpsr,
        fpcr: fp.fpcr,
    };
    let program = UserPtr::<Head>::new(base);
    program.write_slice(core::slice::from_ref(&head))?;
    // SAFETY: 32 quad-words are 64 words in the same order, on a little-endian machine.
    let vectors: &Vectors = unsafe { &*(&raw const fp.v).cast() };
    let program = program.offset(1).cast::<u64>();
    program.write_slice(vectors)?;
    // The end of the list of contexts.
    program.offset(vectors.len()).write(0)?;
    UserPtr::<[u64; 2]>::new(record).write([trap.x[29], trap.pc])?;
    if alt.disarms {
        // The frame brings it back.
        me.signals.lock().alt_stack = AltStack::default();
    }
    trap.x[0] = info.signo as u64;
    trap.x[1] = base as u64;
    trap.x[2] = (base + size_of::<SigInfo>()) as u64;
    trap.x[29] = record as u64;
    trap.x[30] = action.restorer as u64;
    trap.sp = base as u64;
    trap.pc = action.handler as u64;
    Ok(())
}

/// `rt_sigreturn`: the registers, the mask and the alternate stack of the frame at the program's stack pointer.
pub fn sys_rt_sigreturn() -> Result<usize> {
    let (me, sp) = (current(), program_sp());
    let program = UserPtr::<Head>::new(sp);
    let (mut head, mut fp) = (MaybeUninit::uninit(), MaybeUninit::<FpState>::uninit());
    let restored = program.read_into(&mut head).and_then(|head| {
        if head.fp_magic == FPSIMD_MAGIC {
            let fp = fp.as_mut_ptr();
            // SAFETY: `fp` is a local that is filled before it is used. Any value is a valid vector register; the kernel does not
            // use them on the way out.
            unsafe {
                let v = &raw mut (*fp).v;
                copy_in(v.cast(), program.offset(1).addr(), size_of::<Vectors>())?;
                (*fp).fpsr = head.fpsr;
                (*fp).fpcr = head.fpcr;
                fp_restore(fp);
            }
        }
        Ok(head)
    });
    let Ok(head) = restored else {
        super::force(
            me,
            SigInfo::fault(super::SIGSEGV, super::info::code::SEGV_MAPERR, sp),
        );
        return Ok(0);
    };
    // Only the condition flags of PSTATE are the program's to choose.
    let pstate = PSTATE_LINKED | head.pstate & 0xf000_0000;
    let frame = TrapFrame {
        x: head.x,
        sp: head.sp,
        pc: head.pc,
        pstate,
        record: [0; 2],
    };
    // What it says of the alternate stack may be nonsense, or not to be had now.
    let _ = set_alt_stack(me, head.sp as usize, head.stack);
    super::send::change_mask(me, |s| {
        s.set_mask(head.mask);
        s.saved_mask = None;
    });
    *me.next_frame.lock() = Some(Box::new(frame));
    me.set_flag(flag::NEW_FRAME);
    Ok(head.x[0] as usize)
}
