// The C memory routines that compiled Rust calls, for the kernel. General registers only: they run in interrupt and fault
// handlers, where the vector registers are the program's. Strong symbols: they replace compiler_builtins' weak ones.

.section .text.string, "ax"

// memcpy(x0 dst, x1 src, x2 n) -> x0
.global memcpy
.type memcpy, %function
memcpy:
    mov     x3, x0
.Lforward:
    cmp     x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1]
    ldp     x6, x7, [x1, #16]
    ldp     x8, x9, [x1, #32]
    ldp     x10, x11, [x1, #48]
    stp     x4, x5, [x3]
    stp     x6, x7, [x3, #16]
    stp     x8, x9, [x3, #32]
    stp     x10, x11, [x3, #48]
    add     x1, x1, #64
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    stp     x4, x5, [x3], #16
    stp     x6, x7, [x3], #16
3:  tbz     x2, #4, 4f
    ldp     x4, x5, [x1], #16
    stp     x4, x5, [x3], #16
4:  tbz     x2, #3, 5f
    ldr     x4, [x1], #8
    str     x4, [x3], #8
5:  tbz     x2, #2, 6f
    ldr     w4, [x1], #4
    str     w4, [x3], #4
6:  tbz     x2, #1, 7f
    ldrh    w4, [x1], #2
    strh    w4, [x3], #2
7:  tbz     x2, #0, 8f
    ldrb    w4, [x1]
    strb    w4, [x3]
8:  ret

// memmove(x0 dst, x1 src, x2 n) -> x0: backwards when dst lies inside [src, src+n).
.global memmove
.type memmove, %function
memmove:
    mov     x3, x0
    sub     x4, x0, x1
    cmp     x4, x2
    b.hs    .Lforward
    add     x3, x0, x2
    add     x1, x1, x2
    cmp     x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1, #-16]
    ldp     x6, x7, [x1, #-32]
    ldp     x8, x9, [x1, #-48]
    ldp     x10, x11, [x1, #-64]
    stp     x4, x5, [x3, #-16]
    stp     x6, x7, [x3, #-32]
    stp     x8, x9, [x3, #-48]
    stp     x10, x11, [x3, #-64]
    sub     x1, x1, #64
    sub     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldp     x4, x5, [x1, #-16]
    ldp     x6, x7, [x1, #-32]!
    stp     x4, x5, [x3, #-16]
    stp     x6, x7, [x3, #-32]!
3:  tbz     x2, #4, 4f
    ldp     x4, x5, [x1, #-16]!
    stp     x4, x5, [x3, #-16]!
4:  tbz     x2, #3, 5f
    ldr     x4, [x1, #-8]!
    str     x4, [x3, #-8]!
5:  tbz     x2, #2, 6f
    ldr     w4, [x1, #-4]!
    str     w4, [x3, #-4]!
6:  tbz     x2, #1, 7f
    ldrh    w4, [x1, #-2]!
    strh    w4, [x3, #-2]!
7:  tbz     x2, #0, 8f
    ldrb    w4, [x1, #-1]
    strb    w4, [x3, #-1]
8:  ret

// memset(x0 dst, w1 byte, x2 n) -> x0. Long zero fills by DC ZVA of 64 bytes (checked at boot).
.global memset
.type memset, %function
memset:
    mov     x3, x0
    and     x4, x1, #0xff
    mov     x5, #0x0101010101010101
    mul     x4, x4, x5
    cmp     x2, #256
    ccmp    x4, #0, #0, hs
    b.eq    4f
1:  cmp     x2, #64
    b.lo    3f
2:  stp     x4, x4, [x3]
    stp     x4, x4, [x3, #16]
    stp     x4, x4, [x3, #32]
    stp     x4, x4, [x3, #48]
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    2b
3:  tbz     x2, #5, 5f
    stp     x4, x4, [x3], #16
    stp     x4, x4, [x3], #16
5:  tbz     x2, #4, 6f
    stp     x4, x4, [x3], #16
6:  tbz     x2, #3, 7f
    str     x4, [x3], #8
7:  tbz     x2, #2, 8f
    str     w4, [x3], #4
8:  tbz     x2, #1, 9f
    strh    w4, [x3], #2
9:  tbz     x2, #0, 10f
    strb    w4, [x3]
10: ret
4:  // Up to the next 64-byte boundary with overlapping stores, then whole lines.
    stp     xzr, xzr, [x3]
    stp     xzr, xzr, [x3, #16]
    stp     xzr, xzr, [x3, #32]
    stp     xzr, xzr, [x3, #48]
    neg     x5, x3
    and     x5, x5, #63
    add     x3, x3, x5
    sub     x2, x2, x5
11: dc      zva, x3
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    11b
    b       3b
