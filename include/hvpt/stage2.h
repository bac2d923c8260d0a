/*
 * Stage 2, Arm's second-level format (VMSAv8-64): granules of 4, 16 and 64 KiB, concatenated roots, LPA2.
 * Arm ARM, "The AArch64 Virtual Memory System Architecture". Bits, rules and face; the loops are in core/.
 */
#ifndef HVPT_STAGE2_H
#define HVPT_STAGE2_H

#include "core/engine.h"

/*
 * Levels here count from the smallest page upwards, as everywhere in hvpt: Arm's level 3 is level 0, and so on.
 */

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
#define HVPT_S2_BIT_DBM       (UINT64_C(1) << 51)
#define HVPT_S2_BIT_CONTIG    (UINT64_C(1) << 52)
#define HVPT_S2_BIT_XN0       (UINT64_C(1) << 53) /* XN[0]: only with FEAT_XNX */
#define HVPT_S2_BIT_XN1       (UINT64_C(1) << 54) /* XN[1] */

/* Bits that hardware ignores, and what the engine keeps there. */
#define HVPT_S2_SOFTWARE_SHIFT 55
#define HVPT_S2_SOFTWARE_MAX   UINT32_C(3)
#define HVPT_S2_BIT_WRITTEN    (UINT64_C(1) << 57) /* dirty, where the right to write, which says so, was taken */
#define HVPT_S2_BIT_LOGGED     (UINT64_C(1) << 58)
#define HVPT_S2_BIT_TABLE_FULL (UINT64_C(1) << 55)

/* MemAttr without and with FEAT_S2FWB. */
#define HVPT_S2_DEVICE_NGNRE  UINT64_C(1)
#define HVPT_S2_NORMAL_NC     UINT64_C(5)
#define HVPT_S2_NORMAL_WT     UINT64_C(10)
#define HVPT_S2_NORMAL_WB     UINT64_C(15)
#define HVPT_S2_FWB_NORMAL_WB UINT64_C(6)

/* Shareability. */
enum { HVPT_S2_SH_NON = 0, HVPT_S2_SH_OUTER = 2, HVPT_S2_SH_INNER = 3 };

/* ---- VTCR_EL2 and VTTBR_EL2: Arm ARM, "VTCR_EL2, Virtualization Translation Control Register" ---- */

#define HVPT_VTCR_SL0_SHIFT   6
#define HVPT_VTCR_IRGN0_WB    (UINT64_C(1) << 8)
#define HVPT_VTCR_ORGN0_WB    (UINT64_C(1) << 10)
#define HVPT_VTCR_SH0_INNER   (UINT64_C(3) << 12)
#define HVPT_VTCR_TG0_64K     (UINT64_C(1) << 14)
#define HVPT_VTCR_TG0_16K     (UINT64_C(2) << 14)
#define HVPT_VTCR_PS_SHIFT    16
#define HVPT_VTCR_VS          (UINT64_C(1) << 19)
#define HVPT_VTCR_HA          (UINT64_C(1) << 21)
#define HVPT_VTCR_HD          (UINT64_C(1) << 22)
#define HVPT_VTCR_RES1        (UINT64_C(1) << 31)
#define HVPT_VTCR_DS          (UINT64_C(1) << 32)
#define HVPT_VTCR_SL2         (UINT64_C(1) << 33)
#define HVPT_VTTBR_VMID_SHIFT 48

/*
 * Flags of a leaf, for attr.flags: shareability, where it is not that of the config. Not with LPA2, where VTCR_EL2 has
 * it.
 */
enum { HVPT_S2_OUTER_SHAREABLE = 1 << 8, HVPT_S2_NON_SHAREABLE = 1 << 9 };

/* Extensions of the CPU to be used, for config.features. Those that an ID register denies are refused. */
enum {
    HVPT_S2_USE_FWB = 1 << 0,            /* FEAT_S2FWB, with HCR_EL2.FWB set: the guest cannot weaken memory types */
    HVPT_S2_USE_XNX = 1 << 1,            /* FEAT_XNX: execution by EL1 and by EL0 apart */
    HVPT_S2_USE_HARDWARE_AF = 1 << 2,    /* VTCR_EL2.HA: hardware sets the access flag, instead of faulting */
    HVPT_S2_USE_HARDWARE_DIRTY = 1 << 3, /* VTCR_EL2.HD, with HA */
    HVPT_S2_USE_LPA2 = 1 << 4,           /* VTCR_EL2.DS: 52-bit addresses with granules of 4K and 16K */
    HVPT_S2_USE_CONTIGUOUS = 1 << 5,     /* runs are joined by the contiguous bit where they fit */
    HVPT_S2_USE_VMID16 = 1 << 6,         /* VTCR_EL2.VS */
    HVPT_S2_USE_ALL = (1 << 7) - 1
};

/* Kept beside the features: the 64K granule with 52-bit addresses (FEAT_LPA). */
#define HVPT_S2_HAS_LPA (UINT64_C(1) << 32)

/*
 * granule_shift: 12, 14 or 16; 0: 12.
 * ipa_bits: width of the guest-physical space, 32 to 52; 0: 40.
 * levels: depth of the tree; 0: the least, with up to 16 root tables side by side.
 * max_page_size: a block or page size of the granule; 0: the largest there is.
 * mmfr0, mmfr1, mmfr2: ID_AA64MMFR0_EL1 .. 2_EL1 as read, all three; all 0: not told; then the CPU is taken to have
 * what this config asks for.
 * features: HVPT_S2_USE_...; policy: HVPT_POLICY_...
 */
struct hvpt_s2_config {
    unsigned granule_shift;
    unsigned ipa_bits;
    unsigned levels;
    uint64_t max_page_size;
    uint64_t mmfr0;
    uint64_t mmfr1;
    uint64_t mmfr2;
    uint32_t features;
    uint32_t policy;
};

/* One guest's stage 2 tables. Move it only while nobody uses it. */
struct hvpt_s2 {
    struct hvpt_space space;
};

/* ---- rules ---- */

/*
 * Can this CPU express attr in a leaf?  HVPT_E_ATTR if not.
 * Execution by one of EL1 and EL0 alone wants FEAT_XNX; there is no write-protect type; with FEAT_S2FWB there is no
 * write-through.
 */
static inline enum hvpt_status hvpt_s2_check_attr(const struct hvpt_space *space, struct hvpt_attr attr)
{
    const uint32_t shareability = HVPT_S2_OUTER_SHAREABLE | HVPT_S2_NON_SHAREABLE;
    const uint32_t flags =
        HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED | (space->features & HVPT_S2_USE_LPA2 ? 0 : shareability);

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || attr.software > HVPT_S2_SOFTWARE_MAX || (attr.flags & ~flags)
        || (attr.flags & shareability) == shareability)
        return HVPT_E_ATTR;
    if ((attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER && !(space->features & HVPT_S2_USE_XNX))
        return HVPT_E_ATTR;
    switch (attr.memtype) {
    case HVPT_MEM_UC:
    case HVPT_MEM_WC:
    case HVPT_MEM_WB: return HVPT_OK;
    case HVPT_MEM_WT: return space->features & HVPT_S2_USE_FWB ? HVPT_E_ATTR : HVPT_OK;
    case HVPT_MEM_WP: break;
    }
    return HVPT_E_ATTR;
}

static inline unsigned hvpt_s2_attr_level(const struct hvpt_space *space, struct hvpt_attr attr)
{
    (void)attr;
    return space->max_leaf_level;
}

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
 * What the two low or the two high bits of MemAttr make weakest decides; FWB's 7 leaves stage 1 its choice, at best WB.
 */
static inline enum hvpt_memtype hvpt_s2_memtype(const struct hvpt_space *space, uint64_t memattr)
{
    if (space->features & HVPT_S2_USE_FWB)
        return memattr == 6 || memattr == 7 ? HVPT_MEM_WB : memattr == 5 ? HVPT_MEM_WC : HVPT_MEM_UC;
    if (memattr < 4)
        return HVPT_MEM_UC;
    if ((memattr & 3) == 1 || (memattr >> 2) == 1)
        return HVPT_MEM_WC;
    return memattr == HVPT_S2_NORMAL_WB ? HVPT_MEM_WB : HVPT_MEM_WT;
}

/* Where the address lies: bits 51:50 (LPA2) or 51:48 (64K granule) are elsewhere. */
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
 * The leaf for the page at hpa. attr has passed hvpt_s2_check_attr and hpa is aligned to the page: cannot fail.
 * Without hardware that sets the access flag a page is mapped accessed: otherwise its first use would fault.
 */
static inline uint64_t hvpt_s2_make_leaf(const struct hvpt_space *space, uint64_t hpa, struct hvpt_attr attr,
                                         unsigned level)
{
    const uint64_t features = space->features;
    uint64_t sh = attr.flags & HVPT_S2_OUTER_SHAREABLE ? HVPT_S2_SH_OUTER
                : attr.flags & HVPT_S2_NON_SHAREABLE   ? HVPT_S2_SH_NON
                                                       : HVPT_S2_SH_INNER;
    uint64_t entry = hvpt_s2_address_bits(space, hpa) | HVPT_S2_BIT_VALID | (level == 0 ? HVPT_S2_BIT_TABLE : 0)
                   | hvpt_s2_memattr(space, attr.memtype) << HVPT_S2_MEMATTR_SHIFT
                   | (attr.perm & HVPT_READ ? HVPT_S2_BIT_READ : 0) | hvpt_s2_xn_bits(space, attr.perm)
                   | (uint64_t)attr.software << HVPT_S2_SOFTWARE_SHIFT
                   | (attr.flags & HVPT_LOGGED ? HVPT_S2_BIT_LOGGED : 0)
                   | (features & HVPT_S2_USE_LPA2 ? 0 : sh << HVPT_S2_SH_SHIFT);

    if ((attr.flags & HVPT_ACCESSED) || !(features & HVPT_S2_USE_HARDWARE_AF))
        entry |= HVPT_S2_BIT_AF;
    if (!(attr.perm & HVPT_WRITE))
        return entry | ((features & HVPT_S2_USE_HARDWARE_DIRTY) && (attr.flags & HVPT_DIRTY) ? HVPT_S2_BIT_WRITTEN : 0);
    if (features & HVPT_S2_USE_HARDWARE_DIRTY)
        return entry | HVPT_S2_BIT_DBM | (attr.flags & HVPT_DIRTY ? HVPT_S2_BIT_WRITE : 0);
    return entry | HVPT_S2_BIT_WRITE;
}

static inline uint64_t hvpt_s2_4k_leaf_step(unsigned level)
{
    return HVPT_4K << (9 * level);
}

static inline uint64_t hvpt_s2_16k_leaf_step(unsigned level)
{
    return HVPT_16K << (11 * level);
}

static inline uint64_t hvpt_s2_64k_leaf_step(unsigned level)
{
    return HVPT_64K << (13 * level);
}

static inline uint64_t hvpt_s2_make_table(const struct hvpt_space *space, uint64_t frame)
{
    return hvpt_s2_address_bits(space, frame) | HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;
}

static inline bool hvpt_s2_is_table(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t kind = HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;

    return level != 0 && (entry & kind) == kind && hvpt_s2_address(space, entry) < space->hpa_limit;
}

/* The highest level with blocks: 1G of 4K, 32M of 16K, 512M of 64K; one more with 52-bit addresses. */
static inline unsigned hvpt_s2_block_level(const struct hvpt_space *space)
{
    bool wide = (space->features & (HVPT_S2_USE_LPA2 | HVPT_S2_HAS_LPA)) != 0;

    return (space->page_shift == 12 ? 2u : 1u) + (wide ? 1u : 0u);
}

/* The entry is not empty. */
static inline bool hvpt_s2_is_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    uint64_t address = hvpt_s2_address(space, entry);
    uint64_t below = (UINT64_C(1) << (space->page_shift + level * (space->page_shift - 3u))) - 1;

    if (!(entry & HVPT_S2_BIT_VALID) || address >= space->hpa_limit)
        return false;
    if (level == 0)
        return (entry & HVPT_S2_BIT_TABLE) != 0;
    return !(entry & HVPT_S2_BIT_TABLE) && level <= hvpt_s2_block_level(space) && !(address & below);
}

static inline uint64_t hvpt_s2_table_frame(const struct hvpt_space *space, uint64_t entry)
{
    return hvpt_s2_address(space, entry);
}

/* Of a table whose address lies below 2^48, in place. */
static inline uint64_t hvpt_s2_4k_plain_frame(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & UINT64_C(0x0000fffffffff000);
}

static inline uint64_t hvpt_s2_16k_plain_frame(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & UINT64_C(0x0000ffffffffc000);
}

static inline uint64_t hvpt_s2_64k_plain_frame(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & UINT64_C(0x0000ffffffff0000);
}

static inline uint64_t hvpt_s2_leaf_address(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                            uint64_t gpa)
{
    (void)level, (void)gpa;
    return hvpt_s2_address(space, entry);
}

/* Stage 2 tables take nothing away. */
static inline uint32_t hvpt_s2_table_perm(const struct hvpt_space *space, uint64_t entry)
{
    (void)space, (void)entry;
    return HVPT_PERM_ALL;
}

static inline uint32_t hvpt_s2_perm(const struct hvpt_space *space, uint64_t entry)
{
    uint32_t perm = entry & HVPT_S2_BIT_READ ? (uint32_t)HVPT_READ : 0;
    uint64_t xn = entry & (HVPT_S2_BIT_XN0 | HVPT_S2_BIT_XN1);

    if ((entry & HVPT_S2_BIT_WRITE) || ((entry & HVPT_S2_BIT_DBM) && (space->features & HVPT_S2_USE_HARDWARE_DIRTY)))
        perm |= HVPT_WRITE;
    if (!(space->features & HVPT_S2_USE_XNX))
        return perm | (entry & HVPT_S2_BIT_XN1 ? 0 : (uint32_t)HVPT_EXEC);
    if (xn == 0)
        return perm | HVPT_EXEC | HVPT_EXEC_USER;
    if (xn == HVPT_S2_BIT_XN1)
        return perm;
    return perm | (xn == HVPT_S2_BIT_XN0 ? (uint32_t)HVPT_EXEC_USER : (uint32_t)HVPT_EXEC);
}

static inline struct hvpt_attr hvpt_s2_leaf_attr(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;
    uint64_t sh = (entry & HVPT_S2_SH_BITS) >> HVPT_S2_SH_SHIFT;

    (void)level;
    attr.perm = hvpt_s2_perm(space, entry);
    attr.memtype = hvpt_s2_memtype(space, (entry & HVPT_S2_MEMATTR_BITS) >> HVPT_S2_MEMATTR_SHIFT);
    attr.flags = (entry & HVPT_S2_BIT_AF ? (uint32_t)HVPT_ACCESSED : 0)
               | (entry & HVPT_S2_BIT_LOGGED ? (uint32_t)HVPT_LOGGED : 0)
               | (entry & HVPT_S2_BIT_CONTIG ? (uint32_t)HVPT_JOINED : 0);
    if ((space->features & HVPT_S2_USE_HARDWARE_DIRTY)
        && ((entry & HVPT_S2_BIT_WRITTEN) || ((entry & HVPT_S2_BIT_DBM) && (entry & HVPT_S2_BIT_WRITE))))
        attr.flags |= HVPT_DIRTY;
    if (!(space->features & HVPT_S2_USE_LPA2))
        attr.flags |= sh == HVPT_S2_SH_OUTER ? (uint32_t)HVPT_S2_OUTER_SHAREABLE
                    : sh == HVPT_S2_SH_NON   ? (uint32_t)HVPT_S2_NON_SHAREABLE
                                             : 0;
    attr.software = (uint32_t)(entry >> HVPT_S2_SOFTWARE_SHIFT) & HVPT_S2_SOFTWARE_MAX;
    return attr;
}

static inline uint64_t hvpt_s2_attr_bits(const struct hvpt_space *space, unsigned level)
{
    (void)level;
    return HVPT_S2_MEMATTR_BITS | HVPT_S2_BIT_READ | HVPT_S2_BIT_WRITE | HVPT_S2_BIT_XN1 | HVPT_S2_BIT_LOGGED
         | (uint64_t)HVPT_S2_SOFTWARE_MAX << HVPT_S2_SOFTWARE_SHIFT
         | (space->features & HVPT_S2_USE_LPA2 ? 0 : HVPT_S2_SH_BITS)
         | (space->features & HVPT_S2_USE_XNX ? HVPT_S2_BIT_XN0 : 0)
         | (space->features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_S2_BIT_DBM | HVPT_S2_BIT_WRITTEN : 0);
}

/* Blocks have bit 1 clear, pages have it set. */
static inline uint64_t hvpt_s2_child_leaf(uint64_t entry, unsigned level)
{
    return level == 1 ? entry | HVPT_S2_BIT_TABLE : entry;
}

static inline uint64_t hvpt_s2_parent_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return entry & ~HVPT_S2_BIT_TABLE;
}

/* Arm ARM, "The Contiguous bit". */
static inline unsigned hvpt_s2_join_count(const struct hvpt_space *space, unsigned level)
{
    if (!(space->features & HVPT_S2_USE_CONTIGUOUS))
        return 1;
    if (space->page_shift == 12)
        return level <= 2 ? 16 : 1;
    if (space->page_shift == 14)
        return level == 0 ? 128 : level == 1 ? 32 : 1;
    return level <= 1 ? 32 : 1;
}

static inline uint64_t hvpt_s2_join(uint64_t entry, unsigned level)
{
    (void)level;
    return entry | HVPT_S2_BIT_CONTIG;
}

static inline bool hvpt_s2_is_joined(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return (entry & HVPT_S2_BIT_CONTIG) && hvpt_s2_join_count(space, level) > 1;
}

static inline uint64_t hvpt_s2_unjoin(uint64_t entry, unsigned level, uint64_t gpa)
{
    (void)level, (void)gpa;
    return entry & ~HVPT_S2_BIT_CONTIG;
}

/* The access flag is always there; the dirty state only if hardware keeps it. */
static inline uint64_t hvpt_s2_hardware_bits(const struct hvpt_space *space, uint64_t entry)
{
    if (!(space->features & HVPT_S2_USE_HARDWARE_DIRTY))
        return HVPT_S2_BIT_AF;
    return HVPT_S2_BIT_AF | HVPT_S2_BIT_WRITTEN | (entry & HVPT_S2_BIT_DBM ? HVPT_S2_BIT_WRITE : 0);
}

/* Without hardware dirty state a page that may be written counts as written, and loses that right until it is again. */
static inline uint64_t hvpt_s2_leaf_clean(const struct hvpt_space *space, uint64_t entry)
{
    if (space->features & HVPT_S2_USE_HARDWARE_DIRTY)
        entry &= ~HVPT_S2_BIT_WRITTEN;
    if (!(entry & HVPT_S2_BIT_WRITE))
        return entry;
    if ((space->features & HVPT_S2_USE_HARDWARE_DIRTY) && (entry & HVPT_S2_BIT_DBM))
        return entry & ~HVPT_S2_BIT_WRITE;
    return (entry & ~HVPT_S2_BIT_WRITE) | HVPT_S2_BIT_LOGGED;
}

static inline uint64_t hvpt_s2_leaf_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_S2_BIT_AF;
}

static inline uint64_t hvpt_s2_leaf_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    if ((access & HVPT_WRITE) && (entry & HVPT_S2_BIT_LOGGED))
        entry = (entry & ~HVPT_S2_BIT_LOGGED) | HVPT_S2_BIT_WRITE
              | (space->features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_S2_BIT_DBM : 0);
    if (hvpt_s2_perm(space, entry) & access)
        entry |= HVPT_S2_BIT_AF;
    return entry;
}

static enum hvpt_status hvpt_s2_look(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                     enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_s2_change(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                       enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_s2_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                        enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_s2_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                           struct hvpt_attr attr, struct hvpt_flush *flush);
static enum hvpt_status hvpt_s2_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                             struct hvpt_flush *flush);
static enum hvpt_status hvpt_s2_protect_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                               struct hvpt_attr attr, uint32_t mask, bool log,
                                               struct hvpt_flush *flush);
static enum hvpt_status hvpt_s2_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                        struct hvpt_run *found);
static void hvpt_s2_split_leaf(struct hvpt_space *space, struct hvpt_frames *list, struct hvpt_flush *flush,
                               const struct hvpt_run *run);
static void hvpt_s2_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa,
                                uint64_t hpa, struct hvpt_attr attr, unsigned level);
static void hvpt_s2_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run);
static void hvpt_s2_settle(struct hvpt_space *space, struct hvpt_flush *flush);
static bool hvpt_s2_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size);
static void hvpt_s2_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_place *place);
static struct hvpt_found hvpt_s2_find_far(const struct hvpt_space *space, uint64_t gpa);
static enum hvpt_status hvpt_s2_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                               struct hvpt_attr attr);
static enum hvpt_status hvpt_s2_translate_rest(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                               unsigned level, uint32_t perm, struct hvpt_mapping *out);

static const struct hvpt_format hvpt_s2_4k_format = {
    HVPT_KIND_S2,
    12,    /* page_shift */
    false, /* mapping_needs_flush */
    true,  /* relaxing_needs_flush: a stale entry goes on faulting until TLBI */
    HVPT_S2_MEMATTR_BITS | HVPT_S2_SH_BITS,
    HVPT_S2_BIT_TABLE_FULL,
    UINT64_C(1) << 48, /* linear_block: the lower of the two places where addresses are cut */
    hvpt_s2_check_attr,
    hvpt_s2_attr_level,
    hvpt_s2_make_leaf,
    hvpt_s2_4k_leaf_step,
    hvpt_s2_make_table,
    hvpt_s2_is_table,
    hvpt_s2_is_leaf,
    hvpt_s2_table_frame,
    hvpt_s2_4k_plain_frame,
    hvpt_s2_leaf_address,
    hvpt_s2_leaf_attr,
    hvpt_s2_table_perm,
    hvpt_s2_child_leaf,
    hvpt_s2_parent_leaf,
    hvpt_s2_attr_bits,
    hvpt_s2_join_count,
    hvpt_s2_join,
    hvpt_s2_4k_leaf_step,
    hvpt_s2_is_joined,
    hvpt_s2_unjoin,
    hvpt_s2_hardware_bits,
    hvpt_s2_leaf_clean,
    hvpt_s2_leaf_forget,
    hvpt_s2_leaf_touch,
    hvpt_s2_look,
    hvpt_s2_change,
    hvpt_s2_harvest,
    hvpt_s2_map_pieces,
    hvpt_s2_unmap_pieces,
    hvpt_s2_protect_pieces,
    hvpt_s2_descend,
    hvpt_s2_split_leaf,
    hvpt_s2_fill_leaves,
    hvpt_s2_unlink_table,
    hvpt_s2_settle,
    hvpt_s2_holds_table,
    hvpt_s2_fault_map_rest,
    hvpt_s2_find,
    hvpt_s2_find_far,
    hvpt_s2_translate_rest,
};

static const struct hvpt_format hvpt_s2_16k_format = {
    HVPT_KIND_S2,
    14,    /* page_shift */
    false, /* mapping_needs_flush */
    true,  /* relaxing_needs_flush: a stale entry goes on faulting until TLBI */
    HVPT_S2_MEMATTR_BITS | HVPT_S2_SH_BITS,
    HVPT_S2_BIT_TABLE_FULL,
    UINT64_C(1) << 48, /* linear_block: the lower of the two places where addresses are cut */
    hvpt_s2_check_attr,
    hvpt_s2_attr_level,
    hvpt_s2_make_leaf,
    hvpt_s2_16k_leaf_step,
    hvpt_s2_make_table,
    hvpt_s2_is_table,
    hvpt_s2_is_leaf,
    hvpt_s2_table_frame,
    hvpt_s2_16k_plain_frame,
    hvpt_s2_leaf_address,
    hvpt_s2_leaf_attr,
    hvpt_s2_table_perm,
    hvpt_s2_child_leaf,
    hvpt_s2_parent_leaf,
    hvpt_s2_attr_bits,
    hvpt_s2_join_count,
    hvpt_s2_join,
    hvpt_s2_16k_leaf_step,
    hvpt_s2_is_joined,
    hvpt_s2_unjoin,
    hvpt_s2_hardware_bits,
    hvpt_s2_leaf_clean,
    hvpt_s2_leaf_forget,
    hvpt_s2_leaf_touch,
    hvpt_s2_look,
    hvpt_s2_change,
    hvpt_s2_harvest,
    hvpt_s2_map_pieces,
    hvpt_s2_unmap_pieces,
    hvpt_s2_protect_pieces,
    hvpt_s2_descend,
    hvpt_s2_split_leaf,
    hvpt_s2_fill_leaves,
    hvpt_s2_unlink_table,
    hvpt_s2_settle,
    hvpt_s2_holds_table,
    hvpt_s2_fault_map_rest,
    hvpt_s2_find,
    hvpt_s2_find_far,
    hvpt_s2_translate_rest,
};

static const struct hvpt_format hvpt_s2_64k_format = {
    HVPT_KIND_S2,
    16,    /* page_shift */
    false, /* mapping_needs_flush */
    true,  /* relaxing_needs_flush: a stale entry goes on faulting until TLBI */
    HVPT_S2_MEMATTR_BITS | HVPT_S2_SH_BITS,
    HVPT_S2_BIT_TABLE_FULL,
    UINT64_C(1) << 48, /* linear_block: the lower of the two places where addresses are cut */
    hvpt_s2_check_attr,
    hvpt_s2_attr_level,
    hvpt_s2_make_leaf,
    hvpt_s2_64k_leaf_step,
    hvpt_s2_make_table,
    hvpt_s2_is_table,
    hvpt_s2_is_leaf,
    hvpt_s2_table_frame,
    hvpt_s2_64k_plain_frame,
    hvpt_s2_leaf_address,
    hvpt_s2_leaf_attr,
    hvpt_s2_table_perm,
    hvpt_s2_child_leaf,
    hvpt_s2_parent_leaf,
    hvpt_s2_attr_bits,
    hvpt_s2_join_count,
    hvpt_s2_join,
    hvpt_s2_64k_leaf_step,
    hvpt_s2_is_joined,
    hvpt_s2_unjoin,
    hvpt_s2_hardware_bits,
    hvpt_s2_leaf_clean,
    hvpt_s2_leaf_forget,
    hvpt_s2_leaf_touch,
    hvpt_s2_look,
    hvpt_s2_change,
    hvpt_s2_harvest,
    hvpt_s2_map_pieces,
    hvpt_s2_unmap_pieces,
    hvpt_s2_protect_pieces,
    hvpt_s2_descend,
    hvpt_s2_split_leaf,
    hvpt_s2_fill_leaves,
    hvpt_s2_unlink_table,
    hvpt_s2_settle,
    hvpt_s2_holds_table,
    hvpt_s2_fault_map_rest,
    hvpt_s2_find,
    hvpt_s2_find_far,
    hvpt_s2_translate_rest,
};

/* The granule is one of the three: the face has looked, and answers HVPT_E_CORRUPT where it is not. */
HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_look(const struct hvpt_space *space, uint64_t start,
                                                               uint64_t end, enum hvpt_visit visit, void *ctx)
{
    switch (space->page_shift) {
    case 14: return hvpt_traverse(&hvpt_s2_16k_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
    case 16: return hvpt_traverse(&hvpt_s2_64k_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
    default: return hvpt_traverse(&hvpt_s2_4k_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
    }
}

/* A granule a function: in one function, gcc 14 gives each copy of the traversal a part of the frame of its own, above 512 bytes. */
HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_16k_change(const struct hvpt_space *space, uint64_t start,
                                                                     uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_s2_16k_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_64k_change(const struct hvpt_space *space, uint64_t start,
                                                                     uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_s2_64k_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_change(const struct hvpt_space *space, uint64_t start,
                                                                 uint64_t end, enum hvpt_visit visit, void *ctx)
{
    switch (space->page_shift) {
    case 14: return hvpt_s2_16k_change(space, start, end, visit, ctx);
    case 16: return hvpt_s2_64k_change(space, start, end, visit, ctx);
    default: return hvpt_traverse(&hvpt_s2_4k_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
    }
}

static HVPT_NOINLINE enum hvpt_status hvpt_s2_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                      enum hvpt_visit visit, void *ctx)
{
    switch (space->page_shift) {
    case 14: return hvpt_traverse(&hvpt_s2_16k_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
    case 16: return hvpt_traverse(&hvpt_s2_64k_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
    default: return hvpt_traverse(&hvpt_s2_4k_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
    }
}

static HVPT_NOINLINE enum hvpt_status hvpt_s2_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                         uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    switch (space->page_shift) {
    case 14: return hvpt_map_pieces(&hvpt_s2_16k_format, space, gpa, hpa, size, attr, flush);
    case 16: return hvpt_map_pieces(&hvpt_s2_64k_format, space, gpa, hpa, size, attr, flush);
    default: return hvpt_map_pieces(&hvpt_s2_4k_format, space, gpa, hpa, size, attr, flush);
    }
}

static HVPT_NOINLINE enum hvpt_status hvpt_s2_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                           struct hvpt_flush *flush)
{
    switch (space->page_shift) {
    case 14: return hvpt_unmap_pieces(&hvpt_s2_16k_format, space, gpa, size, flush);
    case 16: return hvpt_unmap_pieces(&hvpt_s2_64k_format, space, gpa, size, flush);
    default: return hvpt_unmap_pieces(&hvpt_s2_4k_format, space, gpa, size, flush);
    }
}

static HVPT_NOINLINE enum hvpt_status hvpt_s2_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                                      struct hvpt_run *found)
{
    switch (space->page_shift) {
    case 14: return hvpt_descend(&hvpt_s2_16k_format, space, gpa, lowest, found);
    case 16: return hvpt_descend(&hvpt_s2_64k_format, space, gpa, lowest, found);
    default: return hvpt_descend(&hvpt_s2_4k_format, space, gpa, lowest, found);
    }
}

HVPT_SELDOM static HVPT_NOINLINE void hvpt_s2_split_leaf(struct hvpt_space *space, struct hvpt_frames *list,
                                                         struct hvpt_flush *flush, const struct hvpt_run *run)
{
    switch (space->page_shift) {
    case 12: hvpt_split_leaf(&hvpt_s2_4k_format, space, list, flush, run); break;
    case 14: hvpt_split_leaf(&hvpt_s2_16k_format, space, list, flush, run); break;
    case 16: hvpt_split_leaf(&hvpt_s2_64k_format, space, list, flush, run); break;
    }
}

HVPT_OFTEN static HVPT_NOINLINE void hvpt_s2_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot,
                                                         unsigned count, uint64_t gpa, uint64_t hpa,
                                                         struct hvpt_attr attr, unsigned level)
{
    switch (space->page_shift) {
    case 12: hvpt_fill_leaves(&hvpt_s2_4k_format, space, slot, count, gpa, hpa, attr, level); break;
    case 14: hvpt_fill_leaves(&hvpt_s2_16k_format, space, slot, count, gpa, hpa, attr, level); break;
    case 16: hvpt_fill_leaves(&hvpt_s2_64k_format, space, slot, count, gpa, hpa, attr, level); break;
    }
}

static HVPT_NOINLINE void hvpt_s2_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush,
                                               const struct hvpt_run *run)
{
    switch (space->page_shift) {
    case 12: hvpt_unlink_table(&hvpt_s2_4k_format, space, flush, run); break;
    case 14: hvpt_unlink_table(&hvpt_s2_16k_format, space, flush, run); break;
    case 16: hvpt_unlink_table(&hvpt_s2_64k_format, space, flush, run); break;
    }
}

static HVPT_NOINLINE void hvpt_s2_settle(struct hvpt_space *space, struct hvpt_flush *flush)
{
    switch (space->page_shift) {
    case 12: hvpt_settle(&hvpt_s2_4k_format, space, flush); break;
    case 14: hvpt_settle(&hvpt_s2_16k_format, space, flush); break;
    case 16: hvpt_settle(&hvpt_s2_64k_format, space, flush); break;
    }
}

static HVPT_NOINLINE enum hvpt_status hvpt_s2_translate_rest(const struct hvpt_space *space, uint64_t gpa,
                                                             uint64_t entry, unsigned level, uint32_t perm,
                                                             struct hvpt_mapping *out)
{
    switch (space->page_shift) {
    case 14: return hvpt_translate_rest(&hvpt_s2_16k_format, space, gpa, entry, level, perm, out);
    case 16: return hvpt_translate_rest(&hvpt_s2_64k_format, space, gpa, entry, level, perm, out);
    default: return hvpt_translate_rest(&hvpt_s2_4k_format, space, gpa, entry, level, perm, out);
    }
}

static HVPT_NOINLINE void hvpt_s2_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                       struct hvpt_place *place)
{
    switch (space->page_shift) {
    case 14: hvpt_find(&hvpt_s2_16k_format, space, gpa, lowest, place); break;
    case 16: hvpt_find(&hvpt_s2_64k_format, space, gpa, lowest, place); break;
    default: hvpt_find(&hvpt_s2_4k_format, space, gpa, lowest, place); break;
    }
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa,
                                                                         hvpt_hpa hpa, uint64_t page_size,
                                                                         struct hvpt_attr attr)
{
    switch (space->page_shift) {
    case 14: return hvpt_fault_map_rest(&hvpt_s2_16k_format, space, gpa, hpa, page_size, attr);
    case 16: return hvpt_fault_map_rest(&hvpt_s2_64k_format, space, gpa, hpa, page_size, attr);
    default: return hvpt_fault_map_rest(&hvpt_s2_4k_format, space, gpa, hpa, page_size, attr);
    }
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_s2_protect_pieces(struct hvpt_space *space, uint64_t gpa,
                                                                         uint64_t size, struct hvpt_attr attr,
                                                                         uint32_t mask, bool log,
                                                                         struct hvpt_flush *flush)
{
    switch (space->page_shift) {
    case 14: return hvpt_protect_pieces(&hvpt_s2_16k_format, space, gpa, size, attr, mask, log, flush);
    case 16: return hvpt_protect_pieces(&hvpt_s2_64k_format, space, gpa, size, attr, mask, log, flush);
    default: return hvpt_protect_pieces(&hvpt_s2_4k_format, space, gpa, size, attr, mask, log, flush);
    }
}

static HVPT_NOINLINE struct hvpt_found hvpt_s2_find_far(const struct hvpt_space *space, uint64_t gpa)
{
    switch (space->page_shift) {
    case 14: return hvpt_find_far(&hvpt_s2_16k_format, space, gpa);
    case 16: return hvpt_find_far(&hvpt_s2_64k_format, space, gpa);
    default: return hvpt_find_far(&hvpt_s2_4k_format, space, gpa);
    }
}

HVPT_SELDOM static HVPT_NOINLINE bool hvpt_s2_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    switch (space->page_shift) {
    case 14: return hvpt_holds_table(&hvpt_s2_16k_format, space, hpa, size);
    case 16: return hvpt_holds_table(&hvpt_s2_64k_format, space, hpa, size);
    default: return hvpt_holds_table(&hvpt_s2_4k_format, space, hpa, size);
    }
}

/* ---- the face ---- */

/* The PARange and PS code of a width, and the width of a code; 0: there is none. */
static inline unsigned hvpt_s2_pa_bits(uint64_t code)
{
    static const uint8_t bits[] = {32, 36, 40, 42, 44, 48, 52, 56};

    return code < sizeof(bits) ? bits[code] : 0;
}

/* Does the CPU have this granule at stage 2, and (wide) with 52-bit addresses?  Arm ARM, "ID_AA64MMFR0_EL1". */
static inline bool hvpt_s2_has_granule(uint64_t mmfr0, unsigned shift, bool wide)
{
    unsigned first = shift == 12 ? 28 : shift == 14 ? 20 : 24;
    unsigned second = shift == 12 ? 40 : shift == 14 ? 32 : 36;
    unsigned stage1 = (unsigned)(mmfr0 >> first) & 15;
    unsigned stage2 = (unsigned)(mmfr0 >> second) & 15;

    if (stage2 == 0) {
        if (shift == 14)
            return stage1 >= (wide ? 2u : 1u);
        return stage1 != 15 && (!wide || stage1 >= 1 || shift == 16);
    }
    return stage2 >= (wide && shift != 16 ? 3u : 2u);
}

/* The ID registers do not deny a feature that config asks for. */
static inline bool hvpt_s2_has_features(const struct hvpt_s2_config *config)
{
    const uint64_t hafdbs = config->mmfr1 & 15;

    if ((config->features & HVPT_S2_USE_HARDWARE_DIRTY) && !(config->features & HVPT_S2_USE_HARDWARE_AF))
        return false;
    if (config->mmfr0 != 0 || config->mmfr1 != 0) {
        if ((config->features & HVPT_S2_USE_HARDWARE_AF) && hafdbs < 1)
            return false;
        if ((config->features & HVPT_S2_USE_HARDWARE_DIRTY) && hafdbs < 2)
            return false;
        if ((config->features & HVPT_S2_USE_VMID16) && ((config->mmfr1 >> 4) & 15) < 2)
            return false;
        if ((config->features & HVPT_S2_USE_XNX) && ((config->mmfr1 >> 28) & 15) < 1)
            return false;
    }
    return (config->mmfr0 == 0 && config->mmfr2 == 0) || !(config->features & HVPT_S2_USE_FWB)
        || ((config->mmfr2 >> 40) & 15) >= 1;
}

/*
 * SL0 and SL2 for a tree of that many levels.  Arm ARM, "VTCR_EL2": SL0 counts from the granule's own lowest start.
 */
static inline uint64_t hvpt_s2_start_level_bits(unsigned shift, unsigned levels)
{
    if (shift == 12)
        return levels == 5 ? HVPT_VTCR_SL2
             : levels == 1 ? UINT64_C(3) << HVPT_VTCR_SL0_SHIFT
                           : (uint64_t)(levels - 2) << HVPT_VTCR_SL0_SHIFT;
    return (uint64_t)(levels - 1) << HVPT_VTCR_SL0_SHIFT;
}

/* Least and most levels for a width: the root may be up to 16 tables side by side, and need not be. */
static inline unsigned hvpt_s2_least_levels(unsigned shift, unsigned ipa_bits)
{
    unsigned index = shift - 3;
    unsigned levels = shift == 12 ? 2 : 1; /* a 4K root at Arm's level 3 needs FEAT_TTST: not used */

    while (ipa_bits > shift + levels * index + 4)
        levels++;
    return levels;
}

/* config into numbers; no root yet. HVPT_E_ATTR: no such CPU or no such config. */
HVPT_SELDOM static inline enum hvpt_status hvpt_s2_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                             const struct hvpt_s2_config *config)
{
    unsigned shift = config->granule_shift == 0 ? 12 : config->granule_shift;
    unsigned ipa_bits = config->ipa_bits == 0 ? 40 : config->ipa_bits;
    unsigned index = shift - 3;
    bool lpa2 = (config->features & HVPT_S2_USE_LPA2) != 0;
    unsigned pa_code = config->mmfr0 == 0 ? 6 : (unsigned)(config->mmfr0 & 15);
    unsigned pa_bits, levels, level = 0, root_bits;
    enum hvpt_status status;

    hvpt_clear_space(space);
    status = hvpt_set_hooks(space, hooks);
    if (status != HVPT_OK)
        return status;
    if ((shift != 12 && shift != 14 && shift != 16) || (lpa2 && shift == 16)
        || (config->features & ~(uint32_t)HVPT_S2_USE_ALL) || !hvpt_s2_has_features(config)
        || (config->policy & ~(uint32_t)(HVPT_POLICY_EXEC_4K_ONLY | HVPT_POLICY_GUARD_TABLES)))
        return HVPT_E_ATTR;
    if (config->mmfr0 != 0 && !hvpt_s2_has_granule(config->mmfr0, shift, lpa2))
        return HVPT_E_ATTR;
    /* 52 bits are for the 64K granule and for LPA2; wider ones (FEAT_D128) need another format. */
    if (pa_code > 6)
        pa_code = 6;
    if (pa_code == 6 && shift != 16 && !lpa2)
        pa_code = 5;
    pa_bits = hvpt_s2_pa_bits(pa_code);
    if (ipa_bits < 32 || ipa_bits > pa_bits)
        return HVPT_E_ATTR;
    levels = config->levels == 0 ? hvpt_s2_least_levels(shift, ipa_bits) : config->levels;
    if (levels < hvpt_s2_least_levels(shift, ipa_bits)
        || levels > (shift == 12   ? (lpa2 ? 5u : 4u)
                     : shift == 14 ? 4u
                                   : 3u)
        || ipa_bits <= shift + (levels - 1) * index)
        return HVPT_E_ATTR;
    if (shift == 14 && levels == 4 && !lpa2)
        return HVPT_E_ATTR;
    /* The highest start is reserved where physical addresses could not need it.  Arm ARM, "VTCR_EL2", SL0. */
    if ((shift == 12 && levels == 4 && pa_bits < 44) || (shift == 14 && levels == 3 && pa_bits < 42)
        || (shift == 16 && levels == 3 && pa_bits < 44))
        return HVPT_E_ATTR;

    space->kind = HVPT_KIND_S2;
    space->flush_kind = HVPT_FLUSH_TLBI;
    space->page_shift = (uint8_t)shift;
    space->table_order = (uint8_t)(shift - 12);
    space->root_level = (uint8_t)(levels - 1);
    space->gpa_limit = UINT64_C(1) << ipa_bits;
    space->hpa_limit = UINT64_C(1) << pa_bits;
    space->features = config->features | (shift == 16 && pa_bits == 52 ? HVPT_S2_HAS_LPA : 0);
    space->policy = config->policy;
    space->present_mask = HVPT_S2_BIT_VALID;
    space->plain_table_bits = HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;
    space->plain_table_mask = space->plain_table_bits | hvpt_s2_bits_beyond(pa_bits);
    /* PA[51:48] with LPA2, and [15:12] of the 64K granule: addresses that few have. */
    if (space->features & HVPT_S2_USE_LPA2)
        space->plain_table_mask |= UINT64_C(3) << 48 | UINT64_C(3) << 8;
    if (space->features & HVPT_S2_HAS_LPA)
        space->plain_table_mask |= UINT64_C(15) << 12;
    space->plain_leaf_bits = space->plain_table_bits; /* a page has the same two bits as a table */
    space->plain_leaf_mask = space->plain_table_mask;
    root_bits = 3 + ipa_bits - (shift + (levels - 1) * index);
    space->root_order = (uint8_t)((root_bits > shift ? root_bits : shift) - 12);
    space->max_leaf_level = (uint8_t)hvpt_s2_block_level(space);
    if (space->max_leaf_level > space->root_level)
        space->max_leaf_level = space->root_level;
    if (config->max_page_size != 0) {
        while (level <= hvpt_s2_block_level(space) && (UINT64_C(1) << (shift + level * index)) != config->max_page_size)
            level++;
        if (level > hvpt_s2_block_level(space))
            return HVPT_E_ATTR;
        if (level < space->max_leaf_level)
            space->max_leaf_level = (uint8_t)level;
    }
    space->control_register =
        (uint64_t)(64 - ipa_bits) | hvpt_s2_start_level_bits(shift, levels) | HVPT_VTCR_IRGN0_WB | HVPT_VTCR_ORGN0_WB
        | HVPT_VTCR_SH0_INNER | (uint64_t)pa_code << HVPT_VTCR_PS_SHIFT | HVPT_VTCR_RES1
        | (shift == 14   ? HVPT_VTCR_TG0_16K
           : shift == 16 ? HVPT_VTCR_TG0_64K
                         : 0)
        | (config->features & HVPT_S2_USE_VMID16 ? HVPT_VTCR_VS : 0)
        | (config->features & HVPT_S2_USE_HARDWARE_AF ? HVPT_VTCR_HA : 0)
        | (config->features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_VTCR_HD : 0) | (lpa2 ? HVPT_VTCR_DS : 0);
    return HVPT_OK;
}

/* The engine's format for the granule of this space. */
static inline const struct hvpt_format *hvpt_s2_format(const struct hvpt_space *space)
{
    return space->page_shift == 14 ? &hvpt_s2_16k_format
         : space->page_shift == 16 ? &hvpt_s2_64k_format
                                   : &hvpt_s2_4k_format;
}

/* VTTBR_EL2.BADDR: bits 51:48 of the root lie in bits 5:2. */
static inline uint64_t hvpt_s2_baddr(uint64_t frame)
{
    return (frame & ((UINT64_C(1) << 48) - 1)) | ((frame >> 48) & 15) << 2;
}

/*
 * Make an empty space. hooks stays in use until destroy; config is read and not kept. The root may take a frame of a
 * higher order than other tables: up to 16 tables side by side.
 * HVPT_E_ATTR: the CPU or this library cannot do what config asks.  HVPT_E_NOMEM: no frame for the root.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_init(struct hvpt_s2 *s2,
                                                                       const struct hvpt_hooks *hooks,
                                                                       const struct hvpt_s2_config *config)
{
    enum hvpt_status status = hvpt_s2_configure(&s2->space, hooks, config);

    if (status == HVPT_OK)
        status = hvpt_create_root(hvpt_s2_format(&s2->space), &s2->space);
    if (status == HVPT_OK)
        s2->space.root_register = hvpt_s2_baddr(s2->space.root_frame);
    return status;
}

/*
 * Take over the tables of a VTTBR_EL2; its VMID and CnP are ignored, the geometry is config's.
 * readonly: nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing. Else the
 * tables are this space's from now on, as if its hooks had allocated them.
 * HVPT_E_ATTR: as init.  HVPT_E_ALIGN: the root is not aligned to its size.  HVPT_E_RANGE: it is beyond the physical
 * addresses.
 * HVPT_E_CORRUPT: a table cannot be reached or, unless readonly, an entry is not well-formed.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_adopt(struct hvpt_s2 *s2,
                                                                        const struct hvpt_hooks *hooks,
                                                                        const struct hvpt_s2_config *config,
                                                                        uint64_t vttbr, bool readonly)
{
    uint64_t frame = vttbr & ((UINT64_C(1) << 48) - 1) & ~UINT64_C(0x3f);
    enum hvpt_status status = hvpt_s2_configure(&s2->space, hooks, config);

    if (status != HVPT_OK)
        return status;
    if (s2->space.hpa_limit > UINT64_C(1) << 48)
        frame |= ((vttbr >> 2) & 15) << 48;
    if (frame & ((HVPT_4K << s2->space.root_order) - 1))
        return HVPT_E_ALIGN;
    if (frame >= s2->space.hpa_limit)
        return HVPT_E_RANGE;
    s2->space.root_register = hvpt_s2_baddr(frame);
    return hvpt_adopt_root(hvpt_s2_format(&s2->space), &s2->space, frame, readonly);
}

/* Free every frame. No CPU may use the tables any more, and all flushes asked for have been done. */
static inline void hvpt_s2_destroy(struct hvpt_s2 *s2)
{
    hvpt_close_space(hvpt_s2_format(&s2->space), &s2->space);
}

/* VTTBR_EL2 with VMID 0: or yours in at HVPT_VTTBR_VMID_SHIFT. */
static inline uint64_t hvpt_s2_root(const struct hvpt_s2 *s2)
{
    return s2->space.root_register;
}

/* VTCR_EL2. */
static inline uint64_t hvpt_s2_vtcr(const struct hvpt_s2 *s2)
{
    return s2->space.control_register;
}

/* As hvpt_map_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_map(struct hvpt_s2 *s2, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                                          struct hvpt_attr attr, struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_map_range(&hvpt_s2_4k_format, &s2->space, gpa, hpa, size, attr, flush);
    case 14: return hvpt_map_range(&hvpt_s2_16k_format, &s2->space, gpa, hpa, size, attr, flush);
    case 16: return hvpt_map_range(&hvpt_s2_64k_format, &s2->space, gpa, hpa, size, attr, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_unmap_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_unmap(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                            struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_unmap_range(&hvpt_s2_4k_format, &s2->space, gpa, size, flush);
    case 14: return hvpt_unmap_range(&hvpt_s2_16k_format, &s2->space, gpa, size, flush);
    case 16: return hvpt_unmap_range(&hvpt_s2_64k_format, &s2->space, gpa, size, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_protect(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                              struct hvpt_attr attr, uint32_t mask,
                                                              struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_protect_range(&hvpt_s2_4k_format, &s2->space, gpa, size, attr, mask, flush);
    case 14: return hvpt_protect_range(&hvpt_s2_16k_format, &s2->space, gpa, size, attr, mask, flush);
    case 16: return hvpt_protect_range(&hvpt_s2_64k_format, &s2->space, gpa, size, attr, mask, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_replace_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_replace(struct hvpt_s2 *s2, hvpt_gpa gpa, hvpt_hpa hpa,
                                                              uint64_t size, struct hvpt_attr attr,
                                                              struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_replace_range(&hvpt_s2_4k_format, &s2->space, gpa, hpa, size, attr, flush);
    case 14: return hvpt_replace_range(&hvpt_s2_16k_format, &s2->space, gpa, hpa, size, attr, flush);
    case 16: return hvpt_replace_range(&hvpt_s2_64k_format, &s2->space, gpa, hpa, size, attr, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_fault_map_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_fault_map(struct hvpt_s2 *s2, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                uint64_t page_size, struct hvpt_attr attr)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_fault_map_page(&hvpt_s2_4k_format, &s2->space, gpa, hpa, page_size, attr);
    case 14: return hvpt_fault_map_page(&hvpt_s2_16k_format, &s2->space, gpa, hpa, page_size, attr);
    case 16: return hvpt_fault_map_page(&hvpt_s2_64k_format, &s2->space, gpa, hpa, page_size, attr);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_touch_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_touch(struct hvpt_s2 *s2, hvpt_gpa gpa, uint32_t access)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_touch_page(&hvpt_s2_4k_format, &s2->space, gpa, access);
    case 14: return hvpt_touch_page(&hvpt_s2_16k_format, &s2->space, gpa, access);
    case 16: return hvpt_touch_page(&hvpt_s2_64k_format, &s2->space, gpa, access);
    default: return HVPT_E_CORRUPT;
    }
}

/* translate with granules of 16 and 64 KiB. */
static HVPT_NOINLINE enum hvpt_status hvpt_s2_translate_large(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              struct hvpt_mapping *out)
{
    switch (space->page_shift) {
    case 14: return hvpt_translate_seldom(&hvpt_s2_16k_format, space, gpa, out);
    case 16: return hvpt_translate_seldom(&hvpt_s2_64k_format, space, gpa, out);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_translate_one. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_translate(const struct hvpt_s2 *s2, hvpt_gpa gpa,
                                                                struct hvpt_mapping *out)
{
    if (HVPT_LIKELY(s2->space.page_shift == 12))
        return hvpt_translate_one(&hvpt_s2_4k_format, &s2->space, gpa, out);
    return hvpt_s2_translate_large(&s2->space, gpa, out);
}

/* As hvpt_translate_many. */
static inline void hvpt_s2_translate_batch(const struct hvpt_s2 *s2, const hvpt_gpa *gpa, size_t count,
                                           struct hvpt_mapping *out, enum hvpt_status *status)
{
    switch (s2->space.page_shift) {
    case 12: hvpt_translate_many(&hvpt_s2_4k_format, &s2->space, gpa, count, out, status); break;
    case 14: hvpt_translate_many(&hvpt_s2_16k_format, &s2->space, gpa, count, out, status); break;
    case 16: hvpt_translate_many(&hvpt_s2_64k_format, &s2->space, gpa, count, out, status); break;
    }
}

/* As hvpt_walk_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_walk(const struct hvpt_s2 *s2, hvpt_gpa gpa,
                                                                       uint64_t size,
                                                                       const struct hvpt_visitor *visitor)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_walk_range(&hvpt_s2_4k_format, &s2->space, gpa, size, visitor);
    case 14: return hvpt_walk_range(&hvpt_s2_16k_format, &s2->space, gpa, size, visitor);
    case 16: return hvpt_walk_range(&hvpt_s2_64k_format, &s2->space, gpa, size, visitor);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_next_leaf. */
static inline bool hvpt_s2_next_leaf(const struct hvpt_s2 *s2, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                                     struct hvpt_mapping *mapping)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_next_leaf(&hvpt_s2_4k_format, &s2->space, iterator, gpa, mapping);
    case 14: return hvpt_next_leaf(&hvpt_s2_16k_format, &s2->space, iterator, gpa, mapping);
    case 16: return hvpt_next_leaf(&hvpt_s2_64k_format, &s2->space, iterator, gpa, mapping);
    default: return false;
    }
}

/* As hvpt_split_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_split(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                                        uint64_t page_size, struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_split_range(&hvpt_s2_4k_format, &s2->space, gpa, size, page_size, flush);
    case 14: return hvpt_split_range(&hvpt_s2_16k_format, &s2->space, gpa, size, page_size, flush);
    case 16: return hvpt_split_range(&hvpt_s2_64k_format, &s2->space, gpa, size, page_size, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_collapse_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_collapse(struct hvpt_s2 *s2, hvpt_gpa gpa,
                                                                           uint64_t size, struct hvpt_flush *flush,
                                                                           struct hvpt_collapse_report *report)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_collapse_range(&hvpt_s2_4k_format, &s2->space, gpa, size, flush, report);
    case 14: return hvpt_collapse_range(&hvpt_s2_16k_format, &s2->space, gpa, size, flush, report);
    case 16: return hvpt_collapse_range(&hvpt_s2_64k_format, &s2->space, gpa, size, flush, report);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_harvest_range, for accessed pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_age(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                          uint64_t *bitmap, struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_harvest_range(&hvpt_s2_4k_format, &s2->space, gpa, size, false, bitmap, flush);
    case 14: return hvpt_harvest_range(&hvpt_s2_16k_format, &s2->space, gpa, size, false, bitmap, flush);
    case 16: return hvpt_harvest_range(&hvpt_s2_64k_format, &s2->space, gpa, size, false, bitmap, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_harvest_range, for dirty pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_dirty(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                            uint64_t *bitmap, struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_harvest_range(&hvpt_s2_4k_format, &s2->space, gpa, size, true, bitmap, flush);
    case 14: return hvpt_harvest_range(&hvpt_s2_16k_format, &s2->space, gpa, size, true, bitmap, flush);
    case 16: return hvpt_harvest_range(&hvpt_s2_64k_format, &s2->space, gpa, size, true, bitmap, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_write_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_write_protect(struct hvpt_s2 *s2, hvpt_gpa gpa, uint64_t size,
                                                                    struct hvpt_flush *flush)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_write_protect_range(&hvpt_s2_4k_format, &s2->space, gpa, size, flush);
    case 14: return hvpt_write_protect_range(&hvpt_s2_16k_format, &s2->space, gpa, size, flush);
    case 16: return hvpt_write_protect_range(&hvpt_s2_64k_format, &s2->space, gpa, size, flush);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_map_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_frames_needed(const struct hvpt_s2 *s2, hvpt_gpa gpa,
                                                                                hvpt_hpa hpa, uint64_t size,
                                                                                struct hvpt_attr attr, uint64_t *frames)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_map_needs(&hvpt_s2_4k_format, &s2->space, gpa, hpa, size, attr, frames);
    case 14: return hvpt_map_needs(&hvpt_s2_16k_format, &s2->space, gpa, hpa, size, attr, frames);
    case 16: return hvpt_map_needs(&hvpt_s2_64k_format, &s2->space, gpa, hpa, size, attr, frames);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_unmap_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_frames_needed_to_unmap(const struct hvpt_s2 *s2,
                                                                                         hvpt_gpa gpa, uint64_t size,
                                                                                         uint64_t *frames)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_unmap_needs(&hvpt_s2_4k_format, &s2->space, gpa, size, frames);
    case 14: return hvpt_unmap_needs(&hvpt_s2_16k_format, &s2->space, gpa, size, frames);
    case 16: return hvpt_unmap_needs(&hvpt_s2_64k_format, &s2->space, gpa, size, frames);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_split_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_frames_needed_to_split(const struct hvpt_s2 *s2,
                                                                                         hvpt_gpa gpa, uint64_t size,
                                                                                         uint64_t page_size,
                                                                                         uint64_t *frames)
{
    switch (s2->space.page_shift) {
    case 12: return hvpt_split_needs(&hvpt_s2_4k_format, &s2->space, gpa, size, page_size, frames);
    case 14: return hvpt_split_needs(&hvpt_s2_16k_format, &s2->space, gpa, size, page_size, frames);
    case 16: return hvpt_split_needs(&hvpt_s2_64k_format, &s2->space, gpa, size, page_size, frames);
    default: return HVPT_E_CORRUPT;
    }
}

/* As hvpt_reserve_frames. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_s2_reserve(struct hvpt_s2 *s2, uint64_t frames)
{
    return hvpt_reserve_frames(&s2->space, frames);
}

/* Do what flush asks for, by the hook, and free the frames that waited for it; flush is empty afterwards. */
static inline void hvpt_s2_flush(struct hvpt_s2 *s2, struct hvpt_flush *flush)
{
    hvpt_s2_settle(&s2->space, flush);
}

/* As hvpt_read_stats. */
static inline void hvpt_s2_stats(const struct hvpt_s2 *s2, struct hvpt_stats *out)
{
    hvpt_read_stats(&s2->space, out);
}

/* hvpt_s2_explain, with the names of the rules above. */
#include "stage2_explain.h"

#endif
