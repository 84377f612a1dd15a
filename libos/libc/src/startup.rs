//! From the kernel's first instruction to `main`, as a static Linux/arm64 ELF starts.
//!
//! Statics that nearly every process writes are in sections `.bss.libos.*`, which the linker script
//! puts side by side: a page less to fault in for each that is not scattered.
//!
//! SP -> argc, argv…, NULL, envp…, NULL, auxv. No operation is called and few pages are touched on
//! the way: `exec` plus `exit` is what a shell loop is made of.

use crate::string::strlen;
use crate::{exit, tcb};
use core::ffi::{c_char, c_int, c_ulong};
use core::ptr::null_mut;

type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
type Init = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char);

/// One linked program that is not part of `multicall`: an entry of the section `.apps`.
#[repr(C)]
struct App {
    name: *const c_char,
    main: Main,
}

unsafe extern "C" {
    fn main(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) -> c_int;
    static __apps_start: App;
    static __apps_end: App;
    static __init_array_start: Init;
    static __init_array_end: Init;
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.libos.start")]
pub static mut environ: *mut *mut c_char = null_mut();
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.libos.start")]
pub static mut __environ: *mut *mut c_char = null_mut();

/// The auxiliary vector: pairs of words up to AT_NULL.
#[unsafe(link_section = ".bss.libos.start")]
pub static mut AUXV: *const c_ulong = core::ptr::null();

/// The last component of `argv[0]`; null without one.
#[unsafe(link_section = ".bss.libos.start")]
pub static mut PROGRAM_NAME: *const c_char = core::ptr::null();

const MAIN_AREA: usize = 8192;
#[repr(align(64))]
#[allow(dead_code, reason = "reached by address")]
struct Area([u8; MAIN_AREA]);
/// The main thread's block. Larger TLS than fits is mapped.
#[unsafe(link_section = ".bss.libos.main_thread")]
static mut MAIN_THREAD: Area = Area([0; MAIN_AREA]);

core::arch::global_asm!(
    ".pushsection .text._start,\"ax\",@progbits",
    ".global _start",
    ".type _start, %function",
    "_start:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl __libc_start",
    "brk #1",
    ".cfi_endproc",
    ".size _start, . - _start",
    ".popsection",
);

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_start(sp: *mut usize) -> ! {
    let argc = *sp as c_int;
    let argv = sp.add(1).cast::<*mut c_char>();
    let envp = argv.add(argc as usize + 1);
    environ = envp;
    __environ = envp;
    let mut end = envp;
    while !(*end).is_null() {
        end = end.add(1);
    }
    AUXV = end.add(1).cast();
    let len = tcb::block_len();
    let thread = if len <= MAIN_AREA {
        tcb::init_block((&raw mut MAIN_THREAD).cast(), MAIN_AREA)
    } else {
        let map = crate::mman::anonymous(len);
        if map < 0 {
            door!(exit_group, 127);
        }
        tcb::init_block(map as *mut u8, len)
    };
    (*thread).main = true;
    tcb::install(thread);

    let mut entry: Main = main;
    if argc > 0 {
        PROGRAM_NAME = basename(*argv);
        let mut app = &raw const __apps_start;
        while app < &raw const __apps_end {
            if crate::string::strcmp((*app).name, PROGRAM_NAME) == 0 {
                entry = (*app).main;
            }
            app = app.add(1);
        }
    }
    run_array(
        &raw const __init_array_start,
        &raw const __init_array_end,
        argc,
        argv,
        envp,
    );
    exit::exit(entry(argc, argv, environ))
}

unsafe fn run_array(
    start: *const Init,
    end: *const Init,
    argc: c_int,
    argv: *mut *mut c_char,
    envp: *mut *mut c_char,
) {
    let mut f = start;
    while f < end {
        (*f)(argc, argv, envp);
        f = f.add(1);
    }
}

unsafe fn basename(path: *const c_char) -> *const c_char {
    let mut i = strlen(path);
    while i > 0 && *path.add(i - 1) != b'/' as c_char {
        i -= 1;
    }
    path.add(i)
}

/// An entry of the auxiliary vector.
pub unsafe fn aux(key: c_ulong) -> Option<c_ulong> {
    let mut p = AUXV;
    while *p != 0 {
        if *p == key {
            return Some(*p.add(1));
        }
        p = p.add(2);
    }
    None
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getauxval(key: c_ulong) -> c_ulong {
    aux(key).unwrap_or_else(|| {
        crate::errno::set(libc::ENOENT);
        0
    })
}
