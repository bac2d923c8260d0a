/*
 * The G-stage's rules by name, and hvpt_gstage_explain: why an access is allowed or ends in a guest-page fault.
 * RISC-V Privileged Architecture, "Virtual Address Translation Process", "Two-Stage Address Translation". Part of
 * gstage.h.
 */
#ifndef HVPT_GSTAGE_EXPLAIN_H
#define HVPT_GSTAGE_EXPLAIN_H

#include "core/explain.h"
#include "gstage.h"

#define HVPT_GSTAGE_SAYS_WALK   "Privileged Architecture, \"Virtual Address Translation Process\""
#define HVPT_GSTAGE_SAYS_STAGES "Privileged Architecture, \"Two-Stage Address Translation\""
#define HVPT_GSTAGE_SAYS_PBMT   "Privileged Architecture, \"Svpbmt\" Extension for Page-Based Memory Types"
#define HVPT_GSTAGE_SAYS_NAPOT  "Privileged Architecture, \"Svnapot\" Extension for NAPOT Translation Contiguity"

static inline struct hvpt_reason hvpt_gstage_breaks(uint64_t bits, const char *rule, const char *section)
{
    return hvpt_make_reason(HVPT_E_CORRUPT, bits, rule, section);
}

static inline struct hvpt_reason hvpt_gstage_denies(uint64_t bits, const char *rule, const char *section)
{
    return hvpt_make_reason(HVPT_E_ATTR, bits, rule, section);
}

/* What every valid entry must have clear. */
static inline struct hvpt_reason hvpt_gstage_judge_reserved(const struct hvpt_space *space, uint64_t entry)
{
    const uint64_t pbmt = entry & HVPT_GSTAGE_PBMT_BITS;

    if (entry & HVPT_GSTAGE_RESERVED)
        return hvpt_gstage_breaks(HVPT_GSTAGE_RESERVED, "bits 60:54 are reserved", HVPT_GSTAGE_SAYS_WALK);
    if (pbmt != 0 && !(space->features & HVPT_GSTAGE_USE_SVPBMT))
        return hvpt_gstage_breaks(HVPT_GSTAGE_PBMT_BITS, "a memory type without Svpbmt", HVPT_GSTAGE_SAYS_PBMT);
    if (pbmt == HVPT_GSTAGE_PBMT_BITS)
        return hvpt_gstage_breaks(HVPT_GSTAGE_PBMT_BITS, "a reserved memory type", HVPT_GSTAGE_SAYS_PBMT);
    if ((entry & HVPT_GSTAGE_BIT_NAPOT) && !(space->features & HVPT_GSTAGE_USE_SVNAPOT))
        return hvpt_gstage_breaks(HVPT_GSTAGE_BIT_NAPOT, "N without Svnapot", HVPT_GSTAGE_SAYS_NAPOT);
    if (entry & space->reserved_bits)
        return hvpt_gstage_breaks(space->reserved_bits, "a page number beyond the physical addresses",
                                  HVPT_GSTAGE_SAYS_WALK);
    return hvpt_no_reason();
}

/* What is wrong with a valid entry, whatever the access. */
static inline struct hvpt_reason hvpt_gstage_judge_form(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t rights = HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC;
    const uint64_t of_leaves = HVPT_GSTAGE_BIT_USER | HVPT_GSTAGE_BIT_ACCESSED | HVPT_GSTAGE_BIT_DIRTY
                             | HVPT_GSTAGE_PBMT_BITS | HVPT_GSTAGE_BIT_NAPOT;
    const uint64_t below = (hvpt_gstage_leaf_step(level) - 1) & HVPT_GSTAGE_PPN_BITS;
    struct hvpt_reason reason;

    if ((entry & (HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE)) == HVPT_GSTAGE_BIT_WRITE)
        return hvpt_gstage_breaks(HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE, "writable but not readable",
                                  HVPT_GSTAGE_SAYS_WALK);
    reason = hvpt_gstage_judge_reserved(space, entry);
    if (reason.status != HVPT_OK)
        return reason;
    if (!(entry & rights)) {
        if (level == 0)
            return hvpt_gstage_breaks(rights, "a reference to a table at the level of the smallest pages",
                                      HVPT_GSTAGE_SAYS_WALK);
        if (entry & of_leaves)
            return hvpt_gstage_breaks(of_leaves, "D, A, U, PBMT and N are reserved in a reference to a table",
                                      HVPT_GSTAGE_SAYS_WALK);
        return hvpt_no_reason();
    }
    if (entry & below)
        return hvpt_gstage_breaks(below, "the page number of a superpage is not aligned to it", HVPT_GSTAGE_SAYS_WALK);
    if ((entry & HVPT_GSTAGE_BIT_NAPOT) && (level != 0 || (entry & HVPT_GSTAGE_NAPOT_PPN) != HVPT_GSTAGE_NAPOT_64K))
        return hvpt_gstage_breaks(HVPT_GSTAGE_BIT_NAPOT | HVPT_GSTAGE_NAPOT_PPN, "a reserved NAPOT size",
                                  HVPT_GSTAGE_SAYS_NAPOT);
    return hvpt_no_reason();
}

/* The first right of access that a well-formed leaf does not give. Tables of the G-stage deny nothing. */
static inline struct hvpt_reason hvpt_gstage_judge_access(const struct hvpt_space *space, uint64_t entry,
                                                          uint32_t access)
{
    const bool marks = (space->features & HVPT_GSTAGE_USE_SVADU) != 0;

    if (access != 0 && !(entry & HVPT_GSTAGE_BIT_USER))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_USER, "U is clear, and every access of a guest is a user access here",
                                  HVPT_GSTAGE_SAYS_STAGES);
    if ((access & HVPT_READ) && !(entry & HVPT_GSTAGE_BIT_READ))
        return hvpt_gstage_denies(HVPT_GSTAGE_BIT_READ, "no right to read", HVPT_GSTAGE_SAYS_WALK);
    if ((access & HVPT_WRITE) && !(entry & HVPT_GSTAGE_BIT_WRITE))
        return (entry & HVPT_GSTAGE_BIT_LOGGED) && !space->readonly
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

/* As hvpt_judge. */
static HVPT_NOINLINE struct hvpt_reason hvpt_gstage_judge(const struct hvpt_space *space, uint64_t entry,
                                                          unsigned level, uint32_t access)
{
    const uint64_t rights = HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC;
    struct hvpt_reason reason;

    if (!(entry & HVPT_GSTAGE_BIT_VALID))
        return hvpt_make_reason(HVPT_E_ABSENT, HVPT_GSTAGE_BIT_VALID, "not valid", HVPT_GSTAGE_SAYS_WALK);
    reason = hvpt_gstage_judge_form(space, entry, level);
    if (reason.status != HVPT_OK || !(entry & rights))
        return reason;
    return hvpt_gstage_judge_access(space, entry, access);
}

/* As hvpt_explain_access. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_explain(const struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                  uint32_t access, const struct hvpt_text *text)
{
    static const char *const names[HVPT_MAX_LEVELS] = {"PTE", "PTE", "PTE", "PTE", "PTE"};

    return hvpt_explain_access(&hvpt_gstage_format, hvpt_gstage_judge, names, &gstage->space, gpa, access, text);
}

#endif
