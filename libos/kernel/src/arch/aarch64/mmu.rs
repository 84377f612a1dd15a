//! The kernel's own translation tables, address-space identifiers and TLB maintenance.
//!
//! TTBR1 maps, in 39 bits (Arm ARM D8, 4 KiB granule, levels 1 to 3):
//! the linear map of RAM, kernel stacks between guard pages, device registers, and the kernel at its link address.
//! Nothing is both writable and executable: the image's text and constants are read-only in the linear map too.

use crate::base::{Errno, PAGE_SIZE, PhysAddr, Result, SpinLock, page_down, page_up};
use crate::memory::layout;
pub use crate::memory::layout::KERNEL_BASE;
pub use crate::memory::linear::LINEAR_BASE;
use aarch64_cpu::asm::barrier::{self, ISH, ISHST, NSH, SY};
use aarch64_cpu::registers::{ID_AA64MMFR0_EL1, Readable, TTBR0_EL1, TTBR1_EL1, Writeable};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Kernel stacks.
pub const STACKS_BASE: usize = 0xffff_ffc0_0000_0000;
/// Device registers.
const DEVICES_BASE: usize = 0xffff_ffe0_0000_0000;

const VALID: u64 = 1;
const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
const AF: u64 = 1 << 10;
const INNER: u64 = 3 << 8;
const READ_ONLY: u64 = 1 << 7;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const DEVICE: u64 = 1 << 2;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

const NORMAL_RW: u64 = AF | INNER | PXN | UXN;
const NORMAL_RO: u64 = NORMAL_RW | READ_ONLY;
const NORMAL_RX: u64 = AF | INNER | UXN | READ_ONLY;
const DEVICE_RW: u64 = AF | PXN | UXN | DEVICE;

/// Physical address of the kernel's root table (TTBR1), and of the empty table that stands for "no program" in TTBR0.
static ROOT: AtomicUsize = AtomicUsize::new(0);
static EMPTY: AtomicUsize = AtomicUsize::new(0);
/// Protects the kernel's tables below ROOT and the allocation of device windows. Innermost but for the frame allocator.
static KERNEL_TABLES: SpinLock<Tables> = SpinLock::new(Tables {
    next_device: DEVICES_BASE,
});

struct Tables {
    next_device: usize,
}

/// Where tables come from: before the frame allocator runs, a bump pointer in room that boot has found.
static EARLY_BUMP: AtomicUsize = AtomicUsize::new(0);
/// Bytes of that room: far more tables than RAM in so many ranges needs.
pub const EARLY_ROOM: usize = 1 << 20;

fn new_table() -> Result<usize> {
    let bump = EARLY_BUMP.load(Ordering::Relaxed);
    let phys = if bump != 0 {
        EARLY_BUMP.store(bump + PAGE_SIZE, Ordering::Relaxed);
        bump
    } else {
        crate::memory::frames::alloc_frame()?.into_raw().0
    };
    // SAFETY: a frame of our own, reached through the linear map.
    unsafe { super::zero_page((LINEAR_BASE + phys) as *mut u8) };
    Ok(phys)
}

/// The table entry of `va` at `level`, making tables on the way.
fn entry(va: usize, level: usize) -> Result<&'static AtomicU64> {
    let mut table = ROOT.load(Ordering::Relaxed);
    for l in 1..=level {
        let index = (va >> (39 - 9 * l)) & 511;
        // SAFETY: a table of the kernel's, which lives for ever, in the linear map.
        let slot = unsafe { &*((LINEAR_BASE + table + index * 8) as *const AtomicU64) };
        if l == level {
            return Ok(slot);
        }
        let mut next = slot.load(Ordering::Relaxed);
        if next & VALID == 0 {
            next = new_table()? as u64 | TABLE;
            // Whoever walks to the table, on any core, finds it zeroed.
            slot.store(next, Ordering::Release);
        }
        table = (next & ADDRESS) as usize;
    }
    Err(Errno::EINVAL)
}

/// Maps `[va, va+len)` to `phys` with the largest blocks that fit.
fn map(mut va: usize, mut phys: usize, len: usize, attributes: u64) -> Result<()> {
    let end = va + len;
    while va < end {
        let (size, level, kind) = [
            (1usize << 30, 1, BLOCK),
            (1 << 21, 2, BLOCK),
            (PAGE_SIZE, 3, PAGE),
        ]
        .into_iter()
        .find(|&(size, ..)| {
            va.is_multiple_of(size) && phys.is_multiple_of(size) && end - va >= size
        })
        .ok_or(Errno::EINVAL)?;
        entry(va, level)?.store(phys as u64 | attributes | kind, Ordering::Release);
        va += size;
        phys += size;
    }
    Ok(())
}

/// Builds the final tables for `ram` and switches to them. They lie at `room`, in the GiB of the image, which is as far as the
/// early tables reach; returns where they end. Runs once, on the boot core.
pub fn init(image: usize, ram: &[Range<PhysAddr>], room: usize) -> usize {
    // TCR_EL1.AS is set, and a space keeps its identifier as long as it lives.
    let bits = ID_AA64MMFR0_EL1.read_as_enum(ID_AA64MMFR0_EL1::ASIDBits);
    let wide = matches!(bits, Some(ID_AA64MMFR0_EL1::ASIDBits::Value::Bits_16));
    assert!(wide, "address-space identifiers must have 16 bits");
    let l = layout();
    EARLY_BUMP.store(room, Ordering::Relaxed);
    let build = || -> Result<()> {
        EMPTY.store(new_table()?, Ordering::Relaxed);
        ROOT.store(new_table()?, Ordering::Relaxed);
        // In the linear map the image's text and constants, which come first in it, are read-only.
        let read_only = [
            (image, image + (l.kernel_rodata_end as usize - KERNEL_BASE)),
            (
                image + l.prog_text_lma as usize,
                image
                    + page_up(
                        l.prog_rodata_lma as usize
                            + (l.prog_rodata_end - l.prog_rodata_start) as usize,
                    ),
            ),
        ];
        for r in ram {
            let last = page_down(r.end.0);
            let mut at = page_up(r.start.0).min(last);
            for (start, end) in read_only {
                let (start, end) = (start.clamp(at, last), end.clamp(at, last));
                map(LINEAR_BASE + at, at, start - at, NORMAL_RW)?;
                map(LINEAR_BASE + start, start, end - start, NORMAL_RO)?;
                at = end;
            }
            map(LINEAR_BASE + at, at, last - at, NORMAL_RW)?;
        }
        let text = page_up(l.kernel_text_end as usize);
        let rodata = page_up(l.kernel_rodata_end as usize);
        map(KERNEL_BASE, image, text - KERNEL_BASE, NORMAL_RX)?;
        map(text, image + (text - KERNEL_BASE), rodata - text, NORMAL_RO)?;
        let data = page_down(l.kernel_data_start as usize);
        map(
            data,
            image + (data - KERNEL_BASE),
            page_up(l.kernel_bss_end as usize) - data,
            NORMAL_RW,
        )
    };
    build().expect("the early bump allocator cannot fail");
    // SAFETY: the new tables map everything that the kernel uses at the same addresses as the early ones.
    unsafe { install() };
    let end = EARLY_BUMP.swap(0, Ordering::Relaxed);
    assert!(end <= room + EARLY_ROOM, "early tables to {end:#x}");
    end
}

/// Points the calling core at the kernel's tables and no program.
///
/// # Safety
/// `init` has built the tables.
pub unsafe fn install() {
    TTBR0_EL1.set(EMPTY.load(Ordering::Relaxed) as u64);
    TTBR1_EL1.set(ROOT.load(Ordering::Relaxed) as u64);
    barrier::isb(SY);
    // By the contract the running code and stack are mapped the same way in the new tables.
    flush_this_core();
}

/// The physical root table, for secondary cores.
pub fn kernel_root() -> usize {
    ROOT.load(Ordering::Relaxed)
}

/// Maps the device registers at `phys` and returns where they are.
pub fn map_device(phys: usize, len: usize) -> Result<usize> {
    let start = page_down(phys);
    let len = page_up(phys + len) - start;
    let mut tables = KERNEL_TABLES.lock();
    let va = tables.next_device;
    tables.next_device += len + PAGE_SIZE;
    map(va, start, len, DEVICE_RW)?;
    table_barrier();
    Ok(va + (phys - start))
}

/// Maps one frame, writable, at kernel address `va` (a page of a kernel stack).
pub fn map_kernel_page(va: usize, phys: PhysAddr) -> Result<()> {
    let _tables = KERNEL_TABLES.lock();
    map(va, phys.0, PAGE_SIZE, NORMAL_RW)?;
    table_barrier();
    Ok(())
}

/// Unmaps so many pages from kernel address `va` on, everywhere, and tells their frames. All are mapped.
pub fn unmap_kernel_pages(va: usize, frames: &mut [PhysAddr]) -> Result<()> {
    let _tables = KERNEL_TABLES.lock();
    for (n, frame) in frames.iter_mut().enumerate() {
        let slot = entry(va + n * PAGE_SIZE, 3)?;
        // The TLB forgets the page before the frame is handed on.
        *frame = PhysAddr((slot.swap(0, Ordering::Relaxed) & ADDRESS) as usize);
    }
    // The order that the Arm ARM asks for (D8.16): writes of tables, maintenance, completion.
    barrier::dsb(ISHST);
    for n in 0..frames.len() {
        // The higher bits are a hint about the table's level, where cores know it: none.
        let page = ((va >> 12) + n) & 0xfff_ffff_ffff;
        // SAFETY: forgetting a translation.
        unsafe { core::arch::asm!("tlbi vaale1is, {}", in(reg) page) };
    }
    barrier::dsb(ISH);
    barrier::isb(SY);
    Ok(())
}

/// Makes table writes visible to every core's walker; enough for entries that were invalid before.
#[inline(always)]
pub fn table_barrier() {
    barrier::dsb(ISHST);
    barrier::isb(SY);
}

/// Identifiers in use, a bit each; 0 belongs to the empty table. 16 bits of ASID (TCR_EL1.AS).
static ASIDS: SpinLock<Asids> = SpinLock::new(Asids {
    used: [0; 1024],
    hint: 0,
});

struct Asids {
    used: [u64; 1024],
    hint: usize,
}

fn allocate_asid() -> u64 {
    let mut a = ASIDS.lock();
    for i in 0..1024 {
        let word = (a.hint + i) % 1024;
        let free = !a.used[word] & if word == 0 { !1 } else { !0 };
        if free != 0 {
            let bit = free.trailing_zeros() as usize;
            a.used[word] |= 1 << bit;
            a.hint = word;
            return (word * 64 + bit) as u64;
        }
    }
    // 65,535 address spaces at once would need more page tables than any machine here has memory for.
    panic!("out of address-space identifiers");
}

/// Makes the address space with this root table the current one of the core; the caller keeps it until another is. `asid` is given a
/// number at first use.
pub fn activate(root: PhysAddr, asid: &AtomicU64) {
    let mut id = asid.load(Ordering::Relaxed);
    if id == 0 {
        let new = allocate_asid();
        id = match asid.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => new,
            Err(other) => {
                ASIDS.lock().used[new as usize / 64] &= !(1 << (new % 64));
                other
            }
        };
        // The other half of `number_in_use`.
        barrier::dsb(ISH);
    }
    TTBR0_EL1.set(root.0 as u64 | id << 48);
    barrier::isb(SY);
}

/// Leaves the core without a program's address space.
pub fn deactivate() {
    TTBR0_EL1.set(EMPTY.load(Ordering::Relaxed) as u64);
    barrier::isb(SY);
}

/// The number under which a TLB may hold something of the space, or 0. Table entries that were written before are what a core walks that
/// takes the space into use when this found it unused.
#[inline(always)]
fn number_in_use(asid: &AtomicU64) -> u64 {
    barrier::dsb(ISH);
    asid.load(Ordering::Relaxed)
}

/// Forgets all translations of a dead address space and frees its number.
pub fn release_asid(asid: &AtomicU64) {
    flush_asid(asid);
    let id = asid.swap(0, Ordering::Relaxed);
    if id != 0 {
        ASIDS.lock().used[id as usize / 64] &= !(1 << (id % 64));
    }
}

/// Forgets one page of an address space on every core, after its entry was changed.
pub fn flush_page(asid: &AtomicU64, va: usize) {
    let id = number_in_use(asid);
    if id != 0 {
        // SAFETY: forgetting translations is always allowed.
        unsafe {
            core::arch::asm!("tlbi vae1is, {}", in(reg) id << 48 | (va as u64 >> 12) & 0xfff_ffff_ffff)
        };
        barrier::dsb(ISH);
        barrier::isb(SY);
    }
}

/// Forgets every translation that the calling core has cached.
pub fn flush_this_core() {
    // SAFETY: forgetting translations is always allowed.
    unsafe { core::arch::asm!("tlbi vmalle1") };
    barrier::dsb(NSH);
    barrier::isb(SY);
}

/// Forgets an address space on every core.
pub fn flush_asid(asid: &AtomicU64) {
    let id = number_in_use(asid);
    if id != 0 {
        // SAFETY: forgetting translations is always allowed.
        unsafe { core::arch::asm!("tlbi aside1is, {}", in(reg) id << 48) };
        barrier::dsb(ISH);
        barrier::isb(SY);
    }
}
