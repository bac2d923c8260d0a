/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Stage 2's rules in words. Arm ARM, "VMSAv8-64 translation table format descriptors", "Stage 2 access permissions".
 * Part of explain.h.
 */
#ifndef HVPT_EXPLAIN_STAGE2_H
#define HVPT_EXPLAIN_STAGE2_H

#include "../format/stage2.h"
#include "reason.h"

/* The bits of a descriptor that hold the address of a page or table aligned to 1 << low. */
static inline uint64_t hvpt_s2_address_field(const struct hvpt_space *space, unsigned low)
{
    const uint64_t from = ~((UINT64_C(1) << low) - 1);

    if (space->features & HVPT_S2_USE_LPA2)
        return (((UINT64_C(1) << 50) - 1) & from) | HVPT_S2_SH_BITS;
    return (((UINT64_C(1) << 48) - 1) & from) | (space->features & HVPT_S2_HAS_LPA ? UINT64_C(0xf000) : 0);
}

/* A broken rule in words. bits: the bits of the entry that it is about. */
static inline HVPT_COLD struct hvpt_reason hvpt_s2_breaks(const struct hvpt_space *space, unsigned number,
                                                          unsigned level)
{
    uint64_t bits = 0;
    const char *rule = "";
    const char *section = "Arm ARM, \"VMSAv8-64 translation table format descriptors\"";

    switch (number) {
    case HVPT_S2_RULE_PAGE:
        bits = HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;
        rule = "a block at the level of pages: translation fault";
        break;
    case HVPT_S2_RULE_ADDRESS:
        bits = hvpt_s2_address_field(space, space->page_shift);
        rule = "an address beyond VTCR_EL2.PS: address size fault";
        section = "Arm ARM, \"MMU fault types\"";
        break;
    case HVPT_S2_RULE_BLOCK:
        bits = HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;
        rule = "this granule has no blocks at this level: translation fault";
        break;
    case HVPT_S2_RULE_ALIGNMENT:
        bits = hvpt_s2_address_field(space, space->page_shift) & (hvpt_span(space, level) - 1);
        bits &= space->features & (HVPT_S2_USE_BBM1 | HVPT_S2_USE_BBM2) ? ~HVPT_S2_BIT_NT : UINT64_MAX;
        rule = "the address of a block is not aligned to it: these bits are RES0";
        break;
    default: break;
    }
    return hvpt_make_reason(HVPT_E_CORRUPT, number, bits, rule, section);
}

static inline HVPT_COLD struct hvpt_reason hvpt_s2_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, 0, bits, rule, "Arm ARM, \"Stage 2 access permissions\"");
}

/* The first permission in access that a well-formed leaf does not give. Tables of stage 2 deny nothing. */
static inline HVPT_COLD struct hvpt_reason hvpt_s2_judge_access(const struct hvpt_space *space, uint64_t entry,
                                                                uint32_t access)
{
    const uint64_t features = space->features;
    const uint64_t never = HVPT_S2_BIT_XN1 | (features & HVPT_S2_USE_XNX ? HVPT_S2_BIT_XN0 : 0);
    const uint32_t perm = hvpt_s2_perm(space, entry);

    if (access != 0 && !(entry & HVPT_S2_BIT_AF) && !(features & HVPT_S2_USE_HARDWARE_AF))
        return hvpt_make_reason(HVPT_E_ATTR, 0, HVPT_S2_BIT_AF,
                                "the access flag is clear, and touch sets it: Access flag fault",
                                "Arm ARM, \"The Access flag\"");
    if ((access & HVPT_READ) && !(perm & HVPT_READ))
        return hvpt_s2_denies(HVPT_S2_BIT_READ, "no right to read (S2AP)");
    if ((access & HVPT_WRITE) && !(perm & HVPT_WRITE))
        return (entry & HVPT_S2_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS)
                 ? hvpt_s2_denies(HVPT_S2_BIT_WRITE | HVPT_S2_BIT_LOGGED,
                                  "the right to write was taken by write_protect or dirty, and touch gives it back")
                 : hvpt_s2_denies(HVPT_S2_BIT_WRITE | (features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_S2_BIT_DBM : 0),
                                  "no right to write (S2AP)");
    if ((access & HVPT_EXEC) && !(perm & HVPT_EXEC))
        return hvpt_s2_denies(never, features & HVPT_S2_USE_XNX ? "execute-never at EL1 (XN)" : "execute-never (XN)");
    if ((access & HVPT_EXEC_USER) && !(perm & (features & HVPT_S2_USE_XNX ? HVPT_EXEC_USER : HVPT_EXEC)))
        return hvpt_s2_denies(never, features & HVPT_S2_USE_XNX ? "execute-never at EL0 (XN)" : "execute-never (XN)");
    return hvpt_no_reason();
}

/* As hvpt_reason_of. */
HVPT_FUNCTION HVPT_COLD struct hvpt_reason hvpt_s2_reason(const struct hvpt_space *space, uint64_t entry,
                                                          unsigned level, uint32_t access)
{
    const unsigned found = hvpt_judge(space, entry, level);

    if (found == HVPT_ENTRY_EMPTY)
        return hvpt_make_reason(HVPT_E_ABSENT, 0, HVPT_S2_BIT_VALID, "not valid: translation fault",
                                "Arm ARM, \"VMSAv8-64 translation table format descriptors\"");
    if (found >= HVPT_ENTRY_BROKEN)
        return hvpt_s2_breaks(space, found, level);
    return found == HVPT_ENTRY_TABLE ? hvpt_no_reason() : hvpt_s2_judge_access(space, entry, access);
}

static inline const struct hvpt_words *hvpt_s2_words(void)
{
    static const struct hvpt_words words = {
        hvpt_s2_reason, {"Arm's level 3", "Arm's level 2", "Arm's level 1", "Arm's level 0", "Arm's level -1"}};

    return &words;
}

#endif
