/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Counting the frames that a call will take, and taking them in advance, for callers that cannot allocate later. */
#ifndef HVPT_ENGINE_RESERVE_H
#define HVPT_ENGINE_RESERVE_H

#include "split.h"

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_frames_needed(const struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                             uint64_t size, struct hvpt_attr attr, uint64_t *frames)
{
    struct hvpt_plan plan;
    hvpt_entry *slot;
    enum hvpt_status status = hvpt_plan_begin(&plan, space, gpa.value, hpa.value, size, attr);

    if (status == HVPT_OK)
        status = hvpt_plan_map(&plan, &slot);
    if (status == HVPT_OK)
        *frames = plan.tables;
    return status;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_frames_needed_to_unmap(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                      uint64_t size, uint64_t *frames)
{
    enum hvpt_status status = hvpt_check_edit(space, gpa.value, size);

    if (status != HVPT_OK)
        return status;
    return hvpt_edges_need(space, gpa.value, gpa.value + size, true, true, frames);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_frames_needed_to_split(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                      uint64_t size, uint64_t page_size,
                                                                      uint64_t *frames)
{
    struct hvpt_plan plan;
    enum hvpt_status status = hvpt_split_plan(space, gpa.value, size, page_size, &plan);

    if (status == HVPT_OK)
        *frames = plan.tables;
    return status;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_space_reserve(struct hvpt_space *space, uint64_t count)
{
    if (space->gpa_limit == 0)
        return HVPT_E_RANGE;
    if (space->readonly)
        return HVPT_E_READONLY;
    if (count == 0) {
        hvpt_frames_release(space, &space->pool, 0);
        return HVPT_OK;
    }
    if (count <= space->pool.count)
        return HVPT_OK;
    return hvpt_frames_add(space, &space->pool, count - space->pool.count);
}

#endif
