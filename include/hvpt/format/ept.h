/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT entries: bits, flags and rules. SDM vol. 3, "EPT Translation Mechanism", "EPT Misconfigurations".
 */
#ifndef HVPT_FORMAT_EPT_H
#define HVPT_FORMAT_EPT_H

#include "../engine/rules.h"
#include "../ept_flags.h"
#include "x86_memtype.h"

/* ---- bits of an entry: SDM vol. 3, "EPT Translation Mechanism", tables of entry formats ---- */

#define HVPT_EPT_BIT_READ                (UINT64_C(1) << 0)
#define HVPT_EPT_BIT_WRITE               (UINT64_C(1) << 1)
#define HVPT_EPT_BIT_EXEC                (UINT64_C(1) << 2)
#define HVPT_EPT_MEMTYPE_SHIFT           3
#define HVPT_EPT_MEMTYPE_BITS            (UINT64_C(7) << 3)
#define HVPT_EPT_BIT_IGNORE_PAT          (UINT64_C(1) << 6)
#define HVPT_EPT_BIT_LARGE               (UINT64_C(1) << 7)
#define HVPT_EPT_BIT_ACCESSED            (UINT64_C(1) << 8)
#define HVPT_EPT_BIT_DIRTY               (UINT64_C(1) << 9)
#define HVPT_EPT_BIT_USER_EXEC           (UINT64_C(1) << 10)
#define HVPT_EPT_ADDRESS_BITS            UINT64_C(0x000ffffffffff000)
#define HVPT_EPT_BIT_VERIFY_GUEST_PAGING (UINT64_C(1) << 57)
#define HVPT_EPT_BIT_PAGING_WRITE        (UINT64_C(1) << 58)
#define HVPT_EPT_BIT_SHADOW_STACK        (UINT64_C(1) << 60)
#define HVPT_EPT_BIT_SUB_PAGE_WRITE      (UINT64_C(1) << 61)
#define HVPT_EPT_BIT_SUPPRESS_VE         (UINT64_C(1) << 63)

/* Bits that hardware ignores, and what the engine keeps there. */
#define HVPT_EPT_BIT_LOGGED     (UINT64_C(1) << 11)
#define HVPT_EPT_BIT_TABLE_FULL (UINT64_C(1) << 52)
#define HVPT_EPT_SOFTWARE_SHIFT 52
#define HVPT_EPT_SOFTWARE_MAX   UINT32_C(15)

/*
 * A page from which age took the permissions, on CPUs without accessed bits: bits 2:0 and 10 are clear, so hardware
 * sees an empty entry, in which it reads bit 63 alone. The permissions wait in other bits until touch.
 */
#define HVPT_EPT_BIT_AGED       (UINT64_C(1) << 62)
#define HVPT_EPT_BIT_AGED_READ  (UINT64_C(1) << 8)
#define HVPT_EPT_BIT_AGED_WRITE (UINT64_C(1) << 9)
#define HVPT_EPT_BIT_AGED_EXEC  (UINT64_C(1) << 59)
#define HVPT_EPT_BIT_AGED_USER  (UINT64_C(1) << 56)
#define HVPT_EPT_BITS_AGED                                                                         \
    (HVPT_EPT_BIT_AGED | HVPT_EPT_BIT_AGED_READ | HVPT_EPT_BIT_AGED_WRITE | HVPT_EPT_BIT_AGED_EXEC \
     | HVPT_EPT_BIT_AGED_USER)

/* Every bit that stands for a flag. */
#define HVPT_EPT_BITS_FLAGS                                                                     \
    (HVPT_EPT_BIT_IGNORE_PAT | HVPT_EPT_BIT_ACCESSED | HVPT_EPT_BIT_DIRTY | HVPT_EPT_BIT_LOGGED \
     | HVPT_EPT_BIT_SUPPRESS_VE | HVPT_EPT_BIT_VERIFY_GUEST_PAGING | HVPT_EPT_BIT_PAGING_WRITE  \
     | HVPT_EPT_BIT_SHADOW_STACK | HVPT_EPT_BIT_SUB_PAGE_WRITE)

/* In a table entry: bits 7:3 are reserved. */
#define HVPT_EPT_TABLE_RESERVED UINT64_C(0xf8)

/* Kept beside the features in struct hvpt_space: which leaves this CPU accepts. */
#define HVPT_EPT_CAN_EXECUTE_ONLY (UINT64_C(1) << 32)
#define HVPT_EPT_CAN_2M           (UINT64_C(1) << 33)
#define HVPT_EPT_CAN_1G           (UINT64_C(1) << 34)

/* The rules of "EPT Misconfigurations", numbered in the manual's order, as judge answers them. */
enum hvpt_ept_rule {
    HVPT_EPT_RULE_WRITE_ONLY = HVPT_ENTRY_BROKEN, /* writable but not readable */
    HVPT_EPT_RULE_EXECUTE_ONLY,                   /* executable but not readable, without the capability */
    HVPT_EPT_RULE_USER_EXECUTE_ONLY,              /* the same by the user's execute bit */
    HVPT_EPT_RULE_PAGING_WRITE,                   /* paging-write but not readable */
    HVPT_EPT_RULE_ADDRESS,                        /* address bits at and above MAXPHYADDR */
    HVPT_EPT_RULE_PML5E,                          /* bits 7:3 of a PML5E */
    HVPT_EPT_RULE_PML4E,                          /* bits 7:3 of a PML4E */
    HVPT_EPT_RULE_PDPTE,                          /* bits 6:3 of a PDPTE that refers to a table */
    HVPT_EPT_RULE_1G,                             /* a 1-GByte page without the capability */
    HVPT_EPT_RULE_1G_ALIGNMENT,
    HVPT_EPT_RULE_PDE, /* bits 6:3 of a PDE that refers to a table */
    HVPT_EPT_RULE_2M,  /* a 2-MByte page without the capability */
    HVPT_EPT_RULE_2M_ALIGNMENT,
    HVPT_EPT_RULE_MEMTYPE, /* a reserved memory type */
    HVPT_EPT_RULE_AGED     /* this library's own: marked as an aged page, but no page */
};

static inline struct hvpt_flag_table hvpt_ept_flags(void)
{
    static const struct hvpt_flag_bit rows[] = {
        {HVPT_LOGGED, HVPT_HAS_MARKS, HVPT_EPT_BIT_LOGGED},
        {HVPT_EPT_IGNORE_PAT, 0, HVPT_EPT_BIT_IGNORE_PAT},
        {HVPT_ACCESSED, HVPT_EPT_USE_ACCESSED_DIRTY, HVPT_EPT_BIT_ACCESSED},
        {HVPT_DIRTY, HVPT_EPT_USE_ACCESSED_DIRTY, HVPT_EPT_BIT_DIRTY},
        {HVPT_EPT_SUPPRESS_VE, HVPT_EPT_USE_VIOLATION_VE, HVPT_EPT_BIT_SUPPRESS_VE},
        {HVPT_EPT_VERIFY_GUEST_PAGING, HVPT_EPT_USE_VERIFY_GUEST_PAGING, HVPT_EPT_BIT_VERIFY_GUEST_PAGING},
        {HVPT_EPT_PAGING_WRITE, HVPT_EPT_USE_PAGING_WRITE, HVPT_EPT_BIT_PAGING_WRITE},
        {HVPT_EPT_SHADOW_STACK, HVPT_EPT_USE_SHADOW_STACK, HVPT_EPT_BIT_SHADOW_STACK},
        {HVPT_EPT_SUB_PAGE_WRITE, HVPT_EPT_USE_SUB_PAGE_WRITE, HVPT_EPT_BIT_SUB_PAGE_WRITE},
    };
    struct hvpt_flag_table table = {rows, sizeof(rows) / sizeof(rows[0])};

    return table;
}

/* Does this space age pages by taking their permissions?  Only where the CPU keeps no accessed bits. */
HVPT_INLINE bool hvpt_ept_ages(const struct hvpt_space *space)
{
    return (space->features & (HVPT_EPT_USE_ACCESSED_DIRTY | HVPT_HAS_MARKS)) == HVPT_HAS_MARKS;
}

HVPT_INLINE bool hvpt_ept_is_aged(const struct hvpt_space *space, uint64_t entry)
{
    /* In an entry that gives permissions bit 62 is ignored, and may be anything if others made the tables. */
    return (entry & HVPT_EPT_BIT_AGED) && hvpt_ept_ages(space) && !(entry & space->present_mask & ~HVPT_EPT_BIT_AGED);
}

/* The leaf with the permissions that age took back in place. */
static inline uint64_t hvpt_ept_unaged(const struct hvpt_space *space, uint64_t entry)
{
    if (HVPT_LIKELY(!hvpt_ept_is_aged(space, entry)))
        return entry;
    return (entry & ~HVPT_EPT_BITS_AGED) | (entry & HVPT_EPT_BIT_AGED_READ ? HVPT_EPT_BIT_READ : 0)
         | (entry & HVPT_EPT_BIT_AGED_WRITE ? HVPT_EPT_BIT_WRITE : 0)
         | (entry & HVPT_EPT_BIT_AGED_EXEC ? HVPT_EPT_BIT_EXEC : 0)
         | (entry & HVPT_EPT_BIT_AGED_USER ? HVPT_EPT_BIT_USER_EXEC : 0);
}

/* The leaf with its permissions moved into bits that hardware ignores. */
static inline uint64_t hvpt_ept_aged(uint64_t entry)
{
    const uint64_t rights = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC | HVPT_EPT_BIT_USER_EXEC;

    return (entry & ~(rights | HVPT_EPT_BITS_AGED)) | HVPT_EPT_BIT_AGED
         | (entry & HVPT_EPT_BIT_READ ? HVPT_EPT_BIT_AGED_READ : 0)
         | (entry & HVPT_EPT_BIT_WRITE ? HVPT_EPT_BIT_AGED_WRITE : 0)
         | (entry & HVPT_EPT_BIT_EXEC ? HVPT_EPT_BIT_AGED_EXEC : 0)
         | (entry & HVPT_EPT_BIT_USER_EXEC ? HVPT_EPT_BIT_AGED_USER : 0);
}

/*
 * HVPT_E_ATTR: write without read, now or when touch gives it back, is a misconfiguration on every CPU; execute without
 * read is one unless the capability says otherwise; paging-write needs read; a flag needs its feature.
 */
static inline HVPT_COLD enum hvpt_status hvpt_ept_encode(const struct hvpt_space *space, struct hvpt_attr attr,
                                                         struct hvpt_leaf *leaf)
{
    const bool two = (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) != 0;
    const struct hvpt_flag_table flags = hvpt_ept_flags();
    uint64_t bits = attr.perm & (HVPT_READ | HVPT_WRITE | HVPT_EXEC);

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || (unsigned)attr.memtype > HVPT_MEM_UC
        || attr.software > HVPT_EPT_SOFTWARE_MAX || !hvpt_flags_encode(&flags, space->features, attr.flags, &bits))
        return HVPT_E_ATTR;
    if (!(attr.perm & HVPT_READ)
        && ((attr.perm & HVPT_WRITE) || (attr.flags & ((uint32_t)HVPT_LOGGED | (uint32_t)HVPT_EPT_PAGING_WRITE))
            || !(space->features & HVPT_EPT_CAN_EXECUTE_ONLY)))
        return HVPT_E_ATTR;
    if ((attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER && !two)
        return HVPT_E_ATTR;
    bits |= hvpt_x86_memtype_code(attr.memtype) << HVPT_EPT_MEMTYPE_SHIFT
          | (uint64_t)attr.software << HVPT_EPT_SOFTWARE_SHIFT
          | ((attr.perm & HVPT_EXEC_USER) && two ? HVPT_EPT_BIT_USER_EXEC : 0);
    leaf->bits[0] = bits;
    leaf->bits[1] = leaf->bits[2] = leaf->bits[3] = leaf->bits[4] = bits | HVPT_EPT_BIT_LARGE;
    leaf->max_level = attr.flags & HVPT_EPT_SUB_PAGE_WRITE ? 0 : space->max_leaf_level;
    return HVPT_OK;
}

/*
 * The permissions that one entry gives. Without mode-based execute control bit 2 is for all modes, bit 10 is ignored.
 */
static inline uint32_t hvpt_ept_perm(const struct hvpt_space *space, uint64_t entry)
{
    uint32_t perm = (uint32_t)(entry & (HVPT_READ | HVPT_WRITE | HVPT_EXEC));

    if ((space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) && (entry & HVPT_EPT_BIT_USER_EXEC))
        perm |= HVPT_EXEC_USER;
    return perm;
}

static inline struct hvpt_attr hvpt_ept_decode(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;

    entry = hvpt_ept_unaged(space, entry);
    attr.perm = hvpt_ept_perm(space, entry);
    attr.memtype = hvpt_x86_memtype_name((entry & HVPT_EPT_MEMTYPE_BITS) >> HVPT_EPT_MEMTYPE_SHIFT);
    attr.software = (uint32_t)(entry >> HVPT_EPT_SOFTWARE_SHIFT) & HVPT_EPT_SOFTWARE_MAX;
    attr.flags = 0;
    if (HVPT_UNLIKELY(entry & HVPT_EPT_BITS_FLAGS)) {
        const struct hvpt_flag_table flags = hvpt_ept_flags();

        attr.flags =
            hvpt_flags_decode(&flags, space->features, level == 0 ? entry : entry & ~HVPT_EPT_BIT_SUB_PAGE_WRITE);
    }
    return attr;
}

static inline HVPT_COLD unsigned hvpt_ept_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    static const uint8_t table_rules[HVPT_MAX_LEVELS] = {0, HVPT_EPT_RULE_PDE, HVPT_EPT_RULE_PDPTE,
                                                         HVPT_EPT_RULE_PML4E, HVPT_EPT_RULE_PML5E};
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_EPT_ADDRESS_BITS, features = space->features;
    const bool leaf = level == 0 || (level <= 2 && (entry & HVPT_EPT_BIT_LARGE)), aged = hvpt_ept_is_aged(space, entry);

    entry = hvpt_ept_unaged(space, entry);
    if (aged && (!leaf || hvpt_ept_perm(space, entry) == 0))
        return HVPT_EPT_RULE_AGED;
    if (!(entry & HVPT_EPT_BIT_READ)) {
        if (entry & HVPT_EPT_BIT_WRITE)
            return HVPT_EPT_RULE_WRITE_ONLY;
        if (!(features & HVPT_EPT_CAN_EXECUTE_ONLY))
            return entry & HVPT_EPT_BIT_EXEC ? HVPT_EPT_RULE_EXECUTE_ONLY : HVPT_EPT_RULE_USER_EXECUTE_ONLY;
        if (leaf && (features & HVPT_EPT_USE_PAGING_WRITE) && (entry & HVPT_EPT_BIT_PAGING_WRITE))
            return HVPT_EPT_RULE_PAGING_WRITE;
    }
    if (entry & space->reserved_bits)
        return HVPT_EPT_RULE_ADDRESS;
    if (!leaf)
        return entry & HVPT_EPT_TABLE_RESERVED ? table_rules[level] : (unsigned)HVPT_ENTRY_TABLE;
    if (level == 2 && !(features & HVPT_EPT_CAN_1G))
        return HVPT_EPT_RULE_1G;
    if (level == 1 && !(features & HVPT_EPT_CAN_2M))
        return HVPT_EPT_RULE_2M;
    if (entry & below)
        return level == 2 ? HVPT_EPT_RULE_1G_ALIGNMENT : HVPT_EPT_RULE_2M_ALIGNMENT;
    if (!(HVPT_X86_MEMTYPE_CODES >> ((entry & HVPT_EPT_MEMTYPE_BITS) >> HVPT_EPT_MEMTYPE_SHIFT) & 1))
        return HVPT_EPT_RULE_MEMTYPE;
    return HVPT_ENTRY_LEAF;
}

/* At level 0 bit 7 ("large") is ignored and bit 61 has a meaning; above level 0 it is the other way round. */
static inline HVPT_COLD uint64_t hvpt_ept_relevel(uint64_t entry, unsigned from, unsigned to)
{
    (void)from;
    if (to == 0)
        return entry & ~(HVPT_EPT_BIT_LARGE | HVPT_EPT_BIT_SUB_PAGE_WRITE);
    return entry | HVPT_EPT_BIT_LARGE;
}

/* An aged page stays aged, and its permissions change in the bits where they wait. */
static inline HVPT_COLD uint64_t hvpt_ept_change(const struct hvpt_space *space, uint64_t entry, uint64_t wanted,
                                                 uint32_t mask, unsigned level)
{
    const struct hvpt_flag_table flags = hvpt_ept_flags();
    const uint64_t features = space->features;
    uint64_t bits = mask & (HVPT_READ | HVPT_WRITE | HVPT_EXEC), changed;

    bits |= mask & HVPT_WRITE ? HVPT_EPT_BIT_LOGGED : 0;
    bits |= (mask & HVPT_EXEC_USER) && (features & HVPT_EPT_USE_MODE_BASED_EXECUTE) ? HVPT_EPT_BIT_USER_EXEC : 0;
    bits |= mask & HVPT_CHANGE_MEMTYPE ? HVPT_EPT_MEMTYPE_BITS : 0;
    bits |= mask & HVPT_CHANGE_SOFTWARE ? (uint64_t)HVPT_EPT_SOFTWARE_MAX << HVPT_EPT_SOFTWARE_SHIFT : 0;
    bits |= mask & HVPT_CHANGE_FLAGS ? hvpt_flags_bits(&flags, features) : 0;
    bits &= level == 0 ? ~UINT64_C(0) : ~HVPT_EPT_BIT_SUB_PAGE_WRITE;
    changed = (hvpt_ept_unaged(space, entry) & ~bits) | (wanted & bits);
    return hvpt_ept_is_aged(space, entry) ? hvpt_ept_aged(changed) : changed;
}

static inline HVPT_COLD uint64_t hvpt_ept_log_writes(const struct hvpt_space *space, uint64_t entry)
{
    if (entry & HVPT_EPT_BIT_WRITE)
        return (entry & ~HVPT_EPT_BIT_WRITE) | HVPT_EPT_BIT_LOGGED;
    if (hvpt_ept_is_aged(space, entry) && (entry & HVPT_EPT_BIT_AGED_WRITE))
        return (entry & ~HVPT_EPT_BIT_AGED_WRITE) | HVPT_EPT_BIT_LOGGED;
    return entry;
}

/* Without dirty bits a page that may be written counts as written, and loses that permission until the next write. */
static inline uint64_t hvpt_ept_clean(const struct hvpt_space *space, uint64_t entry)
{
    if (space->features & HVPT_EPT_USE_ACCESSED_DIRTY)
        return entry & ~HVPT_EPT_BIT_DIRTY;
    return hvpt_ept_log_writes(space, entry);
}

/* Without accessed bits a page with permissions counts as used, and loses them until the next access. */
static inline HVPT_COLD uint64_t hvpt_ept_forget(const struct hvpt_space *space, uint64_t entry)
{
    if (space->features & HVPT_EPT_USE_ACCESSED_DIRTY)
        return entry & ~HVPT_EPT_BIT_ACCESSED;
    return hvpt_ept_is_aged(space, entry) ? entry : hvpt_ept_aged(entry);
}

/* A logged page that has lost its permission to read does not get back that to write: it would be misconfigured. */
static inline HVPT_COLD uint64_t hvpt_ept_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    entry = hvpt_ept_unaged(space, entry);
    if ((access & HVPT_WRITE) && (entry & HVPT_EPT_BIT_LOGGED) && (entry & HVPT_EPT_BIT_READ))
        entry = (entry & ~HVPT_EPT_BIT_LOGGED) | HVPT_EPT_BIT_WRITE;
    return entry;
}

static inline HVPT_COLD uint32_t hvpt_ept_grants(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                 bool others)
{
    const struct hvpt_attr attr = hvpt_ept_decode(space, entry, level);
    uint32_t perm = attr.perm;

    if ((perm & HVPT_EXEC) && !(space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE))
        perm |= HVPT_EXEC_USER;
    if (others && (attr.flags & (HVPT_EPT_SUB_PAGE_WRITE | HVPT_EPT_PAGING_WRITE | HVPT_EPT_SHADOW_STACK)))
        perm |= HVPT_WRITE;
    return perm;
}

static inline const struct hvpt_rules *hvpt_ept_rules(void)
{
    static const struct hvpt_rules rules = {
        HVPT_EPT_BIT_TABLE_FULL,
        HVPT_EPT_BIT_LOGGED | HVPT_EPT_BIT_AGED, /* mark_bits */
        HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC | HVPT_EPT_BIT_USER_EXEC | HVPT_EPT_BITS_AGED
            | HVPT_EPT_BIT_LOGGED | (uint64_t)HVPT_EPT_SOFTWARE_MAX << HVPT_EPT_SOFTWARE_SHIFT, /* lenient_bits */
        0,                                                                                      /* gated_bit */
        0,                                                                                      /* contig_clear */
        0,                                                                                      /* contig_set */
        hvpt_ept_encode,
        hvpt_ept_decode,
        hvpt_ept_judge,
        hvpt_ept_perm, /* table_perm */
        NULL,          /* address */
        NULL,          /* place */
        hvpt_ept_relevel,
        hvpt_ept_change,
        hvpt_ept_clean,
        hvpt_ept_forget,
        hvpt_ept_log_writes,
        hvpt_ept_touch,
        hvpt_ept_grants,
        NULL, /* grown */
    };

    return &rules;
}

#endif
