/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the guests run: position-independent pieces, once with each vendor's hypercall, copied into guest memory by vm/guest.c.
 * The host sets registers and RIP to a piece, enters, and gets the guest back at its hypercall, or at a fault on the way.
 */
    .section .rodata
#define NAME(x)   vmx_##x
#define HYPERCALL vmcall
#include "pieces.inc"
#undef NAME
#undef HYPERCALL
#define NAME(x)   svm_##x
#define HYPERCALL vmmcall
#include "pieces.inc"

    .section .note.GNU-stack, "", @progbits
