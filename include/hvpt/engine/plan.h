/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What an edit needs, before it changes anything: are its arguments right, does anything stand in the way, how many
 * tables will it take? One look, then all allocations, then stores that cannot fail.
 */
#ifndef HVPT_ENGINE_PLAN_H
#define HVPT_ENGINE_PLAN_H

#include "entry.h"

/* leaf_level: the largest pages that the edit leaves in [start, end). tables: what it will take. */
struct hvpt_plan {
    const struct hvpt_space *space;
    unsigned leaf_level;
    uint64_t start;
    uint64_t end;
    uint64_t tables;
};

/*
 * Count the tables below run, one entry above level 0 that is to hold its part of the range in leaves of up to
 * plan->leaf_level: at each level, the slots that cannot be leaves. Where a leaf fits those are the two at the edges,
 * unless edges is false.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_plan_tables(struct hvpt_plan *plan, const struct hvpt_run *run, bool edges)
{
    const struct hvpt_space *space = plan->space;
    uint64_t at = run->gpa, end = at + hvpt_span(space, run->level);
    unsigned level = run->level;

    at = at > plan->start ? at : plan->start;
    end = end < plan->end ? end : plan->end;
    for (; level > (edges ? 0 : plan->leaf_level); level--) {
        const unsigned shift = hvpt_span_shift(space, level);
        const uint64_t inside = (UINT64_C(1) << shift) - 1;
        uint64_t slots = ((end - 1) >> shift) - (at >> shift) + 1;

        if (level <= plan->leaf_level) {
            uint64_t cut = (uint64_t)((at & inside) != 0) + (uint64_t)((end & inside) != 0);

            slots = slots < cut ? slots : cut;
        }
        plan->tables += slots;
        if (slots == 0)
            break;
    }
}

/* Walk [start, end) to find conflicts and count tables. HVPT_E_CORRUPT, and what steps answer. Changes nothing. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_make(const struct hvpt_space *space, const struct hvpt_steps *steps,
                                                        uint64_t start, uint64_t end, unsigned leaf_level,
                                                        struct hvpt_plan *plan)
{
    plan->space = space;
    plan->leaf_level = leaf_level;
    plan->start = start;
    plan->end = end;
    plan->tables = 0;
    return hvpt_walk(space, start, end, steps, plan);
}

/*
 * For map, everything must be empty. Above level 0 the entry that the walk read decides, because fault_map may have put
 * a table there since.
 */
static inline HVPT_COLD enum hvpt_status hvpt_plan_empty(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_plan *plan = (struct hvpt_plan *)ctx;
    const struct hvpt_space *space = plan->space;
    uint64_t entry = run->entry;

    if (run->level == 0) {
        unsigned i = hvpt_count_empty(space, run->slot, run->count);

        if (i == run->count)
            return HVPT_OK;
        entry = hvpt_load(&run->slot[i]);
    } else if (!hvpt_is_present(space, entry)) {
        hvpt_plan_tables(plan, run, true);
        return HVPT_OK;
    }
    return hvpt_is_leaf(space, entry, run->level) ? HVPT_E_EXISTS : HVPT_E_CORRUPT;
}

/* The plan of map. HVPT_E_EXISTS: something is mapped. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_map(const struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                       uint64_t size, const struct hvpt_leaf *leaf,
                                                       struct hvpt_plan *plan)
{
    static const struct hvpt_steps steps = {NULL, hvpt_plan_empty, NULL};

    return hvpt_plan_make(space, &steps, gpa, gpa + size, hvpt_leaf_level(space, gpa, hpa, leaf), plan);
}

/*
 * Find gpa's entry, and how many tables splitting it takes so that nothing reaches across cut, a multiple of the smallest
 * page. false: it cannot be found, or is broken and reaches across.
 */
HVPT_FUNCTION HVPT_COLD bool hvpt_edge_needs(const struct hvpt_space *space, uint64_t gpa, uint64_t cut,
                                             struct hvpt_run *found, unsigned *tables)
{
    unsigned level;

    (void)hvpt_find(space, gpa, 0, found);
    *tables = 0;
    if (found->level == HVPT_LEVEL_UNREACHED)
        return false;
    if (hvpt_is_present(space, found->entry))
        for (level = found->level; level > 0 && (cut & (hvpt_span(space, level) - 1)); level--)
            ++*tables;
    return *tables == 0 || hvpt_is_leaf(space, found->entry, found->level);
}

/*
 * The frames needed so that no leaf reaches across start (if at_start), nor across end (if at_end). HVPT_E_CORRUPT: a
 * table on the way to either could not be reached, or a broken entry reaches across.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_edges_need(const struct hvpt_space *space, uint64_t start, uint64_t end,
                                                         bool at_start, bool at_end, uint64_t *frames)
{
    struct hvpt_run first, last;
    unsigned head, tail, level;

    *frames = 0;
    if (!hvpt_edge_needs(space, start, at_start ? start : 0, &first, &head))
        return HVPT_E_CORRUPT;
    if (first.level == 0 && !((start ^ (end - 1)) >> hvpt_span_shift(space, 1)))
        return HVPT_OK; /* both edges are in one table of smallest pages */
    if (!hvpt_edge_needs(space, end - 1, at_end ? end : 0, &last, &tail))
        return HVPT_E_CORRUPT;
    *frames = head + tail;
    if (first.slot != last.slot)
        return HVPT_OK;
    /* If both edges are in one leaf, they share tables until their paths part. */
    for (level = first.level; head != 0 && tail != 0; level--, head--, tail--) {
        if ((start ^ (end - 1)) >> hvpt_span_shift(space, level))
            break;
        --*frames;
    }
    return HVPT_OK;
}

/* Split the leaves of the plan's range down to its leaf_level, with frames from list. */
HVPT_FUNCTION HVPT_COLD void hvpt_split_down(struct hvpt_space *space, struct hvpt_frames *list,
                                             struct hvpt_flush *flush, const struct hvpt_plan *plan)
{
    uint64_t at = plan->start;

    while (list->count != 0 && at < plan->end && plan->leaf_level < space->root_level) {
        struct hvpt_run run;

        /* A table out of reach is one of leaves that are small enough: the plan has seen all others. */
        if (hvpt_descend(space, at, plan->leaf_level, &run) != HVPT_OK)
            run.level = plan->leaf_level;
        if (run.level > plan->leaf_level && hvpt_is_present(space, run.entry))
            hvpt_split_leaf(space, list, flush, &run);
        else
            at = (at | (hvpt_span(space, run.level > plan->leaf_level ? run.level : plan->leaf_level + 1) - 1)) + 1;
    }
}

/* ---- the guard policy ---- */

struct hvpt_frame_search {
    const struct hvpt_space *space;
    uint64_t first;
    uint64_t last;
    bool found;
};

static inline HVPT_COLD enum hvpt_step hvpt_search_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_frame_search *search = (struct hvpt_frame_search *)ctx;
    uint64_t frame = hvpt_frame_in(search->space, run->entry);

    if (frame >= search->first && frame <= search->last)
        search->found = true;
    return run->level > 1 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/*
 * HVPT_E_RANGE: [hpa, hpa + size) touches a table of this space, or a frame of its reserve. HVPT_E_RACE: the reserve
 * changed meanwhile. The bounds of all tables answer most calls, a search of the tree the rest. A frame that a call on
 * another CPU has taken and not linked yet is not found.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_holds_table(const struct hvpt_space *space, uint64_t hpa, uint64_t size)
{
    static const struct hvpt_steps steps = {hvpt_search_enter, NULL, NULL};
    const uint64_t table_size = hvpt_span(space, 0), root_size = UINT64_C(1) << (HVPT_FRAME_SHIFT + space->root_order);
    struct hvpt_frame_search search;
    enum hvpt_status status;

    if (hpa < space->root_frame + root_size && space->root_frame < hpa + size)
        return HVPT_E_RANGE;
    status = hvpt_frames_touch(space, &space->pool, hpa, hpa + size);
    if (status != HVPT_OK)
        return status;
    if (hpa >= hvpt_count_read(&space->highest_table) + table_size
        || hpa + size <= hvpt_count_read(&space->lowest_table))
        return HVPT_OK;
    /*
     * Frames are aligned to their size, so a table is touched if and only if its first byte lies in the widened range.
     */
    search.space = space;
    search.first = hpa & ~(table_size - 1);
    search.last = hpa + size - 1;
    search.found = false;
    (void)hvpt_walk(space, 0, space->gpa_limit, &steps, &search);
    return search.found ? HVPT_E_RANGE : HVPT_OK;
}

/*
 * Take the frames of an edit that will map [hpa, hpa + size). HVPT_E_NOMEM: there are too few. HVPT_E_RANGE: one of
 * them lies in that range, and the guard policy is on. After either nothing was taken.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_take(struct hvpt_space *space, struct hvpt_frames *list,
                                                        uint64_t tables, uint64_t hpa, uint64_t size)
{
    enum hvpt_status status = hvpt_frames_take(space, list, tables);

    if (status == HVPT_OK && (space->policy & HVPT_POLICY_GUARD_TABLES)) {
        status = hvpt_frames_touch(space, list, hpa, hpa + size);
        if (status != HVPT_OK)
            hvpt_frames_release(space, list, 0);
    }
    return status;
}

/* Check the arguments of map and replace before any table is read, and encode attr. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_check_mapping(const struct hvpt_space *space, uint64_t gpa, uint64_t hpa,
                                                            uint64_t size, struct hvpt_attr attr,
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
    return space->policy & HVPT_POLICY_GUARD_TABLES ? hvpt_holds_table(space, hpa, size) : HVPT_OK;
}

#endif
