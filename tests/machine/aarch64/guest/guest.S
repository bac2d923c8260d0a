/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the guests run: EL1's vectors, then position-independent pieces, copied to guest-physical 0 by guest.c.
 * The host sets registers and PC to a piece, enters, and gets the guest back at its hypercall, or at a fault on the
 * way.
 */
    .section .rodata.guest, "a"
    .balign 2048
    .globl guest_code
guest_code:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    .balign 128
    hvc #(0x100 + \number) /* an exception of the guest's own, which it did not expect */
    .endr
    .balign 128
    hvc #2 /* 8: from EL0. The user pieces' SVC, and the way to its hypercall */
    .irp number, 9, 10, 11, 12, 13, 14, 15
    .balign 128
    hvc #(0x100 + \number)
    .endr
    .balign 128

    .macro piece name
    .balign 16
    .globl guest_\name
guest_\name:
    .endm

/* x0: the address; x1: the value. At EL1, and at EL0. */
    piece call
    hvc #1
    piece read
    ldr x1, [x0]
    hvc #1
    piece write
    str x1, [x0]
    hvc #1
    piece fetch
    blr x0
    hvc #1
    piece user_read
    ldr x1, [x0]
    svc #0
    piece user_write
    str x1, [x0]
    svc #0
    piece user_fetch
    blr x0
    svc #0

/* At EL1, with the rights of EL0. */
    piece read_unprivileged
    ldtr x1, [x0]
    hvc #1
    piece write_unprivileged
    sttr x1, [x0]
    hvc #1

/*
 * Further forms of access, for the syndrome: a byte into w7 with sign, a half word, a pair, an atomic one, the
 * cache's.
 */
    piece read_signed_byte
    ldrsb w7, [x0]
    hvc #1
    piece write_half
    strh w9, [x0]
    hvc #1
    piece read_pair
    ldp x1, x2, [x0]
    hvc #1
    piece clean_cache
    dc civac, x0
    hvc #1

/* FEAT_MOPS: x2 bytes from x1 to x0; x1 bytes at x0 that become w2's. In steps, which may be gone on with after a fault. */
    piece copy_memory
    .inst 0x1d010440 /* cpyp [x0]!, [x1]!, x2! */
    .inst 0x1d410440 /* cpym */
    .inst 0x1d810440 /* cpye */
    hvc #1
    piece set_memory
    .inst 0x19c20420 /* setp [x0]!, x1!, x2 */
    .inst 0x19c24420 /* setm */
    .inst 0x19c28420 /* sete */
    hvc #1

/* FEAT_MTE2: the allocation tag of x0 is read into x1, and written from it. */
    piece load_tag
    .inst 0xd9600001 /* ldg x1, [x0] */
    hvc #1
    piece store_tag
    .inst 0xd9200801 /* stg x1, [x0] */
    hvc #1

/* x0: the first address; x1: how many; x2: how far apart. Adds to x3 what it reads, and writes it back one more. */
    piece sweep
0:  ldr x4, [x0]
    add x3, x3, x4
    add x4, x4, #1
    str x4, [x0]
    add x0, x0, x2
    subs x1, x1, #1
    b.ne 0b
    hvc #1

/* The same, with a hypercall after each. */
    piece sweep_calling
0:  ldr x4, [x0]
    add x3, x3, x4
    add x4, x4, #1
    str x4, [x0]
    hvc #1
    add x0, x0, x2
    subs x1, x1, #1
    b.ne 0b
    hvc #4

/* The demo: x0 is read, its word goes to x1, x2 is called, x3 and x4 are read; WFI in between. */
    piece story
    ldr x5, [x0]
    str x5, [x1]
    blr x2
    wfi
    ldr x6, [x3]
    ldr x7, [x4]
    hvc #4

    .globl guest_code_end
guest_code_end:

    .section .note.GNU-stack, "", @progbits
