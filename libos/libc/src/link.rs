//! What the unwinder and std ask of the dynamic linker that is not there.

use crate::startup::PROGRAM_NAME;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::{null, null_mut};
use libc::{Elf64_Phdr, dl_phdr_info};

unsafe extern "C" {
    static __prog_text_start: u8;
    static __prog_text_end: u8;
    static __eh_frame_hdr_start: u8;
    static __eh_frame_hdr_end: u8;
}

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_R: u32 = 4;

/// One object: the image, with the two segments that an unwinder looks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dl_iterate_phdr(
    f: unsafe extern "C" fn(*mut dl_phdr_info, usize, *mut c_void) -> c_int,
    arg: *mut c_void,
) -> c_int {
    let segment = |kind: u32, flags: u32, start: *const u8, end: *const u8| {
        let len = end as u64 - start as u64;
        Elf64_Phdr {
            p_type: kind,
            p_flags: flags,
            p_offset: 0,
            p_vaddr: start as u64,
            p_paddr: start as u64,
            p_filesz: len,
            p_memsz: len,
            p_align: 4,
        }
    };
    let headers = [
        segment(
            PT_LOAD,
            PF_R | PF_X,
            &raw const __prog_text_start,
            &raw const __prog_text_end,
        ),
        segment(
            libc::PT_GNU_EH_FRAME,
            PF_R,
            &raw const __eh_frame_hdr_start,
            &raw const __eh_frame_hdr_end,
        ),
    ];
    let mut info: dl_phdr_info = core::mem::zeroed();
    // Addresses are absolute; the empty name stands for the program.
    info.dlpi_addr = 0;
    info.dlpi_name = c"".as_ptr();
    info.dlpi_phdr = headers.as_ptr();
    info.dlpi_phnum = headers.len() as u16;
    info.dlpi_adds = 1;
    f(&raw mut info, size_of::<dl_phdr_info>(), arg)
}

/// Nothing is loaded at run time, so no name can be looked up: every symbol is absent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlsym(_handle: *mut c_void, _name: *const c_char) -> *mut c_void {
    DLERROR = true;
    null_mut()
}

static mut DLERROR: bool = false;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlopen(_path: *const c_char, _flags: c_int) -> *mut c_void {
    DLERROR = true;
    null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(_handle: *mut c_void) -> c_int {
    DLERROR = true;
    -1
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlerror() -> *const c_char {
    let failed = DLERROR;
    DLERROR = false;
    if failed {
        c"Dynamic loading not supported".as_ptr()
    } else {
        null()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dladdr(_at: *const c_void, _info: *mut libc::Dl_info) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getprogname() -> *const c_char {
    if PROGRAM_NAME.is_null() {
        c"?".as_ptr()
    } else {
        PROGRAM_NAME
    }
}
