/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* From OpenSBI, in HS-mode, on the first hart or on one that the guest has asked for (a1: which of the guest's). */
    .option norelax
    .section .text.boot, "ax"
    .globl  _start
_start:
    la      sp, __stack_top
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  la      t0, trap_entry
    csrw    stvec, t0
    csrw    sscratch, zero          /* no guest is running */
    csrw    satp, zero
    call    first_hart              /* (hart, device tree) */

    .globl  second_start
second_start:
    la      sp, __stack_top
    slli    a1, a1, 16
    add     sp, sp, a1
    la      t0, trap_entry
    csrw    stvec, t0
    csrw    sscratch, zero
    csrw    satp, zero
    call    second_hart             /* (hart) */

/* Where the kernel begins, without a hypervisor: riscv_jump(pc, a0, a1). */
    .globl  riscv_jump
riscv_jump:
    mv      t0, a0
    mv      a0, a1
    mv      a1, a2
    jr      t0

/* semihosting(operation, argument): the emulator's debug channel knows it by these three, in one page. */
    .globl  semihosting
    .option norvc
    .balign 16
semihosting:
    slli    x0, x0, 0x1f
    ebreak
    srai    x0, x0, 7
    ret

    .section .note.GNU-stack, "", @progbits
