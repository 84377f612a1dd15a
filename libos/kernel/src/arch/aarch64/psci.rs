//! Power State Coordination Interface (Arm DEN 0022): starting cores, switching off.

use core::sync::atomic::{AtomicU8, Ordering};

/// How firmware is called: 0 not at all, 1 `hvc`, 2 `smc`.
static CONDUIT: AtomicU8 = AtomicU8::new(0);

const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
const CPU_ON: u64 = 0xc400_0003;

/// Takes the `method` property of the device tree's `psci` node.
pub fn init(method: &str) {
    CONDUIT.store(if method == "smc" { 2 } else { 1 }, Ordering::Relaxed);
}

fn call(function: u64, a: u64, b: u64, c: u64) -> i64 {
    let result: i64;
    // SAFETY: SMC calling convention: x0-x3 arguments, x0 result, x4-x17 may change.
    unsafe {
        match CONDUIT.load(Ordering::Relaxed) {
            1 => {
                core::arch::asm!("hvc #0", inout("x0") function => result, in("x1") a, in("x2") b, in("x3") c, clobber_abi("C"))
            }
            2 => {
                core::arch::asm!("smc #0", inout("x0") function => result, in("x1") a, in("x2") b, in("x3") c, clobber_abi("C"))
            }
            _ => return -1,
        }
    }
    result
}

/// Starts the core with this MPIDR at physical address `entry` with x0 = `context`. The error is PSCI's number.
pub fn cpu_on(mpidr: usize, entry: usize, context: usize) -> Result<(), i64> {
    match call(CPU_ON, mpidr as u64, entry as u64, context as u64) {
        0 => Ok(()),
        e => Err(e),
    }
}

/// Switches the machine off; returns only where that cannot be done.
pub fn system_off() {
    call(SYSTEM_OFF, 0, 0, 0);
}

/// Restarts the machine; returns only where that cannot be done.
pub fn system_reset() {
    call(SYSTEM_RESET, 0, 0, 0);
}
