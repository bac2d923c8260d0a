/*
 * NPT's rules by name, and hvpt_npt_explain: why an access is allowed, denied, or ends in a reserved-bit fault.
 * APM vol. 2, "Nested Paging" and "Page-Translation-Table Entry Fields". Part of npt.h.
 */
#ifndef HVPT_NPT_EXPLAIN_H
#define HVPT_NPT_EXPLAIN_H

#include "core/explain.h"
#include "npt.h"

static inline struct hvpt_reason hvpt_npt_breaks(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_CORRUPT, bits, rule, "APM vol. 2, \"Page-Translation-Table Entry Fields\"");
}

static inline struct hvpt_reason hvpt_npt_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, bits, rule, "APM vol. 2, \"Combining Nested and Guest Attributes\"");
}

/* The reserved bits that a present entry has set. */
static inline struct hvpt_reason hvpt_npt_judge_form(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t address = space->reserved_bits & HVPT_NPT_ADDRESS_BITS;
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_NPT_ADDRESS_BITS & ~HVPT_NPT_BIT_PAT_LARGE;
    const bool leaf = level == 0 || (level <= 2 && (entry & HVPT_NPT_BIT_LARGE));

    if (entry & space->reserved_bits & HVPT_NPT_BIT_NX)
        return hvpt_npt_breaks(HVPT_NPT_BIT_NX, "no-execute is reserved where the host's EFER.NXE is clear");
    if (entry & address)
        return hvpt_npt_breaks(address, "address bits beyond the physical address size are reserved");
    if (level >= 3 && (entry & HVPT_NPT_BIT_LARGE))
        return hvpt_npt_breaks(HVPT_NPT_BIT_LARGE, "there are no pages of this size");
    if (level >= 3 && (entry & (UINT64_C(1) << 8)))
        return hvpt_npt_breaks(UINT64_C(1) << 8, "reserved in PML4E and PML5E");
    if (leaf && level != 0 && (entry & below))
        return hvpt_npt_breaks(below, level == 2 ? "the address of a 1-GByte page is not aligned to it"
                                                 : "the address of a 2-MByte page is not aligned to it");
    if (!leaf && (space->features & HVPT_NPT_USE_GMET) && !(entry & HVPT_NPT_BIT_USER))
        return hvpt_make_reason(
            HVPT_E_CORRUPT, HVPT_NPT_BIT_USER,
            "a supervisor table makes all below it the guest supervisor's to execute; not used here",
            "APM vol. 2, \"Guest Mode Execute Trap Extension\"");
    return hvpt_no_reason();
}

/* The first right of access that a well-formed entry does not give. */
static inline struct hvpt_reason hvpt_npt_judge_access(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                       uint32_t access)
{
    const uint32_t exec = HVPT_EXEC | HVPT_EXEC_USER;
    const bool leaf = level == 0 || (entry & HVPT_NPT_BIT_LARGE);
    const bool gmet = leaf && (space->features & HVPT_NPT_USE_GMET);

    if (access != 0 && !gmet && !(entry & HVPT_NPT_BIT_USER) && !(leaf && hvpt_npt_is_shadow_stack(space, entry)))
        return hvpt_make_reason(HVPT_E_ATTR, HVPT_NPT_BIT_USER,
                                "a supervisor page, and every access of a guest is a user access here",
                                "APM vol. 2, \"Nested versus Guest Page Faults, Fault Ordering\"");
    if ((access & HVPT_WRITE) && !(entry & HVPT_NPT_BIT_WRITE))
        return leaf && (entry & HVPT_NPT_BIT_LOGGED) && !space->readonly
                 ? hvpt_npt_denies(HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_LOGGED,
                                   "the right to write was taken by write_protect, and touch gives it back")
                 : hvpt_npt_denies(HVPT_NPT_BIT_WRITE, "no right to write");
    if ((access & exec) && (entry & HVPT_NPT_BIT_NX))
        return hvpt_npt_denies(HVPT_NPT_BIT_NX, "no-execute");
    if ((access & HVPT_EXEC) && gmet && (entry & HVPT_NPT_BIT_USER))
        return hvpt_make_reason(HVPT_E_ATTR, HVPT_NPT_BIT_USER,
                                "a user page, which the guest's supervisor may not execute",
                                "APM vol. 2, \"Guest Mode Execute Trap Extension\"");
    return hvpt_no_reason();
}

/* As hvpt_judge. */
static HVPT_NOINLINE struct hvpt_reason hvpt_npt_judge(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                       uint32_t access)
{
    struct hvpt_reason reason;

    if (!(entry & HVPT_NPT_BIT_PRESENT))
        return hvpt_make_reason(HVPT_E_ABSENT, HVPT_NPT_BIT_PRESENT, "not present",
                                "APM vol. 2, \"Nested versus Guest Page Faults, Fault Ordering\"");
    reason = hvpt_npt_judge_form(space, entry, level);
    return reason.status == HVPT_OK ? hvpt_npt_judge_access(space, entry, level, access) : reason;
}

/* As hvpt_explain_access. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_explain(const struct hvpt_npt *npt, hvpt_gpa gpa,
                                                               uint32_t access, const struct hvpt_text *text)
{
    static const char *const names[HVPT_MAX_LEVELS] = {"PTE", "PDE", "PDPE", "PML4E", "PML5E"};

    return hvpt_explain_access(&hvpt_npt_format, hvpt_npt_judge, names, &npt->space, gpa, access, text);
}

#endif
