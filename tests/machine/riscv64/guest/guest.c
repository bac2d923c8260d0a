/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest's home in memory, and the tables of its own. Privileged manual, "Sv39: Page-Based 39-bit Virtual-Memory
 * System".
 */
#include "guest.h"

#include "memory.h"

#define PTE_TABLE UINT64_C(0x01) /* V */
#define PTE_LEAF  UINT64_C(0xcf) /* V, R, W, X, A, D: the CPU need not write the tables on its way */

extern const uint8_t guest_begin[], guest_end[];
extern const uint32_t guest_table[PIECE_COUNT];

void guest_build(void *memory)
{
    memset(memory, 0, GUEST_HOME_SIZE); /* no instruction: a guest that goes astray comes back */
    memcpy((uint8_t *)memory + GUEST_CODE, guest_begin, (size_t)(guest_end - guest_begin));
}

uint64_t guest_entry(enum guest_piece piece)
{
    return GUEST_CODE + guest_table[piece];
}

uint64_t guest_build_tables(void *memory, uint64_t far_table)
{
    uint64_t *root = (uint64_t *)(void *)((uint8_t *)memory + GUEST_TABLES);

    memset(root, 0, 4096);
    root[0] = PTE_LEAF;
    root[GUEST_FAR >> 30] = far_table >> 12 << 10 | PTE_TABLE;
    return UINT64_C(8) << 60 | GUEST_TABLES >> 12;
}
