// The target is soft-float, the assembler need not be.
.arch_extension fp
.arch_extension simd
// Copies that may touch program memory, and page-sized fills.
//
// The functions between copy_user_start and copy_user_end are the only kernel code that may fault on a program address;
// the EL1h fault handler sends a fault it cannot mend to copy_user_fault, which makes the function return non-zero.
// q0-q7 are scratch: through the direct door they are the caller's to lose (AAPCS64); the trap door saves them.

.section .text.copy_user, "ax"
.global copy_user_start
copy_user_start:

// copy_user(x0 dst, x1 src, x2 len) -> 0, or 1 after a fault
.global copy_user
copy_user:
    subs    x2, x2, #128
    b.lo    2f
1:  ldp     q0, q1, [x1], #32
    ldp     q2, q3, [x1], #32
    ldp     q4, q5, [x1], #32
    ldp     q6, q7, [x1], #32
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x0], #32
    stp     q4, q5, [x0], #32
    stp     q6, q7, [x0], #32
    subs    x2, x2, #128
    b.hs    1b
    // What is left is x2 + 128, whose low seven bits are those of x2.
2:  tbz     x2, #6, 3f
    ldp     q0, q1, [x1], #32
    ldp     q2, q3, [x1], #32
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x0], #32
3:  tbz     x2, #5, 4f
    ldp     q0, q1, [x1], #32
    stp     q0, q1, [x0], #32
4:  tbz     x2, #4, 5f
    ldr     q0, [x1], #16
    str     q0, [x0], #16
5:  tbz     x2, #3, 6f
    ldr     x3, [x1], #8
    str     x3, [x0], #8
6:  tbz     x2, #2, 7f
    ldr     w3, [x1], #4
    str     w3, [x0], #4
7:  tbz     x2, #1, 8f
    ldrh    w3, [x1], #2
    strh    w3, [x0], #2
8:  tbz     x2, #0, 9f
    ldrb    w3, [x1]
    strb    w3, [x0]
9:  mov     x0, #0
    ret

// zero_user(x0 dst, x1 len) -> 0, or 1 after a fault. DC ZVA of 64 bytes where aligned.
.global zero_user
zero_user:
    cmp     x1, #128
    b.lo    3f
1:  tst     x0, #63
    b.eq    2f
    strb    wzr, [x0], #1
    sub     x1, x1, #1
    b       1b
2:  subs    x1, x1, #256
    b.lo    22f
21: dc      zva, x0
    add     x0, x0, #64
    dc      zva, x0
    add     x0, x0, #64
    dc      zva, x0
    add     x0, x0, #64
    dc      zva, x0
    add     x0, x0, #64
    subs    x1, x1, #256
    b.hs    21b
22: add     x1, x1, #256
23: cmp     x1, #64
    b.lo    3f
    dc      zva, x0
    add     x0, x0, #64
    sub     x1, x1, #64
    b       23b
3:  cbz     x1, 5f
4:  strb    wzr, [x0], #1
    subs    x1, x1, #1
    b.ne    4b
5:  mov     x0, #0
    ret

// copy_user_halves(x0 dst, x1 src, x2 stride, x3 count) -> 0, or 1 after a fault: `count` half-words, `stride` bytes apart.
.global copy_user_halves
copy_user_halves:
    cbz     x3, 2f
1:  ldrh    w4, [x1]
    strh    w4, [x0]
    add     x1, x1, x2
    add     x0, x0, x2
    subs    x3, x3, #1
    b.ne    1b
2:  mov     x0, #0
    ret

// cas_user(x0 word, w1 expected, w2 new, x3 where the word's value goes) -> 0, or 1 after a fault: the word becomes `new` if it is
// `expected`, with acquire and release ordering.
.global cas_user
cas_user:
1:  ldaxr   w4, [x0]
    cmp     w4, w1
    b.ne    2f
    stlxr   w5, w2, [x0]
    cbnz    w5, 1b
2:  str     w4, [x3]
    mov     x0, #0
    ret

.global copy_user_end
copy_user_end:

.global copy_user_fault
copy_user_fault:
    mov     x0, #1
    ret

// zero_page(x0): 64 DC ZVA of 64 bytes (DCZID_EL0 is checked at boot).
.global zero_page
zero_page:
    add     x1, x0, #4096
1:
.rept 16
    dc      zva, x0
    add     x0, x0, #64
.endr
    cmp     x0, x1
    b.ne    1b
    ret

// copy_page(x0 dst, x1 src). Runs in fault handlers, so the vector registers it uses are kept.
.global copy_page
copy_page:
    stp     q0, q1, [sp, #-64]!
    stp     q2, q3, [sp, #32]
    add     x2, x0, #4096
1:
.irp at, 0, 64, 128, 192, 256, 320, 384, 448
    ldp     q0, q1, [x1, #\at]
    ldp     q2, q3, [x1, #\at + 32]
    stp     q0, q1, [x0, #\at]
    stp     q2, q3, [x0, #\at + 32]
.endr
    add     x1, x1, #512
    add     x0, x0, #512
    cmp     x0, x2
    b.ne    1b
    ldp     q2, q3, [sp, #32]
    ldp     q0, q1, [sp], #64
    ret
