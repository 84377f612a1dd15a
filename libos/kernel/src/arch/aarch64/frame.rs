//! What an exception leaves on the kernel stack, and what a switched-out thread leaves on its own. Layouts match vectors.S.

/// The registers of an interrupted program (or kernel).
#[repr(C)]
#[derive(Clone, Debug)]
pub struct TrapFrame {
    pub x: [u64; 31],
    pub sp: u64,
    pub pc: u64,
    pub pstate: u64,
    /// Frame record for backtraces: (x29, pc).
    pub record: [u64; 2],
}

const _: () = assert!(size_of::<TrapFrame>() == 288);

/// The vector registers, as `fp_save` and `fp_restore` lay them out.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct FpState {
    pub v: [u128; 32],
    pub fpsr: u32,
    pub fpcr: u32,
}

impl FpState {
    pub const fn zeroed() -> Self {
        FpState {
            v: [0; 32],
            fpsr: 0,
            fpcr: 0,
        }
    }
}

/// What a C call preserves, as the door entries of `fork` and `clone` lay it out.
#[repr(C)]
#[derive(Clone)]
pub struct CalleeSaved {
    /// x19 to x30; x30 is where the program continues.
    pub x: [u64; 12],
    pub d: [u64; 8],
}

/// PSTATE of a linked program: EL1 with SP_EL0, debug exceptions masked.
pub const PSTATE_LINKED: u64 = 0x204;

/// What `switch_context` pushes.
#[repr(C)]
pub struct SwitchFrame {
    pub x: [u64; 12],
    pub d: [u64; 8],
    pub sp_el0: u64,
    pub tpidr_el0: u64,
    pub fpcr: u64,
    pub pad: u64,
}

const _: () = assert!(size_of::<SwitchFrame>() == 192);

unsafe extern "C" {
    pub fn switch_context(old_sp: *mut usize, new_sp: usize);
    pub fn fp_save(state: *mut FpState);
    pub fn fp_restore(state: *const FpState);
    fn thread_entry();
    fn kernel_thread_entry();
}

/// Lays out a new thread's kernel stack below `top` so that the first switch to it enters the program with `frame`.
/// Returns the stack pointer to switch to.
///
/// # Safety
/// `top` is the top of an unused kernel stack of at least 1 KiB.
pub unsafe fn prepare_program_thread(
    top: usize,
    frame: TrapFrame,
    d: [u64; 8],
    tpidr_el0: u64,
) -> usize {
    let frame_at = top - size_of::<TrapFrame>();
    let switch_at = frame_at - size_of::<SwitchFrame>();
    let mut x = [0u64; 12];
    x[11] = thread_entry as *const () as u64;
    let fpcr: u64;
    // SAFETY: both places lie on the caller's unused stack; reading FPCR has no side effect.
    unsafe {
        core::arch::asm!("mrs {}, S3_3_C4_C4_0", out(reg) fpcr); // FPCR
        let sp_el0 = frame.sp;
        (frame_at as *mut TrapFrame).write(frame);
        (switch_at as *mut SwitchFrame).write(SwitchFrame {
            x,
            d,
            sp_el0,
            tpidr_el0,
            fpcr,
            pad: 0,
        });
    }
    switch_at
}

/// As [`prepare_program_thread`] for a thread that first runs `function(argument)` in the kernel and enters a program
/// afterwards, with the registers that the function left in `Thread::next_frame`.
///
/// # Safety
/// As there.
pub unsafe fn prepare_kernel_start(
    top: usize,
    function: extern "C" fn(usize),
    argument: usize,
) -> usize {
    let frame_at = top - size_of::<TrapFrame>();
    let switch_at = frame_at - size_of::<SwitchFrame>();
    let mut x = [0u64; 12];
    x[0] = function as *const () as u64;
    x[1] = argument as u64;
    x[11] = kernel_thread_entry as *const () as u64;
    let frame = TrapFrame {
        x: [0; 31],
        sp: 0,
        pc: 0,
        pstate: PSTATE_LINKED,
        record: [0; 2],
    };
    // SAFETY: both places lie on the caller's unused stack.
    unsafe {
        (frame_at as *mut TrapFrame).write(frame);
        (switch_at as *mut SwitchFrame).write(SwitchFrame {
            x,
            d: [0; 8],
            sp_el0: 0,
            tpidr_el0: 0,
            fpcr: 0,
            pad: 0,
        });
    }
    switch_at
}

/// Walks a chain of frame records (AAPCS64 6.4.6): the address to return to of each. It lies on a kernel stack, or is cut short.
pub struct Records(pub usize);

impl Iterator for Records {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.0;
        // Records lie on kernel stacks or in the kernel's image: in the upper half, aligned.
        if at < crate::memory::linear::LINEAR_BASE || !at.is_multiple_of(8) {
            return None;
        }
        // SAFETY: checked above as far as it can be; a second fault ends in a halt.
        let [next, address] = unsafe { *(at as *const [usize; 2]) };
        // Callers' records lie higher, but for the step from the emergency stack.
        self.0 = if next <= at && at - next > 1 << 20 {
            0
        } else {
            next
        };
        (address != 0).then_some(address)
    }
}

/// The addresses to return to that led here.
#[inline(always)]
pub fn return_addresses() -> Records {
    let record: usize;
    // SAFETY: reading the frame pointer.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) record, options(nomem, nostack)) };
    Records(record)
}
