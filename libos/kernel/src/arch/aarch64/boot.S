// The target is soft-float, the assembler need not be.
.arch_extension fp
.arch_extension simd
// The image's first bytes and the way from the loader to Rust: Linux arm64 boot protocol
// (Documentation/arch/arm64/booting.rst): MMU off, x0 = physical address of the device tree, EL2 or EL1.

.section .head.text, "ax"
.global _image_head
_image_head:
    b       primary_entry
    nop
    .quad   0                       // text_offset
    .quad   __image_size            // memory the image needs, .bss included
    .quad   0xa                     // little endian, 4 KiB pages, anywhere in RAM
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

.section .text.boot, "ax"
primary_entry:
    mov     x20, x0                 // device tree
    bl      drop_to_el1
    adrp    x21, _image_head        // where the image is

    // Zero the kernel's .bss (the loader need not). All stores go past the caches until they are on: what firmware has left there
    // must neither be written back over them nor be found in their place.
    bl      drop_cached_bss
    adrp    x0, __kernel_bss_start
    add     x0, x0, :lo12:__kernel_bss_start
    adrp    x1, __kernel_bss_end
    add     x1, x1, :lo12:__kernel_bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:
    // Early tables, replaced by mmu::init: identity map of the image's GiB in TTBR0; in TTBR1 the linear map of the image's
    // and the device tree's GiB, and the image at its link address by 2 MiB blocks, all writable and executable.
    adrp    x22, early_ttbr0
    adrp    x23, early_ttbr1
    adrp    x24, early_l2
    lsr     x1, x21, #30
    lsl     x2, x1, #30
    mov     x3, #0x701              // block, AF, inner shareable, attribute 0
    orr     x2, x2, x3
    str     x2, [x22, x1, lsl #3]
    str     x2, [x23, x1, lsl #3]
    lsr     x1, x20, #30
    lsl     x2, x1, #30
    orr     x2, x2, x3
    str     x2, [x23, x1, lsl #3]
    orr     x2, x24, #3
    str     x2, [x23, #510*8]       // 0xffff_ffff_8000_0000
    mov     x1, #0
    orr     x2, x21, x3
3:  str     x2, [x24, x1, lsl #3]
    add     x2, x2, #0x200000
    add     x1, x1, #1
    cmp     x1, #64
    b.ne    3b

    // Lines may have been fetched again meanwhile, by speculation.
    bl      drop_cached_bss
    mov     x25, x22
    mov     x26, x23
    bl      mmu_on
    ldr     x0, =boot_stack_top
    mov     sp, x0
    mov     x29, #0
    mov     x0, x20
    mov     x1, x21
    ldr     x2, =kernel_main
    mov     x30, #0
    br      x2

// Secondary cores: PSCI gives x0 = physical address of a SecondaryStart { ttbr0, ttbr1, stack, entry, argument }.
.global secondary_entry
secondary_entry:
    mov     x20, x0
    bl      drop_to_el1
    ldp     x25, x26, [x20]
    ldp     x21, x22, [x20, #16]
    ldr     x23, [x20, #32]
    bl      mmu_on
    mov     sp, x21
    mov     x29, #0
    mov     x30, #0
    mov     x0, x23
    br      x22

// Invalidates the kernel's .bss, early tables included, in all caches.
drop_cached_bss:
    adrp    x0, __kernel_bss_start
    add     x0, x0, :lo12:__kernel_bss_start
    adrp    x1, __kernel_bss_end
    add     x1, x1, :lo12:__kernel_bss_end
    mrs     x2, ctr_el0             // DminLine: log2 of the words in the smallest line
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x3, x3, x2
    dmb     sy
1:  dc      ivac, x0
    add     x0, x0, x3
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret

// Turns the MMU and caches on with TTBR0 = x25, TTBR1 = x26.
mmu_on:
    mov     x0, #0x04ff             // MAIR: 0 normal write-back, 1 device nGnRE, 2 normal non-cacheable
    movk    x0, #0x0044, lsl #16
    msr     mair_el1, x0
    // 39-bit halves, 4 KiB granule, inner shareable write-back walks, 16-bit ASIDs in TTBR0, physical size from the core.
    ldr     x0, =((25) | (1 << 8) | (1 << 10) | (3 << 12) | (25 << 16) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30) | (1 << 36))
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf
    cmp     x1, #5
    mov     x2, #5
    csel    x1, x1, x2, ls
    orr     x0, x0, x1, lsl #32
    msr     tcr_el1, x0
    msr     ttbr0_el1, x25
    msr     ttbr1_el1, x26
    isb
    tlbi    vmalle1
    dsb     nsh
    ic      iallu
    dsb     nsh
    isb
    // Reserved-one bits of Armv8.0 SCTLR_EL1, plus M, C, SA, SA0, I, DZE, UCT, nTWI, nTWE, UCI.
    ldr     x0, =(0x30d00800 | 1 | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 18) | (1 << 26))
    msr     sctlr_el1, x0
    isb
    // FP and SIMD for programs and the copy routines; counters readable everywhere.
    mov     x0, #(3 << 20)
    msr     cpacr_el1, x0
    mov     x0, #3
    msr     cntkctl_el1, x0
    isb
    // Continue at the link address.
    ldr     x0, =1f
    adr     x1, 1f
    sub     x0, x0, x1
    add     x30, x30, x0
1:  ret

drop_to_el1:
    msr     daifset, #0xf
    msr     spsel, #1
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.eq    1f
    ret
1:  mov     x0, #(1 << 31)
    msr     hcr_el2, x0
    mov     x0, #3
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mrs     x0, id_aa64pfr0_el1     // GIC system registers for EL1, where there are any
    ubfx    x0, x0, #24, #4
    cbz     x0, 2f
    mrs     x0, S3_4_C12_C9_5       // ICC_SRE_EL2
    mov     x1, #9
    orr     x0, x0, x1
    msr     S3_4_C12_C9_5, x0
    isb
    msr     S3_4_C12_C11_0, xzr     // ICH_HCR_EL2
2:  ldr     x0, =0x30d00800
    msr     sctlr_el1, x0
    mov     x0, #0x3c5
    msr     spsr_el2, x0
    msr     elr_el2, x30
    eret
.ltorg

.section .bss.boot, "aw", @nobits
.balign 4096
early_ttbr0: .skip 4096
early_ttbr1: .skip 4096
early_l2:    .skip 4096
// The stack-overflow test in the vectors wants bit 14 set everywhere on a kernel stack.
.balign 32768
    .skip 16384
boot_stack: .skip 16384
.global boot_stack_top
boot_stack_top:
