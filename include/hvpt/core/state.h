/*
 * The state of one guest's second-level tables, the same for every format, and what a format must tell the engine.
 * Callers hold a struct hvpt_ept (npt, ...) that wraps a struct hvpt_space; its members are the engine's.
 */
#ifndef HVPT_CORE_STATE_H
#define HVPT_CORE_STATE_H

#include "../flush.h"
#include "../hooks.h"
#include "../types.h"
#include "visit.h"

enum hvpt_kind { HVPT_KIND_EPT, HVPT_KIND_NPT, HVPT_KIND_S2, HVPT_KIND_GSTAGE };

/* Of a space that is none of these: not initialized, destroyed, or the books of something else. space.h refuses it. */
#define HVPT_KIND_NONE 0xffu

/* Policies a space can be given at init, in config.policy. */
enum {
    HVPT_POLICY_EXEC_4K_ONLY =
        1, /* executable leaves are of the smallest size, against machine checks on page size changes */
    HVPT_POLICY_GUARD_TABLES = 2 /* refuse (HVPT_E_RANGE) to map a frame that holds one of this space's own tables */
};

/*
 * Leaves by level, tables by level (the root included), frames got from alloc_frame and not yet given back: tables, the
 * reserve, and tables that wait for their flush.
 */
struct hvpt_stats {
    hvpt_counter leaves[HVPT_MAX_LEVELS];
    hvpt_counter tables[HVPT_MAX_LEVELS];
    hvpt_counter frames;
    hvpt_counter reserved;
};

/*
 * fault_map counts here, in a stripe chosen by the caller's stack: CPUs that fault at once would otherwise pass one
 * cache line around, which costs more than the fault (bench: two that share a stripe take twice the time). So many that
 * two seldom do.
 */
#define HVPT_STRIPES_LOG2 5
#define HVPT_STRIPES      (1 << HVPT_STRIPES_LOG2)
struct hvpt_stripe {
    hvpt_counter leaves[HVPT_MAX_LEVELS];
    hvpt_counter unused[8 - HVPT_MAX_LEVELS];
};

/*
 * Frames taken in advance: a stack. Every 512th, beginning with the lowest, holds the addresses of the 511 above it, so
 * that the others need not be touched before they are used (bench: half the time of a map); its first eight bytes are
 * the address of the one that held the 511 below. head: the highest of those.
 */
#define HVPT_FRAMES_NOTED 512
struct hvpt_frames {
    uint64_t head;
    hvpt_counter count;
};

struct hvpt_space {
    const struct hvpt_hooks *hooks;
    char *linear; /* hooks->linear_map */
    hvpt_entry *root_table;
    uint64_t root_frame;
    uint64_t root_register;    /* as hardware wants it; also names the space in a flush */
    uint64_t control_register; /* what goes with it: VTCR_EL2 */
    uint64_t gpa_limit;        /* first guest-physical address beyond the space */
    uint64_t hpa_limit;        /* first host-physical address beyond MAXPHYADDR */
    uint64_t plain_limit;      /* the same where a page may be mapped without further questions, else 0 */
    uint64_t reserved_bits;    /* address bits that no entry may have set: MAXPHYADDR and up */
    uint64_t present_mask;     /* an entry with none of these bits set is empty */
    /*
     * An entry above level 0 that has these bits under this mask is a table that allows everything, as all are that the
     * engine makes; any other is looked at closely.
     */
    uint64_t plain_table_mask;
    uint64_t plain_table_bits;
    uint64_t plain_leaf_mask; /* the same for a leaf at level 0 that is well-formed, as most are */
    uint64_t plain_leaf_bits;
    uint64_t empty_entry;   /* what the engine writes to make an entry empty */
    uint64_t features;      /* the format's own, from its config and the CPU's capabilities */
    uint64_t memtype_codes; /* the format's own: how it encodes each memory type, and back */
    uint64_t memtype_names;
    uint32_t policy;
    uint8_t kind;
    uint8_t flush_kind;
    uint8_t root_level;
    uint8_t root_order;
    uint8_t table_order;    /* order of the frame of any other table */
    uint8_t page_shift;     /* log2 of the smallest page, for formats with a choice */
    uint8_t max_leaf_level; /* the largest page allowed */
    bool readonly;
    bool called; /* hooks->phys_to_virt is there */
    bool direct; /* the walk in line will do: see hvpt_goes_inline */

    /*
     * The cursor: the level 1 table that the last single page was mapped or unmapped through, and the number of the
     * range that it covers; none: all ones. The writer's alone. Whoever unlinks a table takes it back.
     */
    uint64_t cursor_range;
    hvpt_entry *cursor_table;

    struct hvpt_frames pool; /* reserve()d */
    /* Hull of all table frames, so that HVPT_POLICY_GUARD_TABLES seldom has to look closer. */
    hvpt_counter lowest_table;
    hvpt_counter highest_table;

    struct hvpt_stats stats;                       /* kept by the one writer */
    struct hvpt_stripe fault_leaves[HVPT_STRIPES]; /* kept by fault_map, from any CPU */
    hvpt_counter fault_tables[HVPT_MAX_LEVELS];
};

/* What a range holds: leaves by level, and the tables below the entries of level top and lower. */
struct hvpt_census {
    uint64_t gpa;
    uint64_t size;
    unsigned top;
    uint64_t leaves[HVPT_MAX_LEVELS];
    uint64_t tables[HVPT_MAX_LEVELS];
};

/*
 * A format: its bits and rules as constants and small functions without loops. Formats are static const objects, and the
 * engine's functions are inlined over them: no call is made for the small ones at run time (with -Os, where the compiler
 * does not fold them), and the parts at the end are called by name.
 */
struct hvpt_place;
struct hvpt_found;
struct hvpt_format {
    enum hvpt_kind kind;
    unsigned page_shift;       /* log2 of the smallest page, which is also the size of a table */
    bool mapping_needs_flush;  /* a CPU may hold that an entry is empty until a flush */
    bool relaxing_needs_flush; /* permissions that grow are seen only after a flush (x86: the fault flushes) */
    /* of a leaf: they change only by way of an empty entry and a flush, and so does its size */
    uint64_t break_bits;
    uint64_t table_full;   /* a bit of table entries that hardware ignores: set = all entries below are leaves */
    uint64_t linear_block; /* leaf encodings advance by leaf_step within an aligned block of this size; 0: always */

    /* Can the space's CPU express attr in a leaf?  HVPT_E_ATTR if not. */
    enum hvpt_status (*check_attr)(const struct hvpt_space *space, struct hvpt_attr attr);
    /* The highest level whose leaves can say attr. */
    unsigned (*attr_level)(const struct hvpt_space *space, struct hvpt_attr attr);
    /* The leaf for the page at hpa; attr has passed check_attr, hpa is aligned to the page: cannot fail. */
    uint64_t (*make_leaf)(const struct hvpt_space *space, uint64_t hpa, struct hvpt_attr attr, unsigned level);
    /* What to add to a leaf for the page that follows it. */
    uint64_t (*leaf_step)(unsigned level);
    /* An entry of a table at any level but 0 that refers to the table at frame. */
    uint64_t (*make_table)(const struct hvpt_space *space, uint64_t frame);

    /* Of an entry that is not empty: is it a well-formed reference to a table, a well-formed leaf? Neither: corrupt. */
    bool (*is_table)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    bool (*is_leaf)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    uint64_t (*table_frame)(const struct hvpt_space *space, uint64_t entry);
    /* The same of a plain one (struct hvpt_space, plain_table_mask). */
    uint64_t (*plain_frame)(const struct hvpt_space *space, uint64_t entry);
    /* Where the page begins that the leaf maps gpa to. */
    uint64_t (*leaf_address)(const struct hvpt_space *space, uint64_t entry, unsigned level, uint64_t gpa);
    struct hvpt_attr (*leaf_attr)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    /* The permissions that a table entry leaves to what is below it. */
    uint32_t (*table_perm)(const struct hvpt_space *space, uint64_t entry);

    /* The first leaf one level down when a leaf is split: same page, same attributes, accessed and dirty bits. */
    uint64_t (*child_leaf)(uint64_t entry, unsigned level);
    /* The reverse: what a leaf one level up looks like whose first part is entry. */
    uint64_t (*parent_leaf)(uint64_t entry, unsigned level);

    /* The bits of a leaf that attr decides; protect leaves the others alone. */
    uint64_t (*attr_bits)(const struct hvpt_space *space, unsigned level);
    /*
     * Neighbouring leaves that hardware may hold as one (Arm's contiguous bit, Svnapot): how many at this level, 1 for
     * none; one of them as part of the whole and back, position and all; what follows in the next entry.
     */
    unsigned (*join_count)(const struct hvpt_space *space, unsigned level);
    uint64_t (*join)(uint64_t entry, unsigned level);
    uint64_t (*join_step)(unsigned level);
    bool (*is_joined)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    uint64_t (*unjoin)(uint64_t entry, unsigned level, uint64_t gpa);

    /* The bits by which a leaf tells that it was used and written, where hardware or the engine sets them. 0: none. */
    uint64_t (*hardware_bits)(const struct hvpt_space *space, uint64_t entry);
    /* The leaf as if not written (clean), not used (forget) since; unchanged: it was not. See core/log.h. */
    uint64_t (*clean)(const struct hvpt_space *space, uint64_t entry);
    uint64_t (*forget)(const struct hvpt_space *space, uint64_t entry);
    /* The leaf with the rights back that clean and forget took, as far as access wants them. */
    uint64_t (*touch)(const struct hvpt_space *space, uint64_t entry, uint32_t access);

    /*
     * Parts of the engine that are compiled once a format, out of line: what runs once an operation or once a table,
     * and would only make the rest larger. Each is the engine's function of that name over this format.
     */
    enum hvpt_status (*look)(const struct hvpt_space *space, uint64_t start, uint64_t end, enum hvpt_visit visit,
                             void *ctx);
    enum hvpt_status (*change)(const struct hvpt_space *space, uint64_t start, uint64_t end, enum hvpt_visit visit,
                               void *ctx);
    enum hvpt_status (*harvest)(const struct hvpt_space *space, uint64_t start, uint64_t end, enum hvpt_visit visit,
                                void *ctx);
    enum hvpt_status (*map_pieces)(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                   struct hvpt_attr attr, struct hvpt_flush *flush);
    enum hvpt_status (*unmap_pieces)(struct hvpt_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush);
    enum hvpt_status (*protect_pieces)(struct hvpt_space *space, uint64_t gpa, uint64_t size, struct hvpt_attr attr,
                                       uint32_t mask, bool log, struct hvpt_flush *flush);
    enum hvpt_status (*descend)(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_run *found);
    void (*split_leaf)(struct hvpt_space *space, struct hvpt_frames *list, struct hvpt_flush *flush,
                       const struct hvpt_run *run);
    void (*fill_leaves)(const struct hvpt_space *space, hvpt_entry *slot, unsigned count, uint64_t gpa, uint64_t hpa,
                        struct hvpt_attr attr, unsigned level);
    void (*unlink_table)(struct hvpt_space *space, struct hvpt_flush *flush, const struct hvpt_run *run);
    void (*settle)(struct hvpt_space *space, struct hvpt_flush *flush);
    bool (*holds_table)(const struct hvpt_space *space, uint64_t hpa, uint64_t size);
    enum hvpt_status (*fault_map_rest)(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                       struct hvpt_attr attr);
    void (*find)(const struct hvpt_space *space, uint64_t gpa, unsigned lowest, struct hvpt_place *place);
    struct hvpt_found (*find_far)(const struct hvpt_space *space, uint64_t gpa);
    enum hvpt_status (*translate_rest)(const struct hvpt_space *space, uint64_t gpa, uint64_t entry, unsigned level,
                                       uint32_t perm, struct hvpt_mapping *out);
};

/* ---- geometry: pure arithmetic on levels, folded where the level is known ---- */

HVPT_DISSOLVE unsigned hvpt_index_bits(const struct hvpt_format *format)
{
    return format->page_shift - 3;
}

/* Entries of any table but a root, which may have more. */
HVPT_DISSOLVE unsigned hvpt_entries(const struct hvpt_format *format)
{
    return 1u << hvpt_index_bits(format);
}

HVPT_DISSOLVE unsigned hvpt_span_shift(const struct hvpt_format *format, unsigned level)
{
    return format->page_shift + level * hvpt_index_bits(format);
}

/* Bytes that one entry of a table at this level covers. */
HVPT_DISSOLVE uint64_t hvpt_span(const struct hvpt_format *format, unsigned level)
{
    return UINT64_C(1) << hvpt_span_shift(format, level);
}

/* Which entry of the table at this level covers gpa. A root's index is not masked: gpa is below gpa_limit. */
HVPT_DISSOLVE unsigned hvpt_index(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa,
                                  unsigned level)
{
    unsigned index = (unsigned)(gpa >> hvpt_span_shift(format, level));

    return level == space->root_level ? index : index & (hvpt_entries(format) - 1);
}

HVPT_DISSOLVE unsigned hvpt_table_entries(const struct hvpt_format *format, const struct hvpt_space *space,
                                          unsigned level)
{
    return level == space->root_level ? (unsigned)(space->gpa_limit >> hvpt_span_shift(format, level))
                                      : hvpt_entries(format);
}

/* ---- access ---- */

#ifdef HVPT_STATIC_HOOKS
#define HVPT_HOOKS_KNOWN true
#else
#define HVPT_HOOKS_KNOWN false
#endif

HVPT_DISSOLVE const struct hvpt_hooks *hvpt_hooks_of(const struct hvpt_space *space)
{
#ifdef HVPT_STATIC_HOOKS
    (void)space;
    return &HVPT_STATIC_HOOKS;
#else
    return space->hooks;
#endif
}

/*
 * How a walk sees tables, by calls or at a fixed offset, and knows plain ones. Read once: loads of entries are ordered, so
 * the compiler would read all that again after each of them.
 */
struct hvpt_view {
    bool called;
    uint64_t table_mask; /* the space's plain_table_mask and _bits */
    uint64_t table_bits;
};

HVPT_DISSOLVE bool hvpt_hooks_called(const struct hvpt_space *space)
{
    return HVPT_HOOKS_KNOWN ? hvpt_hooks_of(space)->phys_to_virt != NULL : space->called;
}

HVPT_DISSOLVE struct hvpt_view hvpt_view_of(const struct hvpt_space *space, bool called)
{
    struct hvpt_view view;

    view.called = called;
    view.table_mask = space->plain_table_mask;
    view.table_bits = space->plain_table_bits;
    return view;
}

/*
 * Where this code sees the table at frame. NULL: the environment knows of no such frame. The fixed offset is added from
 * memory, and to the frame alone: each further register takes its part of the walks that can be in flight.
 */
HVPT_DISSOLVE hvpt_entry *hvpt_table_by(const struct hvpt_space *space, bool called, uint64_t frame)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);

    if (called)
        return (hvpt_entry *)hooks->phys_to_virt(hooks->ctx, hvpt_make_hpa(frame));
    if (sizeof(uintptr_t) < sizeof(frame) && frame > UINTPTR_MAX)
        return NULL; /* a 32-bit kernel sees no such memory at a fixed offset */
    return (hvpt_entry *)hvpt_opaque((HVPT_HOOKS_KNOWN ? (char *)hooks->linear_map : space->linear) + (uintptr_t)frame);
}

/* Is this a table, as hvpt_table_by answered? Memory at a fixed offset is all there. */
HVPT_DISSOLVE bool hvpt_is_seen(bool called, const hvpt_entry *table)
{
    return (!called && sizeof(uintptr_t) >= sizeof(uint64_t)) || table != NULL;
}

HVPT_DISSOLVE hvpt_entry *hvpt_table_at(const struct hvpt_space *space, uint64_t frame)
{
    return hvpt_table_by(space, hvpt_hooks_called(space), frame);
}

HVPT_DISSOLVE bool hvpt_is_present(const struct hvpt_space *space, uint64_t entry)
{
    return (entry & space->present_mask) != 0;
}

/* ---- arguments ---- */

/* [gpa, gpa + size) lies in the space, is not empty and is whole pages. No sum here can wrap. */
HVPT_DISSOLVE enum hvpt_status hvpt_check_range(const struct hvpt_format *format, const struct hvpt_space *space,
                                                uint64_t gpa, uint64_t size)
{
    if ((gpa | size) & (hvpt_span(format, 0) - 1))
        return HVPT_E_ALIGN;
    if (size == 0 || size > space->gpa_limit || gpa > space->gpa_limit - size)
        return HVPT_E_RANGE;
    return HVPT_OK;
}

/* The same for the host side, which ends at MAXPHYADDR. */
HVPT_DISSOLVE enum hvpt_status hvpt_check_frames(const struct hvpt_format *format, const struct hvpt_space *space,
                                                 uint64_t hpa, uint64_t size)
{
    if (hpa & (hvpt_span(format, 0) - 1))
        return HVPT_E_ALIGN;
    if (size > space->hpa_limit || hpa > space->hpa_limit - size)
        return HVPT_E_RANGE;
    return HVPT_OK;
}

/* The largest pages that a mapping of gpa to hpa with these attributes can use anywhere. */
HVPT_DISSOLVE unsigned hvpt_leaf_level(const struct hvpt_format *format, const struct hvpt_space *space, uint64_t gpa,
                                       uint64_t hpa, struct hvpt_attr attr)
{
    unsigned level = format->attr_level(space, attr);

    if ((space->policy & HVPT_POLICY_EXEC_4K_ONLY) && (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
        level = 0;
    while (level > 0 && ((gpa ^ hpa) & (hvpt_span(format, level) - 1)))
        level--;
    return level;
}

#endif
