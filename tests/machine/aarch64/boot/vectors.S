/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EL2's vectors and the world switch. A synchronous exception from a guest is its exit; anything else is the end of
 * the run.
 * Arm ARM, "AArch64 Exception vectors".
 */
    .text

    .macro unexpected number
    .balign 128
    mov x0, #\number
    mrs x1, esr_el2
    mrs x2, elr_el2
    mrs x3, far_el2
    b exception_entry
    .endm

    .balign 2048
    .globl vectors
vectors:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    unexpected \number
    .endr
    .balign 128
    b vm_leave
    .irp number, 9, 10, 11, 12, 13, 14, 15
    unexpected \number
    .endr

/*
 * void vm_enter(struct vm_registers *): into the guest until it exits. The struct is x0 .. x30, the program counter,
 * and the
 * processor state. TPIDR_EL2 finds it again; the host's callee-saved registers wait on its stack.
 */
    .balign 128
    .globl vm_enter
vm_enter:
    stp x29, x30, [sp, #-96]!
    stp x27, x28, [sp, #16]
    stp x25, x26, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x21, x22, [sp, #64]
    stp x19, x20, [sp, #80]
    msr tpidr_el2, x0
    ldp x2, x3, [x0, #248]
    msr elr_el2, x2
    msr spsr_el2, x3
    ldp x2, x3, [x0, #16]
    ldp x4, x5, [x0, #32]
    ldp x6, x7, [x0, #48]
    ldp x8, x9, [x0, #64]
    ldp x10, x11, [x0, #80]
    ldp x12, x13, [x0, #96]
    ldp x14, x15, [x0, #112]
    ldp x16, x17, [x0, #128]
    ldp x18, x19, [x0, #144]
    ldp x20, x21, [x0, #160]
    ldp x22, x23, [x0, #176]
    ldp x24, x25, [x0, #192]
    ldp x26, x27, [x0, #208]
    ldp x28, x29, [x0, #224]
    ldr x30, [x0, #240]
    ldp x0, x1, [x0]
    eret

vm_leave:
    str x0, [sp, #-16]!
    mrs x0, tpidr_el2
    stp x2, x3, [x0, #16]
    stp x4, x5, [x0, #32]
    stp x6, x7, [x0, #48]
    stp x8, x9, [x0, #64]
    stp x10, x11, [x0, #80]
    stp x12, x13, [x0, #96]
    stp x14, x15, [x0, #112]
    stp x16, x17, [x0, #128]
    stp x18, x19, [x0, #144]
    stp x20, x21, [x0, #160]
    stp x22, x23, [x0, #176]
    stp x24, x25, [x0, #192]
    stp x26, x27, [x0, #208]
    stp x28, x29, [x0, #224]
    str x30, [x0, #240]
    ldr x2, [sp], #16
    stp x2, x1, [x0]
    mrs x2, elr_el2
    mrs x3, spsr_el2
    stp x2, x3, [x0, #248]
    ldp x27, x28, [sp, #16]
    ldp x25, x26, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #64]
    ldp x19, x20, [sp, #80]
    ldp x29, x30, [sp], #96
    ret

    .section .note.GNU-stack, "", @progbits
