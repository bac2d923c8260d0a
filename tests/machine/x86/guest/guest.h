/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest's home: the first 128 KiB of guest-physical memory, with code, stack and the guest's own page tables.
 * Linear addresses are guest-physical ones up to 4 GiB less the last 2 MiB, which are a window to any address.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

enum guest_piece {
    PIECE_CALL,
    PIECE_READ,
    PIECE_WRITE,
    PIECE_FETCH,
    PIECE_CPUID,
    PIECE_HLT,
    PIECE_SET_CR3,
    PIECE_RDMSR,
    PIECE_WRMSR,
    PIECE_OUT,
    PIECE_UD,
    PIECE_MIX,
    PIECE_CR2,
    PIECE_VMFUNC,
    PIECE_SWEEP,
    PIECE_STORY,
    PIECE_REAL,
    PIECE_COUNT
};

/* Guest-physical layout of the home. Real mode reaches all of it with segment 0. */
#define GUEST_HOME_SIZE UINT64_C(0x20000)
#define GUEST_STACK     UINT64_C(0x7000) /* grows down */
#define GUEST_CODE      UINT64_C(0x8000)
#define GUEST_NOTE      UINT64_C(0x9000) /* where guests leave results */
#define GUEST_PML4      UINT64_C(0x10000)
#define GUEST_WINDOW    UINT64_C(0xffe00000)

/* memory: where the host sees guest-physical 0 .. GUEST_HOME_SIZE. svm chooses the hypercall instruction. */
struct guest {
    uint8_t *memory;
    bool svm;
};

/* Fills the home: code, and page tables that map 4 GiB one to one, writable and executable. */
void guest_build(struct guest *guest, void *memory, bool svm);

/* The guest-physical (and linear) address of a piece of code. */
uint64_t guest_entry(const struct guest *guest, enum guest_piece piece);

/* A linear address through which the guest reaches gpa; turns the window there if it must. Flush the guest's TLB then. */
uint64_t guest_reach(struct guest *guest, uint64_t gpa);

/* Points the guest's PML4 entry for linear 512 GiB at gpa: a table that may be anywhere. */
#define GUEST_FAR_LINEAR (UINT64_C(1) << 39)
void guest_set_far_table(struct guest *guest, uint64_t gpa);

#endif
