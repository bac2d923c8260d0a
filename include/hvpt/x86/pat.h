/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The page attribute table: what the eight bytes of IA32_PAT mean, alone and combined with the MTRRs.
 * SDM vol. 3, "Page Attribute Table (PAT)"; APM vol. 2, "Page-Attribute Table Mechanism". Pure arithmetic on values.
 */
#ifndef HVPT_X86_PAT_H
#define HVPT_X86_PAT_H

#include "../types.h"

#define HVPT_MSR_PAT UINT32_C(0x277)

/*
 * The values of one byte of IA32_PAT, in its encoding (SDM vol. 3, "IA32_PAT MSR"). UC- is UC that a WC MTRR overrides.
 * A write of any other byte to the MSR faults; it is RESERVED here.
 */
enum hvpt_pat_type {
    HVPT_PAT_UC = 0,
    HVPT_PAT_WC = 1,
    HVPT_PAT_WT = 4,
    HVPT_PAT_WP = 5,
    HVPT_PAT_WB = 6,
    HVPT_PAT_UC_MINUS = 7,
    HVPT_PAT_RESERVED = 255
};

/* The answer of hvpt_pat_find where no entry fits; one more than the highest index. */
#define HVPT_PAT_NO_INDEX 8u

/* Entry index (0 to 7) of pat, a value of IA32_PAT. */
static inline enum hvpt_pat_type hvpt_pat_get(uint64_t pat, unsigned index)
{
    switch ((pat >> (8 * (index & 7))) & 255) {
    case HVPT_PAT_UC: return HVPT_PAT_UC;
    case HVPT_PAT_WC: return HVPT_PAT_WC;
    case HVPT_PAT_WT: return HVPT_PAT_WT;
    case HVPT_PAT_WP: return HVPT_PAT_WP;
    case HVPT_PAT_WB: return HVPT_PAT_WB;
    case HVPT_PAT_UC_MINUS: return HVPT_PAT_UC_MINUS;
    default: return HVPT_PAT_RESERVED;
    }
}

/* pat with entry index (0 to 7) changed to type, which must not be RESERVED. */
static inline uint64_t hvpt_pat_set(uint64_t pat, unsigned index, enum hvpt_pat_type type)
{
    const unsigned shift = 8 * (index & 7);

    return (pat & ~(UINT64_C(255) << shift)) | (uint64_t)type << shift;
}

/* Can IA32_PAT have this value? If not, a write of it, and VMRUN or VM entry with it, fail. */
static inline bool hvpt_pat_is_valid(uint64_t pat)
{
    unsigned index;

    for (index = 0; index < 8; index++)
        if (hvpt_pat_get(pat, index) == HVPT_PAT_RESERVED)
            return false;
    return true;
}

/*
 * The lowest index whose entry is type; low ones need no PAT bit in the page-table entry. HVPT_PAT_NO_INDEX: there is
 * none.
 */
static inline unsigned hvpt_pat_find(uint64_t pat, enum hvpt_pat_type type)
{
    unsigned index = 0;

    while (index < 8 && hvpt_pat_get(pat, index) != type)
        index++;
    return index;
}

/* The memory type, as far as one PAT entry decides it: UC- is UC, and so is RESERVED, the only safe answer. */
static inline enum hvpt_memtype hvpt_pat_memtype(enum hvpt_pat_type type)
{
    switch (type) {
    case HVPT_PAT_WC: return HVPT_MEM_WC;
    case HVPT_PAT_WT: return HVPT_MEM_WT;
    case HVPT_PAT_WP: return HVPT_MEM_WP;
    case HVPT_PAT_WB: return HVPT_MEM_WB;
    case HVPT_PAT_UC:
    case HVPT_PAT_UC_MINUS:
    case HVPT_PAT_RESERVED: break;
    }
    return HVPT_MEM_UC;
}

/*
 * The type that an access gets on an Intel CPU whose caches are on (CR0.CD clear), from the PAT entry of its page and
 * the MTRRs at its address: SDM vol. 3, "Selecting Memory Types for Pentium III and More Recent Processor Families".
 *
 * Under EPT the same table holds with the guest's PAT entry and, instead of the MTRRs, which are not used there, the
 * memory type of the EPT leaf; with HVPT_EPT_IGNORE_PAT the leaf's alone is used (SDM vol. 3, "Memory Type Used for
 * Translated Guest-Physical Addresses"). AMD combines them differently: npt_memtype.h.
 */
static inline enum hvpt_memtype hvpt_pat_combine_mtrr(enum hvpt_pat_type type, enum hvpt_memtype mtrr)
{
    switch (type) {
    case HVPT_PAT_WB: return mtrr;
    case HVPT_PAT_WC: return HVPT_MEM_WC;
    case HVPT_PAT_WT:
    case HVPT_PAT_WP: return mtrr == HVPT_MEM_UC || mtrr == HVPT_MEM_WC ? HVPT_MEM_UC : hvpt_pat_memtype(type);
    case HVPT_PAT_UC_MINUS: return mtrr == HVPT_MEM_WC || mtrr == HVPT_MEM_WP ? HVPT_MEM_WC : HVPT_MEM_UC;
    case HVPT_PAT_UC:
    case HVPT_PAT_RESERVED: break;
    }
    return HVPT_MEM_UC;
}

#endif
