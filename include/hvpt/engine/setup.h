/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a space: its config, an empty root, or tables taken over from others.
 */
#ifndef HVPT_ENGINE_SETUP_H
#define HVPT_ENGINE_SETUP_H

#include "entry.h"

/* Zero but for what refuses every call: nothing here may depend on the memory's former contents. */
HVPT_FUNCTION HVPT_COLD void hvpt_space_clear(struct hvpt_space *space)
{
    unsigned char *byte = (unsigned char *)space;
    size_t i;

    for (i = 0; i < sizeof(*space); i++)
        byte[i] = 0;
    space->kind = HVPT_KIND_NONE;
    space->table_bits = UINT64_MAX; /* no entry is usual until the format says which */
    space->leaf_bits = UINT64_MAX;
    space->lowest_table = UINT64_MAX;
    space->cursor_range = UINT64_MAX;
    space->last_attr.perm = UINT32_MAX;
}

/*
 * Begin to configure a space. HVPT_E_ATTR: no config, or hooks without the two that cannot be done without (phys_to_virt
 * and flush may be NULL); a space adopted for reading only needs none of the two. HVPT_STATIC_HOOKS allow no others.
 */
static inline HVPT_COLD enum hvpt_status hvpt_space_begin(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                          const void *config, bool readonly)
{
    hvpt_space_clear(space);
    if (config == NULL || hooks == NULL
        || (!readonly && (hooks->alloc_frame == NULL || hooks->free_frame == NULL)))
        return HVPT_E_ATTR;
#ifdef HVPT_STATIC_HOOKS
    if (hooks != &HVPT_STATIC_HOOKS)
        return HVPT_E_ATTR;
#endif
    space->hooks = hooks;
    space->linear = (char *)hooks->linear_map;
    space->called = hooks->phys_to_virt != NULL;
    space->readonly = readonly;
    return HVPT_OK;
}

/* Everything is set: prepare what needs no second look when a page is mapped or looked up. */
static inline HVPT_COLD void hvpt_space_open(struct hvpt_space *space)
{
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    struct hvpt_leaf leaf;

    if (space->page_shift == 12 && !space->readonly && !(space->policy & HVPT_POLICY_GUARD_TABLES))
        space->fast_limit = space->hpa_limit < HVPT_FAR_ADDRESS ? space->hpa_limit : HVPT_FAR_ADDRESS;
    if (space->rules->place == NULL && space->fast_limit != 0)
        space->fast_limit = space->hpa_limit;
    space->four_levels = space->page_shift == 12 && space->root_level == 3;
    space->page_mask = ~space->frame_mask | space->leaf_mask;
    space->usual_bits = UINT64_MAX;
    if (hvpt_leaf_make(space, usual, &leaf) == HVPT_OK) {
        space->usual_bits = leaf.bits[0];
        space->usual_flags = (space->rules->decode)(space, leaf.bits[0], 0).flags;
        space->fault_quick = space->four_levels && !space->map_flushes;
    }
}

/* The end of init and adopt: a space that was not made is cleared, so that every call refuses it. Returns status. */
static inline HVPT_COLD enum hvpt_status hvpt_space_made(struct hvpt_space *space, enum hvpt_status status)
{
    if (status != HVPT_OK)
        hvpt_space_clear(space);
    return status;
}

/* An empty root. The geometry is set. HVPT_E_NOMEM. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_space_create(struct hvpt_space *space)
{
    space->root_table = hvpt_alloc_frame(space, space->root_order, &space->root_frame);
    if (space->root_table == NULL)
        return HVPT_E_NOMEM;
    hvpt_fill_empty(space, space->root_table, hvpt_table_entries(space, space->root_level));
    space->tables[space->root_level] = 1;
    space->frames = 1;
    hvpt_space_open(space);
    return HVPT_OK;
}

/* ---- taking over tables that exist: another kernel's, a snapshot's, this library's own after a restart ---- */

struct hvpt_adoption {
    const struct hvpt_space *space;
    uint64_t lowest, highest; /* table frames */
    uint64_t leaves[HVPT_MAX_LEVELS];
    uint64_t tables[HVPT_MAX_LEVELS];
};

static inline enum hvpt_step hvpt_adopt_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_adoption *adoption = (struct hvpt_adoption *)ctx;
    uint64_t frame = hvpt_frame_in(adoption->space, run->entry);

    adoption->tables[run->level - 1]++;
    if (frame < adoption->lowest)
        adoption->lowest = frame;
    if (frame > adoption->highest)
        adoption->highest = frame;
    return HVPT_STEP_INTO;
}

static inline enum hvpt_status hvpt_adopt_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_adoption *adoption = (struct hvpt_adoption *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(adoption->space, entry))
            continue;
        if (!hvpt_is_leaf(adoption->space, entry, run->level))
            return HVPT_E_CORRUPT;
        adoption->leaves[run->level]++;
    }
    return HVPT_OK;
}

/* The mark that a table is full may be anything else in tables that others made. */
static inline enum hvpt_step hvpt_adopt_unmark(void *ctx, const struct hvpt_run *run)
{
    const uint64_t full = ((struct hvpt_adoption *)ctx)->space->rules->full_bit;

    if (run->entry & full)
        hvpt_store_relaxed(run->slot, run->entry & ~full);
    return run->level > 1 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/*
 * Make the configured space that of the tables at root. To change them they must all be counted, and are from now on
 * freed by free_frame as if alloc_frame had given them; HVPT_E_CORRUPT then says that one of them is not well-formed,
 * and nothing was written. For reading only, nothing is read now and nothing written ever: each entry is judged when a
 * walk meets it.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_space_take_over(struct hvpt_space *space, uint64_t root)
{
    static const struct hvpt_steps count = {hvpt_adopt_enter, hvpt_adopt_slots, NULL};
    static const struct hvpt_steps unmark = {hvpt_adopt_unmark, NULL, NULL};
    struct hvpt_adoption adoption;
    unsigned level;
    enum hvpt_status status = HVPT_OK;

    space->root_frame = root;
    space->root_table = hvpt_table_at(space, root);
    if (space->root_table == NULL)
        return HVPT_E_CORRUPT;
    hvpt_space_open(space);
    if (space->readonly)
        return HVPT_OK;
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        adoption.leaves[level] = 0;
        adoption.tables[level] = 0;
    }
    adoption.space = space;
    adoption.lowest = UINT64_MAX;
    adoption.highest = 0;
    adoption.tables[space->root_level] = 1;
    status = hvpt_walk(space, 0, space->gpa_limit, &count, &adoption);
    if (status != HVPT_OK)
        return status;
    (void)hvpt_walk(space, 0, space->gpa_limit, &unmark, &adoption);
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        space->leaves[level] = adoption.leaves[level];
        space->tables[level] = adoption.tables[level];
        space->frames += adoption.tables[level];
    }
    space->lowest_table = adoption.lowest;
    space->highest_table = adoption.highest;
    return HVPT_OK;
}

#endif
