/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT entries: bits, flags and rules. APM vol. 2, "Long-Mode Page Translation", "Nested Paging".
 */
#ifndef HVPT_FORMAT_NPT_H
#define HVPT_FORMAT_NPT_H

#include "../engine/rules.h"
#include "../npt_flags.h"
#include "x86_memtype.h"

/* ---- bits of an entry: APM vol. 2, "Long-Mode Page Translation", "Nested Paging" ---- */

#define HVPT_NPT_BIT_PRESENT (UINT64_C(1) << 0)
#define HVPT_NPT_BIT_WRITE   (UINT64_C(1) << 1)
/* Every guest access is a user access at this level. GMET and SSS give the bit another meaning, see below. */
#define HVPT_NPT_BIT_USER      (UINT64_C(1) << 2)
#define HVPT_NPT_BIT_PWT       (UINT64_C(1) << 3)
#define HVPT_NPT_BIT_PCD       (UINT64_C(1) << 4)
#define HVPT_NPT_BIT_ACCESSED  (UINT64_C(1) << 5)
#define HVPT_NPT_BIT_DIRTY     (UINT64_C(1) << 6)
#define HVPT_NPT_BIT_LARGE     (UINT64_C(1) << 7)  /* above level 0 */
#define HVPT_NPT_BIT_PAT       (UINT64_C(1) << 7)  /* at level 0 */
#define HVPT_NPT_BIT_PAT_LARGE (UINT64_C(1) << 12) /* above level 0 */
#define HVPT_NPT_BIT_NX        (UINT64_C(1) << 63)
#define HVPT_NPT_ADDRESS_BITS  UINT64_C(0x000ffffffffff000)

/* Bits that hardware ignores, and what the engine keeps there. */
#define HVPT_NPT_BIT_LOGGED     (UINT64_C(1) << 11)
#define HVPT_NPT_BIT_TABLE_FULL (UINT64_C(1) << 52)
#define HVPT_NPT_SOFTWARE_SHIFT 52
#define HVPT_NPT_SOFTWARE_MAX   UINT32_C(15)

/* Kept beside the features in struct hvpt_space: whether the CPU has 1-GByte pages. */
#define HVPT_NPT_CAN_1G (UINT64_C(1) << 8)

/* The C-bit is kept there as well, in the place that it has in entries. */
#define HVPT_NPT_C_BITS (HVPT_NPT_ADDRESS_BITS & ~UINT64_C(0xffffffff))

/* What makes a present entry a reserved-bit fault, as judge answers it. */
enum hvpt_npt_rule {
    HVPT_NPT_RULE_NX = HVPT_ENTRY_BROKEN, /* no-execute without the host's EFER.NXE */
    HVPT_NPT_RULE_ADDRESS,                /* address bits at and above MAXPHYADDR */
    HVPT_NPT_RULE_SIZE,                   /* a page of a size that does not exist */
    HVPT_NPT_RULE_BIT_8,                  /* reserved in the two highest tables' entries */
    HVPT_NPT_RULE_1G,                     /* a 1-GByte page, which this CPU does not have */
    HVPT_NPT_RULE_ALIGNMENT,              /* the address of a large page is not aligned to it */
    HVPT_NPT_RULE_GMET                    /* this library's own: a table entry without U, with GMET */
};

/* The answer for a memory type that no PAT index selects. */
#define HVPT_NPT_NO_INDEX UINT64_C(15)

/* The C-bit as a bit of entries and of the root; 0: none. */
static inline uint64_t hvpt_npt_c_bit(const struct hvpt_space *space)
{
    return space->features & HVPT_NPT_C_BITS;
}

/* A PAT index as PWT, PCD and PAT, which lies elsewhere in large pages. */
static inline uint64_t hvpt_npt_pat_bits(uint64_t index, unsigned level)
{
    return (index & 1 ? HVPT_NPT_BIT_PWT : 0) | (index & 2 ? HVPT_NPT_BIT_PCD : 0)
         | (index & 4 ? (level == 0 ? HVPT_NPT_BIT_PAT : HVPT_NPT_BIT_PAT_LARGE) : 0);
}

static inline uint64_t hvpt_npt_pat_index(uint64_t entry, unsigned level)
{
    return (entry & HVPT_NPT_BIT_PWT ? 1u : 0u) | (entry & HVPT_NPT_BIT_PCD ? 2u : 0u)
         | (entry & (level == 0 ? HVPT_NPT_BIT_PAT : HVPT_NPT_BIT_PAT_LARGE) ? 4u : 0u);
}

/* The PAT index that selects memtype. UC is preferred to UC-, which the guest may turn into WC. */
static inline uint64_t hvpt_npt_find_memtype(uint64_t pat, enum hvpt_memtype memtype)
{
    uint64_t index, found = HVPT_NPT_NO_INDEX;

    for (index = 8; index-- > 0;) {
        bool weak = ((pat >> (8 * index)) & 7) == 7;

        if (hvpt_x86_memtype_name(pat >> (8 * index)) == memtype && !(weak && found != HVPT_NPT_NO_INDEX))
            found = index;
    }
    return found;
}

/*
 * Does the page need the user bit clear? It does for the guest's supervisor to execute it (APM vol. 2, "Guest Mode
 * Execute Trap Extension"), and to be a shadow stack (APM vol. 2, "Supervisor Shadow Stacks").
 */
static inline bool hvpt_npt_is_supervisor(const struct hvpt_space *space, struct hvpt_attr attr)
{
    return ((space->features & HVPT_NPT_USE_GMET) && (attr.perm & HVPT_EXEC)) || (attr.flags & HVPT_NPT_SHADOW_STACK);
}

/*
 * HVPT_E_ATTR: a present page can be read; execution can be refused only with EFER.NXE; the memory type must be in the
 * host's PAT. With GMET what the supervisor may execute the user may, too. A shadow-stack page is not executable.
 */
static inline HVPT_COLD enum hvpt_status hvpt_npt_encode(const struct hvpt_space *space, struct hvpt_attr attr,
                                                         struct hvpt_leaf *leaf)
{
    const uint32_t exec = attr.perm & (HVPT_EXEC | HVPT_EXEC_USER);
    const uint64_t features = space->features, c_bit = hvpt_npt_c_bit(space);
    const uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED
                         | ((features & HVPT_NPT_USE_SHADOW_STACK) && exec == 0 ? (uint32_t)HVPT_NPT_SHADOW_STACK : 0)
                         | (c_bit != 0 ? (uint32_t)HVPT_NPT_ENCRYPTED : 0);
    uint64_t bits, index;

    if ((attr.perm & ~HVPT_PERM_ALL) || !(attr.perm & HVPT_READ) || (unsigned)attr.memtype > HVPT_MEM_UC
        || attr.software > HVPT_NPT_SOFTWARE_MAX || (attr.flags & ~flags)
        || exec == (features & HVPT_NPT_USE_GMET ? HVPT_EXEC : HVPT_EXEC_USER)
        || (exec == 0 && (features & HVPT_NPT_NO_NX)))
        return HVPT_E_ATTR;
    index = hvpt_npt_find_memtype(space->format_register, attr.memtype);
    if (index == HVPT_NPT_NO_INDEX)
        return HVPT_E_ATTR;
    bits = HVPT_NPT_BIT_PRESENT | (hvpt_npt_is_supervisor(space, attr) ? 0 : HVPT_NPT_BIT_USER)
         | (attr.perm & HVPT_WRITE ? HVPT_NPT_BIT_WRITE : 0) | (exec != 0 ? 0 : HVPT_NPT_BIT_NX)
         | (uint64_t)attr.software << HVPT_NPT_SOFTWARE_SHIFT
         | (attr.flags & HVPT_ACCESSED ? HVPT_NPT_BIT_ACCESSED : 0)
         | (attr.flags & HVPT_DIRTY ? HVPT_NPT_BIT_DIRTY : 0) | (attr.flags & HVPT_LOGGED ? HVPT_NPT_BIT_LOGGED : 0)
         | (attr.flags & HVPT_NPT_ENCRYPTED ? c_bit : 0);
    leaf->bits[0] = bits | hvpt_npt_pat_bits(index, 0);
    leaf->bits[1] = leaf->bits[2] = leaf->bits[3] = leaf->bits[4] =
        bits | HVPT_NPT_BIT_LARGE | hvpt_npt_pat_bits(index, 1);
    leaf->max_level = space->max_leaf_level;
    return HVPT_OK;
}

/* Is this leaf a supervisor shadow-stack page?  APM vol. 2, "Supervisor Shadow Stacks". */
static inline bool hvpt_npt_is_shadow_stack(const struct hvpt_space *space, uint64_t entry)
{
    return (space->features & HVPT_NPT_USE_SHADOW_STACK)
        && (entry & (HVPT_NPT_BIT_USER | HVPT_NPT_BIT_NX)) == HVPT_NPT_BIT_NX;
}

/* The rights that a table entry leaves to what is below. A supervisor entry gives a guest none. */
static inline uint32_t hvpt_npt_table_perm(const struct hvpt_space *space, uint64_t entry)
{
    const uint32_t exec = space->features & HVPT_NPT_USE_GMET ? HVPT_EXEC | HVPT_EXEC_USER : HVPT_EXEC;

    if (HVPT_UNLIKELY(!(entry & HVPT_NPT_BIT_USER)))
        return 0;
    return HVPT_READ | (entry & HVPT_NPT_BIT_WRITE ? (uint32_t)HVPT_WRITE : 0) | (entry & HVPT_NPT_BIT_NX ? 0 : exec);
}

/* The rights that a leaf gives. */
static inline uint32_t hvpt_npt_leaf_perm(const struct hvpt_space *space, uint64_t entry)
{
    uint32_t perm = hvpt_npt_table_perm(space, entry | HVPT_NPT_BIT_USER);

    if (HVPT_LIKELY(!(space->features & (HVPT_NPT_USE_GMET | HVPT_NPT_USE_SHADOW_STACK))))
        return entry & HVPT_NPT_BIT_USER ? perm : 0;
    if (space->features & HVPT_NPT_USE_GMET)
        return entry & HVPT_NPT_BIT_USER ? perm & ~(uint32_t)HVPT_EXEC : perm;
    return (entry & HVPT_NPT_BIT_USER) || hvpt_npt_is_shadow_stack(space, entry) ? perm : 0;
}

static inline struct hvpt_attr hvpt_npt_decode(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;

    attr.perm = hvpt_npt_leaf_perm(space, entry);
    attr.memtype = hvpt_x86_memtype_name(space->format_register >> (8 * hvpt_npt_pat_index(entry, level)));
    attr.flags = (entry & HVPT_NPT_BIT_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
               | (entry & HVPT_NPT_BIT_DIRTY ? (uint32_t)HVPT_DIRTY : 0)
               | ((entry & HVPT_NPT_BIT_LOGGED) && (space->features & HVPT_HAS_MARKS) ? (uint32_t)HVPT_LOGGED : 0);
    if (HVPT_UNLIKELY(space->features & (HVPT_NPT_C_BITS | HVPT_NPT_USE_SHADOW_STACK)))
        attr.flags |= (entry & hvpt_npt_c_bit(space) ? (uint32_t)HVPT_NPT_ENCRYPTED : 0)
                    | (hvpt_npt_is_shadow_stack(space, entry) ? (uint32_t)HVPT_NPT_SHADOW_STACK : 0);
    attr.software = (uint32_t)(entry >> HVPT_NPT_SOFTWARE_SHIFT) & HVPT_NPT_SOFTWARE_MAX;
    return attr;
}

/*
 * Bits 7 and 8 are reserved in the two highest tables; bit 7 makes a leaf of the others, and bit 8 is ignored there.
 * In a large page bit 12 is PAT and the other address bits below the page are reserved. With GMET a table entry without
 * the user bit would open all below it to the supervisor's execution, whatever the leaves say. Hardware allows that;
 * here such tables, which only others make, are not well-formed.
 */
static inline HVPT_COLD unsigned hvpt_npt_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_NPT_ADDRESS_BITS & ~HVPT_NPT_BIT_PAT_LARGE;

    if (entry & space->reserved_bits)
        return entry & space->reserved_bits & HVPT_NPT_BIT_NX ? HVPT_NPT_RULE_NX : HVPT_NPT_RULE_ADDRESS;
    if (level == 0)
        return HVPT_ENTRY_LEAF;
    if (level >= 3 && (entry & (HVPT_NPT_BIT_LARGE | UINT64_C(1) << 8)))
        return entry & HVPT_NPT_BIT_LARGE ? HVPT_NPT_RULE_SIZE : HVPT_NPT_RULE_BIT_8;
    if (entry & HVPT_NPT_BIT_LARGE) {
        if (level == 2 && !(space->features & HVPT_NPT_CAN_1G))
            return HVPT_NPT_RULE_1G;
        return entry & below ? (unsigned)HVPT_NPT_RULE_ALIGNMENT : (unsigned)HVPT_ENTRY_LEAF;
    }
    if (!(entry & HVPT_NPT_BIT_USER) && (space->features & HVPT_NPT_USE_GMET))
        return HVPT_NPT_RULE_GMET;
    return HVPT_ENTRY_TABLE;
}

/* Above level 0 bit 7 says "large" and bit 12 is the PAT bit of a page; at level 0 bit 7 is the PAT bit. */
static inline HVPT_COLD uint64_t hvpt_npt_relevel(uint64_t entry, unsigned from, unsigned to)
{
    if (to == 0)
        return (entry & ~(HVPT_NPT_BIT_LARGE | HVPT_NPT_BIT_PAT_LARGE))
             | (entry & HVPT_NPT_BIT_PAT_LARGE ? HVPT_NPT_BIT_PAT : 0);
    if (from == 0)
        return (entry & ~HVPT_NPT_BIT_PAT) | (entry & HVPT_NPT_BIT_PAT ? HVPT_NPT_BIT_PAT_LARGE : 0)
             | HVPT_NPT_BIT_LARGE;
    return entry;
}

/* The user bit says who may execute (GMET) and what is a shadow stack; elsewhere it stays as it is. */
static inline HVPT_COLD uint64_t hvpt_npt_change(const struct hvpt_space *space, uint64_t entry, uint64_t wanted,
                                                 uint32_t mask, unsigned level)
{
    const uint64_t features = space->features;
    uint64_t bits = mask & HVPT_WRITE ? HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_LOGGED : 0;

    if (mask & (HVPT_EXEC | HVPT_EXEC_USER))
        bits |=
            (features & HVPT_NPT_NO_NX ? 0 : HVPT_NPT_BIT_NX) | (features & HVPT_NPT_USE_GMET ? HVPT_NPT_BIT_USER : 0);
    /*
     * In tables that others made, a page that gives the guest nothing may have anything in these: take all from wanted.
     */
    if (hvpt_npt_leaf_perm(space, entry) == 0)
        bits |= HVPT_NPT_BIT_USER | HVPT_NPT_BIT_WRITE | (features & HVPT_NPT_NO_NX ? 0 : HVPT_NPT_BIT_NX);
    if (mask & HVPT_CHANGE_FLAGS)
        bits |= hvpt_npt_c_bit(space);
    /* Not where the page would become an executable user page: NX stays, because mask does not name it. */
    if ((mask & HVPT_CHANGE_FLAGS) && (features & HVPT_NPT_USE_SHADOW_STACK)
        && !(wanted & ~entry & ~bits & HVPT_NPT_BIT_NX))
        bits |= HVPT_NPT_BIT_USER;
    if (mask & HVPT_CHANGE_MEMTYPE)
        bits |= hvpt_npt_pat_bits(7, level);
    if (mask & HVPT_CHANGE_SOFTWARE)
        bits |= (uint64_t)HVPT_NPT_SOFTWARE_MAX << HVPT_NPT_SOFTWARE_SHIFT;
    return (entry & ~bits) | (wanted & bits);
}

/* Nested tables always have accessed and dirty bits. */
static inline uint64_t hvpt_npt_clean(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_NPT_BIT_DIRTY;
}

static inline HVPT_COLD uint64_t hvpt_npt_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_NPT_BIT_ACCESSED;
}

static inline HVPT_COLD uint64_t hvpt_npt_log_writes(const struct hvpt_space *space, uint64_t entry)
{
    if (!(hvpt_npt_leaf_perm(space, entry) & HVPT_WRITE))
        return entry;
    return (entry & ~HVPT_NPT_BIT_WRITE) | HVPT_NPT_BIT_LOGGED;
}

static inline HVPT_COLD uint64_t hvpt_npt_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    (void)space;
    if ((access & HVPT_WRITE) && (entry & HVPT_NPT_BIT_LOGGED))
        entry = (entry & ~HVPT_NPT_BIT_LOGGED) | HVPT_NPT_BIT_WRITE;
    return entry;
}

static inline HVPT_COLD uint32_t hvpt_npt_grants(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                 bool others)
{
    const uint32_t perm = hvpt_npt_leaf_perm(space, entry);

    (void)level, (void)others;
    return (perm & HVPT_EXEC) && !(space->features & HVPT_NPT_USE_GMET) ? perm | HVPT_EXEC_USER : perm;
}

static inline const struct hvpt_rules *hvpt_npt_rules(void)
{
    static const struct hvpt_rules rules = {
        HVPT_NPT_BIT_TABLE_FULL,
        HVPT_NPT_BIT_LOGGED, /* mark_bits */
        HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_USER | HVPT_NPT_BIT_NX | HVPT_NPT_BIT_LOGGED
            | (uint64_t)HVPT_NPT_SOFTWARE_MAX << HVPT_NPT_SOFTWARE_SHIFT, /* lenient_bits */
        0,                                                                /* gated_bit */
        0,                                                                /* contig_clear */
        0,                                                                /* contig_set */
        hvpt_npt_encode,
        hvpt_npt_decode,
        hvpt_npt_judge,
        hvpt_npt_table_perm,
        NULL, /* address */
        NULL, /* place */
        hvpt_npt_relevel,
        hvpt_npt_change,
        hvpt_npt_clean,
        hvpt_npt_forget,
        hvpt_npt_log_writes,
        hvpt_npt_touch,
        hvpt_npt_grants,
        NULL, /* grown */
    };

    return &rules;
}

#endif
