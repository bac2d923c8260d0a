/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One guest's second-level tables: struct hvpt_space and the geometry of its tree.
 * A format fills in masks, shifts and rules at init; the engine knows the tables by these alone.
 */
#ifndef HVPT_ENGINE_SPACE_H
#define HVPT_ENGINE_SPACE_H

#include "../flush.h"
#include "../hooks.h"
#include "../types.h"

struct hvpt_rules;

/*
 * A bit of space->features, whatever the format: this library made the tables, so that what is marked in bits that
 * hardware ignores counts.
 */
#define HVPT_HAS_MARKS (UINT32_C(1) << 31)

/*
 * fault_map counts its smallest pages in one of these counters, which lie on cache lines of their own: CPUs that fault
 * at once would otherwise pass one line around, which costs more than the fault itself. See hvpt_shard_of.
 */
#define HVPT_SHARDS       4
#define HVPT_SHARD_STRIDE 8

/* log2 of a frame of order 0. Proofs define a smaller one, so that a table has four entries. */
#ifndef HVPT_FRAME_SHIFT
#define HVPT_FRAME_SHIFT 12u
#endif

/*
 * Free table frames, as a stack of chunks. A chunk is one frame that notes the addresses of up to 510 others, which
 * stay cold until they are used (half the time of a map). They come off it in the order in which they were allocated,
 * and then the frame itself: allocators tend to go upwards, and the processor's prefetcher likes that (3x). Its first
 * word is the head of the chunks below, and HVPT_FRAMES_END follows the last note. A head is the address of a frame
 * plus the number of its word that is next; 0: the stack is empty.
 */
#define HVPT_FRAMES_CHUNK (1u << (HVPT_FRAME_SHIFT - 3))
#define HVPT_FRAMES_NEXT  ((1u << HVPT_FRAME_SHIFT) - 1)
#define HVPT_FRAMES_END   UINT64_C(1)
struct hvpt_frames {
    hvpt_counter head;
    hvpt_counter count;
};

#ifdef HVPT_DEBUG
/* For debug.h: the calls at work by role, and the flush that one of them asked for and nobody has carried out. */
struct hvpt_debug {
    hvpt_counter at_work[6];
    const struct hvpt_flush *owed;
};
#endif

/*
 * One guest's tables. The members are private to the engine. Move it only while nobody uses it. What single pages need
 * comes first, because an instruction that reaches a member within the first 128 bytes is three bytes shorter.
 */
struct hvpt_space {
    const struct hvpt_rules *rules;
    const struct hvpt_hooks *hooks;
    void *linear; /* hooks->linear_map */
    hvpt_entry *root_table;
    uint64_t gpa_limit;    /* first guest-physical address beyond the space; 0: no space */
    uint64_t walk_limit;   /* the same for the inlined walk; 0: it cannot walk these tables */
    uint64_t fast_limit;   /* host-physical addresses below this need no check of their own; 0: all do */
    uint64_t present_mask; /* an entry with none of these bits set is empty */
    /*
     * An entry above level 0 with these bits under this mask, which holds all far_bits, is a table that denies nothing,
     * as the engine makes them.
     */
    uint64_t table_mask;
    uint64_t table_bits;
    uint64_t frame_mask; /* the address in usual tables and leaves, once it is shifted left by frame_shift */
    uint8_t kind;
    uint8_t frame_shift;
    uint8_t page_shift; /* log2 of the smallest page, which is also the size of a table */
    uint8_t root_level;
    bool called;                         /* hooks->phys_to_virt is there */
    bool map_flushes;                    /* a CPU may hold that an entry is empty until a flush */
    bool fault_quick;                    /* four levels, and fault_map can store usual_bits without asking the rules */
    uint8_t span_shift[HVPT_MAX_LEVELS]; /* log2 of what an entry of a table at each level covers */
    uint8_t max_leaf_level;              /* the largest page allowed */
    bool readonly;
    uint8_t usual_flags;  /* HVPT_ACCESSED, HVPT_DIRTY: what a leaf of usual_bits says beside that */
    bool relax_flushes;   /* permissions that grow are seen only after a flush (on x86 the fault itself flushes) */
    uint64_t empty_entry; /* what the engine writes to make an entry empty */
    uint64_t
        usual_bits; /* a smallest leaf, readable, writable and executable write-back memory; all ones: not possible */
    uint64_t page_mask;   /* all of a smallest leaf but its address */
    uint64_t break_bits;  /* of a leaf: they and its address change only by way of an empty entry and a flush */
    uint32_t pool_sequence; /* of the reserve; see hvpt_sequence_step */
    uint32_t policy;
    /* An entry at level 0 with these bits under this mask is a well-formed leaf, as most are. */
    uint64_t leaf_mask;
    uint64_t leaf_bits;
    uint64_t contig_bit;      /* marks a leaf that hardware may hold together with its neighbours; 0: none */
    uint64_t far_bits;        /* bits whose presence puts part of the address elsewhere: ask rules->address */
    uint64_t hardware_bits;   /* the accessed and dirty bits of a leaf */
    uint64_t dirty_gate;      /* a leaf that has this bit has another dirty bit, rules->gated_bit */
    uint64_t hpa_limit;       /* first host-physical address beyond MAXPHYADDR */
    uint64_t reserved_bits;   /* address bits that no entry may have set: MAXPHYADDR and up */
    uint64_t features;        /* the format's own, from its config and the CPU's capabilities */
    uint64_t format_register; /* stage 2: VTCR_EL2; NPT: the PAT that its memory types index */
    uint64_t root_frame;
    uint64_t root_register;               /* as hardware wants it; it also names the space in a flush */
    uint32_t index_mask[HVPT_MAX_LEVELS]; /* the entries of a table at each level, less one */
    uint8_t contig_log2[HVPT_MAX_LEVELS]; /* log2 of the leaves in a contiguous set; 0: none at this level */
    uint8_t flush_kind;
    uint8_t root_order;
    bool break_sizes; /* as break_bits, for a change of size or of membership in a contiguous set */

    /*
     * The cursor: the level 1 table that the last single page was mapped or unmapped through, and the number of the
     * range that it covers (none: all ones). It belongs to the writer alone; unlinking any table resets it.
     */
    uint32_t cursor_range;
    hvpt_entry *cursor_table;
    /*
     * The last attribute that map was given, and the smallest leaf that it makes. These, too, belong to the writer
     * alone.
     */
    struct hvpt_attr last_attr;
    uint64_t last_bits;

    uint32_t shard_user[HVPT_SHARDS];     /* whose stack, by its page, counts there; see hvpt_shard_of */
    hvpt_counter leaves[HVPT_MAX_LEVELS]; /* level 0 counts the writer's; the shards count fault_map's */
    hvpt_counter tables[HVPT_MAX_LEVELS];
    hvpt_counter shards[(HVPT_SHARDS - 1) * HVPT_SHARD_STRIDE + 1]; /* one in HVPT_SHARD_STRIDE is used */

    /* What is rarely touched shares the last shard's cache line. */
    struct hvpt_frames pool; /* reserve()d */
    /*
     * The first and the last byte of all frames that it ever had. HVPT_POLICY_GUARD_TABLES keeps them, so that it
     * rarely has to search.
     */
    hvpt_counter first_frame;
    hvpt_counter last_frame;
    hvpt_counter frames;
#ifdef HVPT_DEBUG
    struct hvpt_debug debug;
#endif
};

/* A hypervisor has one or several for each guest, so the size is kept small. */
#ifndef HVPT_DEBUG
HVPT_STATIC_ASSERT(sizeof(struct hvpt_space) <= 640, "struct hvpt_space");
#endif

/*
 * The frame_shift of this machine's own tables, and the only one of the inlined walk, where it is a constant: a shift
 * by a variable at each level costs a fifth of the throughput of cold walks. Tests define it to have RISC-V's elsewhere.
 */
#ifndef HVPT_NATIVE_SHIFT
#ifdef __riscv
#define HVPT_NATIVE_SHIFT 2
#else
#define HVPT_NATIVE_SHIFT 0
#endif
#endif

/* ---- geometry ---- */

/* Sets the shape of the tree: pages of 1 << page_shift bytes, levels 0 to root_level, gpa_bits address bits. */
static inline void hvpt_set_geometry(struct hvpt_space *space, unsigned page_shift, unsigned root_level,
                                     unsigned gpa_bits)
{
    unsigned level;

    space->page_shift = (uint8_t)page_shift;
    space->root_level = (uint8_t)root_level;
    space->gpa_limit = UINT64_C(1) << gpa_bits;
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        space->span_shift[level] = (uint8_t)(page_shift + level * (page_shift - 3));
        space->index_mask[level] = (UINT32_C(1) << (page_shift - 3)) - 1;
    }
    space->index_mask[root_level] = (UINT32_C(1) << (gpa_bits - space->span_shift[root_level])) - 1;
}

HVPT_INLINE unsigned hvpt_index_bits(const struct hvpt_space *space)
{
    return space->page_shift - 3u;
}

/* The entries of any table but a root, which may have more. */
HVPT_INLINE unsigned hvpt_entries(const struct hvpt_space *space)
{
    return 1u << hvpt_index_bits(space);
}

HVPT_INLINE unsigned hvpt_span_shift(const struct hvpt_space *space, unsigned level)
{
    return space->span_shift[level];
}

/* The order of the frame of any table but the root. */
HVPT_INLINE unsigned hvpt_table_order(const struct hvpt_space *space)
{
    return space->page_shift - HVPT_FRAME_SHIFT;
}

/* The bytes that one entry of a table at this level covers. */
HVPT_INLINE uint64_t hvpt_span(const struct hvpt_space *space, unsigned level)
{
    return UINT64_C(1) << hvpt_span_shift(space, level);
}

/* Which entry of the table at this level covers gpa, which is below gpa_limit. */
HVPT_INLINE unsigned hvpt_index(const struct hvpt_space *space, uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> hvpt_span_shift(space, level)) & space->index_mask[level];
}

HVPT_INLINE unsigned hvpt_table_entries(const struct hvpt_space *space, unsigned level)
{
    return space->index_mask[level] + 1;
}

/* A page size of this format as a level. HVPT_MAX_LEVELS: it is none. */
HVPT_FUNCTION HVPT_COLD unsigned hvpt_level_of(const struct hvpt_space *space, uint64_t page_size)
{
    unsigned level = 0;

    while (level <= space->root_level && hvpt_span(space, level) != page_size)
        level++;
    return level <= space->root_level ? level : HVPT_MAX_LEVELS;
}

/* How many entries of the table at level that covers at, from at's on, lie whole in [at, end). */
HVPT_FUNCTION HVPT_COLD unsigned hvpt_whole_entries(const struct hvpt_space *space, unsigned level, uint64_t at,
                                                    uint64_t end)
{
    const unsigned rest = hvpt_table_entries(space, level) - hvpt_index(space, at, level);
    const uint64_t whole = at & (hvpt_span(space, level) - 1) ? 0 : (end - at) >> hvpt_span_shift(space, level);

    return whole < rest ? (unsigned)whole : rest;
}

/* ---- access ---- */

#ifdef HVPT_STATIC_HOOKS
#define HVPT_HOOKS_KNOWN true
#ifdef HVPT_EXTERN
#error "HVPT_STATIC_HOOKS are inlined into static copies: not with HVPT_EXTERN or HVPT_IMPLEMENT"
#endif
#else
#define HVPT_HOOKS_KNOWN false
#endif

HVPT_INLINE const struct hvpt_hooks *hvpt_hooks_of(const struct hvpt_space *space)
{
#ifdef HVPT_STATIC_HOOKS
    (void)space;
    return &HVPT_STATIC_HOOKS;
#else
    return space->hooks;
#endif
}

HVPT_INLINE bool hvpt_hooks_called(const struct hvpt_space *space)
{
    return HVPT_HOOKS_KNOWN ? hvpt_hooks_of(space)->phys_to_virt != NULL : space->called;
}

/* Where this code sees an address of memory at a fixed offset, which may be 0. NULL: a 32-bit kernel cannot see it. */
HVPT_INLINE void *hvpt_linear_at(const void *linear, uint64_t address)
{
    if (sizeof(uintptr_t) < sizeof(address) && address > UINTPTR_MAX)
        return NULL;
    return (void *)((uintptr_t)linear + (uintptr_t)address);
}

/*
 * Where this code sees the table at frame. NULL: the environment knows of no such frame. The fixed offset is added
 * straight from memory, and to the frame alone, because each further register reduces how many walks can be in flight.
 */
HVPT_INLINE hvpt_entry *hvpt_table_by(const struct hvpt_space *space, bool called, uint64_t frame)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);

    if (called)
        return (hvpt_entry *)(hooks->phys_to_virt)(hooks->ctx, hvpt_make_hpa(frame));
    return (hvpt_entry *)hvpt_opaque(hvpt_linear_at(HVPT_HOOKS_KNOWN ? hooks->linear_map : space->linear, frame));
}

/* Did hvpt_table_by find the table?  Memory at a fixed offset always is. */
HVPT_INLINE bool hvpt_is_reached(bool called, const hvpt_entry *table)
{
    return (!called && sizeof(uintptr_t) >= sizeof(uint64_t)) || table != NULL;
}

/* hvpt_table_by out of line, for code that does not run once a page. */
HVPT_FUNCTION hvpt_entry *hvpt_table_at(const struct hvpt_space *space, uint64_t frame)
{
    return hvpt_table_by(space, hvpt_hooks_called(space), frame);
}

HVPT_INLINE bool hvpt_is_present(const struct hvpt_space *space, uint64_t entry)
{
    return (entry & space->present_mask) != 0;
}

/* ---- arguments ---- */

/* Does [address, address + size) lie below limit, and is it one page or more? No sum here can wrap. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_check_below(const struct hvpt_space *space, uint64_t address,
                                                          uint64_t size, uint64_t limit)
{
    if ((address | size) & (hvpt_span(space, 0) - 1))
        return HVPT_E_ALIGN;
    if (size == 0 || size > limit || address > limit - size)
        return HVPT_E_RANGE;
    return HVPT_OK;
}

/* Is it a range of this space? */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_check_range(const struct hvpt_space *space, uint64_t gpa, uint64_t size)
{
    return hvpt_check_below(space, gpa, size, space->gpa_limit);
}

/* The same for a range that is to be changed. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_check_edit(const struct hvpt_space *space, uint64_t gpa, uint64_t size)
{
    enum hvpt_status status = hvpt_check_range(space, gpa, size);

    return status == HVPT_OK && space->readonly ? HVPT_E_READONLY : status;
}

#endif
