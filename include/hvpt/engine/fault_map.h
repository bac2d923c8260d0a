/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * fault_map: one page from a fault handler, on many CPUs at once, without a lock. The loser learns that it lost.
 */
#ifndef HVPT_ENGINE_FAULT_MAP_H
#define HVPT_ENGINE_FAULT_MAP_H

#include "map.h"

/* Frames for the tables of one path, held by one call. */
struct hvpt_path {
    uint64_t frame[HVPT_MAX_LEVELS - 1];
    hvpt_entry *table[HVPT_MAX_LEVELS - 1];
    unsigned count;
};

/*
 * CPUs that fault at once have stacks of their own: their addresses spread the counting over the shards. The sum tells
 * neighbours apart whether stacks are a few pages apart, as kernels' are, or megabytes and a guard page, as threads' are.
 */
HVPT_INLINE hvpt_counter *hvpt_shard_here(struct hvpt_space *space)
{
    volatile char here = 0;
    const uintptr_t at = (uintptr_t)&here;

    (void)here;
    return &space->shards[((at >> 12) + (at >> 14) + (at >> 16)) & (HVPT_SHARDS - 1)].leaves;
}

/* What is mapped, and where; bits is the leaf. */
struct hvpt_fault {
    uint64_t gpa;
    uint64_t hpa;
    uint64_t size;
    uint64_t bits;
    unsigned level;
};

/*
 * The entry for an empty slot of a table at level: the leaf itself, or a chain of tables down to it that nobody can see
 * yet. HVPT_E_NOMEM, HVPT_E_RANGE (the guard policy): frames that path holds stay there.
 */
static inline enum hvpt_status hvpt_path_build(struct hvpt_space *space, struct hvpt_path *path,
                                               const struct hvpt_fault *fault, unsigned level, uint64_t *entry)
{
    unsigned i;

    while (path->count < level - fault->level) {
        uint64_t *frame = &path->frame[path->count];

        path->table[path->count] = hvpt_alloc_frame(space, hvpt_table_order(space), frame);
        if (path->table[path->count] == NULL)
            return HVPT_E_NOMEM;
        path->count++;
        if ((space->policy & HVPT_POLICY_GUARD_TABLES) && *frame < fault->hpa + fault->size
            && fault->hpa < *frame + (HVPT_4K << hvpt_table_order(space)))
            return HVPT_E_RANGE;
    }
    *entry = fault->bits;
    for (i = 0; i < level - fault->level; i++) {
        hvpt_fill_empty(space, path->table[i], hvpt_entries(space));
        hvpt_store_relaxed(&path->table[i][hvpt_index(space, fault->gpa, fault->level + i)], *entry);
        hvpt_note_table(space, path->frame[i]);
        *entry = hvpt_make_table(space, path->frame[i]);
    }
    return HVPT_OK;
}

/* The chain of the first used tables is linked: count them, keep the rest. */
static inline void hvpt_path_linked(struct hvpt_space *space, struct hvpt_path *path, unsigned leaf_level,
                                    unsigned used)
{
    unsigned i;

    for (i = 0; i < used; i++)
        hvpt_count_add_shared(&space->tables[leaf_level + i], 1);
    for (i = used; i < path->count; i++)
        path->frame[i - used] = path->frame[i];
    path->count -= used;
    if (used != 0)
        hvpt_count_add_shared(&space->frames, used);
    hvpt_count_add_shared(leaf_level == 0 ? hvpt_shard_here(space) : &space->leaves[leaf_level], 1);
}

static inline enum hvpt_status hvpt_fault_insert(struct hvpt_space *space, struct hvpt_path *path,
                                                 const struct hvpt_fault *fault)
{
    enum hvpt_status taken = HVPT_E_EXISTS;

    for (;;) {
        struct hvpt_run run;
        uint64_t entry;
        enum hvpt_status status = hvpt_descend(space, fault->gpa, fault->level, &run);

        if (status != HVPT_OK)
            return status;
        if (hvpt_is_present(space, run.entry))
            return taken;
        status = hvpt_path_build(space, path, fault, run.level, &entry);
        if (status != HVPT_OK)
            return status;
        if (HVPT_LIKELY(hvpt_compare_exchange(run.slot, &run.entry, entry))) {
            hvpt_path_linked(space, path, fault->level, run.level - fault->level);
            return HVPT_OK;
        }
        taken = HVPT_E_RACE;
    }
}

/* The general way, whatever the arguments. */
HVPT_FUNCTION enum hvpt_status hvpt_fault_slow(struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                             uint64_t size, struct hvpt_attr attr)
{
    struct hvpt_leaf leaf;
    struct hvpt_fault fault;
    struct hvpt_path path;
    unsigned level = 0;
    enum hvpt_status status;

    if (space->rules == NULL)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    status = hvpt_leaf_make(space, attr, &leaf);
    if (status != HVPT_OK)
        return status;
    while (level <= space->max_leaf_level && hvpt_span(space, level) != size)
        level++;
    if (level > space->max_leaf_level || level > leaf.max_level)
        return HVPT_E_ATTR;
    if ((gpa | hpa) & (size - 1))
        return HVPT_E_ALIGN;
    status = hvpt_check_range(space, gpa, size);
    if (status == HVPT_OK)
        status = hvpt_check_frames(space, hpa, size);
    if (status != HVPT_OK)
        return status;
    if ((space->policy & HVPT_POLICY_GUARD_TABLES) && hvpt_holds_table(space, hpa, size))
        return HVPT_E_RANGE;
    fault.gpa = gpa;
    fault.hpa = hpa;
    fault.size = size;
    fault.bits = leaf.bits[level] | hvpt_place(space, hpa);
    fault.level = level;
    path.count = 0;
    status = hvpt_fault_insert(space, &path, &fault);
    while (path.count != 0)
        hvpt_give_frame(space, path.frame[--path.count], hvpt_table_order(space));
    if (space->map_flushes && status == HVPT_OK)
        hvpt_flush_grown(space, NULL, gpa, size, true); /* tables may have been linked */
    return status;
}

/* One level down from the entry in slot, if it is a usual table that this code can see; else NULL. shift: of the slot. */
HVPT_INLINE hvpt_entry *hvpt_usual_below(const struct hvpt_space *space, bool called, const hvpt_entry *slot,
                                         uint64_t gpa, unsigned shift)
{
    const uint64_t entry = hvpt_load(slot);
    hvpt_entry *table;

    if (HVPT_UNLIKELY((entry & (space->table_mask | space->far_bits)) != space->table_bits))
        return NULL;
    table = hvpt_table_by(space, called, (entry & space->frame_mask) << space->frame_shift);
    if (HVPT_UNLIKELY(!hvpt_is_reached(called, table)))
        return NULL;
    return table + ((unsigned)(gpa >> shift) & 511u);
}

HVPT_INLINE enum hvpt_status hvpt_fault_any(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                            struct hvpt_attr attr)
{
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

    /* One 4 KiB page of usual memory below four levels, where all tables exist. */
    if (HVPT_LIKELY(page_size == HVPT_4K && !((gpa.value | hpa.value) & (HVPT_4K - 1)) && gpa.value < space->gpa_limit
                    && hpa.value < space->fast_limit && space->root_level == 3 && !space->map_flushes
                    && space->usual_bits != 0 && hvpt_same_attr(attr, usual))) {
        const bool called = hvpt_hooks_called(space);
        hvpt_entry *slot = space->root_table + (gpa.value >> 39);
        uint64_t old = space->empty_entry;

        slot = hvpt_usual_below(space, called, slot, gpa.value, 30);
        slot = slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa.value, 21);
        slot = slot == NULL ? NULL : hvpt_usual_below(space, called, slot, gpa.value, 12);
        /* Not looked at first: another CPU may hold its cache line, which then comes once, and to be written. */
        if (HVPT_LIKELY(slot != NULL
                        && hvpt_compare_exchange(slot, &old, space->usual_bits | hpa.value >> space->frame_shift))) {
            hvpt_count_add_shared(hvpt_shard_here(space), 1);
            return HVPT_OK;
        }
    }
    return hvpt_fault_slow(space, gpa.value, hpa.value, page_size, attr);
}

HVPT_API enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa, uint64_t page_size,
                                               struct hvpt_attr attr)
{
    return hvpt_fault_any(space, gpa, hpa, page_size, attr);
}

#endif
