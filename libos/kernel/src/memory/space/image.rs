//! The image of linked programs: text and constants in tables that all share, data in pristine frames.
//!
//! The tables are built once. Those that hold nothing but text and constants hang in every linked process's tree; those that
//! also span data are per process and start as copies of a template.

use super::heat::Heat;
use super::{AddressSpace, ProgramKind};
use crate::base::SpinLock;
use crate::base::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Result, page_down, page_up};
use crate::memory::area::{Area, AreaFlags, Backing};
use crate::memory::layout::{Layout, image_base};
use crate::memory::paging::{
    CONTIGUOUS, Entry, FrameTables, LEAF_SPAN, PageTable, Tables, attributes,
};
use crate::memory::{Protection, commit, frames, hw, phys_to_virt};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What every linked process's tree starts with.
struct Template {
    /// Tables of text and constants: address, table.
    shared: Vec<(usize, PhysAddr)>,
    /// Tables of constants that lie in the same two megabytes as data, to be copied: address, table.
    mixed: Vec<(usize, PhysAddr)>,
    text: (usize, usize),
    rodata: (usize, usize),
    data: (usize, usize),
    data_phys: PhysAddr,
    bss: (usize, usize),
    heat: Heat,
}

static TEMPLATE: AtomicPtr<Template> = AtomicPtr::new(core::ptr::null_mut());
/// Held while the template is made.
static BUILDING: SpinLock<()> = SpinLock::new(());

fn template(layout: &Layout) -> Result<&'static Template> {
    if TEMPLATE.load(Ordering::Acquire).is_null() {
        let _one = BUILDING.lock();
        if TEMPLATE.load(Ordering::Acquire).is_null() {
            let built = alloc::boxed::Box::new(build(layout)?);
            TEMPLATE.store(alloc::boxed::Box::into_raw(built), Ordering::Release);
        }
    }
    Ok(existing())
}

fn existing() -> &'static Template {
    let p = TEMPLATE.load(Ordering::Acquire);
    assert!(!p.is_null(), "an image area before the image was mapped");
    // SAFETY: made by `template` from a box that is never freed.
    unsafe { &*p }
}

fn build(layout: &Layout) -> Result<Template> {
    let range = |start: u64, end: u64| (page_down(start as usize), page_up(end as usize));
    let text = range(layout.prog_text_start, layout.prog_text_end);
    let rodata = range(layout.prog_rodata_start, layout.prog_rodata_end);
    let data = range(layout.prog_data_start, layout.prog_data_end);
    // The bss that shares data's last page is in its pristine copy already: the image pads with zeros.
    let bss = (
        page_up(layout.prog_bss_start as usize).max(data.1),
        page_up(layout.prog_bss_end as usize).max(data.1),
    );
    let phys = |lma: u64| PhysAddr(page_down(image_base().0 + lma as usize));
    let clock_page = layout.clock_page as usize;
    let sections = [
        (
            text,
            phys(layout.prog_text_lma),
            Protection::READ | Protection::EXEC,
        ),
        (rodata, phys(layout.prog_rodata_lma), Protection::READ),
    ];

    let mut shared: Vec<(usize, PhysAddr)> = Vec::new();
    let mut mixed: Vec<(usize, PhysAddr)> = Vec::new();
    for ((start, end), phys, protection) in sections {
        let rights = attributes(ProgramKind::Linked, protection);
        for page in (start..end).step_by(PAGE_SIZE) {
            let frame = if page == clock_page {
                crate::time::page::frame()
            } else {
                phys.add(page - start)
            };
            let mut e = Entry::fixed(frame, rights);
            // Sixteen pages alike, aligned in both address spaces, may share a TLB entry.
            let group = page & !0xffff;
            if group == clock_page & !0xffff {
                // One of them lies elsewhere.
            } else if (page ^ frame.0) & 0xffff == 0 && group >= start && group + 0x1_0000 <= end {
                e = Entry(e.0 | CONTIGUOUS);
            }
            let table_start = page & !(LEAF_SPAN - 1);
            let tables = if table_start + LEAF_SPAN > data.0 {
                &mut mixed
            } else {
                &mut shared
            };
            let table = match tables.last() {
                Some(&(at, table)) if at == table_start => table,
                _ => {
                    let table = frames::alloc_zeroed()?.into_raw();
                    tables.push((table_start, table));
                    table
                }
            };
            // SAFETY: the table is ours alone until the template is published.
            unsafe { (&*FrameTables.view(table))[(page % LEAF_SPAN) >> PAGE_SHIFT].set(e) };
        }
    }
    Ok(Template {
        shared,
        mixed,
        text,
        rodata,
        data,
        data_phys: phys(layout.prog_data_lma),
        bss,
        heat: Heat::new((bss.1 - data.0) >> PAGE_SHIFT),
    })
}

impl Template {
    /// Gives a new program its own copy of the page at `offset` of data and bss.
    fn hand_out(&self, table: &mut PageTable<FrameTables>, offset: usize) -> Result<()> {
        let page = self.data.0 + offset;
        let slot = table.slot_or_make(page)?;
        let frame = if page < self.data.1 {
            let frame = frames::alloc_frame()?;
            hw::copy_page(frame.as_ptr(), phys_to_virt(self.data_phys.add(offset)));
            frame
        } else {
            frames::alloc_zeroed()?
        };
        let rights = attributes(ProgramKind::Linked, Protection::READ | Protection::WRITE);
        slot.set(Entry::owned(frame.into_raw(), rights));
        Ok(())
    }
}

/// A program whose exec was a lesson has written a page for the first time.
#[cold]
pub fn note_first_write(page: usize) {
    let t = existing();
    if page >= t.data.0 {
        t.heat.note((page - t.data.0) >> PAGE_SHIFT);
    }
}

/// Puts text and constants into the tree of a linked process, first of all.
pub fn map_shared(table: &mut PageTable<FrameTables>) -> Result<()> {
    let t = existing();
    table.borrow_leaves(&t.shared)?;
    for &(va, leaf) in &t.mixed {
        table.copy_leaf(va, leaf)?;
    }
    Ok(())
}

impl AddressSpace {
    /// A space with the program image, an empty heap after its bss, and a stack.
    pub fn new_linked(layout: &Layout) -> Result<Self> {
        let t = template(layout)?;
        let mut space = AddressSpace::new_empty(ProgramKind::Linked)?;
        let inner = space.inner.get_mut();
        map_shared(&mut inner.table)?;

        let read_write = Protection::READ | Protection::WRITE;
        let area = |(start, end): (usize, usize), backing, protection| Area {
            start,
            end,
            backing,
            protection,
            flags: match protection.contains(Protection::WRITE) {
                true => AreaFlags::COMMITTED,
                false => AreaFlags::empty(),
            },
            shared: false,
        };
        let sections = [
            area(t.text, Backing::Image, Protection::READ | Protection::EXEC),
            area(t.rodata, Backing::Image, Protection::READ),
            area(t.data, Backing::Pristine(t.data_phys), read_write),
            area(t.bss, Backing::Anonymous, read_write),
        ];
        for a in sections {
            if a.start < a.end {
                inner.size += a.pages();
                if a.flags.contains(AreaFlags::COMMITTED) {
                    inner.committed += a.pages();
                }
                inner.areas.push(a);
            }
        }
        commit::check(inner.committed).inspect_err(|_| inner.committed = 0)?;
        commit::charge(inner.committed);
        // All data is readable from the start; only writes fault.
        let rights = attributes(ProgramKind::Linked, Protection::READ);
        let (mut at, end) = t.data;
        while at < end {
            let next = end.min((at | (LEAF_SPAN - 1)) + 1);
            let first = (at % LEAF_SPAN) >> PAGE_SHIFT;
            let mut phys = t.data_phys.add(at - t.data.0);
            for slot in &inner.table.leaf_or_make(at)?[first..first + ((next - at) >> PAGE_SHIFT)] {
                slot.set(Entry::fixed(phys, rights));
                phys = phys.add(PAGE_SIZE);
            }
            at = next;
        }
        (inner.brk_start, inner.brk) = (t.bss.1, t.bss.1);
        let mut handed_out = 0;
        inner.lesson = t.heat.start(|page| {
            // Without a frame the program faults for it, and hears of the shortage then.
            handed_out += t.hand_out(&mut inner.table, page << PAGE_SHIFT).is_ok() as isize;
        });
        *space.tables.get_mut() = inner.table.table_count();
        space.count_resident(handed_out);
        space.add_stack()?;
        Ok(space)
    }
}
