//! Starting the other cores.

use super::{cpu, exceptions, gic, mmu, psci, time};
use crate::arch::MAX_CPUS;
use crate::platform::Machine;
use crate::process::stack::KernelStack;
use crate::process::{Thread, scheduler};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// What a core finds when it starts, by physical address; boot.S reads it with the MMU off.
#[repr(C)]
struct SecondaryStart {
    ttbr0: usize,
    ttbr1: usize,
    stack: usize,
    entry: usize,
    id: usize,
}

/// Starts every core of the machine but this one. A core that does not start is left out, with a line in the log.
pub fn start_all(machine: &Machine) {
    let boot = cpu::this().affinity.load(Ordering::Relaxed);
    let mut id = 1;
    for &mpidr in &machine.cpus[..machine.cpu_count] {
        // The boot core may not be among those that the tree names first.
        if mpidr == boot || id == MAX_CPUS {
            continue;
        }
        match start(id, mpidr) {
            Ok(started) => {
                if started == Started::Late {
                    klog!(Err, "core {:#x} has not come up yet", mpidr);
                }
                id += 1;
            }
            Err(e) => klog!(Err, "core {:#x} did not start: {}", mpidr, e),
        }
    }
}

/// What has become of a core that firmware has accepted to start. Its number and its stack are its own in either case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Started {
    Online,
    /// It has not come in time; it may still.
    Late,
}

/// How long the boot core waits for another, ns.
const PATIENCE: u64 = 2_000_000_000;

fn start(id: usize, mpidr: usize) -> Result<Started, i64> {
    unsafe extern "C" {
        static early_ttbr0: u8;
        fn secondary_entry();
    }
    let stack = KernelStack::new().map_err(|e| e.0 as i64)?;
    let image = crate::memory::image_base().0;
    let kernel_phys = |va: usize| image + (va - mmu::KERNEL_BASE);
    let start = Box::new(SecondaryStart {
        ttbr0: kernel_phys(&raw const early_ttbr0 as usize),
        ttbr1: mmu::kernel_root(),
        stack: stack.top(),
        entry: secondary_main as *const () as usize,
        id,
    });
    let start = Box::leak(start);
    let virt = core::ptr::from_ref(start) as usize;
    // The core reads it with caches off: push it to memory.
    // SAFETY: cleaning a line that we own.
    unsafe {
        core::arch::asm!("dc cvac, {}", "dc cvac, {}", "dsb sy", in(reg) virt, in(reg) virt + size_of::<SecondaryStart>() - 1)
    };
    let entry = kernel_phys(secondary_entry as *const () as usize);
    let context = crate::memory::virt_to_phys(virt as *const u8).0;
    psci::cpu_on(mpidr, entry, context)?;
    core::mem::forget(stack);
    let deadline = time::monotonic_ns() + PATIENCE;
    while !cpu::get(id).online.load(Ordering::Acquire) {
        if time::monotonic_ns() > deadline {
            return Ok(Started::Late);
        }
        core::hint::spin_loop();
    }
    Ok(Started::Online)
}

extern "C" fn secondary_main(id: usize) -> ! {
    cpu::init(id);
    // SAFETY: the tables are the boot core's; the early identity map goes.
    unsafe { mmu::install() };
    exceptions::init();
    gic::init_cpu();
    let idle = Arc::new(Thread::new(0, None, None));
    scheduler::adopt_idle(idle);
    scheduler::idle_loop()
}
