/*
 * NPT, AMD's second-level format: the x86-64 page-table format, walked with the host's paging mode.
 * APM vol. 2, "Nested Paging". Bits, rules and face; the loops are in core/.
 */
#ifndef HVPT_NPT_H
#define HVPT_NPT_H

#include "core/engine.h"

/* ---- bits of an entry: APM vol. 2, "Long-Mode Page Translation", "Nested Paging" ---- */

#define HVPT_NPT_BIT_PRESENT (UINT64_C(1) << 0)
#define HVPT_NPT_BIT_WRITE   (UINT64_C(1) << 1)
/* Every guest access is a user access at this level. GMET and SSS give the bit another meaning: see below. */
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

/* IA32_PAT after reset: WB, WT, UC-, UC, twice. APM vol. 2, "PAT Register". */
#define HVPT_PAT_RESET UINT64_C(0x0007040600070406)

/* Flags of a leaf, for attr.flags. Each needs what its comment names in the config (HVPT_E_ATTR otherwise). */
enum {
    /*
     * HVPT_NPT_USE_SHADOW_STACK: the guest may keep supervisor shadow stacks here. The page is not executable, and
     * should not have HVPT_WRITE either, which shadow-stack writes do not need.
     */
    HVPT_NPT_SHADOW_STACK = 1 << 8,
    /*
     * c_bit: encrypted with the host's key, as the host's own mappings with the C-bit are. Without it: in the clear, as
     * memory shared with devices, and devices themselves, must be.
     */
    HVPT_NPT_ENCRYPTED = 1 << 9
};

/* What the host's state at VMRUN and the VMCB enable, for config.features. They and the tables must agree. */
enum {
    HVPT_NPT_NO_NX =
        1 << 0, /* the host's EFER.NXE is clear: no page can be refused execution, and bit 63 is reserved */
    /*
     * Guest mode execute trap, VMCB offset 90h bit 3, CPUID 8000000AH EDX[17]. HVPT_EXEC is then the right of the
     * guest's supervisor and HVPT_EXEC_USER that of its user mode; a page cannot have the former alone (HVPT_E_ATTR).
     */
    HVPT_NPT_USE_GMET = 1 << 1,
    /* Supervisor shadow stacks (SSS), VMCB offset 90h bit 4, CPUID 8000000AH EDX[19]; not with HVPT_NPT_NO_NX. */
    HVPT_NPT_USE_SHADOW_STACK = 1 << 2,
    HVPT_NPT_FEATURES_ALL = (1 << 3) - 1
};

/* Kept beside the features in struct hvpt_space, where the entries have it: the C-bit. */
#define HVPT_NPT_C_BITS (HVPT_NPT_ADDRESS_BITS & ~UINT64_C(0xffffffff))

/*
 * levels: 4 or 5, as the host's CR4.LA57 at VMRUN; 0: 4.
 * max_page_size: HVPT_4K, HVPT_2M or HVPT_1G (CPUID 80000001H EDX[26]); 0: HVPT_1G.
 * maxphyaddr: CPUID 80000008H EAX[7:0], less what memory encryption takes (8000001FH EBX[11:6]); 32 to 52; 0: 52, or
 * c_bit where there is one.
 * c_bit: where the C-bit of memory encryption lies, CPUID 8000001FH EBX[5:0], if the host keeps these tables in memory
 * that it maps with the C-bit: it is then set in the root and in all entries that refer to tables, and in leaves that
 * ask for it by HVPT_NPT_ENCRYPTED. Not below maxphyaddr, up to 51; 0: none, as for a host that does not encrypt its
 * own memory, though its SEV guests may (their C-bit is gone from the address when the nested tables are walked; APM
 * vol. 2, "Secure Encrypted Virtualization").
 * pat: the host's IA32_PAT at VMRUN, which the tables' memory types index; 0: HVPT_PAT_RESET, which has no WC and no
 * WP.
 * features: HVPT_NPT_...; policy: HVPT_POLICY_...
 */
struct hvpt_npt_config {
    unsigned levels;
    uint64_t max_page_size;
    unsigned maxphyaddr;
    uint64_t pat;
    uint32_t features;
    uint32_t policy;
    unsigned c_bit;
};

/* One guest's nested tables. Move it only while nobody uses it. */
struct hvpt_npt {
    struct hvpt_space space;
};

/* ---- rules ---- */

/* memtype_codes holds a nibble for each memory type: the first PAT index that selects it, or this. */
#define HVPT_NPT_NO_INDEX UINT64_C(15)

/* The C-bit as a bit of entries and of the root; 0: none. */
static inline uint64_t hvpt_npt_c_bit(const struct hvpt_space *space)
{
    return space->features & HVPT_NPT_C_BITS;
}

/*
 * Can this CPU express attr in a leaf?  HVPT_E_ATTR if not.
 * What is present can be read; execution can be refused only with EFER.NXE; the memory type must be in the host's PAT.
 * With GMET what the supervisor may execute the user may, too. A supervisor shadow-stack page is not executable.
 */
static inline enum hvpt_status hvpt_npt_check_attr(const struct hvpt_space *space, struct hvpt_attr attr)
{
    const uint32_t exec = attr.perm & (HVPT_EXEC | HVPT_EXEC_USER);
    uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED;

    if (HVPT_UNLIKELY(attr.flags & ~flags)) {
        flags |= space->features & HVPT_NPT_USE_SHADOW_STACK && exec == 0 ? (uint32_t)HVPT_NPT_SHADOW_STACK : 0;
        flags |= hvpt_npt_c_bit(space) ? (uint32_t)HVPT_NPT_ENCRYPTED : 0;
    }
    if ((attr.perm & ~HVPT_PERM_ALL) || !(attr.perm & HVPT_READ) || (unsigned)attr.memtype > HVPT_MEM_WB
        || attr.software > HVPT_NPT_SOFTWARE_MAX || (attr.flags & ~flags))
        return HVPT_E_ATTR;
    if (exec == (space->features & HVPT_NPT_USE_GMET ? HVPT_EXEC : HVPT_EXEC_USER))
        return HVPT_E_ATTR;
    if (exec == 0 && (space->features & HVPT_NPT_NO_NX))
        return HVPT_E_ATTR;
    if (((space->memtype_codes >> (4 * (unsigned)attr.memtype)) & 15) == HVPT_NPT_NO_INDEX)
        return HVPT_E_ATTR;
    return HVPT_OK;
}

static inline unsigned hvpt_npt_attr_level(const struct hvpt_space *space, struct hvpt_attr attr)
{
    (void)attr;
    return space->max_leaf_level;
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

/* One byte of a PAT. UC- is UC here: the guest's type is combined with it later in both cases. */
static inline enum hvpt_memtype hvpt_npt_pat_memtype(uint64_t pat, uint64_t index)
{
    uint64_t code = (pat >> (8 * index)) & 7;

    return code == 1 ? HVPT_MEM_WC
         : code == 4 ? HVPT_MEM_WT
         : code == 5 ? HVPT_MEM_WP
         : code == 6 ? HVPT_MEM_WB
                     : HVPT_MEM_UC;
}

/*
 * The PAT index that selects memtype; of UC and UC-, which the guest may turn into WC, the stronger where there is a
 * choice.
 */
static inline uint64_t hvpt_npt_find_memtype(uint64_t pat, enum hvpt_memtype memtype)
{
    uint64_t index, found = HVPT_NPT_NO_INDEX;

    for (index = 8; index-- > 0;) {
        bool weak = ((pat >> (8 * index)) & 7) == 7;

        if (hvpt_npt_pat_memtype(pat, index) == memtype && !(weak && found != HVPT_NPT_NO_INDEX))
            found = index;
    }
    return found;
}

/*
 * Does the page need the user bit clear?  APM vol. 2, "Guest Mode Execute Trap Extension": for the supervisor to
 * execute it. "Supervisor Shadow Stacks": to be one.
 */
static inline bool hvpt_npt_is_supervisor(const struct hvpt_space *space, struct hvpt_attr attr)
{
    return ((space->features & HVPT_NPT_USE_GMET) && (attr.perm & HVPT_EXEC)) || (attr.flags & HVPT_NPT_SHADOW_STACK);
}

/* The leaf for the page at hpa. attr has passed hvpt_npt_check_attr and hpa is aligned to the page: cannot fail. */
static inline uint64_t hvpt_npt_make_leaf(const struct hvpt_space *space, uint64_t hpa, struct hvpt_attr attr,
                                          unsigned level)
{
    uint64_t index = (space->memtype_codes >> (4 * (unsigned)attr.memtype)) & 15;
    uint64_t entry = hpa | HVPT_NPT_BIT_PRESENT | (hvpt_npt_is_supervisor(space, attr) ? 0 : HVPT_NPT_BIT_USER)
                   | (attr.perm & HVPT_WRITE ? HVPT_NPT_BIT_WRITE : 0)
                   | (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER) ? 0 : HVPT_NPT_BIT_NX) | hvpt_npt_pat_bits(index, level)
                   | (uint64_t)attr.software << HVPT_NPT_SOFTWARE_SHIFT | (level > 0 ? HVPT_NPT_BIT_LARGE : 0);

    return entry | (attr.flags & HVPT_ACCESSED ? HVPT_NPT_BIT_ACCESSED : 0)
         | (attr.flags & HVPT_DIRTY ? HVPT_NPT_BIT_DIRTY : 0) | (attr.flags & HVPT_LOGGED ? HVPT_NPT_BIT_LOGGED : 0)
         | (attr.flags & HVPT_NPT_ENCRYPTED ? hvpt_npt_c_bit(space) : 0);
}

static inline uint64_t hvpt_npt_leaf_step(unsigned level)
{
    return HVPT_4K << (9 * level);
}

/* Tables allow everything; what is denied is denied by leaves. */
static inline uint64_t hvpt_npt_make_table(const struct hvpt_space *space, uint64_t frame)
{
    return frame | HVPT_NPT_BIT_PRESENT | HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_USER | hvpt_npt_c_bit(space);
}

/*
 * Bits 7 and 8 are reserved in the two highest tables; bit 7 makes a leaf of the others, and bit 8 is ignored there.
 * With GMET a table entry without the user bit would open all below it to the supervisor's execution, whatever the
 * leaves say. Hardware allows that; here such tables, which only others make, are not well-formed.
 */
static inline bool hvpt_npt_is_table(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t reserved = space->reserved_bits | HVPT_NPT_BIT_LARGE | (level >= 3 ? UINT64_C(1) << 8 : 0);

    return level != 0 && (entry & (HVPT_NPT_BIT_PRESENT | reserved)) == HVPT_NPT_BIT_PRESENT
        && ((entry & HVPT_NPT_BIT_USER) || !(space->features & HVPT_NPT_USE_GMET));
}

/* In a large page, bit 12 is PAT and the other address bits below the page are reserved. The entry is not empty. */
static inline bool hvpt_npt_is_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t below = ((HVPT_4K << (9 * level)) - 1) & HVPT_NPT_ADDRESS_BITS & ~HVPT_NPT_BIT_PAT_LARGE;

    if (entry & space->reserved_bits)
        return false;
    return level == 0 || (level <= 2 && (entry & HVPT_NPT_BIT_LARGE) && !(entry & below));
}

static inline uint64_t hvpt_npt_table_frame(const struct hvpt_space *space, uint64_t entry)
{
    return entry & HVPT_NPT_ADDRESS_BITS & ~hvpt_npt_c_bit(space);
}

static inline uint64_t hvpt_npt_leaf_address(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                             uint64_t gpa)
{
    (void)gpa;
    return entry & HVPT_NPT_ADDRESS_BITS & ~((HVPT_4K << (9 * level)) - 1) & ~hvpt_npt_c_bit(space);
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

static inline struct hvpt_attr hvpt_npt_leaf_attr(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;

    attr.perm = hvpt_npt_leaf_perm(space, entry);
    attr.memtype = hvpt_npt_pat_memtype(space->memtype_names, hvpt_npt_pat_index(entry, level));
    attr.flags = (entry & HVPT_NPT_BIT_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
               | (entry & HVPT_NPT_BIT_DIRTY ? (uint32_t)HVPT_DIRTY : 0)
               | (entry & HVPT_NPT_BIT_LOGGED ? (uint32_t)HVPT_LOGGED : 0);
    if (HVPT_UNLIKELY(space->features & (HVPT_NPT_C_BITS | HVPT_NPT_USE_SHADOW_STACK)))
        attr.flags |= (entry & hvpt_npt_c_bit(space) ? (uint32_t)HVPT_NPT_ENCRYPTED : 0)
                    | (hvpt_npt_is_shadow_stack(space, entry) ? (uint32_t)HVPT_NPT_SHADOW_STACK : 0);
    attr.software = (uint32_t)(entry >> HVPT_NPT_SOFTWARE_SHIFT) & HVPT_NPT_SOFTWARE_MAX;
    return attr;
}

static inline uint64_t hvpt_npt_attr_bits(const struct hvpt_space *space, unsigned level)
{
    return HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_USER | hvpt_npt_pat_bits(7, level) | HVPT_NPT_BIT_LOGGED
         | (uint64_t)HVPT_NPT_SOFTWARE_MAX << HVPT_NPT_SOFTWARE_SHIFT
         | (space->features & HVPT_NPT_NO_NX ? 0 : HVPT_NPT_BIT_NX) | hvpt_npt_c_bit(space);
}

/* Bit 7 says "large" above level 0 and is the PAT bit there; in a large page the PAT bit is bit 12. */
static inline uint64_t hvpt_npt_child_leaf(uint64_t entry, unsigned level)
{
    if (level > 1)
        return entry;
    return (entry & ~(HVPT_NPT_BIT_LARGE | HVPT_NPT_BIT_PAT_LARGE))
         | (entry & HVPT_NPT_BIT_PAT_LARGE ? HVPT_NPT_BIT_PAT : 0);
}

static inline uint64_t hvpt_npt_parent_leaf(uint64_t entry, unsigned level)
{
    if (level > 1)
        return entry;
    return (entry & ~HVPT_NPT_BIT_PAT) | (entry & HVPT_NPT_BIT_PAT ? HVPT_NPT_BIT_PAT_LARGE : 0) | HVPT_NPT_BIT_LARGE;
}

/* Nested tables always have accessed and dirty bits. */
static inline uint64_t hvpt_npt_hardware_bits(const struct hvpt_space *space, uint64_t entry)
{
    (void)entry;
    (void)space;
    return HVPT_NPT_BIT_ACCESSED | HVPT_NPT_BIT_DIRTY;
}

static inline uint64_t hvpt_npt_leaf_clean(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_NPT_BIT_DIRTY;
}

static inline uint64_t hvpt_npt_leaf_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_NPT_BIT_ACCESSED;
}

static inline uint64_t hvpt_npt_leaf_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    (void)space;
    if ((access & HVPT_WRITE) && (entry & HVPT_NPT_BIT_LOGGED))
        entry = (entry & ~HVPT_NPT_BIT_LOGGED) | HVPT_NPT_BIT_WRITE;
    return entry;
}

static enum hvpt_status hvpt_npt_look(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                      enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_npt_change(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                        enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_npt_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                         enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_npt_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                            struct hvpt_attr attr, struct hvpt_flush *flush);
static enum hvpt_status hvpt_npt_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                              struct hvpt_flush *flush);
static enum hvpt_status hvpt_npt_protect_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                struct hvpt_attr attr, uint32_t mask, bool log,
                                                struct hvpt_flush *flush);
static enum hvpt_status hvpt_npt_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                         struct hvpt_run *found);
static void hvpt_npt_split_leaf(struct hvpt_space *space, struct hvpt_frames *list, struct hvpt_flush *flush,
                                const struct hvpt_run *run);
static void hvpt_npt_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa,
                                 uint64_t hpa, struct hvpt_attr attr, unsigned level);
static void hvpt_npt_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run);
static void hvpt_npt_settle(struct hvpt_space *space, struct hvpt_flush *flush);
static bool hvpt_npt_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size);
static void hvpt_npt_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_place *place);
static struct hvpt_found hvpt_npt_find_far(const struct hvpt_space *space, uint64_t gpa);
static enum hvpt_status hvpt_npt_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                uint64_t page_size, struct hvpt_attr attr);
static enum hvpt_status hvpt_npt_translate_rest(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                                unsigned level, uint32_t perm, struct hvpt_mapping *out);

static const struct hvpt_format hvpt_npt_format = {
    HVPT_KIND_NPT,
    12,    /* page_shift */
    false, /* mapping_needs_flush */
    false, /* relaxing_needs_flush: APM vol. 2, "Translation-Lookaside Buffer": the page fault does it */
    0,     /* break_bits */
    HVPT_NPT_BIT_TABLE_FULL,
    0, /* linear_block */
    hvpt_npt_check_attr,
    hvpt_npt_attr_level,
    hvpt_npt_make_leaf,
    hvpt_npt_leaf_step,
    hvpt_npt_make_table,
    hvpt_npt_is_table,
    hvpt_npt_is_leaf,
    hvpt_npt_table_frame,
    hvpt_npt_table_frame, /* plain_frame */
    hvpt_npt_leaf_address,
    hvpt_npt_leaf_attr,
    hvpt_npt_table_perm,
    hvpt_npt_child_leaf,
    hvpt_npt_parent_leaf,
    hvpt_npt_attr_bits,
    hvpt_no_join_count,
    NULL, /* join */
    NULL, /* join_step */
    hvpt_no_is_joined,
    NULL, /* unjoin */
    hvpt_npt_hardware_bits,
    hvpt_npt_leaf_clean,
    hvpt_npt_leaf_forget,
    hvpt_npt_leaf_touch,
    hvpt_npt_look,
    hvpt_npt_change,
    hvpt_npt_harvest,
    hvpt_npt_map_pieces,
    hvpt_npt_unmap_pieces,
    hvpt_npt_protect_pieces,
    hvpt_npt_descend,
    hvpt_npt_split_leaf,
    hvpt_npt_fill_leaves,
    hvpt_npt_unlink_table,
    hvpt_npt_settle,
    hvpt_npt_holds_table,
    hvpt_npt_fault_map_rest,
    hvpt_npt_find,
    hvpt_npt_find_far,
    hvpt_npt_translate_rest,
};

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_npt_look(const struct hvpt_space *space, uint64_t start,
                                                                uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_npt_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_npt_change(const struct hvpt_space *space, uint64_t start,
                                                                  uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_npt_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_npt_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                       enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_npt_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_npt_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                          uint64_t size, struct hvpt_attr attr,
                                                          struct hvpt_flush *flush)
{
    return hvpt_map_pieces(&hvpt_npt_format, space, gpa, hpa, size, attr, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_npt_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                            struct hvpt_flush *flush)
{
    return hvpt_unmap_pieces(&hvpt_npt_format, space, gpa, size, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_npt_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                                       struct hvpt_run *found)
{
    return hvpt_descend(&hvpt_npt_format, space, gpa, lowest, found);
}

HVPT_SELDOM static HVPT_NOINLINE void hvpt_npt_split_leaf(struct hvpt_space *space, struct hvpt_frames *list,
                                                          struct hvpt_flush *flush, const struct hvpt_run *run)
{
    hvpt_split_leaf(&hvpt_npt_format, space, list, flush, run);
}

HVPT_OFTEN static HVPT_NOINLINE void hvpt_npt_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot,
                                                          unsigned count, uint64_t gpa, uint64_t hpa,
                                                          struct hvpt_attr attr, unsigned level)
{
    hvpt_fill_leaves(&hvpt_npt_format, space, slot, count, gpa, hpa, attr, level);
}

static HVPT_NOINLINE void hvpt_npt_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush,
                                                const struct hvpt_run *run)
{
    hvpt_unlink_table(&hvpt_npt_format, space, flush, run);
}

static HVPT_NOINLINE void hvpt_npt_settle(struct hvpt_space *space, struct hvpt_flush *flush)
{
    hvpt_settle(&hvpt_npt_format, space, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_npt_translate_rest(const struct hvpt_space *space, uint64_t gpa,
                                                              uint64_t entry, unsigned level, uint32_t perm,
                                                              struct hvpt_mapping *out)
{
    return hvpt_translate_rest(&hvpt_npt_format, space, gpa, entry, level, perm, out);
}

static HVPT_NOINLINE void hvpt_npt_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                        struct hvpt_place *place)
{
    hvpt_find(&hvpt_npt_format, space, gpa, lowest, place);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_npt_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa,
                                                                          hvpt_hpa hpa, uint64_t page_size,
                                                                          struct hvpt_attr attr)
{
    return hvpt_fault_map_rest(&hvpt_npt_format, space, gpa, hpa, page_size, attr);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_npt_protect_pieces(struct hvpt_space *space, uint64_t gpa,
                                                                          uint64_t size, struct hvpt_attr attr,
                                                                          uint32_t mask, bool log,
                                                                          struct hvpt_flush *flush)
{
    return hvpt_protect_pieces(&hvpt_npt_format, space, gpa, size, attr, mask, log, flush);
}

static HVPT_NOINLINE struct hvpt_found hvpt_npt_find_far(const struct hvpt_space *space, uint64_t gpa)
{
    return hvpt_find_far(&hvpt_npt_format, space, gpa);
}

HVPT_SELDOM static HVPT_NOINLINE bool hvpt_npt_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    return hvpt_holds_table(&hvpt_npt_format, space, hpa, size);
}

/* ---- the face ---- */

/* config into numbers; no root yet. HVPT_E_ATTR: no such CPU or no such config. */
HVPT_SELDOM static inline enum hvpt_status hvpt_npt_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                              const struct hvpt_npt_config *config)
{
    unsigned levels = config->levels == 0 ? 4 : config->levels;
    unsigned maxphyaddr = config->maxphyaddr != 0 ? config->maxphyaddr : config->c_bit != 0 ? config->c_bit : 52;
    uint64_t max_page_size = config->max_page_size == 0 ? HVPT_1G : config->max_page_size;
    uint64_t pat = config->pat == 0 ? HVPT_PAT_RESET : config->pat;
    unsigned memtype;
    enum hvpt_status status;

    hvpt_clear_space(space);
    status = hvpt_set_hooks(space, hooks);
    if (status != HVPT_OK)
        return status;
    if ((levels != 4 && levels != 5) || maxphyaddr < 32 || maxphyaddr > 52)
        return HVPT_E_ATTR;
    if (config->c_bit != 0 && (config->c_bit < maxphyaddr || config->c_bit > 51))
        return HVPT_E_ATTR;
    if ((config->features & HVPT_NPT_USE_SHADOW_STACK) && (config->features & HVPT_NPT_NO_NX))
        return HVPT_E_ATTR;
    if (max_page_size != HVPT_4K && max_page_size != HVPT_2M && max_page_size != HVPT_1G)
        return HVPT_E_ATTR;
    if ((config->features & ~(uint32_t)HVPT_NPT_FEATURES_ALL)
        || (config->policy & ~(uint32_t)(HVPT_POLICY_EXEC_4K_ONLY | HVPT_POLICY_GUARD_TABLES)))
        return HVPT_E_ATTR;

    space->kind = HVPT_KIND_NPT;
    space->flush_kind = HVPT_FLUSH_ASID;
    space->root_level = (uint8_t)(levels - 1);
    space->max_leaf_level = max_page_size == HVPT_1G ? 2 : max_page_size == HVPT_2M ? 1 : 0;
    space->gpa_limit = UINT64_C(1) << (12 + 9 * levels);
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->features = config->features | (config->c_bit != 0 ? UINT64_C(1) << config->c_bit : 0);
    space->reserved_bits = HVPT_NPT_ADDRESS_BITS & ~(space->hpa_limit - 1) & ~hvpt_npt_c_bit(space);
    space->reserved_bits |= config->features & HVPT_NPT_NO_NX ? HVPT_NPT_BIT_NX : 0;
    space->policy = config->policy;
    space->present_mask = HVPT_NPT_BIT_PRESENT;
    space->plain_table_bits = HVPT_NPT_BIT_PRESENT | HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_USER;
    space->plain_table_mask =
        space->plain_table_bits | HVPT_NPT_BIT_NX | HVPT_NPT_BIT_LARGE | UINT64_C(1) << 8 | space->reserved_bits;
    space->plain_leaf_bits = HVPT_NPT_BIT_PRESENT;
    space->plain_leaf_mask = HVPT_NPT_BIT_PRESENT | space->reserved_bits;
    space->memtype_names = pat;
    for (memtype = 0; memtype <= HVPT_MEM_WB; memtype++)
        space->memtype_codes |= hvpt_npt_find_memtype(pat, (enum hvpt_memtype)memtype) << (4 * memtype);
    return HVPT_OK;
}

/*
 * Make an empty space. hooks stays in use until destroy; config is read and not kept.
 * HVPT_E_ATTR: the CPU or this library cannot do what config asks.  HVPT_E_NOMEM: no frame for the root.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_init(struct hvpt_npt *npt,
                                                                        const struct hvpt_hooks *hooks,
                                                                        const struct hvpt_npt_config *config)
{
    enum hvpt_status status = hvpt_npt_configure(&npt->space, hooks, config);

    if (status == HVPT_OK)
        status = hvpt_create_root(&hvpt_npt_format, &npt->space);
    if (status == HVPT_OK)
        npt->space.root_register = npt->space.root_frame | hvpt_npt_c_bit(&npt->space);
    return status;
}

/*
 * Take over the tables of an nCR3; their depth is config's.
 * readonly: nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing. Else the
 * tables are this space's from now on, as if its hooks had allocated them.
 * HVPT_E_ATTR: as init.  HVPT_E_RANGE: the root is beyond MAXPHYADDR.
 * HVPT_E_CORRUPT: a table cannot be reached or, unless readonly, an entry is not well-formed.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_adopt(struct hvpt_npt *npt,
                                                                         const struct hvpt_hooks *hooks,
                                                                         const struct hvpt_npt_config *config,
                                                                         uint64_t ncr3, bool readonly)
{
    enum hvpt_status status = hvpt_npt_configure(&npt->space, hooks, config);
    uint64_t frame;

    if (status != HVPT_OK)
        return status;
    frame = ncr3 & HVPT_NPT_ADDRESS_BITS & ~hvpt_npt_c_bit(&npt->space);
    if (frame >= npt->space.hpa_limit || (ncr3 & ~HVPT_NPT_ADDRESS_BITS & ~(HVPT_4K - 1)))
        return HVPT_E_RANGE;
    npt->space.root_register = ncr3;
    return hvpt_adopt_root(&hvpt_npt_format, &npt->space, frame, readonly);
}

/* Free every frame. No CPU may use the tables any more, and all flushes asked for have been done. */
static inline void hvpt_npt_destroy(struct hvpt_npt *npt)
{
    hvpt_close_space(&hvpt_npt_format, &npt->space);
}

/* The nCR3 for the VMCB: the root is looked up write-back (PWT and PCD clear), with the C-bit if there is one. */
static inline uint64_t hvpt_npt_root(const struct hvpt_npt *npt)
{
    return npt->space.root_register;
}

/* As hvpt_map_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_npt_map(struct hvpt_npt *npt, hvpt_gpa gpa, hvpt_hpa hpa,
                                                         uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_map_range(&hvpt_npt_format, &npt->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_unmap_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_npt_unmap(struct hvpt_npt *npt, hvpt_gpa gpa, uint64_t size,
                                                           struct hvpt_flush *flush)
{
    return hvpt_unmap_range(&hvpt_npt_format, &npt->space, gpa, size, flush);
}

/* As hvpt_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_protect(struct hvpt_npt *npt, hvpt_gpa gpa, uint64_t size,
                                                               struct hvpt_attr attr, uint32_t mask,
                                                               struct hvpt_flush *flush)
{
    return hvpt_protect_range(&hvpt_npt_format, &npt->space, gpa, size, attr, mask, flush);
}

/* As hvpt_replace_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_replace(struct hvpt_npt *npt, hvpt_gpa gpa, hvpt_hpa hpa,
                                                               uint64_t size, struct hvpt_attr attr,
                                                               struct hvpt_flush *flush)
{
    return hvpt_replace_range(&hvpt_npt_format, &npt->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_fault_map_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_fault_map(struct hvpt_npt *npt, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                 uint64_t page_size, struct hvpt_attr attr)
{
    return hvpt_fault_map_page(&hvpt_npt_format, &npt->space, gpa, hpa, page_size, attr);
}

/* As hvpt_touch_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_touch(struct hvpt_npt *npt, hvpt_gpa gpa, uint32_t access)
{
    return hvpt_touch_page(&hvpt_npt_format, &npt->space, gpa, access);
}

/* As hvpt_translate_one. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_npt_translate(const struct hvpt_npt *npt, hvpt_gpa gpa,
                                                               struct hvpt_mapping *out)
{
    return hvpt_translate_one(&hvpt_npt_format, &npt->space, gpa, out);
}

/* As hvpt_translate_many. */
static inline void hvpt_npt_translate_batch(const struct hvpt_npt *npt, const hvpt_gpa *gpa, size_t count,
                                            struct hvpt_mapping *out, enum hvpt_status *status)
{
    hvpt_translate_many(&hvpt_npt_format, &npt->space, gpa, count, out, status);
}

/* As hvpt_walk_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_walk(const struct hvpt_npt *npt, hvpt_gpa gpa,
                                                                        uint64_t size,
                                                                        const struct hvpt_visitor *visitor)
{
    return hvpt_walk_range(&hvpt_npt_format, &npt->space, gpa, size, visitor);
}

/* As hvpt_next_leaf. */
static inline bool hvpt_npt_next_leaf(const struct hvpt_npt *npt, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                                      struct hvpt_mapping *mapping)
{
    return hvpt_next_leaf(&hvpt_npt_format, &npt->space, iterator, gpa, mapping);
}

/* As hvpt_split_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_split(struct hvpt_npt *npt, hvpt_gpa gpa,
                                                                         uint64_t size, uint64_t page_size,
                                                                         struct hvpt_flush *flush)
{
    return hvpt_split_range(&hvpt_npt_format, &npt->space, gpa, size, page_size, flush);
}

/* As hvpt_collapse_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_collapse(struct hvpt_npt *npt, hvpt_gpa gpa,
                                                                            uint64_t size, struct hvpt_flush *flush,
                                                                            struct hvpt_collapse_report *report)
{
    return hvpt_collapse_range(&hvpt_npt_format, &npt->space, gpa, size, flush, report);
}

/* As hvpt_harvest_range, for accessed pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_age(struct hvpt_npt *npt, hvpt_gpa gpa, uint64_t size,
                                                           uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_npt_format, &npt->space, gpa, size, false, bitmap, flush);
}

/* As hvpt_harvest_range, for dirty pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_dirty(struct hvpt_npt *npt, hvpt_gpa gpa, uint64_t size,
                                                             uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_npt_format, &npt->space, gpa, size, true, bitmap, flush);
}

/* As hvpt_write_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_write_protect(struct hvpt_npt *npt, hvpt_gpa gpa, uint64_t size,
                                                                     struct hvpt_flush *flush)
{
    return hvpt_write_protect_range(&hvpt_npt_format, &npt->space, gpa, size, flush);
}

/* As hvpt_map_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_frames_needed(const struct hvpt_npt *npt,
                                                                                 hvpt_gpa gpa, hvpt_hpa hpa,
                                                                                 uint64_t size, struct hvpt_attr attr,
                                                                                 uint64_t *frames)
{
    return hvpt_map_needs(&hvpt_npt_format, &npt->space, gpa, hpa, size, attr, frames);
}

/* As hvpt_unmap_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_frames_needed_to_unmap(const struct hvpt_npt *npt,
                                                                                          hvpt_gpa gpa, uint64_t size,
                                                                                          uint64_t *frames)
{
    return hvpt_unmap_needs(&hvpt_npt_format, &npt->space, gpa, size, frames);
}

/* As hvpt_split_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_frames_needed_to_split(const struct hvpt_npt *npt,
                                                                                          hvpt_gpa gpa, uint64_t size,
                                                                                          uint64_t page_size,
                                                                                          uint64_t *frames)
{
    return hvpt_split_needs(&hvpt_npt_format, &npt->space, gpa, size, page_size, frames);
}

/* As hvpt_reserve_frames. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_npt_reserve(struct hvpt_npt *npt, uint64_t frames)
{
    return hvpt_reserve_frames(&npt->space, frames);
}

/* Do what flush asks for, by the hook, and free the frames that waited for it; flush is empty afterwards. */
static inline void hvpt_npt_flush(struct hvpt_npt *npt, struct hvpt_flush *flush)
{
    hvpt_npt_settle(&npt->space, flush);
}

/* As hvpt_read_stats. */
static inline void hvpt_npt_stats(const struct hvpt_npt *npt, struct hvpt_stats *out)
{
    hvpt_read_stats(&npt->space, out);
}

/* hvpt_npt_explain, with the names of the rules above. */
#include "npt_explain.h"

#endif
