//! Translation tables as the processor sees them: what each address leads to and may be used for, asked with the instruction
//! `AT` (Arm ARM C6.2.18), which walks the tables that are in force.

use super::{Test, Verdict, ensure, tests};
use crate::arch::mmu;
use crate::base::{PAGE_SIZE, PhysAddr};
use crate::memory::space::{MapFlags, MapRequest};
use crate::memory::{self, Access, AddressSpace, ProgramKind, Protection, Writers, phys_to_virt};
use crate::process::stack::{KernelStack, STACK_SIZE};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub const TESTS: &[Test] = tests!["tables":
    kernel_text_and_constants_cannot_be_written,
    nothing_is_writable_and_executable,
    kernel_stacks_lie_between_guards,
    a_page_leads_to_its_frame,
    protection_is_the_processors,
    an_unmapped_page_is_gone_at_once,
    spaces_are_apart,
    address_zero_leads_nowhere,
    a_fork_shares_until_one_side_writes,
    every_table_comes_back,
];

/// Where `va` leads for this access, if it may be made.
fn translate(va: usize, access: Access) -> Option<PhysAddr> {
    let result: usize;
    // SAFETY: AT changes nothing but PAR_EL1, which nobody else uses; interrupts are masked.
    unsafe {
        match access {
            Access::Write => {
                core::arch::asm!("at s1e1w, {va}", "isb", "mrs {r}, par_el1", va = in(reg) va, r = out(reg) result)
            }
            _ => {
                core::arch::asm!("at s1e1r, {va}", "isb", "mrs {r}, par_el1", va = in(reg) va, r = out(reg) result)
            }
        }
    }
    // PAR_EL1.F: the translation failed. PA is in bits 47 to 12.
    (result & 1 == 0).then_some(PhysAddr((result & 0xffff_ffff_f000) | va & (PAGE_SIZE - 1)))
}

fn is_writable(va: usize) -> bool {
    translate(va, Access::Write).is_some()
}

fn is_readable(va: usize) -> bool {
    translate(va, Access::Read).is_some()
}

/// Addresses at the start, in the middle and at the end of a range.
fn samples(start: u64, end: u64) -> [usize; 3] {
    [start, start.midpoint(end), end - 1].map(|va| va as usize)
}

fn kernel_text_and_constants_cannot_be_written() -> Verdict {
    let l = memory::layout();
    for va in samples(l.kernel_text_start, l.kernel_rodata_end) {
        let phys = translate(va, Access::Read).ok_or_else(|| format!("{va:#x} is not mapped"))?;
        ensure!(!is_writable(va), "{va:#x} can be written");
        let alias = phys_to_virt(phys).addr();
        ensure!(is_readable(alias), "{alias:#x} is not mapped");
        ensure!(
            !is_writable(alias),
            "{va:#x} can be written in the linear map"
        );
    }
    for va in samples(l.kernel_data_start, l.kernel_bss_end) {
        ensure!(is_writable(va), "data at {va:#x} cannot be written");
    }
    Ok(())
}

/// Calls `f(virtual address, descriptor)` for each block and page below the kernel's table.
fn each_leaf(table: usize, level: usize, base: usize, f: &mut impl FnMut(usize, u64)) {
    const ADDRESS: u64 = 0xffff_ffff_f000;
    for i in 0..512 {
        // SAFETY: a table of the kernel's, in the linear map; nothing changes it while the tests run.
        let entry = unsafe { *phys_to_virt(PhysAddr(table)).cast::<u64>().add(i) };
        let va = base + (i << (39 - 9 * level));
        match entry & 3 {
            3 if level < 3 => each_leaf((entry & ADDRESS) as usize, level + 1, va, f),
            1 | 3 => f(va, entry),
            _ => {}
        }
    }
}

fn nothing_is_writable_and_executable() -> Verdict {
    const READ_ONLY: u64 = 1 << 7;
    const PXN: u64 = 1 << 53;
    const UXN: u64 = 1 << 54;
    let l = memory::layout();
    let text = l.kernel_text_start as usize..crate::base::page_up(l.kernel_text_end as usize);
    let (mut executable, mut wrong) = (0, Vec::new());
    each_leaf(mmu::kernel_root(), 1, mmu::LINEAR_BASE, &mut |va, entry| {
        let runs = entry & PXN == 0;
        executable += usize::from(runs);
        let writable = entry & READ_ONLY == 0;
        if entry & UXN == 0 || runs && (writable || !text.contains(&va)) {
            wrong.push(format!("{va:#x}: {entry:#x}"));
        }
    });
    ensure!(executable > 0, "no page of the kernel is executable");
    ensure!(wrong.is_empty(), "{}", wrong.join(", "));
    Ok(())
}

fn kernel_stacks_lie_between_guards() -> Verdict {
    let stack = KernelStack::new().map_err(|e| format!("{e:?}"))?;
    let (bottom, top) = (stack.top() - STACK_SIZE, stack.top());
    for va in (bottom..top).step_by(PAGE_SIZE) {
        ensure!(is_writable(va), "{va:#x} of a stack cannot be written");
    }
    for va in [bottom - 1, bottom - STACK_SIZE, top, top + STACK_SIZE - 1] {
        ensure!(!is_readable(va), "{va:#x} beside a stack is mapped");
    }
    Ok(())
}

/// A program's space, in force on this core for as long as it lives.
struct Active(Option<AddressSpace>);

impl Active {
    fn new() -> Result<Self, String> {
        let space = AddressSpace::new_empty(ProgramKind::Linked).map_err(|e| format!("{e:?}"))?;
        space.activate();
        Ok(Active(Some(space)))
    }

    fn space(&self) -> &AddressSpace {
        self.0.as_ref().expect("taken by drop only")
    }

    /// Anonymous memory, of which no page is there yet.
    fn map(&self, pages: usize) -> Result<usize, String> {
        let request = MapRequest {
            addr: 0,
            len: pages * PAGE_SIZE,
            protection: Protection::READ | Protection::WRITE,
            flags: MapFlags::ANONYMOUS,
            source: None,
            offset: 0,
            shared: false,
            never_write: false,
        };
        self.space().map(request).map_err(|e| format!("{e:?}"))
    }

    fn write(&self, va: usize, bytes: &[u8]) -> Verdict {
        self.space()
            .write_memory(va, bytes)
            .map_err(|e| format!("write to {va:#x}: {e:?}"))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        mmu::deactivate();
        drop(self.0.take());
    }
}

/// The first byte of what `va` leads to, by way of the linear map.
fn byte_at(va: usize) -> Option<u8> {
    let phys = translate(va, Access::Read)?;
    // SAFETY: a frame of a live space, in the linear map.
    Some(unsafe { phys_to_virt(phys).read_volatile() })
}

fn a_page_leads_to_its_frame() -> Verdict {
    let active = Active::new()?;
    let va = active.map(600)?;
    ensure!(!is_readable(va), "a page is there before it is used");
    // Across the border of a level-3 table.
    for page in (0..600).step_by(7) {
        let at = va + page * PAGE_SIZE;
        active.write(at, &[page as u8, 1])?;
        let phys = translate(at, Access::Write).ok_or_else(|| format!("{at:#x} is not there"))?;
        ensure!(memory::frames::is_managed(phys), "{phys:?} is no frame");
        // SAFETY: the space is in force and the page mapped; EL1 may use it.
        let through = unsafe { (at as *const u8).read_volatile() };
        ensure!(
            through == page as u8 && byte_at(at) == Some(through),
            "page {page} holds {through}"
        );
    }
    Ok(())
}

fn protection_is_the_processors() -> Verdict {
    let active = Active::new()?;
    let va = active.map(3)?;
    for page in 0..3 {
        active.write(va + page * PAGE_SIZE, b"x")?;
    }
    let protect = |page: usize, protection| {
        active
            .space()
            .protect(va + page * PAGE_SIZE, PAGE_SIZE, protection)
            .map_err(|e| format!("{e:?}"))
    };
    protect(0, Protection::READ)?;
    protect(1, Protection::empty())?;
    let rights = |page: usize| {
        let at = va + page * PAGE_SIZE;
        (is_readable(at), is_writable(at))
    };
    let found = [rights(0), rights(1), rights(2)];
    ensure!(
        found == [(true, false), (false, false), (true, true)],
        "read and write are {found:?}"
    );
    protect(1, Protection::READ)?;
    ensure!(byte_at(va + PAGE_SIZE) == Some(b'x'), "the page was lost");
    Ok(())
}

fn an_unmapped_page_is_gone_at_once() -> Verdict {
    let active = Active::new()?;
    let va = active.map(2)?;
    active.write(va, b"a")?;
    active.write(va + PAGE_SIZE, b"b")?;
    // SAFETY: mapped and in force; this puts the translation into the TLB.
    unsafe { (va as *const u8).read_volatile() };
    active
        .space()
        .unmap(va, PAGE_SIZE)
        .map_err(|e| format!("{e:?}"))?;
    ensure!(!is_readable(va), "still there");
    ensure!(
        byte_at(va + PAGE_SIZE) == Some(b'b'),
        "its neighbour went too"
    );
    Ok(())
}

fn spaces_are_apart() -> Verdict {
    let first = Active::new()?;
    let va = first.map(1)?;
    first.write(va, b"1")?;
    let second = Active::new()?;
    ensure!(!is_readable(va), "the other space's page is to be seen");
    ensure!(
        second.map(1)? == va,
        "two empty spaces have room at two places"
    );
    second.write(va, b"2")?;
    ensure!(byte_at(va) == Some(b'2'), "not the second space's page");
    first.space().activate();
    ensure!(byte_at(va) == Some(b'1'), "not the first space's page");
    Ok(())
}

fn address_zero_leads_nowhere() -> Verdict {
    ensure!(!is_readable(0), "without a program");
    let active = Active::new()?;
    ensure!(!is_readable(0) && !is_readable(PAGE_SIZE - 1), "in a space");
    drop(active);
    let space = AddressSpace::new_linked(memory::layout()).map_err(|e| format!("{e:?}"))?;
    let active = Active(Some(space));
    active.space().activate();
    ensure!(!is_readable(0), "in a linked program");
    let l = memory::layout();
    for va in samples(l.prog_text_start, l.prog_text_end) {
        ensure!(is_readable(va), "a program's text at {va:#x} is not there");
        ensure!(!is_writable(va), "a program's text at {va:#x} is writable");
    }
    Ok(())
}

fn a_fork_shares_until_one_side_writes() -> Verdict {
    let parent = Active::new()?;
    let va = parent.map(1)?;
    parent.write(va, b"p")?;
    let frame = translate(va, Access::Write);
    ensure!(frame.is_some(), "a written page cannot be written");
    let child = Active(Some(
        parent
            .space()
            .fork(Writers::None)
            .map_err(|e| format!("{e:?}"))?,
    ));
    ensure!(!is_writable(va), "the parent can write to what it shares");
    child.space().activate();
    ensure!(
        translate(va, Access::Read) == frame,
        "the child's page is not the parent's"
    );
    ensure!(!is_writable(va), "the child can write to what it shares");
    child.write(va, b"c")?;
    let copy = translate(va, Access::Write);
    ensure!(
        copy.is_some() && copy != frame,
        "the child wrote to {copy:?}, shared was {frame:?}"
    );
    parent.space().activate();
    ensure!(
        byte_at(va) == Some(b'p'),
        "the parent sees the child's byte"
    );
    // The last one that shares takes the frame back without a copy.
    parent.write(va, b"q")?;
    ensure!(
        translate(va, Access::Write) == frame,
        "the parent's own page was copied"
    );
    child.space().activate();
    ensure!(
        byte_at(va) == Some(b'c'),
        "the child sees the parent's byte"
    );
    Ok(())
}

fn every_table_comes_back() -> Verdict {
    let before = memory::frames::free_count();
    for _ in 0..50 {
        let active = Active::new()?;
        for _ in 0..4 {
            let va = active.map(700)?;
            active.write(va, b"x")?;
            active.write(va + 699 * PAGE_SIZE, b"x")?;
        }
        let child = Active(Some(
            active
                .space()
                .fork(Writers::None)
                .map_err(|e| format!("{e:?}"))?,
        ));
        ensure!(
            memory::frames::free_count() < before,
            "a space without frames"
        );
        drop(child);
    }
    let after = memory::frames::free_count();
    ensure!(before == after, "{before} frames before, {after} after");
    Ok(())
}
