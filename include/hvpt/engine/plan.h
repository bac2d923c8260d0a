/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What an edit needs, before it changes anything: are its arguments right, does anything stand in the way, how many
 * tables will it take? One look, then all allocations, then stores that cannot fail.
 */
#ifndef HVPT_ENGINE_PLAN_H
#define HVPT_ENGINE_PLAN_H

#include "entry.h"
#include "guard.h"

/*
 * An edit of [start, end). leaf_level: the largest pages that it leaves there. tables: how many frames it will take;
 * list: those that it took beyond the reserve. Edits that map have hpa, which is start's, and leaf, which is what the
 * new entries say.
 */
struct hvpt_plan {
    const struct hvpt_space *space;
    uint64_t start;
    uint64_t end;
    uint64_t hpa;
    uint64_t tables;
    unsigned leaf_level;
    struct hvpt_leaf leaf;
    struct hvpt_frames list;
};

/*
 * Begin the plan of an edit that maps: check the arguments, encode attr, and ask the guard. Answers what map does,
 * except for what the tables hold.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_begin(struct hvpt_plan *plan, const struct hvpt_space *space,
                                                         uint64_t gpa, uint64_t hpa, uint64_t size,
                                                         struct hvpt_attr attr)
{
    enum hvpt_status status = hvpt_check_range(space, gpa, size); /* what is no space ends at 0 */

    if (status == HVPT_OK)
        status = hvpt_check_below(space, hpa, size, space->hpa_limit);
    if (status == HVPT_OK)
        status = hvpt_leaf_make(space, attr, &plan->leaf);
    if (status != HVPT_OK)
        return status;
    if (space->readonly)
        return HVPT_E_READONLY;
    plan->space = space;
    plan->start = gpa;
    plan->end = gpa + size;
    plan->hpa = hpa;
    plan->tables = 0;
    plan->leaf_level = plan->leaf.max_level;
    while (plan->leaf_level > 0 && ((gpa ^ hpa) & (hvpt_span(space, plan->leaf_level) - 1)))
        plan->leaf_level--;
    return hvpt_guard(space, hpa, size);
}

/*
 * Count the tables below run, neighbouring entries above level 0 that are to hold their part of the range in leaves of
 * up to plan->leaf_level: at each level, the slots that cannot be leaves. Where a leaf fits those are the two at the
 * edges, unless edges is false.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_plan_tables(struct hvpt_plan *plan, const struct hvpt_run *run, bool edges)
{
    const struct hvpt_space *space = plan->space;
    uint64_t at = run->gpa, end = at + ((uint64_t)run->count << hvpt_span_shift(space, run->level));
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
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_make(struct hvpt_plan *plan, const struct hvpt_steps *steps)
{
    return hvpt_walk(plan->space, plan->start, plan->end, steps, plan);
}

/*
 * The plan of map, which wants all of its range empty. HVPT_E_EXISTS: something is mapped there. HVPT_E_CORRUPT: a
 * table cannot be reached, or a broken entry is in the way. *slot: start's, if one table of smallest pages holds the
 * range; else NULL. Others may be at work there meanwhile: a table that fault_map links is looked into, and a page is
 * in the way, even if it is empty at the second look because age or dirty breaks it for a moment.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_map(struct hvpt_plan *plan, hvpt_entry **slot)
{
    const struct hvpt_space *space = plan->space;
    uint64_t at = plan->start;

    do {
        struct hvpt_run run;

        (void)hvpt_find(space, at, 0, &run);
        if (run.level == HVPT_LEVEL_UNREACHED)
            return HVPT_E_CORRUPT;
        run.count = hvpt_whole_entries(space, run.level, at, plan->end);
        run.count = hvpt_count_empty(space, run.slot, run.count + (run.count == 0));
        run.gpa = at & ~(hvpt_span(space, run.level) - 1);
        if (run.count == 0) {
            run.entry = hvpt_load(run.slot);
            if (!hvpt_is_table(space, run.entry, run.level))
                return hvpt_judge(space, run.entry, run.level) < HVPT_ENTRY_BROKEN ? HVPT_E_EXISTS : HVPT_E_CORRUPT;
            continue;
        }
        if (run.level > 0)
            hvpt_plan_tables(plan, &run, true);
        *slot = run.level == 0 && at == plan->start ? run.slot : NULL;
        at = run.gpa + ((uint64_t)run.count << hvpt_span_shift(space, run.level));
    } while (at < plan->end);
    return HVPT_OK;
}

/*
 * Take the frames of an edit that maps. HVPT_E_NOMEM: there are too few. HVPT_E_RANGE: one of them lies where it is to
 * map, and the guard policy is on. After either nothing was taken.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_plan_take(struct hvpt_space *space, struct hvpt_plan *plan)
{
    enum hvpt_status status = hvpt_frames_take(space, &plan->list, plan->tables);

    if (status == HVPT_OK && (space->policy & HVPT_POLICY_GUARD_TABLES)) {
        status = hvpt_frames_touch(space, &plan->list, plan->hpa, plan->end - plan->start);
        if (status != HVPT_OK)
            hvpt_frames_release(space, &plan->list, 0);
    }
    return status;
}

/*
 * Store the plan's leaves for count neighbouring pages from gpa upwards, in contiguous sets where their places allow. A
 * run ends at the edge of each set or, where there are no sets, at a multiple of HVPT_FAR_ADDRESS.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_plan_fill(const struct hvpt_plan *plan, hvpt_entry *slot, unsigned count,
                                            uint64_t gpa, unsigned level)
{
    const struct hvpt_space *space = plan->space;
    const unsigned shift = hvpt_span_shift(space, level);
    const uint64_t set = UINT64_C(1) << (shift + space->contig_log2[level]), step = hvpt_leaf_step(space, level);
    const bool folds = space->contig_log2[level] != 0 && !plan->leaf.alone && !((plan->start ^ plan->hpa) & (set - 1));
    const uint64_t edge = folds ? set : HVPT_FAR_ADDRESS;
    uint64_t hpa = plan->hpa + (gpa - plan->start);
    unsigned run;

    for (; count != 0; slot += run, count -= run, hpa += (uint64_t)run << shift) {
        const uint64_t value = plan->leaf.bits[level] | hvpt_place(space, hpa);
        const uint64_t left = (edge - (hpa & (edge - 1))) >> shift;

        run = left < count ? (unsigned)left : count;
        if (folds && (uint64_t)run << shift == set)
            hvpt_fill(slot, run, (value & ~space->rules->contig_clear) | space->rules->contig_set,
                      space->rules->contig_clear != 0 ? 0 : step);
        else
            hvpt_fill(slot, run, value, step);
    }
}

/*
 * Find gpa's entry, and how many tables splitting it takes so that nothing reaches across cut, a multiple of the
 * smallest page. false: it cannot be found, or is broken and reaches across.
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

/* Split the leaves of the plan's range down to its leaf_level, with frames from its list. */
HVPT_FUNCTION HVPT_COLD void hvpt_split_down(struct hvpt_space *space, struct hvpt_plan *plan,
                                             struct hvpt_flush *flush)
{
    uint64_t at = plan->start, left = plan->tables;

    while (left != 0 && at < plan->end && plan->leaf_level < space->root_level) {
        struct hvpt_run run;

        /* A table out of reach is one of leaves that are small enough: the plan has seen all others. */
        if (hvpt_descend(space, at, plan->leaf_level, &run) != HVPT_OK)
            run.level = plan->leaf_level;
        if (run.level > plan->leaf_level && hvpt_is_present(space, run.entry)) {
            hvpt_split_leaf(space, &plan->list, flush, &run);
            left--;
        } else {
            at = (at | (hvpt_span(space, run.level > plan->leaf_level ? run.level : plan->leaf_level + 1) - 1)) + 1;
        }
    }
}

#endif
