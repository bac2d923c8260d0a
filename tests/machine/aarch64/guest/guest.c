/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The guest's home, filled. Arm ARM, "VMSAv8-64 translation table format descriptors" for its own table. */
#include "guest.h"

#include "memory.h"

void guest_build(void *home)
{
    uint64_t *table = (uint64_t *)(void *)((char *)home + GUEST_TABLE);

    memset(home, 0, GUEST_HOME_SIZE);
    memcpy(home, guest_code, (size_t)(guest_code_end - guest_code));
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t attribute = i >> 6, gpa = (i & 63) << 30;

        table[i] = gpa | 1 << 10 | 3 << 8 | attribute << 2 | 1; /* a block, accessed, inner shareable */
    }
}

uint64_t guest_entry(const char *piece)
{
    return (uint64_t)(piece - guest_code);
}
