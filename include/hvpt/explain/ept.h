/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT's rules in words. SDM vol. 3, "EPT Misconfigurations", "EPT Violations". Part of explain.h.
 */
#ifndef HVPT_EXPLAIN_EPT_H
#define HVPT_EXPLAIN_EPT_H

#include "../format/ept.h"
#include "reason.h"

#define HVPT_EPT_SAYS_MISCONFIGURED "SDM vol. 3, \"EPT Misconfigurations\""
#define HVPT_EPT_SAYS_VIOLATION     "SDM vol. 3, \"EPT Violations\""

/* A broken rule in words. bits: the bits of the entry that it is about. */
static inline HVPT_COLD struct hvpt_reason hvpt_ept_breaks(const struct hvpt_space *space, unsigned number,
                                                           unsigned level)
{
    uint64_t bits = 0;
    const char *rule = "";
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_EPT_ADDRESS_BITS;

    switch (number) {
    case HVPT_EPT_RULE_WRITE_ONLY:
        bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE;
        rule = "EPTM.01, writable but not readable";
        break;
    case HVPT_EPT_RULE_EXECUTE_ONLY:
        bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_EXEC;
        rule = "EPTM.02, executable but not readable, which needs IA32_VMX_EPT_VPID_CAP bit 0";
        break;
    case HVPT_EPT_RULE_USER_EXECUTE_ONLY:
        bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_USER_EXEC;
        rule = "EPTM.03, user-executable but not readable, which needs IA32_VMX_EPT_VPID_CAP bit 0";
        break;
    case HVPT_EPT_RULE_PAGING_WRITE:
        bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_PAGING_WRITE;
        rule = "EPTM.04, paging-write but not readable";
        break;
    case HVPT_EPT_RULE_ADDRESS:
        bits = space->reserved_bits;
        rule = "EPTM.05, address bits at and above MAXPHYADDR are reserved";
        break;
    case HVPT_EPT_RULE_PML5E:
        bits = HVPT_EPT_TABLE_RESERVED;
        rule = "EPTM.06, bits 7:3 of a PML5E are reserved";
        break;
    case HVPT_EPT_RULE_PML4E:
        bits = HVPT_EPT_TABLE_RESERVED;
        rule = "EPTM.07, bits 7:3 of a PML4E are reserved";
        break;
    case HVPT_EPT_RULE_PDPTE:
        bits = HVPT_EPT_TABLE_RESERVED;
        rule = "EPTM.08, bits 6:3 of a PDPTE that refers to a table are reserved";
        break;
    case HVPT_EPT_RULE_1G:
        bits = HVPT_EPT_BIT_LARGE;
        rule = "EPTM.09, 1-GByte pages need IA32_VMX_EPT_VPID_CAP bit 17";
        break;
    case HVPT_EPT_RULE_1G_ALIGNMENT:
        bits = below;
        rule = "EPTM.10, the address of a 1-GByte page is not aligned to it";
        break;
    case HVPT_EPT_RULE_PDE:
        bits = HVPT_EPT_TABLE_RESERVED;
        rule = "EPTM.11, bits 6:3 of a PDE that refers to a table are reserved";
        break;
    case HVPT_EPT_RULE_2M:
        bits = HVPT_EPT_BIT_LARGE;
        rule = "EPTM.12, 2-MByte pages need IA32_VMX_EPT_VPID_CAP bit 16";
        break;
    case HVPT_EPT_RULE_2M_ALIGNMENT:
        bits = below;
        rule = "EPTM.13, the address of a 2-MByte page is not aligned to it";
        break;
    case HVPT_EPT_RULE_MEMTYPE:
        bits = HVPT_EPT_MEMTYPE_BITS;
        rule = "EPTM.14, a reserved memory type";
        break;
    case HVPT_EPT_RULE_AGED:
        bits = HVPT_EPT_BIT_AGED;
        rule = "marked as an aged page, but no page";
        break;
    default: break;
    }
    return hvpt_make_reason(HVPT_E_CORRUPT, number, bits, rule, HVPT_EPT_SAYS_MISCONFIGURED);
}

static inline HVPT_COLD struct hvpt_reason hvpt_ept_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, 0, bits, rule, HVPT_EPT_SAYS_VIOLATION);
}

/* The first permission in access that a well-formed entry does not give. */
static inline HVPT_COLD struct hvpt_reason hvpt_ept_judge_access(const struct hvpt_space *space, uint64_t entry,
                                                                 unsigned level, uint32_t access)
{
    const bool leaf = level == 0 || (entry & HVPT_EPT_BIT_LARGE);
    const bool two = (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;

    if ((access & HVPT_READ) && !(entry & HVPT_EPT_BIT_READ))
        return hvpt_ept_denies(HVPT_EPT_BIT_READ, "no right to read");
    if ((access & HVPT_WRITE) && !(entry & HVPT_EPT_BIT_WRITE)) {
        if (leaf && (entry & HVPT_EPT_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS))
            return hvpt_ept_denies(HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_LOGGED,
                                   "the right to write was taken by write_protect or dirty, and touch gives it back");
        if (level == 0 && (space->features & HVPT_EPT_USE_SUB_PAGE_WRITE) && (entry & HVPT_EPT_BIT_SUB_PAGE_WRITE))
            return hvpt_ept_denies(HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_SUB_PAGE_WRITE,
                                   "no right to write but where the sub-page permission table gives it");
        return hvpt_ept_denies(HVPT_EPT_BIT_WRITE, "no right to write");
    }
    if ((access & HVPT_EXEC) && !(entry & HVPT_EPT_BIT_EXEC))
        return hvpt_ept_denies(HVPT_EPT_BIT_EXEC,
                               two ? "no right to execute in supervisor mode" : "no right to execute");
    if ((access & HVPT_EXEC_USER) && !(entry & (two ? HVPT_EPT_BIT_USER_EXEC : HVPT_EPT_BIT_EXEC)))
        return two ? hvpt_ept_denies(HVPT_EPT_BIT_USER_EXEC, "no right to execute in user mode")
                   : hvpt_ept_denies(HVPT_EPT_BIT_EXEC, "no right to execute");
    return hvpt_no_reason();
}

/* As hvpt_reason_of. */
HVPT_FUNCTION HVPT_COLD struct hvpt_reason hvpt_ept_reason(const struct hvpt_space *space, uint64_t entry,
                                                           unsigned level, uint32_t access)
{
    const uint64_t rights = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                          | (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0);
    const unsigned found = hvpt_judge(space, entry, level);

    if (found == HVPT_ENTRY_EMPTY)
        return hvpt_make_reason(HVPT_E_ABSENT, 0, rights, "an entry without any right is not present",
                                HVPT_EPT_SAYS_VIOLATION);
    if (found >= HVPT_ENTRY_BROKEN)
        return hvpt_ept_breaks(space, found, level);
    if (!(entry & rights)) /* bit 62 is this library's own: hardware sees an empty entry */
        return access == 0 ? hvpt_no_reason()
                           : hvpt_ept_denies(rights | HVPT_EPT_BIT_AGED,
                                             "all rights were taken by age, and touch gives them back");
    return hvpt_ept_judge_access(space, entry, level, access);
}

static inline const struct hvpt_words *hvpt_ept_words(void)
{
    static const struct hvpt_words words = {hvpt_ept_reason, {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"}};

    return &words;
}

#endif
