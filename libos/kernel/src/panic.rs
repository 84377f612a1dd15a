//! The end of the kernel: who, what, where, and a status that the host sees.

use crate::arch::frame::{Records, TrapFrame};
use crate::arch::{cpu, gic, psci};
use crate::drivers;
use crate::symbols::Symbol;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The core that panics first, plus one.
static PANICKED: AtomicUsize = AtomicUsize::new(0);
/// QEMU runs with semihosting: it can be told the exit status.
pub static SEMIHOSTING: AtomicBool = AtomicBool::new(false);
/// Status with which QEMU ends after a panic.
const EXIT_STATUS: usize = 101;
/// Frames a backtrace shows.
const MAX_FRAMES: usize = 32;

/// Writes straight to the serial line, a line buffered in a small array (no heap).
struct LastWords {
    buffer: [u8; 256],
    len: usize,
}

impl LastWords {
    fn flush(&mut self) {
        drivers::emergency_write(&self.buffer[..self.len]);
        self.len = 0;
    }
}

impl Write for LastWords {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for &b in s.as_bytes() {
            self.buffer[self.len] = b;
            self.len += 1;
            if b == b'\n' || self.len == self.buffer.len() {
                self.flush();
            }
        }
        Ok(())
    }
}

/// Whether the others answer before they stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Stop,
    Report,
}

fn begin(others: Others) -> LastWords {
    let here = cpu::cpu_id();
    match PANICKED.compare_exchange(0, here + 1, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {}
        // A panic while panicking: say no more.
        Err(first) if first == here + 1 => halt(),
        // Another's report is on its way, and ends the machine when it is complete.
        Err(_) => stop_here(),
    }
    for c in cpu::online().filter(|&c| c != here) {
        let ask = others == Others::Report && gic::has_nmi();
        gic::send_sgi(c, if ask { gic::SGI_REPORT } else { gic::SGI_STOP });
    }
    LastWords {
        buffer: [0; 256],
        len: 0,
    }
}

fn who(out: &mut LastWords) -> fmt::Result {
    who_runs_on(out, cpu::cpu_id())
}

fn who_runs_on(out: &mut LastWords, core: usize) -> fmt::Result {
    let thread = cpu::get(core).current.load(Ordering::Relaxed);
    if thread.is_null() {
        return writeln!(out, "  during boot, core {core}");
    }
    // SAFETY: the running thread is alive.
    let thread = unsafe { &*thread };
    let name = thread
        .name
        .try_lock()
        .map(|n| *n)
        .unwrap_or(*b"(name locked)\0\0\0");
    let name = core::str::from_utf8(&name)
        .unwrap_or("?")
        .trim_end_matches('\0');
    let pid = if thread.has_process() {
        thread.process().pid
    } else {
        0
    };
    writeln!(
        out,
        "  core {}, process {} ({}), thread {}",
        core,
        pid,
        name,
        thread.tid()
    )
}

/// Prints return addresses from the chain of frame records that starts at `record`.
fn backtrace(out: &mut LastWords, record: usize) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    for (n, address) in Records(record).take(MAX_FRAMES).enumerate() {
        let call = Symbol(address.wrapping_sub(4));
        writeln!(out, "  {n:2}: {call} ({address:#x})")?;
    }
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut out = begin(Others::Stop);
    let fp: usize;
    // SAFETY: reading the frame pointer.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) fp) };
    // Writing to the serial line cannot fail.
    let _ = writeln!(out, "kernel panic: {info}")
        .and_then(|()| who(&mut out))
        .and_then(|()| backtrace(&mut out, fp));
    finish(out)
}

/// An exception that the kernel cannot go on from.
pub fn fatal_exception(what: &str, frame: &TrapFrame, esr: u64, far: u64) -> ! {
    let mut out = begin(Others::Stop);
    let mut say = || -> fmt::Result {
        writeln!(
            out,
            "kernel panic: {what}: ESR {esr:#x} (class {:#x}), FAR {far:#x}",
            esr >> 26
        )?;
        who(&mut out)?;
        writeln!(
            out,
            "  pc {} ({:#x}), lr {} ({:#x}), sp_el0 {:#x}, pstate {:#x}",
            Symbol(frame.pc as usize),
            frame.pc,
            Symbol(frame.x[30] as usize),
            frame.x[30],
            frame.sp,
            frame.pstate
        )?;
        for (i, r) in frame.x.chunks(4).enumerate() {
            write!(out, "  x{:<2}", 4 * i)?;
            for v in r {
                write!(out, " {v:016x}")?;
            }
            writeln!(out)?;
        }
        backtrace(&mut out, frame.x[29] as usize)
    };
    let _ = say();
    finish(out)
}

/// What a core was doing when it was asked: program counter and frame record, 0 until it has answered.
#[cfg(debug_assertions)]
static ANSWERS: [[AtomicUsize; 2]; crate::arch::MAX_CPUS] =
    [const { [const { AtomicUsize::new(0) }; 2] }; crate::arch::MAX_CPUS];

/// The FIQ of [`gic::SGI_REPORT`].
pub fn answer(frame: &TrapFrame) -> ! {
    #[cfg(debug_assertions)]
    {
        let [pc, record] = &ANSWERS[cpu::cpu_id()];
        record.store(frame.x[29] as usize, Ordering::Relaxed);
        pc.store(frame.pc as usize, Ordering::Release);
    }
    let _ = frame;
    stop_here()
}

/// The watchdog's alarm: core `stuck` has not got on for `looks` looks. Every core says what it was doing.
#[cfg(debug_assertions)]
pub fn stalled(stuck: usize, looks: usize) -> ! {
    let record: usize;
    // SAFETY: reading the frame pointer.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) record) };
    let mut out = begin(Others::Report);
    let _ = say_all(&mut out, stuck, looks, record);
    finish(out)
}

#[cfg(debug_assertions)]
fn say_all(out: &mut LastWords, stuck: usize, looks: usize, record: usize) -> fmt::Result {
    writeln!(
        out,
        "kernel panic: watchdog: core {stuck} has not got on for {looks} looks"
    )?;
    for core in cpu::online() {
        who_runs_on(out, core)?;
        for lock in crate::base::lockdep::of_core(core).iter() {
            let name = crate::base::lockdep::Name(lock.class);
            let verb = if lock.owned { "holds" } else { "waits for" };
            writeln!(
                out,
                "  {verb} {name}, taken at {}:{}",
                lock.taken.file(),
                lock.taken.line()
            )?;
        }
        if core == cpu::cpu_id() {
            backtrace(out, record)?;
            continue;
        }
        let [pc, record] = &ANSWERS[core];
        // An answer takes microseconds; a core that the host does not run at the moment, longer.
        let answered = (0..200_000_000).any(|_| {
            core::hint::spin_loop();
            pc.load(Ordering::Acquire) != 0
        });
        if answered {
            let pc = pc.load(Ordering::Relaxed);
            writeln!(out, "  pc {} ({pc:#x})", Symbol(pc))?;
            backtrace(out, record.load(Ordering::Relaxed))?;
        } else {
            writeln!(out, "  does not answer")?;
        }
    }
    Ok(())
}

fn finish(mut out: LastWords) -> ! {
    out.flush();
    if SEMIHOSTING.load(Ordering::Relaxed) {
        // ADP_Stopped_ApplicationExit with a status (SYS_EXIT_EXTENDED, Arm semihosting 2.0).
        let block: [usize; 2] = [0x20026, EXIT_STATUS];
        // SAFETY: the boot argument says that somebody answers.
        unsafe { core::arch::asm!("hlt #0xf000", in("x0") 0x20usize, in("x1") &block) };
    }
    halt()
}

/// Another core panicked, first.
pub fn stop_here() -> ! {
    loop {
        // SAFETY: interrupts are masked: this core is done.
        unsafe { core::arch::asm!("msr daifset, #0xf", "wfi") };
    }
}

fn halt() -> ! {
    psci::system_off();
    stop_here()
}
