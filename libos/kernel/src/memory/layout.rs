//! Where the parts of the image are: the linker script's table.

use crate::base::PhysAddr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Where the kernel is linked, as `linker.ld` has it.
pub const KERNEL_BASE: usize = 0xffff_ffff_8000_0000;

/// The table that `linker.ld` writes. `*_lma` are offsets in the image: physical address = [`image_base`] + lma.
/// All other addresses are virtual. Order and types are the linker script's: append only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Bytes of the image's file, and of memory that it takes: the kernel's bss follows.
    pub file_size: u64,
    pub memory_size: u64,
    pub kernel_text_start: u64,
    pub kernel_text_end: u64,
    pub kernel_rodata_end: u64,
    pub kernel_data_start: u64,
    pub kernel_data_end: u64,
    pub kernel_bss_start: u64,
    pub kernel_bss_end: u64,
    pub prog_text_start: u64,
    pub prog_text_end: u64,
    pub prog_text_lma: u64,
    pub prog_rodata_start: u64,
    pub prog_rodata_end: u64,
    pub prog_rodata_lma: u64,
    pub prog_data_start: u64,
    pub prog_data_end: u64,
    pub prog_data_lma: u64,
    pub prog_bss_start: u64,
    pub prog_bss_end: u64,
    pub rootfs_lma: u64,
    pub rootfs_size: u64,
    pub entry: u64,
    pub symbols_start: u64,
    pub symbols_end: u64,
    /// Where programs see [`crate::time::page`]; among their constants.
    pub clock_page: u64,
}

static LAYOUT: AtomicPtr<Layout> = AtomicPtr::new(core::ptr::null_mut());
static IMAGE_BASE: AtomicUsize = AtomicUsize::new(0);

/// Called once by boot, before any address space exists.
pub fn set(layout: &'static Layout, image_base: PhysAddr) {
    IMAGE_BASE.store(image_base.0, Ordering::Relaxed);
    LAYOUT.store(core::ptr::from_ref(layout).cast_mut(), Ordering::Release);
}

/// The image's table. Panics before [`set`].
pub fn layout() -> &'static Layout {
    let p = LAYOUT.load(Ordering::Acquire);
    assert!(!p.is_null(), "image layout asked for before boot set it");
    // SAFETY: only `set` writes it, with a `&'static`.
    unsafe { &*p }
}

/// Physical address of the image's first byte.
pub fn image_base() -> PhysAddr {
    PhysAddr(IMAGE_BASE.load(Ordering::Relaxed))
}
