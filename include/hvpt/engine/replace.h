/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* replace: map pages to other frames with one store per entry, so that a guest sees the old page or the new one. */
#ifndef HVPT_ENGINE_REPLACE_H
#define HVPT_ENGINE_REPLACE_H

#include "plan.h"

struct hvpt_replace {
    struct hvpt_space *space;
    struct hvpt_flush *flush;
    struct hvpt_plan plan;
};

/* For replace, everything must be mapped. */
static inline HVPT_COLD enum hvpt_status hvpt_replace_plan(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_plan *plan = (struct hvpt_plan *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = run->level > 0 ? run->entry : hvpt_load(&run->slot[i]);

        if (!hvpt_is_present(plan->space, entry))
            return HVPT_E_ABSENT;
        if (!hvpt_is_leaf(plan->space, entry, run->level))
            return HVPT_E_CORRUPT;
    }
    if (run->level > 0)
        hvpt_plan_tables(plan, run, true);
    return HVPT_OK;
}

static inline HVPT_COLD enum hvpt_status hvpt_replace_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_replace *replace = (struct hvpt_replace *)ctx;
    struct hvpt_space *space = replace->space;

    /* Above level 0 a run is one entry, and the rest of its contiguous set stays valid meanwhile: unfold all of it. */
    hvpt_unfold_run(space, replace->flush, run);
    hvpt_break_run(space, replace->flush, run);
    hvpt_fence_release();
    hvpt_plan_fill(&replace->plan, run->slot, run->count, run->gpa, run->level);
    return HVPT_OK;
}

/* A set that was unfolded for its entries to change one by one is folded again where the new pages allow it. */
static inline HVPT_COLD enum hvpt_status hvpt_replace_fold(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_replace *replace = (const struct hvpt_replace *)ctx;

    hvpt_fold_seen(replace->space, replace->flush, run, replace->plan.start, replace->plan.end);
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_replace(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                       uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    static const struct hvpt_steps steps = {NULL, hvpt_replace_plan, NULL};
    static const struct hvpt_steps commit = {NULL, hvpt_replace_slots, NULL};
    static const struct hvpt_steps fold = {NULL, hvpt_replace_fold, NULL};
    struct hvpt_replace replace;
    struct hvpt_plan *plan = &replace.plan;
    struct hvpt_flush own;
    enum hvpt_status status = hvpt_plan_begin(plan, space, gpa.value, hpa.value, size, attr);
    bool fold_after;

    if (status == HVPT_OK)
        status = hvpt_plan_make(plan, &steps);
    if (status == HVPT_OK)
        status = hvpt_plan_take(space, plan);
    if (status != HVPT_OK)
        return status;
    fold_after = space->contig_bit != 0 && !plan->leaf.alone;
    /*
     * Without a break, the first leaf of a new set would stand for the whole set while the others still map old pages.
     */
    plan->leaf.alone = plan->leaf.alone || space->break_bits == 0;
    replace.space = space;
    replace.flush = hvpt_flush_begin(space, flush, &own);
    hvpt_split_down(space, plan, replace.flush);
    hvpt_split_at(space, &plan->list, replace.flush, plan->start);
    hvpt_split_at(space, &plan->list, replace.flush, plan->end);
    status = hvpt_walk(space, plan->start, plan->end, &commit, &replace);
    if (status == HVPT_OK && fold_after)
        status = hvpt_walk(space, plan->start, plan->end, &fold, &replace);
    hvpt_flush_end(space, replace.flush, &own);
    return status;
}

#endif
