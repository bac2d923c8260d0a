/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The G-stage's rules in words. RISC-V Privileged Architecture, "Virtual Address Translation Process", "Two-Stage
 * Address Translation". Part of explain.h.
 */
#ifndef HVPT_EXPLAIN_GSTAGE_H
#define HVPT_EXPLAIN_GSTAGE_H

#include "../format/gstage.h"
#include "reason.h"

#define HVPT_GSTAGE_SAYS_WALK   "Privileged Architecture, \"Virtual Address Translation Process\""
#define HVPT_GSTAGE_SAYS_STAGES "Privileged Architecture, \"Two-Stage Address Translation\""
#define HVPT_GSTAGE_SAYS_PBMT   "Privileged Architecture, \"Svpbmt\" Extension for Page-Based Memory Types"
#define HVPT_GSTAGE_SAYS_NAPOT  "Privileged Architecture, \"Svnapot\" Extension for NAPOT Translation Contiguity"

/* A broken rule in words. bits: the bits of the entry that it is about. */
static inline HVPT_COLD struct hvpt_reason hvpt_gstage_breaks(const struct hvpt_space *space, unsigned number,
                                                              unsigned level)
{
    uint64_t bits = 0;
    const char *rule = "";
    const char *section = HVPT_GSTAGE_SAYS_WALK;
    const uint64_t below = (hvpt_leaf_step(space, level) - 1) & HVPT_GSTAGE_PPN_BITS;

    switch (number) {
    case HVPT_GSTAGE_RULE_WRITE_ONLY:
        bits = HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE;
        rule = "writable but not readable";
        break;
    case HVPT_GSTAGE_RULE_RESERVED:
        bits = hvpt_gstage_reserved(space);
        rule = space->features & HVPT_GSTAGE_USE_SVRSW60T59B ? "bits 58:54 are reserved" : "bits 60:54 are reserved";
        break;
    case HVPT_GSTAGE_RULE_NO_SVPBMT:
        bits = HVPT_GSTAGE_PBMT_BITS;
        rule = "a memory type without Svpbmt";
        section = HVPT_GSTAGE_SAYS_PBMT;
        break;
    case HVPT_GSTAGE_RULE_PBMT:
        bits = HVPT_GSTAGE_PBMT_BITS;
        rule = "a reserved memory type";
        section = HVPT_GSTAGE_SAYS_PBMT;
        break;
    case HVPT_GSTAGE_RULE_NO_SVNAPOT:
        bits = HVPT_GSTAGE_BIT_NAPOT;
        rule = "N without Svnapot";
        section = HVPT_GSTAGE_SAYS_NAPOT;
        break;
    case HVPT_GSTAGE_RULE_ADDRESS:
        bits = space->reserved_bits;
        rule = "a page number beyond the physical addresses";
        break;
    case HVPT_GSTAGE_RULE_TABLE_AT_0:
        bits = HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC;
        rule = "a reference to a table at the level of the smallest pages";
        break;
    case HVPT_GSTAGE_RULE_TABLE:
        bits = HVPT_GSTAGE_OF_LEAVES;
        rule = "D, A, U, PBMT and N are reserved in a reference to a table";
        break;
    case HVPT_GSTAGE_RULE_ALIGNMENT:
        bits = below;
        rule = "the page number of a superpage is not aligned to it";
        break;
    case HVPT_GSTAGE_RULE_NAPOT:
        bits = HVPT_GSTAGE_BIT_NAPOT | HVPT_GSTAGE_NAPOT_PPN;
        rule = "a reserved NAPOT size";
        section = HVPT_GSTAGE_SAYS_NAPOT;
        break;
    default: break;
    }
    return hvpt_make_reason(HVPT_E_CORRUPT, number, bits, rule, section);
}

static inline HVPT_COLD struct hvpt_reason hvpt_gstage_denies(uint64_t bits, const char *rule, const char *section)
{
    return hvpt_make_reason(HVPT_E_ATTR, 0, bits, rule, section);
}

/* The first permission in access that a well-formed leaf does not give. Tables of the G-stage deny nothing. */
static inline HVPT_COLD struct hvpt_reason hvpt_gstage_judge_access(const struct hvpt_space *space, uint64_t entry,
                                                                    uint32_t access)
{
    const bool marks = (space->features & HVPT_GSTAGE_USE_SVADU) != 0;

    if (access != 0 && !(entry & HVPT_GSTAGE_BIT_USER))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_USER, "U is clear, and every access of a guest is a user access here",
                                  HVPT_GSTAGE_SAYS_STAGES);
    if ((access & HVPT_READ) && !(entry & HVPT_GSTAGE_BIT_READ))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_READ, "no right to read", HVPT_GSTAGE_SAYS_WALK);
    if ((access & HVPT_WRITE) && !(entry & HVPT_GSTAGE_BIT_WRITE))
        return (entry & HVPT_GSTAGE_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS)
                 ? hvpt_gstage_denies(HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_LOGGED,
                                      "the right to write was taken by write_protect, and touch gives it back",
                                      HVPT_GSTAGE_SAYS_WALK)
                 : hvpt_gstage_denies(HVPT_GSTAGE_BIT_WRITE, "no right to write", HVPT_GSTAGE_SAYS_WALK);
    if ((access & (HVPT_EXEC | HVPT_EXEC_USER)) && !(entry & HVPT_GSTAGE_BIT_EXEC))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_EXEC, "no right to execute", HVPT_GSTAGE_SAYS_WALK);
    if (access != 0 && !marks && !(entry & HVPT_GSTAGE_BIT_ACCESSED))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_ACCESSED,
                                  "not accessed yet, which faults without Svadu; touch sets it", HVPT_GSTAGE_SAYS_WALK);
    if ((access & HVPT_WRITE) && !marks && !(entry & HVPT_GSTAGE_BIT_DIRTY))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_DIRTY, "not dirty yet, which faults without Svadu; touch sets it",
                                  HVPT_GSTAGE_SAYS_WALK);
    return hvpt_no_reason();
}

/* As hvpt_reason_of. */
HVPT_FUNCTION HVPT_COLD struct hvpt_reason hvpt_gstage_reason(const struct hvpt_space *space, uint64_t entry,
                                                              unsigned level, uint32_t access)
{
    const unsigned found = hvpt_judge(space, entry, level);

    if (found == HVPT_ENTRY_EMPTY)
        return hvpt_make_reason(HVPT_E_ABSENT, 0, HVPT_GSTAGE_BIT_VALID, "not valid", HVPT_GSTAGE_SAYS_WALK);
    if (found >= HVPT_ENTRY_BROKEN)
        return hvpt_gstage_breaks(space, found, level);
    return found == HVPT_ENTRY_TABLE ? hvpt_no_reason() : hvpt_gstage_judge_access(space, entry, access);
}

static inline const struct hvpt_words *hvpt_gstage_words(void)
{
    static const struct hvpt_words words = {hvpt_gstage_reason, {"PTE", "PTE", "PTE", "PTE", "PTE"}};

    return &words;
}

#endif
