/*
 * Stage 2's rules by name, and hvpt_s2_explain: why an access is allowed, denied, or ends in a fault of another kind.
 * Arm ARM, "VMSAv8-64 translation table format descriptors", "Stage 2 access permissions". Part of stage2.h.
 */
#ifndef HVPT_STAGE2_EXPLAIN_H
#define HVPT_STAGE2_EXPLAIN_H

#include "core/explain.h"
#include "stage2.h"

static inline struct hvpt_reason hvpt_s2_breaks(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_CORRUPT, bits, rule, "Arm ARM, \"VMSAv8-64 translation table format descriptors\"");
}

static inline struct hvpt_reason hvpt_s2_denies(uint64_t bits, const char *rule)
{
    return hvpt_make_reason(HVPT_E_ATTR, bits, rule, "Arm ARM, \"Stage 2 access permissions\"");
}

/* The bits of a descriptor that hold the address of a page or table aligned to 1 << low. */
static inline uint64_t hvpt_s2_address_field(const struct hvpt_space *space, unsigned low)
{
    const uint64_t from = ~((UINT64_C(1) << low) - 1);

    if (space->features & HVPT_S2_USE_LPA2)
        return (((UINT64_C(1) << 50) - 1) & from) | HVPT_S2_SH_BITS;
    return (((UINT64_C(1) << 48) - 1) & from) | (space->features & HVPT_S2_HAS_LPA ? UINT64_C(0xf000) : 0);
}

/* What is wrong with a valid descriptor, whatever the access. */
static inline struct hvpt_reason hvpt_s2_judge_form(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const unsigned shift = space->page_shift;
    const uint64_t address = hvpt_s2_address(space, entry);
    const uint64_t below = (UINT64_C(1) << (shift + level * (shift - 3u))) - 1;

    if (level == 0 && !(entry & HVPT_S2_BIT_TABLE))
        return hvpt_s2_breaks(HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE,
                              "a block at the level of pages: translation fault");
    if (address >= space->hpa_limit)
        return hvpt_make_reason(HVPT_E_CORRUPT, hvpt_s2_address_field(space, shift),
                                "an address beyond VTCR_EL2.PS: address size fault", "Arm ARM, \"MMU fault types\"");
    if (level == 0 || (entry & HVPT_S2_BIT_TABLE))
        return hvpt_no_reason();
    if (level > hvpt_s2_block_level(space))
        return hvpt_s2_breaks(HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE,
                              "this granule has no blocks at this level: translation fault");
    if (address & below)
        return hvpt_s2_breaks(hvpt_s2_address_field(space, shift) & below,
                              "the address of a block is not aligned to it: these bits are RES0");
    return hvpt_no_reason();
}

/* The first right of access that a well-formed leaf does not give. Tables of stage 2 deny nothing. */
static inline struct hvpt_reason hvpt_s2_judge_access(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    const uint64_t features = space->features;
    const uint64_t never = HVPT_S2_BIT_XN1 | (features & HVPT_S2_USE_XNX ? HVPT_S2_BIT_XN0 : 0);
    const uint32_t perm = hvpt_s2_perm(space, entry);

    if (access != 0 && !(entry & HVPT_S2_BIT_AF) && !(features & HVPT_S2_USE_HARDWARE_AF))
        return hvpt_make_reason(HVPT_E_ATTR, HVPT_S2_BIT_AF,
                                "the access flag is clear, and touch sets it: Access flag fault",
                                "Arm ARM, \"The Access flag\"");
    if ((access & HVPT_READ) && !(perm & HVPT_READ))
        return hvpt_s2_denies(HVPT_S2_BIT_READ, "no right to read (S2AP)");
    if ((access & HVPT_WRITE) && !(perm & HVPT_WRITE))
        return (entry & HVPT_S2_BIT_LOGGED) && !space->readonly
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

/* As hvpt_judge. */
static HVPT_NOINLINE struct hvpt_reason hvpt_s2_judge(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                      uint32_t access)
{
    struct hvpt_reason reason;

    if (!(entry & HVPT_S2_BIT_VALID))
        return hvpt_make_reason(HVPT_E_ABSENT, HVPT_S2_BIT_VALID, "not valid: translation fault",
                                "Arm ARM, \"VMSAv8-64 translation table format descriptors\"");
    reason = hvpt_s2_judge_form(space, entry, level);
    if (reason.status != HVPT_OK || (level != 0 && (entry & HVPT_S2_BIT_TABLE)))
        return reason;
    return hvpt_s2_judge_access(space, entry, access);
}

/* As hvpt_explain_access. Arm counts levels downwards, to 3: its name for each stands beside this library's. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_explain(const struct hvpt_s2 *s2, hvpt_gpa gpa, uint32_t access,
                                                              const struct hvpt_text *text)
{
    static const char *const names[HVPT_MAX_LEVELS] = {"Arm's level 3", "Arm's level 2", "Arm's level 1",
                                                       "Arm's level 0", "Arm's level -1"};

    return hvpt_explain_access(hvpt_s2_format(&s2->space), hvpt_s2_judge, names, &s2->space, gpa, access, text);
}

#endif
