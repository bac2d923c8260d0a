/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Stage 2 descriptors: bits, flags and rules. Arm ARM, "VMSAv8-64 translation table format descriptors".
 * Levels here count from the smallest page upwards, as everywhere in hvpt: Arm's level 3 is level 0, and so on.
 */
#ifndef HVPT_FORMAT_STAGE2_H
#define HVPT_FORMAT_STAGE2_H

#include "../engine/defer.h"
#include "../stage2_flags.h"

/* ---- bits of a descriptor: Arm ARM, "VMSAv8-64 translation table format descriptors", stage 2 ---- */

#define HVPT_S2_BIT_VALID     (UINT64_C(1) << 0)
#define HVPT_S2_BIT_TABLE     (UINT64_C(1) << 1) /* a table above level 0, a page at level 0; a block has it clear */
#define HVPT_S2_MEMATTR_SHIFT 2
#define HVPT_S2_MEMATTR_BITS  (UINT64_C(15) << 2)
#define HVPT_S2_BIT_READ      (UINT64_C(1) << 6) /* S2AP[0] */
#define HVPT_S2_BIT_WRITE     (UINT64_C(1) << 7) /* S2AP[1]; with hardware dirty state and DBM: has been written */
#define HVPT_S2_SH_SHIFT      8
#define HVPT_S2_SH_BITS       (UINT64_C(3) << 8) /* with LPA2: bits 51:50 of the address */
#define HVPT_S2_BIT_AF        (UINT64_C(1) << 10)
#define HVPT_S2_BIT_NT        (UINT64_C(1) << 16) /* nT: of a block, with FEAT_BBM level 1 and 2 */
#define HVPT_S2_BIT_DBM       (UINT64_C(1) << 51)
#define HVPT_S2_BIT_CONTIG    (UINT64_C(1) << 52)
#define HVPT_S2_BIT_XN0       (UINT64_C(1) << 53) /* XN[0]: only with FEAT_XNX */
#define HVPT_S2_BIT_XN1       (UINT64_C(1) << 54) /* XN[1] */

/* Bits that hardware ignores, and what the engine keeps there. */
#define HVPT_S2_SOFTWARE_SHIFT 55
#define HVPT_S2_SOFTWARE_MAX   UINT32_C(3)
#define HVPT_S2_BIT_WRITTEN    (UINT64_C(1) << 57) /* dirty, when the write permission that shows it was taken */
#define HVPT_S2_BIT_LOGGED     (UINT64_C(1) << 58)
#define HVPT_S2_BIT_TABLE_FULL (UINT64_C(1) << 55)

/* MemAttr without and with FEAT_S2FWB. */
#define HVPT_S2_DEVICE_NGNRE  UINT64_C(1)
#define HVPT_S2_NORMAL_NC     UINT64_C(5)
#define HVPT_S2_NORMAL_WT     UINT64_C(10)
#define HVPT_S2_NORMAL_WB     UINT64_C(15)
#define HVPT_S2_FWB_NORMAL_WB UINT64_C(6)

/* Kept beside the features: the 64K granule with 52-bit addresses (FEAT_LPA). */
#define HVPT_S2_HAS_LPA (UINT64_C(1) << 32)

/* What makes a valid descriptor a fault whatever the access, as judge answers it. */
enum hvpt_s2_rule {
    HVPT_S2_RULE_PAGE = HVPT_ENTRY_BROKEN, /* a block at the level of pages: translation fault */
    HVPT_S2_RULE_ADDRESS,                  /* an address beyond VTCR_EL2.PS: address size fault */
    HVPT_S2_RULE_BLOCK,                    /* this granule has no blocks at this level: translation fault */
    HVPT_S2_RULE_ALIGNMENT                 /* the address of a block is not aligned to it: RES0 bits */
};

/* UC is Device-nGnRE, WC is Normal non-cacheable. With FEAT_S2FWB, WB is forced whatever stage 1 says. */
static inline uint64_t hvpt_s2_memattr(const struct hvpt_space *space, enum hvpt_memtype memtype)
{
    return memtype == HVPT_MEM_UC            ? HVPT_S2_DEVICE_NGNRE
         : memtype == HVPT_MEM_WC            ? HVPT_S2_NORMAL_NC
         : memtype == HVPT_MEM_WT            ? HVPT_S2_NORMAL_WT
         : space->features & HVPT_S2_USE_FWB ? HVPT_S2_FWB_NORMAL_WB
                                             : HVPT_S2_NORMAL_WB;
}

/*
 * The weaker of the outer attribute (the two high bits) and the inner one (the two low bits) decides. With FWB, 7
 * leaves the choice to stage 1, at best WB. With FWB 14 and 15, and without it 4, are WB without access to tags
 * (FEAT_MTE_PERM); a CPU without that feature has them reserved.
 */
static inline enum hvpt_memtype hvpt_s2_memtype(const struct hvpt_space *space, uint64_t memattr)
{
    if (space->features & HVPT_S2_USE_FWB)
        return (memattr & 6) == 6 ? HVPT_MEM_WB : memattr == 5 ? HVPT_MEM_WC : HVPT_MEM_UC;
    if (memattr < 4)
        return HVPT_MEM_UC;
    if (memattr == 4)
        return HVPT_MEM_WB;
    if ((memattr & 3) == 1 || (memattr >> 2) == 1)
        return HVPT_MEM_WC;
    return memattr == HVPT_S2_NORMAL_WB ? HVPT_MEM_WB : HVPT_MEM_WT;
}

/* The bits of an entry for address, of which bits 51:50 (LPA2) or 51:48 (64K granule) lie elsewhere. */
static inline uint64_t hvpt_s2_address_bits(const struct hvpt_space *space, uint64_t address)
{
    if (space->features & HVPT_S2_USE_LPA2)
        return (address & ((UINT64_C(1) << 50) - 1)) | ((address >> 50) & 3) << 8;
    if (space->features & HVPT_S2_HAS_LPA)
        return (address & ((UINT64_C(1) << 48) - 1)) | ((address >> 48) & 15) << 12;
    return address;
}

static inline uint64_t hvpt_s2_address(const struct hvpt_space *space, uint64_t entry)
{
    uint64_t low = (UINT64_C(1) << space->page_shift) - 1;

    if (space->features & HVPT_S2_USE_LPA2)
        return (entry & ((UINT64_C(1) << 50) - 1) & ~low) | ((entry >> 8) & 3) << 50;
    if (space->features & HVPT_S2_HAS_LPA)
        return (entry & ((UINT64_C(1) << 48) - 1) & ~low) | ((entry >> 12) & 15) << 48;
    return entry & ((UINT64_C(1) << 48) - 1) & ~low;
}

/* The bits of an entry that hold address bits from pa_bits up, as far as they lie in place. */
static inline uint64_t hvpt_s2_bits_beyond(unsigned pa_bits)
{
    return pa_bits < 48 ? (UINT64_C(1) << 48) - (UINT64_C(1) << pa_bits) : 0;
}

/*
 * XN[1:0] of the four combinations: 00 all, 01 EL0 alone, 10 none, 11 EL1 alone. Without FEAT_XNX bit 53 is reserved.
 */
static inline uint64_t hvpt_s2_xn_bits(const struct hvpt_space *space, uint32_t perm)
{
    bool el1 = (perm & HVPT_EXEC) != 0, el0 = (perm & HVPT_EXEC_USER) != 0;

    if (!(space->features & HVPT_S2_USE_XNX))
        return el1 ? 0 : HVPT_S2_BIT_XN1;
    if (el1)
        return el0 ? 0 : HVPT_S2_BIT_XN1 | HVPT_S2_BIT_XN0;
    return el0 ? HVPT_S2_BIT_XN0 : HVPT_S2_BIT_XN1;
}

/*
 * HVPT_E_ATTR: execution by EL0 alone needs FEAT_XNX; there is no write-protect type; with FEAT_S2FWB there is no
 * write-through.
 * Without hardware that sets the access flag a page is mapped accessed: otherwise its first use would fault.
 */
static inline HVPT_COLD enum hvpt_status hvpt_s2_encode(const struct hvpt_space *space, struct hvpt_attr attr,
                                                        struct hvpt_leaf *leaf)
{
    const uint64_t features = space->features;
    const uint32_t shareability = HVPT_S2_OUTER_SHAREABLE | HVPT_S2_NON_SHAREABLE;
    const uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED | (features & HVPT_S2_USE_LPA2 ? 0 : shareability);
    uint64_t sh = attr.flags & HVPT_S2_OUTER_SHAREABLE ? HVPT_S2_SH_OUTER
                : attr.flags & HVPT_S2_NON_SHAREABLE   ? HVPT_S2_SH_NON
                                                       : HVPT_S2_SH_INNER;
    uint64_t bits;

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || attr.software > HVPT_S2_SOFTWARE_MAX || (attr.flags & ~flags)
        || (attr.flags & shareability) == shareability || (unsigned)attr.memtype > HVPT_MEM_UC
        || attr.memtype == HVPT_MEM_WP || (attr.memtype == HVPT_MEM_WT && (features & HVPT_S2_USE_FWB))
        || ((attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER && !(features & HVPT_S2_USE_XNX)))
        return HVPT_E_ATTR;
    /* There is no code of S2PIR_EL2 for execution without reading. */
    if ((features & HVPT_S2_USE_INDIRECT) && !(attr.perm & HVPT_READ) && (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
        return HVPT_E_ATTR;
    bits = HVPT_S2_BIT_VALID | hvpt_s2_memattr(space, attr.memtype) << HVPT_S2_MEMATTR_SHIFT
         | (attr.perm & HVPT_READ ? HVPT_S2_BIT_READ : 0) | hvpt_s2_xn_bits(space, attr.perm)
         | (uint64_t)attr.software << HVPT_S2_SOFTWARE_SHIFT | (attr.flags & HVPT_LOGGED ? HVPT_S2_BIT_LOGGED : 0)
         | (features & HVPT_S2_USE_LPA2 ? 0 : sh << HVPT_S2_SH_SHIFT);
    if ((attr.flags & HVPT_ACCESSED) || !(features & HVPT_S2_USE_HARDWARE_AF))
        bits |= HVPT_S2_BIT_AF;
    if (!(attr.perm & HVPT_WRITE))
        bits |= (features & HVPT_S2_USE_HARDWARE_DIRTY) && (attr.flags & HVPT_DIRTY) ? HVPT_S2_BIT_WRITTEN : 0;
    else if (features & HVPT_S2_USE_HARDWARE_DIRTY)
        bits |= HVPT_S2_BIT_DBM | (attr.flags & HVPT_DIRTY ? HVPT_S2_BIT_WRITE : 0);
    else
        bits |= HVPT_S2_BIT_WRITE;
    leaf->bits[0] = bits | HVPT_S2_BIT_TABLE; /* a page has bit 1 set, a block has it clear */
    leaf->bits[1] = leaf->bits[2] = leaf->bits[3] = leaf->bits[4] = bits;
    leaf->max_level = space->max_leaf_level;
    return HVPT_OK;
}

/* The highest level with blocks: 1G of 4K, 32M of 16K, 512M of 64K; one more with 52-bit addresses. */
static inline unsigned hvpt_s2_block_level(const struct hvpt_space *space)
{
    bool wide = (space->features & (HVPT_S2_USE_LPA2 | HVPT_S2_HAS_LPA)) != 0;

    return (space->page_shift == 12 ? 2u : 1u) + (wide ? 1u : 0u);
}

static inline uint32_t hvpt_s2_perm(const struct hvpt_space *space, uint64_t entry)
{
    uint32_t perm = entry & HVPT_S2_BIT_READ ? (uint32_t)HVPT_READ : 0;
    uint64_t xn = entry & (HVPT_S2_BIT_XN0 | HVPT_S2_BIT_XN1);

    if (((entry & HVPT_S2_BIT_WRITE) && !(space->features & HVPT_S2_USE_INDIRECT))
        || ((entry & HVPT_S2_BIT_DBM) && (space->features & HVPT_S2_USE_HARDWARE_DIRTY)))
        perm |= HVPT_WRITE;
    if ((space->features & HVPT_S2_USE_INDIRECT) && !(perm & HVPT_READ))
        return perm; /* no code of S2PIR_EL2 gives execution without reading */
    if (!(space->features & HVPT_S2_USE_XNX))
        return perm | (entry & HVPT_S2_BIT_XN1 ? 0 : (uint32_t)HVPT_EXEC);
    if (xn == 0)
        return perm | HVPT_EXEC | HVPT_EXEC_USER;
    if (xn == HVPT_S2_BIT_XN1)
        return perm;
    return perm | (xn == HVPT_S2_BIT_XN0 ? (uint32_t)HVPT_EXEC_USER : (uint32_t)HVPT_EXEC);
}

static inline struct hvpt_attr hvpt_s2_decode(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;
    uint64_t sh = (entry & HVPT_S2_SH_BITS) >> HVPT_S2_SH_SHIFT;
    const uint64_t marks = space->features & HVPT_HAS_MARKS ? entry : 0;

    (void)level;
    attr.perm = hvpt_s2_perm(space, entry);
    attr.memtype = hvpt_s2_memtype(space, (entry & HVPT_S2_MEMATTR_BITS) >> HVPT_S2_MEMATTR_SHIFT);
    attr.flags = (entry & HVPT_S2_BIT_AF ? (uint32_t)HVPT_ACCESSED : 0)
               | (marks & HVPT_S2_BIT_LOGGED ? (uint32_t)HVPT_LOGGED : 0)
               | (entry & HVPT_S2_BIT_CONTIG ? (uint32_t)HVPT_JOINED : 0);
    if ((space->features & HVPT_S2_USE_HARDWARE_DIRTY)
        && ((marks & HVPT_S2_BIT_WRITTEN) || ((entry & HVPT_S2_BIT_DBM) && (entry & HVPT_S2_BIT_WRITE))))
        attr.flags |= HVPT_DIRTY;
    if (!(space->features & HVPT_S2_USE_LPA2))
        attr.flags |= sh == HVPT_S2_SH_OUTER ? (uint32_t)HVPT_S2_OUTER_SHAREABLE
                    : sh == HVPT_S2_SH_NON   ? (uint32_t)HVPT_S2_NON_SHAREABLE
                                             : 0;
    attr.software = (uint32_t)(entry >> HVPT_S2_SOFTWARE_SHIFT) & HVPT_S2_SOFTWARE_MAX;
    return attr;
}

static inline HVPT_COLD unsigned hvpt_s2_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t not_address = space->features & (HVPT_S2_USE_BBM1 | HVPT_S2_USE_BBM2) ? HVPT_S2_BIT_NT : 0;
    const uint64_t address = hvpt_s2_address(space, entry);

    if (level == 0 && !(entry & HVPT_S2_BIT_TABLE))
        return HVPT_S2_RULE_PAGE;
    if (address >= space->hpa_limit)
        return HVPT_S2_RULE_ADDRESS;
    if (level == 0)
        return HVPT_ENTRY_LEAF;
    if (entry & HVPT_S2_BIT_TABLE)
        return HVPT_ENTRY_TABLE;
    if (level > hvpt_s2_block_level(space))
        return HVPT_S2_RULE_BLOCK;
    return address & (hvpt_span(space, level) - 1) & ~not_address ? (unsigned)HVPT_S2_RULE_ALIGNMENT
                                                                  : (unsigned)HVPT_ENTRY_LEAF;
}

static inline HVPT_COLD uint64_t hvpt_s2_relevel(uint64_t entry, unsigned from, unsigned to)
{
    if (from > to)
        entry &= ~HVPT_S2_BIT_NT; /* which lies in the address of what is smaller */
    return to == 0 ? entry | HVPT_S2_BIT_TABLE : entry & ~HVPT_S2_BIT_TABLE;
}

/*
 * With hardware dirty state, DBM is the permission to write, and S2AP[1] says that the page was written. A memory type
 * that has the name asked for keeps its encoding.
 */
static inline HVPT_COLD uint64_t hvpt_s2_change(const struct hvpt_space *space, uint64_t entry, uint64_t wanted,
                                                uint32_t mask, unsigned level)
{
    const uint64_t features = space->features, type = HVPT_S2_MEMATTR_BITS;
    uint64_t bits = mask & HVPT_READ ? HVPT_S2_BIT_READ : 0;

    (void)level;
    if (mask & HVPT_WRITE)
        bits |= HVPT_S2_BIT_WRITE | HVPT_S2_BIT_LOGGED
              | (features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_S2_BIT_DBM | HVPT_S2_BIT_WRITTEN : 0);
    /* With indirect permissions the bits of execution say nothing until a page may be read: others may have left any. */
    if ((mask & (HVPT_EXEC | HVPT_EXEC_USER))
        || ((mask & HVPT_READ) && !(entry & HVPT_S2_BIT_READ) && (features & HVPT_S2_USE_INDIRECT)))
        bits |= HVPT_S2_BIT_XN1 | (features & HVPT_S2_USE_XNX ? HVPT_S2_BIT_XN0 : 0);
    if ((mask & HVPT_CHANGE_MEMTYPE)
        && hvpt_s2_memtype(space, (entry & type) >> HVPT_S2_MEMATTR_SHIFT)
               != hvpt_s2_memtype(space, (wanted & type) >> HVPT_S2_MEMATTR_SHIFT))
        bits |= type;
    if (mask & HVPT_CHANGE_FLAGS)
        bits |= features & HVPT_S2_USE_LPA2 ? 0 : HVPT_S2_SH_BITS;
    if (mask & HVPT_CHANGE_SOFTWARE)
        bits |= (uint64_t)HVPT_S2_SOFTWARE_MAX << HVPT_S2_SOFTWARE_SHIFT;
    return (entry & ~bits) | (wanted & bits);
}

static inline HVPT_COLD uint32_t hvpt_s2_grants(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                bool others)
{
    const uint32_t perm = hvpt_s2_perm(space, entry);

    (void)level, (void)others;
    return (perm & HVPT_EXEC) && !(space->features & HVPT_S2_USE_XNX) ? perm | HVPT_EXEC_USER : perm;
}

/* Without hardware dirty state a writable page counts as written, and loses the permission until the next write. */
static inline uint64_t hvpt_s2_clean(const struct hvpt_space *space, uint64_t entry)
{
    if (space->features & HVPT_S2_USE_HARDWARE_DIRTY)
        entry &= ~HVPT_S2_BIT_WRITTEN;
    if (!(entry & HVPT_S2_BIT_WRITE))
        return entry;
    if ((space->features & HVPT_S2_USE_HARDWARE_DIRTY) && (entry & HVPT_S2_BIT_DBM))
        return entry & ~HVPT_S2_BIT_WRITE;
    return (entry & ~HVPT_S2_BIT_WRITE) | HVPT_S2_BIT_LOGGED;
}

static inline HVPT_COLD uint64_t hvpt_s2_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_S2_BIT_AF;
}

static inline HVPT_COLD uint64_t hvpt_s2_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    if ((access & HVPT_WRITE) && (entry & HVPT_S2_BIT_LOGGED))
        entry = (entry & ~HVPT_S2_BIT_LOGGED) | HVPT_S2_BIT_WRITE
              | (space->features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_S2_BIT_DBM : 0);
    if (hvpt_s2_grants(space, entry, 0, false) & access)
        entry |= HVPT_S2_BIT_AF;
    return entry;
}

static inline HVPT_COLD uint64_t hvpt_s2_log_writes(const struct hvpt_space *space, uint64_t entry)
{
    const bool gated = (space->features & HVPT_S2_USE_HARDWARE_DIRTY) && (entry & HVPT_S2_BIT_DBM);

    if (!(hvpt_s2_perm(space, entry) & HVPT_WRITE))
        return entry;
    if (gated && (entry & HVPT_S2_BIT_WRITE))
        entry |= HVPT_S2_BIT_WRITTEN;
    return (entry & ~(HVPT_S2_BIT_WRITE | (gated ? HVPT_S2_BIT_DBM : 0))) | HVPT_S2_BIT_LOGGED;
}

static inline const struct hvpt_rules *hvpt_s2_rules(void)
{
    static const struct hvpt_rules rules = {
        HVPT_S2_BIT_TABLE_FULL,
        HVPT_S2_BIT_LOGGED | HVPT_S2_BIT_WRITTEN, /* mark_bits */
        HVPT_S2_BIT_READ | HVPT_S2_BIT_WRITE | HVPT_S2_BIT_XN0 | HVPT_S2_BIT_XN1 | HVPT_S2_BIT_LOGGED
            | HVPT_S2_BIT_DBM | HVPT_S2_BIT_WRITTEN
            | (uint64_t)HVPT_S2_SOFTWARE_MAX << HVPT_S2_SOFTWARE_SHIFT, /* lenient_bits */
        HVPT_S2_BIT_WRITE, /* gated_bit */
        0,                 /* contig_clear */
        HVPT_S2_BIT_CONTIG,
        hvpt_s2_encode,
        hvpt_s2_decode,
        hvpt_s2_judge,
        NULL, /* table_perm: stage 2 tables take nothing away */
        hvpt_s2_address,
        hvpt_s2_address_bits, /* place */
        hvpt_s2_relevel,
        hvpt_s2_change,
        hvpt_s2_clean,
        hvpt_s2_forget,
        hvpt_s2_log_writes,
        hvpt_s2_touch,
        hvpt_s2_grants,
        hvpt_flush_grown,
    };

    return &rules;
}

#endif
