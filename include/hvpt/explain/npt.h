/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT's rules in words. APM vol. 2, "Nested Paging", "Page-Translation-Table Entry Fields". Part of explain.h.
 */
#ifndef HVPT_EXPLAIN_NPT_H
#define HVPT_EXPLAIN_NPT_H

#include "../format/npt.h"
#include "reason.h"

/* A broken rule in words. bits: the bits of the entry that it is about. */
static inline HVPT_COLD struct hvpt_reason hvpt_npt_breaks(const struct hvpt_space *space, unsigned number,
                                                           unsigned level)
{
    uint64_t bits = 0;
    const char *rule = "";
    const char *section = "APM vol. 2, \"Page-Translation-Table Entry Fields\"";
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_NPT_ADDRESS_BITS & ~HVPT_NPT_BIT_PAT_LARGE;

    switch (number) {
    case HVPT_NPT_RULE_NX:
        bits = HVPT_NPT_BIT_NX;
        rule = "no-execute is reserved where the host's EFER.NXE is clear";
        break;
    case HVPT_NPT_RULE_ADDRESS:
        bits = space->reserved_bits & HVPT_NPT_ADDRESS_BITS;
        rule = "address bits beyond the physical address size are reserved";
        break;
    case HVPT_NPT_RULE_SIZE:
        bits = HVPT_NPT_BIT_LARGE;
        rule = "there are no pages of this size";
        break;
    case HVPT_NPT_RULE_BIT_8:
        bits = UINT64_C(1) << 8;
        rule = "reserved in PML4E and PML5E";
        break;
    case HVPT_NPT_RULE_1G:
        bits = HVPT_NPT_BIT_LARGE;
        rule = "1-GByte pages need CPUID 80000001H EDX[26]";
        break;
    case HVPT_NPT_RULE_ALIGNMENT:
        bits = below;
        rule = level == 2 ? "the address of a 1-GByte page is not aligned to it"
                          : "the address of a 2-MByte page is not aligned to it";
        break;
    case HVPT_NPT_RULE_GMET:
        bits = HVPT_NPT_BIT_USER;
        rule = "a supervisor table makes all below it the guest supervisor's to execute; not used here";
        section = "APM vol. 2, \"Guest Mode Execute Trap Extension\"";
        break;
    default: break;
    }
    return hvpt_make_reason(HVPT_E_CORRUPT, number, bits, rule, section);
}

static inline HVPT_COLD struct hvpt_reason hvpt_npt_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, 0, bits, rule, "APM vol. 2, \"Combining Nested and Guest Attributes\"");
}

/* The first permission in access that a well-formed entry does not give. */
static inline HVPT_COLD struct hvpt_reason hvpt_npt_judge_access(const struct hvpt_space *space, uint64_t entry,
                                                                 unsigned level, uint32_t access)
{
    const uint32_t exec = HVPT_EXEC | HVPT_EXEC_USER;
    const bool leaf = level == 0 || (entry & HVPT_NPT_BIT_LARGE);
    const bool gmet = leaf && (space->features & HVPT_NPT_USE_GMET);

    if (access != 0 && !gmet && !(entry & HVPT_NPT_BIT_USER) && !(leaf && hvpt_npt_is_shadow_stack(space, entry)))
        return hvpt_make_reason(HVPT_E_ATTR, 0, HVPT_NPT_BIT_USER,
                                "a supervisor page, and every access of a guest is a user access here",
                                "APM vol. 2, \"Nested versus Guest Page Faults, Fault Ordering\"");
    if ((access & HVPT_WRITE) && !(entry & HVPT_NPT_BIT_WRITE))
        return leaf && (entry & HVPT_NPT_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS)
                 ? hvpt_npt_denies(HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_LOGGED,
                                   "the right to write was taken by write_protect, and touch gives it back")
                 : hvpt_npt_denies(HVPT_NPT_BIT_WRITE, "no right to write");
    if ((access & exec) && (entry & HVPT_NPT_BIT_NX))
        return hvpt_npt_denies(HVPT_NPT_BIT_NX, "no-execute");
    if ((access & HVPT_EXEC) && gmet && (entry & HVPT_NPT_BIT_USER))
        return hvpt_make_reason(HVPT_E_ATTR, 0, HVPT_NPT_BIT_USER,
                                "a user page, which the guest's supervisor may not execute",
                                "APM vol. 2, \"Guest Mode Execute Trap Extension\"");
    return hvpt_no_reason();
}

/* As hvpt_reason_of. */
HVPT_FUNCTION HVPT_COLD struct hvpt_reason hvpt_npt_reason(const struct hvpt_space *space, uint64_t entry,
                                                           unsigned level, uint32_t access)
{
    const unsigned found = hvpt_judge(space, entry, level);

    if (found == HVPT_ENTRY_EMPTY)
        return hvpt_make_reason(HVPT_E_ABSENT, 0, HVPT_NPT_BIT_PRESENT, "not present",
                                "APM vol. 2, \"Nested versus Guest Page Faults, Fault Ordering\"");
    return found >= HVPT_ENTRY_BROKEN ? hvpt_npt_breaks(space, found, level)
                                      : hvpt_npt_judge_access(space, entry, level, access);
}

static inline const struct hvpt_words *hvpt_npt_words(void)
{
    static const struct hvpt_words words = {hvpt_npt_reason, {"PTE", "PDE", "PDPE", "PML4E", "PML5E"}};

    return &words;
}

#endif
