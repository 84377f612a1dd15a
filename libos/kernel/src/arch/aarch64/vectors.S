// The target is soft-float, the assembler need not be.
.arch_extension fp
.arch_extension simd
// Exception vectors, the ways back to a program, and the thread switch.
//
// A program runs with SP_EL0 (EL1t when linked, EL0t when loaded), the kernel with SP_EL1 (EL1h), so the vector taken says who
// was running. Every exception leaves a TrapFrame (frame.rs) on the kernel stack of the running thread.

.equ FRAME, 288                     // size_of::<TrapFrame>()

.macro save_frame
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp, #0]
    save_rest
.endm

.macro save_rest
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x0, sp_el0
    stp     x30, x0, [sp, #240]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x0, x1, [sp, #256]
    // A frame record, so that a backtrace walks through the exception.
    stp     x29, x0, [sp, #272]
    add     x29, sp, #272
    mov     x0, sp
.endm

.macro vector label
    .balign 128
    b       \label
.endm

.section .text.vectors, "ax"
.balign 2048
.global exception_vectors
exception_vectors:
    vector  program_sync            // EL1t: a linked program
    vector  program_irq
    vector  bad_fiq
    vector  bad_serror
    .balign 128                     // EL1h: the kernel
    // Is there room on the stack? Stacks have bit 14 of every address set, their guards have it clear.
    sub     sp, sp, #FRAME
    add     sp, sp, x0
    sub     x0, sp, x0
    tbz     x0, #14, 1f
    sub     x0, sp, x0
    sub     sp, sp, x0
    b       kernel_sync_entry
1:  b       kernel_stack_overflow
    vector  kernel_irq_entry
    vector  bad_fiq
    vector  bad_serror
    vector  program_sync            // EL0t: a loaded program
    vector  program_irq
    vector  bad_fiq
    vector  bad_serror
    vector  bad_aarch32
    vector  bad_aarch32
    vector  bad_aarch32
    vector  bad_aarch32

program_sync:
    save_frame
    mrs     x1, esr_el1
    mrs     x2, far_el1
    bl      on_program_sync
    b       return_to_program

program_irq:
    save_frame
    bl      on_program_irq
// Falls through.

// sp = TrapFrame of a program. Signals, stops and death first; then back.
.global return_to_program
return_to_program:
    mrs     x9, tpidr_el1
    ldr     x9, [x9]                // PerCpu.current
    ldr     w9, [x9]                // Thread.flags
    cbz     w9, restore_frame
    mov     x0, sp
    bl      on_program_return
    b       return_to_program

restore_frame:
    ldp     x0, x1, [sp, #256]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x30, x0, [sp, #240]
    msr     sp_el0, x0
restore_general:
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #FRAME
    eret

kernel_sync_entry:
    stp     x0, x1, [sp, #0]        // the stack test gave x0 back
    save_rest
    mrs     x1, esr_el1
    mrs     x2, far_el1
    bl      on_kernel_sync
    b       kernel_return

kernel_irq_entry:
    save_frame
    bl      on_kernel_irq
kernel_return:
    ldp     x0, x1, [sp, #256]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldr     x30, [sp, #240]
    b       restore_general

kernel_stack_overflow:
    // x0 and sp are mixed up: sp = the bad sp + x0. Report on the core's emergency stack.
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #8]            // PerCpu.emergency_stack
    mov     sp, x0
    save_frame
    mrs     x1, esr_el1
    mrs     x2, far_el1
    bl      on_stack_overflow
bad_fiq:
    save_frame
    mov     x1, #1
    bl      on_unexpected
bad_serror:
    save_frame
    mov     x1, #2
    bl      on_unexpected
bad_aarch32:
    save_frame
    mov     x1, #3
    bl      on_unexpected

// The way out of the direct door when Thread.flags is not zero: x0 = result, x30 = the program's return address, callee-saved
// registers as the program left them. Makes a TrapFrame of that and leaves through return_to_program.
.global door_exit_slow
door_exit_slow:
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp, #0]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x0, sp_el0
    stp     x30, x0, [sp, #240]
    mov     x1, #0x204              // EL1t, D masked; bit 62: x0 is the result of a call (deliver.rs, FROM_CALL)
    movk    x1, #0x4000, lsl #48
    stp     x30, x1, [sp, #256]
    stp     x29, x30, [sp, #272]
    add     x29, sp, #272
    b       return_to_program

// A new thread starts here: its TrapFrame lies at the top of its kernel stack.
.global thread_entry
thread_entry:
    bl      finish_switch
    b       return_to_program

// A thread that starts in the kernel: x19 = function, x20 = argument; then its program.
.global kernel_thread_entry
kernel_thread_entry:
    bl      finish_switch
    mov     x0, x20
    blr     x19
    b       return_to_program

// switch_context(x0 = &mut old.sp, x1 = new.sp): what a call preserves, and the program's SP and thread pointer.
.global switch_context
switch_context:
    sub     sp, sp, #192
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mrs     x9, sp_el0
    mrs     x10, tpidr_el0
    stp     x9, x10, [sp, #160]
    mrs     x9, fpcr
    str     x9, [sp, #176]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    ldr     x9, [sp, #176]
    msr     fpcr, x9
    ldp     x9, x10, [sp, #160]
    msr     sp_el0, x9
    msr     tpidr_el0, x10
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #192
    ret

// fp_save(x0 = &mut FpState), fp_restore(x0 = &FpState): all of the vector state of the running program.
.global fp_save
fp_save:
    stp     q0, q1, [x0, #0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    stp     q8, q9, [x0, #128]
    stp     q10, q11, [x0, #160]
    stp     q12, q13, [x0, #192]
    stp     q14, q15, [x0, #224]
    stp     q16, q17, [x0, #256]
    stp     q18, q19, [x0, #288]
    stp     q20, q21, [x0, #320]
    stp     q22, q23, [x0, #352]
    stp     q24, q25, [x0, #384]
    stp     q26, q27, [x0, #416]
    stp     q28, q29, [x0, #448]
    stp     q30, q31, [x0, #480]
    mrs     x1, fpsr
    mrs     x2, fpcr
    str     w1, [x0, #512]
    str     w2, [x0, #516]
    ret

.global fp_restore
fp_restore:
    ldp     q0, q1, [x0, #0]
    ldp     q2, q3, [x0, #32]
    ldp     q4, q5, [x0, #64]
    ldp     q6, q7, [x0, #96]
    ldp     q8, q9, [x0, #128]
    ldp     q10, q11, [x0, #160]
    ldp     q12, q13, [x0, #192]
    ldp     q14, q15, [x0, #224]
    ldp     q16, q17, [x0, #256]
    ldp     q18, q19, [x0, #288]
    ldp     q20, q21, [x0, #320]
    ldp     q22, q23, [x0, #352]
    ldp     q24, q25, [x0, #384]
    ldp     q26, q27, [x0, #416]
    ldp     q28, q29, [x0, #448]
    ldp     q30, q31, [x0, #480]
    ldr     w1, [x0, #512]
    ldr     w2, [x0, #516]
    msr     fpsr, x1
    msr     fpcr, x2
    ret

// The direct door's entries that need the caller's preserved registers: fork and clone, whose child returns with them.
// x6 = &CalleeSaved { x19..x30, d8..d15 } on the kernel stack.
.macro door_with_registers name, target
.global \name
\name:
    sub     sp, sp, #176
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    add     x29, sp, #80
    mov     x6, sp
    bl      \target
    ldp     x29, x30, [sp, #80]
    add     sp, sp, #176
    b       door_exit
.endm

.section .text.door, "ax"
// The end of every direct-door entry: straight back unless something waits for the thread.
.global door_exit
door_exit:
    mrs     x9, tpidr_el1
    ldr     x9, [x9]
    ldr     w9, [x9]
    cbnz    w9, door_exit_slow
    ret

door_with_registers os_fork, door_fork
door_with_registers os_clone, door_clone
