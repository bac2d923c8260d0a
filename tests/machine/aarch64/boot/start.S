/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Entered at EL2 with the MMU off: a stack, zeroed variables, vectors; then C. */
    .section .text.start, "ax"
    .globl start
start:
    ldr x0, =stack_top
    mov sp, x0
    ldr x0, =bss_start
    ldr x1, =bss_end
0:  cmp x0, x1
    b.hs 1f
    str xzr, [x0], #8
    b 0b
1:  ldr x0, =vectors
    msr vbar_el2, x0
    isb
    bl runtime_start
2:  b 2b
    .ltorg

    .section .note.GNU-stack, "", @progbits
