//! From the first Rust instruction to the first process.

use super::{cpu, exceptions, gic, mmu, psci, smp, time};
use crate::base::PhysAddr;
use crate::drivers;
use crate::memory::{self, Layout};
use crate::platform::{self, Machine};
use crate::process::{Thread, scheduler};
use alloc::sync::Arc;

unsafe extern "C" {
    /// The linker script's table.
    static os_layout: Layout;
}

/// boot.S comes here on the boot stack, with the MMU on: physical addresses of the device tree and of the image.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(tree: usize, image: usize) -> ! {
    cpu::init(0);
    exceptions::init();
    time::init();
    check_zva();
    // SAFETY: the linker script wrote the table.
    memory::layout::set(unsafe { &os_layout }, PhysAddr(image));
    // SAFETY: boot.S mapped the GiB that the tree lies in.
    let mut machine = match unsafe { platform::discover(mmu::LINEAR_BASE + tree, tree) } {
        Ok(m) => m,
        Err(e) => panic!("no usable device tree at {tree:#x}: {e:?}"),
    };
    start_memory(&mut machine, image);
    let idle = Arc::new(Thread::new(0, None, None));
    scheduler::adopt_idle(idle);
    start_devices(&machine);
    let m = crate::process::misc::build_version();
    klog!(
        Info,
        "{} {} {} ({})",
        crate::process::misc::SYSTEM_NAME,
        crate::process::misc::RELEASE,
        m,
        crate::process::misc::MACHINE
    );
    klog!(Info, "kernel command line: {}", machine.arguments);
    klog!(
        Info,
        "{} MiB of RAM, {} core(s)",
        memory::frames::total_count() / 256,
        machine.cpu_count
    );
    start_files();
    smp::start_all(&machine);
    #[cfg(debug_assertions)]
    start_tests(&machine);
    let first = machine.argument("init").map(str::as_bytes);
    let first = first.or_else(crate::fs::first_program).unwrap_or(b"init");
    crate::process::first::start_init(first).expect("memory for the first process");
    scheduler::idle_loop()
}

/// What only a kernel with assertions has: see docs/testing.md and docs/waiting.md.
#[cfg(debug_assertions)]
fn start_tests(machine: &Machine) {
    use crate::process::watchdog;
    watchdog::init(machine.argument("watchdog"));
    match machine.argument("rustos.test") {
        Some("hang") => watchdog::hang_soon(),
        Some("kernel") => crate::self_test::run(),
        _ => {}
    }
}

/// The fill routines clear 64 bytes with one DC ZVA.
fn check_zva() {
    let dczid: u64;
    // SAFETY: reading an identification register.
    unsafe { core::arch::asm!("mrs {}, dczid_el0", out(reg) dczid) };
    assert!(
        dczid & 0x1f == 4,
        "DC ZVA must clear 64 bytes (DCZID_EL0 = {dczid:#x})"
    );
}

fn start_memory(machine: &mut Machine, image: usize) {
    let taken = &mut machine.reserved;
    let mut take = |start: usize, end: usize| {
        taken
            .add(start, end - start)
            .expect("room in the list of what is taken");
        // The loader may have put the tree, and firmware its own, right behind the image.
        taken.free_from(image, mmu::EARLY_ROOM)
    };
    take(machine.tree.start, machine.tree.end);
    let room = take(image, image + memory::layout().memory_size as usize);
    take(room, mmu::init(image, machine.ram.as_slice(), room));
    // SAFETY: the ranges are RAM by the device tree's word; what is in use is reserved.
    unsafe { memory::frames::init(machine.ram.as_slice(), taken.as_slice()) };
}

fn start_devices(machine: &Machine) {
    if let Some(method) = machine.psci {
        psci::init(method);
    }
    let map = |r: platform::Registers| {
        mmu::map_device(r.phys, r.len.max(4096)).expect("kernel tables for device registers")
    };
    if let Some((registers, irq)) = machine.uart {
        drivers::init_uart(map(registers), irq);
    }
    crate::panic::SEMIHOSTING.store(
        machine.argument("semihosting") == Some("1"),
        core::sync::atomic::Ordering::Relaxed,
    );
    let (version, distributor, second) = machine.gic.expect("a GICv2 or GICv3 in the device tree");
    gic::init(version, map(distributor), map(second));
    if let Some(irq) = drivers::uart::irq() {
        gic::enable(irq);
    }
    if let Some(rtc) = machine.rtc {
        crate::time::set_realtime_ns(drivers::rtc::read_epoch_seconds(map(rtc)) * 1_000_000_000);
    }
    for seed in machine.seeds {
        crate::random::seed(seed);
    }
    crate::random::seed(&time::counter_at_boot().to_le_bytes());
    COMMAND_LINE.call_once(|| machine.arguments);
    let mode = match machine.argument("console") {
        Some("framed") => drivers::ConsoleMode::Framed,
        _ => drivers::ConsoleMode::Tty,
    };
    let level = machine
        .argument("loglevel")
        .and_then(|l| l.parse().ok())
        .unwrap_or(4);
    drivers::set_console_mode(mode, level);
}

/// The boot arguments.
static COMMAND_LINE: crate::base::sync::Once<&'static str> = crate::base::sync::Once::new();

/// The boot arguments, as `/proc/cmdline` shows them.
pub fn command_line() -> &'static str {
    COMMAND_LINE.get().copied().unwrap_or("")
}

fn start_files() {
    let l = memory::layout();
    let start = mmu::LINEAR_BASE + memory::image_base().0 + l.rootfs_lma as usize;
    // SAFETY: the linker script says where the archive lies in the image, which is read-only and never freed.
    let archive: &'static [u8] =
        unsafe { core::slice::from_raw_parts(start as *const u8, l.rootfs_size as usize) };
    crate::fs::init(archive, &[]).expect("the packed root file system is sound");
    crate::ipc::init().expect("memory for the first devices");
}
