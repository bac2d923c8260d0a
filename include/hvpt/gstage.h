/*
 * The G-stage, RISC-V's second-level format: Sv39x4, Sv48x4 and Sv57x4, with Svpbmt, Svnapot and Svadu.
 * RISC-V Privileged Architecture, "Two-Stage Address Translation". Bits, rules and face; the loops are in core/.
 */
#ifndef HVPT_GSTAGE_H
#define HVPT_GSTAGE_H

#include "core/engine.h"

/*
 * ---- bits of an entry: Privileged Architecture, "Sv39: Page-Based 39-bit Virtual-Memory System" and what extends it
 * ----
 */

#define HVPT_GSTAGE_BIT_VALID    (UINT64_C(1) << 0)
#define HVPT_GSTAGE_BIT_READ     (UINT64_C(1) << 1)
#define HVPT_GSTAGE_BIT_WRITE    (UINT64_C(1) << 2)
#define HVPT_GSTAGE_BIT_EXEC     (UINT64_C(1) << 3)
#define HVPT_GSTAGE_BIT_USER     (UINT64_C(1) << 4) /* every guest access is a user access at this stage */
#define HVPT_GSTAGE_BIT_GLOBAL   (UINT64_C(1) << 5) /* to be left clear at this stage */
#define HVPT_GSTAGE_BIT_ACCESSED (UINT64_C(1) << 6)
#define HVPT_GSTAGE_BIT_DIRTY    (UINT64_C(1) << 7)
#define HVPT_GSTAGE_PPN_SHIFT    10
#define HVPT_GSTAGE_PPN_BITS     UINT64_C(0x003ffffffffffc00)
#define HVPT_GSTAGE_PBMT_SHIFT   61
#define HVPT_GSTAGE_PBMT_BITS    (UINT64_C(3) << 61) /* Svpbmt: 0 as the PMA says, 1 NC, 2 IO */
#define HVPT_GSTAGE_BIT_NAPOT    (UINT64_C(1) << 63) /* Svnapot */
#define HVPT_GSTAGE_RESERVED     (UINT64_C(0x7f) << 54)

/* The two bits for software (RSW), and what the engine keeps there. */
#define HVPT_GSTAGE_BIT_LOGGED     (UINT64_C(1) << 8)
#define HVPT_GSTAGE_BIT_TABLE_FULL (UINT64_C(1) << 8)
#define HVPT_GSTAGE_SOFTWARE_SHIFT 9
#define HVPT_GSTAGE_SOFTWARE_MAX   UINT32_C(1)

/* Svnapot's one size: 16 pages of 4 KiB; the low four bits of the page number read 1000. */
#define HVPT_GSTAGE_NAPOT_PAGES 16u
#define HVPT_GSTAGE_NAPOT_PPN   (UINT64_C(15) << HVPT_GSTAGE_PPN_SHIFT)
#define HVPT_GSTAGE_NAPOT_64K   (UINT64_C(8) << HVPT_GSTAGE_PPN_SHIFT)

/* ---- hgatp: "Hypervisor Guest Address Translation and Protection (hgatp) Register" ---- */

#define HVPT_HGATP_MODE_SHIFT 60
#define HVPT_HGATP_VMID_SHIFT 44
#define HVPT_HGATP_PPN_BITS   UINT64_C(0x00000fffffffffff)

enum { HVPT_GSTAGE_SV39X4 = 8, HVPT_GSTAGE_SV48X4 = 9, HVPT_GSTAGE_SV57X4 = 10 };

/* Extensions of the hart, enabled for its guests, for config.features. */
enum {
    /* memory types; without it every page is as the platform says (HVPT_MEM_WB only) */
    HVPT_GSTAGE_USE_SVPBMT = 1 << 0,
    HVPT_GSTAGE_USE_SVNAPOT = 1 << 1, /* runs of 64 KiB are joined where they fit */
    HVPT_GSTAGE_USE_SVADU = 1 << 2,   /* hardware sets the accessed and dirty bits, instead of faulting */
    HVPT_GSTAGE_USE_ALL = (1 << 3) - 1
};

/*
 * mode: HVPT_GSTAGE_SV39X4 .. SV57X4, as in hgatp; 0: Sv48x4.
 * max_page_size: HVPT_4K, HVPT_2M, HVPT_1G, HVPT_512G or 256 TiB; 0: the largest the mode has.
 * maxphyaddr: bits of a physical address, 32 to 56; 0: 56.
 * features: HVPT_GSTAGE_USE_...; policy: HVPT_POLICY_...
 */
struct hvpt_gstage_config {
    unsigned mode;
    uint64_t max_page_size;
    unsigned maxphyaddr;
    uint32_t features;
    uint32_t policy;
};

/* One guest's G-stage tables. Move it only while nobody uses it. */
struct hvpt_gstage {
    struct hvpt_space space;
};

/* ---- rules ---- */

/*
 * Can this hart express attr in a leaf?  HVPT_E_ATTR if not.
 * Write without read is reserved; one execute bit serves all modes; memory types other than the platform's own want
 * Svpbmt, which has NC (here HVPT_MEM_WC) and IO (HVPT_MEM_UC).
 */
static inline enum hvpt_status hvpt_gstage_check_attr(const struct hvpt_space *space, struct hvpt_attr attr)
{
    const uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED;

    if (attr.perm == 0 || (attr.perm & ~HVPT_PERM_ALL) || attr.software > HVPT_GSTAGE_SOFTWARE_MAX
        || (attr.flags & ~flags))
        return HVPT_E_ATTR;
    if ((attr.perm & (HVPT_READ | HVPT_WRITE)) == HVPT_WRITE
        || (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)) == HVPT_EXEC_USER)
        return HVPT_E_ATTR;
    if (attr.memtype == HVPT_MEM_WB)
        return HVPT_OK;
    if ((attr.memtype == HVPT_MEM_WC || attr.memtype == HVPT_MEM_UC) && (space->features & HVPT_GSTAGE_USE_SVPBMT))
        return HVPT_OK;
    return HVPT_E_ATTR;
}

static inline unsigned hvpt_gstage_attr_level(const struct hvpt_space *space, struct hvpt_attr attr)
{
    (void)attr;
    return space->max_leaf_level;
}

/*
 * The leaf for the page at hpa. attr has passed hvpt_gstage_check_attr and hpa is aligned to the page: cannot fail.
 * Without Svadu a page is mapped accessed and, if it may be written, dirty: otherwise its first use would fault.
 */
static inline uint64_t hvpt_gstage_make_leaf(const struct hvpt_space *space, uint64_t hpa, struct hvpt_attr attr,
                                             unsigned level)
{
    uint64_t entry =
        (hpa >> 12) << HVPT_GSTAGE_PPN_SHIFT | HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_USER
        | (attr.perm & HVPT_READ ? HVPT_GSTAGE_BIT_READ : 0) | (attr.perm & HVPT_WRITE ? HVPT_GSTAGE_BIT_WRITE : 0)
        | (attr.perm & HVPT_EXEC ? HVPT_GSTAGE_BIT_EXEC : 0) | (uint64_t)attr.software << HVPT_GSTAGE_SOFTWARE_SHIFT
        | (attr.flags & HVPT_LOGGED ? HVPT_GSTAGE_BIT_LOGGED : 0)
        | (attr.flags & HVPT_ACCESSED ? HVPT_GSTAGE_BIT_ACCESSED : 0)
        | (attr.flags & HVPT_DIRTY ? HVPT_GSTAGE_BIT_DIRTY : 0)
        | (attr.memtype == HVPT_MEM_WC   ? UINT64_C(1) << HVPT_GSTAGE_PBMT_SHIFT
           : attr.memtype == HVPT_MEM_UC ? UINT64_C(2) << HVPT_GSTAGE_PBMT_SHIFT
                                         : 0);

    (void)level;
    if (!(space->features & HVPT_GSTAGE_USE_SVADU))
        entry |= HVPT_GSTAGE_BIT_ACCESSED | (attr.perm & HVPT_WRITE ? HVPT_GSTAGE_BIT_DIRTY : 0);
    return entry;
}

static inline uint64_t hvpt_gstage_leaf_step(unsigned level)
{
    return (UINT64_C(1) << HVPT_GSTAGE_PPN_SHIFT) << (9 * level);
}

/* No rights make a reference to a table; its A, D and U bits are reserved. */
static inline uint64_t hvpt_gstage_make_table(const struct hvpt_space *space, uint64_t frame)
{
    (void)space;
    return (frame >> 12) << HVPT_GSTAGE_PPN_SHIFT | HVPT_GSTAGE_BIT_VALID;
}

static inline bool hvpt_gstage_is_table(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return level != 0 && (entry & space->plain_table_mask) == HVPT_GSTAGE_BIT_VALID;
}

/* The entry is not empty. Reserved: bits 60:54, PBMT 3, PBMT and N without their extensions, misaligned pages. */
static inline bool hvpt_gstage_is_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    const uint64_t below = (hvpt_gstage_leaf_step(level) - 1) & HVPT_GSTAGE_PPN_BITS;
    const uint64_t pbmt = entry & HVPT_GSTAGE_PBMT_BITS;

    if (!(entry & (HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_EXEC))
        || (entry & (HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE)) == HVPT_GSTAGE_BIT_WRITE
        || (entry & (HVPT_GSTAGE_RESERVED | space->reserved_bits | below)) || pbmt == HVPT_GSTAGE_PBMT_BITS)
        return false;
    if (pbmt != 0 && !(space->features & HVPT_GSTAGE_USE_SVPBMT))
        return false;
    if (entry & HVPT_GSTAGE_BIT_NAPOT)
        return level == 0 && (space->features & HVPT_GSTAGE_USE_SVNAPOT)
            && (entry & HVPT_GSTAGE_NAPOT_PPN) == HVPT_GSTAGE_NAPOT_64K;
    return true;
}

static inline uint64_t hvpt_gstage_table_frame(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return ((entry & HVPT_GSTAGE_PPN_BITS) >> HVPT_GSTAGE_PPN_SHIFT) << 12;
}

/* In a NAPOT entry the low four bits of the page number are those of the guest's. */
static inline uint64_t hvpt_gstage_leaf_address(const struct hvpt_space *space, uint64_t entry, unsigned level,
                                                uint64_t gpa)
{
    uint64_t address = ((entry & HVPT_GSTAGE_PPN_BITS) >> HVPT_GSTAGE_PPN_SHIFT) << 12;

    (void)space, (void)level;
    if (HVPT_UNLIKELY(entry & HVPT_GSTAGE_BIT_NAPOT))
        return (address & ~(HVPT_64K - 1)) | (gpa & (HVPT_64K - 1) & ~(HVPT_4K - 1));
    return address;
}

static inline uint32_t hvpt_gstage_perm(uint64_t entry)
{
    if (HVPT_UNLIKELY(!(entry & HVPT_GSTAGE_BIT_USER)))
        return 0;
    return (entry & HVPT_GSTAGE_BIT_READ ? (uint32_t)HVPT_READ : 0)
         | (entry & HVPT_GSTAGE_BIT_WRITE ? (uint32_t)HVPT_WRITE : 0)
         | (entry & HVPT_GSTAGE_BIT_EXEC ? (uint32_t)HVPT_EXEC : 0);
}

/* Tables take nothing away: a table entry has no rights of its own. */
static inline uint32_t hvpt_gstage_table_perm(const struct hvpt_space *space, uint64_t entry)
{
    (void)space, (void)entry;
    return HVPT_PERM_ALL;
}

static inline struct hvpt_attr hvpt_gstage_leaf_attr(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;
    uint64_t pbmt = (entry & HVPT_GSTAGE_PBMT_BITS) >> HVPT_GSTAGE_PBMT_SHIFT;

    (void)space, (void)level;
    attr.perm = hvpt_gstage_perm(entry);
    attr.memtype = pbmt == 1 ? HVPT_MEM_WC : pbmt == 2 ? HVPT_MEM_UC : HVPT_MEM_WB;
    attr.flags = (entry & HVPT_GSTAGE_BIT_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0)
               | (entry & HVPT_GSTAGE_BIT_DIRTY ? (uint32_t)HVPT_DIRTY : 0)
               | (entry & HVPT_GSTAGE_BIT_LOGGED ? (uint32_t)HVPT_LOGGED : 0)
               | (entry & HVPT_GSTAGE_BIT_NAPOT ? (uint32_t)HVPT_JOINED : 0);
    attr.software = (uint32_t)(entry >> HVPT_GSTAGE_SOFTWARE_SHIFT) & HVPT_GSTAGE_SOFTWARE_MAX;
    return attr;
}

/* Without Svadu a page that becomes writable becomes dirty too, as one mapped so: its first write would fault. */
static inline uint64_t hvpt_gstage_attr_bits(const struct hvpt_space *space, unsigned level)
{
    (void)level;
    return HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC | HVPT_GSTAGE_BIT_LOGGED
         | (uint64_t)HVPT_GSTAGE_SOFTWARE_MAX << HVPT_GSTAGE_SOFTWARE_SHIFT
         | (space->features & HVPT_GSTAGE_USE_SVPBMT ? HVPT_GSTAGE_PBMT_BITS : 0)
         | (space->features & HVPT_GSTAGE_USE_SVADU ? 0 : HVPT_GSTAGE_BIT_DIRTY);
}

/* Large and small leaves look alike. */
static inline uint64_t hvpt_gstage_child_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return entry;
}

static inline uint64_t hvpt_gstage_parent_leaf(uint64_t entry, unsigned level)
{
    (void)level;
    return entry;
}

static inline unsigned hvpt_gstage_join_count(const struct hvpt_space *space, unsigned level)
{
    return level == 0 && (space->features & HVPT_GSTAGE_USE_SVNAPOT) ? HVPT_GSTAGE_NAPOT_PAGES : 1;
}

static inline uint64_t hvpt_gstage_join(uint64_t entry, unsigned level)
{
    (void)level;
    return (entry & ~HVPT_GSTAGE_NAPOT_PPN) | HVPT_GSTAGE_NAPOT_64K | HVPT_GSTAGE_BIT_NAPOT;
}

/* All sixteen entries are the same. */
static inline uint64_t hvpt_gstage_join_step(unsigned level)
{
    (void)level;
    return 0;
}

static inline bool hvpt_gstage_is_joined(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    (void)space;
    return level == 0 && (entry & HVPT_GSTAGE_BIT_NAPOT) != 0;
}

static inline uint64_t hvpt_gstage_unjoin(uint64_t entry, unsigned level, uint64_t gpa)
{
    (void)level;
    return (entry & ~(HVPT_GSTAGE_NAPOT_PPN | HVPT_GSTAGE_BIT_NAPOT))
         | ((gpa >> 12) << HVPT_GSTAGE_PPN_SHIFT & HVPT_GSTAGE_NAPOT_PPN);
}

/* Kept by hardware with Svadu, by software without: an access that would set them faults then. */
static inline uint64_t hvpt_gstage_hardware_bits(const struct hvpt_space *space, uint64_t entry)
{
    (void)entry;
    (void)space;
    return HVPT_GSTAGE_BIT_ACCESSED | HVPT_GSTAGE_BIT_DIRTY;
}

static inline uint64_t hvpt_gstage_leaf_clean(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_GSTAGE_BIT_DIRTY;
}

static inline uint64_t hvpt_gstage_leaf_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~HVPT_GSTAGE_BIT_ACCESSED;
}

static inline uint64_t hvpt_gstage_leaf_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    (void)space;
    if ((access & HVPT_WRITE) && (entry & HVPT_GSTAGE_BIT_LOGGED))
        entry = (entry & ~HVPT_GSTAGE_BIT_LOGGED) | HVPT_GSTAGE_BIT_WRITE;
    if (!(hvpt_gstage_perm(entry) & access))
        return entry;
    return entry | HVPT_GSTAGE_BIT_ACCESSED | (access & HVPT_WRITE ? HVPT_GSTAGE_BIT_DIRTY : 0);
}

static enum hvpt_status hvpt_gstage_look(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                         enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_gstage_change(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                           enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_gstage_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                            enum hvpt_visit visit, void *ctx);
static enum hvpt_status hvpt_gstage_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                               struct hvpt_attr attr, struct hvpt_flush *flush);
static enum hvpt_status hvpt_gstage_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                 struct hvpt_flush *flush);
static enum hvpt_status hvpt_gstage_protect_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                   struct hvpt_attr attr, uint32_t mask, bool log,
                                                   struct hvpt_flush *flush);
static enum hvpt_status hvpt_gstage_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                            struct hvpt_run *found);
static void hvpt_gstage_split_leaf(struct hvpt_space *space, struct hvpt_frames *list, struct hvpt_flush *flush,
                                   const struct hvpt_run *run);
static void hvpt_gstage_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa,
                                    uint64_t hpa, struct hvpt_attr attr, unsigned level);
static void hvpt_gstage_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run);
static void hvpt_gstage_settle(struct hvpt_space *space, struct hvpt_flush *flush);
static bool hvpt_gstage_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size);
static void hvpt_gstage_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_place *place);
static struct hvpt_found hvpt_gstage_find_far(const struct hvpt_space *space, uint64_t gpa);
static enum hvpt_status hvpt_gstage_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                   uint64_t page_size, struct hvpt_attr attr);
static enum hvpt_status hvpt_gstage_translate_rest(const struct hvpt_space *space, uint64_t gpa, uint64_t entry,
                                                   unsigned level, uint32_t perm, struct hvpt_mapping *out);

static const struct hvpt_format hvpt_gstage_format = {
    HVPT_KIND_GSTAGE,
    12,   /* page_shift */
    true, /* mapping_needs_flush: without Svvptc an invalid entry may be cached, too */
    true, /* relaxing_needs_flush: a stale entry goes on faulting until HFENCE.GVMA */
    0,    /* break_bits */
    HVPT_GSTAGE_BIT_TABLE_FULL,
    0, /* linear_block */
    hvpt_gstage_check_attr,
    hvpt_gstage_attr_level,
    hvpt_gstage_make_leaf,
    hvpt_gstage_leaf_step,
    hvpt_gstage_make_table,
    hvpt_gstage_is_table,
    hvpt_gstage_is_leaf,
    hvpt_gstage_table_frame,
    hvpt_gstage_table_frame, /* plain_frame */
    hvpt_gstage_leaf_address,
    hvpt_gstage_leaf_attr,
    hvpt_gstage_table_perm,
    hvpt_gstage_child_leaf,
    hvpt_gstage_parent_leaf,
    hvpt_gstage_attr_bits,
    hvpt_gstage_join_count,
    hvpt_gstage_join,
    hvpt_gstage_join_step,
    hvpt_gstage_is_joined,
    hvpt_gstage_unjoin,
    hvpt_gstage_hardware_bits,
    hvpt_gstage_leaf_clean,
    hvpt_gstage_leaf_forget,
    hvpt_gstage_leaf_touch,
    hvpt_gstage_look,
    hvpt_gstage_change,
    hvpt_gstage_harvest,
    hvpt_gstage_map_pieces,
    hvpt_gstage_unmap_pieces,
    hvpt_gstage_protect_pieces,
    hvpt_gstage_descend,
    hvpt_gstage_split_leaf,
    hvpt_gstage_fill_leaves,
    hvpt_gstage_unlink_table,
    hvpt_gstage_settle,
    hvpt_gstage_holds_table,
    hvpt_gstage_fault_map_rest,
    hvpt_gstage_find,
    hvpt_gstage_find_far,
    hvpt_gstage_translate_rest,
};

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_gstage_look(const struct hvpt_space *space, uint64_t start,
                                                                   uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_gstage_format, space, start, end, HVPT_VISITS_LOOK, visit, ctx);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_gstage_change(const struct hvpt_space *space, uint64_t start,
                                                                     uint64_t end, enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_gstage_format, space, start, end, HVPT_VISITS_CHANGE, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_gstage_harvest(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                          enum hvpt_visit visit, void *ctx)
{
    return hvpt_traverse(&hvpt_gstage_format, space, start, end, HVPT_VISITS_HARVEST, visit, ctx);
}

static HVPT_NOINLINE enum hvpt_status hvpt_gstage_map_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                             uint64_t size, struct hvpt_attr attr,
                                                             struct hvpt_flush *flush)
{
    return hvpt_map_pieces(&hvpt_gstage_format, space, gpa, hpa, size, attr, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_gstage_unmap_pieces(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                               struct hvpt_flush *flush)
{
    return hvpt_unmap_pieces(&hvpt_gstage_format, space, gpa, size, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_gstage_descend(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                                          struct hvpt_run *found)
{
    return hvpt_descend(&hvpt_gstage_format, space, gpa, lowest, found);
}

HVPT_SELDOM static HVPT_NOINLINE void hvpt_gstage_split_leaf(struct hvpt_space *space, struct hvpt_frames *list,
                                                             struct hvpt_flush *flush, const struct hvpt_run *run)
{
    hvpt_split_leaf(&hvpt_gstage_format, space, list, flush, run);
}

HVPT_OFTEN static HVPT_NOINLINE void hvpt_gstage_fill_leaves(const struct hvpt_space *space, hvpt_entry *slot,
                                                             unsigned count, uint64_t gpa, uint64_t hpa,
                                                             struct hvpt_attr attr, unsigned level)
{
    hvpt_fill_leaves(&hvpt_gstage_format, space, slot, count, gpa, hpa, attr, level);
}

static HVPT_NOINLINE void hvpt_gstage_unlink_table(struct hvpt_space *space, struct hvpt_flush *flush,
                                                   const struct hvpt_run *run)
{
    hvpt_unlink_table(&hvpt_gstage_format, space, flush, run);
}

static HVPT_NOINLINE void hvpt_gstage_settle(struct hvpt_space *space, struct hvpt_flush *flush)
{
    hvpt_settle(&hvpt_gstage_format, space, flush);
}

static HVPT_NOINLINE enum hvpt_status hvpt_gstage_translate_rest(const struct hvpt_space *space, uint64_t gpa,
                                                                 uint64_t entry, unsigned level, uint32_t perm,
                                                                 struct hvpt_mapping *out)
{
    return hvpt_translate_rest(&hvpt_gstage_format, space, gpa, entry, level, perm, out);
}

static HVPT_NOINLINE void hvpt_gstage_find(const struct hvpt_space *space, uint64_t gpa, unsigned lowest,
                                           struct hvpt_place *place)
{
    hvpt_find(&hvpt_gstage_format, space, gpa, lowest, place);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_gstage_fault_map_rest(struct hvpt_space *space, hvpt_gpa gpa,
                                                                             hvpt_hpa hpa, uint64_t page_size,
                                                                             struct hvpt_attr attr)
{
    return hvpt_fault_map_rest(&hvpt_gstage_format, space, gpa, hpa, page_size, attr);
}

HVPT_SELDOM static HVPT_NOINLINE enum hvpt_status hvpt_gstage_protect_pieces(struct hvpt_space *space, uint64_t gpa,
                                                                             uint64_t size, struct hvpt_attr attr,
                                                                             uint32_t mask, bool log,
                                                                             struct hvpt_flush *flush)
{
    return hvpt_protect_pieces(&hvpt_gstage_format, space, gpa, size, attr, mask, log, flush);
}

static HVPT_NOINLINE struct hvpt_found hvpt_gstage_find_far(const struct hvpt_space *space, uint64_t gpa)
{
    return hvpt_find_far(&hvpt_gstage_format, space, gpa);
}

HVPT_SELDOM static HVPT_NOINLINE bool hvpt_gstage_holds_table(const struct hvpt_space *space, uint64_t hpa,
                                                              uint64_t size)
{
    return hvpt_holds_table(&hvpt_gstage_format, space, hpa, size);
}

/* ---- the face ---- */

/* config into numbers; no root yet. HVPT_E_ATTR: no such hart or no such config. */
HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_configure(struct hvpt_space *space,
                                                                 const struct hvpt_hooks *hooks,
                                                                 const struct hvpt_gstage_config *config)
{
    unsigned mode = config->mode == 0 ? (unsigned)HVPT_GSTAGE_SV48X4 : config->mode;
    unsigned maxphyaddr = config->maxphyaddr == 0 ? 56 : config->maxphyaddr;
    unsigned level = 0;
    enum hvpt_status status;

    hvpt_clear_space(space);
    status = hvpt_set_hooks(space, hooks);
    if (status != HVPT_OK)
        return status;
    if (mode < HVPT_GSTAGE_SV39X4 || mode > HVPT_GSTAGE_SV57X4 || maxphyaddr < 32 || maxphyaddr > 56)
        return HVPT_E_ATTR;
    if ((config->features & ~(uint32_t)HVPT_GSTAGE_USE_ALL)
        || (config->policy & ~(uint32_t)(HVPT_POLICY_EXEC_4K_ONLY | HVPT_POLICY_GUARD_TABLES)))
        return HVPT_E_ATTR;

    space->kind = HVPT_KIND_GSTAGE;
    space->flush_kind = HVPT_FLUSH_HFENCE;
    space->page_shift = 12;
    space->root_level = (uint8_t)(mode - 6);
    space->root_order = 2; /* four tables side by side: the x4 */
    space->gpa_limit = UINT64_C(1) << (12 + 9 * (mode - 5) + 2);
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->reserved_bits = HVPT_GSTAGE_PPN_BITS & ~(((space->hpa_limit >> 12) - 1) << HVPT_GSTAGE_PPN_SHIFT);
    space->features = config->features;
    space->policy = config->policy;
    space->present_mask = HVPT_GSTAGE_BIT_VALID;
    space->plain_table_bits = HVPT_GSTAGE_BIT_VALID;
    space->plain_table_mask = HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE
                            | HVPT_GSTAGE_BIT_EXEC | HVPT_GSTAGE_BIT_USER | HVPT_GSTAGE_BIT_ACCESSED
                            | HVPT_GSTAGE_BIT_DIRTY | HVPT_GSTAGE_RESERVED | HVPT_GSTAGE_PBMT_BITS
                            | HVPT_GSTAGE_BIT_NAPOT | space->reserved_bits;
    space->plain_leaf_bits = HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_READ;
    space->plain_leaf_mask = space->plain_leaf_bits | HVPT_GSTAGE_RESERVED | HVPT_GSTAGE_PBMT_BITS
                           | HVPT_GSTAGE_BIT_NAPOT | space->reserved_bits;
    space->max_leaf_level = space->root_level;
    if (config->max_page_size != 0) {
        while (level <= space->root_level && (HVPT_4K << (9 * level)) != config->max_page_size)
            level++;
        if (level > space->root_level)
            return HVPT_E_ATTR;
        space->max_leaf_level = (uint8_t)level;
    }
    space->root_register = (uint64_t)mode << HVPT_HGATP_MODE_SHIFT;
    return HVPT_OK;
}

/*
 * Make an empty space. hooks stays in use until destroy; config is read and not kept. The root takes 16 KiB (order 2).
 * HVPT_E_ATTR: the hart or this library cannot do what config asks.  HVPT_E_NOMEM: no frame for the root.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_init(struct hvpt_gstage *gstage,
                                                                           const struct hvpt_hooks *hooks,
                                                                           const struct hvpt_gstage_config *config)
{
    enum hvpt_status status = hvpt_gstage_configure(&gstage->space, hooks, config);

    if (status == HVPT_OK)
        status = hvpt_create_root(&hvpt_gstage_format, &gstage->space);
    if (status == HVPT_OK)
        gstage->space.root_register |= gstage->space.root_frame >> 12;
    return status;
}

/*
 * Take over the tables of an hgatp; the mode is its own, the VMID is ignored, the rest is as config says.
 * readonly: nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing. Else the
 * tables are this space's from now on, as if its hooks had allocated them.
 * HVPT_E_ATTR: as init.  HVPT_E_ALIGN: the root is not aligned to 16 KiB.  HVPT_E_RANGE: it is beyond maxphyaddr.
 * HVPT_E_CORRUPT: a table cannot be reached or, unless readonly, an entry is not well-formed.
 */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_adopt(struct hvpt_gstage *gstage,
                                                                            const struct hvpt_hooks *hooks,
                                                                            const struct hvpt_gstage_config *config,
                                                                            uint64_t hgatp, bool readonly)
{
    struct hvpt_gstage_config own = *config;
    uint64_t frame = (hgatp & HVPT_HGATP_PPN_BITS) << 12;
    enum hvpt_status status;

    own.mode = (unsigned)(hgatp >> HVPT_HGATP_MODE_SHIFT);
    if (own.mode == 0)
        return HVPT_E_ATTR;
    status = hvpt_gstage_configure(&gstage->space, hooks, &own);
    if (status != HVPT_OK)
        return status;
    if (frame & (HVPT_16K - 1))
        return HVPT_E_ALIGN;
    if (frame >= gstage->space.hpa_limit)
        return HVPT_E_RANGE;
    gstage->space.root_register |= frame >> 12;
    return hvpt_adopt_root(&hvpt_gstage_format, &gstage->space, frame, readonly);
}

/* Free every frame. No hart may use the tables any more, and all flushes asked for have been done. */
static inline void hvpt_gstage_destroy(struct hvpt_gstage *gstage)
{
    hvpt_close_space(&hvpt_gstage_format, &gstage->space);
}

/* hgatp with VMID 0: or yours in at HVPT_HGATP_VMID_SHIFT. */
static inline uint64_t hvpt_gstage_root(const struct hvpt_gstage *gstage)
{
    return gstage->space.root_register;
}

/* As hvpt_map_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_gstage_map(struct hvpt_gstage *gstage, hvpt_gpa gpa, hvpt_hpa hpa,
                                                            uint64_t size, struct hvpt_attr attr,
                                                            struct hvpt_flush *flush)
{
    return hvpt_map_range(&hvpt_gstage_format, &gstage->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_unmap_range. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_gstage_unmap(struct hvpt_gstage *gstage, hvpt_gpa gpa, uint64_t size,
                                                              struct hvpt_flush *flush)
{
    return hvpt_unmap_range(&hvpt_gstage_format, &gstage->space, gpa, size, flush);
}

/* As hvpt_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_protect(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                  uint64_t size, struct hvpt_attr attr, uint32_t mask,
                                                                  struct hvpt_flush *flush)
{
    return hvpt_protect_range(&hvpt_gstage_format, &gstage->space, gpa, size, attr, mask, flush);
}

/* As hvpt_replace_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_replace(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                  hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                                                  struct hvpt_flush *flush)
{
    return hvpt_replace_range(&hvpt_gstage_format, &gstage->space, gpa, hpa, size, attr, flush);
}

/* As hvpt_fault_map_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_fault_map(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                    hvpt_hpa hpa, uint64_t page_size,
                                                                    struct hvpt_attr attr)
{
    return hvpt_fault_map_page(&hvpt_gstage_format, &gstage->space, gpa, hpa, page_size, attr);
}

/* As hvpt_touch_page. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_touch(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                uint32_t access)
{
    return hvpt_touch_page(&hvpt_gstage_format, &gstage->space, gpa, access);
}

/* As hvpt_translate_one. */
HVPT_NODISCARD HVPT_ENGINE enum hvpt_status hvpt_gstage_translate(const struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                  struct hvpt_mapping *out)
{
    return hvpt_translate_one(&hvpt_gstage_format, &gstage->space, gpa, out);
}

/* As hvpt_translate_many. */
static inline void hvpt_gstage_translate_batch(const struct hvpt_gstage *gstage, const hvpt_gpa *gpa, size_t count,
                                               struct hvpt_mapping *out, enum hvpt_status *status)
{
    hvpt_translate_many(&hvpt_gstage_format, &gstage->space, gpa, count, out, status);
}

/* As hvpt_walk_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_walk(const struct hvpt_gstage *gstage,
                                                                           hvpt_gpa gpa, uint64_t size,
                                                                           const struct hvpt_visitor *visitor)
{
    return hvpt_walk_range(&hvpt_gstage_format, &gstage->space, gpa, size, visitor);
}

/* As hvpt_next_leaf. */
static inline bool hvpt_gstage_next_leaf(const struct hvpt_gstage *gstage, struct hvpt_leaf_iterator *iterator,
                                         hvpt_gpa *gpa, struct hvpt_mapping *mapping)
{
    return hvpt_next_leaf(&hvpt_gstage_format, &gstage->space, iterator, gpa, mapping);
}

/* As hvpt_split_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_split(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                            uint64_t size, uint64_t page_size,
                                                                            struct hvpt_flush *flush)
{
    return hvpt_split_range(&hvpt_gstage_format, &gstage->space, gpa, size, page_size, flush);
}

/* As hvpt_collapse_range. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_collapse(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                               uint64_t size, struct hvpt_flush *flush,
                                                                               struct hvpt_collapse_report *report)
{
    return hvpt_collapse_range(&hvpt_gstage_format, &gstage->space, gpa, size, flush, report);
}

/* As hvpt_harvest_range, for accessed pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_age(struct hvpt_gstage *gstage, hvpt_gpa gpa, uint64_t size,
                                                              uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_gstage_format, &gstage->space, gpa, size, false, bitmap, flush);
}

/* As hvpt_harvest_range, for dirty pages. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_dirty(struct hvpt_gstage *gstage, hvpt_gpa gpa, uint64_t size,
                                                                uint64_t *bitmap, struct hvpt_flush *flush)
{
    return hvpt_harvest_range(&hvpt_gstage_format, &gstage->space, gpa, size, true, bitmap, flush);
}

/* As hvpt_write_protect_range. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_write_protect(struct hvpt_gstage *gstage, hvpt_gpa gpa,
                                                                        uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_write_protect_range(&hvpt_gstage_format, &gstage->space, gpa, size, flush);
}

/* As hvpt_map_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_frames_needed(const struct hvpt_gstage *gstage,
                                                                                    hvpt_gpa gpa, hvpt_hpa hpa,
                                                                                    uint64_t size,
                                                                                    struct hvpt_attr attr,
                                                                                    uint64_t *frames)
{
    return hvpt_map_needs(&hvpt_gstage_format, &gstage->space, gpa, hpa, size, attr, frames);
}

/* As hvpt_unmap_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_frames_needed_to_unmap(
    const struct hvpt_gstage *gstage, hvpt_gpa gpa, uint64_t size, uint64_t *frames)
{
    return hvpt_unmap_needs(&hvpt_gstage_format, &gstage->space, gpa, size, frames);
}

/* As hvpt_split_needs. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_frames_needed_to_split(
    const struct hvpt_gstage *gstage, hvpt_gpa gpa, uint64_t size, uint64_t page_size, uint64_t *frames)
{
    return hvpt_split_needs(&hvpt_gstage_format, &gstage->space, gpa, size, page_size, frames);
}

/* As hvpt_reserve_frames. */
HVPT_NODISCARD HVPT_SELDOM static inline enum hvpt_status hvpt_gstage_reserve(struct hvpt_gstage *gstage,
                                                                              uint64_t frames)
{
    return hvpt_reserve_frames(&gstage->space, frames);
}

/* Do what flush asks for, by the hook, and free the frames that waited for it; flush is empty afterwards. */
static inline void hvpt_gstage_flush(struct hvpt_gstage *gstage, struct hvpt_flush *flush)
{
    hvpt_gstage_settle(&gstage->space, flush);
}

/* As hvpt_read_stats. */
static inline void hvpt_gstage_stats(const struct hvpt_gstage *gstage, struct hvpt_stats *out)
{
    hvpt_read_stats(&gstage->space, out);
}

/* hvpt_gstage_explain, with the names of the rules above. */
#include "gstage_explain.h"

#endif
