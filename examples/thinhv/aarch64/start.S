/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* From QEMU, at EL2 with the MMU off, on the first CPU or on one that the guest has asked for (x0: which). */
    .section .text.boot, "ax"
    .globl  _start
_start:
    ldr     x1, =__stack_top
    mov     sp, x1
    ldr     x1, =__bss_start
    ldr     x2, =__bss_end
1:  cmp     x1, x2
    b.hs    2f
    str     xzr, [x1], #8
    b       1b
2:  ldr     x1, =vectors
    msr     vbar_el2, x1
    isb
    bl      first_cpu

    .globl  second_start
second_start:
    ldr     x1, =__stack_top
    add     x1, x1, x0, lsl #16
    mov     sp, x1
    ldr     x1, =vectors
    msr     vbar_el2, x1
    isb
    bl      second_cpu

/* Where the kernel begins, without a hypervisor: arm_jump(pc, x0), the MMU off again. */
    .globl  arm_jump
arm_jump:
    mov     x4, x0
    mov     x0, x1
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    mrs     x5, sctlr_el2
    bic     x5, x5, #1              /* M */
    bic     x5, x5, #4              /* C */
    msr     sctlr_el2, x5
    isb
    tlbi    alle2
    dsb     sy
    isb
    br      x4

/* semihosting(operation, argument): the emulator's debug channel. */
    .globl  semihosting
semihosting:
    hlt     #0xf000
    ret
    .ltorg

    .section .note.GNU-stack, "", @progbits
