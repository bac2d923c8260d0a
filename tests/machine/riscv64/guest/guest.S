/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The pieces, position-independent, copied into guest memory. The host sets registers and pc to a piece, enters, and
 * gets the guest back at its ecall or at a fault on the way. No compressed instructions: the host skips four bytes.
 */
    .option norelax
    .option norvc
    .section .rodata
    .balign 16
    .globl  guest_begin, guest_end, guest_table
guest_begin:

piece_call:                         /* nothing but the call; every register stays */
    ecall

piece_read:                         /* a1 = *a0 */
    ld      a1, 0(a0)
    ecall

piece_read_byte:
    lbu     a1, 0(a0)
    ecall

piece_write:                        /* *a0 = a1 */
    sd      a1, 0(a0)
    ecall

piece_amo:                          /* *a0 += a1; a2 = what was there */
    amoadd.d a2, a1, (a0)
    ecall

piece_fetch:                        /* call a0, where a return is expected */
    jalr    ra, 0(a0)
    ecall

piece_wfi:
    wfi
    ecall

piece_read_hstatus:                 /* a CSR that exists, but not for a guest */
    csrr    a1, 0x600
    ecall

piece_set_satp:                     /* the guest's own translation = a0, off = 0 */
    csrw    satp, a0
    sfence.vma
    ecall

piece_break:
    ebreak

piece_mix:                          /* every register changes in a way of its own */
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    addi    x\n, x\n, 0x100 + \n
    .endr
    ecall

piece_sweep:                        /* a1 pages from a0: each one's first word + 1, sum into a2; call after each */
    li      a2, 0
    li      a4, 4096
1:  ld      a3, 0(a0)
    addi    a3, a3, 1
    sd      a3, 0(a0)
    add     a2, a2, a3
    ecall
    add     a0, a0, a4
    addi    a1, a1, -1
    bnez    a1, 1b
    ecall

piece_story:                        /* the demo's program, see demo.c: a little of everything, in one run */
    ecall                           /* the host answers in a0 */
    sd      a0, 0(s0)               /* s0: the note */
    ld      t0, 0(s1)               /* s1: nothing is mapped there yet */
    sd      t0, 8(s0)
    sd      t0, 0(s2)               /* s2: may only be read */
    jalr    ra, 0(s3)               /* s3: may not be executed */
    wfi
    ld      t0, 0(s4)               /* s4, s5: through larger and larger pages */
    sd      t0, 16(s0)
    ld      t0, 0(s5)
    sd      t0, 24(s0)
    li      a0, 0x600d
    ecall
    ebreak
guest_end:

    .balign 4
guest_table:                        /* offsets, in the order of enum guest_piece */
    .word   piece_call - guest_begin
    .word   piece_read - guest_begin
    .word   piece_read_byte - guest_begin
    .word   piece_write - guest_begin
    .word   piece_amo - guest_begin
    .word   piece_fetch - guest_begin
    .word   piece_wfi - guest_begin
    .word   piece_read_hstatus - guest_begin
    .word   piece_set_satp - guest_begin
    .word   piece_break - guest_begin
    .word   piece_mix - guest_begin
    .word   piece_sweep - guest_begin
    .word   piece_story - guest_begin

    .section .note.GNU-stack, "", @progbits
