//! The direct door: a linked program calls the kernel on the kernel's own stack.
//!
//! EL1t (SP_EL0) is the program, EL1h (SP_EL1) is the kernel; `msr spsel` is the border. IRQs are
//! masked on the kernel's side only. The arguments stay on the program's stack for the one case
//! that needs them again: -512 (ERESTARTSYS) asks for the same call once more.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.__door,\"ax\",@progbits",
    ".p2align 4",
    ".type __door, %function",
    ".global __door",
    "__door:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-80]!",
    ".cfi_def_cfa_offset 80",
    ".cfi_offset x29, -80",
    ".cfi_offset x30, -72",
    "mov x29, sp",
    "stp x0, x1, [sp, #16]",
    "stp x2, x3, [sp, #32]",
    "stp x4, x5, [sp, #48]",
    "str x16, [sp, #64]",
    "1: msr daifset, #2",
    "msr spsel, #1",
    "blr x16",
    "msr spsel, #0",
    "msr daifclr, #2",
    "cmn x0, #512",
    "b.eq 2f",
    "ldp x29, x30, [sp], #80",
    "ret",
    "2: ldp x0, x1, [sp, #16]",
    "ldp x2, x3, [sp, #32]",
    "ldp x4, x5, [sp, #48]",
    "ldr x16, [sp, #64]",
    "b 1b",
    ".cfi_endproc",
    ".size __door, . - __door",
    ".popsection",
);

macro_rules! unnumbered {
    ($name:literal) => {
        global_asm!(
            concat!(".pushsection .text.__door_", $name, ",\"ax\",@progbits"),
            ".p2align 2",
            concat!(".global __door_", $name),
            concat!(".type __door_", $name, ", %function"),
            concat!("__door_", $name, ":"),
            concat!("movz x16, #:abs_g3:os_", $name),
            concat!("movk x16, #:abs_g2_nc:os_", $name),
            concat!("movk x16, #:abs_g1_nc:os_", $name),
            concat!("movk x16, #:abs_g0_nc:os_", $name),
            "b __door",
            ".popsection",
        );
    };
}
unnumbered!("fork");
unnumbered!("spawn");

// These cannot use the program's stack as `__door` does: the signal frame lies at its top, the new thread
// has another one, and the stack that a detached thread unmaps is its own.
global_asm!(
    ".macro DOOR op",
    "movz x16, #:abs_g3:os_\\op",
    "movk x16, #:abs_g2_nc:os_\\op",
    "movk x16, #:abs_g1_nc:os_\\op",
    "movk x16, #:abs_g0_nc:os_\\op",
    "msr daifset, #2",
    "msr spsel, #1",
    "blr x16",
    "msr spsel, #0",
    "msr daifclr, #2",
    ".endm",
    ".pushsection .text.__libc_restore,\"ax\",@progbits",
    ".p2align 2",
    ".global __libc_restore",
    ".type __libc_restore, %function",
    "__libc_restore:",
    "DOOR rt_sigreturn",
    "brk #1",
    ".popsection",
    // __libc_clone(flags, stack, ptid, tls, ctid, fn, arg): the child calls fn(arg).
    ".pushsection .text.__libc_clone,\"ax\",@progbits",
    ".p2align 2",
    ".global __libc_clone",
    ".type __libc_clone, %function",
    "__libc_clone:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-64]!",
    ".cfi_def_cfa_offset 64",
    ".cfi_offset x29, -64",
    ".cfi_offset x30, -56",
    "mov x29, sp",
    "stp x5, x6, [x1, #-16]!",
    "stp x0, x1, [sp, #16]",
    "stp x2, x3, [sp, #32]",
    "str x4, [sp, #48]",
    "2: DOOR clone",
    "cbz x0, 1f",
    "cmn x0, #512",
    "b.eq 3f",
    "ldp x29, x30, [sp], #64",
    "ret",
    "3: ldp x0, x1, [sp, #16]",
    "ldp x2, x3, [sp, #32]",
    "ldr x4, [sp, #48]",
    "b 2b",
    ".cfi_undefined x30",
    "1: ldp x1, x0, [sp], #16",
    "mov x29, xzr",
    "mov x30, xzr",
    "blr x1",
    "brk #1",
    ".cfi_endproc",
    ".popsection",
    // __libc_unmap_exit(base, len): signals are blocked by now.
    ".pushsection .text.__libc_unmap_exit,\"ax\",@progbits",
    ".p2align 2",
    ".global __libc_unmap_exit",
    ".type __libc_unmap_exit, %function",
    "__libc_unmap_exit:",
    "DOOR munmap",
    "mov x0, xzr",
    "DOOR exit",
    "brk #1",
    ".popsection",
);
