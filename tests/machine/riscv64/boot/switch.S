/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Into the guest and back, and the kernel's own exceptions. While a guest runs, sscratch holds its struct vm_context
 * (offsets here are checked in vm/vm.c); while the kernel runs it is 0, which tells the two kinds of trap apart.
 */
#define PC      256
#define CAUSE   264
#define STVAL   272
#define HTVAL   280
#define HTINST  288
#define HSTATUS 296
#define HOST_SP 304

    .option norelax
    .option norvc
    .text
    .balign 4
    .globl  trap_entry
trap_entry:
    csrrw   a0, sscratch, a0
    beqz    a0, host_trap
    .irp    n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, 8 * \n(a0)
    .endr
    csrrw   t0, sscratch, zero      /* the guest's a0 */
    sd      t0, 80(a0)
    csrr    t0, sepc
    sd      t0, PC(a0)
    csrr    t0, scause
    sd      t0, CAUSE(a0)
    csrr    t0, stval
    sd      t0, STVAL(a0)
    csrr    t0, 0x643
    sd      t0, HTVAL(a0)
    csrr    t0, 0x64a
    sd      t0, HTINST(a0)
    csrr    t0, 0x600
    sd      t0, HSTATUS(a0)
    ld      sp, HOST_SP(a0)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ld      s\n, 24 + 8 * \n(sp)
    .endr
    addi    sp, sp, 128
    ret

/* void vm_enter(struct vm_context *context): returns at the guest's next trap. */
    .globl  vm_enter
vm_enter:
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sd      s\n, 24 + 8 * \n(sp)
    .endr
    sd      sp, HOST_SP(a0)
    csrw    sscratch, a0
    ld      t0, PC(a0)
    csrw    sepc, t0
    li      t0, 0x180               /* hstatus.SPV, SPVP: to VS-mode */
    csrs    0x600, t0
    li      t0, 0x100               /* sstatus.SPP */
    csrs    sstatus, t0
    .irp    n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, 8 * \n(a0)
    .endr
    ld      a0, 80(a0)
    sret

/* An exception in the kernel: what a C function may change is saved, the C function decides where to go on. */
host_trap:
    csrrw   a0, sscratch, a0
    addi    sp, sp, -128
    sd      ra, 0(sp)
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
    sd      a\n, 8 + 8 * \n(sp)
    .endr
    .irp    n, 0, 1, 2, 3, 4, 5, 6
    sd      t\n, 72 + 8 * \n(sp)
    .endr
    call    exceptions_entry
    csrw    sepc, a0
    ld      ra, 0(sp)
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
    ld      a\n, 8 + 8 * \n(sp)
    .endr
    .irp    n, 0, 1, 2, 3, 4, 5, 6
    ld      t\n, 72 + 8 * \n(sp)
    .endr
    addi    sp, sp, 128
    sret

    .section .note.GNU-stack, "", @progbits
