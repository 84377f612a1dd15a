//! What comes with a signal: `siginfo_t`, in the layout of the Linux ABI.

use crate::user::Plain;

/// `si_code` values (sigaction(2)).
pub mod code {
    pub const SI_USER: i32 = 0;
    pub const SI_KERNEL: i32 = 0x80;
    pub const SI_TIMER: i32 = -2;
    pub const SI_TKILL: i32 = -6;
    pub const SEGV_MAPERR: i32 = 1;
    pub const SEGV_ACCERR: i32 = 2;
    pub const BUS_ADRALN: i32 = 1;
    pub const BUS_ADRERR: i32 = 2;
    pub const ILL_ILLOPC: i32 = 1;
    pub const TRAP_BRKPT: i32 = 1;
    pub const FPE_FLTINV: i32 = 7;
    pub const CLD_EXITED: i32 = 1;
    pub const CLD_KILLED: i32 = 2;
    pub const CLD_DUMPED: i32 = 3;
    pub const CLD_STOPPED: i32 = 5;
    pub const CLD_CONTINUED: i32 = 6;
}

/// `siginfo_t`: 128 bytes, of which the tail depends on the signal.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SigInfo {
    pub signo: i32,
    pub errno: i32,
    pub code: i32,
    /// 1 in what a timer of the process sent. A program cannot say so, and does not see it.
    of_timer: i32,
    fields: [u64; 14],
}

// SAFETY: integers without padding.
unsafe impl Plain for SigInfo {}
const _: () = assert!(size_of::<SigInfo>() == 128);

fn pair(low: i32, high: u32) -> u64 {
    low as u32 as u64 | (high as u64) << 32
}

impl SigInfo {
    fn new(signo: i32, code: i32) -> Self {
        SigInfo {
            signo,
            errno: 0,
            code,
            of_timer: 0,
            fields: [0; 14],
        }
    }

    /// From the kernel, without more to say.
    pub fn kernel(signo: i32) -> Self {
        Self::new(signo, code::SI_KERNEL)
    }

    /// Sent by a process (`kill`, `tgkill`).
    pub fn user(signo: i32, code: i32, pid: i32, uid: u32) -> Self {
        let mut s = Self::new(signo, code);
        s.fields[0] = pair(pid, uid);
        s
    }

    /// Caused by an access to `address`.
    pub fn fault(signo: i32, code: i32, address: usize) -> Self {
        let mut s = Self::new(signo, code);
        s.fields[0] = address as u64;
        s
    }

    /// A child changed state; times in ticks of 1/100 s.
    pub fn child(
        code: i32,
        pid: i32,
        uid: u32,
        status: i32,
        user_time: u64,
        system_time: u64,
    ) -> Self {
        let mut s = Self::new(super::SIGCHLD, code);
        s.fields[0] = pair(pid, uid);
        s.fields[1] = status as u32 as u64;
        s.fields[2] = user_time;
        s.fields[3] = system_time;
        s
    }

    /// A POSIX timer expired.
    pub fn timer(signo: i32, timer: i32, value: u64) -> Self {
        let mut s = Self::new(signo, code::SI_TIMER);
        s.of_timer = 1;
        s.fields[0] = pair(timer, 0);
        s.fields[1] = value;
        s
    }

    /// Whether an instruction of the receiver's caused it.
    pub fn is_fault(&self) -> bool {
        super::SYNCHRONOUS.contains(self.signo) && self.code > 0 && self.code != code::SI_KERNEL
    }

    /// Which timer sent it.
    pub fn timer_id(&self) -> Option<i32> {
        (self.of_timer != 0).then_some(self.fields[0] as i32)
    }
    /// It has come from a program, or goes to one.
    pub fn forget_timer(&mut self) {
        self.of_timer = 0;
    }
    /// Expirations that this signal stands for beyond the first.
    pub fn set_overrun(&mut self, overrun: u32) {
        self.fields[0] = pair(self.fields[0] as i32, overrun);
    }

    /// Sender, for signals of processes and children.
    pub fn pid(&self) -> i32 {
        self.fields[0] as i32
    }
    pub fn uid(&self) -> u32 {
        (self.fields[0] >> 32) as u32
    }
    /// Faulting address, for synchronous signals.
    pub fn address(&self) -> u64 {
        self.fields[0]
    }
    /// `si_status` or `sigval`.
    pub fn value(&self) -> u64 {
        self.fields[1]
    }
}
