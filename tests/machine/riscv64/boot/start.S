/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * From reset to kernel code in HS-mode. Machine mode opens all memory, delegates every trap that HS-mode may take, and
 * afterwards serves one call: an ecall from HS-mode sets menvcfg to a0 and answers with what it reads back.
 */
    .option norelax
    .section .text.boot, "ax"
    .globl  _start
_start:
    csrr    t0, mhartid             /* one hart works; that there is a second makes QEMU's atomics atomic */
    beqz    t0, 2f
1:  wfi
    j       1b
2:  la      t0, 3f                  /* without Smstateen the next but one traps, to behind it */
    csrw    mtvec, t0
    li      t0, 1 << 62             /* mstateen0.ENVCFG: HS-mode may write henvcfg */
    csrs    0x30c, t0
    .balign 4
3:  la      t0, machine_trap
    csrw    mtvec, t0
    li      t0, -1
    csrw    pmpaddr0, t0
    li      t0, 0x1f                /* NAPOT, read, write, execute: everything */
    csrw    pmpcfg0, t0
    li      t0, 0xf0b5ff            /* exceptions, but for ecall from HS-mode (9) and from M-mode */
    csrw    medeleg, t0
    li      t0, -1
    csrw    mideleg, t0
    csrw    mcounteren, t0
    csrw    satp, zero
    li      t0, 0x1800 | (1 << 39)  /* mstatus.MPP = S, MPV = 0: HS-mode */
    csrc    mstatus, t0
    li      t0, 0x0800
    csrs    mstatus, t0
    la      t0, supervisor_start
    csrw    mepc, t0
    csrr    a0, misa                /* a1 is the device tree, from the machine's own reset code */
    mret

    .balign 4
machine_trap:
    csrw    mscratch, t0
    csrr    t0, mcause
    addi    t0, t0, -9
    bnez    t0, 1f
    csrw    0x30a, a0               /* menvcfg */
    csrr    a0, 0x30a
    csrr    t0, mepc
    addi    t0, t0, 4
    csrw    mepc, t0
    csrr    t0, mscratch
    mret
1:  la      sp, __machine_stack_top
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    call    exceptions_unexpected
    j       .

    .balign 4
supervisor_start:
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
    call    runtime_start           /* (misa, device tree) */
    j       .

    .section .note.GNU-stack, "", @progbits
