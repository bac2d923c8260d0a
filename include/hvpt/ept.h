/*
 * EPT, Intel's second-level format: its bits, its rules, its face (hvpt_ept_map, ...).
 * SDM vol. 3, "The Extended Page-Table Mechanism (EPT)". The loops are in core/.
 */
#ifndef HVPT_EPT_H
#define HVPT_EPT_H

#include "core/engine.h"

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
 * A page whose rights "age" took, on CPUs without accessed bits: bits 2:0 and 10 are clear, so hardware sees an empty
 * entry, in which it reads bit 63 alone. The rights wait in other bits until touch.
 */
#define HVPT_EPT_BIT_AGED       (UINT64_C(1) << 62)
#define HVPT_EPT_BIT_AGED_READ  (UINT64_C(1) << 8)
#define HVPT_EPT_BIT_AGED_WRITE (UINT64_C(1) << 9)
#define HVPT_EPT_BIT_AGED_EXEC  (UINT64_C(1) << 59)
#define HVPT_EPT_BIT_AGED_USER  (UINT64_C(1) << 56)
#define HVPT_EPT_BITS_AGED                                                                         \
    (HVPT_EPT_BIT_AGED | HVPT_EPT_BIT_AGED_READ | HVPT_EPT_BIT_AGED_WRITE | HVPT_EPT_BIT_AGED_EXEC \
     | HVPT_EPT_BIT_AGED_USER)

/* In a table entry: bits 7:3 are reserved. */
#define HVPT_EPT_TABLE_RESERVED UINT64_C(0xf8)

/* ---- IA32_VMX_EPT_VPID_CAP, the bits that matter here: SDM vol. 3, "VPID and EPT Capabilities" ---- */

#define HVPT_EPT_CAP_EXECUTE_ONLY   (UINT64_C(1) << 0)
#define HVPT_EPT_CAP_LEVELS_4       (UINT64_C(1) << 6)
#define HVPT_EPT_CAP_LEVELS_5       (UINT64_C(1) << 7)
#define HVPT_EPT_CAP_UC             (UINT64_C(1) << 8)
#define HVPT_EPT_CAP_WB             (UINT64_C(1) << 14)
#define HVPT_EPT_CAP_2M             (UINT64_C(1) << 16)
#define HVPT_EPT_CAP_1G             (UINT64_C(1) << 17)
#define HVPT_EPT_CAP_ACCESSED_DIRTY (UINT64_C(1) << 21)
#define HVPT_EPT_CAP_SHADOW_STACK   (UINT64_C(1) << 23)

/* ---- EPTP: SDM vol. 3, "Extended-Page-Table Pointer (EPTP)" ---- */

#define HVPT_EPTP_MEMTYPE_UC     UINT64_C(0)
#define HVPT_EPTP_MEMTYPE_WB     UINT64_C(6)
#define HVPT_EPTP_LEVELS_SHIFT   3
#define HVPT_EPTP_ACCESSED_DIRTY (UINT64_C(1) << 6)
#define HVPT_EPTP_SHADOW_STACK   (UINT64_C(1) << 7)

/*
 * Flags of a leaf, for attr.flags. Each but the first needs the feature of the same name in the config, because without
 * it the CPU ignores the bit (HVPT_E_ATTR then).
 */
enum {
    HVPT_EPT_IGNORE_PAT = 1 << 8,           /* the guest's PAT does not count, the memory type is this one alone */
    HVPT_EPT_SUPPRESS_VE = 1 << 9,          /* violations exit even where #VE is enabled */
    HVPT_EPT_VERIFY_GUEST_PAGING = 1 << 10, /* reached only through guest tables that have PAGING_WRITE */
    HVPT_EPT_PAGING_WRITE = 1 << 11,        /* the page walk may set the guest's accessed and dirty bits here */
    HVPT_EPT_SHADOW_STACK = 1 << 12,        /* supervisor shadow-stack accesses are allowed */
    HVPT_EPT_SUB_PAGE_WRITE = 1 << 13       /* smallest pages only: writes to 128-byte parts, by the sub-page table */
};

/* What the VMCS that uses the tables enables, for config.features. The tables and the VMCS must agree. */
enum {
    HVPT_EPT_USE_ACCESSED_DIRTY = 1 << 0,      /* EPTP bit 6; needs its capability */
    HVPT_EPT_USE_SHADOW_STACK = 1 << 1,        /* EPTP bit 7; needs its capability */
    HVPT_EPT_USE_MODE_BASED_EXECUTE = 1 << 2,  /* "mode-based execute control for EPT" */
    HVPT_EPT_USE_VIOLATION_VE = 1 << 3,        /* "EPT-violation #VE": empty entries then suppress it */
    HVPT_EPT_USE_VERIFY_GUEST_PAGING = 1 << 4, /* "guest-paging verification" */
    HVPT_EPT_USE_PAGING_WRITE = 1 << 5,        /* "EPT paging-write control" */
    HVPT_EPT_USE_SUB_PAGE_WRITE = 1 << 6,      /* "sub-page write permissions for EPT" */
    HVPT_EPT_USE_ALL = (1 << 7) - 1
};

/* Kept beside the features in struct hvpt_space: what leaves this CPU takes. */
#define HVPT_EPT_CAN_EXECUTE_ONLY (UINT64_C(1) << 32)
#define HVPT_EPT_CAN_2M           (UINT64_C(1) << 33)
#define HVPT_EPT_CAN_1G           (UINT64_C(1) << 34)

/*
 * levels: 4 or 5; 0: 4.
 * max_page_size: HVPT_4K, HVPT_2M or HVPT_1G; 0: the largest the CPU has. A size it lacks counts as the next smaller.
 * ept_vpid_cap: IA32_VMX_EPT_VPID_CAP as read. 0: not told; then the CPU is taken to have what this config asks for and
 * all page sizes, but no execute-only pages.
 * maxphyaddr: CPUID 80000008H EAX[7:0], less the key-ID bits of memory encryption; 32 to 52; 0: 52.
 * features: HVPT_EPT_USE_...; policy: HVPT_POLICY_...
 */
struct hvpt_ept_config {
    unsigned levels;
    uint64_t max_page_size;
    uint64_t ept_vpid_cap;
    unsigned maxphyaddr;
    uint32_t features;
    uint32_t policy;
};

/* One guest's EPT. Move it only while nobody uses it. */
struct hvpt_ept {
    struct hvpt_space space;
};

/* ---- rules ---- */

/*
 * Can this CPU express attr in a leaf?  HVPT_E_ATTR if not.
 * Write without read is a misconfiguration on every CPU; execute without read is one unless the capability says
 * otherwise; paging-write wants read (SDM vol. 3, "EPT Misconfigurations").
 */
static inline enum hvpt_status hvpt_ept_check_attr(const struct hvpt_space *space, struct hvpt_attr attr)
{
    const uint32_t exec = attr.perm & (HVPT_EXEC | HVPT_EXEC_USER);
    uint32_t flags = HVPT_LOGGED | HVPT_EPT_IGNORE_PAT;

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || (unsigned)attr.memtype > HVPT_MEM_WB
        || attr.software > HVPT_EPT_SOFTWARE_MAX)
        return HVPT_E_ATTR;
    if (HVPT_UNLIKELY(!(attr.perm & HVPT_READ))) {
        if ((attr.perm & HVPT_WRITE) || !(space->features & HVPT_EPT_CAN_EXECUTE_ONLY)
            || (attr.flags & HVPT_EPT_PAGING_WRITE))
            return HVPT_E_ATTR;
    }
    if (exec == HVPT_EXEC_USER && !(space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE))
        return HVPT_E_ATTR;
    if (HVPT_LIKELY(!(attr.flags & ~flags)))
        return HVPT_OK;
    if (space->features & HVPT_EPT_USE_ACCESSED_DIRTY)
        flags |= HVPT_ACCESSED | HVPT_DIRTY;
    if (space->features & HVPT_EPT_USE_SHADOW_STACK)
        flags |= HVPT_EPT_SHADOW_STACK;
    if (space->features & HVPT_EPT_USE_VIOLATION_VE)
        flags |= HVPT_EPT_SUPPRESS_VE;
    if (space->features & HVPT_EPT_USE_VERIFY_GUEST_PAGING)
        flags |= HVPT_EPT_VERIFY_GUEST_PAGING;
    if (space->features & HVPT_EPT_USE_PAGING_WRITE)
        flags |= HVPT_EPT_PAGING_WRITE;
    if (space->features & HVPT_EPT_USE_SUB_PAGE_WRITE)
        flags |= HVPT_EPT_SUB_PAGE_WRITE;
    return attr.flags & ~flags ? HVPT_E_ATTR : HVPT_OK;
}

/* Sub-page write permissions exist for the smallest pages only. */
static inline unsigned hvpt_ept_attr_level(const struct hvpt_space *space, struct hvpt_attr attr)
{
    return attr.flags & HVPT_EPT_SUB_PAGE_WRITE ? 0 : space->max_leaf_level;
}

/* Memory types are UC 0, WC 1, WT 4, WP 5, WB 6 (SDM vol. 3, "EPT and Memory Typing"); one bit for each of them. */
#define HVPT_EPT_MEMTYPE_CODES 0x73u

static inline uint64_t hvpt_ept_memtype_code(enum hvpt_memtype memtype)
{
    return (UINT64_C(0x65410) >> (4 * (unsigned)memtype)) & 7;
}

static inline enum hvpt_memtype hvpt_ept_memtype_name(uint64_t code)
{
    return code == 0 ? HVPT_MEM_UC
         : code == 1 ? HVPT_MEM_WC
         : code == 4 ? HVPT_MEM_WT
         : code == 5 ? HVPT_MEM_WP
                     : HVPT_MEM_WB;
}

/* Flags as bits of a leaf. Out of line: most leaves have none. */
static HVPT_NOINLINE uint64_t hvpt_ept_flag_bits(uint32_t flags)
{
    return (flags & HVPT_ACCESSED ? HVPT_EPT_BIT_ACCESSED : 0) | (flags & HVPT_DIRTY ? HVPT_EPT_BIT_DIRTY : 0)
         | (flags & HVPT_LOGGED ? HVPT_EPT_BIT_LOGGED : 0) | (flags & HVPT_EPT_IGNORE_PAT ? HVPT_EPT_BIT_IGNORE_PAT : 0)
         | (flags & HVPT_EPT_SUPPRESS_VE ? HVPT_EPT_BIT_SUPPRESS_VE : 0)
         | (flags & HVPT_EPT_VERIFY_GUEST_PAGING ? HVPT_EPT_BIT_VERIFY_GUEST_PAGING : 0)
         | (flags & HVPT_EPT_PAGING_WRITE ? HVPT_EPT_BIT_PAGING_WRITE : 0)
         | (flags & HVPT_EPT_SHADOW_STACK ? HVPT_EPT_BIT_SHADOW_STACK : 0)
         | (flags & HVPT_EPT_SUB_PAGE_WRITE ? HVPT_EPT_BIT_SUB_PAGE_WRITE : 0);
}

/* The leaf for the page at hpa. attr has passed hvpt_ept_check_attr and hpa is aligned to the page: cannot fail. */
static inline uint64_t hvpt_ept_make_leaf(const struct hvpt_space *space, uint64_t hpa, struct hvpt_attr attr,
                                          unsigned level)
{
    uint64_t entry = hpa | (attr.perm & (HVPT_READ | HVPT_WRITE | HVPT_EXEC))
                   | hvpt_ept_memtype_code(attr.memtype) << HVPT_EPT_MEMTYPE_SHIFT
                   | (uint64_t)attr.software << HVPT_EPT_SOFTWARE_SHIFT | (level > 0 ? HVPT_EPT_BIT_LARGE : 0);

    if ((attr.perm & HVPT_EXEC_USER) && (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE))
        entry |= HVPT_EPT_BIT_USER_EXEC;
    if (HVPT_LIKELY(attr.flags == 0))
        return entry;
    return entry | hvpt_ept_flag_bits(attr.flags);
}

static inline uint64_t hvpt_ept_leaf_step(unsigned level)
{
    return HVPT_4K << (9 * level);
}

/* Tables allow everything; what is denied is denied by leaves. */
static inline uint64_t hvpt_ept_make_table(const struct hvpt_space *space, uint64_t frame)
{
    return frame | HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
         | (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0);
}

/* Does this space age pages by taking their rights? Only where the CPU keeps no accessed bits. */
static inline bool hvpt_ept_ages(const struct hvpt_space *space)
{
    return !(space->features & HVPT_EPT_USE_ACCESSED_DIRTY) && !space->readonly;
}

/* The leaf with the rights that "age" took back in place. */
static inline uint64_t hvpt_ept_unaged(const struct hvpt_space *space, uint64_t entry)
{
    /* In an entry that gives rights bit 62 is ignored, and may be anything if others made the tables. */
    if (HVPT_LIKELY(!(entry & HVPT_EPT_BIT_AGED)) || !hvpt_ept_ages(space)
        || (entry & space->present_mask & ~HVPT_EPT_BIT_AGED))
        return entry;
    return (entry & ~HVPT_EPT_BITS_AGED) | (entry & HVPT_EPT_BIT_AGED_READ ? HVPT_EPT_BIT_READ : 0)
         | (entry & HVPT_EPT_BIT_AGED_WRITE ? HVPT_EPT_BIT_WRITE : 0)
         | (entry & HVPT_EPT_BIT_AGED_EXEC ? HVPT_EPT_BIT_EXEC : 0)
         | (entry & HVPT_EPT_BIT_AGED_USER ? HVPT_EPT_BIT_USER_EXEC : 0);
}

/*
 * Rules on permissions that leaves and table entries share (SDM vol. 3, "EPT Misconfigurations"). The entry is not
 * empty.
 */
static inline bool hvpt_ept_perm_is_valid(const struct hvpt_space *space, uint64_t entry)
{
    return (entry & HVPT_EPT_BIT_READ)
        || (!(entry & HVPT_EPT_BIT_WRITE) && (space->features & HVPT_EPT_CAN_EXECUTE_ONLY));
}

static inline bool hvpt_ept_is_table(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return level != 0 && !(entry & (HVPT_EPT_TABLE_RESERVED | space->reserved_bits))
        && (entry & space->present_mask & ~HVPT_EPT_BIT_AGED) && hvpt_ept_perm_is_valid(space, entry);
}

/* The same of a leaf that gives no right to read; it may be aged. */
static HVPT_NOINLINE bool hvpt_ept_unreadable_is_valid(const struct hvpt_space *space, uint64_t entry)
{
    entry = hvpt_ept_unaged(space, entry);
    if ((entry & HVPT_EPT_BIT_PAGING_WRITE) && (space->features & HVPT_EPT_USE_PAGING_WRITE)
        && !(entry & HVPT_EPT_BIT_READ))
        return false;
    return hvpt_ept_perm_is_valid(space, entry);
}

static inline bool hvpt_ept_is_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const unsigned code = (unsigned)((entry & HVPT_EPT_MEMTYPE_BITS) >> HVPT_EPT_MEMTYPE_SHIFT);
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_EPT_ADDRESS_BITS;

    if ((entry & space->reserved_bits) || !((HVPT_EPT_MEMTYPE_CODES >> code) & 1))
        return false;
    if (HVPT_UNLIKELY(!(entry & HVPT_EPT_BIT_READ)) && !hvpt_ept_unreadable_is_valid(space, entry))
        return false;
    if (level == 0)
        return true;
    return (entry & HVPT_EPT_BIT_LARGE) && !(entry & below)
        && (level == 1   ? (space->features & HVPT_EPT_CAN_2M) != 0
            : level == 2 ? (space->features & HVPT_EPT_CAN_1G) != 0
                         : false);
}

static inline uint64_t hvpt_ept_table_frame(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & HVPT_EPT_ADDRESS_BITS;
}

static inline uint64_t hvpt_ept_leaf_address(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                             uint64_t gpa)
{
    (void)space, (void)gpa;
    return entry & HVPT_EPT_ADDRESS_BITS & ~((HVPT_4K << (9 * level)) - 1);
}

/* The rights that one entry gives. Without mode-based execute control bit 2 is for all modes and bit 10 is ignored. */
static inline uint32_t hvpt_ept_perm(const struct hvpt_space *space, uint64_t entry)
{
    uint32_t perm = (uint32_t)(entry & (HVPT_READ | HVPT_WRITE | HVPT_EXEC));

    if (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE)
        perm |= entry & HVPT_EPT_BIT_USER_EXEC ? HVPT_EXEC_USER : 0;
    return perm;
}

static inline uint32_t hvpt_ept_table_perm(const struct hvpt_space *space, uint64_t entry)
{
    return hvpt_ept_perm(space, entry);
}

/* The flags in a leaf of features that few spaces use. Out of line for that reason. */
static HVPT_NOINLINE uint32_t hvpt_ept_feature_flags(uint64_t features, uint64_t entry, unsigned level)
{
    uint32_t flags = 0;

    if ((features & HVPT_EPT_USE_VIOLATION_VE) && (entry & HVPT_EPT_BIT_SUPPRESS_VE))
        flags |= HVPT_EPT_SUPPRESS_VE;
    if ((features & HVPT_EPT_USE_VERIFY_GUEST_PAGING) && (entry & HVPT_EPT_BIT_VERIFY_GUEST_PAGING))
        flags |= HVPT_EPT_VERIFY_GUEST_PAGING;
    if ((features & HVPT_EPT_USE_PAGING_WRITE) && (entry & HVPT_EPT_BIT_PAGING_WRITE))
        flags |= HVPT_EPT_PAGING_WRITE;
    if ((features & HVPT_EPT_USE_SHADOW_STACK) && (entry & HVPT_EPT_BIT_SHADOW_STACK))
        flags |= HVPT_EPT_SHADOW_STACK;
    if ((features & HVPT_EPT_USE_SUB_PAGE_WRITE) && level == 0 && (entry & HVPT_EPT_BIT_SUB_PAGE_WRITE))
        flags |= HVPT_EPT_SUB_PAGE_WRITE;
    return flags;
}

/* What a leaf says; bits of features that are off say nothing. */
static inline struct hvpt_attr hvpt_ept_leaf_attr(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;
    uint64_t features = space->features;

    entry = hvpt_ept_unaged(space, entry);
    attr.perm = hvpt_ept_perm(space, entry);
    attr.memtype = hvpt_ept_memtype_name((entry & HVPT_EPT_MEMTYPE_BITS) >> HVPT_EPT_MEMTYPE_SHIFT);
    attr.software = (uint32_t)(entry >> HVPT_EPT_SOFTWARE_SHIFT) & HVPT_EPT_SOFTWARE_MAX;
    attr.flags = (entry & HVPT_EPT_BIT_IGNORE_PAT ? (uint32_t)HVPT_EPT_IGNORE_PAT : 0)
               | (entry & HVPT_EPT_BIT_LOGGED ? (uint32_t)HVPT_LOGGED : 0);
    if (features & HVPT_EPT_USE_ACCESSED_DIRTY)
        attr.flags |= (entry & HVPT_EPT_BIT_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
                    | (entry & HVPT_EPT_BIT_DIRTY ? (uint32_t)HVPT_DIRTY : 0);
    if (HVPT_LIKELY(!(features & HVPT_EPT_USE_ALL & ~(uint64_t)HVPT_EPT_USE_ACCESSED_DIRTY)))
        return attr;
    attr.flags |= hvpt_ept_feature_flags(features, entry, level);
    return attr;
}

static inline uint64_t hvpt_ept_attr_bits(const struct hvpt_space *space, unsigned level)
{
    uint64_t features = space->features;
    uint64_t bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC | HVPT_EPT_MEMTYPE_BITS
                  | HVPT_EPT_BIT_IGNORE_PAT | HVPT_EPT_BIT_LOGGED
                  | (uint64_t)HVPT_EPT_SOFTWARE_MAX << HVPT_EPT_SOFTWARE_SHIFT;

    bits |= hvpt_ept_ages(space) ? HVPT_EPT_BITS_AGED : 0;
    bits |= features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0;
    bits |= features & HVPT_EPT_USE_VIOLATION_VE ? HVPT_EPT_BIT_SUPPRESS_VE : 0;
    bits |= features & HVPT_EPT_USE_VERIFY_GUEST_PAGING ? HVPT_EPT_BIT_VERIFY_GUEST_PAGING : 0;
    bits |= features & HVPT_EPT_USE_PAGING_WRITE ? HVPT_EPT_BIT_PAGING_WRITE : 0;
    bits |= features & HVPT_EPT_USE_SHADOW_STACK ? HVPT_EPT_BIT_SHADOW_STACK : 0;
    bits |= (features & HVPT_EPT_USE_SUB_PAGE_WRITE) && level == 0 ? HVPT_EPT_BIT_SUB_PAGE_WRITE : 0;
    return bits;
}

/* Bit 7 says "large" above level 0 and is ignored there. */
static inline uint64_t hvpt_ept_child_leaf(uint64_t entry, unsigned level)
{
    return level == 1 ? entry & ~HVPT_EPT_BIT_LARGE : entry;
}

static inline uint64_t hvpt_ept_parent_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return entry | HVPT_EPT_BIT_LARGE;
}

static inline uint64_t hvpt_ept_hardware_bits(const struct hvpt_space *space, uint64_t entry)
{
    (void)entry;
    return space->features & HVPT_EPT_USE_ACCESSED_DIRTY ? HVPT_EPT_BIT_ACCESSED | HVPT_EPT_BIT_DIRTY : 0;
}

/* Without dirty bits a page that may be written counts as written, and loses that right until it is again. */
static inline uint64_t hvpt_ept_leaf_clean(const struct hvpt_space *space, uint64_t entry)
{
    if (space->features & HVPT_EPT_USE_ACCESSED_DIRTY)
        return entry & ~HVPT_EPT_BIT_DIRTY;
    if (entry & HVPT_EPT_BIT_WRITE)
        return (entry & ~HVPT_EPT_BIT_WRITE) | HVPT_EPT_BIT_LOGGED;
    if (hvpt_ept_unaged(space, entry) != entry && (entry & HVPT_EPT_BIT_AGED_WRITE))
        return (entry & ~HVPT_EPT_BIT_AGED_WRITE) | HVPT_EPT_BIT_LOGGED;
    return entry;
}

/* Without accessed bits a page with rights counts as used, and loses them until it is again. */
static inline uint64_t hvpt_ept_leaf_forget(const struct hvpt_space *space, uint64_t entry)
{
    const uint64_t rights = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC | HVPT_EPT_BIT_USER_EXEC;

    if (space->features & HVPT_EPT_USE_ACCESSED_DIRTY)
        return entry & ~HVPT_EPT_BIT_ACCESSED;
    if (hvpt_ept_unaged(space, entry) != entry)
        return entry;
    return (entry & ~(rights | HVPT_EPT_BITS_AGED)) | HVPT_EPT_BIT_AGED
         | (entry & HVPT_EPT_BIT_READ ? HVPT_EPT_BIT_AGED_READ : 0)
         | (entry & HVPT_EPT_BIT_WRITE ? HVPT_EPT_BIT_AGED_WRITE : 0)
         | (entry & HVPT_EPT_BIT_EXEC ? HVPT_EPT_BIT_AGED_EXEC : 0)
         | (entry & HVPT_EPT_BIT_USER_EXEC ? HVPT_EPT_BIT_AGED_USER : 0);
}

static inline uint64_t hvpt_ept_leaf_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    entry = hvpt_ept_unaged(space, entry);
    if ((access & HVPT_WRITE) && (entry & HVPT_EPT_BIT_LOGGED))
        entry = (entry & ~HVPT_EPT_BIT_LOGGED) | HVPT_EPT_BIT_WRITE;
    return entry;
}

static enum hvpt_status hvpt_ept_look(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                      enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_ept_change(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                        enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_ept_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                         enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_ept_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                            struct hvpt_attr attr, struct hvpt_flush *flush);
static enum hvpt_status hvpt_ept_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                              struct hvpt_flush *flush);
static enum hvpt_status hvpt_ept_protect_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                struct hvpt_attr attr, uint32_t mask, bool log,
                                                struct hvpt_flush *flush);
static enum hvpt_status hvpt_ept_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                         struct hvpt_run *found);
static void hvpt_ept_split_leaf(struct hvpt_space *space, struct hvpt_frames *list, struct hvpt_flush *flush,
                                const struct hvpt_run *run);
static void hvpt_ept_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa,
                                 uint64_t hpa, struct hvpt_attr attr, unsigned level);
static void hvpt_ept_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run);
static void hvpt_ept_settle(struct hvpt_space *space, struct hvpt_flush *flush);
static bool hvpt_ept_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size);
static void hvpt_ept_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_place *place);
static struct hvpt_found hvpt_ept_find_far(const struct hvpt_space *space, uint64_t gpa);
static enum hvpt_status hvpt_ept_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                uint64_t page_size, struct hvpt_attr attr);
static enum hvpt_status hvpt_ept_translate_rest(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                                unsigned level, uint32_t perm, struct hvpt_mapping *out);

static const struct hvpt_format hvpt_ept_format = {
    HVPT_KIND_EPT,
    12,    /* page_shift */
    false, /* mapping_needs_flush */
    /* relaxing_needs_flush: SDM vol. 3, "Operations that Invalidate Cached Mappings": an EPT violation does it */
    false,
    0, /* break_bits */
    HVPT_EPT_BIT_TABLE_FULL,
    0, /* linear_block */
    hvpt_ept_check_attr,
    hvpt_ept_attr_level,
    hvpt_ept_make_leaf,
    hvpt_ept_leaf_step,
    hvpt_ept_make_table,
    hvpt_ept_is_table,
    hvpt_ept_is_leaf,
    hvpt_ept_table_frame,
    hvpt_ept_table_frame, /* plain_frame */
    hvpt_ept_leaf_address,
    hvpt_ept_leaf_attr,
    hvpt_ept_table_perm,
    hvpt_ept_child_leaf,
    hvpt_ept_parent_leaf,
    hvpt_ept_attr_bits,
    hvpt_no_join_count,
    NULL, /* join */
    NULL, /* join_step */
    hvpt_no_is_joined,
    NULL, /* unjoin */
    hvpt_ept_hardware_bits,
    hvpt_ept_leaf_clean,
    hvpt_ept_leaf_forget,
    hvpt_ept_leaf_touch,
    hvpt_ept_look,
    hvpt_ept_change,
    hvpt_ept_harvest,
    hvpt_ept_map_pieces,
    hvpt_ept_unmap_pieces,
    hvpt_ept_protect_pieces,
    hvpt_ept_descend,
    hvpt_ept_split_leaf,
    hvpt_ept_fill_leaves,
    hvpt_ept_unlink_table,
    hvpt_ept_settle,
    hvpt_ept_holds_table,
    hvpt_ept_fault_map_rest,
    hvpt_ept_find,
    hvpt_ept_find_far,
    hvpt_ept_translate_rest,
};

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_ept_look(const struct hvpt_space *space, uint64_t start,
                                                                uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_ept_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_ept_change(const struct hvpt_space *space, uint64_t start,
                                                                  uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_ept_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_ept_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                       enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_ept_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_ept_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                          uint64_t size, struct hvpt_attr attr,
                                                          struct hvpt_flush *flush)
{
    return hvpt_map_pieces(&hvpt_ept_format, space, gpa, hpa, size, attr, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_ept_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                            struct hvpt_flush *flush)
{
    return hvpt_unmap_pieces(&hvpt_ept_format, space, gpa, size, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_ept_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                                       struct hvpt_run *found)
{
    return hvpt_descend(&hvpt_ept_format, space, gpa, lowest, found);
}

HVPT_SELDOM static HVPT_NOINLINE void hvpt_ept_split_leaf(struct hvpt_space *space, struct hvpt_frames *list,
                                                          struct hvpt_flush *flush, const struct hvpt_run *run)
{
    hvpt_split_leaf(&hvpt_ept_format, space, list, flush, run);
}

HVPT_OFTEN static HVPT_NOINLINE void hvpt_ept_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot,
                                                          unsigned count, uint64_t gpa, uint64_t hpa,
                                                          struct hvpt_attr attr, unsigned level)
{
    hvpt_fill_leaves(&hvpt_ept_format, space, slot, count, gpa, hpa, attr, level);
}

static HVPT_NOINLINE void hvpt_ept_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush,
                                                const struct hvpt_run *run)
{
    hvpt_unlink_table(&hvpt_ept_format, space, flush, run);
}

static HVPT_NOINLINE void hvpt_ept_settle(struct hvpt_space *space, struct hvpt_flush *flush)
{
    hvpt_settle(&hvpt_ept_format, space, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_ept_translate_rest(const struct hvpt_space *space, uint64_t gpa,
                                                              uint64_t entry, unsigned level, uint32_t perm,
                                                              struct hvpt_mapping *out)
{
    return hvpt_translate_rest(&hvpt_ept_format, space, gpa, entry, level, perm, out);
}

static HVPT_NOINLINE void hvpt_ept_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                        struct hvpt_place *place)
{
    hvpt_find(&hvpt_ept_format, space, gpa, lowest, place);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_ept_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa,
                                                                          hvpt_hpa hpa, uint64_t page_size,
                                                                          struct hvpt_attr attr)
{
    return hvpt_fault_map_rest(&hvpt_ept_format, space, gpa, hpa, page_size, attr);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_ept_protect_pieces(struct hvpt_space *space, uint64_t gpa,
                                                                          uint64_t size, struct hvpt_attr attr,
                                                                          uint32_t mask, bool log,
                                                                          struct hvpt_flush *flush)
{
    return hvpt_protect_pieces(&hvpt_ept_format, space, gpa, size, attr, mask, log, flush);
}

static HVPT_NOINLINE struct hvpt_found hvpt_ept_find_far(const struct hvpt_space *space, uint64_t gpa)
{
    return hvpt_find_far(&hvpt_ept_format, space, gpa);
}

HVPT_SELDOM static HVPT_NOINLINE bool hvpt_ept_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    return hvpt_holds_table(&hvpt_ept_format, space, hpa, size);
}

/* ---- the face ---- */

/* config into numbers; no root yet. HVPT_E_ATTR: no such CPU or no such config. */
HVPT_SELDOM static inline enum hvpt_status hvpt_ept_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                              const struct hvpt_ept_config *config)
{
    unsigned levels = config->levels == 0 ? 4 : config->levels;
    unsigned maxphyaddr = config->maxphyaddr == 0 ? 52 : config->maxphyaddr;
    uint64_t max_page_size = config->max_page_size == 0 ? HVPT_1G : config->max_page_size;
    uint64_t cap = config->ept_vpid_cap;
    enum hvpt_status status;

    hvpt_clear_space(space);
    status = hvpt_set_hooks(space, hooks);
    if (status != HVPT_OK)
        return status;
    if (cap == 0)
        cap = ~(uint64_t)HVPT_EPT_CAP_EXECUTE_ONLY;
    if ((levels != 4 && levels != 5) || !(cap & (levels == 4 ? HVPT_EPT_CAP_LEVELS_4 : HVPT_EPT_CAP_LEVELS_5)))
        return HVPT_E_ATTR;
    if (!(cap & (HVPT_EPT_CAP_WB | HVPT_EPT_CAP_UC)) || maxphyaddr < 32 || maxphyaddr > 52)
        return HVPT_E_ATTR;
    if (max_page_size != HVPT_4K && max_page_size != HVPT_2M && max_page_size != HVPT_1G)
        return HVPT_E_ATTR;
    if ((config->features & ~(uint32_t)HVPT_EPT_USE_ALL)
        || (config->policy & ~(uint32_t)(HVPT_POLICY_EXEC_4K_ONLY | HVPT_POLICY_GUARD_TABLES))
        || ((config->features & HVPT_EPT_USE_ACCESSED_DIRTY) && !(cap & HVPT_EPT_CAP_ACCESSED_DIRTY))
        || ((config->features & HVPT_EPT_USE_SHADOW_STACK) && !(cap & HVPT_EPT_CAP_SHADOW_STACK)))
        return HVPT_E_ATTR;

    space->kind = HVPT_KIND_EPT;
    space->flush_kind = HVPT_FLUSH_INVEPT;
    space->root_level = (uint8_t)(levels - 1);
    space->gpa_limit = UINT64_C(1) << (12 + 9 * levels);
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->reserved_bits = HVPT_EPT_ADDRESS_BITS & ~(space->hpa_limit - 1);
    space->features = config->features;
    space->features |= cap & HVPT_EPT_CAP_EXECUTE_ONLY ? HVPT_EPT_CAN_EXECUTE_ONLY : 0;
    space->features |= cap & HVPT_EPT_CAP_2M ? HVPT_EPT_CAN_2M : 0;
    space->features |= cap & HVPT_EPT_CAP_1G ? HVPT_EPT_CAN_1G : 0;
    space->policy = config->policy;
    space->present_mask = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                        | (config->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0)
                        | (config->features & HVPT_EPT_USE_ACCESSED_DIRTY ? 0 : HVPT_EPT_BIT_AGED);
    space->plain_table_bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                            | (config->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0);
    space->plain_table_mask = space->plain_table_bits | HVPT_EPT_TABLE_RESERVED | space->reserved_bits;
    space->plain_leaf_bits = HVPT_EPT_BIT_READ | hvpt_ept_memtype_code(HVPT_MEM_WB) << HVPT_EPT_MEMTYPE_SHIFT;
    space->plain_leaf_mask = HVPT_EPT_BIT_READ | HVPT_EPT_MEMTYPE_BITS | space->reserved_bits;
    space->empty_entry = config->features & HVPT_EPT_USE_VIOLATION_VE ? HVPT_EPT_BIT_SUPPRESS_VE : 0;
    if (max_page_size >= HVPT_1G && (cap & HVPT_EPT_CAP_1G))
        space->max_leaf_level = 2;
    else if (max_page_size >= HVPT_2M && (cap & HVPT_EPT_CAP_2M))
        space->max_leaf_level = 1;
    space->root_register = (cap & HVPT_EPT_CAP_WB ? HVPT_EPTP_MEMTYPE_WB : HVPT_EPTP_MEMTYPE_UC)
                         | (uint64_t)(levels - 1) << HVPT_EPTP_LEVELS_SHIFT
                         | (config->features & HVPT_EPT_USE_ACCESSED_DIRTY ? HVPT_EPTP_ACCESSED_DIRTY : 0)
                         | (config->features & HVPT_EPT_USE_SHADOW_STACK ? HVPT_EPTP_SHADOW_STACK : 0);
    return HVPT_OK;
}

/*
 * Make an empty space. hooks stays in use until destroy; config is read and not kept.
 * HVPT_E_ATTR: the CPU or this library cannot do what config asks.  HVPT_E_NOMEM: no frame for the root.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_init(struct hvpt_ept *ept,
                                                                        const struct hvpt_hooks *hooks,
                                                                        const struct hvpt_ept_config *config)
{
    enum hvpt_status status = hvpt_ept_configure(&ept->space, hooks, config);

    if (status == HVPT_OK)
        status = hvpt_create_root(&hvpt_ept_format, &ept->space);
    if (status == HVPT_OK)
        ept->space.root_register |= ept->space.root_frame;
    return status;
}

/*
 * Take over the tables of an EPTP: the walk length and the accessed-and-dirty flag are its own, the rest is as config
 * says.
 * readonly: nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing. Else the
 * tables are this space's from now on, as if its hooks had allocated them.
 * HVPT_E_ATTR: as init, or the EPTP has bits that this config does not know.  HVPT_E_RANGE: the root is beyond
 * MAXPHYADDR.
 * HVPT_E_CORRUPT: a table cannot be reached or, unless readonly, an entry is not well-formed.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_adopt(struct hvpt_ept *ept,
                                                                         const struct hvpt_hooks *hooks,
                                                                         const struct hvpt_ept_config *config,
                                                                         uint64_t eptp, bool readonly)
{
    struct hvpt_ept_config own = *config;
    uint64_t frame = eptp & HVPT_EPT_ADDRESS_BITS;
    enum hvpt_status status;

    own.levels = (unsigned)((eptp >> HVPT_EPTP_LEVELS_SHIFT) & 7) + 1;
    own.features = (own.features & ~(uint32_t)(HVPT_EPT_USE_ACCESSED_DIRTY | HVPT_EPT_USE_SHADOW_STACK))
                 | (eptp & HVPT_EPTP_ACCESSED_DIRTY ? (uint32_t)HVPT_EPT_USE_ACCESSED_DIRTY : 0)
                 | (eptp & HVPT_EPTP_SHADOW_STACK ? (uint32_t)HVPT_EPT_USE_SHADOW_STACK : 0);
    status = hvpt_ept_configure(&ept->space, hooks, &own);
    if (status != HVPT_OK)
        return status;
    if ((eptp ^ ept->space.root_register) & ~(HVPT_EPT_ADDRESS_BITS | HVPT_EPTP_MEMTYPE_WB))
        return HVPT_E_ATTR;
    if (frame >= ept->space.hpa_limit)
        return HVPT_E_RANGE;
    ept->space.root_register = eptp;
    if (readonly) /* what others left in ignored bits of empty entries is not an aged page */
        ept->space.present_mask &= ~HVPT_EPT_BIT_AGED;
    return hvpt_adopt_root(&hvpt_ept_format, &ept->space, frame, readonly);
}

/* Free every frame. No CPU may use the tables any more, and all flushes asked for have been done. */
static inline void hvpt_ept_destroy(struct hvpt_ept *ept)
{
    hvpt_close_space(&hvpt_ept_format, &ept->space);
}

/* The EPTP for the VMCS. */
static inline uint64_t hvpt_ept_root(const struct hvpt_ept *ept)
{
    return ept->space.root_register;
}

/* As hvpt_map_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_ept_map(struct hvpt_ept *ept, hvpt_gpa gpa, hvpt_hpa hpa,
                                                         uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_map_range(&hvpt_ept_format, &ept->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_unmap_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_ept_unmap(struct hvpt_ept *ept, hvpt_gpa gpa, uint64_t size,
                                                           struct hvpt_flush *flush)
{
    return hvpt_unmap_range(&hvpt_ept_format, &ept->space, gpa, size, flush);
}

/* As hvpt_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_protect(struct hvpt_ept *ept, hvpt_gpa gpa, uint64_t size,
                                                               struct hvpt_attr attr, uint32_t mask,
                                                               struct hvpt_flush *flush)
{
    return hvpt_protect_range(&hvpt_ept_format, &ept->space, gpa, size, attr, mask, flush);
}

/* As hvpt_replace_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_replace(struct hvpt_ept *ept, hvpt_gpa gpa, hvpt_hpa hpa,
                                                               uint64_t size, struct hvpt_attr attr,
                                                               struct hvpt_flush *flush)
{
    return hvpt_replace_range(&hvpt_ept_format, &ept->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_fault_map_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_fault_map(struct hvpt_ept *ept, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                 uint64_t page_size, struct hvpt_attr attr)
{
    return hvpt_fault_map_page(&hvpt_ept_format, &ept->space, gpa, hpa, page_size, attr);
}

/* As hvpt_touch_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_touch(struct hvpt_ept *ept, hvpt_gpa gpa, uint32_t access)
{
    return hvpt_touch_page(&hvpt_ept_format, &ept->space, gpa, access);
}

/* As hvpt_translate_one. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_ept_translate(const struct hvpt_ept *ept, hvpt_gpa gpa,
                                                               struct hvpt_mapping *out)
{
    return hvpt_translate_one(&hvpt_ept_format, &ept->space, gpa, out);
}

/* As hvpt_translate_many. */
static inline void hvpt_ept_translate_batch(const struct hvpt_ept *ept, const hvpt_gpa *gpa, size_t count,
                                            struct hvpt_mapping *out, enum hvpt_status *status)
{
    hvpt_translate_many(&hvpt_ept_format, &ept->space, gpa, count, out, status);
}

/* As hvpt_walk_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_walk(const struct hvpt_ept *ept, hvpt_gpa gpa,
                                                                        uint64_t size,
                                                                        const struct hvpt_visitor *visitor)
{
    return hvpt_walk_range(&hvpt_ept_format, &ept->space, gpa, size, visitor);
}

/* As hvpt_next_leaf. */
static inline bool hvpt_ept_next_leaf(const struct hvpt_ept *ept, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                                      struct hvpt_mapping *mapping)
{
    return hvpt_next_leaf(&hvpt_ept_format, &ept->space, iterator, gpa, mapping);
}

/* As hvpt_split_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_split(struct hvpt_ept *ept, hvpt_gpa gpa,
                                                                         uint64_t size, uint64_t page_size,
                                                                         struct hvpt_flush *flush)
{
    return hvpt_split_range(&hvpt_ept_format, &ept->space, gpa, size, page_size, flush);
}

/* As hvpt_collapse_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_collapse(struct hvpt_ept *ept, hvpt_gpa gpa,
                                                                            uint64_t size, struct hvpt_flush *flush,
                                                                            struct hvpt_collapse_report *report)
{
    return hvpt_collapse_range(&hvpt_ept_format, &ept->space, gpa, size, flush, report);
}

/* As hvpt_harvest_range, for accessed pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_age(struct hvpt_ept *ept, hvpt_gpa gpa, uint64_t size,
                                                           uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_ept_format, &ept->space, gpa, size, false, bitmap, flush);
}

/* As hvpt_harvest_range, for dirty pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_dirty(struct hvpt_ept *ept, hvpt_gpa gpa, uint64_t size,
                                                             uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_ept_format, &ept->space, gpa, size, true, bitmap, flush);
}

/* As hvpt_write_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_write_protect(struct hvpt_ept *ept, hvpt_gpa gpa, uint64_t size,
                                                                     struct hvpt_flush *flush)
{
    return hvpt_write_protect_range(&hvpt_ept_format, &ept->space, gpa, size, flush);
}

/* As hvpt_map_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_frames_needed(const struct hvpt_ept *ept,
                                                                                 hvpt_gpa gpa, hvpt_hpa hpa,
                                                                                 uint64_t size, struct hvpt_attr attr,
                                                                                 uint64_t *frames)
{
    return hvpt_map_needs(&hvpt_ept_format, &ept->space, gpa, hpa, size, attr, frames);
}

/* As hvpt_unmap_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_frames_needed_to_unmap(const struct hvpt_ept *ept,
                                                                                          hvpt_gpa gpa, uint64_t size,
                                                                                          uint64_t *frames)
{
    return hvpt_unmap_needs(&hvpt_ept_format, &ept->space, gpa, size, frames);
}

/* As hvpt_split_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_frames_needed_to_split(const struct hvpt_ept *ept,
                                                                                          hvpt_gpa gpa, uint64_t size,
                                                                                          uint64_t page_size,
                                                                                          uint64_t *frames)
{
    return hvpt_split_needs(&hvpt_ept_format, &ept->space, gpa, size, page_size, frames);
}

/* As hvpt_reserve_frames. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_ept_reserve(struct hvpt_ept *ept, uint64_t frames)
{
    return hvpt_reserve_frames(&ept->space, frames);
}

/* Do what flush asks for, by the hook, and free the frames that waited for it; flush is empty afterwards. */
static inline void hvpt_ept_flush(struct hvpt_ept *ept, struct hvpt_flush *flush)
{
    hvpt_ept_settle(&ept->space, flush);
}

/* As hvpt_read_stats. */
static inline void hvpt_ept_stats(const struct hvpt_ept *ept, struct hvpt_stats *out)
{
    hvpt_read_stats(&ept->space, out);
}

/* hvpt_ept_explain, with the names of the rules above. */
#include "ept_explain.h"

#endif
