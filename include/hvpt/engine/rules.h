/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a format tells the engine: its functions, and constants. The engine calls them where the masks
 * in struct hvpt_space give no answer: once a call, once a table, or for unusual entries.
 */
#ifndef HVPT_ENGINE_RULES_H
#define HVPT_ENGINE_RULES_H

#include "atomic.h"
#include "space.h"

/*
 * What a leaf says, encoded once for a space: the leaf that maps hpa at level is bits[level] with the address put in.
 * max_level: the highest level whose leaves can say it. alone: not to be part of a contiguous set.
 */
struct hvpt_leaf {
    uint64_t bits[HVPT_MAX_LEVELS];
    unsigned max_level;
    bool alone;
};

/*
 * What an entry is, as judge answers. From HVPT_ENTRY_BROKEN up it is the number of the format's rule that it breaks.
 */
enum hvpt_entry_kind { HVPT_ENTRY_EMPTY, HVPT_ENTRY_TABLE, HVPT_ENTRY_LEAF, HVPT_ENTRY_BROKEN };

struct hvpt_rules {
    uint64_t full_bit;      /* a bit of table entries that hardware ignores: all entries of that table are leaves */
    uint64_t mark_bits;     /* bits of leaves that hardware ignores and the engine gives a meaning */
    uint64_t lenient_bits;  /* bits of leaves that may change without a flush if no permission is removed */
    uint64_t gated_bit;     /* set by hardware in leaves that have the space's dirty_gate */
    uint64_t contig_clear;  /* cleared and set in a leaf that becomes part of a contiguous set */
    uint64_t contig_set;

    /*
     * Encode attr for the leaves of every level, policy apart. HVPT_E_ATTR: this format or CPU cannot express it; leaf
     * is then undefined.
     */
    enum hvpt_status (*encode)(const struct hvpt_space *space, struct hvpt_attr attr, struct hvpt_leaf *leaf);
    /* What a well-formed leaf at level says. */
    struct hvpt_attr (*decode)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    /* HVPT_ENTRY_TABLE, HVPT_ENTRY_LEAF, HVPT_ENTRY_EMPTY, or the number of the first broken rule. */
    unsigned (*judge)(const struct hvpt_space *space, uint64_t entry, unsigned level);
    /* The permissions that a table entry leaves to what is below it. NULL: all, always. */
    uint32_t (*table_perm)(const struct hvpt_space *space, uint64_t entry);
    /* The address in an entry that has far_bits, and the bits of an entry for an address beyond 2^48. NULL: none. */
    uint64_t (*address)(const struct hvpt_space *space, uint64_t entry);
    uint64_t (*place)(const struct hvpt_space *space, uint64_t address);
    /* A leaf moved to the level below or above: same first page, attributes, accessed and dirty bits. */
    uint64_t (*relevel)(uint64_t entry, unsigned from, unsigned to);
    /*
     * entry with what mask names (as in protect) taken from wanted, a leaf that encode made for the same level. Nothing
     * else changes, and no accessed or dirty bit is lost.
     */
    uint64_t (*change)(const struct hvpt_space *space, uint64_t entry, uint64_t wanted, uint32_t mask, unsigned level);
    /* The leaf as one that was not written (clean) or not used (forget) since; unchanged if it was not. See track.h. */
    uint64_t (*clean)(const struct hvpt_space *space, uint64_t entry);
    uint64_t (*forget)(const struct hvpt_space *space, uint64_t entry);
    /* The leaf without the permission to write, which touch gives back; unchanged if it had none. */
    uint64_t (*log_writes)(const struct hvpt_space *space, uint64_t entry);
    /* The leaf with what clean, forget and log_writes took given back, as far as access needs it. */
    uint64_t (*touch)(const struct hvpt_space *space, uint64_t entry, uint32_t access);
    /*
     * The accesses that a leaf allows, HVPT_EXEC_USER among them where one bit is for all modes. others: include those
     * that it allows without the permission of that name, such as writes to shadow stacks.
     */
    uint32_t (*grants)(const struct hvpt_space *space, uint64_t entry, unsigned level, bool others);
    /*
     * hvpt_flush_grown, where a CPU may go on denying what has been mapped or allowed since (map_flushes,
     * relax_flushes). NULL: none does, and programs for this format do without it.
     */
    void (*grown)(struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa, uint64_t size, bool tables);
};

/* Addresses from here up may be encoded in two places; a run of entries never crosses a multiple of it. */
#define HVPT_FAR_ADDRESS (UINT64_C(1) << 48)

/* ---- entries, as the masks tell them ---- */

HVPT_INLINE bool hvpt_is_usual_table(const struct hvpt_space *space, uint64_t entry)
{
    return (entry & space->table_mask) == space->table_bits;
}

/* Judge an entry at level. */
HVPT_FUNCTION HVPT_COLD unsigned hvpt_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    if (!hvpt_is_present(space, entry))
        return HVPT_ENTRY_EMPTY;
    return (space->rules->judge)(space, entry, level);
}

/* Is this entry, present or not, a well-formed reference to a table? */
HVPT_FUNCTION bool hvpt_is_table(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return level != 0 && (hvpt_is_usual_table(space, entry) || hvpt_judge(space, entry, level) == HVPT_ENTRY_TABLE);
}

HVPT_INLINE bool hvpt_is_usual_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return level == 0 && (entry & space->leaf_mask) == space->leaf_bits;
}

/* Is this present entry a well-formed leaf? */
HVPT_FUNCTION bool hvpt_is_leaf(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return hvpt_is_usual_leaf(space, entry, level) || hvpt_judge(space, entry, level) == HVPT_ENTRY_LEAF;
}

HVPT_INLINE bool hvpt_is_contig(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    return (entry & space->contig_bit) != 0 && space->contig_log2[level] != 0;
}

/* The frame of the table that a well-formed table entry refers to. */
HVPT_FUNCTION uint64_t hvpt_frame_in(const struct hvpt_space *space, uint64_t entry)
{
    if (HVPT_UNLIKELY(entry & space->far_bits))
        return (space->rules->address)(space, entry);
    return (entry & space->frame_mask) << space->frame_shift;
}

/* That table, as this code sees it. NULL: it cannot be reached. */
HVPT_FUNCTION hvpt_entry *hvpt_table_below(const struct hvpt_space *space, uint64_t entry)
{
    return hvpt_table_at(space, hvpt_frame_in(space, entry));
}

HVPT_FUNCTION uint32_t hvpt_table_perm(const struct hvpt_space *space, uint64_t entry)
{
    return space->rules->table_perm == NULL ? HVPT_PERM_ALL : (space->rules->table_perm)(space, entry);
}

/* The address of the page to which the leaf at level maps gpa. */
HVPT_FUNCTION uint64_t hvpt_leaf_address(const struct hvpt_space *space, uint64_t entry, unsigned level, uint64_t gpa)
{
    const uint64_t clear = space->rules->contig_clear;

    if (HVPT_UNLIKELY(clear != 0 && hvpt_is_contig(space, entry, level)))
        entry = (entry & ~clear) | (gpa >> space->frame_shift & clear);
    return hvpt_frame_in(space, entry) & ~(hvpt_span(space, level) - 1);
}

/* The bits of an entry that refers to the page or table at address. */
HVPT_FUNCTION HVPT_COLD uint64_t hvpt_place(const struct hvpt_space *space, uint64_t address)
{
    if (HVPT_UNLIKELY(address >= HVPT_FAR_ADDRESS) && space->rules->place != NULL)
        return (space->rules->place)(space, address);
    return address >> space->frame_shift;
}

HVPT_INLINE uint64_t hvpt_make_table(const struct hvpt_space *space, uint64_t frame)
{
    return hvpt_place(space, frame) | space->table_bits;
}

/* What to add to a leaf for the page that follows it. */
HVPT_INLINE uint64_t hvpt_leaf_step(const struct hvpt_space *space, unsigned level)
{
    return hvpt_span(space, level) >> space->frame_shift;
}

/* The accessed and dirty bits of this leaf. */
HVPT_INLINE uint64_t hvpt_hardware_bits(const struct hvpt_space *space, uint64_t entry)
{
    return space->hardware_bits | (entry & space->dirty_gate ? space->rules->gated_bit : 0);
}

/* ---- attributes ---- */

/* Encode attr, once for a call, and apply the policies. HVPT_E_ATTR: it cannot be expressed, or a policy refuses it. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_leaf_make(const struct hvpt_space *space, struct hvpt_attr attr,
                                                        struct hvpt_leaf *leaf)
{
    enum hvpt_status status = (space->rules->encode)(space, attr, leaf);

    if (status == HVPT_OK && (space->policy & HVPT_POLICY_EXEC_4K_ONLY) && (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
        leaf->max_level = 0;
    leaf->alone = (attr.flags & HVPT_LOGGED) != 0; /* touch gives the permission back to one page alone */
    return status;
}

/* ---- flags, as rows of a table ---- */

/* A flag of attr.flags, its bit in a leaf, and the feature that the bit needs (0: none). */
struct hvpt_flag_bit {
    uint32_t flag;
    uint32_t feature;
    uint64_t bit;
};

struct hvpt_flag_table {
    const struct hvpt_flag_bit *rows;
    unsigned count;
};

/* The bits that flags stand for. false: one of them has no row, or its feature is off. */
HVPT_FUNCTION bool hvpt_flags_encode(const struct hvpt_flag_table *table, uint64_t features,
                                                   uint32_t flags, uint64_t *bits)
{
    unsigned i;

    for (i = 0; i < table->count && flags != 0; i++) {
        const struct hvpt_flag_bit *row = &table->rows[i];

        if (!(flags & row->flag) || (row->feature != 0 && !(features & row->feature)))
            continue;
        flags &= ~row->flag;
        *bits |= row->bit;
    }
    return flags == 0;
}

/* The flags that entry's bits stand for; bits of features that are off say nothing. */
HVPT_FUNCTION uint32_t hvpt_flags_decode(const struct hvpt_flag_table *table, uint64_t features,
                                                       uint64_t entry)
{
    uint32_t flags = 0;
    unsigned i;

    for (i = 0; i < table->count; i++) {
        const struct hvpt_flag_bit *row = &table->rows[i];

        if ((entry & row->bit) && (row->feature == 0 || (features & row->feature)))
            flags |= row->flag;
    }
    return flags;
}

/* The bits of the flags that these features allow, those that all formats share left out. */
HVPT_FUNCTION uint64_t hvpt_flags_bits(const struct hvpt_flag_table *table, uint64_t features)
{
    uint64_t bits = 0;
    unsigned i;

    for (i = 0; i < table->count; i++) {
        const struct hvpt_flag_bit *row = &table->rows[i];

        if (row->flag > HVPT_JOINED && (row->feature == 0 || (features & row->feature)))
            bits |= row->bit;
    }
    return bits;
}

#endif
