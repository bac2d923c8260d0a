/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* split: the same translations by smaller pages. No attribute of a leaf is lost. */
#ifndef HVPT_ENGINE_SPLIT_H
#define HVPT_ENGINE_SPLIT_H

#include "plan.h"

/* Tables of leaves that are small enough are not looked into. */
static inline HVPT_COLD enum hvpt_step hvpt_split_enter(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_plan *plan = (const struct hvpt_plan *)ctx;

    return run->level <= plan->leaf_level + 1 ? HVPT_STEP_OVER : HVPT_STEP_INTO;
}

static inline HVPT_COLD enum hvpt_status hvpt_split_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_plan *plan = (struct hvpt_plan *)ctx;

    if (run->level <= plan->leaf_level || !hvpt_is_present(plan->space, run->entry))
        return HVPT_OK;
    if (!hvpt_is_leaf(plan->space, run->entry, run->level))
        return HVPT_E_CORRUPT;
    hvpt_plan_tables(plan, run, false);
    return HVPT_OK;
}

/* Check the arguments and count the tables. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_split_plan(const struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                                         uint64_t page_size, struct hvpt_plan *plan)
{
    static const struct hvpt_steps steps = {hvpt_split_enter, hvpt_split_slots, NULL};
    const unsigned level = hvpt_level_of(space, page_size);
    enum hvpt_status status = hvpt_check_edit(space, gpa, size);

    if (status != HVPT_OK)
        return status;
    if (level == HVPT_MAX_LEVELS)
        return HVPT_E_ALIGN;
    plan->space = space;
    plan->start = gpa;
    plan->end = gpa + size;
    plan->tables = 0;
    plan->leaf_level = level;
    return hvpt_plan_make(plan, &steps);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_split(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                     uint64_t page_size, struct hvpt_flush *flush)
{
    struct hvpt_flush own;
    struct hvpt_flush *used = hvpt_flush_begin(space, flush, &own);
    struct hvpt_plan plan;
    enum hvpt_status status = hvpt_split_plan(space, gpa.value, size, page_size, &plan);

    if (status == HVPT_OK)
        status = hvpt_frames_take(space, &plan.list, plan.tables);
    if (status != HVPT_OK)
        return status;
    hvpt_split_down(space, &plan, used);
    hvpt_flush_end(space, used, &own);
    return HVPT_OK;
}

#endif
