/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory types as x86 numbers them, in EPT entries, PAT, MTRRs: UC 0, WC 1, WT 4, WP 5, WB 6.
 * SDM vol. 3, "Methods of Caching Available"; APM vol. 2, "PAT Register". A PAT also has UC- 7, which counts as UC.
 */
#ifndef HVPT_FORMAT_X86_MEMTYPE_H
#define HVPT_FORMAT_X86_MEMTYPE_H

#include "../types.h"

/* The codes that are a memory type, one bit for each. */
#define HVPT_X86_MEMTYPE_CODES 0x73u

/* IA32_PAT after reset: WB, WT, UC-, UC, twice. APM vol. 2, "PAT Register". */
#define HVPT_PAT_RESET UINT64_C(0x0007040600070406)

/* Has each of the eight entries a code that WRMSR takes: a memory type, or UC-? APM vol. 2, "PAT Register". */
static inline bool hvpt_x86_pat_is_valid(uint64_t pat)
{
    unsigned i;

    for (i = 0; i < 64; i += 8)
        if ((pat >> i & 0xff) > 7 || !((HVPT_X86_MEMTYPE_CODES | 1u << 7) >> (pat >> i & 7) & 1u))
            return false;
    return true;
}

/* A nibble for each name: its code. */
HVPT_INLINE uint64_t hvpt_x86_memtype_code(enum hvpt_memtype memtype)
{
    return (UINT64_C(0x05416) >> (4 * (unsigned)memtype)) & 7;
}

/* A nibble for each code from 0 to 7: its name. Reserved codes are UC. */
HVPT_INLINE enum hvpt_memtype hvpt_x86_memtype_name(uint64_t code)
{
    return (enum hvpt_memtype)(UINT32_C(0x40324414) >> (4 * (unsigned)(code & 7)) & 7);
}

HVPT_STATIC_ASSERT(HVPT_MEM_WB == 0 && HVPT_MEM_WC == 1 && HVPT_MEM_WT == 2 && HVPT_MEM_WP == 3 && HVPT_MEM_UC == 4,
                   "the nibbles above are in this order");

#endif
