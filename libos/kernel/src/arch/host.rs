//! The processor as far as host unit tests need one.

/// As the bare-metal function of this name; nothing faults here.
///
/// # Safety
/// `dst` and `src` are valid for `len` bytes.
pub unsafe fn copy_user(dst: *mut u8, src: *const u8, len: usize) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::copy_nonoverlapping(src, dst, len) };
    0
}

/// As the bare-metal function of this name.
///
/// # Safety
/// `dst` and `src` are valid for `count` half-words that are `stride` bytes apart.
pub unsafe fn copy_user_halves(
    dst: *mut u16,
    src: *const u16,
    stride: usize,
    count: usize,
) -> usize {
    for i in 0..count {
        // SAFETY: passed on to the caller.
        unsafe { *dst.byte_add(i * stride) = *src.byte_add(i * stride) };
    }
    0
}

/// As the bare-metal function of this name.
///
/// # Safety
/// `word` is aligned and valid, and so is `found`.
pub unsafe fn cas_user(word: *mut u32, expected: u32, new: u32, found: *mut u32) -> usize {
    use core::sync::atomic::{AtomicU32, Ordering};
    // SAFETY: passed on to the caller.
    let word = unsafe { AtomicU32::from_ptr(word) };
    let (Ok(old) | Err(old)) =
        word.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire);
    // SAFETY: passed on to the caller.
    unsafe { *found = old };
    0
}

/// As the bare-metal function of this name.
///
/// # Safety
/// `dst` is valid for `len` bytes.
pub unsafe fn zero_user(dst: *mut u8, len: usize) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::write_bytes(dst, 0, len) };
    0
}

/// Zeroes one page.
///
/// # Safety
/// `page` is the page-aligned start of 4096 writable bytes.
pub unsafe fn zero_page(page: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::write_bytes(page, 0, 4096) };
}

/// Copies one page.
///
/// # Safety
/// Both are page-aligned, 4096 bytes long and distinct.
pub unsafe fn copy_page(dst: *mut u8, src: *const u8) {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::copy_nonoverlapping(src, dst, 4096) };
}

pub fn load_u64(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

pub fn load_u32(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

pub fn cpu_id() -> usize {
    0
}

/// The calls that led here; not kept on the host.
#[cfg(debug_assertions)]
pub fn return_addresses() -> impl Iterator<Item = usize> {
    core::iter::empty()
}

pub mod mmu {
    use crate::base::PhysAddr;
    use core::sync::atomic::AtomicU64;

    pub fn activate(_root: PhysAddr, _asid: &AtomicU64) {}
    pub fn deactivate() {}
    pub fn release_asid(_asid: &AtomicU64) {}
    pub fn flush_page(_asid: &AtomicU64, _va: usize) {}
    pub fn flush_asid(_asid: &AtomicU64) {}
}

pub mod time {
    pub fn set_deadline(_deadline: Option<u64>) {}

    pub fn monotonic_ns() -> u64 {
        use std::time::Instant;
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}
