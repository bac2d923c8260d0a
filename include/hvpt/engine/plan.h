/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What an edit needs, before it changes anything: are its arguments right, does anything stand in the way, how many
 * tables will it take? One look, then all allocations, then stores that cannot fail.
 */
#ifndef HVPT_ENGINE_PLAN_H
#define HVPT_ENGINE_PLAN_H

#include "entry.h"

enum hvpt_edit { HVPT_EDIT_MAP, HVPT_EDIT_REPLACE, HVPT_EDIT_SPLIT };

/* leaf_level: the largest pages that the edit leaves in [start, end). tables: what it will take. */
struct hvpt_plan {
    const struct hvpt_space *space;
    enum hvpt_edit edit;
    unsigned leaf_level;
    uint64_t start;
    uint64_t end;
    uint64_t tables;
};

/*
 * The tables below one entry at level that is to hold [at, end) in leaves of up to leaf_level: at each level, the slots
 * that cannot be leaves. Where a leaf fits those are the two at the edges, unless edges is false.
 */
static inline uint64_t hvpt_tables_below(const struct hvpt_space *space, uint64_t at, uint64_t end, unsigned level,
                                         unsigned leaf_level, bool edges)
{
    uint64_t tables = 0;

    for (; level > (edges ? 0 : leaf_level); level--) {
        unsigned shift = hvpt_span_shift(space, level);
        uint64_t inside = (UINT64_C(1) << shift) - 1;
        uint64_t slots = ((end - 1) >> shift) - (at >> shift) + 1;

        if (level <= leaf_level) {
            uint64_t cut = (uint64_t)((at & inside) != 0) + (uint64_t)((end & inside) != 0);

            slots = slots < cut ? slots : cut;
        }
        if (slots == 0)
            break;
        tables += slots;
    }
    return tables;
}

static inline enum hvpt_status hvpt_plan_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_plan *plan = (struct hvpt_plan *)ctx;
    const struct hvpt_space *space = plan->space;
    uint64_t at = run->gpa, end = run->gpa + ((uint64_t)run->count << hvpt_span_shift(space, run->level));
    unsigned i;

    if (plan->edit == HVPT_EDIT_MAP && run->level == 0) {
        i = hvpt_count_empty(space, run->slot, run->count);
        if (i == run->count)
            return HVPT_OK;
        return hvpt_is_leaf(space, hvpt_load(&run->slot[i]), 0) ? HVPT_E_EXISTS : HVPT_E_CORRUPT;
    }
    for (i = 0; i < run->count; i++) {
        /* Above level 0 what the walk saw decides: at a second look fault_map may have put a table there. */
        uint64_t entry = run->level > 0 ? run->entry : hvpt_load(&run->slot[i]);
        bool present = hvpt_is_present(space, entry);

        if (present && !hvpt_is_leaf(space, entry, run->level))
            return plan->edit == HVPT_EDIT_SPLIT && run->level <= plan->leaf_level ? HVPT_OK : HVPT_E_CORRUPT;
        if (present && plan->edit == HVPT_EDIT_MAP)
            return HVPT_E_EXISTS;
        if (!present && plan->edit == HVPT_EDIT_REPLACE)
            return HVPT_E_ABSENT;
        if (!present && plan->edit == HVPT_EDIT_SPLIT)
            return HVPT_OK;
    }
    if (run->level > 0)
        plan->tables += hvpt_tables_below(space, at > plan->start ? at : plan->start, end < plan->end ? end : plan->end,
                                          run->level, plan->leaf_level, plan->edit != HVPT_EDIT_SPLIT);
    return HVPT_OK;
}

/* split is not interested in tables of leaves that are small enough. */
static inline enum hvpt_step hvpt_plan_enter(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_plan *plan = (const struct hvpt_plan *)ctx;

    return plan->edit == HVPT_EDIT_SPLIT && run->level <= plan->leaf_level + 1 ? HVPT_STEP_OVER : HVPT_STEP_INTO;
}

/* Find conflicts and count tables. HVPT_E_EXISTS, HVPT_E_ABSENT, HVPT_E_CORRUPT. Changes nothing. */
HVPT_FUNCTION enum hvpt_status hvpt_plan_make(const struct hvpt_space *space, enum hvpt_edit edit,
                                                            uint64_t start, uint64_t end, unsigned leaf_level,
                                                            struct hvpt_plan *plan)
{
    static const struct hvpt_steps steps = {hvpt_plan_enter, hvpt_plan_slots, NULL};

    plan->space = space;
    plan->edit = edit;
    plan->leaf_level = leaf_level;
    plan->start = start;
    plan->end = end;
    plan->tables = 0;
    return hvpt_walk(space, start, end, &steps, plan);
}

/* The frames that splitting leaf takes so that nothing reaches across gpa, a multiple of the smallest page. */
static inline unsigned hvpt_cut_needs(const struct hvpt_space *space, const struct hvpt_run *leaf, uint64_t gpa)
{
    unsigned level = leaf->level, tables = 0;

    for (; level > 0 && (gpa & (hvpt_span(space, level) - 1)); level--)
        tables++;
    return tables;
}

/*
 * The frames needed so that no leaf reaches across start, nor across end, each where asked for. HVPT_E_CORRUPT: a table
 * on the way to either could not be reached.
 */
HVPT_FUNCTION enum hvpt_status hvpt_edges_need(const struct hvpt_space *space, uint64_t start,
                                                             uint64_t end, bool at_start, bool at_end, uint64_t *frames)
{
    struct hvpt_run first, last;
    unsigned head = 0, tail = 0, level;

    *frames = 0;
    if (hvpt_descend(space, start, 0, &first) != HVPT_OK || hvpt_descend(space, end - 1, 0, &last) != HVPT_OK)
        return HVPT_E_CORRUPT;
    if (at_start && hvpt_is_present(space, first.entry))
        head = hvpt_cut_needs(space, &first, start);
    if (at_end && hvpt_is_present(space, last.entry))
        tail = hvpt_cut_needs(space, &last, end);
    *frames = head + tail;
    if (first.slot != last.slot)
        return HVPT_OK;
    /* Both edges in one leaf share tables until their ways part. */
    for (level = first.level; head != 0 && tail != 0; level--, head--, tail--) {
        if ((start ^ (end - 1)) >> hvpt_span_shift(space, level))
            break;
        --*frames;
    }
    return HVPT_OK;
}

/* ---- the guard policy ---- */

struct hvpt_frame_search {
    const struct hvpt_space *space;
    uint64_t first;
    uint64_t last;
    bool found;
};

static inline enum hvpt_step hvpt_search_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_frame_search *search = (struct hvpt_frame_search *)ctx;
    uint64_t frame = hvpt_frame_in(search->space, run->entry);

    if (frame >= search->first && frame <= search->last)
        search->found = true;
    return run->level > 1 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/*
 * Does [hpa, hpa + size) touch a table of this space, or a frame of its reserve?  The hull of all tables answers most
 * calls, the tree itself the rest.
 */
HVPT_FUNCTION HVPT_COLD bool hvpt_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    static const struct hvpt_steps steps = {hvpt_search_enter, NULL, NULL};
    const uint64_t table_size = HVPT_4K << hvpt_table_order(space), root_size = HVPT_4K << space->root_order;
    struct hvpt_frame_search search;

    if (hpa < space->root_frame + root_size && space->root_frame < hpa + size)
        return true;
    if (hvpt_frames_touch(space, &space->pool, hpa, hpa + size))
        return true;
    if (hpa >= hvpt_count_read(&space->highest_table) + table_size
        || hpa + size <= hvpt_count_read(&space->lowest_table))
        return false;
    /* Frames are aligned to their size, so a table is touched if and only if its first byte lies in the widened range. */
    search.space = space;
    search.first = hpa & ~(table_size - 1);
    search.last = hpa + size - 1;
    search.found = false;
    (void)hvpt_walk(space, 0, space->gpa_limit, &steps, &search);
    return search.found;
}

/*
 * Take the frames of an edit that will map [hpa, hpa + size). HVPT_E_NOMEM. HVPT_E_RANGE: the guard policy holds, and
 * one of them lies in that range. Nothing was taken then.
 */
HVPT_FUNCTION enum hvpt_status hvpt_plan_take(struct hvpt_space *space, struct hvpt_frames *list,
                                                            uint64_t tables, uint64_t hpa, uint64_t size)
{
    enum hvpt_status status = hvpt_frames_take(space, list, tables);

    if (status != HVPT_OK || !(space->policy & HVPT_POLICY_GUARD_TABLES)
        || !hvpt_frames_touch(space, list, hpa, hpa + size))
        return status;
    hvpt_frames_release(space, list, 0);
    return HVPT_E_RANGE;
}

/* Everything that can be wrong with the arguments of map and replace, before a table is looked at; and attr encoded. */
HVPT_FUNCTION enum hvpt_status hvpt_check_mapping(const struct hvpt_space *space, uint64_t gpa,
                                                                uint64_t hpa, uint64_t size, struct hvpt_attr attr,
                                                                struct hvpt_leaf *leaf)
{
    enum hvpt_status status = hvpt_check_range(space, gpa, size);

    if (status == HVPT_OK)
        status = hvpt_check_frames(space, hpa, size);
    if (status == HVPT_OK)
        status = hvpt_leaf_make(space, attr, leaf);
    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    if ((space->policy & HVPT_POLICY_GUARD_TABLES) && hvpt_holds_table(space, hpa, size))
        return HVPT_E_RANGE;
    return HVPT_OK;
}

#endif
