/*
 * EPT's rules by name, and hvpt_ept_explain: why an access is allowed, denied, or ends in an EPT misconfiguration.
 * SDM vol. 3, "EPT Misconfigurations" and "EPT Violations". Part of ept.h.
 */
#ifndef HVPT_EPT_EXPLAIN_H
#define HVPT_EPT_EXPLAIN_H

#include "core/explain.h"
#include "ept.h"

#define HVPT_EPT_SAYS_MISCONFIGURED "SDM vol. 3, \"EPT Misconfigurations\""
#define HVPT_EPT_SAYS_VIOLATION     "SDM vol. 3, \"EPT Violations\""

static inline struct hvpt_reason hvpt_ept_breaks(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_CORRUPT, bits, rule, HVPT_EPT_SAYS_MISCONFIGURED);
}

static inline struct hvpt_reason hvpt_ept_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, bits, rule, HVPT_EPT_SAYS_VIOLATION);
}

/* The first of the manual's rules that entry breaks, numbered in its order. The entry is present. */
static inline struct hvpt_reason hvpt_ept_judge_form(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t features = space->features;
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_EPT_ADDRESS_BITS;
    const uint64_t type = (entry & HVPT_EPT_MEMTYPE_BITS) >> HVPT_EPT_MEMTYPE_SHIFT;
    const bool leaf = level == 0 || (level <= 2 && (entry & HVPT_EPT_BIT_LARGE));

    if (!(entry & HVPT_EPT_BIT_READ)) {
        const bool only = (features & HVPT_EPT_CAN_EXECUTE_ONLY) != 0;

        if (entry & HVPT_EPT_BIT_WRITE)
            return hvpt_ept_breaks(HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE, "EPTM.01, writable but not readable");
        if (!only && (entry & HVPT_EPT_BIT_EXEC))
            return hvpt_ept_breaks(HVPT_EPT_BIT_READ | HVPT_EPT_BIT_EXEC,
                                   "EPTM.02, executable but not readable, which needs IA32_VMX_EPT_VPID_CAP bit 0");
        if (!only)
            return hvpt_ept_breaks(
                HVPT_EPT_BIT_READ | HVPT_EPT_BIT_USER_EXEC,
                "EPTM.03, user-executable but not readable, which needs IA32_VMX_EPT_VPID_CAP bit 0");
        if (leaf && (features & HVPT_EPT_USE_PAGING_WRITE) && (entry & HVPT_EPT_BIT_PAGING_WRITE))
            return hvpt_ept_breaks(HVPT_EPT_BIT_READ | HVPT_EPT_BIT_PAGING_WRITE,
                                   "EPTM.04, paging-write but not readable");
    }
    if (entry & space->reserved_bits)
        return hvpt_ept_breaks(space->reserved_bits, "EPTM.05, address bits at and above MAXPHYADDR are reserved");
    if (!leaf) {
        if (!(entry & HVPT_EPT_TABLE_RESERVED))
            return hvpt_no_reason();
        return hvpt_ept_breaks(HVPT_EPT_TABLE_RESERVED,
                               level == 4   ? "EPTM.06, bits 7:3 of a PML5E are reserved"
                               : level == 3 ? "EPTM.07, bits 7:3 of a PML4E are reserved"
                               : level == 2 ? "EPTM.08, bits 6:3 of a PDPTE that refers to a table are reserved"
                                            : "EPTM.11, bits 6:3 of a PDE that refers to a table are reserved");
    }
    if (level == 2 && !(features & HVPT_EPT_CAN_1G))
        return hvpt_ept_breaks(HVPT_EPT_BIT_LARGE, "EPTM.09, 1-GByte pages need IA32_VMX_EPT_VPID_CAP bit 17");
    if (level == 1 && !(features & HVPT_EPT_CAN_2M))
        return hvpt_ept_breaks(HVPT_EPT_BIT_LARGE, "EPTM.12, 2-MByte pages need IA32_VMX_EPT_VPID_CAP bit 16");
    if (level != 0 && (entry & below))
        return hvpt_ept_breaks(below, level == 2 ? "EPTM.10, the address of a 1-GByte page is not aligned to it"
                                                 : "EPTM.13, the address of a 2-MByte page is not aligned to it");
    if (type == 2 || type == 3 || type == 7)
        return hvpt_ept_breaks(HVPT_EPT_MEMTYPE_BITS, "EPTM.14, a reserved memory type");
    return hvpt_no_reason();
}

/* The first right of access that a well-formed entry does not give. */
static inline struct hvpt_reason hvpt_ept_judge_access(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                       uint32_t access)
{
    const bool leaf = level == 0 || (entry & HVPT_EPT_BIT_LARGE);
    const bool two = (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;

    if ((access & HVPT_READ) && !(entry & HVPT_EPT_BIT_READ))
        return hvpt_ept_denies(HVPT_EPT_BIT_READ, "no right to read");
    if ((access & HVPT_WRITE) && !(entry & HVPT_EPT_BIT_WRITE)) {
        if (leaf && (entry & HVPT_EPT_BIT_LOGGED) && !space->readonly)
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

/* As hvpt_judge. */
static HVPT_NOINLINE struct hvpt_reason hvpt_ept_judge(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                       uint32_t access)
{
    const uint64_t rights = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                          | (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0);
    struct hvpt_reason reason;

    if (!(entry & rights)) {
        if (!(entry & space->present_mask))
            return hvpt_make_reason(HVPT_E_ABSENT, rights, "an entry without any right is not present",
                                    HVPT_EPT_SAYS_VIOLATION);
        /* Bit 62 is this library's own: hardware sees an empty entry. */
        if (!hvpt_ept_is_leaf(space, entry, level))
            return hvpt_ept_breaks(HVPT_EPT_BIT_AGED, "marked as a page that age took the rights of, and no page");
        return access == 0 ? hvpt_no_reason()
                           : hvpt_ept_denies(rights | HVPT_EPT_BIT_AGED,
                                             "all rights were taken by age, and touch gives them back");
    }
    reason = hvpt_ept_judge_form(space, entry, level);
    return reason.status == HVPT_OK ? hvpt_ept_judge_access(space, entry, level, access) : reason;
}

/* As hvpt_explain_access. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_explain(const struct hvpt_ept *ept, hvpt_gpa gpa,
                                                               uint32_t access, const struct hvpt_text *text)
{
    static const char *const names[HVPT_MAX_LEVELS] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

    return hvpt_explain_access(&hvpt_ept_format, hvpt_ept_judge, names, &ept->space, gpa, access, text);
}

#endif
