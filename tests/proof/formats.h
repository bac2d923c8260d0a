/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One format for a proof, chosen by a macro (EPT, NPT, S2 or GSTAGE): any configuration that its header accepts, and two
 * second opinions that owe nothing to the headers: what an attribute says once it was written, and what the manual says
 * of an entry.
 */
#ifndef PROOF_FORMATS_H
#define PROOF_FORMATS_H

#include "proof.h"

#if defined(EPT)
#include <hvpt/ept.h>
#elif defined(NPT)
#include <hvpt/npt.h>
#elif defined(S2)
#include <hvpt/stage2.h>
#elif defined(GSTAGE)
#include <hvpt/gstage.h>
#endif

static inline bool proof_alloc(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order, (void)out;
    return false;
}

static inline void proof_free(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

static const struct hvpt_hooks proof_hooks = {NULL, proof_alloc, proof_free, NULL, NULL, NULL};

static inline struct hvpt_attr any_attr(void)
{
    struct hvpt_attr attr;

    attr.perm = nondet_u32();
    attr.memtype = (enum hvpt_memtype)nondet_u32();
    attr.flags = nondet_u32();
    attr.software = nondet_u32();
    return attr;
}

/* What the manual's tables say of an entry. */
enum opinion { OPINION_EMPTY, OPINION_TABLE, OPINION_LEAF, OPINION_BROKEN };

/* Bits high..low, all set. */
static inline uint64_t bits(unsigned high, unsigned low)
{
    return high < low ? 0 : (UINT64_MAX >> (63 - high)) & (UINT64_MAX << low);
}

static inline bool bit(uint64_t entry, unsigned at)
{
    return (entry >> at & 1) != 0;
}

/* ---- EPT: SDM vol. 3, "EPT Misconfigurations", "EPT Translation Mechanism" ---- */
#if defined(EPT)

/* The rows of tests/reference/hvpt/ept_misconfigurations.csv, written out by scripts/prove. */
enum { PML5E = 1, PML4E = 2, PDPTE_TABLE = 4, PDPTE_1G = 8, PDE_TABLE = 16, PDE_2M = 32, PTE = 64 };
enum { ALWAYS = 0, EXECUTE_ONLY = 1, NO_EXECUTE_ONLY = 2, MODE_BASED_EXECUTE = 4, PAGING_WRITE = 8, NO_PAGE_1G = 16, NO_PAGE_2M = 32 };
struct misconfiguration {
    unsigned entries;   /* kinds of entries that the row is about */
    bool wants_clear;   /* that bit is clear */
    unsigned clear;
    bool wants_set;     /* one of these bits is set */
    unsigned low, high; /* 64 as low: MAXPHYADDR */
    bool wants_value;   /* bits 5:3 hold a value of this set */
    unsigned values;
    unsigned conditions;
};
static const struct misconfiguration misconfigurations[] = {
#include "ept_misconfigurations.inc"
};

static inline bool any_space(struct hvpt_space *space)
{
    struct hvpt_ept_config config; /* not initialised: any */

    if (hvpt_ept_configure(space, &proof_hooks, &config, false) != HVPT_OK)
        return false;
    space->features |= HVPT_HAS_MARKS; /* as every space that may be written */
    hvpt_space_open(space);
    return true;
}

static inline struct hvpt_attr as_written(const struct hvpt_space *space, struct hvpt_attr attr)
{
    if (!(space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE))
        attr.perm &= ~(uint32_t)HVPT_EXEC_USER; /* HVPT_EXEC is for all modes */
    return attr;
}

static inline enum opinion manual_says(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const bool mode_based = (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;
    const unsigned maxphyaddr = (unsigned)__builtin_ctzll(space->hpa_limit);
    const bool large = bit(entry, 7);
    const unsigned kind = level == 4                ? PML5E
                        : level == 3                ? PML4E
                        : level == 2                ? (large ? PDPTE_1G : PDPTE_TABLE)
                        : level == 1                ? (large ? PDE_2M : PDE_TABLE)
                                                    : PTE;
    const unsigned holds = (space->features & HVPT_EPT_CAN_EXECUTE_ONLY ? EXECUTE_ONLY : NO_EXECUTE_ONLY)
                         | (mode_based ? MODE_BASED_EXECUTE : 0)
                         | (space->features & HVPT_EPT_USE_PAGING_WRITE ? PAGING_WRITE : 0)
                         | (space->features & HVPT_EPT_CAN_1G ? 0 : NO_PAGE_1G)
                         | (space->features & HVPT_EPT_CAN_2M ? 0 : NO_PAGE_2M);
    unsigned i;

    if (!(entry & 7) && !(mode_based && bit(entry, 10)))
        return OPINION_EMPTY;
    for (i = 0; i < sizeof(misconfigurations) / sizeof(misconfigurations[0]); i++) {
        const struct misconfiguration *row = &misconfigurations[i];

        if ((row->entries & kind) && (row->conditions & ~holds) == 0 && !(row->wants_clear && bit(entry, row->clear))
            && !(row->wants_set && !(entry & bits(row->high, row->low == 64 ? maxphyaddr : row->low)))
            && !(row->wants_value && !(row->values >> (entry >> 3 & 7) & 1)))
            return OPINION_BROKEN;
    }
    return kind & (PDPTE_1G | PDE_2M | PTE) ? OPINION_LEAF : OPINION_TABLE;
}

/* A mark of the library's own in entries that hardware calls empty: the page that "age" took the permissions of. */
static inline bool is_marked(const struct hvpt_space *space, uint64_t entry)
{
    return !(space->features & HVPT_EPT_USE_ACCESSED_DIRTY) && bit(entry, 62);
}

/* ---- NPT: APM vol. 2, "Long-Mode Page Translation", "Nested Paging", "Guest Mode Execute Trap Extension" ---- */
#elif defined(NPT)

static inline bool any_space(struct hvpt_space *space)
{
    struct hvpt_npt_config config; /* not initialised: any */

    if (hvpt_npt_configure(space, &proof_hooks, &config, false) != HVPT_OK)
        return false;
    space->features |= HVPT_HAS_MARKS; /* as every space that may be written */
    hvpt_space_open(space);
    return true;
}

static inline struct hvpt_attr as_written(const struct hvpt_space *space, struct hvpt_attr attr)
{
    if (!(space->features & HVPT_NPT_USE_GMET))
        attr.perm &= ~(uint32_t)HVPT_EXEC_USER;
    return attr;
}

static inline enum opinion manual_says(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const unsigned maxphyaddr = (unsigned)__builtin_ctzll(space->hpa_limit);
    const uint64_t c_bits = space->features & HVPT_NPT_C_BITS;

    if (!bit(entry, 0))
        return OPINION_EMPTY;
    if (entry & bits(51, maxphyaddr) & ~c_bits)
        return OPINION_BROKEN;
    if ((space->features & HVPT_NPT_NO_NX) && bit(entry, 63))
        return OPINION_BROKEN;
    switch (level) {
    case 4: /* PML5E, PML4E: bits 7 and 8 are reserved */
    case 3: return bit(entry, 7) || bit(entry, 8) ? OPINION_BROKEN : OPINION_TABLE;
    case 2: /* PDPE */
        if (!bit(entry, 7))
            return OPINION_TABLE;
        return !(space->features & HVPT_NPT_CAN_1G) || (entry & bits(29, 13)) ? OPINION_BROKEN : OPINION_LEAF;
    case 1: /* PDE */
        if (!bit(entry, 7))
            return OPINION_TABLE;
        return entry & bits(20, 13) ? OPINION_BROKEN : OPINION_LEAF;
    default: return OPINION_LEAF;
    }
}

/* The library's own rule: with GMET no reference to a table may be the supervisor's. */
static inline bool is_marked(const struct hvpt_space *space, uint64_t entry)
{
    return (space->features & HVPT_NPT_USE_GMET) && !bit(entry, 2);
}

/* ---- Stage 2: Arm ARM, "VMSAv8-64 translation table format descriptors", "Address size faults" ---- */
#elif defined(S2)

static inline bool any_space(struct hvpt_space *space)
{
    struct hvpt_s2_config config; /* not initialised: any */

    if (hvpt_s2_configure(space, &proof_hooks, &config, false) != HVPT_OK)
        return false;
    space->features |= HVPT_HAS_MARKS; /* as every space that may be written */
    hvpt_space_open(space);
    return true;
}

static inline struct hvpt_attr as_written(const struct hvpt_space *space, struct hvpt_attr attr)
{
    if (!(space->features & HVPT_S2_USE_XNX))
        attr.perm &= ~(uint32_t)HVPT_EXEC_USER;
    if (!(space->features & HVPT_S2_USE_HARDWARE_AF))
        attr.flags |= HVPT_ACCESSED; /* its first use would fault */
    if (!(space->features & HVPT_S2_USE_HARDWARE_DIRTY))
        attr.flags &= ~(uint32_t)HVPT_DIRTY; /* there is no such bit */
    return attr;
}

static inline enum opinion manual_says(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const unsigned granule = space->page_shift, pa_bits = (unsigned)__builtin_ctzll(space->hpa_limit);
    const bool lpa2 = (space->features & HVPT_S2_USE_LPA2) != 0, lpa = granule == 16 && pa_bits == 52;
    const unsigned reach = granule + level * (granule - 3); /* log2 of what one entry covers */
    uint64_t address = entry & bits(lpa2 ? 49 : 47, granule);
    bool block;

    if (!bit(entry, 0))
        return OPINION_EMPTY;
    if (lpa2)
        address |= (entry >> 8 & 3) << 50;
    else if (lpa)
        address |= (entry >> 12 & 15) << 48;
    if (level == 0 && !bit(entry, 1)) /* reserved, as invalid */
        return OPINION_BROKEN;
    if (address & bits(63, pa_bits))
        return OPINION_BROKEN;
    if (level == 0)
        return OPINION_LEAF;
    if (bit(entry, 1))
        return OPINION_TABLE;
    block = granule == 12   ? level <= 2 || (level == 3 && lpa2)
          : granule == 14 ? level == 1 || (level == 2 && lpa2)
                            : level == 1 || (level == 2 && lpa);
    if (space->features & (HVPT_S2_USE_BBM1 | HVPT_S2_USE_BBM2)) /* bit 16 of a block is nT, not an address */
        address &= ~(UINT64_C(1) << 16);
    return !block || (address & bits(reach - 1, 0)) ? OPINION_BROKEN : OPINION_LEAF;
}

static inline bool is_marked(const struct hvpt_space *space, uint64_t entry)
{
    (void)space, (void)entry;
    return false;
}

/* ---- G-stage: RISC-V Privileged Architecture, "Virtual Address Translation Process", "Svnapot", "Svpbmt" ---- */
#elif defined(GSTAGE)

static inline bool any_space(struct hvpt_space *space)
{
    struct hvpt_gstage_config config; /* not initialised: any */

    if (hvpt_gstage_configure(space, &proof_hooks, &config, false) != HVPT_OK)
        return false;
    space->features |= HVPT_HAS_MARKS; /* as every space that may be written */
    hvpt_space_open(space);
    return true;
}

static inline struct hvpt_attr as_written(const struct hvpt_space *space, struct hvpt_attr attr)
{
    attr.perm &= ~(uint32_t)HVPT_EXEC_USER; /* one bit for all modes */
    if (!(space->features & HVPT_GSTAGE_USE_SVADU))
        attr.flags |= HVPT_ACCESSED | (attr.perm & HVPT_WRITE ? (uint32_t)HVPT_DIRTY : 0);
    return attr;
}

static inline enum opinion manual_says(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const unsigned maxphyaddr = (unsigned)__builtin_ctzll(space->hpa_limit), ppn = 10;
    const uint64_t features = space->features;
    const unsigned pbmt = (unsigned)(entry >> 61) & 3;

    if (!bit(entry, 0))
        return OPINION_EMPTY;
    if (bit(entry, 2) && !bit(entry, 1))
        return OPINION_BROKEN;
    if (entry & (features & HVPT_GSTAGE_USE_SVRSW60T59B ? bits(58, 54) : bits(60, 54)))
        return OPINION_BROKEN;
    if (pbmt == 3 || (pbmt != 0 && !(features & HVPT_GSTAGE_USE_SVPBMT)))
        return OPINION_BROKEN;
    if (bit(entry, 63) && !(features & HVPT_GSTAGE_USE_SVNAPOT))
        return OPINION_BROKEN;
    if (entry & bits(53, maxphyaddr - 12 + ppn)) /* no such memory: an access fault */
        return OPINION_BROKEN;
    if (!bit(entry, 1) && !bit(entry, 3)) { /* a pointer to the next level: D, A and U, PBMT and N are reserved */
        if (level == 0 || bit(entry, 4) || bit(entry, 6) || bit(entry, 7) || pbmt != 0 || bit(entry, 63))
            return OPINION_BROKEN;
        return OPINION_TABLE;
    }
    if (level > 0 && (entry & bits(ppn + 9 * level - 1, ppn))) /* misaligned superpage */
        return OPINION_BROKEN;
    if (bit(entry, 63) && (level != 0 || (entry >> ppn & 15) != 8)) /* NAPOT: 64 KiB alone */
        return OPINION_BROKEN;
    return OPINION_LEAF;
}

static inline bool is_marked(const struct hvpt_space *space, uint64_t entry)
{
    (void)space, (void)entry;
    return false;
}

#endif

#endif
