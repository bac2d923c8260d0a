/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * G-stage entries: bits, flags and rules. RISC-V Privileged Architecture, "Two-Stage Address Translation".
 */
#ifndef HVPT_FORMAT_GSTAGE_H
#define HVPT_FORMAT_GSTAGE_H

#include "../engine/defer.h"
#include "../gstage_flags.h"

/*
 * ---- bits of an entry: Privileged Architecture, "Sv39: Page-Based 39-bit Virtual-Memory System" and what extends it
 * ----
 */

#define HVPT_GSTAGE_BIT_VALID    (UINT64_C(1) << 0)
#define HVPT_GSTAGE_BIT_READ     (UINT64_C(1) << 1)
#define HVPT_GSTAGE_BIT_WRITE    (UINT64_C(1) << 2)
#define HVPT_GSTAGE_BIT_EXEC     (UINT64_C(1) << 3)
#define HVPT_GSTAGE_BIT_USER     (UINT64_C(1) << 4) /* every guest access is a user access at this stage */
#define HVPT_GSTAGE_BIT_GLOBAL   (UINT64_C(1) << 5) /* must be clear at this stage */
#define HVPT_GSTAGE_BIT_ACCESSED (UINT64_C(1) << 6)
#define HVPT_GSTAGE_BIT_DIRTY    (UINT64_C(1) << 7)
#define HVPT_GSTAGE_PPN_SHIFT    10
#define HVPT_GSTAGE_PPN_BITS     UINT64_C(0x003ffffffffffc00)
#define HVPT_GSTAGE_PBMT_SHIFT   61
#define HVPT_GSTAGE_PBMT_BITS    (UINT64_C(3) << 61) /* Svpbmt: 0 as the PMA says, 1 NC, 2 IO */
#define HVPT_GSTAGE_BIT_NAPOT    (UINT64_C(1) << 63) /* Svnapot */
#define HVPT_GSTAGE_RESERVED     (UINT64_C(0x7f) << 54) /* bits 60:59 are software's with Svrsw60t59b */
#define HVPT_GSTAGE_RSW60T59     (UINT64_C(3) << 59)

/* What must be clear in a reference to a table besides the reserved bits. */
#define HVPT_GSTAGE_OF_LEAVES                                                                        \
    (HVPT_GSTAGE_BIT_USER | HVPT_GSTAGE_BIT_ACCESSED | HVPT_GSTAGE_BIT_DIRTY | HVPT_GSTAGE_PBMT_BITS \
     | HVPT_GSTAGE_BIT_NAPOT)

/* The two bits for software (RSW), and what the engine keeps there. */
#define HVPT_GSTAGE_BIT_LOGGED     (UINT64_C(1) << 8)
#define HVPT_GSTAGE_BIT_TABLE_FULL (UINT64_C(1) << 8)
#define HVPT_GSTAGE_SOFTWARE_SHIFT 9
#define HVPT_GSTAGE_SOFTWARE_MAX   UINT32_C(1)

/* Svnapot's one size: 16 pages of 4 KiB; the low four bits of the page number read 1000. */
#define HVPT_GSTAGE_NAPOT_PAGES 16u
#define HVPT_GSTAGE_NAPOT_PPN   (UINT64_C(15) << HVPT_GSTAGE_PPN_SHIFT)
#define HVPT_GSTAGE_NAPOT_64K   (UINT64_C(8) << HVPT_GSTAGE_PPN_SHIFT)

/* What makes a valid entry a guest-page fault whatever the access, as judge answers it. */
enum hvpt_gstage_rule {
    HVPT_GSTAGE_RULE_WRITE_ONLY = HVPT_ENTRY_BROKEN, /* writable but not readable */
    HVPT_GSTAGE_RULE_RESERVED,                       /* bits 60:54 */
    HVPT_GSTAGE_RULE_NO_SVPBMT,                      /* a memory type without Svpbmt */
    HVPT_GSTAGE_RULE_PBMT,                           /* a reserved memory type */
    HVPT_GSTAGE_RULE_NO_SVNAPOT,                     /* N without Svnapot */
    HVPT_GSTAGE_RULE_ADDRESS,                        /* a page number beyond the physical addresses */
    HVPT_GSTAGE_RULE_TABLE_AT_0,                     /* a reference to a table at the level of the smallest pages */
    HVPT_GSTAGE_RULE_TABLE,                          /* D, A, U, PBMT and N of a reference to a table */
    HVPT_GSTAGE_RULE_ALIGNMENT,                      /* a misaligned superpage */
    HVPT_GSTAGE_RULE_NAPOT                           /* a reserved NAPOT size */
};

/*
 * HVPT_E_ATTR: write without read, now or when touch gives it back, is reserved; one execute bit serves all modes;
 * memory types other than the platform's own need Svpbmt, which has NC (here HVPT_MEM_WC) and IO (HVPT_MEM_UC).
 * Without Svadu a page is mapped accessed and, if it may be written, dirty: otherwise its first use would fault.
 */
static inline HVPT_COLD enum hvpt_status hvpt_gstage_encode(const struct hvpt_space *space, struct hvpt_attr attr,
                                                            struct hvpt_leaf *leaf)
{
    const uint64_t features = space->features;
    uint64_t bits;
    unsigned level;

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || attr.software > HVPT_GSTAGE_SOFTWARE_MAX
        || (attr.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED))
        || (!(attr.perm & HVPT_READ) && ((attr.perm & HVPT_WRITE) || (attr.flags & HVPT_LOGGED)))
        || (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER)
        return HVPT_E_ATTR;
    if (attr.memtype != HVPT_MEM_WB
        && ((attr.memtype != HVPT_MEM_WC && attr.memtype != HVPT_MEM_UC) || !(features & HVPT_GSTAGE_USE_SVPBMT)))
        return HVPT_E_ATTR;
    bits = HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_USER
         | (uint64_t)(attr.perm & (HVPT_READ | HVPT_WRITE | HVPT_EXEC)) << 1
         | (uint64_t)attr.software << HVPT_GSTAGE_SOFTWARE_SHIFT
         | (attr.flags & HVPT_LOGGED ? HVPT_GSTAGE_BIT_LOGGED : 0)
         | (attr.flags & HVPT_ACCESSED ? HVPT_GSTAGE_BIT_ACCESSED : 0)
         | (attr.flags & HVPT_DIRTY ? HVPT_GSTAGE_BIT_DIRTY : 0)
         | (attr.memtype == HVPT_MEM_WC   ? UINT64_C(1) << HVPT_GSTAGE_PBMT_SHIFT
            : attr.memtype == HVPT_MEM_UC ? UINT64_C(2) << HVPT_GSTAGE_PBMT_SHIFT
                                          : 0);
    if (!(features & HVPT_GSTAGE_USE_SVADU))
        bits |= HVPT_GSTAGE_BIT_ACCESSED | (attr.perm & HVPT_WRITE ? HVPT_GSTAGE_BIT_DIRTY : 0);
    for (level = 0; level < HVPT_MAX_LEVELS; level++)
        leaf->bits[level] = bits;
    leaf->max_level = space->max_leaf_level;
    return HVPT_OK;
}

static inline uint32_t hvpt_gstage_perm(uint64_t entry)
{
    if (HVPT_UNLIKELY(!(entry & HVPT_GSTAGE_BIT_USER)))
        return 0;
    return (entry & HVPT_GSTAGE_BIT_READ ? (uint32_t)HVPT_READ : 0)
         | (entry & HVPT_GSTAGE_BIT_WRITE ? (uint32_t)HVPT_WRITE : 0)
         | (entry & HVPT_GSTAGE_BIT_EXEC ? (uint32_t)HVPT_EXEC : 0);
}

static inline struct hvpt_attr hvpt_gstage_decode(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;
    uint64_t pbmt = (entry & HVPT_GSTAGE_PBMT_BITS) >> HVPT_GSTAGE_PBMT_SHIFT;

    (void)level;
    attr.perm = hvpt_gstage_perm(entry);
    attr.memtype = pbmt == 1 ? HVPT_MEM_WC : pbmt == 2 ? HVPT_MEM_UC : HVPT_MEM_WB;
    attr.flags = (entry & HVPT_GSTAGE_BIT_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
               | (entry & HVPT_GSTAGE_BIT_DIRTY ? (uint32_t)HVPT_DIRTY : 0)
               | ((entry & HVPT_GSTAGE_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS) ? (uint32_t)HVPT_LOGGED : 0)
               | (entry & HVPT_GSTAGE_BIT_NAPOT ? (uint32_t)HVPT_JOINED : 0);
    attr.software = (uint32_t)(entry >> HVPT_GSTAGE_SOFTWARE_SHIFT) & HVPT_GSTAGE_SOFTWARE_MAX;
    return attr;
}

HVPT_INLINE uint64_t hvpt_gstage_reserved(const struct hvpt_space *space)
{
    return space->features & HVPT_GSTAGE_USE_SVRSW60T59B ? HVPT_GSTAGE_RESERVED & ~HVPT_GSTAGE_RSW60T59
                                                         : HVPT_GSTAGE_RESERVED;
}

static inline HVPT_COLD unsigned hvpt_gstage_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t below = (hvpt_leaf_step(space, level) - 1) & HVPT_GSTAGE_PPN_BITS;
    const uint64_t pbmt = entry & HVPT_GSTAGE_PBMT_BITS;

    if ((entry & (HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE)) == HVPT_GSTAGE_BIT_WRITE)
        return HVPT_GSTAGE_RULE_WRITE_ONLY;
    if (entry & hvpt_gstage_reserved(space))
        return HVPT_GSTAGE_RULE_RESERVED;
    if (pbmt != 0 && !(space->features & HVPT_GSTAGE_USE_SVPBMT))
        return HVPT_GSTAGE_RULE_NO_SVPBMT;
    if (pbmt == HVPT_GSTAGE_PBMT_BITS)
        return HVPT_GSTAGE_RULE_PBMT;
    if ((entry & HVPT_GSTAGE_BIT_NAPOT) && !(space->features & HVPT_GSTAGE_USE_SVNAPOT))
        return HVPT_GSTAGE_RULE_NO_SVNAPOT;
    if (entry & space->reserved_bits)
        return HVPT_GSTAGE_RULE_ADDRESS;
    if (!(entry & (HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC))) {
        if (level == 0)
            return HVPT_GSTAGE_RULE_TABLE_AT_0;
        return entry & HVPT_GSTAGE_OF_LEAVES ? (unsigned)HVPT_GSTAGE_RULE_TABLE : (unsigned)HVPT_ENTRY_TABLE;
    }
    if (entry & below)
        return HVPT_GSTAGE_RULE_ALIGNMENT;
    if ((entry & HVPT_GSTAGE_BIT_NAPOT) && (level != 0 || (entry & HVPT_GSTAGE_NAPOT_PPN) != HVPT_GSTAGE_NAPOT_64K))
        return HVPT_GSTAGE_RULE_NAPOT;
    return HVPT_ENTRY_LEAF;
}

/* Large and small leaves look alike. */
static inline HVPT_COLD uint64_t hvpt_gstage_relevel(uint64_t entry, unsigned from, unsigned to)
{
    (void)from, (void)to;
    return entry;
}

/* Without Svadu a page that becomes writable becomes dirty too, as one mapped so: its first write would fault. */
static inline HVPT_COLD uint64_t hvpt_gstage_change(const struct hvpt_space *space, uint64_t entry, uint64_t wanted,
                                                    uint32_t mask, unsigned level)
{
    uint64_t bits = (uint64_t)(mask & (HVPT_READ | HVPT_WRITE | HVPT_EXEC)) << 1;

    (void)level;
    /*
     * In tables that others made, a page that gives the guest nothing may have anything in these: take all from wanted.
     */
    if (!(entry & HVPT_GSTAGE_BIT_USER))
        bits |= HVPT_GSTAGE_BIT_USER | HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC;
    bits |= mask & HVPT_WRITE ? HVPT_GSTAGE_BIT_LOGGED : 0;
    bits |= mask & HVPT_CHANGE_MEMTYPE ? HVPT_GSTAGE_PBMT_BITS : 0;
    bits |= mask & HVPT_CHANGE_SOFTWARE ? (uint64_t)HVPT_GSTAGE_SOFTWARE_MAX << HVPT_GSTAGE_SOFTWARE_SHIFT : 0;
    if ((mask & HVPT_WRITE) && !(space->features & HVPT_GSTAGE_USE_SVADU) && !(entry & HVPT_GSTAGE_BIT_WRITE))
        entry |= wanted & HVPT_GSTAGE_BIT_DIRTY;
    return (entry & ~bits) | (wanted & bits);
}

/* With Svadu, hardware sets A and D; without, an access that would set them faults, and software does. */
static inline uint64_t hvpt_gstage_clean(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_GSTAGE_BIT_DIRTY;
}

static inline HVPT_COLD uint64_t hvpt_gstage_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_GSTAGE_BIT_ACCESSED;
}

static inline HVPT_COLD uint64_t hvpt_gstage_log_writes(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    if (!(hvpt_gstage_perm(entry) & HVPT_WRITE))
        return entry;
    return (entry & ~HVPT_GSTAGE_BIT_WRITE) | HVPT_GSTAGE_BIT_LOGGED;
}

/* With MXR an execute-only page may be loaded from. */
static inline HVPT_COLD uint32_t hvpt_gstage_grants(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                    bool others)
{
    const uint32_t perm = hvpt_gstage_perm(entry);

    (void)space, (void)level;
    return perm & HVPT_EXEC ? perm | HVPT_EXEC_USER | (others ? (uint32_t)HVPT_READ : 0) : perm;
}

static inline HVPT_COLD uint64_t hvpt_gstage_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    if ((access & HVPT_WRITE) && (entry & HVPT_GSTAGE_BIT_LOGGED) && (entry & HVPT_GSTAGE_BIT_READ))
        entry = (entry & ~HVPT_GSTAGE_BIT_LOGGED) | HVPT_GSTAGE_BIT_WRITE;
    if (!(hvpt_gstage_grants(space, entry, 0, true) & access))
        return entry;
    return entry | HVPT_GSTAGE_BIT_ACCESSED | (access & HVPT_WRITE ? HVPT_GSTAGE_BIT_DIRTY : 0);
}

static inline const struct hvpt_rules *hvpt_gstage_rules(void)
{
    static const struct hvpt_rules rules = {
        HVPT_GSTAGE_BIT_TABLE_FULL,
        HVPT_GSTAGE_BIT_LOGGED, /* mark_bits */
        HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC | HVPT_GSTAGE_BIT_LOGGED
            | HVPT_GSTAGE_BIT_DIRTY
            | (uint64_t)HVPT_GSTAGE_SOFTWARE_MAX << HVPT_GSTAGE_SOFTWARE_SHIFT, /* lenient_bits */
        0,                                                                      /* gated_bit */
        HVPT_GSTAGE_NAPOT_PPN,
        HVPT_GSTAGE_NAPOT_64K | HVPT_GSTAGE_BIT_NAPOT,
        hvpt_gstage_encode,
        hvpt_gstage_decode,
        hvpt_gstage_judge,
        NULL, /* table_perm: a table entry has no rights of its own */
        NULL, /* address */
        NULL, /* place */
        hvpt_gstage_relevel,
        hvpt_gstage_change,
        hvpt_gstage_clean,
        hvpt_gstage_forget,
        hvpt_gstage_log_writes,
        hvpt_gstage_touch,
        hvpt_gstage_grants,
        hvpt_flush_grown,
    };

    return &rules;
}

#endif
