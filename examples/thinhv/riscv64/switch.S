/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Into the guest and back. While it runs, sscratch holds its hart's struct arch_vcpu (riscv64.c checks the offsets);
 * on the host it is 0, and a trap there is the end of the run.
 */
#define PC      256
#define SSTATUS 264
#define HSTATUS 272
#define CAUSE   280
#define STVAL   288
#define HTVAL   296
#define HTINST  304
#define HOST_SP 312

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
    csrr    t0, sstatus
    sd      t0, SSTATUS(a0)
    csrr    t0, 0x600
    sd      t0, HSTATUS(a0)
    csrr    t0, scause
    sd      t0, CAUSE(a0)
    csrr    t0, stval
    sd      t0, STVAL(a0)
    csrr    t0, 0x643
    sd      t0, HTVAL(a0)
    csrr    t0, 0x64a
    sd      t0, HTINST(a0)
    ld      sp, HOST_SP(a0)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ld      s\n, 24 + 8 * \n(sp)
    .endr
    addi    sp, sp, 128
    ret

/* void guest_enter(struct arch_vcpu *vcpu): returns at the guest's next trap. */
    .globl  guest_enter
guest_enter:
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
    ld      t0, SSTATUS(a0)
    csrw    sstatus, t0
    ld      t0, HSTATUS(a0)
    csrw    0x600, t0
    .irp    n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, 8 * \n(a0)
    .endr
    ld      a0, 80(a0)
    sret

host_trap:
    csrr    a0, scause
    csrr    a1, sepc
    csrr    a2, stval
    csrw    sscratch, zero
    call    host_died

    .section .note.GNU-stack, "", @progbits
