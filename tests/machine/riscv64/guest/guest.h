/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the guests run: short pieces of VS-mode code, each ending in an ecall, in a home at guest-physical 0. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdint.h>

enum guest_piece {
    PIECE_CALL,
    PIECE_READ,
    PIECE_READ_BYTE,
    PIECE_WRITE,
    PIECE_AMO,
    PIECE_FETCH,
    PIECE_WFI,
    PIECE_READ_HSTATUS,
    PIECE_SET_SATP,
    PIECE_BREAK,
    PIECE_MIX,
    PIECE_SWEEP,
    PIECE_STORY,
    PIECE_COUNT
};

/* Guest-physical layout of the home. */
#define GUEST_HOME_SIZE UINT64_C(0x10000)
#define GUEST_CODE      UINT64_C(0x8000)
#define GUEST_NOTE      UINT64_C(0x9000) /* where guests leave results */
#define GUEST_TABLES    UINT64_C(0xa000) /* the guest's own: root, and one table below it */

/* Fills the home that the host sees at memory. */
void guest_build(void *memory);

/* The guest-physical address of a piece. */
uint64_t guest_entry(enum guest_piece piece);

/*
 * The guest's own Sv39 tables: its first GiB one to one, and GUEST_FAR through a table that lies at far_table,
 * wherever that is. The answer is the value for the guest's satp.
 */
#define GUEST_FAR (UINT64_C(1) << 30)
uint64_t guest_build_tables(void *memory, uint64_t far_table);

#endif
