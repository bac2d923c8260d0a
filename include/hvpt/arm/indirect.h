/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a code of S2PIR_EL2 or S2POR_EL1 permits, for tables that others made: indirect permissions and overlays of
 * stage 2 (FEAT_S2PIE, FEAT_S2POE). Arm ARM, "Stage 2 Indirect permissions", "Stage 2 permission overlays".
 */
#ifndef HVPT_ARM_INDIRECT_H
#define HVPT_ARM_INDIRECT_H

#include "../types.h"

/*
 * perm: the permissions of the guest's accesses; HVPT_EXEC is execution at EL1.
 * walk: those of its table walks, which may set access flags and dirty state where the guest may not write (MRO).
 * top_level: bit 0 is TL0, bit 1 is TL1: what is demanded of stage 1's top level.
 */
struct hvpt_s2_permission {
    uint32_t perm;
    uint32_t walk;
    unsigned top_level;
};

/* The code of a register for an index of 0 to 15. */
static inline unsigned hvpt_s2_permission_code(uint64_t reg, unsigned index)
{
    return (unsigned)(reg >> (4 * (index & 15))) & 15;
}

/* The index into S2PIR_EL2 of a leaf: descriptor bits 54, 53, 51 and 6. */
static inline unsigned hvpt_s2_permission_index(uint64_t entry)
{
    return (unsigned)((entry >> 6 & 1) | (entry >> 51 & 1) << 1 | (entry >> 53 & 3) << 2);
}

/* The index into S2POR_EL1: descriptor bits 62:59. */
static inline unsigned hvpt_s2_overlay_index(uint64_t entry)
{
    return (unsigned)(entry >> 59) & 15;
}

/* Take a code apart. 1 and 5 are reserved and permit nothing. */
static inline struct hvpt_s2_permission hvpt_s2_permission_of(unsigned code)
{
    struct hvpt_s2_permission out = {0, 0, 0};

    if (code & 8) {
        out.perm = (uint32_t)HVPT_READ | (code & 4 ? (uint32_t)HVPT_WRITE : 0) | (code & 2 ? (uint32_t)HVPT_EXEC : 0)
                 | (code & 1 ? (uint32_t)HVPT_EXEC_USER : 0);
        out.walk = out.perm & ((uint32_t)HVPT_READ | (uint32_t)HVPT_WRITE);
    } else if (code & 2) { /* MRO, alone or with TL1, TL0 or both */
        out.perm = HVPT_READ;
        out.walk = (uint32_t)HVPT_READ | (uint32_t)HVPT_WRITE;
        out.top_level = (code & 1) << 1 | (code >> 2 & 1);
    } else if (code == 4) {
        out.perm = HVPT_WRITE;
    }
    return out;
}

/* What a base permission and an overlay permit together; top_level is the base's. */
static inline struct hvpt_s2_permission hvpt_s2_overlaid(struct hvpt_s2_permission base,
                                                         struct hvpt_s2_permission overlay)
{
    base.perm &= overlay.perm;
    base.walk &= overlay.walk;
    return base;
}

#endif
