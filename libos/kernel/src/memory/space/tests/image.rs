//! Linked programs: the image that they share.

use super::*;
use crate::memory::layout::{self, Layout};

/// A host's buffer as the image, with data that does not begin at a table's boundary.
fn image() -> &'static Layout {
    static ONCE: std::sync::OnceLock<Layout> = std::sync::OnceLock::new();
    let l = ONCE.get_or_init(|| {
        let size = 6 << 20;
        // SAFETY: the size is not zero.
        let base = unsafe {
            std::alloc::alloc_zeroed(std::alloc::Layout::from_size_align(size, 2 << 20).unwrap())
        };
        for page in 0..size / PAGE {
            // SAFETY: inside the buffer.
            unsafe { base.add(page * PAGE).write(page as u8) };
        }
        let (text, lma) = (0x1000_0000u64, 0x1_0000u64);
        let l = Layout {
            prog_text_start: text,
            prog_text_end: text + 0x28_0000,
            prog_text_lma: lma,
            prog_rodata_start: text + 0x28_0000,
            prog_rodata_end: text + 0x45_0000,
            prog_rodata_lma: lma + 0x28_0000,
            prog_data_start: text + 0x45_0000,
            prog_data_end: text + 0x46_0123,
            prog_data_lma: lma + 0x45_0000,
            prog_bss_start: text + 0x46_0123,
            prog_bss_end: text + 0x48_0800,
            ..Layout::default()
        };
        layout::set(Box::leak(Box::new(l)), PhysAddr(base as usize));
        l
    });
    // The shared tables are made once and stay.
    drop(AddressSpace::new_linked(l).unwrap());
    l
}

#[test]
fn linked_programs_share_the_image_and_own_their_data() {
    let l = image();
    without_leak(|| {
        let (text, data, bss) = (
            l.prog_text_start as usize,
            l.prog_data_start as usize,
            page_up(l.prog_bss_start),
        );
        let image_page = |va: usize| (((va - text) + l.prog_text_lma as usize) / PAGE) as u8;
        let a = AddressSpace::new_linked(l).unwrap();
        let b = AddressSpace::new_linked(l).unwrap();
        for va in (text..data + 0x1_1000).step_by(PAGE) {
            assert_eq!(read(&a, va), Ok(image_page(va)), "{va:#x}");
        }
        assert_eq!(a.resident_pages(), 0);
        write(&a, data, 200).unwrap();
        assert_eq!(
            (read(&a, data), read(&b, data)),
            (Ok(200), Ok(image_page(data)))
        );
        assert_eq!(write(&a, text, 1), Err(Errno::EFAULT));
        assert_eq!(a.handle_fault(text, Access::Write), Err(Fault::AccErr));
        assert_eq!(a.handle_fault(data, Access::Exec), Err(Fault::AccErr));
        assert_eq!(
            (read(&a, bss), write(&a, bss, 3), read(&b, bss)),
            (Ok(0), Ok(()), Ok(0))
        );
        write(&a, STACK_TOP - 1, 5).unwrap();
        let child = a.fork(Writers::None).unwrap();
        assert_eq!(
            (
                read(&child, data),
                read(&child, text),
                read(&child, STACK_TOP - 1)
            ),
            (Ok(200), Ok(image_page(text)), Ok(5))
        );
        write(&child, data, 201).unwrap();
        write(&child, data + PAGE, 202).unwrap();
        assert_eq!(
            (read(&a, data), read(&a, data + PAGE)),
            (Ok(200), Ok(image_page(data + PAGE)))
        );
        a.advise(data, PAGE, Advice::Discard).unwrap();
        assert_eq!(
            read(&a, data),
            Ok(image_page(data)),
            "discarded data is pristine again"
        );
        assert_eq!(a.unmap(text, PAGE), Err(Errno::EINVAL));
        assert_eq!(a.protect(text, PAGE, RW), Err(Errno::EACCES));
        // Root, level 2, data with bss, stack.
        assert_eq!((a.counters().tables, b.counters().tables), (4, 3));
    });
}

fn page_up(n: u64) -> usize {
    crate::base::page_up(n as usize)
}
